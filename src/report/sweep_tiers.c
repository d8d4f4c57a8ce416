/* SPDX-License-Identifier: Apache-2.0 */
/* What lies in which tier of memory, and what a request then takes: for people and as
 * "shardplan/tiers-result/1". */
#include "report/sweep_words.h"

enum { MAX_COLUMNS = SP_TIERS_MAX + 3 };

static void add_item(sp_grid *grid, const sp_tiered_chip *chip, const sp_tier_item *item)
{
    sp_grid_row_add(grid, SP_TONE_PLAIN);
    sp_grid_set(grid, 0, item->name);
    sp_grid_set(grid, 1, sp_word_si(item->held_bytes).text);
    sp_grid_set(grid, 2, sp_word_number(item->moved_per_request / item->held_bytes).text);
    for (uint32_t t = 0; t < chip->n_tiers; t++) {
        sp_grid_set(grid, 3 + t, item->in_tier[t] > 0.0 ? sp_word_si(item->in_tier[t]).text : "");
    }
}

static void add_used(sp_grid *grid, const sp_tiered_chip *chip, const sp_tier_plan *plan)
{
    sp_grid_row_add(grid, SP_TONE_STRONG);
    sp_grid_set(grid, 0, "used");
    for (uint32_t t = 0; t < chip->n_tiers; t++) {
        const double ratio = plan->used_bytes[t] / chip->tiers[t].capacity_bytes;
        sp_grid_set(grid, 3 + t, sp_word_percent(ratio).text);
    }
}

static void add_times(const sp_tier_plan *plan, struct sp_text *out)
{
    if (plan->overflow_bytes > 0.0) {
        sp_text_printf(out, "Does not fit: %sB more than all tiers hold.\n",
                       sp_word_si(plan->overflow_bytes).text);
        return;
    }
    sp_text_printf(out,
                   "First token after %s, then one each %s: ", sp_word_short(plan->ttft_s).text,
                   sp_word_short(plan->token_s).text);
    sp_text_printf(out, "%s tokens/s, %s mJ a token to move bytes.\n",
                   sp_word_number(plan->tokens_per_s).text,
                   sp_word_number(1e3 * plan->joules_per_token).text);
}

void sp_report_tiers_page(const sp_analysis_question *question, const sp_tiered_chip *chip,
                          const sp_tier_plan *plan, const sp_report_options *options,
                          struct sp_text *out)
{
    sp_grid grid;
    sp_answer_head(question, out);
    sp_text_printf(out, "\nMemory of %s\n", chip->name);
    add_times(plan, out);
    sp_grid_init(&grid, MAX_COLUMNS, plan->n_items + 1);
    sp_grid_column_add(&grid, "what", SP_LEFT, 0);
    sp_grid_column_add(&grid, "bytes", SP_RIGHT, 0);
    sp_grid_column_add(&grid, "moves/request", SP_RIGHT, 1);
    for (uint32_t t = 0; t < chip->n_tiers; t++) {
        sp_grid_column_add(&grid, chip->tiers[t].name, SP_RIGHT, 0);
    }
    for (uint32_t i = 0; i < plan->n_items; i++) {
        if (plan->items[i].held_bytes > 0.0) add_item(&grid, chip, &plan->items[i]);
    }
    add_used(&grid, chip, plan);
    sp_grid_write(&grid, 2, options->width > 0 ? options->width : 100, options->color, out);
    out->failed = out->failed || grid.failed;
    sp_grid_fini(&grid);
}

static void put_item(sp_json_writer *w, const sp_tiered_chip *chip, const sp_tier_item *item)
{
    sp_jw_open_object(w, NULL);
    sp_jw_string(w, "name", item->name);
    sp_jw_double(w, "held_bytes", item->held_bytes);
    sp_jw_double(w, "moved_bytes_per_request", item->moved_per_request);
    sp_jw_open_object_compact(w, "in_tier_bytes");
    for (uint32_t t = 0; t < chip->n_tiers; t++) {
        sp_jw_double(w, chip->tiers[t].name, item->in_tier[t]);
    }
    sp_jw_close_object(w);
    sp_jw_close_object(w);
}

/* Times of what does not fit are null. */
void sp_report_tiers_json(const sp_analysis_question *question, const sp_tiered_chip *chip,
                          const sp_tier_plan *plan, struct sp_text *out)
{
    sp_json_writer w;
    sp_jw_init(&w, out);
    sp_json_open_answer(&w, "shardplan/tiers-result/1", question);
    sp_jw_string(&w, "memory", chip->name);
    sp_jw_bool(&w, "fits", plan->overflow_bytes <= 0.0);
    sp_jw_double(&w, "overflow_bytes", plan->overflow_bytes);
    sp_jw_double(&w, "ttft_s", plan->ttft_s);
    sp_jw_double(&w, "token_s", plan->token_s);
    sp_jw_double(&w, "tokens_per_s", plan->tokens_per_s);
    sp_jw_double(&w, "joules_per_token", plan->joules_per_token);
    sp_jw_open_array(&w, "items");
    for (uint32_t i = 0; i < plan->n_items; i++) {
        if (plan->items[i].held_bytes > 0.0) put_item(&w, chip, &plan->items[i]);
    }
    sp_jw_close_array(&w);
    sp_jw_close_object(&w);
}
