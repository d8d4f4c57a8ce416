# SPDX-License-Identifier: Apache-2.0
# Counts the tests of a run of ctest: those of cmocka one by one, any other program as one.
#
#     awk -f count.awk OUTPUT LastTest.log    OUTPUT is what ctest printed; prints "passed failed skipped"
#
# A program that ends badly counts as a failure even if none of its tests does. The log does not say
# which programs were skipped; the output does.

function close_program() {
    if (program == "") return
    if (!listed && program in left_out) s = 1
    else if (!listed && well) p = 1
    else if (!well && f == 0) f = 1
    passed += p; failed += f; skipped += s
    program = ""
}

$2 == "Test" && /\*\*\*Skipped/ { left_out[$4] = 1 }
/^[0-9]+\/[0-9]+ Test: / { close_program(); program = $3; p = f = s = listed = well = 0 }
/^\[  PASSED  \] [0-9]+ test\(s\)\./ { p += $4; listed = 1 }
/^\[  FAILED  \] [0-9]+ test\(s\), listed below/ { f += $4; listed = 1 }
/^\[  SKIPPED \] [0-9]+ test\(s\), listed below/ { s += $4; listed = 1 }
/^Test Passed\.$/ { well = 1 }
END { close_program(); print passed + 0, failed + 0, skipped + 0 }
