/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Models small enough to work out every figure on paper, and a question about them. */
#include "analysis/records.h"
#include "common/models.h"

/* 3 layers of 8 columns, 2 query heads of 4 and 1 key and value head, a gated feed-forward block of
 * 16, 10 words, RMSNorm. */
void make_tiny(made_model *made);
/* The same with 8 experts of 16 columns, of which a token meets 2. */
void make_tiny_moe(made_model *made);
/* 2 prompts of 4 tokens, 3 generated ones, 8-bit cache and 16 bits elsewhere (32 in the rotary
 * table). */
sp_analysis_question tiny_question(const made_model *made);
