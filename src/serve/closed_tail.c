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

/* P(W > x) = filled exp(-filled x / mean): the M/M/1 form with the mean of this queue. */
static double queue_at(const sp_first *first, double q)
{
    if (first->queue_s <= 0.0 || 1.0 - q >= first->filled) return 0.0;
    return first->queue_s / first->filled * log(first->filled / (1.0 - q));
}

/* A turn waits for the ends of as many others as are ahead, each by chance. */
static double steady_at(const sp_loaded *l, const sp_first *first, double q, double normal)
{
    const double looks_s = (q - 0.5) * first->looks_s;
    const double length_s = (2.0 * q - 1.0) * l->load->length_spread * first->prompt_s;
    const double turn_s = first->ahead > 0.0 ? normal * first->turn_s / sqrt(first->ahead) : 0.0;
    return queue_at(first, q) + hypot(hypot(looks_s, length_s), turn_s);
}

/* The requests of a burst are the slowest of all; of those the share q waited less than q of it. */
static double first_at(const sp_loaded *l, const sp_first *first, double q, double normal)
{
    const double late = first->burst_share;
    const double base_s = first->mean_s - late * first->burst_s / 2.0 - first->queue_s;
    if (q > 1.0 - late) return base_s + (q - 1.0 + late) / late * first->burst_s;
    return base_s + steady_at(l, first, fmin(0.99, q / (1.0 - late)), normal);
}

/* A step of answers that has prompts, or follows them, takes that much longer. */
static double stall_of(const sp_loaded *l, const sp_flow *f)
{
    const bool alone = sp_pool_rule(l->pool, l->pool->worker->timing) == SP_SERVE_PROMPTS_FIRST;
    return alone ? f->prompts_s : fmax(0.0, f->prompts_s / f->steps - f->step_s);
}

/* As many stalls as groups of prompts come while it answers. */
static double token_at(const sp_flow *f, double stall_s, double normal)
{
    const double answer_s = f->answer_steps * f->tpot_s;
    const double stalls = f->requests_per_s / f->group * f->steps * answer_s;
    return f->tpot_s + normal * stall_s * sqrt(fmax(0.0, stalls)) / f->answer_steps;
}

/* Of the steps of answers so many are stalled; the longest gaps are theirs. */
static double gap_at(const sp_loaded *l, const sp_flow *f, double stall_s, double q)
{
    const double step_s = f->tpot_s * sp_pool_tokens_a_step(l->pool);
    const double share = f->requests_per_s / f->group * f->steps * step_s;
    return 1.0 - q < share ? f->step_s + stall_s : f->step_s;
}

void sp_tails_of(const sp_loaded *l, const sp_flow *f, const sp_first *first, sp_served *out)
{
    const double answer = l->load->osl - 1.0, spread = l->load->length_spread;
    const double request_s = out->ttft_s + answer * f->tpot_s;
    const double stall_s = stall_of(l, f);
    double ttft[4], tpot[4], itl[4], e2e[4];
    for (int i = 0; i < 4; i++) {
        ttft[i] = first_at(l, first, at[i], normal_at[i]);
        tpot[i] = token_at(f, stall_s, normal_at[i]);
        itl[i] = gap_at(l, f, stall_s, at[i]);
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
