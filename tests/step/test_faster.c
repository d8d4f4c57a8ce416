/* SPDX-License-Identifier: Apache-2.0 */
/* The chance that one plan is faster than another, worked by hand from a table of the normal
 * distribution: Phi(0.9062) = 0.81759, Phi(1.2816) = 0.9, Phi(2.5631) = 0.99481. */
#include "common/close.h"
#include "common/draw.h"
#include "shardplan/estimate.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void equal_steps_are_even_odds(void **state)
{
    (void)state;
    assert_true(sp_faster_probability(12.5, 12.5, 0.095) == 0.5);
    assert_true(sp_faster_probability(12.5, 12.5, 0.0) == 0.5);
}

/* One such error between them: with two independent ones the lead is 1.2816 / sqrt 2 deviations. */
static void a_lead_of_one_error_wins_four_times_in_five(void **state)
{
    (void)state;
    assert_close(sp_faster_probability(10.0, 11.0, 0.1), 0.81759, 2e-5);
    assert_close(sp_faster_probability(11.0, 10.0, 0.1), 1.0 - 0.81759, 1e-4);
}

/* sqrt 2 errors between them are the 90th percentile of the difference itself, by definition; twice
 * that is 2.5631 deviations. */
static void a_lead_of_both_errors_wins_nine_times_in_ten(void **state)
{
    (void)state;
    const double lead = pow(1.2, sqrt(2.0));
    assert_close(sp_faster_probability(3.0, 3.0 * lead, 0.2), 0.9, 1e-9);
    assert_close(sp_faster_probability(3.0, 3.0 * lead * lead, 0.2), 0.99481, 1e-5);
}

static void without_an_error_the_shorter_step_is_faster(void **state)
{
    (void)state;
    assert_true(sp_faster_probability(9.99, 10.0, 0.0) == 1.0);
    assert_true(sp_faster_probability(10.0, 9.99, 0.0) == 0.0);
}

/* 1.1^1.41421 = exp(1.41421 x 0.0953102) = exp(0.134789) = 1.144295 */
static void two_errors_are_wider_than_one(void **state)
{
    (void)state;
    assert_close(sp_relative_error_ratio(0.1), 0.144295, 1e-5);
    assert_true(sp_relative_error_ratio(0.0) == 0.0);
}

static void chances_are_complementary_and_monotone(void **state)
{
    (void)state;
    draw d = draw_begin("chances are complementary and monotone");
    for (int i = 0; i < 1000; i++) {
        const double a = draw_scale(&d, 0.01, 100.0), b = a * draw_scale(&d, 0.5, 2.0);
        const double error = draw_scale(&d, 0.001, 0.5), more = 1.0 + draw_scale(&d, 1e-4, 1.0);
        const double p = sp_faster_probability(a, b, error);
        assert_true(p >= 0.0 && p <= 1.0);
        assert_true(fabs(p + sp_faster_probability(b, a, error) - 1.0) < 1e-12);
        assert_true(sp_faster_probability(a * more, b, error) <= p);
        assert_true(sp_faster_probability(a, b * more, error) >= p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_steps_are_even_odds),
        cmocka_unit_test(a_lead_of_one_error_wins_four_times_in_five),
        cmocka_unit_test(a_lead_of_both_errors_wins_nine_times_in_ten),
        cmocka_unit_test(without_an_error_the_shorter_step_is_faster),
        cmocka_unit_test(two_errors_are_wider_than_one),
        cmocka_unit_test(chances_are_complementary_and_monotone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
