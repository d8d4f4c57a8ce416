/* SPDX-License-Identifier: Apache-2.0 */
/* Which versions a selector means. */
#include "spec/spec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void parts_are_compared_as_numbers(void **state)
{
    (void)state;
    assert_int_equal(sp_version_select(">=0.12", "0.9"), SP_VERSION_OUT);
    assert_int_equal(sp_version_select(">=0.12", "0.12"), SP_VERSION_IN);
    assert_int_equal(sp_version_select(">=0.12", "0.12.1"), SP_VERSION_IN);
    assert_int_equal(sp_version_select(">=0.12", "1"), SP_VERSION_IN);
}

static void missing_parts_count_as_zero(void **state)
{
    (void)state;
    assert_int_equal(sp_version_select("==0.12", "0.12.0.0"), SP_VERSION_IN);
    assert_int_equal(sp_version_select("<=3.0", "3"), SP_VERSION_IN);
    assert_int_equal(sp_version_select("<3", "3.0.0"), SP_VERSION_OUT);
    assert_int_equal(sp_version_select(">3", "3.0.1"), SP_VERSION_IN);
}

static void comparisons_hold_together(void **state)
{
    (void)state;
    assert_int_equal(sp_version_select(">=0.4,<0.12", "0.4"), SP_VERSION_IN);
    assert_int_equal(sp_version_select(">=0.4,<0.12", "0.11.9"), SP_VERSION_IN);
    assert_int_equal(sp_version_select(">=0.4,<0.12", "0.12"), SP_VERSION_OUT);
    assert_int_equal(sp_version_select(">=0.4,<0.12", "0.3"), SP_VERSION_OUT);
}

static void a_star_means_every_version(void **state)
{
    (void)state;
    assert_int_equal(sp_version_select("*", "0"), SP_VERSION_IN);
    assert_int_equal(sp_version_select("*", "99999999.1"), SP_VERSION_IN);
}

static void a_malformed_selector_is_told_apart_whatever_the_version(void **state)
{
    (void)state;
    static const char *const selectors[] = {"",      "0.12",   "=0.12",       ">=",          ">=v1",
                                            ">=1.",  "**",     ">=1,",        ">=1 <2",      ">= 1",
                                            ">=1;2", "<1,>=x", ">=1.2.3.4.5", ">=1234567890"};
    for (size_t i = 0; i < sizeof selectors / sizeof selectors[0]; i++) {
        assert_int_equal(sp_version_select(selectors[i], "0"), SP_VERSION_MALFORMED);
        assert_int_equal(sp_version_select(selectors[i], "99"), SP_VERSION_MALFORMED);
    }
}

static void a_version_is_numbers_and_dots(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "v1", "1.", ".1", "1..2", "1.2rc1", "1.2 ", "1.2.3.4.5"};
    assert_true(sp_version_is_valid("0.12.1"));
    assert_true(sp_version_is_valid("3"));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(sp_version_is_valid(bad[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_are_compared_as_numbers),
        cmocka_unit_test(missing_parts_count_as_zero),
        cmocka_unit_test(comparisons_hold_together),
        cmocka_unit_test(a_star_means_every_version),
        cmocka_unit_test(a_malformed_selector_is_told_apart_whatever_the_version),
        cmocka_unit_test(a_version_is_numbers_and_dots),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
