#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Questions about serving: the table and its front, files that are asked again, single plans, what
# binds, and recommendations.
. "$(dirname "$0")/lib.sh"

# Small: an 8-billion model on one node, aggregated.
q='--model llama-3.1-8b --cluster l40s-8 --engine vllm --isl 1000 --osl 200 --mode agg'

# All but the figures of the run itself.
answer() {
    sed -e '/^  "search": {/,/^  },/d' "$1"
}

expect_code 0 serve $q --gpus 4
says out 'llama-3.1-8b'
says out 'prompts of 1,000 and answers of 200 tokens'
says out 'Row 1 leads'
says out 'Pareto front'
says out 'tok/s/GPU'
says out 'every plan was settled'
n_expected=$((n_expected + 1))
awk 'length > 100 { exit 1 }' "$work/out" || fail 'a line is wider than 100 columns'

# Asked again from its file, and on any number of threads, the answer is the same.
expect_code 0 serve $q --gpus 4 --slo 'ttft:p95<=5s' --json
cp "$work/out" "$work/result.json"
answer "$work/result.json" >"$work/a"
expect_code 0 serve "$work/result.json" --json
is_empty err
answer "$work/out" >"$work/b"
same "$work/a" "$work/b" 'asked again'
for run in '--threads 1' '--threads 3'; do
    expect_code 0 serve "$work/result.json" --json $run
    answer "$work/out" >"$work/b"
    same "$work/a" "$work/b" "$run"
done
expect_code 0 run "$work/result.json" --json
answer "$work/out" >"$work/b"
same "$work/a" "$work/b" 'run'

# An id is its plan.
id=$(sed -n '/"ranked"/,$ s/.*"id": "\([0-9]*\)".*/\1/p' "$work/result.json" | head -n 1)
rate=$(sed -n '/"ranked"/,$ s/.*"requests_per_s": \([0-9.e-]*\).*/\1/p' "$work/result.json" | head -n 1)
expect_code 0 estimate "$id" --result "$work/result.json" --json
says out "\"id\": \"$id\""
says out "\"requests_per_s\": $rate"
cp "$work/out" "$work/one.json"
expect_code 3 estimate "$id" --result "$work/result.json" --slo 'ttft:p95<=4s'
says err 'mean other plans'

# One plan as a page, and in its engine's flags; a refused one says why.
expect_code 0 estimate tp=2,batch=16 $q --gpus 4 --names vllm
says out 'What users see'
says out 'A step of answers'
says out 'room in the cache'
says out '--tensor-parallel-size 2'
says out '--max-num-seqs 16'
says out '--max-model-len 1200'
expect_code 4 estimate tp=2,batch=16 $q --gpus 4 --slo 'ttft:mean<=1ms'
says out 'is not kept'

# Many plans at once.
printf '%s\ntp=2,batch=8 # small\n\n' "$id" >"$work/ids.txt"
expect_code 0 estimate --ids "$work/ids.txt" --result "$work/result.json"
says out '"plans": ['
cp "$work/out" "$work/many.json"
expect_code 0 estimate --ids "$work/ids.txt" --result "$work/result.json" --format csv
n_expected=$((n_expected + 1))
[ "$(wc -l <"$work/out")" -eq 3 ] || fail 'two plans are not two rows'
expect_code 0 estimate --ids "$work/ids.txt" --result "$work/result.json" --format table
says out 'tok/s/user'

# Two clusters without --cluster are two pools.
expect_code 0 serve --model llama-3.1-8b --engine vllm --isl 1000 --osl 200 --gpus 2 \
    --prefill-cluster l40s-8 --decode-cluster dgx-h100
says out 'prompts on l40s'
says out 'x h100-sxm'

# Other forms.
expect_code 0 serve $q --gpus 4 --format csv
says out 'ttft_s.mean'
expect_code 0 serve $q --gpus 4 --format md
says out '|'
expect_code 0 serve $q --gpus 4 --dry-run
says out 'combinations'
expect_code 0 serve $q --gpus 4 --show-config
says out 'isl'
lacks out 'seq-len'

# The wishes of users and of the environment.
export SHARDPLAN_GPUS=4
expect_code 0 serve $q --ttft-ms 5000 --json
unset SHARDPLAN_GPUS
says out '"slo": "ttft:p50<=5000ms"'
says out '"gpus": "4"'

# Nothing: the limit that binds and the nearest value.
expect_code 4 serve $q --gpus 4 --slo 'ttft:mean<=1ms'
says err 'the least that any plan reaches is'
expect_code 4 serve $q --gpus 4 --rate 100000
says err 'more than any plan takes'
expect_code 4 serve --model llama-3.1-70b --cluster l40s-8 --engine vllm --mode agg --gpus 1 \
    --isl 1000 --osl 200
says err 'try --gpus'
# A --set or --where that alone leaves nothing is named, with a plan that there is without it.
expect_code 4 serve $q --gpus 2 --set tp=3
says err 'no plan keeps --set tp=3; without it there is gpus=2'
expect_code 4 serve $q --gpus 2 --where 'tp<=2' --where 'tpot.mean<=0.1ms'
says err 'no plan keeps --where tpot.mean<=0.1ms; without it there is gpus=2'
lacks err 'tp<=2'

# The fewest GPUs are the fewest: on the next smaller number nothing is found.
expect_code 0 recommend $q --gpus 1..8 --rate 4 --slo 'ttft:p95<=5s' --json
cp "$work/out" "$work/fewest.json"
says out '"find": "min-gpus"'
fewest=$(sed -n '/"recommendation"/,/}/ s/.*"gpus": \([0-9]*\).*/\1/p' "$work/fewest.json")
expect_code 0 serve $q --gpus "$fewest" --rate 4 --slo 'ttft:p95<=5s'
if [ "$fewest" -gt 1 ]; then
    expect_code 4 serve $q --gpus $((fewest / 2)) --rate 4 --slo 'ttft:p95<=5s'
fi
expect_code 0 recommend $q --gpus 1..8 --find min-usd
says out 'Least money'
# At a rate plans on as many GPUs cost the same: the fastest for a user leads.
expect_code 0 recommend $q --gpus 1..8 --find min-usd --rate 4 --json
says out '"objectives": ["tokens_per_s_per_user", "usd_per_million_tokens"]'
expect_code 0 recommend $q --gpus 2 --find max-rate --slo 'ttft:p95<=5s'
says out 'Largest rate'
expect_code 4 recommend $q --gpus 1..8 --slo 'ttft:mean<=1ms'
says err 'keeps every limit'

# Training by a deadline.
expect_code 0 recommend --model gpt2 --cluster l40s-8 --gpus 2,4,8 --seq-len 1k --global-batch 32 \
    --tokens 1B --deadline 30d
says out 'Fewest GPUs to be done'
expect_code 4 recommend --model gpt2 --cluster l40s-8 --gpus 2 --seq-len 1k --global-batch 32 \
    --tokens 1000B --deadline 1h

expect_code 0 list axes
says out 'attn_dp'
expect_code 0 list engines
says out 'sglang'
expect_code 0 list objectives
says out 'tokens_per_s_per_user'

follows result.json "$work/result.json" "$work/fewest.json"
follows estimate.json "$work/one.json" "$work/many.json"
follows job.json jobs/*.json
finish
