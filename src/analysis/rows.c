/* SPDX-License-Identifier: Apache-2.0 */
/* Operators of the graph as rows of the table: elements times bit widths are bytes, forward work
 * becomes backward work, and the roofline says how long it takes. */
#include "analysis/analysis_priv.h"
#include "base/base.h"
#include "shardplan/sweep.h"

#include <assert.h>
#include <math.h>
#include <string.h>

double sp_weight_bits(const sp_widths *bits, sp_part part)
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
    case SP_PART_EMBEDDING:
    case SP_PART_HEAD:
        return bits->embedding;
    case SP_PART_ATTENTION:
    case SP_PART_RECURRENT:
    case SP_PART_RESIDUAL:
    case SP_PART_KERNEL:
        break;
    }
    return bits->attention_weight;
}

sp_status sp_rows_init(sp_rows *rows, sp_arena *arena, uint32_t n_phases, uint32_t n_kinds,
                       sp_error *err)
{
    const uint32_t room = n_phases * (n_kinds + 2) * SP_ROWS_OF_A_LAYER;
    *rows = (sp_rows){.row = sp_arena_alloc(arena, room * sizeof *rows->row), .room = room};
    return rows->row != NULL ? SP_OK : sp_fail(err, SP_E_MEMORY, "the analysis needs more");
}

static const char *category(const sp_op *op)
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
    const bool product = op->class == SP_OP_GEMM || op->class == SP_OP_GROUPED;
    return op->part == SP_PART_ATTENTION && !product ? "attention" : names[op->part];
}

sp_operator sp_row_of(const sp_pass *pass, const sp_op *op, const char *name)
{
    return (sp_operator){.name = name,
                         .category = category(op),
                         .layers = pass->layers,
                         .held_layers = pass->held_layers};
}

/* ---- the roofline of a row ---- */

static double vector_peak(const sp_gpu *gpu)
{
    const double vector = sp_gpu_vector_flops_per_s(gpu);
    return vector > 0.0 ? vector : sp_gpu_peak_flops_per_s(gpu);
}

/* The core runs in the format of the cache: one that is wider than the activations keeps it in 16
 * bits, whatever the format of the other products. */
static double matrix_peak(const sp_analysis_question *q, const sp_operator *row)
{
    const double peak = q->gpu->peak_flops_per_s[q->compute];
    const double wide = sp_gpu_peak_flops_per_s(q->gpu);
    const bool core = strcmp(row->category, "attention") == 0;
    return core && q->bits.kv_cache > q->bits.activation && wide > 0.0 ? fmin(peak, wide) : peak;
}

static bool same_rows(const sp_operator *a, const sp_operator *b)
{
    return strcmp(a->name, b->name) == 0 && strcmp(a->category, b->category) == 0 &&
           a->rows == b->rows && a->columns == b->columns && a->inner == b->inner &&
           a->count == b->count && a->flops == b->flops && a->parameters == b->parameters &&
           a->weight_bytes == b->weight_bytes && a->read_bytes == b->read_bytes &&
           a->write_bytes == b->write_bytes && a->network_bytes == b->network_bytes;
}

static double joules_of(const sp_gpu *gpu, double peak, double flops, double bytes)
{
    const sp_chip chip = {
        .flops_per_s = peak, .bytes_per_s = gpu->memory_bytes_per_s, .tdp_watts = gpu->tdp_watts};
    if (gpu->compute_power_ratio <= 0.0) return 0.0;
    return sp_energy_joules(&chip, gpu->compute_power_ratio, flops, bytes);
}

static void price(const sp_pass *pass, sp_operator *row)
{
    const sp_analysis_question *q = pass->question;
    const double bytes = row->weight_bytes + row->read_bytes + row->write_bytes;
    const double peak = row->inner > 0.0 ? matrix_peak(q, row) : vector_peak(q->gpu);
    row->intensity = bytes > 0.0 ? row->flops / bytes : 0.0;
    row->compute_s = row->flops / peak;
    row->memory_s = bytes / q->gpu->memory_bytes_per_s;
    row->time_s = fmax(row->compute_s, row->memory_s) + row->network_s;
    row->joules = joules_of(q->gpu, peak, row->flops, bytes);
    if (pass->rates != NULL) row->expected_s += row->network_s;
    const bool only_sends =
        bytes <= 0.0 && row->network_bytes > 0.0; /* untimed without a cluster */
    const bool network = only_sends || row->network_s > fmax(row->compute_s, row->memory_s);
    row->bound = network                          ? SP_BOUND_NETWORK
                 : row->compute_s > row->memory_s ? SP_BOUND_COMPUTE
                                                  : SP_BOUND_MEMORY;
}

void sp_rows_add(sp_rows *rows, const sp_pass *pass, const sp_operator *row)
{
    for (uint32_t i = rows->phase_first; i < rows->n; i++) {
        if (same_rows(&rows->row[i], row)) {
            rows->row[i].layers += row->layers;
            rows->row[i].held_layers += row->held_layers;
            return;
        }
    }
    assert(rows->n < rows->room);
    sp_operator *added = &rows->row[rows->n++];
    *added = *row;
    added->phase = pass->phase;
    price(pass, added);
}

/* ---- products ---- */

/* Share of the experts that some token of the step is sent to: each of E choices is missed by one
 * token with probability 1 - k / E, and tokens choose independently. */
static double share_met(const sp_pass *pass)
{
    const sp_ffn *ffn = &pass->kind->ffn;
    const double choices = (double)ffn->n_experts + ffn->idle_experts;
    return 1.0 - pow(1.0 - ffn->top_k / choices, pass->routed_tokens);
}

/* Forward reads inputs and weights once and writes outputs; backward reads the output's gradient
 * for both products, the weights, the inputs, and writes the gradients of inputs and weights.
 * Biases are kept in the format of norms. */
static void add_product(sp_rows *rows, const sp_pass *pass, const sp_op *op)
{
    const sp_widths *bits = &pass->question->bits;
    const bool grouped = op->class == SP_OP_GROUPED;
    const double in = op->m * op->k * op->count, out = op->m * op->n * op->count;
    const double a = bits->activation / 8.0, weights = op->k * op->n * op->count;
    const double held =
        weights * sp_weight_bits(bits, op->part) / 8.0 + op->vectors * bits->norm / 8.0;
    const double met = grouped ? share_met(pass) : 1.0;
    sp_operator row = sp_row_of(pass, op, op->name);
    row.rows = op->m;
    row.columns = op->n;
    row.inner = op->k;
    row.count = op->count;
    row.flops = op->flops;
    row.parameters = sp_op_params(op);
    row.held_bytes = held;
    row.weight_bytes = met * held;
    row.read_bytes = in * a;
    row.write_bytes = out * a;
    if (pass->phase == SP_PHASE_BACKWARD) {
        row.flops *= 2.0;
        row.read_bytes = (in + 2.0 * out) * a;
        row.write_bytes = (in + met * weights) * a;
    }
    row.expected_s = sp_expected_product_s(pass, &row, grouped);
    sp_rows_add(rows, pass, &row);
}

/* ---- element-wise operators ---- */

/* Arithmetic on one element written; transcendental functions count as nothing, as in every count
 * of model FLOPs, and neither do moves of tokens. RMSNorm squares, sums, scales and weighs,
 * LayerNorm subtracts the mean and adds a bias besides; a rotation of a pair takes 4 products and 2
 * sums; a gate one product, behind a norm in recurrent blocks. */
static double flops_per_element(const sp_pass *pass, const sp_op *op)
{
    switch (op->part) {
    case SP_PART_NORM:
        return pass->question->model->norm_vectors == 2 ? 6.0 : 4.0;
    case SP_PART_ROTARY:
        return 3.0;
    case SP_PART_RESIDUAL:
        return 1.0;
    case SP_PART_FFN:
    case SP_PART_EXPERTS: /* an ungated activation writes as much as it reads, as moves do */
    case SP_PART_ATTENTION:
        return op->m > op->n && op->n > 0.0 && strcmp(op->name, "index_choice") != 0 ? 1.0 : 0.0;
    case SP_PART_RECURRENT:
        return pass->kind->recurrent.form == SP_RECURRENCE_CONV ? 1.0 : 5.0;
    case SP_PART_ROUTER:
    case SP_PART_EMBEDDING:
    case SP_PART_HEAD:
    case SP_PART_KERNEL:
        break;
    }
    return 0.0;
}

/* Latent attention rotates a part of each head, and one key. */
static double worked_elements(const sp_pass *pass, const sp_op *op)
{
    const sp_attention *a = pass->kind != NULL ? &pass->kind->attention : NULL;
    if (op->part != SP_PART_ROTARY || a == NULL || a->kv_lora == 0) return op->n;
    const bool index = strcmp(op->name, "index_rotary") == 0;
    const double heads = index ? a->index_heads : (double)a->heads / pass->sharding.tp;
    return a->no_rope ? 0.0 : pass->shape.tokens * a->rope_dim * (heads + 1.0);
}

/* Learned numbers that the operator reads: a sine and a cosine for each rotated pair of each new
 * position, the rows of the tokens in a table, all of them elsewhere. */
static double learned_elements(const sp_pass *pass, const sp_op *op)
{
    if (op->part == SP_PART_ROTARY) {
        const sp_attention *a = &pass->kind->attention;
        return pass->shape.length * (a->kv_lora > 0 ? a->rope_dim : a->head_dim);
    }
    return op->part == SP_PART_EMBEDDING && op->n > 0.0 ? op->n : op->k;
}

/* Activations read: an operator that writes nothing reads learned numbers alone. */
static double read_elements(const sp_op *op, double learned)
{
    if (op->n <= 0.0) return 0.0;
    return op->part == SP_PART_EMBEDDING ? op->m - learned : op->m;
}

/* The backward pass reads the gradient beside the input and writes one: twice the bytes. */
static void add_stream(sp_rows *rows, const sp_pass *pass, const sp_op *op)
{
    const sp_widths *bits = &pass->question->bits;
    const double passes = pass->phase == SP_PHASE_BACKWARD ? 2.0 : 1.0;
    const double a = passes * bits->activation / 8.0, w = sp_weight_bits(bits, op->part) / 8.0;
    const double learned = learned_elements(pass, op);
    const double flops = op->class == SP_OP_SCAN
                             ? op->flops
                             : flops_per_element(pass, op) * worked_elements(pass, op);
    sp_operator row = sp_row_of(pass, op, op->name);
    row.flops = passes * flops;
    row.parameters = op->k;
    row.held_bytes = op->k * w;
    row.weight_bytes = learned * w;
    row.read_bytes = read_elements(op, learned) * a;
    row.write_bytes = op->n * a;
    if (op->class == SP_OP_SCAN) { /* states have the width of the cache */
        const double state = op->count * bits->kv_cache / 8.0;
        row.read_bytes = (op->m - op->count) * a + state;
        row.write_bytes = (op->n - op->count) * a + state;
        row.cache_bytes = state;
    }
    row.expected_s = sp_expected_stream_s(pass, &row);
    sp_rows_add(rows, pass, &row);
}

void sp_rows_add_op(sp_rows *rows, const sp_pass *pass, const sp_op *op)
{
    if (op->counts != NULL) {
        sp_rows_add_counted(rows, pass, op);
        return;
    }
    switch (op->class) {
    case SP_OP_GEMM:
    case SP_OP_GROUPED:
        add_product(rows, pass, op);
        break;
    case SP_OP_ATTENTION:
        sp_rows_add_core(rows, pass, op);
        break;
    case SP_OP_STREAM:
    case SP_OP_SCAN:
        add_stream(rows, pass, op);
        break;
    }
}
