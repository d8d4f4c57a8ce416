/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers for people, each worked by hand. */
#include "report/report_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void whole_numbers_are_grouped_in_threes(void **state)
{
    (void)state;
    assert_string_equal(sp_word_count(0).text, "0");
    assert_string_equal(sp_word_count(999).text, "999");
    assert_string_equal(sp_word_count(1000).text, "1,000");
    assert_string_equal(sp_word_count(70553706496).text, "70,553,706,496");
    assert_string_equal(sp_word_count(UINT64_MAX).text, "18,446,744,073,709,551,615");
}

static void numbers_show_four_digits_that_matter(void **state)
{
    (void)state;
    assert_string_equal(sp_word_number(0.0).text, "0");
    assert_string_equal(sp_word_number(11.336).text, "11.34");
    assert_string_equal(sp_word_number(0.054123).text, "0.05412");
    assert_string_equal(sp_word_number(1234.5).text, "1,234");
    assert_string_equal(sp_word_number(-2.5).text, "-2.500");
    assert_string_equal(sp_word_number(-107.25).text, "-107.2");
    assert_string_equal(sp_word_number(-1234.5).text, "-1,234");
    assert_string_equal(sp_word_number(0.000012).text, "1.2e-05");
}

static void a_number_that_rounds_up_gains_no_digit(void **state)
{
    (void)state;
    assert_string_equal(sp_word_number(9.99996).text, "10.00");
    assert_string_equal(sp_word_number(999.96).text, "1,000");
}

static void bytes_are_binary_for_memory_and_decimal_for_traffic(void **state)
{
    (void)state;
    assert_string_equal(sp_word_gib(80.0 * 1073741824.0).text, "80.0");
    assert_string_equal(sp_word_bytes(0.0).text, "0 B");
    assert_string_equal(sp_word_bytes(1520e9).text, "1.52 TB");
    assert_string_equal(sp_word_bytes(999.4e6).text, "999 MB");
    assert_string_equal(sp_word_bytes(999.6e6).text, "1 GB");
}

static void shares_money_and_durations_carry_their_unit(void **state)
{
    (void)state;
    assert_string_equal(sp_word_percent(0.4626).text, "46.3 %");
    assert_string_equal(sp_word_usd(0.4123).text, "$0.412");
    assert_string_equal(sp_word_usd(440.32).text, "$440.32");
    assert_string_equal(sp_word_usd(1234567.0).text, "$1,234,567");
    assert_string_equal(sp_word_duration(0.417).text, "0.42 s");
    assert_string_equal(sp_word_duration(200.0).text, "3 min 20 s");
    assert_string_equal(sp_word_duration(7260.0).text, "2 h 1 min");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_numbers_are_grouped_in_threes),
        cmocka_unit_test(numbers_show_four_digits_that_matter),
        cmocka_unit_test(a_number_that_rounds_up_gains_no_digit),
        cmocka_unit_test(bytes_are_binary_for_memory_and_decimal_for_traffic),
        cmocka_unit_test(shares_money_and_durations_carry_their_unit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
