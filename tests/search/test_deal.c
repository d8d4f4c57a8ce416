/* SPDX-License-Identifier: Apache-2.0 */
/* Sizes of units, worked out by hand. */
#include "search/search_priv.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static uint64_t unit(double block_s, double service_s, uint32_t ranks, uint64_t left)
{
    const sp_pace pace = {
        .block_s = block_s, .service_s = service_s, .ranks = ranks, .threads = 4};
    return sp_pace_unit(&pace, left);
}

static void a_single_rank_takes_everything(void **state)
{
    (void)state;
    assert_int_equal(unit(0.0, 0.0, 1, 1000), 1000);
    assert_int_equal(unit(1.0, 0.0, 1, 1000), 1000);
}

static void a_first_unit_is_one_layout_a_thread(void **state)
{
    (void)state;
    assert_int_equal(unit(0.0, 0.0, 8, 1000), 4);
    assert_int_equal(unit(0.0, 0.0, 8, 3), 3);
}

/* 1 ms a layout: at most 0.5 s; then left / (2 x 8 ranks); at the end 2 x 8 x 0.25 ms. */
static void units_shrink_towards_the_end(void **state)
{
    (void)state;
    assert_int_equal(unit(0x1p-10, 0x1p-12, 8, 1000000), 512);
    assert_int_equal(unit(0x1p-10, 0x1p-12, 8, 1600), 100);
    assert_int_equal(unit(0x1p-10, 0x1p-12, 8, 32), 4);
    assert_int_equal(unit(0x1p-10, 0x1p-12, 8, 3), 3);
}

static void a_unit_is_never_empty(void **state)
{
    (void)state;
    assert_int_equal(unit(10.0, 1e-6, 2, 5), 1);
    assert_int_equal(unit(10.0, 1e-6, 2, 1), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_single_rank_takes_everything),
        cmocka_unit_test(a_first_unit_is_one_layout_a_thread),
        cmocka_unit_test(units_shrink_towards_the_end),
        cmocka_unit_test(a_unit_is_never_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
