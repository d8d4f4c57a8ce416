/* SPDX-License-Identifier: Apache-2.0 */
/* A table of deployments under other constants of their engines: questions are asked once and
 * answered with the constants in hand; the solver sees logarithms of predicted over measured. Times
 * per token come first. Times to first token are those of simulated runs; the closed form says how
 * they move with a constant, and a few runs where they are. */
#include "fidelity/deployed.h"
#include "fidelity/fit.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* ---- words ---- */

static const char *metric_name(uint32_t idx)
{
    return sp_deployed_metric_name((sp_deployed_metric)idx);
}

sp_fit_words sp_fit_serving_words(void)
{
    static const char *const rows[SP_N_DEPLOYED_MODES] = {"agg", "disagg"};
    return (sp_fit_words){.file = "fit-serving.json",
                          .n_constants = sp_timing_count(),
                          .n_metrics = SP_N_DEPLOYED_METRICS,
                          .n_rows = SP_N_DEPLOYED_MODES,
                          .constant = sp_timing_name,
                          .unit = sp_timing_unit,
                          .metric = metric_name,
                          .rows = rows,
                          .is_measured = sp_deployed_column_is_measured};
}

/* ---- engines under other constants ---- */

#define MAX_ENGINES 16

typedef struct served_by {
    const char *name;
    sp_server_timing *timing, shipped;
} served_by;

typedef struct serving_fit {
    const sp_fit_list *list;
    uint32_t n_rows, n_engines;
    sp_deployed_row *rows;
    bool *fitted; /* of rows: not set aside, and among those of its source that are priced */
    served_by engines[MAX_ENGINES];
} serving_fit;

static bool names(const char *const *engines, uint32_t n, const char *engine)
{
    for (uint32_t i = 0; i < n; i++) {
        if (strcmp(engines[i], engine) == 0) return true;
    }
    return false;
}

static void set_engine(const sp_fit_list *list, const sp_fit_values *values, served_by *engine)
{
    *engine->timing = engine->shipped;
    for (uint32_t t = 0; t < list->n_terms; t++) {
        const sp_fit_term *term = &list->terms[t];
        if (values->term[t] <= 0.0 || !names(term->engines, term->n_engines, engine->name)) {
            continue;
        }
        for (uint32_t c = 0; c < term->n_constants; c++) {
            sp_timing_set(engine->timing, term->constants[c], values->term[t]);
        }
    }
    for (uint32_t i = 0; i < list->n_intervals; i++) {
        const sp_fit_interval *interval = &list->intervals[i];
        if (values->interval[i] > 0.0 &&
            names(interval->engines, interval->n_engines, engine->name)) {
            sp_timing_set(engine->timing, interval->constant, values->interval[i]);
        }
    }
}

static void set_engines(serving_fit *fit, const sp_fit_values *values)
{
    for (uint32_t e = 0; e < fit->n_engines; e++) {
        set_engine(fit->list, values, &fit->engines[e]);
    }
}

/* ---- the fit of one metric ---- */

typedef struct metric_fit {
    serving_fit *fit;
    sp_deployed_metric metric;
    uint32_t n_terms;
    uint32_t terms[SP_FIT_MAX_TERMS]; /* of the list: those of the metric */
    sp_fit_prior priors[SP_FIT_MAX_TERMS];
    sp_fit_values values;
    double *weights;
    double *beyond; /* of rows: logarithm of a run's answer over that of the closed form */
    sp_error *err;  /* of the run: the first that fails */
} metric_fit;

/* Times the closed form is brought to where runs are. */
#define N_ANCHORS 2

static void set_values(metric_fit *m, const double *x)
{
    for (uint32_t k = 0; k < m->n_terms; k++) {
        m->values.term[m->terms[k]] = exp(x[k]);
    }
    set_engines(m->fit, &m->values);
}

static void price_rows(void *user, const double *x, uint32_t changed, double *out)
{
    metric_fit *m = user;
    const sp_fit_term *term =
        changed != SP_FIT_ALL_TERMS ? &m->fit->list->terms[m->terms[changed]] : NULL;
    set_values(m, x);
    for (uint32_t i = 0; i < m->fit->n_rows && m->err->status == SP_OK; i++) {
        sp_deployed_prediction p;
        const sp_deployed_row *row = &m->fit->rows[i];
        if (m->weights[i] <= 0.0) continue;
        if (term != NULL && !names(term->engines, term->n_engines, row->asked.engine)) continue;
        if (sp_deployed_answer(&row->asked, true, &p, m->err) != SP_OK) return;
        out[i] = log(p.value[m->metric] / row->measured[m->metric]) + m->beyond[i];
    }
}

/* What runs answer beyond the closed form under the constants of x. */
static sp_status anchor(metric_fit *m, const double *x, sp_error *err)
{
    set_values(m, x);
    for (uint32_t i = 0; i < m->fit->n_rows; i++) {
        sp_deployed_prediction run, closed;
        const sp_deployed_question *asked = &m->fit->rows[i].asked;
        m->beyond[i] = 0.0;
        if (m->weights[i] <= 0.0 || m->metric == SP_DEPLOYED_METRIC_TPOT) continue;
        SP_TRY(sp_deployed_answer(asked, false, &run, err));
        SP_TRY(sp_deployed_answer(asked, true, &closed, err));
        m->beyond[i] = log(run.value[m->metric] / closed.value[m->metric]);
    }
    return SP_OK;
}

static bool same_source(const sp_deployed_row *a, const sp_deployed_row *b)
{
    return a->mode == b->mode && strcmp(a->source, b->source) == 0;
}

/* Rows of a source share the weight of source_runs rows. */
static void weigh_rows(metric_fit *m, const bool *left_out)
{
    const serving_fit *fit = m->fit;
    const sp_fit_list *list = fit->list;
    const double of_source = list->source_runs / (list->residual_ratio * list->residual_ratio);
    for (uint32_t i = 0; i < fit->n_rows; i++) {
        sp_pair pair;
        const bool counts = fit->fitted[i] && (left_out == NULL || !left_out[i]);
        m->weights[i] =
            counts && sp_deployed_pair_of(&fit->rows[i], m->metric, &pair) ? of_source : 0.0;
    }
    for (uint32_t i = 0; i < fit->n_rows; i++) {
        uint32_t n = 0;
        if (m->weights[i] != of_source) continue; /* none, or its source has had its turn */
        for (uint32_t k = i; k < fit->n_rows; k++) {
            n += m->weights[k] > 0.0 && same_source(&fit->rows[k], &fit->rows[i]);
        }
        for (uint32_t k = i; k < fit->n_rows; k++) {
            if (m->weights[k] > 0.0 && same_source(&fit->rows[k], &fit->rows[i])) {
                m->weights[k] = n > 1 ? of_source / n : nextafter(of_source, 0.0);
            }
        }
    }
}

static sp_status open_metric(serving_fit *fit, sp_deployed_metric metric, const bool *left_out,
                             const sp_fit_values *values, metric_fit *m, double *x, sp_error *err)
{
    const sp_fit_list *list = fit->list;
    *m = (metric_fit){.fit = fit, .metric = metric, .values = *values, .err = err};
    for (uint32_t t = 0; t < list->n_terms; t++) {
        const sp_fit_term *term = &list->terms[t];
        if (term->metric != (uint32_t)metric) continue;
        m->terms[m->n_terms] = t;
        m->priors[m->n_terms] = term->prior;
        x[m->n_terms++] = values->term[t] > 0.0 ? log(values->term[t]) : term->prior.centre;
    }
    m->weights = sp_alloc(2 * ((size_t)fit->n_rows + 1) * sizeof *m->weights);
    if (m->weights == NULL) return sp_fail(err, SP_E_MEMORY, "no memory for the fit");
    m->beyond = m->weights + fit->n_rows + 1;
    weigh_rows(m, left_out);
    return SP_OK;
}

static sp_fit_task task_of(metric_fit *m)
{
    return (sp_fit_task){.n_terms = m->n_terms,
                         .n_rows = m->fit->n_rows,
                         .priors = m->priors,
                         .weights = m->weights,
                         .huber = m->fit->list->huber_ratio,
                         .residuals = price_rows,
                         .user = m};
}

static sp_status fit_metric(serving_fit *fit, sp_deployed_metric metric, const bool *left_out,
                            sp_fit_values *values, sp_error *err)
{
    double x[SP_FIT_MAX_TERMS];
    metric_fit m;
    SP_TRY(open_metric(fit, metric, left_out, values, &m, x, err));
    const sp_fit_task task = task_of(&m);
    const int n_anchors = m.n_terms == 0 ? 0 : metric == SP_DEPLOYED_METRIC_TPOT ? 1 : N_ANCHORS;
    sp_status status = SP_OK;
    for (int k = 0; k < n_anchors && status == SP_OK; k++) {
        status = anchor(&m, x, err);
        if (status == SP_OK) status = sp_fit_solve(&task, x, err);
        if (status == SP_OK) status = err->status;
    }
    set_values(&m, x);
    memcpy(values->term, m.values.term, sizeof values->term);
    sp_free(m.weights);
    return status;
}

static sp_status run(void *fit, const bool *left_out, sp_fit_values *values, sp_error *err)
{
    *values = (sp_fit_values){0};
    for (int metric = 0; metric < SP_N_DEPLOYED_METRICS; metric++) {
        SP_TRY(fit_metric(fit, (sp_deployed_metric)metric, left_out, values, err));
    }
    return SP_OK;
}

/* ---- what is left over ---- */

/* Logarithms of predicted over measured of the rows that a fit has seen, each by one that has not
 * seen its group, either. */
static sp_status find_misses(serving_fit *fit, sp_deployed_metric metric, const bool *left_out,
                             const sp_fit_folds *folds, const sp_fit_values *values, metric_fit *m,
                             double *residuals, sp_error *err)
{
    double x[SP_FIT_MAX_TERMS];
    SP_TRY(open_metric(fit, metric, left_out, values, m, x, err));
    const sp_fit_task task = task_of(m);
    SP_TRY(anchor(m, x, err));
    SP_TRY(sp_fit_leave_out(&task, x, folds->of_row, folds->n, residuals, err));
    return err->status;
}

static double find_width(const metric_fit *m, const sp_fit_interval *interval,
                         const double *residuals, sp_fit_miss *misses)
{
    uint32_t n = 0;
    const serving_fit *fit = m->fit;
    for (uint32_t i = 0; i < fit->n_rows; i++) {
        const sp_deployed_row *row = &fit->rows[i];
        if (m->weights[i] <= 0.0 || (uint32_t)row->mode != interval->rows) continue;
        if (!names(interval->engines, interval->n_engines, row->asked.engine)) continue;
        const double wider = row->asked.borrowed ? row->asked.timing->borrowed_error_ratio : 0.0;
        const double size = fmax(1.0, exp(fabs(residuals[i])) / (1.0 + wider)) - 1.0;
        misses[n++] = (sp_fit_miss){size, 1.0, row->source, row->set};
    }
    return sp_fit_width(misses, n, interval->prior, fit->list->coverage_ratio);
}

static sp_status find_widths(serving_fit *fit, sp_deployed_metric metric, const bool *left_out,
                             const sp_fit_folds *folds, double *room, sp_fit_miss *misses,
                             sp_fit_values *values, sp_error *err)
{
    metric_fit m = {0};
    const sp_status status = find_misses(fit, metric, left_out, folds, values, &m, room, err);
    for (uint32_t i = 0; i < fit->list->n_intervals && status == SP_OK; i++) {
        const sp_fit_interval *interval = &fit->list->intervals[i];
        if (interval->metric != (uint32_t)metric) continue;
        values->interval[i] = find_width(&m, interval, room, misses);
    }
    sp_free(m.weights);
    return status;
}

static sp_status widths(void *user, const bool *left_out, const sp_fit_folds *folds, double *room,
                        sp_fit_values *values, sp_error *err)
{
    serving_fit *fit = user;
    sp_fit_miss *misses = sp_alloc((fit->n_rows + SP_FIT_PRIOR_MISSES) * sizeof *misses);
    if (misses == NULL) return sp_fail(err, SP_E_MEMORY, "no memory for the fit");
    sp_status status = SP_OK;
    for (int metric = 0; metric < SP_N_DEPLOYED_METRICS && status == SP_OK; metric++) {
        status = find_widths(fit, (sp_deployed_metric)metric, left_out, folds, room, misses, values,
                             err);
    }
    sp_free(misses);
    return status;
}

/* ---- groups left out ---- */

static bool counts(const void *fit, uint32_t row)
{
    const sp_deployed_row *r = &((const serving_fit *)fit)->rows[row];
    return r->counts && r->asked.asked;
}

static sp_status predict(void *user, const sp_fit_values *values, const bool *chosen, sp_error *err)
{
    serving_fit *fit = user;
    set_engines(fit, values);
    for (uint32_t i = 0; i < fit->n_rows; i++) {
        sp_deployed_row *row = &fit->rows[i];
        if (!chosen[i]) continue;
        SP_TRY(sp_deployed_answer(&row->asked, false, &row->predicted, err));
    }
    return SP_OK;
}

/* Rows to fit to: none that is set aside, and of a source with many rows every so many. */
static void choose_rows(serving_fit *fit, const sp_csv *csv)
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
            if (!counts(fit, k) || !same_source(&fit->rows[k], &fit->rows[i])) continue;
            at += k < i;
            n++;
        }
        const uint64_t most = list->source_rows;
        if (n > most) fit->fitted[i] = (at + 1) * most / n > at * most / n;
    }
}

static void list_engines(serving_fit *fit)
{
    for (uint32_t i = 0; i < fit->n_rows; i++) {
        const sp_deployed_question *q = &fit->rows[i].asked;
        uint32_t e = 0;
        while (e < fit->n_engines && fit->engines[e].timing != q->timing) {
            e++;
        }
        if (!q->asked || e < fit->n_engines) continue;
        assert(fit->n_engines < MAX_ENGINES);
        fit->engines[fit->n_engines++] = (served_by){q->engine, q->timing, *q->timing};
    }
}

sp_status sp_deployed_cross_run(sp_deployed_score *score, const char *home, const sp_csv *csv,
                                const char *fold, sp_error *err)
{
    sp_fit_folds folds;
    sp_cross *cross = NULL;
    const sp_fit_words words = sp_fit_serving_words();
    SP_TRY(sp_cross_make(&score->arena, home, csv, &words, fold, &cross, &folds, err));
    serving_fit fit = {.list = &cross->list, .n_rows = score->n_rows, .rows = score->rows};
    fit.fitted = sp_arena_alloc(&score->arena, (fit.n_rows + 1) * sizeof *fit.fitted);
    if (fit.fitted == NULL) return sp_fail(err, SP_E_MEMORY, "no memory for the fit");
    choose_rows(&fit, csv);
    list_engines(&fit);
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
