/* SPDX-License-Identifier: Apache-2.0 */
/* The score of a table of training runs: which rows count, what was predicted for them, and figures
 * of merit by source, over sources, and of rankings and out-of-memory calls. */
#include "fidelity/fit.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *sp_metric_name(sp_metric_id metric)
{
    static const char *const names[SP_N_METRICS] = {"step_time", "memory_peak"};
    assert(metric < SP_N_METRICS);
    return names[metric];
}

/* ---- coverage ---- */

static bool is_eligible(const sp_scored_row *row)
{
    return row->for_step || row->for_memory;
}

static bool is_core(const sp_scored_row *row)
{
    return row->core;
}

static sp_status count_coverage(sp_score *score, bool (*chosen)(const sp_scored_row *),
                                sp_coverage *out, sp_error *err)
{
    out->skipped = sp_arena_alloc(&score->arena, (score->n_rows + 1) * sizeof *out->skipped);
    if (out->skipped == NULL) return sp_fail(err, SP_E_MEMORY, "no memory for the score");
    for (uint32_t i = 0; i < score->n_rows; i++) {
        const sp_scored_row *row = &score->rows[i];
        if (!chosen(row)) continue;
        out->n_rows++;
        out->n_predicted += row->predicted.made;
        if (!row->predicted.made) sp_coverage_skip(out, row->asked.reason.text);
    }
    sp_coverage_sort(out);
    return SP_OK;
}

/* ---- metrics ---- */

/* Room for what is worked out from the rows; freed at the end. */
typedef struct workspace {
    sp_pair *pairs;
    double *values;
    sp_metric *metrics;
    bool failed;
} workspace;

static uint32_t collect(const sp_score *score, const char *source, sp_metric_id metric,
                        sp_pair *pairs)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < score->n_rows; i++) {
        if (strcmp(score->rows[i].source, source) != 0) continue;
        n += sp_pair_of(&score->rows[i], metric, &pairs[n]);
    }
    return n;
}

/* The mean over sources; the rows of small ones count as one source. */
static void score_metric(sp_score *score, sp_metric_id metric, workspace *w)
{
    uint32_t n_metrics = 0, n_pooled = 0;
    for (uint32_t s = 0; s < score->n_sources; s++) {
        sp_source_score *source = &score->sources[s];
        sp_pair *pairs = w->pairs + n_pooled;
        const uint32_t n = collect(score, source->name, metric, pairs);
        source->metric[metric] = sp_metric_of(pairs, n, &w->failed);
        if (n >= SP_MIN_SOURCE_ROWS) {
            w->metrics[n_metrics++] = source->metric[metric];
        } else {
            n_pooled += n;
        }
    }
    if (n_pooled > 0) w->metrics[n_metrics++] = sp_metric_of(w->pairs, n_pooled, &w->failed);
    score->overall[metric] = sp_metric_mean(w->metrics, n_metrics);
}

/* ---- rankings ---- */

static bool in_set(const sp_scored_row *row, const char *source, const char *set)
{
    return strcmp(row->source, source) == 0 && strcmp(row->rank_set, set) == 0;
}

/* Is this the first row of its set in its source? */
static bool begins_set(const sp_score *score, uint32_t idx)
{
    const sp_scored_row *row = &score->rows[idx];
    for (uint32_t i = 0; i < idx; i++) {
        if (in_set(&score->rows[i], row->source, row->rank_set)) return false;
    }
    return row->rank_set[0] != '\0';
}

/* The choice among the rows of a set; false where fewer than two can be compared. */
static bool score_set(const sp_score *score, uint32_t first, workspace *w, sp_choice *choice)
{
    uint32_t n = 0;
    const sp_scored_row *row = &score->rows[first];
    for (uint32_t i = first; i < score->n_rows; i++) {
        if (!in_set(&score->rows[i], row->source, row->rank_set)) continue;
        n += sp_pair_of(&score->rows[i], SP_METRIC_STEP, &w->pairs[n]);
    }
    if (n >= 2) *choice = sp_choice_of(w->pairs, n, &w->failed);
    return n >= 2;
}

static sp_rank_score rank_source(const sp_score *score, const char *source, workspace *w)
{
    sp_rank_score out = {0};
    double *spearman = w->values, *regret = w->values + score->n_rows;
    uint32_t n_spearman = 0, n_best = 0;
    for (uint32_t i = 0; i < score->n_rows; i++) {
        sp_choice choice;
        if (strcmp(score->rows[i].source, source) != 0 || !begins_set(score, i)) continue;
        if (!score_set(score, i, w, &choice)) continue;
        if (!isnan(choice.spearman)) spearman[n_spearman++] = choice.spearman;
        regret[out.n++] = choice.regret;
        n_best += choice.best;
    }
    out.spearman_median = sp_quantile_of(spearman, n_spearman, 0.5);
    out.regret_median = sp_quantile_of(regret, out.n, 0.5);
    out.regret_p90 = sp_quantile_of(regret, out.n, 0.9);
    out.best_picked_ratio = out.n > 0 ? (double)n_best / out.n : (double)NAN;
    return out;
}

/* Each source first, then the mean over sources that have a set. */
static void score_ranks(sp_score *score, workspace *w)
{
    const size_t stride = score->n_sources;
    double *figures = sp_alloc((4 * stride + 1) * sizeof *figures);
    w->failed = w->failed || figures == NULL;
    if (figures == NULL) return;
    for (uint32_t s = 0; s < score->n_sources; s++) {
        sp_source_score *source = &score->sources[s];
        source->ranks = rank_source(score, source->name, w);
        score->ranks.n += source->ranks.n;
        figures[s] = source->ranks.spearman_median;
        figures[stride + s] = source->ranks.regret_median;
        figures[2 * stride + s] = source->ranks.regret_p90;
        figures[3 * stride + s] = source->ranks.best_picked_ratio;
    }
    score->ranks.spearman_median = sp_mean_of(figures, stride);
    score->ranks.regret_median = sp_mean_of(figures + stride, stride);
    score->ranks.regret_p90 = sp_mean_of(figures + 2 * stride, stride);
    score->ranks.best_picked_ratio = sp_mean_of(figures + 3 * stride, stride);
    sp_free(figures);
}

/* ---- all of it ---- */

static void count_rows(sp_score *score)
{
    for (uint32_t i = 0; i < score->n_rows; i++) {
        const sp_scored_row *row = &score->rows[i];
        const bool called = row->predicted.made && !row->predicted.fits;
        sp_pair pair;
        score->n_scored +=
            sp_pair_of(row, SP_METRIC_STEP, &pair) || sp_pair_of(row, SP_METRIC_MEMORY, &pair);
        if (!is_eligible(row)) continue;
        *(row->oom ? &score->n_oom : &score->n_ran) += 1;
        *(row->oom ? &score->n_oom_called : &score->n_ran_called) += called;
    }
}

static int by_name(const void *a, const void *b)
{
    const sp_source_score *x = a, *y = b;
    return strcmp(x->name, y->name);
}

/* Sources with an eligible row. */
static sp_status list_sources(sp_score *score, sp_error *err)
{
    score->sources = sp_arena_alloc(&score->arena, (score->n_rows + 1) * sizeof *score->sources);
    if (score->sources == NULL) return sp_fail(err, SP_E_MEMORY, "no memory for the score");
    for (uint32_t i = 0; i < score->n_rows; i++) {
        uint32_t s = 0;
        while (s < score->n_sources && strcmp(score->sources[s].name, score->rows[i].source) != 0) {
            s++;
        }
        if (s < score->n_sources || !is_eligible(&score->rows[i])) continue;
        score->sources[score->n_sources++].name = score->rows[i].source;
    }
    qsort(score->sources, score->n_sources, sizeof *score->sources, by_name);
    return SP_OK;
}

static sp_status score_rows(sp_score *score, sp_error *err)
{
    SP_TRY(count_coverage(score, is_eligible, &score->eligible, err));
    SP_TRY(count_coverage(score, is_core, &score->core, err));
    SP_TRY(list_sources(score, err));
    count_rows(score);
    const size_t n = score->n_rows + 1;
    workspace w = {.pairs = sp_alloc(n * sizeof *w.pairs),
                   .values = sp_alloc(2 * n * sizeof *w.values),
                   .metrics = sp_alloc((score->n_sources + 1) * sizeof *w.metrics)};
    w.failed = w.pairs == NULL || w.values == NULL || w.metrics == NULL;
    if (!w.failed) {
        score_metric(score, SP_METRIC_STEP, &w);
        score_metric(score, SP_METRIC_MEMORY, &w);
        score_ranks(score, &w);
    }
    sp_free(w.pairs);
    sp_free(w.values);
    sp_free(w.metrics);
    return w.failed ? sp_fail(err, SP_E_MEMORY, "no memory for the score") : SP_OK;
}

static sp_status score_table(sp_score *score, const char *home, const sp_table *table,
                             const char *fold, sp_error *err)
{
    sp_predictor *predictor = NULL;
    SP_TRY(sp_map_load(&score->arena, home, &table->csv, &score->map, err));
    SP_TRY(sp_predictor_make(home, table, &score->map, &predictor, err));
    sp_status status = sp_score_read(score, table, predictor, err);
    if (status == SP_OK && fold != NULL) status = sp_cross_run(score, home, &table->csv, fold, err);
    if (status == SP_OK) status = score_rows(score, err);
    if (status == SP_OK && fold != NULL) {
        status = sp_site_spread(score, &score->cross->spread, err);
    }
    sp_score_forget(score);
    sp_predictor_free(predictor);
    return status;
}

sp_status sp_score_training(const char *home, const char *file, const char *fold, sp_score **score,
                            sp_error *err)
{
    sp_table table = {0};
    *score = sp_alloc(sizeof **score);
    if (*score == NULL) return sp_fail(err, SP_E_MEMORY, "no memory for the score");
    sp_status status = sp_table_load(file, &table, err);
    if (status == SP_OK) status = score_table(*score, home, &table, fold, err);
    sp_table_fini(&table);
    if (status == SP_OK) return SP_OK;
    sp_score_free(*score);
    *score = NULL;
    return status;
}

void sp_score_free(sp_score *score)
{
    if (score == NULL) return;
    sp_arena_fini(&score->arena);
    sp_free(score);
}
