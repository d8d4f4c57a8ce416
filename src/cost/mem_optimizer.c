/* SPDX-License-Identifier: Apache-2.0 */
/* The state of optimizers that treat matrices, tables and vectors differently, from the weights
 * that the operators of a layer read; and what it takes to make matrices orthogonal (Newton-Schulz,
 * Jordan et al., Muon, 2024). Leaves out: the few numbers a tensor has of its own, such as steps.
 */
#include "cost/cost.h"

static bool is_product(const sp_op *op)
{
    return op->class == SP_OP_GEMM || op->class == SP_OP_GROUPED;
}

/* n x k as the frameworks store it: rows are outputs. */
static sp_moments matrix_state(const sp_optimizer *o, const sp_op *op)
{
    const double elements = op->k * op->n, count = op->count;
    if (elements < o->small_elements) {
        return (sp_moments){.bytes = count * elements * o->small_bytes, .largest = elements};
    }
    return (sp_moments){.bytes = count * (elements * o->matrix_bytes + op->n * o->row_bytes),
                        .whole_bytes = count * op->k * o->column_bytes,
                        .largest = elements};
}

static sp_moments vector_state(const sp_optimizer *o, double elements)
{
    const bool small = elements < o->small_elements;
    return (sp_moments){.bytes = elements * (small ? o->small_bytes : o->vector_bytes)};
}

void sp_moments_add(sp_moments *sum, const sp_moments *part, double times)
{
    sum->bytes += times * part->bytes;
    sum->whole_bytes += times * part->whole_bytes;
    sum->newton_s += times * part->newton_s;
    sum->largest = times > 0.0 && part->largest > sum->largest ? part->largest : sum->largest;
}

sp_layer_tensors sp_optimizer_layer(const sp_optimizer *optimizer, const sp_layer_work *work)
{
    sp_layer_tensors sum = {0};
    for (uint32_t i = 0; i < work->n_ops; i++) {
        const sp_op *op = &work->ops[i];
        const bool expert = op->class == SP_OP_GROUPED;
        const double all = sp_op_params(op),
                     matrix = is_product(op) ? op->k * op->n * op->count : 0;
        *(expert ? &sum.expert_matrix : &sum.dense_matrix) += matrix;
        sp_moments *moments = expert ? &sum.expert : &sum.dense;
        const sp_moments rest = vector_state(optimizer, all - matrix);
        sp_moments_add(moments, &rest, 1.0);
        if (matrix > 0.0) {
            const sp_moments state = matrix_state(optimizer, op);
            sp_moments_add(moments, &state, 1.0);
        }
    }
    return sum;
}

/* X X^T, its square, and its product with X; bf16. */
static double newton_s(const sp_gemm_rate *rate, double rows, double columns)
{
    const double r = rows < columns ? rows : columns, c = rows < columns ? columns : rows;
    const double wide = 2.0 * (2.0 * r * c + r * r), square = 2.0 * 3.0 * r * r;
    return 2.0 * sp_roof_gemm_s(rate, r, r, c, 1.0, wide) +
           sp_roof_gemm_s(rate, r, r, r, 1.0, square);
}

void sp_optimizer_newton(const sp_optimizer *optimizer, const sp_gemm_rate *rate,
                         const sp_layer_work *whole, sp_layer_tensors *tensors)
{
    for (uint32_t i = 0; i < whole->n_ops; i++) {
        const sp_op *op = &whole->ops[i];
        if (!is_product(op)) continue;
        const double each_s = optimizer->newton_schulz_steps * newton_s(rate, op->n, op->k);
        const sp_moments part = {.newton_s = op->count * each_s, .largest = op->n * op->k};
        sp_moments_add(op->class == SP_OP_GROUPED ? &tensors->expert : &tensors->dense, &part, 1.0);
    }
}

sp_moments sp_optimizer_table(const sp_optimizer *optimizer, double state_bytes, double params,
                              double hidden)
{
    if (params <= 0.0) return (sp_moments){0};
    const bool orthogonal = optimizer->newton_schulz_steps > 0.0;
    return (sp_moments){.bytes = params * state_bytes + params / hidden * optimizer->row_bytes,
                        .whole_bytes = hidden * optimizer->column_bytes,
                        .largest = orthogonal ? 0.0 : params};
}
