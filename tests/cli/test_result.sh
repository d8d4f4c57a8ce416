#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A result is a question: asked again it gives the same answer, and its ids mean its plans.
. "$(dirname "$0")/lib.sh"

# All but the figures of the run itself.
answer() {
    sed -e '/^  "search": {/,/^  },/d' "$1"
}

expect_code 0 train $small --tokens 10B --where 'mfu>=0.01' --set sp=off,on --json
cp "$work/out" "$work/result.json"
expect_code 0 train "$work/result.json" --json
is_empty err
answer "$work/result.json" >"$work/a"
answer "$work/out" >"$work/b"
same "$work/a" "$work/b" 'asked again'

for run in '--threads 1' '--threads 3' --no-bounds; do
    expect_code 0 train "$work/result.json" --json $run
    answer "$work/out" >"$work/b"
    same "$work/a" "$work/b" "$run"
done

# The first plan by its id has the figures that it has in the answer.
id=$(sed -n '/"ranked"/,$ s/.*"id": "\([0-9]*\)".*/\1/p' "$work/result.json" | head -n 1)
step=$(sed -n '/"ranked"/,$ s/.*"step": \([0-9.e-]*\).*/\1/p' "$work/result.json" | head -n 1)
expect_code 0 estimate "$id" --result "$work/result.json" --json
says out "\"id\": \"$id\""
says out "\"step\": $step"
cp "$work/out" "$work/one.json"

# A plan stands beside the published run that is nearest to it.
says one.json '"nearest_published": {'
says one.json '"extrapolated": ['
says result.json '"nearest_published": {'
figure() { sed -n "s/.*\"$1\": \([0-9.e-]*\).*/\1/p" "$work/one.json" | head -n 1; }
n_expected=$((n_expected + 1))
awk -v m="$(figure measured)" -v p="$(figure predicted)" -v e="$(figure error_ratio)" \
    'BEGIN { d = p / m - 1 - e; exit !(m > 0 && d < 1e-9 && d > -1e-9) }' ||
    fail 'the error of the published run is not predicted / measured - 1'
expect_code 0 estimate tp=1 --result "$work/result.json"

# Many at once, refused ones with their rule.
printf '%s\ntp=1,sp=on # no effect\n\n' "$id" >"$work/ids.txt"
expect_code 0 estimate --ids "$work/ids.txt" --result "$work/result.json"
says out '"plans": ['
says out '"verdict": "refused"'
cp "$work/out" "$work/many.json"
printf '{"ids": ["%s", %s]}\n' "$id" "$id" >"$work/ids.json"
expect_code 0 estimate --ids "$work/ids.json" --result "$work/result.json" --format csv
n_expected=$((n_expected + 1))
[ "$(wc -l <"$work/out")" -eq 3 ] || fail 'two plans are not two rows'
expect_code 3 estimate 99999999999999999999 --result "$work/result.json"
says err 'holds no such id'

# Ids belong to their question.
expect_code 3 estimate "$id" --result "$work/result.json" --headroom 7%
says err 'mean other plans'
sed 's/"fingerprint": "[0-9a-f]*"/"fingerprint": "00000000000000000000000000000000"/' \
    "$work/result.json" >"$work/old.json"
expect_code 3 estimate "$id" --result "$work/old.json"
expect_code 0 train "$work/old.json"
says err 'have changed'

# What is written is what the schemas promise.
expect_code 0 params gpt2 --json -o "$work/params.json"
expect_code 0 validate training tests/fidelity/runs.csv --json --points -o "$work/score.json"
expect_code 0 validate training tests/fidelity/runs.csv --cross source --json \
    -o "$work/cross.json"
expect_code 0 calibrate steps tests/fidelity/runs.csv --json -o "$work/steps.json"
expect_code 0 calibrate steps tests/fidelity/runs.csv --site --json -o "$work/site.json"
# The question remembers the site that its file told.
expect_code 0 estimate tp=4 --model gpt3-126m --cluster dgx-a100-80g --gpus 8 --seq-len 2k \
    --global-batch 64 --site-factor "$work/site.json" --json
says out '"site_factor": "'
expect_code 3 estimate tp=4 --model gpt3-126m --cluster dgx-a100-80g --gpus 8 --seq-len 2k \
    --global-batch 64 --site-factor 0.01
expect_code 0 validate params tests/fidelity/counts --json --points -o "$work/counts.json"
expect_code 0 validate memory configs/validation/serving-memory.json --json --points \
    -o "$work/logs.json"
expect_code 0 validate serving tests/fidelity/deployments.csv --json --points \
    -o "$work/served.json"
says served.json '--models DIR can hold its config.json: somebody/Own-7B'
expect_code 0 validate serving tests/fidelity/deployments.csv --cross model --json --points \
    -o "$work/served-cross.json"
expect_code 0 calibrate serving tests/fidelity/deployments.csv --json --source 'made up' \
    --date 2026-11-21 -o "$work/served-steps.json"
follows result.json "$work/result.json"
follows estimate.json "$work/one.json" "$work/many.json"
follows params.json "$work/params.json"
follows score.json "$work/score.json" "$work/cross.json" "$work/counts.json" "$work/logs.json" \
    "$work/served.json" "$work/served-cross.json"
follows steps.json "$work/steps.json" "$work/served-steps.json"
follows site.json "$work/site.json"
follows fit.json configs/validation/fit-training.json configs/validation/fit-serving.json
# shellcheck disable=SC2046
follows model.json $(ls configs/models/*.json | grep -v -e -formulas.json)
follows formula-model.json configs/models/*-formulas.json
follows modules.json configs/modules/*.json
follows model-type.json configs/model_types/[a-z]*.json
follows model-types-common.json configs/model_types/_common.json
follows serving-logs.json configs/validation/serving-memory.json
follows training-points.json configs/validation/training-points.json
follows job.json jobs/*.json
follows recipe.json configs/recipes/*.json
follows evidence.json configs/evidence.json
finish
