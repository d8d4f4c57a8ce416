/* SPDX-License-Identifier: Apache-2.0 */
/* The fewest GPUs on which some plan of a space fits: numbers of GPUs from the fewest on, and of
 * each the walk of the search, down to the axis where memory is settled. */
#include "shardplan/inverse.h"

#include "search/search_priv.h"

#include <math.h>

/* GPUs below which not even weights, gradients and optimizer have room, were each held once. */
static double least_gpus(const sp_problem *problem)
{
    const sp_units none = {0};
    const sp_recipe recipe = sp_least_recipe(problem);
    const sp_state_bytes state =
        sp_mem_state(&recipe, (double)problem->parameters.total, &none, 3, 1);
    return ceil((state.weights + state.gradients + state.optimizer) / problem->allowed_bytes);
}

/* A space whose plans are asked on one number of GPUs after the other. */
typedef struct fewest {
    sp_space space; /* borrows the axes and rules of the user's, and looks at `problem` */
    sp_problem problem;
    uint64_t *pruned;
    uint32_t zero;   /* the furthest stage of the space */
    bool has_floors; /* nothing leaves the GPU, and stages hold runs of layers */
} fewest;

static uint32_t last_value(const sp_space *space, sp_axis_id axis)
{
    return space->axes[axis].values[space->axes[axis].n_values - 1];
}

static bool leaves_gpu(const sp_space *space)
{
    return last_value(space, SP_AXIS_offload_optimizer) > 0 ||
           last_value(space, SP_AXIS_offload_params) > 0 ||
           last_value(space, SP_AXIS_offload_activations) > 0;
}

/* Some schedules of the space deal layers otherwise than in a row. */
static bool folds(const sp_space *space)
{
    return last_value(space, SP_AXIS_schedule) > SP_SCHEDULE_INTERLEAVED;
}

/* Some plan of the geometry may fit. */
static bool may_fit(const fewest *f, const sp_plan *geometry)
{
    sp_plan plan = *geometry;
    if (!f->has_floors) return true;
    sp_plan_set(&plan, SP_AXIS_micro_batch, last_value(&f->space, SP_AXIS_micro_batch));
    sp_plan_set(&plan, SP_AXIS_schedule, last_value(&f->space, SP_AXIS_schedule));
    sp_plan_derive(&plan, f->problem.question.global_batch);
    if (plan.accumulation == 0) return false;
    const sp_axis *precisions = &f->space.axes[SP_AXIS_precision];
    for (uint32_t i = 0; i < precisions->n_values; i++) {
        sp_plan_set(&plan, SP_AXIS_precision, precisions->values[i]);
        const double bytes = sp_memory_floor_bytes(&f->problem, &plan, f->zero);
        if (bytes <= f->problem.allowed_bytes) return true;
    }
    return false;
}

/* The first plan of a geometry that no rule refuses. */
static bool first_below(fewest *f, uint64_t geometry, sp_plan *plan)
{
    sp_walk walk;
    sp_walk_begin(&walk, &f->space, geometry, SP_AXIS_micro_batch, SP_AXIS_sp, f->pruned);
    while (sp_walk_next(&walk)) {
        if (walk.refused[SP_AXIS_sp] != SP_NO_RULE) continue;
        *plan = walk.plan;
        return true;
    }
    return false;
}

static bool first_plan(fewest *f, uint32_t digit, sp_plan *plan)
{
    sp_walk walk;
    sp_walk_begin(&walk, &f->space, digit * f->space.axes[SP_AXIS_gpus].stride, SP_AXIS_tp,
                  SP_AXIS_placement, f->pruned);
    while (sp_walk_next(&walk)) {
        if (walk.refused[SP_AXIS_placement] != SP_NO_RULE || !may_fit(f, &walk.plan)) continue;
        if (first_below(f, walk.id, plan)) return true;
    }
    return false;
}

static void try_each(fewest *f, bool batch_follows, sp_inverse *answer)
{
    const sp_axis *gpus = &f->space.axes[SP_AXIS_gpus];
    const uint32_t micro_batch = f->space.axes[SP_AXIS_micro_batch].values[0];
    const double least = f->has_floors ? least_gpus(&f->problem) : 1.0;
    for (uint32_t i = 0; i < gpus->n_values && !answer->found; i++) {
        const uint64_t n = gpus->values[i];
        if ((double)n < least || n > f->problem.cluster->max_gpus) continue;
        if (batch_follows) f->problem.question.global_batch = n * micro_batch;
        answer->found = first_plan(f, i, &answer->plan);
        answer->value = n;
        answer->global_batch = f->problem.question.global_batch;
    }
}

sp_status sp_inverse_fewest_gpus(const sp_space *space, bool batch_follows, sp_inverse *answer,
                                 sp_error *err)
{
    *answer = (sp_inverse){.model = space->problem->model};
    fewest f = {.space = *space,
                .problem = *space->problem,
                .pruned = sp_alloc(space->n_rules * sizeof *f.pruned),
                .zero = last_value(space, SP_AXIS_zero),
                .has_floors = !leaves_gpu(space) && !folds(space)};
    if (f.pruned == NULL) return sp_fail(err, SP_E_MEMORY, "the question needs more");
    f.space.problem = &f.problem;
    try_each(&f, batch_follows, answer);
    sp_free(f.pruned);
    return SP_OK;
}
