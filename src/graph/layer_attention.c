/* SPDX-License-Identifier: Apache-2.0 */
/* Multi-head, grouped-query and multi-query attention: norm, projections, rotary embedding, core,
 * output projection, residual. Kept activations follow Korthikanti et al., MLSys 2023, section 4,
 * tensor by tensor (13 s b h + 5 a s^2 b with the norm for GPT). */
#include "graph/graph.h"

static bool present(const sp_layer_kind *kind)
{
    return kind->attention.heads > 0 && kind->attention.kv_lora == 0;
}

/* Columns of one rank. Values may be made of the keys' columns, and both may be those of another
 * layer. `made` of the queries, keys and values come from the layer's own matrix: projections may
 * make the queries. */
typedef struct head_widths {
    double queries, keys, values, made;
    double kept_values; /* beside the keys */
} head_widths;

static head_widths widths_of(const sp_attention *a, uint32_t tp)
{
    const double kv_heads = a->kv_of_other ? 0.0 : sp_kv_heads_local(a, tp);
    const double values = kv_heads * sp_v_dim(a);
    head_widths w = {.queries = (double)a->heads / tp * a->head_dim,
                     .keys = kv_heads * a->head_dim,
                     .values = a->keys_as_values ? 0.0 : values,
                     .kept_values = a->kv_cached_once ? 0.0 : values};
    w.made = (a->factored ? 0.0 : w.queries) + w.keys + w.values;
    return w;
}

/* Where projections stand for the matrix, its bias is left. */
static void add_output(const sp_attention *a, double h, double width, double tokens,
                       sp_layer_work *work)
{
    const double bias = a->out_bias ? h : 0.0;
    if (!a->factored) {
        sp_op_gemm(work, "output_projection", SP_PART_ATTENTION, tokens, h, width)->vectors = bias;
    } else if (bias > 0.0) {
        sp_op_stream(work, "output_bias", SP_PART_ATTENTION, h * tokens, h * tokens)->k = bias;
    }
}

/* Queries, keys and values, the inputs of the core, are kept as they leave the rotation, which
 * needs nothing itself. */
static void add_heads(const sp_model *model, const sp_attention *a, double qk, double v,
                      double tokens, sp_layer_work *work)
{
    const uint32_t modules = a->qk_norm > 0 ? SP_MODULE_STREAMS : 0;
    if (a->qk_norm > 0) {
        /* The norm's input is kept as well, from which queries and keys can be had again. */
        sp_norm(work, "qk_norm", qk * tokens, a->qk_norm, modules, false);
        sp_keep(work, 2.0 * v * tokens, 0, false);
    } else {
        sp_keep(work, 2.0 * (qk + v) * tokens, 0, false);
    }
    if (model->positions == 0 && !a->no_rope) {
        sp_op_stream(work, "rotary", SP_PART_ROTARY, qk * tokens, qk * tokens)->modules = modules;
    }
}

static void expand(const sp_model *model, const sp_layer_kind *kind, const sp_shape *s,
                   const sp_sharding *shard, bool flash, sp_layer_work *work)
{
    const sp_attention *a = &kind->attention;
    const double h = model->hidden, tokens = s->tokens, whole = sp_whole_rows(s, shard);
    const head_widths w = widths_of(a, shard->tp);
    const double v_dim = sp_v_dim(a), qk = w.queries + w.keys;
    const double key = a->head_dim + (a->kv_cached_once ? 0.0 : v_dim);
    const sp_core core = {.attention = a,
                          .heads = (double)a->heads / shard->tp,
                          .head_dim = a->head_dim,
                          .v_dim = v_dim,
                          .key_elements = sp_kv_heads_local(a, shard->tp) * key,
                          .flash = flash,
                          .dropout = model->dropout};

    sp_norm_before(work, "attention_norm", model, a->norms, whole, true);
    if (w.made > 0.0) {
        sp_op_gemm(work, "qkv_projection", SP_PART_ATTENTION, tokens, w.made, h)->vectors =
            a->qkv_bias ? w.made : 0.0;
    }
    add_heads(model, a, qk, w.kept_values, tokens, work);
    if (a->index_heads > 0) {
        sp_indexer_expand(model, a, s, shard, work);
    }
    sp_core_expand(&core, s, shard, work);
    if (a->gate > 0) {
        sp_gate_expand(a, core.heads, h, tokens, work);
    }
    add_output(a, h, core.heads * v_dim, tokens, work);
    if (a->norms > 1) {
        sp_norms_behind(work, "attention_post_norm", model, a->norms, whole);
    }
    sp_residual(work, "attention_residual", h * whole, model->dropout);

    sp_end_mixing(work);
    work->attention.tp_exchange = true;
}

static sp_layer_params params(const sp_model *model, const sp_layer_kind *kind,
                              const sp_sharding *shard)
{
    const sp_attention *a = &kind->attention;
    const double h = model->hidden, heads = (double)a->heads / shard->tp;
    const head_widths w = widths_of(a, shard->tp);
    const double output = a->factored ? 0.0 : heads * sp_v_dim(a);
    const double norm = (double)a->norms * model->norm_vectors * h;
    const double bias = (a->qkv_bias ? w.made : 0.0) + (a->out_bias ? h : 0.0);
    return (sp_layer_params){.dense = h * (w.made + output + heads * a->gate) + bias + norm +
                                      a->qk_norm + (a->sinks ? heads : 0.0) +
                                      (a->index_heads > 0 ? sp_indexer_params(model, a) : 0.0)};
}

const sp_block sp_block_attention = {
    .name = "attention", .present = present, .expand = expand, .params = params};
