/* SPDX-License-Identifier: Apache-2.0 */
/* The attention core as rows: one fused kernel whose scores never leave the chip, or products and a
 * softmax that write them to memory. Keys and values are read from the cache, in its format, once a
 * sequence and key/value head. */
#include "analysis/analysis_priv.h"

/* Subtract the maximum, exponential, sum, divide, and the comparison for the maximum. */
#define SOFTMAX_FLOPS_PER_SCORE 5.0

/* What the core works on, in elements of one layer. */
typedef struct core_elements {
    double queries, outputs, keys, values, scores;
    double key_share; /* of the products' FLOPs: those of the scores */
} core_elements;

static core_elements elements_of(const sp_pass *pass, const sp_attention *a, const sp_op *op)
{
    const double v_dim = a->v_dim > 0 ? a->v_dim : a->head_dim;
    const double k = pass->shape.absorbed && a->kv_lora > 0 ? (double)a->kv_lora + a->rope_dim
                                                            : (double)a->head_dim;
    const double v = pass->shape.absorbed && a->kv_lora > 0 ? (double)a->kv_lora : v_dim;
    const double rows = pass->shape.tokens * a->heads / pass->sharding.tp;
    const double cached = op->bytes / 2.0;
    const double key_share = k / (k + v);
    /* Absorbed, one latent vector serves as key and as value, and is read for both at once. */
    return (core_elements){.queries = rows * k,
                           .outputs = rows * v,
                           .keys = cached * key_share,
                           .values = cached - cached * key_share,
                           .scores = op->flops / (2.0 * (k + v)),
                           .key_share = key_share};
}

static sp_operator core_row(const sp_op *op, const char *name, uint32_t layers)
{
    return (sp_operator){.name = name,
                         .category = "attention",
                         .layers = layers,
                         .rows = op->m,
                         .columns = op->n,
                         .inner = op->k,
                         .count = op->count};
}

static void add_fused(sp_rows *rows, const sp_pass *pass, const core_elements *e, const sp_op *op,
                      uint32_t layers)
{
    const double a = pass->question->bits.activation / 8.0;
    const double kv = (e->keys + e->values) * pass->question->bits.kv_cache / 8.0;
    const double softmax = SOFTMAX_FLOPS_PER_SCORE * e->scores;
    sp_operator row = core_row(op, op->name, layers);
    if (pass->phase == SP_PHASE_BACKWARD) {
        row.flops = SP_ANALYSIS_BACKWARD_PRODUCTS * op->flops + 2.0 * softmax;
        row.read_bytes = (e->queries + 2.0 * e->outputs) * a + kv;
        row.write_bytes = e->queries * a + kv;
    } else {
        row.flops = op->flops + softmax;
        row.read_bytes = e->queries * a + kv;
        row.write_bytes = e->outputs * a;
    }
    sp_rows_add(rows, pass, &row);
}

/* Backward, each product becomes two, of the shapes of its two gradients. */
static void add_unfused(sp_rows *rows, const sp_pass *pass, const core_elements *e, const sp_op *op,
                        uint32_t layers)
{
    const bool backward = pass->phase == SP_PHASE_BACKWARD;
    const double twice = backward ? 2.0 : 1.0;
    const double a = pass->question->bits.activation / 8.0;
    const double kv = pass->question->bits.kv_cache / 8.0;
    sp_operator scores = core_row(op, "attention_scores", layers);
    scores.flops = twice * op->flops * e->key_share;
    scores.read_bytes = (e->queries + (backward ? 2.0 * e->scores : 0.0)) * a + e->keys * kv;
    scores.write_bytes = backward ? e->queries * a + e->keys * kv : e->scores * a;
    sp_rows_add(rows, pass, &scores);

    sp_operator softmax = {.name = "softmax", .category = "attention", .layers = layers};
    softmax.flops = SOFTMAX_FLOPS_PER_SCORE * e->scores;
    softmax.read_bytes = twice * e->scores * a;
    softmax.write_bytes = e->scores * a;
    sp_rows_add(rows, pass, &softmax);

    sp_operator values = core_row(op, "attention_values", layers);
    values.flops = twice * op->flops * (1.0 - e->key_share);
    values.read_bytes = (e->scores + (backward ? 2.0 * e->outputs : 0.0)) * a + e->values * kv;
    values.write_bytes = backward ? e->scores * a + e->values * kv : e->outputs * a;
    sp_rows_add(rows, pass, &values);
}

void sp_rows_add_core(sp_rows *rows, const sp_pass *pass, const sp_attention *attention,
                      const sp_op *op, uint32_t layers)
{
    const core_elements e = elements_of(pass, attention, op);
    if (pass->question->flash) {
        add_fused(rows, pass, &e, op, layers);
    } else {
        add_unfused(rows, pass, &e, op, layers);
    }
}
