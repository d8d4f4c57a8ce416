/* SPDX-License-Identifier: Apache-2.0 */
/* Workers of two pools in a run: who computes which prompt in which step, and whose answer ends
 * after how many. */
#include "serve/sim_pools.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* ---- queues ---- */

void sp_pools_push(sp_pools *p, sp_pools_queue *queue, uint32_t idx)
{
    p->requests[idx].next = SP_NOBODY;
    if (queue->n++ == 0) {
        queue->first = idx;
    } else {
        p->requests[queue->last].next = idx;
    }
    queue->last = idx;
}

uint32_t sp_pools_pop(sp_pools *p, sp_pools_queue *queue)
{
    assert(queue->n > 0);
    const uint32_t idx = queue->first;
    queue->first = p->requests[idx].next;
    queue->n--;
    return idx;
}

/* ---- prompts ---- */

/* Chunks of a rank's next prompts, in order, until its step is full. An engine that does not cut
 * prompts takes one at least. */
static sp_serve_batch fill_rank(sp_pools *p, const sp_pools_queue *queue)
{
    const bool whole = p->prefill_pool->worker->timing->rule == SP_SERVE_WHOLE;
    const double most = p->prefill_pool->step_tokens, batch = p->prefill_pool->batch;
    const double room = p->prefill_pool->cache_tokens;
    sp_serve_batch b = {0};
    double tokens = 0.0, past = 0.0, held = 0.0;
    uint32_t idx = queue->first;
    for (uint32_t i = 0; i < queue->n && most - tokens >= 1.0; i++) {
        sp_pools_request *r = &p->requests[idx];
        const bool fits = r->left <= most - tokens || (whole && i == 0);
        held += r->isl;
        if ((whole && !fits) || (batch > 0.0 && b.prompts >= batch)) break;
        if (room > 0.0 && i > 0 && held > room) break;
        r->taken = fits ? r->left : most - tokens;
        past += r->isl - r->left;
        tokens += r->taken;
        b.prompts += 1.0;
        b.emitted += fits ? 1.0 : 0.0;
        idx = r->next;
    }
    if (b.prompts > 0.0) {
        b.prompt_tokens = tokens / b.prompts;
        b.prompt_past = past / b.prompts;
    }
    return b;
}

static bool is_same(const sp_serve_batch *a, const sp_serve_batch *b)
{
    return a->prompts == b->prompts && a->prompt_tokens == b->prompt_tokens &&
           a->prompt_past == b->prompt_past && a->emitted == b->emitted;
}

static uint32_t slot_of(const sp_serve_batch *b)
{
    const double parts[] = {b->prompts, b->prompt_tokens, b->prompt_past, b->emitted};
    uint64_t bits[4], hash = 0;
    memcpy(bits, parts, sizeof bits);
    for (uint32_t i = 0; i < 4; i++) {
        hash = (hash ^ bits[i] ^ bits[i] >> 32) * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 29;
    }
    return (uint32_t)(hash >> 32) % SP_POOLS_STEPS;
}

/* Prompts of equal length are cut in few ways, so most steps were priced before. */
static const sp_pools_step *step_of(sp_pools *p, const sp_serve_batch *batch)
{
    sp_pools_step *known = &p->steps[slot_of(batch)];
    sp_serve_step_time t;
    if (is_same(&known->batch, batch)) return known;
    sp_pool_step(p->prefill_pool, batch, &t);
    *known = (sp_pools_step){.batch = *batch, .step_s = t.step_s, .stage_s = t.stage_s};
    return known;
}

/* All ranks wait for the one with the most tokens. Stages of a pipeline work on steps behind one
 * another. */
static void start_step(sp_pools *p, sp_prefill_worker *worker, double now_s)
{
    sp_serve_batch busiest = {0};
    for (uint32_t i = 0; i < p->ranks; i++) {
        const sp_serve_batch b = fill_rank(p, &worker->of_rank[i]);
        if (b.prompts * b.prompt_tokens > busiest.prompts * busiest.prompt_tokens) busiest = b;
    }
    worker->done_s = (double)INFINITY;
    if (busiest.prompts <= 0.0) return;
    const sp_pools_step *step = step_of(p, &busiest);
    worker->done_s = now_s + step->stage_s;
    worker->rest_s = step->step_s - step->stage_s;
}

void sp_pools_send(sp_pools *p, uint32_t idx, double now_s)
{
    sp_prefill_worker *worker = &p->prefill[0];
    sp_pools_queue *least = &worker->of_rank[0];
    for (uint32_t w = 0; w < p->n_prefill; w++) {
        for (uint32_t i = 0; i < p->ranks; i++) {
            if (p->prefill[w].of_rank[i].tokens >= least->tokens) continue;
            worker = &p->prefill[w];
            least = &worker->of_rank[i];
        }
    }
    sp_pools_push(p, least, idx);
    least->tokens += p->requests[idx].left;
    if (isinf(worker->done_s)) start_step(p, worker, now_s);
}

uint32_t sp_pools_end_step(sp_pools *p, sp_prefill_worker *worker, uint32_t *done)
{
    uint32_t n_done = 0;
    for (uint32_t i = 0; i < p->ranks; i++) {
        sp_pools_queue *queue = &worker->of_rank[i];
        while (queue->n > 0 && p->requests[queue->first].taken > 0.0) {
            sp_pools_request *r = &p->requests[queue->first];
            r->left -= r->taken;
            queue->tokens -= r->taken;
            r->taken = 0.0;
            if (r->left > 0.0) break;
            done[n_done++] = sp_pools_pop(p, queue);
        }
        if (queue->n == 0) queue->tokens = 0.0;
    }
    start_step(p, worker, worker->done_s);
    return n_done;
}

/* ---- answers ---- */

static void sift_up(const sp_pools *p, sp_decode_worker *w, uint32_t at)
{
    while (at > 0) {
        const uint32_t above = (at - 1) / 2, moved = w->heap[at];
        if (p->requests[w->heap[above]].end <= p->requests[moved].end) return;
        w->heap[at] = w->heap[above];
        w->heap[above] = moved;
        at = above;
    }
}

static void sift_down(const sp_pools *p, sp_decode_worker *w)
{
    uint32_t at = 0;
    for (;;) {
        uint32_t least = at;
        for (uint32_t below = 2 * at + 1; below <= 2 * at + 2 && below < w->n; below++) {
            if (p->requests[w->heap[below]].end < p->requests[w->heap[least]].end) least = below;
        }
        if (least == at) return;
        const uint32_t moved = w->heap[at];
        w->heap[at] = w->heap[least];
        w->heap[least] = moved;
        at = least;
    }
}

/* Who comes waits for the step under way. */
static void to_next_step(sp_decode_worker *w, double now_s)
{
    if (w->n == 0) w->at_s = fmax(w->at_s, now_s);
    if (w->at_s >= now_s) return;
    const double steps = ceil((now_s - w->at_s) / w->step_s - 1e-9);
    w->step += (uint64_t)steps;
    w->at_s += steps * w->step_s;
}

static double tokens_of(const sp_pools_request *r)
{
    return r->isl + r->osl;
}

static double answer_s(const sp_pools *p, const sp_decode_worker *w)
{
    if (w->n == 0) return (double)INFINITY;
    return w->at_s + (double)(p->requests[w->heap[0]].end - w->step) * w->step_s;
}

static void admit(sp_pools *p, sp_decode_worker *w, double now_s)
{
    while (w->queue.n > 0) {
        const double more = tokens_of(&p->requests[w->queue.first]);
        const bool full = p->places > 0.0 && w->n >= p->places;
        if (w->n > 0 && (full || (p->room > 0.0 && w->held + more > p->room))) break;
        to_next_step(w, now_s);
        const uint32_t idx = sp_pools_pop(p, &w->queue);
        sp_pools_request *r = &p->requests[idx];
        r->first_s = now_s;
        r->end = w->step + (uint64_t)ceil((r->osl - 1.0) / p->side.tokens_a_step - 1e-9);
        w->held += more;
        w->heap[w->n++] = idx;
        sift_up(p, w, w->n - 1);
    }
    const double ranks = p->decode_pool->worker->layout.attn_dp;
    w->step_s = sp_decode_side_step_s(&p->side, (double)w->n / ranks);
    w->answer_s = answer_s(p, w);
}

void sp_pools_receive(sp_pools *p, uint32_t idx, double now_s)
{
    sp_decode_worker *least = &p->decode[0];
    for (uint32_t i = 1; i < p->n_decode; i++) {
        sp_decode_worker *w = &p->decode[i];
        if (w->n + w->queue.n < least->n + least->queue.n) least = w;
    }
    sp_pools_push(p, &least->queue, idx);
    if (least->n > 0) to_next_step(least, now_s);
    admit(p, least, now_s);
}

uint32_t sp_pools_end_answer(sp_pools *p, sp_decode_worker *w)
{
    const double now_s = w->answer_s;
    const uint32_t idx = w->heap[0];
    w->at_s = now_s;
    w->step = p->requests[idx].end;
    w->held -= tokens_of(&p->requests[idx]);
    w->heap[0] = w->heap[--w->n];
    sift_down(p, w);
    admit(p, w, now_s);
    return idx;
}
