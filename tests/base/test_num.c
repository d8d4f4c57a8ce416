/* SPDX-License-Identifier: Apache-2.0 */
/* Checked integers, the laws of quantising, and numbers with units. */
#include "base/base.h"

#include "random.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Any bit pattern that is a normal number. */
static double random_normal(uint64_t *seed)
{
    for (;;) {
        const uint64_t image = random_u64(seed);
        double x;
        memcpy(&x, &image, sizeof x);
        if (isnormal(x)) return x;
    }
}

static void products_and_sums_are_checked(void **state)
{
    (void)state;
    uint64_t out = 0;
    assert_true(sp_mul_u64(UINT64_C(4294967295), UINT64_C(4294967297), &out));
    assert_true(out == UINT64_MAX);
    assert_false(sp_mul_u64(UINT64_C(4294967296), UINT64_C(4294967296), &out));
    assert_true(sp_mul_u64(0, UINT64_MAX, &out));
    assert_true(out == 0);
    assert_true(sp_add_u64(UINT64_MAX - 1, 1, &out));
    assert_true(out == UINT64_MAX);
    assert_false(sp_add_u64(UINT64_MAX, 1, &out));
}

static void the_greatest_common_divisor_is_found(void **state)
{
    (void)state;
    assert_true(sp_gcd_u64(48, 36) == 12);
    assert_true(sp_gcd_u64(36, 48) == 12);
    assert_true(sp_gcd_u64(17, 5) == 1);
    assert_true(sp_gcd_u64(0, 7) == 7);
    assert_true(sp_gcd_u64(7, 0) == 7);
    assert_true(sp_gcd_u64(0, 0) == 0);
}

static void quantising_examples_by_hand(void **state)
{
    (void)state;
    /* with 3 significant bits the numbers from 4 to 8 are 4 5 6 7 8, from 8 on 8 10 12 14 16 */
    assert_true(sp_quantise(4.4, 3) == 4);
    assert_true(sp_quantise(4.5, 3) == 5); /* half away from zero */
    assert_true(sp_quantise(-4.5, 3) == -5);
    assert_true(sp_quantise(7.5, 3) == 8);
    assert_true(sp_quantise(9, 3) == 10);
    assert_true(sp_quantise(8.9, 3) == 8);
    assert_true(sp_quantise(3, 1) == 4); /* powers of two only */
    assert_true(sp_quantise(2.9, 1) == 2);
    assert_true(sp_quantise(0, 20) == 0);
    assert_true(sp_quantise((double)INFINITY, 20) == (double)INFINITY);
    assert_true(sp_quantise(-(double)INFINITY, 1) == -(double)INFINITY);
    assert_true(isnan(sp_quantise((double)NAN, 1)));
    assert_true(isinf(sp_quantise(DBL_MAX, 20)));
}

static void quantising_is_odd_idempotent_and_close(void **state)
{
    (void)state;
    uint64_t seed = 2;
    for (int i = 0; i < 200000; i++) {
        const double x = random_normal(&seed);
        const unsigned bits = 1 + (unsigned)random_below(&seed, 52);
        const double q = sp_quantise(x, bits);
        assert_true(sp_quantise(-x, bits) == -q);
        assert_true(sp_quantise(q, bits) == q);
        if (isfinite(q)) assert_true(fabs(q - x) <= ldexp(fabs(x), -(int)bits));
    }
}

static void quantising_is_monotone(void **state)
{
    (void)state;
    uint64_t seed = 3;
    for (int i = 0; i < 200000; i++) {
        const unsigned bits = 1 + (unsigned)random_below(&seed, 52);
        const double x = random_normal(&seed);
        const double far = random_normal(&seed), near = nextafter(x, far);
        const double close = x * (1 + ldexp(1, -(int)bits) * (double)random_below(&seed, 3));
        const double others[] = {far, near, close};
        for (size_t k = 0; k < 3; k++) {
            const double y = others[k];
            const double low = x < y ? x : y, high = x < y ? y : x;
            assert_true(sp_quantise(low, bits) <= sp_quantise(high, bits));
        }
    }
}

static void quantising_to_n_bits_keeps_whole_numbers_of_n_bits(void **state)
{
    (void)state;
    for (unsigned bits = 1; bits <= 20; bits++) {
        const uint32_t top = (UINT32_C(1) << bits) - 1;
        assert_true(sp_quantise(top, bits) == top);
    }
}

static void check_length(const char *text, uint64_t expected)
{
    uint64_t value = 0;
    sp_error err = {0};
    assert_int_equal(sp_parse_length(text, &value, &err), SP_OK);
    assert_true(value == expected);
}

static void lengths_count_in_powers_of_1024(void **state)
{
    (void)state;
    check_length("8192", 8192);
    check_length("8k", 8192);
    check_length("8K", 8192);
    check_length("1M", 1048576);
    check_length("1.5k", 1536);
    check_length("0", 0);
    check_length("9007199254740992", UINT64_C(9007199254740992));
    uint64_t value = 77;
    sp_error err = {0};
    assert_int_equal(sp_parse_length("1.5", &value, &err), SP_E_RANGE);
    assert_int_equal(sp_parse_length("9007199254740994", &value, &err), SP_E_OVERFLOW);
    assert_int_equal(sp_parse_length("-8", &value, &err), SP_E_SYNTAX);
    assert_int_equal(sp_parse_length("", &value, &err), SP_E_SYNTAX);
    assert_int_equal(sp_parse_length("8kB", &value, &err), SP_E_UNKNOWN_NAME);
    assert_string_equal(err.value, "8kB");
    assert_string_equal(err.range, "k, K, M, G");
    assert_true(value == 77);
}

typedef sp_status (*parser)(const char *text, double *value, sp_error *err);

static void check(parser parse, const char *text, double expected)
{
    double value = -1;
    sp_error err = {0};
    assert_int_equal(parse(text, &value, &err), SP_OK);
    assert_true(value == expected);
}

static void check_refused(parser parse, const char *text, sp_status expected)
{
    double value = -1;
    sp_error err = {0};
    assert_int_equal(parse(text, &value, &err), expected);
    assert_int_equal(err.status, expected);
    assert_string_equal(err.value, text);
    assert_true(value == -1);
}

static void amounts_count_in_powers_of_1000(void **state)
{
    (void)state;
    check(sp_parse_amount, "300e9", 3e11);
    check(sp_parse_amount, "1T", 1e12);
    check(sp_parse_amount, "15B", 15e9);
    check(sp_parse_amount, "4M", 4e6);
    check(sp_parse_amount, "2.5", 2.5);
    check_refused(sp_parse_amount, "many", SP_E_SYNTAX);
    check_refused(sp_parse_amount,
                  "1000000000000000000000000000000000000000000000000000000000000000",
                  SP_E_SYNTAX); /* 64 digits */
    check_refused(sp_parse_amount, "1e999", SP_E_OVERFLOW);
}

static void binary_and_decimal_sizes_are_told_apart(void **state)
{
    (void)state;
    check(sp_parse_bytes, "72GiB", 77309411328.0);
    check(sp_parse_bytes, "80GB", 80e9);
    check(sp_parse_bytes, "512MiB", 536870912.0);
    check(sp_parse_bytes, "1024", 1024);
    check(sp_parse_bytes, "1 TiB", 1099511627776.0);
    check_refused(sp_parse_bytes, "72G", SP_E_UNKNOWN_NAME);
    check_refused(sp_parse_bytes, "72GiB2", SP_E_UNKNOWN_NAME);
}

static void ratios_are_shares_of_one(void **state)
{
    (void)state;
    check(sp_parse_ratio, "6%", 0.06);
    check(sp_parse_ratio, "7%", 0.07);
    check(sp_parse_ratio, "0.06", 0.06);
    check(sp_parse_ratio, "100%", 1);
    check_refused(sp_parse_ratio, "6", SP_E_RANGE);
    check_refused(sp_parse_ratio, "101%", SP_E_RANGE);
    check_refused(sp_parse_ratio, "-6%", SP_E_SYNTAX);
}

static void durations_become_seconds(void **state)
{
    (void)state;
    check(sp_parse_duration, "36h", 129600);
    check(sp_parse_duration, "90min", 5400);
    check(sp_parse_duration, "14d", 1209600);
    check(sp_parse_duration, "3600s", 3600);
    check(sp_parse_duration, "3600", 3600);
    check(sp_parse_duration, "3ms", 0.003);
    check_refused(sp_parse_duration, "3m", SP_E_UNKNOWN_NAME);
}

static void what_strtod_alone_would_accept_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {"inf", "nan", "0x10", " 5", "+5", ".5", "5.", "1e", "e5"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        double value = -1;
        sp_error err = {0};
        assert_int_not_equal(sp_parse_amount(texts[i], &value, &err), SP_OK);
        assert_true(value == -1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_and_sums_are_checked),
        cmocka_unit_test(the_greatest_common_divisor_is_found),
        cmocka_unit_test(quantising_examples_by_hand),
        cmocka_unit_test(quantising_is_odd_idempotent_and_close),
        cmocka_unit_test(quantising_is_monotone),
        cmocka_unit_test(quantising_to_n_bits_keeps_whole_numbers_of_n_bits),
        cmocka_unit_test(lengths_count_in_powers_of_1024),
        cmocka_unit_test(amounts_count_in_powers_of_1000),
        cmocka_unit_test(binary_and_decimal_sizes_are_told_apart),
        cmocka_unit_test(ratios_are_shares_of_one),
        cmocka_unit_test(durations_become_seconds),
        cmocka_unit_test(what_strtod_alone_would_accept_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
