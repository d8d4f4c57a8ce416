/* SPDX-License-Identifier: Apache-2.0 */
/* Peak memory of the fullest rank: state, activations in flight by schedule, logits, buffers, what
 * the allocator loses and what the driver takes. Every class of pipeline stages is priced; the
 * worst counts. Leaves out: offload, loading and checkpointing phases. */
#include "step/step.h"

static double larger(double a, double b)
{
    return a > b ? a : b;
}

static sp_state_bytes stage_state(const sp_inputs *in, const sp_stage_class *stage)
{
    const sp_recipe *recipe = &in->problem->recipe;
    const sp_plan *plan = in->plan;
    const double embedding = stage->embedding ? in->embedding_params : 0.0;
    const double head = stage->head ? in->head_params : 0.0;
    double dense = embedding + head, expert = 0.0;
    sp_units units = {0}, expert_units = {0};
    for (uint32_t k = 0; k < in->problem->model->n_kinds; k++) {
        dense += stage->layers[k] * in->params[k].dense;
        expert += stage->layers[k] * in->params[k].expert;
        if (stage->layers[k] > 0) {
            units.layer_params = larger(units.layer_params, in->params[k].dense);
            expert_units.layer_params = larger(expert_units.layer_params, in->params[k].expert);
        }
    }
    units.largest_params = larger(units.layer_params, larger(embedding, head));
    expert_units.largest_params = expert_units.layer_params;
    sp_state_bytes state = sp_mem_state(recipe, dense, &units, plan->zero, plan->dp);
    if (expert > 0.0) {
        const sp_state_bytes e =
            sp_mem_state(recipe, expert, &expert_units, plan->zero, sp_plan_expert_copies(plan));
        state.weights += e.weights;
        state.gradients += e.gradients;
        state.optimizer += e.optimizer;
        state.gathered += e.gathered;
    }
    return state;
}

static double stage_activations(const sp_inputs *in, const sp_stage_class *stage)
{
    const sp_plan *plan = in->plan;
    double kept = stage->embedding ? in->embedding_kept : 0.0, working = 0.0;
    for (uint32_t k = 0; k < in->problem->model->n_kinds; k++) {
        if (stage->layers[k] > 0) {
            kept += stage->layers[k] * in->bytes[k].kept;
            working = larger(working, in->bytes[k].working);
        }
    }
    const sp_schedule_kind *schedule = sp_schedule_describe((sp_schedule)plan->schedule);
    const double in_flight =
        schedule->in_flight(plan->pp, plan->vpp, plan->accumulation, stage->first_stage);
    return in_flight * kept + working + (stage->head ? in->head_kept : 0.0);
}

/* Parameters have copies on other ranks, whose gradients are added up. */
static bool has_copies(const sp_inputs *in)
{
    return in->plan->dp > 1 || (in->problem->has_experts && sp_plan_expert_copies(in->plan) > 1);
}

/* Buffers of the communicators in use, gradient bucket, gathered units. */
static double communication_bytes(const sp_inputs *in, double gathered)
{
    const sp_plan *plan = in->plan;
    const sp_engine_profile *profile = in->problem->profile;
    const bool copies = has_copies(in);
    const double n = (plan->tp > 1) + (plan->pp > 1) + (plan->ep > 1) + copies;
    return n * profile->communication_bytes + (copies ? profile->bucket_bytes : 0.0) + gathered;
}

static void price_stage(const sp_inputs *in, const sp_stage_class *stage, sp_memory *m)
{
    const sp_problem *problem = in->problem;
    const sp_engine_profile *profile = problem->profile;
    const sp_state_bytes state = stage_state(in, stage);
    *m = (sp_memory){.weights_bytes = state.weights,
                     .gradients_bytes = state.gradients,
                     .optimizer_bytes = state.optimizer,
                     .activations_bytes = stage_activations(in, stage),
                     .logits_bytes = stage->head ? in->logits : 0.0,
                     .communication_bytes = communication_bytes(in, state.gathered),
                     .workspace_bytes = profile->workspace_bytes,
                     .reserve_bytes =
                         problem->cluster->gpu->context_bytes + problem->question.reserve_bytes,
                     .usable_bytes = problem->cluster->gpu->memory_bytes,
                     .worst_stage = stage->first_stage};
    m->allocated_peak_bytes = m->weights_bytes + m->gradients_bytes + m->optimizer_bytes +
                              m->activations_bytes + m->logits_bytes + m->communication_bytes +
                              m->workspace_bytes;
    m->reserved_peak_bytes = m->allocated_peak_bytes * (1.0 + profile->fragmentation_ratio);
    m->peak_bytes = m->reserved_peak_bytes + m->reserve_bytes;
}

void sp_memory_price(const sp_inputs *in, sp_memory *memory)
{
    const sp_stage_split *split =
        sp_problem_split(in->problem, in->plan->pp, (sp_stage_layers)in->plan->stage_layers);
    memory->peak_bytes = 0.0;
    for (uint32_t i = 0; i < split->n_classes; i++) {
        if (!split->classes[i].never_fullest) {
            sp_memory m;
            price_stage(in, &split->classes[i], &m);
            if (m.peak_bytes > memory->peak_bytes) {
                *memory = m;
            }
        }
    }
}

void sp_estimate_memory(const sp_problem *problem, const sp_plan *plan, sp_memory *out)
{
    sp_inputs in;
    sp_inputs_build(problem, plan, false, &in);
    sp_memory_price(&in, out);
}

bool sp_memory_fits(const sp_problem *problem, const sp_memory *memory)
{
    return memory->peak_bytes <= problem->allowed_bytes;
}
