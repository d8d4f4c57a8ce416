#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The answer is the same bytes for any number of ranks and threads, and a rank that was asked
# something else is refused by name.
set -eu
command -v mpirun >/dev/null 2>&1 || exit 77
[ -x "${SHARDPLAN_BIN:-}" ] || exit 77

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
    printf '%s\n' "$*" >&2
    exit 1
}

# A result without the figures of the run itself: of "search" only space and exact stay.
answer() {
    awk '/^  "search": \{/ { inside = 1 }
         !inside || /^    "(space|exact)":/
         inside && /^  \}/ { inside = 0 }' "$1"
}

ranks() {
    n=$1
    shift
    mpirun -n "$n" --oversubscribe --allow-run-as-root --bind-to none "$@" </dev/null
}

# Built without MPI every rank is rank 0: there is nothing to compare.
ranks 2 "$SHARDPLAN_BIN" train --model gpt2 --cluster dgx-h100 --gpus 8 --seq-len 1k \
    --global-batch 8 --json >"$work/probe" 2>"$work/err" || fail "two ranks fail: $(cat "$work/err")"
[ "$(grep -c '^  "search": {' "$work/probe")" -eq 1 ] || exit 77
grep -q '"ranks": 2' "$work/probe" || fail 'a search of two ranks does not say so'

compare() {
    name=$1
    shift
    "$SHARDPLAN_BIN" "$@" --json --threads 1 >"$work/one"
    answer "$work/one" >"$work/expected"
    [ "$(wc -l <"$work/expected")" -gt 100 ] || fail "$name: hardly an answer"
    for n in 1 2 3; do
        for threads in 1 2 4; do
            ranks "$n" "$SHARDPLAN_BIN" "$@" --json --threads "$threads" >"$work/out" \
                2>"$work/err" || fail "$name, $n ranks: $(cat "$work/err")"
            answer "$work/out" >"$work/found"
            cmp "$work/expected" "$work/found" || fail "$name: $n ranks of $threads threads differ"
        done
    done
}

compare dense train --model llama-3.1-70b --cluster dgx-h100 --gpus 8..64 --seq-len 4k --global-batch 240 \
    --set vpp=1,2,4
compare experts train --model mixtral-8x7b --cluster dgx-a100-80g --gpus 16,64 --seq-len 4k \
    --global-batch 96 --max-network-ratio 0.5 --where 'mfu>=0.1' --space all \
    --set cp=1,2 --set vpp=1,2,4 --set recompute=none,mlp,full --set recompute_layers=all \
    --set shard_group=all,8 --set precision=bf16 --set offload_optimizer=0,1 --set offload_params=0 \
    --set offload_activations=0 --set offload_target=host --set ep_overlap=off --set cp_kind=ring

compare serving serve --model qwen3-30b-a3b --cluster dgx-h100 --gpus 8,16 --isl 2000 --osl 300 \
    --engine vllm,sglang --mode both --slo 'ttft:mean<=2s'

# Rank 1 is asked about another batch.
question="--model gpt2 --cluster dgx-h100 --gpus 8 --seq-len 1k"
# shellcheck disable=SC2086
if mpirun --oversubscribe --allow-run-as-root --bind-to none \
    -n 1 "$SHARDPLAN_BIN" train $question --global-batch 8 --json : \
    -n 1 "$SHARDPLAN_BIN" train $question --global-batch 16 --json \
    >"$work/out" 2>"$work/err" </dev/null; then
    fail 'ranks with different questions agree'
fi
grep -q 'rank 1 on .* asks another question' "$work/err" || fail "no refusal: $(cat "$work/err")"
