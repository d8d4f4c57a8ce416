/* SPDX-License-Identifier: Apache-2.0 */
/* `shardplan serve`: searches the serving plans of a question and shows the best ones. */
#include "cli/plan_list.h"
#include "cli/serving.h"

#include <stdio.h>
#include <string.h>

#define FINALISTS    3u  /* rows that are run request by request; -v: all */
#define MOST_REPEATS 16u /* numbers of GPUs on which a row's workers may come again */

static void report(const sp_context *context, const sp_serving_answer *answer, sp_text *text)
{
    const sp_report_options options = sp_cli_options(context);
    switch (context->run.format) {
    case SP_FORMAT_JSON:
        sp_report_serve_json(answer, &options, text);
        return;
    case SP_FORMAT_CSV:
        sp_report_serve_csv(answer, text);
        return;
    case SP_FORMAT_MD:
        sp_report_serve_markdown(answer, &options, text);
        return;
    case SP_FORMAT_TABLE:
        sp_report_serve_table(answer, &options, text);
        return;
    case SP_N_FORMATS:
        return;
    }
}

static sp_exit write_answer(const sp_context *context, const sp_serving_answer *answer,
                            sp_exit code)
{
    sp_text text = {0};
    report(context, answer, &text);
    return sp_cli_write(context, &text, code);
}

/* Nothing was found in the whole space: people are told why, programs get the empty answer too. */
static sp_exit explain_nothing(const sp_context *context, const sp_serving_answer *answer)
{
    sp_text why = {0};
    sp_report_serve_nothing(answer->space, answer->result, &why);
    (void)fprintf(stderr, "shardplan: nothing feasible: %s\n", why.length > 0 ? why.data : "");
    sp_text_fini(&why);
    return context->run.format == SP_FORMAT_TABLE ? SP_EXIT_NOTHING
                                                  : write_answer(context, answer, SP_EXIT_NOTHING);
}

static sp_exit show(const sp_context *context, const sp_serving_answer *answer)
{
    const sp_exit code = sp_cli_search_code(context, answer->result);
    if (code == SP_EXIT_FOUND && answer->result->ranked.n_points == 0) {
        return explain_nothing(context, answer);
    }
    return write_answer(context, answer, code);
}

static sp_exit show_result(const sp_context *context, const sp_serving_space *space,
                           const sp_search_result *result)
{
    const sp_run *asked = &context->run;
    const sp_serving_shown shown = {.by_layout = asked->by_layout,
                                    .top = asked->top,
                                    .runs = asked->verbose ? asked->top : FINALISTS};
    sp_serving_answer answer;
    sp_error err = {0};
    const sp_exit code = sp_serving_answer_build(space, result, &shown, &answer, &err) == SP_OK
                             ? show(context, &answer)
                             : sp_cli_fail(context, &err);
    sp_serving_answer_fini(&answer);
    return code;
}

static sp_exit search(const sp_context *context, const sp_serving_space *space)
{
    const sp_run *run = &context->run;
    const uint32_t *gpus = NULL;
    const uint32_t n_gpus = sp_serving_space_values(space, SP_SERVING_AXIS_gpus, &gpus);
    sp_search_options options = {.threads = run->threads,
                                 .top_k =
                                     run->top * (n_gpus < MOST_REPEATS ? n_gpus : MOST_REPEATS),
                                 .timeout_s = run->timeout_s,
                                 .alone = context->recommendation != NULL,
                                 .no_bounds = run->no_bounds};
    sp_progress_line line;
    sp_search_result result = {0};
    sp_error err = {0};
    sp_progress_start(&options, &line, context->speaks && !run->quiet);
    const sp_status status = sp_serving_search(space, &options, &result, &err);
    sp_progress_end(&line);
    if (status != SP_OK) return sp_cli_fail(context, &err);
    if (context->speaks && result.warning[0] != '\0') sp_cli_warn(context, result.warning);
    const sp_exit code = context->speaks ? show_result(context, space, &result) : SP_EXIT_FOUND;
    sp_search_result_fini(&result);
    return code;
}

static sp_exit dry_run(const sp_context *context, const sp_serving_space *space)
{
    const sp_report_options options = sp_cli_options(context);
    sp_error err = {0};
    sp_text text = {0};
    if (sp_run_check_format(&context->run, SP_FORM_TABLE, &err) != SP_OK) {
        return sp_cli_fail(context, &err);
    }
    if (!context->speaks) return SP_EXIT_FOUND;
    sp_report_serve_dry_run(space, &options, &text);
    return sp_cli_write(context, &text, SP_EXIT_FOUND);
}

sp_exit sp_serve_answer(const sp_context *context)
{
    sp_serving_problem *problem = NULL;
    sp_serving_space *space = NULL;
    sp_error err = {0};
    sp_exit code = SP_EXIT_FAILED;
    if (sp_serving_question_build(context->settings, context->home, &problem, &space, &err) !=
        SP_OK) {
        code = sp_cli_fail(context, &err);
    } else {
        sp_cli_warn_of_change(context, sp_serving_problem_fingerprint(problem));
        code = context->run.dry_run ? dry_run(context, space) : search(context, space);
    }
    sp_serving_space_free(space);
    sp_serving_problem_free(problem);
    return code;
}

static sp_exit run(const sp_context *context)
{
    sp_settings *settings = context->settings;
    settings->asks = SP_ASKS_SERVE;
    return sp_ask(context, settings->n_words > 0 ? settings->words[0] : NULL,
                  sp_command_serve.takes);
}

const sp_command sp_command_serve = {
    .name = "serve",
    .usage = "serve [JOB.json|RESULT.json] [FLAG..]",
    .summary = "the best serving deployments of a model on a cluster",
    .about =
        "Searches every way to serve a model with the GPUs: engines, worker layouts (tensor, "
        "expert, pipeline\n"
        "and attention-data parallelism), batch and chunk sizes, one pool of workers or one for "
        "prompts and\n"
        "one for answers. Shows the best ones within the limits, and the Pareto front of what a "
        "user sees\n"
        "against what a GPU yields.\n",
    .examples =
        "  shardplan serve --model llama-3.1-70b --cluster dgx-h100 --gpus 8 --isl 4k --osl 1k "
        "--engine vllm\n"
        "  shardplan serve --model deepseek-v3 --cluster dgx-h200 --gpus 32 --isl 4k --osl 1k \\\n"
        "      --slo 'ttft:p95<=2s,tpot:mean<=40ms'\n"
        "  shardplan serve --json -o result.json jobs/serve-deepseek-v3-32xh200.json\n",
    .takes = SP_TAKES_SERVING | SP_TAKES_SEARCH | SP_TAKES_RESULT | SP_TAKES_OUTPUT,
    .max_words = 1,
    .run = run,
};
