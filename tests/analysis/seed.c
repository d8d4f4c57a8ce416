/* SPDX-License-Identifier: Apache-2.0 */
/* See seed.h. */
#include "analysis/seed.h"

#include "shardplan/memory.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define EQUAL 1e-3

static bool same(double a, double b)
{
    return fabs(a - b) <= EQUAL * fmax(fabs(a), fabs(b));
}

void seed_count(seed_tally *tally, bool equal, seed_error error, const char *id, const char *figure)
{
    tally->figures++;
    if (equal) {
        tally->equal++;
        return;
    }
    if (error == SEED_RIGHT) fail_msg("%s: %s differs, and no error explains it", id, figure);
    tally->by_error[error]++;
}

void seed_judge(seed_tally *tally, const char *id, const char *figure, double theirs, double ours,
                double right, seed_error error)
{
    if (!same(ours, right)) {
        fail_msg("%s: ours of %s is %.6g, not %.6g (theirs: %.6g)", id, figure, ours, right,
                 theirs);
    }
    if (!same(theirs, ours) && error == SEED_RIGHT) {
        fail_msg("%s: %s is %.6g, ours %.6g, and no error explains it", id, figure, theirs, ours);
    }
    seed_count(tally, same(theirs, ours), error, id, figure);
}

void seed_refuse(seed_tally *tally, uint32_t figures)
{
    tally->figures += figures;
    tally->refused += figures;
}

void seed_print(const char *what, const seed_tally *tally)
{
    print_message("%s: %u records, %u figures: %u equal, %u refused with a reason", what,
                  tally->records, tally->figures, tally->equal, tally->refused);
    uint32_t sum = tally->equal + tally->refused;
    for (uint32_t i = 1; i < SEED_N_ERRORS; i++) {
        if (tally->by_error[i] > 0) print_message(", %u of error %u", tally->by_error[i], i);
        sum += tally->by_error[i];
    }
    print_message("\n");
    assert_int_equal(sum, tally->figures);
}

const char *seed_server(const sp_json *input)
{
    const char *theirs = word_in(input, "engine");
    if (strcmp(theirs, "huggingface") == 0) return "hf";
    return strcmp(theirs, "tensorrt_llm") == 0 ? "trtllm" : theirs;
}

/* ---- training records as plans ---- */

double number_of(const sp_json *object, const char *key)
{
    const sp_json value = sp_json_get(object, key);
    double number = 0.0;
    sp_error err = {0};
    if (sp_json_is_number(&value)) return number_in(object, key);
    if (sp_size_parse(word_in(object, key), &number, &err) != SP_OK) fail_msg("%s", err.message);
    return number;
}

static const char *word_or(const sp_json *object, const char *key, const char *fallback)
{
    const sp_json value = sp_json_get(object, key);
    return sp_json_is_string(&value) ? word_in(object, key) : fallback;
}

static const char *our_engine(const char *theirs)
{
    static const char *const names[][2] = {
        {"pytorch_ddp",        "ddp"               },
        {"megatron_lm",        "megatron"          },
        {"megatron_deepspeed", "megatron-deepspeed"}
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(theirs, names[i][0]) == 0) return names[i][1];
    }
    return theirs;
}

static uint32_t stage_of(const sp_json *engine)
{
    const char *type = word_in(engine, "type");
    const char *strategy = word_or(engine, "sharding_strategy", "full_shard");
    if (strcmp(type, "fsdp") == 0) {
        return strcmp(strategy, "no_shard") == 0        ? 0
               : strcmp(strategy, "shard_grad_op") == 0 ? 2
                                                        : 3;
    }
    return count_in(engine, "zero_stage");
}

/* The levels of --checkpointing. */
static const char *recompute_of(uint32_t level, bool moe)
{
    static const char *const names[] = {"none", "selective", "layernorm", "mlp", "full"};
    assert_true(level < sizeof names / sizeof names[0]);
    return level == 3 && moe ? "layernorm_act" : names[level];
}

static void read_engine(seed_plan *p, const sp_json *engine)
{
    const char *optimizer = word_or(engine, "offload_optimizer", "none");
    const char *params = word_or(engine, "offload_param", "none");
    (void)snprintf(p->engine, sizeof p->engine, "%s", word_in(engine, "type"));
    p->zero = stage_of(engine);
    p->offloads_optimizer = strcmp(optimizer, "none") != 0;
    p->offloads_params = strcmp(params, "none") != 0;
    p->to_nvme = strcmp(optimizer, "nvme") == 0 || strcmp(params, "nvme") == 0;
}

static sp_question question_of(const seed_plan *p, const sp_json *config, const char *gpus)
{
    const sp_json model = sp_json_get(config, "model"), training = sp_json_get(config, "training");
    sp_question q = sp_question_default();
    q.home = getenv("SHARDPLAN_HOME");
    q.model = word_in(&model, "name");
    q.cluster = "dgx-a100-80g";
    q.gpus = gpus;
    q.engine = our_engine(p->engine);
    q.optimizer = word_in(&training, "optimizer");
    if (strcmp(q.optimizer, "adam") == 0) q.optimizer = "adamw";
    if (strcmp(q.optimizer, "adamw_8bit") == 0) q.optimizer = "adamw8bit";
    q.seq_len = p->seq_len;
    return q;
}

static sp_status parse_plan(seed_plan *p, const sp_json *config)
{
    const sp_json training = sp_json_get(config, "training");
    const sp_json shares = sp_json_get(config, "parallelism");
    const uint32_t tp = count_in(&shares, "tensor_parallel_size");
    char text[SP_PLAN_TEXT_BYTES];
    (void)snprintf(text, sizeof text,
                   "gpus=%u,tp=%u,pp=%u,etp=%u,micro_batch=%u,zero=%u,recompute=%s,sp=%s,"
                   "precision=%s,offload_optimizer=%d,offload_params=%d,offload_target=%s",
                   p->n_gpus, tp, count_in(&shares, "pipeline_parallel_size"), p->moe ? tp : 1,
                   p->batch, p->zero, recompute_of(p->level, p->moe),
                   flag_in(&shares, "sequence_parallel") && tp > 1 ? "on" : "off",
                   word_in(&training, "dtype"), p->offloads_optimizer, p->offloads_params,
                   p->to_nvme ? "nvme" : "host");
    p->plan = sp_plan_default();
    return sp_plan_parse(text, &p->plan, &p->err);
}

void seed_plan_build(seed_plan *p, const sp_json *config, const char *id)
{
    const sp_json model = sp_json_get(config, "model"), training = sp_json_get(config, "training");
    const sp_json engine = sp_json_get(config, "engine"), gpus = sp_json_get(config, "hardware");
    char text[24];
    *p = (seed_plan){.id = id,
                     .level = count_in(&training, "activation_checkpointing"),
                     .batch = count_in(&training, "batch_size"),
                     .n_gpus = count_in(&gpus, "num_gpus"),
                     .seq_len = count_in(&model, "max_seq_len"),
                     .moe = flag_in(&model, "moe_enabled")};
    read_engine(p, &engine);
    (void)snprintf(p->optimizer, sizeof p->optimizer, "%s", word_in(&training, "optimizer"));
    (void)snprintf(text, sizeof text, "%u", p->n_gpus);
    sp_question q = question_of(p, config, text);
    if (parse_plan(p, config) != SP_OK) return;
    const uint32_t copies = p->n_gpus / ((uint32_t)p->plan.tp * p->plan.pp);
    q.global_batch = (uint64_t)copies * p->batch; /* one micro-batch */
    if (sp_problem_build(&q, &p->problem, &p->err) != SP_OK) return;
    sp_plan_derive(&p->plan, q.global_batch);
    sp_estimate_plan(p->problem, &p->plan, &p->estimate);
    p->scale = number_of(&model, "num_parameters") / (double)p->problem->parameters.total;
}

double seed_engine_constant(const char *theirs, const char *key)
{
    char path[4096];
    sp_json_doc *doc = NULL;
    sp_error err = {0};
    (void)snprintf(path, sizeof path, "%s/configs/engines/%s.json", getenv("SHARDPLAN_HOME"),
                   our_engine(theirs));
    if (sp_json_load_file(path, &doc, &err) != SP_OK) fail_msg("%s", err.message);
    const sp_json root = sp_json_root(doc), profiles = sp_json_get(&root, "profiles");
    const sp_json profile = sp_json_at(&profiles, 0), constant = sp_json_get(&profile, key);
    const double value = flag_in(&constant, "value") ? 1.0 : number_in(&constant, "value");
    sp_json_free(doc);
    return value;
}

void seed_plan_free(seed_plan *p)
{
    sp_problem_free(p->problem);
    p->problem = NULL;
}
