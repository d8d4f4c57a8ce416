/* SPDX-License-Identifier: Apache-2.0 */
/* Who runs in a step: admission into the cache, chunks of prompts beside or before answers, and who
 * goes back when the cache is full. Nothing here looks at more requests than it changes. */
#include "serve/serve_priv.h"
#include "serve/sim.h"

#include <assert.h>
#include <math.h>

/* ---- rings and lists ---- */

void sp_sim_push(sp_sim_ring *ring, uint32_t idx)
{
    assert(ring->n < ring->capacity);
    ring->of[(ring->first + ring->n++) % ring->capacity] = idx;
}

uint32_t sp_sim_at(const sp_sim_ring *ring, uint32_t i)
{
    assert(i < ring->n);
    return ring->of[(ring->first + i) % ring->capacity];
}

static void push_front(sp_sim_ring *ring, uint32_t idx)
{
    assert(ring->n < ring->capacity);
    ring->first = (ring->first + ring->capacity - 1) % ring->capacity;
    ring->of[ring->first] = idx;
    ring->n++;
}

void sp_sim_pop(sp_sim_ring *ring)
{
    assert(ring->n > 0);
    ring->first = (ring->first + 1) % ring->capacity;
    ring->n--;
}

static void append(sp_sim *s, sp_sim_list *list, int which, uint32_t idx)
{
    s->slots[idx].link[which] = (sp_sim_link){.prev = list->last, .next = SP_NOBODY};
    if (list->last != SP_NOBODY) s->slots[list->last].link[which].next = idx;
    if (list->first == SP_NOBODY) list->first = idx;
    list->last = idx;
}

static void take_out(sp_sim *s, sp_sim_list *list, int which, uint32_t idx)
{
    const sp_sim_link link = s->slots[idx].link[which];
    if (link.prev != SP_NOBODY) s->slots[link.prev].link[which].next = link.next;
    if (link.next != SP_NOBODY) s->slots[link.next].link[which].prev = link.prev;
    if (list->first == idx) list->first = link.next;
    if (list->last == idx) list->last = link.prev;
}

static sp_sim_list *bucket_of(sp_sim *s, const sp_sim_request *r)
{
    return &s->buckets[r->last_step % s->n_buckets];
}

/* ---- admission ---- */

/* Tokens of its answer by now. */
static double told_of(const sp_sim *s, const sp_sim_request *r)
{
    if (!r->answers) return r->told;
    return fmin(r->osl, r->told + (double)(s->answer_steps - r->since) * s->tokens_a_step);
}

/* Room is asked for a prompt and a share of the answers that are still to come: all of them where
 * an engine never sends anyone back. */
static bool has_room(const sp_sim *s, const sp_sim_request *r)
{
    const double room = s->up->pool->cache_tokens, share = s->up->timing->answer_reserve_ratio;
    if (room <= 0.0 || s->n_admitted == 0) return true;
    const double own = r->isl - s->prefix * r->isl + r->told + share * (r->osl - r->told);
    const double soon = s->n_answering * s->tokens_a_step;
    return s->held + soon + share * s->rest + own <= room;
}

/* Nobody is admitted whose turn could not come in this step. */
static double unfilled(const sp_sim *s)
{
    double tokens = 0.0;
    for (uint32_t i = 0; i < s->filling.n && tokens < s->up->pool->step_tokens; i++) {
        const sp_sim_request *r = &s->slots[sp_sim_at(&s->filling, i)];
        tokens += r->need - r->done;
    }
    return tokens;
}

/* New requests are looked for with every step, after some steps of answers, and always after steps
 * of prompts. An engine that plans ahead knows those that were there when the last step began. */
double sp_sim_poll(const sp_sim *s)
{
    const double own = s->up->pool->poll_steps;
    return own > 0.0 ? own : s->up->timing->poll_steps;
}

static void receive(sp_sim *s)
{
    const bool idle = s->n_admitted == 0;
    const bool ahead = s->up->timing->ahead_steps > 0.0;
    if (!idle && !s->look && (double)(s->answer_steps - s->looked_at) < sp_sim_poll(s)) return;
    s->n_received = ahead && !idle ? s->n_known : s->waiting.n;
    s->looked_at = s->answer_steps;
    s->look = false;
}

void sp_sim_admit(sp_sim *s)
{
    const double most = s->up->pool->batch > 0.0 ? s->up->pool->batch : (double)s->n_slots;
    const bool closed = s->up->timing->rule == SP_SERVE_STATIC && s->n_admitted > 0;
    receive(s);
    double tokens = unfilled(s);
    while (s->n_received > 0 && !closed && s->n_admitted < most &&
           tokens < s->up->pool->step_tokens) {
        const uint32_t idx = sp_sim_at(&s->waiting, 0);
        sp_sim_request *r = &s->slots[idx];
        if (!has_room(s, r)) return;
        r->need = r->isl + r->told;
        r->done = fmin(floor(s->prefix * r->isl), r->need - 1.0);
        tokens += r->need - r->done;
        sp_sim_pop(&s->waiting);
        s->n_received--;
        s->n_known -= s->n_known > 0;
        sp_sim_push(&s->filling, idx);
        append(s, &s->order, SP_SIM_ORDER, idx);
        s->n_admitted++;
        s->held += r->need - s->prefix * r->isl;
        s->rest += r->osl - r->told;
    }
}

/* ---- coming and going ---- */

void sp_sim_start_answer(sp_sim *s, uint32_t idx)
{
    sp_sim_request *r = &s->slots[idx];
    r->answers = true;
    r->told += 1.0;
    r->since = s->answer_steps;
    s->held += 1.0;
    s->rest -= 1.0;
    s->context += r->isl + r->told;
    s->n_answering++;
    const double steps = ceil((r->osl - r->told) / s->tokens_a_step - 1e-9);
    r->last_step = s->answer_steps + (uint64_t)fmax(0.0, steps);
    append(s, bucket_of(s, r), SP_SIM_BUCKET, idx);
}

/* Neither in the cache nor in a list any more. */
void sp_sim_leave(sp_sim *s, uint32_t idx)
{
    sp_sim_request *r = &s->slots[idx];
    const double told = told_of(s, r);
    if (r->answers) {
        take_out(s, bucket_of(s, r), SP_SIM_BUCKET, idx);
        s->context -= r->isl + told;
        s->n_answering--;
    }
    take_out(s, &s->order, SP_SIM_ORDER, idx);
    s->held -= r->isl - s->prefix * r->isl + told;
    s->rest -= r->osl - told;
    s->n_admitted--;
    r->told = told;
    r->answers = false;
    if (s->n_admitted == 0) s->held = s->rest = s->context = 0.0;
}

/* Its prompt and what it has told are to be computed again. */
static void send_back(sp_sim *s, uint32_t idx)
{
    if (!s->slots[idx].answers) {
        assert(sp_sim_at(&s->filling, s->filling.n - 1) == idx);
        s->filling.n--;
    }
    sp_sim_leave(s, idx);
    push_front(&s->waiting, idx);
    s->n_received++;
    s->n_known++;
    s->n_preempted++;
}

void sp_sim_make_room(sp_sim *s)
{
    const double room = s->up->pool->cache_tokens;
    while (room > 0.0 && s->n_admitted > 1 && s->n_answering > 0 &&
           s->held + s->n_answering * s->tokens_a_step > room) {
        send_back(s, s->order.last);
    }
}

/* ---- a step ---- */

/* Engines that take whole prompts are set up so that one always fits beside the answers. */
static double chunk_of(const sp_sim *s, const sp_sim_request *r, double budget, bool first)
{
    const double left = r->need - r->done;
    const sp_serve_rule rule = sp_pool_rule(s->up->pool, s->up->timing);
    const bool whole = rule == SP_SERVE_WHOLE || rule == SP_SERVE_STATIC;
    if (left <= budget || (whole && first)) return left;
    return whole ? 0.0 : budget;
}

/* Chunks in the order of admission, until the step is full. */
static double add_prompts(sp_sim *s, double budget, sp_serve_batch *b)
{
    double tokens = 0.0, past = 0.0;
    for (uint32_t i = 0; i < s->filling.n && budget - tokens >= 1.0; i++) {
        const sp_sim_request *r = &s->slots[sp_sim_at(&s->filling, i)];
        s->chunk[i] = chunk_of(s, r, budget - tokens, i == 0);
        if (s->chunk[i] <= 0.0) break;
        b->prompts += 1.0;
        tokens += s->chunk[i];
        past += r->done;
        b->emitted += r->done + s->chunk[i] >= r->need ? 1.0 : 0.0;
    }
    if (b->prompts > 0.0) {
        b->prompt_tokens = tokens / b->prompts;
        b->prompt_past = past / b->prompts;
    }
    return tokens;
}

/* A step that checks drafts runs each of them as a token of its own, over one reading of the
 * cache. */
sp_serve_batch sp_sim_plan(sp_sim *s)
{
    sp_serve_batch b = {0};
    const bool alone = sp_pool_rule(s->up->pool, s->up->timing) == SP_SERVE_PROMPTS_FIRST;
    const double width = 1.0 + s->up->pool->draft_tokens, n = s->n_answering;
    const double budget = s->up->pool->step_tokens - (alone ? 0.0 : n * width);
    const double tokens = add_prompts(s, fmax(budget, 1.0), &b);
    if (n > 0.0 && (tokens <= 0.0 || !alone)) {
        b.decodes = n * width;
        b.context = s->context / (n * width);
        b.emitted += n * width;
    }
    return b;
}
