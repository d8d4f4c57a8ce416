/* SPDX-License-Identifier: Apache-2.0 */
/* Fingerprints: the published value of the empty input, and that every bit counts. */
#include "base/base.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void the_empty_input_has_the_published_hash(void **state)
{
    (void)state;
    /* xxHash specification, XXH3 128 bits, seed 0, empty input */
    char hex[33];
    sp_hash_hex(sp_hash_bytes("", 0), hex);
    assert_string_equal(hex, "99aa06d3014798d86001c324468d497f");
}

static void hexadecimal_keeps_leading_zeros(void **state)
{
    (void)state;
    char hex[33];
    sp_hash_hex((sp_hash128){.high = 1, .low = 0xab}, hex);
    assert_string_equal(hex, "000000000000000100000000000000ab");
}

static void every_flipped_bit_changes_the_hash(void **state)
{
    (void)state;
    unsigned char data[300] = {0};
    const sp_hash128 before = sp_hash_bytes(data, sizeof data);
    for (size_t bit = 0; bit < sizeof data * 8; bit++) {
        data[bit / 8] ^= (unsigned char)(1U << bit % 8);
        const sp_hash128 after = sp_hash_bytes(data, sizeof data);
        assert_true(after.high != before.high && after.low != before.low);
        data[bit / 8] ^= (unsigned char)(1U << bit % 8);
    }
    const sp_hash128 again = sp_hash_bytes(data, sizeof data);
    assert_true(again.high == before.high && again.low == before.low);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_empty_input_has_the_published_hash),
        cmocka_unit_test(hexadecimal_keeps_leading_zeros),
        cmocka_unit_test(every_flipped_bit_changes_the_hash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
