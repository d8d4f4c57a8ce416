/* SPDX-License-Identifier: Apache-2.0 */
/* Multi-head, grouped-query and multi-query attention: norm, projections, rotary embedding, core,
 * output projection, residual. Kept activations follow Korthikanti et al., MLSys 2023, section 4,
 * tensor by tensor (13 s b h + 5 a s^2 b with the norm for GPT). Leaves out: KV caches (serving).
 */
#include "graph/graph.h"

static bool present(const sp_layer_kind *kind)
{
    return kind->attention.heads > 0 && kind->attention.kv_lora == 0;
}

/* Key/value heads that one rank holds; fewer heads than ranks are replicated. */
static double kv_heads_local(const sp_attention *a, uint32_t tp)
{
    return a->kv_heads >= tp ? (double)a->kv_heads / tp : 1.0;
}

/* Queries, keys and values, the inputs of the core, are kept as they leave the rotation, which
 * needs nothing itself. */
static void add_heads(const sp_model *model, const sp_attention *a, double qk, double v,
                      double tokens, sp_layer_work *work)
{
    const uint32_t modules = a->qk_norm > 0 ? SP_MODULE_STREAMS : 0;
    if (a->qk_norm > 0) {
        /* The norm's input is kept as well, from which queries and keys can be had again. */
        sp_norm(work, "qk_norm", qk * tokens, modules, false);
        sp_keep(work, 2.0 * v * tokens, 0, false);
    } else {
        sp_keep(work, 2.0 * (qk + v) * tokens, 0, false);
    }
    if (model->positions == 0) {
        sp_op_stream(work, "rotary", 4.0 * qk * tokens)->modules = modules;
    }
}

static void expand(const sp_model *model, const sp_layer_kind *kind, const sp_shape *s,
                   const sp_sharding *shard, bool flash, sp_layer_work *work)
{
    const sp_attention *a = &kind->attention;
    const double h = model->hidden, tokens = s->tokens;
    const double whole = tokens / (shard->sp ? shard->tp : 1); /* tokens where tp does not cut */
    const sp_core core = {.heads = (double)a->heads / shard->tp,
                          .kv_heads = kv_heads_local(a, shard->tp),
                          .head_dim = a->head_dim,
                          .v_dim = sp_v_dim(a),
                          .window = a->window,
                          .flash = flash,
                          .dropout = model->dropout};
    const double qk = (core.heads + core.kv_heads) * core.head_dim;
    const double v = core.kv_heads * core.v_dim;

    sp_norm(work, "attention_norm", h * whole, SP_MODULE_NORM | SP_MODULE_STREAMS, true);
    sp_op_gemm(work, "qkv_projection", tokens, qk + v, h);
    add_heads(model, a, qk, v, tokens, work);
    sp_core_expand(&core, s, shard, work);
    sp_op_gemm(work, "output_projection", tokens, h, core.heads * core.v_dim);
    sp_residual(work, "attention_residual", h * whole, model->dropout);

    work->n_attention_ops = work->n_ops;
    work->n_attention_tensors = work->n_tensors;
    work->attention.tp_exchange = true;
}

static sp_layer_params params(const sp_model *model, const sp_layer_kind *kind,
                              const sp_sharding *shard)
{
    const sp_attention *a = &kind->attention;
    const double h = model->hidden, d = a->head_dim;
    const double heads = (double)a->heads / shard->tp;
    const double qkv = heads * d + kv_heads_local(a, shard->tp) * (d + sp_v_dim(a));
    const double norm = (double)kind->attention.norms * model->norm_vectors * h;
    const double bias = (a->qkv_bias ? qkv : 0.0) + (a->out_bias ? h : 0.0);
    return (sp_layer_params){.dense = h * qkv + heads * sp_v_dim(a) * h + bias + norm +
                                      a->qk_norm + (a->sinks ? heads : 0.0)};
}

const sp_block sp_block_attention = {
    .name = "attention", .present = present, .expand = expand, .params = params};
