/* SPDX-License-Identifier: Apache-2.0 */
/* The score of a table of deployments: errors by mode and by source, and how often the best of the
 * layouts measured under one workload is picked. */
#include "fidelity/deployed.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A pick within this share of the best counts as right: what repeated runs differ by. */
#define EQUAL_RATE_RATIO 0.02

const char *sp_deployed_metric_name(sp_deployed_metric metric)
{
    static const char *const names[SP_N_DEPLOYED_METRICS] = {"ttft", "tpot",
                                                             "tokens_per_s_per_gpu"};
    assert(metric < SP_N_DEPLOYED_METRICS);
    return names[metric];
}

const char *sp_deployed_mode_name(sp_deployed_mode mode)
{
    static const char *const names[SP_N_DEPLOYED_MODES] = {"agg", "disagg"};
    assert(mode < SP_N_DEPLOYED_MODES);
    return names[mode];
}

/* ---- rows ---- */

static sp_status keep_text(const char *const *kept, sp_error *err)
{
    return *kept != NULL ? SP_OK : sp_fail(err, SP_E_MEMORY, "no memory for the score");
}

static bool counts(const sp_deployed_table *t, uint32_t row, sp_deployed_mode mode)
{
    const char *status = sp_deployed_text(t, row, SP_DEPLOYED_STATUS);
    if (strcmp(sp_deployed_text(t, row, SP_DEPLOYED_REPEAT), "1") == 0) return false;
    if (mode == SP_DEPLOYED_AGG) {
        return strcmp(status, "as_recorded") == 0 || strcmp(status, "corrected") == 0;
    }
    return strstr(sp_deployed_text(t, row, SP_DEPLOYED_FLAGS), "disagg_workers_unrecorded") == NULL;
}

static sp_status read_names(sp_deployed_score *score, const sp_deployed_table *t, uint32_t row,
                            sp_deployed_row *out, sp_error *err)
{
    const char *model = sp_deployed_text(t, row, SP_DEPLOYED_MODEL);
    const char *system = sp_deployed_text(t, row, SP_DEPLOYED_SYSTEM);
    const char *backend = sp_deployed_text(t, row, SP_DEPLOYED_BACKEND);
    const char *mode = sp_deployed_text(t, row, SP_DEPLOYED_MODE);
    out->id = sp_arena_strdup(&score->arena, sp_deployed_text(t, row, SP_DEPLOYED_ID));
    SP_TRY(keep_text(&out->id, err));
    out->source = sp_arena_printf(&score->arena, "%s %s %s", backend, model, system);
    SP_TRY(keep_text(&out->source, err));
    out->mode = strcmp(mode, "disagg") == 0 ? SP_DEPLOYED_DISAGG : SP_DEPLOYED_AGG;
    out->set = sp_arena_printf(&score->arena, "%s %s %s %s %s %s %s", backend, model, system, mode,
                               sp_deployed_text(t, row, SP_DEPLOYED_ISL),
                               sp_deployed_text(t, row, SP_DEPLOYED_OSL),
                               sp_deployed_text(t, row, SP_DEPLOYED_CONCURRENCY));
    return keep_text(&out->set, err);
}

static sp_status read_row(sp_deployed_score *score, const sp_deployed_table *t, uint32_t row,
                          sp_deployed_row *out, sp_error *err)
{
    double ttft_ms = 0.0, tpot_ms = 0.0;
    SP_TRY(read_names(score, t, row, out, err));
    SP_TRY(sp_deployed_double(t, row, SP_DEPLOYED_TTFT_MS, &ttft_ms, err));
    SP_TRY(sp_deployed_double(t, row, SP_DEPLOYED_TPOT_MS, &tpot_ms, err));
    SP_TRY(sp_deployed_double(t, row, SP_DEPLOYED_GPUS, &out->gpus, err));
    SP_TRY(sp_deployed_double(t, row, SP_DEPLOYED_TOK_S_GPU,
                              &out->measured[SP_DEPLOYED_METRIC_RATE], err));
    out->measured[SP_DEPLOYED_METRIC_TTFT] = 1e-3 * ttft_ms;
    out->measured[SP_DEPLOYED_METRIC_TPOT] = 1e-3 * tpot_ms;
    out->counts = counts(t, row, out->mode);
    return SP_OK;
}

static sp_status predict_rows(sp_deployed_score *score, const char *home, const char *models,
                              const sp_deployed_table *table, sp_error *err)
{
    sp_deployed_predictor *predictor = NULL;
    SP_TRY(sp_deployed_predictor_make(home, models, table, &score->map, &predictor, err));
    sp_status status = SP_OK;
    for (uint32_t i = 0; i < score->n_rows && status == SP_OK; i++) {
        status = read_row(score, table, i, &score->rows[i], err);
        if (status == SP_OK) {
            status = sp_deployed_predict(predictor, i, &score->rows[i].predicted, err);
        }
    }
    sp_deployed_predictor_free(predictor);
    return status;
}

/* ---- metrics ---- */

static double predicted_of(const sp_deployed_prediction *p, sp_deployed_metric metric)
{
    const double values[SP_N_DEPLOYED_METRICS] = {p->ttft_s, p->tpot_s, p->tokens_per_s_per_gpu};
    return values[metric];
}

static bool pair_of(const sp_deployed_row *row, sp_deployed_metric metric, sp_pair *pair)
{
    const double value = predicted_of(&row->predicted, metric);
    const double wide = 1.0 + row->predicted.spread_ratio;
    *pair = (sp_pair){value, value / wide, value * wide, row->measured[metric]};
    return row->counts && row->predicted.made && pair->measured > 0.0;
}

static sp_metric metric_of(const sp_deployed_score *score, const char *source,
                           sp_deployed_mode mode, sp_deployed_metric metric, sp_pair *pairs,
                           bool *failed)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < score->n_rows; i++) {
        const sp_deployed_row *row = &score->rows[i];
        if (row->mode != mode || (source != NULL && strcmp(row->source, source) != 0)) continue;
        n += pair_of(row, metric, &pairs[n]);
    }
    return sp_metric_of(pairs, n, failed);
}

static int by_name(const void *a, const void *b)
{
    const sp_deployed_source *x = a, *y = b;
    return x->mode != y->mode ? (x->mode > y->mode) - (x->mode < y->mode)
                              : strcmp(x->name, y->name);
}

static void list_sources(sp_deployed_score *score)
{
    for (uint32_t i = 0; i < score->n_rows; i++) {
        const sp_deployed_row *row = &score->rows[i];
        uint32_t s = 0;
        while (s < score->n_sources && (strcmp(score->sources[s].name, row->source) != 0 ||
                                        score->sources[s].mode != row->mode)) {
            s++;
        }
        if (s < score->n_sources || !row->counts) continue;
        score->sources[score->n_sources++] =
            (sp_deployed_source){.name = row->source, .mode = row->mode};
    }
    qsort(score->sources, score->n_sources, sizeof *score->sources, by_name);
}

static void score_metrics(sp_deployed_score *score, sp_pair *pairs, bool *failed)
{
    for (int m = 0; m < SP_N_DEPLOYED_METRICS; m++) {
        const sp_deployed_metric metric = (sp_deployed_metric)m;
        for (int mode = 0; mode < SP_N_DEPLOYED_MODES; mode++) {
            score->by_mode[mode][m] =
                metric_of(score, NULL, (sp_deployed_mode)mode, metric, pairs, failed);
        }
        for (uint32_t s = 0; s < score->n_sources; s++) {
            sp_deployed_source *source = &score->sources[s];
            source->metric[m] = metric_of(score, source->name, source->mode, metric, pairs, failed);
        }
    }
}

/* ---- picks ---- */

typedef struct pick {
    double regret; /* 1 - measured rate of the choice over the best */
    bool right;
    bool fewest_right; /* the layout with the fewest GPUs would have been */
    bool equal_gpus;
    uint32_t n;
} pick;

static bool comparable(const sp_deployed_row *row)
{
    sp_pair pair;
    return pair_of(row, SP_DEPLOYED_METRIC_RATE, &pair);
}

/* The set that begins at row `first`; n < 2: nothing to choose. */
static pick pick_from(const sp_deployed_score *score, uint32_t first)
{
    const sp_deployed_row *choice = NULL, *fewest = NULL;
    double best = 0.0;
    pick out = {.equal_gpus = true};
    for (uint32_t i = first; i < score->n_rows; i++) {
        const sp_deployed_row *row = &score->rows[i];
        if (strcmp(row->set, score->rows[first].set) != 0 || !comparable(row)) continue;
        const double rate = row->predicted.tokens_per_s_per_gpu;
        if (choice != NULL && row->gpus != fewest->gpus) out.equal_gpus = false;
        if (choice == NULL || rate > choice->predicted.tokens_per_s_per_gpu) choice = row;
        if (fewest == NULL || row->gpus < fewest->gpus) fewest = row;
        best = fmax(best, row->measured[SP_DEPLOYED_METRIC_RATE]);
        out.n++;
    }
    if (out.n < 2) return out;
    out.regret = 1.0 - choice->measured[SP_DEPLOYED_METRIC_RATE] / best;
    out.right = out.regret <= EQUAL_RATE_RATIO;
    out.fewest_right = fewest->measured[SP_DEPLOYED_METRIC_RATE] >= (1.0 - EQUAL_RATE_RATIO) * best;
    return out;
}

static bool begins_set(const sp_deployed_score *score, uint32_t idx)
{
    for (uint32_t i = 0; i < idx; i++) {
        if (comparable(&score->rows[i]) && strcmp(score->rows[i].set, score->rows[idx].set) == 0) {
            return false;
        }
    }
    return comparable(&score->rows[idx]);
}

static sp_picks pick_all(const sp_deployed_score *score, bool equal_only, double *regrets)
{
    sp_picks sum = {0};
    double regret = 0.0;
    uint32_t n_right = 0, n_fewest = 0;
    for (uint32_t i = 0; i < score->n_rows; i++) {
        if (!begins_set(score, i)) continue;
        const pick p = pick_from(score, i);
        if (p.n < 2 || (equal_only && !p.equal_gpus)) continue;
        regrets[sum.n++] = p.regret;
        regret += p.regret;
        n_right += p.right;
        n_fewest += p.fewest_right;
    }
    if (sum.n == 0) return sum;
    sum.regret_mean = regret / sum.n;
    sum.regret_p90 = sp_quantile_of(regrets, sum.n, 0.9);
    sum.best_picked_ratio = (double)n_right / sum.n;
    sum.fewest_gpus_ratio = (double)n_fewest / sum.n;
    return sum;
}

/* ---- all of it ---- */

static int by_frequency(const void *a, const void *b)
{
    const sp_skipped *x = a, *y = b;
    if (x->n != y->n) return x->n > y->n ? -1 : 1;
    return strcmp(x->reason, y->reason);
}

static void count_rows(sp_deployed_score *score)
{
    for (uint32_t i = 0; i < score->n_rows; i++) {
        const sp_deployed_row *row = &score->rows[i];
        if (!row->counts) continue;
        score->n_eligible++;
        score->n_predicted += row->predicted.made;
        score->n_refused_memory += row->predicted.made && !row->predicted.fits;
        if (row->predicted.made) continue;
        uint32_t r = 0;
        while (r < score->n_reasons &&
               strcmp(score->skipped[r].reason, row->predicted.reason.text) != 0) {
            r++;
        }
        if (r == score->n_reasons) {
            score->skipped[score->n_reasons++].reason = row->predicted.reason.text;
        }
        score->skipped[r].n++;
    }
    qsort(score->skipped, score->n_reasons, sizeof *score->skipped, by_frequency);
}

static sp_status score_rows(sp_deployed_score *score, sp_error *err)
{
    bool failed = false;
    const size_t n = score->n_rows + 1;
    sp_pair *pairs = sp_alloc(n * sizeof *pairs);
    double *regrets = sp_alloc(n * sizeof *regrets);
    score->sources = sp_arena_alloc(&score->arena, n * sizeof *score->sources);
    score->skipped = sp_arena_alloc(&score->arena, n * sizeof *score->skipped);
    if (pairs != NULL && regrets != NULL && score->sources != NULL && score->skipped != NULL) {
        count_rows(score);
        list_sources(score);
        score_metrics(score, pairs, &failed);
        score->picks = pick_all(score, false, regrets);
        score->picks_equal_gpus = pick_all(score, true, regrets);
    } else {
        failed = true;
    }
    sp_free(pairs);
    sp_free(regrets);
    return failed ? sp_fail(err, SP_E_MEMORY, "no memory for the score") : SP_OK;
}

static sp_status score_table(sp_deployed_score *score, const char *home, const char *models,
                             const sp_deployed_table *table, sp_error *err)
{
    score->file = sp_arena_strdup(&score->arena, table->csv.file);
    SP_TRY(keep_text(&score->file, err));
    SP_TRY(sp_deployed_map_load(&score->arena, home, &table->csv, &score->map, err));
    score->n_rows = table->csv.n_rows;
    score->rows = sp_arena_alloc(&score->arena, (score->n_rows + 1) * sizeof *score->rows);
    if (score->rows == NULL) return sp_fail(err, SP_E_MEMORY, "no memory for the score");
    SP_TRY(predict_rows(score, home, models, table, err));
    return score_rows(score, err);
}

sp_status sp_score_serving(const char *home, const char *models, const char *file,
                           sp_deployed_score **score, sp_error *err)
{
    sp_deployed_table table = {0};
    *score = sp_alloc(sizeof **score);
    if (*score == NULL) return sp_fail(err, SP_E_MEMORY, "no memory for the score");
    sp_status status = sp_deployed_table_load(file, &table, err);
    if (status == SP_OK) status = score_table(*score, home, models, &table, err);
    sp_deployed_table_fini(&table);
    if (status == SP_OK) return SP_OK;
    sp_deployed_score_free(*score);
    *score = NULL;
    return status;
}

void sp_deployed_score_free(sp_deployed_score *score)
{
    if (score == NULL) return;
    sp_arena_fini(&score->arena);
    sp_free(score);
}
