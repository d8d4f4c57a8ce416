/* SPDX-License-Identifier: Apache-2.0 */
/* What blocks are put together from: operators, kept activations, norms and residuals. Bytes of
 * norms and residuals follow Korthikanti et al., MLSys 2023, section 4. */
#include "graph/graph.h"

#include <assert.h>

sp_op *sp_op_next(sp_layer_work *work)
{
    assert(work->n_ops < SP_MAX_OPS);
    return work->without_ops ? &work->ops[SP_MAX_OPS - 1] : &work->ops[work->n_ops++];
}

sp_op *sp_op_gemm(sp_layer_work *work, const char *name, sp_part part, double m, double n, double k)
{
    sp_op *op = sp_op_next(work);
    if (work->without_ops) return op;
    *op = (sp_op){.name = name,
                  .class = SP_OP_GEMM,
                  .part = part,
                  .m = m,
                  .n = n,
                  .k = k,
                  .count = 1.0,
                  .flops = 2.0 * m * n * k};
    return op;
}

sp_op *sp_op_stream(sp_layer_work *work, const char *name, sp_part part, double reads,
                    double writes)
{
    sp_op *op = sp_op_next(work);
    if (work->without_ops) return op;
    *op = (sp_op){.name = name,
                  .class = SP_OP_STREAM,
                  .part = part,
                  .m = reads,
                  .n = writes,
                  .bytes = 2.0 * (reads + writes)};
    return op;
}

double sp_op_params(const sp_op *op)
{
    switch (op->class) {
    case SP_OP_GEMM:
    case SP_OP_GROUPED:
        return op->count * op->n * op->k + op->vectors;
    case SP_OP_ATTENTION:
        return op->vectors;
    case SP_OP_STREAM:
    case SP_OP_SCAN:
        break;
    }
    return op->k;
}

void sp_keep(sp_layer_work *work, double bytes, uint32_t modules, bool product_input)
{
    assert(work->n_tensors < SP_MAX_TENSORS);
    work->tensors[work->n_tensors++] =
        (sp_tensor){.bytes = bytes, .modules = modules, .product_input = product_input};
}

void sp_live(sp_layer_work *work, double bytes)
{
    work->gradient_bytes = bytes > work->gradient_bytes ? bytes : work->gradient_bytes;
}

void sp_norm(sp_layer_work *work, const char *name, double elements, double learned,
             uint32_t modules, bool feeds_product)
{
    sp_op *op = sp_op_stream(work, name, SP_PART_NORM, elements, elements);
    op->modules = modules;
    op->k = learned;
    sp_keep(work, 2.0 * elements, 0, false);
    sp_keep(work, 2.0 * elements, modules, feeds_product);
}

void sp_norm_before(sp_layer_work *work, const char *name, const sp_model *model, uint32_t norms,
                    double rows, bool feeds_product)
{
    const double h = model->hidden;
    if (norms == 0) {
        sp_keep(work, 2.0 * h * rows, 0, feeds_product);
        return;
    }
    sp_norm(work, name, h * rows, model->norm_vectors * h, SP_MODULE_NORM | SP_MODULE_STREAMS,
            feeds_product);
}

void sp_norms_behind(sp_layer_work *work, const char *name, const sp_model *model, uint32_t norms,
                     double rows)
{
    const double h = model->hidden;
    for (uint32_t i = 1; i < norms; i++) {
        sp_op_stream(work, name, SP_PART_NORM, h * rows, h * rows)->k = model->norm_vectors * h;
        sp_keep(work, 2.0 * h * rows, 0, false);
    }
}

/* Under dropout a mask of half an element is written, and the branch is read again for it. The sum
 * itself is kept as the input of the next norm; only the mask can be drawn again. */
void sp_residual(sp_layer_work *work, const char *name, double elements, bool dropout)
{
    const double half = dropout ? 0.5 * elements : 0.0;
    sp_op *op = sp_op_stream(work, name, SP_PART_RESIDUAL, 2.0 * elements + half, elements + half);
    if (dropout) {
        op->modules = SP_MODULE_STREAMS;
        sp_keep(work, elements, SP_MODULE_STREAMS, false);
    }
}

void sp_end_mixing(sp_layer_work *work)
{
    work->n_attention_ops = work->n_ops;
    work->n_attention_tensors = work->n_tensors;
}

double sp_whole_rows(const sp_shape *s, const sp_sharding *shard)
{
    return s->tokens / (shard->sp ? shard->tp : 1);
}
