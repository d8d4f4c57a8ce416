/* SPDX-License-Identifier: Apache-2.0 */
/* Multi-head latent attention (DeepSeek-V2, arXiv:2405.04434, section 2.1). Expanded, as training
 * and prefill run it, queries, keys and values of all heads are built from small latent vectors.
 * Absorbed, as decoding does, queries go to the latent space instead, the core works on the cached
 * latent vectors, and its output comes back. Projections down and their norms are whole on every tp
 * rank, those of heads are cut. */
#include "graph/graph.h"

static bool present(const sp_layer_kind *kind)
{
    return kind->attention.heads > 0 && kind->attention.kv_lora > 0;
}

/* Rows of the latent vectors' operators are cut by sequence parallelism (as Megatron-Core does),
 * those of the heads never. `cached` are those whose keys and values the heads need. */
typedef struct token_rows {
    double tokens, whole, cached;
} token_rows;

/* The latent vector before its norm is kept for the norm; the normed one feeds the projection. */
static void add_queries(const sp_attention *a, double h, double heads, token_rows rows,
                        sp_layer_work *work)
{
    const double q = heads * a->head_dim, q_lora = a->q_lora;
    if (a->q_lora > 0) {
        sp_op_gemm(work, "q_down", SP_PART_ATTENTION, rows.whole, q_lora, h)->vectors =
            a->qkv_bias ? q_lora : 0.0;
        sp_norm(work, "q_norm", q_lora * rows.whole, q_lora, SP_MODULE_STREAMS, true);
    }
    sp_op_gemm(work, "q_up", SP_PART_ATTENTION, rows.tokens, q, a->q_lora > 0 ? q_lora : h)
        ->modules = SP_MODULE_MLA_UP;
    sp_keep(work, 2.0 * q * rows.tokens, SP_MODULE_MLA_UP, false);
}

/* One product makes the latent vector and the rotary key, so both stay as long as either. */
static void add_latents(const sp_attention *a, double h, token_rows rows, sp_layer_work *work)
{
    const double kv_lora = a->kv_lora, rope = a->rope_dim;
    sp_op_gemm(work, "kv_down", SP_PART_ATTENTION, rows.whole, kv_lora + rope, h)->vectors =
        a->qkv_bias ? kv_lora + rope : 0.0;
    sp_keep(work, 2.0 * rope * rows.whole, 0, false);
    sp_norm(work, "kv_norm", kv_lora * rows.whole, kv_lora, SP_MODULE_STREAMS, true);
}

/* Keys and values of all heads, those of cached tokens anew. The rotation works on the queries in
 * place; it reads the projected keys and values and the shared rotary key, and writes whole ones.
 */
static void add_expansion(const sp_attention *a, double heads, token_rows rows, sp_layer_work *work)
{
    const double rope = a->rope_dim, v = sp_v_dim(a);
    const double up = heads * (a->head_dim - rope + v), kv = heads * (a->head_dim + v);
    const double queries = a->no_rope ? 0.0 : heads * rope * rows.tokens;
    sp_op_gemm(work, "kv_up", SP_PART_ATTENTION, rows.cached, up, a->kv_lora)->modules =
        SP_MODULE_MLA_UP;
    sp_op_stream(work, "rotary", SP_PART_ROTARY, queries + (up + rope) * rows.cached,
                 queries + kv * rows.cached)
        ->modules = SP_MODULE_MLA_UP;
    sp_keep(work, 2.0 * kv * rows.cached, SP_MODULE_MLA_UP, false);
}

/* [tokens, nope] x [nope, kv_lora] for each head, in place of keys from latent vectors. */
static void add_absorption(const sp_attention *a, double heads, token_rows rows,
                           sp_layer_work *work)
{
    const double rotated = a->no_rope ? 0.0 : (heads + 1.0) * a->rope_dim * rows.tokens;
    sp_op *op = sp_op_gemm(work, "q_absorb", SP_PART_ATTENTION, rows.tokens, a->kv_lora,
                           (double)a->head_dim - a->rope_dim);
    op->count = heads;
    op->flops *= heads;
    sp_keep(work, 2.0 * heads * a->kv_lora * rows.tokens, 0, false);
    if (rotated > 0.0) {
        sp_op_stream(work, "rotary", SP_PART_ROTARY, rotated, rotated);
    }
}

/* [tokens, kv_lora] x [kv_lora, v] for each head, in place of values from latent vectors. */
static void add_release(const sp_attention *a, double heads, token_rows rows, sp_layer_work *work)
{
    sp_op *op =
        sp_op_gemm(work, "output_absorb", SP_PART_ATTENTION, rows.tokens, sp_v_dim(a), a->kv_lora);
    op->count = heads;
    op->flops *= heads;
    sp_keep(work, 2.0 * heads * sp_v_dim(a) * rows.tokens, 0, true);
}

static sp_core core_of(const sp_model *model, const sp_attention *a, double heads, bool absorbed,
                       bool flash)
{
    const double latent = (double)a->kv_lora + a->rope_dim, v = sp_v_dim(a);
    return (sp_core){.attention = a,
                     .heads = heads,
                     .head_dim = absorbed ? latent : a->head_dim,
                     .v_dim = absorbed ? a->kv_lora : v,
                     .key_elements = absorbed ? latent : heads * (a->head_dim + v),
                     .flash = flash,
                     .dropout = model->dropout};
}

static void expand(const sp_model *model, const sp_layer_kind *kind, const sp_shape *s,
                   const sp_sharding *shard, bool flash, sp_layer_work *work)
{
    const sp_attention *a = &kind->attention;
    const double h = model->hidden, heads = (double)a->heads / shard->tp, v = sp_v_dim(a);
    const token_rows rows = {.tokens = s->tokens,
                             .whole = sp_whole_rows(s, shard),
                             .cached = s->tokens + s->past * s->sequences};
    const sp_core core = core_of(model, a, heads, s->absorbed, flash);

    sp_norm_before(work, "attention_norm", model, a->norms, rows.whole, true);
    add_queries(a, h, heads, rows, work);
    if (!a->kv_of_other) {
        add_latents(a, h, rows, work);
    }
    if (s->absorbed) {
        add_absorption(a, heads, rows, work);
    } else {
        add_expansion(a, heads, rows, work);
    }
    if (a->qk_norm > 0) {
        const double keys = s->absorbed ? 0.0 : heads * a->head_dim * rows.cached;
        sp_norm(work, "qk_norm", heads * a->head_dim * rows.tokens + keys, a->qk_norm,
                SP_MODULE_STREAMS, false);
    }
    if (a->index_heads > 0) {
        sp_indexer_expand(model, a, s, shard, work);
    }
    sp_core_expand(&core, s, shard, work);
    if (s->absorbed) {
        add_release(a, heads, rows, work);
    }
    if (a->gate > 0) {
        sp_gate_expand(a, heads, h, s->tokens, work);
    }
    sp_op_gemm(work, "output_projection", SP_PART_ATTENTION, s->tokens, h, heads * v)->vectors =
        a->out_bias ? h : 0.0;
    if (a->norms > 1) {
        sp_norms_behind(work, "attention_post_norm", model, a->norms, rows.whole);
    }
    sp_residual(work, "attention_residual", h * rows.whole, model->dropout);

    sp_end_mixing(work);
    work->attention.tp_exchange = true;
    /* Gradients of queries, keys, values and the core's output. */
    sp_live(work, 2.0 * heads * (2.0 * a->head_dim + 2.0 * v) * s->tokens);
}

static sp_layer_params params(const sp_model *model, const sp_layer_kind *kind,
                              const sp_sharding *shard)
{
    const sp_attention *a = &kind->attention;
    const double h = model->hidden, heads = (double)a->heads / shard->tp;
    const double q_lora = a->q_lora, kv_lora = a->kv_lora, rope = a->rope_dim, v = sp_v_dim(a);
    const double norm = (double)a->norms * model->norm_vectors;
    const double down = q_lora + kv_lora + rope;
    const double q_up = (a->q_lora > 0 ? q_lora : h) * heads * a->head_dim;
    const double kv_up = kv_lora * heads * (a->head_dim - rope + v);
    const double bias = (a->qkv_bias ? down : 0.0) + (a->out_bias ? h : 0.0);
    const double beside = a->qk_norm + (a->sinks ? heads : 0.0) +
                          (a->index_heads > 0 ? sp_indexer_params(model, a) : 0.0);
    return (sp_layer_params){.dense = h * down + q_up + kv_up + heads * (v + a->gate) * h + bias +
                                      norm * h + q_lora + kv_lora + beside};
}

const sp_block sp_block_mla = {
    .name = "mla", .present = present, .expand = expand, .params = params};
