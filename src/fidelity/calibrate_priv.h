/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the files of calibration share: a least-squares fit of one surface, and what it is worth on
 * shapes that it has not seen. */
#include "fidelity/ops.h"
#include "shardplan/calibrate.h"

/* ---- calibrate_lm.c -------------------------------------------------------------------------- */
/* Rows that one surface shall describe. */
typedef struct sp_fit_rows {
    const sp_ops_row *const *row;
    uint32_t n;
} sp_fit_rows;

/* Fits surface->param to the rows from where it stands: least squares of the logarithm of
 * predicted over measured time, residuals above `scale` pulling with constant force (soft L1).
 * Levenberg-Marquardt; every number stays within the bounds of the form. *cost is what is left. The
 * same rows in the same order give the same bits. */
sp_status sp_surface_fit(sp_surface *surface, const sp_fit_rows *rows, double scale, double *cost,
                         sp_error *err);

/* ---- calibrate_fit.c ------------------------------------------------------------------------- */
/* In the order of a hash of their dimensions, so that the first of them are a sample of all. */
void sp_fit_rows_sort(const sp_ops_row **rows, uint32_t n);
/* Fits the surface of one kernel to its sorted rows, all of them and without each fold of their
 * shapes. `start` has the words and widths. Not fitted where there are fewer whole shapes than
 * folds: nobody would know what the surface is worth. */
sp_status sp_kernel_calibrate(const sp_calibration *settings, const sp_surface *start,
                              const sp_fit_rows *rows, sp_fitted *out, bool *fitted, sp_error *err);

/* ---- calibrate_ops.c ------------------------------------------------------------------------- */
struct sp_calibrated {
    sp_arena arena;
    sp_ops ops;
    const sp_gpu *gpu;
    const char *home, *source, *date; /* "" = not given */
    sp_fitted *fitted;
    uint32_t n_fitted, n_files;
    uint32_t n_rows, n_superseded, n_few, n_few_shapes,
        n_no_peak; /* rows: read, and left out of every fit */
};
