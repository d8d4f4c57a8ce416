/* SPDX-License-Identifier: Apache-2.0 */
/* See tiny.h. */
#include "analysis/tiny.h"

void make_tiny(made_model *made)
{
    make_llama(made, 8, 2, 1, 16, 3);
    made->model.vocab = 10;
}

void make_tiny_moe(made_model *made)
{
    make_tiny(made);
    made->model.kinds[0].ffn =
        (sp_ffn){.gated = true, .norms = 1, .n_experts = 8, .top_k = 2, .expert_ffn = 16};
}

sp_analysis_question tiny_question(const made_model *made)
{
    sp_analysis_question question = plain_question(&made->model);
    question.batch = 2;
    question.prompt_tokens = 4;
    question.generated_tokens = 3;
    question.bits.kv_cache = 8.0;
    return question;
}
