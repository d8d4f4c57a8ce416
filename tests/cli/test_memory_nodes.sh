#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# `shardplan memory` over several nodes: collectives, suggestions, and what a search finds.
set -eu
. "$(dirname "$0")/lib.sh"

# ---- the table ----
expect_code 0 memory llama-2-7b --hardware a100-sxm-80g --gpus 16 --nodes 2 --interconnect 25GbE \
    --engine deepspeed --set zero=3
says out 'dp  gradients  reduce-scatter     16'
says out 'dp  weights    all-gather         16'
says out 'between nodes'
says out 'of its time for dp: weights by all-gather among 16 ranks'
says out 'zero=3 gathers the weights twice a micro-batch'
says out 'a search of the same question found'
expect_code 0 memory llama-2-7b --hardware a100-sxm-80g --gpus 8 --engine deepspeed --set zero=3
says out 'Sent by one GPU in a step: dp'

# ---- a rate, with or without its unit, and a name ----
expect_code 0 memory llama-2-7b --hardware a100-sxm-80g --gpus 16 --nodes 2 --interconnect 25 --engine deepspeed
cp "$work/out" "$work/plain"
expect_code 0 memory llama-2-7b --hardware a100-sxm-80g --gpus 16 --nodes 2 --interconnect 25Gb/s --engine deepspeed
n_expected=$((n_expected + 1))
cmp -s "$work/plain" "$work/out" || fail 'a rate without its unit is another'

expect_code 0 memory llama-2-7b --hardware a100-sxm-80g --gpus 16 --nodes 2 --interconnect '25 Gb/s' --engine deepspeed
n_expected=$((n_expected + 1))
cmp -s "$work/plain" "$work/out" || fail 'a rate with a space before its unit is another'
expect_code 0 memory llama-2-7b --hardware a100-sxm-80g --gpus 16 --nodes 2 --interconnect '100 GbE' --engine deepspeed

# ---- JSON: rows add up, a slower network waits longer, the search is that of train ----
for link in ib-ndr ethernet-10; do
    expect_code 0 memory llama-2-7b --hardware a100-sxm-80g --gpus 16 --nodes 2 --interconnect $link \
        --engine megatron --tp 4 --pp 2 --global-batch 32 --json
    cp "$work/out" "$work/$link.json"
    follows memory.json "$work/$link.json"
done
expect_code 0 train --model llama-2-7b --cluster 8xa100-sxm-80g,2xethernet-10 --gpus 16 --engine megatron \
    --global-batch 32 --seq-len 2048 --objectives tokens_per_s --json
n_expected=$((n_expected + 1))
python3 - "$work/ib-ndr.json" "$work/ethernet-10.json" "$work/out" <<'PY' || fail 'traffic and search'
import json
import sys

fast, slow, train = (json.load(open(name, encoding="utf-8")) for name in sys.argv[1:])
for answer in (fast, slow):
    for name in ("tp", "cp", "ep", "pp", "dp"):
        rows = sum(row["sent_bytes"] for row in answer["traffic"] if row["dimension"] == name)
        assert abs(rows - answer["network"][name + "_bytes"]) <= 1e-9 * rows, name
    assert answer["search"]["whole"] and answer["search"]["step_s"] <= answer["step_s"]
assert {row["dimension"] for row in fast["traffic"]} == {"tp", "pp", "dp"}
assert slow["waits_s"]["pp"] > 10 * fast["waits_s"]["pp"]
assert slow["waits_s"]["tp"] == fast["waits_s"]["tp"]
assert slow["suggestions"][-1].startswith("a search of the same question")
best = train["ranked"][0]
assert slow["search"]["plan"] == best["text"], (slow["search"]["plan"], best["text"])
PY

# ---- a plan that does not fit ----
expect_code 4 memory gpt3-175b --hardware a100-sxm-80g --gpus 64 --nodes 8 --interconnect ib-hdr --engine megatron
says out 'GiB at the peak, which fits'

finish
