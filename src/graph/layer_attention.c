/* SPDX-License-Identifier: Apache-2.0 */
/* Multi-head, grouped-query and multi-query attention: norm, projections, rotary embedding, core,
 * output projection, residual. Kept activations follow Korthikanti et al., MLSys 2023, section 4,
 * operator by operator (11 s b h + 5 a s^2 b for GPT). Leaves out: KV caches (serving). */
#include "graph/graph.h"

static bool present(const sp_layer_kind *kind)
{
    return kind->attention.heads > 0;
}

/* Key/value heads that one rank holds; fewer heads than ranks are replicated. */
static double kv_heads_local(const sp_attention *a, uint32_t tp)
{
    return a->kv_heads >= tp ? (double)a->kv_heads / tp : 1.0;
}

/* Tokens that one token attends to, mean over a causal sequence; the first ones of a sliding window
 * of w see less than w: w - w^2 / (2 length). */
static double visible_tokens(const sp_attention *a, const sp_shape *s)
{
    const double w = a->window;
    return a->window > 0 && w < s->length ? w - w * w / (2.0 * s->length) : s->context;
}

/* The fused core keeps its output and one log-sum-exp (4 bytes) a query and head. The unfused one
 * keeps the probabilities (2 bytes a score) and, under dropout, mask and dropped probabilities
 * (1 + 2 bytes). Selective recompute drops all but the output, which the projection needs. */
static void add_core(const sp_attention *a, const sp_shape *s, double heads, bool flash,
                     bool dropout, sp_layer_work *work)
{
    const double visible = visible_tokens(a, s);
    sp_op *core = &work->ops[work->n_ops++];
    const double score_bytes = dropout ? 5.0 : 2.0;
    const double extra =
        flash ? 4.0 * heads * s->tokens : score_bytes * heads * s->tokens * s->length;
    *core = (sp_op){.name = "attention_core",
                    .class = SP_OP_ATTENTION,
                    .m = s->length,
                    .n = s->length,
                    .k = a->head_dim,
                    .count = heads * s->sequences,
                    .flops = 4.0 * visible * heads * a->head_dim * s->tokens,
                    .kept_bytes = 2.0 * heads * a->head_dim * s->tokens + extra,
                    .core_bytes = extra};
}

static void expand(const sp_model *model, const sp_layer_kind *kind, const sp_shape *s,
                   const sp_sharding *shard, bool flash, sp_layer_work *work)
{
    const sp_attention *a = &kind->attention;
    const double h = model->hidden, tokens = s->tokens;
    const double whole = tokens / (shard->sp ? shard->tp : 1); /* tokens where tp does not cut */
    const double heads = (double)a->heads / shard->tp;
    const double qkv = (heads + 2.0 * kv_heads_local(a, shard->tp)) * a->head_dim;
    const double mask = model->dropout ? 1.0 : 0.0;

    sp_op_stream(work, "attention_norm", 4.0 * h * whole)->kept_bytes = 2.0 * h * whole;
    sp_op_gemm(work, "qkv_projection", tokens, qkv, h)->kept_bytes = 2.0 * h * whole;
    const double qk = qkv - kv_heads_local(a, shard->tp) * a->head_dim;
    if (a->qk_norm) {
        sp_op_stream(work, "qk_norm", 4.0 * qk * tokens)->kept_bytes = 2.0 * qk * tokens;
    }
    if (model->positions == 0) {
        sp_op_stream(work, "rotary", 4.0 * qk * tokens);
    }
    add_core(a, s, heads, flash, model->dropout, work);
    work->ops[work->n_ops - 1].kept_bytes += 2.0 * qkv * tokens;
    sp_op_gemm(work, "output_projection", tokens, h, heads * a->head_dim);
    sp_op_stream(work, "attention_residual", (6.0 + 2.0 * mask) * h * whole)->kept_bytes =
        mask * h * whole;

    work->n_attention_ops = work->n_ops;
    work->attention.tp_exchange = true;
}

static sp_layer_params params(const sp_model *model, const sp_layer_kind *kind,
                              const sp_sharding *shard)
{
    const sp_attention *a = &kind->attention;
    const double h = model->hidden, d = a->head_dim;
    const double q = (double)a->heads * d / shard->tp;
    const double kv = 2.0 * kv_heads_local(a, shard->tp) * d;
    const double norm = model->layer_norm ? 2.0 * h : h;
    const double bias = (a->qkv_bias ? q + kv : 0.0) + (a->out_bias ? h : 0.0);
    return (sp_layer_params){.dense =
                                 h * (q + kv) + q * h + bias + norm + (a->qk_norm ? 2.0 * d : 0.0)};
}

const sp_block sp_block_attention = {
    .name = "attention", .present = present, .expand = expand, .params = params};
