/* SPDX-License-Identifier: Apache-2.0 */
/* The surface of one kernel: fitted to all of its rows, and worth what it says about whole shapes
 * that were left out, a part of them at a time. */
#include "fidelity/calibrate_priv.h"

#include "fidelity/score.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FEW_TOKENS 64.0 /* below it a product is a matter of reading weights */
#define NO_FOLD    UINT32_MAX

typedef struct work {
    const sp_calibration *settings;
    const sp_fit_rows *rows;
    sp_surface start; /* words and widths */
    uint64_t *shapes; /* sorted, each once */
    uint32_t n_shapes, n_folds;
    uint32_t *fold;          /* of a row */
    const sp_ops_row **some; /* scratch: rows of one fit */
    double *ratio, *ape;     /* of a row: measured over predicted, and its error */
    double *scratch;
    sp_error *err;
} work;

static int compare_u64(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static int compare_rows(const void *a, const void *b)
{
    const sp_ops_row *x = *(const sp_ops_row *const *)a, *y = *(const sp_ops_row *const *)b;
    const uint64_t p = sp_hash_bytes(x->dim, sizeof x->dim).low;
    const uint64_t q = sp_hash_bytes(y->dim, sizeof y->dim).low;
    if (p != q) return p < q ? -1 : 1;
    return (x->measured_s > y->measured_s) - (x->measured_s < y->measured_s);
}

/* Whole shapes in the order of their hashes, dealt out to the folds. */
static void deal_folds(work *w)
{
    for (uint32_t i = 0; i < w->rows->n; i++) {
        w->shapes[i] = w->rows->row[i]->shape;
    }
    qsort(w->shapes, w->rows->n, sizeof w->shapes[0], compare_u64);
    for (uint32_t i = 0; i < w->rows->n; i++) {
        if (i == 0 || w->shapes[i] != w->shapes[w->n_shapes - 1]) {
            w->shapes[w->n_shapes++] = w->shapes[i];
        }
    }
    w->n_folds = w->n_shapes < w->settings->n_folds ? w->n_shapes : w->settings->n_folds;
    for (uint32_t i = 0; i < w->rows->n; i++) {
        const uint64_t *at = bsearch(&w->rows->row[i]->shape, w->shapes, w->n_shapes,
                                     sizeof w->shapes[0], compare_u64);
        assert(at != NULL);
        w->fold[i] = (uint32_t)(at - w->shapes) % w->n_folds;
    }
}

/* The rows outside of a fold, thinned to what one fit takes: the first, which are any (see
 * sp_fit_rows_sort). */
static sp_fit_rows rows_without(work *w, uint32_t fold)
{
    sp_fit_rows rows = {.row = w->some};
    for (uint32_t i = 0; i < w->rows->n; i++) {
        if (fold == NO_FOLD || w->fold[i] != fold) w->some[rows.n++] = w->rows->row[i];
    }
    if (rows.n > w->settings->n_samples) rows.n = w->settings->n_samples;
    return rows;
}

/* As many digits as a file has. */
static double rounded(double x)
{
    char text[32];
    (void)snprintf(text, sizeof text, "%.3g", x);
    return strtod(text, NULL);
}

static sp_status fit(const work *w, const sp_fit_rows *rows, sp_surface *best)
{
    const sp_calibration *c = w->settings;
    const sp_surface_form *form = sp_surface_form_of(w->start.op);
    double best_cost = INFINITY;
    for (uint32_t i = 0; i < c->n_starts[w->start.op]; i++) {
        sp_surface s = w->start;
        double cost = 0.0;
        memcpy(s.param, c->start[s.op][i], sizeof s.param);
        SP_TRY(sp_surface_fit(&s, rows, c->scale_ratio, &cost, w->err));
        if (cost < best_cost) {
            best_cost = cost;
            *best = s;
        }
    }
    for (uint32_t p = 0; p < form->n_params; p++) {
        best->param[p] = fmin(fmax(rounded(best->param[p]), form->param[p].lo), form->param[p].hi);
    }
    return SP_OK;
}

/* Predicts the rows of a fold. */
static void predict(work *w, const sp_surface *s, uint32_t fold)
{
    for (uint32_t i = 0; i < w->rows->n; i++) {
        const sp_ops_row *row = w->rows->row[i];
        if (w->fold[i] != fold) continue;
        const double predicted_s = sp_surface_s(s, row->dim);
        w->ratio[i] = row->measured_s / predicted_s;
        w->ape[i] = fabs(predicted_s - row->measured_s) / row->measured_s;
    }
}

static void fill_box(const sp_fit_rows *rows, sp_surface *s)
{
    for (uint32_t d = 0; d < sp_surface_form_of(s->op)->n_dims; d++) {
        s->lo[d] = INFINITY;
        s->hi[d] = 0.0;
        for (uint32_t i = 0; i < rows->n; i++) {
            s->lo[d] = fmin(s->lo[d], floor(rows->row[i]->dim[d]));
            s->hi[d] = fmax(s->hi[d], ceil(rows->row[i]->dim[d]));
        }
    }
}

static double tokens_of(const sp_surface *s, const sp_ops_row *row)
{
    if (s->op == SP_SURFACE_GEMM) return row->dim[SP_DIM_M];
    return s->op == SP_SURFACE_MOE ? row->dim[SP_DIM_TOKENS] : FEW_TOKENS;
}

static void fill_small(work *w, sp_fitted *out)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < w->rows->n; i++) {
        if (tokens_of(&out->surface, w->rows->row[i]) < FEW_TOKENS) w->scratch[n++] = w->ape[i];
    }
    out->n_small = n;
    out->small_median_ape_ratio = sp_quantile_of(w->scratch, n, 0.5);
}

static void fill_worth(work *w, sp_fitted *out)
{
    sp_surface *s = &out->surface;
    const uint32_t n = w->rows->n;
    s->samples = n;
    s->shapes = w->n_shapes;
    fill_small(w, out);
    s->median_ape_ratio = rounded(sp_quantile_of(w->ape, n, 0.5));
    s->p90_ape_ratio = rounded(sp_quantile_of(w->ape, n, 0.9));
    s->low_ratio = rounded(sp_quantile_of(w->ratio, n, 0.1));
    s->high_ratio = rounded(sp_quantile_of(w->ratio, n, 0.9));
}

static sp_status fit_folds(work *w, sp_fitted *out)
{
    for (uint32_t fold = 0; fold < w->n_folds; fold++) {
        sp_surface s = w->start;
        const sp_fit_rows rest = rows_without(w, fold);
        SP_TRY(fit(w, &rest, &s));
        predict(w, &s, fold);
    }
    const sp_fit_rows all = rows_without(w, NO_FOLD);
    SP_TRY(fit(w, &all, &out->surface));
    fill_box(w->rows, &out->surface);
    fill_worth(w, out);
    return SP_OK;
}

static sp_status allocate(work *w, void **block)
{
    const size_t n = w->rows->n;
    char *at =
        sp_alloc(n * (sizeof *w->shapes + sizeof *w->some + 3 * sizeof(double) + sizeof *w->fold));
    *block = at;
    if (at == NULL) return sp_fail(w->err, SP_E_MEMORY, "no memory for the fit");
    w->shapes = (uint64_t *)(void *)at;
    w->ratio = (double *)(void *)(w->shapes + n);
    w->ape = w->ratio + n;
    w->scratch = w->ape + n;
    w->some = (const sp_ops_row **)(void *)(w->scratch + n);
    w->fold = (uint32_t *)(void *)(w->some + n);
    return SP_OK;
}

void sp_fit_rows_sort(const sp_ops_row **rows, uint32_t n)
{
    qsort(rows, n, sizeof rows[0], compare_rows);
}

/* The whole shape of experts is a model, timed at dozens of cuts: two are enough to leave one out.
 */
static uint32_t fewest_shapes(const sp_calibration *settings, sp_surface_op op)
{
    return op == SP_SURFACE_MOE ? 2 : settings->n_folds;
}

sp_status sp_kernel_calibrate(const sp_calibration *settings, const sp_surface *start,
                              const sp_fit_rows *rows, sp_fitted *out, bool *fitted, sp_error *err)
{
    void *block = NULL;
    work w = {.settings = settings, .rows = rows, .start = *start, .err = err};
    assert(rows->n > 0);
    SP_TRY(allocate(&w, &block));
    deal_folds(&w);
    *fitted = w.n_shapes >= fewest_shapes(settings, start->op);
    const sp_status status = *fitted ? fit_folds(&w, out) : SP_OK;
    sp_free(block);
    return status;
}
