/* SPDX-License-Identifier: Apache-2.0 */
/* A table of deployments under other constants of their engines: questions are asked once and
 * answered with the constants in hand; the solver sees logarithms of predicted over measured. Times
 * per token come first. What a simulated run answers moves with a constant as the closed form does,
 * so that a few runs, which say where it is, are enough. */
#include "fidelity/fit_serving.h"

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

bool sp_fit_names(const char *const *engines, uint32_t n, const char *engine)
{
    for (uint32_t i = 0; i < n; i++) {
        if (strcmp(engines[i], engine) == 0) return true;
    }
    return false;
}

static void set_engine(const sp_fit_list *list, const sp_fit_values *values, sp_fit_engine *engine)
{
    *engine->timing = engine->shipped;
    for (uint32_t t = 0; t < list->n_terms; t++) {
        const sp_fit_term *term = &list->terms[t];
        if (values->term[t] <= 0.0 || !sp_fit_names(term->engines, term->n_engines, engine->name)) {
            continue;
        }
        for (uint32_t c = 0; c < term->n_constants; c++) {
            sp_timing_set(engine->timing, term->constants[c], values->term[t]);
        }
    }
    for (uint32_t i = 0; i < list->n_intervals; i++) {
        const sp_fit_interval *interval = &list->intervals[i];
        if (values->interval[i] > 0.0 &&
            sp_fit_names(interval->engines, interval->n_engines, engine->name)) {
            sp_timing_set(engine->timing, interval->constant, values->interval[i]);
        }
    }
}

void sp_serving_fit_set(sp_serving_fit *fit, const sp_fit_values *values)
{
    for (uint32_t e = 0; e < fit->n_engines; e++) {
        set_engine(fit->list, values, &fit->engines[e]);
    }
}

sp_status sp_serving_fit_run_rows(sp_serving_fit *fit, const bool *left_out,
                                  const sp_fit_values *values,
                                  double *const beyond[SP_N_DEPLOYED_METRICS], sp_error *err)
{
    sp_serving_fit_set(fit, values);
    for (uint32_t i = 0; i < fit->n_rows; i++) {
        sp_deployed_prediction run, closed;
        const sp_deployed_question *asked = &fit->rows[i].asked;
        if (!fit->fitted[i] || (left_out != NULL && left_out[i])) continue;
        SP_TRY(sp_deployed_answer(asked, false, &run, err));
        SP_TRY(sp_deployed_answer(asked, true, &closed, err));
        for (int m = 0; m < SP_N_DEPLOYED_METRICS; m++) {
            beyond[m][i] = log(run.value[m] / closed.value[m]);
        }
    }
    return SP_OK;
}

/* ---- the fit of one metric ---- */

typedef struct metric_fit {
    sp_serving_fit *fit;
    sp_deployed_metric metric;
    uint32_t n_terms;
    uint32_t terms[SP_FIT_MAX_TERMS]; /* of the list: those of the metric */
    sp_fit_prior priors[SP_FIT_MAX_TERMS];
    sp_fit_values values;
    double *weights;
    const double *beyond; /* believed or found of the fit */
    sp_error failure;     /* of an answer: the first */
} metric_fit;

static void set_values(metric_fit *m, const double *x)
{
    for (uint32_t k = 0; k < m->n_terms; k++) {
        m->values.term[m->terms[k]] = exp(x[k]);
    }
    sp_serving_fit_set(m->fit, &m->values);
}

static void price_rows(void *user, const double *x, uint32_t changed, double *out)
{
    metric_fit *m = user;
    const sp_fit_term *term =
        changed != SP_FIT_ALL_TERMS ? &m->fit->list->terms[m->terms[changed]] : NULL;
    set_values(m, x);
    for (uint32_t i = 0; i < m->fit->n_rows && m->failure.status == SP_OK; i++) {
        sp_deployed_prediction p;
        const sp_deployed_row *row = &m->fit->rows[i];
        if (m->weights[i] <= 0.0) continue;
        if (term != NULL && !sp_fit_names(term->engines, term->n_engines, row->asked.engine))
            continue;
        if (sp_deployed_answer(&row->asked, true, &p, &m->failure) != SP_OK) return;
        out[i] = log(p.value[m->metric] / row->measured[m->metric]) + m->beyond[i];
    }
}

bool sp_deployed_same_source(const sp_deployed_row *a, const sp_deployed_row *b)
{
    return a->mode == b->mode && strcmp(a->source, b->source) == 0;
}

/* Rows of a source share the weight of source_runs rows. */
static void weigh_rows(metric_fit *m, const bool *left_out)
{
    const sp_serving_fit *fit = m->fit;
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
            n += m->weights[k] > 0.0 && sp_deployed_same_source(&fit->rows[k], &fit->rows[i]);
        }
        for (uint32_t k = i; k < fit->n_rows; k++) {
            if (m->weights[k] > 0.0 && sp_deployed_same_source(&fit->rows[k], &fit->rows[i])) {
                m->weights[k] = n > 1 ? of_source / n : nextafter(of_source, 0.0);
            }
        }
    }
}

static sp_status open_metric(sp_serving_fit *fit, sp_deployed_metric metric, const bool *left_out,
                             const sp_fit_values *values, metric_fit *m, double *x, sp_error *err)
{
    const sp_fit_list *list = fit->list;
    *m = (metric_fit){
        .fit = fit, .metric = metric, .values = *values, .beyond = fit->believed[metric]};
    for (uint32_t t = 0; t < list->n_terms; t++) {
        const sp_fit_term *term = &list->terms[t];
        if (term->metric != (uint32_t)metric) continue;
        m->terms[m->n_terms] = t;
        m->priors[m->n_terms] = term->prior;
        x[m->n_terms++] = values->term[t] > 0.0 ? log(values->term[t]) : term->prior.centre;
    }
    m->weights = sp_alloc(((size_t)fit->n_rows + 1) * sizeof *m->weights);
    if (m->weights == NULL) return sp_fail(err, SP_E_MEMORY, "no memory for the fit");
    weigh_rows(m, left_out);
    return SP_OK;
}

static sp_status pass_on(const metric_fit *m, sp_error *err)
{
    if (m->failure.status != SP_OK) *err = m->failure;
    return m->failure.status;
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

static sp_status fit_metric(sp_serving_fit *fit, sp_deployed_metric metric, const bool *left_out,
                            sp_fit_values *values, sp_error *err)
{
    double x[SP_FIT_MAX_TERMS];
    metric_fit m;
    SP_TRY(open_metric(fit, metric, left_out, values, &m, x, err));
    const sp_fit_task task = task_of(&m);
    sp_status status = m.n_terms > 0 ? sp_fit_solve(&task, x, err) : SP_OK;
    if (status == SP_OK) status = pass_on(&m, err);
    set_values(&m, x);
    memcpy(values->term, m.values.term, sizeof values->term);
    sp_free(m.weights);
    return status;
}

sp_status sp_serving_fit_run(sp_serving_fit *fit, const bool *left_out, sp_fit_values *values,
                             sp_error *err)
{
    *values = (sp_fit_values){0};
    for (int metric = 0; metric < SP_N_DEPLOYED_METRICS; metric++) {
        SP_TRY(fit_metric(fit, (sp_deployed_metric)metric, left_out, values, err));
    }
    return SP_OK;
}

sp_status sp_serving_fit_misses(sp_serving_fit *fit, sp_deployed_metric metric,
                                const bool *left_out, const sp_fit_folds *folds,
                                const sp_fit_values *values, double *residuals, sp_error *err)
{
    double x[SP_FIT_MAX_TERMS];
    metric_fit m;
    SP_TRY(open_metric(fit, metric, left_out, values, &m, x, err));
    m.beyond = fit->found[metric];
    const sp_fit_task task = task_of(&m);
    sp_status status = sp_fit_leave_out(&task, x, folds->of_row, folds->n, residuals, err);
    if (status == SP_OK) status = pass_on(&m, err);
    for (uint32_t i = 0; i < fit->n_rows; i++) {
        if (m.weights[i] <= 0.0) residuals[i] = NAN;
    }
    sp_free(m.weights);
    return status;
}
