/* SPDX-License-Identifier: Apache-2.0 */
/* A floor under the memory of every plan of a geometry: what the fullest stage holds of weights,
 * gradients and optimizer when they are sharded as far as they may be, the inputs of its layers,
 * which even full recomputation keeps, and the least that a layer at work has beside them. */
#include "step/step.h"

#include <math.h>

static double sum_of(const sp_recipe *recipe, double params, uint32_t zero, uint32_t shards)
{
    const sp_units none = {0};
    const sp_state_bytes s = sp_mem_state(recipe, params, &none, zero, shards);
    return s.weights + s.gradients + s.optimizer;
}

static double state_floor(const sp_inputs *in, const sp_stage_class *stage, uint32_t zero)
{
    const sp_recipe *recipe = &in->problem->recipe, *own = &in->problem->adapter_recipe;
    const sp_shards shards = in->shards;
    const sp_stage_params p = sp_stage_params_of(in, stage);
    return sum_of(recipe, p.dense, zero, shards.dense) +
           sum_of(recipe, p.expert, zero, shards.expert) +
           sum_of(own, p.adapter.dense, zero, shards.dense) +
           sum_of(own, p.adapter.expert, zero, shards.expert);
}

/* Inputs are those of full recomputation, the layer at work that of none. */
static double activation_floor(const sp_inputs *in, const sp_stage_class *stage)
{
    const sp_plan *plan = in->plan;
    const uint32_t warm = plan->pp - stage->first_stage;
    const double held = plan->schedule != SP_SCHEDULE_1F1B ? 1.0
                        : plan->accumulation < warm        ? plan->accumulation
                                                           : warm;
    double kept = 0.0, working = 0.0;
    for (uint32_t k = 0; k < in->problem->model->n_kinds; k++) {
        const double n = sp_stage_layers_of(in, stage, k);
        kept += n * in->bytes[k].kept;
        if (n > 0.0) working = sp_larger(working, in->bytes_kept[k].working);
    }
    return held * kept + working;
}

static double fullest_stage(const sp_inputs *in, sp_stage_layers policy, uint32_t zero)
{
    const sp_stage_split *split = sp_problem_split(in->problem, in->plan->pp, policy);
    double most = 0.0;
    for (uint32_t i = 0; i < split->n_classes; i++) {
        const sp_stage_class *stage = &split->classes[i];
        if (stage->never_fullest) continue;
        most = sp_larger(most, state_floor(in, stage, zero) + activation_floor(in, stage));
    }
    return most;
}

double sp_memory_floor_bytes(const sp_problem *problem, const sp_plan *plan, uint32_t zero)
{
    double least = (double)INFINITY;
    sp_plan tried = *plan;
    tried.recompute = SP_RECOMPUTE_FULL;
    tried.recompute_layers = 1; /* layers of both sorts are priced */
    for (uint32_t sp = SP_OFF; sp <= (plan->tp > 1 ? SP_ON : SP_OFF); sp++) {
        sp_inputs in;
        sp_plan_set(&tried, SP_AXIS_sp, sp);
        sp_inputs_build(problem, &tried, false, &in);
        for (uint32_t policy = 0; policy < SP_N_STAGE_LAYERS; policy++) {
            const double bytes = fullest_stage(&in, (sp_stage_layers)policy, zero);
            least = bytes < least ? bytes : least;
        }
    }
    return least * (1.0 + problem->profile->fragmentation_ratio) +
           problem->cluster->gpu->context_bytes + problem->question.reserve_bytes;
}
