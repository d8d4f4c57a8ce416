/* SPDX-License-Identifier: Apache-2.0 */
/* The picture of --roofline. */
#include "cli/analyze.h"

sp_status sp_analyze_draw(const sp_context *context, sp_arena *arena, const sp_analyzed *done,
                          sp_error *err)
{
    const char *const file = sp_settings_text(context->settings, SP_FLAG_roofline);
    const char *views[SP_ROOFLINE_N_VIEWS];
    const sp_analysis_question *questions[SP_ROOFLINE_MAX_HARDWARE];
    const sp_roofline *roofline = NULL;
    uint32_t view = SP_ROOFLINE_LOG;
    bool expected = false;
    if (file == NULL) return SP_OK;
    for (sp_roofline_view v = 0; v < SP_ROOFLINE_N_VIEWS; v++) {
        views[v] = sp_roofline_view_name(v);
    }
    for (uint32_t i = 0; i < done->n; i++) {
        questions[i] = &done->questions[i];
    }
    SP_TRY(sp_flag_choice(context->settings, SP_FLAG_view, views, SP_ROOFLINE_N_VIEWS, &view, err));
    SP_TRY(sp_settings_switch(context->settings, SP_FLAG_expected, &expected, err));
    const char *const title = done->questions[0].model->name;
    const char *const subtitle = sp_arena_printf(
        arena, "batch %llu, prompt %llu, %llu generated", (unsigned long long)questions[0]->batch,
        (unsigned long long)questions[0]->prompt_tokens,
        (unsigned long long)questions[0]->generated_tokens);
    if (subtitle == NULL) return sp_fail(err, SP_E_MEMORY, "the picture needs more");
    SP_TRY(sp_roofline_of_analyses(arena, title, subtitle, questions, done->analyses, done->n,
                                   expected, &roofline, err));
    return sp_flag_blame(sp_roofline_write(roofline, (sp_roofline_view)view, file, err),
                         SP_FLAG_roofline, err);
}
