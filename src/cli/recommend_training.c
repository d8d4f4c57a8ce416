/* SPDX-License-Identifier: Apache-2.0 */
/* The fewest GPUs, or the least money, that train a model on its tokens before a deadline. Without
 * --gpus doublings are tried first, then the whole nodes below the one that suffices. */
#include "cli/recommend.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define SECONDS_A_DAY 86400.0
#define MOST_GPUS     65536u

typedef struct outcome {
    bool found;
    uint32_t gpus;
    double days, usd_run;
} outcome;

/* The best plan of the settings as they stand. */
static sp_status ask(const sp_context *context, outcome *out, sp_error *err)
{
    sp_problem *problem = NULL;
    sp_space *space = NULL;
    const char *note = NULL;
    sp_search_result result = {0};
    const sp_search_options options = {.threads = context->run.threads, .top_k = 1, .alone = true};
    *out = (outcome){0};
    sp_status status =
        sp_question_build(context->settings, context->home, &problem, &space, &note, err);
    if (status == SP_OK) status = sp_search_run(space, &options, &result, err);
    if (status == SP_OK && result.ranked.n_points > 0) {
        const sp_plan plan = sp_space_unrank(space, result.ranked.points[0].id);
        sp_estimate estimate;
        sp_estimate_plan(problem, &plan, &estimate);
        *out = (outcome){true, plan.gpus, estimate.days, estimate.usd_run};
    }
    sp_search_result_fini(&result);
    sp_space_free(space);
    sp_problem_free(problem);
    return status;
}

/* Doublings of a node until one suffices; then every whole node above the last that did not. */
static sp_status ask_without_gpus(const sp_context *context, outcome *out, sp_error *err)
{
    char text[40];
    uint32_t node = 8, gpus = node;
    for (; gpus <= MOST_GPUS; gpus *= 2) {
        SP_TRY(sp_recommend_put_gpus(context, gpus, err));
        SP_TRY(ask(context, out, err));
        if (out->found) break;
    }
    if (!out->found || gpus <= 2 * node) return SP_OK;
    (void)snprintf(text, sizeof text, "%u..%u", gpus / 2 + node, gpus);
    SP_TRY(sp_recommend_put(context, SP_FLAG_gpus, text, err));
    return ask(context, out, err);
}

static sp_status read_days(const sp_context *context, double *days, sp_error *err)
{
    const char *text = sp_settings_text(context->settings, SP_FLAG_deadline);
    double seconds = 0.0;
    if (text == NULL || sp_settings_text(context->settings, SP_FLAG_tokens) == NULL) {
        return sp_fail(err, SP_E_USAGE,
                       "say how much is trained and by when: --tokens AMOUNT and --deadline "
                       "DURATION, such as --tokens 1T --deadline 30d");
    }
    SP_TRY(sp_flag_blame(sp_parse_duration(text, &seconds, err), SP_FLAG_deadline, err));
    *days = seconds / SECONDS_A_DAY;
    if (*days > 0.0) return SP_OK;
    sp_fail(err, SP_E_RANGE, "a deadline is some time away");
    sp_fail_value(err, "%s", text);
    return sp_flag_blame(err->status, SP_FLAG_deadline, err);
}

/* The question as it is shown in the end: on the GPUs that were found, by the usual objectives. */
static sp_status settle(const sp_context *context, const sp_setting *objectives, uint32_t gpus,
                        sp_error *err)
{
    context->settings->of[SP_FLAG_objectives] = *objectives;
    return sp_recommend_put_gpus(context, gpus, err);
}

sp_status sp_recommend_training(const sp_context *context, sp_goal goal, sp_recommendation *out,
                                sp_error *err)
{
    sp_settings *settings = context->settings;
    const sp_setting objectives = settings->of[SP_FLAG_objectives];
    const bool said = sp_settings_text(settings, SP_FLAG_gpus) != NULL;
    const bool money = goal == SP_GOAL_MIN_USD;
    char text[64];
    double days = 0.0;
    outcome best;
    SP_TRY(read_days(context, &days, err));
    (void)snprintf(text, sizeof text, "days<=%.9g", days);
    SP_TRY(sp_recommend_put(context, SP_FLAG_where, text, err));
    SP_TRY(sp_recommend_put(context, SP_FLAG_objectives,
                            money ? "usd_run,gpus" : "gpus,tokens_per_s", err));
    SP_TRY(said ? ask(context, &best, err) : ask_without_gpus(context, &best, err));
    if (!best.found) {
        return sp_fail(err, SP_E_INFEASIBLE, "no number of GPUs asked about is done in %.3g days",
                       days);
    }
    SP_TRY(settle(context, &objectives, best.gpus, err));
    out->gpus = best.gpus;
    const char *what = money ? "Least money" : "Fewest GPUs";
    char *sentence =
        best.usd_run > 0.0
            ? sp_arena_printf(&settings->arena,
                              "%s to be done within %.3g days: %u GPUs, as little as %.3g days and "
                              "$%.0f.",
                              what, days, best.gpus, best.days, best.usd_run)
            : sp_arena_printf(&settings->arena,
                              "%s to be done within %.3g days: %u GPUs, %.3g days.", what, days,
                              best.gpus, best.days);
    return sp_recommend_say(out, sentence, err);
}
