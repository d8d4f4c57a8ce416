/* SPDX-License-Identifier: Apache-2.0 */
/* `shardplan compare A B`: two plans of one question, figure by figure. */
#include "cli/plan_list.h"

#include <stdio.h>

static void explain_refusal(const sp_context *context, const sp_space *space, const char *name,
                            const sp_priced *priced)
{
    if (priced->rule == UINT32_MAX || !context->speaks) return;
    const sp_rule_info *rule = sp_space_rule(space, priced->rule);
    (void)fprintf(stderr, "shardplan: nothing feasible: plan %s is refused by rule %s: %s\n", name,
                  rule->name, rule->meaning);
}

static sp_exit show(const sp_context *context, const sp_space *space, const sp_priced *a,
                    const sp_priced *b)
{
    const sp_report_options options = sp_cli_options(context);
    const bool refused = a->rule != UINT32_MAX || b->rule != UINT32_MAX;
    sp_text text = {0};
    if (context->run.format == SP_FORMAT_JSON) {
        sp_report_compare_json(space, a, b, &text);
    } else {
        sp_report_compare_page(space, a, b, &options, &text);
    }
    const sp_exit code = sp_cli_write(context, &text, refused ? SP_EXIT_NOTHING : SP_EXIT_FOUND);
    explain_refusal(context, space, "A", a);
    explain_refusal(context, space, "B", b);
    return code;
}

/* name says in errors which of the two is meant. */
static sp_status read_plan(const sp_context *context, const sp_space *space, const char *text,
                           const char *name, sp_priced *priced, sp_error *err)
{
    sp_plan plan;
    SP_TRY(sp_plan_check_id(context->settings, text,
                            sp_problem_fingerprint(sp_space_problem(space)), err));
    if (sp_plan_read(text, space, &plan, err) != SP_OK) return sp_fail_file(err, name);
    sp_price_plan(space, &plan, priced);
    return SP_OK;
}

static sp_exit with_space(const sp_context *context, const sp_space *space)
{
    char *const *words = context->settings->words;
    sp_priced a, b;
    sp_error err = {0};
    if (read_plan(context, space, words[0], "A", &a, &err) != SP_OK ||
        read_plan(context, space, words[1], "B", &b, &err) != SP_OK) {
        return sp_cli_fail(context, &err);
    }
    return show(context, space, &a, &b);
}

static sp_exit answer(const sp_context *context)
{
    sp_problem *problem = NULL;
    sp_space *space = NULL;
    const char *note = NULL;
    sp_error err = {0};
    const sp_status status =
        sp_question_build(context->settings, context->home, &problem, &space, &note, &err);
    if (status == SP_OK && note != NULL) sp_cli_warn(context, note);
    const sp_exit code = status == SP_OK ? with_space(context, space) : sp_cli_fail(context, &err);
    sp_space_free(space);
    sp_problem_free(problem);
    return code;
}

static sp_status prepare(sp_context *context, sp_error *err)
{
    const sp_settings *settings = context->settings;
    if (settings->n_words < 2) {
        sp_fail(err, SP_E_USAGE,
                "name two plans, for example shardplan compare tp=8,pp=4 tp=4,pp=8 "
                "jobs/llama-3.1-70b-64xh100.json");
        return settings->n_words > 0 ? sp_fail_value(err, "%s", settings->words[0]) : err->status;
    }
    SP_TRY(sp_plan_check_launch_file(settings->words[0], err));
    SP_TRY(sp_plan_check_launch_file(settings->words[1], err));
    SP_TRY(sp_plan_read_files(context, settings->n_words > 2 ? settings->words[2] : NULL, err));
    return sp_run_check_format(&context->run, SP_FORM_TABLE | SP_FORM_JSON, err);
}

static sp_exit run(const sp_context *outer)
{
    sp_context context = *outer;
    sp_error err = {0};
    if (prepare(&context, &err) != SP_OK) return sp_cli_fail(&context, &err);
    if (!context.run.show_config) return answer(&context);
    sp_text text = {0};
    sp_show_config(context.settings, sp_command_compare.takes, &text);
    return sp_cli_write(&context, &text, SP_EXIT_FOUND);
}

const sp_command sp_command_compare = {
    .name = "compare",
    .usage = "compare A B [JOB.json] [FLAG..]",
    .summary = "two plans: every figure side by side, and what makes the difference",
    .about = "A and B are plans of one question: text such as tp=8,pp=4 with the question from "
             "flags or a job\n"
             "file, or ids with --result RESULT.json. Differences are B less A.\n",
    .examples = "  shardplan compare tp=8,pp=4,sp=on tp=4,pp=8,sp=on "
                "jobs/llama-3.1-70b-64xh100.json\n"
                "  shardplan compare 1216983 1272295 --result result.json --json\n",
    .takes = SP_TAKES_QUESTION | SP_TAKES_PLAN | SP_TAKES_OUTPUT,
    .max_words = 3,
    .run = run,
};
