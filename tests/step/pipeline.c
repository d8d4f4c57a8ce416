/* SPDX-License-Identifier: Apache-2.0 */
/* See pipeline.h. Orders of passes: Narayanan et al., SC 2021, section 2.2. */
#include "step/pipeline.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

typedef struct pass {
    bool backward;
    uint32_t chunk, micro_batch;
} pass;

typedef struct run {
    const pipeline *pipe;
    pass order[PIPELINE_MAX_STAGES][PIPELINE_MAX_PASSES];
    double done_s[2][PIPELINE_MAX_STAGES][PIPELINE_MAX_PASSES]; /* NAN = not yet */
} run;

/* The k-th forward pass of a stage: p micro-batches through chunk 0, the same through chunk 1, ...;
 * backward passes take the chunks in reverse. */
static pass nth_pass(const pipeline *pipe, bool backward, uint32_t k)
{
    const uint32_t round = pipe->p * pipe->v, in_round = k % round, chunk = in_round / pipe->p;
    if (pipe->v == 1) return (pass){backward, 0, k};
    return (pass){.backward = backward,
                  .chunk = backward ? pipe->v - 1 - chunk : chunk,
                  .micro_batch = k / round * pipe->p + in_round % pipe->p};
}

/* `warm` forward passes, then one forward and one backward in turn, then the backward passes left.
 */
static void list_passes(run *r, uint32_t stage, uint32_t warm)
{
    const uint32_t all = r->pipe->m * r->pipe->v;
    assert_in_range(all, 1, PIPELINE_MAX_PASSES / 2);
    uint32_t forward = 0, backward = 0;
    for (uint32_t n = 0; n < 2 * all; n++) {
        const bool turn = forward >= warm && backward < forward - warm;
        const bool back = forward == all || turn;
        r->order[stage][n] = nth_pass(r->pipe, back, back ? backward++ : forward++);
    }
}

/* When the pass on which this one waits is done; NAN while it is not. */
static double ready_s(const run *r, uint32_t stage, const pass *x)
{
    const uint32_t p = r->pipe->p, last = r->pipe->v - 1, m = r->pipe->m;
    if (!x->backward) {
        if (stage > 0) return r->done_s[0][stage - 1][x->chunk * m + x->micro_batch];
        return x->chunk == 0 ? 0.0 : r->done_s[0][p - 1][(x->chunk - 1) * m + x->micro_batch];
    }
    if (stage + 1 < p) return r->done_s[1][stage + 1][x->chunk * m + x->micro_batch];
    return x->chunk == last ? r->done_s[0][stage][x->chunk * m + x->micro_batch]
                            : r->done_s[1][0][(x->chunk + 1) * m + x->micro_batch];
}

/* Runs the passes of a stage that can run; returns how many of its list are done. */
static uint32_t advance(run *r, uint32_t stage, uint32_t next, double *clock_s)
{
    const pipeline *pipe = r->pipe;
    for (; next < 2 * pipe->m * pipe->v; next++) {
        const pass *x = &r->order[stage][next];
        const double ready = ready_s(r, stage, x);
        if (isnan(ready)) break;
        *clock_s = fmax(*clock_s, ready) +
                   (x->backward ? pipe->backward_s[stage] : pipe->forward_s[stage]);
        r->done_s[x->backward][stage][x->chunk * pipe->m + x->micro_batch] = *clock_s;
    }
    return next;
}

static uint32_t count_held(const run *r, uint32_t stage)
{
    uint32_t held = 0, peak = 0;
    for (uint32_t n = 0; n < 2 * r->pipe->m * r->pipe->v; n++) {
        held = r->order[stage][n].backward ? held - 1 : held + 1;
        peak = held > peak ? held : peak;
    }
    return peak;
}

static pipeline_result play(run *r)
{
    const uint32_t p = r->pipe->p, all = 2 * r->pipe->m * r->pipe->v;
    uint32_t next[PIPELINE_MAX_STAGES] = {0}, done = 0;
    double clock_s[PIPELINE_MAX_STAGES] = {0};
    pipeline_result result = {0};
    while (done < p * all) {
        const uint32_t before = done;
        done = 0;
        for (uint32_t i = 0; i < p; i++) {
            next[i] = advance(r, i, next[i], &clock_s[i]);
            done += next[i];
        }
        if (done == before) fail_msg("the pipeline of %u stages is stuck", p);
    }
    for (uint32_t i = 0; i < p; i++) {
        result.step_s = fmax(result.step_s, clock_s[i]);
        result.chunks_held[i] = count_held(r, i);
    }
    return result;
}

static uint32_t smaller(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

typedef uint32_t (*warm_up)(const pipeline *pipe, uint32_t stage);

static uint32_t warm_1f1b(const pipeline *pipe, uint32_t stage)
{
    return smaller(pipe->m, pipe->p - stage - 1);
}

static uint32_t warm_interleaved(const pipeline *pipe, uint32_t stage)
{
    return smaller(pipe->m * pipe->v, 2 * (pipe->p - stage - 1) + (pipe->v - 1) * pipe->p);
}

static uint32_t warm_gpipe(const pipeline *pipe, uint32_t stage)
{
    (void)stage;
    return pipe->m;
}

static pipeline_result run_with(const pipeline *pipe, warm_up warm)
{
    assert_in_range(pipe->p, 1, PIPELINE_MAX_STAGES);
    run *r = malloc(sizeof *r);
    assert_non_null(r);
    r->pipe = pipe;
    for (uint32_t i = 0; i < pipe->p; i++) {
        list_passes(r, i, warm(pipe, i));
        for (uint32_t k = 0; k < pipe->m * pipe->v; k++) {
            r->done_s[0][i][k] = r->done_s[1][i][k] = (double)NAN;
        }
    }
    const pipeline_result result = play(r);
    free(r);
    return result;
}

pipeline_result run_1f1b(const pipeline *pipe)
{
    assert_int_equal(pipe->v, 1);
    return run_with(pipe, warm_1f1b);
}

pipeline_result run_gpipe(const pipeline *pipe)
{
    assert_int_equal(pipe->v, 1);
    return run_with(pipe, warm_gpipe);
}

pipeline_result run_interleaved(const pipeline *pipe)
{
    assert_int_equal(pipe->m % pipe->p, 0);
    return run_with(pipe, warm_interleaved);
}
