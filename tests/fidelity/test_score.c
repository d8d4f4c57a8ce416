/* SPDX-License-Identifier: Apache-2.0 */
/* Figures of merit against examples worked on paper. */
#include "common/close.h"
#include "fidelity/score.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define EXACT 1e-12

static sp_pair pair(double predicted, double measured)
{
    return (sp_pair){predicted, 0.9 * predicted, 1.1 * predicted, measured};
}

static void quantiles_lie_between_their_neighbours(void **state)
{
    (void)state;
    double odd[] = {3.0, 1.0, 2.0}, even[] = {4.0, 1.0, 2.0, 3.0}, one[] = {7.0};
    assert_close(sp_quantile_of(odd, 3, 0.5), 2.0, EXACT);
    assert_close(sp_quantile_of(even, 4, 0.5), 2.5, EXACT);
    assert_close(sp_quantile_of(even, 4, 0.9), 3.7, EXACT); /* place 2.7: 3 + 0.7 (4 - 3) */
    assert_close(sp_quantile_of(one, 1, 0.9), 7.0, EXACT);
    assert_true(isnan(sp_quantile_of(one, 0, 0.5)));
}

/* Errors +10 %, -10 %, -25 %, +25 %, 0; sorted sizes 0, 0.1, 0.1, 0.25, 0.25; within 10 % of their
 * predictions lie 1 (0.99 .. 1.21), 5, and 2 of 1.8 (1.62 .. 1.98) does not. */
static void errors_are_shares_of_the_measurement(void **state)
{
    (void)state;
    bool failed = false;
    const sp_pair pairs[] = {pair(1.1, 1.0), pair(1.8, 2.0), pair(3.0, 4.0), pair(10.0, 8.0),
                             pair(5.0, 5.0)};
    const sp_metric m = sp_metric_of(pairs, 5, &failed);
    assert_false(failed);
    assert_int_equal(m.n, 5);
    assert_close(m.median_ape, 0.1, EXACT);
    assert_close(m.mean_ape, 0.14, EXACT);
    assert_close(m.p90_ape, 0.25, EXACT);
    assert_true(fabs(m.bias) < EXACT);
    assert_close(m.spearman, 1.0, EXACT);
    assert_close(m.interval_coverage, 0.4, EXACT);
}

static void bias_keeps_the_sign(void **state)
{
    (void)state;
    bool failed = false;
    const sp_pair low[] = {pair(0.8, 1.0), pair(1.2, 2.0)};
    assert_close(sp_metric_of(low, 2, &failed).bias, -0.3, EXACT);
}

static void ranks_alone_matter(void **state)
{
    (void)state;
    bool failed = false;
    const sp_pair same[] = {pair(1.0, 2.0), pair(10.0, 3.0), pair(100.0, 4.0)};
    const sp_pair turned[] = {pair(1.0, 4.0), pair(10.0, 3.0), pair(100.0, 2.0)};
    assert_close(sp_spearman_of(same, 3, &failed), 1.0, EXACT);
    assert_close(sp_spearman_of(turned, 3, &failed), -1.0, EXACT);
}

/* Ranks 0.5 0.5 2 against 0 1 2: 1.5 / sqrt(1.5 * 2). */
static void equal_values_share_their_ranks(void **state)
{
    (void)state;
    bool failed = false;
    const sp_pair pairs[] = {pair(1.0, 1.0), pair(1.0, 2.0), pair(2.0, 3.0)};
    assert_close(sp_spearman_of(pairs, 3, &failed), sqrt(3.0) / 2.0, EXACT);
}

static void a_correlation_needs_two_values_that_differ(void **state)
{
    (void)state;
    bool failed = false;
    const sp_pair pairs[] = {pair(1.0, 1.0), pair(1.0, 2.0)};
    assert_true(isnan(sp_spearman_of(pairs, 1, &failed)));
    assert_true(isnan(sp_spearman_of(pairs, 2, &failed)));
    assert_false(failed);
}

/* The plan predicted at 4 s took 6 s; the best took 5 s. */
static void regret_is_what_the_choice_loses(void **state)
{
    (void)state;
    bool failed = false;
    const sp_pair wrong[] = {pair(4.0, 6.0), pair(4.5, 5.0), pair(9.0, 7.0)};
    const sp_choice choice = sp_choice_of(wrong, 3, &failed);
    assert_close(choice.regret, 0.2, EXACT);
    assert_false(choice.best);
    assert_close(choice.spearman, 0.5, EXACT); /* 1 - 6 (1 + 1 + 0) / (3 (9 - 1)) */
    const sp_pair right[] = {pair(4.0, 5.0), pair(4.5, 6.0)};
    assert_true(sp_choice_of(right, 2, &failed).best);
    assert_true(sp_choice_of(right, 2, &failed).regret <= 0.0);
}

static void means_leave_out_what_is_not_defined(void **state)
{
    (void)state;
    const sp_metric metrics[] = {
        {2, 0.1, 0.2, 0.3, -0.1, (double)NAN, 0.5},
        {8, 0.3, 0.4, 0.5, 0.3,  0.9,         1.0}
    };
    const sp_metric mean = sp_metric_mean(metrics, 2);
    assert_int_equal(mean.n, 10);
    assert_close(mean.median_ape, 0.2, EXACT);
    assert_close(mean.mean_ape, 0.3, EXACT);
    assert_close(mean.p90_ape, 0.4, EXACT);
    assert_close(mean.bias, 0.1, EXACT);
    assert_close(mean.spearman, 0.9, EXACT);
    assert_close(mean.interval_coverage, 0.75, EXACT);
    assert_true(isnan(sp_metric_mean(metrics, 0).median_ape));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quantiles_lie_between_their_neighbours),
        cmocka_unit_test(errors_are_shares_of_the_measurement),
        cmocka_unit_test(bias_keeps_the_sign),
        cmocka_unit_test(ranks_alone_matter),
        cmocka_unit_test(equal_values_share_their_ranks),
        cmocka_unit_test(a_correlation_needs_two_values_that_differ),
        cmocka_unit_test(regret_is_what_the_choice_loses),
        cmocka_unit_test(means_leave_out_what_is_not_defined),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
