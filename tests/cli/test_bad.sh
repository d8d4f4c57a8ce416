#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every folder of tests/bad holds one mistake: args.txt the arguments, error.txt what standard error must
# say, exit.txt the exit code where it is not 3, and input.json where a file is at fault.
#
#     SHARDPLAN_BIN=build/release/shardplan SHARDPLAN_HOME=. sh tests/cli/test_bad.sh [--accept] [NAME..]
#
# --accept writes what is said now into error.txt and exit.txt, to be read before it is kept.
set -eu

: "${SHARDPLAN_BIN:?names the program to test}"
cd "${SHARDPLAN_HOME:?names the source tree}"
accept=false
if [ "${1:-}" = --accept ]; then
    accept=true
    shift
fi
[ $# -gt 0 ] || set -- $(ls tests/bad)

said=$(mktemp)
trap 'rm -f "$said"' EXIT
n=0
failed=0

# The arguments are quoted as for a shell.
run() {
    code=0
    eval "\"\$SHARDPLAN_BIN\" $(cat "$1/args.txt")" >/dev/null 2>"$said" </dev/null || code=$?
}

expected_code() {
    if [ -f "$1/exit.txt" ]; then cat "$1/exit.txt"; else echo 3; fi
}

keep() {
    cp "$said" "$1/error.txt"
    if [ "$code" -eq 3 ]; then rm -f "$1/exit.txt"; else echo "$code" >"$1/exit.txt"; fi
}

for name in "$@"; do
    folder=tests/bad/$name
    n=$((n + 1))
    run "$folder"
    if $accept; then
        keep "$folder"
    elif [ "$code" -ne "$(expected_code "$folder")" ]; then
        echo "$name: exit code $code instead of $(expected_code "$folder")"
        failed=$((failed + 1))
    elif ! diff -u "$folder/error.txt" "$said"; then
        echo "$name: says something else"
        failed=$((failed + 1))
    fi
done
echo "$n mistakes, $failed of them not refused as expected"
[ "$failed" -eq 0 ]
