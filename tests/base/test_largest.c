/* SPDX-License-Identifier: Apache-2.0 */
/* The largest number that holds: bisection inside pieces against trying every number. */
#include "base/base.h"
#include "common/draw.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define MOST 200

/* What holds of each number, and which piece it lies in; index 0 is not used. */
typedef struct numbers {
    bool holds[MOST + 1];
    uint64_t piece[MOST + 1];
    uint64_t asked;
} numbers;

static bool holds(void *user, uint64_t value)
{
    numbers *n = user;
    assert_in_range(value, 1, MOST);
    n->asked++;
    return n->holds[value];
}

static uint64_t piece(void *user, uint64_t value)
{
    assert_in_range(value, 1, MOST);
    return ((numbers *)user)->piece[value];
}

static uint64_t by_trying(const numbers *n, uint64_t most)
{
    for (uint64_t value = most; value >= 1; value--) {
        if (n->holds[value]) return value;
    }
    return 0;
}

static void of_one_piece_the_border_is_found(void **state)
{
    (void)state;
    for (uint64_t border = 0; border <= MOST; border++) {
        numbers n = {0};
        for (uint64_t i = 1; i <= border; i++)
            n.holds[i] = true;
        const sp_largest_of of = {.holds = holds, .user = &n};
        assert_int_equal(sp_largest(&of, MOST), border);
        assert_true(n.asked <= 2 * 8 + 2); /* doubling up to 200 and back */
    }
}

static void a_piece_that_fails_at_its_first_number_is_left_for_the_one_below(void **state)
{
    (void)state;
    draw d = draw_begin("largest in pieces");
    for (int round = 0; round < 2000; round++) {
        numbers n = {0};
        const uint64_t most = draw_between(&d, 1, MOST);
        for (uint64_t i = 1, name = 0; i <= most; name++) {
            const uint64_t length = draw_between(&d, 1, 40), good = draw_between(&d, 0, 60);
            for (uint64_t k = 0; k < length && i <= most; k++, i++) {
                n.piece[i] = name;
                n.holds[i] = good > 20 && k < good - 20;
            }
        }
        const sp_largest_of of = {.holds = holds, .piece = piece, .user = &n};
        assert_int_equal(sp_largest(&of, most), by_trying(&n, most));
    }
}

static void nothing_holds_of_no_numbers(void **state)
{
    (void)state;
    numbers n = {.holds = {[1] = true}};
    const sp_largest_of of = {.holds = holds, .user = &n};
    assert_int_equal(sp_largest(&of, 0), 0);
    assert_int_equal(n.asked, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_one_piece_the_border_is_found),
        cmocka_unit_test(a_piece_that_fails_at_its_first_number_is_left_for_the_one_below),
        cmocka_unit_test(nothing_holds_of_no_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
