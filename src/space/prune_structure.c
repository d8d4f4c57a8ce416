/* SPDX-License-Identifier: Apache-2.0 */
/* Structure rules: plans that cannot be built, whatever the software. Mostly divisions that must
 * leave no remainder. dp and accumulation are 0 where theirs does (sp_plan_derive). */
#include "space/prune.h"

#include "cost/cost.h"

bool sp_prune_cluster_size(const sp_problem *problem, const sp_plan *plan)
{
    return plan->gpus <= problem->cluster->max_gpus;
}

bool sp_prune_tp_divides_gpus(const sp_problem *problem, const sp_plan *plan)
{
    (void)problem;
    return plan->gpus % plan->tp == 0;
}

static bool cuts_ffn(const sp_ffn *ffn, uint32_t tp)
{
    return ffn->ffn % tp == 0 && ffn->expert_ffn % tp == 0 && ffn->shared_ffn % tp == 0;
}

static bool cuts_attention(const sp_attention *attention, uint32_t tp)
{
    return attention->heads % tp == 0 &&
           (attention->kv_heads % tp == 0 || tp % attention->kv_heads == 0);
}

bool sp_tp_cuts_model(const sp_model *model, uint32_t tp)
{
    for (uint32_t k = 0; k < model->n_kinds; k++) {
        const sp_layer_kind *kind = &model->kinds[k];
        if (kind->attention.heads > 0 && !cuts_attention(&kind->attention, tp)) return false;
        if (!cuts_ffn(&kind->ffn, tp)) return false;
    }
    return true;
}

bool sp_prune_tp_divides_model(const sp_problem *problem, const sp_plan *plan)
{
    return sp_tp_cuts_model(problem->model, plan->tp);
}

bool sp_prune_pp_within_layers(const sp_problem *problem, const sp_plan *plan)
{
    return plan->pp <= problem->model->n_layers;
}

bool sp_prune_pp_divides_gpus(const sp_problem *problem, const sp_plan *plan)
{
    (void)problem;
    return plan->dp > 0;
}

bool sp_prune_dp_divides_batch(const sp_problem *problem, const sp_plan *plan)
{
    return problem->question.global_batch % plan->dp == 0;
}

bool sp_prune_ep_divides_ranks(const sp_problem *problem, const sp_plan *plan)
{
    (void)problem;
    return plan->tp * plan->dp % plan->ep == 0;
}

bool sp_etp_cuts_experts(const sp_model *model, uint32_t etp)
{
    for (uint32_t k = 0; k < model->n_kinds; k++) {
        if (model->kinds[k].ffn.expert_ffn % etp != 0) return false;
    }
    return true;
}

bool sp_prune_etp_divides_ranks(const sp_problem *problem, const sp_plan *plan)
{
    (void)problem;
    return plan->tp % plan->etp == 0 && plan->tp * plan->dp % ((uint32_t)plan->ep * plan->etp) == 0;
}

bool sp_prune_etp_divides_experts(const sp_problem *problem, const sp_plan *plan)
{
    return sp_etp_cuts_experts(problem->model, plan->etp);
}

/* Groups of experts that mix tp and dp ranks lie evenly only where those are neighbours. */
bool sp_prune_folded_experts_near(const sp_problem *problem, const sp_plan *plan)
{
    return !problem->has_experts || plan->placement == SP_PLACEMENT_PP_LAST ||
           plan->etp == plan->tp;
}

/* Tokens are sent to experts from slices of the sequence. */
bool sp_prune_experts_need_sp(const sp_problem *problem, const sp_plan *plan)
{
    return !problem->has_experts || plan->tp == 1 || plan->sp == SP_ON;
}

bool sp_prune_ep_divides_experts(const sp_problem *problem, const sp_plan *plan)
{
    for (uint32_t k = 0; k < problem->model->n_kinds; k++) {
        if (problem->model->kinds[k].ffn.n_experts % plan->ep != 0) return false;
    }
    return true;
}

bool sp_prune_micro_batch_divides_batch(const sp_problem *problem, const sp_plan *plan)
{
    (void)problem;
    return plan->accumulation > 0;
}

/* Megatron-LM, megatron/core/pipeline_parallel/schedules.py: micro-batches a multiple of stages. */
bool sp_prune_interleaved_batches(const sp_problem *problem, const sp_plan *plan)
{
    (void)problem;
    return plan->schedule != SP_SCHEDULE_INTERLEAVED || plan->accumulation % plan->pp == 0;
}

bool sp_prune_interleaved_chunks(const sp_problem *problem, const sp_plan *plan)
{
    (void)problem;
    return plan->schedule != SP_SCHEDULE_INTERLEAVED || plan->vpp >= 2;
}

/* Embedding, head and prediction modules take a layer's place in their chunks where that makes them
 * even. */
uint32_t sp_layers_with_ends(const sp_model *model)
{
    return model->n_layers + 2 + model->mtp_layers;
}

bool sp_prune_interleaved_layers(const sp_problem *problem, const sp_plan *plan)
{
    const uint32_t n_chunks = (uint32_t)plan->pp * plan->vpp;
    return plan->schedule != SP_SCHEDULE_INTERLEAVED || problem->model->n_layers % n_chunks == 0 ||
           sp_layers_with_ends(problem->model) % n_chunks == 0;
}

static uint32_t layers_of(const sp_stage_class *stage)
{
    uint32_t sum = 0;
    for (uint32_t k = 0; k < SP_MODEL_MAX_KINDS; k++) {
        sum += stage->layers[k];
    }
    return sum;
}

/* head: layers that the head counts as. */
static bool cuts_stages(const sp_stage_split *split, uint32_t vpp, uint32_t embedding,
                        uint32_t head)
{
    for (uint32_t i = 0; i < split->n_classes; i++) {
        const sp_stage_class *stage = &split->classes[i];
        const uint32_t ends = (stage->embedding ? embedding : 0) + (stage->head ? head : 0);
        if ((layers_of(stage) + ends) % vpp != 0) return false;
    }
    return true;
}

bool sp_prune_interleaved_stages(const sp_problem *problem, const sp_plan *plan)
{
    if (plan->schedule != SP_SCHEDULE_INTERLEAVED) return true;
    const sp_stage_split *split =
        sp_problem_split(problem, plan->pp, (sp_stage_layers)plan->stage_layers);
    return cuts_stages(split, plan->vpp, 0, 0) ||
           cuts_stages(split, plan->vpp, 1, 1 + problem->model->mtp_layers);
}

bool sp_prune_gpu_precision(const sp_problem *problem, const sp_plan *plan)
{
    return sp_rates_has(problem->cluster->gpu, (sp_precision)plan->precision);
}

bool sp_prune_sp_divides_sequence(const sp_problem *problem, const sp_plan *plan)
{
    return plan->sp == SP_OFF || problem->question.seq_len % plan->tp == 0;
}

bool sp_prune_tp_overlap_needs_sp(const sp_problem *problem, const sp_plan *plan)
{
    (void)problem;
    return plan->tp == 1 || plan->tp_overlap == SP_OFF || plan->sp == SP_ON;
}

/* Transformer Engine, userbuffers: peers write each other's buffers, within one NVLink domain. */
bool sp_prune_tp_overlap_in_domain(const sp_problem *problem, const sp_plan *plan)
{
    if (plan->tp == 1 || plan->tp_overlap == SP_OFF) return true;
    return sp_group_build(&problem->fabric, plan->tp, 1).inside[0] == plan->tp;
}
