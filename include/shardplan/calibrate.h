/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Fitting the surfaces of an accelerator (surface.h) to tables of measured kernels, and scoring the
 * surfaces that it has against such tables.
 *
 *     sp_calibrated *calibrated;
 *     const sp_calibrate_question q = {.gpu = "h100-sxm", .files = files, .n_files = 2};
 *     if (sp_calibrate_ops(home, &q, &calibrated, &err) == SP_OK) {
 *         sp_calibrated_page(calibrated, &text);                 residuals on shapes left out
 *         sp_calibrated_file(calibrated, &json, &err);           the GPU file with these surfaces
 *         sp_calibrated_free(calibrated);
 *     }
 *
 * The same tables in the same order give the same bytes. Nothing is shared between threads. */
#include "shardplan/surface.h"

struct sp_text;

typedef struct sp_calibrate_question {
    const char *gpu; /* by name, or a file of one's own                                           */
    const char *const *files;
    uint32_t n_files;
    const char *op;     /* what the tables hold; NULL = their names say it                        */
    bool nccl_tests;    /* the files are no tables but what nccl-tests printed                    */
    const char *source; /* where the tables are from, and when; needed to write the file          */
    const char *date;   /* YYYY-MM-DD                                                             */
} sp_calibrate_question;

/* One fitted surface. */
typedef struct sp_fitted {
    sp_surface surface;
    uint32_t n_small; /* rows of fewer than 64 tokens                                             */
    double small_median_ape_ratio;
} sp_fitted;

typedef struct sp_calibrated sp_calibrated;
sp_status sp_calibrate_ops(const char *home, const sp_calibrate_question *question,
                           sp_calibrated **calibrated, sp_error *err);
void sp_calibrated_free(sp_calibrated *calibrated); /* NULL is fine */
uint32_t sp_calibrated_count(const sp_calibrated *calibrated);
const sp_fitted *sp_calibrated_get(const sp_calibrated *calibrated, uint32_t idx);
/* A table of the residuals; "shardplan/score/1", kind "calibration". */
void sp_calibrated_page(const sp_calibrated *calibrated, struct sp_text *out);
void sp_calibrated_json(const sp_calibrated *calibrated, struct sp_text *out);
/* Where the file of the GPU was read from. */
const char *sp_calibrated_path(const sp_calibrated *calibrated);
/* The file of the GPU as it is, but for "surfaces". */
sp_status sp_calibrated_file(const sp_calibrated *calibrated, struct sp_text *out, sp_error *err);

/* Logs of training runs (format "megatron" or "torchtitan") as a table that sp_score_training takes,
 * one row a log; cells that a log does not fill are blank. gpu: where the runs were made, or NULL. */
sp_status sp_runs_of_logs(const char *format, const char *gpu, const char *const *files,
                          uint32_t n_files, struct sp_text *out, sp_error *err);

/* What the surfaces of parts say to measured calls. */
typedef struct sp_ops_score sp_ops_score;
/* gpu NULL: the folder that a table lies in is the name of the part. */
sp_status sp_score_ops(const char *home, const sp_calibrate_question *question,
                       sp_ops_score **score, sp_error *err);
void sp_ops_score_free(sp_ops_score *score); /* NULL is fine */
void sp_ops_score_page(const sp_ops_score *score, struct sp_text *out);
void sp_ops_score_json(const sp_ops_score *score, bool with_points, struct sp_text *out);
