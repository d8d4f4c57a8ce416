/* SPDX-License-Identifier: Apache-2.0 */
/* A run of two pools, event by event: a request is sent, a step of prompts ends, a cache arrives,
 * an answer ends. Between events nothing is computed: answers move on at the step that their number
 * takes. */
#include "base/base.h"
#include "serve/sim_pools.h"

#include <math.h>

/* A request that is sent, or whose cache arrives. */
typedef struct event {
    double at_s;
    uint64_t order; /* first come, first served */
    uint32_t request;
    bool cache;
} event;

typedef struct run {
    sp_pools pools;
    const sp_serve_load *load;
    sp_chance chance;
    double now_s, began_s, gap_s, request_s, base_s, s_per_token;
    bool open;
    uint64_t n_wanted, n_skipped, n_sent, n_over, n_events;
    uint32_t n_slots, n_heap, *done;
    sp_prefill_worker *prefill; /* whose step ends next   */
    sp_decode_worker *decode;   /* whose answer ends next */
    event *heap;
    double *ttft, *tpot, *e2e;
} run;

/* ---- events ---- */

static bool before(const event *a, const event *b)
{
    return a->at_s < b->at_s || (a->at_s == b->at_s && a->order < b->order);
}

static void add_event(run *r, double at_s, uint32_t request, bool cache)
{
    uint32_t at = r->n_heap++;
    const event added = {at_s, r->n_events++, request, cache};
    while (at > 0 && before(&added, &r->heap[(at - 1) / 2])) {
        r->heap[at] = r->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    r->heap[at] = added;
}

static event take_event(run *r)
{
    const event first = r->heap[0], last = r->heap[--r->n_heap];
    uint32_t at = 0;
    for (;;) {
        uint32_t below = 2 * at + 1;
        if (below >= r->n_heap) break;
        if (below + 1 < r->n_heap && before(&r->heap[below + 1], &r->heap[below])) below++;
        if (!before(&r->heap[below], &last)) break;
        r->heap[at] = r->heap[below];
        at = below;
    }
    r->heap[at] = last;
    return first;
}

/* ---- requests ---- */

static double length_of(run *r, double mean)
{
    const double spread = r->load->length_spread;
    return fmax(1.0, round(mean * (1.0 + spread * (2.0 * sp_chance_even(&r->chance) - 1.0))));
}

static void send_next(run *r, uint32_t slot, double at_s)
{
    if (r->n_sent == r->n_wanted) return;
    const double isl = length_of(r, r->load->isl), osl = length_of(r, r->load->osl);
    const double hit = floor(r->load->prefix_hit_ratio * isl);
    r->n_sent++;
    r->pools.requests[slot] =
        (sp_pools_request){.sent_s = at_s, .isl = isl, .osl = osl, .left = fmax(1.0, isl - hit)};
    add_event(r, at_s + r->request_s, slot, false);
}

static void end_request(run *r, uint32_t slot, double at_s)
{
    const sp_pools_request *q = &r->pools.requests[slot];
    if (r->n_over++ >= r->n_skipped) {
        const uint64_t n = r->n_over - r->n_skipped - 1;
        r->ttft[n] = q->first_s - q->sent_s;
        r->tpot[n] = q->osl > 1.0 ? (at_s - q->first_s) / (q->osl - 1.0) : 0.0;
        r->e2e[n] = at_s - q->sent_s;
    } else {
        r->began_s = at_s;
    }
    if (!r->open) send_next(r, slot, at_s);
}

static void end_step(run *r, sp_prefill_worker *worker)
{
    const double at_s = worker->done_s + worker->rest_s;
    const uint32_t n = sp_pools_end_step(&r->pools, worker, r->done);
    for (uint32_t i = 0; i < n; i++) {
        const double tokens = r->pools.requests[r->done[i]].isl;
        add_event(r, at_s + r->base_s + tokens * r->s_per_token, r->done[i], true);
    }
}

/* An event changes workers of one pool, so that only these are looked through again. */
static void find_prefill(run *r)
{
    const sp_pools *p = &r->pools;
    r->prefill = &p->prefill[0];
    for (uint32_t i = 1; i < p->n_prefill; i++) {
        if (p->prefill[i].done_s < r->prefill->done_s) r->prefill = &p->prefill[i];
    }
}

static void find_decode(run *r)
{
    const sp_pools *p = &r->pools;
    r->decode = &p->decode[0];
    for (uint32_t i = 1; i < p->n_decode; i++) {
        if (p->decode[i].answer_s < r->decode->answer_s) r->decode = &p->decode[i];
    }
}

/* A request at its prefill worker, or its cache at its decode worker. */
static void take_sent(run *r)
{
    const event e = take_event(r);
    r->now_s = e.at_s;
    if (e.cache) {
        sp_pools_receive(&r->pools, e.request, e.at_s);
        find_decode(r);
    } else {
        sp_pools_send(&r->pools, e.request, e.at_s);
        find_prefill(r);
    }
}

static void take_next(run *r)
{
    const double answer_s = r->decode->answer_s, step_s = r->prefill->done_s;
    const double event_s = r->n_heap > 0 ? r->heap[0].at_s : (double)INFINITY;
    if (answer_s <= event_s && answer_s <= step_s) {
        r->now_s = answer_s;
        end_request(r, sp_pools_end_answer(&r->pools, r->decode), answer_s);
        find_decode(r);
    } else if (event_s <= step_s) {
        take_sent(r);
    } else {
        r->now_s = step_s;
        end_step(r, r->prefill);
        find_prefill(r);
    }
}

/* ---- the run ---- */

static void start(run *r)
{
    double at_s = 0.0;
    for (uint32_t i = 0; i < r->n_slots; i++) {
        send_next(r, i, at_s);
        at_s += r->open ? r->gap_s * sp_chance_gamma(&r->chance, r->load->burstiness) : 0.0;
    }
    find_prefill(r);
    find_decode(r);
    while (r->n_over < r->n_wanted) {
        take_next(r);
    }
}

static sp_status no_memory(sp_error *err)
{
    return sp_fail(err, SP_E_MEMORY, "no memory for a run of two pools");
}

static sp_status make_workers(struct sp_arena *arena, run *r, sp_error *err)
{
    sp_pools *p = &r->pools;
    p->prefill = sp_arena_alloc(arena, p->n_prefill * sizeof *p->prefill);
    p->decode = sp_arena_alloc(arena, p->n_decode * sizeof *p->decode);
    p->steps = sp_arena_alloc(arena, SP_POOLS_STEPS * sizeof *p->steps);
    if (p->prefill == NULL || p->decode == NULL || p->steps == NULL) return no_memory(err);
    for (uint32_t i = 0; i < p->n_prefill; i++) {
        p->prefill[i] =
            (sp_prefill_worker){.of_rank = sp_arena_alloc(arena, p->ranks * sizeof(sp_pools_queue)),
                                .done_s = (double)INFINITY};
        if (p->prefill[i].of_rank == NULL) return no_memory(err);
        for (uint32_t k = 0; k < p->ranks; k++) {
            p->prefill[i].of_rank[k] = (sp_pools_queue){0};
        }
    }
    for (uint32_t i = 0; i < p->n_decode; i++) {
        p->decode[i] =
            (sp_decode_worker){.heap = sp_arena_alloc(arena, r->n_slots * sizeof(uint32_t)),
                               .answer_s = (double)INFINITY};
        if (p->decode[i].heap == NULL) return no_memory(err);
    }
    return SP_OK;
}

static sp_status make_room(struct sp_arena *arena, run *r, sp_error *err)
{
    r->pools.requests = sp_arena_alloc(arena, r->n_slots * sizeof *r->pools.requests);
    r->heap = sp_arena_alloc(arena, r->n_slots * sizeof *r->heap);
    r->done = sp_arena_alloc(arena, r->n_slots * sizeof *r->done);
    const uint64_t n = r->n_wanted - r->n_skipped;
    r->ttft = sp_arena_alloc(arena, n * sizeof *r->ttft);
    r->tpot = sp_arena_alloc(arena, n * sizeof *r->tpot);
    r->e2e = sp_arena_alloc(arena, n * sizeof *r->e2e);
    const bool made = r->pools.requests != NULL && r->heap != NULL && r->done != NULL &&
                      r->ttft != NULL && r->tpot != NULL && r->e2e != NULL;
    return made ? make_workers(arena, r, err) : no_memory(err);
}

static void fill(run *r, double gpus, sp_simulated *out)
{
    const uint64_t n = r->n_over - r->n_skipped;
    *out = (sp_simulated){.requests = n, .requests_per_s = (double)n / (r->now_s - r->began_s)};
    out->tokens_per_s = out->requests_per_s * r->load->osl;
    out->tokens_per_s_per_gpu = out->tokens_per_s / gpus;
    out->ttft_s = sp_tail_of(r->ttft, n);
    out->tpot_s = sp_tail_of(r->tpot, n);
    out->e2e_s = sp_tail_of(r->e2e, n);
    out->in_flight = out->requests_per_s * out->e2e_s.mean;
}

sp_status sp_serve_simulate_apart(struct sp_arena *arena, const sp_pool *prefill,
                                  const sp_pool *decode, const sp_serve_load *load,
                                  const sp_kv_link *link, uint64_t requests, uint64_t seed,
                                  sp_simulated *out, sp_error *err)
{
    const sp_server_timing *timing = prefill->worker->timing;
    const double dp = decode->worker->layout.attn_dp;
    const bool open = load->rate > 0.0;
    const double users = fmax(1.0, load->concurrency);
    const double each = load->requests_per_user > 0.0 ? load->requests_per_user : 10.0;
    run r = {.load = load, .chance = sp_chance_make(seed), .open = open};
    sp_prefill_side side;
    sp_prefill_side_make(prefill, load, &side);
    r.pools = (sp_pools){.prefill_pool = prefill,
                         .decode_pool = decode,
                         .load = load,
                         .places = decode->batch * dp,
                         .room = decode->cache_tokens * dp,
                         .ranks = prefill->worker->layout.attn_dp,
                         .n_prefill = prefill->workers,
                         .n_decode = decode->workers};
    sp_decode_side_make(decode, load, sp_pools_most(decode, load), &r.pools.side);
    r.gap_s = open ? 1.0 / load->rate : 0.0;
    r.request_s = timing->request_s;
    const double send_s = sp_pools_send_s(&side, &r.pools.side, link);
    r.base_s = timing->transfer_base_s + link->latency_s;
    r.s_per_token = (send_s - r.base_s) / load->isl;
    r.n_wanted = requests > 0 ? requests : (uint64_t)ceil(each * (open ? 100.0 : users));
    /* As in one pool: users long under way have the burst at the start behind them. */
    r.n_skipped = !open && load->requests_per_user <= 0.0 ? (uint64_t)(3.0 * users) : 0;
    r.n_wanted += r.n_skipped;
    r.n_slots = open ? (uint32_t)r.n_wanted : (uint32_t)users;
    SP_TRY(make_room(arena, &r, err));
    start(&r);
    const double gpus = side.gpus + r.pools.side.gpus;
    fill(&r, gpus, out);
    return SP_OK;
}
