/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What `serve`, `recommend` and `estimate` share about questions of serving. */
#include "cli/cli.h"
#include "shardplan/serving_report.h"

/* ---- serving_question.c ---- */
/* Settings as a question; its strings live as long as the settings. */
sp_status sp_serving_question_read(sp_settings *settings, const char *home,
                                   sp_serving_question *question, sp_error *err);
/* An error of a question that names no place: the flag whose value it repeats. */
void sp_serving_blame(const sp_settings *settings, sp_error *err);
/* Free the problem and the space whatever comes back. */
sp_status sp_serving_question_build(sp_settings *settings, const char *home,
                                    sp_serving_problem **problem, sp_serving_space **space,
                                    sp_error *err);

/* ---- serving_plans.c ---- */
/* `estimate` of a question of serving: one plan, or those of a file. */
sp_exit sp_serving_estimate_command(const sp_context *context, const char *plan, const char *ids);
