/* SPDX-License-Identifier: Apache-2.0 */
/* What a calibration is worth: residuals by surface and their means by operator and format, as a
 * table and as JSON. */
#include "fidelity/calibrate_priv.h"

#include "fidelity/score.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static void add_row(const sp_fitted *f, sp_text *out)
{
    const sp_surface *s = &f->surface;
    char format[64], width[16] = "", few[16] = "";
    (void)snprintf(format, sizeof format, "%s%s%s", s->dtype, s->kv_dtype[0] != '\0' ? "/" : "",
                   s->kv_dtype);
    if (s->op == SP_SURFACE_ATTENTION_CONTEXT || s->op == SP_SURFACE_ATTENTION_GENERATION) {
        (void)snprintf(width, sizeof width, "%g", s->lo[SP_DIM_KEY]);
    }
    if (f->n_small > 0) {
        (void)snprintf(few, sizeof few, "%.1f", 100.0 * f->small_median_ape_ratio);
    }
    sp_text_printf(out, "%-20s %-20s %5s %-14s %7u %6u %6.1f %6.1f %5.2f %5.2f %6s  %s, %s\n",
                   sp_surface_form_of(s->op)->name, format, width, s->variant, s->samples,
                   s->shapes, 100.0 * s->median_ape_ratio, 100.0 * s->p90_ape_ratio, s->low_ratio,
                   s->high_ratio, few, s->framework, s->kernel);
}

/* The mean over surfaces, each once, of what was measured on shapes left out. */
typedef struct mean {
    double median, p90;
    uint32_t n;
} mean;

static mean mean_of(const sp_calibrated *c, sp_surface_op op)
{
    mean m = {0};
    for (uint32_t i = 0; i < c->n_fitted; i++) {
        const sp_fitted *f = &c->fitted[i];
        if (f->surface.op != op) continue;
        m.median += f->surface.median_ape_ratio;
        m.p90 += f->surface.p90_ape_ratio;
        m.n++;
    }
    m.median /= m.n > 0 ? m.n : 1;
    m.p90 /= m.n > 0 ? m.n : 1;
    return m;
}

/* Why rows are in no fit. */
typedef struct left_out {
    uint32_t n;
    const char *why;
} left_out;

#define N_LEFT_OUT 4

static void list_left_out(const sp_calibrated *c, left_out list[N_LEFT_OUT])
{
    list[0] = (left_out){c->n_superseded, "of versions that a newer one replaces"};
    list[1] = (left_out){c->n_few, "of kernels with too few of them"};
    list[2] = (left_out){c->n_few_shapes, "of kernels with too few whole shapes to leave some out"};
    list[3] = (left_out){c->n_no_peak, "in formats for which the part states no peak"};
}

static void add_left_out(const sp_calibrated *c, sp_text *out)
{
    left_out list[N_LEFT_OUT];
    list_left_out(c, list);
    sp_text_printf(out, "%s: %u rows, %u surfaces\n", c->gpu->name, c->n_rows, c->n_fitted);
    for (size_t i = 0; i < N_LEFT_OUT; i++) {
        if (list[i].n > 0) sp_text_printf(out, "  %u rows are %s\n", list[i].n, list[i].why);
    }
}

void sp_calibrated_page(const sp_calibrated *calibrated, sp_text *out)
{
    add_left_out(calibrated, out);
    sp_text_add(out,
                "\nErrors in % on whole shapes left out of the fit; 8 of 10 calls took low to "
                "high times\nwhat was predicted; <64: the median for fewer than 64 tokens.\n\n");
    sp_text_printf(out, "%-20s %-20s %5s %-14s %7s %6s %6s %6s %5s %5s %6s  %s\n", "operator",
                   "format", "width", "kind", "rows", "shapes", "median", "p90", "low", "high",
                   "<64", "framework, kernel");
    for (uint32_t i = 0; i < calibrated->n_fitted; i++) {
        add_row(&calibrated->fitted[i], out);
    }
    sp_text_add(out, "\nmean over surfaces   median    p90\n");
    for (uint32_t op = 0; op < SP_N_SURFACE_OPS; op++) {
        const mean m = mean_of(calibrated, (sp_surface_op)op);
        if (m.n == 0) continue;
        sp_text_printf(out, "%-20s %6.1f %6.1f  of %u\n",
                       sp_surface_form_of((sp_surface_op)op)->name, 100.0 * m.median, 100.0 * m.p90,
                       m.n);
    }
}

static void put_fitted(sp_json_writer *w, const sp_fitted *f)
{
    const sp_surface *s = &f->surface;
    sp_jw_open_object_compact(w, NULL);
    sp_jw_string(w, "op", sp_surface_form_of(s->op)->name);
    sp_jw_string(w, "variant", s->variant);
    sp_jw_string(w, "framework", s->framework);
    sp_jw_string(w, "kernel", s->kernel);
    sp_jw_string(w, "dtype", s->dtype);
    sp_jw_string(w, "kv_dtype", s->kv_dtype);
    sp_jw_double(w, "key_width", s->op == SP_SURFACE_GEMM ? 0.0 : s->lo[SP_DIM_KEY]);
    sp_jw_u64(w, "n", s->samples);
    sp_jw_u64(w, "shapes", s->shapes);
    sp_jw_double(w, "median_ape", s->median_ape_ratio);
    sp_jw_double(w, "p90_ape", s->p90_ape_ratio);
    sp_jw_double(w, "low_ratio", s->low_ratio);
    sp_jw_double(w, "high_ratio", s->high_ratio);
    sp_jw_u64(w, "n_few_tokens", f->n_small);
    sp_jw_double(w, "median_ape_few_tokens", f->small_median_ape_ratio);
    sp_jw_close_object(w);
}

void sp_calibrated_json(const sp_calibrated *calibrated, sp_text *out)
{
    sp_json_writer w;
    sp_jw_init(&w, out);
    sp_jw_open_object(&w, NULL);
    sp_jw_string(&w, "schema", "shardplan/calibration-score/1");
    sp_jw_string(&w, "gpu", calibrated->gpu->name);
    sp_jw_u64(&w, "rows", calibrated->n_rows);
    left_out list[N_LEFT_OUT];
    list_left_out(calibrated, list);
    sp_jw_open_object(&w, "skipped");
    for (size_t i = 0; i < N_LEFT_OUT; i++) {
        if (list[i].n > 0) sp_jw_u64(&w, list[i].why, list[i].n);
    }
    sp_jw_close_object(&w);
    sp_jw_open_array(&w, "surfaces");
    for (uint32_t i = 0; i < calibrated->n_fitted; i++) {
        put_fitted(&w, &calibrated->fitted[i]);
    }
    sp_jw_close_array(&w);
    sp_jw_close_object(&w);
    sp_text_add(out, "\n");
}
