/* SPDX-License-Identifier: Apache-2.0 */
/* Several plans in one table, in the order in which they were asked for, refused ones with the
 * rule. */
#include "report/report_priv.h"

#include <inttypes.h>
#include <stdio.h>

enum { ID, STEP, RATE, MFU, MEMORY, VERDICT, PLAN, SPEEDUP, FASTER, CHANGES, SITE, N_COLUMNS };

static void add_columns(const sp_baseline *baseline, sp_grid *grid)
{
    static const char *const headers[N_COLUMNS] = {
        "id",   "step s",   "tok/s/GPU", "MFU",     "GiB",   "fits or rule",
        "plan", "speed-up", "P(faster)", "changes", "site s"};
    const uint32_t n = baseline == NULL                  ? SPEEDUP
                       : baseline->measured_step_s > 0.0 ? N_COLUMNS
                                                         : SITE;
    for (uint32_t i = 0; i < n; i++) {
        const bool words = i == VERDICT || i == PLAN || i == CHANGES;
        sp_grid_column_add(grid, headers[i], words ? SP_LEFT : SP_RIGHT, 0);
    }
}

static void set_figures(const sp_estimate *e, sp_grid *grid)
{
    sp_grid_set(grid, STEP, sp_word_number(e->time.step_s).text);
    sp_grid_set(grid, RATE, sp_word_number(e->tokens_per_s_per_gpu).text);
    sp_grid_set(grid, MFU, sp_word_percent(e->mfu).text);
    sp_grid_set(grid, MEMORY, sp_word_gib(e->memory.peak_bytes).text);
}

static void set_against(const sp_space *space, const sp_baseline *baseline, const sp_priced *priced,
                        sp_grid *grid)
{
    struct sp_text changes = {0};
    sp_plan_changes(&baseline->priced.plan, &priced->plan, &changes);
    sp_grid_set(grid, CHANGES, changes.length > 0 ? changes.data : "");
    grid->failed = grid->failed || changes.failed;
    sp_text_fini(&changes);
    if (!priced->priced) return;
    const sp_against a = sp_against_baseline(sp_space_problem(space), baseline, priced);
    char number[32];
    (void)snprintf(number, sizeof number, "%.3f", a.speedup_ratio);
    sp_grid_set(grid, SPEEDUP, number);
    sp_grid_set(grid, FASTER, sp_word_chance(a.p_faster).text);
    if (a.factor > 0.0) sp_grid_set(grid, SITE, sp_word_number(a.step_s).text);
}

static void set_row(const sp_space *space, const sp_priced *priced, const sp_baseline *baseline,
                    sp_grid *grid)
{
    char text[SP_PLAN_TEXT_BYTES], id[24] = "";
    const bool refused = priced->rule != UINT32_MAX;
    (void)sp_plan_format(&priced->plan, text, sizeof text);
    if (priced->has_id) (void)snprintf(id, sizeof id, "%" PRIu64, priced->id);
    sp_grid_row_add(grid, refused ? SP_TONE_FAINT : SP_TONE_PLAIN);
    sp_grid_set(grid, ID, id);
    if (priced->priced) set_figures(&priced->estimate, grid);
    sp_grid_set(grid, VERDICT,
                refused ? sp_space_rule(space, priced->rule)->name
                        : sp_verdict_name(priced->estimate.verdict));
    sp_grid_set(grid, PLAN, text);
    if (baseline != NULL) set_against(space, baseline, priced, grid);
}

void sp_report_estimates_table(const sp_space *space, const sp_priced *priced, size_t n,
                               const sp_report_options *options, struct sp_text *out)
{
    const uint32_t width = options->width > 0 ? options->width : 100;
    sp_grid grid;
    sp_grid_init(&grid, N_COLUMNS, (uint32_t)n);
    add_columns(options->baseline, &grid);
    for (size_t i = 0; i < n; i++) {
        set_row(space, &priced[i], options->baseline, &grid);
    }
    if (options->baseline != NULL) {
        sp_baseline_add(space, options->baseline, width, out);
        sp_text_add(out, "\n");
    }
    sp_grid_write(&grid, 0, width, options->color, out);
    sp_grid_fini(&grid);
}
