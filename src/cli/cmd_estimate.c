/* SPDX-License-Identifier: Apache-2.0 */
/* `shardplan estimate PLAN`: every term of one plan, or the figures of many. */
#include "cli/plan_list.h"
#include "cli/serving.h"

#include <stdio.h>
#include <string.h>

/* ---- one plan ---- */

static sp_exit show_plan(const sp_context *context, const sp_space *space, const sp_priced *priced)
{
    const sp_report_options options = sp_cli_options(context);
    sp_text text = {0};
    switch (context->run.format) {
    case SP_FORMAT_JSON:
        sp_report_estimate_json(space, priced, &options, &text);
        break;
    case SP_FORMAT_CSV:
        sp_report_estimates_csv(space, priced, 1, context->baseline, &text);
        break;
    case SP_FORMAT_TABLE:
    case SP_FORMAT_MD:
    case SP_N_FORMATS:
        sp_report_estimate_page(space, priced, &options, &text);
        break;
    }
    const bool refused = priced->rule != UINT32_MAX;
    return sp_cli_write(context, &text, refused ? SP_EXIT_NOTHING : SP_EXIT_FOUND);
}

static void explain_refusal(const sp_context *context, const sp_space *space,
                            const sp_priced *priced)
{
    if (priced->rule == UINT32_MAX || !context->speaks) return;
    const sp_rule_info *rule = sp_space_rule(space, priced->rule);
    (void)fprintf(stderr, "shardplan: nothing feasible: the plan is refused by rule %s: %s\n",
                  rule->name, rule->meaning);
}

static sp_exit estimate_one(const sp_context *context, const sp_space *space, const char *text)
{
    sp_error err = {0};
    sp_plan plan;
    sp_priced priced;
    if (sp_plan_read(text, space, &plan, &err) != SP_OK) {
        sp_fail_file(&err, "PLAN");
        return sp_cli_fail(context, &err);
    }
    sp_price_plan(space, &plan, &priced);
    const sp_exit code = show_plan(context, space, &priced);
    explain_refusal(context, space, &priced);
    return code;
}

/* ---- many ---- */

/* JSON unless another form was asked for. */
static sp_exit show_list(const sp_context *context, const sp_space *space, const sp_plan_list *list)
{
    const sp_report_options options = sp_cli_options(context);
    const bool asked = context->settings->of[SP_FLAG_format].origin != SP_FROM_DEFAULT;
    sp_text text = {0};
    if (context->run.format == SP_FORMAT_CSV) {
        sp_report_estimates_csv(space, list->plans, list->n, context->baseline, &text);
    } else if (asked && context->run.format != SP_FORMAT_JSON) {
        sp_report_estimates_table(space, list->plans, list->n, &options, &text);
    } else {
        sp_report_estimates_json(space, list->plans, list->n, &options, &text);
    }
    return sp_cli_write(context, &text, SP_EXIT_FOUND);
}

static sp_exit estimate_many(const sp_context *context, const sp_space *space, const char *file)
{
    sp_error err = {0};
    sp_plan_list list;
    const sp_exit code = sp_plan_list_read(&list, file, space, &err) == SP_OK
                             ? show_list(context, space, &list)
                             : sp_cli_fail(context, &err);
    sp_plan_list_fini(&list);
    return code;
}

/* ---- the question behind it ---- */

static sp_exit with_space(const sp_context *outer, const sp_space *space, const char *plan,
                          const char *ids)
{
    sp_context context = *outer;
    sp_baseline baseline;
    sp_error err = {0};
    if (sp_plan_check_ids(context.settings, plan, ids,
                          sp_problem_fingerprint(sp_space_problem(space)), &err) != SP_OK ||
        sp_baseline_read(&context, space, &baseline, &err) != SP_OK) {
        return sp_cli_fail(&context, &err);
    }
    if (baseline.text != NULL) context.baseline = &baseline;
    return ids != NULL ? estimate_many(&context, space, ids) : estimate_one(&context, space, plan);
}

static sp_status check_words(const sp_settings *settings, const char *ids, sp_error *err)
{
    const char *plan = settings->n_words > 0 ? settings->words[0] : NULL;
    if (ids == NULL && plan == NULL) {
        return sp_fail(err, SP_E_USAGE,
                       "name a plan, for example shardplan estimate tp=8,pp=4 "
                       "jobs/llama-3.1-70b-64xh100.json");
    }
    if (ids == NULL) return sp_plan_check_launch_file(plan, err);
    if (settings->n_words > 1) {
        sp_fail(err, SP_E_USAGE, "plans come from --ids or from the command line, not from both");
        return sp_fail_value(err, "%s", plan);
    }
    return SP_OK;
}

static sp_exit answer(sp_context *context, const char *plan, const char *ids)
{
    sp_problem *problem = NULL;
    sp_space *space = NULL;
    const char *note = NULL;
    sp_error err = {0};
    sp_status status =
        sp_question_build(context->settings, context->home, &problem, &space, &note, &err);
    if (status == SP_OK) status = sp_evidence_base_load(context->home, &context->evidence, &err);
    const sp_exit code =
        status == SP_OK ? with_space(context, space, plan, ids) : sp_cli_fail(context, &err);
    sp_evidence_base_free(context->evidence);
    sp_space_free(space);
    sp_problem_free(problem);
    return code;
}

static sp_exit run(const sp_context *outer)
{
    sp_context context = *outer;
    const sp_settings *settings = context.settings;
    const char *ids = sp_settings_text(settings, SP_FLAG_ids);
    sp_error err = {0};
    if (check_words(settings, ids, &err) != SP_OK) return sp_cli_fail(&context, &err);
    const int job_word = ids != NULL ? 0 : 1;
    const char *job = settings->n_words > job_word ? settings->words[job_word] : NULL;
    if (sp_plan_read_files(&context, job, &err) != SP_OK ||
        sp_run_check_format(&context.run, SP_FORM_TABLE | SP_FORM_JSON | SP_FORM_CSV, &err) !=
            SP_OK ||
        sp_asks_settle(context.settings, &err) != SP_OK) {
        return sp_cli_fail(&context, &err);
    }
    const char *plan = ids != NULL ? "" : settings->words[0];
    if (!context.run.show_config && settings->asks == SP_ASKS_SERVE) {
        return sp_serving_estimate_command(&context, plan, ids);
    }
    if (!context.run.show_config) return answer(&context, plan, ids);
    sp_text text = {0};
    sp_show_config(settings, sp_command_estimate.takes, &text);
    return sp_cli_write(&context, &text, SP_EXIT_FOUND);
}

const sp_command sp_command_estimate = {
    .name = "estimate",
    .usage = "estimate PLAN [JOB.json] [FLAG..]",
    .summary = "one plan: every term of its time, memory, network and cost",
    .about = "PLAN is text such as tp=8,pp=4,micro_batch=2 (axes of `shardplan list axes`, "
             "defaults for what is\n"
             "left out) with a question from flags or a job file, or an id with --result "
             "RESULT.json. With\n"
             "--ids many plans are priced at once, as JSON. Flags or files that only serving has, "
             "or --command\n"
             "serve, make it a plan of serving.\n",
    .examples = "  shardplan estimate tp=8,pp=4,sp=on jobs/llama-3.1-70b-64xh100.json\n"
                "  shardplan estimate engine=vllm,tp=4,batch=64 "
                "jobs/serve-llama-3.1-70b-8xh100.json\n"
                "  shardplan estimate 123456 --result result.json\n"
                "  shardplan estimate --ids ids.txt --result result.json --format csv\n",
    .takes = SP_TAKES_QUESTION | SP_TAKES_SERVING | SP_TAKES_PLAN | SP_TAKES_PLANS |
             SP_TAKES_BASELINE | SP_TAKES_OUTPUT,
    .max_words = 2,
    .run = run,
};
