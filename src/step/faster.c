/* SPDX-License-Identifier: Apache-2.0 */
/* How sure the order of two estimates is. */
#include "base/base.h"
#include "shardplan/estimate.h"

#include <assert.h>
#include <math.h>

/* The 90th percentile of the standard normal distribution, the root of erfc(z / sqrt 2) / 2 = 0.1:
 * 80 % of all draws lie within that many standard deviations of the mean. */
static const double NORMAL_P90 = 1.2815515655446004;

/* Equal steps are even odds whatever the error; without an error the estimates are the truth. */
double sp_faster_probability(double a_step_s, double b_step_s, double rank_error_ratio)
{
    assert(a_step_s > 0.0 && b_step_s > 0.0 && rank_error_ratio >= 0.0);
    const double lead = log(b_step_s / a_step_s);
    if (lead == 0.0) return 0.5;
    const double deviation = log1p(rank_error_ratio) / NORMAL_P90;
    return 0.5 * erfc(-lead / (2.0 * deviation));
}

double sp_relative_error_ratio(double rank_error_ratio)
{
    assert(rank_error_ratio >= 0.0);
    return expm1(sqrt(2.0) * log1p(rank_error_ratio));
}
