/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Problems of the files that are shipped; what fails ends the test with the error as a user would
 * read it. */
#include "shardplan/problem.h"

/* The source tree; a test without it cannot pass. */
const char *source_home(void);
/* Ends the test with the error unless the status is SP_OK. */
void must(sp_status status, const sp_error *err);
/* sp_problem_free it. */
sp_problem *build_problem(const sp_question *question);
/* A plan of the text, all else at its default, with its derived values. */
sp_plan plan_on(const sp_problem *problem, const char *text);
