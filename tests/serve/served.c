/* SPDX-License-Identifier: Apache-2.0 */
#include "served.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

sp_serving_question served_example(void)
{
    sp_serving_question q = sp_serving_question_default();
    q.home = source_home();
    q.model = "qwen3-32b";
    q.cluster = "dgx-h200";
    q.gpus = "32";
    q.engine = "vllm";
    q.isl = 4000;
    q.osl = 1000;
    return q;
}

sp_serving_problem *served_build(const sp_serving_question *question)
{
    sp_error err = {0};
    sp_serving_problem *problem = NULL;
    must(sp_serving_problem_build(question, &problem, &err), &err);
    return problem;
}

sp_serving_plan served_plan(const sp_serving_problem *problem, const char *text)
{
    sp_error err = {0};
    sp_serving_plan plan = sp_serving_plan_default(problem);
    must(sp_serving_plan_parse(problem, text, &plan, &err), &err);
    return plan;
}

sp_serving_estimate served_estimate(const sp_serving_problem *problem, const char *text)
{
    sp_error why = {0};
    sp_serving_estimate e;
    const sp_serving_plan plan = served_plan(problem, text);
    if (!sp_serving_side_is_sound(problem, &plan, SP_ROLE_DECODE, &why)) must(why.status, &why);
    if (plan.value[SP_SERVING_AXIS_mode] == SP_SERVING_DISAGG &&
        !sp_serving_side_is_sound(problem, &plan, SP_ROLE_PREFILL, &why)) {
        must(why.status, &why);
    }
    assert_true(plan.workers > 0);
    sp_serving_estimate_plan(problem, &plan, &e);
    return e;
}

sp_error served_refusal(const sp_serving_question *question, sp_status status)
{
    sp_error err = {0};
    sp_serving_problem *problem = NULL;
    assert_int_equal(sp_serving_problem_build(question, &problem, &err), status);
    assert_null(problem);
    assert_int_equal(err.status, status);
    return err;
}
