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

/* Micro-batches whose activations a stage holds at its peak: never more than there are. */
static double held_batches(const sp_plan *plan, const sp_rank *rank, const sp_stage_class *stage)
{
    const double m = plan->accumulation;
    const double held =
        rank->schedule->in_flight(plan->pp, plan->vpp, plan->accumulation, stage->first_stage) +
        rank->overlapped;
    return held < m ? held : m;
}

/* What is offloaded passes through the room of two layers. */
static void move_activations(double share, double held, double kept, double largest,
                             sp_stage_activations *a)
{
    const double passing = 2.0 * largest < kept ? 2.0 * largest : kept;
    a->device_bytes = held * kept * (1.0 - share) + share * passing;
    a->away_bytes = held * kept * share;
}

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
    const double held = held_batches(plan, rank, stage);
    sp_stage_activations a = {.device_bytes = held * kept, .working_bytes = working};
    if (plan->offload_activations > 0) {
        move_activations(plan->offload_activations / 100.0, held, kept, largest, &a);
    }
    a.device_bytes += stage->embedding ? held * in->embedding_kept : 0.0;
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
    m->host_bytes = activations.away_bytes;
    m->nvme_bytes = state.away_bytes;
    m->worst_stage = stage->first_stage;
}

/* The stage that fills the host need not be the one that fills the device. */
static void add_stage(const sp_memory *stage, bool nvme, sp_memory *most)
{
    const double moved = nvme ? 0.0 : stage->nvme_bytes;
    const double host = sp_larger(most->host_bytes, stage->host_bytes + moved);
    const double storage = sp_larger(most->nvme_bytes, nvme ? stage->nvme_bytes : 0.0);
    if (stage->peak_bytes > most->peak_bytes) *most = *stage;
    most->host_bytes = host;
    most->nvme_bytes = storage;
}

void sp_memory_price(const sp_inputs *in, sp_memory *memory)
{
    const sp_problem *problem = in->problem;
    const sp_stage_split *split =
        sp_problem_split(problem, in->plan->pp, (sp_stage_layers)in->plan->stage_layers);
    const sp_rank rank = sp_rank_of(in);
    const bool nvme = in->plan->offload_target == SP_OFFLOAD_NVME;
    sp_memory stage = {.reserve_bytes =
                           problem->cluster->gpu->context_bytes + problem->question.reserve_bytes,
                       .usable_bytes = problem->cluster->gpu->memory_bytes};
    *memory = stage;
    for (uint32_t i = 0; i < split->n_classes; i++) {
        if (split->classes[i].never_fullest) continue;
        price_stage(in, &rank, &split->classes[i], &stage);
        add_stage(&stage, nvme, memory);
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
