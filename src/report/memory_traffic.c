/* SPDX-License-Identifier: Apache-2.0 */
/* What a training plan over several nodes sends, collective by collective; what its figures
 * suggest, in words; and the best plan that a search of the same question found. */
#include "report/report_priv.h"
#include "step/step.h"

#include <string.h>

/* Waiting below this share of the step is not worth a sentence. */
#define WORTH_SAYING 0.05

static const sp_exchange *largest_row(const sp_traffic *traffic, sp_dimension dimension)
{
    const sp_exchange *largest = NULL;
    for (uint32_t i = 0; i < traffic->n_rows; i++) {
        const sp_exchange *row = &traffic->rows[i];
        if (row->dimension != dimension) continue;
        if (largest == NULL || row->busy_s > largest->busy_s) largest = row;
    }
    return largest;
}

static sp_word word_rate(double bytes_per_s)
{
    sp_word word = sp_word_bytes(bytes_per_s);
    strncat(word.text, "/s", sizeof word.text - strlen(word.text) - 1);
    return word;
}

/* ---- the table ---- */

static void add_row(sp_grid *grid, const sp_exchange *row)
{
    const sp_word cells[] = {sp_word_count(row->ranks),         sp_word_number(row->times),
                             sp_word_bytes(row->bytes),         sp_word_bytes(row->sent_bytes),
                             sp_word_number(1e3 * row->busy_s), word_rate(row->link_bytes_per_s)};
    sp_grid_row_add(grid, SP_TONE_PLAIN);
    sp_grid_set(grid, 0, sp_dimension_name(row->dimension));
    sp_grid_set(grid, 1, row->what);
    sp_grid_set(grid, 2, sp_collective_name(row->collective));
    for (uint32_t i = 0; i < sizeof cells / sizeof cells[0]; i++) {
        sp_grid_set(grid, 3 + i, cells[i].text);
    }
    sp_grid_set(grid, 9, row->leaves_domain ? "between nodes" : "inside");
}

static void add_table(const sp_traffic *traffic, const sp_report_options *options,
                      struct sp_text *out)
{
    static const struct {
        const char *header;
        sp_grid_align align;
        uint8_t rank;
    } columns[] = {
        {"by",         SP_LEFT,  0},
        {"what",       SP_LEFT,  0},
        {"collective", SP_LEFT,  0},
        {"ranks",      SP_RIGHT, 0},
        {"calls",      SP_RIGHT, 1},
        {"each",       SP_RIGHT, 2},
        {"sent",       SP_RIGHT, 0},
        {"busy ms",    SP_RIGHT, 0},
        {"at",         SP_RIGHT, 3},
        {"",           SP_LEFT,  4}
    };
    const uint32_t n = sizeof columns / sizeof columns[0];
    sp_grid grid;
    sp_grid_init(&grid, n, traffic->n_rows);
    for (uint32_t i = 0; i < n; i++) {
        (void)sp_grid_column_add(&grid, columns[i].header, columns[i].align, columns[i].rank);
    }
    for (uint32_t i = 0; i < traffic->n_rows; i++) {
        add_row(&grid, &traffic->rows[i]);
    }
    sp_grid_write(&grid, 2, 100, options->color, out);
    if (grid.failed) out->failed = true;
    sp_grid_fini(&grid);
}

/* ---- what the figures suggest ---- */

/* What changes the traffic of a dimension, by what it is made of. */
static void add_remedy(const sp_plan *plan, const sp_exchange *row, double waits_ratio,
                       struct sp_text *out)
{
    switch (row->dimension) {
    case SP_BY_TP:
    case SP_BY_CP:
        if (row->leaves_domain) sp_text_add(out, "; fewer ranks stay inside a node");
        return;
    case SP_BY_EP:
        if (row->leaves_domain) sp_text_add(out, "; fewer ranks, or ep_overlap=on, wait less");
        return;
    case SP_BY_PP:
        sp_text_add(out, "; fewer stages, or fewer chunks a stage, send less");
        return;
    case SP_BY_DP:
        if (plan->zero >= 3) {
            sp_text_add(out,
                        "; zero=3 gathers the weights twice a micro-batch, zero=2 once a step");
        } else {
            /* m and 2m micro-batches wait as long for traffic that comes once a step. */
            sp_text_printf(out, "; a batch twice as large would wait %s for what is sent once",
                           sp_word_percent(waits_ratio / (2.0 - waits_ratio)).text);
        }
        return;
    case SP_N_DIMENSIONS:
        return;
    }
}

/* "gradients (dp, reduce-scatter) go through 23 GB/s between nodes: the step waits 41 % of its time
 * for dp". */
static bool suggest(const sp_priced *p, const sp_traffic *traffic, sp_dimension dimension,
                    struct sp_text *out)
{
    const sp_time *time = &p->estimate.time;
    const double waits_ratio = sp_traffic_waits_s(time, dimension) / time->step_s;
    const sp_exchange *row = largest_row(traffic, dimension);
    if (row == NULL || waits_ratio < WORTH_SAYING) return false;
    sp_text_printf(out, "the step waits %s of its time for %s: %s by %s among %u ranks, ",
                   sp_word_percent(waits_ratio).text, sp_dimension_name(dimension), row->what,
                   sp_collective_name(row->collective), row->ranks);
    sp_text_printf(out, "%s a step and GPU %s at %s",
                   sp_word_bytes(sp_traffic_sent_bytes(traffic, dimension)).text,
                   row->leaves_domain ? "between nodes" : "inside a node",
                   word_rate(row->link_bytes_per_s).text);
    add_remedy(&p->plan, row, waits_ratio, out);
    return true;
}

static void word_search(const sp_advice *advice, const sp_priced *p, struct sp_text *out)
{
    char text[SP_PLAN_TEXT_BYTES];
    const double step_s = p->estimate.time.step_s;
    const bool fits = p->estimate.verdict != SP_OVER_MEMORY;
    if (!advice->found) {
        sp_text_add(out, advice->whole ? "a search of the same question found no plan that fits"
                                       : "a search of the same question found none in time");
        return;
    }
    const sp_estimate *best = &advice->best.estimate;
    const double best_s = best->time.step_s;
    (void)sp_plan_format(&advice->best.plan, text, sizeof text);
    sp_text_printf(out, "a search of the same question%s",
                   advice->whole ? "" : ", stopped before its end,");
    if (fits && step_s <= best->step_tie_s) {
        sp_text_add(out, " found nothing faster beyond the error of two estimates");
        return;
    }
    sp_text_printf(out, " found %s: %s a step, ", text, sp_word_duration(best_s).text);
    if (fits) sp_text_printf(out, "%s times as fast, ", sp_word_number(step_s / best_s).text);
    sp_text_printf(out, "%s GiB at the peak%s", sp_word_gib(best->memory.peak_bytes).text,
                   fits ? "" : ", which fits");
}

/* ---- page and JSON ---- */

static void add_line(struct sp_text *line, struct sp_text *out)
{
    sp_text_add(out, "- ");
    sp_text_wrap(out, line->length > 0 ? line->data : "", 98, 2);
    if (line->failed) out->failed = true;
    sp_text_fini(line);
}

void sp_page_put_traffic(const sp_advice *advice, const sp_priced *p,
                         const sp_report_options *options, struct sp_text *out)
{
    uint32_t said = 0;
    sp_text_printf(out, "\nSent by one GPU of the slowest stage in a step of %s:\n",
                   sp_word_duration(p->estimate.time.step_s).text);
    add_table(&advice->traffic, options, out);
    sp_text_add(out, "\n");
    for (uint32_t d = 0; d < SP_N_DIMENSIONS; d++) {
        sp_text line = {0};
        const bool worth = suggest(p, &advice->traffic, (sp_dimension)d, &line);
        if (worth) add_line(&line, out);
        sp_text_fini(&line);
        said += worth;
    }
    sp_text line = {0};
    if (said == 0) {
        sp_text_printf(&line, "the network is no concern: the step waits %s of its time for it",
                       sp_word_percent(p->estimate.network.step_ratio).text);
        add_line(&line, out);
    }
    line = (sp_text){0};
    word_search(advice, p, &line);
    add_line(&line, out);
}

static void put_row(sp_json_writer *w, const sp_exchange *row)
{
    sp_jw_open_object(w, NULL);
    sp_jw_string(w, "dimension", sp_dimension_name(row->dimension));
    sp_jw_string(w, "what", row->what);
    sp_jw_string(w, "collective", sp_collective_name(row->collective));
    sp_jw_u64(w, "ranks", row->ranks);
    sp_jw_bool(w, "between_nodes", row->leaves_domain);
    sp_jw_double(w, "link_bytes_per_s", row->link_bytes_per_s);
    sp_jw_double(w, "calls", row->times);
    sp_jw_double(w, "call_bytes", row->bytes);
    sp_jw_double(w, "sent_bytes", row->sent_bytes);
    sp_jw_double(w, "busy_s", row->busy_s);
    sp_jw_close_object(w);
}

static void put_suggestions(sp_json_writer *w, const sp_advice *advice, const sp_priced *p)
{
    sp_jw_open_array(w, "suggestions");
    for (uint32_t d = 0; d < SP_N_DIMENSIONS; d++) {
        sp_text line = {0};
        if (suggest(p, &advice->traffic, (sp_dimension)d, &line)) sp_jw_string(w, NULL, line.data);
        sp_text_fini(&line);
    }
    sp_text line = {0};
    word_search(advice, p, &line);
    sp_jw_string(w, NULL, line.data);
    sp_text_fini(&line);
    sp_jw_close_array(w);
}

void sp_json_put_traffic(sp_json_writer *w, const sp_advice *advice, const sp_priced *p)
{
    sp_jw_double(w, "step_s", p->estimate.time.step_s);
    sp_jw_open_array(w, "traffic");
    for (uint32_t i = 0; i < advice->traffic.n_rows; i++) {
        put_row(w, &advice->traffic.rows[i]);
    }
    sp_jw_close_array(w);
    sp_jw_open_object(w, "waits_s");
    for (uint32_t d = 0; d < SP_N_DIMENSIONS; d++) {
        sp_jw_double(w, sp_dimension_name((sp_dimension)d),
                     sp_traffic_waits_s(&p->estimate.time, (sp_dimension)d));
    }
    sp_jw_close_object(w);
    put_suggestions(w, advice, p);
    sp_jw_open_object(w, "search");
    sp_jw_bool(w, "whole", advice->whole);
    if (advice->found) {
        char text[SP_PLAN_TEXT_BYTES];
        (void)sp_plan_format(&advice->best.plan, text, sizeof text);
        sp_jw_string(w, "plan", text);
        sp_jw_double(w, "step_s", advice->best.estimate.time.step_s);
        sp_jw_double(w, "peak_bytes", advice->best.estimate.memory.peak_bytes);
    }
    sp_jw_close_object(w);
}
