/* SPDX-License-Identifier: Apache-2.0 */
/* A pipeline run pass by pass: every stage works through its list in order, each pass as soon as
 * the stage is free and what the pass waits for has arrived. A forward pass waits for that of the
 * block before, a backward pass for that of the block behind, gradients of weights for nothing but
 * their turn. */
#include "step/schedule.h"

#include <assert.h>
#include <math.h>

/* done_s[direction][block][micro_batch] of forward and of input-gradient passes; NAN = not yet. */
typedef struct run {
    const sp_pipeline *pipe;
    uint32_t n_chunks, n_blocks;
    double *forward_s, *back_s;
    sp_played_pass *played;
} run;

uint32_t sp_pipeline_chunks(const sp_schedule_kind *kind, const sp_pipeline_shape *shape)
{
    return kind->layout == SP_LAYOUT_MIRROR ? 2 : shape->v;
}

uint32_t sp_pipeline_blocks(const sp_schedule_kind *kind, const sp_pipeline_shape *shape)
{
    return kind->layout == SP_LAYOUT_MIRROR ? shape->p : shape->p * shape->v;
}

size_t sp_pipeline_max_passes(const sp_schedule_kind *kind, const sp_pipeline_shape *shape)
{
    return (size_t)3 * shape->p * sp_pipeline_chunks(kind, shape) * shape->m;
}

/* Where a chunk of a stage lies in the model, and from which end its micro-batches come. */
typedef struct place {
    uint32_t direction, block;
} place;

static place place_of(const run *r, uint32_t stage, uint32_t chunk)
{
    const uint32_t p = r->pipe->shape.p;
    switch (r->pipe->kind->layout) {
    case SP_LAYOUT_ROW:
        return (place){0, chunk * p + stage};
    case SP_LAYOUT_V:
        return (place){0, chunk == 0 ? stage : 2 * p - 1 - stage};
    case SP_LAYOUT_MIRROR: {
        const uint32_t direction = (stage >= p / 2) != (chunk == 1);
        return (place){direction, direction == 0 ? stage : p - 1 - stage};
    }
    case SP_N_LAYOUTS:
        break;
    }
    return (place){0, 0};
}

static uint32_t stage_of(const run *r, place at)
{
    const uint32_t p = r->pipe->shape.p;
    switch (r->pipe->kind->layout) {
    case SP_LAYOUT_ROW:
        return at.block % p;
    case SP_LAYOUT_V:
        return at.block < p ? at.block : 2 * p - 1 - at.block;
    case SP_LAYOUT_MIRROR:
        return at.direction == 0 ? at.block : p - 1 - at.block;
    case SP_N_LAYOUTS:
        break;
    }
    return 0;
}

static size_t index_of(const run *r, place at, uint32_t micro_batch)
{
    return ((size_t)at.direction * r->n_blocks + at.block) * r->pipe->shape.m + micro_batch;
}

/* When what `stage` needs from another block has arrived; INFINITY while it is not done. */
static double arrival_s(const run *r, uint32_t stage, place from, const double *done_s,
                        uint32_t micro_batch)
{
    const double message_s = stage_of(r, from) == stage ? 0.0 : r->pipe->message_s;
    return done_s[index_of(r, from, micro_batch)] + message_s;
}

static double ready_s(const run *r, uint32_t stage, const sp_stage_pass *pass)
{
    const place at = place_of(r, stage, pass->chunk);
    const place before = {at.direction, at.block - 1}, behind = {at.direction, at.block + 1};
    switch ((sp_stage_pass_kind)pass->kind) {
    case SP_PASS_FORWARD:
        if (at.block == 0) return 0.0;
        return arrival_s(r, stage, before, r->forward_s, pass->micro_batch);
    case SP_PASS_BACKWARD:
    case SP_PASS_INPUT_GRAD:
        if (behind.block == r->n_blocks) return r->forward_s[index_of(r, at, pass->micro_batch)];
        return arrival_s(r, stage, behind, r->back_s, pass->micro_batch);
    case SP_PASS_WEIGHT_GRAD:
    case SP_N_PASS_KINDS:
        break;
    }
    return 0.0;
}

static double length_s(const run *r, uint32_t stage, const sp_stage_pass *pass)
{
    const sp_pass_times *t = &r->pipe->times[(size_t)stage * r->n_chunks + pass->chunk];
    switch ((sp_stage_pass_kind)pass->kind) {
    case SP_PASS_FORWARD:
        return t->forward_s;
    case SP_PASS_BACKWARD:
        return t->input_grad_s + t->weight_grad_s;
    case SP_PASS_INPUT_GRAD:
        return t->input_grad_s;
    case SP_PASS_WEIGHT_GRAD:
        return t->weight_grad_s;
    case SP_N_PASS_KINDS:
        break;
    }
    return 0.0;
}

/* By which two passes beside each other are shorter: the mean of what either chunk's would be. */
static double hidden_s(const run *r, uint32_t stage, const sp_stage_pass pair[2])
{
    const sp_pass_times *t = &r->pipe->times[(size_t)stage * r->n_chunks];
    return 0.5 * (t[pair[0].chunk].hidden_s + t[pair[1].chunk].hidden_s);
}

static void finish(run *r, sp_played_pass *played, double start_s, double end_s)
{
    const place at = {played->direction, played->block};
    const size_t i = index_of(r, at, played->pass.micro_batch);
    played->start_s = start_s;
    played->end_s = end_s;
    if (played->pass.kind == SP_PASS_FORWARD) {
        r->forward_s[i] = end_s;
    } else if (played->pass.kind != SP_PASS_WEIGHT_GRAD) {
        r->back_s[i] = end_s;
    }
}

/* The passes of a stage, done up to `next`. */
typedef struct work {
    size_t first, next, end;
    double clock_s;
} work;

/* Runs the passes of a stage that can run. */
static void advance(run *r, uint32_t stage, work *w)
{
    while (w->next < w->end) {
        sp_played_pass *at = &r->played[w->next];
        const bool pair = at->pass.with_next;
        double ready = ready_s(r, stage, &at->pass), length = length_s(r, stage, &at->pass);
        if (pair) {
            const sp_stage_pass both[2] = {at->pass, at[1].pass};
            ready = fmax(ready, ready_s(r, stage, &both[1]));
            length += length_s(r, stage, &both[1]) - hidden_s(r, stage, both);
        }
        if (isinf(ready)) return;
        const double start_s = fmax(w->clock_s, ready), end_s = start_s + length;
        finish(r, at, start_s, end_s);
        if (pair) finish(r, at + 1, start_s, end_s);
        w->clock_s = end_s;
        w->next += pair ? 2 : 1;
    }
}

/* Lays the lists of all stages one behind the other; returns how many passes there are. */
static size_t lay_out(const run *r, sp_stage_pass *scratch, work *stages)
{
    const sp_pipeline *pipe = r->pipe;
    size_t n = 0;
    for (uint32_t i = 0; i < pipe->shape.p; i++) {
        sp_pass_list list = {.passes = scratch};
        pipe->kind->list(&pipe->shape, i, &list);
        stages[i] = (work){.first = n, .next = n, .end = n + list.n};
        for (uint32_t k = 0; k < list.n; k++) {
            const place at = place_of(r, i, list.passes[k].chunk);
            r->played[n++] = (sp_played_pass){
                .pass = list.passes[k], .stage = i, .direction = at.direction, .block = at.block};
        }
    }
    return n;
}

/* Round after round over the stages until all have ended; the lists of a schedule never wait for
 * each other in a ring. */
static double run_all(run *r, work *stages)
{
    const uint32_t p = r->pipe->shape.p;
    double end_s = 0.0;
    for (uint32_t ended = 0; ended < p;) {
        bool moved = false;
        ended = 0;
        for (uint32_t i = 0; i < p; i++) {
            const size_t before = stages[i].next;
            advance(r, i, &stages[i]);
            moved |= stages[i].next > before;
            ended += stages[i].next == stages[i].end;
            end_s = fmax(end_s, stages[i].clock_s);
        }
        assert(moved || ended == p);
    }
    return end_s;
}

static void *alloc_many(size_t n, size_t bytes)
{
    return n <= SIZE_MAX / bytes ? sp_alloc(n * bytes) : NULL;
}

sp_status sp_pipeline_play(const sp_pipeline *pipeline, sp_played_pass *played, size_t *n_played,
                           double *end_s, sp_error *err)
{
    const sp_pipeline_shape *shape = &pipeline->shape;
    assert(pipeline->kind->admits(shape));
    run r = {
        .pipe = pipeline, .n_chunks = sp_pipeline_chunks(pipeline->kind, shape), .played = played};
    r.n_blocks = sp_pipeline_blocks(pipeline->kind, shape);
    const size_t n_done = (size_t)shape->p * r.n_chunks * shape->m;
    sp_stage_pass *scratch = alloc_many((size_t)3 * r.n_chunks * shape->m, sizeof *scratch);
    work *stages = alloc_many(shape->p, sizeof *stages);
    r.forward_s = alloc_many(2 * n_done, sizeof *r.forward_s);
    const bool ready = scratch != NULL && stages != NULL && r.forward_s != NULL;
    if (ready) {
        r.back_s = r.forward_s + n_done;
        for (size_t i = 0; i < 2 * n_done; i++) {
            r.forward_s[i] = INFINITY;
        }
        *n_played = lay_out(&r, scratch, stages);
        *end_s = run_all(&r, stages);
    }
    sp_free(r.forward_s);
    sp_free(stages);
    sp_free(scratch);
    return ready ? SP_OK : sp_fail(err, SP_E_MEMORY, "no memory for the passes of a pipeline");
}
