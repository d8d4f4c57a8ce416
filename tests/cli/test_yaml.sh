#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# --format yaml says what --json says, value by value, for every command that has JSON.
. "$(dirname "$0")/lib.sh"

python3 -c 'import yaml' 2>/dev/null || exit 77
"$SHARDPLAN_BIN" params gpt2 --format yaml >/dev/null 2>&1 || exit 77

# equal ARGUMENTS..: both forms of an answer. Seconds of the search itself differ from run to run.
equal() {
    n_expected=$((n_expected + 1))
    "$SHARDPLAN_BIN" "$@" --json >"$work/json" 2>/dev/null </dev/null
    "$SHARDPLAN_BIN" "$@" --format yaml >"$work/yaml" 2>/dev/null </dev/null
    python3 - "$work/json" "$work/yaml" <<'PY' || fail "YAML and JSON differ: $*"
import json
import sys

import yaml

a = json.load(open(sys.argv[1], encoding="utf-8"))
b = yaml.safe_load(open(sys.argv[2], encoding="utf-8"))
for answer in (a, b):
    if isinstance(answer, dict):
        answer.pop("search", None)
assert a and a == b
PY
}

equal params llama-3.1-8b
equal list engines
equal list models
equal memory llama-3.1-8b --hardware h100-sxm --batch 4
equal memory llama-3.1-8b --hardware h100-sxm --task train --gpus 8 --find max-context
equal analyze llama-3.1-8b --hardware h100-sxm
equal train $small
equal estimate tp=2,pp=2,sp=on $small
equal compare tp=2,pp=2,sp=on tp=4,sp=on $small

# An answer without JSON has no YAML either, and a file gets it as well.
expect_code 0 params gpt2 --format yaml --output "$work/file.yaml"
n_expected=$((n_expected + 1))
head -1 "$work/file.yaml" | grep -q '^schema: ' || fail 'the file is no YAML'
expect_code 3 train $small --dry-run --format yaml
finish
