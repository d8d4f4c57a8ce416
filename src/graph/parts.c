/* SPDX-License-Identifier: Apache-2.0 */
/* What blocks are put together from: operators, kept activations, norms, residuals and the
 * attention core. Bytes of norms, residuals and the core follow Korthikanti et al., MLSys 2023,
 * section 4. */
#include "graph/graph.h"

#include <assert.h>
#include <math.h>

sp_op *sp_op_gemm(sp_layer_work *work, const char *name, double m, double n, double k)
{
    assert(work->n_ops < SP_MAX_OPS);
    sp_op *op = &work->ops[work->n_ops++];
    *op = (sp_op){.name = name,
                  .class = SP_OP_GEMM,
                  .m = m,
                  .n = n,
                  .k = k,
                  .count = 1.0,
                  .flops = 2.0 * m * n * k};
    return op;
}

sp_op *sp_op_stream(sp_layer_work *work, const char *name, double bytes)
{
    assert(work->n_ops < SP_MAX_OPS);
    sp_op *op = &work->ops[work->n_ops++];
    *op = (sp_op){.name = name, .class = SP_OP_STREAM, .bytes = bytes};
    return op;
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

void sp_norm(sp_layer_work *work, const char *name, double elements, uint32_t modules,
             bool feeds_product)
{
    sp_op_stream(work, name, 4.0 * elements)->modules = modules;
    sp_keep(work, 2.0 * elements, 0, false);
    sp_keep(work, 2.0 * elements, modules, feeds_product);
}

/* The sum itself is kept as the input of the next norm. Only its mask can be drawn again. */
void sp_residual(sp_layer_work *work, const char *name, double elements, bool dropout)
{
    sp_op *op = sp_op_stream(work, name, (dropout ? 8.0 : 6.0) * elements);
    if (dropout) {
        op->modules = SP_MODULE_STREAMS;
        sp_keep(work, elements, SP_MODULE_STREAMS, false);
    }
}

uint32_t sp_v_dim(const sp_attention *attention)
{
    return attention->v_dim > 0 ? attention->v_dim : attention->head_dim;
}

/* Tokens that one token attends to, mean over a causal sequence; the first ones of a sliding window
 * of w see less than w: w - w^2 / (2 length). */
static double visible_tokens(double w, const sp_shape *s)
{
    return w > 0.0 && w < s->length ? w - w * w / (2.0 * s->length) : s->context;
}

/* The fused core keeps its output and one log-sum-exp (4 bytes) a query and head. The unfused one
 * keeps the probabilities (2 bytes a score) and, under dropout, mask and dropped probabilities
 * (1 + 2 bytes). Recomputing it drops all but the output, which the projection needs. */
static void keep_core(const sp_core *core, const sp_shape *s, sp_layer_work *work)
{
    const double score_bytes = core->dropout ? 5.0 : 2.0;
    const double rows = core->heads * s->tokens;
    sp_keep(work, core->flash ? 4.0 * rows : score_bytes * rows * s->length, SP_MODULE_CORE, false);
    sp_keep(work, 2.0 * rows * core->v_dim, 0, true);
}

void sp_core_expand(const sp_core *core, const sp_shape *s, const sp_sharding *shard,
                    sp_layer_work *work)
{
    assert(work->n_ops < SP_MAX_OPS);
    assert(fabs(s->sequences * s->length - s->tokens * shard->cp) <= 1e-9 * s->tokens * shard->cp);
    const double visible = visible_tokens(core->window, s);
    sp_op *op = &work->ops[work->n_ops++];
    *op =
        (sp_op){.name = "attention_core",
                .class = SP_OP_ATTENTION,
                .modules = SP_MODULE_CORE,
                .m = s->length / shard->cp,
                .n = s->length,
                .k = core->head_dim,
                .count = core->heads * s->sequences,
                .flops = 2.0 * visible * core->heads * (core->head_dim + core->v_dim) * s->tokens};
    keep_core(core, s, work);
    const double element_bytes = 2.0 * s->tokens;
    work->attention.kv_bytes = element_bytes * core->kv_heads * (core->head_dim + core->v_dim);
    work->attention.q_bytes = element_bytes * core->heads * core->head_dim;
    work->attention.o_bytes = element_bytes * core->heads * core->v_dim;
}
