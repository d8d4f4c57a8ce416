/* SPDX-License-Identifier: Apache-2.0 */
/* Deployments, each group predicted by a fit of the constants of engines to all others, with
 * intervals from what is left over. */
#include "fidelity/fit_serving.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* ---- what is left over ---- */

static double find_width(const sp_serving_fit *fit, const sp_fit_interval *interval,
                         const double *residuals, sp_fit_miss *misses)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < fit->n_rows; i++) {
        const sp_deployed_row *row = &fit->rows[i];
        if (isnan(residuals[i]) || (uint32_t)row->mode != interval->rows) continue;
        if (!sp_fit_names(interval->engines, interval->n_engines, row->asked.engine)) continue;
        const double wider = row->asked.borrowed ? row->asked.timing->borrowed_error_ratio : 0.0;
        const double size = fmax(1.0, exp(fabs(residuals[i])) / (1.0 + wider)) - 1.0;
        misses[n++] = (sp_fit_miss){size, 1.0, row->source, row->set};
    }
    return sp_fit_width(misses, n, interval->prior, fit->list->coverage_ratio);
}

static sp_status find_widths(sp_serving_fit *fit, sp_deployed_metric metric, const bool *left_out,
                             const sp_fit_folds *folds, double *room, sp_fit_miss *misses,
                             sp_fit_values *values, sp_error *err)
{
    SP_TRY(sp_serving_fit_misses(fit, metric, left_out, folds, values, room, err));
    for (uint32_t i = 0; i < fit->list->n_intervals; i++) {
        const sp_fit_interval *interval = &fit->list->intervals[i];
        if (interval->metric != (uint32_t)metric) continue;
        values->interval[i] = find_width(fit, interval, room, misses);
    }
    return SP_OK;
}

static sp_status widths(void *user, const bool *left_out, const sp_fit_folds *folds, double *room,
                        sp_fit_values *values, sp_error *err)
{
    sp_serving_fit *fit = user;
    sp_fit_miss *misses = sp_alloc((fit->n_rows + SP_FIT_PRIOR_MISSES) * sizeof *misses);
    if (misses == NULL) return sp_fail(err, SP_E_MEMORY, "no memory for the fit");
    sp_status status = sp_serving_fit_run_rows(fit, left_out, values, fit->found, err);
    for (int metric = 0; metric < SP_N_DEPLOYED_METRICS && status == SP_OK; metric++) {
        status = find_widths(fit, (sp_deployed_metric)metric, left_out, folds, room, misses, values,
                             err);
    }
    sp_free(misses);
    return status;
}

static sp_status run(void *fit, const bool *left_out, sp_fit_values *values, sp_error *err)
{
    return sp_serving_fit_run(fit, left_out, values, err);
}

/* ---- groups left out ---- */

static bool counts(const void *fit, uint32_t row)
{
    const sp_deployed_row *r = &((const sp_serving_fit *)fit)->rows[row];
    return r->counts && r->asked.asked;
}

static sp_status predict(void *user, const sp_fit_values *values, const bool *chosen, sp_error *err)
{
    sp_serving_fit *fit = user;
    sp_serving_fit_set(fit, values);
    for (uint32_t i = 0; i < fit->n_rows; i++) {
        sp_deployed_row *row = &fit->rows[i];
        if (!chosen[i]) continue;
        SP_TRY(sp_deployed_answer(&row->asked, false, &row->predicted, err));
    }
    return SP_OK;
}

/* Rows to fit to: none that is set aside, and of a source with many rows every so many. */
static void choose_rows(sp_serving_fit *fit, const sp_csv *csv)
{
    const sp_fit_list *list = fit->list;
    for (uint32_t i = 0; i < fit->n_rows; i++) {
        const sp_deployed_row *row = &fit->rows[i];
        fit->fitted[i] = row->counts && row->asked.asked;
        for (uint32_t k = 0; k < list->n_set_aside; k++) {
            const sp_fit_set_aside *rule = &list->set_aside[k];
            if (sp_map_tests_hold(rule->tests, rule->n_tests, csv, i)) fit->fitted[i] = false;
        }
    }
    for (uint32_t i = 0; i < fit->n_rows && list->source_rows > 0; i++) {
        uint64_t n = 0, at = 0;
        for (uint32_t k = 0; k < fit->n_rows && fit->fitted[i]; k++) {
            if (!counts(fit, k) || !sp_deployed_same_source(&fit->rows[k], &fit->rows[i])) continue;
            at += k < i;
            n++;
        }
        const uint64_t most = list->source_rows;
        if (n > most) fit->fitted[i] = (at + 1) * most / n > at * most / n;
    }
}

static void list_engines(sp_serving_fit *fit)
{
    for (uint32_t i = 0; i < fit->n_rows; i++) {
        const sp_deployed_question *q = &fit->rows[i].asked;
        uint32_t e = 0;
        while (e < fit->n_engines && fit->engines[e].timing != q->timing) {
            e++;
        }
        if (!q->asked || e < fit->n_engines) continue;
        assert(fit->n_engines < SP_FIT_MAX_ENGINES);
        fit->engines[fit->n_engines++] = (sp_fit_engine){q->engine, q->timing, *q->timing};
    }
}

/* Room of a fit, and what is believed beforehand of its rows. */
static sp_status open_fit(sp_serving_fit *fit, sp_arena *arena, const sp_csv *csv, sp_error *err)
{
    const size_t n = (size_t)fit->n_rows + 1;
    sp_fit_values priors = {0};
    double *room = sp_arena_alloc(arena, 2 * SP_N_DEPLOYED_METRICS * n * sizeof *room);
    fit->fitted = sp_arena_alloc(arena, n * sizeof *fit->fitted);
    if (room == NULL || fit->fitted == NULL) {
        return sp_fail(err, SP_E_MEMORY, "no memory for the fit");
    }
    for (size_t m = 0; m < SP_N_DEPLOYED_METRICS; m++) {
        fit->believed[m] = room + 2 * m * n;
        fit->found[m] = room + (2 * m + 1) * n;
    }
    for (uint32_t t = 0; t < fit->list->n_terms; t++) {
        priors.term[t] = exp(fit->list->terms[t].prior.centre);
    }
    choose_rows(fit, csv);
    list_engines(fit);
    return sp_serving_fit_run_rows(fit, NULL, &priors, fit->believed, err);
}

sp_status sp_deployed_cross_run(sp_deployed_score *score, const char *home, const sp_csv *csv,
                                const char *fold, sp_error *err)
{
    sp_fit_folds folds;
    sp_cross *cross = NULL;
    const sp_fit_words words = sp_fit_serving_words();
    SP_TRY(sp_cross_make(&score->arena, home, csv, &words, fold, &cross, &folds, err));
    sp_serving_fit fit = {.list = &cross->list, .n_rows = score->n_rows, .rows = score->rows};
    SP_TRY(open_fit(&fit, &score->arena, csv, err));
    const sp_fit_subject subject = {.fit = &fit,
                                    .n_rows = fit.n_rows,
                                    .list = &cross->list,
                                    .counts = counts,
                                    .run = run,
                                    .widths = widths,
                                    .predict = predict};
    score->cross = cross;
    return sp_fit_cross(&subject, &folds, cross->figures, err);
}
