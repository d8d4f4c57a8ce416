/* SPDX-License-Identifier: Apache-2.0 */
/* A row as a question and a plan, and its prediction: sp_estimate_plan, and nothing but
 * configuration columns. Rows with the same question share one problem. */
#include "fidelity/fidelity_priv.h"
#include "shardplan/space.h"
#include "step/step.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* A question that some rows share; the reason stands instead of a problem that cannot be built. */
typedef struct question {
    const char *key;
    sp_problem *problem;
    sp_reason reason;
} question;

struct sp_predictor {
    sp_arena arena; /* keys, models and machines */
    const char *home;
    const sp_table *table;
    const sp_map *map;
    uint32_t n_questions, capacity;
    question *questions;
    sp_machine *machines;
};

sp_status sp_predictor_make(const char *home, const sp_table *table, const sp_map *map,
                            sp_predictor **predictor, sp_error *err)
{
    sp_predictor *p = sp_alloc(sizeof *p);
    *predictor = p;
    if (p == NULL) return sp_fail(err, SP_E_MEMORY, "no memory for predictions");
    p->home = home;
    p->table = table;
    p->map = map;
    return SP_OK;
}

void sp_predictor_free(sp_predictor *predictor)
{
    if (predictor == NULL) return;
    for (uint32_t i = 0; i < predictor->n_questions; i++) {
        sp_problem_free(predictor->questions[i].problem);
    }
    sp_free(predictor->questions);
    sp_arena_fini(&predictor->arena);
    sp_free(predictor);
}

/* ---- the question of a row ---- */

/* Everything that sp_problem_build and the model read. */
static const char *make_key(sp_predictor *p, uint32_t row, const sp_setup *setup)
{
    static const sp_column columns[] = {
        SP_COLUMN_MODEL,         SP_COLUMN_LAYERS,     SP_COLUMN_HIDDEN,     SP_COLUMN_HEADS,
        SP_COLUMN_KV_HEADS,      SP_COLUMN_HEAD_DIM,   SP_COLUMN_FFN,        SP_COLUMN_FFN_ACT,
        SP_COLUMN_VOCAB,         SP_COLUMN_SEQ,        SP_COLUMN_ATTN,       SP_COLUMN_EXPERTS,
        SP_COLUMN_TOPK,          SP_COLUMN_MOE_FFN,    SP_COLUMN_SHARED_FFN, SP_COLUMN_DENSE_LAYERS,
        SP_COLUMN_MTP,           SP_COLUMN_GPU,        SP_COLUMN_GPUS,       SP_COLUMN_GBS,
        SP_COLUMN_NVLINK_DOMAIN, SP_COLUMN_INTER_GBPS, SP_COLUMN_TASK};
    sp_text text = {0};
    for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++) {
        sp_text_add(&text, sp_table_text(p->table, row, columns[i]));
        sp_text_add(&text, "\n");
    }
    sp_text_printf(
        &text, "%s\n%s\n%s\n%u %u %u %u %g", setup->engine, setup->link != NULL ? setup->link : "",
        setup->optimizer != NULL ? setup->optimizer : "", setup->traits, setup->lora_rank,
        (unsigned)setup->kernels, (unsigned)setup->gradients, setup->moe_imbalance_ratio);
    const char *key = text.failed ? NULL : sp_arena_strdup(&p->arena, text.data);
    sp_text_fini(&text);
    return key;
}

/* The numbers of a row that its model does not hold. */
typedef struct numbers {
    uint32_t gpus, domain, seq, batch;
    double gbps; /* per GPU, 0 = not stated */
    sp_task task;
} numbers;

static sp_status read_numbers(const sp_table *table, uint32_t row, numbers *n, sp_error *err)
{
    SP_TRY(sp_table_u32(table, row, SP_COLUMN_GPUS, SP_CLUSTER_MAX_GPUS, &n->gpus, err));
    SP_TRY(sp_table_u32(table, row, SP_COLUMN_NVLINK_DOMAIN, SP_CLUSTER_MAX_GPUS, &n->domain, err));
    SP_TRY(sp_table_u32(table, row, SP_COLUMN_SEQ, 1u << 30, &n->seq, err));
    SP_TRY(sp_table_u32(table, row, SP_COLUMN_GBS, 1u << 30, &n->batch, err));
    return sp_table_double(table, row, SP_COLUMN_INTER_GBPS, 1e6, &n->gbps, err);
}

/* What a question cannot do without; NULL when it is all there. */
static const char *find_gap(const numbers *n, const char *link)
{
    if (n->gpus == 0 || n->domain == 0) return "the machine is not stated";
    if (n->gpus > n->domain && link == NULL) return "no rule names the link between nodes";
    if (n->seq == 0) return "the sequence length is not stated";
    return n->batch == 0 ? "the global batch is not stated" : NULL;
}

static sp_status ask(const sp_predictor *p, const numbers *n, const sp_cluster *cluster,
                     const sp_setup *setup, const sp_model *model, sp_problem **problem,
                     sp_error *failure)
{
    char gpus[16];
    (void)snprintf(gpus, sizeof gpus, "%u", n->gpus);
    sp_question q = sp_question_default();
    q.home = p->home;
    q.model = model->name;
    q.loaded_model = model;
    q.cluster = cluster->name;
    q.loaded_cluster = cluster;
    q.gpus = gpus;
    q.engine = setup->engine;
    q.task = n->task;
    q.lora_rank = setup->lora_rank;
    q.kernels = setup->kernels;
    q.moe_imbalance_ratio = setup->moe_imbalance_ratio;
    q.gradients = setup->gradients;
    if (setup->optimizer != NULL) q.optimizer = setup->optimizer;
    q.seq_len = n->seq;
    q.global_batch = n->batch;
    q.headroom_ratio = 0.0; /* whether it ran, not whether it should have */
    return sp_problem_build(&q, problem, failure);
}

/* False when there is no such task. */
static bool find_task(const char *name, sp_task *task)
{
    for (sp_task t = 0; t < SP_N_TASKS; t++) {
        *task = t;
        if (strcmp(name, sp_task_name(t)) == 0) return true;
    }
    return false;
}

static sp_status build_problem(sp_predictor *p, uint32_t row, const sp_setup *setup,
                               const sp_model *model, question *out, sp_error *err)
{
    numbers n = {0};
    sp_error failure = {0};
    const sp_machine *m = NULL;
    const char *gpu_name = sp_table_text(p->table, row, SP_COLUMN_GPU);
    SP_TRY(read_numbers(p->table, row, &n, err));
    const bool known = find_task(sp_table_text(p->table, row, SP_COLUMN_TASK), &n.task);
    const char *gap = known ? find_gap(&n, setup->link) : "this task is not known";
    if (gap != NULL) {
        (void)snprintf(out->reason.text, sizeof out->reason.text, "%s", gap);
        return SP_OK;
    }
    const sp_machine_ask asked = {gpu_name, setup->link, n.gpus, n.domain, n.gbps};
    SP_TRY(sp_machine_find(&p->arena, p->home, &p->machines, &asked, &m, err));
    if (m->cluster == NULL) {
        out->reason = m->reason;
        return SP_OK;
    }
    if (ask(p, &n, m->cluster, setup, model, &out->problem, &failure) == SP_OK) return SP_OK;
    return sp_excuse(&failure, &out->reason, err);
}

/* NULL when memory is gone. */
static question *add_question(sp_predictor *p, const char *key)
{
    if (p->n_questions == p->capacity) {
        const uint32_t capacity = p->capacity == 0 ? 64 : 2 * p->capacity;
        question *grown = sp_realloc(p->questions, capacity * sizeof *grown);
        if (grown == NULL) return NULL;
        p->questions = grown;
        p->capacity = capacity;
    }
    question *added = &p->questions[p->n_questions++];
    *added = (question){.key = key};
    return added;
}

static sp_status find_question(sp_predictor *p, uint32_t row, const sp_setup *setup,
                               const question **found, sp_error *err)
{
    const sp_model *model = NULL;
    const char *key = make_key(p, row, setup);
    for (uint32_t i = p->n_questions; key != NULL && i-- > 0;) {
        *found = &p->questions[i];
        if (strcmp(p->questions[i].key, key) == 0) return SP_OK;
    }
    question *q = key != NULL ? add_question(p, key) : NULL;
    if (q == NULL) return sp_fail(err, SP_E_MEMORY, "no memory for predictions");
    *found = q;
    SP_TRY(sp_row_model(&p->arena, p->table, row, setup->traits, &model, &q->reason, err));
    return model != NULL ? build_problem(p, row, setup, model, q, err) : SP_OK;
}

/* ---- its prediction ---- */

static double memory_of(const sp_memory *memory, sp_memory_kind kind)
{
    const double bytes[SP_N_MEMORY_KINDS] = {[SP_MEMORY_DEVICE] = memory->peak_bytes,
                                             [SP_MEMORY_RESERVED] = memory->reserved_peak_bytes,
                                             [SP_MEMORY_ALLOCATED] = memory->allocated_peak_bytes};
    return bytes[kind];
}

static void tell(sp_reason *reason, const char *text)
{
    (void)snprintf(reason->text, sizeof reason->text, "%s", text);
}

sp_status sp_ask_row(sp_predictor *predictor, uint32_t row, sp_asked *asked, sp_error *err)
{
    sp_setup setup;
    const question *found = NULL;
    *asked = (sp_asked){0};
    sp_map_apply(predictor->map, &predictor->table->csv, row, &setup);
    asked->kind = setup.memory;
    asked->plan = setup.plan;
    if (setup.skip != NULL) {
        tell(&asked->reason, setup.skip);
        return SP_OK;
    }
    if (setup.refusal.status != SP_OK) return sp_excuse(&setup.refusal, &asked->reason, err);
    SP_TRY(find_question(predictor, row, &setup, &found, err));
    asked->reason = found->reason;
    if (found->problem == NULL) return SP_OK;
    sp_plan_derive(&asked->plan, found->problem->question.global_batch);
    const sp_rule_info *rule = sp_plan_unbuildable(found->problem, &asked->plan);
    if (rule == NULL) {
        asked->problem = found->problem;
    } else {
        (void)snprintf(asked->reason.text, sizeof asked->reason.text, "refused by rule %s: %s",
                       rule->name, rule->meaning);
    }
    return SP_OK;
}

void sp_predict(const sp_problem *problem, const sp_asked *asked, sp_prediction *out)
{
    sp_estimate estimate;
    sp_estimate_plan(problem, &asked->plan, &estimate);
    const double spread = problem->profile->memory_error_ratio;
    const double bytes = memory_of(&estimate.memory, asked->kind);
    *out = (sp_prediction){.made = true,
                           .fits = estimate.verdict != SP_OVER_MEMORY,
                           .step_s = estimate.time.step_s,
                           .step_low_s = estimate.step_low_s,
                           .step_high_s = estimate.step_high_s,
                           .memory_bytes = bytes,
                           .memory_low_bytes = bytes * (1.0 - spread),
                           .memory_high_bytes = bytes * (1.0 + spread)};
}

double sp_predict_metric(const sp_problem *problem, const sp_asked *asked, sp_metric_id metric)
{
    sp_inputs in;
    sp_time time;
    sp_network network;
    sp_memory memory;
    sp_inputs_build(problem, &asked->plan, metric == SP_METRIC_STEP, &in);
    if (metric == SP_METRIC_STEP) {
        sp_train_price(&in, &time, &network, NULL);
        return time.step_s;
    }
    sp_memory_price(&in, &memory);
    return memory_of(&memory, asked->kind);
}
