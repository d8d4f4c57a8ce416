/* SPDX-License-Identifier: Apache-2.0 */
/* Shares of requests within limits, by hand from percentiles. */
#include "serve/serving_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Half of the requests take 1 s at most, 9 of 10 2 s, 95 of 100 3 s, 99 of 100 4 s. */
static const sp_simulated run = {
    .ttft_s = {.mean = 1.2,  .p50 = 1.0,  .p90 = 2.0,  .p95 = 3.0,  .p99 = 4.0 },
    .tpot_s = {.mean = 0.02, .p50 = 0.02, .p90 = 0.02, .p95 = 0.02, .p99 = 0.02},
};

static double within(sp_latency latency, double most_s)
{
    static sp_serving_problem problem;
    problem.n_limits = 1;
    problem.limits[0] = (sp_limit){latency, SP_P95, most_s};
    return sp_serving_within_ratio(&problem, &run);
}

static void without_limits_all_are_within(void **state)
{
    (void)state;
    static const sp_serving_problem problem;
    assert_float_equal(sp_serving_within_ratio(&problem, &run), 1.0, 0.0);
}

static void a_limit_at_a_percentile_keeps_its_share(void **state)
{
    (void)state;
    assert_float_equal(within(SP_LATENCY_TTFT, 1.0), 0.5, 1e-12);
    assert_float_equal(within(SP_LATENCY_TTFT, 2.0), 0.9, 1e-12);
    assert_float_equal(within(SP_LATENCY_TTFT, 3.0), 0.95, 1e-12);
    assert_float_equal(within(SP_LATENCY_TTFT, 4.0), 1.0, 0.0);
}

static void between_percentiles_shares_are_interpolated(void **state)
{
    (void)state;
    assert_float_equal(within(SP_LATENCY_TTFT, 0.5), 0.25, 1e-12);
    assert_float_equal(within(SP_LATENCY_TTFT, 1.5), 0.7, 1e-12);
}

static void requests_that_are_all_alike_are_within_or_not(void **state)
{
    (void)state;
    assert_float_equal(within(SP_LATENCY_TPOT, 0.02), 1.0, 0.0);
    assert_true(within(SP_LATENCY_TPOT, 0.019) < 0.5);
}

static void of_two_limits_the_one_that_fewest_keep_counts(void **state)
{
    (void)state;
    static sp_serving_problem problem;
    problem.n_limits = 2;
    problem.limits[0] = (sp_limit){SP_LATENCY_TTFT, SP_P95, 2.0};
    problem.limits[1] = (sp_limit){SP_LATENCY_TTFT, SP_P50, 1.0};
    assert_float_equal(sp_serving_within_ratio(&problem, &run), 0.5, 1e-12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_limits_all_are_within),
        cmocka_unit_test(a_limit_at_a_percentile_keeps_its_share),
        cmocka_unit_test(between_percentiles_shares_are_interpolated),
        cmocka_unit_test(requests_that_are_all_alike_are_within_or_not),
        cmocka_unit_test(of_two_limits_the_one_that_fewest_keep_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
