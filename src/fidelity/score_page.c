/* SPDX-License-Identifier: Apache-2.0 */
/* A score on a page of text: coverage, what was left out and why, a table by source for steps and
 * one for memory, rankings and out-of-memory calls. */
#include "fidelity/fit.h"
#include "report/report_priv.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static sp_word percent(double ratio)
{
    return isnan(ratio) ? (sp_word){"-"} : sp_word_percent(ratio);
}

/* With its sign. */
static sp_word signed_percent(double ratio)
{
    sp_word word = {"-"};
    if (!isnan(ratio)) (void)snprintf(word.text, sizeof word.text, "%+.1f %%", 100.0 * ratio);
    return word;
}

static sp_word two_decimals(double x)
{
    sp_word word = {"-"};
    if (!isnan(x)) (void)snprintf(word.text, sizeof word.text, "%.2f", x);
    return word;
}

/* ---- what was scored ---- */

void sp_coverage_add(const sp_coverage *coverage, struct sp_text *out)
{
    for (uint32_t i = 0; i < coverage->n_reasons; i++) {
        sp_text_printf(out, "  %5u  %s\n", coverage->skipped[i].n, coverage->skipped[i].reason);
    }
}

static void add_coverage(const sp_score *score, struct sp_text *out)
{
    const sp_coverage *core = &score->core, *eligible = &score->eligible;
    sp_text_printf(out, "%s\n%u rows, %u eligible, %u of these predicted, %u scored\n\n",
                   score->file, score->n_rows, eligible->n_rows, eligible->n_predicted,
                   score->n_scored);
    sp_text_printf(out, "core rows of quality A and B: %u of %u expressed and estimated",
                   core->n_predicted, core->n_rows);
    if (core->n_rows > 0) {
        sp_text_printf(out, " (%s)", percent((double)core->n_predicted / core->n_rows).text);
    }
    sp_text_add(out, core->n_reasons > 0 ? ", the others not:\n" : "\n");
    sp_coverage_add(core, out);
}

/* ---- tables by source ---- */

typedef struct columns {
    uint32_t source, n, median, p90, bias, spearman, within, sets, rank, regret;
} columns;

static columns make_columns(sp_grid *grid, bool ranks)
{
    columns c = {.source = sp_grid_column_add(grid, "source", SP_LEFT, 0),
                 .n = sp_grid_column_add(grid, "n", SP_RIGHT_CLOSE, 0),
                 .median = sp_grid_column_add(grid, "median", SP_RIGHT, 0),
                 .p90 = sp_grid_column_add(grid, "p90", SP_RIGHT, 0),
                 .bias = sp_grid_column_add(grid, "bias", SP_RIGHT, 0),
                 .spearman = sp_grid_column_add(grid, "rho", SP_RIGHT, 0),
                 .within = sp_grid_column_add(grid, "in 80 %", SP_RIGHT, 2)};
    if (!ranks) return c;
    c.sets = sp_grid_column_add(grid, "sets", SP_RIGHT_CLOSE, 0);
    c.rank = sp_grid_column_add(grid, "set rho", SP_RIGHT, 0);
    c.regret = sp_grid_column_add(grid, "regret", SP_RIGHT, 0);
    return c;
}

static void add_row(sp_grid *grid, const columns *c, const char *name, const sp_metric *m,
                    const sp_rank_score *ranks, sp_tone tone)
{
    (void)sp_grid_row_add(grid, tone);
    sp_grid_set(grid, c->source, name);
    sp_grid_set(grid, c->n, sp_word_count(m->n).text);
    sp_grid_set(grid, c->median, percent(m->median_ape).text);
    sp_grid_set(grid, c->p90, percent(m->p90_ape).text);
    sp_grid_set(grid, c->bias, signed_percent(m->bias).text);
    sp_grid_set(grid, c->spearman, two_decimals(m->spearman).text);
    sp_grid_set(grid, c->within, percent(m->interval_coverage).text);
    if (ranks == NULL || ranks->n == 0) return;
    sp_grid_set(grid, c->sets, sp_word_count(ranks->n).text);
    sp_grid_set(grid, c->rank, two_decimals(ranks->spearman_median).text);
    sp_grid_set(grid, c->regret, percent(ranks->regret_median).text);
}

static void add_table(const sp_score *score, sp_metric_id metric, const char *title,
                      const sp_report_options *options, struct sp_text *out)
{
    if (score->overall[metric].n == 0) return;
    const bool ranks = metric == SP_METRIC_STEP;
    sp_grid grid;
    sp_grid_init(&grid, 10, score->n_sources + 1);
    const columns c = make_columns(&grid, ranks);
    for (uint32_t s = 0; s < score->n_sources; s++) {
        const sp_source_score *source = &score->sources[s];
        if (source->metric[metric].n == 0) continue;
        add_row(&grid, &c, source->name, &source->metric[metric], ranks ? &source->ranks : NULL,
                SP_TONE_PLAIN);
    }
    add_row(&grid, &c, "mean over sources", &score->overall[metric], ranks ? &score->ranks : NULL,
            SP_TONE_STRONG);
    sp_text_printf(out, "\n%s\n", title);
    sp_grid_write(&grid, 2, options->width > 0 ? options->width : 100, options->color, out);
    sp_grid_fini(&grid);
}

static void add_oom(const sp_score *score, struct sp_text *out)
{
    if (score->n_oom + score->n_ran == 0) return;
    sp_text_printf(out,
                   "\nOut of memory: %u of %u events foreseen; %u of %u runs that fitted are "
                   "called out of memory\n",
                   score->n_oom_called, score->n_oom, score->n_ran_called, score->n_ran);
}

static void add_figure(sp_grid *grid, const char *name, const char *const *engines,
                       uint32_t n_engines, const sp_fit_figure *figure)
{
    const double numbers[] = {figure->median, figure->least, figure->most};
    sp_text list = {0};
    for (uint32_t i = 0; i < n_engines; i++) {
        sp_text_printf(&list, "%s%s", i > 0 ? ", " : "", engines[i]);
    }
    sp_grid_row_add(grid, SP_TONE_PLAIN);
    sp_grid_set(grid, 0, name);
    for (uint32_t i = 0; i < 3; i++) {
        sp_word word;
        (void)snprintf(word.text, sizeof word.text, "%.3g", numbers[i]);
        sp_grid_set(grid, i + 1, word.text);
    }
    sp_grid_set(grid, 4, list.length > 0 ? list.data : "");
    sp_text_fini(&list);
}

/* The fitted numbers over the fits. */
static void add_figures(const sp_cross *cross, const sp_report_options *options,
                        struct sp_text *out)
{
    const sp_fit_list *list = &cross->list;
    sp_grid grid;
    sp_grid_init(&grid, 5, list->n_terms * SP_FIT_MAX_TIED + list->n_intervals);
    sp_grid_column_add(&grid, "constant", SP_LEFT, 0);
    sp_grid_column_add(&grid, "median", SP_RIGHT, 0);
    sp_grid_column_add(&grid, "least", SP_RIGHT, 0);
    sp_grid_column_add(&grid, "most", SP_RIGHT, 0);
    sp_grid_column_add(&grid, "engines", SP_LEFT, 0);
    for (uint32_t t = 0; t < list->n_terms; t++) {
        const sp_fit_term *term = &list->terms[t];
        for (uint32_t c = 0; c < term->n_constants; c++) {
            add_figure(&grid, sp_engine_constant_describe(term->constants[c]).name, term->engines,
                       term->n_engines, &cross->figures[t]);
        }
    }
    for (uint32_t i = 0; i < list->n_intervals; i++) {
        const sp_fit_interval *interval = &list->intervals[i];
        add_figure(&grid, sp_engine_constant_describe(interval->constant).name, interval->engines,
                   interval->n_engines, &cross->figures[list->n_terms + i]);
    }
    sp_text_add(out, "\nFitted constants, over the fits, in seconds and bytes where they have a "
                     "unit\n");
    sp_grid_write(&grid, 2, options->width > 0 ? options->width : 100, options->color, out);
    sp_grid_fini(&grid);
}

static void add_fit(const sp_score *score, const sp_report_options *options, struct sp_text *out)
{
    const sp_cross *cross = score->cross;
    if (cross != NULL) add_figures(cross, options, out);
    sp_text_add(out, "\nSources of fewer than 5 rows are pooled in the mean. ");
    if (cross != NULL) {
        sp_text_printf(out,
                       "Each of %u groups by %s was predicted with constants and\n"
                       "intervals fitted to the rows of all others.\n",
                       cross->n_folds, cross->fold);
        return;
    }
    sp_text_add(out, "Constants were fitted on:\n");
    for (uint32_t i = 0; i < score->map.n_fitted_on; i++) {
        sp_text_printf(out, "  %s\n", score->map.fitted_on[i]);
    }
}

void sp_score_page(const sp_score *score, const sp_report_options *options, struct sp_text *out)
{
    add_coverage(score, out);
    add_table(score, SP_METRIC_STEP,
              "Step time: absolute errors, bias, rank correlation (rho), steps within the 80 % "
              "interval; over\nsets of plans for one question the medians of rho and of what the "
              "predicted best loses",
              options, out);
    add_table(score, SP_METRIC_MEMORY, "Memory peak, in the kind that each row names", options,
              out);
    add_oom(score, out);
    add_fit(score, options, out);
}
