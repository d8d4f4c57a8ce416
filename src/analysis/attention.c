/* SPDX-License-Identifier: Apache-2.0 */
/* The attention core as rows: one fused kernel whose scores never leave the chip, or products and a
 * softmax that write them to memory. Keys and values are read from the cache, in its format, once a
 * sequence and key/value head. Scores of an indexer and products inside the chunks of a recurrence
 * are always fused. */
#include "analysis/analysis_priv.h"

/* Subtract the maximum, exponential, sum, divide, and the comparison for the maximum. */
#define SOFTMAX_FLOPS_PER_SCORE 5.0

/* What the core works on, in elements of one layer. */
typedef struct core_elements {
    double queries, outputs;
    double keys, values; /* as two kernels read them: one that is both is read by each */
    double cached;    /* as one kernel reads them                                               */
    double met;       /* scores that count under the mask                                       */
    double scores;    /* of the whole rectangle, which unfused kernels write                    */
    double key_share; /* of the products' FLOPs: those of the scores                            */
    double key_bytes; /* of an element of keys and values                                       */
    bool from_cache;  /* where they are read from                                               */
} core_elements;

static core_elements elements_of(const sp_pass *pass, const sp_op *op)
{
    const sp_attention *a = &pass->kind->attention;
    const sp_widths *bits = &pass->question->bits;
    const bool latent = a->kv_lora > 0,
               both = (latent && pass->shape.absorbed) || a->kv_cached_once;
    /* Expanded keys and values of latent attention were made from the cache just before. */
    const bool from_cache = !sp_phase_is_training(pass->phase) && (!latent || both);
    const double cached = op->bytes / 2.0, key_share = op->k / (op->k + op->v);
    const double met = op->flops / (2.0 * (op->k + op->v));
    const bool chosen = a->compress > 0 || a->index_top_k > 0;
    return (core_elements){.queries = op->m * op->k * op->count,
                           .outputs = op->m * op->v * op->count,
                           .keys = both ? cached : cached * key_share,
                           .values = both ? cached * op->v / op->k : cached * (1.0 - key_share),
                           .cached = cached,
                           .met = met,
                           .scores = chosen ? met : op->m * op->n * op->count,
                           .key_share = key_share,
                           .key_bytes = (from_cache ? bits->kv_cache : bits->activation) / 8.0,
                           .from_cache = from_cache};
}

static sp_operator core_row(const sp_pass *pass, const sp_op *op, const char *name)
{
    sp_operator row = sp_row_of(pass, op, name);
    row.rows = op->m;
    row.columns = op->n;
    row.inner = op->k;
    row.count = op->count;
    return row;
}

static void add_fused(sp_rows *rows, const sp_pass *pass, const core_elements *e, const sp_op *op)
{
    const sp_widths *bits = &pass->question->bits;
    const double a = bits->activation / 8.0, kv = e->cached * e->key_bytes;
    const double softmax = SOFTMAX_FLOPS_PER_SCORE * e->met;
    sp_operator row = core_row(pass, op, op->name);
    row.parameters = op->vectors;
    row.held_bytes = row.weight_bytes = op->vectors * bits->norm / 8.0;
    if (pass->phase == SP_PHASE_BACKWARD) {
        row.flops = SP_ANALYSIS_BACKWARD_PRODUCTS * op->flops + 2.0 * softmax;
        row.read_bytes = (e->queries + 2.0 * e->outputs) * a + kv;
        row.write_bytes = e->queries * a + kv;
    } else {
        row.flops = op->flops + softmax;
        row.read_bytes = e->queries * a + kv;
        row.write_bytes = e->outputs * a;
    }
    row.cache_bytes = e->from_cache ? kv : 0.0;
    row.expected_s = sp_expected_core_s(pass, &row, op);
    sp_rows_add(rows, pass, &row);
}

static void add_scores(sp_rows *rows, const sp_pass *pass, const core_elements *e, const sp_op *op)
{
    const bool backward = pass->phase == SP_PHASE_BACKWARD;
    const double a = pass->question->bits.activation / 8.0, keys = e->keys * e->key_bytes;
    sp_operator row = core_row(pass, op, "attention_scores");
    row.flops = (backward ? 2.0 : 1.0) * op->flops * e->key_share;
    row.read_bytes = (e->queries + (backward ? 2.0 * e->scores : 0.0)) * a + keys;
    row.write_bytes = backward ? e->queries * a + keys : e->scores * a;
    row.cache_bytes = e->from_cache ? keys : 0.0;
    row.expected_s = sp_expected_product_s(pass, &row, false);
    sp_rows_add(rows, pass, &row);
}

/* The gradient takes a product, a sum, a difference and a product a score: less than the forward
 * pass, whose operations are assumed. Logits of sinks take part here. */
static void add_softmax(sp_rows *rows, const sp_pass *pass, const core_elements *e, const sp_op *op)
{
    const double a = pass->question->bits.activation / 8.0;
    const double twice = pass->phase == SP_PHASE_BACKWARD ? 2.0 : 1.0;
    sp_operator row = sp_row_of(pass, op, "softmax");
    row.flops = SOFTMAX_FLOPS_PER_SCORE * e->met;
    row.parameters = op->vectors;
    row.held_bytes = row.weight_bytes = op->vectors * pass->question->bits.norm / 8.0;
    row.read_bytes = twice * e->scores * a;
    row.write_bytes = e->scores * a;
    row.expected_s = sp_expected_stream_s(pass, &row);
    sp_rows_add(rows, pass, &row);
}

static void add_values(sp_rows *rows, const sp_pass *pass, const core_elements *e, const sp_op *op)
{
    const bool backward = pass->phase == SP_PHASE_BACKWARD;
    const double a = pass->question->bits.activation / 8.0, values = e->values * e->key_bytes;
    sp_operator row = core_row(pass, op, "attention_values");
    row.columns = op->v;
    row.inner = op->n;
    row.flops = (backward ? 2.0 : 1.0) * op->flops * (1.0 - e->key_share);
    row.read_bytes = (e->scores + (backward ? 2.0 * e->outputs : 0.0)) * a + values;
    row.write_bytes = backward ? e->scores * a + values : e->outputs * a;
    row.cache_bytes = e->from_cache ? values : 0.0;
    row.expected_s = sp_expected_product_s(pass, &row, false);
    sp_rows_add(rows, pass, &row);
}

/* An indexer's scores are summed over its heads; products inside the chunks of a recurrence take
 * what its scan has read. */
static void add_beside_core(sp_rows *rows, const sp_pass *pass, const sp_op *op)
{
    const sp_widths *bits = &pass->question->bits;
    const double twice = pass->phase == SP_PHASE_BACKWARD ? 2.0 : 1.0;
    sp_operator row = core_row(pass, op, op->name);
    row.flops = twice * op->flops;
    if (op->part == SP_PART_ATTENTION) {
        const double heads = pass->kind->attention.index_heads;
        const bool training = sp_phase_is_training(pass->phase);
        const double keys = op->bytes / 2.0 * (training ? bits->activation : bits->kv_cache) / 8.0;
        const double a = twice * bits->activation / 8.0;
        row.read_bytes = op->m * op->k * op->count * a + twice * keys;
        row.write_bytes = op->flops / (2.0 * op->k * heads) * a;
        row.cache_bytes = training ? 0.0 : keys;
    }
    row.expected_s = sp_expected_core_s(pass, &row, op);
    sp_rows_add(rows, pass, &row);
}

void sp_rows_add_core(sp_rows *rows, const sp_pass *pass, const sp_op *op)
{
    if (op->part == SP_PART_RECURRENT || op->v <= 0.0) {
        add_beside_core(rows, pass, op);
        return;
    }
    const core_elements e = elements_of(pass, op);
    if (pass->question->flash) {
        add_fused(rows, pass, &e, op);
        return;
    }
    add_scores(rows, pass, &e, op);
    add_softmax(rows, pass, &e, op);
    add_values(rows, pass, &e, op);
}
