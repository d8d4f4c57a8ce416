#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Where a value comes from: flag, then environment, then file, then default.
. "$(dirname "$0")/lib.sh"

cat >"$work/job.json" <<'JOB'
{
  "schema": "shardplan/job/1",
  "model": "gpt2",
  "seq_len": "1k",
  "global-batch": 32,
  "gpus": [2, 4],
  "set": {"tp": [1, 2], "zero": 1},
  "where": ["tp<=2", "mfu>=0.01"]
}
JOB

# line FLAG VALUE SOURCE
line() {
    n_expected=$((n_expected + 1))
    grep -qE "^$1 +$2 +$3\$" "$work/out" || fail "no line \"$1 $2 $3\" in:
$(cat "$work/out")"
}

SHARDPLAN_GPUS=8 SHARDPLAN_SEQ_LEN=512 SHARDPLAN_SET='pp=1;vpp=1' SHARDPLAN_NO_BOUNDS=1
export SHARDPLAN_GPUS SHARDPLAN_SEQ_LEN SHARDPLAN_SET SHARDPLAN_NO_BOUNDS
expect_code 0 train "$work/job.json" --show-config --seq-len 256 --where 'tp==1'
line model gpt2 "file $work/job.json:3"
line seq-len 256 flag
line gpus 8 'environment SHARDPLAN_GPUS'
line global-batch 32 "file $work/job.json:5"
line set 'pp=1' 'environment SHARDPLAN_SET'
line set 'vpp=1' 'environment SHARDPLAN_SET'
line where 'tp==1' flag
line headroom '6%' default
line no-bounds 1 'environment SHARDPLAN_NO_BOUNDS'
line cluster - default

unset SHARDPLAN_GPUS SHARDPLAN_SEQ_LEN SHARDPLAN_SET SHARDPLAN_NO_BOUNDS
expect_code 0 run "$work/job.json" --show-config
line gpus '2,4' "file $work/job.json:6"
line set 'tp=1,2' "file $work/job.json:7"
line set 'zero=1' "file $work/job.json:7"
line where 'tp<=2' "file $work/job.json:8"

# Errors name the place that the value came from.
SHARDPLAN_HEADROOM=7 expect_code 3 train $small
says err 'SHARDPLAN_HEADROOM: out of range'

# Job files spell flags with '_' or '-'; a batch may move to one that more plans divide.
expect_code 0 train $small --global-batch 33:5% --dry-run
says err 'global batch: 32 sequences instead of 33'
expect_code 0 train $small --global-batch 32ktok --dry-run
says out '32 x 1,024 tokens a step'
finish
