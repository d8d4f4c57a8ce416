/* SPDX-License-Identifier: Apache-2.0 */
/* Speculative decoding over depth and acceptance, for people and as "shardplan/speculation/1". */
#include "report/sweep_words.h"

#include <stdio.h>

static const double acceptances[] = {0.5, 0.6, 0.7, 0.8, 0.9, 0.95};
enum { N_ACCEPTANCES = sizeof acceptances / sizeof acceptances[0] };

static void add_depth(sp_grid *grid, const sp_speculation *s, uint32_t depth)
{
    char number[16];
    (void)snprintf(number, sizeof number, "%u", depth);
    sp_grid_row_add(grid, SP_TONE_PLAIN);
    sp_grid_set(grid, 0, number);
    sp_grid_set(grid, 1, sp_word_short(depth * s->draft_s + s->verify_s[depth]).text);
    for (uint32_t a = 0; a < N_ACCEPTANCES; a++) {
        sp_grid_set(grid, 2 + a,
                    sp_word_number(sp_speculate_speedup(s, acceptances[a], depth)).text);
    }
}

static void add_best(sp_grid *grid, const sp_speculation *s)
{
    sp_grid_row_add(grid, SP_TONE_STRONG);
    sp_grid_set(grid, 0, "best");
    for (uint32_t a = 0; a < N_ACCEPTANCES; a++) {
        char text[16] = "plain";
        const uint32_t best = sp_speculate_best_depth(s, acceptances[a]);
        if (best > 0) (void)snprintf(text, sizeof text, "%u", best);
        sp_grid_set(grid, 2 + a, text);
    }
}

void sp_report_speculation_page(const sp_analysis_question *target,
                                const sp_analysis_question *draft, const sp_speculation *s,
                                const sp_report_options *options, struct sp_text *out)
{
    sp_grid grid;
    sp_answer_head(target, out);
    sp_text_printf(out, "\nDrafted by %s: a token takes %s, of the target %s; ", draft->model->name,
                   sp_word_short(s->draft_s).text, sp_word_short(s->target_s).text);
    sp_text_printf(out, "both need %s GiB, which %s.\n", sp_word_gib(s->memory_bytes).text,
                   s->fits ? "fit" : "do not fit");
    sp_text_add(out, "\nTimes as fast as plain decoding, by tokens drafted and share accepted\n");
    sp_grid_init(&grid, 2 + N_ACCEPTANCES, SP_SPECULATE_MAX_DEPTH + 1);
    sp_grid_column_add(&grid, "depth", SP_RIGHT, 0);
    sp_grid_column_add(&grid, "step", SP_RIGHT, 0);
    for (uint32_t a = 0; a < N_ACCEPTANCES; a++) {
        sp_grid_column_add(&grid, sp_word_percent(acceptances[a]).text, SP_RIGHT, 0);
    }
    for (uint32_t depth = 1; depth <= SP_SPECULATE_MAX_DEPTH; depth++) {
        add_depth(&grid, s, depth);
    }
    add_best(&grid, s);
    sp_grid_write(&grid, 2, options->width > 0 ? options->width : 100, options->color, out);
    out->failed = out->failed || grid.failed;
    sp_grid_fini(&grid);
}

static void put_curve(sp_json_writer *w, const sp_speculation *s, double acceptance)
{
    sp_jw_open_object(w, NULL);
    sp_jw_double(w, "acceptance", acceptance);
    sp_jw_u64(w, "best_depth", sp_speculate_best_depth(s, acceptance));
    sp_jw_open_array(w, "points");
    for (uint32_t depth = 1; depth <= SP_SPECULATE_MAX_DEPTH; depth++) {
        sp_jw_open_object_compact(w, NULL);
        sp_jw_u64(w, "depth", depth);
        sp_jw_double(w, "tokens", sp_speculate_tokens(acceptance, depth));
        sp_jw_double(w, "speedup", sp_speculate_speedup(s, acceptance, depth));
        sp_jw_double(w, "energy_ratio", sp_speculate_energy_ratio(s, acceptance, depth));
        sp_jw_close_object(w);
    }
    sp_jw_close_array(w);
    sp_jw_close_object(w);
}

void sp_report_speculation_json(const sp_analysis_question *target,
                                const sp_analysis_question *draft, const sp_speculation *s,
                                struct sp_text *out)
{
    sp_json_writer w;
    sp_jw_init(&w, out);
    sp_json_open_answer(&w, "shardplan/speculation/1", target);
    sp_jw_string(&w, "draft", draft->model->name);
    sp_jw_double(&w, "target_s", s->target_s);
    sp_jw_double(&w, "draft_s", s->draft_s);
    sp_jw_double(&w, "target_memory_bytes", s->target_memory_bytes);
    sp_jw_double(&w, "memory_bytes", s->memory_bytes);
    sp_jw_bool(&w, "fits", s->fits);
    sp_jw_open_array_compact(&w, "verify_s");
    for (uint32_t depth = 0; depth <= SP_SPECULATE_MAX_DEPTH; depth++) {
        sp_jw_double(&w, NULL, s->verify_s[depth]);
    }
    sp_jw_close_array(&w);
    sp_jw_open_array(&w, "curves");
    for (uint32_t a = 0; a < N_ACCEPTANCES; a++) {
        put_curve(&w, s, acceptances[a]);
    }
    sp_jw_close_array(&w);
    sp_jw_close_object(&w);
}
