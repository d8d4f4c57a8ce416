/* SPDX-License-Identifier: Apache-2.0 */
/* A space as a whole: building it, and plans to ids and back. */
#include "space/space.h"

#include <assert.h>

sp_status sp_space_build(const sp_problem *problem, sp_space **space, sp_error *err)
{
    *space = NULL;
    sp_space *s = sp_alloc(sizeof *s);
    if (s == NULL) return sp_fail(err, SP_E_MEMORY, "no memory for the space");
    s->problem = problem;
    sp_status status = sp_axes_build(s, err);
    if (status == SP_OK) status = sp_rules_build(s, err);
    if (status != SP_OK) {
        sp_space_free(s);
        return status;
    }
    *space = s;
    return SP_OK;
}

void sp_space_free(sp_space *space)
{
    if (space == NULL) return;
    sp_arena_fini(&space->arena);
    sp_free(space);
}

uint64_t sp_space_count(const sp_space *space)
{
    return space->n_plans;
}

const sp_axis *sp_space_axis(const sp_space *space, sp_axis_id axis)
{
    assert(axis < SP_N_AXES);
    return &space->axes[axis];
}

const sp_problem *sp_space_problem(const sp_space *space)
{
    return space->problem;
}

sp_plan sp_space_unrank(const sp_space *space, uint64_t id)
{
    assert(id < space->n_plans);
    sp_plan plan = sp_plan_default();
    for (sp_axis_id axis = 0; axis < SP_N_AXES; axis++) {
        const sp_axis *a = &space->axes[axis];
        sp_plan_set(&plan, axis, a->values[id / a->stride]);
        id %= a->stride;
    }
    sp_plan_derive(&plan, space->problem->question.global_batch);
    return plan;
}

/* The place of a value in an axis; n_values when it is not there. */
static uint32_t find_value(const sp_axis *axis, uint32_t value)
{
    uint32_t lo = 0, hi = axis->n_values;
    while (lo < hi) {
        const uint32_t middle = lo + (hi - lo) / 2;
        if (axis->values[middle] < value) {
            lo = middle + 1;
        } else {
            hi = middle;
        }
    }
    return lo < axis->n_values && axis->values[lo] == value ? lo : axis->n_values;
}

bool sp_space_rank(const sp_space *space, const sp_plan *plan, uint64_t *id)
{
    uint64_t sum = 0;
    for (sp_axis_id axis = 0; axis < SP_N_AXES; axis++) {
        const sp_axis *a = &space->axes[axis];
        const uint32_t digit = find_value(a, sp_plan_get(plan, axis));
        if (digit == a->n_values) return false;
        sum += digit * a->stride;
    }
    *id = sum;
    return true;
}
