/* SPDX-License-Identifier: Apache-2.0 */
/* `shardplan train`: searches the space of a question and shows the best plans. */
#include "cli/plan_list.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define SAMPLE_TRIES     200000u
#define SAMPLE_ESTIMATES 2000u

static double time_estimate_s(const sp_space *space, const sp_plan *plan)
{
    const double start_s = sp_clock_s();
    sp_estimate estimate;
    for (uint32_t i = 0; i < SAMPLE_ESTIMATES; i++) {
        sp_estimate_plan(sp_space_problem(space), plan, &estimate);
    }
    return (sp_clock_s() - start_s) / SAMPLE_ESTIMATES;
}

static double resident_bytes(void)
{
    struct rusage usage = {0};
    (void)getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_maxrss * 1024.0;
}

static sp_exit dry_run(const sp_context *context, const sp_space *space)
{
    sp_error err = {0};
    if (sp_run_check_format(&context->run, SP_FORM_TABLE, &err) != SP_OK) {
        return sp_cli_fail(context, &err);
    }
    const sp_sample sample = sp_sample_space(space, SAMPLE_TRIES);
    const double plan_s = sample.admitted > 0 ? time_estimate_s(space, &sample.plan) : 0.0;
    const long online = sysconf(_SC_NPROCESSORS_ONLN);
    const uint32_t threads = context->run.threads > 0 ? context->run.threads
                             : online > 0             ? (uint32_t)online
                                                      : 1;
    const sp_report_options options = sp_cli_options(context);
    sp_text text = {0};
    sp_report_dry_run(space, &sample, plan_s, resident_bytes(), threads, &options, &text);
    return sp_cli_write(context, &text, SP_EXIT_FOUND);
}

static void report(const sp_context *context, const sp_space *space, const sp_search_result *result,
                   sp_text *text)
{
    const sp_report_options options = sp_cli_options(context);
    switch (context->run.format) {
    case SP_FORMAT_JSON:
        sp_report_train_json(space, result, &options, text);
        return;
    case SP_FORMAT_CSV:
        sp_report_train_csv(space, result, context->baseline, text);
        return;
    case SP_FORMAT_MD:
        sp_report_train_markdown(space, result, &options, text);
        return;
    case SP_FORMAT_TABLE:
        sp_report_train_table(space, result, &options, text);
        return;
    case SP_N_FORMATS:
        return;
    }
}

/* Nothing was found in the whole space: people are told why, programs get the empty answer too. */
static sp_exit explain_nothing(const sp_context *context, const sp_space *space,
                               const sp_search_result *result)
{
    sp_text why = {0}, answer = {0};
    if (context->speaks) {
        sp_report_nothing(space, result, &why);
        (void)fprintf(stderr, "shardplan: nothing feasible: %s\n", why.length > 0 ? why.data : "");
    }
    sp_text_fini(&why);
    if (context->run.format == SP_FORMAT_TABLE) return SP_EXIT_NOTHING;
    report(context, space, result, &answer);
    return sp_cli_write(context, &answer, SP_EXIT_NOTHING);
}

static sp_exit show(const sp_context *context, const sp_space *space,
                    const sp_search_result *result)
{
    const sp_exit code = sp_cli_search_code(context, result);
    if (code == SP_EXIT_FOUND && result->ranked.n_points == 0) {
        return explain_nothing(context, space, result);
    }
    sp_text answer = {0};
    report(context, space, result, &answer);
    return sp_cli_write(context, &answer, code);
}

static sp_exit search(const sp_context *context, const sp_space *space)
{
    const sp_run *run = &context->run;
    sp_search_options options = {.threads = run->threads,
                                 .top_k = run->top,
                                 .timeout_s = run->timeout_s,
                                 .alone = context->recommendation != NULL,
                                 .no_bounds = run->no_bounds};
    sp_progress_line line;
    sp_search_result result = {0};
    sp_error err = {0};
    sp_progress_start(&options, &line, context->speaks && !run->quiet);
    const sp_status status = sp_search_run(space, &options, &result, &err);
    sp_progress_end(&line);
    if (status != SP_OK) return sp_cli_fail(context, &err);
    if (context->speaks && result.warning[0] != '\0') sp_cli_warn(context, result.warning);
    const sp_exit code = context->speaks ? show(context, space, &result) : SP_EXIT_FOUND;
    sp_search_result_fini(&result);
    return code;
}

static sp_exit with_space(const sp_context *outer, const sp_space *space)
{
    sp_context context = *outer;
    sp_baseline baseline;
    sp_error err = {0};
    if (sp_baseline_read(&context, space, &baseline, &err) != SP_OK) {
        return sp_cli_fail(&context, &err);
    }
    if (baseline.text != NULL) context.baseline = &baseline;
    if (!context.run.dry_run) return search(&context, space);
    return context.speaks ? dry_run(&context, space) : SP_EXIT_FOUND;
}

/* Before the search and on every rank: a slip in a recipe ends them all before they work. */
static sp_status load_evidence(sp_context *context, sp_error *err)
{
    if (context->run.format != SP_FORMAT_JSON) return SP_OK;
    return sp_evidence_base_load(context->home, &context->evidence, err);
}

sp_exit sp_train_answer(const sp_context *outer)
{
    sp_context with_evidence = *outer, *context = &with_evidence;
    sp_problem *problem = NULL;
    sp_space *space = NULL;
    const char *note = NULL;
    sp_error err = {0};
    sp_exit code = SP_EXIT_FAILED;
    sp_status status =
        sp_question_build(context->settings, context->home, &problem, &space, &note, &err);
    if (status == SP_OK) status = load_evidence(context, &err);
    if (status != SP_OK) {
        code = sp_cli_fail(context, &err);
    } else {
        if (note != NULL) sp_cli_warn(context, note);
        sp_cli_warn_of_change(context, sp_problem_fingerprint(problem));
        code = with_space(context, space);
    }
    sp_evidence_base_free(context->evidence);
    sp_space_free(space);
    sp_problem_free(problem);
    return code;
}

static sp_exit run(const sp_context *context)
{
    sp_settings *settings = context->settings;
    settings->asks = SP_ASKS_TRAIN;
    return sp_ask(context, settings->n_words > 0 ? settings->words[0] : NULL,
                  sp_command_train.takes);
}

const sp_command sp_command_train = {
    .name = "train",
    .usage = "train [JOB.json|RESULT.json] [FLAG..]",
    .summary = "the best training deployments of a model on a cluster",
    .about = "Searches every way to spread the training of a model over the GPUs and shows the "
             "best ones: the\n"
             "layouts (tensor, pipeline, expert and data parallelism), their settings, and the "
             "Pareto front.\n"
             "The question comes from flags, from a job file, or from an earlier answer.\n",
    .examples =
        "  shardplan train --model llama-3.1-70b --cluster dgx-h100 --gpus 64 --seq-len 8k "
        "--global-batch 128\n"
        "  shardplan train jobs/gpt3-175b-512xa100.json --set pp=8 --where 'memory.peak<=70GiB'\n"
        "  shardplan train jobs/llama-3.1-70b-64xh100.json --baseline tp=8,pp=4,recompute=full\n"
        "  shardplan train --json -o result.json jobs/llama-3.1-70b-64xh100.json\n",
    .takes =
        SP_TAKES_QUESTION | SP_TAKES_SEARCH | SP_TAKES_BASELINE | SP_TAKES_RESULT | SP_TAKES_OUTPUT,
    .max_words = 1,
    .run = run,
};
