/* SPDX-License-Identifier: Apache-2.0 */
/* Calibration of one accelerator: tables are read, sorted under the kernels that ran, and every
 * kernel with enough rows gets its surface. */
#include "fidelity/calibrate_priv.h"

#include "spec/spec.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static sp_status read_tables(sp_calibrated *c, const sp_calibrate_question *q, sp_error *err)
{
    for (uint32_t i = 0; i < q->n_files; i++) {
        SP_TRY(q->nccl_tests ? sp_ops_read_nccl_log(&c->ops, q->files[i], err)
                             : sp_ops_read(&c->ops, q->files[i], q->op, err));
    }
    sp_ops_supersede(&c->ops);
    c->n_rows = c->ops.n_rows;
    c->n_files = q->n_files;
    return SP_OK;
}

/* Rows by kernel: those of kernel k are sorted[first[k]] .. sorted[first[k + 1] - 1]. */
static sp_status sort_rows(const sp_ops *ops, const sp_ops_row ***sorted, uint32_t **first,
                           sp_error *err)
{
    *sorted = sp_alloc((ops->n_rows + 1) * sizeof **sorted);
    *first = sp_alloc((ops->n_kernels + 2) * sizeof **first);
    if (*sorted == NULL || *first == NULL)
        return sp_fail(err, SP_E_MEMORY, "no memory for the rows");
    memset(*first, 0, (ops->n_kernels + 2) * sizeof **first);
    uint32_t *const next = *first + 1; /* one behind, so that filling turns ends into beginnings */
    for (uint32_t k = 0; k < ops->n_kernels; k++) {
        next[k + 1] = next[k] + ops->kernels[k].n_rows;
    }
    for (uint32_t i = 0; i < ops->n_rows; i++) {
        (*sorted)[next[ops->rows[i].kernel_idx]++] = &ops->rows[i];
    }
    for (uint32_t k = 0; k < ops->n_kernels; k++) {
        sp_fit_rows_sort(*sorted + (*first)[k], ops->kernels[k].n_rows);
    }
    return SP_OK;
}

static sp_status add(sp_calibrated *c, const sp_calibration *settings, const sp_ops_kernel *kernel,
                     const sp_fit_rows *rows, double link_bytes_per_s, sp_error *err)
{
    sp_surface start = kernel->surface;
    if (kernel->superseded) {
        c->n_superseded += rows->n;
    } else if (rows->n < settings->n_least) {
        c->n_few += rows->n;
    } else if (!sp_surface_place(c->gpu, link_bytes_per_s, &start)) {
        c->n_no_peak += rows->n;
    } else {
        bool fitted = false;
        SP_TRY(sp_kernel_calibrate(settings, &start, rows, &c->fitted[c->n_fitted], &fitted, err));
        c->n_fitted += fitted;
        c->n_few_shapes += fitted ? 0 : rows->n;
    }
    return SP_OK;
}

static sp_status fit_all(sp_calibrated *c, const sp_calibration *settings, double link_bytes_per_s,
                         sp_error *err)
{
    const sp_ops_row **sorted = NULL;
    uint32_t *first = NULL;
    c->fitted = sp_arena_alloc(&c->arena, (c->ops.n_kernels + 1) * sizeof *c->fitted);
    sp_status status = c->fitted != NULL ? sort_rows(&c->ops, &sorted, &first, err)
                                         : sp_fail(err, SP_E_MEMORY, "no memory for the surfaces");
    for (uint32_t k = 0; status == SP_OK && k < c->ops.n_kernels; k++) {
        const sp_fit_rows rows = {.row = sorted + first[k], .n = c->ops.kernels[k].n_rows};
        status = add(c, settings, &c->ops.kernels[k], &rows, link_bytes_per_s, err);
    }
    sp_free(sorted);
    sp_free(first);
    return status;
}

/* By what they are of, so that the order of the tables does not matter. */
static int compare_fitted(const void *a, const void *b)
{
    const sp_surface *s = &((const sp_fitted *)a)->surface, *t = &((const sp_fitted *)b)->surface;
    const char *const x[] = {s->framework, s->kernel, s->dtype, s->kv_dtype, s->variant};
    const char *const y[] = {t->framework, t->kernel, t->dtype, t->kv_dtype, t->variant};
    if (s->op != t->op) return s->op < t->op ? -1 : 1;
    for (size_t i = 0; i < sizeof x / sizeof x[0]; i++) {
        const int order = strcmp(x[i], y[i]);
        if (order != 0) return order;
    }
    return (s->lo[SP_DIM_KEY] > t->lo[SP_DIM_KEY]) - (s->lo[SP_DIM_KEY] < t->lo[SP_DIM_KEY]);
}

static sp_status keep_words(sp_calibrated *c, const char *home, const sp_calibrate_question *q,
                            sp_error *err)
{
    SP_TRY(sp_text_keep(&c->arena, home, &c->home, err));
    SP_TRY(sp_text_keep(&c->arena, q->source != NULL ? q->source : "", &c->source, err));
    return sp_text_keep(&c->arena, q->date != NULL ? q->date : "", &c->date, err);
}

static sp_status calibrate(sp_calibrated *c, const char *home, const sp_calibrate_question *q,
                           sp_error *err)
{
    sp_calibration settings;
    double link_bytes_per_s = 0.0;
    SP_TRY(keep_words(c, home, q, err));
    SP_TRY(sp_calibration_load(&c->arena, home, &settings, err));
    SP_TRY(sp_gpu_find(&c->arena, home, q->gpu, &c->gpu, err));
    SP_TRY(sp_gpu_link_rate(&c->arena, home, c->gpu, &link_bytes_per_s, err));
    SP_TRY(read_tables(c, q, err));
    SP_TRY(fit_all(c, &settings, link_bytes_per_s, err));
    qsort(c->fitted, c->n_fitted, sizeof c->fitted[0], compare_fitted);
    return SP_OK;
}

sp_status sp_calibrate_ops(const char *home, const sp_calibrate_question *question,
                           sp_calibrated **calibrated, sp_error *err)
{
    sp_calibrated *const c = sp_alloc(sizeof *c);
    if (c == NULL) return sp_fail(err, SP_E_MEMORY, "no memory for the calibration");
    *c = (sp_calibrated){0};
    const sp_status status = calibrate(c, home, question, err);
    if (status != SP_OK) {
        sp_calibrated_free(c);
        return status;
    }
    *calibrated = c;
    return SP_OK;
}

void sp_calibrated_free(sp_calibrated *calibrated)
{
    if (calibrated == NULL) return;
    sp_ops_fini(&calibrated->ops);
    sp_arena_fini(&calibrated->arena);
    sp_free(calibrated);
}

uint32_t sp_calibrated_count(const sp_calibrated *calibrated)
{
    return calibrated->n_fitted;
}

const sp_fitted *sp_calibrated_get(const sp_calibrated *calibrated, uint32_t idx)
{
    assert(idx < calibrated->n_fitted);
    return &calibrated->fitted[idx];
}

const char *sp_calibrated_path(const sp_calibrated *calibrated)
{
    return calibrated->gpu->file;
}
