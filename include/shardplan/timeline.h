/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* When every stage of a plan's pipeline does what: the passes of its schedule run one by one, with
 * the messages between stages, the gradients and the update that follow.
 *
 *     sp_timeline *timeline = NULL;
 *     SP_TRY(sp_timeline_build(problem, &plan, &timeline, err));
 *     for (size_t i = 0; i < timeline->n_events; i++) draw(&timeline->events[i]);
 *     sp_timeline_free(timeline);
 *
 * The last event ends when the estimate says that the step does. The estimate prices a schedule by
 * a closed form; where a run of its passes takes longer or shorter (stages of unequal length,
 * messages), the passes are stretched by the one factor stretch_ratio, 1 for equal stages. */
#include "shardplan/plan.h"
#include "shardplan/status.h"

#include <stddef.h>

struct sp_problem;

typedef enum sp_event_kind {
    SP_EVENT_FORWARD,
    SP_EVENT_RECOMPUTE,   /* what a backward pass computes again first */
    SP_EVENT_BACKWARD,    /* gradients of inputs and weights in one */
    SP_EVENT_INPUT_GRAD,  /* gradients of inputs alone */
    SP_EVENT_WEIGHT_GRAD, /* gradients of weights alone */
    SP_EVENT_SEND,        /* to the next stage, or back to the one before */
    SP_EVENT_GRADIENTS,   /* data-parallel traffic that no pass hides */
    SP_EVENT_UPDATE,
    SP_EVENT_HOST, /* what the host needs once a step */
    SP_N_EVENT_KINDS
} sp_event_kind;
const char *sp_event_kind_name(sp_event_kind kind); /* "forward" */

/* One stage of the first pipeline, all of whose ranks do the same. chunk and micro_batch are 0 for
 * gradients, update and host. */
typedef struct sp_event {
    sp_event_kind kind;
    uint32_t stage, chunk, micro_batch;
    double start_s, end_s;
} sp_event;

/* Events of a stage follow each other in the order of its list, stages in the order of the
 * pipeline. A forward pass that runs beside a backward one has its times. */
typedef struct sp_timeline {
    size_t n_events;
    sp_event *events;
    double step_s, stretch_ratio;
} sp_timeline;

/* The plan passes the structural rules. */
sp_status sp_timeline_build(const struct sp_problem *problem, const sp_plan *plan,
                            sp_timeline **timeline, sp_error *err);
void sp_timeline_free(sp_timeline *timeline);
