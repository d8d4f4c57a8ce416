/* SPDX-License-Identifier: Apache-2.0 */
/* Constants of a running step as figures that an engine file takes: the median of fits that leave
 * one source out each, with the range of those, where they come from and what the runs left out
 * were missed by. */
#include "fidelity/fit.h"
#include "fidelity/params.h"

#include <math.h>
#include <stdio.h>

/* Digits that a figure is worth. */
double sp_fit_round(double value)
{
    char text[32];
    double rounded = 0.0;
    (void)snprintf(text, sizeof text, "%.3g", value);
    (void)sscanf(text, "%lf", &rounded);
    return rounded;
}

static uint32_t count_sources(const sp_score *score, sp_metric_id metric)
{
    uint32_t n = 0;
    for (uint32_t s = 0; s < score->n_sources; s++) {
        n += score->sources[s].metric[metric].n > 0;
    }
    return n;
}

static void put_source(sp_json_writer *w, const sp_score *score, sp_metric_id metric,
                       const sp_fit_figure *figure)
{
    char text[256];
    (void)snprintf(text, sizeof text,
                   "shardplan calibrate steps: median of fits to %u measured runs of %u sources, "
                   "each without one source, %.3g to %.3g",
                   score->overall[metric].n, count_sources(score, metric), figure->least,
                   figure->most);
    sp_jw_string(w, "source", text);
}

/* "gemm_ratio": {"value", "unit", "source", "date", "samples"}, as an engine file has it. */
static void put_constant(sp_json_writer *w, const sp_score *score, uint32_t constant,
                         const char *const *engines, uint32_t n_engines, sp_metric_id metric,
                         const sp_fit_figure *figure, const char *date)
{
    const sp_engine_constant described = sp_engine_constant_describe(constant);
    sp_jw_open_object(w, NULL);
    sp_jw_open_array(w, "engines");
    for (uint32_t i = 0; i < n_engines; i++) {
        sp_jw_string(w, NULL, engines[i]);
    }
    sp_jw_close_array(w);
    sp_jw_open_object_compact(w, described.name);
    sp_jw_double(w, "value", sp_fit_round(figure->median));
    sp_jw_string(w, "unit", described.unit);
    put_source(w, score, metric, figure);
    sp_jw_string(w, "date", date);
    sp_jw_u64(w, "samples", score->overall[metric].n);
    sp_jw_close_object(w);
    sp_jw_double(w, "least", sp_fit_round(figure->least));
    sp_jw_double(w, "most", sp_fit_round(figure->most));
    sp_jw_close_object(w);
}

static void put_constants(sp_json_writer *w, const sp_score *score, const char *date)
{
    const sp_cross *cross = score->cross;
    const sp_fit_list *list = &cross->list;
    sp_jw_open_array(w, "constants");
    for (uint32_t t = 0; t < list->n_terms; t++) {
        const sp_fit_term *term = &list->terms[t];
        for (uint32_t c = 0; c < term->n_constants; c++) {
            put_constant(w, score, term->constants[c], term->engines, term->n_engines, term->metric,
                         &cross->figures[t], date);
        }
    }
    for (uint32_t i = 0; i < list->n_intervals; i++) {
        const sp_fit_interval *interval = &list->intervals[i];
        put_constant(w, score, interval->constant, interval->engines, interval->n_engines,
                     interval->metric, &cross->figures[list->n_terms + i], date);
    }
    sp_jw_close_array(w);
}

void sp_steps_json(const sp_score *score, const char *date, struct sp_text *out)
{
    sp_json_writer w;
    sp_jw_init(&w, out);
    sp_jw_open_object(&w, NULL);
    sp_jw_string(&w, "schema", "shardplan/steps/1");
    sp_jw_string(&w, "file", score->file);
    sp_jw_u64(&w, "fits", score->cross->n_folds);
    sp_jw_open_object(&w, "left_out");
    for (sp_metric_id m = 0; m < SP_N_METRICS; m++) {
        if (score->overall[m].n > 0) sp_put_metric(&w, sp_metric_name(m), &score->overall[m]);
    }
    sp_jw_close_object(&w);
    put_constants(&w, score, date);
    sp_jw_open_object_compact(&w, "site");
    sp_jw_double(&w, "site_ratio", sp_fit_round(score->cross->spread.site_ratio));
    sp_jw_double(&w, "run_ratio", sp_fit_round(score->cross->spread.run_ratio));
    sp_jw_close_object(&w);
    sp_jw_close_object(&w);
    sp_text_add(out, "\n");
}
