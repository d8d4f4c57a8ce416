/* SPDX-License-Identifier: Apache-2.0 */
#include "laws/questions.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PICK(d, list) (list)[draw_between(d, 0, (uint32_t)(sizeof(list) / sizeof((list)[0])) - 1)]

/* Lists values, each with chance 1/2, the first one, on which most plans depend, with 7/8; the last
 * where nothing else was listed. */
static void draw_values(draw *d, const char *const *values, size_t n, char *text, size_t capacity)
{
    size_t length = strlen(text);
    const size_t empty = length;
    for (size_t i = 0; i < n; i++) {
        const bool last_chance = i + 1 == n && length == empty;
        const bool listed = i == 0 ? draw_between(d, 0, 7) > 0 : draw_coin(d);
        if (!listed && !last_chance) continue;
        const int written = snprintf(text + length, capacity - length, "%s%s",
                                     length == empty ? "" : ",", values[i]);
        length += (size_t)written;
    }
}

/* Half of the axes rest at their first value, a few at another; the others vary. */
static void draw_some(draw *d, const char *const *values, size_t n, char *text, size_t capacity)
{
    const uint32_t chance = draw_between(d, 0, 5);
    if (chance < 2) {
        draw_values(d, values, n, text, capacity);
        return;
    }
    const uint32_t pick = chance < 5 ? 0 : draw_between(d, 0, (uint32_t)n - 1);
    const size_t length = strlen(text);
    (void)snprintf(text + length, capacity - length, "%s", values[pick]);
}

/* The ranks and the schedule: the first of the list, up to micro_batch. */
#define N_ALWAYS_VARY 9

#define SET(axis, ...)                                                                             \
    {                                                                                              \
        axis,                                                                                      \
        {                                                                                          \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }

static void draw_sets(draw *d, drawn_question *out)
{
    static const struct {
        const char *axis;
        const char *values[8];
    } sets[] = {
        SET("tp=", "1", "2", "3", "4", "8"),
        SET("cp=", "1", "2", "4"),
        SET("pp=", "1", "2", "3", "4", "8", "100"),
        SET("ep=", "1", "2", "4", "8"),
        SET("etp=", "1", "2", "4"),
        SET("placement=", "tp_dp_pp", "tp_pp_dp"),
        SET("schedule=", "1f1b", "interleaved", "gpipe"),
        SET("vpp=", "1", "2", "4", "5"),
        SET("micro_batch=", "1", "2", "3", "8"),
        SET("recompute=", "none", "full", "selective", "layernorm", "act", "mla_up", "mlp", "ops"),
        SET("recompute_layers=", "all", "1", "3"),
        SET("zero=", "0", "1", "2", "3"),
        SET("shard_group=", "all", "2", "4"),
        SET("stage_layers=", "even", "weighted"),
        SET("precision=", "bf16", "fp16", "fp8"),
        SET("offload_optimizer=", "0", "0.5", "1"),
        SET("offload_params=", "0", "1"),
        SET("offload_activations=", "0", "0.25"),
        SET("offload_target=", "host", "nvme"),
        SET("cp_kind=", "ring", "allgather", "ulysses", "hybrid"),
        SET("ep_overlap=", "off", "on"),
        SET("sp=", "off", "on"),
        SET("tp_overlap=", "off", "on"),
        SET("dp_overlap=", "off", "on"),
    };
    for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++) {
        size_t n = 0;
        while (n < 8 && sets[i].values[n] != NULL) {
            n++;
        }
        (void)snprintf(out->sets[i], sizeof out->sets[i], "%s", sets[i].axis);
        if (i < N_ALWAYS_VARY) {
            draw_values(d, sets[i].values, n, out->sets[i], sizeof out->sets[i]);
        } else {
            draw_some(d, sets[i].values, n, out->sets[i], sizeof out->sets[i]);
        }
        out->question.sets[out->question.n_sets++] = out->sets[i];
    }
}

static void draw_limits(draw *d, sp_question *q)
{
    static const char *const wheres[] = {
        "dp>=2",         "pp*tp<=8",           "memory.peak<=40GiB",   "accumulation%2==0",
        "mfu>=0.3",      "zero==1 || sp==off", "time.bubble<=0.5",     "tokens_per_s_per_gpu>1000",
        "vpp==1||pp==4", "schedule==1f1b",     "recompute!=selective",
    };
    static const char *const engines[] = {"any", "any", "megatron", "deepspeed", "fsdp,torchtitan"};
    q->n_wheres = draw_coin(d) ? 0 : draw_between(d, 1, 2);
    for (uint32_t i = 0; i < q->n_wheres; i++) {
        q->wheres[i] = PICK(d, wheres);
    }
    q->engine = PICK(d, engines);
    q->max_network_ratio = draw_coin(d) ? 1.0 : draw_scale(d, 0.05, 1.0);
    q->headroom_ratio = draw_coin(d) ? 0.06 : draw_scale(d, 0.01, 0.5);
    q->space = draw_coin(d) ? "default" : "all";
    q->use_upto = draw_between(d, 0, 3) == 0;
}

void draw_question(draw *d, drawn_question *out)
{
    static const char *const models[] = {
        "deepseek-v2-lite", "llama-3.2-1b", "llama-3.1-8b",  "gpt2-xl",      "qwen3-30b-a3b",
        "mixtral-8x7b",     "llama-2-7b",   "llama-3.1-70b", "qwen2.5-0.5b", "gpt2"};
    static const char *const clusters[] = {"dgx-h100", "dgx-a100-80g", "l40s-8-ethernet",
                                           "gb200-nvl72", "4xH100/nvlink,16xib-ndr"};
    static const char *const gpus[] = {"1", "2", "3", "4", "8", "12", "16", "24", "32", "64"};
    static const char *const objectives[] = {
        "tokens_per_s",    "memory_peak",          "gpus",
        "exposed_network", "tokens_per_s_per_gpu", "step_time"};
    *out = (drawn_question){.question = sp_question_default()};
    sp_question *q = &out->question;
    q->home = getenv("SHARDPLAN_HOME");
    assert_non_null(q->home);
    q->model = PICK(d, models);
    q->cluster = PICK(d, clusters);
    draw_values(d, gpus, sizeof gpus / sizeof gpus[0], out->gpus, sizeof out->gpus);
    q->gpus = out->gpus;
    q->seq_len = draw_between(d, 1, 16) * 64;
    q->doc_len = draw_between(d, 0, 3) == 0 ? q->seq_len / 2 : 0;
    q->task = (sp_task)(draw_coin(d) ? 0 : draw_between(d, 0, SP_N_TASKS - 1));
    q->lora_rank = 16;
    q->moe_imbalance_ratio = draw_coin(d) ? 0.0 : draw_scale(d, 1.0, 3.0);
    q->straggler_ratio = draw_coin(d) ? 1.0 : draw_scale(d, 1.0, 1.5);
    q->global_batch = draw_coin(d) ? 48 * draw_between(d, 1, 4) : draw_between(d, 1, 64);
    draw_limits(d, q);
    const bool shards = strcmp(q->engine, "deepspeed") == 0;
    q->zeropp = shards ? (uint32_t)(q->seq_len / 64 % (SP_ZEROPP_ALL + 1)) : 0;
    draw_sets(d, out);
    if (draw_coin(d)) {
        draw_values(d, objectives, 6, out->objectives, sizeof out->objectives);
        q->objectives = out->objectives;
    }
}

void build_question(const sp_question *question, sp_problem **problem, sp_space **space)
{
    sp_error err = {0};
    char text[SP_ERROR_TEXT_BYTES];
    sp_status status = sp_problem_build(question, problem, &err);
    if (status == SP_OK) status = sp_space_build(*problem, space, &err);
    if (status == SP_OK) return;
    sp_error_format(&err, text, sizeof text);
    fail_msg("%s", text);
}

void print_question(const sp_question *q)
{
    print_message(
        "--model %s --cluster %s --gpus %s --seq-len %llu --global-batch %llu --engine %s "
        "--max-network-ratio %g --headroom %g --space %s --use %s --objectives %s",
        q->model, q->cluster, q->gpus, (unsigned long long)q->seq_len,
        (unsigned long long)q->global_batch, q->engine, q->max_network_ratio, q->headroom_ratio,
        q->space, q->use_upto ? "upto" : "all", q->objectives != NULL ? q->objectives : "-");
    for (uint32_t i = 0; i < q->n_sets; i++) {
        print_message(" --set %s", q->sets[i]);
    }
    for (uint32_t i = 0; i < q->n_wheres; i++) {
        print_message(" --where '%s'", q->wheres[i]);
    }
    print_message("\n");
}
