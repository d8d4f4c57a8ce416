/* SPDX-License-Identifier: Apache-2.0 */
/* Multi-head latent attention (DeepSeek-V2, arXiv:2405.04434, section 2.1) in the expanded form in
 * which training and prefill run it: queries, keys and values of all heads are built from two small
 * latent vectors. Projections down to them and their norms are whole on every tp rank, projections
 * up are cut by heads. Leaves out: the absorbed form of decoding. */
#include "graph/graph.h"

static bool present(const sp_layer_kind *kind)
{
    return kind->attention.heads > 0 && kind->attention.kv_lora > 0;
}

/* Rows of the latent vectors' operators are cut by sequence parallelism (as Megatron-Core does),
 * those of the heads never. */
typedef struct token_rows {
    double tokens, whole;
} token_rows;

/* The latent vector before its norm is kept for the norm; the normed one feeds the projection. */
static void add_queries(const sp_attention *a, double h, double heads, token_rows rows,
                        sp_layer_work *work)
{
    const double q = heads * a->head_dim, q_lora = a->q_lora;
    if (a->q_lora > 0) {
        sp_op_gemm(work, "q_down", rows.whole, q_lora, h);
        sp_norm(work, "q_norm", q_lora * rows.whole, SP_MODULE_STREAMS, true);
    }
    sp_op_gemm(work, "q_up", rows.tokens, q, a->q_lora > 0 ? q_lora : h)->modules =
        SP_MODULE_MLA_UP;
    sp_keep(work, 2.0 * q * rows.tokens, SP_MODULE_MLA_UP, false);
}

/* One product makes the latent vector and the rotary key, so both stay as long as either. */
static void add_keys_values(const sp_attention *a, double h, double heads, token_rows rows,
                            sp_layer_work *work)
{
    const double kv_lora = a->kv_lora, rope = a->rope_dim, v = sp_v_dim(a);
    const double up = heads * (a->head_dim - rope + v);
    const double kv = heads * (a->head_dim + v);
    sp_op_gemm(work, "kv_down", rows.whole, kv_lora + rope, h);
    sp_keep(work, 2.0 * rope * rows.whole, 0, false);
    sp_norm(work, "kv_norm", kv_lora * rows.whole, SP_MODULE_STREAMS, true);
    sp_op_gemm(work, "kv_up", rows.tokens, up, kv_lora)->modules = SP_MODULE_MLA_UP;
    /* Rotates the queries in place; reads the projected keys and values and the shared rotary key,
     * and writes whole keys and values. */
    const double moved = 2.0 * heads * rope + up + rope + kv;
    sp_op_stream(work, "rotary", 2.0 * moved * rows.tokens)->modules = SP_MODULE_MLA_UP;
    sp_keep(work, 2.0 * kv * rows.tokens, SP_MODULE_MLA_UP, false);
}

static void expand(const sp_model *model, const sp_layer_kind *kind, const sp_shape *s,
                   const sp_sharding *shard, bool flash, sp_layer_work *work)
{
    const sp_attention *a = &kind->attention;
    const double h = model->hidden, heads = (double)a->heads / shard->tp;
    const token_rows rows = {.tokens = s->tokens, .whole = s->tokens / (shard->sp ? shard->tp : 1)};
    const sp_core core = {.heads = heads,
                          .kv_heads = heads,
                          .head_dim = a->head_dim,
                          .v_dim = sp_v_dim(a),
                          .window = a->window,
                          .flash = flash,
                          .dropout = model->dropout};

    sp_norm(work, "attention_norm", h * rows.whole, SP_MODULE_NORM | SP_MODULE_STREAMS, true);
    add_queries(a, h, heads, rows, work);
    add_keys_values(a, h, heads, rows, work);
    sp_core_expand(&core, s, shard, work);
    sp_op_gemm(work, "output_projection", s->tokens, h, heads * core.v_dim);
    sp_residual(work, "attention_residual", h * rows.whole, model->dropout);

    work->n_attention_ops = work->n_ops;
    work->n_attention_tensors = work->n_tensors;
    work->attention.tp_exchange = true;
    /* Gradients of queries, keys, values and the core's output. */
    sp_live(work, 2.0 * heads * (2.0 * a->head_dim + 2.0 * core.v_dim) * s->tokens);
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
    return (sp_layer_params){.dense = h * down + q_up + kv_up + heads * v * h + bias + norm * h +
                                      q_lora + kv_lora + (a->sinks ? heads : 0.0)};
}

const sp_block sp_block_mla = {
    .name = "mla", .present = present, .expand = expand, .params = params};
