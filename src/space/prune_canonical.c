/* SPDX-License-Identifier: Apache-2.0 */
/* Canonical rules: an axis that changes nothing in a plan stands at one value, so that no plan has
 * two ids. Strictly so where another value would be priced (vpp, ep), else at the axis's first
 * value in the space, so that --set sp=on keeps the plans at tp=1. */
#include "space/prune.h"

#include <string.h>

/* At its first value, or of effect. */
static bool at_first(const sp_problem *problem, const sp_plan *plan, sp_axis_id axis)
{
    return sp_plan_get(plan, axis) == sp_axis_first_value(problem, axis);
}

bool sp_prune_ep_without_experts(const sp_problem *problem, const sp_plan *plan)
{
    return problem->has_experts || plan->ep == 1;
}

bool sp_prune_etp_without_experts(const sp_problem *problem, const sp_plan *plan)
{
    return problem->has_experts || plan->etp == 1;
}

static bool same_group(const sp_group *a, const sp_group *b)
{
    return a->n == b->n && a->n_levels == b->n_levels && a->one_level == b->one_level &&
           memcmp(a->inside, b->inside, a->n_levels * sizeof a->inside[0]) == 0;
}

static bool same_slowest(const sp_group *a, const sp_group *b)
{
    return a->n_levels == b->n_levels && a->base_s == b->base_s;
}

/* The estimate sees a placement through these groups alone; of a pipeline only the slowest level
 * that joins its stages (sp_coll_p2p_s). */
bool sp_prune_placement_without_effect(const sp_problem *problem, const sp_plan *plan)
{
    if (at_first(problem, plan, SP_AXIS_placement)) return true;
    sp_plan own = *plan, first = *plan;
    own.shard_group = first.shard_group = 0; /* further in, and part of the same ranks */
    first.placement = (uint8_t)sp_axis_first_value(problem, SP_AXIS_placement);
    sp_groups a = {0}, b = {0};
    sp_groups_build(&problem->fabric, &own, problem->has_experts, false, &a);
    sp_groups_build(&problem->fabric, &first, problem->has_experts, false, &b);
    return !(same_group(&a.dense.shard, &b.dense.shard) && same_slowest(&a.pp, &b.pp) &&
             same_group(&a.ep, &b.ep) && same_group(&a.expert.shard, &b.expert.shard));
}

static bool has_dense_ffn(const sp_model *model)
{
    for (uint32_t k = 0; k < model->n_kinds; k++) {
        if (model->kinds[k].ffn.ffn > 0) return true;
    }
    return false;
}

bool sp_prune_recompute_without_effect(const sp_problem *problem, const sp_plan *plan)
{
    const bool latent = problem->has_latent_attention, dense = has_dense_ffn(problem->model);
    const bool all_or_none =
        plan->recompute == SP_RECOMPUTE_NONE || plan->recompute == SP_RECOMPUTE_FULL;
    if (problem->model->formulas != NULL) return all_or_none; /* no kernel belongs to a module */
    switch ((sp_recompute)plan->recompute) {
    case SP_RECOMPUTE_MLA_UP:
        return latent;
    case SP_RECOMPUTE_MLA_UP_MLP:
        return latent && dense;
    case SP_RECOMPUTE_MLP:
        return dense;
    case SP_RECOMPUTE_NONE:
    case SP_RECOMPUTE_SELECTIVE:
    case SP_RECOMPUTE_LAYERNORM:
    case SP_RECOMPUTE_ACT:
    case SP_RECOMPUTE_LAYERNORM_ACT:
    case SP_RECOMPUTE_OPS:
    case SP_RECOMPUTE_FULL:
    case SP_N_RECOMPUTE:
        break;
    }
    return true;
}

bool sp_prune_recompute_layers_without_full(const sp_problem *problem, const sp_plan *plan)
{
    (void)problem;
    return plan->recompute == SP_RECOMPUTE_FULL || plan->recompute_layers == 0;
}

bool sp_prune_shard_group_without_zero(const sp_problem *problem, const sp_plan *plan)
{
    (void)problem;
    return plan->shard_group == 0 || (plan->zero > 0 && plan->shard_group < sp_plan_copies(plan));
}

bool sp_prune_offload_target_without_offload(const sp_problem *problem, const sp_plan *plan)
{
    return plan->offload_optimizer > 0 || plan->offload_params > 0 ||
           at_first(problem, plan, SP_AXIS_offload_target);
}

bool sp_prune_cp_kind_without_cp(const sp_problem *problem, const sp_plan *plan)
{
    return plan->cp > 1 || at_first(problem, plan, SP_AXIS_cp_kind);
}

bool sp_prune_ep_overlap_without_ep(const sp_problem *problem, const sp_plan *plan)
{
    const bool exchanges = plan->ep > 1 || plan->etp > 1;
    const bool pairs = sp_schedule_describe((sp_schedule)plan->schedule)->pairs;
    return (exchanges && pairs && plan->accumulation > 1) ||
           at_first(problem, plan, SP_AXIS_ep_overlap);
}

bool sp_prune_zero_without_copies(const sp_problem *problem, const sp_plan *plan)
{
    return sp_plan_has_copies(problem, plan) || at_first(problem, plan, SP_AXIS_zero);
}

bool sp_prune_schedule_without_pp(const sp_problem *problem, const sp_plan *plan)
{
    (void)problem;
    if (plan->schedule == SP_SCHEDULE_GPIPE) return plan->pp > 1 && plan->accumulation > plan->pp;
    return plan->pp > 1 || plan->schedule == SP_SCHEDULE_1F1B;
}

bool sp_prune_vpp_without_interleaving(const sp_problem *problem, const sp_plan *plan)
{
    (void)problem;
    const sp_schedule_kind *kind = sp_schedule_describe((sp_schedule)plan->schedule);
    const bool chunks = kind->layout == SP_LAYOUT_V || plan->schedule == SP_SCHEDULE_INTERLEAVED ||
                        plan->schedule == SP_SCHEDULE_ZB_H1;
    return plan->vpp == 1 || (plan->pp > 1 && chunks);
}

static bool same_class(const sp_stage_class *a, const sp_stage_class *b)
{
    return memcmp(a->layers, b->layers, sizeof a->layers) == 0 &&
           a->first_stage == b->first_stage && a->n_stages == b->n_stages &&
           a->embedding == b->embedding && a->head == b->head;
}

static bool same_split(const sp_stage_split *a, const sp_stage_split *b)
{
    if (a->n_classes != b->n_classes) return false;
    for (uint32_t i = 0; i < a->n_classes; i++) {
        if (!same_class(&a->classes[i], &b->classes[i])) return false;
    }
    return true;
}

bool sp_prune_stage_layers_without_effect(const sp_problem *problem, const sp_plan *plan)
{
    if (at_first(problem, plan, SP_AXIS_stage_layers)) return true;
    const uint32_t first = sp_axis_first_value(problem, SP_AXIS_stage_layers);
    sp_plan other = *plan;
    other.stage_layers = (uint8_t)first;
    return !same_split(sp_plan_split(problem, &other), sp_plan_split(problem, plan));
}

/* Formats of one size differ in their rates alone. */
bool sp_prune_precision_without_effect(const sp_problem *problem, const sp_plan *plan)
{
    const uint32_t first = sp_axis_first_value(problem, SP_AXIS_precision);
    if (plan->precision == first) return true;
    const sp_rates *rates = &problem->rates;
    return memcmp(&rates->gemm[plan->precision], &rates->gemm[first], sizeof rates->gemm[0]) != 0 ||
           memcmp(&rates->grouped[plan->precision], &rates->grouped[first],
                  sizeof rates->grouped[0]) != 0;
}

bool sp_prune_sp_without_tp(const sp_problem *problem, const sp_plan *plan)
{
    return plan->tp > 1 || at_first(problem, plan, SP_AXIS_sp);
}

bool sp_prune_tp_overlap_without_tp(const sp_problem *problem, const sp_plan *plan)
{
    return plan->tp > 1 || at_first(problem, plan, SP_AXIS_tp_overlap);
}

bool sp_prune_dp_overlap_without_copies(const sp_problem *problem, const sp_plan *plan)
{
    return sp_plan_has_copies(problem, plan) || at_first(problem, plan, SP_AXIS_dp_overlap);
}
