/* SPDX-License-Identifier: Apache-2.0 */
/* A score of load stages as "shardplan/score/1" and as a page of text. */
#include "fidelity/params.h"
#include "fidelity/serving.h"
#include "fidelity/stages.h"
#include "report/report_priv.h"

#include <math.h>
#include <stdio.h>

/* ---- JSON ---- */

static void put_metrics(sp_json_writer *w, const char *key, const sp_metric *metrics)
{
    sp_jw_open_object(w, key);
    for (int f = 0; f < SP_N_STAGE_FIGURES; f++) {
        if (metrics[f].n == 0) continue;
        sp_put_metric(w, sp_stage_figure_name((sp_stage_figure)f), &metrics[f]);
    }
    sp_jw_close_object(w);
}

static void put_figures(sp_json_writer *w, const char *key, const double *figures)
{
    sp_jw_open_object(w, key);
    for (int f = 0; f < SP_N_STAGE_FIGURES; f++) {
        if (!isfinite(figures[f]) || figures[f] <= 0.0) continue;
        sp_jw_double(w, sp_stage_figure_name((sp_stage_figure)f), figures[f]);
    }
    sp_jw_close_object(w);
}

static void put_point(sp_json_writer *w, const sp_stage *row)
{
    sp_jw_open_object_compact(w, NULL);
    sp_jw_string(w, "id", row->id);
    if (row->complaint != NULL) {
        sp_jw_string(w, "refused", row->complaint);
    } else {
        sp_jw_bool(w, "overloaded", row->setup.rate >= row->most_rate);
        put_figures(w, "predicted", row->run);
        put_figures(w, "closed", row->closed);
        put_figures(w, "measured", row->measured);
    }
    sp_jw_close_object(w);
}

static void put_head(sp_json_writer *w, const sp_stages_score *score)
{
    sp_jw_string(w, "schema", "shardplan/score/1");
    sp_jw_string(w, "kind", "stages");
    sp_jw_string(w, "file", score->file);
    sp_jw_u64(w, "rows", score->n_rows);
    sp_jw_u64(w, "scored", score->n_predicted - score->n_failed);
    sp_jw_double(w, "coverage_ratio", (double)score->n_predicted / score->n_rows);
    sp_jw_open_object(w, "skipped");
    if (score->n_predicted < score->n_rows) {
        sp_jw_u64(w, "cannot be asked", score->n_rows - score->n_predicted);
    }
    sp_jw_close_object(w);
    sp_jw_open_array(w, "fitted_on");
    sp_jw_close_array(w);
    sp_jw_string(w, "fold", "none");
    sp_jw_open_object_compact(w, "overload");
    sp_jw_u64(w, "n", score->n_failed);
    sp_jw_u64(w, "seen", score->n_failed_seen);
    sp_jw_u64(w, "wrongly", score->n_false_alarms);
    sp_jw_close_object(w);
}

void sp_stages_score_json(const sp_stages_score *score, bool with_points, struct sp_text *out)
{
    sp_json_writer w;
    sp_jw_init(&w, out);
    sp_jw_open_object(&w, NULL);
    put_head(&w, score);
    put_metrics(&w, "overall", score->run);
    put_metrics(&w, "closed_form", score->closed);
    if (with_points) {
        sp_jw_open_array(&w, "points");
        for (uint32_t i = 0; i < score->n_rows; i++) {
            put_point(&w, &score->rows[i]);
        }
        sp_jw_close_array(&w);
    }
    sp_jw_close_object(&w);
    sp_text_add(out, "\n");
}

/* ---- page ---- */

static sp_word milliseconds(double s)
{
    sp_word word = {"-"};
    if (isfinite(s) && s > 0.0) (void)snprintf(word.text, sizeof word.text, "%.1f", 1e3 * s);
    return word;
}

static sp_word deviation(double value, double measured)
{
    sp_word word = {"-"};
    if (isfinite(value) && measured > 0.0) {
        (void)snprintf(word.text, sizeof word.text, "%+.0f %%", 100.0 * (value / measured - 1.0));
    }
    return word;
}

static void add_stage(sp_grid *grid, const sp_stage *row)
{
    static const sp_stage_figure shown[] = {SP_STAGE_TTFT, SP_STAGE_ITL, SP_STAGE_TTFT_P99};
    char rate[32];
    (void)sp_grid_row_add(grid, row->failed ? SP_TONE_FAINT : SP_TONE_PLAIN);
    uint32_t column = 0;
    sp_grid_set(grid, column++, row->id);
    (void)snprintf(rate, sizeof rate, "%.3g", row->setup.rate);
    sp_grid_set(grid, column++, rate);
    (void)snprintf(rate, sizeof rate, "%.3g", row->most_rate);
    sp_grid_set(grid, column++, row->complaint != NULL ? "-" : rate);
    for (size_t i = 0; i < 3; i++) {
        const sp_stage_figure f = shown[i];
        sp_grid_set(grid, column++, milliseconds(row->measured[f]).text);
        sp_grid_set(grid, column++, milliseconds(row->run[f]).text);
        sp_grid_set(grid, column++, deviation(row->run[f], row->measured[f]).text);
    }
}

static void add_stages(const sp_stages_score *score, const sp_report_options *options,
                       struct sp_text *out)
{
    static const char *const heads[] = {"ttft", "we say",   "",       "itl", "we say",
                                        "",     "ttft p99", "we say", ""};
    sp_grid grid;
    sp_grid_init(&grid, 12, score->n_rows);
    (void)sp_grid_column_add(&grid, "stage", SP_LEFT, 0);
    (void)sp_grid_column_add(&grid, "req/s", SP_RIGHT, 0);
    (void)sp_grid_column_add(&grid, "most", SP_RIGHT, 0);
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        (void)sp_grid_column_add(&grid, heads[i], i % 3 == 0 ? SP_RIGHT : SP_RIGHT_CLOSE, 0);
    }
    for (uint32_t i = 0; i < score->n_rows; i++) {
        add_stage(&grid, &score->rows[i]);
    }
    sp_text_add(out, "\nMilliseconds, simulated; stages with failed requests are not scored\n");
    sp_grid_write(&grid, 2, options->width > 0 ? options->width : 110, options->color, out);
    sp_grid_fini(&grid);
}

static void add_metrics(const sp_stages_score *score, struct sp_text *out)
{
    sp_text_add(out,
                "\nAbsolute errors: median and mean of the simulation, then of the closed form\n");
    for (int f = 0; f < SP_N_STAGE_FIGURES; f++) {
        const sp_metric *run = &score->run[f], *closed = &score->closed[f];
        if (run->n == 0) continue;
        sp_text_printf(out, "  %-9s %6.1f %% %6.1f %%   %6.1f %% %6.1f %%\n",
                       sp_stage_figure_name((sp_stage_figure)f), 100.0 * run->median_ape,
                       100.0 * run->mean_ape, 100.0 * closed->median_ape, 100.0 * closed->mean_ape);
    }
}

void sp_stages_score_page(const sp_stages_score *score, const sp_report_options *options,
                          struct sp_text *out)
{
    sp_text_printf(out,
                   "%s\n%u stages, %u predicted; %u had more requests than they could serve, "
                   "%u of these are called so, and %u others\n",
                   score->file, score->n_rows, score->n_predicted, score->n_failed,
                   score->n_failed_seen, score->n_false_alarms);
    for (uint32_t i = 0; i < score->n_rows; i++) {
        const sp_stage *row = &score->rows[i];
        if (row->complaint != NULL) sp_text_printf(out, "  %s: %s\n", row->id, row->complaint);
    }
    add_stages(score, options, out);
    add_metrics(score, out);
}
