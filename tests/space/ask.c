/* SPDX-License-Identifier: Apache-2.0 */
#include "space/ask.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void must(sp_status status, const sp_error *err)
{
    char text[SP_ERROR_TEXT_BYTES];
    if (status == SP_OK) return;
    sp_error_format(err, text, sizeof text);
    fail_msg("%s", text);
}

static sp_question ask(const char *model, uint64_t batch, uint64_t length)
{
    sp_question q = sp_question_default();
    q.home = getenv("SHARDPLAN_HOME");
    assert_non_null(q.home);
    q.model = model;
    q.cluster = "dgx-h100";
    q.gpus = "64";
    q.global_batch = batch;
    q.seq_len = length;
    return q;
}

sp_question ask_dense(void)
{
    return ask("llama-3.1-70b", 128, 8192);
}

sp_question ask_experts(void)
{
    return ask("mixtral-8x7b", 256, 4096);
}

asked build(const sp_question *question)
{
    asked a = {0};
    sp_error err = {0};
    must(sp_problem_build(question, &a.problem, &err), &err);
    must(sp_space_build(a.problem, &a.space, &err), &err);
    return a;
}

void drop(asked *a)
{
    sp_space_free(a->space);
    sp_problem_free(a->problem);
    *a = (asked){0};
}

sp_plan read_plan(const asked *a, const char *text)
{
    sp_error err = {0};
    sp_plan plan = sp_plan_default();
    plan.gpus = a->problem->gpus_values[a->problem->n_gpus_values - 1];
    must(sp_plan_parse(text, &plan, &err), &err);
    sp_plan_derive(&plan, a->problem->question.global_batch);
    return plan;
}

const char *refusal(const asked *a, const char *text)
{
    const sp_plan plan = read_plan(a, text);
    const uint32_t rule = sp_space_refusal(a->space, &plan);
    return rule == UINT32_MAX ? "" : sp_space_rule(a->space, rule)->name;
}
