/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of the answer's table: one a layout (or plan), those that cannot be told from the
 * fastest first, and among them the simplest first. */
#include "report/report_priv.h"
#include "step/step.h"

#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_on_front(const sp_front *front, uint64_t id)
{
    for (uint32_t i = 0; i < front->n_points; i++) {
        if (front->points[i].id == id) return true;
    }
    return false;
}

static void fill_row(const sp_space *space, const sp_search_result *result, const sp_point *point,
                     sp_row *row)
{
    row->priced = sp_price_point(space, point);
    row->n_settings = sp_plan_n_settings(&row->priced.plan);
    row->on_front = is_on_front(&result->front, point->id);
}

/* The step that decides how the first objective ranks two plans, in units of the leader's step; 0
 * where it is not about time. */
static double deciding_step_s(const sp_problem *problem, const sp_row *leader, const sp_row *row)
{
    const char *name = sp_problem_objective(problem, 0)->name;
    const double step_s = row->priced.estimate.time.step_s;
    if (strcmp(name, "step_time") == 0 || strcmp(name, "tokens_per_s") == 0) return step_s;
    const double gpus = (double)row->priced.plan.gpus / leader->priced.plan.gpus;
    const bool per_gpu = strcmp(name, "tokens_per_s_per_gpu") == 0 || strcmp(name, "usd_run") == 0;
    return per_gpu ? step_s * gpus : 0.0;
}

static void mark_tied(const sp_problem *problem, sp_row *rows, uint32_t n_rows)
{
    const double tie_s = rows[0].priced.estimate.step_tie_s;
    for (uint32_t i = 0; i < n_rows; i++) {
        const double step_s = deciding_step_s(problem, &rows[0], &rows[i]);
        rows[i].tied = i == 0 || (step_s > 0.0 && step_s <= tie_s);
        rows[i].place = i;
    }
}

static int simplest_first(const void *a, const void *b)
{
    const sp_row *x = a, *y = b;
    if (x->tied != y->tied) return x->tied ? -1 : 1;
    if (x->tied && x->n_settings != y->n_settings) return x->n_settings < y->n_settings ? -1 : 1;
    return (x->place > y->place) - (x->place < y->place);
}

sp_row *sp_rows_build(const sp_space *space, const sp_search_result *result, bool by_layout,
                      uint32_t *n_rows)
{
    const uint32_t n = by_layout ? result->n_layouts : result->ranked.n_points;
    *n_rows = n;
    sp_row *rows = n > 0 ? sp_alloc(n * sizeof *rows) : NULL;
    if (rows == NULL) return NULL;
    for (uint32_t i = 0; i < n; i++) {
        const sp_layout *layout = by_layout ? &result->layouts[i] : NULL;
        fill_row(space, result, layout != NULL ? &layout->best : &result->ranked.points[i],
                 &rows[i]);
        rows[i].n_variants = layout != NULL ? layout->n_variants : 0;
    }
    mark_tied(sp_space_problem(space), rows, n);
    qsort(rows, n, sizeof *rows, simplest_first);
    return rows;
}

/* ---- as a table ---- */

/* Columns that depend on the question hold UINT32_MAX where they are not there. */
typedef struct columns {
    uint32_t mark, gpus, tp, cp, pp, ep, dp, settings, step, site, speedup, faster, rate, mfu,
        memory, network, bubble, price, variants;
} columns;

static void add_baseline_columns(sp_grid *grid, const sp_baseline *baseline, columns *c)
{
    c->site = c->speedup = c->faster = UINT32_MAX;
    if (baseline == NULL) return;
    if (baseline->measured_step_s > 0.0) c->site = sp_grid_column_add(grid, "site s", SP_RIGHT, 0);
    c->speedup = sp_grid_column_add(grid, "speed-up", SP_RIGHT, 0);
    c->faster = sp_grid_column_add(grid, "P(faster)", SP_RIGHT, 0);
}

bool sp_rows_cut_sequences(const sp_row *rows, uint32_t n_rows)
{
    for (uint32_t i = 0; i < n_rows; i++) {
        if (rows[i].priced.plan.cp > 1) return true;
    }
    return false;
}

static columns add_columns(sp_grid *grid, const sp_problem *problem, bool context,
                           const sp_report_options *options)
{
    char memory[32];
    (void)snprintf(memory, sizeof memory, "GiB of %.0f",
                   floor(problem->cluster->gpu->memory_bytes / 1073741824.0));
    const bool several = problem->n_gpus_values > 1;
    columns c = {.gpus = UINT32_MAX,
                 .cp = UINT32_MAX,
                 .ep = UINT32_MAX,
                 .price = UINT32_MAX,
                 .variants = UINT32_MAX};
    c.mark = sp_grid_column_add(grid, "#", SP_RIGHT, 0);
    if (several) c.gpus = sp_grid_column_add(grid, "GPUs", SP_RIGHT, 0);
    c.tp = sp_grid_column_add(grid, "tp", SP_RIGHT, 0);
    if (context) c.cp = sp_grid_column_add(grid, "cp", SP_RIGHT_CLOSE, 0);
    c.pp = sp_grid_column_add(grid, "pp", SP_RIGHT_CLOSE, 0);
    if (problem->has_experts) c.ep = sp_grid_column_add(grid, "ep", SP_RIGHT_CLOSE, 0);
    c.dp = sp_grid_column_add(grid, "dp", SP_RIGHT_CLOSE, 0);
    c.settings = sp_grid_column_add(grid, "settings", SP_LEFT, 0);
    c.step = sp_grid_column_add(grid, "step s", SP_RIGHT, 0);
    add_baseline_columns(grid, options->baseline, &c);
    c.rate = sp_grid_column_add(grid, "tok/s/GPU", SP_RIGHT, 0);
    c.mfu = sp_grid_column_add(grid, "MFU%", SP_RIGHT, 0);
    c.memory = sp_grid_column_add(grid, memory, SP_RIGHT, 0);
    c.network = sp_grid_column_add(grid, "net%", SP_RIGHT, 1);
    c.bubble = sp_grid_column_add(grid, "bub%", SP_RIGHT, 2);
    if (problem->usd_per_gpu_hour > 0.0) {
        c.price = sp_grid_column_add(grid, "$/Mtok", SP_RIGHT, 4);
    }
    if (options->by_layout) c.variants = sp_grid_column_add(grid, "plans", SP_RIGHT, 3);
    return c;
}

__attribute__((format(printf, 3, 4))) static void set(sp_grid *grid, uint32_t column,
                                                      const char *format, ...)
{
    char text[96];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (column != UINT32_MAX) sp_grid_set(grid, column, text);
}

static void set_layout(sp_grid *grid, const columns *c, const sp_plan *plan)
{
    char settings[128];
    sp_plan_short_settings(plan, settings, sizeof settings);
    set(grid, c->gpus, "%u", plan->gpus);
    set(grid, c->tp, "%u", plan->tp);
    set(grid, c->cp, "%u", plan->cp);
    set(grid, c->pp, "%u", plan->pp);
    set(grid, c->ep, "%u", plan->ep);
    set(grid, c->dp, "%u", plan->dp);
    set(grid, c->settings, "%s", settings);
}

static void set_figures(sp_grid *grid, const columns *c, const sp_estimate *e)
{
    set(grid, c->step, "%s", sp_word_number(e->time.step_s).text);
    set(grid, c->rate, "%s", sp_word_number(e->tokens_per_s_per_gpu).text);
    set(grid, c->mfu, "%.1f", 100.0 * e->mfu);
    set(grid, c->memory, "%s", sp_word_gib(e->memory.peak_bytes).text);
    set(grid, c->network, "%.1f", 100.0 * e->network.exposed_ratio);
    set(grid, c->bubble, "%.1f", 100.0 * e->time.bubble_s / e->time.step_s);
    set(grid, c->price, "%.3f", e->usd_per_million_tokens);
}

static void set_against(sp_grid *grid, const columns *c, const sp_problem *problem,
                        const sp_baseline *baseline, const sp_priced *priced)
{
    if (baseline == NULL) return;
    const sp_against against = sp_against_baseline(problem, baseline, priced);
    set(grid, c->site, "%s", sp_word_number(against.step_s).text);
    set(grid, c->speedup, "%.3f", against.speedup_ratio);
    set(grid, c->faster, "%s", sp_word_chance(against.p_faster).text);
}

void sp_rows_grid(const sp_space *space, const sp_row *rows, uint32_t n_rows,
                  const sp_report_options *options, sp_grid *grid)
{
    const sp_problem *problem = sp_space_problem(space);
    sp_grid_init(grid, 24, n_rows);
    const columns c = add_columns(grid, problem, sp_rows_cut_sequences(rows, n_rows), options);
    for (uint32_t i = 0; i < n_rows; i++) {
        const sp_row *row = &rows[i];
        sp_grid_row_add(grid, row->place == 0 ? SP_TONE_GOOD : SP_TONE_PLAIN);
        set(grid, c.mark, "%u%s%s", i + 1, row->tied ? "=" : " ", row->on_front ? "*" : " ");
        set_layout(grid, &c, &row->priced.plan);
        set_figures(grid, &c, &row->priced.estimate);
        set_against(grid, &c, problem, options->baseline, &row->priced);
        set(grid, c.variants, "%s", sp_word_count(row->n_variants).text);
    }
}
