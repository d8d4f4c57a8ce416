/* SPDX-License-Identifier: Apache-2.0 */
/* Chips that a genetic search came to, for people and as "shardplan/evolved/1": those that can be
 * built and that no other beats. */
#include "report/sweep_words.h"

static bool is_shown(const sp_individual *one)
{
    return one->rank == 0 && one->violation == 0.0;
}

static sp_chip chip_of(const sp_individual *one)
{
    sp_chip chip;
    for (uint32_t f = 0; f < SP_CHIP_N_FIGURES; f++) {
        *sp_chip_figure(&chip, f) = one->genes[f];
    }
    return chip;
}

void sp_report_evolved_page(const sp_analysis_question *question, const sp_sweep *ranges,
                            const sp_economics *money, const sp_individual *all, uint32_t n,
                            const sp_report_options *options, struct sp_text *out)
{
    static const char *const headers[] = {"FLOP/s", "B/s",      "B",       "W",
                                          "USD",    "tokens/s", "J/token", "$/Mtok"};
    sp_grid grid;
    struct sp_text line = {0};
    sp_answer_head(question, out);
    sp_text_printf(&line, "Chips within %s that silicon allows and no other beats; ", ranges->name);
    sp_economics_words(money, &line);
    sp_wrap_line(&line, out);
    sp_grid_init(&grid, 8, n);
    for (uint32_t i = 0; i < 8; i++) {
        sp_grid_column_add(&grid, headers[i], SP_RIGHT, 0);
    }
    for (uint32_t i = 0; i < n; i++) {
        if (!is_shown(&all[i])) continue;
        sp_grid_row_add(&grid, SP_TONE_PLAIN);
        for (uint32_t g = 0; g < SP_CHIP_N_FIGURES; g++) {
            sp_grid_set(&grid, g, sp_word_si(all[i].genes[g]).text);
        }
        sp_grid_set(&grid, 5, sp_word_number(1.0 / all[i].objectives[0]).text);
        sp_grid_set(&grid, 6, sp_word_number(all[i].objectives[1]).text);
        sp_grid_set(&grid, 7, sp_word_number(all[i].objectives[2]).text);
    }
    sp_grid_write(&grid, 2, options->width > 0 ? options->width : 100, options->color, out);
    out->failed = out->failed || grid.failed;
    sp_grid_fini(&grid);
}

void sp_report_evolved_json(const sp_analysis_question *question, const sp_sweep *ranges,
                            const sp_economics *money, const sp_individual *all, uint32_t n,
                            struct sp_text *out)
{
    sp_json_writer w;
    sp_jw_init(&w, out);
    sp_json_open_answer(&w, "shardplan/evolved/1", question);
    sp_jw_string(&w, "ranges", ranges->name);
    sp_json_put_economics(&w, money);
    sp_jw_open_array(&w, "chips");
    for (uint32_t i = 0; i < n; i++) {
        if (!is_shown(&all[i])) continue;
        const sp_chip chip = chip_of(&all[i]);
        sp_jw_open_object(&w, NULL);
        sp_json_put_chip(&w, "chip", &chip);
        sp_jw_double(&w, "tokens_per_s", 1.0 / all[i].objectives[0]);
        sp_jw_double(&w, "joules_per_token", all[i].objectives[1]);
        sp_jw_double(&w, "usd_per_mtok", all[i].objectives[2]);
        sp_jw_close_object(&w);
    }
    sp_jw_close_array(&w);
    sp_jw_close_object(&w);
}
