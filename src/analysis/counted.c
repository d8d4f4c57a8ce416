/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of a formula model: FLOPs and elements are what its kernels state, and the backward pass
 * follows from them by the rules of the other rows. A look-up adds gradients to the rows that it
 * read, and costs the same both ways. */
#include "analysis/analysis_priv.h"

static bool is_product(const sp_op *op)
{
    return op->class == SP_OP_GEMM || op->class == SP_OP_ATTENTION;
}

/* In training keys and values come from the products before. */
static double key_bytes(const sp_pass *pass)
{
    const sp_widths *bits = &pass->question->bits;
    return (sp_phase_is_training(pass->phase) ? bits->activation : bits->kv_cache) / 8.0;
}

static sp_operator forward_row(const sp_pass *pass, const sp_op *op)
{
    const sp_widths *bits = &pass->question->bits;
    const sp_flat_counts *c = op->counts;
    const double a = bits->activation / 8.0, kv = key_bytes(pass);
    const double w = sp_weight_bits(bits, op->part) / 8.0;
    const double cached = c->read[SP_WIDTH_CACHE] * kv;
    sp_operator row = sp_row_of(pass, op, op->name);
    if (is_product(op)) {
        row.rows = op->m;
        row.columns = op->n;
        row.inner = op->k;
        row.count = op->count;
    }
    row.flops = c->flops;
    row.parameters = c->parameters;
    row.held_bytes = c->parameters * w;
    row.weight_bytes = c->read[SP_WIDTH_WEIGHT] * w;
    row.read_bytes = c->read[SP_WIDTH_ACTIVATION] * a + cached;
    row.write_bytes = c->written[SP_WIDTH_ACTIVATION] * a + c->written[SP_WIDTH_CACHE] * kv +
                      c->written[SP_WIDTH_WEIGHT] * w;
    row.cache_bytes = sp_phase_is_training(pass->phase) ? 0.0 : cached;
    return row;
}

/* A product reads the output's gradient for both of its gradients, its weights and its inputs, and
 * writes gradients of inputs and weights. A core reads the gradient, the output, queries, keys and
 * values, and writes gradients of the latter three. */
static void turn_product(const sp_pass *pass, const sp_op *op, sp_operator *row)
{
    const sp_flat_counts *c = op->counts;
    const double a = pass->question->bits.activation / 8.0;
    const double kv = c->read[SP_WIDTH_CACHE] * key_bytes(pass);
    const double in = c->read[SP_WIDTH_ACTIVATION], out = c->written[SP_WIDTH_ACTIVATION];
    row->flops = op->class == SP_OP_ATTENTION
                     ? SP_ANALYSIS_BACKWARD_PRODUCTS * op->flops + 2.0 * c->vector_flops
                     : 2.0 * c->flops;
    row->read_bytes = (in + 2.0 * out) * a + kv;
    row->write_bytes = (in + c->read[SP_WIDTH_WEIGHT]) * a + kv;
}

static double expected_s(const sp_pass *pass, const sp_op *op, const sp_operator *row)
{
    if (op->class == SP_OP_GEMM) return sp_expected_product_s(pass, row, false);
    return op->class == SP_OP_ATTENTION ? sp_expected_core_s(pass, row, op)
                                        : sp_expected_stream_s(pass, row);
}

void sp_rows_add_counted(sp_rows *rows, const sp_pass *pass, const sp_op *op)
{
    sp_operator row = forward_row(pass, op);
    if (pass->phase == SP_PHASE_BACKWARD && is_product(op)) {
        turn_product(pass, op, &row);
    } else if (pass->phase == SP_PHASE_BACKWARD && op->part != SP_PART_EMBEDDING) {
        row.flops *= 2.0;
        row.read_bytes *= 2.0;
        row.write_bytes *= 2.0;
    }
    row.expected_s = expected_s(pass, op, &row);
    sp_rows_add(rows, pass, &row);
}
