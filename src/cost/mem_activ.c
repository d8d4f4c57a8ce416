/* SPDX-License-Identifier: Apache-2.0 */
/* Activations of a layer: what waits for the backward pass under each recompute choice, and what is
 * live beside it. Source: Korthikanti et al., MLSys 2023, table 2; what eager kernels keep beyond
 * fused ones is the engine's (configs/engines). */
#include "cost/cost.h"

#include <assert.h>

/* Norms before and behind blocks, gates of feed-forward blocks and experts. */
static bool is_norm(const sp_op *op)
{
    return op->class == SP_OP_STREAM && op->part == SP_PART_NORM;
}

static bool is_gate(const sp_op *op)
{
    return op->class == SP_OP_STREAM && (op->modules & SP_MODULE_ACTIVATION) != 0 &&
           op->m == 2.0 * op->n;
}

static bool is_product(const sp_op *op)
{
    return op->class == SP_OP_GEMM || op->class == SP_OP_GROUPED;
}

static double extra_of(const sp_op *op, const sp_keeping *keeping)
{
    if (is_norm(op)) return keeping->norm_extra_bytes * op->m;
    return is_gate(op) ? keeping->gate_extra_bytes * op->n : 0.0;
}

/* Outputs of products, and of the attention core with its log-sum-exp: what a checkpoint that knows
 * operators alone can keep. */
static double outputs_of(const sp_layer_work *work, double dropped_ratio)
{
    double bytes = 0.0;
    for (uint32_t i = 0; i < work->n_ops; i++) {
        const sp_op *op = &work->ops[i];
        bytes += is_product(op) ? (1.0 - dropped_ratio) * 2.0 * op->m * op->n * op->count : 0.0;
        bytes += op->class == SP_OP_ATTENTION ? (2.0 * op->v + 4.0) * op->m * op->count : 0.0;
    }
    return bytes;
}

/* Between the matrices of the adapter of a product, 2-byte; its input is the product's. */
static double adapter_bytes(const sp_op *op, const sp_keeping *keeping)
{
    return is_product(op) ? 2.0 * keeping->adapter_columns * op->m * op->count : 0.0;
}

/* The largest matrix in 16 bits. */
static double unpacked_bytes(const sp_layer_work *work)
{
    double bytes = 0.0;
    for (uint32_t i = 0; i < work->n_ops; i++) {
        const sp_op *op = &work->ops[i];
        const double matrix = is_product(op) ? 2.0 * op->k * op->n : 0.0;
        bytes = matrix > bytes ? matrix : bytes;
    }
    return bytes;
}

/* The widest gate's inputs, whose gradients need no room of their own. */
static double in_place_bytes(const sp_layer_work *work)
{
    double bytes = 0.0;
    for (uint32_t i = 0; i < work->n_ops; i++) {
        const sp_op *op = &work->ops[i];
        const double room = is_gate(op) ? 2.0 * op->m : 0.0;
        bytes = room > bytes && room <= work->gradient_bytes ? room : bytes;
    }
    return bytes;
}

bool sp_keeping_asks_ops(const sp_keeping *keeping)
{
    return keeping->norm_extra_bytes > 0.0 || keeping->gate_extra_bytes > 0.0 ||
           keeping->in_place || (keeping->modules & SP_MODULE_STREAMS) != 0;
}

sp_layer_bytes sp_mem_layer(const sp_layer_work *work, const sp_keeping *keeping)
{
    assert(keeping->product_bytes > 0.0);
    assert(!work->without_ops || !sp_keeping_asks_ops(keeping));
    const double product_ratio = keeping->product_bytes / 2.0;
    const bool extras = keeping->norm_extra_bytes > 0.0 || keeping->gate_extra_bytes > 0.0 ||
                        keeping->adapter_columns > 0.0;
    double kept = 0.0, dropped = 0.0;
    for (uint32_t i = 0; i < work->n_tensors; i++) {
        const sp_tensor *t = &work->tensors[i];
        const double bytes = t->bytes * (t->product_input ? product_ratio : 1.0);
        *((t->modules & keeping->modules) != 0 ? &dropped : &kept) += bytes;
    }
    for (uint32_t i = 0; extras && i < work->n_ops; i++) {
        const sp_op *op = &work->ops[i];
        *((op->modules & keeping->modules) != 0 ? &dropped : &kept) +=
            extra_of(op, keeping) + adapter_bytes(op, keeping);
    }
    const double working = work->working_bytes - (keeping->in_place ? in_place_bytes(work) : 0.0) +
                           (keeping->unpacks ? unpacked_bytes(work) : 0.0);
    /* What is computed again is there while its layer runs backwards: under full the whole set. */
    if (keeping->full) {
        return (sp_layer_bytes){.kept = work->input_bytes, .working = working + kept + dropped};
    }
    if ((keeping->modules & SP_MODULE_STREAMS) != 0 && keeping->dropped_ratio > 0.0) {
        const double all = kept + dropped;
        kept = work->input_bytes + outputs_of(work, keeping->dropped_ratio);
        dropped = all > kept ? all - kept : 0.0;
    }
    return (sp_layer_bytes){.kept = kept, .working = working + dropped};
}

double sp_mem_logits(double tokens, double vocab_columns, double logit_bytes)
{
    return logit_bytes * tokens * vocab_columns;
}

double sp_mem_chunked_loss(double tokens, double vocab_columns, double hidden, bool frozen)
{
    return 4.0 * tokens * hidden + (frozen ? 0.0 : 8.0 * vocab_columns * hidden);
}
