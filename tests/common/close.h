/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Comparisons of doubles that say both numbers when they fail. */

/* |actual - expected| <= relative |expected|; infinities and NaN are never close. */
#define assert_close(actual, expected, relative)                                                   \
    check_close(actual, expected, relative, #actual, __FILE__, __LINE__)
/* |actual - expected| <= tolerance */
#define assert_within(actual, expected, tolerance)                                                 \
    check_within(actual, expected, tolerance, #actual, __FILE__, __LINE__)
/* small <= large (1 + relative) */
#define assert_at_most(small, large, relative)                                                     \
    check_at_most(small, large, relative, #small " <= " #large, __FILE__, __LINE__)

void check_close(double actual, double expected, double relative, const char *what,
                 const char *file, int line);
void check_within(double actual, double expected, double tolerance, const char *what,
                  const char *file, int line);
void check_at_most(double small, double large, double relative, const char *what, const char *file,
                   int line);
