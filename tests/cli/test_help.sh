#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The help texts are read as prose and kept in tests/golden/help. `--accept` writes them anew.
set -eu

: "${SHARDPLAN_BIN:?names the program to test}"
cd "${SHARDPLAN_HOME:?names the source tree}"
said=$(mktemp)
trap 'rm -f "$said"' EXIT
failed=0

for command in '' train serve recommend run estimate compare params analyze memory formula validate calibrate list; do
    golden=tests/golden/help/${command:-shardplan}.txt
    "$SHARDPLAN_BIN" $command --help >"$said"
    if [ "${1:-}" = --accept ]; then
        cp "$said" "$golden"
    elif ! diff -u "$golden" "$said"; then
        failed=1
    fi
    if [ -n "$command" ] && ! "$SHARDPLAN_BIN" help "$command" | cmp -s - "$said"; then
        echo "help $command says something else than $command --help"
        failed=1
    fi
    if awk 'length > 100 { exit 1 }' "$said"; then :; else
        echo "the help of ${command:-shardplan} is wider than 100 columns"
        failed=1
    fi
done
exit $failed
