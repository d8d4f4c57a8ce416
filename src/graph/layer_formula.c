/* SPDX-License-Identifier: Apache-2.0 */
/* A layer that formulas describe: one operator for each kernel. Of a kernel on matrix units the
 * shape is the one that it states, or that of the product with its FLOPs, inputs and outputs; FLOPs
 * of element-wise kernels are no model FLOPs, as everywhere in this room. What kernels write is
 * kept for the backward pass; full recomputation keeps the layer's input alone. */
#include "graph/graph.h"
#include "spec/model_formula.h"

#include <assert.h>
#include <math.h>

_Static_assert(SP_FLAT_KERNELS <= SP_MAX_OPS, "every kernel of a class becomes an operator");
_Static_assert(SP_FLAT_KERNELS <= SP_MAX_TENSORS, "what every kernel writes is kept");

static const sp_part parts[SP_N_FLAT_PARTS] = {
    [SP_FLAT_KERNEL] = SP_PART_KERNEL,       [SP_FLAT_ATTENTION] = SP_PART_ATTENTION,
    [SP_FLAT_RECURRENT] = SP_PART_RECURRENT, [SP_FLAT_FFN] = SP_PART_FFN,
    [SP_FLAT_ROUTER] = SP_PART_ROUTER,       [SP_FLAT_EXPERTS] = SP_PART_EXPERTS,
    [SP_FLAT_NORM] = SP_PART_NORM,           [SP_FLAT_ROTARY] = SP_PART_ROTARY,
    [SP_FLAT_RESIDUAL] = SP_PART_RESIDUAL,   [SP_FLAT_EMBEDDING] = SP_PART_EMBEDDING,
    [SP_FLAT_HEAD] = SP_PART_HEAD,
};

static bool present(const sp_layer_kind *kind)
{
    return kind->formula != NULL;
}

/* A recurrence takes what its bytes or its FLOPs take; anything else what its bytes take. */
static sp_op stream_op(const sp_flat_kernel *kernel, const sp_flat_counts *c)
{
    const double reads = c->read[SP_WIDTH_ACTIVATION] + c->read[SP_WIDTH_CACHE];
    const double writes = c->written[SP_WIDTH_ACTIVATION] + c->written[SP_WIDTH_CACHE];
    const bool scan = kernel->part == SP_FLAT_RECURRENT;
    return (sp_op){.name = kernel->name,
                   .class = scan ? SP_OP_SCAN : SP_OP_STREAM,
                   .part = parts[kernel->part],
                   .m = reads,
                   .n = writes,
                   .k = c->parameters,
                   .flops = scan ? c->flops : 0.0,
                   .bytes = 2.0 * (reads + writes)};
}

/* m k = in, m n = out, 2 m n k = FLOPs */
static void set_equivalent_shape(sp_op *op, const sp_flat_counts *c)
{
    const double in = c->read[SP_WIDTH_ACTIVATION], out = c->written[SP_WIDTH_ACTIVATION];
    op->count = 1.0;
    op->n = op->flops / (2.0 * in);
    op->m = out / op->n;
    op->k = in / op->m;
}

static sp_op op_of(const sp_flat_kernel *kernel, const sp_flat_counts *c)
{
    const double flops = c->flops - c->vector_flops;
    const bool shaped = c->m > 0.0 && c->n > 0.0 && c->k > 0.0;
    const bool moves = c->read[SP_WIDTH_ACTIVATION] > 0.0 && c->written[SP_WIDTH_ACTIVATION] > 0.0;
    if (!kernel->matrix || (!shaped && (!moves || flops <= 0.0))) return stream_op(kernel, c);
    sp_op op = {.name = kernel->name,
                .class = c->v > 0.0 ? SP_OP_ATTENTION : SP_OP_GEMM,
                .part = parts[kernel->part],
                .m = c->m,
                .n = c->n,
                .k = c->k,
                .v = (uint32_t)fmin(c->v, UINT32_MAX),
                .count = c->count,
                .flops = flops};
    if (!shaped) set_equivalent_shape(&op, c);
    if (op.class == SP_OP_ATTENTION) op.bytes = 2.0 * c->read[SP_WIDTH_CACHE];
    op.vectors = c->parameters - sp_op_params(&op);
    return op;
}

static size_t evaluate(const sp_flat *flat, const sp_shape *shape, const sp_flat_kernel **kernels,
                       sp_flat_counts *counts)
{
    const double runtime[SP_N_RUNTIME] = {[SP_RUNTIME_BATCH] = shape->sequences,
                                          [SP_RUNTIME_LENGTH] = shape->length,
                                          [SP_RUNTIME_CACHE] = shape->past,
                                          [SP_RUNTIME_ATTENDED] = shape->context};
    sp_flat_eval(flat, runtime, counts);
    return sp_flat_kernels(flat, kernels);
}

void sp_formula_ops(const sp_flat *flat, const sp_shape *shape, sp_layer_work *work)
{
    const sp_flat_kernel *kernels = NULL;
    sp_flat_counts *const counts = work->counts + work->n_ops;
    assert(work->n_ops == 0);
    const size_t n_kernels = evaluate(flat, shape, &kernels, counts);
    for (size_t i = 0; i < n_kernels; i++) {
        sp_op *op = &work->ops[work->n_ops++];
        *op = op_of(&kernels[i], &counts[i]);
        op->counts = &counts[i];
    }
}

sp_op sp_formula_last_op(const sp_flat *flat, const sp_shape *shape)
{
    const sp_flat_kernel *kernels = NULL;
    sp_flat_counts counts[SP_FLAT_KERNELS];
    const size_t last = evaluate(flat, shape, &kernels, counts) - 1;
    return op_of(&kernels[last], &counts[last]);
}

/* What a kernel writes is the input of a product right behind it that reads as much or more. */
static bool feeds_product(const sp_layer_work *work, uint32_t idx)
{
    if (idx + 1 == work->n_ops || work->ops[idx + 1].class != SP_OP_GEMM) return false;
    return work->ops[idx + 1].counts->read[SP_WIDTH_ACTIVATION] >=
           work->ops[idx].counts->written[SP_WIDTH_ACTIVATION];
}

static void expand(const sp_model *model, const sp_layer_kind *kind, const sp_shape *shape,
                   const sp_sharding *shard, bool flash, sp_layer_work *work)
{
    (void)model;
    (void)flash;
    assert(shard->tp == 1 && shard->cp == 1);
    (void)shard;
    sp_formula_ops(kind->formula->flat, shape, work);
    for (uint32_t i = 0; i < work->n_ops; i++) {
        const sp_flat_counts *c = work->ops[i].counts;
        const double written = c->written[SP_WIDTH_ACTIVATION];
        sp_keep(work, 2.0 * written, 0, feeds_product(work, i));
        sp_live(work, 2.0 * (c->read[SP_WIDTH_ACTIVATION] + written));
    }
}

static sp_layer_params params(const sp_model *model, const sp_layer_kind *kind,
                              const sp_sharding *shard)
{
    (void)model;
    (void)shard;
    return (sp_layer_params){.dense = (double)kind->formula->parameters};
}

const sp_block sp_block_formula = {
    .name = "formula", .present = present, .expand = expand, .params = params};
