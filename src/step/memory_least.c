/* SPDX-License-Identifier: Apache-2.0 */
/* A floor under the memory of every plan of a geometry. Stages hold their state at the kindest ZeRO
 * stage, the inputs of their layers, which even full recomputation keeps, and beside them the least
 * that a layer at work or the loss has. */
#include "step/step.h"

#include <math.h>

/* The same terms are added up in another order than those of a plan. */
#define ROUNDING 1e-12

/* Of a micro-batch: inputs are those of full recomputation, the layer at work that of none. */
typedef struct least {
    double waiting, working, loss;
} least;

static double held_batches(const sp_plan *plan, const sp_stage_class *stage)
{
    const uint32_t warm = plan->pp - stage->first_stage;
    if (plan->schedule != SP_SCHEDULE_1F1B) return 1.0;
    return plan->accumulation < warm ? plan->accumulation : warm;
}

static least read_least(const sp_inputs *in, const sp_stage_class *stage)
{
    least l = {0};
    double kept = stage->embedding ? in->embedding_kept : 0.0;
    for (uint32_t k = 0; k < in->problem->model->n_kinds; k++) {
        const double n = sp_stage_layers_of(in, stage, k);
        if (n <= 0.0) continue;
        kept += n * in->bytes[k].kept;
        l.working = sp_larger(l.working, in->bytes_kept[k].working);
    }
    l.waiting = held_batches(in->plan, stage) * kept;
    l.loss = stage->head ? in->head_kept + in->head_working + in->logits : 0.0;
    return l;
}

static double fullest_stage(const sp_inputs *in, sp_stage_layers policy)
{
    const sp_stage_split *split =
        sp_problem_split(in->problem, in->plan->pp, policy, SP_LAYOUT_ROW);
    const sp_rank rank = sp_rank_of(in);
    double most = 0.0;
    for (uint32_t i = 0; i < split->n_classes; i++) {
        const sp_stage_class *stage = &split->classes[i];
        if (stage->never_fullest) continue;
        const sp_stage_state state = sp_stage_state_of(in, &rank, stage);
        const sp_state_bytes *d = &state.device;
        const least l = read_least(in, stage);
        const double phase =
            sp_larger(l.working + d->gathered_layer, stage->head ? l.loss + d->gathered : 0.0);
        most = sp_larger(most, d->weights + d->gradients + d->optimizer + l.waiting + phase);
    }
    /* Communicators lie outside what fragments. */
    const double loss = 1.0 + in->problem->profile->fragmentation_ratio;
    return most + rank.bucket_bytes + rank.outside_bytes / loss;
}

/* Over ZeRO stages and ways to deal the layers. */
static double least_of(const sp_inputs *in, sp_plan *plan, uint32_t zero)
{
    double bytes = (double)INFINITY;
    for (uint32_t z = 0; z <= zero; z++) {
        sp_plan_set(plan, SP_AXIS_zero, z);
        for (uint32_t policy = 0; policy < SP_N_STAGE_LAYERS; policy++) {
            bytes = fmin(bytes, fullest_stage(in, (sp_stage_layers)policy));
        }
    }
    return bytes;
}

double sp_memory_floor_bytes(const sp_problem *problem, const sp_plan *plan, uint32_t zero)
{
    double bytes = (double)INFINITY;
    sp_plan tried = *plan;
    tried.recompute = SP_RECOMPUTE_FULL;
    tried.recompute_layers = 1; /* layers of both sorts are priced */
    for (uint32_t sp = SP_OFF; sp <= (plan->tp > 1 ? SP_ON : SP_OFF); sp++) {
        sp_inputs in;
        sp_plan_set(&tried, SP_AXIS_sp, sp);
        sp_plan_set(&tried, SP_AXIS_zero, 0); /* no stage reads more tensors */
        sp_inputs_build(problem, &tried, false, &in);
        bytes = fmin(bytes, least_of(&in, &tried, zero));
    }
    const sp_engine_profile *profile = problem->profile;
    return (1.0 - ROUNDING) *
           ((bytes + profile->workspace_bytes) * (1.0 + profile->fragmentation_ratio) +
            problem->cluster->gpu->context_bytes + problem->question.reserve_bytes);
}
