/* SPDX-License-Identifier: Apache-2.0 */
/* Peak memory of the fullest rank in its fullest phase: state, activations in flight by schedule,
 * logits, buffers, what the allocator loses and what the driver takes. Every class of pipeline
 * stages is priced; the worst counts. Leaves out: loading and checkpointing. */
#include "step/step.h"

#include <assert.h>

const char *sp_memory_phase_name(sp_memory_phase phase)
{
    static const char *const names[SP_N_MEMORY_PHASES] = {"loss", "backward", "optimizer"};
    assert(phase < SP_N_MEMORY_PHASES);
    return names[phase];
}

/* Weights, gradients and optimizer of a stage; what the host holds of them besides. */
typedef struct sp_stage_state {
    sp_state_bytes device;
    double away_bytes;
} sp_stage_state;

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
    state->device.gathered += part.gathered;
    state->device.gathered_layer += part.gathered_layer;
}

/* The host holds the gradients of what it updates; under ZeRO 2 and 3 they go there as they arise.
 */
static void move_away(const sp_problem *problem, const sp_plan *plan, sp_stage_state *state)
{
    sp_state_bytes *d = &state->device;
    const double updated = plan->offload_optimizer / 100.0, held = plan->offload_params / 100.0;
    const sp_recipe *r = &problem->adapter_recipe; /* of all that is trained */
    const double gradients = r->gradient_bytes / (r->master_bytes + r->moments_bytes);
    state->away_bytes = updated * d->optimizer * (1.0 + gradients) + held * d->weights;
    d->optimizer *= 1.0 - updated;
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
    expert->largest_params = expert->layer_params;
    dense->gradient_bytes = expert->gradient_bytes = in->problem->profile->unit_grad_bytes;
    dense->live_params = in->problem->profile->live_params;
}

/* Under ZeRO-3 with a pipeline some engines leave weights whole between micro-batches. */
static double pipelined_bytes(const sp_inputs *in, const sp_stage_params *params,
                              const sp_shards *shards)
{
    const sp_plan *plan = in->plan;
    if (plan->zero < 3 || plan->pp == 1) return 0.0;
    const double whole =
        (shards->dense > 1 ? params->dense : 0.0) + (shards->expert > 1 ? params->expert : 0.0);
    return in->problem->profile->pipeline_unit_bytes * whole;
}

static sp_stage_state stage_state(const sp_inputs *in, const sp_stage_class *stage)
{
    const sp_recipe *recipe = &in->problem->recipe, *own = &in->problem->adapter_recipe;
    const sp_plan *plan = in->plan;
    const uint32_t zero = plan->zero;
    const sp_shards shards = sp_plan_shards(in->problem, plan);
    const sp_stage_params params = sp_stage_params_of(in, stage);
    const sp_units none = {0};
    sp_units units = {0}, expert_units = {0};
    sp_stage_state state = {0};
    read_units(in, stage, &units, &expert_units);
    add_state(&state, recipe, params.dense, &units, zero, shards.dense);
    add_state(&state, recipe, params.expert, &expert_units, zero, shards.expert);
    add_state(&state, own, params.adapter.dense, &none, zero, shards.dense);
    add_state(&state, own, params.adapter.expert, &none, zero, shards.expert);
    state.device.gathered += pipelined_bytes(in, &params, &shards);
    state.device.gathered_layer += pipelined_bytes(in, &params, &shards);
    move_away(in->problem, plan, &state);
    return state;
}

/* Activations of a stage: those that wait for their backward pass on the device and off it, and
 * what the layer at work has beside. */
typedef struct sp_stage_activations {
    double device_bytes, away_bytes, working_bytes;
} sp_stage_activations;

/* Kept by a layer, mean over those that are computed again and those that are not. */
static double layer_kept_bytes(const sp_inputs *in, const sp_stage_class *stage, uint32_t kind)
{
    const double share = sp_stage_redo_share(in->plan, stage);
    const double rest = share < 1.0 ? (1.0 - share) * in->bytes_kept[kind].kept : 0.0;
    return share * in->bytes[kind].kept + rest;
}

double sp_stage_kept_bytes(const sp_inputs *in, const sp_stage_class *stage)
{
    double kept = 0.0;
    for (uint32_t k = 0; k < in->problem->model->n_kinds; k++) {
        const double n = sp_stage_layers_of(in, stage, k);
        kept += n > 0.0 ? n * layer_kept_bytes(in, stage, k) : 0.0;
    }
    return kept;
}

/* Bytes of a stage's layers and embedding for one micro-batch: until its backward pass on the
 * device and off it, and from then on until the gradients of weights have been computed. */
typedef struct sp_batch_bytes {
    double device, away, late;
} sp_batch_bytes;

/* Gradients of the outputs of matrix products take the place of what only the gradients of inputs
 * needed (32 of 34 bytes a hidden value, Qi et al., ICLR 2024, table 1), so that as much is held as
 * if nothing was computed again; nothing of it is off the device. */
static double late_bytes(const sp_inputs *in, const sp_stage_class *stage)
{
    const sp_layer_bytes *bytes =
        in->plan->recompute == SP_RECOMPUTE_NONE ? in->bytes : in->bytes_kept;
    double late = stage->head ? in->head_late : 0.0;
    for (uint32_t k = 0; k < in->problem->model->n_kinds; k++) {
        const double n = sp_stage_layers_of(in, stage, k);
        late += n > 0.0 ? n * bytes[k].kept : 0.0;
    }
    return late;
}

/* The fullest moment of a stage: what is on the device, and the most that is away at any. */
static void hold(const sp_pipeline_shape *shape, const sp_schedule_kind *kind, uint32_t stage,
                 const sp_batch_bytes *batch, sp_stage_activations *most)
{
    sp_held moments[SP_MAX_HELD];
    for (uint32_t i = kind->held(shape, stage, moments); i-- > 0;) {
        const sp_held *held = &moments[i];
        const double device = held->whole * batch->device + held->weight_grad * batch->late;
        most->device_bytes = sp_larger(most->device_bytes, device);
        most->away_bytes = sp_larger(most->away_bytes, held->whole * batch->away);
    }
}

/* Of all stages of a class: the first one holds the most where nothing is late. */
static sp_stage_activations held_batches(const sp_inputs *in, const sp_stage_class *stage,
                                         const sp_batch_bytes *batch)
{
    const sp_schedule_kind *kind = sp_schedule_describe((sp_schedule)in->plan->schedule);
    const sp_pipeline_shape shape = sp_plan_pipeline(in->plan);
    const uint32_t last = kind->holds_late ? stage->last_stage : stage->first_stage;
    sp_stage_activations most = {0};
    for (uint32_t i = stage->first_stage; i <= last; i++) {
        hold(&shape, kind, i, batch, &most);
    }
    return most;
}

/* Micro-batches whose passes through the head wait for their way back. */
static double held_heads(const sp_plan *plan)
{
    const sp_schedule_kind *schedule = sp_schedule_describe((sp_schedule)plan->schedule);
    return schedule->forward_first ? plan->accumulation : 1.0;
}

/* What is offloaded passes through the room of two layers. */
static sp_stage_activations stage_activations(const sp_inputs *in, const sp_stage_class *stage)
{
    const sp_plan *plan = in->plan;
    double working = 0.0, largest = 0.0;
    for (uint32_t k = 0; k < in->problem->model->n_kinds; k++) {
        if (sp_stage_layers_of(in, stage, k) > 0.0) {
            largest = sp_larger(largest, layer_kept_bytes(in, stage, k));
            working = sp_larger(working, in->bytes[k].working);
        }
    }
    const double kept = sp_stage_kept_bytes(in, stage);
    const double away = plan->offload_activations / 100.0;
    const double passing = 2.0 * largest < kept ? 2.0 * largest : kept;
    const bool late = sp_schedule_describe((sp_schedule)plan->schedule)->holds_late;
    const sp_batch_bytes batch = {.device = kept * (1.0 - away) +
                                            (stage->embedding ? in->embedding_kept : 0.0),
                                  .away = kept * away,
                                  .late = late ? late_bytes(in, stage) : 0.0};
    sp_stage_activations activations = held_batches(in, stage, &batch);
    activations.device_bytes += away * passing;
    activations.working_bytes = working;
    return activations;
}

/* What comes and goes within a step. */
typedef struct sp_passing_bytes {
    double activations, logits, communication;
} sp_passing_bytes;

static double phase_total(const sp_passing_bytes *b)
{
    return b->activations + b->logits + b->communication;
}

/* All micro-batches that wait for the head's way back are there at the loss, one less thereafter.
 */
static sp_passing_bytes at_loss(const sp_inputs *in, const sp_stage_state *state,
                                const sp_stage_activations *a)
{
    const double heads = held_heads(in->plan);
    return (sp_passing_bytes){.activations =
                                  a->device_bytes + heads * in->head_kept + in->head_working,
                              .logits = heads * in->logits,
                              .communication = state->device.gathered};
}

static sp_passing_bytes at_backward(const sp_inputs *in, const sp_stage_class *stage,
                                    const sp_stage_state *state, const sp_stage_activations *a)
{
    const double heads = stage->head ? held_heads(in->plan) - 1.0 : 0.0;
    return (sp_passing_bytes){.activations =
                                  a->device_bytes + heads * in->head_kept + a->working_bytes,
                              .logits = heads * in->logits,
                              .communication = state->device.gathered_layer};
}

/* Parameters that this rank's GPU updates. */
static double updated_params(const sp_inputs *in, const sp_stage_state *state)
{
    const sp_recipe *r = &in->problem->adapter_recipe; /* of all that is trained */
    return state->device.optimizer / (r->master_bytes + r->moments_bytes);
}

static sp_passing_bytes at_update(const sp_inputs *in, const sp_stage_state *state)
{
    return (sp_passing_bytes){.communication =
                                  in->problem->profile->update_bytes * updated_params(in, state)};
}

static sp_passing_bytes fullest_phase(const sp_inputs *in, const sp_stage_class *stage,
                                      const sp_stage_state *state, const sp_stage_activations *a,
                                      sp_memory_phase *phase)
{
    sp_passing_bytes most = at_backward(in, stage, state, a);
    *phase = SP_AT_BACKWARD;
    const sp_passing_bytes loss = at_loss(in, state, a), update = at_update(in, state);
    if (stage->head && phase_total(&loss) > phase_total(&most)) {
        most = loss;
        *phase = SP_AT_LOSS;
    }
    if (phase_total(&update) > phase_total(&most)) {
        most = update;
        *phase = SP_AT_OPTIMIZER;
    }
    return most;
}

/* Buffers of the communicators in use, and the gradient bucket. */
static double buffer_bytes(const sp_inputs *in)
{
    const sp_plan *plan = in->plan;
    const sp_engine_profile *profile = in->problem->profile;
    const bool copies = sp_plan_has_copies(in->problem, plan);
    const double n = (plan->tp > 1) + (plan->cp > 1) + (plan->pp > 1) + (plan->ep > 1) + copies;
    return n * profile->communication_bytes + (copies ? profile->bucket_bytes : 0.0);
}

static void price_stage(const sp_inputs *in, const sp_stage_class *stage, sp_memory *m)
{
    const sp_problem *problem = in->problem;
    const sp_engine_profile *profile = problem->profile;
    const sp_stage_state state = stage_state(in, stage);
    const sp_stage_activations activations = stage_activations(in, stage);
    const bool nvme = in->plan->offload_target == SP_OFFLOAD_NVME;
    sp_memory_phase phase;
    const sp_passing_bytes most = fullest_phase(in, stage, &state, &activations, &phase);
    *m = (sp_memory){.weights_bytes = state.device.weights,
                     .gradients_bytes = state.device.gradients,
                     .optimizer_bytes = state.device.optimizer +
                                        profile->flat_update_bytes * updated_params(in, &state),
                     .activations_bytes = most.activations,
                     .logits_bytes = most.logits,
                     .communication_bytes = buffer_bytes(in) + most.communication,
                     .host_bytes = activations.away_bytes + (nvme ? 0.0 : state.away_bytes),
                     .nvme_bytes = nvme ? state.away_bytes : 0.0,
                     .workspace_bytes = profile->workspace_bytes,
                     .reserve_bytes =
                         problem->cluster->gpu->context_bytes + problem->question.reserve_bytes,
                     .usable_bytes = problem->cluster->gpu->memory_bytes,
                     .worst_stage = stage->first_stage,
                     .peak_phase = phase};
    m->allocated_peak_bytes = m->weights_bytes + m->gradients_bytes + m->optimizer_bytes +
                              m->activations_bytes + m->logits_bytes + m->communication_bytes +
                              m->workspace_bytes;
    m->reserved_peak_bytes = m->allocated_peak_bytes * (1.0 + profile->fragmentation_ratio);
    m->peak_bytes = m->reserved_peak_bytes + m->reserve_bytes;
}

void sp_memory_price(const sp_inputs *in, sp_memory *memory)
{
    const sp_stage_split *split = sp_plan_split(in->problem, in->plan);
    const bool late = sp_schedule_describe((sp_schedule)in->plan->schedule)->holds_late;
    /* The stage that fills the host need not be the one that fills the device. */
    double host_bytes = 0.0, nvme_bytes = 0.0;
    memory->peak_bytes = 0.0;
    for (uint32_t i = 0; i < split->n_classes; i++) {
        if (late || !split->classes[i].never_fullest) {
            sp_memory m;
            price_stage(in, &split->classes[i], &m);
            host_bytes = sp_larger(host_bytes, m.host_bytes);
            nvme_bytes = sp_larger(nvme_bytes, m.nvme_bytes);
            if (m.peak_bytes > memory->peak_bytes) {
                *memory = m;
            }
        }
    }
    memory->host_bytes = host_bytes;
    memory->nvme_bytes = nvme_bytes;
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
