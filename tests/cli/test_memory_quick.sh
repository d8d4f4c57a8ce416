#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# `shardplan memory quick SIZE`: sizes however they are written, training and serving, ZeRO stages and
# offload; presets by the names that people use, with their exact counts.
set -eu
. "$(dirname "$0")/lib.sh"

# ---- a size is a size ----
for words in '' '--gpus 8 --engine deepspeed'; do
    expect_code 0 memory quick 7B --hardware a100-sxm-80g $words --json
    cp "$work/out" "$work/first"
    for size in 7b 7.0B 7000M 7e9 7000000000; do
        expect_code 0 memory quick $size --hardware a100-sxm-80g $words --json
        n_expected=$((n_expected + 1))
        cmp -s "$work/first" "$work/out" || fail "$size is not 7B"
    done
done
for size in 0 7X 1e30 10K seven; do
    expect_code 3 memory quick $size --hardware a100-sxm-80g
done

# ---- without an accelerator a usual one is taken, and named ----
expect_code 0 memory quick 7B --gpus 8 --engine deepspeed
says err 'no --hardware is named: the answer is for h100-sxm'
expect_code 0 memory quick 7B
says err 'no --hardware is named'
expect_code 0 memory quick 7B --hardware a100-sxm-80g
n_expected=$((n_expected + 1))
[ ! -s "$work/err" ] || fail 'a named accelerator is remarked on'

# ---- every engine, every stage: each shards more, and the host takes the rest ----
for engine in ddp deepspeed fsdp megatron megatron-deepspeed torchtitan; do
    expect_code 0 memory quick 1B --gpus 8 --engine $engine -q
done
expect_code 0 memory quick 7B --gpus 8 --engine megatron-lm --checkpointing full -q
for engine in vllm sglang trtllm tgi hf dashinfer; do
    expect_code 0 memory quick 7B --engine $engine -q
done

# weights + gradients + optimizer of a GPU, in bytes
state() {
    "$SHARDPLAN_BIN" memory quick 7B --gpus 8 --engine deepspeed -q --format csv "$@" >"$work/out" || [ $? -eq 4 ] || fail "$*"
    awk -F, '/^(weights|gradients|optimizer),/ { sum += $2 } END { printf "%.0f\n", sum }' "$work/out"
}
n_expected=$((n_expected + 1))
python3 - $(state --set zero=0) $(state --set zero=1) $(state --set zero=2) $(state --set zero=3) \
    $(state --set zero=3 --set offload_optimizer=1) \
    $(state --set zero=3 --set offload_optimizer=1 --set offload_params=1) <<'PY' || fail 'ZeRO stages and offload'
import sys

state = [float(word) for word in sys.argv[1:]]
assert all(a > b for a, b in zip(state, state[1:])), state
parameters = 6738415616  # those of the shape that is guessed
assert abs(state[0] - 8 * state[3]) < 1e-3 * state[0], state
assert state[3] >= 16 * parameters / 8 * 0.999, state
assert state[5] == 0, state
PY

# ---- presets: names as people write them, counts as published ----
preset() {
    expect_code 0 params "$1" --json
    n_expected=$((n_expected + 1))
    python3 - "$work/out" "$2" <<'PY' || fail "$1 has another count than $2"
import json
import sys

assert json.load(open(sys.argv[1], encoding="utf-8"))["parameters"]["total"] == int(sys.argv[2])
PY
    "$SHARDPLAN_BIN" memory "$1" --hardware b200-sxm --tp 8 >"$work/out" 2>"$work/err" || [ $? -eq 4 ] || fail "$1: $(cat "$work/err")"
}
preset llama2-7b 6738415616
preset llama2-13b 13015864320
preset llama2-70b 68976648192
preset llama-3-8b 8030261248
preset llama3-70b 70553706496
preset llama-3.1-405b 405853388800
preset gpt-3 174615846912
preset mixtral-8x7b 46702792704
preset mixtral-8x22b 140620634112
preset glm-4.5 352797814784
preset glm-4.5-air-106b 106852245504
preset glm-4.7-355b 352797814784
preset qwen2.5-72b 72706203648
preset qwen3-235b-a22b 235093634560
preset qwen1.5-moe-a2.7b 14315784192
preset deepseek-v2 235741434880
preset deepseek-v3 671026404352
preset deepseek-moe-16b 16375728128
expect_code 0 params glm-4-9b
says out '9,399,951,360'

finish
