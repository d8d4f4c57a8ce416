#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A cluster may come from saved output instead of a name; the answer says what was read, and asked
# again it reads the same files.
. "$(dirname "$0")/lib.sh"

machine=tests/machines/slurm-h100
model='--model llama-3.2-1b --seq-len 2k --global-batch 56 --top 2'

expect_code 0 train $model --gpus 56 --from-sinfo "$machine/sinfo.txt" \
    --from-nvidia-smi "$machine/nvidia-smi.txt" --json
says err '7 usable nodes of 8 h100-sxm'
says out '"from_sinfo"'
cp "$work/out" "$work/result.json"
expect_code 0 train "$work/result.json" --json
n_expected=$((n_expected + 1))
[ "$(grep fingerprint "$work/out")" = "$(grep fingerprint "$work/result.json")" ] ||
    fail 'asked again it is another question'
if command -v python3 >/dev/null 2>&1; then
    code=0
    python3 tests/cli/validate.py configs/schema/result.json "$work/result.json" || code=$?
    [ "$code" -eq 0 ] || [ "$code" -eq 77 ] || fail 'the result is not what its schema promises'
fi

# More GPUs than the usable nodes have.
expect_code 4 train $model --gpus 64 --from-sinfo "$machine/sinfo.txt"
says err 'the nearest usable number of GPUs is 56'

# A named cluster supplies what the files leave open.
expect_code 0 train $model --gpus 8 --cluster dgx-h100 --from-nvidia-smi "$machine/nvidia-smi.txt" -q
is_empty err
finish
