/* SPDX-License-Identifier: Apache-2.0 */
/* A table of runs under other constants: problems are built once, a variant of each is priced with
 * the constants in hand, and the solver sees logarithms of predicted over measured. */
#include "fidelity/fit.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* ---- variants ---- */

static const char *engine_of(const sp_problem *problem)
{
    return problem->n_engines == 1 ? problem->engines[0].name : "any";
}

/* "fsdp", or "fsdp@<2.2": the profile of those versions alone. */
static bool is_profile(const char *which, const char *engine, const char *versions)
{
    const size_t length = strcspn(which, "@");
    if (strncmp(which, engine, length) != 0 || engine[length] != '\0') return false;
    return which[length] == '\0' || strcmp(which + length + 1, versions) == 0;
}

bool sp_fit_decides(const char *const *engines, uint32_t n_engines, uint32_t constant,
                    const char *engine, const sp_engine_profile *profile)
{
    const bool own = (profile->own >> constant & 1) != 0;
    for (uint32_t i = 0; i < n_engines; i++) {
        if (is_profile(engines[i], own ? engine : "any", own ? profile->versions : "*"))
            return true;
    }
    return false;
}

static uint32_t find_variant(sp_fit *fit, const sp_problem *problem)
{
    for (uint32_t i = fit->n_variants; i-- > 0;) {
        if (fit->variants[i].base == problem) return i;
    }
    fit->variants[fit->n_variants] =
        (sp_fit_variant){.base = problem, .engine = engine_of(problem)};
    return fit->n_variants++;
}

sp_status sp_fit_make(const sp_fit_list *list, sp_scored_row *rows, uint32_t n_rows, sp_fit *fit,
                      sp_error *err)
{
    const size_t n = (size_t)n_rows + 1;
    *fit = (sp_fit){.list = list, .n_rows = n_rows, .rows = rows};
    fit->variant_of = sp_alloc(n * sizeof *fit->variant_of);
    fit->variants = sp_alloc(n * sizeof *fit->variants);
    if (fit->variant_of == NULL || fit->variants == NULL) {
        sp_fit_fini(fit);
        return sp_fail(err, SP_E_MEMORY, "no memory for the fit");
    }
    for (uint32_t i = 0; i < n_rows; i++) {
        const sp_problem *problem = rows[i].asked.problem;
        fit->variant_of[i] = problem != NULL ? find_variant(fit, problem) : UINT32_MAX;
    }
    return SP_OK;
}

void sp_fit_fini(sp_fit *fit)
{
    sp_free(fit->variant_of);
    sp_free(fit->variants);
    *fit = (sp_fit){0};
}

static bool decides(const char *const *engines, uint32_t n_engines, uint32_t constant,
                    const sp_fit_variant *variant)
{
    return sp_fit_decides(engines, n_engines, constant, variant->engine, variant->base->profile);
}

static bool term_touches(const sp_fit_term *term, const sp_fit_variant *variant)
{
    for (uint32_t c = 0; c < term->n_constants; c++) {
        if (decides(term->engines, term->n_engines, term->constants[c], variant)) return true;
    }
    return false;
}

static void set_constant(const char *const *engines, uint32_t n_engines, uint32_t constant,
                         double value, sp_fit_variant *variant)
{
    if (value <= 0.0 || !decides(engines, n_engines, constant, variant)) return;
    sp_engine_constant_set(&variant->profile, constant, value);
}

static void build_variant(const sp_fit_list *list, const sp_fit_values *values,
                          sp_fit_variant *variant)
{
    variant->profile = *variant->base->profile;
    for (uint32_t t = 0; t < list->n_terms; t++) {
        const sp_fit_term *term = &list->terms[t];
        for (uint32_t c = 0; c < term->n_constants; c++) {
            set_constant(term->engines, term->n_engines, term->constants[c], values->term[t],
                         variant);
        }
    }
    for (uint32_t i = 0; i < list->n_intervals; i++) {
        const sp_fit_interval *interval = &list->intervals[i];
        set_constant(interval->engines, interval->n_engines, interval->constant,
                     values->interval[i], variant);
    }
    sp_problem_with_profile(variant->base, &variant->profile, &variant->problem);
}

static void build_variants(sp_fit *fit, const sp_fit_values *values)
{
    for (uint32_t i = 0; i < fit->n_variants; i++) {
        build_variant(fit->list, values, &fit->variants[i]);
    }
}

void sp_fit_predict(sp_fit *fit, const sp_fit_values *values, const bool *chosen)
{
    build_variants(fit, values);
    for (uint32_t i = 0; i < fit->n_rows; i++) {
        sp_scored_row *row = &fit->rows[i];
        if (row->asked.problem == NULL || (chosen != NULL && !chosen[i])) continue;
        sp_predict(&fit->variants[fit->variant_of[i]].problem, &row->asked, &row->predicted);
    }
}

/* ---- the fit of one metric ---- */

typedef struct metric_fit {
    sp_fit *fit;
    sp_metric_id metric;
    uint32_t n_terms;
    uint32_t terms[SP_FIT_MAX_TERMS]; /* of the list: those of the metric */
    sp_fit_prior priors[SP_FIT_MAX_TERMS];
    sp_fit_values values; /* of the other metric's terms, too */
    double *weights;
    bool *touched; /* variants that the changed unknown touches */
} metric_fit;

static void set_values(metric_fit *m, const double *x)
{
    for (uint32_t k = 0; k < m->n_terms; k++) {
        m->values.term[m->terms[k]] = exp(x[k]);
    }
}

static void price_rows(void *user, const double *x, uint32_t changed, double *out)
{
    metric_fit *m = user;
    sp_fit *fit = m->fit;
    set_values(m, x);
    for (uint32_t v = 0; v < fit->n_variants; v++) {
        m->touched[v] = changed == SP_FIT_ALL_TERMS ||
                        term_touches(&fit->list->terms[m->terms[changed]], &fit->variants[v]);
        if (m->touched[v]) build_variant(fit->list, &m->values, &fit->variants[v]);
    }
    for (uint32_t i = 0; i < fit->n_rows; i++) {
        sp_pair pair;
        if (m->weights[i] <= 0.0 || !m->touched[fit->variant_of[i]]) continue;
        (void)sp_pair_of(&fit->rows[i], m->metric, &pair);
        const sp_problem *problem = &fit->variants[fit->variant_of[i]].problem;
        out[i] = log(sp_predict_metric(problem, &fit->rows[i].asked, m->metric) / pair.measured);
    }
}

/* How many rows of a source count. */
static double count_rows(const metric_fit *m, const char *source, const bool *counts)
{
    double n = 0.0;
    for (uint32_t i = 0; i < m->fit->n_rows; i++) {
        n += counts[i] && strcmp(m->fit->rows[i].source, source) == 0;
    }
    return n;
}

/* Rows of a source share the weight of source_runs rows. */
static void weigh_rows(metric_fit *m, const bool *counts)
{
    const sp_fit_list *list = m->fit->list;
    const double of_source = list->source_runs / (list->residual_ratio * list->residual_ratio);
    const char *source = "";
    double each = 0.0;
    for (uint32_t i = 0; i < m->fit->n_rows; i++) {
        if (!counts[i]) continue;
        if (strcmp(m->fit->rows[i].source, source) != 0) {
            source = m->fit->rows[i].source;
            each = of_source / count_rows(m, source, counts);
        }
        m->weights[i] = each;
    }
}

/* Which rows have a figure to be compared. */
static void find_counting(const sp_fit *fit, sp_metric_id metric, const bool *left_out,
                          bool *counts)
{
    sp_pair pair;
    for (uint32_t i = 0; i < fit->n_rows; i++) {
        counts[i] = sp_pair_of(&fit->rows[i], metric, &pair) && (left_out == NULL || !left_out[i]);
    }
}

static void choose_terms(metric_fit *m, const sp_fit_values *start, double *x)
{
    const sp_fit_list *list = m->fit->list;
    for (uint32_t t = 0; t < list->n_terms; t++) {
        const sp_fit_term *term = &list->terms[t];
        if (term->metric != m->metric) continue;
        m->terms[m->n_terms] = t;
        m->priors[m->n_terms] = term->prior;
        x[m->n_terms++] = start->term[t] > 0.0 ? log(start->term[t]) : term->prior.centre;
    }
}

static void close_metric(metric_fit *m)
{
    sp_free(m->weights);
    sp_free(m->touched);
}

/* Terms and weights of a metric; x is where to begin. */
static sp_status open_metric(sp_fit *fit, sp_metric_id metric, const bool *left_out,
                             const sp_fit_values *values, metric_fit *m, double *x, sp_error *err)
{
    *m = (metric_fit){.fit = fit, .metric = metric, .values = *values};
    choose_terms(m, values, x);
    bool *counts = sp_alloc(((size_t)fit->n_rows + 1) * sizeof *counts);
    m->weights = sp_alloc(((size_t)fit->n_rows + 1) * sizeof *m->weights);
    m->touched = sp_alloc(((size_t)fit->n_variants + 1) * sizeof *m->touched);
    const bool failed = counts == NULL || m->weights == NULL || m->touched == NULL;
    if (failed) {
        close_metric(m);
    } else {
        find_counting(fit, metric, left_out, counts);
        weigh_rows(m, counts);
    }
    sp_free(counts);
    return failed ? sp_fail(err, SP_E_MEMORY, "no memory for the fit") : SP_OK;
}

static sp_fit_task task_of(metric_fit *m)
{
    const sp_fit *fit = m->fit;
    return (sp_fit_task){.n_terms = m->n_terms,
                         .n_rows = fit->n_rows,
                         .priors = m->priors,
                         .weights = m->weights,
                         .huber = fit->list->huber_ratio,
                         .residuals = price_rows,
                         .user = m};
}

static sp_status fit_metric(sp_fit *fit, sp_metric_id metric, const bool *left_out,
                            sp_fit_values *values, sp_error *err)
{
    double x[SP_FIT_MAX_TERMS];
    metric_fit m;
    SP_TRY(open_metric(fit, metric, left_out, values, &m, x, err));
    const sp_fit_task task = task_of(&m);
    const sp_status status = sp_fit_solve(&task, x, err);
    set_values(&m, x);
    memcpy(values->term, m.values.term, sizeof values->term);
    close_metric(&m);
    return status;
}

sp_status sp_fit_run(sp_fit *fit, const bool *left_out, sp_fit_values *values, sp_error *err)
{
    *values = (sp_fit_values){0};
    for (sp_metric_id metric = 0; metric < SP_N_METRICS; metric++) {
        SP_TRY(fit_metric(fit, metric, left_out, values, err));
    }
    return SP_OK;
}

sp_status sp_fit_misses(sp_fit *fit, sp_metric_id metric, const bool *left_out,
                        const sp_fit_folds *folds, const sp_fit_values *values, double *ratios,
                        sp_error *err)
{
    double x[SP_FIT_MAX_TERMS];
    metric_fit m;
    SP_TRY(open_metric(fit, metric, left_out, values, &m, x, err));
    const sp_fit_task task = task_of(&m);
    const sp_status status = sp_fit_leave_out(&task, x, folds->of_row, folds->n, ratios, err);
    for (uint32_t i = 0; i < fit->n_rows; i++) {
        ratios[i] = m.weights[i] > 0.0 ? exp(-ratios[i]) : 0.0;
    }
    close_metric(&m);
    return status;
}
