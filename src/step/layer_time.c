/* SPDX-License-Identifier: Apache-2.0 */
/* Seconds of one layer, of the embedding and of the head, on one rank and one micro-batch:
 * operators by roofline, tensor- and expert-parallel traffic on the levels it spans, less what
 * overlaps. Leaves out: context parallelism (context.c), pipeline and data parallelism (train.c).
 */
#include "step/step.h"

#include <assert.h>

/* Matrix-product seconds of one block, which its communication may hide under. */
typedef struct sp_block_gemm {
    sp_op_time all, last; /* the last product brings the block back to the hidden width          */
    sp_op_time core;      /* of its attention, if it has one                                     */
    bool core_again;      /* it is computed again                                                */
} sp_block_gemm;

static void add_time(sp_op_time *sum, const sp_op_time *t)
{
    sum->forward_s += t->forward_s;
    sum->input_grad_s += t->input_grad_s;
    sum->weight_grad_s += t->weight_grad_s;
}

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
        add_time(t, &own);
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

static sp_op_time price_op(const sp_problem *problem, const sp_op *op, sp_precision precision)
{
    const sp_op_time t = sp_roof_op(&problem->rates, op, precision, problem->model->dropout);
    const bool product = op->class == SP_OP_GEMM || op->class == SP_OP_GROUPED;
    return problem->has_adapters && product ? freeze(problem, op, t) : t;
}

/* What traffic may hide under. */
static void note_block(const sp_plan *plan, const sp_op *op, const sp_op_time *t, bool again,
                       sp_block_gemm *gemm)
{
    if (plan->tp > 1 && op->class == SP_OP_GEMM) {
        add_time(&gemm->all, t);
        gemm->last = *t;
    } else if (op->class == SP_OP_ATTENTION) {
        gemm->core = *t;
        gemm->core_again = again;
    }
}

/* mean: work of an expert on the mean rank over that on the busiest one, which is priced. */
static void price_ops(const sp_problem *problem, const sp_plan *plan, const sp_redo *redo,
                      const sp_layer_work *work, uint32_t first, uint32_t last, double mean,
                      sp_block_gemm *gemm, sp_layer_cost *cost)
{
    for (uint32_t i = first; i < last; i++) {
        const sp_op *op = &work->ops[i];
        const sp_op_time t = price_op(problem, op, (sp_precision)plan->precision);
        const bool again = redo->full || (op->modules & redo->modules) != 0;
        cost->forward_s += t.forward_s;
        cost->backward_s += t.input_grad_s + t.weight_grad_s;
        cost->weight_grad_s += t.weight_grad_s;
        note_block(plan, op, &t, again, gemm);
        if (again) {
            cost->recompute_s += t.forward_s;
            cost->recompute_flops += op->class == SP_OP_GROUPED ? mean * op->flops : op->flops;
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
 * backward one beside the weight gradient of the first products or, in older engines, before it.
 * With it: an all-gather before them
 * and a reduce-scatter behind the last one; backward an all-gather of the output gradient before
 * the last product, one of the saved input beside the input gradient of the first ones and a
 * reduce-scatter beside their weight gradient, whole. tp_overlap cuts the rest in pieces: what is
 * gathered goes round a ring beside the product that it feeds, what is scattered follows its
 * product piece by piece. Source: Korthikanti et al., MLSys 2023, section 4.2; Megatron-Core
 * tensor_parallel/layers; Transformer Engine, pytorch/module/base.py, initialize_ub. */
static void price_tp(const sp_problem *problem, const sp_plan *plan, const sp_tp_traffic *traffic,
                     const sp_block_gemm *gemm, sp_layer_cost *cost)
{
    const sp_engine_profile *profile = problem->profile;
    const double slowed = profile->tp_interference_ratio, gather_s = traffic->gather_s;
    const double once = traffic->bytes * (plan->tp - 1.0) / plan->tp;
    const sp_op_time *all = &gemm->all, *last = &gemm->last;
    const double scatter_room_s = beside_weight_s(plan, all->weight_grad_s - last->weight_grad_s);
    if (plan->sp == SP_OFF) {
        const double room_s = profile->waits_for_tp_sums ? 0.0 : scatter_room_s;
        cost->tp_forward_s += traffic->reduce_s;
        cost->tp_backward_s += sp_overlap_slowed_s(room_s, slowed, traffic->reduce_s);
        cost->tp_sent_bytes += 4.0 * once;
        return;
    }
    cost->tp_backward_s +=
        sp_overlap_slowed_s(all->input_grad_s - last->input_grad_s, slowed, gather_s) +
        sp_overlap_slowed_s(scatter_room_s, slowed, gather_s);
    if (plan->tp_overlap == SP_ON) {
        const double first_s = all->forward_s - last->forward_s;
        cost->tp_forward_s +=
            sp_overlap_ring_s(first_s, plan->tp, gather_s) +
            sp_overlap_pieces_s(last->forward_s, profile->tp_pieces, slowed, gather_s);
        cost->tp_backward_s += sp_overlap_ring_s(last->input_grad_s, plan->tp, gather_s);
    } else {
        cost->tp_forward_s += 2.0 * gather_s;
        cost->tp_backward_s += gather_s;
    }
    cost->tp_sent_bytes += 5.0 * once;
}

/* One way of the tokens of a micro-batch, each element in so many bytes: an all-to-all over the
 * expert group and, when an expert's matrices are cut, a gather (or scatter) over its pieces. */
static double expert_way_s(const sp_problem *problem, const sp_groups *groups,
                           const sp_block_comm *comm, double element_bytes)
{
    const double scale = element_bytes / 2.0, bytes = scale * comm->ep_bytes;
    const double exchange_s =
        problem->profile->merges_expert_copies
            ? sp_coll_dispatch_s(&groups->ep, bytes, comm->ep_copies, comm->ep_reach)
            : sp_coll_alltoall_s(&groups->ep, bytes);
    return exchange_s + sp_coll_allgather_s(&groups->etp, scale * comm->etp_bytes);
}

/* Products of the shared experts. */
static sp_op_time shared_time(const sp_problem *problem, const sp_plan *plan,
                              const sp_layer_work *work)
{
    sp_op_time sum = {0};
    for (uint32_t i = work->n_attention_ops; i < work->n_ops; i++) {
        const sp_op *op = &work->ops[i];
        if (op->class == SP_OP_GEMM && op->part == SP_PART_FFN) {
            const sp_op_time t = price_op(problem, op, (sp_precision)plan->precision);
            add_time(&sum, &t);
        }
    }
    return sum;
}

/* Seconds that expert traffic of one pass can hide under: in pairs the work of a layer and what it
 * waits for other traffic; else shared experts run beside it, unless these have tensor-parallel
 * traffic beside them. */
static double expert_room_s(const sp_problem *problem, const sp_plan *plan, double pass_s,
                            double shared_s)
{
    const double beside_s = problem->profile->shared_overlap_ratio * shared_s;
    const double other_s = problem->profile->ep_overlap_ratio * pass_s;
    return sp_plan_pairs(plan) && other_s > beside_s ? other_s : beside_s;
}

double sp_dispatch_bytes(const sp_problem *problem)
{
    const bool fp8 = problem->question.dispatch == SP_DISPATCH_FP8;
    return fp8 ? problem->profile->fp8_dispatch_bytes : 2.0;
}

/* Dispatch and combine, forward and backward. ep_overlap runs a forward pass beside the backward
 * pass of another micro-batch through the same layer: the traffic of both hides beside the work of
 * both. In 8 bits go the tokens of the dispatch and the
 * gradients of what was combined. */
static void price_ep(const sp_problem *problem, const sp_plan *plan, const sp_groups *groups,
                     const sp_layer_work *work, sp_layer_cost *cost)
{
    const sp_block_comm *comm = &work->ffn;
    if (comm->ep_bytes <= 0.0) {
        return;
    }
    const sp_engine_profile *profile = problem->profile;
    const bool hides = plan->tp == 1 && profile->shared_overlap_ratio > 0.0;
    const sp_op_time shared = hides ? shared_time(problem, plan, work) : (sp_op_time){0};
    const double out_bytes = sp_dispatch_bytes(problem);
    const double back_s = expert_way_s(problem, groups, comm, 2.0);
    const double pass_s =
        back_s + (out_bytes < 2.0 ? expert_way_s(problem, groups, comm, out_bytes) : back_s);
    const double forward_s = cost->forward_s + cost->tp_forward_s + cost->cp_forward_s;
    const double backward_s = cost->backward_s + cost->tp_backward_s + cost->cp_backward_s;
    const double ahead_s = expert_room_s(problem, plan, forward_s, shared.forward_s);
    const double behind_s =
        expert_room_s(problem, plan, backward_s, shared.input_grad_s + shared.weight_grad_s);
    if (sp_plan_pairs(plan)) {
        const double backs_s = shared.input_grad_s + shared.weight_grad_s;
        const double paired_s = sp_overlap_exposed_s(ahead_s + behind_s, 1.0, 2.0 * pass_s);
        cost->ep_forward_s += 0.5 * paired_s;
        cost->ep_backward_s += 0.5 * paired_s;
        cost->ep_alone_s +=
            sp_overlap_exposed_s(profile->shared_overlap_ratio * shared.forward_s, 1.0, pass_s) +
            sp_overlap_exposed_s(profile->shared_overlap_ratio * backs_s, 1.0, pass_s) - paired_s;
    } else {
        cost->ep_forward_s += sp_overlap_exposed_s(ahead_s, 1.0, pass_s);
        cost->ep_backward_s += sp_overlap_exposed_s(behind_s, 1.0, pass_s);
    }
    cost->ep_traffic_s += 2.0 * pass_s;
    cost->ep_sent_bytes +=
        (2.0 + out_bytes) * (comm->ep_bytes * (groups->ep.n - 1.0) / groups->ep.n +
                             comm->etp_bytes * (groups->etp.n - 1.0) / groups->etp.n);
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
        cost->ep_alone_s *= 1.5;
    } else if ((redo->modules & SP_MODULE_FFN) != 0 && work->ffn.ep_bytes <= 0.0) {
        cost->tp_backward_s += ffn_tp_s;
        cost->tp_sent_bytes += work->ffn.tp_exchange ? once : 0.0;
    }
}

void sp_layer_price(const sp_problem *problem, const sp_plan *plan, const sp_redo *redo,
                    const sp_groups *groups, const sp_tp_traffic *traffic,
                    const sp_layer_work *work, double expert_excess, sp_layer_cost *cost)
{
    *cost = (sp_layer_cost){0};
    const double mean = 1.0 / (1.0 + expert_excess);
    sp_block_gemm attention = {0}, ffn = {0};
    price_ops(problem, plan, redo, work, 0, work->n_attention_ops, mean, &attention, cost);
    price_ops(problem, plan, redo, work, work->n_attention_ops, work->n_ops, mean, &ffn, cost);
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
    price_ep(problem, plan, groups, work, cost);
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
                            .weight_grad_s = t.weight_grad_s};
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
    const double slowed = problem->profile->tp_interference_ratio;
    const double once = traffic->bytes * (plan->tp - 1.0) / plan->tp;
    const double weight_s = beside_weight_s(plan, t->weight_grad_s);
    if (plan->sp == SP_OFF) {
        cost->tp_backward_s = sp_overlap_slowed_s(weight_s, slowed, traffic->reduce_s);
        cost->tp_sent_bytes = 2.0 * once;
        return;
    }
    cost->tp_forward_s = traffic->gather_s;
    cost->tp_backward_s = sp_overlap_slowed_s(t->input_grad_s, slowed, traffic->gather_s) +
                          sp_overlap_slowed_s(weight_s, slowed, traffic->gather_s);
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
                            .weight_grad_s = weight_grad_s};
    if (plan->tp > 1) {
        price_head_tp(problem, plan, traffic, &t, cost);
    }
}
