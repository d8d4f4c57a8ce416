/* SPDX-License-Identifier: Apache-2.0 */
/* Constants of a running step as figures that an engine file takes: the median of fits that leave
 * one group out each, with the range of those, where they come from and what the runs left out
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

static void put_source(sp_json_writer *w, const sp_steps *steps, uint32_t metric,
                       const sp_fit_figure *figure)
{
    char text[512];
    (void)snprintf(text, sizeof text,
                   "%s: median of fits to %u measured %s, each without one %s, %.3g to %.3g",
                   steps->origin, steps->left_out[metric].n, steps->measured, steps->cross->fold,
                   figure->least, figure->most);
    sp_jw_string(w, "source", text);
}

/* "gemm_ratio": {"value", "unit", "source", "date", "samples"}, as an engine file has it. */
static void put_constant(sp_json_writer *w, const sp_steps *steps, uint32_t constant,
                         const char *const *engines, uint32_t n_engines, uint32_t metric,
                         const sp_fit_figure *figure)
{
    sp_jw_open_object(w, NULL);
    sp_jw_open_array(w, "engines");
    for (uint32_t i = 0; i < n_engines; i++) {
        sp_jw_string(w, NULL, engines[i]);
    }
    sp_jw_close_array(w);
    sp_jw_open_object_compact(w, steps->words.constant(constant));
    sp_jw_double(w, "value", sp_fit_round(figure->median));
    sp_jw_string(w, "unit", steps->words.unit(constant));
    put_source(w, steps, metric, figure);
    sp_jw_string(w, "date", steps->date);
    sp_jw_u64(w, "samples", steps->left_out[metric].n);
    sp_jw_close_object(w);
    sp_jw_double(w, "least", sp_fit_round(figure->least));
    sp_jw_double(w, "most", sp_fit_round(figure->most));
    sp_jw_close_object(w);
}

static void put_constants(sp_json_writer *w, const sp_steps *steps)
{
    const sp_fit_list *list = &steps->cross->list;
    const sp_fit_figure *figures = steps->cross->figures;
    sp_jw_open_array(w, "constants");
    for (uint32_t t = 0; t < list->n_terms; t++) {
        const sp_fit_term *term = &list->terms[t];
        for (uint32_t c = 0; c < term->n_constants; c++) {
            put_constant(w, steps, term->constants[c], term->engines, term->n_engines, term->metric,
                         &figures[t]);
        }
    }
    for (uint32_t i = 0; i < list->n_intervals; i++) {
        const sp_fit_interval *interval = &list->intervals[i];
        put_constant(w, steps, interval->constant, interval->engines, interval->n_engines,
                     interval->metric, &figures[list->n_terms + i]);
    }
    sp_jw_close_array(w);
}

void sp_steps_put(const sp_steps *steps, struct sp_text *out)
{
    sp_json_writer w;
    sp_jw_init(&w, out);
    sp_jw_open_object(&w, NULL);
    sp_jw_string(&w, "schema", "shardplan/steps/1");
    sp_jw_string(&w, "file", steps->file);
    sp_jw_u64(&w, "fits", steps->cross->n_folds);
    sp_jw_open_object(&w, "left_out");
    for (uint32_t m = 0; m < steps->words.n_metrics; m++) {
        if (steps->left_out[m].n == 0) continue;
        sp_put_metric(&w, steps->words.metric(m), &steps->left_out[m]);
    }
    sp_jw_close_object(&w);
    put_constants(&w, steps);
    if (steps->site != NULL) {
        sp_jw_open_object_compact(&w, "site");
        sp_jw_double(&w, "site_ratio", sp_fit_round(steps->site->site_ratio));
        sp_jw_double(&w, "run_ratio", sp_fit_round(steps->site->run_ratio));
        sp_jw_close_object(&w);
    }
    sp_jw_close_object(&w);
    sp_text_add(out, "\n");
}

static uint32_t count_sources(const sp_score *score, sp_metric_id metric)
{
    uint32_t n = 0;
    for (uint32_t s = 0; s < score->n_sources; s++) {
        n += score->sources[s].metric[metric].n > 0;
    }
    return n;
}

void sp_steps_json(const sp_score *score, const char *date, struct sp_text *out)
{
    char measured[64];
    (void)snprintf(measured, sizeof measured, "runs of %u sources",
                   count_sources(score, SP_METRIC_STEP));
    sp_steps_put(&(sp_steps){.file = score->file,
                             .origin = "shardplan calibrate steps",
                             .measured = measured,
                             .date = date,
                             .words = sp_fit_training_words(),
                             .cross = score->cross,
                             .left_out = score->overall,
                             .site = &score->cross->spread},
                 out);
}
