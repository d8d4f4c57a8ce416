/* SPDX-License-Identifier: Apache-2.0 */
#include "common/asked.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

asked build(const sp_question *question)
{
    asked a = {.problem = build_problem(question)};
    sp_error err = {0};
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
