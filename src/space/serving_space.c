/* SPDX-License-Identifier: Apache-2.0 */
/* A space of serving plans as a whole: building it, and plans to ids and back. */
#include "space/serving.h"

#include <assert.h>

sp_status sp_serving_space_build(const sp_serving_problem *problem, sp_serving_space **space,
                                 sp_error *err)
{
    *space = NULL;
    sp_serving_space *s = sp_alloc(sizeof *s);
    if (s == NULL) return sp_fail(err, SP_E_MEMORY, "no memory for the space");
    s->problem = problem;
    sp_status status = sp_serving_axes_build(s, err);
    if (status == SP_OK) status = sp_serving_rules_build(s, err);
    if (status != SP_OK) {
        sp_serving_space_free(s);
        return status;
    }
    *space = s;
    return SP_OK;
}

void sp_serving_space_free(sp_serving_space *space)
{
    if (space == NULL) return;
    sp_arena_fini(&space->arena);
    sp_free(space);
}

uint64_t sp_serving_space_count(const sp_serving_space *space)
{
    return space->n_plans;
}

const sp_serving_problem *sp_serving_space_problem(const sp_serving_space *space)
{
    return space->problem;
}

uint32_t sp_serving_space_values(const sp_serving_space *space, sp_serving_axis_id axis,
                                 const uint32_t **values)
{
    assert(axis < SP_N_SERVING_AXES);
    *values = space->axes[axis].values;
    return space->axes[axis].n_values;
}

const sp_serving_rules *sp_serving_space_engine(const sp_serving_space *space, uint32_t engine)
{
    assert(engine < space->problem->n_engines);
    return &space->problem->engines[engine].rules;
}

sp_serving_plan sp_serving_space_unrank(const sp_serving_space *space, uint64_t id)
{
    assert(id < space->n_plans);
    sp_serving_plan plan = {0};
    for (sp_serving_axis_id axis = 0; axis < SP_N_SERVING_AXES; axis++) {
        const sp_serving_axis *a = &space->axes[axis];
        plan.value[axis] = a->values[id / a->stride];
        id %= a->stride;
    }
    sp_serving_plan_derive(space->problem, &plan);
    return plan;
}

/* The place of a value in an axis; n_values when it is not there. */
static uint32_t find_value(const sp_serving_axis *axis, uint32_t value)
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

bool sp_serving_space_rank(const sp_serving_space *space, const sp_serving_plan *plan, uint64_t *id)
{
    uint64_t sum = 0;
    for (sp_serving_axis_id axis = 0; axis < SP_N_SERVING_AXES; axis++) {
        const sp_serving_axis *a = &space->axes[axis];
        const uint32_t digit = find_value(a, plan->value[axis]);
        if (digit == a->n_values) return false;
        sum += digit * a->stride;
    }
    *id = sum;
    return true;
}
