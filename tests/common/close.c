/* SPDX-License-Identifier: Apache-2.0 */
/* See close.h. */
#include "common/close.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

void check_close(double actual, double expected, double relative, const char *what,
                 const char *file, int line)
{
    const double off = fabs(actual - expected);
    if (isfinite(actual) && off <= relative * fabs(expected)) return;
    print_error("%s = %.17g, expected %.17g (off by %.3g of it)\n", what, actual, expected,
                off / fabs(expected));
    _fail(file, line);
}

void check_within(double actual, double expected, double tolerance, const char *what,
                  const char *file, int line)
{
    const double off = fabs(actual - expected);
    if (off <= tolerance) return;
    print_error("%s = %.17g, expected %.17g (off by %.3g)\n", what, actual, expected, off);
    _fail(file, line);
}

void check_at_most(double small, double large, double relative, const char *what, const char *file,
                   int line)
{
    if (small <= large + relative * fabs(large)) return;
    print_error("%s does not hold: %.17g > %.17g\n", what, small, large);
    _fail(file, line);
}
