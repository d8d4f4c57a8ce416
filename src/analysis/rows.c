/* SPDX-License-Identifier: Apache-2.0 */
/* Operators of the graph as rows of the table: elements times bit widths are bytes, forward work
 * becomes backward work, and the roofline says how long it takes. */
#include "analysis/analysis_priv.h"

#include <assert.h>
#include <math.h>
#include <string.h>

double sp_rows_weight_bits(const sp_widths *bits, sp_part part)
{
    switch (part) {
    case SP_PART_FFN:
    case SP_PART_ROUTER:
    case SP_PART_EXPERTS:
        return bits->ffn_weight;
    case SP_PART_NORM:
        return bits->norm;
    case SP_PART_ROTARY:
        return bits->rope;
    case SP_PART_ATTENTION:
    case SP_PART_RECURRENT:
    case SP_PART_RESIDUAL:
    case SP_PART_EMBEDDING:
    case SP_PART_HEAD:
    case SP_PART_KERNEL:
        break;
    }
    return bits->attention_weight;
}

const char *sp_rows_category(const sp_op *op)
{
    static const char *const names[] = {[SP_PART_ATTENTION] = "projection",
                                        [SP_PART_RECURRENT] = "recurrence",
                                        [SP_PART_FFN] = "ffn",
                                        [SP_PART_ROUTER] = "router",
                                        [SP_PART_EXPERTS] = "experts",
                                        [SP_PART_NORM] = "norm",
                                        [SP_PART_ROTARY] = "rotary",
                                        [SP_PART_RESIDUAL] = "residual",
                                        [SP_PART_EMBEDDING] = "embedding",
                                        [SP_PART_HEAD] = "head",
                                        [SP_PART_KERNEL] = "kernel"};
    return names[op->part];
}

/* ---- the roofline of a row ---- */

static double vector_peak(const sp_gpu *gpu)
{
    const double fp32 = gpu->peak_flops_per_s[SP_FP32];
    return fp32 > 0.0 ? fp32 : sp_gpu_peak_flops_per_s(gpu);
}

static bool same_rows(const sp_operator *a, const sp_operator *b)
{
    return strcmp(a->name, b->name) == 0 && strcmp(a->category, b->category) == 0 &&
           a->rows == b->rows && a->columns == b->columns && a->inner == b->inner &&
           a->count == b->count && a->flops == b->flops && a->parameters == b->parameters &&
           a->weight_bytes == b->weight_bytes && a->read_bytes == b->read_bytes &&
           a->write_bytes == b->write_bytes && a->network_bytes == b->network_bytes;
}

static void price(const sp_pass *pass, sp_operator *row)
{
    const sp_gpu *gpu = pass->question->gpu;
    const double bytes = row->weight_bytes + row->read_bytes + row->write_bytes;
    const bool on_matrix_unit = row->inner > 0.0;
    const double peak =
        on_matrix_unit ? gpu->peak_flops_per_s[pass->question->compute] : vector_peak(gpu);
    row->intensity = bytes > 0.0 ? row->flops / bytes : 0.0;
    row->compute_s = row->flops / peak;
    row->memory_s = bytes / gpu->memory_bytes_per_s;
    row->time_s = fmax(row->compute_s, row->memory_s) + row->network_s;
    row->bound = row->network_s > fmax(row->compute_s, row->memory_s) ? SP_BOUND_NETWORK
                 : row->compute_s > row->memory_s                     ? SP_BOUND_COMPUTE
                                                                      : SP_BOUND_MEMORY;
}

void sp_rows_add(sp_rows *rows, const sp_pass *pass, const sp_operator *row)
{
    for (uint32_t i = rows->phase_first; i < rows->n; i++) {
        if (same_rows(&rows->row[i], row)) {
            rows->row[i].layers += row->layers;
            return;
        }
    }
    assert(rows->n < SP_ANALYSIS_MAX_ROWS);
    sp_operator *added = &rows->row[rows->n++];
    *added = *row;
    added->phase = pass->phase;
    price(pass, added);
}

/* ---- products ---- */

/* Experts that some token of the step is sent to: each of E is missed by one token with
 * probability 1 - k / E, and tokens choose independently. */
static double experts_met(const sp_pass *pass, const sp_ffn *ffn, double local)
{
    const double missed = 1.0 - (double)ffn->top_k / ffn->n_experts;
    return local * (1.0 - pow(missed, pass->routed_tokens));
}

/* Forward reads inputs and weights once and writes outputs; backward reads the output's gradient
 * for both products, the weights, the inputs, and writes the gradients of inputs and weights. */
static void add_product(sp_rows *rows, const sp_pass *pass, const sp_layer_kind *kind,
                        const sp_op *op, uint32_t layers)
{
    const sp_widths *bits = &pass->question->bits;
    const double in = op->m * op->k * op->count, out = op->m * op->n * op->count;
    const double matrices =
        op->class == SP_OP_GROUPED ? experts_met(pass, &kind->ffn, op->count) : op->count;
    const double a = bits->activation / 8.0, weights = op->k * op->n * matrices;
    sp_operator row = {.name = op->name,
                       .category = sp_rows_category(op),
                       .layers = layers,
                       .rows = op->m,
                       .columns = op->n,
                       .inner = op->k,
                       .count = op->count,
                       .flops = op->flops,
                       .parameters = op->k * op->n * op->count,
                       .held_bytes = op->k * op->n * op->count * sp_rows_weight_bits(bits, op->part) / 8.0,
                       .weight_bytes = weights * sp_rows_weight_bits(bits, op->part) / 8.0,
                       .read_bytes = in * a,
                       .write_bytes = out * a};
    if (pass->phase == SP_PHASE_BACKWARD) {
        row.flops *= 2.0;
        row.read_bytes = (in + 2.0 * out) * a;
        row.write_bytes = (in + weights) * a;
    }
    sp_rows_add(rows, pass, &row);
}

/* ---- element-wise operators ---- */

/* Arithmetic on one element written; transcendental functions count as nothing, as in every count
 * of model FLOPs. RMSNorm squares, sums, scales and weighs, LayerNorm subtracts the mean and adds a
 * bias besides; a rotation of a pair takes 4 products and 2 sums. */
static double flops_per_element(const sp_pass *pass, const sp_layer_kind *kind, const sp_op *op)
{
    switch (op->part) {
    case SP_PART_NORM:
        return pass->question->model->norm_vectors == 2 ? 6.0 : 4.0;
    case SP_PART_ROTARY:
        return 3.0;
    case SP_PART_RESIDUAL:
        return 1.0;
    case SP_PART_FFN:
    case SP_PART_EXPERTS:
        return kind != NULL && kind->ffn.gated && strstr(op->name, "activation") != NULL ? 1.0
                                                                                         : 0.0;
    case SP_PART_ATTENTION:
    case SP_PART_RECURRENT:
    case SP_PART_ROUTER:
    case SP_PART_EMBEDDING:
    case SP_PART_HEAD:
    case SP_PART_KERNEL:
        break;
    }
    return 0.0;
}

/* A sine and a cosine for each rotated pair of each new position. */
static double table_elements(const sp_pass *pass, const sp_layer_kind *kind)
{
    const sp_attention *a = &kind->attention;
    return pass->shape.length * (a->kv_lora > 0 ? a->rope_dim : a->head_dim);
}

static double written_elements(const sp_pass *pass, const sp_layer_kind *kind, const sp_op *op)
{
    const sp_attention *a = &kind->attention;
    if (op->part != SP_PART_ROTARY || a->kv_lora == 0) return op->n;
    const double heads = (double)a->heads / pass->sharding.tp;
    return pass->shape.tokens * a->rope_dim * (heads + 1.0);
}

/* The backward pass reads the gradient beside the input and writes one: twice the bytes. */
static void add_stream(sp_rows *rows, const sp_pass *pass, const sp_layer_kind *kind,
                       const sp_op *op, uint32_t layers)
{
    const sp_widths *bits = &pass->question->bits;
    const double passes = pass->phase == SP_PHASE_BACKWARD ? 2.0 : 1.0;
    const double a = passes * bits->activation / 8.0;
    const double learned = op->part == SP_PART_ROTARY ? table_elements(pass, kind) : op->k;
    const double flops = op->flops > 0.0
                             ? op->flops
                             : flops_per_element(pass, kind, op) * written_elements(pass, kind, op);
    const sp_operator row = {.name = op->name,
                             .category = sp_rows_category(op),
                             .layers = layers,
                             .flops = passes * flops,
                             .parameters = op->k,
                             .held_bytes = op->k * sp_rows_weight_bits(bits, op->part) / 8.0,
                             .weight_bytes = learned * sp_rows_weight_bits(bits, op->part) / 8.0,
                             .read_bytes = op->m * a,
                             .write_bytes = op->n * a};
    sp_rows_add(rows, pass, &row);
}

void sp_rows_add_op(sp_rows *rows, const sp_pass *pass, const sp_layer_kind *kind, const sp_op *op,
                    uint32_t layers)
{
    if (op->counts != NULL) {
        sp_rows_add_counted(rows, pass, op, layers);
        return;
    }
    switch (op->class) {
    case SP_OP_GEMM:
    case SP_OP_GROUPED:
        add_product(rows, pass, kind, op, layers);
        break;
    case SP_OP_ATTENTION:
        sp_rows_add_core(rows, pass, &kind->attention, op, layers);
        break;
    case SP_OP_STREAM:
    case SP_OP_SCAN:
        add_stream(rows, pass, kind, op, layers);
        break;
    }
}
