#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# `shardplan memory` as people and programs read it: table, JSON by its schema, CSV; serving, training
# and the questions turned round.
. "$(dirname "$0")/lib.sh"

follows server.json configs/engines/serving/*.json
follows shapes.json configs/shapes.json

# ---- the page ----
expect_code 0 memory llama-3.1-8b --hardware h100-sxm --isl 8000 --osl 192
is_empty err
says out 'llama-3.1-8b on 1 h100-sxm, vllm of '
says out 'Cache on a GPU: 1.000 GiB a request'
says out 'blocks of 16'
says out 'would hold the batch at once'
says out 'GiB usable: fits'
n_expected=$((n_expected + 1))
awk 'length > 100 { exit 1 }' "$work/out" || fail 'the page is wider than 100 columns'
expect_code 4 memory llama-3.1-70b --hardware h100-sxm
says out 'oom: does not fit'
expect_code 0 memory llama-3.1-8b --hardware h100-sxm --option max_num_seqs=4 --batch 8
says out 'queues: '
expect_code 0 memory quick 7B --hardware h100-sxm
says out 'note: only the size is known'

# --bits speaks of the cache too, unless --kv does.
expect_code 0 memory llama-3.1-8b --hardware h100-sxm --bits fp8 --isl 8000 --osl 192
says out 'Cache on a GPU: 0.5000 GiB a request'
expect_code 0 memory llama-3.1-8b --hardware h100-sxm --bits fp8 --kv none --isl 8000 --osl 192
says out 'Cache on a GPU: 1.000 GiB a request'

# ---- JSON of every engine: valid, and phases are the sums of their parts ----
for engine in vllm sglang trtllm tgi hf dashinfer; do
    expect_code 0 memory llama-3.1-8b --hardware h100-sxm --engine $engine --tp 2 --batch 4 --json
    cp "$work/out" "$work/memory.json"
    follows memory.json "$work/memory.json"
    n_expected=$((n_expected + 1))
    python3 - "$work/memory.json" <<'PY' || fail "sums of $engine"
import json
import math
import sys

answer = json.load(open(sys.argv[1], encoding="utf-8"))
for phase in answer["phases"].values():
    assert math.isclose(phase["total_bytes"], sum(phase["bytes"].values()), rel_tol=1e-12)
assert answer["memory_bytes"]["peak"] == max(p["total_bytes"] for p in answer["phases"].values())
PY
done

# ---- CSV ----
expect_code 0 memory llama-3.1-8b --hardware h100-sxm --format csv
says out 'phase,part,bytes'
says out 'decode,kv_cache,'

# ---- turned round ----
expect_code 0 memory llama-3.1-8b --hardware h100-sxm --engine hf --find max-batch
says out 'largest batch: '
expect_code 0 memory llama-3.1-8b --hardware h100-sxm --find max-context
says out 'longest context: '
expect_code 0 memory --hardware h100-sxm --find max-model
says out 'largest model: '
expect_code 0 memory llama-3.1-70b --hardware h100-sxm --find min-gpus
says out 'fewest GPUs: 2, tp 2 and pp 1'

# ---- training turned round ----
train='--hardware h100-sxm --task train'
expect_code 0 memory llama-3.1-8b $train --tp 8 --find max-batch
says out 'largest micro-batch: '
expect_code 0 memory llama-3.1-8b $train --tp 8 --global-batch 12 --find max-batch
says out 'largest micro-batch: 12 (global batch 12)'
expect_code 0 memory llama-3.1-8b $train --tp 8 --find max-global-batch
says out 'largest global batch: any'
expect_code 0 memory llama-3.1-8b $train --tp 8 --find max-sequence
says out 'longest sequence: '
expect_code 0 memory llama-3.1-8b --hardware h100-sxm --task lora --gpus 8 --find max-lora-rank
says out 'largest adapter rank: '
expect_code 0 memory $train --tp 8 --find max-model
says out 'largest model: '
# 8e9 parameters of 18 bytes need more than one GPU; two are enough with full recomputation.
expect_code 0 memory llama-3.1-8b $train --find min-gpus
says out 'fewest GPUs: 2;'
expect_code 0 memory llama-3.1-8b $train --set recompute=none --set zero=0 --pp 1 --find min-gpus
says out 'tp='
says out 'P(out of memory) '

# ---- training is the estimate's ----
expect_code 0 memory quick 7B --hardware a100-sxm-80g --gpus 8 --engine deepspeed --set zero=3 --json
cp "$work/out" "$work/memory.json"
follows memory.json "$work/memory.json"
expect_code 0 memory llama-3.1-8b --cluster dgx-h100 --gpus 8 --tp 2 --task train --engine megatron --json
cp "$work/out" "$work/memory.json"
expect_code 0 estimate tp=2 --model llama-3.1-8b --cluster dgx-h100 --gpus 8 --seq-len 2k --global-batch 8 --engine megatron --json
n_expected=$((n_expected + 1))
python3 - "$work/memory.json" "$work/out" <<'PY' || fail 'memory and estimate differ'
import json
import sys

memory, estimate = (json.load(open(name, encoding="utf-8")) for name in sys.argv[1:])
for part, value in estimate["memory_bytes"].items():
    assert memory["memory_bytes"][part] == value, part
PY
expect_code 0 memory llama-3.1-8b --hardware h100-sxm --gpus 16 --nodes 2 --interconnect 400 --task lora
says out 'Sent by one GPU of the slowest stage in a step'
expect_code 0 memory llama-3.1-8b --hardware h100-sxm --gpus 8 --tp 2 --task train --find max-batch
says out 'largest micro-batch: '
expect_code 0 memory llama-3.1-8b --hardware h100-sxm --gpus 8 --tp 2 --task lora --find max-context
says out 'longest sequence: '

# Rows of the CSV from the first part to fragmentation are the peak; what --find came to is said.
expect_code 0 memory llama-3.1-8b --hardware h100-sxm --gpus 2 --tp 2 --task lora --find max-batch --format csv
says err 'largest micro-batch: '
n_expected=$((n_expected + 1))
awk -F, '/^(peak|usable|host|nvme),/ { if ($1 == "peak") peak = $2; next } NR > 1 { sum += $2 }
    END { exit !(peak > 1e9 && sum > peak - 8 && sum < peak + 8) }' "$work/out" || fail 'the parts are not the peak'

# --set of a size that has a flag is that flag.
expect_code 0 memory llama-3.1-8b $train --gpus 8 --tp 4 --batch 2
cp "$work/out" "$work/flags"
expect_code 0 memory llama-3.1-8b $train --gpus 8 --set tp=4 --set micro_batch=2
n_expected=$((n_expected + 1))
cmp -s "$work/flags" "$work/out" || fail '--set tp is not --tp'
says out 'dp=2, micro_batch=2, accumulation='

# What does not fit says so, and what to ask next; what leaves the GPU is no part of it.
expect_code 4 memory llama-3.1-8b $train
says out 'oom: does not fit'
says out 'min-gpus asks for the fewest GPUs'
expect_code 0 memory llama-3.1-8b $train --set offload_optimizer=1
says out 'GiB of the host'

finish
