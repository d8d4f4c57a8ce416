/* SPDX-License-Identifier: Apache-2.0 */
/* The passes of a plan's schedule as events (shardplan/timeline.h): the run of pipeline.c with the
 * times of an estimate, then what each stage does once a step. */
#include "shardplan/timeline.h"
#include "shardplan/estimate.h"
#include "step/step.h"

#include <assert.h>

const char *sp_event_kind_name(sp_event_kind kind)
{
    static const char *const names[SP_N_EVENT_KINDS] = {"forward",    "recompute",   "backward",
                                                        "input_grad", "weight_grad", "send",
                                                        "gradients",  "update",      "host"};
    assert(kind < SP_N_EVENT_KINDS);
    return names[kind];
}

/* Everything that the events of a plan are made of. */
typedef struct plot {
    const sp_plan *plan;
    const sp_schedule_kind *kind;
    sp_pipeline_shape shape;
    sp_inputs in;
    sp_stage_costs stages;
    sp_estimate estimate;
    sp_pass_times *times; /* [stage][chunk] */
    sp_played_pass *played;
    size_t n_played;
    double message_s;
    double passes_end_s, host_s; /* by the estimate */
} plot;

/* The class of a stage: classes are given by their stages behind each other, so the one that has it
 * between its first and last and holds as much. */
static uint32_t class_of(const plot *p, uint32_t stage)
{
    const bool mirrored = p->kind->layout == SP_LAYOUT_MIRROR && stage >= p->shape.p / 2;
    const uint32_t at = mirrored ? p->shape.p - 1 - stage : stage;
    const sp_stage_split *split = p->stages.split;
    uint32_t found = 0;
    for (uint32_t i = 0; i < split->n_classes; i++) {
        const sp_stage_class *c = &split->classes[i];
        if (at >= c->first_stage && at <= c->last_stage) found = i;
    }
    return found;
}

/* Chunks of a stage take equally long. */
static void read_times(plot *p)
{
    const uint32_t chunks = sp_pipeline_chunks(p->kind, &p->shape);
    for (uint32_t i = 0; i < p->shape.p * chunks; i++) {
        const sp_pass_times t = sp_stage_passes(&p->in, &p->stages.class[class_of(p, i / chunks)]);
        const double share = 1.0 / chunks;
        p->times[i] = (sp_pass_times){share * t.forward_s, share * t.input_grad_s,
                                      share * t.weight_grad_s, share * t.hidden_s};
    }
}

/* When the estimate has the last pass end: before the last stage's traffic and update, and what the
 * host needs. */
static void read_ends(plot *p)
{
    const sp_time *t = &p->estimate.time;
    const sp_stage_cost *slowest = &p->stages.class[p->stages.slowest];
    const double m = p->shape.m;
    p->host_s = p->in.problem->profile->step_s;
    const double once_s = t->dp_comm_s - m * slowest->dp_each_s + t->optimizer_s + t->offload_s -
                          m * slowest->offload_each_s;
    p->passes_end_s = t->step_s - p->host_s - once_s;
}

/* ---- events ---- */
static void add(sp_timeline *timeline, const sp_event *event)
{
    if (event->end_s > event->start_s) timeline->events[timeline->n_events++] = *event;
}

static sp_event_kind event_of(sp_stage_pass_kind kind)
{
    switch (kind) {
    case SP_PASS_FORWARD:
        return SP_EVENT_FORWARD;
    case SP_PASS_BACKWARD:
        return SP_EVENT_BACKWARD;
    case SP_PASS_INPUT_GRAD:
        return SP_EVENT_INPUT_GRAD;
    case SP_PASS_WEIGHT_GRAD:
    case SP_N_PASS_KINDS:
        break;
    }
    return SP_EVENT_WEIGHT_GRAD;
}

/* Forward passes are sent on but from the last block, gradients of inputs but from the first. A
 * fold of the pipeline lies within a stage. */
static bool is_sent(const plot *p, const sp_played_pass *x)
{
    const uint32_t last = sp_pipeline_blocks(p->kind, &p->shape) - 1;
    const bool folds = p->kind->layout == SP_LAYOUT_V;
    if (x->pass.kind == SP_PASS_WEIGHT_GRAD || p->shape.p == 1) return false;
    if (x->pass.kind == SP_PASS_FORWARD) {
        return x->block < last && !(folds && x->block == p->shape.p - 1);
    }
    return x->block > 0 && !(folds && x->block == p->shape.p);
}

/* A backward pass begins with what it computes again. Passes beside each other stay whole. */
static void add_pass(const plot *p, const sp_played_pass *x, bool paired, sp_timeline *timeline)
{
    const double stretch = timeline->stretch_ratio;
    sp_event event = {.kind = event_of((sp_stage_pass_kind)x->pass.kind),
                      .stage = x->stage,
                      .chunk = x->pass.chunk,
                      .micro_batch = x->pass.micro_batch + x->direction * p->shape.m,
                      .start_s = stretch * x->start_s,
                      .end_s = stretch * x->end_s};
    const bool back = event.kind == SP_EVENT_BACKWARD || event.kind == SP_EVENT_INPUT_GRAD;
    const sp_stage_cost *cost = &p->stages.class[class_of(p, x->stage)];
    const double again_s = cost->sum.recompute_s / sp_pipeline_chunks(p->kind, &p->shape) * stretch;
    if (back && !paired && again_s > 0.0 && again_s < event.end_s - event.start_s) {
        sp_event again = event;
        again.kind = SP_EVENT_RECOMPUTE;
        again.end_s = event.start_s = again.start_s + again_s;
        add(timeline, &again);
    }
    add(timeline, &event);
    if (is_sent(p, x)) {
        event.kind = SP_EVENT_SEND;
        event.start_s = event.end_s;
        event.end_s += stretch * p->message_s;
        add(timeline, &event);
    }
}

/* What follows the last pass of a stage, no later than the estimate has it. */
static void add_once(const plot *p, uint32_t stage, double end_s, sp_timeline *timeline)
{
    const sp_stage_cost *cost = &p->stages.class[class_of(p, stage)];
    const double latest_s = timeline->step_s - p->host_s;
    const double sent_s = end_s + cost->dp_once_s;
    const double updated_s = sent_s + cost->optimizer_s + cost->offload_once_s;
    sp_event event = {.kind = SP_EVENT_GRADIENTS, .stage = stage, .start_s = end_s};
    event.end_s = sent_s < latest_s ? sent_s : latest_s;
    add(timeline, &event);
    event.kind = SP_EVENT_UPDATE;
    event.start_s = event.end_s;
    event.end_s = updated_s < latest_s ? updated_s : latest_s;
    add(timeline, &event);
    event.kind = SP_EVENT_HOST;
    event.start_s = latest_s;
    event.end_s = timeline->step_s;
    add(timeline, &event);
}

static void add_all(const plot *p, sp_timeline *timeline)
{
    for (size_t i = 0; i < p->n_played; i++) {
        const sp_played_pass *x = &p->played[i];
        const bool first = i == 0 || x[-1].stage != x->stage;
        const bool last = i + 1 == p->n_played || x[1].stage != x->stage;
        add_pass(p, x, x->pass.with_next || (!first && x[-1].pass.with_next), timeline);
        if (last) add_once(p, x->stage, timeline->stretch_ratio * x->end_s, timeline);
    }
}

/* ---- building ---- */
static sp_status play(plot *p, sp_timeline *timeline, sp_error *err)
{
    const size_t most = sp_pipeline_max_passes(p->kind, &p->shape);
    const size_t chunks = sp_pipeline_chunks(p->kind, &p->shape);
    p->times = sp_alloc(p->shape.p * chunks * sizeof *p->times);
    p->played = sp_alloc(most * sizeof *p->played);
    timeline->events = sp_alloc((3 * most + 3 * (size_t)p->shape.p) * sizeof *timeline->events);
    if (p->times == NULL || p->played == NULL || timeline->events == NULL) {
        return sp_fail(err, SP_E_MEMORY, "no memory for a timeline");
    }
    read_times(p);
    const sp_pipeline pipeline = {p->kind, p->shape, p->times, p->message_s};
    double end_s = 0.0;
    SP_TRY(sp_pipeline_play(&pipeline, p->played, &p->n_played, &end_s, err));
    timeline->stretch_ratio = p->passes_end_s / end_s;
    add_all(p, timeline);
    return SP_OK;
}

static void read_plan(const sp_problem *problem, const sp_plan *plan, plot *p)
{
    p->plan = plan;
    p->kind = sp_schedule_describe((sp_schedule)plan->schedule);
    p->shape = sp_plan_pipeline(plan);
    sp_inputs_build(problem, plan, true, &p->in);
    sp_stages_price(&p->in, &p->stages);
    sp_estimate_plan(problem, plan, &p->estimate);
    double bytes = 0.0;
    p->message_s = plan->pp > 1 ? sp_message_s(&p->in, &bytes) : 0.0;
    read_ends(p);
}

sp_status sp_timeline_build(const sp_problem *problem, const sp_plan *plan, sp_timeline **timeline,
                            sp_error *err)
{
    plot *p = sp_alloc(sizeof *p);
    sp_timeline *built = sp_alloc(sizeof *built);
    sp_status status = SP_E_MEMORY;
    *timeline = NULL;
    if (p == NULL || built == NULL) {
        (void)sp_fail(err, SP_E_MEMORY, "no memory for a timeline");
    } else {
        read_plan(problem, plan, p);
        built->step_s = p->estimate.time.step_s;
        status = play(p, built, err);
        sp_free(p->times);
        sp_free(p->played);
    }
    sp_free(p);
    if (status == SP_OK) {
        *timeline = built;
    } else {
        sp_timeline_free(built);
    }
    return status;
}

void sp_timeline_free(sp_timeline *timeline)
{
    if (timeline != NULL) {
        sp_free(timeline->events);
        sp_free(timeline);
    }
}
