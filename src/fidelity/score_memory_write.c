/* SPDX-License-Identifier: Apache-2.0 */
/* The score of serving memory as JSON and as a page. */
#include "fidelity/serving.h"

#include "report/report_priv.h"

#include <math.h>
#include <stdio.h>

#define GIB 0x1p30

/* ---- JSON ---- */

static void put_group(sp_json_writer *w, const char *key, const sp_served_group *group)
{
    sp_jw_open_object(w, key);
    for (int f = 0; f < SP_N_SERVED_FIGURES; f++) {
        if (group->metric[f].n == 0) continue;
        sp_put_metric(w, sp_served_figure_name((sp_served_figure)f), &group->metric[f]);
    }
    sp_jw_close_object(w);
}

static void put_figures(sp_json_writer *w, const char *key,
                        const double figures[SP_N_SERVED_FIGURES])
{
    sp_jw_open_object(w, key);
    for (int f = 0; f < SP_N_SERVED_FIGURES; f++) {
        if (figures[f] > 0.0) {
            sp_jw_double(w, sp_served_figure_name((sp_served_figure)f), figures[f]);
        }
    }
    sp_jw_close_object(w);
}

static void put_point(sp_json_writer *w, const sp_served_row *row)
{
    sp_jw_open_object_compact(w, NULL);
    sp_jw_string(w, "id", row->id);
    if (row->complaint != NULL) {
        sp_jw_string(w, "refused", row->complaint);
    } else {
        put_figures(w, "predicted", row->predicted);
        put_figures(w, "measured", row->measured);
    }
    sp_jw_close_object(w);
}

static void put_fitted(sp_json_writer *w, const sp_memory_score *score)
{
    sp_jw_open_array(w, "fitted_on");
    for (uint32_t i = 0; i < score->n_rows; i++) {
        if (score->rows[i].fitted) sp_jw_string(w, NULL, score->rows[i].id);
    }
    sp_jw_close_array(w);
}

static void put_head(sp_json_writer *w, const sp_memory_score *score)
{
    sp_jw_string(w, "schema", "shardplan/score/1");
    sp_jw_string(w, "kind", "memory");
    sp_jw_string(w, "file", score->file);
    sp_jw_u64(w, "rows", score->n_rows);
    sp_jw_u64(w, "scored", score->n_scored);
    sp_jw_double(w, "coverage_ratio", (double)score->n_scored / score->n_rows);
    sp_jw_open_object(w, "skipped");
    if (score->n_scored < score->n_rows) {
        sp_jw_u64(w, "cannot be asked", score->n_rows - score->n_scored);
    }
    sp_jw_close_object(w);
    put_fitted(w, score);
    sp_jw_string(w, "fold", "none");
}

void sp_memory_score_json(const sp_memory_score *score, bool with_points, struct sp_text *out)
{
    sp_json_writer w;
    sp_jw_init(&w, out);
    sp_jw_open_object(&w, NULL);
    put_head(&w, score);
    put_group(&w, "overall", &score->overall);
    put_group(&w, "held_out", &score->held_out);
    sp_jw_open_object(&w, "by_source");
    for (uint32_t i = 0; i < score->n_engines; i++) {
        put_group(&w, score->engines[i].engine, &score->engines[i]);
    }
    sp_jw_close_object(&w);
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

/* ---- the page ---- */

static void add_group(const char *name, const sp_served_group *group, struct sp_text *out)
{
    for (int f = 0; f < SP_N_SERVED_FIGURES; f++) {
        const sp_metric *m = &group->metric[f];
        if (m->n == 0) continue;
        sp_text_printf(out, "  %-10s %-14s %3u  %6.1f %%  %6.1f %%  %+6.1f %%\n", name,
                       sp_served_figure_name((sp_served_figure)f), m->n, 100.0 * m->median_ape,
                       100.0 * m->p90_ape, 100.0 * m->bias);
    }
}

static void add_row(const sp_served_row *row, struct sp_text *out)
{
    sp_text_printf(out, "%s%s\n", row->id, row->fitted ? " (fitted on)" : "");
    if (row->complaint != NULL) {
        sp_text_printf(out, "  %s\n", row->complaint);
        return;
    }
    for (int f = 0; f < SP_N_SERVED_FIGURES; f++) {
        const double was = row->measured[f], said = row->predicted[f];
        const double unit = f == SP_SERVED_TOKENS ? 1.0 : GIB;
        if (was <= 0.0) continue;
        sp_text_printf(out, "  %-14s %12.*f  measured %12.*f  %+6.1f %%\n",
                       sp_served_figure_name((sp_served_figure)f), unit > 1.0 ? 2 : 0, said / unit,
                       unit > 1.0 ? 2 : 0, was / unit, 100.0 * (said / was - 1.0));
    }
}

void sp_memory_score_page(const sp_memory_score *score, bool with_points, struct sp_text *out)
{
    sp_text_printf(out, "%s\n%u of %u logs scored\n\n", score->file, score->n_scored,
                   score->n_rows);
    sp_text_add(out, "  engine     figure           n   median      p90     bias\n");
    for (uint32_t i = 0; i < score->n_engines; i++) {
        add_group(score->engines[i].engine, &score->engines[i], out);
    }
    add_group("all", &score->overall, out);
    add_group("held out", &score->held_out, out);
    for (uint32_t i = 0; with_points && i < score->n_rows; i++) {
        sp_text_add(out, i == 0 ? "\n" : "");
        add_row(&score->rows[i], out);
    }
}
