/* SPDX-License-Identifier: Apache-2.0 */
/* Seconds of one layer, of the embedding and of the head, on one rank and one micro-batch:
 * operators by roofline, tensor- and expert-parallel traffic on the levels it spans, less what
 * overlaps. Leaves out: context parallelism (context.c), pipeline and data parallelism (train.c).
 */
#include "step/step.h"

#include <assert.h>

/* Matrix-product seconds of one block, which its communication may hide under. */
typedef struct sp_block_gemm {
    double forward_s, input_grad_s, weight_grad_s;
    sp_op_time core; /* of its attention, if it has one */
    bool core_again; /* it is computed again */
} sp_block_gemm;

/* A pair of thin matrices beside a frozen product, [m,k][k,r] and [m,r][r,n]: both are trained. */
static void add_adapter(const sp_problem *problem, const sp_op *op, sp_op_time *t)
{
    const double rank = problem->question.lora_rank;
    const sp_op pair[2] = {
        {.class = op->class, .m = op->m, .n = rank,  .k = op->k, .count = op->count},
        {.class = op->class, .m = op->m, .n = op->n, .k = rank,  .count = op->count}
    };
    for (int i = 0; i < 2; i++) {
        const sp_op_time own = sp_roof_op(&problem->rates, &pair[i], SP_PRECISION_BF16, false);
        t->forward_s += own.forward_s;
        t->input_grad_s += own.input_grad_s;
        t->weight_grad_s += own.weight_grad_s;
    }
}

/* Frozen weights have no gradient; those held in 4 bits are written out in 16 for every pass. */
static sp_op_time freeze(const sp_problem *problem, const sp_op *op, sp_op_time t)
{
    const double held = problem->recipe.weight_bytes;
    const double unpack = held < 2.0 ? (held + 2.0) * op->count * op->k * op->n : 0.0;
    const double unpack_s = unpack * problem->rates.stream_s_per_byte;
    sp_op_time frozen = {.forward_s = t.forward_s + unpack_s,
                         .input_grad_s = t.input_grad_s + unpack_s};
    add_adapter(problem, op, &frozen);
    return frozen;
}

/* The busiest rank's experts see more tokens than the mean. */
static sp_op_time price_op(const sp_problem *problem, const sp_op *op, sp_precision precision)
{
    const double load = problem->question.moe_imbalance_ratio;
    sp_op busiest;
    if (op->class == SP_OP_GROUPED && load > 1.0) {
        busiest = *op;
        busiest.m *= load;
        op = &busiest;
    }
    const sp_op_time t = sp_roof_op(&problem->rates, op, precision, problem->model->dropout);
    const bool product = op->class == SP_OP_GEMM || op->class == SP_OP_GROUPED;
    return problem->has_adapters && product ? freeze(problem, op, t) : t;
}

static void price_ops(const sp_problem *problem, const sp_plan *plan, const sp_redo *redo,
                      const sp_layer_work *work, uint32_t first, uint32_t last, sp_block_gemm *gemm,
                      sp_layer_cost *cost)
{
    for (uint32_t i = first; i < last; i++) {
        const sp_op *op = &work->ops[i];
        const sp_op_time t = price_op(problem, op, (sp_precision)plan->precision);
        cost->forward_s += t.forward_s;
        cost->backward_s += t.input_grad_s + t.weight_grad_s;
        cost->weight_grad_s += t.weight_grad_s;
        cost->flops += op->flops;
        if (op->class == SP_OP_GEMM) {
            gemm->forward_s += t.forward_s;
            gemm->input_grad_s += t.input_grad_s;
            gemm->weight_grad_s += t.weight_grad_s;
        }
        const bool again = redo->full || (op->modules & redo->modules) != 0;
        if (op->class == SP_OP_ATTENTION) {
            gemm->core = t;
            gemm->core_again = again;
        }
        if (again) {
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

/* Weight gradients that run beside the traffic of their layer: none where they come later. */
static double beside_weight_s(const sp_plan *plan, double weight_grad_s)
{
    const bool later = sp_schedule_describe((sp_schedule)plan->schedule)->splits_backward;
    return later ? 0.0 : weight_grad_s;
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
    const double gather_s = traffic->gather_s,
                 weight_s = beside_weight_s(plan, gemm->weight_grad_s);
    const double once = traffic->bytes * (plan->tp - 1.0) / plan->tp;
    if (plan->sp == SP_OFF) {
        cost->tp_forward_s += traffic->reduce_s;
        cost->tp_backward_s += sp_overlap_exposed_s(weight_s, async, traffic->reduce_s);
        cost->tp_sent_bytes += 4.0 * once;
        return;
    }
    const double beside_s = sp_overlap_exposed_s(weight_s, async, gather_s);
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
 * expert's matrices are cut, a gather (or scatter) over its pieces. ep_overlap runs a forward pass
 * beside the backward pass of another micro-batch through the same layer: the traffic of both hides
 * beside the work of both, and what that waits for other traffic. */
static void price_ep(const sp_problem *problem, const sp_plan *plan, const sp_groups *groups,
                     const sp_block_comm *comm, sp_layer_cost *cost)
{
    if (comm->ep_bytes <= 0.0) {
        return;
    }
    const double load = problem->question.moe_imbalance_ratio;
    const double ep_bytes = load * comm->ep_bytes, etp_bytes = load * comm->etp_bytes;
    const double exchange_s =
        problem->profile->merges_expert_copies
            ? sp_coll_dispatch_s(&groups->ep, ep_bytes, comm->ep_copies, comm->ep_reach)
            : sp_coll_alltoall_s(&groups->ep, ep_bytes);
    const double way_s = exchange_s + sp_coll_allgather_s(&groups->etp, etp_bytes);
    const double share = sp_plan_pairs(plan) ? problem->profile->ep_overlap_ratio : 0.0;
    const double work_s = cost->forward_s + cost->tp_forward_s + cost->cp_forward_s +
                          cost->backward_s + cost->tp_backward_s + cost->cp_backward_s;
    const double exposed_s = sp_overlap_exposed_s(work_s, share, 4.0 * way_s);
    cost->ep_forward_s += 0.5 * exposed_s;
    cost->ep_backward_s += 0.5 * exposed_s;
    cost->ep_traffic_s += 4.0 * way_s;
    cost->ep_sent_bytes += 4.0 * (ep_bytes * (groups->ep.n - 1.0) / groups->ep.n +
                                  etp_bytes * (groups->etp.n - 1.0) / groups->etp.n);
}

/* What a pass that is done again sends again: two shares a tensor-parallel block, what context
 * parallelism sends forward, and half of all that experts exchange. */
static void send_again(const sp_plan *plan, const sp_redo *redo, const sp_layer_work *work,
                       const sp_tp_traffic *traffic, double ffn_tp_s, bool core_again,
                       double cp_sent_bytes, sp_layer_cost *cost)
{
    const double once = 2.0 * traffic->bytes * (plan->tp - 1.0) / plan->tp;
    if (redo->full || core_again) {
        cost->cp_backward_s += cost->cp_forward_s;
        cost->cp_sent_bytes += cp_sent_bytes;
    }
    if (redo->full) {
        cost->tp_backward_s += cost->tp_forward_s;
        cost->ep_backward_s += cost->ep_forward_s;
        cost->tp_sent_bytes += ((double)work->attention.tp_exchange + work->ffn.tp_exchange) * once;
        cost->ep_sent_bytes *= 1.5;
        cost->ep_traffic_s *= 1.5;
    } else if ((redo->modules & SP_MODULE_FFN) != 0 && work->ffn.ep_bytes <= 0.0) {
        cost->tp_backward_s += ffn_tp_s;
        cost->tp_sent_bytes += work->ffn.tp_exchange ? once : 0.0;
    }
}

void sp_layer_price(const sp_problem *problem, const sp_plan *plan, const sp_redo *redo,
                    const sp_groups *groups, const sp_tp_traffic *traffic,
                    const sp_layer_work *work, sp_layer_cost *cost)
{
    *cost = (sp_layer_cost){0};
    sp_block_gemm attention = {0}, ffn = {0};
    price_ops(problem, plan, redo, work, 0, work->n_attention_ops, &attention, cost);
    price_ops(problem, plan, redo, work, work->n_attention_ops, work->n_ops, &ffn, cost);
    if (plan->tp > 1 && work->attention.tp_exchange) {
        price_tp(problem, plan, traffic, &attention, cost);
    }
    const double attention_tp_s = cost->tp_forward_s;
    if (plan->tp > 1 && work->ffn.tp_exchange) {
        price_tp(problem, plan, traffic, &ffn, cost);
    }
    double cp_sent_bytes = 0.0;
    if (plan->cp > 1) {
        cp_sent_bytes =
            sp_context_price(problem, plan, groups, &work->attention, &attention.core, cost);
    }
    price_ep(problem, plan, groups, &work->ffn, cost);
    send_again(plan, redo, work, traffic, cost->tp_forward_s - attention_tp_s, attention.core_again,
               cp_sent_bytes, cost);
}

/* The product that brings two joined states back to the hidden width; the norms before it are small
 * beside it, and that of the head is the head's. */
void sp_mtp_price(const sp_problem *problem, const sp_plan *plan, sp_layer_cost *cost)
{
    const sp_shape shape = sp_plan_shape(problem, plan);
    const sp_sharding sharding = sp_plan_sharding(plan, false);
    const sp_op op = sp_graph_mtp_projection(problem->model, &shape, &sharding);
    const sp_op_time t = price_op(problem, &op, (sp_precision)plan->precision);
    *cost = (sp_layer_cost){.forward_s = t.forward_s,
                            .backward_s = t.input_grad_s + t.weight_grad_s,
                            .weight_grad_s = t.weight_grad_s,
                            .flops = op.flops};
}

/* Norms and projections between the embedding and the first layer. */
static void price_outer(const sp_problem *problem, const sp_plan *plan, sp_layer_cost *cost)
{
    const sp_shape shape = sp_plan_shape(problem, plan);
    const sp_sharding sharding = sp_plan_sharding(plan, false);
    sp_layer_work work;
    sp_graph_embedding_work(problem->model, &shape, &sharding, &work);
    for (uint32_t i = 0; i < work.n_ops; i++) {
        const sp_op *op = &work.ops[i];
        if (op->class != SP_OP_GEMM && op->part != SP_PART_NORM) continue;
        const sp_op_time t = price_op(problem, op, (sp_precision)plan->precision);
        cost->forward_s += t.forward_s;
        cost->backward_s += t.input_grad_s + t.weight_grad_s;
        cost->weight_grad_s += t.weight_grad_s;
        cost->flops += op->flops;
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
    if (problem->model->outer_norms > 1 || problem->model->n_projections > 0 ||
        problem->model->formulas != NULL) {
        price_outer(problem, plan, cost);
    }
}

/* The head is cut along the vocabulary and its output stays cut: forward one all-gather of its
 * input under sequence parallelism, backward that again beside the input gradient and a
 * reduce-scatter beside the weight gradient, or an all-reduce there. */
static void price_head_tp(const sp_problem *problem, const sp_plan *plan,
                          const sp_tp_traffic *traffic, const sp_op_time *t, sp_layer_cost *cost)
{
    const double async = problem->profile->tp_async_ratio;
    const double once = traffic->bytes * (plan->tp - 1.0) / plan->tp;
    const double weight_s = beside_weight_s(plan, t->weight_grad_s);
    if (plan->sp == SP_OFF) {
        cost->tp_backward_s = sp_overlap_exposed_s(weight_s, async, traffic->reduce_s);
        cost->tp_sent_bytes = 2.0 * once;
        return;
    }
    cost->tp_forward_s = traffic->gather_s;
    cost->tp_backward_s = sp_overlap_exposed_s(t->input_grad_s, async, traffic->gather_s) +
                          sp_overlap_exposed_s(weight_s, async, traffic->gather_s);
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
    const sp_op_time t = sp_roof_op(r, &head, sp_precision_of_head((sp_precision)plan->precision),
                                    problem->model->dropout);
    const double logits = head.m * head.n, bytes = traffic->bytes;
    const double weight_grad_s = problem->has_adapters ? 0.0 : t.weight_grad_s;
    *cost = (sp_layer_cost){.forward_s = t.forward_s + r->stream_launch_s +
                                         (14.0 * logits + 2.0 * bytes) * r->stream_s_per_byte,
                            .backward_s = t.input_grad_s + weight_grad_s + r->stream_launch_s +
                                          (6.0 * logits + 4.0 * bytes) * r->stream_s_per_byte,
                            .weight_grad_s = weight_grad_s,
                            .flops = head.flops};
    if (plan->tp > 1) {
        price_head_tp(problem, plan, traffic, &t, cost);
    }
}
