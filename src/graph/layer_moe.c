/* SPDX-License-Identifier: Apache-2.0 */
/* Mixture of experts: router, dispatch, grouped matrix products of the routed experts, combine, and
 * a shared expert beside them. Tokens are balanced over the experts; --moe-imbalance is the price's
 * (step/layer_time.c). A rank holds n_experts / ep experts, each cut into etp pieces; tokens of
 * ep etp / tp data-parallel ranks meet there. */
#include "graph/graph.h"

static const uint32_t activation = SP_MODULE_ACTIVATION | SP_MODULE_STREAMS;

static bool present(const sp_layer_kind *kind)
{
    return kind->ffn.n_experts > 0;
}

static void add_routed(const sp_ffn *ffn, double h, double tokens, const sp_sharding *shard,
                       sp_layer_work *work)
{
    const double local_experts = (double)ffn->n_experts / shard->ep;
    /* Copies of tokens that arrive on this rank, gathered over the expert-tensor group. */
    const double copies = tokens * ffn->top_k * shard->etp / shard->tp;
    const double per_expert = copies / local_experts;
    const double f = (double)ffn->expert_ffn / shard->etp;
    const double columns = ffn->gated ? 2.0 * f : f;

    sp_op_stream(work, "dispatch_permute", 4.0 * h * copies);
    sp_op *up = sp_op_gemm(work, "expert_up", per_expert, columns, h);
    up->class = SP_OP_GROUPED;
    up->count = local_experts;
    up->flops *= local_experts;
    sp_keep(work, 2.0 * h * copies, 0, true); /* they came over the network */
    sp_op_stream(work, "expert_activation", 2.0 * (columns + f) * copies)->modules = activation;
    sp_keep(work, 2.0 * columns * copies, 0, false);
    sp_op *down = sp_op_gemm(work, "expert_down", per_expert, h, f);
    down->class = SP_OP_GROUPED;
    down->count = local_experts;
    down->flops *= local_experts;
    sp_keep(work, 2.0 * f * copies, activation, true);
    sp_op_stream(work, "combine_unpermute", 4.0 * h * copies);
    sp_live(work, 2.0 * (columns + f + h) * copies);
}

static void add_shared(const sp_ffn *ffn, double h, double tokens, uint32_t tp, sp_layer_work *work)
{
    const double f = (double)ffn->shared_ffn / tp;
    const double columns = ffn->gated ? 2.0 * f : f;
    sp_op_gemm(work, "shared_up", tokens, columns, h);
    sp_keep(work, 2.0 * columns * tokens, 0, false);
    sp_op_stream(work, "shared_activation", 2.0 * (columns + f) * tokens)->modules = activation;
    sp_keep(work, 2.0 * f * tokens, activation, true);
    sp_op_gemm(work, "shared_down", tokens, h, f);
    work->ffn.tp_exchange = true;
}

static void expand(const sp_model *model, const sp_layer_kind *kind, const sp_shape *s,
                   const sp_sharding *shard, bool flash, sp_layer_work *work)
{
    (void)flash;
    const sp_ffn *ffn = &kind->ffn;
    const double h = model->hidden;
    const double whole = s->tokens / (shard->sp ? shard->tp : 1);

    /* The router computes in 16 bits or more whatever the experts do, so its input keeps 2 bytes.
     * fp32 routing probabilities are kept: 4 bytes an expert. */
    sp_norm(work, "ffn_norm", h * whole, SP_MODULE_NORM | SP_MODULE_STREAMS, false);
    sp_op_gemm(work, "router", whole, ffn->n_experts, h);
    sp_keep(work, 4.0 * ffn->n_experts * whole, 0, false);
    add_routed(ffn, h, s->tokens, shard, work);
    if (ffn->shared_ffn > 0) {
        add_shared(ffn, h, s->tokens, shard->tp, work);
    }
    sp_residual(work, "ffn_residual", h * whole, model->dropout);

    const double sent = 2.0 * h * s->tokens / shard->tp * ffn->top_k;
    work->ffn.ep_bytes = sent;
    work->ffn.ep_copies = ffn->top_k;
    work->ffn.ep_reach = ffn->top_groups > 0 ? (double)ffn->top_groups / ffn->expert_groups : 1.0;
    work->ffn.etp_bytes = sent * shard->etp;
}

static sp_layer_params params(const sp_model *model, const sp_layer_kind *kind,
                              const sp_sharding *shard)
{
    const sp_ffn *ffn = &kind->ffn;
    const double h = model->hidden;
    const double matrices = ffn->gated ? 3.0 : 2.0;
    const double norm = (double)kind->ffn.norms * model->norm_vectors * h;
    const double columns = (matrices - 1.0) * ffn->expert_ffn / shard->etp;
    const double expert =
        matrices * h * ffn->expert_ffn / shard->etp + (ffn->expert_bias ? columns + h : 0.0);
    return (sp_layer_params){.dense = norm + (h + (ffn->router_bias ? 1.0 : 0.0)) * ffn->n_experts +
                                      matrices * h * ffn->shared_ffn / shard->tp +
                                      (ffn->shared_gate ? h : 0.0),
                             .expert = (double)ffn->n_experts / shard->ep * expert};
}

const sp_block sp_block_moe = {
    .name = "moe", .present = present, .expand = expand, .params = params};
