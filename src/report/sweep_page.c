/* SPDX-License-Identifier: Apache-2.0 */
/* A sweep for people: the assumptions, the best chip by each measure, and the fronts of speed
 * against cost, energy and carbon. */
#include "report/sweep_words.h"

#include <math.h>
#include <stdio.h>

enum { PEAK, BANDWIDTH, CAPACITY, TDP, PRICE, TTFT, SPEED, COST, ENERGY, CARBON, SCORE, N_COLUMNS };

static void add_columns(sp_grid *grid, const char *first)
{
    static const char *const headers[N_COLUMNS] = {"FLOP/s",  "B/s",         "B",        "W",
                                                   "USD",     "first token", "tokens/s", "$/Mtok",
                                                   "J/token", "g/Mtok",      "score"};
    sp_grid_column_add(grid, first, SP_LEFT, 0);
    for (uint32_t i = 0; i < N_COLUMNS; i++) {
        sp_grid_column_add(grid, headers[i], SP_RIGHT, i == SCORE ? 2 : i == TTFT ? 1 : 0);
    }
}

static void add_point(sp_grid *grid, const char *first, const sp_sweep_point *point)
{
    const sp_chip *chip = &point->chip;
    const sp_chip_price *price = &point->price;
    char capacity[SP_WORD_BYTES + 3];
    sp_grid_row_add(grid, price->fits ? SP_TONE_PLAIN : SP_TONE_FAINT);
    sp_grid_set(grid, 0, first);
    sp_grid_set(grid, 1 + PEAK, sp_word_si(chip->flops_per_s).text);
    sp_grid_set(grid, 1 + BANDWIDTH, sp_word_si(chip->bytes_per_s).text);
    (void)snprintf(capacity, sizeof capacity, "%s%s", sp_word_si(chip->capacity_bytes).text,
                   price->fits ? "" : " *");
    sp_grid_set(grid, 1 + CAPACITY, capacity);
    sp_grid_set(grid, 1 + TDP, sp_word_number(chip->tdp_watts).text);
    sp_grid_set(grid, 1 + PRICE, sp_word_number(chip->price_usd).text);
    sp_grid_set(grid, 1 + TTFT, sp_word_short(price->prefill_s).text);
    sp_grid_set(grid, 1 + SPEED, sp_word_number(price->tokens_per_s).text);
    sp_grid_set(grid, 1 + COST, sp_word_number(price->usd_per_mtok).text);
    sp_grid_set(grid, 1 + ENERGY, sp_word_number(price->joules_per_token).text);
    sp_grid_set(grid, 1 + CARBON, sp_word_number(price->g_per_mtok).text);
    sp_grid_set(grid, 1 + SCORE, sp_word_number(point->scores.overall).text);
}

static void write_grid(sp_grid *grid, const sp_report_options *options, struct sp_text *out)
{
    sp_grid_write(grid, 2, options->width > 0 ? options->width : 100, options->color, out);
    out->failed = out->failed || grid->failed;
    sp_grid_fini(grid);
}

static void add_best(const sp_sweep_result *result, const sp_report_options *options,
                     struct sp_text *out)
{
    sp_grid grid;
    sp_grid_init(&grid, 1 + N_COLUMNS, SP_SWEEP_N_METRICS + 1);
    add_columns(&grid, "best by");
    for (sp_sweep_metric m = 0; m < SP_SWEEP_N_METRICS; m++) {
        add_point(&grid, sp_sweep_metric_name(m), &result->points[result->best[m]]);
    }
    add_point(&grid, "score", &result->points[result->best_overall]);
    sp_text_add(out, "\nBest chips\n");
    write_grid(&grid, options, out);
}

static bool alike(const sp_sweep_point *a, const sp_sweep_point *b, sp_sweep_metric metric)
{
    return sp_sweep_metric_value(&a->price, SP_SWEEP_SPEED) ==
               sp_sweep_metric_value(&b->price, SP_SWEEP_SPEED) &&
           sp_sweep_metric_value(&a->price, metric) == sp_sweep_metric_value(&b->price, metric);
}

/* One row for all chips that are alike in both measures: the first of them. */
static void add_front(const sp_sweep_result *result, sp_sweep_metric metric,
                      const sp_report_options *options, struct sp_text *out)
{
    sp_grid grid;
    uint32_t shown = 0;
    const uint32_t n = result->n_front[metric];
    sp_grid_init(&grid, 1 + N_COLUMNS, n);
    add_columns(&grid, "");
    for (uint32_t i = 0; i < n; i++) {
        char number[16];
        const sp_sweep_point *point = &result->points[result->front[metric][i]];
        if (i > 0 && alike(point, &result->points[result->front[metric][i - 1]], metric)) continue;
        (void)snprintf(number, sizeof number, "%u", ++shown);
        add_point(&grid, number, point);
    }
    sp_text_printf(out, "\nSpeed against %s: %s", sp_sweep_metric_name(metric),
                   shown == 1 ? "one chip that no other beats" : "chips that no other beats");
    if (shown < n) sp_text_printf(out, ", and %u more alike in both", n - shown);
    sp_text_add(out, "\n");
    write_grid(&grid, options, out);
}

static void add_none(const sp_sweep_result *result, struct sp_text *out)
{
    double largest_bytes = 0.0;
    for (uint64_t i = 0; i < result->n_points; i++) {
        largest_bytes = fmax(largest_bytes, result->points[i].chip.capacity_bytes);
    }
    sp_text_printf(out,
                   "No chip of the sweep holds the model: it needs %s, the largest has %s; fewer "
                   "--bits or --tp would help.\n",
                   sp_word_bytes(result->memory_needed_bytes).text,
                   sp_word_bytes(largest_bytes).text);
}

void sp_report_sweep_page(const sp_analysis_question *question, const sp_sweep *sweep,
                          const sp_economics *money, const sp_sweep_result *result,
                          const sp_report_options *options, struct sp_text *out)
{
    struct sp_text line = {0};
    sp_answer_head(question, out);
    sp_text_printf(&line, "Sweep %s: %s of %s chips, of which %s hold the model; ", sweep->name,
                   sp_word_count(result->n_points).text, sp_word_count(sweep->n_points).text,
                   sp_word_count(result->n_fitting).text);
    sp_economics_words(money, &line);
    sp_wrap_line(&line, out);
    if (result->n_fitting == 0) {
        add_none(result, out);
        return;
    }
    add_best(result, options, out);
    for (sp_sweep_metric m = SP_SWEEP_COST; m < SP_SWEEP_N_METRICS; m++) {
        if (result->n_front[m] > 0) add_front(result, m, options, out);
    }
}

void sp_report_sensitivity_page(const sp_analysis_question *question,
                                const sp_sensitivity *sensitivity, const sp_report_options *options,
                                struct sp_text *out)
{
    sp_grid grid;
    const char *figure = sp_chip_figure_name(sensitivity->figure);
    sp_grid_init(&grid, 1 + N_COLUMNS, sensitivity->n);
    add_columns(&grid, figure);
    for (uint32_t i = 0; i < sensitivity->n; i++) {
        char times[24];
        (void)snprintf(times, sizeof times, "x %.4g", sensitivity->multipliers[i]);
        add_point(&grid, times, &sensitivity->points[i]);
    }
    sp_answer_head(question, out);
    sp_text_printf(out, "\nThe same accelerator with another %s; * does not hold the model\n",
                   figure);
    write_grid(&grid, options, out);
}
