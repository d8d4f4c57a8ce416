/* SPDX-License-Identifier: Apache-2.0 */
/* The site factor, worked on paper. */
#include "common/close.h"
#include "fidelity/fit.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define EXACT 1e-12

/* Each pair is measured at e^log times what was predicted. */
static sp_pair at(double log_ratio)
{
    return (sp_pair){.predicted = 2.0, .measured = 2.0 * exp(log_ratio)};
}

/* Runs and sites spread alike: one run is believed by half. Its offset is believed with variance
 * 0.01 / 2, a further run has 0.01 on top. */
static void one_run_is_believed_as_far_as_sites_differ(void **state)
{
    (void)state;
    const sp_site_prior prior = {0.1, 0.1};
    const sp_pair run = at(0.2);
    double apes[1];
    const sp_site site = sp_site_of(&prior, &run, 1, apes);
    const double z = 1.2815515655446004;
    assert_close(site.factor, exp(0.1), EXACT);
    assert_close(site.low, exp(0.1 - z * sqrt(0.005)), EXACT);
    assert_close(site.high, exp(0.1 + z * sqrt(0.005)), EXACT);
    assert_close(site.step_error_ratio, expm1(z * sqrt(0.015)), EXACT);
}

/* Of 0.3, 0.3, 0.3 with runs twice as sure as sites: (3 / 0.25) / (3 / 0.25 + 1) of 0.3. */
static void more_runs_are_believed_more(void **state)
{
    (void)state;
    const sp_site_prior prior = {0.2, 0.1};
    const sp_pair runs[] = {at(0.3), at(0.3), at(0.3)};
    double apes[3];
    assert_close(sp_site_of(&prior, runs, 3, apes).factor, exp(0.3 * 12.0 / 13.0), EXACT);
}

/* Each of two runs at 0.2 is corrected by the other alone, which is believed by half: 0.1 is left,
 * where 0.2 was. */
static void the_check_corrects_no_run_by_itself(void **state)
{
    (void)state;
    const sp_site_prior prior = {0.1, 0.1};
    const sp_pair runs[] = {at(0.2), at(0.2)};
    double apes[2];
    const sp_site site = sp_site_of(&prior, runs, 2, apes);
    assert_close(site.raw_median_ape, 1.0 - exp(-0.2), EXACT);
    assert_close(site.left_out_median_ape, 1.0 - exp(-0.1), EXACT);
}

static void one_run_alone_is_checked_by_nothing(void **state)
{
    (void)state;
    const sp_site_prior prior = {0.1, 0.1};
    const sp_pair run = at(0.2);
    double apes[1];
    const sp_site site = sp_site_of(&prior, &run, 1, apes);
    assert_close(site.left_out_median_ape, site.raw_median_ape, EXACT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_run_is_believed_as_far_as_sites_differ),
        cmocka_unit_test(more_runs_are_believed_more),
        cmocka_unit_test(the_check_corrects_no_run_by_itself),
        cmocka_unit_test(one_run_alone_is_checked_by_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
