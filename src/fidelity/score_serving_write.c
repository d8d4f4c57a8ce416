/* SPDX-License-Identifier: Apache-2.0 */
/* A score of deployments as "shardplan/score/1" and as a page of text. */
#include "fidelity/deployed.h"
#include "fidelity/fit.h"
#include "fidelity/params.h"
#include "report/report_priv.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- JSON ---- */

static void put_metrics(sp_json_writer *w, const char *key, const sp_metric *metrics)
{
    sp_jw_open_object(w, key);
    for (int m = 0; m < SP_N_DEPLOYED_METRICS; m++) {
        if (metrics[m].n > 0)
            sp_put_metric(w, sp_deployed_metric_name((sp_deployed_metric)m), &metrics[m]);
    }
    sp_jw_close_object(w);
}

static void put_pick_figures(sp_json_writer *w, const sp_picks *p)
{
    sp_jw_u64(w, "n", p->n);
    sp_jw_double(w, "spearman_median", p->spearman_median);
    sp_jw_double(w, "regret_median", p->regret_median);
    sp_jw_double(w, "regret_mean", p->regret_mean);
    sp_jw_double(w, "regret_p90", p->regret_p90);
    sp_jw_double(w, "best_picked_ratio", p->best_picked_ratio);
    sp_jw_double(w, "fewest_gpus_ratio", p->fewest_gpus_ratio);
}

static void put_picks(sp_json_writer *w, const char *key, const sp_picks *p)
{
    sp_jw_open_object_compact(w, key);
    put_pick_figures(w, p);
    sp_jw_close_object(w);
}

static void put_sources(sp_json_writer *w, const sp_deployed_score *score)
{
    sp_jw_open_object(w, "by_source");
    for (uint32_t s = 0; s < score->n_sources; s++) {
        char name[256];
        (void)snprintf(name, sizeof name, "%s %s", score->sources[s].name,
                       sp_deployed_mode_name(score->sources[s].mode));
        put_metrics(w, name, score->sources[s].metric);
    }
    sp_jw_close_object(w);
}

/* A source is listed once a mode. */
static bool is_again(const sp_deployed_score *score, uint32_t idx)
{
    for (uint32_t s = 0; s < idx; s++) {
        if (strcmp(score->sources[s].name, score->sources[idx].name) == 0) return true;
    }
    return false;
}

static void put_ranks(sp_json_writer *w, const sp_deployed_score *score)
{
    sp_jw_open_object(w, "rank_sets");
    put_pick_figures(w, &score->picks);
    put_picks(w, "equal_gpus", &score->picks_equal_gpus);
    sp_jw_open_object(w, "by_source");
    for (uint32_t s = 0; s < score->n_sources; s++) {
        const sp_deployed_source *source = &score->sources[s];
        if (source->picks.n > 0 && !is_again(score, s)) put_picks(w, source->name, &source->picks);
    }
    sp_jw_close_object(w);
    sp_jw_close_object(w);
}

/* Tables hold deployments that ran alone, so nothing is there to be recalled. */
static void put_oom(sp_json_writer *w, const sp_deployed_score *score)
{
    sp_jw_open_object_compact(w, "oom");
    sp_jw_raw(w, "recall", "null");
    if (score->n_ran > 0) {
        sp_jw_double(w, "false_rate", (double)score->n_refused_memory / score->n_ran);
    } else {
        sp_jw_raw(w, "false_rate", "null");
    }
    sp_jw_u64(w, "n_oom", 0);
    sp_jw_u64(w, "n_ran", score->n_ran);
    sp_jw_close_object(w);
}

/* Where 80 % of measurements lie. */
static void put_interval(sp_json_writer *w, const sp_deployed_prediction *p,
                         sp_deployed_metric metric)
{
    const double wide = 1.0 + p->spread_ratio[metric];
    sp_jw_double(w, "low", p->value[metric] / wide);
    sp_jw_double(w, "high", p->value[metric] * wide);
}

static void put_intervals(sp_json_writer *w, const sp_deployed_prediction *p)
{
    sp_jw_open_object(w, "intervals");
    for (int m = 0; m < SP_N_DEPLOYED_METRICS; m++) {
        sp_jw_open_object(w, sp_deployed_metric_name((sp_deployed_metric)m));
        put_interval(w, p, (sp_deployed_metric)m);
        sp_jw_close_object(w);
    }
    sp_jw_close_object(w);
}

static void put_point(sp_json_writer *w, const sp_deployed_row *row)
{
    const sp_deployed_prediction *p = &row->predicted;
    sp_jw_open_object_compact(w, NULL);
    sp_jw_string(w, "id", row->id);
    sp_jw_open_object(w, "predicted");
    for (int m = 0; m < SP_N_DEPLOYED_METRICS; m++) {
        sp_jw_double(w, sp_deployed_metric_name((sp_deployed_metric)m), p->value[m]);
    }
    sp_jw_bool(w, "fits", p->fits);
    put_interval(w, p, SP_DEPLOYED_METRIC_TPOT);
    put_intervals(w, p);
    sp_jw_close_object(w);
    sp_jw_open_object(w, "measured");
    for (int m = 0; m < SP_N_DEPLOYED_METRICS; m++) {
        if (row->measured[m] <= 0.0) continue;
        sp_jw_double(w, sp_deployed_metric_name((sp_deployed_metric)m), row->measured[m]);
    }
    sp_jw_close_object(w);
    sp_jw_close_object(w);
}

static void put_counts(sp_json_writer *w, const sp_deployed_score *score)
{
    const sp_fit_words words = sp_fit_serving_words();
    sp_jw_u64(w, "rows", score->n_rows);
    sp_jw_u64(w, "eligible", score->eligible.n_rows);
    sp_jw_u64(w, "scored", score->eligible.n_predicted);
    if (score->eligible.n_rows > 0) {
        sp_jw_double(w, "coverage_ratio",
                     (double)score->eligible.n_predicted / score->eligible.n_rows);
    }
    sp_coverage_put(w, &score->eligible);
    sp_fitted_on_put(w, score->cross, score->map.fitted_on, score->map.n_fitted_on, &words);
}

void sp_deployed_score_json(const sp_deployed_score *score, bool with_points, struct sp_text *out)
{
    sp_json_writer w;
    sp_jw_init(&w, out);
    sp_jw_open_object(&w, NULL);
    sp_jw_string(&w, "schema", "shardplan/score/1");
    sp_jw_string(&w, "kind", "serving");
    sp_jw_string(&w, "file", score->file);
    put_counts(&w, score);
    put_metrics(&w, "overall", score->overall);
    sp_jw_open_object(&w, "by_mode");
    for (int mode = 0; mode < SP_N_DEPLOYED_MODES; mode++) {
        put_metrics(&w, sp_deployed_mode_name((sp_deployed_mode)mode), score->by_mode[mode]);
    }
    sp_jw_close_object(&w);
    put_sources(&w, score);
    put_ranks(&w, score);
    put_oom(&w, score);
    if (with_points) {
        sp_jw_open_array(&w, "points");
        for (uint32_t i = 0; i < score->n_rows; i++) {
            if (score->rows[i].predicted.made) put_point(&w, &score->rows[i]);
        }
        sp_jw_close_array(&w);
    }
    sp_jw_close_object(&w);
    sp_text_add(out, "\n");
}

void sp_deployed_steps_json(const sp_deployed_score *score, const char *origin, const char *date,
                            struct sp_text *out)
{
    sp_steps_put(&(sp_steps){.file = score->file,
                             .origin = origin != NULL ? origin : "shardplan calibrate serving",
                             .measured = "deployments",
                             .date = date,
                             .words = sp_fit_serving_words(),
                             .cross = score->cross,
                             .left_out = score->overall},
                 out);
}

/* ---- page ---- */

static sp_word percent(double ratio, bool sign)
{
    sp_word word = {"-"};
    if (!isnan(ratio))
        (void)snprintf(word.text, sizeof word.text, sign ? "%+.1f %%" : "%.1f %%", 100.0 * ratio);
    return word;
}

static void add_row(sp_grid *grid, const char *name, const sp_metric *metrics, sp_tone tone)
{
    (void)sp_grid_row_add(grid, tone);
    uint32_t column = 0;
    sp_grid_set(grid, column++, name);
    sp_grid_set(grid, column++, sp_word_count(metrics[SP_DEPLOYED_METRIC_TPOT].n).text);
    static const sp_deployed_metric order[] = {SP_DEPLOYED_METRIC_TPOT, SP_DEPLOYED_METRIC_TTFT,
                                               SP_DEPLOYED_METRIC_RATE};
    for (size_t i = 0; i < 3; i++) {
        const sp_metric *m = &metrics[order[i]];
        sp_word rho = {"-"};
        if (!isnan(m->spearman)) (void)snprintf(rho.text, sizeof rho.text, "%.2f", m->spearman);
        sp_grid_set(grid, column++, percent(m->median_ape, false).text);
        sp_grid_set(grid, column++, percent(m->p90_ape, false).text);
        sp_grid_set(grid, column++, rho.text);
    }
}

static void add_table(const sp_deployed_score *score, sp_deployed_mode mode,
                      const sp_report_options *options, struct sp_text *out)
{
    static const char *const heads[] = {"tpot", "p90",       "rho", "ttft", "p90",
                                        "rho",  "tok/s/GPU", "p90", "rho"};
    if (score->by_mode[mode][SP_DEPLOYED_METRIC_TPOT].n == 0) return;
    sp_grid grid;
    sp_grid_init(&grid, 11, score->n_sources + 1);
    (void)sp_grid_column_add(&grid, "engine, model, system", SP_LEFT, 0);
    (void)sp_grid_column_add(&grid, "n", SP_RIGHT_CLOSE, 0);
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        (void)sp_grid_column_add(&grid, heads[i], i % 3 == 0 ? SP_RIGHT : SP_RIGHT_CLOSE,
                                 i % 3 == 0 ? 0 : 2);
    }
    for (uint32_t s = 0; s < score->n_sources; s++) {
        if (score->sources[s].mode != mode) continue;
        add_row(&grid, score->sources[s].name, score->sources[s].metric, SP_TONE_PLAIN);
    }
    add_row(&grid, "all rows", score->by_mode[mode], SP_TONE_STRONG);
    sp_text_printf(out, "\n%s: median and 90th percentile of absolute errors, rank correlation\n",
                   mode == SP_DEPLOYED_AGG ? "Aggregated" : "Prefill and decode apart");
    sp_grid_write(&grid, 2, options->width > 0 ? options->width : 110, options->color, out);
    sp_grid_fini(&grid);
}

static void add_picks(const char *what, const sp_picks *p, struct sp_text *out)
{
    if (p->n == 0) return;
    sp_text_printf(out,
                   "  %-24s %4u sets: best picked in %s, mean regret %s, p90 %s; "
                   "fewest GPUs would be right in %s\n",
                   what, p->n, percent(p->best_picked_ratio, false).text,
                   percent(p->regret_mean, false).text, percent(p->regret_p90, false).text,
                   percent(p->fewest_gpus_ratio, false).text);
}

static void add_fit(const sp_deployed_score *score, struct sp_text *out)
{
    const sp_cross *cross = score->cross;
    if (cross != NULL) {
        sp_text_printf(out,
                       "\nConstants were fitted %u times, each time without the %s that is "
                       "predicted:\n",
                       cross->n_folds, cross->fold);
    } else {
        sp_text_add(out, "\nConstants were fitted on:\n");
    }
    for (uint32_t i = 0; i < score->map.n_fitted_on && cross == NULL; i++) {
        sp_text_printf(out, "  %s\n", score->map.fitted_on[i]);
    }
    for (uint32_t t = 0; cross != NULL && t < cross->list.n_terms; t++) {
        const sp_fit_term *term = &cross->list.terms[t];
        const sp_fit_figure *f = &cross->figures[t];
        sp_text_printf(out, "  %-16s %-8s %.3g (%.3g to %.3g)\n",
                       sp_timing_name(term->constants[0]), term->engines[0], f->median, f->least,
                       f->most);
    }
}

void sp_deployed_score_page(const sp_deployed_score *score, const sp_report_options *options,
                            struct sp_text *out)
{
    sp_text_printf(out, "%s\n%u rows, %u eligible, %u of these predicted", score->file,
                   score->n_rows, score->eligible.n_rows, score->eligible.n_predicted);
    sp_text_add(out, score->eligible.n_reasons > 0 ? ", the others not:\n" : "\n");
    sp_coverage_add(&score->eligible, out);
    for (int mode = 0; mode < SP_N_DEPLOYED_MODES; mode++) {
        add_table(score, (sp_deployed_mode)mode, options, out);
    }
    sp_text_add(out, "\nThe layout with the most tokens a second and GPU, right within 2 %\n");
    add_picks("all sets", &score->picks, out);
    add_picks("equal GPU counts", &score->picks_equal_gpus, out);
    add_fit(score, out);
}
