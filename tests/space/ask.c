/* SPDX-License-Identifier: Apache-2.0 */
#include "space/ask.h"

static sp_question ask(const char *model, uint64_t batch, uint64_t length)
{
    sp_question q = sp_question_default();
    q.home = source_home();
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

const char *refusal(const asked *a, const char *text)
{
    const sp_plan plan = read_plan(a, text);
    const uint32_t rule = sp_space_refusal(a->space, &plan);
    return rule == UINT32_MAX ? "" : sp_space_rule(a->space, rule)->name;
}
