/* SPDX-License-Identifier: Apache-2.0 */
/* Who talks to whom: the groups of ranks of a plan on the network, and what one rank sees of the
 * model. Ranks are numbered tp nearest, then cp, then dp and pp as the placement says; routed
 * experts use the tp x cp x dp ranks of a stage anew: etp nearest, then ep, then copies. */
#include "step/step.h"

#include <math.h>

uint32_t sp_plan_stage_ranks(const sp_plan *plan)
{
    return (uint32_t)plan->tp * plan->cp * plan->dp;
}

uint32_t sp_plan_copies(const sp_plan *plan)
{
    return plan->cp * plan->dp;
}

uint32_t sp_plan_expert_copies(const sp_plan *plan)
{
    return sp_plan_stage_ranks(plan) / ((uint32_t)plan->ep * plan->etp);
}

uint32_t sp_plan_ulysses_ranks(const sp_fabric *fit, const sp_plan *plan)
{
    if (plan->cp_kind == SP_CP_ULYSSES) {
        return plan->cp;
    }
    return plan->cp_kind == SP_CP_HYBRID ? sp_group_build(fit, plan->cp, plan->tp).inside[0] : 1;
}

bool sp_plan_tp_in_domain(const sp_problem *problem, const sp_plan *plan)
{
    const sp_fabric fit = sp_fabric_fit(&problem->fabric, plan->gpus);
    return sp_group_build(&fit, plan->tp, 1).inside[0] == plan->tp;
}

bool sp_plan_is_mirrored(const sp_plan *plan)
{
    return sp_schedule_describe((sp_schedule)plan->schedule)->layout == SP_LAYOUT_MIRROR;
}

uint32_t sp_plan_replicas(const sp_plan *plan)
{
    return plan->shard_group > 0 ? sp_plan_copies(plan) / plan->shard_group : 1;
}

bool sp_plan_has_copies(const sp_problem *problem, const sp_plan *plan)
{
    return sp_plan_copies(plan) > 1 || (problem->has_experts && sp_plan_expert_copies(plan) > 1);
}

/* A mirrored pipeline has every copy twice. */
sp_shards sp_plan_shards(const sp_problem *problem, const sp_plan *plan)
{
    const uint32_t replicas = sp_plan_replicas(plan);
    const uint32_t twice = sp_plan_is_mirrored(plan) ? 2 : 1;
    return (sp_shards){
        .dense = twice * (sp_plan_copies(plan) / replicas),
        .expert = problem->has_experts ? twice * (sp_plan_expert_copies(plan) / replicas) : 1};
}

sp_sharding sp_plan_sharding(const sp_plan *plan, bool moe)
{
    return (sp_sharding){.tp = plan->tp,
                         .cp = plan->cp,
                         .ep = moe ? plan->ep : 1,
                         .etp = moe ? plan->etp : 1,
                         .sp = plan->sp == SP_ON};
}

/* Where nothing forces balance, take the loads of experts as alike in distribution: the largest of
 * n lies about sigma sqrt(2 ln n) above the mean, and E / ep experts of a rank have together sigma
 * / sqrt(E / ep). From the excess of the busiest of E experts, that of the busiest of ep ranks is
 * excess sqrt(ln ep / ln E) sqrt(ep / E): none for one rank, that of an expert where each has one.
 */
double sp_plan_expert_excess(const sp_problem *problem, const sp_plan *plan, const sp_ffn *ffn)
{
    const double stated = problem->question.moe_imbalance_ratio;
    if (ffn->n_experts < 2 || stated > 0.0) {
        return ffn->n_experts > 0 && stated > 0.0 ? stated - 1.0 : 0.0;
    }
    const double experts = ffn->n_experts, ranks = plan->ep;
    return problem->profile->expert_excess_ratio *
           sqrt(log(ranks) / log(experts) * ranks / experts);
}

/* Packed documents attend to themselves alone: as many shorter sequences. */
sp_shape sp_plan_shape(const sp_problem *problem, const sp_plan *plan)
{
    const double length = (double)problem->question.seq_len;
    const double attended = sp_problem_attended(problem);
    return (sp_shape){.sequences = plan->micro_batch * (length / attended),
                      .tokens = plan->micro_batch * length / plan->cp,
                      .length = attended,
                      .context = attended / 2.0};
}

/* Ranks with the same dense weights: cp runs of neighbours, dp runs of those. `n` of them from the
 * nearest on, or every n-th. */
static sp_group copies_near(const sp_fabric *fabric, const sp_plan *plan, uint32_t n,
                            uint32_t dp_stride)
{
    const uint32_t cp = plan->cp;
    return n <= cp ? sp_group_build(fabric, n, plan->tp)
                   : sp_group_pair(fabric, cp, plan->tp, n / cp, dp_stride);
}

static sp_group copies_far(const sp_fabric *fabric, const sp_plan *plan, uint32_t every,
                           uint32_t dp_stride)
{
    const uint32_t cp = plan->cp;
    if (every >= cp) {
        return sp_group_build(fabric, plan->dp / (every / cp), dp_stride * (every / cp));
    }
    return sp_group_pair(fabric, cp / every, plan->tp * every, plan->dp, dp_stride);
}

/* A hybrid of ulysses near and a ring far; the other kinds are one of the two alone. */
static void build_context(const sp_fabric *fabric, const sp_plan *plan, sp_groups *groups)
{
    const uint32_t inner = sp_plan_ulysses_ranks(fabric, plan);
    groups->cp_heads = sp_group_build(fabric, inner, plan->tp);
    groups->cp_ring = sp_group_build(fabric, plan->cp / inner, plan->tp * inner);
}

/* Ranks of a shard group that share a domain of the fastest link; all where they do not divide it.
 */
static uint32_t near_ranks(const sp_group *shard)
{
    const uint32_t inside = shard->inside[0];
    return shard->n % inside == 0 ? inside : shard->n;
}

static void build_experts(const sp_fabric *fabric, const sp_plan *plan, uint32_t dp_stride,
                          bool hpz, sp_groups *groups)
{
    /* With stages in between (tp_pp_dp) only etp = tp keeps equal strides, and rules see to it. */
    const bool pp_last = plan->placement == SP_PLACEMENT_PP_LAST;
    const uint32_t stride = pp_last ? plan->etp : dp_stride, ep = plan->ep;
    const uint32_t replicas = sp_plan_replicas(plan);
    const uint32_t shards = sp_plan_expert_copies(plan) / replicas;
    groups->etp = sp_group_build(fabric, plan->etp, 1);
    groups->ep = sp_group_build(fabric, ep, stride);
    groups->expert.shard = sp_group_build(fabric, shards, stride * ep);
    if (hpz) {
        groups->expert.near =
            sp_group_build(fabric, near_ranks(&groups->expert.shard), stride * ep);
    }
    groups->expert.replica = sp_group_build(fabric, replicas, stride * ep * shards);
}

void sp_groups_build(const sp_fabric *whole, const sp_plan *plan, bool moe, bool hpz,
                     sp_groups *groups)
{
    groups->fabric = sp_fabric_fit(whole, plan->gpus);
    const sp_fabric *fabric = &groups->fabric;
    const uint32_t tp = plan->tp, cp = plan->cp, pp = plan->pp;
    const bool pp_last = plan->placement == SP_PLACEMENT_PP_LAST;
    const uint32_t dp_stride = pp_last ? tp * cp : tp * cp * pp;
    const uint32_t shards = sp_plan_copies(plan) / sp_plan_replicas(plan);
    groups->tp = sp_group_build(fabric, tp, 1);
    groups->pp = sp_group_build(fabric, pp, pp_last ? sp_plan_stage_ranks(plan) : tp * cp);
    groups->dense.shard = copies_near(fabric, plan, shards, dp_stride);
    if (hpz) {
        groups->dense.near = copies_near(fabric, plan, near_ranks(&groups->dense.shard), dp_stride);
    }
    groups->dense.replica = copies_far(fabric, plan, shards, dp_stride);
    build_context(fabric, plan, groups);
    if (moe) {
        build_experts(fabric, plan, dp_stride, hpz, groups);
    }
}
