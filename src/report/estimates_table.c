/* SPDX-License-Identifier: Apache-2.0 */
/* Several plans in one table, in the order in which they were asked for, refused ones with the
 * rule. */
#include "report/report_priv.h"

#include <inttypes.h>
#include <stdio.h>

static void set_row(const sp_space *space, const sp_priced *priced, sp_grid *grid)
{
    char text[SP_PLAN_TEXT_BYTES], id[24] = "";
    const bool refused = priced->rule != UINT32_MAX;
    const sp_estimate *e = &priced->estimate;
    (void)sp_plan_format(&priced->plan, text, sizeof text);
    if (priced->has_id) (void)snprintf(id, sizeof id, "%" PRIu64, priced->id);
    sp_grid_row_add(grid, refused ? SP_TONE_FAINT : SP_TONE_PLAIN);
    sp_grid_set(grid, 0, id);
    if (priced->priced) {
        sp_grid_set(grid, 1, sp_word_number(e->time.step_s).text);
        sp_grid_set(grid, 2, sp_word_number(e->tokens_per_s_per_gpu).text);
        sp_grid_set(grid, 3, sp_word_percent(e->mfu).text);
        sp_grid_set(grid, 4, sp_word_gib(e->memory.peak_bytes).text);
    }
    sp_grid_set(grid, 5,
                refused ? sp_space_rule(space, priced->rule)->name : sp_verdict_name(e->verdict));
    sp_grid_set(grid, 6, text);
}

void sp_report_estimates_table(const sp_space *space, const sp_priced *priced, size_t n,
                               const sp_report_options *options, struct sp_text *out)
{
    static const char *const headers[] = {"id",  "step s",       "tok/s/GPU", "MFU",
                                          "GiB", "fits or rule", "plan"};
    sp_grid grid;
    sp_grid_init(&grid, 7, (uint32_t)n);
    for (uint32_t i = 0; i < 7; i++) {
        sp_grid_column_add(&grid, headers[i], i < 5 ? SP_RIGHT : SP_LEFT, 0);
    }
    for (size_t i = 0; i < n; i++) {
        set_row(space, &priced[i], &grid);
    }
    sp_grid_write(&grid, 0, options->width > 0 ? options->width : 100, options->color, out);
    sp_grid_fini(&grid);
}
