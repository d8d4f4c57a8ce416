/* SPDX-License-Identifier: Apache-2.0 */
/* One pool for prompts and answers in closed form. Everything follows from the throughput of n
 * sequences that answer at once,
 *     T(n) = n / (osl D(n) / e + n stall(n))      D: a step of answers, e: tokens of it,
 *                                                 stall: what one prompt delays all others
 * and Little's law. Lengths vary, so that users do not stay in step; tails are in closed_tail.c. */
#include "serve/closed.h"
#include "serve/serve_priv.h"

#include <math.h>

/* Sequences of a rank where nothing else limits them: what servers allow at most. */
#define MOST_RUNNING 4096.0

sp_flow sp_flow_at(const sp_loaded *l, double running)
{
    const sp_serve_rule rule = sp_pool_rule(l->pool, l->pool->worker->timing);
    const bool alone = rule == SP_SERVE_PROMPTS_FIRST || rule == SP_SERVE_STATIC;
    const double steps = alone ? 0.0 : sp_loaded_steps(l, 1.0, running);
    sp_flow f = {.running = running, .step_s = sp_loaded_decode_s(l, running)};
    f.prompt_s = sp_loaded_prompts_s(l, 1.0, alone ? 0.0 : running);
    f.stall_s = fmax(0.0, f.prompt_s - steps * f.step_s);
    f.answer_steps = (l->load->osl - 1.0) / sp_pool_tokens_a_step(l->pool);
    f.requests_per_s = running / (fmax(1.0, f.answer_steps) * f.step_s + running * f.stall_s);
    f.busy = fmin(1.0, f.requests_per_s * f.prompt_s);
    f.tpot_s = f.step_s / sp_pool_tokens_a_step(l->pool) / (1.0 - f.requests_per_s * f.stall_s);
    return f;
}

/* n of T(n) = rate: T grows and bends down, so that its chord lies below it and each new point to
 * the right of the root moves left. */
static sp_flow flow_of_rate(const sp_loaded *l, double rate, sp_flow most)
{
    sp_flow low = {0};
    sp_flow high = most;
    for (int round = 0; round < 6; round++) {
        const double share =
            (rate - low.requests_per_s) / fmax(1e-300, high.requests_per_s - low.requests_per_s);
        const double n = low.running + share * (high.running - low.running);
        const sp_flow at = sp_flow_at(l, fmax(n, 1e-6));
        if (at.requests_per_s >= rate)
            high = at;
        else
            low = at;
        if (fabs(at.requests_per_s - rate) <= 1e-4 * rate) return at;
    }
    return high;
}

/* ---- time to first token ---- */

/* A prompt that comes waits for the step in progress, of answers or with prompts, for those ahead
 * of it, and runs with those that came meanwhile. With a look every few steps half of these pass
 * first, and the prompts of all of them go together. */
sp_first sp_first_of(const sp_loaded *l, const sp_flow *f, double users)
{
    const sp_server_timing *timing = l->pool->worker->timing;
    const double own_poll = l->pool->poll_steps;
    const double poll = own_poll > 0.0 ? own_poll : timing->poll_steps;
    const double between_s = fmax(1.0, poll) * f->step_s;
    const double idle = fmax(0.0, 1.0 - f->busy);
    const bool alone = sp_pool_rule(l->pool, timing) == SP_SERVE_PROMPTS_FIRST;
    sp_first first = {.looks_s = idle * between_s};
    const double others = fmin(f->requests_per_s * between_s, fmax(0.0, users - 1.0));
    const double group = 1.0 + others;
    first.prompt_s =
        group > 1.5 ? sp_loaded_prompts_s(l, group, alone ? 0.0 : f->running) : f->prompt_s;
    const double queued = f->busy * f->prompt_s / 2.0 / fmax(1e-9, 1.0 - f->busy);
    const double most = f->prompt_s * fmax(0.0, users - 1.0) / 2.0;
    first.busy = f->busy;
    first.queue_s = fmin(queued, most);
    first.mean_s = timing->request_s + first.looks_s / 2.0 + first.queue_s + first.prompt_s;
    return first;
}

/* ---- loops ---- */

/* All answer until the longest of them ends; who is done sooner, or comes later, waits. */
static void serve_static(const sp_loaded *l, double running, double users, sp_flow *f,
                         sp_first *first)
{
    const sp_serve_load *load = l->load;
    const double n = fmin(running, users);
    *f = sp_flow_at(l, n);
    const double prompts_s = sp_loaded_prompts_s(l, n, 0.0);
    const double longest = (load->osl * (1.0 + load->length_spread) - 1.0) * f->step_s;
    f->tpot_s = f->step_s / sp_pool_tokens_a_step(l->pool);
    f->requests_per_s = n / (prompts_s + longest);
    *first = (sp_first){.prompt_s = prompts_s, .looks_s = users / n * (prompts_s + longest)};
    first->mean_s = fmax(prompts_s, users / f->requests_per_s - f->tpot_s * (load->osl - 1.0)) +
                    l->pool->worker->timing->request_s;
}

/* Of `users` some wait for their first token while the others answer. Where more come than may run,
 * the rest waits for its turn: what a round takes beyond the answer. */
static void serve_users(const sp_loaded *l, double most, double users, sp_flow *f, sp_first *first)
{
    const double answer = l->load->osl - 1.0, running = fmin(users, most);
    *f = sp_flow_at(l, running);
    for (int round = 0; round < 2; round++) {
        *first = sp_first_of(l, f, users);
        const double share = answer * f->tpot_s / (answer * f->tpot_s + first->mean_s);
        *f = sp_flow_at(l, fmin(most, fmax(fmin(1.0, users), users * share)));
    }
    *first = sp_first_of(l, f, users);
    const double turn_s = users / f->requests_per_s - answer * f->tpot_s;
    if (users > most && turn_s > first->mean_s) {
        first->turn_s = turn_s - first->mean_s;
        first->mean_s = turn_s;
    }
}

/* The first tokens of a burst come after half of the prompts before them. */
static void add_burst(const sp_loaded *l, double users, sp_first *first)
{
    if (l->load->requests_per_user <= 0.0 || users <= 1.0) return;
    first->burst_share = 1.0 / l->load->requests_per_user;
    first->burst_s = (users - 1.0) * sp_loaded_crowd_s(l, users);
    first->mean_s += first->burst_share * first->burst_s / 2.0;
}

/* An infinite answer to a rate that is too high. */
static void overflow(sp_served *out)
{
    const sp_tail never = {INFINITY, INFINITY, INFINITY, INFINITY, INFINITY};
    out->ttft_s = INFINITY;
    out->ttft_tail_s = out->e2e_tail_s = never;
    out->in_flight = INFINITY;
    out->stable = false;
}

/* Arrivals that bunch wait longer: Kingman's factor over Poisson's. */
static void stretch_queue(const sp_serve_load *load, sp_first *first)
{
    const double factor = (load->burstiness + load->length_spread * load->length_spread / 3.0);
    first->mean_s += (factor - 1.0) * first->queue_s;
    first->queue_s *= factor;
}

static void finish_rates(const sp_loaded *l, double ranks, const sp_flow *f, sp_served *out)
{
    const sp_serve_load *load = l->load;
    const double gpus = (double)l->pool->workers * sp_worker_gpus(l->pool->worker);
    const double request_s = out->ttft_s + (load->osl - 1.0) * out->tpot_s;
    out->requests_per_s = load->rate > 0.0 ? fmin(load->rate, out->most_requests_per_s)
                                           : load->concurrency / request_s;
    out->in_flight = load->rate > 0.0 ? load->rate * request_s : load->concurrency;
    out->tokens_per_s = out->requests_per_s * load->osl;
    out->tokens_per_s_per_gpu = out->tokens_per_s / gpus;
    out->running = f->running;
    (void)ranks;
}

void sp_serve_together(const sp_pool *pool, const sp_serve_load *load, sp_served *out)
{
    const sp_loaded l = sp_loaded_make(pool, load);
    const double ranks = (double)pool->workers * pool->worker->layout.attn_dp;
    const bool open = load->rate > 0.0, still = pool->worker->timing->rule == SP_SERVE_STATIC;
    const double users = open ? MOST_RUNNING : load->concurrency / ranks;
    sp_first first = {0};
    sp_flow f;
    *out = (sp_served){.stable = true};
    const double most = sp_loaded_running(pool, load, MOST_RUNNING, &out->cache_limited);
    out->cache_limited = out->cache_limited && users > most;
    if (still) {
        serve_static(&l, most, fmax(1.0, users), &f, &first);
        out->most_requests_per_s = ranks * f.requests_per_s;
    } else {
        f = sp_flow_at(&l, most);
        out->most_requests_per_s = ranks * f.requests_per_s;
    }
    if (open && !still) {
        f = load->rate < out->most_requests_per_s ? flow_of_rate(&l, load->rate / ranks, f) : f;
        first = sp_first_of(&l, &f, MOST_RUNNING);
        stretch_queue(load, &first);
    } else if (!still) {
        serve_users(&l, most, fmax(1.0, users), &f, &first);
        add_burst(&l, users, &first);
    }
    out->ttft_s = first.mean_s;
    out->tpot_s = f.tpot_s;
    sp_tails_of(&l, &f, &first, out);
    finish_rates(&l, ranks, &f, out);
    if (open && load->rate >= out->most_requests_per_s) overflow(out);
}
