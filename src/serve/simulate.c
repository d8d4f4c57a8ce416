/* SPDX-License-Identifier: Apache-2.0 */
/* An engine's loop, step by step, under users who follow each other or arrive at a rate. Steps in
 * which nothing changes but the length of the answers are taken together. Ranks of a worker are
 * alike, so one of them stands for all. */
#include "base/base.h"
#include "serve/serve_priv.h"
#include "serve/sim.h"

#include <assert.h>
#include <math.h>

/* ---- arrivals ---- */

static double even_length(sp_sim *s, double mean)
{
    const double spread = s->up->load->length_spread;
    const double drawn = mean * (1.0 + spread * (2.0 * sp_chance_even(&s->chance) - 1.0));
    return drawn < 1.0 ? 1.0 : round(drawn);
}

/* A request of the trace where there is one, repeated; else lengths are drawn. */
static void draw(sp_sim *s, sp_sim_request *r)
{
    const sp_serve_load *load = s->up->load;
    if (load->n_requests > 0) {
        const sp_serve_request *given = &load->requests[s->n_sent % load->n_requests];
        r->isl = fmax(1.0, round(given->isl));
        r->osl = fmax(1.0, round(given->osl));
        return;
    }
    r->isl = even_length(s, load->isl);
    r->osl = even_length(s, load->osl);
}

/* Half of what a request takes outside the engine lies before it. */
static void send(sp_sim *s, uint32_t slot, double at_s)
{
    if (s->n_sent == s->n_wanted) return;
    s->slots[slot] = (sp_sim_request){.sent_s = at_s};
    draw(s, &s->slots[slot]);
    sp_sim_push(&s->coming, slot);
    s->n_sent++;
}

static double arrives_s(const sp_sim *s, uint32_t slot)
{
    return s->slots[slot].sent_s + s->up->timing->request_s / 2.0;
}

static double following_s(sp_sim *s)
{
    const sp_serve_load *load = s->up->load;
    if (load->rate <= 0.0 && s->n_sent < load->n_requests) {
        return load->requests[s->n_sent].arrival_s;
    }
    return s->next_s + s->gap_s * sp_chance_gamma(&s->chance, load->burstiness);
}

static void take_arrivals(sp_sim *s)
{
    while (s->n_users == 0 && s->n_sent < s->n_wanted && s->next_s <= s->now_s) {
        send(s, (uint32_t)s->n_sent, s->next_s);
        if (s->n_sent < s->n_wanted) s->next_s = following_s(s);
    }
    while (s->coming.n > 0 && arrives_s(s, sp_sim_at(&s->coming, 0)) <= s->now_s) {
        const uint32_t idx = sp_sim_at(&s->coming, 0);
        s->area_s += s->now_s - arrives_s(s, idx);
        sp_sim_push(&s->waiting, idx);
        sp_sim_pop(&s->coming);
    }
}

/* When somebody comes next; infinity: nobody. */
static double next_arrival_s(const sp_sim *s)
{
    double at_s = INFINITY;
    if (s->coming.n > 0) at_s = arrives_s(s, sp_sim_at(&s->coming, 0));
    if (s->n_users == 0 && s->n_sent < s->n_wanted) {
        at_s = fmin(at_s, s->next_s + s->up->timing->request_s / 2.0);
    }
    return at_s;
}

/* ---- one step ---- */

static void begin_measuring(sp_sim *s)
{
    s->began_s = s->n_skipped > 0 ? s->now_s : 0.0;
    s->tokens = 0.0;
    s->itl = s->n_skipped > 0 ? (sp_tally){0} : s->itl;
}

static void finish(sp_sim *s, uint32_t idx)
{
    const sp_sim_request *r = &s->slots[idx];
    const double request_s = s->up->timing->request_s;
    sp_sim_leave(s, idx);
    if (s->n_over == s->n_skipped) begin_measuring(s);
    if (s->n_over++ >= s->n_skipped) {
        const uint64_t n = s->n_over - s->n_skipped - 1;
        s->ttft[n] = r->first_s - r->sent_s + request_s / 2.0;
        s->tpot[n] = r->osl > 1.0 ? (s->now_s - r->first_s) / (r->osl - 1.0) : 0.0;
        s->e2e[n] = s->now_s - r->sent_s + request_s / 2.0;
    }
    s->tokens += r->osl;
    if (s->n_users > 0) send(s, idx, s->now_s + request_s / 2.0);
}

/* Gaps between tokens: of those who spoke in the step before from its end, of those who began since
 * from their first token. */
static void tell(sp_sim *s, double steps, double step_s)
{
    const double first_s = s->now_s - (steps - 1.0) * step_s;
    double n_before = s->n_answering;
    for (uint32_t i = 0; i < s->n_fresh; i++) {
        sp_sim_request *r = &s->slots[s->fresh[i]];
        r->is_fresh = false;
        if (!r->answers || r->since != s->answer_steps) continue;
        sp_tally_add(&s->itl, first_s - r->last_s, 1.0);
        n_before -= 1.0;
    }
    s->n_fresh = 0;
    if (n_before > 0.0) sp_tally_add(&s->itl, first_s - s->heard_s, n_before);
    if (steps > 1.0) sp_tally_add(&s->itl, step_s, (steps - 1.0) * s->n_answering);
    s->heard_s = s->now_s;
}

static void advance_answers(sp_sim *s, double steps, double step_s)
{
    const double told = steps * s->tokens_a_step * s->n_answering;
    tell(s, steps, step_s);
    s->answer_steps += (uint64_t)steps;
    s->context += told;
    s->held += told;
    s->rest -= told;
    sp_sim_list *bucket = &s->buckets[s->answer_steps % s->n_buckets];
    while (bucket->first != SP_NOBODY) {
        finish(s, bucket->first);
    }
}

/* Once, though it may have gone back and begun again before a step of answers. */
static void add_fresh(sp_sim *s, uint32_t idx)
{
    if (!s->slots[idx].is_fresh) s->fresh[s->n_fresh++] = idx;
    s->slots[idx].is_fresh = true;
}

/* Prompts that are through answer with their first token. */
static void advance_prompts(sp_sim *s, const sp_serve_batch *b)
{
    for (uint32_t i = 0; i < (uint32_t)b->prompts; i++) {
        s->slots[sp_sim_at(&s->filling, i)].done += s->chunk[i];
    }
    s->look = true;
    while (s->filling.n > 0) {
        const uint32_t idx = sp_sim_at(&s->filling, 0);
        sp_sim_request *r = &s->slots[idx];
        if (r->done < r->need) return;
        sp_sim_pop(&s->filling);
        if (r->told > 0.0) {
            sp_tally_add(&s->itl, s->now_s - r->last_s, 1.0);
        } else {
            r->first_s = s->now_s;
        }
        r->last_s = s->now_s;
        sp_sim_start_answer(s, idx);
        if (r->told >= r->osl) {
            finish(s, idx);
        } else {
            add_fresh(s, idx);
        }
    }
}

/* The same by a look at everyone. */
static double steps_of_all(const sp_sim *s)
{
    uint64_t least = s->n_buckets;
    for (uint32_t i = s->order.first; i != SP_NOBODY; i = s->slots[i].link[SP_SIM_ORDER].next) {
        const sp_sim_request *r = &s->slots[i];
        if (r->answers && r->last_step - s->answer_steps < least) {
            least = r->last_step - s->answer_steps;
        }
    }
    return (double)least;
}

/* Steps of answers until one of them ends: few answers are looked through, of many one soon ends.
 */
static double steps_to_end(const sp_sim *s)
{
    uint32_t steps = 1;
    while (steps < s->n_buckets && steps <= s->n_admitted &&
           s->buckets[(s->answer_steps + steps) % s->n_buckets].first == SP_NOBODY) {
        steps++;
    }
    return steps <= s->n_admitted ? steps : steps_of_all(s);
}

/* Steps that may be taken at once: until an answer ends, the cache is full, or somebody comes who
 * could be admitted. */
static double steps_alike(const sp_sim *s, const sp_serve_batch *b, double step_s)
{
    if (b->prompts > 0.0) return 1.0;
    double steps = steps_to_end(s);
    if (s->up->pool->cache_tokens > 0.0) {
        const double room = s->up->pool->cache_tokens - s->held;
        steps = fmin(steps, floor(room / (s->n_answering * s->tokens_a_step)));
    }
    if (s->up->pool->batch > 0.0 && s->n_admitted >= s->up->pool->batch) return fmax(1.0, steps);
    const bool unseen = s->waiting.n > s->n_received;
    const double until_s = unseen ? s->now_s : next_arrival_s(s);
    const double look = sp_sim_poll(s) - (double)(s->answer_steps - s->looked_at);
    return fmax(1.0, fmin(steps, fmax(look, ceil((until_s - s->now_s) / step_s))));
}

static double price(const sp_sim *s, const sp_serve_batch *b)
{
    const double drafts_s = s->up->pool->draft_tokens * s->up->pool->draft_ratio;
    const double step_s = s->up->clock.step_s(s->up->clock.of, b);
    return b->decodes > 0.0 ? step_s * (1.0 + drafts_s) : step_s;
}

static void pass(sp_sim *s, double dt_s)
{
    s->area_s += dt_s * (s->waiting.n + s->n_admitted);
    s->now_s += dt_s;
}

static void step(sp_sim *s)
{
    const sp_serve_batch b = sp_sim_plan(s);
    if (b.prompts <= 0.0 && b.decodes <= 0.0) {
        assert(s->waiting.n == 0 && isfinite(next_arrival_s(s)));
        pass(s, fmax(0.0, next_arrival_s(s) - s->now_s));
        return;
    }
    double step_s = price(s, &b);
    const double steps = steps_alike(s, &b, step_s);
    if (steps > 1.0) {
        sp_serve_batch middle = b;
        middle.context +=
            (steps - 1.0) / 2.0 * s->tokens_a_step / (1.0 + s->up->pool->draft_tokens);
        step_s = price(s, &middle);
    }
    pass(s, steps * step_s);
    s->n_steps += (uint64_t)steps;
    if (b.decodes > 0.0) advance_answers(s, steps, step_s);
    if (b.prompts > 0.0) advance_prompts(s, &b);
}

/* ---- the run ---- */

static void run(sp_sim *s)
{
    for (uint32_t i = 0; i < s->n_users; i++) {
        send(s, i, 0.0);
    }
    if (s->n_users == 0) s->next_s = following_s(s);
    while (s->n_over < s->n_wanted) {
        take_arrivals(s);
        const uint64_t sent_back = s->n_preempted;
        sp_sim_make_room(s);
        if (s->n_preempted == sent_back) sp_sim_admit(s);
        s->n_known = s->waiting.n;
        step(s);
    }
}

static void report(const sp_sim *s, sp_simulated *out)
{
    const uint64_t n = s->n_over - s->n_skipped;
    const double run_s = s->now_s - s->began_s;
    out->requests = n;
    out->steps = s->n_steps;
    out->preempted = s->n_preempted;
    out->in_flight = s->up->ranks * s->area_s / s->now_s;
    out->requests_per_s = s->up->ranks * (double)n / run_s;
    out->tokens_per_s = s->up->ranks * s->tokens / run_s;
    out->tokens_per_s_per_gpu = out->tokens_per_s / s->up->gpus;
    out->ttft_s = sp_tail_of(s->ttft, n);
    out->tpot_s = sp_tail_of(s->tpot, n);
    out->e2e_s = sp_tail_of(s->e2e, n);
    out->itl_s = sp_tally_tail(&s->itl);
}

static double longest_answer(const sp_serve_load *load)
{
    double longest = load->osl * (1.0 + load->length_spread);
    for (uint32_t i = 0; i < load->n_requests; i++) {
        longest = fmax(longest, load->requests[i].osl);
    }
    return longest;
}

static bool ring_make(struct sp_arena *arena, uint32_t capacity, sp_sim_ring *ring)
{
    *ring = (sp_sim_ring){.capacity = capacity};
    ring->of = sp_arena_alloc(arena, capacity * sizeof *ring->of);
    return ring->of != NULL;
}

static bool allocate(struct sp_arena *arena, sp_sim *s)
{
    const uint64_t n = s->n_wanted - s->n_skipped;
    s->n_buckets = (uint32_t)ceil(longest_answer(s->up->load)) + 2;
    s->slots = sp_arena_alloc(arena, s->n_slots * sizeof *s->slots);
    s->buckets = sp_arena_alloc(arena, s->n_buckets * sizeof *s->buckets);
    s->chunk = sp_arena_alloc(arena, s->n_slots * sizeof *s->chunk);
    s->fresh = sp_arena_alloc(arena, s->n_slots * sizeof *s->fresh);
    s->ttft = sp_arena_alloc(arena, n * sizeof *s->ttft);
    s->tpot = sp_arena_alloc(arena, n * sizeof *s->tpot);
    s->e2e = sp_arena_alloc(arena, n * sizeof *s->e2e);
    if (s->slots == NULL || s->buckets == NULL || s->chunk == NULL || s->fresh == NULL ||
        s->ttft == NULL || s->tpot == NULL || s->e2e == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < s->n_buckets; i++) {
        s->buckets[i] = (sp_sim_list){SP_NOBODY, SP_NOBODY};
    }
    return ring_make(arena, s->n_slots, &s->coming) && ring_make(arena, s->n_slots, &s->waiting) &&
           ring_make(arena, s->n_slots, &s->filling);
}

/* Users of this rank; the runs of those long under way leave their first three requests out. */
static void size_run(const sp_sim_setup *up, sp_sim *s)
{
    const sp_serve_load *load = up->load;
    const bool open = load->rate > 0.0 || (load->n_requests > 0 && load->concurrency <= 0.0);
    const double users = open ? 0.0 : fmax(1.0, ceil(load->concurrency / up->ranks));
    const double each = load->requests_per_user > 0.0 ? load->requests_per_user : 10.0;
    s->n_users = (uint32_t)users;
    s->gap_s = load->rate > 0.0 ? up->ranks / load->rate : 0.0;
    s->n_skipped = !open && load->requests_per_user <= 0.0 ? (uint64_t)(3.0 * users) : 0;
    s->n_wanted = up->requests > 0 ? up->requests : (uint64_t)ceil(each * (open ? 100.0 : users));
    s->n_wanted += s->n_skipped;
    s->n_slots = open ? (uint32_t)s->n_wanted : s->n_users;
}

sp_status sp_sim_run(struct sp_arena *arena, const sp_sim_setup *setup, sp_simulated *out,
                     sp_error *err)
{
    sp_sim *s = sp_arena_alloc(arena, sizeof *s);
    *out = (sp_simulated){0};
    if (s == NULL) return sp_fail(err, SP_E_MEMORY, "no memory for a simulated run");
    *s = (sp_sim){
        .up = setup,
        .chance = sp_chance_make(setup->seed),
        .prefix = setup->load->prefix_hit_ratio,
        .order = {SP_NOBODY, SP_NOBODY},
        .tokens_a_step = sp_pool_tokens_a_step(setup->pool)
    };
    size_run(setup, s);
    if (!allocate(arena, s)) return sp_fail(err, SP_E_MEMORY, "no memory for a simulated run");
    run(s);
    report(s, out);
    return SP_OK;
}

static double pool_step_s(const void *of, const sp_serve_batch *batch)
{
    sp_serve_step_time t;
    sp_pool_step(of, batch, &t);
    return t.step_s;
}

sp_status sp_serve_simulate(struct sp_arena *arena, const sp_pool *pool, const sp_serve_load *load,
                            uint64_t requests, uint64_t seed, sp_simulated *out, sp_error *err)
{
    const sp_worker *worker = pool->worker;
    const sp_sim_setup setup = {
        .clock = {pool_step_s, pool},
        .pool = pool,
        .load = load,
        .timing = worker->timing,
        .ranks = (double)pool->workers * worker->layout.attn_dp,
        .gpus = (double)pool->workers * sp_worker_gpus(worker),
        .requests = requests,
        .seed = seed
    };
    return sp_sim_run(arena, &setup, out, err);
}
