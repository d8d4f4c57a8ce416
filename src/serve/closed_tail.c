/* SPDX-License-Identifier: Apache-2.0 */
/* Tails in closed form: waits behind prompts fall off exponentially, as in a queue with one server;
 * a request's mean over many steps is normal; lengths are even; what varies apart adds in squares.
 */
#include "serve/closed.h"

#include <math.h>

/* Quantiles that are reported, and how far these lie from the mean of a normal law. */
static const double at[4] = {0.50, 0.90, 0.95, 0.99};
static const double normal_at[4] = {0.0, 1.2815515655, 1.6448536270, 2.3263478740};

static sp_tail tail(double mean, const double *q)
{
    return (sp_tail){.mean = mean, .p50 = q[0], .p90 = q[1], .p95 = q[2], .p99 = q[3]};
}

/* P(W > x) = busy exp(-busy x / mean): the M/M/1 form with the mean of this queue. */
static double queue_at(const sp_first *first, double q)
{
    if (first->queue_s <= 0.0 || 1.0 - q >= first->busy) return 0.0;
    return first->queue_s / first->busy * log(first->busy / (1.0 - q));
}

/* Of those that began together the share q waited less than q of the burst; they are the slowest of
 * all. */
static double first_at(const sp_loaded *l, const sp_first *first, double q)
{
    const double spread = l->load->length_spread;
    const double looks_s = (q - 0.5) * first->looks_s;
    const double length_s = (2.0 * q - 1.0) * spread * first->prompt_s;
    const double base_s =
        first->mean_s - first->burst_share * first->burst_s / 2.0 - first->queue_s;
    const double steady_s = base_s + queue_at(first, q) + hypot(looks_s, length_s);
    if (1.0 - q >= first->burst_share) return steady_s;
    const double place = 1.0 - (1.0 - q) / first->burst_share;
    return fmax(steady_s, base_s + place * first->burst_s);
}

/* Stalls of a request: as many as there are prompts of others while it answers. */
static double token_at(const sp_flow *f, double normal)
{
    const double steps = fmax(1.0, f->answer_steps);
    const double stalls = f->requests_per_s * steps * f->step_s;
    return f->tpot_s + normal * f->stall_s * sqrt(fmax(0.0, stalls)) / steps;
}

/* Of the steps of answers so many have prompts; the longest gaps are theirs. */
static double gap_at(const sp_loaded *l, const sp_flow *f, double q)
{
    const double chunks = sp_loaded_steps(l, 1.0, f->running);
    const double steps_per_s = (1.0 - f->requests_per_s * f->stall_s) / f->step_s;
    const double share = f->requests_per_s * chunks / fmax(1e-300, steps_per_s);
    return 1.0 - q < share ? f->step_s + f->stall_s / chunks : f->step_s;
}

void sp_tails_of(const sp_loaded *l, const sp_flow *f, const sp_first *first, sp_served *out)
{
    const double answer = l->load->osl - 1.0, spread = l->load->length_spread;
    const double request_s = out->ttft_s + answer * f->tpot_s;
    double ttft[4], tpot[4], itl[4], e2e[4];
    for (int i = 0; i < 4; i++) {
        ttft[i] = first_at(l, first, at[i]);
        tpot[i] = token_at(f, normal_at[i]);
        itl[i] = gap_at(l, f, at[i]);
        const double length_s = (2.0 * at[i] - 1.0) * spread * answer * f->tpot_s;
        const double token_s = answer * (tpot[i] - f->tpot_s);
        const double first_s = ttft[i] - first->mean_s;
        e2e[i] = request_s + hypot(hypot(length_s, token_s), fmax(0.0, first_s));
    }
    out->ttft_tail_s = tail(out->ttft_s, ttft);
    out->tpot_tail_s = tail(f->tpot_s, tpot);
    out->itl_tail_s = tail(f->tpot_s * sp_pool_tokens_a_step(l->pool), itl);
    out->e2e_tail_s = tail(request_s, e2e);
}
