/* SPDX-License-Identifier: Apache-2.0 */
/* Expands a layer into the operators of its blocks, and counts what lies at both ends of the model.
 */
#include "graph/graph.h"

#include <assert.h>
#include <stddef.h>

#define SP_BLOCK(name) extern const sp_block sp_block_##name;
#include "graph/layers.def"
#undef SP_BLOCK

static const sp_block *const blocks[] = {
#define SP_BLOCK(name) &sp_block_##name,
#include "graph/layers.def"
#undef SP_BLOCK
};

#define N_BLOCKS (sizeof blocks / sizeof blocks[0])

void sp_graph_layer(const sp_model *model, const sp_layer_kind *kind, const sp_shape *shape,
                    const sp_sharding *sharding, bool flash, sp_layer_work *work)
{
    assert(sharding->tp >= 1 && sharding->cp >= 1 && sharding->ep >= 1 && sharding->etp >= 1);
    work->n_ops = work->n_attention_ops = 0;
    work->n_tensors = work->n_attention_tensors = 0;
    work->gradient_bytes = 0.0;
    work->attention = work->ffn = (sp_block_comm){0};
    /* With sequence parallelism the block's input is gathered while it runs; its gradient is live.
     */
    const double whole = shape->tokens / (sharding->sp ? sharding->tp : 1);
    work->input_bytes = 2.0 * model->hidden * whole;
    work->working_bytes =
        work->input_bytes + (sharding->sp ? 2.0 * model->hidden * shape->tokens : 0.0);
    for (size_t i = 0; i < N_BLOCKS; i++) {
        if (blocks[i]->present(kind)) {
            blocks[i]->expand(model, kind, shape, sharding, flash, work);
        }
    }
    work->working_bytes += work->gradient_bytes;
}

sp_layer_params sp_graph_layer_params(const sp_model *model, const sp_layer_kind *kind,
                                      const sp_sharding *sharding)
{
    sp_layer_params sum = {0};
    for (size_t i = 0; i < N_BLOCKS; i++) {
        if (blocks[i]->present(kind)) {
            const sp_layer_params part = blocks[i]->params(model, kind, sharding);
            sum.dense += part.dense;
            sum.expert += part.expert;
        }
    }
    return sum;
}

double sp_graph_embedding_params(const sp_model *model, const sp_sharding *sharding)
{
    return (double)model->vocab * model->hidden / sharding->tp +
           (double)model->positions * model->hidden;
}

double sp_graph_head_params(const sp_model *model, const sp_sharding *sharding)
{
    const double norm = (double)model->outer_norms * model->norm_vectors;
    return (double)model->vocab * model->hidden / sharding->tp + norm * model->hidden;
}

sp_op sp_graph_head(const sp_model *model, const sp_shape *shape, const sp_sharding *sharding)
{
    const double columns = (double)model->vocab / sharding->tp;
    return (sp_op){.name = "head",
                   .class = SP_OP_GEMM,
                   .m = shape->tokens,
                   .n = columns,
                   .k = model->hidden,
                   .count = 1.0,
                   .flops = 2.0 * shape->tokens * columns * model->hidden};
}

double sp_graph_forward_flops(const sp_model *model, double length, double tokens)
{
    const sp_shape shape = {
        .sequences = tokens / length, .tokens = tokens, .length = length, .context = length / 2.0};
    const sp_sharding whole = {.tp = 1, .cp = 1, .ep = 1, .etp = 1};
    double flops = sp_graph_head(model, &shape, &whole).flops;
    for (uint32_t r = 0; r < model->n_runs; r++) {
        sp_layer_work work;
        sp_graph_layer(model, &model->kinds[model->runs[r].kind], &shape, &whole, true, &work);
        for (uint32_t i = 0; i < work.n_ops; i++) {
            flops += model->runs[r].count * work.ops[i].flops;
        }
    }
    return flops;
}
