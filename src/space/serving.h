/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A space of serving plans from inside, and the walk over it; the twin of space.h. */
#include "serve/serving_priv.h"
#include "shardplan/serving_rules.h"
#include "shardplan/serving_space.h"
#include "space/space.h"

/* The innermost axis that tells layouts apart, and that of all. */
#define SP_SERVING_LAYOUT_AXIS SP_SERVING_AXIS_cp_prefill
#define SP_SERVING_LAST_AXIS   SP_SERVING_AXIS_batch

typedef struct sp_serving_axis {
    uint32_t n_values;
    const uint32_t *values; /* ascending, distinct */
    uint64_t stride;        /* ids between neighbours on this axis */
} sp_serving_axis;

/* ---- rules ---- */
/* A line of serving_prunes.def: asked at each depth whose bit is set, with that axis. */
typedef struct sp_serving_prune {
    sp_rule_info info;
    uint32_t depths;
    bool (*admits)(const sp_serving_space *space, const sp_serving_plan *plan,
                   sp_serving_axis_id axis);
} sp_serving_prune;

/* What is asked at one depth, in this order; the numbers are those of sp_serving_space_rule. */
typedef struct sp_serving_meaning {
    bool (*admits)(const sp_serving_space *space, const sp_serving_plan *plan,
                   sp_serving_axis_id axis);
    uint32_t rule;
} sp_serving_meaning;

typedef struct sp_serving_engine_check {
    const sp_engine_rule *rule;
    uint32_t engine;     /* its position in the problem */
    sp_worker_role role; /* the worker that it is asked about */
    uint32_t number;
} sp_serving_engine_check;

typedef struct sp_serving_depth {
    uint32_t n_meanings, n_engine_checks, n_wheres;
    const sp_serving_meaning *meanings;
    const sp_serving_engine_check *engine_checks;
    const sp_where_check *wheres;
} sp_serving_depth;

struct sp_serving_space {
    sp_arena arena;
    const sp_serving_problem *problem;
    sp_serving_axis axes[SP_N_SERVING_AXES];
    uint64_t n_plans;
    uint32_t n_rules;
    const sp_rule_info *rules;
    uint32_t cache_rule;               /* the engine has no such format of the cache */
    uint32_t memory_rule, first_limit; /* first_limit + i: the i-th of --slo */
    uint32_t overload_rule;
    sp_serving_depth depths[SP_N_SERVING_AXES];
    uint32_t n_result_wheres; /* decided when a plan is priced */
    const sp_where_check *result_wheres;
};

/* ---- serving_axis.c ---- */
sp_status sp_serving_axes_build(sp_serving_space *space, sp_error *err);
/* Ranks that share the attention of every layer, and the experts, evenly. */
bool sp_serving_tp_cuts_model(const sp_model *model, uint32_t tp);
bool sp_serving_ep_cuts_experts(const sp_model *model, uint32_t ep);
bool sp_serving_moe_tp_cuts_experts(const sp_model *model, uint32_t moe_tp);

/* ---- serving_rules.c ---- */
sp_status sp_serving_rules_build(sp_serving_space *space, sp_error *err);

/* ---- serving_ask.c ---- */
/* The canonical or structure rule that breaks where the axis `depth` turns, or SP_NO_RULE. */
uint32_t sp_serving_meaning_refusal(const sp_serving_space *space, const sp_serving_plan *plan,
                                    sp_serving_axis_id depth);
/* That of an engine or a --where. */
uint32_t sp_serving_other_refusal(const sp_serving_space *space, const sp_serving_plan *plan,
                                  sp_serving_axis_id depth);
/* What an estimate says: a limit, too much load, or SP_NO_RULE; over memory is asked before. */
uint32_t sp_serving_verdict_refusal(const sp_serving_space *space, sp_serving_verdict verdict,
                                    uint32_t limit);
/* The --where over results that refuses a priced plan, or SP_NO_RULE. */
uint32_t sp_serving_result_refusal(const sp_serving_space *space, const sp_serving_plan *plan,
                                   const sp_serving_estimate *estimate);

/* Objectives so that smaller is better. */
void sp_serving_space_keys(const sp_serving_space *space, const sp_serving_estimate *estimate,
                           double keys[SP_MAX_OBJECTIVES]);

/* ---- serving_walk.c ---- */
/* Over the plans below a prefix in the order of their ids; see sp_walk (space.h). refused[d] is the
 * first engine rule or --where that refused at depth d or above. */
typedef struct sp_serving_walk {
    const sp_serving_space *space;
    uint64_t *pruned; /* by rule: ids skipped as meaningless are added */
    sp_serving_axis_id first, last, depth;
    bool started;
    uint64_t id; /* of the lowest plan with the digits down to `depth` */
    sp_serving_plan plan;
    uint32_t digit[SP_N_SERVING_AXES];
    uint32_t refused[SP_N_SERVING_AXES];
} sp_serving_walk;

void sp_serving_walk_begin(sp_serving_walk *walk, const sp_serving_space *space, uint64_t prefix_id,
                           sp_serving_axis_id first, sp_serving_axis_id last, uint64_t *pruned);
/* The plans below one that another walk stands at. */
void sp_serving_walk_below(sp_serving_walk *walk, const sp_serving_walk *above,
                           sp_serving_axis_id last, uint64_t *pruned);
/* How many plans below a layout mean something; what does not is added to pruned. No rule of
 * chunk_tokens looks at batch, nor the other way round. */
uint64_t sp_serving_walk_count(const sp_serving_walk *above, uint64_t *pruned);
bool sp_serving_walk_next(sp_serving_walk *walk);
