/* SPDX-License-Identifier: Apache-2.0 */
/* One pool for prompts and answers in closed form. Everything follows from the throughput of n
 * sequences that answer at once, each of which ends after so many steps, from how many prompts come
 * in the meantime and go together, and from Little's law. Lengths vary, so that users do not stay
 * in step; tails are in closed_tail.c. */
#include "serve/closed.h"
#include "serve/serve_priv.h"

#include <math.h>

/* Sequences of a rank where nothing else limits them: what servers allow at most. */
#define MOST_RUNNING 4096.0

static double poll_of(const sp_loaded *l)
{
    const double own = l->pool->poll_steps;
    return fmax(1.0, own > 0.0 ? own : l->pool->worker->timing->poll_steps);
}

static bool prompts_alone(const sp_loaded *l)
{
    const sp_serve_rule rule = sp_pool_rule(l->pool, l->pool->worker->timing);
    return rule == SP_SERVE_PROMPTS_FIRST || rule == SP_SERVE_STATIC;
}

/* Prompts together against their time: a line through one and as many as fit a step, then at the
 * rate of full steps. */
typedef struct line {
    double one_s, each_s, most, more_s;
} line;

static line prompts_line(const sp_loaded *l, double beside, double room)
{
    const double many = fmin(16.0, floor(room));
    line a = {.one_s = sp_loaded_prompts_s(l, 1.0, beside), .most = fmax(1.0, floor(room))};
    if (many >= 2.0) {
        const double many_s = sp_loaded_prompts_s(l, many, beside);
        a.each_s = fmax(0.0, many_s - a.one_s) / (many - 1.0);
        a.more_s = (a.one_s + a.each_s * (a.most - 1.0)) / a.most;
    } else {
        a.more_s = room == 1.0 ? a.one_s : sp_loaded_prompts_s(l, room, beside) / room;
    }
    return a;
}

static double group_s(const line *a, double group)
{
    const double full = fmin(group, a->most);
    return a->one_s + a->each_s * (full - 1.0) + a->more_s * (group - full);
}

/* Mean of a Poisson number of mean z that is not 0. */
static double at_least_one(double z)
{
    return z > 1e-6 ? z / -expm1(-z) : 1.0;
}

/* Prompts that came in one round go together in the next: a round of answers, or of prompts where
 * some came in that. More of them delay the answers less each, whereby more come; from one at a
 * time this rises to where it stays. */
static void settle(const line *a, bool alone, double users, sp_flow *f)
{
    const double others = users > 1.0 ? 1.0 - 1.0 / users : 0.0, first_steps = ceil(1.0 / f->room);
    f->group = 1.0;
    for (int turn = 0; turn < 6; turn++) {
        f->prompts_s = group_s(a, f->group);
        f->steps = first_steps + fmax(0.0, f->group - a->most) / f->room;
        f->stall_s = fmax(0.0, f->prompts_s - (alone ? 0.0 : f->steps * f->step_s)) / f->group;
        f->requests_per_s = f->running / (f->answer_steps * f->step_s + f->running * f->stall_s);
        const double answers = f->requests_per_s * f->look_steps * f->step_s * others;
        const double prompts = f->requests_per_s * f->prompts_s * others;
        const double again = -expm1(-prompts);
        f->group =
            fmax(f->group, (1.0 - again) * at_least_one(answers) + again * at_least_one(prompts));
    }
    const double full = fmin(f->group, a->most);
    f->first_s = (group_s(a, full) + f->prompts_s) / 2.0;
}

sp_flow sp_flow_at(const sp_loaded *l, double running, double users)
{
    const bool alone = prompts_alone(l);
    const double beside = alone ? 0.0 : running, e = sp_pool_tokens_a_step(l->pool);
    sp_flow f = {.running = running,
                 .answer_steps = fmax(1.0, (l->load->osl - 1.0) / e),
                 .step_s = sp_loaded_decode_s(l, running),
                 .look_steps = poll_of(l),
                 .room = sp_loaded_per_step(l, beside)};
    const line a = prompts_line(l, beside, f.room);
    settle(&a, alone, users, &f);
    f.busy = fmin(1.0, f.requests_per_s * f.prompts_s / f.group);
    f.filled = alone ? fmin(1.0, f.requests_per_s * a.more_s)
                     : fmin(1.0, running / f.answer_steps / f.room);
    f.tpot_s = f.step_s / e / (1.0 - f.requests_per_s * f.stall_s);
    return f;
}

/* Sequences that answer where each of their steps is full of prompts:
 *     running / answer_steps prompts a step = (step_tokens - running) / new_tokens. */
static double most_beside_prompts(const sp_loaded *l)
{
    const double steps = fmax(1.0, (l->load->osl - 1.0) / sp_pool_tokens_a_step(l->pool));
    const double width = 1.0 + l->pool->draft_tokens;
    if (prompts_alone(l)) return INFINITY;
    const double most = steps * l->pool->step_tokens / (l->new_tokens + steps * width);
    const bool whole = sp_pool_rule(l->pool, l->pool->worker->timing) == SP_SERVE_WHOLE;
    return whole ? fmax(most, steps) : most;
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
        const sp_flow at = sp_flow_at(l, fmax(n, 1e-6), MOST_RUNNING);
        if (at.requests_per_s >= rate)
            high = at;
        else
            low = at;
        if (fabs(at.requests_per_s - rate) <= 1e-4 * rate) return at;
    }
    return high;
}

/* ---- time to first token ---- */

/* A prompt that comes waits for the end of the round in progress and for what is planned already,
 * where others are there; then for those that found no room in a step; and runs with its group. */
sp_first sp_first_of(const sp_loaded *l, const sp_flow *f, double users)
{
    const sp_server_timing *timing = l->pool->worker->timing;
    const double one_s = f->prompts_s / f->steps, spare = fmax(1e-3, 1.0 - f->filled);
    const double others = -expm1(-f->running * (users > 1.0 ? 1.0 - 1.0 / users : 0.0));
    const double step_s = f->busy * one_s + (1.0 - f->busy) * f->step_s;
    const double planned_s = others * timing->ahead_steps * step_s;
    sp_first first = {.filled = f->filled, .prompt_s = f->first_s};
    first.looks_s = others * (f->busy * one_s + (1.0 - f->busy) * f->look_steps * f->step_s);
    first.queue_s =
        pow(f->filled, 1.0 + fmax(1.0, f->room)) * f->prompts_s / f->group / (2.0 * spare);
    first.mean_s =
        timing->request_s + first.looks_s / 2.0 + planned_s + first.queue_s + first.prompt_s;
    return first;
}

/* ---- loops ---- */

/* All answer until the longest of them ends; who is done sooner, or comes later, waits. */
static void serve_static(const sp_loaded *l, double running, double users, sp_flow *f,
                         sp_first *first)
{
    const sp_serve_load *load = l->load;
    const double n = fmin(running, users);
    *f = sp_flow_at(l, n, users);
    const double prompts_s = sp_loaded_prompts_s(l, n, 0.0);
    const double longest = (load->osl * (1.0 + load->length_spread) - 1.0) * f->step_s;
    f->tpot_s = f->step_s / sp_pool_tokens_a_step(l->pool);
    f->requests_per_s = n / (prompts_s + longest);
    *first = (sp_first){.prompt_s = prompts_s, .looks_s = users / n * (prompts_s + longest)};
    first->mean_s = fmax(prompts_s, users / f->requests_per_s - f->tpot_s * (load->osl - 1.0)) +
                    l->pool->worker->timing->request_s;
}

/* Who comes to a batch under way waits for its end, and then goes with all that came meanwhile; at
 * the rate of full batches some find no place in the next. */
static void serve_static_open(const sp_loaded *l, double most, double rate, sp_flow *f,
                              sp_first *first)
{
    const sp_serve_load *load = l->load;
    double n = 1.0, prompts_s = 0.0, round_s = 0.0;
    for (int turn = 0; turn < 16; turn++) {
        *f = sp_flow_at(l, n, MOST_RUNNING);
        prompts_s = sp_loaded_prompts_s(l, n, 0.0);
        const double longest = load->osl * (1.0 + load->length_spread * (n - 1.0) / (n + 1.0));
        round_s = prompts_s + (longest - 1.0) * f->step_s / sp_pool_tokens_a_step(l->pool);
        const double next = fmin(most, fmax(1.0, rate * round_s));
        if (next <= n) break;
        n = next;
    }
    const double busy = fmin(1.0, rate * round_s / n), full = fmin(1.0, rate * round_s / most);
    f->tpot_s = f->step_s / sp_pool_tokens_a_step(l->pool);
    f->requests_per_s = rate;
    *first = (sp_first){.prompt_s = prompts_s, .looks_s = busy * round_s, .filled = full};
    first->queue_s = pow(full, most) * round_s / most / (2.0 * fmax(1e-3, 1.0 - full));
    first->mean_s = l->pool->worker->timing->request_s + first->looks_s / 2.0 + first->queue_s +
                    first->prompt_s;
}

/* Where more come than may run, the rest waits for its turn: what a round takes beyond the answer.
 * Else of `users` some wait for their first token while the others answer. */
static void serve_users(const sp_loaded *l, double most, double users, sp_flow *f, sp_first *first)
{
    const double answer = l->load->osl - 1.0;
    *f = sp_flow_at(l, fmin(users, most), users);
    *first = sp_first_of(l, f, users);
    const double start_s = first->mean_s - first->queue_s;
    if (users > most + f->requests_per_s * start_s) {
        first->queue_s = 0.0;
        first->mean_s = users / f->requests_per_s - answer * f->tpot_s;
        first->turn_s = first->mean_s - start_s;
        first->ahead = users - most;
        return;
    }
    for (int round = 0; round < 2; round++) {
        const double share = answer * f->tpot_s / (answer * f->tpot_s + first->mean_s);
        *f = sp_flow_at(l, fmin(most, fmax(fmin(1.0, users), users * share)), users);
        *first = sp_first_of(l, f, users);
        const double crowd_s = users * f->prompts_s / f->group / 2.0;
        first->mean_s -= fmax(0.0, first->queue_s - crowd_s);
        first->queue_s = fmin(first->queue_s, crowd_s);
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

static void finish_rates(const sp_loaded *l, const sp_flow *f, sp_served *out)
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
    double most = sp_loaded_running(pool, load, MOST_RUNNING, &out->cache_limited);
    out->cache_limited = out->cache_limited && users > most;
    most = fmin(most, most_beside_prompts(&l));
    if (still) {
        serve_static(&l, most, fmax(1.0, users), &f, &first);
        out->most_requests_per_s = ranks * f.requests_per_s;
    } else {
        f = sp_flow_at(&l, most, MOST_RUNNING);
        out->most_requests_per_s = ranks * f.requests_per_s;
    }
    if (open && still) {
        serve_static_open(&l, most, fmin(load->rate, out->most_requests_per_s) / ranks, &f, &first);
        stretch_queue(load, &first);
    } else if (open) {
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
    finish_rates(&l, &f, out);
    if (open && load->rate >= out->most_requests_per_s) overflow(out);
}
