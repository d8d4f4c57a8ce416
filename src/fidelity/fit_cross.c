/* SPDX-License-Identifier: Apache-2.0 */
/* Training runs, each group predicted by a fit of the profiles' constants to all others. */
#include "fidelity/fit.h"

static const char *constant_name(uint32_t idx)
{
    return sp_engine_constant_describe(idx).name;
}

static const char *unit_of(uint32_t idx)
{
    return sp_engine_constant_describe(idx).unit;
}

static const char *metric_name(uint32_t idx)
{
    return sp_metric_name((sp_metric_id)idx);
}

sp_fit_words sp_fit_training_words(void)
{
    static const char *const rows[SP_N_FIT_ROWS] = {"all", "dense", "experts"};
    return (sp_fit_words){.file = "fit-training.json",
                          .n_constants = sp_engine_constant_count(),
                          .n_metrics = SP_N_METRICS,
                          .n_rows = SP_N_FIT_ROWS,
                          .constant = constant_name,
                          .unit = unit_of,
                          .metric = metric_name,
                          .rows = rows,
                          .is_measured = sp_column_is_measured};
}

static bool counts(const void *fit, uint32_t row)
{
    const sp_scored_row *r = &((const sp_fit *)fit)->rows[row];
    return r->for_step || r->for_memory;
}

static sp_status run(void *fit, const bool *left_out, sp_fit_values *values, sp_error *err)
{
    return sp_fit_run(fit, left_out, values, err);
}

static sp_status widths(void *fit, const bool *left_out, const sp_fit_folds *folds, double *room,
                        sp_fit_values *values, sp_error *err)
{
    for (sp_metric_id metric = 0; metric < SP_N_METRICS; metric++) {
        SP_TRY(sp_fit_misses(fit, metric, left_out, folds, values, room, err));
        SP_TRY(sp_fit_widths(fit, metric, room, values, err));
    }
    return SP_OK;
}

static sp_status predict(void *fit, const sp_fit_values *values, const bool *chosen, sp_error *err)
{
    (void)err;
    sp_fit_predict(fit, values, chosen);
    return SP_OK;
}

sp_status sp_cross_run(sp_score *score, const char *home, const sp_csv *csv, const char *fold,
                       sp_error *err)
{
    sp_fit fit;
    sp_fit_folds folds;
    sp_cross *cross = NULL;
    const sp_fit_words words = sp_fit_training_words();
    SP_TRY(sp_cross_make(&score->arena, home, csv, &words, fold, &cross, &folds, err));
    SP_TRY(sp_fit_make(&cross->list, score->rows, score->n_rows, &fit, err));
    const sp_fit_subject subject = {.fit = &fit,
                                    .n_rows = fit.n_rows,
                                    .list = &cross->list,
                                    .counts = counts,
                                    .run = run,
                                    .widths = widths,
                                    .predict = predict};
    const sp_status status = sp_fit_cross(&subject, &folds, cross->figures, err);
    sp_fit_fini(&fit);
    score->cross = cross;
    return status;
}
