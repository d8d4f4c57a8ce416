/* SPDX-License-Identifier: Apache-2.0 */
#include "engines/question.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

sp_json_doc *load(const char *name)
{
    char path[512];
    sp_error err = {0};
    sp_json_doc *doc = NULL;
    snprintf(path, sizeof path, "%s/tests/engines/%s", source_home(), name);
    must(sp_json_load_file(path, &doc, &err), &err);
    return doc;
}

static sp_task task_named(const char *name)
{
    for (sp_task task = 0; task < SP_N_TASKS; task++) {
        if (strcmp(sp_task_name(task), name) == 0) return task;
    }
    fail_msg("no task is called %s", name);
    return SP_N_TASKS;
}

static sp_gradients gradients_named(const char *name)
{
    for (sp_gradients g = 0; g < SP_N_GRADIENTS; g++) {
        if (strcmp(sp_gradients_name(g), name) == 0) return g;
    }
    fail_msg("gradients have no format %s", name);
    return SP_N_GRADIENTS;
}

asked ask(const sp_json *question, const char *engine)
{
    char model_path[512];
    const char *model = NULL, *task = NULL, *set = NULL, *gradients = NULL;
    const char *zeropp = NULL, *dispatch = NULL;
    uint64_t gpus = 0;
    char gpus_text[24];
    sp_error err = {0};
    sp_question q = sp_question_default();
    must(sp_json_string(question, "model", &model, &err), &err);
    must(sp_json_string(question, "cluster", &q.cluster, &err), &err);
    must(sp_json_string_or(question, "task", "pretrain", &task, &err), &err);
    must(sp_json_string_or(question, "set", "", &set, &err), &err);
    must(sp_json_string_or(question, "zeropp", "none", &zeropp, &err), &err);
    must(sp_json_string_or(question, "dispatch", "bf16", &dispatch, &err), &err);
    must(sp_json_string_or(question, "optimizer", "adamw", &q.optimizer, &err), &err);
    must(sp_json_string_or(question, "gradients", "auto", &gradients, &err), &err);
    must(sp_json_u64(question, "gpus", 1, 1u << 20, &gpus, &err), &err);
    must(sp_json_u64(question, "seq_len", 1, 1u << 30, &q.seq_len, &err), &err);
    must(sp_json_u64(question, "global_batch", 1, 1u << 30, &q.global_batch, &err), &err);
    snprintf(model_path, sizeof model_path, "%s/tests/engines/models/%s.json", source_home(),
             model);
    snprintf(gpus_text, sizeof gpus_text, "%u", (unsigned)gpus);
    q.home = source_home();
    q.model = model_path;
    q.gpus = gpus_text;
    q.engine = engine;
    q.task = task_named(task);
    q.gradients = gradients_named(gradients);
    q.lora_rank = 16;
    must(sp_zeropp_parse(zeropp, &q.zeropp, &err), &err);
    q.dispatch = strcmp(dispatch, sp_dispatch_name(SP_DISPATCH_FP8)) == 0 ? SP_DISPATCH_FP8
                                                                          : SP_DISPATCH_BF16;
    q.n_sets = set[0] != '\0';
    q.sets[0] = set;
    q.headroom_ratio = 0;
    return build(&q);
}

const sp_rule_info *refusal(const asked *a, const sp_plan *plan)
{
    const uint32_t rule = sp_space_refusal(a->space, plan);
    return rule == UINT32_MAX ? NULL : sp_space_rule(a->space, rule);
}
