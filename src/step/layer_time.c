/* SPDX-License-Identifier: Apache-2.0 */
/* Seconds of one layer, of the embedding and of the head, on one rank and one micro-batch:
 * operators by roofline, tensor- and expert-parallel traffic on the levels it spans, less what
 * overlaps. Leaves out: pipeline and data parallelism (train.c). */
#include "step/step.h"

#include <assert.h>

sp_sharding sp_plan_sharding(const sp_plan *plan, bool moe)
{
    return (sp_sharding){.tp = plan->tp,
                         .cp = 1,
                         .ep = moe ? plan->ep : 1,
                         .etp = moe ? plan->etp : 1,
                         .sp = plan->sp == SP_ON};
}

sp_shape sp_plan_shape(const sp_problem *problem, const sp_plan *plan)
{
    const double length = (double)problem->question.seq_len;
    return (sp_shape){.sequences = plan->micro_batch,
                      .tokens = plan->micro_batch * length,
                      .length = length,
                      .context = length / 2.0};
}

uint32_t sp_plan_modules(const sp_plan *plan)
{
    return plan->recompute == SP_RECOMPUTE_SELECTIVE ? SP_MODULE_CORE : 0;
}

uint32_t sp_plan_expert_copies(const sp_plan *plan)
{
    return plan->tp * plan->dp / ((uint32_t)plan->ep * plan->etp);
}

void sp_groups_build(const sp_fabric *fabric, const sp_plan *plan, bool moe, sp_groups *groups)
{
    const uint32_t tp = plan->tp, dp = plan->dp, pp = plan->pp;
    const bool pp_last = plan->placement == SP_PLACEMENT_PP_LAST;
    const uint32_t dp_stride = pp_last ? tp : tp * pp;
    groups->tp = sp_group_build(fabric, tp, 1);
    groups->dp = sp_group_build(fabric, dp, dp_stride);
    groups->pp = sp_group_build(fabric, pp, pp_last ? tp * dp : tp);
    if (!moe) {
        return;
    }
    /* Experts use the tp x dp ranks of a stage anew: etp nearest, then ep, then copies of experts.
     * With stages in between (tp_pp_dp) only etp = tp keeps equal strides, and rules see to it. */
    const uint32_t ep_stride = pp_last ? plan->etp : dp_stride;
    groups->etp = sp_group_build(fabric, plan->etp, 1);
    groups->ep = sp_group_build(fabric, plan->ep, ep_stride);
    groups->expert_dp = sp_group_build(fabric, sp_plan_expert_copies(plan), ep_stride * plan->ep);
}

/* Matrix-product seconds of one block, which its communication may hide under. */
typedef struct sp_block_gemm {
    double forward_s, input_grad_s, weight_grad_s;
} sp_block_gemm;

static void price_ops(const sp_problem *problem, const sp_plan *plan, const sp_layer_work *work,
                      uint32_t first, uint32_t last, sp_block_gemm *gemm, sp_layer_cost *cost)
{
    const sp_precision precision = (sp_precision)plan->precision;
    const uint32_t modules = sp_plan_modules(plan);
    for (uint32_t i = first; i < last; i++) {
        const sp_op *op = &work->ops[i];
        const sp_op_time t = sp_roof_op(&problem->rates, op, precision, problem->model->dropout);
        cost->forward_s += t.forward_s;
        cost->backward_s += t.input_grad_s + t.weight_grad_s;
        cost->flops += op->flops;
        if (op->class == SP_OP_GEMM) {
            gemm->forward_s += t.forward_s;
            gemm->input_grad_s += t.input_grad_s;
            gemm->weight_grad_s += t.weight_grad_s;
        }
        if ((op->modules & modules) != 0) {
            cost->recompute_s += t.forward_s;
            cost->recompute_flops += op->flops;
        }
    }
}

sp_tp_traffic sp_tp_traffic_build(const sp_problem *problem, const sp_plan *plan,
                                  const sp_group *tp)
{
    const double bytes = 2.0 * problem->model->hidden * sp_plan_shape(problem, plan).tokens;
    if (plan->sp == SP_ON) {
        return (sp_tp_traffic){.bytes = bytes, .gather_s = sp_coll_allgather_s(tp, bytes)};
    }
    return (sp_tp_traffic){.bytes = bytes, .reduce_s = sp_coll_allreduce_s(tp, bytes)};
}

/* Tensor-parallel traffic of one block. Without sequence parallelism: one all-reduce each way, the
 * backward one beside the weight gradient. With it: all-gather and reduce-scatter forward; backward
 * an all-gather of the output gradient, one of the saved input beside the input gradient, and a
 * reduce-scatter beside the weight gradient. tp_overlap hides the rest in the products it feeds.
 * Source: Korthikanti et al., MLSys 2023, section 4.2; Megatron-Core tensor_parallel/layers. */
static void price_tp(const sp_problem *problem, const sp_plan *plan, const sp_tp_traffic *traffic,
                     const sp_block_gemm *gemm, sp_layer_cost *cost)
{
    const double async = problem->profile->tp_async_ratio;
    const double share = problem->profile->tp_overlap_ratio;
    const double gather_s = traffic->gather_s;
    const double once = traffic->bytes * (plan->tp - 1.0) / plan->tp;
    if (plan->sp == SP_OFF) {
        cost->tp_forward_s += traffic->reduce_s;
        cost->tp_backward_s += sp_overlap_exposed_s(gemm->weight_grad_s, async, traffic->reduce_s);
        cost->tp_sent_bytes += 4.0 * once;
        return;
    }
    const double beside_s = sp_overlap_exposed_s(gemm->weight_grad_s, async, gather_s);
    if (plan->tp_overlap == SP_ON) {
        cost->tp_forward_s += sp_overlap_exposed_s(gemm->forward_s, share, 2.0 * gather_s);
        cost->tp_backward_s +=
            beside_s +
            sp_overlap_exposed_s(gemm->input_grad_s, share > async ? share : async, 2.0 * gather_s);
    } else {
        cost->tp_forward_s += 2.0 * gather_s;
        cost->tp_backward_s +=
            beside_s + gather_s + sp_overlap_exposed_s(gemm->input_grad_s, async, gather_s);
    }
    cost->tp_sent_bytes += 5.0 * once;
}

/* Dispatch and combine, forward and backward, each an all-to-all over the expert group and, when an
 * expert's matrices are cut, a gather (or scatter) over its pieces. */
static void price_ep(const sp_groups *groups, const sp_block_comm *comm, sp_layer_cost *cost)
{
    if (comm->ep_bytes <= 0.0) {
        return;
    }
    const double way_s = sp_coll_alltoall_s(&groups->ep, comm->ep_bytes) +
                         sp_coll_allgather_s(&groups->etp, comm->etp_bytes);
    cost->ep_forward_s += 2.0 * way_s;
    cost->ep_backward_s += 2.0 * way_s;
    cost->ep_sent_bytes += 4.0 * (comm->ep_bytes * (groups->ep.n - 1.0) / groups->ep.n +
                                  comm->etp_bytes * (groups->etp.n - 1.0) / groups->etp.n);
}

void sp_layer_price(const sp_problem *problem, const sp_plan *plan, const sp_groups *groups,
                    const sp_tp_traffic *traffic, const sp_layer_work *work, sp_layer_cost *cost)
{
    *cost = (sp_layer_cost){0};
    sp_block_gemm attention = {0}, ffn = {0};
    price_ops(problem, plan, work, 0, work->n_attention_ops, &attention, cost);
    price_ops(problem, plan, work, work->n_attention_ops, work->n_ops, &ffn, cost);
    if (plan->tp > 1 && work->attention.tp_exchange) {
        price_tp(problem, plan, traffic, &attention, cost);
    }
    if (plan->tp > 1 && work->ffn.tp_exchange) {
        price_tp(problem, plan, traffic, &ffn, cost);
    }
    price_ep(groups, &work->ffn, cost);
    if (plan->recompute == SP_RECOMPUTE_FULL) {
        cost->recompute_s = cost->forward_s;
        cost->recompute_flops = cost->flops;
        cost->tp_backward_s += cost->tp_forward_s;
        cost->ep_backward_s += cost->ep_forward_s;
        /* Forward sends two shares a block, and half of all that experts exchange. */
        const double exchanges = (double)work->attention.tp_exchange + work->ffn.tp_exchange;
        cost->tp_sent_bytes += exchanges * 2.0 * traffic->bytes * (plan->tp - 1.0) / plan->tp;
        cost->ep_sent_bytes *= 1.5;
    }
}

/* Look-up of rows cut along the vocabulary: sum over the tp ranks, one way forward, one back. */
void sp_embedding_price(const sp_problem *problem, const sp_plan *plan,
                        const sp_tp_traffic *traffic, sp_layer_cost *cost)
{
    const sp_rates *r = &problem->rates;
    const bool sp = plan->sp == SP_ON;
    const double stream_s = traffic->bytes * r->stream_s_per_byte;
    *cost = (sp_layer_cost){.forward_s = r->stream_launch_s + 2.0 * stream_s,
                            .backward_s = r->stream_launch_s + (1.0 + r->grad_bytes) * stream_s,
                            .tp_forward_s = sp ? traffic->gather_s : traffic->reduce_s,
                            .tp_backward_s = sp ? traffic->gather_s : 0.0,
                            .tp_sent_bytes = 2.0 * traffic->bytes * (plan->tp - 1.0) / plan->tp};
}

/* The head is cut along the vocabulary and its output stays cut: forward one all-gather of its
 * input under sequence parallelism, backward that again beside the input gradient and a
 * reduce-scatter beside the weight gradient, or an all-reduce there. */
static void price_head_tp(const sp_problem *problem, const sp_plan *plan,
                          const sp_tp_traffic *traffic, const sp_op_time *t, sp_layer_cost *cost)
{
    const double async = problem->profile->tp_async_ratio;
    const double once = traffic->bytes * (plan->tp - 1.0) / plan->tp;
    if (plan->sp == SP_OFF) {
        cost->tp_backward_s = sp_overlap_exposed_s(t->weight_grad_s, async, traffic->reduce_s);
        cost->tp_sent_bytes = 2.0 * once;
        return;
    }
    cost->tp_forward_s = traffic->gather_s;
    cost->tp_backward_s = sp_overlap_exposed_s(t->input_grad_s, async, traffic->gather_s) +
                          sp_overlap_exposed_s(t->weight_grad_s, async, traffic->gather_s);
    cost->tp_sent_bytes = 3.0 * once;
}

/* Final norm, head product and the loss over vocabulary columns: 2-byte logits become fp32, are
 * read twice for maximum and sum, and are turned into their gradient in place. */
void sp_head_price(const sp_problem *problem, const sp_plan *plan, const sp_tp_traffic *traffic,
                   sp_layer_cost *cost)
{
    const sp_shape shape = sp_plan_shape(problem, plan);
    const sp_sharding sharding = sp_plan_sharding(plan, false);
    const sp_op head = sp_graph_head(problem->model, &shape, &sharding);
    const sp_rates *r = &problem->rates;
    const sp_op_time t =
        sp_roof_op(r, &head, (sp_precision)plan->precision, problem->model->dropout);
    const double logits = head.m * head.n, bytes = traffic->bytes;
    *cost = (sp_layer_cost){.forward_s = t.forward_s + r->stream_launch_s +
                                         (14.0 * logits + 2.0 * bytes) * r->stream_s_per_byte,
                            .backward_s = t.input_grad_s + t.weight_grad_s + r->stream_launch_s +
                                          (6.0 * logits + 4.0 * bytes) * r->stream_s_per_byte,
                            .flops = head.flops};
    if (plan->tp > 1) {
        price_head_tp(problem, plan, traffic, &t, cost);
    }
}
