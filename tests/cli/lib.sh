# SPDX-License-Identifier: Apache-2.0
# Shared by the scripts of this folder: where things are, and expectations that count failures.
#
#     . "$(dirname "$0")/lib.sh"; expect_code 4 train ...; finish

: "${SHARDPLAN_BIN:?names the program to test}"
cd "${SHARDPLAN_HOME:?names the source tree}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
n_expected=0
n_failed=0

fail() {
    echo "FAILED: $*"
    n_failed=$((n_failed + 1))
}

# expect_code CODE ARGUMENTS..: runs shardplan; its output lies in $work/out and $work/err.
expect_code() {
    wanted=$1
    shift
    n_expected=$((n_expected + 1))
    code=0
    "$SHARDPLAN_BIN" "$@" >"$work/out" 2>"$work/err" </dev/null || code=$?
    [ "$code" -eq "$wanted" ] || fail "exit code $code instead of $wanted: shardplan $*
$(cat "$work/err")"
}

# says FILE TEXT: the file in $work holds the text.
says() {
    n_expected=$((n_expected + 1))
    grep -qF -- "$2" "$work/$1" || fail "\"$2\" is not in $1:
$(cat "$work/$1")"
}

is_empty() {
    n_expected=$((n_expected + 1))
    [ ! -s "$work/$1" ] || fail "$1 is not empty:
$(cat "$work/$1")"
}

# lacks FILE TEXT: the file in $work does not hold the text.
lacks() {
    n_expected=$((n_expected + 1))
    ! grep -qF -- "$2" "$work/$1" || fail "\"$2\" is in $1:
$(cat "$work/$1")"
}

same() {
    n_expected=$((n_expected + 1))
    cmp -s "$1" "$2" || fail "$1 and $2 differ: $3"
}

# follows SCHEMA FILE..: JSON files against a schema of configs/schema, where there is a validator.
follows() {
    n_expected=$((n_expected + 1))
    code=0
    if command -v python3 >/dev/null 2>&1; then
        python3 tests/cli/validate.py "configs/schema/$@" || code=$?
    fi
    [ "$code" -eq 0 ] || [ "$code" -eq 77 ] || fail "does not follow $1"
}

finish() {
    echo "$n_expected expectations, $n_failed failed"
    [ "$n_failed" -eq 0 ]
    exit
}

# A question that takes a moment: a small model on one node.
small='--model gpt2 --cluster l40s-8 --gpus 4 --seq-len 1k --global-batch 32'
