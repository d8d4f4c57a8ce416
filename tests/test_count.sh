#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# count.awk on a run made up for it: a cmocka program with one test of each fate, one that crashes
# after its tests passed, and three scripts that pass, fail and skip.
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

cat >"$folder/output" <<'END'
    Start 1: spec/plan
1/5 Test #1: spec/plan ........................***Failed    0.01 sec
[  PASSED  ] 1 test(s).
 2/5 Test  #2: leaks ...........................***Failed    0.01 sec
3/5 Test #3: good .............................   Passed    0.00 sec
4/5 Test #4: bad ..............................***Failed    0.00 sec
5/5 Test #5: idle .............................***Skipped   0.00 sec
END
cat >"$folder/log" <<'END'
1/5 Testing: spec/plan
1/5 Test: spec/plan
[  PASSED  ] 1 test(s).
[  SKIPPED ] 1 test(s), listed below:
[  SKIPPED ] a_test_without_its_data
[  FAILED  ] 1 test(s), listed below:
[  FAILED  ] a_test_that_fails
Test Failed.
2/5 Test: leaks
[  PASSED  ] 7 test(s).
Test Failed.
3/5 Test: good
Test Passed.
4/5 Test: bad
Test Failed.
5/5 Test: idle
Test Passed.
END

counts=$(awk -f "$(dirname "$0")/count.awk" "$folder/output" "$folder/log")
[ "$counts" = '9 3 2' ] || {
    echo "expected 9 3 2, got $counts"
    exit 1
}
