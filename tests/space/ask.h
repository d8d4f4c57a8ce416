/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Questions of the tests of spaces, over the models and clusters as shipped. */
#include "common/asked.h"

/* Llama-3.1-70B (80 layers, 64 heads, 8 key/value heads) on 64 H100, 128 sequences of 8192. */
sp_question ask_dense(void);
/* Mixtral-8x7B (32 layers, 32 heads, 8 experts) on 64 H100, 256 sequences of 4096. */
sp_question ask_experts(void);
/* Name of the rule that refuses the plan, "" when none does. */
const char *refusal(const asked *a, const char *text);
