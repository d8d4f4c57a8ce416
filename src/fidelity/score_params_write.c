/* SPDX-License-Identifier: Apache-2.0 */
/* The score of parameter counts as JSON and as a page. */
#include "fidelity/params.h"

#include "report/report_priv.h"

#include <inttypes.h>

static void put_figures(sp_json_writer *w, const char *key,
                        const uint64_t figures[SP_N_PARAMS_FIGURES])
{
    sp_jw_open_object(w, key);
    for (int f = 0; f < SP_N_PARAMS_FIGURES; f++) {
        sp_jw_u64(w, sp_params_figure_name((sp_params_figure)f), figures[f]);
    }
    sp_jw_close_object(w);
}

/* Rows that cannot be read, by the kind of their error; each kind once. */
static void put_skipped(sp_json_writer *w, const sp_params_score *score)
{
    sp_jw_open_object(w, "skipped");
    for (uint32_t i = 0; i < score->n_rows; i++) {
        const sp_status status = score->rows[i].refusal.status;
        uint32_t n_before = 0, n = 0;
        for (uint32_t j = 0; j < score->n_rows; j++) {
            const bool same = score->rows[j].refusal.status == status;
            n += same ? 1 : 0;
            n_before += same && j < i ? 1 : 0;
        }
        if (status != SP_OK && n_before == 0) sp_jw_u64(w, sp_status_words(status), n);
    }
    sp_jw_close_object(w);
}

static void put_exact(sp_json_writer *w, const sp_params_score *score)
{
    sp_jw_open_object_compact(w, "exact");
    for (int f = 0; f < SP_N_PARAMS_FIGURES; f++) {
        sp_jw_u64(w, sp_params_figure_name((sp_params_figure)f), score->n_exact[f]);
    }
    sp_jw_u64(w, "models", score->n_all_exact);
    sp_jw_close_object(w);
}

static void put_point(sp_json_writer *w, const sp_params_row *row)
{
    sp_jw_open_object_compact(w, NULL);
    sp_jw_string(w, "id", row->name);
    if (row->complaint != NULL) {
        sp_jw_string(w, "refused", row->complaint);
    } else {
        put_figures(w, "predicted", row->counted);
    }
    put_figures(w, "measured", row->expected);
    sp_jw_close_object(w);
}

void sp_params_score_json(const sp_params_score *score, bool with_points, struct sp_text *out)
{
    sp_json_writer w;
    sp_jw_init(&w, out);
    sp_jw_open_object(&w, NULL);
    sp_jw_string(&w, "schema", "shardplan/score/1");
    sp_jw_string(&w, "kind", "params");
    sp_jw_string(&w, "file", score->folder);
    sp_jw_u64(&w, "rows", score->n_rows);
    sp_jw_u64(&w, "scored", score->n_scored);
    sp_jw_double(&w, "coverage_ratio", (double)score->n_scored / score->n_rows);
    put_skipped(&w, score);
    sp_jw_open_array(&w, "fitted_on");
    sp_jw_close_array(&w);
    sp_jw_string(&w, "fold", "none");
    put_exact(&w, score);
    sp_jw_open_object(&w, "overall");
    for (int f = 0; f < SP_N_PARAMS_FIGURES && score->n_scored > 0; f++) {
        sp_put_metric(&w, sp_params_figure_name((sp_params_figure)f), &score->overall[f]);
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

static void add_row(const sp_params_row *row, struct sp_text *out)
{
    if (sp_params_row_is_exact(row)) return;
    sp_text_printf(out, "\n%s\n", row->name);
    if (row->complaint != NULL) {
        sp_text_printf(out, "  %s\n", row->complaint);
        return;
    }
    for (int f = 0; f < SP_N_PARAMS_FIGURES; f++) {
        const uint64_t counted = row->counted[f], expected = row->expected[f];
        if (counted == expected) continue;
        sp_text_printf(
            out, "  %-9s %19s, expected %s: %s%s\n", sp_params_figure_name((sp_params_figure)f),
            sp_word_count(counted).text, sp_word_count(expected).text,
            counted > expected ? "+" : "-",
            sp_word_count(counted > expected ? counted - expected : expected - counted).text);
    }
}

void sp_params_score_page(const sp_params_score *score, struct sp_text *out)
{
    sp_text_printf(out, "%s\n%u of %u models exact", score->folder, score->n_all_exact,
                   score->n_rows);
    for (int f = 0; f < SP_N_PARAMS_FIGURES; f++) {
        sp_text_printf(out, "%s %s %u", f == 0 ? ":" : ",",
                       sp_params_figure_name((sp_params_figure)f), score->n_exact[f]);
    }
    sp_text_printf(out, "\n%s", score->n_scored < score->n_rows ? "some cannot be read\n" : "");
    for (uint32_t i = 0; i < score->n_rows; i++) {
        add_row(&score->rows[i], out);
    }
}
