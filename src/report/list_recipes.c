/* SPDX-License-Identifier: Apache-2.0 */
/* The published runs as a list, each beside our own estimate of it. */
#include "report/report_priv.h"

#include <stdio.h>

static void put_figures(sp_listing *l, const sp_recipe_answer *answer)
{
    char error[SP_WORD_BYTES];
    (void)snprintf(error, sizeof error, "%+.1f %%", 100.0 * answer->error_ratio);
    sp_word word = {0};
    (void)snprintf(word.text, sizeof word.text, "%s", error);
    sp_listing_number(l, answer->measured_step_s, sp_word_number(answer->measured_step_s));
    sp_listing_number(l, answer->estimate.time.step_s,
                      sp_word_number(answer->estimate.time.step_s));
    sp_listing_number(l, answer->error_ratio, word);
}

static sp_status put_recipe(sp_listing *l, sp_evidence_base *base, uint32_t idx, sp_error *err)
{
    const sp_training_recipe *recipe = &sp_evidence_recipes(base)->list[idx];
    const sp_recipe_answer *answer = NULL;
    char plan[SP_PLAN_TEXT_BYTES];
    SP_TRY(sp_evidence_price(base, idx, &answer, err));
    if (!sp_listing_row(l)) return SP_OK;
    (void)sp_plan_format(&recipe->plan, plan, sizeof plan);
    sp_listing_text(l, recipe->name);
    sp_listing_text(l, recipe->model);
    sp_listing_text(l, recipe->cluster);
    sp_listing_count(l, recipe->gpus);
    put_figures(l, answer);
    sp_listing_text(l, recipe->engine);
    sp_listing_text(l, plan);
    sp_listing_text(l, recipe->citation);
    sp_listing_row_end(l);
    return SP_OK;
}

sp_status sp_list_recipes(sp_listing *l, sp_error *err)
{
    static const char *const keys[] = {
        "name",        "model",  "cluster", "gpus",  "measured_step_s", "predicted_step_s",
        "error_ratio", "engine", "plan",    "source"};
    static const char *const headers[] = {"recipe",     "model", "cluster", "GPUs", "measured s",
                                          "estimate s", "error", "engine",  "plan", "source"};
    sp_evidence_base *base = NULL;
    sp_listing_begin(l, keys, headers, 10, 0x78);
    SP_TRY(sp_evidence_base_load(l->home, &base, err));
    sp_status status = SP_OK;
    for (uint32_t i = 0; status == SP_OK && i < sp_evidence_recipes(base)->n; i++) {
        status = put_recipe(l, base, i, err);
    }
    sp_evidence_base_free(base);
    return status;
}
