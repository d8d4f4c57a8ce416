#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Under mpirun one rank speaks, and says what a single process says.
. "$(dirname "$0")/lib.sh"
command -v mpirun >/dev/null 2>&1 || exit 77

# Everything but the figures of the run itself.
answer() {
    sed -e '/^  "search": {/,/^  },/d' "$1"
}

ranks() {
    mpirun -n 3 --oversubscribe --bind-to none "$SHARDPLAN_BIN" "$@"
}

expect_code 0 train $small --json
answer "$work/out" >"$work/one"
n_expected=$((n_expected + 1))
ranks train $small --json --threads 1 >"$work/out" 2>"$work/err" </dev/null || fail "ranks fail: $(cat "$work/err")"
answer "$work/out" >"$work/many"
same "$work/one" "$work/many" 'three ranks'

# So does an error.
ranks train --gpsu 8 >"$work/out" 2>"$work/err" </dev/null && fail 'ranks take an unknown flag'
is_empty out
n_expected=$((n_expected + 1))
[ "$(grep -c 'there is no such flag' "$work/err")" -eq 1 ] || fail 'not one rank speaks'
finish
