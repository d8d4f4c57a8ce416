/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Serving questions and plans for the tests of this room. */
#include "common/shipped.h"
#include "serve/serving_priv.h"

/* Qwen3-32B on 32 H200 with vLLM, prompts of 4,000 tokens and answers of 1,000. */
sp_serving_question served_example(void);
/* What fails to build ends the test with the error as a user would read it. */
sp_serving_problem *served_build(const sp_serving_question *question);
sp_serving_plan served_plan(const sp_serving_problem *problem, const char *text);
/* The plan must be sound. */
sp_serving_estimate served_estimate(const sp_serving_problem *problem, const char *text);
/* The question is refused: status, and the error for closer looks. */
sp_error served_refusal(const sp_serving_question *question, sp_status status);
