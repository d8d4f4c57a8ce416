#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# --optimizer and --gradients as people meet them: what engines refuse, and that an answer asks its own
# question again.
. "$(dirname "$0")/lib.sh"

follows optimizers.json configs/optimizers.json
follows engine.json configs/engines/*.json
follows training-points.json configs/validation/training-points.json

question='--model llama-2-7b --cluster dgx-h100 --gpus 8 --seq-len 4k --global-batch 64'

expect_code 0 estimate zero=1 $question --engine megatron --optimizer muon
says out 'optimizer'
expect_code 4 estimate zero=1 $question --engine megatron --optimizer adafactor
says err 'megatron-optimizer'
expect_code 4 estimate zero=3 $question --engine fsdp --gradients bf16
says err 'fsdp-gradients'
expect_code 0 estimate zero=3 $question --engine fsdp --optimizer adafactor

# An answer is a question: the same one.
expect_code 0 train $question --set tp=1 --set pp=1 --optimizer adamw-bf16 --gradients bf16 --json
cp "$work/out" "$work/result.json"
follows result.json "$work/result.json"
says out '"optimizer": "adamw-bf16"'
says out '"gradients": "bf16"'
grep '"fingerprint"' "$work/out" >"$work/first"
expect_code 0 train "$work/result.json" --json
grep '"fingerprint"' "$work/out" >"$work/second"
n_expected=$((n_expected + 1))
cmp -s "$work/first" "$work/second" || fail 'asked again, the question has another name'

# What serves has no optimizer.
expect_code 3 memory llama-3.1-8b --hardware h100-sxm --gradients bf16
says err 'this is about training'

finish
