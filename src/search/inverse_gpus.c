/* SPDX-License-Identifier: Apache-2.0 */
/* The fewest GPUs on which some plan of a space fits: numbers of GPUs from the fewest on, and of
 * each the walk of the search, down to the axis where memory is settled. */
#include "shardplan/inverse.h"

#include "search/search_priv.h"

#include <math.h>

/* GPUs below which not even weights, gradients and optimizer have room, were each held once. */
static double least_gpus(const sp_problem *problem, const sp_space *space)
{
    const sp_units none = {0};
    const sp_state_bytes state =
        sp_mem_state(&problem->recipe, (double)problem->parameters.total, &none, 3, 1);
    const sp_axis_id away[] = {SP_AXIS_offload_optimizer, SP_AXIS_offload_params};
    for (size_t i = 0; i < sizeof away / sizeof away[0]; i++) {
        const sp_axis *axis = sp_space_axis(space, away[i]);
        if (axis->values[axis->n_values - 1] > 0) return 1.0;
    }
    return ceil((state.weights + state.gradients + state.optimizer) / problem->allowed_bytes);
}

/* The first plan on so many GPUs that no rule refuses. */
static bool first_plan(const sp_space *space, uint32_t digit, uint64_t *pruned, sp_plan *plan)
{
    sp_walk walk;
    sp_walk_begin(&walk, space, digit * space->axes[SP_AXIS_gpus].stride, SP_AXIS_tp, SP_AXIS_sp,
                  pruned);
    while (sp_walk_next(&walk)) {
        if (walk.refused[SP_AXIS_sp] != SP_NO_RULE) continue;
        *plan = walk.plan;
        return true;
    }
    return false;
}

static void try_each(const sp_space *space, bool batch_follows, uint64_t *pruned,
                     sp_inverse *answer)
{
    const sp_axis *gpus = &space->axes[SP_AXIS_gpus];
    const uint32_t micro_batch = space->axes[SP_AXIS_micro_batch].values[0];
    const double least = least_gpus(space->problem, space);
    sp_problem problem = *space->problem;
    sp_space at = *space;
    at.problem = &problem;
    for (uint32_t i = 0; i < gpus->n_values && !answer->found; i++) {
        const uint64_t n = gpus->values[i];
        if (n < least || n > problem.cluster->max_gpus) continue;
        if (batch_follows) problem.question.global_batch = n * micro_batch;
        answer->found = first_plan(&at, i, pruned, &answer->plan);
        answer->value = n;
        answer->global_batch = problem.question.global_batch;
    }
}

sp_status sp_inverse_fewest_gpus(const sp_space *space, bool batch_follows, sp_inverse *answer,
                                 sp_error *err)
{
    *answer = (sp_inverse){.model = space->problem->model};
    uint64_t *pruned = sp_alloc(space->n_rules * sizeof *pruned);
    if (pruned == NULL) return sp_fail(err, SP_E_MEMORY, "the question needs more");
    try_each(space, batch_follows, pruned, answer);
    sp_free(pruned);
    return SP_OK;
}
