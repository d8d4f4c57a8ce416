/* SPDX-License-Identifier: Apache-2.0 */
/* The growing text and the shortest form of doubles. */
#include "base/base.h"

#include "random.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void additions_follow_each_other(void **state)
{
    (void)state;
    sp_text text = {0};
    sp_text_add(&text, "");
    assert_string_equal(text.data, "");
    sp_text_add(&text, "tp=");
    sp_text_printf(&text, "%d", 8);
    sp_text_add_n(&text, ",pp=4", 3);
    assert_string_equal(text.data, "tp=8,pp");
    assert_int_equal(text.length, 7);
    sp_text_fini(&text);
    assert_null(text.data);
    sp_text_fini(&text);
}

static void a_text_grows_over_every_boundary(void **state)
{
    (void)state;
    sp_text text = {0};
    for (size_t i = 0; i < 5000; i++) {
        assert_int_equal(text.length, i);
        const char c[] = {(char)('a' + i % 26), '\0'};
        if (i % 2 == 0) sp_text_add(&text, c);
        if (i % 2 == 1) sp_text_printf(&text, "%s", c);
        assert_true(text.length < text.capacity);
    }
    for (size_t i = 0; i < 5000; i++)
        assert_int_equal(text.data[i], 'a' + i % 26);
    sp_text_fini(&text);
}

static void lack_of_memory_is_remembered_and_keeps_what_was_there(void **state)
{
    (void)state;
    sp_text text = {0};
    sp_text_add(&text, "kept");
    char huge[1000];
    memset(huge, 'x', sizeof huge);
    sp_alloc_fail_at(1);
    sp_text_add_n(&text, huge, sizeof huge);
    assert_true(text.failed);
    sp_text_add(&text, "more");
    sp_text_printf(&text, "%d", 1);
    assert_string_equal(text.data, "kept");
    sp_text_fini(&text);
    assert_false(text.failed);
    sp_text_add_n(&text, "", 0);
    assert_int_equal(text.length, 0);
    sp_text_add_n(&text, "", SIZE_MAX / 2);
    assert_true(text.failed);
    sp_text_fini(&text);
}

static void check_format(double x, const char *expected)
{
    char text[32];
    sp_format_double(x, text);
    assert_string_equal(text, expected);
}

static void doubles_print_in_their_shortest_form(void **state)
{
    (void)state;
    check_format(0.1, "0.1");
    check_format(12, "12");
    check_format(-0.5, "-0.5");
    check_format(0, "0");
    check_format(1e30, "1e+30");
    check_format(100000000000000.0, "100000000000000");
    check_format(999999999999999.0, "999999999999999");
    check_format(1e15, "1e+15");
    check_format(0.1 + 0.2, "0.30000000000000004");
    check_format(1.0 / 3, "0.3333333333333333");
    check_format(5e-324, "5e-324");
    check_format(1.7976931348623157e308, "1.7976931348623157e+308");
}

static void every_double_reads_back_as_itself(void **state)
{
    (void)state;
    uint64_t seed = 4;
    char text[32];
    for (int i = 0; i < 200000; i++) {
        uint64_t image = random_u64(&seed);
        if (i % 4 == 0) image &= UINT64_C(0x800fffffffffffff); /* subnormal */
        double x;
        memcpy(&x, &image, sizeof x);
        if (!isfinite(x)) continue;
        sp_format_double(x, text);
        assert_true(strlen(text) < 32);
        const double back = strtod(text, NULL);
        assert_memory_equal(&back, &x, sizeof x);
    }
}

static void short_decimals_stay_short(void **state)
{
    (void)state;
    uint64_t seed = 5;
    char given[32], text[32];
    for (int i = 0; i < 20000; i++) {
        const unsigned whole = (unsigned)random_below(&seed, 1000000);
        const unsigned digit = 1 + (unsigned)random_below(&seed, 9);
        snprintf(given, sizeof given, "%u.%u", whole, digit);
        sp_format_double(strtod(given, NULL), text);
        assert_string_equal(text, given);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(additions_follow_each_other),
        cmocka_unit_test(a_text_grows_over_every_boundary),
        cmocka_unit_test(lack_of_memory_is_remembered_and_keeps_what_was_there),
        cmocka_unit_test(doubles_print_in_their_shortest_form),
        cmocka_unit_test(every_double_reads_back_as_itself),
        cmocka_unit_test(short_decimals_stay_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
