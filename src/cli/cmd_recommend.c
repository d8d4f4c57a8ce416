/* SPDX-License-Identifier: Apache-2.0 */
/* `shardplan recommend`: the fewest GPUs, the least money or the largest rate, in one line; then
 * the plans behind it as serve and train show them. */
#include "cli/recommend.h"

#include <stdio.h>

sp_status sp_recommend_put(const sp_context *context, sp_flag_id flag, const char *text,
                           sp_error *err)
{
    return sp_settings_put(context->settings, flag, SP_FROM_FLAG, text, err);
}

sp_status sp_recommend_put_gpus(const sp_context *context, uint32_t gpus, sp_error *err)
{
    char text[24];
    (void)snprintf(text, sizeof text, "%u", gpus);
    return sp_recommend_put(context, SP_FLAG_gpus, text, err);
}

sp_status sp_recommend_say(sp_recommendation *out, const char *sentence, sp_error *err)
{
    out->sentence = sentence;
    return sentence != NULL ? SP_OK : sp_fail(err, SP_E_MEMORY, "no memory for the answer");
}

static sp_status read_goal(const sp_settings *settings, sp_goal *goal, sp_error *err)
{
    static const char *const names[SP_N_GOALS] = {"min-gpus", "min-usd", "max-rate"};
    uint32_t choice = 0;
    SP_TRY(sp_flag_choice(settings, SP_FLAG_recommend_find, names, SP_N_GOALS, &choice, err));
    *goal = (sp_goal)choice;
    if (*goal != SP_GOAL_MAX_RATE || settings->asks == SP_ASKS_SERVE) return SP_OK;
    sp_fail(err, SP_E_INCONSISTENT, "only what is served has a rate");
    sp_fail_value(err, "%s", names[choice]);
    return sp_flag_blame(err->status, SP_FLAG_recommend_find, err);
}

sp_exit sp_recommend_answer(const sp_context *outer)
{
    sp_context context = *outer;
    sp_recommendation found = {.find = sp_settings_text(context.settings, SP_FLAG_recommend_find)};
    const bool serving = context.settings->asks == SP_ASKS_SERVE;
    sp_goal goal = SP_GOAL_MIN_GPUS;
    sp_error err = {0};
    if (!context.speaks) return SP_EXIT_FOUND; /* its many small searches are rank 0's alone */
    sp_status status = read_goal(context.settings, &goal, &err);
    if (status == SP_OK) {
        status = serving ? sp_recommend_serving(&context, goal, &found, &err)
                         : sp_recommend_training(&context, goal, &found, &err);
    }
    if (status != SP_OK) return sp_cli_fail(&context, &err);
    context.recommendation = &found;
    return serving ? sp_serve_answer(&context) : sp_train_answer(&context);
}

static sp_exit run(const sp_context *context)
{
    sp_settings *settings = context->settings;
    settings->recommends = true;
    return sp_ask(context, settings->n_words > 0 ? settings->words[0] : NULL,
                  sp_command_recommend.takes);
}

const sp_command sp_command_recommend = {
    .name = "recommend",
    .usage = "recommend [JOB.json] [FLAG..]",
    .summary = "fewest GPUs or least money for a load or a deadline; the largest rate",
    .about = "Answers in one line, then shows the plans behind it. Of serving: the fewest GPUs, or "
             "the least\n"
             "money, that take a load within limits, or with --find max-rate the most that GPUs "
             "take. Of training:\n"
             "the fewest GPUs, or the least money, for --tokens by a --deadline. Without --gpus, "
             "serving is tried\n"
             "on up to 64 GPUs, and training on doublings of 8 with the whole nodes in between.\n",
    .examples =
        "  shardplan recommend --model llama-3.1-70b --cluster dgx-h100 --isl 4k --osl 1k "
        "\\\n"
        "      --rate 5 --slo 'ttft:p95<=2s,tpot:mean<=40ms'\n"
        "  shardplan recommend --find max-rate jobs/serve-llama-3.1-70b-8xh100.json\n"
        "  shardplan recommend --model llama-3.1-8b --cluster dgx-h100 --seq-len 8k --global-batch "
        "512 \\\n"
        "      --tokens 1T --deadline 30d\n",
    .takes = SP_TAKES_QUESTION | SP_TAKES_SERVING | SP_TAKES_SEARCH | SP_TAKES_RECOMMEND |
             SP_TAKES_RESULT | SP_TAKES_OUTPUT,
    .max_words = 1,
    .run = run,
};
