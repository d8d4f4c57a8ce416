#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Exit codes, and what is said with them: 0, 4 (by reason), 5, 130. Codes 2 and 3 are tests/bad.
. "$(dirname "$0")/lib.sh"

expect_code 0 --version
says out 'shardplan '
expect_code 0 train $small
is_empty err
expect_code 0 train $small --dry-run
says out 'combinations'

# The model does not fit one GPU: what is missing, and how many GPUs would do.
expect_code 4 train --model llama-3.1-70b --cluster dgx-h100 --gpus 8 --seq-len 8k --global-batch 128
is_empty out
says err 'nothing feasible: the least memory that a plan needs is'
says err 'try --gpus'

# 13 GPUs: no head, layer or sequence of a model of 12 layers and a batch of 32 is there for each.
expect_code 4 train --model gpt2 --cluster l40s-8 --gpus 13 --seq-len 1k --global-batch 32
says err 'no plan can be built for 13 GPUs'
says err 'usable numbers of GPUs are'

expect_code 4 train $small --where 'mfu>0.99'
says err 'mfu>0.99'
expect_code 4 train $small --set tp=2 --where 'tp==1'
says err 'tp==1'
expect_code 4 train $small --engine ddp --set pp=2
says err 'no framework asked for runs any'
says err 'try --engine any'
expect_code 4 train $small --set tp=4 --max-network-ratio 0
says err '--max-network-ratio'

# Programs get the empty answer too.
expect_code 4 train $small --where 'mfu>0.99' --json
says out '"front": []'

# A refused plan is shown with the rule.
expect_code 4 estimate tp=1,sp=on $small
says out 'refused'
says err 'nothing feasible: the plan is refused by rule'
expect_code 0 estimate tp=1 $small
says out 'Time of a step'

# A default that means nothing in the plan gives way: at dp=1 there is nothing for zero=1 to shard.
expect_code 0 estimate tp=2,pp=2 $small
says out 'zero=0'
expect_code 4 estimate tp=2,pp=2,zero=1 $small

# Stopped early: what was found so far is the answer.
# (The time allowed is over before the first layout is, on any machine; the whole would take minutes.)
large='--model llama-3.1-405b --cluster dgx-h100 --gpus 8..262144 --seq-len 8k --global-batch 65536 --no-bounds --threads 1'
expect_code 5 train $large --timeout 0.000001s --json
says out '"exact": false'
says err 'stopped early'

if command -v timeout >/dev/null 2>&1; then
    n_expected=$((n_expected + 1))
    code=0
    timeout --preserve-status -s INT 3 "$SHARDPLAN_BIN" train $large --json >"$work/out" 2>"$work/err" || code=$?
    [ "$code" -eq 130 ] || fail "interrupted with code $code instead of 130"
    says out '"exact": false'
    says err 'interrupted'
fi
finish
