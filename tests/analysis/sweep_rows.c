/* SPDX-License-Identifier: Apache-2.0 */
/* The reference's operators and its scores of a design point, by its own formulas, mistakes
 * included: what our answers are compared with, and no part of ours. */
#include "sweep_records.h"

#include <math.h>
#include <stdio.h>

/* A config in the reference's symbols; widths in bytes. */
typedef struct config {
    double b, s, h, n, kv, d, h_kv, ffn, vocab, layers, experts, top_k;
    double a, wa, wf, c, r;
    bool gated, rms, flash;
} config;

static config config_of(const sp_json *record)
{
    made_model made;
    sp_error err = {0};
    const sp_json object = sp_json_get(record, "config");
    reference_model(record, "config", &made);
    const sp_attention *at = &made.model.kinds[0].attention;
    const sp_ffn *f = &made.model.kinds[0].ffn;
    config k = {.b = reference_number(record, "config/batch_size"),
                .s = reference_number(record, "config/seq_len"),
                .h = made.model.hidden,
                .n = at->heads,
                .kv = at->kv_heads,
                .d = at->head_dim,
                .ffn = reference_number(record, "config/intermediate_size"),
                .vocab = made.model.vocab,
                .layers = made.model.n_layers,
                .experts = f->n_experts,
                .top_k = f->top_k,
                .a = reference_number(record, "config/quant_config/activation") / 8.0,
                .wa = reference_number(record, "config/quant_config/weight_attn") / 8.0,
                .wf = reference_number(record, "config/quant_config/weight_ffn") / 8.0,
                .c = reference_number(record, "config/quant_config/kv_cache") / 8.0,
                .r = reference_number(record, "config/quant_config/rope_bit") / 8.0,
                .gated = f->gated,
                .rms = made.model.norm_vectors == 1};
    k.h_kv = floor(k.h * k.kv / k.n);
    must(sp_json_bool_or(&object, "use_flash_attn", false, &k.flash, &err), &err);
    return k;
}

/* Half to even on the decimals as Python prints them. */
static double rounded(double x)
{
    char text[64];
    double value = 0.0;
    (void)snprintf(text, sizeof text, "%.4f", x);
    (void)sscanf(text, "%lf", &value);
    return value;
}

static void add(reference_rows *rows, double layers, double flops, double bytes)
{
    assert_true(rows->n < REFERENCE_MAX_ROWS);
    rows->row[rows->n++] = (reference_row){layers * flops, layers * bytes, rounded(flops / bytes)};
    rows->total_flops += layers * flops;
}

/* A product of x elements in, a matrix of w at `width`, y elements out. */
static void product(reference_rows *rows, const config *k, double flops, double x, double w,
                    double width, double y)
{
    add(rows, k->layers, flops, (x + y) * k->a + w * width);
}

static void add_attention(reference_rows *rows, const config *k, double m, double ctx)
{
    const double q = k->b * k->n * m * k->d, cache = k->b * k->kv * k->d * ctx;
    const double scores = k->b * k->n * m * ctx;
    if (k->flash) {
        product(rows, k, 4.0 * scores * k->d, q, cache, k->c, q);
        return;
    }
    product(rows, k, 2.0 * scores * k->d, q, cache, k->c, scores);
    product(rows, k, 5.0 * scores, scores, 0.0, 0.0, scores);
    product(rows, k, 2.0 * scores * k->d, scores, cache, k->c, q);
}

static void add_ffn(reference_rows *rows, const config *k, double m, bool prefill)
{
    const double x = k->b * m * k->h, t = k->b * m * k->ffn, w = k->h * k->ffn;
    if (k->top_k > 0.0) {
        const double loaded = prefill ? k->experts : k->top_k;
        product(rows, k, 2.0 * x * k->experts, x, k->h * k->experts, k->wf, k->b * m * k->experts);
        product(rows, k, (4.0 * x * k->ffn + t) * k->top_k, x * k->top_k, 2.0 * w * loaded, k->wf,
                t * k->top_k);
        product(rows, k, 2.0 * x * k->ffn * k->top_k, t * k->top_k, w * loaded, k->wf,
                x * k->top_k);
        return;
    }
    if (k->gated) {
        product(rows, k, 4.0 * x * k->ffn + t, x, 2.0 * w, k->wf, t);
    } else {
        product(rows, k, 2.0 * x * k->ffn, x, w, k->wf, t);
    }
    product(rows, k, 2.0 * x * k->ffn, t, w, k->wf, x);
}

static void add_phase(reference_rows *rows, const config *k, double m, double ctx, bool prefill)
{
    const double x = k->b * m * k->h, y = k->b * m * k->h_kv, half = floor(k->d / 2.0);
    const double norm = k->rms ? 4.0 : 6.0, table = m * k->d;
    product(rows, k, norm * x, x, k->h, k->a, x);
    product(rows, k, 2.0 * x * k->h, x, k->h * k->h, k->wa, x);
    product(rows, k, 2.0 * x * k->h_kv, x, k->h * k->h_kv, k->wa, y);
    product(rows, k, 2.0 * x * k->h_kv, x, k->h * k->h_kv, k->wa, y);
    product(rows, k, 4.0 * k->b * m * k->n * half, k->b * k->n * m * k->d, table, k->r,
            k->b * k->n * m * k->d);
    product(rows, k, 4.0 * k->b * m * k->kv * half, k->b * k->kv * m * k->d, table, k->r,
            k->b * k->kv * m * k->d);
    add_attention(rows, k, m, ctx);
    product(rows, k, 2.0 * x * k->h, x, k->h * k->h, k->wa, x);
    product(rows, k, norm * x, x, k->h, k->a, x);
    add_ffn(rows, k, m, prefill);
}

void reference_rows_of(const sp_json *record, reference_rows *rows)
{
    const config k = config_of(record);
    *rows = (reference_rows){.layers = k.layers};
    add(rows, 1.0, 2.0 * k.b * k.s, k.b * k.s * k.a + k.vocab * k.h * k.wa + k.b * k.s * k.h * k.a);
    add_phase(rows, &k, k.s, k.s, true);
    add_phase(rows, &k, 1.0, k.s + 1.0, false);
    add(rows, 1.0, 2.0 * k.b * k.h * k.vocab,
        k.b * k.h * k.a + k.h * k.vocab * k.wa + k.b * k.vocab * k.a);
}

double reference_attained_tflops(const reference_rows *rows, const sp_chip *chip)
{
    double sum = 0.0;
    for (uint32_t i = 0; i < rows->n; i++) {
        const double roof = fmin(rows->row[i].density * chip->bytes_per_s, chip->flops_per_s);
        sum += roof * rows->layers;
    }
    return sum / rows->n / 1e12;
}

double reference_joules(const reference_rows *rows, const sp_chip *chip)
{
    const double alpha = 0.55, ridge = chip->flops_per_s / chip->bytes_per_s;
    double joules = 0.0;
    for (uint32_t i = 0; i < rows->n; i++) {
        const reference_row *row = &rows->row[i];
        if (row->density <= 0.0) continue;
        const double power = chip->tdp_watts * (alpha * fmin(1.0, row->density / ridge) +
                                                (1.0 - alpha) * fmin(1.0, ridge / row->density));
        joules += power * rows->layers *
                  fmax(row->flops_all / chip->flops_per_s, row->bytes_all / chip->bytes_per_s);
    }
    return joules;
}

double reference_gflops_per_watt(const reference_rows *rows, const sp_chip *chip)
{
    return rows->total_flops / reference_joules(rows, chip) / 1e9;
}
