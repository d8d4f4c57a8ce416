#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# --baseline and --measured: what they add, and that they change nothing else.
. "$(dirname "$0")/lib.sh"

slow='pp=4,recompute=full'

expect_code 0 train $small --baseline $slow
says out "Baseline gpus=4,tp=1,$slow,zero=0: "
says out 'P(faster)'
says out '- 4: micro_batch 1 -> 2, recompute full -> none, stage_layers even -> weighted'
lacks out 'site s'
expect_code 0 train $small --baseline $slow --measured step_s=500ms
says out 'Measured: 0.5000 s'
says out 'site s'
n_expected=$((n_expected + 1))
awk 'length > 100 { exit 1 }' "$work/out" || fail 'the table is wider than 100 columns'

# A refused baseline is priced; one that cannot be built is in tests/bad.
expect_code 0 train $small --headroom 89% --baseline $slow,micro_batch=32
says out 'refused by rule'
says out 'priced all the same'

# Every form has it.
expect_code 0 train $small --baseline $slow --measured step_s=9.8 --format csv
says out ',baseline.speedup_ratio,baseline.p_faster,baseline.changes,corrected.factor,corrected.step_s'
says out 'recompute full -> none, stage_layers even -> weighted"'
n_expected=$((n_expected + 1))
# Cells in quotes hold commas of their own.
sed 's/"[^"]*"/x/g' "$work/out" | awk -F, 'NR == 1 { n = NF } NF != n { exit 1 }' ||
    fail 'a row has other cells than the header'
expect_code 0 train $small --baseline $slow --measured step_s=9.8 --format md
says out '- 1: '
expect_code 0 estimate tp=2,sp=on $small --baseline $slow --measured step_s=9.8
says out 'step with site factor'
expect_code 0 estimate $slow $small --baseline $slow --measured 'step_s=9.8s'
says out 'none: it is the baseline'
says out '9.800 s, likely 9.800 to 9.800 s'

# It is no part of the question's name: ids stay valid, and all else is as without it.
expect_code 0 train $small --json
cp "$work/out" "$work/without.json"
expect_code 0 train $small --json --baseline $slow --measured mfu=20%
cp "$work/out" "$work/with.json"
grep fingerprint "$work/with.json" >"$work/a"
grep fingerprint "$work/without.json" >"$work/b"
same "$work/a" "$work/b" 'fingerprints'
follows result.json "$work/with.json"
if command -v python3 >/dev/null 2>&1; then
    n_expected=$((n_expected + 1))
    python3 - "$work/with.json" "$work/without.json" <<'CHECK' || fail 'the baseline changes the answer'
import json
import sys

bare, plain = (json.load(open(name, encoding="utf-8")) for name in sys.argv[1:])
baseline = bare["question"].pop("baseline")
factor = baseline["measured_step_s"] / baseline["step_s"]
for plan in bare["front"] + bare["ranked"] + bare["layouts"]:
    against, corrected = plan.pop("baseline"), plan.pop("corrected")
    step = plan["time_s"]["step"]
    assert abs(against["speedup_ratio"] * step / baseline["step_s"] - 1) < 1e-12
    assert (against["p_faster"] > 0.5) == (step < baseline["step_s"])
    assert abs(corrected["step_s"] / (factor * step) - 1) < 1e-12
    assert corrected["factor"] == factor
    interval = plan["interval"]
    assert corrected["step_low_s"] <= corrected["step_s"] <= corrected["step_high_s"]
    narrow = corrected["step_high_s"] / corrected["step_s"]
    assert narrow <= interval["step_high_s"] / step
for answer in (bare, plain):
    answer.pop("search")
sys.exit(bare != plain)
CHECK
fi

# Asked again, the answer is the same; flags give another baseline, and its measurement with it.
answer() {
    sed -e '/^  "search": {/,/^  },/d' "$1"
}
expect_code 0 train "$work/with.json" --json
is_empty err
answer "$work/with.json" >"$work/a"
answer "$work/out" >"$work/b"
same "$work/a" "$work/b" 'asked again'
expect_code 0 train "$work/with.json" --json --baseline tp=2
says err 'the measurement beside the earlier baseline is left out'
lacks out '"corrected"'
expect_code 0 train "$work/with.json" --baseline tp=2 --measured tokens_per_s_per_gpu=20k
says out 'site factor'

# By its id, from the answer that the question comes from.
id=$(sed -n '/"ranked"/,$ s/.*"id": "\([0-9]*\)".*/\1/p' "$work/with.json" | head -n 1)
expect_code 0 train "$work/without.json" --baseline "$id" --top 3 --json
says out '"speedup_ratio": 1,'
says out '"p_faster": 0.5,'
says out '"changes": []'
cp "$work/out" "$work/by_id.json"
expect_code 0 train "$work/by_id.json" --top 3 --json
answer "$work/by_id.json" >"$work/a"
answer "$work/out" >"$work/b"
same "$work/a" "$work/b" 'asked again by the text of an id'
expect_code 0 estimate "$id" --result "$work/without.json" --baseline $slow --json
cp "$work/out" "$work/one.json"
printf '%s\ntp=1,sp=on\n' "$id" >"$work/ids.txt"
expect_code 0 estimate --ids "$work/ids.txt" --result "$work/with.json"
cp "$work/out" "$work/many.json"
follows estimate.json "$work/one.json" "$work/many.json"
expect_code 0 estimate --ids "$work/ids.txt" --result "$work/with.json" --format table
says out 'speed-up'
expect_code 0 train --result "$work/without.json" --baseline "$id"
says out 'nothing: it is the baseline'
expect_code 3 train "$work/without.json" --headroom 7% --baseline "$id"
says err 'mean other plans'

# A job holds it as text, an answer as an object; the environment and errors work as elsewhere.
cat >"$work/job.json" <<'JOB'
{"schema": "shardplan/job/1", "model": "gpt2", "cluster": "l40s-8", "gpus": 4, "seq_len": "1k",
 "global_batch": 32, "baseline": "tp=2",
 "measured": "step_s=abc"}
JOB
expect_code 3 train "$work/job.json"
says err 'job.json:3'
SHARDPLAN_BASELINE=tp=2 expect_code 0 train $small
says out 'Baseline gpus=4,tp=2'
sed 's/step_s=abc/step_s=1min/' "$work/job.json" >"$work/good.json"
expect_code 0 train "$work/good.json"
says out 'Measured: 60.00 s'
follows job.json "$work/good.json"
finish
