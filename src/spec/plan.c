/* SPDX-License-Identifier: Apache-2.0 */
/* A plan as a row of axis values: what axes there are, reading and setting one by its id, and the
 * numbers that follow from them. Everything here is generated from axes.def. */
#include "shardplan/plan.h"

#include <assert.h>
#include <string.h>

_Static_assert(sizeof(sp_plan) == 52, "plans are compared and hashed as bytes: no padding");

#define NAME(id, name) name,
static const char *const switch_names[] = {SP_ENUM_SWITCH(NAME)};
static const char *const recompute_names[] = {SP_ENUM_RECOMPUTE(NAME)};
static const char *const schedule_names[] = {SP_ENUM_SCHEDULE(NAME)};
static const char *const stage_layers_names[] = {SP_ENUM_STAGE_LAYERS(NAME)};
static const char *const precision_names[] = {SP_ENUM_PRECISION(NAME)};
static const char *const placement_names[] = {SP_ENUM_PLACEMENT(NAME)};
static const char *const offload_target_names[] = {SP_ENUM_OFFLOAD_TARGET(NAME)};
static const char *const cp_kind_names[] = {SP_ENUM_CP_KIND(NAME)};
static const char *const task_names[] = {SP_ENUM_TASK(NAME)};
static const char *const kernels_names[] = {SP_ENUM_KERNELS(NAME)};
static const char *const dispatch_names[] = {SP_ENUM_DISPATCH(NAME)};
static const char *const gradients_names[] = {SP_ENUM_GRADIENTS(NAME)};
#undef NAME

#define N_NAMES(names)      (sizeof(names) / sizeof((names)[0]))
#define NAMED(list)         .kind = SP_AXIS_KIND_NAME, .n_names = N_NAMES(list), .names = list
#define KIND_COUNT          .kind = SP_AXIS_KIND_COUNT
#define KIND_COUNT_OR_ALL   .kind = SP_AXIS_KIND_COUNT_OR_ALL
#define KIND_RATIO          .kind = SP_AXIS_KIND_RATIO
#define KIND_SWITCH         NAMED(switch_names)
#define KIND_RECOMPUTE      NAMED(recompute_names)
#define KIND_SCHEDULE       NAMED(schedule_names)
#define KIND_STAGE_LAYERS   NAMED(stage_layers_names)
#define KIND_PRECISION      NAMED(precision_names)
#define KIND_PLACEMENT      NAMED(placement_names)
#define KIND_OFFLOAD_TARGET NAMED(offload_target_names)
#define KIND_CP_KIND        NAMED(cp_kind_names)

/* clang-format off */
static const sp_axis_info axes[SP_N_AXES] = {
#define SP_AXIS(field, axis_name, kind, default_value, axis_unit, axis_meaning)                    \
    [SP_AXIS_##field] = {.name = axis_name, .unit = axis_unit, .meaning = axis_meaning,            \
                         .fallback = default_value, KIND_##kind},
#include "shardplan/axes.def"
#undef SP_AXIS
};
/* clang-format on */

const sp_axis_info *sp_axis_describe(sp_axis_id axis)
{
    assert(axis < SP_N_AXES);
    return &axes[axis];
}

sp_axis_id sp_axis_find(const char *name)
{
    assert(name != NULL);
    for (sp_axis_id axis = 0; axis < SP_N_AXES; axis++) {
        if (strcmp(axes[axis].name, name) == 0) return axis;
    }
    return SP_N_AXES;
}

uint32_t sp_plan_get(const sp_plan *plan, sp_axis_id axis)
{
    switch (axis) {
#define SP_AXIS(field, name, kind, fallback, unit, meaning)                                        \
    case SP_AXIS_##field:                                                                          \
        return plan->field;
#include "shardplan/axes.def"
#undef SP_AXIS
    case SP_N_AXES:
        break;
    }
    assert(!"an axis");
    return 0;
}

void sp_plan_set(sp_plan *plan, sp_axis_id axis, uint32_t value)
{
    switch (axis) {
#define SP_AXIS(field, name, kind, fallback, unit, meaning)                                        \
    case SP_AXIS_##field:                                                                          \
        plan->field = (__typeof__(plan->field))value;                                              \
        assert(plan->field == value);                                                              \
        return;
#include "shardplan/axes.def"
#undef SP_AXIS
    case SP_N_AXES:
        break;
    }
    assert(!"an axis");
}

const char *sp_task_name(sp_task task)
{
    assert(task < SP_N_TASKS);
    return task_names[task];
}

const char *sp_kernels_name(sp_kernels kernels)
{
    assert(kernels < SP_N_KERNELS);
    return kernels_names[kernels];
}

const char *sp_dispatch_name(sp_dispatch dispatch)
{
    assert(dispatch < SP_N_DISPATCHES);
    return dispatch_names[dispatch];
}

const char *sp_gradients_name(sp_gradients gradients)
{
    assert(gradients < SP_N_GRADIENTS);
    return gradients_names[gradients];
}

sp_plan sp_plan_default(void)
{
    sp_plan plan = {0};
    for (sp_axis_id axis = 0; axis < SP_N_AXES; axis++) {
        sp_plan_set(&plan, axis, axes[axis].fallback);
    }
    return plan;
}

/* 0 where the division leaves a remainder or the quotient fits no field. */
static uint32_t exact_quotient(uint64_t dividend, uint64_t divisor)
{
    if (divisor == 0 || dividend % divisor != 0) return 0;
    const uint64_t quotient = dividend / divisor;
    return quotient <= UINT32_MAX ? (uint32_t)quotient : 0;
}

void sp_plan_derive(sp_plan *plan, uint64_t global_batch)
{
    plan->dp = exact_quotient(plan->gpus, (uint64_t)plan->tp * plan->cp * plan->pp);
    plan->accumulation = exact_quotient(global_batch, (uint64_t)plan->dp * plan->micro_batch);
}
