/* SPDX-License-Identifier: Apache-2.0 */
/* --find of training: the question is built once, turned round by search/inverse*.c, and built
 * again at the answer. What the user names stays; for the fewest GPUs everything else is free. */
#include "cli/memory.h"
#include "step/step.h"

#include <stdio.h>
#include <string.h>

#define MOST_GPUS 4096u

static const char LINK_BETWEEN[] = "ib-ndr"; /* memory does not depend on it */

/* ---- what is asked ---- */

typedef struct goal_name {
    const char *name;
    sp_training_find find;
} goal_name;

sp_status sp_training_read_find(const sp_settings *s, sp_training_find *find, sp_error *err)
{
    static const goal_name goals[] = {
        {"max-batch",        SP_FIND_MICRO_BATCH },
        {"max-micro-batch",  SP_FIND_MICRO_BATCH },
        {"max-global-batch", SP_FIND_GLOBAL_BATCH},
        {"max-context",      SP_FIND_SEQUENCE    },
        {"max-sequence",     SP_FIND_SEQUENCE    },
        {"max-lora-rank",    SP_FIND_LORA_RANK   },
        {"max-model",        SP_FIND_MODEL       },
        {"min-gpus",         SP_FIND_GPUS        },
    };
    enum { N_GOALS = sizeof goals / sizeof goals[0] };
    const char *names[N_GOALS];
    uint32_t choice = 0;
    *find = SP_FIND_NO_SIZE;
    if (sp_settings_text(s, SP_FLAG_find) == NULL) return SP_OK;
    for (uint32_t i = 0; i < N_GOALS; i++) {
        names[i] = goals[i].name;
    }
    SP_TRY(sp_flag_choice(s, SP_FLAG_find, names, N_GOALS, &choice, err));
    *find = goals[choice].find;
    return SP_OK;
}

void sp_training_free(sp_training *t)
{
    sp_space_free(t->space);
    sp_problem_free(t->problem);
    t->space = NULL;
    t->problem = NULL;
}

sp_status sp_training_build(sp_training *t, sp_error *err)
{
    sp_training_free(t);
    SP_TRY(sp_problem_build(&t->question, &t->problem, err));
    return sp_space_build(t->problem, &t->space, err);
}

/* Where the plan cannot be built at any size the rule says why. */
static sp_status fail_nothing(const sp_training *t, sp_error *err)
{
    sp_plan plan = t->plan;
    sp_plan_derive(&plan, t->question.global_batch);
    const sp_rule_info *rule = sp_plan_unbuildable(t->problem, &plan);
    if (rule != NULL) return sp_memory_refuse_plan(rule, &plan, t->question.global_batch, err);
    return sp_fail(err, SP_E_INFEASIBLE,
                   "not even the smallest fits; without --find the parts of the memory are shown");
}

/* ---- the largest ---- */

static const char *words_of(sp_arena *arena, sp_inverse_goal goal, const sp_inverse *a)
{
    const unsigned long long value = a->value;
    switch (goal) {
    case SP_LARGEST_MICRO_BATCH:
        return sp_arena_printf(arena, "largest micro-batch: %llu (global batch %llu)", value,
                               (unsigned long long)a->global_batch);
    case SP_LARGEST_GLOBAL_BATCH:
        if (!a->unbounded) return sp_arena_printf(arena, "largest global batch: %llu", value);
        return sp_arena_strdup(arena,
                               "largest global batch: any; more micro-batches in a row hold no "
                               "more, --find max-batch asks for the largest micro-batch");
    case SP_LARGEST_SEQUENCE:
        return sp_arena_printf(arena, "longest sequence: %llu tokens%s", value,
                               a->unbounded ? ", the longest that is asked" : "");
    case SP_LARGEST_LORA_RANK:
        return sp_arena_printf(arena, "largest adapter rank: %llu%s", value,
                               a->unbounded ? ", the largest that is asked" : "");
    case SP_LARGEST_MODEL:
        return sp_arena_printf(arena, "largest model: %s parameters", a->model->name);
    case SP_N_INVERSE_GOALS:
        break;
    }
    return NULL;
}

/* The question becomes the answer's, but for a global batch without end. */
static void take_sizes(sp_training *t, sp_inverse_goal goal, const sp_inverse *a)
{
    sp_question *q = &t->question;
    if (goal != SP_LARGEST_GLOBAL_BATCH || !a->unbounded) q->global_batch = a->global_batch;
    if (goal == SP_LARGEST_SEQUENCE) q->seq_len = a->value;
    if (goal == SP_LARGEST_LORA_RANK) q->lora_rank = (uint32_t)a->value;
    q->loaded_model = a->model;
    q->model = a->model->name;
    t->plan = a->plan;
}

static sp_status check_goal(const sp_training *t, sp_inverse_goal goal, sp_error *err)
{
    const bool adapters = t->question.task == SP_TASK_LORA || t->question.task == SP_TASK_QLORA;
    if (t->plan.pp > t->problem->model->n_layers && goal != SP_LARGEST_MODEL) {
        sp_fail(err, SP_E_INCONSISTENT, "every pipeline stage holds a layer");
        return sp_fail_value(err, "--pp %u, and %u layers", t->plan.pp,
                             (unsigned)t->problem->model->n_layers);
    }
    if (goal != SP_LARGEST_LORA_RANK || adapters) return SP_OK;
    sp_fail(err, SP_E_INCONSISTENT, "only adapters have a rank: give --task lora or --task qlora");
    return sp_flag_blame(err->status, SP_FLAG_find, err);
}

static sp_status largest(sp_arena *arena, sp_inverse_goal goal, sp_training *t, const char **found,
                         sp_error *err)
{
    const sp_inverse_question q = {
        .goal = goal, .problem = t->problem, .plan = t->plan, .batch_follows = t->batch_follows};
    sp_inverse answer;
    SP_TRY(check_goal(t, goal, err));
    SP_TRY(sp_inverse_largest(arena, &q, &answer, err));
    if (!answer.found) return fail_nothing(t, err);
    take_sizes(t, goal, &answer);
    *found = words_of(arena, goal, &answer);
    SP_TRY(sp_training_build(t, err));
    sp_plan_derive(&t->plan, t->question.global_batch);
    return SP_OK;
}

/* ---- the fewest GPUs ---- */

/* What the user sets stays. */
static sp_status add_set(sp_arena *arena, const char *axis, const char *value, sp_question *q,
                         sp_error *err)
{
    if (sp_memory_set_of(q, axis) != NULL) return SP_OK;
    return sp_memory_add_set(arena, axis, value, q, err);
}

static sp_status read_domain(const sp_settings *s, uint32_t *domain, sp_error *err)
{
    *domain = 8;
    return sp_flag_count(s, SP_FLAG_domain, 1, 1024, domain, err);
}

static sp_status name_shares(const sp_settings *s, sp_arena *arena, sp_training *t, sp_error *err)
{
    static const sp_flag_id flags[] = {SP_FLAG_tp, SP_FLAG_pp, SP_FLAG_ep, SP_FLAG_batch};
    static const char *const axes[] = {"tp", "pp", "ep", "micro_batch"};
    const uint32_t values[] = {t->tp, t->pp, t->ep, t->batch};
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        char value[16];
        const bool free = flags[i] != SP_FLAG_batch && s->of[flags[i]].origin == SP_FROM_DEFAULT;
        (void)snprintf(value, sizeof value, "%u", values[i]);
        if (!free) SP_TRY(add_set(arena, axes[i], value, &t->question, err));
    }
    return SP_OK;
}

/* Other values of these need no less memory, and tp stays in the domain. */
static sp_status spare_search(const sp_settings *s, sp_arena *arena, sp_training *t, sp_error *err)
{
    uint32_t domain = 0;
    sp_question *q = &t->question;
    SP_TRY(read_domain(s, &domain, err));
    SP_TRY(add_set(arena, "schedule", "1f1b", q, err));
    SP_TRY(add_set(arena, "ep_overlap", "off", q, err));
    SP_TRY(add_set(arena, "placement", "tp_dp_pp", q, err));
    if (s->of[SP_FLAG_tp].origin != SP_FROM_DEFAULT) return SP_OK;
    q->wheres[q->n_wheres] = sp_arena_printf(arena, "tp<=%u", domain);
    return q->wheres[q->n_wheres++] != NULL ? SP_OK : sp_fail(err, SP_E_MEMORY, "no memory for it");
}

/* Nodes of --domain GPUs, unless a cluster is named. */
static sp_status name_cluster(const sp_settings *s, sp_arena *arena, sp_training *t, sp_error *err)
{
    const char *hardware = NULL;
    uint32_t domain = 0;
    t->question.cluster = sp_settings_text(s, SP_FLAG_cluster);
    if (t->question.cluster != NULL) return SP_OK;
    SP_TRY(sp_memory_name_hardware(s, &hardware, err));
    SP_TRY(read_domain(s, &domain, err));
    t->question.cluster =
        sp_arena_printf(arena, "%ux%s,%ux%s", domain, hardware, MOST_GPUS / domain, LINK_BETWEEN);
    return t->question.cluster != NULL ? SP_OK : sp_fail(err, SP_E_MEMORY, "no memory for it");
}

static sp_status check_free(const sp_settings *s, sp_error *err)
{
    static const sp_flag_id flags[] = {SP_FLAG_dp, SP_FLAG_nodes, SP_FLAG_interconnect};
    return sp_memory_refuse_flags(
        s, flags, sizeof flags / sizeof flags[0],
        "the number of GPUs is what is asked: leave this out; --domain says how many a node has, "
        "--gpus how many there may be",
        err);
}

static void set_gpus(sp_training *t, const char *prefix, uint64_t gpus)
{
    (void)snprintf(t->gpus_text, sizeof t->gpus_text, "%s%llu", prefix, (unsigned long long)gpus);
    t->question.gpus = t->gpus_text;
}

static sp_status ask_fewest(const sp_settings *s, sp_arena *arena, sp_training *t,
                            sp_inverse *answer, sp_error *err)
{
    const sp_question named = t->question;
    SP_TRY(name_shares(s, arena, t, err));
    SP_TRY(spare_search(s, arena, t, err));
    set_gpus(t, "1..", t->gpus > 0 ? t->gpus : MOST_GPUS);
    if (t->batch_follows) t->question.global_batch = t->batch;
    SP_TRY(sp_training_build(t, err));
    SP_TRY(sp_inverse_fewest_gpus(t->space, t->batch_follows, answer, err));
    const char *cluster = t->question.cluster;
    t->question = named;
    t->question.cluster = cluster;
    return SP_OK;
}

static sp_status fewest(const sp_settings *s, sp_arena *arena, sp_training *t, const char **found,
                        sp_error *err)
{
    const uint32_t most = t->gpus > 0 ? t->gpus : MOST_GPUS;
    sp_inverse answer;
    SP_TRY(check_free(s, err));
    SP_TRY(name_cluster(s, arena, t, err));
    SP_TRY(ask_fewest(s, arena, t, &answer, err));
    if (!answer.found) {
        return sp_fail(err, SP_E_INFEASIBLE,
                       "no plan fits on up to %u GPUs: free what is fixed, shorten --seq-len, or "
                       "let state leave the GPU with --set offload_optimizer=1",
                       most);
    }
    set_gpus(t, "", answer.value);
    t->gpus = (uint32_t)answer.value;
    t->question.global_batch = answer.global_batch;
    t->plan = answer.plan;
    *found = sp_arena_printf(arena,
                             "fewest GPUs: %u; this is the first plan that fits there, shardplan "
                             "train --gpus %u finds the fastest",
                             t->gpus, t->gpus);
    return sp_training_build(t, err);
}

sp_status sp_training_search(const sp_context *context, sp_arena *arena, sp_training_find find,
                             sp_training *t, const char **found, sp_error *err)
{
    static const sp_inverse_goal goals[] = {[SP_FIND_MICRO_BATCH] = SP_LARGEST_MICRO_BATCH,
                                            [SP_FIND_GLOBAL_BATCH] = SP_LARGEST_GLOBAL_BATCH,
                                            [SP_FIND_SEQUENCE] = SP_LARGEST_SEQUENCE,
                                            [SP_FIND_LORA_RANK] = SP_LARGEST_LORA_RANK,
                                            [SP_FIND_MODEL] = SP_LARGEST_MODEL};
    if (find == SP_FIND_GPUS) return fewest(context->settings, arena, t, found, err);
    return largest(arena, goals[find], t, found, err);
}
