/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of a formula model: FLOPs and elements are what its kernels state, and the backward pass
 * follows from them by the rules of the other rows. A look-up adds gradients to the rows that it
 * read, and costs the same both ways. */
#include "analysis/analysis_priv.h"

static bool is_product(const sp_op *op)
{
    return op->class == SP_OP_GEMM || op->class == SP_OP_ATTENTION;
}

static sp_operator forward_row(const sp_pass *pass, const sp_op *op, uint32_t layers)
{
    const sp_widths *bits = &pass->question->bits;
    const sp_flat_counts *c = op->counts;
    const double a = bits->activation / 8.0, kv = bits->kv_cache / 8.0;
    const double w = sp_rows_weight_bits(bits, op->part) / 8.0;
    const bool product = is_product(op);
    return (sp_operator){
        .name = op->name,
        .category = op->class == SP_OP_ATTENTION ? "attention" : sp_rows_category(op),
        .layers = layers,
        .rows = product ? op->m : 0.0,
        .columns = product ? op->n : 0.0,
        .inner = product ? op->k : 0.0,
        .count = product ? op->count : 0.0,
        .flops = c->flops,
        .parameters = c->parameters,
        .held_bytes = c->parameters * w,
        .weight_bytes = c->read[SP_WIDTH_WEIGHT] * w,
        .read_bytes = c->read[SP_WIDTH_ACTIVATION] * a + c->read[SP_WIDTH_CACHE] * kv,
        .write_bytes = c->written[SP_WIDTH_ACTIVATION] * a + c->written[SP_WIDTH_CACHE] * kv +
                       c->written[SP_WIDTH_WEIGHT] * w};
}

/* A product reads the output's gradient for both of its gradients, its weights and its inputs, and
 * writes gradients of inputs and weights. A core reads the gradient, the output, queries, keys and
 * values, and writes gradients of the latter three. */
static void turn_product(const sp_pass *pass, const sp_op *op, sp_operator *row)
{
    const sp_widths *bits = &pass->question->bits;
    const sp_flat_counts *c = op->counts;
    const double a = bits->activation / 8.0;
    const double kv = c->read[SP_WIDTH_CACHE] * bits->kv_cache / 8.0;
    const double in = c->read[SP_WIDTH_ACTIVATION], out = c->written[SP_WIDTH_ACTIVATION];
    row->flops = op->class == SP_OP_ATTENTION
                     ? SP_ANALYSIS_BACKWARD_PRODUCTS * op->flops + 2.0 * c->vector_flops
                     : 2.0 * c->flops;
    row->read_bytes = (in + 2.0 * out) * a + kv;
    row->write_bytes = (in + c->read[SP_WIDTH_WEIGHT]) * a + kv;
}

void sp_rows_add_counted(sp_rows *rows, const sp_pass *pass, const sp_op *op, uint32_t layers)
{
    sp_operator row = forward_row(pass, op, layers);
    if (pass->phase == SP_PHASE_BACKWARD && is_product(op)) {
        turn_product(pass, op, &row);
    } else if (pass->phase == SP_PHASE_BACKWARD && op->part != SP_PART_EMBEDDING) {
        row.flops *= 2.0;
        row.read_bytes *= 2.0;
        row.write_bytes *= 2.0;
    }
    sp_rows_add(rows, pass, &row);
}
