/* SPDX-License-Identifier: Apache-2.0 */
/* A score as "shardplan/score/1". Figures that are not defined are null. */
#include "fidelity/fit.h"
#include "fidelity/params.h"

void sp_put_metric(sp_json_writer *w, const char *key, const sp_metric *m)
{
    sp_jw_open_object_compact(w, key);
    sp_jw_double(w, "median_ape", m->median_ape);
    sp_jw_double(w, "mean_ape", m->mean_ape);
    sp_jw_double(w, "p90_ape", m->p90_ape);
    sp_jw_double(w, "bias", m->bias);
    sp_jw_double(w, "spearman", m->spearman);
    sp_jw_double(w, "interval_coverage", m->interval_coverage);
    sp_jw_u64(w, "n", m->n);
    sp_jw_close_object(w);
}

static void put_metrics(sp_json_writer *w, const char *key, const sp_metric *metrics)
{
    sp_jw_open_object(w, key);
    for (sp_metric_id m = 0; m < SP_N_METRICS; m++) {
        if (metrics[m].n > 0) sp_put_metric(w, sp_metric_name(m), &metrics[m]);
    }
    sp_jw_close_object(w);
}

void sp_coverage_put(sp_json_writer *w, const sp_coverage *coverage)
{
    sp_jw_open_object(w, "skipped");
    for (uint32_t i = 0; i < coverage->n_reasons; i++) {
        sp_jw_u64(w, coverage->skipped[i].reason, coverage->skipped[i].n);
    }
    sp_jw_close_object(w);
}

static void put_ratio(sp_json_writer *w, const char *key, uint32_t part, uint32_t whole)
{
    if (whole > 0) {
        sp_jw_double(w, key, (double)part / whole);
    } else {
        sp_jw_raw(w, key, "null");
    }
}

static void put_rank_figures(sp_json_writer *w, const sp_rank_score *ranks)
{
    sp_jw_u64(w, "n", ranks->n);
    sp_jw_double(w, "spearman_median", ranks->spearman_median);
    sp_jw_double(w, "regret_median", ranks->regret_median);
    sp_jw_double(w, "regret_p90", ranks->regret_p90);
    sp_jw_double(w, "best_picked_ratio", ranks->best_picked_ratio);
}

static void put_ranks(sp_json_writer *w, const sp_score *score)
{
    sp_jw_open_object(w, "rank_sets");
    put_rank_figures(w, &score->ranks);
    sp_jw_open_object(w, "by_source");
    for (uint32_t s = 0; s < score->n_sources; s++) {
        if (score->sources[s].ranks.n == 0) continue;
        sp_jw_open_object_compact(w, score->sources[s].name);
        put_rank_figures(w, &score->sources[s].ranks);
        sp_jw_close_object(w);
    }
    sp_jw_close_object(w);
    sp_jw_close_object(w);
}

static void put_oom(sp_json_writer *w, const sp_score *score)
{
    sp_jw_open_object_compact(w, "oom");
    put_ratio(w, "recall", score->n_oom_called, score->n_oom);
    put_ratio(w, "false_rate", score->n_ran_called, score->n_ran);
    sp_jw_u64(w, "n_oom", score->n_oom);
    sp_jw_u64(w, "n_ran", score->n_ran);
    sp_jw_close_object(w);
}

static void put_point(sp_json_writer *w, const sp_scored_row *row)
{
    const sp_prediction *p = &row->predicted;
    sp_jw_open_object_compact(w, NULL);
    sp_jw_string(w, "id", row->id);
    sp_jw_open_object(w, "predicted");
    sp_jw_double(w, "step_time", p->step_s);
    sp_jw_double(w, "memory_peak", p->memory_bytes);
    sp_jw_bool(w, "fits", p->fits);
    sp_jw_double(w, "low", p->step_low_s);
    sp_jw_double(w, "high", p->step_high_s);
    sp_jw_close_object(w);
    sp_jw_open_object(w, "measured");
    if (row->step_s > 0.0) sp_jw_double(w, "step_time", row->step_s);
    if (row->memory_bytes > 0.0) sp_jw_double(w, "memory_peak", row->memory_bytes);
    if (row->oom) sp_jw_bool(w, "oom", true);
    sp_jw_close_object(w);
    sp_jw_string(w, "memory_kind", sp_memory_kind_name(row->asked.kind));
    sp_jw_close_object(w);
}

static void put_points(sp_json_writer *w, const sp_score *score)
{
    sp_jw_open_array(w, "points");
    for (uint32_t i = 0; i < score->n_rows; i++) {
        if (score->rows[i].predicted.made) put_point(w, &score->rows[i]);
    }
    sp_jw_close_array(w);
}

static void put_by_source(sp_json_writer *w, const sp_score *score)
{
    sp_jw_open_object(w, "by_source");
    for (uint32_t s = 0; s < score->n_sources; s++) {
        put_metrics(w, score->sources[s].name, score->sources[s].metric);
    }
    sp_jw_close_object(w);
}

static void put_counts(sp_json_writer *w, const sp_score *score)
{
    sp_jw_u64(w, "rows", score->n_rows);
    sp_jw_u64(w, "eligible", score->eligible.n_rows);
    sp_jw_u64(w, "scored", score->n_scored);
    put_ratio(w, "coverage_ratio", score->eligible.n_predicted, score->eligible.n_rows);
    sp_coverage_put(w, &score->eligible);
    sp_jw_open_object(w, "core_rows");
    sp_jw_u64(w, "n", score->core.n_rows);
    sp_jw_u64(w, "predicted", score->core.n_predicted);
    sp_coverage_put(w, &score->core);
    sp_jw_close_object(w);
}

static void put_figure(sp_json_writer *w, const char *name, const char *const *engines,
                       uint32_t n_engines, const sp_fit_figure *figure)
{
    sp_jw_open_object_compact(w, NULL);
    sp_jw_string(w, "constant", name);
    sp_jw_open_array(w, "engines");
    for (uint32_t i = 0; i < n_engines; i++) {
        sp_jw_string(w, NULL, engines[i]);
    }
    sp_jw_close_array(w);
    sp_jw_double(w, "median", figure->median);
    sp_jw_double(w, "least", figure->least);
    sp_jw_double(w, "most", figure->most);
    sp_jw_close_object(w);
}

static void put_figures(sp_json_writer *w, const sp_cross *cross, const sp_fit_words *words)
{
    const sp_fit_list *list = &cross->list;
    sp_jw_u64(w, "folds", cross->n_folds);
    sp_jw_open_array(w, "constants");
    for (uint32_t t = 0; t < list->n_terms; t++) {
        const sp_fit_term *term = &list->terms[t];
        for (uint32_t c = 0; c < term->n_constants; c++) {
            put_figure(w, words->constant(term->constants[c]), term->engines, term->n_engines,
                       &cross->figures[t]);
        }
    }
    for (uint32_t i = 0; i < list->n_intervals; i++) {
        const sp_fit_interval *interval = &list->intervals[i];
        put_figure(w, words->constant(interval->constant), interval->engines, interval->n_engines,
                   &cross->figures[list->n_terms + i]);
    }
    sp_jw_close_array(w);
}

/* What the constants behind the predictions were fitted on. */
void sp_fitted_on_put(sp_json_writer *w, const sp_cross *cross, const char *const *fitted_on,
                      uint32_t n_fitted_on, const sp_fit_words *words)
{
    sp_jw_open_array(w, "fitted_on");
    for (uint32_t i = 0; i < n_fitted_on && cross == NULL; i++) {
        sp_jw_string(w, NULL, fitted_on[i]);
    }
    if (cross != NULL) sp_jw_string(w, NULL, "this table without the group that is predicted");
    sp_jw_close_array(w);
    sp_jw_string(w, "fold", cross != NULL ? cross->fold : "none");
    if (cross != NULL) put_figures(w, cross, words);
}

void sp_score_json(const sp_score *score, bool with_points, struct sp_text *out)
{
    sp_json_writer w;
    const sp_fit_words words = sp_fit_training_words();
    sp_jw_init(&w, out);
    sp_jw_open_object(&w, NULL);
    sp_jw_string(&w, "schema", "shardplan/score/1");
    sp_jw_string(&w, "kind", "training");
    sp_jw_string(&w, "file", score->file);
    put_counts(&w, score);
    sp_fitted_on_put(&w, score->cross, score->map.fitted_on, score->map.n_fitted_on, &words);
    put_metrics(&w, "overall", score->overall);
    put_by_source(&w, score);
    put_ranks(&w, score);
    put_oom(&w, score);
    if (with_points) put_points(&w, score);
    sp_jw_close_object(&w);
    sp_text_add(out, "\n");
}
