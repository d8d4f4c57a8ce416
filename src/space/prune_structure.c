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
    const uint32_t kv_heads = attention->kv_heads;
    return attention->heads % tp == 0 &&
           (kv_heads % tp == 0 || (kv_heads > 0 && tp % kv_heads == 0));
}

static bool cuts_recurrent(const sp_recurrent *recurrent, uint32_t tp)
{
    return recurrent->heads % tp == 0 && recurrent->in_width % tp == 0 &&
           recurrent->conv_width % tp == 0;
}

/* By columns, or by whole blocks. */
static bool cuts_projections(const sp_layer_kind *kind, uint32_t tp)
{
    for (uint32_t i = 0; i < kind->n_projections; i++) {
        const sp_projection *p = &kind->projections[i];
        if (p->cut && (p->blocks > 1 ? p->blocks : p->out) % tp != 0) return false;
    }
    return true;
}

bool sp_tp_cuts_model(const sp_model *model, uint32_t tp)
{
    for (uint32_t k = 0; k < model->n_kinds; k++) {
        const sp_layer_kind *kind = &model->kinds[k];
        if (!cuts_attention(&kind->attention, tp) || !cuts_recurrent(&kind->recurrent, tp) ||
            !cuts_ffn(&kind->ffn, tp) || !cuts_projections(kind, tp)) {
            return false;
        }
    }
    return true;
}

bool sp_prune_tp_divides_model(const sp_problem *problem, const sp_plan *plan)
{
    return sp_tp_cuts_model(problem->model, plan->tp);
}

bool sp_prune_cp_divides_gpus(const sp_problem *problem, const sp_plan *plan)
{
    (void)problem;
    return plan->gpus % ((uint32_t)plan->tp * plan->cp) == 0;
}

bool sp_prune_cp_divides_sequence(const sp_problem *problem, const sp_plan *plan)
{
    return plan->cp == 1 || problem->question.seq_len % (2u * plan->cp) == 0;
}

bool sp_prune_formulas_of_one_device(const sp_problem *problem, const sp_plan *plan)
{
    return problem->model->formulas == NULL || (plan->tp == 1 && plan->cp == 1);
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
    return sp_plan_stage_ranks(plan) % plan->ep == 0;
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
    return plan->tp % plan->etp == 0 &&
           sp_plan_stage_ranks(plan) % ((uint32_t)plan->ep * plan->etp) == 0;
}

bool sp_prune_etp_divides_experts(const sp_problem *problem, const sp_plan *plan)
{
    return sp_etp_cuts_experts(problem->model, plan->etp);
}

/* Groups of experts that mix tp, cp and dp ranks lie evenly only where those are neighbours. */
bool sp_prune_folded_experts_near(const sp_problem *problem, const sp_plan *plan)
{
    return !problem->has_experts || plan->placement == SP_PLACEMENT_PP_LAST ||
           (plan->etp == plan->tp && plan->cp == 1);
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

/* With as many chunks as the schedule has at least. */
bool sp_prune_split_batches(const sp_problem *problem, const sp_plan *plan)
{
    (void)problem;
    const sp_schedule_kind *kind = sp_schedule_describe((sp_schedule)plan->schedule);
    if (!kind->holds_late) return true;
    sp_pipeline_shape shape = sp_plan_pipeline(plan);
    shape.v = kind->layout == SP_LAYOUT_V ? 2 : 1;
    return plan->accumulation % sp_schedule_directions(kind) == 0 && kind->admits(&shape);
}

bool sp_prune_mirrored_zero(const sp_problem *problem, const sp_plan *plan)
{
    (void)problem;
    return plan->zero <= 1 || !sp_plan_is_mirrored(plan);
}

bool sp_prune_interleaved_chunks(const sp_problem *problem, const sp_plan *plan)
{
    (void)problem;
    const sp_schedule_kind *kind = sp_schedule_describe((sp_schedule)plan->schedule);
    if (kind->layout == SP_LAYOUT_V) return plan->vpp == 2;
    return plan->schedule != SP_SCHEDULE_INTERLEAVED || plan->vpp >= 2;
}

bool sp_prune_chunk_batches(const sp_problem *problem, const sp_plan *plan)
{
    (void)problem;
    return plan->schedule != SP_SCHEDULE_ZB_H1 || plan->vpp == 1 ||
           plan->accumulation % plan->pp == 0;
}

/* Embedding, head and prediction modules can fill a chunk of their own. */
uint32_t sp_layers_with_ends(const sp_model *model)
{
    return model->n_layers + 2 + model->mtp_layers;
}

bool sp_prune_interleaved_layers(const sp_problem *problem, const sp_plan *plan)
{
    return plan->vpp == 1 || (uint32_t)plan->pp * plan->vpp <= sp_layers_with_ends(problem->model);
}

/* A stage of mean length; where a shorter one has no more layers, all of it is computed again. */
bool sp_prune_recompute_layers_in_stage(const sp_problem *problem, const sp_plan *plan)
{
    const uint32_t n_layers = problem->model->n_layers;
    return plan->recompute_layers == 0 || plan->recompute_layers * (uint32_t)plan->pp < n_layers;
}

/* Groups take whole runs of cp neighbours, or share one run evenly. */
bool sp_prune_shard_group_divides_copies(const sp_problem *problem, const sp_plan *plan)
{
    const uint32_t group = plan->shard_group, copies = sp_plan_copies(plan);
    if (group == 0) return true;
    if (copies % group != 0 || (group % plan->cp != 0 && plan->cp % group != 0)) return false;
    return !problem->has_experts || sp_plan_expert_copies(plan) % (copies / group) == 0;
}

bool sp_prune_offload_params_needs_zero_3(const sp_problem *problem, const sp_plan *plan)
{
    (void)problem;
    return plan->offload_params == 0 || plan->zero == 3;
}

bool sp_prune_offload_has_room(const sp_problem *problem, const sp_plan *plan)
{
    return sp_offload_has_room(problem, plan);
}

static bool whole_heads(const sp_model *model, uint32_t ranks)
{
    for (uint32_t k = 0; k < model->n_kinds; k++) {
        const sp_layer_kind *kind = &model->kinds[k];
        if (kind->attention.kv_heads % ranks != 0 || kind->recurrent.heads % ranks != 0) {
            return false;
        }
    }
    return true;
}

/* DeepSpeed-Ulysses, arXiv:2309.14509: every rank attends with whole heads. */
bool sp_prune_cp_exchanges_heads(const sp_problem *problem, const sp_plan *plan)
{
    const sp_fabric fit = sp_fabric_fit(&problem->fabric, plan->gpus);
    const uint32_t inner = sp_plan_ulysses_ranks(&fit, plan);
    return inner == 1 || whole_heads(problem->model, plan->tp * inner);
}

bool sp_prune_hybrid_has_two_parts(const sp_problem *problem, const sp_plan *plan)
{
    if (plan->cp == 1 || plan->cp_kind != SP_CP_HYBRID) return true;
    const sp_fabric fit = sp_fabric_fit(&problem->fabric, plan->gpus);
    const uint32_t inner = sp_plan_ulysses_ranks(&fit, plan);
    return inner > 1 && inner < plan->cp && plan->cp % inner == 0;
}

bool sp_prune_gpu_precision(const sp_problem *problem, const sp_plan *plan)
{
    return sp_rates_has(problem->cluster->gpu, (sp_precision)plan->precision);
}

bool sp_prune_sp_divides_sequence(const sp_problem *problem, const sp_plan *plan)
{
    return plan->sp == SP_OFF || problem->question.seq_len % ((uint64_t)plan->tp * plan->cp) == 0;
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
    return sp_plan_tp_in_domain(problem, plan);
}
