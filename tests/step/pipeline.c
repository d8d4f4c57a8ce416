/* SPDX-License-Identifier: Apache-2.0 */
/* See pipeline.h. */
#include "step/pipeline.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

sp_pipeline_shape shape_of(const pipeline *pipe)
{
    return (sp_pipeline_shape){.p = pipe->p, .v = pipe->v, .m = pipe->m, .pairs = pipe->pairs};
}

static double stage_span_s(const sp_played_pass *played, size_t n, uint32_t stage)
{
    double start_s = INFINITY, end_s = 0.0;
    for (size_t i = 0; i < n; i++) {
        if (played[i].stage != stage) continue;
        start_s = fmin(start_s, played[i].start_s);
        end_s = fmax(end_s, played[i].end_s);
    }
    return end_s - start_s;
}

pipeline_result run_schedule(sp_schedule schedule, const pipeline *pipe)
{
    const sp_schedule_kind *kind = sp_schedule_describe(schedule);
    const sp_pipeline_shape shape = shape_of(pipe);
    const uint32_t chunks = sp_pipeline_chunks(kind, &shape);
    assert_in_range(pipe->p, 1, PIPELINE_MAX_STAGES);
    sp_pass_times *times = calloc((size_t)pipe->p * chunks, sizeof *times);
    sp_played_pass *played = calloc(sp_pipeline_max_passes(kind, &shape), sizeof *played);
    assert_true(times != NULL && played != NULL);
    for (uint32_t k = 0; k < pipe->p * chunks; k++) {
        const uint32_t i = k / chunks;
        times[k] = (sp_pass_times){pipe->forward_s[i], pipe->backward_s[i], pipe->weight_s[i],
                                   pipe->hidden_s[i]};
    }
    const sp_pipeline whole = {kind, shape, times, pipe->message_s};
    pipeline_result result = {0};
    size_t n = 0;
    sp_error err = {0};
    assert_int_equal(sp_pipeline_play(&whole, played, &n, &result.step_s, &err), SP_OK);
    for (uint32_t i = 0; i < pipe->p; i++) {
        result.chunks_held[i] = (uint32_t)list_peak(schedule, pipe, i, 1.0, 1.0);
        result.span_s = fmax(result.span_s, stage_span_s(played, n, i));
    }
    free(played);
    free(times);
    return result;
}

double list_peak(sp_schedule schedule, const pipeline *pipe, uint32_t stage, double whole,
                 double weight_grad)
{
    const sp_schedule_kind *kind = sp_schedule_describe(schedule);
    const sp_pipeline_shape shape = shape_of(pipe);
    sp_pass_list list = {.passes =
                             calloc(sp_pipeline_max_passes(kind, &shape), sizeof(sp_stage_pass))};
    assert_non_null(list.passes);
    kind->list(&shape, stage, &list);
    double peak = 0.0, before = 0.0, after = 0.0;
    for (uint32_t n = 0; n < list.n; n++) {
        const sp_stage_pass_kind pass = (sp_stage_pass_kind)list.passes[n].kind;
        before += pass == SP_PASS_FORWARD ? 1.0 : 0.0;
        peak = fmax(peak, before * whole + after * weight_grad);
        before -= pass == SP_PASS_BACKWARD || pass == SP_PASS_INPUT_GRAD ? 1.0 : 0.0;
        after += pass == SP_PASS_INPUT_GRAD ? 1.0 : 0.0;
        peak = fmax(peak, before * whole + after * weight_grad);
        after -= pass == SP_PASS_WEIGHT_GRAD ? 1.0 : 0.0;
    }
    free(list.passes);
    return peak;
}

pipeline_result run_1f1b(const pipeline *pipe)
{
    return run_schedule(SP_SCHEDULE_1F1B, pipe);
}

pipeline_result run_gpipe(const pipeline *pipe)
{
    return run_schedule(SP_SCHEDULE_GPIPE, pipe);
}

pipeline_result run_interleaved(const pipeline *pipe)
{
    return run_schedule(SP_SCHEDULE_INTERLEAVED, pipe);
}

/* The passes of a stage, of all its chunks. */
static sp_pass_times stage_times(const pipeline *pipe, uint32_t chunks, uint32_t i)
{
    return (sp_pass_times){chunks * pipe->forward_s[i], chunks * pipe->backward_s[i],
                           chunks * pipe->weight_s[i], chunks * pipe->hidden_s[i]};
}

/* Stages that differ: p of them, of a mirrored pipeline the first half. */
static uint32_t n_distinct(const sp_schedule_kind *kind, const pipeline *pipe)
{
    return kind->layout == SP_LAYOUT_MIRROR ? pipe->p / 2 : pipe->p;
}

static void add_passes(sp_pass_times *sum, const sp_pass_times *t)
{
    sum->forward_s += t->forward_s;
    sum->input_grad_s += t->input_grad_s;
    sum->weight_grad_s += t->weight_grad_s;
}

double closed_form_s(sp_schedule schedule, const pipeline *pipe)
{
    const sp_schedule_kind *kind = sp_schedule_describe(schedule);
    const sp_pipeline_shape shape = shape_of(pipe);
    const uint32_t chunks = sp_pipeline_chunks(kind, &shape), n = n_distinct(kind, pipe);
    sp_pass_times stages[PIPELINE_MAX_STAGES], sum = {0};
    for (uint32_t i = 0; i < n; i++) {
        stages[i] = stage_times(pipe, chunks, i);
        add_passes(&sum, &stages[i]);
    }
    double longest = 0.0;
    for (uint32_t i = 0; i < n; i++) {
        sp_pass_times after = {0};
        for (uint32_t k = i + 1; k < n; k++) {
            add_passes(&after, &stages[k]);
        }
        const sp_chain chain = {.shape = &shape,
                                .pivot = &stages[i],
                                .sum = &sum,
                                .n = n,
                                .n_after = n - 1 - i,
                                .after_s =
                                    after.forward_s + after.input_grad_s + after.weight_grad_s};
        longest = fmax(longest, kind->chain_s(&chain));
    }
    return longest;
}
