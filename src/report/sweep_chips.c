/* SPDX-License-Identifier: Apache-2.0 */
/* One to many chips: the best split of each count, for people and as "shardplan/chips/1". */
#include "report/sweep_words.h"

#include <stdio.h>

enum {
    CHIPS,
    SPLIT,
    PREFILL,
    TOKEN,
    LEAST,
    SPEED,
    SPEEDUP,
    EFFICIENCY,
    NETWORK,
    MEMORY,
    N_COLUMNS
};

static void add_row(sp_grid *grid, uint32_t n, const sp_chips *c, const sp_chips *one)
{
    char count[16], split[64], memory[SP_WORD_BYTES + 3];
    (void)snprintf(count, sizeof count, "%u", n);
    (void)snprintf(split, sizeof split, "tp%u pp%u dp%u", c->tp, c->pp, c->dp);
    sp_grid_row_add(grid, c->tp > 0 && c->fits ? SP_TONE_PLAIN : SP_TONE_FAINT);
    sp_grid_set(grid, CHIPS, count);
    sp_grid_set(grid, SPLIT, c->tp > 0 ? split : "none divides the model");
    if (c->tp == 0) return;
    sp_grid_set(grid, PREFILL, sp_word_short(c->prefill_s).text);
    sp_grid_set(grid, TOKEN, sp_word_short(c->token_s).text);
    sp_grid_set(grid, LEAST, sp_word_short(c->least_token_s).text);
    sp_grid_set(grid, SPEED, sp_word_number(c->tokens_per_s).text);
    sp_grid_set(grid, NETWORK, sp_word_percent(c->network_ratio).text);
    (void)snprintf(memory, sizeof memory, "%s%s", sp_word_gib(c->stage_memory_bytes).text,
                   c->fits ? "" : " *");
    sp_grid_set(grid, MEMORY, memory);
    if (one->tp == 0) return;
    const double speedup = c->tokens_per_s / one->tokens_per_s;
    sp_grid_set(grid, SPEEDUP, sp_word_number(speedup).text);
    sp_grid_set(grid, EFFICIENCY, sp_word_percent(speedup / n).text);
}

void sp_report_chips_page(const sp_analysis_question *question, const sp_chips *curve,
                          uint32_t max_chips, const sp_report_options *options, struct sp_text *out)
{
    static const char *const headers[N_COLUMNS] = {"chips",   "split",    "prefill", "token",
                                                   "alone",   "tokens/s", "speedup", "efficiency",
                                                   "network", "GiB/chip"};
    sp_grid grid;
    sp_answer_head(question, out);
    sp_text_printf(out,
                   "\nChips of %s; * does not fit. A pipeline never shortens the way of "
                   "one token (alone).\n",
                   question->cluster->name);
    sp_grid_init(&grid, N_COLUMNS, max_chips);
    for (uint32_t i = 0; i < N_COLUMNS; i++) {
        sp_grid_column_add(&grid, headers[i], i == SPLIT ? SP_LEFT : SP_RIGHT, 0);
    }
    for (uint32_t n = 1; n <= max_chips; n++) {
        add_row(&grid, n, &curve[n - 1], &curve[0]);
    }
    sp_grid_write(&grid, 2, options->width > 0 ? options->width : 100, options->color, out);
    out->failed = out->failed || grid.failed;
    sp_grid_fini(&grid);
}

void sp_report_chips_json(const sp_analysis_question *question, const sp_chips *curve,
                          uint32_t max_chips, struct sp_text *out)
{
    sp_json_writer w;
    sp_jw_init(&w, out);
    sp_json_open_answer(&w, "shardplan/chips/1", question);
    sp_jw_string(&w, "cluster", question->cluster->name);
    sp_jw_open_array(&w, "curve");
    for (uint32_t n = 1; n <= max_chips; n++) {
        const sp_chips *c = &curve[n - 1];
        if (c->tp == 0) continue;
        sp_jw_open_object(&w, NULL);
        sp_jw_u64(&w, "chips", n);
        sp_jw_u64(&w, "tp", c->tp);
        sp_jw_u64(&w, "pp", c->pp);
        sp_jw_u64(&w, "dp", c->dp);
        sp_jw_u64(&w, "groups_in_flight", c->groups_in_flight);
        sp_jw_double(&w, "prefill_s", c->prefill_s);
        sp_jw_double(&w, "token_s", c->token_s);
        sp_jw_double(&w, "least_token_s", c->least_token_s);
        sp_jw_double(&w, "tokens_per_s", c->tokens_per_s);
        sp_jw_double(&w, "network_ratio", c->network_ratio);
        sp_jw_double(&w, "memory_bytes", c->stage_memory_bytes);
        sp_jw_bool(&w, "fits", c->fits);
        sp_jw_close_object(&w);
    }
    sp_jw_close_array(&w);
    sp_jw_close_object(&w);
}
