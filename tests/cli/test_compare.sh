#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# compare: two plans by text and by id, and plans that are refused.
. "$(dirname "$0")/lib.sh"

expect_code 0 compare pp=2,recompute=full pp=2 $small
is_empty err
says out 'A to B   recompute full -> none'
says out 'B is faster by'
says out 'less of recompute'
says out 'P(A faster than B): '
says out 'memory.peak, GiB'
says out 'objective tokens_per_s'
n_expected=$((n_expected + 1))
awk 'length > 100 { exit 1 }' "$work/out" || fail 'the page is wider than 100 columns'

expect_code 0 compare pp=2 pp=2 $small
says out 'no setting differs'
says out 'Both take the same time for a step.'
says out 'P(A faster than B): 0.500'

expect_code 0 compare tp=2 pp=2 $small --json
cp "$work/out" "$work/compare.json"
follows compare.json "$work/compare.json"
says out '{"axis": "tp", "from": 2, "to": 1}'
says out '"name": "time_s.bubble", "unit": "s"'

# The other way round the chances swap.
expect_code 0 compare pp=2 tp=2 $small --json
n_expected=$((n_expected + 1))
p() {
    sed -n 's/.*"p_a_faster": \([0-9.e-]*\).*/\1/p' "$1"
}
awk -v a="$(p "$work/compare.json")" -v b="$(p "$work/out")" \
    'BEGIN { d = a + b - 1; exit !(a != b && d < 1e-9 && d > -1e-9) }' || fail 'chances do not add to 1'

# By id, from an answer; the question can come from a job or an answer too.
expect_code 0 train $small --json -o "$work/result.json"
ids=$(sed -n '/"ranked"/,$ s/.*"id": "\([0-9]*\)".*/\1/p' "$work/result.json" | head -n 2 | tr '\n' ' ')
expect_code 0 compare $ids --result "$work/result.json"
says out 'P(A faster than B): '
expect_code 0 compare $ids "$work/result.json"
expect_code 0 compare tp=2 ${ids%% *} --result "$work/result.json"
expect_code 3 compare $ids --result "$work/result.json" --headroom 7%
says err 'mean other plans'

# Refused plans: the rule, and what can be priced.
expect_code 4 compare pp=2 tp=1,sp=on $small
says err 'plan B is refused by rule'
says out 'B cannot be built, so there is no step to compare.'
says out 'time.step, s'
lacks out 'P(A faster'
expect_code 4 compare pp=2 tp=1,sp=on $small --json
cp "$work/out" "$work/refused.json"
lacks out 'p_a_faster'
expect_code 4 compare tp=3 tp=1,sp=on $small --json
cp "$work/out" "$work/neither.json"
follows compare.json "$work/refused.json" "$work/neither.json"
expect_code 4 compare pp=4 pp=4,micro_batch=32 $small --headroom 89%
says err 'plan B is refused by rule memory'
says out 'P(A faster than B)'
finish
