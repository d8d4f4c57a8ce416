/* SPDX-License-Identifier: Apache-2.0 */
/* Asking the rules of a space of serving plans: at one depth, or all of them about one plan. */
#include "space/serving.h"

#include <assert.h>

uint32_t sp_serving_space_rule_count(const sp_serving_space *space)
{
    return space->n_rules;
}

const sp_rule_info *sp_serving_space_rule(const sp_serving_space *space, uint32_t rule)
{
    assert(rule < space->n_rules);
    return &space->rules[rule];
}

/* ---- at one depth ---- */

uint32_t sp_serving_meaning_refusal(const sp_serving_space *space, const sp_serving_plan *plan,
                                    sp_serving_axis_id depth)
{
    const sp_serving_depth *at = &space->depths[depth];
    for (uint32_t i = 0; i < at->n_meanings; i++) {
        if (!at->meanings[i].admits(space, plan, depth)) return at->meanings[i].rule;
    }
    return SP_NO_RULE;
}

static bool has_role(const sp_serving_plan *plan, sp_worker_role role)
{
    const bool apart = plan->value[SP_SERVING_AXIS_mode] == SP_SERVING_DISAGG;
    return apart == (role != SP_WORKER_BOTH);
}

void sp_serving_worker_values(const sp_serving_plan *plan, sp_worker_role role,
                              double values[SP_N_SERVING_VARS])
{
    const uint32_t *v = plan->value;
    const uint32_t *layout =
        &v[role == SP_WORKER_PREFILL ? SP_SERVING_AXIS_prefill_tp : SP_SERVING_AXIS_tp];
    values[SP_SERVING_VAR_TP] = layout[0];
    values[SP_SERVING_VAR_ATTN_DP] = layout[1];
    values[SP_SERVING_VAR_EP] = layout[2];
    values[SP_SERVING_VAR_MOE_TP] = layout[3];
    values[SP_SERVING_VAR_PP] = layout[4];
    values[SP_SERVING_VAR_CP_PREFILL] =
        role == SP_WORKER_DECODE ? 1.0 : v[SP_SERVING_AXIS_cp_prefill];
    values[SP_SERVING_VAR_WIDTH] = (double)layout[0] * layout[1];
    values[SP_SERVING_VAR_BATCH] = v[SP_SERVING_AXIS_batch];
    values[SP_SERVING_VAR_CHUNK_TOKENS] = v[SP_SERVING_AXIS_chunk_tokens];
    values[SP_SERVING_VAR_SPEC] = v[SP_SERVING_AXIS_spec];
    values[SP_SERVING_VAR_MODE] = v[SP_SERVING_AXIS_mode];
    values[SP_SERVING_VAR_ROLE] = role;
    values[SP_SERVING_VAR_WEIGHT_DTYPE] = v[SP_SERVING_AXIS_weight_dtype];
    values[SP_SERVING_VAR_KV_DTYPE] = v[SP_SERVING_AXIS_kv_dtype];
}

static bool holds(const sp_engine_rule *rule, const double *values)
{
    const bool applies = rule->when == NULL || sp_expr_eval(rule->when, values) != 0.0;
    return !applies || sp_expr_eval(rule->require, values) != 0.0;
}

static uint32_t engine_refusal(const sp_serving_space *space, const sp_serving_plan *plan,
                               sp_serving_axis_id depth)
{
    const uint32_t engine = plan->value[SP_SERVING_AXIS_engine];
    const sp_serving_depth *at = &space->depths[depth];
    if (depth == SP_SERVING_AXIS_kv_dtype &&
        space->problem->engines[engine].kv[plan->value[depth]] == UINT32_MAX) {
        return space->cache_rule;
    }
    for (uint32_t i = 0; i < at->n_engine_checks; i++) {
        const sp_serving_engine_check *check = &at->engine_checks[i];
        double values[SP_N_SERVING_VARS];
        if (check->engine != engine || !has_role(plan, check->role)) continue;
        sp_serving_worker_values(plan, check->role, values);
        if (!holds(check->rule, values)) return check->number;
    }
    return SP_NO_RULE;
}

static void fill_values(const sp_serving_plan *plan, double *values)
{
    for (sp_serving_axis_id axis = 0; axis < SP_N_SERVING_AXES; axis++) {
        values[axis] = plan->value[axis];
    }
    values[SP_SERVING_WHERE_WORKERS] = plan->workers;
}

static uint32_t where_refusal(const sp_serving_space *space, const sp_serving_plan *plan,
                              sp_serving_axis_id depth)
{
    const sp_serving_depth *at = &space->depths[depth];
    double values[SP_SERVING_WHERE_FIELDS];
    if (at->n_wheres > 0) fill_values(plan, values);
    for (uint32_t i = 0; i < at->n_wheres; i++) {
        if (sp_expr_eval(at->wheres[i].expr, values) == 0.0) return at->wheres[i].rule;
    }
    return SP_NO_RULE;
}

uint32_t sp_serving_other_refusal(const sp_serving_space *space, const sp_serving_plan *plan,
                                  sp_serving_axis_id depth)
{
    const uint32_t rule = engine_refusal(space, plan, depth);
    return rule != SP_NO_RULE ? rule : where_refusal(space, plan, depth);
}

/* ---- a priced plan ---- */

uint32_t sp_serving_verdict_refusal(const sp_serving_space *space, sp_serving_verdict verdict,
                                    uint32_t limit)
{
    switch (verdict) {
    case SP_SERVING_OVER_MEMORY:
        return space->memory_rule;
    case SP_SERVING_OVER_LIMIT:
        return space->first_limit + limit;
    case SP_SERVING_OVERLOADED:
        return space->overload_rule;
    case SP_SERVING_FITS:
    case SP_SERVING_TIGHT:
    case SP_N_SERVING_VERDICTS:
        break;
    }
    return SP_NO_RULE;
}

enum { MAX_FIELDS = 128 };

uint32_t sp_serving_result_refusal(const sp_serving_space *space, const sp_serving_plan *plan,
                                   const sp_serving_estimate *estimate)
{
    double values[SP_SERVING_WHERE_FIELDS + MAX_FIELDS];
    assert(sp_serving_field_count() <= MAX_FIELDS);
    if (space->n_result_wheres == 0) return SP_NO_RULE;
    fill_values(plan, values);
    for (uint32_t i = 0; i < sp_serving_field_count(); i++) {
        values[SP_SERVING_WHERE_FIELDS + i] = sp_serving_field_get(estimate, i);
    }
    for (uint32_t i = 0; i < space->n_result_wheres; i++) {
        const sp_where_check *where = &space->result_wheres[i];
        if (sp_expr_eval(where->expr, values) == 0.0) return where->rule;
    }
    return SP_NO_RULE;
}

void sp_serving_space_keys(const sp_serving_space *space, const sp_serving_estimate *estimate,
                           double keys[SP_MAX_OBJECTIVES])
{
    for (uint32_t i = 0; i < space->problem->n_objectives; i++) {
        const double value = estimate->objective[i];
        const bool maximise = sp_serving_problem_objective(space->problem, i)->maximise;
        keys[i] = maximise ? -value : value;
    }
}

/* ---- all about one plan ---- */

uint32_t sp_serving_space_refusal(const sp_serving_space *space, const sp_serving_plan *plan)
{
    sp_serving_plan derived = *plan;
    sp_serving_estimate estimate;
    sp_serving_plan_derive(space->problem, &derived);
    for (sp_serving_axis_id depth = 0; depth < SP_N_SERVING_AXES; depth++) {
        const uint32_t rule = sp_serving_meaning_refusal(space, &derived, depth);
        if (rule != SP_NO_RULE) return rule;
    }
    for (sp_serving_axis_id depth = 0; depth < SP_N_SERVING_AXES; depth++) {
        const uint32_t rule = sp_serving_other_refusal(space, &derived, depth);
        if (rule != SP_NO_RULE) return rule;
    }
    sp_serving_estimate_plan(space->problem, &derived, &estimate);
    const uint32_t rule = sp_serving_verdict_refusal(space, estimate.verdict, estimate.limit);
    return rule != SP_NO_RULE ? rule : sp_serving_result_refusal(space, &derived, &estimate);
}
