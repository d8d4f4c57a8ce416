/* SPDX-License-Identifier: Apache-2.0 */
/* --where: over axes alone it is a rule like others; over results it judges priced plans. */
#include "space/space.h"

#include <assert.h>

uint32_t sp_where_refusal(const sp_space *space, sp_axis_id depth, const double *values)
{
    const sp_depth *at = &space->depths[depth];
    for (uint32_t i = 0; i < at->n_wheres; i++) {
        if (sp_expr_eval(at->wheres[i].expr, values) == 0.0) return at->wheres[i].rule;
    }
    return SP_NO_RULE;
}

enum { MAX_FIELDS = 128 };

static void fill_fields(const sp_estimate *estimate, double *values)
{
    assert(sp_field_count() <= MAX_FIELDS);
    for (uint32_t i = 0; i < sp_field_count(); i++) {
        values[SP_VAR_FIELDS + i] = sp_field_get(estimate, i);
    }
}

uint32_t sp_result_refusal(const sp_space *space, const sp_plan *plan)
{
    if (space->n_result_wheres == 0) return SP_NO_RULE;
    double values[SP_VAR_FIELDS + MAX_FIELDS];
    sp_estimate estimate;
    sp_estimate_plan(space->problem, plan, &estimate);
    sp_plan_values(plan, values);
    fill_fields(&estimate, values);
    for (uint32_t i = 0; i < space->n_result_wheres; i++) {
        const sp_where_check *where = &space->result_wheres[i];
        if (sp_expr_eval(where->expr, values) == 0.0) return where->rule;
    }
    return SP_NO_RULE;
}
