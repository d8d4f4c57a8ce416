/* SPDX-License-Identifier: Apache-2.0 */
/* Several serving plans in one table, in the order in which they were asked for, refused ones with
 * the rule. */
#include "report/serving_page.h"

#include <inttypes.h>
#include <stdio.h>

enum { ID, TTFT, TPOT, USER, RATE, GIB, VERDICT, PLAN, N_COLUMNS };

static void set_row(const sp_serving_space *space, const sp_served_plan *p, sp_grid *grid)
{
    const sp_serving_estimate *e = &p->estimate;
    const bool refused = p->rule != UINT32_MAX;
    char text[SP_SERVING_TEXT_BYTES], id[24] = "";
    (void)sp_serving_plan_format(sp_serving_space_problem(space), &p->plan, text, sizeof text);
    if (p->has_id) (void)snprintf(id, sizeof id, "%" PRIu64, p->id);
    sp_grid_row_add(grid, refused ? SP_TONE_FAINT : SP_TONE_PLAIN);
    sp_grid_set(grid, ID, id);
    if (p->priced) {
        sp_grid_set(grid, TTFT, sp_word_brief(e->latency_s[SP_LATENCY_TTFT][SP_MEAN]).text);
        sp_grid_set(grid, TPOT, sp_word_brief(1e3 * e->latency_s[SP_LATENCY_TPOT][SP_MEAN]).text);
        sp_grid_set(grid, USER, sp_word_brief(e->tokens_per_s_per_user).text);
        sp_grid_set(grid, RATE, sp_word_brief(e->tokens_per_s_per_gpu).text);
        sp_grid_set(grid, GIB, sp_word_gib(e->memory.peak).text);
    }
    sp_grid_set(grid, VERDICT,
                refused ? sp_serving_space_rule(space, p->rule)->name
                        : sp_serving_verdict_name(e->verdict));
    sp_grid_set(grid, PLAN, text);
}

void sp_report_served_list_table(const sp_serving_space *space, const sp_served_plan *served,
                                 size_t n, const sp_report_options *options, struct sp_text *out)
{
    static const char *const headers[N_COLUMNS] = {
        "id", "TTFT s", "TPOT ms", "tok/s/user", "tok/s/GPU", "GiB", "fits or rule", "plan"};
    sp_grid grid;
    sp_grid_init(&grid, N_COLUMNS, (uint32_t)n);
    for (uint32_t i = 0; i < N_COLUMNS; i++) {
        sp_grid_column_add(&grid, headers[i], i >= VERDICT ? SP_LEFT : SP_RIGHT, 0);
    }
    for (size_t i = 0; i < n; i++) {
        set_row(space, &served[i], &grid);
    }
    sp_grid_write(&grid, 0, options->width > 0 ? options->width : 100, options->color, out);
    sp_grid_fini(&grid);
}
