#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds with warnings as errors and runs every test: in the release build, then under the address,
# leak and undefined-behaviour sanitizers.
#
#     sh tests/run.sh [--quick]    --quick leaves the sanitizers out
#
# The last line counts the tests of all builds: "412 passed, 0 failed, 3 skipped". Exit code 1 when
# one failed or a build did.
set -eu

cd "$(dirname "$0")/.."
case ${1:-} in
'') presets='release asan' ;;
--quick) presets='release' ;;
*)
    echo "usage: sh tests/run.sh [--quick]" >&2
    exit 2
    ;;
esac

totals=$(mktemp)
output=$(mktemp)
trap 'rm -f "$totals" "$output"' EXIT

finish() {
    awk '{ passed += $1; failed += $2; skipped += $3 }
         END { printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped
               exit failed > 0 }' "$totals"
}

# A build or an installation that fails counts as one test.
stop() {
    echo '0 1 0' >>"$totals"
    finish || exit 1
}

run_tests() {
    ctest --test-dir "build/$1" --output-on-failure --no-tests=error -j "$(nproc)" 2>&1 |
        tee "$output"
    awk -f tests/count.awk "$output" "build/$1/Testing/Temporary/LastTest.log" >>"$totals"
}

sh jobs/install.sh test || stop
for preset in $presets; do
    sh jobs/build.sh "$preset" -DSHARDPLAN_WERROR=ON || stop
    echo "== $preset"
    run_tests "$preset"
done
finish
