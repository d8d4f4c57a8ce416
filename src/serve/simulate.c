/* SPDX-License-Identifier: Apache-2.0 */
/* An engine's loop, step by step: who is admitted, which tokens go together, when a request ends.
 * Steps in which nothing changes but the length of the answers are taken together. Ranks of a
 * worker are alike, so one of them stands for all. */
#include "base/base.h"
#include "serve/serve_priv.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

/* A request on its way. */
typedef struct request {
    double arrived_s, first_s;
    double isl, osl;
    double done;  /* tokens of its prompt that are in the cache */
    double told;  /* tokens of its answer                       */
    bool running; /* its prompt is done */
} request;

typedef struct sim {
    const sp_pool *pool;
    const sp_serve_load *load;
    const sp_server_timing *timing;
    double now_s;
    uint64_t random;
    uint32_t n_users; /* open loop: 0 */
    double next_arrival_s, gap_s;
    uint64_t n_wanted, n_sent, n_finished;
    uint32_t n_queue, queue_first, capacity;
    request *queue; /* a ring */
    uint32_t n_active;
    request *active; /* admitted, oldest first */
    double *ttft, *tpot, *e2e;
    sp_simulated *out;
} sim;

/* ---- chance ---- */

/* xorshift64*, Vigna, ACM TOMS 42(4), 2016. */
static double chance(sim *s)
{
    s->random ^= s->random >> 12;
    s->random ^= s->random << 25;
    s->random ^= s->random >> 27;
    return (double)((s->random * UINT64_C(2685821657736338717)) >> 11) * 0x1p-53;
}

static double length_of(sim *s, double mean)
{
    const double spread = s->load->length_spread;
    const double drawn = mean * (1.0 + spread * (2.0 * chance(s) - 1.0));
    return drawn < 1.0 ? 1.0 : round(drawn);
}

/* Gaps with the asked variance: an exponential one, or for less even arrivals mixtures of two
 * (Whitt, Operations Research 30(1), 1982), for more even ones a constant part. */
static double gap_of(sim *s)
{
    const double mean = s->gap_s, c2 = s->load->burstiness;
    const double exponential = -log(1.0 - chance(s));
    if (c2 <= 1.0) return mean * (1.0 - sqrt(c2) + sqrt(c2) * exponential);
    const double p = 0.5 * (1.0 + sqrt((c2 - 1.0) / (c2 + 1.0)));
    const bool often = chance(s) < p;
    return mean * exponential / (2.0 * (often ? p : 1.0 - p));
}

/* ---- arrivals ---- */

static void enqueue(sim *s, double at_s)
{
    if (s->n_sent == s->n_wanted) return;
    assert(s->n_queue < s->capacity);
    s->queue[(s->queue_first + s->n_queue++) % s->capacity] = (request){
        .arrived_s = at_s, .isl = length_of(s, s->load->isl), .osl = length_of(s, s->load->osl)};
    s->n_sent++;
}

static void take_arrivals(sim *s)
{
    while (s->n_users == 0 && s->n_sent < s->n_wanted && s->next_arrival_s <= s->now_s &&
           s->n_queue < s->capacity) {
        enqueue(s, s->next_arrival_s);
        s->next_arrival_s += gap_of(s);
    }
}

/* ---- admission ---- */

static double cache_of(const request *r)
{
    return r->done + r->told;
}

/* Room is kept for whole answers: what an engine without preemption must do, and others nearly do
 * once their cache is full. */
static bool has_room(const sim *s, const request *r)
{
    if (s->pool->cache_tokens <= 0.0 || s->n_active == 0) return true;
    double held = r->isl + r->osl;
    for (uint32_t i = 0; i < s->n_active; i++) {
        held += s->active[i].isl + s->active[i].osl;
    }
    return held <= s->pool->cache_tokens;
}

static void admit(sim *s)
{
    const double most = s->pool->batch > 0.0 ? s->pool->batch : (double)s->capacity;
    const bool closed = s->timing->rule == SP_SERVE_STATIC && s->n_active > 0;
    while (s->n_queue > 0 && !closed && s->n_active < most && s->n_active < s->capacity) {
        request *next = &s->queue[s->queue_first];
        if (!has_room(s, next)) return;
        next->done = floor(s->load->prefix_hit_ratio * next->isl);
        s->active[s->n_active++] = *next;
        s->queue_first = (s->queue_first + 1) % s->capacity;
        s->n_queue--;
    }
}

/* ---- one step ---- */

static double left_of(const request *r)
{
    return r->isl - r->done;
}

/* Engines that take whole prompts are set up so that one always fits beside the answers. */
static double chunk_of(const sim *s, const request *r, double budget, bool first)
{
    const double left = left_of(r);
    const bool whole = s->timing->rule == SP_SERVE_WHOLE || s->timing->rule == SP_SERVE_STATIC;
    if (left <= budget || (whole && first)) return left;
    return whole ? 0.0 : budget;
}

static void add_answers(const sim *s, sp_serve_batch *b)
{
    double context = 0.0;
    for (uint32_t i = 0; i < s->n_active; i++) {
        const request *r = &s->active[i];
        if (!r->running) continue;
        b->decodes += 1.0;
        context += cache_of(r);
    }
    b->emitted += b->decodes;
    b->context = b->decodes > 0.0 ? context / b->decodes : 0.0;
}

/* Chunks in the order of admission, until the step is full; fills chunk[i] for active i. */
static double add_prompts(const sim *s, double budget, double *chunk, sp_serve_batch *b)
{
    double tokens = 0.0, past = 0.0;
    for (uint32_t i = 0; i < s->n_active; i++) {
        const request *r = &s->active[i];
        chunk[i] = 0.0;
        if (r->running || budget - tokens < 1.0) continue;
        chunk[i] = chunk_of(s, r, budget - tokens, tokens <= 0.0);
        if (chunk[i] <= 0.0) continue;
        b->prompts += 1.0;
        tokens += chunk[i];
        past += r->done;
        b->emitted += chunk[i] >= left_of(r) ? 1.0 : 0.0;
    }
    if (b->prompts > 0.0) {
        b->prompt_tokens = tokens / b->prompts;
        b->prompt_past = past / b->prompts;
    }
    return tokens;
}

static sp_serve_batch plan_step(const sim *s, double *chunk)
{
    sp_serve_batch b = {0};
    const bool prompts_alone = s->timing->rule == SP_SERVE_PROMPTS_FIRST;
    double n_running = 0.0;
    for (uint32_t i = 0; i < s->n_active; i++) {
        n_running += s->active[i].running;
    }
    const double budget = s->pool->step_tokens - (prompts_alone ? 0.0 : n_running);
    const double tokens = add_prompts(s, budget > 1.0 ? budget : 1.0, chunk, &b);
    if (tokens <= 0.0 || !prompts_alone) add_answers(s, &b);
    return b;
}

static void finish(sim *s, uint32_t idx)
{
    const request r = s->active[idx];
    const uint64_t n = s->n_finished++;
    s->ttft[n] = r.first_s - r.arrived_s + s->timing->request_s;
    s->tpot[n] = r.osl > 1.0 ? (s->now_s - r.first_s) / (r.osl - 1.0) : 0.0;
    s->e2e[n] = s->now_s - r.arrived_s + s->timing->request_s;
    for (uint32_t i = idx; i + 1 < s->n_active; i++) {
        s->active[i] = s->active[i + 1];
    }
    s->n_active--;
    if (s->n_users > 0) enqueue(s, s->now_s);
}

/* Steps that may be taken at once: until an answer ends, and in an open loop until a request comes
 * that could be admitted. */
static double steps_alike(const sim *s, const sp_serve_batch *b, double step_s)
{
    if (b->prompts > 0.0 || b->decodes <= 0.0) return 1.0;
    double least = INFINITY;
    for (uint32_t i = 0; i < s->n_active; i++) {
        const double left = s->active[i].osl - s->active[i].told;
        least = s->active[i].running && left < least ? left : least;
    }
    if (s->n_users == 0 && s->n_sent < s->n_wanted) {
        const double until = ceil((s->next_arrival_s - s->now_s) / step_s);
        least = until < least ? until : least;
    }
    return least > 1.0 ? least : 1.0;
}

static void advance(sim *s, const sp_serve_batch *b, const double *chunk, double steps)
{
    for (uint32_t i = s->n_active; i-- > 0;) {
        request *r = &s->active[i];
        if (r->running) {
            r->told += b->decodes > 0.0 ? steps : 0.0;
        } else if (chunk[i] > 0.0) {
            r->done += chunk[i];
            if (left_of(r) > 0.0) continue;
            r->running = true;
            r->told = 1.0;
            r->first_s = s->now_s;
        }
        if (r->running && r->told >= r->osl) finish(s, i);
    }
}

static void step(sim *s, double *chunk)
{
    sp_serve_step_time t;
    const sp_serve_batch b = plan_step(s, chunk);
    if (b.prompts <= 0.0 && b.decodes <= 0.0) {
        s->now_s = s->now_s > s->next_arrival_s ? s->now_s : s->next_arrival_s;
        return;
    }
    sp_serve_step(s->pool->worker, &b, &t);
    const double steps = steps_alike(s, &b, t.step_s);
    if (steps > 1.0) {
        sp_serve_batch middle = b;
        middle.context += (steps - 1.0) / 2.0;
        sp_serve_step(s->pool->worker, &middle, &t);
    }
    s->now_s += steps * t.step_s;
    s->out->steps += (uint64_t)steps;
    advance(s, &b, chunk, steps);
}

/* ---- the run ---- */

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double quantile(const double *sorted, uint64_t n, double q)
{
    const double at = q * (double)(n - 1);
    const uint64_t below = (uint64_t)at, above = below + 1 < n ? below + 1 : below;
    return sorted[below] + (at - (double)below) * (sorted[above] - sorted[below]);
}

static sp_tail tail_of(double *values, uint64_t n)
{
    double sum = 0.0;
    qsort(values, n, sizeof *values, ascending);
    for (uint64_t i = 0; i < n; i++) {
        sum += values[i];
    }
    return (sp_tail){.mean = sum / (double)n,
                     .p50 = quantile(values, n, 0.5),
                     .p90 = quantile(values, n, 0.9),
                     .p95 = quantile(values, n, 0.95),
                     .p99 = quantile(values, n, 0.99)};
}

static void run(sim *s, double *chunk)
{
    for (uint32_t i = 0; i < s->n_users; i++) {
        enqueue(s, 0.0);
    }
    while (s->n_finished < s->n_wanted) {
        take_arrivals(s);
        admit(s);
        step(s, chunk);
    }
}

static void fill(sim *s, double ranks)
{
    sp_simulated *out = s->out;
    const double gpus = (double)s->pool->workers * sp_worker_gpus(s->pool->worker);
    out->requests = s->n_finished;
    out->requests_per_s = ranks * (double)s->n_finished / s->now_s;
    out->tokens_per_s = out->requests_per_s * s->load->osl;
    out->tokens_per_s_per_gpu = out->tokens_per_s / gpus;
    out->ttft_s = tail_of(s->ttft, s->n_finished);
    out->tpot_s = tail_of(s->tpot, s->n_finished);
    out->e2e_s = tail_of(s->e2e, s->n_finished);
}

sp_status sp_serve_simulate(struct sp_arena *arena, const sp_pool *pool, const sp_serve_load *load,
                            uint64_t requests, uint64_t seed, sp_simulated *out, sp_error *err)
{
    const double ranks = (double)pool->workers * pool->worker->layout.attn_dp;
    const bool open = load->rate > 0.0;
    const double share = ceil(load->concurrency / ranks);
    sim s = {.pool = pool,
             .load = load,
             .timing = pool->worker->timing,
             .random = seed * UINT64_C(2) + 1,
             .n_users = open ? 0 : (uint32_t)(share > 1.0 ? share : 1.0),
             .gap_s = open ? ranks / load->rate : 0.0,
             .n_wanted = requests,
             .out = out};
    *out = (sp_simulated){0};
    if (s.n_wanted == 0) {
        const double each = load->requests_per_user > 0.0 ? load->requests_per_user : 10.0;
        s.n_wanted = (uint64_t)ceil(each * (open ? 100.0 : (double)s.n_users));
    }
    s.capacity = open ? (uint32_t)(s.n_wanted < 65536 ? s.n_wanted : 65536) : s.n_users;
    s.queue = sp_arena_alloc(arena, s.capacity * sizeof *s.queue);
    s.active = sp_arena_alloc(arena, s.capacity * sizeof *s.active);
    double *chunk = sp_arena_alloc(arena, s.capacity * sizeof *chunk);
    s.ttft = sp_arena_alloc(arena, s.n_wanted * sizeof *s.ttft);
    s.tpot = sp_arena_alloc(arena, s.n_wanted * sizeof *s.tpot);
    s.e2e = sp_arena_alloc(arena, s.n_wanted * sizeof *s.e2e);
    if (s.queue == NULL || s.active == NULL || chunk == NULL || s.ttft == NULL || s.tpot == NULL ||
        s.e2e == NULL) {
        return sp_fail(err, SP_E_MEMORY, "no memory for a simulated run");
    }
    run(&s, chunk);
    fill(&s, ranks);
    return SP_OK;
}
