/* SPDX-License-Identifier: Apache-2.0 */
/* Tails of what users of two pools see: a few wait in the burst at the start, the others at random
 * where a pool is not full and alike where it is; answers differ by their lengths. */
#include "shardplan/serve.h"

#include <math.h>

/* First tokens: from `least_s`, with a chance `burst` evenly within `burst_s`, else after a wait
 * that is certain in part and memoryless for the rest. */
typedef struct waiting {
    double least_s, certain_s, random_s, burst, burst_s;
} waiting;

static double below(const waiting *w, double t_s)
{
    const double over_s = t_s - w->least_s, late_s = over_s - w->certain_s;
    const double first = w->burst_s > 0.0 ? fmin(1.0, fmax(0.0, over_s / w->burst_s)) : 1.0;
    const double rest = w->random_s > 0.0 ? 1.0 - exp(-late_s / w->random_s) : 1.0;
    return w->burst * first + (late_s < 0.0 ? 0.0 : (1.0 - w->burst) * rest);
}

static double quantile(const waiting *w, double share)
{
    double low = w->least_s;
    if (w->burst <= 0.0) return low + w->certain_s - w->random_s * log1p(-share);
    double high = low + w->burst_s + w->certain_s + 8.0 * w->random_s;
    if (!isfinite(high)) return high;
    for (int i = 0; i < 30; i++) {
        const double middle = 0.5 * (low + high);
        if (below(w, middle) < share) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return high;
}

/* Quantiles of a standard normal. */
#define Z90 1.2815515655446004
#define Z95 1.6448536269514722
#define Z99 2.3263478740408408

static double longer(double mean, double first_s, double answer_s)
{
    return mean + copysign(sqrt(first_s * first_s + answer_s * answer_s), first_s + answer_s);
}

static sp_tail steps_tail(double mean, double spread)
{
    return (sp_tail){mean, mean, mean + Z90 * spread, mean + Z95 * spread, mean + Z99 * spread};
}

/* Requests that come faster than they are answered; answers that begin are as fast as ever. */
static void never_served(sp_joined *joined)
{
    const sp_tail never = {INFINITY, INFINITY, INFINITY, INFINITY, INFINITY};
    sp_served *s = &joined->served;
    s->ttft_tail_s = s->e2e_tail_s = never;
    s->tpot_tail_s = steps_tail(s->tpot_s, 0.0);
    s->itl_tail_s = steps_tail(joined->step_s, 0.0);
}

void sp_joined_tails(const sp_serve_load *load, sp_joined *joined)
{
    sp_served *s = &joined->served;
    if (!isfinite(s->ttft_s)) {
        never_served(joined);
        return;
    }
    const bool closed = load->rate <= 0.0;
    const double wait_s = joined->wait_s + joined->slot_s;
    const double random = closed ? fmax(0.0, 1.0 - joined->prefill_busy_ratio) : 1.0;
    const double rounds = closed ? load->requests_per_user : 0.0;
    waiting w = {.least_s = s->ttft_s - joined->burst_s - wait_s,
                 .certain_s = (1.0 - random) * wait_s,
                 .random_s = random * wait_s,
                 .burst = rounds > 0.0 ? fmin(1.0, 1.0 / rounds) : 0.0};
    w.burst_s = 2.0 * (joined->burst_s * rounds + wait_s);
    s->ttft_tail_s = (sp_tail){s->ttft_s, quantile(&w, 0.5), quantile(&w, 0.9), quantile(&w, 0.95),
                               quantile(&w, 0.99)};
    const double spread_s = joined->step_spread_s, t = s->tpot_s;
    s->tpot_tail_s = steps_tail(t, spread_s * t / joined->step_s);
    s->itl_tail_s = steps_tail(joined->step_s, spread_s);
    const double answer_s = (load->osl - 1.0) * t, mean_s = s->ttft_s + answer_s;
    const double even_s = load->length_spread * answer_s; /* half the width of even lengths */
    const sp_tail *first = &s->ttft_tail_s;
    s->e2e_tail_s = (sp_tail){mean_s, longer(mean_s, first->p50 - s->ttft_s, 0.0),
                              longer(mean_s, first->p90 - s->ttft_s, 0.8 * even_s),
                              longer(mean_s, first->p95 - s->ttft_s, 0.9 * even_s),
                              longer(mean_s, first->p99 - s->ttft_s, 0.98 * even_s)};
}
