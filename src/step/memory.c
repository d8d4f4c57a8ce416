/* SPDX-License-Identifier: Apache-2.0 */
/* Peak memory of the fullest rank: state, activations in flight by schedule, logits, buffers, what
 * the allocator loses and what the driver takes. Every class of pipeline stages is priced; the worst
 * counts. Leaves out: offload, loading and checkpointing phases. */
#include "step/step.h"

#include <math.h>

/* Everything of a layer that memory depends on, by kind. */
typedef struct sp_memory_inputs {
    sp_layer_bytes layer[SP_MODEL_MAX_KINDS];
    sp_layer_params params[SP_MODEL_MAX_KINDS];
    double embedding_params, head_params;
    double embedding_kept, head_kept, logits;
    uint32_t dense_shards, expert_shards;
} sp_memory_inputs;

static void read_ends(const sp_problem *problem, const sp_plan *plan, const sp_shape *shape,
                      sp_memory_inputs *in)
{
    const sp_model *model = problem->model;
    const sp_sharding sharding = sp_plan_sharding(plan, false);
    const double whole = shape->tokens / (sharding.sp ? sharding.tp : 1);
    in->embedding_params = sp_graph_embedding_params(model, &sharding);
    in->head_params = sp_graph_head_params(model, &sharding);
    /* Token ids and positions, 8 bytes each a token, and the dropout mask. */
    in->embedding_kept = 16.0 * shape->tokens + (model->dropout ? model->hidden * whole : 0.0);
    /* Inputs of the final norm and of the head. */
    in->head_kept = 4.0 * model->hidden * whole;
    in->logits = sp_mem_logits(shape->tokens, (double)model->vocab / sharding.tp);
}

static void read_inputs(const sp_problem *problem, const sp_plan *plan, sp_memory_inputs *in)
{
    const sp_model *model = problem->model;
    const sp_shape shape = sp_plan_shape(problem, plan);
    sp_layer_work work;
    for (uint32_t k = 0; k < model->n_kinds; k++) {
        const bool moe = model->kinds[k].ffn.n_experts > 0;
        const sp_sharding sharding = sp_plan_sharding(plan, moe);
        sp_graph_layer(model, &model->kinds[k], &shape, &sharding, problem->rates.flash, &work);
        in->layer[k] = sp_mem_layer(&work, (sp_recompute)plan->recompute);
        in->params[k] = sp_graph_layer_params(model, &model->kinds[k], &sharding);
    }
    in->dense_shards = plan->dp;
    in->expert_shards = plan->dp / plan->ep;
    read_ends(problem, plan, &shape, in);
}

static sp_state_bytes stage_state(const sp_problem *problem, const sp_plan *plan,
                                  const sp_memory_inputs *in, const sp_stage_class *stage)
{
    double dense = 0.0, expert = 0.0, unit_dense = 0.0, unit_expert = 0.0;
    for (uint32_t k = 0; k < problem->model->n_kinds; k++) {
        dense += stage->layers[k] * in->params[k].dense;
        expert += stage->layers[k] * in->params[k].expert;
        if (stage->layers[k] > 0) {
            unit_dense = fmax(unit_dense, in->params[k].dense);
            unit_expert = fmax(unit_expert, in->params[k].expert);
        }
    }
    /* A tied head shares the table of a one-stage pipeline; across stages both ends hold a copy. */
    const bool one_table = problem->model->tied_embeddings && plan->pp == 1;
    dense += stage->embedding ? in->embedding_params : 0.0;
    dense += stage->head && !one_table ? in->head_params : 0.0;
    const sp_state_bytes d =
        sp_mem_state(&problem->recipe, dense, unit_dense, plan->zero, in->dense_shards);
    const sp_state_bytes e =
        sp_mem_state(&problem->recipe, expert, unit_expert, plan->zero, in->expert_shards);
    return (sp_state_bytes){.weights = d.weights + e.weights,
                            .gradients = d.gradients + e.gradients,
                            .optimizer = d.optimizer + e.optimizer,
                            .gathered = d.gathered + e.gathered};
}

static double stage_activations(const sp_problem *problem, const sp_plan *plan,
                                const sp_memory_inputs *in, const sp_stage_class *stage)
{
    double kept = stage->embedding ? in->embedding_kept : 0.0, working = 0.0;
    for (uint32_t k = 0; k < problem->model->n_kinds; k++) {
        if (stage->layers[k] > 0) {
            kept += stage->layers[k] * in->layer[k].kept;
            working = fmax(working, in->layer[k].working);
        }
    }
    const sp_schedule_kind *schedule = sp_schedule_describe((sp_schedule)plan->schedule);
    const double in_flight =
        schedule->in_flight(plan->pp, plan->vpp, plan->accumulation, stage->first_stage);
    return in_flight * kept + working + (stage->head ? in->head_kept : 0.0);
}

/* Communicators in use: each keeps its buffers. */
static double communicators(const sp_plan *plan)
{
    return (plan->tp > 1) + (plan->pp > 1) + (plan->dp > 1) + (plan->ep > 1);
}

static sp_memory stage_memory(const sp_problem *problem, const sp_plan *plan,
                              const sp_memory_inputs *in, const sp_stage_class *stage)
{
    const sp_engine_profile *profile = problem->profile;
    const sp_state_bytes state = stage_state(problem, plan, in, stage);
    sp_memory m = {.weights_bytes = state.weights,
                   .gradients_bytes = state.gradients,
                   .optimizer_bytes = state.optimizer,
                   .activations_bytes = stage_activations(problem, plan, in, stage),
                   .logits_bytes = stage->head ? in->logits : 0.0,
                   .communication_bytes = communicators(plan) * profile->communication_bytes +
                                          state.gathered +
                                          (plan->dp > 1 ? profile->bucket_bytes : 0.0),
                   .workspace_bytes = profile->workspace_bytes,
                   .reserve_bytes = problem->cluster->gpu->context_bytes +
                                    problem->question.reserve_bytes,
                   .usable_bytes = problem->cluster->gpu->memory_bytes,
                   .worst_stage = stage->first_stage};
    m.allocated_peak_bytes = m.weights_bytes + m.gradients_bytes + m.optimizer_bytes +
                             m.activations_bytes + m.logits_bytes + m.communication_bytes +
                             m.workspace_bytes;
    m.reserved_peak_bytes = m.allocated_peak_bytes * (1.0 + profile->fragmentation_ratio);
    m.peak_bytes = m.reserved_peak_bytes + m.reserve_bytes;
    return m;
}

void sp_estimate_memory(const sp_problem *problem, const sp_plan *plan, sp_memory *out)
{
    sp_memory_inputs in = {0};
    read_inputs(problem, plan, &in);
    const sp_stage_split *split =
        sp_problem_split(problem, plan->pp, (sp_stage_layers)plan->stage_layers);
    *out = stage_memory(problem, plan, &in, &split->classes[0]);
    for (uint32_t i = 1; i < split->n_classes; i++) {
        const sp_memory m = stage_memory(problem, plan, &in, &split->classes[i]);
        if (m.peak_bytes > out->peak_bytes) {
            *out = m;
        }
    }
}

bool sp_memory_fits(const sp_problem *problem, const sp_memory *memory)
{
    return memory->peak_bytes <= problem->allowed_bytes;
}
