/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Pipeline schedules: in which order a stage runs its passes, how long that takes and what it
 * holds. The order is a list that pipeline.c runs event by event; time and memory of an estimate
 * are closed forms that tests hold against that run. */
#include "base/base.h"
#include "shardplan/plan.h"

static inline double sp_larger(double a, double b)
{
    return a > b ? a : b;
}

/* ---- the passes of a stage ------------------------------------------------------------------- */
typedef enum sp_stage_pass_kind {
    SP_PASS_FORWARD,
    SP_PASS_BACKWARD,    /* gradients of inputs and of weights */
    SP_PASS_INPUT_GRAD,  /* the first of its two halves, on which the stage before waits */
    SP_PASS_WEIGHT_GRAD, /* the second, on which nothing waits */
    SP_N_PASS_KINDS
} sp_stage_pass_kind;
const char *sp_stage_pass_kind_name(sp_stage_pass_kind kind);

/* One micro-batch through one chunk of a stage. Micro-batches are counted in each direction. */
typedef struct sp_stage_pass {
    uint8_t kind;   /* sp_stage_pass_kind */
    bool with_next; /* runs beside the next pass of the list */
    uint16_t chunk;
    uint32_t micro_batch;
} sp_stage_pass;

/* Seconds of one micro-batch on a stage, or on one chunk of it. hidden_s: by which a forward pass
 * and a backward pass beside each other are shorter than one after the other. */
typedef struct sp_pass_times {
    double forward_s, input_grad_s, weight_grad_s, hidden_s;
} sp_pass_times;

/* Which blocks of the model a stage holds, of as many as there are stages and chunks.
 * ROW: chunk c of stage i is block c p + i. V: chunk 0 is block i, chunk 1 block 2 p - 1 - i.
 * MIRROR: stages i and p - 1 - i both hold blocks i and p - 1 - i of p, and micro-batches enter
 * from both ends. */
typedef enum sp_block_layout {
    SP_LAYOUT_ROW,
    SP_LAYOUT_V,
    SP_LAYOUT_MIRROR,
    SP_N_LAYOUTS
} sp_block_layout;

/* p stages of v chunks (MIRROR: its two blocks), m micro-batches in each direction. */
typedef struct sp_pipeline_shape {
    uint32_t p, v, m;
    bool pairs; /* forward passes run beside backward ones where the schedule can */
} sp_pipeline_shape;

/* A list that grows to 3 m v passes at most. */
typedef struct sp_pass_list {
    sp_stage_pass *passes;
    uint32_t n;
} sp_pass_list;

/* A chain of passes, none of which can start before the one ahead of it is done: most of them on
 * the pivot. Its length is a lower bound of the step; the longest one is the step. */
typedef struct sp_chain {
    const sp_pipeline_shape *shape;
    const sp_pass_times *pivot, *sum; /* sum: of all stages, n of them */
    uint32_t n, n_after;              /* n_after: behind the pivot; after_s: their passes */
    double after_s;
} sp_chain;

/* ---- what a schedule is (schedules.def) ------------------------------------------------------ */
/* Micro-batches, in units of the whole stage, that a stage holds at one moment: with all
 * activations, until their backward pass, and with what the gradients of weights need alone. */
typedef struct sp_held {
    double whole, weight_grad;
} sp_held;
#define SP_MAX_HELD 3

typedef struct sp_schedule_kind {
    const char *name;
    sp_block_layout layout;
    bool splits_backward; /* every backward pass is cut into input and weight gradients */
    bool holds_late;      /* some of those wait, and hold what they need */
    bool overlaps_p2p;    /* stages send while they compute the next chunk */
    bool forward_first;   /* all forward passes come before the first backward one */
    bool pairs;           /* forward passes run beside backward ones of other micro-batches */
    /* The schedule is defined for so many stages, chunks and micro-batches. */
    bool (*admits)(const sp_pipeline_shape *shape);
    /* Later stages hold no more than earlier ones unless they hold late gradients. These are the
     * moments of which one is the fullest, whatever the two kinds of held micro-batches weigh,
     * as long as the second weighs no less; returns how many. */
    uint32_t (*held)(const sp_pipeline_shape *shape, uint32_t stage, sp_held moments[SP_MAX_HELD]);
    /* The longest chain of passes that mainly follows one stage. */
    double (*chain_s)(const sp_chain *chain);
    void (*list)(const sp_pipeline_shape *shape, uint32_t stage, sp_pass_list *list);
} sp_schedule_kind;

const sp_schedule_kind *sp_schedule_describe(sp_schedule schedule);
/* Directions in which micro-batches cross the pipeline: 2 under MIRROR. */
uint32_t sp_schedule_directions(const sp_schedule_kind *kind);
/* ep_overlap, and a schedule that has pairs of passes. */
bool sp_plan_pairs(const sp_plan *plan);
/* The pipeline of a plan: its micro-batches are dealt to the directions. */
sp_pipeline_shape sp_plan_pipeline(const sp_plan *plan);
/* Most micro-batches, in units of the stage, that a stage holds with either. */
double sp_schedule_in_flight(const sp_schedule_kind *kind, const sp_pipeline_shape *shape,
                             uint32_t stage);

/* For the files of schedules. */
/* The mean of the stages other than the pivot; the pivot where there are none. */
sp_pass_times sp_chain_others(const sp_chain *chain);
void sp_pass_add(sp_pass_list *list, sp_stage_pass_kind kind, uint32_t chunk, uint32_t micro_batch);
/* `warm` forward passes, then forward and backward ones in turn, chunk by chunk in rounds of p
 * micro-batches; weight gradients, where they are passes of their own, follow `lag` later. */
void sp_pass_list_in_turn(const sp_pipeline_shape *shape, uint32_t warm, bool splits, uint32_t lag,
                          sp_pass_list *list);

/* ---- pipeline.c: a pipeline run pass by pass ------------------------------------------------- */
/* A pass and when it ran. */
typedef struct sp_played_pass {
    sp_stage_pass pass;
    uint32_t stage, direction, block; /* block: of the model, counted in the direction */
    double start_s, end_s;
} sp_played_pass;

/* times[stage * n_chunks + chunk]; messages take message_s between stages. */
typedef struct sp_pipeline {
    const sp_schedule_kind *kind;
    sp_pipeline_shape shape;
    const sp_pass_times *times;
    double message_s;
} sp_pipeline;

/* Chunks of a stage: v, or the two blocks of MIRROR. */
uint32_t sp_pipeline_chunks(const sp_schedule_kind *kind, const sp_pipeline_shape *shape);
/* Blocks that a micro-batch passes through. */
uint32_t sp_pipeline_blocks(const sp_schedule_kind *kind, const sp_pipeline_shape *shape);
/* Most passes of all stages together. */
size_t sp_pipeline_max_passes(const sp_schedule_kind *kind, const sp_pipeline_shape *shape);
/* Runs every stage's list in its order, each pass as soon as what it waits for is done. *played has
 * room for sp_pipeline_max_passes; stages follow each other, their passes in order. */
sp_status sp_pipeline_play(const sp_pipeline *pipeline, sp_played_pass *played, size_t *n_played,
                           double *end_s, sp_error *err);
