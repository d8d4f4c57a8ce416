/* SPDX-License-Identifier: Apache-2.0 */
/* What lies outside the layers. Tables of tokens and the head are cut by tp along the vocabulary;
 * positions, norms, projections, further tables and encoders of other inputs are whole on every
 * rank of their end. The final norm is the head's, any other norm the embedding's. */
#include "graph/graph.h"

#include "spec/model_formula.h"

static double norm_params(const sp_model *model, double n_norms)
{
    return n_norms * model->norm_vectors * model->hidden;
}

static double early_norms(const sp_model *model)
{
    return model->outer_norms > 1 ? model->outer_norms - 1.0 : 0.0;
}

static double last_norms(const sp_model *model)
{
    return model->outer_norms > 0 ? 1.0 : 0.0;
}

double sp_graph_embedding_params(const sp_model *model, const sp_sharding *sharding)
{
    if (model->formulas != NULL) return (double)model->formulas->embedding_parameters;
    double sum =
        (double)model->vocab * model->hidden / sharding->tp +
        ((double)model->positions + early_norms(model) * model->norm_vectors) * model->hidden;
    for (uint32_t i = 0; i < model->n_projections; i++) {
        const sp_projection *p = &model->projections[i];
        sum += (double)p->in * p->out * p->blocks;
    }
    return sum + model->vectors + (double)(int64_t)(model->table_params + model->tower_params);
}

double sp_graph_head_params(const sp_model *model, const sp_sharding *sharding)
{
    const double columns = (double)model->vocab / sharding->tp;
    if (model->formulas != NULL) {
        const double table = model->tied_embeddings ? columns * model->hidden : 0.0;
        return table + (double)model->formulas->head_parameters +
               (double)model->formulas->other_parameters;
    }
    return columns * model->hidden + norm_params(model, last_norms(model)) +
           (model->head_bias ? columns : 0.0);
}

/* The rows of the tokens are read and written; further tables are looked up likewise, but how wide
 * their rows are is not known. */
static void add_look_up(const sp_model *model, double rows, const sp_sharding *shard,
                        sp_layer_work *work)
{
    const double elements = model->hidden * rows;
    sp_op_stream(work, "embedding", SP_PART_EMBEDDING, elements, elements)->k =
        (double)model->vocab * model->hidden / shard->tp;
    if (model->positions > 0) {
        sp_op_stream(work, "positions", SP_PART_EMBEDDING, 2.0 * elements, elements)->k =
            (double)model->positions * model->hidden;
    }
}

void sp_graph_embedding_work(const sp_model *model, const sp_shape *shape,
                             const sp_sharding *sharding, sp_layer_work *work)
{
    const double rows = sp_whole_rows(shape, sharding), elements = model->hidden * rows;
    work->n_ops = 0;
    work->without_ops = false;
    if (model->formulas != NULL) {
        sp_formula_ops(model->formulas->embedding, shape, work);
        return;
    }
    add_look_up(model, shape->tokens, sharding, work);
    for (double i = 0.0; i < early_norms(model); i += 1.0) {
        sp_op_stream(work, "embedding_norm", SP_PART_NORM, elements, elements)->k =
            norm_params(model, 1.0);
    }
    for (uint32_t i = 0; i < model->n_projections; i++) {
        const sp_projection *p = &model->projections[i];
        sp_op *op = sp_op_gemm(work, p->name, SP_PART_EMBEDDING, rows, p->out, p->in);
        op->count = p->blocks;
        op->flops *= p->blocks;
    }
    if (model->vectors > 0) {
        sp_op_stream(work, "vectors", SP_PART_EMBEDDING, model->vectors, 0.0)->k = model->vectors;
    }
}

sp_op sp_graph_head(const sp_model *model, const sp_shape *shape, const sp_sharding *sharding)
{
    const double columns = (double)model->vocab / sharding->tp;
    if (model->formulas != NULL) return sp_formula_last_op(model->formulas->head, shape);
    return (sp_op){.name = "head",
                   .class = SP_OP_GEMM,
                   .part = SP_PART_HEAD,
                   .m = shape->tokens,
                   .n = columns,
                   .k = model->hidden,
                   .count = 1.0,
                   .vectors = model->head_bias ? columns : 0.0,
                   .flops = 2.0 * shape->tokens * columns * model->hidden};
}

void sp_graph_head_work(const sp_model *model, const sp_shape *shape, const sp_sharding *sharding,
                        sp_layer_work *work)
{
    const double elements = model->hidden * sp_whole_rows(shape, sharding);
    work->n_ops = 0;
    work->without_ops = false;
    if (model->formulas != NULL) {
        sp_formula_ops(model->formulas->head, shape, work);
        return;
    }
    if (model->outer_norms > 0) {
        sp_op_stream(work, "final_norm", SP_PART_NORM, elements, elements)->k =
            norm_params(model, 1.0);
    }
    work->ops[work->n_ops++] = sp_graph_head(model, shape, sharding);
}
