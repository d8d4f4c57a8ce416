/* SPDX-License-Identifier: Apache-2.0 */
/* The site factor: what a few whole steps of one's own cluster say about all of them. Logarithms of
 * measured over predicted are normal about the site's offset, offsets of sites about 0; the
 * posterior of the offset is shrunk towards 0 the more, the fewer the runs and the more they
 * differ. Source: Gelman et al., Bayesian Data Analysis, section 2.5. */
#include "fidelity/fit.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* 80 % of a normal distribution lie within so many standard deviations of its mean: the root of
 * erfc(z / sqrt 2) / 2 = 0.1. */
static const double NORMAL_P90 = 1.2815515655446004;

/* Of the offset: mean and variance once n logarithms with this sum are known. */
static void update(const sp_site_prior *prior, double sum, double n, double *mean, double *variance)
{
    const double of_run = prior->run_ratio * prior->run_ratio;
    const double of_site = prior->site_ratio * prior->site_ratio;
    const double precision = n / of_run + 1.0 / of_site;
    *variance = 1.0 / precision;
    *mean = sum / of_run / precision;
}

sp_site sp_site_of(const sp_site_prior *prior, const sp_pair *pairs, uint32_t n, double *apes)
{
    assert(n > 0 && prior->run_ratio > 0.0 && prior->site_ratio > 0.0);
    double sum = 0.0, mean = 0.0, variance = 0.0;
    for (uint32_t i = 0; i < n; i++) {
        sum += log(pairs[i].measured / pairs[i].predicted);
    }
    sp_site site = {.n = n};
    for (uint32_t i = 0; i < n; i++) {
        apes[i] = fabs(pairs[i].predicted / pairs[i].measured - 1.0);
    }
    site.raw_median_ape = sp_quantile_of(apes, n, 0.5);
    for (uint32_t i = 0; i < n; i++) {
        const double without = sum - log(pairs[i].measured / pairs[i].predicted);
        update(prior, without, n - 1.0, &mean, &variance);
        apes[i] = fabs(pairs[i].predicted * exp(mean) / pairs[i].measured - 1.0);
    }
    site.left_out_median_ape = sp_quantile_of(apes, n, 0.5);
    update(prior, sum, n, &mean, &variance);
    const double of_run = prior->run_ratio * prior->run_ratio;
    const double spread = NORMAL_P90 * sqrt(variance);
    site.factor = exp(mean);
    site.low = exp(mean - spread);
    site.high = exp(mean + spread);
    site.step_error_ratio = expm1(NORMAL_P90 * sqrt(variance + of_run));
    return site;
}

/* ---- spreads of sites and of runs ---- */

/* 1.4826 times the median distance from `centre` is the deviation of a normal distribution. */
static double spread_about(double *values, size_t n, double centre)
{
    for (size_t i = 0; i < n; i++) {
        values[i] = fabs(values[i] - centre);
    }
    return 1.4826 * sp_quantile_of(values, n, 0.5);
}

static uint32_t collect(const sp_score *score, const char *source, double *logs)
{
    uint32_t n = 0;
    sp_pair pair;
    for (uint32_t i = 0; i < score->n_rows; i++) {
        const sp_scored_row *row = &score->rows[i];
        if (source != NULL && strcmp(row->source, source) != 0) continue;
        if (sp_pair_of(row, SP_METRIC_STEP, &pair)) logs[n++] = log(pair.measured / pair.predicted);
    }
    return n;
}

sp_status sp_site_spread(const sp_score *score, sp_site_prior *prior, sp_error *err)
{
    double *logs = sp_alloc(((size_t)score->n_rows + score->n_sources + 1) * sizeof *logs);
    if (logs == NULL) return sp_fail(err, SP_E_MEMORY, "no memory for the spread of sites");
    double *offsets = logs + score->n_rows, within = 0.0;
    uint32_t n_sites = 0;
    for (uint32_t s = 0; s < score->n_sources; s++) {
        const uint32_t n = collect(score, score->sources[s].name, logs);
        if (n < SP_MIN_SOURCE_ROWS) continue;
        offsets[n_sites] = sp_quantile_of(logs, n, 0.5);
        within += spread_about(logs, n, offsets[n_sites++]);
    }
    *prior = (sp_site_prior){0};
    if (n_sites > 0) {
        prior->run_ratio = within / n_sites;
        prior->site_ratio = spread_about(offsets, n_sites, 0.0);
    }
    sp_free(logs);
    return SP_OK;
}

/* ---- a table of one site ---- */

/* Every row with a step counts: it is the user's own. */
static sp_status measure(const sp_table *table, const sp_fit_list *list, const char *home,
                         sp_score *score, sp_site *site, sp_error *err)
{
    sp_predictor *predictor = NULL;
    SP_TRY(sp_map_load(&score->arena, home, &table->csv, &score->map, err));
    SP_TRY(sp_predictor_make(home, table, &score->map, &predictor, err));
    const sp_status status = sp_score_read(score, table, predictor, err);
    sp_predictor_free(predictor);
    if (status != SP_OK) return status;
    sp_pair *pairs = sp_arena_alloc(&score->arena, ((size_t)score->n_rows + 1) * sizeof *pairs);
    double *apes = sp_arena_alloc(&score->arena, ((size_t)score->n_rows + 1) * sizeof *apes);
    if (pairs == NULL || apes == NULL) return sp_fail(err, SP_E_MEMORY, "no memory for the site");
    uint32_t n = 0;
    for (uint32_t i = 0; i < score->n_rows; i++) {
        score->rows[i].for_step = true;
        n += sp_pair_of(&score->rows[i], SP_METRIC_STEP, &pairs[n]);
    }
    if (n == 0) {
        sp_fail(err, SP_E_RANGE, "no row has a step that was measured and can be predicted");
        return sp_fail_file(err, table->csv.file);
    }
    *site = sp_site_of(&list->site, pairs, n, apes);
    return SP_OK;
}

sp_status sp_site_measure(const char *home, const char *file, sp_site *site, sp_error *err)
{
    sp_table table = {0};
    sp_fit_list list;
    sp_score *score = sp_alloc(sizeof *score);
    if (score == NULL) return sp_fail(err, SP_E_MEMORY, "no memory for the site");
    sp_status status = sp_table_load(file, &table, err);
    const sp_fit_words words = sp_fit_training_words();
    if (status == SP_OK) {
        status = sp_fit_list_load(&score->arena, home, &table.csv, &words, &list, err);
    }
    if (status == SP_OK) status = measure(&table, &list, home, score, site, err);
    sp_table_fini(&table);
    sp_score_free(score);
    return status;
}

/* ---- for programs and for people ---- */

void sp_site_json(const sp_site *site, struct sp_text *out)
{
    sp_json_writer w;
    sp_jw_init(&w, out);
    sp_jw_open_object(&w, NULL);
    sp_jw_string(&w, "schema", "shardplan/site/1");
    sp_jw_u64(&w, "runs", site->n);
    sp_jw_double(&w, "factor", site->factor);
    sp_jw_double(&w, "factor_low", site->low);
    sp_jw_double(&w, "factor_high", site->high);
    sp_jw_double(&w, "step_error_ratio", site->step_error_ratio);
    sp_jw_double(&w, "raw_median_ape", site->raw_median_ape);
    sp_jw_double(&w, "left_out_median_ape", site->left_out_median_ape);
    sp_jw_close_object(&w);
    sp_text_add(out, "\n");
}

void sp_site_page(const sp_site *site, struct sp_text *out)
{
    sp_text_printf(
        out,
        "Steps of this site take %.3f times the estimate (80 %%: %.3f to %.3f), from %u runs.\n",
        site->factor, site->low, site->high, site->n);
    sp_text_printf(
        out,
        "Median error: %.1f %% as estimated, %.1f %% of each run corrected by the "
        "others alone;\n8 of 10 further runs lie within %.1f %% of the corrected step.\n",
        100.0 * site->raw_median_ape, 100.0 * site->left_out_median_ape,
        100.0 * site->step_error_ratio);
}
