/* SPDX-License-Identifier: Apache-2.0 */
/* Engine rules (configs/engines): a plan needs one of the asked engines. Each engine is a bit that
 * its first broken rule clears; the rule that clears the last bit refuses the plan. */
#include "space/space.h"

static bool holds(const sp_engine_check *check, const double *values)
{
    const bool applies = check->when == NULL || sp_expr_eval(check->when, values) != 0.0;
    return !applies || sp_expr_eval(check->require, values) != 0.0;
}

uint32_t sp_engine_refusal(const sp_space *space, sp_axis_id depth, const double *values,
                           uint64_t *alive)
{
    const sp_depth *at = &space->depths[depth];
    for (uint32_t i = 0; i < at->n_engine_checks; i++) {
        const sp_engine_check *check = &at->engine_checks[i];
        if ((*alive & check->engine) == 0 || holds(check, values)) continue;
        *alive &= ~check->engine;
        if (*alive == 0) return check->rule;
    }
    return SP_NO_RULE;
}

/* The engines left when every rule was asked. */
static uint64_t engines_of(const sp_space *space, const sp_plan *plan)
{
    uint64_t alive = space->all_engines;
    double values[SP_N_PLAN_VARS];
    sp_plan_values(plan, values);
    for (sp_axis_id depth = 0; depth < SP_N_AXES && alive != 0; depth++) {
        (void)sp_engine_refusal(space, depth, values, &alive);
    }
    return alive;
}

uint32_t sp_space_runs_on(const sp_space *space, const sp_plan *plan, const sp_engine **engines,
                          uint32_t capacity)
{
    const sp_problem *problem = space->problem;
    sp_plan derived = *plan;
    sp_plan_derive(&derived, problem->question.global_batch);
    const uint64_t alive = engines_of(space, &derived);
    uint32_t n = 0;
    for (uint32_t i = 0; i < problem->n_engines && n < capacity; i++) {
        if ((alive >> i & 1) != 0) engines[n++] = &problem->engines[i];
    }
    return n;
}
