/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Fitting the constants of a running step to measured runs: what is fitted as data, a solver, the
 * fit of a table with some of its rows left out, and what is left over. */
#include "fidelity/fidelity_priv.h"
#include "step/step.h"

/* ---- fit_solve.c: least squares with priors -------------------------------------------------- */
/* What is believed of one unknown before the data: normal about centre, within lo .. hi. */
typedef struct sp_fit_prior {
    double centre, width, lo, hi;
} sp_fit_prior;

#define SP_FIT_ALL_TERMS UINT32_MAX

/* Minimises over x: sum of weight_i h(residual_i(x)) + sum of ((x_k - centre_k) / width_k)^2, where
 * h is the square up to `huber` and a straight line beyond. */
typedef struct sp_fit_task {
    uint32_t n_terms, n_rows;
    const sp_fit_prior *priors;
    const double *weights; /* of rows; 0 leaves one out */
    double huber;
    /* Fills residuals, one a row. changed: the one unknown in which x differs from the x of the
     * last call with SP_FIT_ALL_TERMS, so that rows it does not touch can be left as they are. */
    void (*residuals)(void *user, const double *x, uint32_t changed, double *out);
    void *user;
} sp_fit_task;

/* x is where to begin, and the answer. Deterministic. */
sp_status sp_fit_solve(const sp_fit_task *task, double *x, sp_error *err);
/* x: an answer of sp_fit_solve. Residuals of the rows of each group after one step from there of a
 * fit that has not seen the group, on straight lines; rows without weight are left as they are. */
sp_status sp_fit_leave_out(const sp_fit_task *task, const double *x, const uint32_t *group_of_row,
                           uint32_t n_groups, double *residuals, sp_error *err);

/* ---- fit_list.c: HOME/configs/validation/fit-training.json, fit-serving.json ----------------- */
/* Words that a list may use. */
typedef struct sp_fit_words {
    const char *file; /* in HOME/configs/validation */
    uint32_t n_constants, n_metrics, n_rows;
    const char *(*constant)(uint32_t idx); /* "gemm_ratio" */
    const char *(*unit)(uint32_t idx);     /* of a constant: "s" */
    const char *(*metric)(uint32_t idx);   /* "step_time" */
    const char *const *rows;               /* that an interval can be about: "all" */
    bool (*is_measured)(const char *column);
} sp_fit_words;
sp_fit_words sp_fit_training_words(void);

#define SP_FIT_MAX_TERMS 32
#define SP_FIT_MAX_TIED  4

/* How far logarithms of measured over predicted steps spread: those of sites about 0, and those of
 * the runs of a site about its own. */
typedef struct sp_site_prior {
    double site_ratio, run_ratio;
} sp_site_prior;

/* One number of the fit: constants of profiles that share its value, in the engines whose files
 * state them. The unknown is its logarithm. */
typedef struct sp_fit_term {
    uint32_t n_constants, constants[SP_FIT_MAX_TIED]; /* as sp_engine_constant_describe */
    uint32_t n_engines;
    const char *const *engines; /* as sp_fit_decides has them */
    uint32_t metric;
    sp_fit_prior prior; /* of the logarithm */
} sp_fit_term;

/* Which training runs an interval is about. */
typedef enum sp_fit_rows {
    SP_FIT_ROWS_ALL,
    SP_FIT_ROWS_DENSE, /* models without experts on parts whose own kernels were measured */
    SP_FIT_ROWS_EXPERTS,
    SP_N_FIT_ROWS
} sp_fit_rows;

/* An interval width: the share of rows within it is to be coverage_ratio. */
typedef struct sp_fit_interval {
    uint32_t constant, metric;
    uint32_t rows;    /* of sp_fit_words */
    double prior;     /* believed beforehand, and counted as one source */
    bool within_sets; /* once the median error of a set of plans for one question is out */
    uint32_t n_engines;
    const char *const *engines;
} sp_fit_interval;

/* Rows whose cell matches a pattern form the group `name`. */
typedef struct sp_fit_group {
    const char *name;
    uint32_t n_patterns;
    const char *const *patterns;
} sp_fit_group;

/* A way to deal rows into groups: by a column, or by what its cells match. */
typedef struct sp_fit_grouping {
    const char *name; /* "source", "gpu" */
    uint32_t column_idx;
    uint32_t n_groups; /* 0: each distinct cell is a group */
    sp_fit_group *groups;
} sp_fit_grouping;

/* Rows that are scored and not fitted to: something ran that no column says. */
typedef struct sp_fit_set_aside {
    uint32_t n_tests;
    sp_map_test *tests;
} sp_fit_set_aside;

typedef struct sp_fit_list {
    double residual_ratio; /* error of a run that weighs as much as one prior width             */
    double huber_ratio;    /* beyond this error a run pulls no harder                           */
    double source_runs;    /* runs that a source counts as, however many it has                 */
    double coverage_ratio; /* of intervals                                                      */
    uint32_t
        source_rows;    /* most rows of a source that are priced, spread over the table; 0 = all */
    sp_site_prior site; /* 0: not stated */
    uint32_t n_terms, n_intervals, n_groupings, n_set_aside;
    sp_fit_set_aside *set_aside;
    sp_fit_term *terms;
    sp_fit_interval *intervals;
    sp_fit_grouping *groupings;
} sp_fit_list;

sp_status sp_fit_list_load(sp_arena *arena, const char *home, const sp_csv *csv,
                           const sp_fit_words *words, sp_fit_list *list, sp_error *err);

/* ---- fit.c: a table of runs under other constants -------------------------------------------- */
#define SP_FIT_MAX_INTERVALS 32

/* The numbers of a fit; 0 = as the engine files have it. */
typedef struct sp_fit_values {
    double term[SP_FIT_MAX_TERMS];
    double interval[SP_FIT_MAX_INTERVALS];
} sp_fit_values;

/* Rows that share a problem share its variant. */
typedef struct sp_fit_variant {
    const sp_problem *base;
    const char *engine; /* whose profile prices it */
    sp_engine_profile profile;
    sp_problem problem; /* base under that profile */
} sp_fit_variant;

/* Is the constant of the profile stated by one of these? "fsdp": any profile of its file,
 * "fsdp@<2.2": that of those versions, "any": what profiles do not state themselves. */
bool sp_fit_decides(const char *const *engines, uint32_t n_engines, uint32_t constant,
                    const char *engine, const sp_engine_profile *profile);

/* A scored table made ready to be priced many times. */
typedef struct sp_fit {
    const sp_fit_list *list;
    uint32_t n_rows, n_variants;
    sp_scored_row *rows;  /* the score's */
    uint32_t *variant_of; /* of rows; UINT32_MAX: cannot be asked */
    sp_fit_variant *variants;
} sp_fit;

sp_status sp_fit_make(const sp_fit_list *list, sp_scored_row *rows, uint32_t n_rows, sp_fit *fit,
                      sp_error *err);
void sp_fit_fini(sp_fit *fit);
/* Prices rows anew, those with chosen[row] (all under NULL). */
void sp_fit_predict(sp_fit *fit, const sp_fit_values *values, const bool *chosen);
/* Fits the terms to the rows that count, but for those with left_out[row] (NULL: none), beginning
 * at the priors. */
sp_status sp_fit_run(sp_fit *fit, const bool *left_out, sp_fit_values *values, sp_error *err);

/* Names of the groups, and of each row its group. */
typedef struct sp_fit_folds {
    uint32_t n;
    const char **names;
    uint32_t *of_row;
} sp_fit_folds;

/* values: those of sp_fit_run. Measured over predicted of the rows that it has seen, each by a fit
 * that has not seen its group, either; 0 for rows that do not count. */
sp_status sp_fit_misses(sp_fit *fit, sp_metric_id metric, const bool *left_out,
                        const sp_fit_folds *folds, const sp_fit_values *values, double *ratios,
                        sp_error *err);

/* ---- fit_intervals.c: what is left over ------------------------------------------------------ */
/* One row's: |measured / predicted - 1|, or the like. */
typedef struct sp_fit_miss {
    double size;
    double weight;
    const char *source, *set;
} sp_fit_miss;
#define SP_FIT_PRIOR_MISSES 9
/* The least size within which `share` of the misses lie, sources weighing the same, those of fewer
 * than 5 rows and the prior as one each. misses has room for SP_FIT_PRIOR_MISSES more. */
double sp_fit_width(sp_fit_miss *misses, uint32_t n, double prior, double share);
/* ratios: measured over predicted of rows, 0 = does not count. The widths of the metric that
 * coverage_ratio of the rows lie within, sources weighing the same, those of fewer than 5 rows and
 * the prior as one each. */
sp_status sp_fit_widths(const sp_fit *fit, sp_metric_id metric, const double *ratios,
                        sp_fit_values *values, sp_error *err);

/* ---- fit_folds.c: every group left out in turn ----------------------------------------------- */
/* A fitted number over the fits. */
typedef struct sp_fit_figure {
    double median, least, most;
} sp_fit_figure;

sp_status sp_fit_deal(sp_arena *arena, const sp_fit_grouping *grouping, const sp_csv *csv,
                      sp_fit_folds *folds, sp_error *err);
/* A table that can be fitted again and again: sp_fit, or a table of deployments. */
typedef struct sp_fit_subject {
    void *fit;
    uint32_t n_rows;
    const sp_fit_list *list;
    bool (*counts)(const void *fit, uint32_t row); /* for any metric */
    /* Terms from the rows that count, but for those left out. */
    sp_status (*run)(void *fit, const bool *left_out, sp_fit_values *values, sp_error *err);
    /* Intervals from what fits miss that leave a group out as well; room: one number a row. */
    sp_status (*widths)(void *fit, const bool *left_out, const sp_fit_folds *folds, double *room,
                        sp_fit_values *values, sp_error *err);
    sp_status (*predict)(void *fit, const sp_fit_values *values, const bool *chosen, sp_error *err);
} sp_fit_subject;

/* ---- fit_folds.c ---- */
sp_status sp_fit_find_grouping(const sp_fit_list *list, const char *name,
                               const sp_fit_grouping **found, sp_error *err);
/* Predicts the rows of each group by a fit to all others; figures of terms, then of intervals. */
sp_status sp_fit_cross(const sp_fit_subject *subject, const sp_fit_folds *folds,
                       sp_fit_figure *figures, sp_error *err);
/* What a score under --cross says of its fits. */
typedef struct sp_cross {
    const char *fold; /* name of the grouping */
    uint32_t n_folds;
    sp_fit_list list;
    sp_fit_figure *figures;
    sp_site_prior spread; /* of the predictions */
} sp_cross;
/* A list, and groups of the rows by the grouping `fold`. */
sp_status sp_cross_make(sp_arena *arena, const char *home, const sp_csv *csv,
                        const sp_fit_words *words, const char *fold, sp_cross **cross,
                        sp_fit_folds *folds, sp_error *err);

/* ---- fit_cross.c, fit_serving.c, cross_serving.c ---- */
/* Predicts the rows anew, each by a fit that has not seen its group. */
sp_status sp_cross_run(sp_score *score, const char *home, const sp_csv *csv, const char *fold,
                       sp_error *err);
sp_status sp_deployed_cross_run(struct sp_deployed_score *score, const char *home,
                                const sp_csv *csv, const char *fold, sp_error *err);
sp_fit_words sp_fit_serving_words(void);

/* score_json.c: what the constants behind a score were fitted on, and the fits of a cross; cross
 * NULL: fitted_on. */
void sp_fitted_on_put(sp_json_writer *w, const sp_cross *cross, const char *const *fitted_on,
                      uint32_t n_fitted_on, const sp_fit_words *words);

/* ---- fit_steps.c, fit_site.c ----------------------------------------------------------------- */
/* Fitted constants to be written. */
typedef struct sp_steps {
    const char *file, *origin, *measured, *date; /* measured: "runs of 17 sources" */
    sp_fit_words words;
    const sp_cross *cross;
    const sp_metric *left_out; /* of metrics: figures of rows that the fits have not seen */
    const sp_site_prior *site; /* NULL: none */
} sp_steps;
void sp_steps_put(const sp_steps *steps, struct sp_text *out);
/* To the three digits that a fitted figure is worth. */
double sp_fit_round(double value);
/* The spread of a score's predictions: over sources of 5 rows and more that of their medians, and
 * the mean of that within them, each as 1.4826 times a median distance. */
sp_status sp_site_spread(const sp_score *score, sp_site_prior *prior, sp_error *err);
/* n runs of one site; apes has room for n numbers. */
sp_site sp_site_of(const sp_site_prior *prior, const sp_pair *pairs, uint32_t n, double *apes);
