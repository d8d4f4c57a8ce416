/* SPDX-License-Identifier: Apache-2.0 */
/* Plans in the expressions of --where and of engine rules: which names there are, their values for
 * a plan, and how early in the order of axes an expression can be decided. */
#include "base/base.h"
#include "shardplan/plan.h"

#include <assert.h>
#include <string.h>

double sp_axis_number(sp_axis_id axis, uint32_t value)
{
    return sp_axis_describe(axis)->kind == SP_AXIS_KIND_RATIO ? value / 100.0 : value;
}

void sp_plan_values(const sp_plan *plan, double *values)
{
#define SP_AXIS(field, name, kind, fallback, unit, meaning)                                        \
    values[SP_AXIS_##field] = sp_axis_number(SP_AXIS_##field, plan->field);
#include "shardplan/axes.def"
#undef SP_AXIS
    values[SP_VAR_DP] = (double)plan->dp;
    values[SP_VAR_ACCUMULATION] = (double)plan->accumulation;
}

/* dp is gpus / (tp cp pp), and space/ checks the division where the geometry ends; accumulation
 * needs the micro-batch as well. */
static sp_axis_id known_at(int variable)
{
    assert(variable >= 0 && variable < SP_N_PLAN_VARS);
    if (variable == SP_VAR_DP) return SP_AXIS_placement;
    if (variable == SP_VAR_ACCUMULATION) return SP_AXIS_micro_batch;
    return (sp_axis_id)variable;
}

sp_axis_id sp_plan_expr_depth(const struct sp_expr *expr)
{
    const int *variables = NULL;
    const size_t n_variables = sp_expr_variables(expr, &variables);
    sp_axis_id depth = 0;
    for (size_t i = 0; i < n_variables; i++) {
        const sp_axis_id axis = known_at(variables[i]);
        if (axis > depth) depth = axis;
    }
    return depth;
}

/* The index of an axis or a derived value; SP_N_PLAN_VARS when it is neither. */
static int find_variable(const char *name)
{
    if (strcmp(name, "dp") == 0) return SP_VAR_DP;
    if (strcmp(name, "accumulation") == 0) return SP_VAR_ACCUMULATION;
    const sp_axis_id axis = sp_axis_find(name);
    return axis == SP_N_AXES ? SP_N_PLAN_VARS : (int)axis;
}

static void fail_variable(const char *name, sp_error *err)
{
    const char *names[SP_N_PLAN_VARS];
    for (sp_axis_id axis = 0; axis < SP_N_AXES; axis++) {
        names[axis] = sp_axis_describe(axis)->name;
    }
    names[SP_VAR_DP] = "dp";
    names[SP_VAR_ACCUMULATION] = "accumulation";
    sp_fail(err, SP_E_UNKNOWN_NAME, "nothing goes by the name \"%s\" here", name);
    sp_fail_names(err, name, names, SP_N_PLAN_VARS);
}

static bool has_words(sp_axis_id axis)
{
    const sp_axis_kind kind = sp_axis_describe(axis)->kind;
    return kind == SP_AXIS_KIND_NAME || kind == SP_AXIS_KIND_COUNT_OR_ALL;
}

/* Neither variable nor value: an axis to come, a wrong value beside a named axis, or a slip. */
static void fail_name(const char *name, sp_axis_id beside, sp_error *err)
{
    sp_axis_id axis = SP_N_AXES;
    uint32_t value = 0;
    if (sp_axis_find_or_fail(name, &axis, err) == SP_E_NOT_YET) return;
    if (beside != SP_N_AXES && has_words(beside)) {
        (void)sp_axis_parse_value(beside, name, &value, err);
    } else {
        fail_variable(name, err);
    }
}

int sp_plan_resolve(const char *name, const char *context, double *constant, sp_error *err)
{
    const int variable = find_variable(name);
    if (variable != SP_N_PLAN_VARS) return variable;
    const sp_axis_id beside = context != NULL ? sp_axis_find(context) : SP_N_AXES;
    if (beside != SP_N_AXES && has_words(beside)) {
        uint32_t value = 0;
        if (sp_axis_parse_value(beside, name, &value, err) == SP_OK) {
            *constant = (double)value;
            return -1;
        }
    }
    fail_name(name, beside, err);
    return -2;
}
