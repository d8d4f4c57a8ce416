/* SPDX-License-Identifier: Apache-2.0 */
#include "common/shipped.h"

#include "step/step.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

const char *source_home(void)
{
    const char *home = getenv("SHARDPLAN_HOME");
    if (home == NULL) fail_msg("%s", "SHARDPLAN_HOME names the source tree");
    return home;
}

void must(sp_status status, const sp_error *err)
{
    char text[SP_ERROR_TEXT_BYTES];
    if (status == SP_OK) return;
    (void)sp_error_format(err, text, sizeof text);
    fail_msg("%s", text);
}

sp_problem *build_problem(const sp_question *question)
{
    sp_problem *problem = NULL;
    sp_error err = {0};
    must(sp_problem_build(question, &problem, &err), &err);
    return problem;
}

sp_plan plan_on(const sp_problem *problem, const char *text)
{
    sp_plan plan = sp_plan_default();
    sp_error err = {0};
    must(sp_plan_parse(text, &plan, &err), &err);
    sp_plan_derive(&plan, problem->question.global_batch);
    return plan;
}
