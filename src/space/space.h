/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The layout of a space, for its own files and for the search, and the walk over it. */
#include "base/base.h"
#include "shardplan/space.h"
#include "step/step.h"

#define SP_NO_RULE UINT32_MAX

/* ---- rules -------------------------------------------------------------------------------------- */
/* A line of prunes.def. Its function is asked where the axis `depth` turns, when all axes above it
 * are known and passed their own rules. */
typedef struct sp_prune {
    sp_rule_info info;
    sp_axis_id depth;
    bool (*admits)(const sp_problem *problem, const sp_plan *plan);
} sp_prune;

/* The value that an axis without effect stands at: its lowest in the question's space. Only for
 * axes that start at 0 unless --set says otherwise. */
uint32_t sp_axis_first_value(const sp_problem *problem, sp_axis_id axis);
/* True when every dimension of the model that tp cuts can be cut so. */
bool sp_tp_cuts_model(const sp_model *model, uint32_t tp);
/* Its layers, with embedding, head and prediction modules as one each. */
uint32_t sp_layers_with_ends(const sp_model *model);
/* Experts cut evenly into etp pieces. */
bool sp_etp_cuts_experts(const sp_model *model, uint32_t etp);

/* What is asked at one depth, in this order; the numbers are those of sp_space_rule. */
typedef struct sp_meaning_check { /* canonical and structure */
    bool (*admits)(const sp_problem *problem, const sp_plan *plan);
    uint32_t rule;
} sp_meaning_check;

typedef struct sp_engine_check {
    const struct sp_expr *when, *require; /* when NULL = always */
    uint64_t engine;                      /* its bit */
    uint32_t rule;
} sp_engine_check;

typedef struct sp_where_check {
    const struct sp_expr *expr;
    uint32_t rule;
} sp_where_check;

typedef struct sp_depth {
    uint32_t n_meanings, n_engine_checks, n_wheres;
    const sp_meaning_check *meanings;
    const sp_engine_check *engine_checks;
    const sp_where_check *wheres;
} sp_depth;


struct sp_space {
    sp_arena arena;
    const sp_problem *problem;
    sp_axis axes[SP_N_AXES];
    uint64_t n_plans;
    uint32_t n_rules;
    const sp_rule_info *rules;
    uint32_t memory_rule, network_rule;
    const sp_prune *memory;
    sp_depth depths[SP_N_AXES];
    uint32_t n_result_wheres; /* decided when a plan is priced */
    const sp_where_check *result_wheres;
    uint64_t all_engines;
};

sp_status sp_axes_build(sp_space *space, sp_error *err);
sp_status sp_rules_build(sp_space *space, sp_error *err);

/* The rule that takes the last engine out of *alive where the axis `depth` turns, or SP_NO_RULE. */
uint32_t sp_engine_refusal(const sp_space *space, sp_axis_id depth, const double *values,
                           uint64_t *alive);
uint32_t sp_where_refusal(const sp_space *space, sp_axis_id depth, const double *values);
/* The --where over results that refuses a priced plan, or SP_NO_RULE. */
uint32_t sp_result_refusal(const sp_space *space, const sp_plan *plan);

/* ---- odometer.c ---------------------------------------------------------------------------------- */
/* A walk over the plans below a prefix, in the order of their ids, that skips what means nothing.
 *
 *     sp_walk walk;
 *     sp_walk_begin(&walk, space, prefix_id, SP_AXIS_placement, SP_AXIS_dp_overlap, pruned);
 *     while (sp_walk_next(&walk)) { ... walk.id, walk.plan, walk.refused[SP_AXIS_dp_overlap] ... }
 *
 * Below a plan that some engine, --where or memory refuses the walk goes on, so that admitted plans
 * are counted exactly; refused[d] is the first rule that did so at depth d or above. */
typedef struct sp_walk {
    const sp_space *space;
    uint64_t *pruned; /* by rule: ids skipped as meaningless are added */
    sp_axis_id first, last, depth;
    bool started;
    bool memory_late; /* leave memory to the caller */
    uint64_t id;      /* of the lowest plan with the digits down to `depth` */
    sp_plan plan;
    double values[SP_N_PLAN_VARS];
    uint32_t digit[SP_N_AXES];
    uint32_t refused[SP_N_AXES];
    uint64_t engines[SP_N_AXES];
} sp_walk;

/* Axes first .. last are walked, those above stand as in prefix_id, which must be admitted. */
void sp_walk_begin(sp_walk *walk, const sp_space *space, uint64_t prefix_id, sp_axis_id first,
                   sp_axis_id last, uint64_t *pruned);
/* False when there is no further plan. */
bool sp_walk_next(sp_walk *walk);
