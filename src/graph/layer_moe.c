/* SPDX-License-Identifier: Apache-2.0 */
/* Mixture of experts: router, dispatch, grouped matrix products of the routed experts, combine, and
 * a shared expert or a dense block (layer_mlp.c) beside them. A rank holds n_experts / ep experts,
 * each cut into etp pieces; tokens of ep etp / tp data-parallel ranks meet there, on the busiest
 * rank 1 + expert_excess times the mean. */
#include "graph/graph.h"

static const uint32_t activation = SP_MODULE_ACTIVATION | SP_MODULE_STREAMS;

static bool present(const sp_layer_kind *kind)
{
    return kind->ffn.n_experts > 0;
}

static double choices(const sp_ffn *ffn)
{
    return (double)ffn->n_experts + ffn->idle_experts;
}

/* Experts that a token meets: choices that compute nothing are sent nowhere. */
static double experts_met(const sp_ffn *ffn)
{
    return ffn->idle_experts > 0 ? ffn->top_k * (ffn->n_experts / choices(ffn)) : ffn->top_k;
}

/* Rows of the router's matrix: projections may stand before it. */
static double router_in(const sp_ffn *ffn, double h)
{
    return ffn->router_in > 0 ? ffn->router_in : h;
}

/* Width in which experts read and write. */
static double width_of(const sp_ffn *ffn, double h)
{
    return ffn->latent > 0 ? ffn->latent : h;
}

static sp_op *add_grouped(sp_layer_work *work, const char *name, double m, double n, double k,
                          double n_experts)
{
    sp_op *op = sp_op_gemm(work, name, SP_PART_EXPERTS, m, n, k);
    op->class = SP_OP_GROUPED;
    op->count = n_experts;
    op->flops *= n_experts;
    return op;
}

static void add_routed(const sp_ffn *ffn, double width, const sp_shape *s, const sp_sharding *shard,
                       sp_layer_work *work)
{
    const double local_experts = (double)ffn->n_experts / shard->ep;
    /* Copies of tokens that arrive on this rank, gathered over the expert-tensor group. */
    const double load = 1.0 + s->expert_excess;
    const double copies = load * s->tokens * experts_met(ffn) * shard->etp / shard->tp;
    const double per_expert = copies / local_experts;
    const double f = (double)ffn->expert_ffn / shard->etp;
    const double columns = ffn->gated ? 2.0 * f : f;
    const double moved = width * copies;

    sp_op_stream(work, "dispatch_permute", SP_PART_EXPERTS, moved, moved);
    add_grouped(work, "expert_up", per_expert, columns, width, local_experts)->vectors =
        ffn->expert_bias ? local_experts * columns : 0.0;
    sp_keep(work, 2.0 * width * copies, 0, true); /* they came over the network */
    sp_op_stream(work, "expert_activation", SP_PART_EXPERTS, columns * copies, f * copies)
        ->modules = activation;
    sp_keep(work, 2.0 * columns * copies, 0, false);
    add_grouped(work, "expert_down", per_expert, width, f, local_experts)->vectors =
        ffn->expert_bias ? local_experts * width : 0.0;
    sp_keep(work, 2.0 * f * copies, activation, true);
    sp_op_stream(work, "combine_unpermute", SP_PART_EXPERTS, moved, moved);
    sp_live(work, 2.0 * (columns + f + width) * copies);
}

static void add_shared(const sp_ffn *ffn, double h, double tokens, uint32_t tp, sp_layer_work *work)
{
    const double f = (double)ffn->shared_ffn / tp;
    const double columns = ffn->gated ? 2.0 * f : f;
    sp_op_gemm(work, "shared_up", SP_PART_FFN, tokens, columns, h);
    sp_keep(work, 2.0 * columns * tokens, 0, false);
    sp_op_stream(work, "shared_activation", SP_PART_FFN, columns * tokens, f * tokens)->modules =
        activation;
    sp_keep(work, 2.0 * f * tokens, activation, true);
    sp_op_gemm(work, "shared_down", SP_PART_FFN, tokens, h, f);
    work->ffn.tp_exchange = true;
}

/* The router computes in 16 bits or more whatever the experts do, so its input keeps 2 bytes. fp32
 * routing probabilities are kept: 4 bytes a choice. The gate on the shared expert is one column
 * beside it. */
static void add_router(const sp_ffn *ffn, double h, double whole, sp_layer_work *work)
{
    const double n = choices(ffn);
    sp_op_gemm(work, "router", SP_PART_ROUTER, whole, n, router_in(ffn, h))->vectors =
        (ffn->router_bias ? n : 0.0) + (ffn->shared_gate ? h : 0.0);
    sp_keep(work, 4.0 * n * whole, 0, false);
}

static void add_experts(const sp_ffn *ffn, double h, const sp_shape *s, const sp_sharding *shard,
                        sp_layer_work *work)
{
    const double width = width_of(ffn, h), whole = sp_whole_rows(s, shard);
    if (ffn->latent > 0) {
        sp_op_gemm(work, "latent_down", SP_PART_EXPERTS, whole, width, h);
    }
    add_routed(ffn, width, s, shard, work);
    if (ffn->latent > 0) {
        sp_keep(work, 2.0 * width * whole, 0, true);
        sp_op_gemm(work, "latent_up", SP_PART_EXPERTS, whole, h, width);
    }
}

static void expand(const sp_model *model, const sp_layer_kind *kind, const sp_shape *s,
                   const sp_sharding *shard, bool flash, sp_layer_work *work)
{
    (void)flash;
    const sp_ffn *ffn = &kind->ffn;
    const double h = model->hidden, whole = sp_whole_rows(s, shard);
    const bool alone = ffn->ffn == 0; /* otherwise the norms are those of the dense block */

    if (alone) {
        sp_norm_before(work, "ffn_norm", model, ffn->norms, whole, false);
    }
    add_router(ffn, h, whole, work);
    add_experts(ffn, h, s, shard, work);
    if (ffn->shared_ffn > 0) {
        add_shared(ffn, h, s->tokens, shard->tp, work);
    }
    if (alone && ffn->norms > 1) {
        sp_norms_behind(work, "ffn_post_norm", model, ffn->norms, whole);
    }
    sp_residual(work, "ffn_residual", h * whole, model->dropout);

    const double copies = (1.0 + s->expert_excess) * s->tokens / shard->tp * experts_met(ffn);
    const double sent = 2.0 * width_of(ffn, h) * copies;
    work->ffn.ep_bytes = sent;
    work->ffn.ep_copies = experts_met(ffn);
    work->ffn.ep_reach = ffn->top_groups > 0 ? (double)ffn->top_groups / ffn->expert_groups : 1.0;
    work->ffn.etp_bytes = sent * shard->etp;
}

static sp_layer_params params(const sp_model *model, const sp_layer_kind *kind,
                              const sp_sharding *shard)
{
    const sp_ffn *ffn = &kind->ffn;
    const double h = model->hidden, width = width_of(ffn, h);
    const double matrices = ffn->gated ? 3.0 : 2.0;
    const double norm = ffn->ffn > 0 ? 0.0 : (double)ffn->norms * model->norm_vectors * h;
    const double columns = (matrices - 1.0) * ffn->expert_ffn / shard->etp;
    const double expert = matrices * width * ffn->expert_ffn / shard->etp +
                          (ffn->expert_bias ? columns + width : 0.0);
    return (sp_layer_params){
        .dense = norm + (router_in(ffn, h) + (ffn->router_bias ? 1.0 : 0.0)) * choices(ffn) +
                 2.0 * h * ffn->latent + matrices * h * ffn->shared_ffn / shard->tp +
                 (ffn->shared_gate ? h : 0.0),
        .expert = (double)ffn->n_experts / shard->ep * expert};
}

const sp_block sp_block_moe = {
    .name = "moe", .present = present, .expand = expand, .params = params};
