/* SPDX-License-Identifier: Apache-2.0 */
/* How many requests of a run keep every limit. A run leaves percentiles, not requests: between them
 * shares are interpolated, and of several limits the one that fewest keep counts, as if those who
 * miss another were among them. */
#include "serve/serving_priv.h"

#include <math.h>

/* The share of a distribution that is at most x, by its percentiles. */
static double share_below(const sp_tail *tail, double x)
{
    const double at[] = {0.0, tail->p50, tail->p90, tail->p95, tail->p99};
    static const double share[] = {0.0, 0.5, 0.9, 0.95, 0.99};
    const uint32_t n = sizeof share / sizeof share[0];
    if (x >= tail->p99) return 1.0;
    for (uint32_t i = n - 1; i > 0; i--) {
        if (x < at[i - 1]) continue;
        const double width = at[i] - at[i - 1];
        const double part = width > 0.0 ? (x - at[i - 1]) / width : 0.0;
        return share[i - 1] + part * (share[i] - share[i - 1]);
    }
    return 0.0;
}

double sp_serving_within_ratio(const sp_serving_problem *problem, const sp_simulated *run)
{
    const sp_tail *tails[SP_N_LATENCIES] = {[SP_LATENCY_TTFT] = &run->ttft_s,
                                            [SP_LATENCY_TPOT] = &run->tpot_s,
                                            [SP_LATENCY_ITL] = &run->itl_s,
                                            [SP_LATENCY_E2E] = &run->e2e_s};
    double ratio = 1.0;
    for (uint32_t i = 0; i < problem->n_limits; i++) {
        const sp_limit *limit = &problem->limits[i];
        ratio = fmin(ratio, share_below(tails[limit->latency], limit->most_s));
    }
    return ratio;
}
