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

/* ---- activations ---- */

/* Activations of a stage: those that wait for their backward pass on the device and off it, and
 * what the layer at work has beside. */
typedef struct sp_stage_activations {
    double device_bytes, away_bytes, working_bytes;
} sp_stage_activations;

/* Kept by a layer, mean over those that are computed again and those that are not. */
static double layer_kept_bytes(const sp_inputs *in, double share, uint32_t kind)
{
    const double rest = share < 1.0 ? (1.0 - share) * in->bytes_kept[kind].kept : 0.0;
    return share * in->bytes[kind].kept + rest;
}

double sp_stage_kept_bytes(const sp_inputs *in, const sp_stage_class *stage)
{
    const double share = sp_stage_redo_share(in->plan, stage);
    double kept = 0.0;
    for (uint32_t k = 0; k < in->problem->model->n_kinds; k++) {
        const double n = sp_stage_layers_of(in, stage, k);
        kept += n > 0.0 ? n * layer_kept_bytes(in, share, k) : 0.0;
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
static sp_stage_activations held_batches(const sp_rank *rank, const sp_stage_class *stage,
                                         const sp_batch_bytes *batch)
{
    const sp_schedule_kind *kind = rank->schedule;
    sp_stage_activations most = {0};
    if (!kind->holds_late) {
        sp_held first[SP_MAX_HELD];
        (void)kind->held(&rank->pipeline, stage->first_stage, first);
        most.device_bytes = first[0].whole * batch->device;
        most.away_bytes = first[0].whole * batch->away;
        return most;
    }
    for (uint32_t i = stage->first_stage; i <= stage->last_stage; i++) {
        hold(&rank->pipeline, kind, i, batch, &most);
    }
    return most;
}

/* What is offloaded passes through the room of two layers. */
static sp_stage_activations stage_activations(const sp_inputs *in, const sp_rank *rank,
                                              const sp_stage_class *stage)
{
    const sp_plan *plan = in->plan;
    const double share = sp_stage_redo_share(plan, stage);
    double kept = 0.0, working = 0.0, largest = 0.0;
    for (uint32_t k = 0; k < in->problem->model->n_kinds; k++) {
        const double n = sp_stage_layers_of(in, stage, k);
        if (n <= 0.0) continue;
        const double layer = layer_kept_bytes(in, share, k);
        kept += n * layer;
        largest = sp_larger(largest, layer);
        working = sp_larger(working, in->bytes[k].working);
    }
    const double away = plan->offload_activations / 100.0;
    const double passing = 2.0 * largest < kept ? 2.0 * largest : kept;
    const sp_batch_bytes batch = {.device = kept * (1.0 - away) +
                                            (stage->embedding ? in->embedding_kept : 0.0),
                                  .away = kept * away,
                                  .late = rank->schedule->holds_late ? late_bytes(in, stage) : 0.0};
    sp_stage_activations a = held_batches(rank, stage, &batch);
    a.device_bytes += away * passing;
    a.working_bytes = working;
    return a;
}

/* ---- phases ---- */

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
static sp_passing_bytes at_loss(const sp_inputs *in, double heads, const sp_stage_state *state,
                                const sp_stage_activations *a)
{
    return (sp_passing_bytes){.activations =
                                  a->device_bytes + heads * in->head_kept + in->head_working,
                              .logits = heads * in->logits,
                              .communication = state->device.gathered};
}

static sp_passing_bytes at_backward(const sp_inputs *in, double heads, const sp_stage_state *state,
                                    const sp_stage_activations *a)
{
    return (sp_passing_bytes){.activations =
                                  a->device_bytes + heads * in->head_kept + a->working_bytes,
                              .logits = heads * in->logits,
                              .communication = state->device.gathered_layer};
}

static sp_passing_bytes fullest_phase(const sp_inputs *in, const sp_rank *rank,
                                      const sp_stage_class *stage, const sp_stage_state *state,
                                      const sp_stage_activations *a, sp_memory_phase *phase)
{
    sp_passing_bytes most = at_backward(in, stage->head ? rank->heads - 1.0 : 0.0, state, a);
    *phase = SP_AT_BACKWARD;
    if (stage->head) {
        const sp_passing_bytes loss = at_loss(in, rank->heads, state, a);
        if (phase_total(&loss) > phase_total(&most)) {
            most = loss;
            *phase = SP_AT_LOSS;
        }
    }
    const sp_passing_bytes update = {.communication = state->update_bytes};
    if (phase_total(&update) > phase_total(&most)) {
        most = update;
        *phase = SP_AT_OPTIMIZER;
    }
    return most;
}

/* ---- stages ---- */

static void price_stage(const sp_inputs *in, const sp_rank *rank, const sp_stage_class *stage,
                        sp_memory *m)
{
    const sp_engine_profile *profile = in->problem->profile;
    const sp_stage_state state = sp_stage_state_of(in, rank, stage);
    const sp_stage_activations activations = stage_activations(in, rank, stage);
    const sp_passing_bytes most =
        fullest_phase(in, rank, stage, &state, &activations, &m->peak_phase);
    m->weights_bytes = state.device.weights;
    m->gradients_bytes = state.device.gradients;
    m->optimizer_bytes = state.device.optimizer;
    m->activations_bytes = most.activations;
    m->logits_bytes = most.logits;
    const double passing = rank->bucket_bytes + most.communication;
    m->communication_bytes = rank->outside_bytes + passing;
    m->workspace_bytes = profile->workspace_bytes;
    m->allocated_peak_bytes = m->weights_bytes + m->gradients_bytes + m->optimizer_bytes +
                              m->activations_bytes + m->logits_bytes + passing + m->workspace_bytes;
    m->reserved_peak_bytes = m->allocated_peak_bytes * (1.0 + profile->fragmentation_ratio);
    m->peak_bytes = m->reserved_peak_bytes + rank->outside_bytes + m->reserve_bytes;
    const bool nvme = in->plan->offload_target == SP_OFFLOAD_NVME;
    m->host_bytes = activations.away_bytes + (nvme ? 0.0 : state.away_bytes);
    m->nvme_bytes = nvme ? state.away_bytes : 0.0;
    m->worst_stage = stage->first_stage;
}

/* The stage that fills the host need not be the one that fills the device. */
static void add_stage(const sp_memory *stage, sp_memory *most)
{
    const double host = sp_larger(most->host_bytes, stage->host_bytes);
    const double storage = sp_larger(most->nvme_bytes, stage->nvme_bytes);
    if (stage->peak_bytes > most->peak_bytes) *most = *stage;
    most->host_bytes = host;
    most->nvme_bytes = storage;
}

void sp_memory_price(const sp_inputs *in, sp_memory *memory)
{
    const sp_problem *problem = in->problem;
    const sp_stage_split *split = sp_plan_split(problem, in->plan);
    const sp_rank rank = sp_rank_of(in);
    sp_memory stage = {.reserve_bytes =
                           problem->cluster->gpu->context_bytes + problem->question.reserve_bytes,
                       .usable_bytes = problem->cluster->gpu->memory_bytes};
    *memory = stage;
    for (uint32_t i = 0; i < split->n_classes; i++) {
        if (split->classes[i].never_fullest && !rank.schedule->holds_late) continue;
        price_stage(in, &rank, &split->classes[i], &stage);
        add_stage(&stage, memory);
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
