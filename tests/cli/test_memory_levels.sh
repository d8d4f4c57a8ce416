#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The five levels of activation checkpointing of `shardplan memory`: each keeps no more than the one
# before, on every engine in the form that it has; layers one by one lie between none and full.
set -eu
. "$(dirname "$0")/lib.sh"

# The bytes of activations of a plan.
kept() {
    expect_code "${code:-0}" memory "$@" --seq-len 2048 --format csv
    sed -n 's/^activations,//p' "$work/out"
}

falls() {
    n_expected=$((n_expected + 1))
    python3 - "$@" <<'PY' || fail "levels of $model on $engine: $*"
import sys

kept = [float(word) for word in sys.argv[1:]]
assert all(a >= b for a, b in zip(kept, kept[1:])), kept
assert kept[-1] < 0.5 * kept[0], kept
assert len(set(kept)) >= 3, kept
PY
}

for engine in megatron torchtitan any; do
    for model in llama-2-7b deepseek-moe-16b qwen3-8b; do
        code=
        all=
        for level in 0 1 2 3 4; do
            all="$all $(kept $model --hardware b200-sxm --gpus 8 --task train --engine $engine --checkpointing $level)"
        done
        falls $all
    done
done

# Engines that checkpoint whole layers or none: numbers and names are the same.
for engine in ddp fsdp deepspeed megatron-deepspeed; do
    none=$(kept llama-3.2-1b --hardware b200-sxm --gpus 8 --engine $engine --checkpointing none)
    full=$(kept llama-3.2-1b --hardware b200-sxm --gpus 8 --engine $engine --checkpointing 4)
    n_expected=$((n_expected + 1))
    [ "$none" != "$full" ] || fail "full keeps as much as none on $engine"
done
expect_code 4 memory llama-2-7b --hardware b200-sxm --gpus 8 --engine deepspeed --checkpointing 2
says err 'refused by rule deepspeed-recompute'

# Layers one by one.
model=llama-2-7b
engine=megatron
code=
all=$(kept $model --hardware b200-sxm --gpus 8 --engine megatron --checkpointing none)
for layers in 8 16 24; do
    all="$all $(kept $model --hardware b200-sxm --gpus 8 --engine megatron --set recompute=full --set recompute_layers=$layers)"
done
falls $all "$(kept $model --hardware b200-sxm --gpus 8 --engine megatron --checkpointing full)"

finish
