/* SPDX-License-Identifier: Apache-2.0 */
/* Weights, gradients and optimizer of a stage, what ZeRO leaves whole of them for a while, and what
 * of all that leaves the GPU. */
#include "step/step.h"

/* Under ZeRO-3 with a pipeline some engines leave weights whole between micro-batches. */
static double pipeline_unit_bytes(const sp_inputs *in)
{
    const bool whole = in->plan->zero >= 3 && in->plan->pp > 1;
    return whole ? in->problem->profile->pipeline_unit_bytes : 0.0;
}

/* Communicators that a rank takes part in. Copies that shard and copies of those have one each, of
 * the dense weights and of the experts. */
static int n_communicators(const sp_inputs *in)
{
    const sp_plan *plan = in->plan;
    const uint32_t replicas = sp_plan_replicas(plan);
    const int moe = in->problem->has_experts;
    const int hybrid = plan->cp > 1 && plan->cp_kind == SP_CP_HYBRID;
    const int dense =
        (plan->tp > 1) + (plan->cp > 1) + hybrid + (plan->pp > 1) + (in->shards.dense > 1);
    const int experts = (plan->ep > 1) + (plan->etp > 1) + (in->shards.expert > 1);
    return dense + experts + (replicas > 1 ? 1 + moe : 0);
}

sp_rank sp_rank_of(const sp_inputs *in)
{
    const sp_plan *plan = in->plan;
    const sp_engine_profile *profile = in->problem->profile;
    const bool copies = sp_plan_has_copies(in->problem, plan);
    return (sp_rank){.schedule = in->schedule,
                     .heads = in->schedule->forward_first ? plan->accumulation : 1.0,
                     .pipeline = in->pipeline,
                     .pipeline_unit_bytes = pipeline_unit_bytes(in),
                     .bucket_bytes = copies ? profile->bucket_bytes : 0.0,
                     .outside_bytes = n_communicators(in) * profile->communication_bytes,
                     .offloads = (plan->offload_optimizer | plan->offload_params) != 0};
}

static void add_state(sp_stage_state *state, const sp_recipe *recipe, double params,
                      const sp_units *units, uint32_t zero, uint32_t shards)
{
    if (params <= 0.0) {
        return;
    }
    const sp_state_bytes part = sp_mem_state(recipe, params, units, zero, shards);
    state->device.weights += part.weights;
    state->device.gradients += part.gradients;
    state->device.optimizer += part.optimizer;
    state->device.updated += part.updated;
    state->device.gathered += part.gathered;
    state->device.gathered_layer += part.gathered_layer;
}

/* The host holds the gradients of what it updates; under ZeRO 2 and 3 they go there as they arise.
 */
static void move_away(const sp_problem *problem, const sp_plan *plan, sp_stage_state *state)
{
    sp_state_bytes *d = &state->device;
    const double updated = plan->offload_optimizer / 100.0, held = plan->offload_params / 100.0;
    const double gradients = problem->adapter_recipe.gradient_bytes * d->updated;
    state->away_bytes = updated * (d->optimizer + gradients) + held * d->weights;
    d->optimizer *= 1.0 - updated;
    d->updated *= 1.0 - updated;
    d->gradients *= plan->zero >= 2 ? 1.0 - updated : 1.0;
    d->weights *= 1.0 - held;
}

/* What ZeRO-3 gathers whole: of the dense weights and of the experts on a stage. */
static void read_units(const sp_inputs *in, const sp_stage_class *stage, sp_units *dense,
                       sp_units *expert)
{
    const double embedding = stage->embedding ? in->embedding_params : 0.0;
    const double head = stage->head ? in->head_params : 0.0;
    for (uint32_t k = 0; k < in->problem->model->n_kinds; k++) {
        if (stage->layers[k] > 0) {
            dense->layer_params = sp_larger(dense->layer_params, in->params[k].dense);
            expert->layer_params = sp_larger(expert->layer_params, in->params[k].expert);
        }
    }
    dense->largest_params = sp_larger(dense->layer_params, sp_larger(embedding, head));
    if (in->problem->profile->root_unit) {
        dense->largest_params = dense->layer_params;
        dense->root_params = embedding + head;
        dense->root_gradients = in->problem->model->tied_embeddings ? embedding : head;
    }
    expert->largest_params = expert->layer_params;
    dense->gradient_bytes = expert->gradient_bytes = in->problem->profile->unit_grad_bytes;
    dense->live_params = in->problem->profile->live_params;
}

static void add_adapters(const sp_inputs *in, const sp_recipe *own, const sp_stage_params *params,
                         sp_stage_state *state)
{
    const sp_units none = {0};
    const uint32_t zero = in->plan->zero;
    add_state(state, own, params->adapter.dense, &none, zero, in->shards.dense);
    add_state(state, own, params->adapter.expert, &none, zero, in->shards.expert);
}

static void add_pipelined(const sp_inputs *in, const sp_rank *rank, const sp_stage_params *params,
                          sp_stage_state *state)
{
    const double whole = (in->shards.dense > 1 ? params->dense : 0.0) +
                         (in->shards.expert > 1 ? params->expert : 0.0);
    state->device.gathered += rank->pipeline_unit_bytes * whole;
    state->device.gathered_layer += rank->pipeline_unit_bytes * whole;
}

/* What weights in the format of their products add, or save where they replace 16-bit ones. What
 * ZeRO-3 gathers is cast anew for every pass. */
static double copies_bytes(const sp_inputs *in, const sp_stage_params *params)
{
    const sp_problem *problem = in->problem;
    const double matrices = params->dense_matrix + params->expert_matrix;
    const bool alone = !problem->has_adapters && sp_plan_narrow_weights(problem, in->plan);
    const double replaced = alone ? problem->recipe.weight_bytes : 0.0;
    return in->plan->zero >= 3 ? 0.0
                               : (problem->copy_bytes[in->plan->precision] - replaced) * matrices;
}

/* ZeRO++ keeps a second shard within the fastest domain, in 16 bits, and packs the unit at work. */
static void add_zeropp(const sp_inputs *in, const sp_stage_params *params, const sp_units *units,
                       sp_state_bytes *state)
{
    const uint32_t parts = in->problem->question.zeropp;
    if ((parts & SP_ZEROPP_HPZ) != 0) {
        const double bytes = in->problem->recipe.weight_bytes;
        const bool moe = in->problem->has_experts;
        sp_groups groups;
        sp_groups_build(&in->problem->fabric, in->plan, moe, true, &groups);
        state->weights += bytes * params->dense / groups.dense.near.n;
        state->weights += moe ? bytes * params->expert / groups.expert.near.n : 0.0;
    }
    if ((parts & SP_ZEROPP_QWZ) != 0) {
        const double packed = in->problem->profile->qwz_bytes;
        state->gathered += packed * units->largest_params;
        state->gathered_layer += packed * units->layer_params;
    }
}

sp_stage_state sp_stage_state_of(const sp_inputs *in, const sp_rank *rank,
                                 const sp_stage_class *stage)
{
    const uint32_t zero = in->plan->zero;
    const sp_stage_params params = sp_stage_params_of(in, stage);
    const sp_stage_recipes recipes = sp_stage_recipes_of(in, &params);
    sp_units units = {0}, expert_units = {0};
    sp_stage_state state = {0};
    read_units(in, stage, &units, &expert_units);
    add_state(&state, &recipes.dense, params.dense, &units, zero, in->shards.dense);
    add_state(&state, &recipes.expert, params.expert, &expert_units, zero, in->shards.expert);
    if (in->problem->has_adapters) add_adapters(in, &recipes.adapter, &params, &state);
    if (rank->pipeline_unit_bytes > 0.0) add_pipelined(in, rank, &params, &state);
    if (rank->offloads) move_away(in->problem, in->plan, &state);
    state.device.weights += copies_bytes(in, &params);
    if (zero >= 3 && in->problem->question.zeropp != 0) {
        add_zeropp(in, &params, &units, &state.device);
    }
    state.update_bytes = sp_update_bytes(in, &params, state.device.updated);
    state.device.optimizer += sp_flat_update_bytes(in, &recipes.adapter, state.device.updated);
    return state;
}
