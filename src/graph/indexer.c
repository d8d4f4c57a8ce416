/* SPDX-License-Identifier: Apache-2.0 */
/* The indexer of sparse attention (DeepSeek-V3.2, arXiv:2512.02556, section 2.1): a few small heads
 * weigh every key that a query may meet, and the best of them are met. Its one key a token has a
 * LayerNorm. All tensor-parallel ranks do it in full, since the heads of each need the choice. */
#include "graph/graph.h"

#include <assert.h>

/* Columns that weigh the heads of a query; an indexer of blocks sums them as they are. */
static double weights_of(const sp_attention *a)
{
    return a->index_block > 0 ? 0.0 : a->index_heads;
}

/* Scores of all heads, summed, against each key or the mean key of each block. */
static void add_scores(const sp_attention *a, const sp_shape *s, const sp_sharding *shard,
                       sp_layer_work *work)
{
    assert(work->n_ops < SP_MAX_OPS);
    const double weighed = sp_weighed_keys(a, s), all = s->past + s->length;
    const double keys = all * weighed / s->context;
    work->ops[work->n_ops++] =
        (sp_op){.name = "index_scores",
                .class = SP_OP_ATTENTION,
                .part = SP_PART_ATTENTION,
                .m = s->length / shard->cp,
                .n = keys,
                .k = a->index_dim,
                .count = a->index_heads * s->sequences,
                .flops = 2.0 * weighed * a->index_heads * a->index_dim * s->tokens,
                .bytes = 2.0 * s->sequences * a->index_dim * keys};
    const double wanted = (double)a->index_top_k / (a->index_block > 0 ? a->index_block : 1);
    const double met = weighed < wanted ? weighed : wanted;
    sp_op_stream(work, "index_choice", SP_PART_ATTENTION, weighed * s->tokens, met * s->tokens);
    sp_keep(work, 4.0 * met * s->tokens, 0, false); /* places of the chosen keys */
}

void sp_indexer_expand(const sp_model *model, const sp_attention *a, const sp_shape *s,
                       const sp_sharding *shard, sp_layer_work *work)
{
    const double h = model->hidden, tokens = s->tokens, key = a->index_dim;
    const double queries = (double)a->index_heads * a->index_dim;
    sp_op_gemm(work, "index_queries", SP_PART_ATTENTION, tokens, queries,
               a->q_lora > 0 ? a->q_lora : h);
    sp_op_gemm(work, "index_key", SP_PART_ATTENTION, tokens, key, h);
    if (weights_of(a) > 0.0) {
        sp_op_gemm(work, "index_weights", SP_PART_ATTENTION, tokens, weights_of(a), h);
    }
    sp_norm(work, "index_norm", key * tokens, 2.0 * key, SP_MODULE_STREAMS, false);
    sp_keep(work, 2.0 * (queries + weights_of(a)) * tokens, 0, false);
    if (model->positions == 0 && !a->no_rope) {
        const double rotated = (queries + key) * tokens;
        sp_op_stream(work, "index_rotary", SP_PART_ROTARY, rotated, rotated);
    }
    add_scores(a, s, shard, work);
}

double sp_indexer_params(const sp_model *model, const sp_attention *a)
{
    const double h = model->hidden, queries = (double)a->index_heads * a->index_dim;
    return (a->q_lora > 0 ? a->q_lora : h) * queries + h * (a->index_dim + weights_of(a)) +
           2.0 * a->index_dim;
}
