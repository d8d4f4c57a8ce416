/* SPDX-License-Identifier: Apache-2.0 */
/* Every inference record of GPU Memory Calculator, figure by figure. A cache is b s 2 L g d bytes
 * of each format (g heads of keys), weights are matrices cut by tp and norms whole, and of
 * activations one layer's are alive. */
#include "analysis/seed.h"
#include "analysis/served.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define GIB 0x1p30

typedef struct asked {
    served s;
    const char *id, *engine;
    uint64_t batch, tokens;
    double scale; /* its parameters over ours */
    bool kv_refused, weights_changed;
    seed_tally *t;
} asked;

/* Options in their words; those that ours refuses stay as they are. */
static void set_options(asked *a, const sp_json *options)
{
    for (size_t i = 0; i < sp_json_size(options); i++) {
        const sp_json member = sp_json_member(options, i);
        sp_text dumped = {0};
        sp_error err = {0};
        char option[160];
        sp_json_dump(&member, &dumped);
        const char *from = dumped.data + (dumped.data[0] == '"');
        (void)snprintf(option, sizeof option, "%s=%.*s", member.key, (int)strcspn(from, "\""),
                       from);
        const bool set = sp_server_set(&a->s.arena, getenv("SHARDPLAN_HOME"), option,
                                       &a->s.question.server, &err) == SP_OK;
        if (strcmp(member.key, "kv_cache_quantization") == 0) a->kv_refused = !set;
        sp_text_fini(&dumped);
    }
}

static void apply_weights(asked *a)
{
    const char *words = a->s.question.server.weights;
    sp_dtype compute = SP_BF16;
    sp_error err = {0};
    if (words == NULL) return;
    a->weights_changed = true;
    assert_int_equal(sp_widths_parse(&a->s.arena, getenv("SHARDPLAN_HOME"), words,
                                     &a->s.question.bits, &compute, &err),
                     SP_OK);
}

static void ask(asked *a, const sp_json *record, seed_tally *t)
{
    const sp_json input = sp_json_get(record, "input"), model = sp_json_get(&input, "model");
    const sp_json options = sp_json_get(&input, "inference");
    const uint32_t tp = count_in(&options, "tensor_parallel_size");
    *a = (asked){.id = word_in(record, "id"), .engine = seed_server(&input), .t = t};
    serve(&a->s, word_in(&model, "name"), "a100-sxm-80g", a->engine);
    a->batch = count_in(&options, "batch_size");
    a->tokens = count_in(&options, "max_seq_len");
    if (a->tokens == 0) a->tokens = count_in(&model, "max_seq_len");
    a->s.question.batch = a->batch;
    a->s.question.isl = a->tokens - 1;
    a->s.question.osl = 1;
    a->s.question.tp = tp > 0 ? tp : 1;
    set_options(a, &options);
    a->s.question.server.max_context = 0.0;
    apply_weights(a);
    (void)serve_ask(&a->s);
    a->scale = number_in(&model, "num_parameters") /
               (double)sp_model_parameters(a->s.question.model).total;
}

static double theirs_of(const sp_json *record, const char *part)
{
    const sp_json output = sp_json_get(record, "output");
    const sp_json breakdown = sp_json_get(&output, "breakdown");
    return number_in(&breakdown, part) * GIB;
}

/* Matrices of a layer: 2 h^2 of queries and output, 2 h g d of keys and values, 3 h f of each block
 * or expert. */
static double layer_matrices(const sp_model *m)
{
    const sp_layer_kind *kind = &m->kinds[0];
    const double h = m->hidden, kv = (double)kind->attention.kv_heads * kind->attention.head_dim;
    const double experts = (double)kind->ffn.n_experts * kind->ffn.expert_ffn;
    return 2.0 * h * h + 2.0 * h * kv + 3.0 * h * (kind->ffn.ffn + experts);
}

/* Without adapters and drafts. */
static double own_weights(const asked *a)
{
    const double *bytes = a->s.out.bytes[SP_MEMORY_DECODE];
    return bytes[SP_PART_OF_mixing_weights] + bytes[SP_PART_OF_ffn_weights] +
           bytes[SP_PART_OF_expert_weights] + bytes[SP_PART_OF_embedding_weights] +
           bytes[SP_PART_OF_head_weights];
}

static void judge_weights(const asked *a, const sp_json *record)
{
    const sp_model *m = a->s.question.model;
    const double tp = a->s.question.tp, h = m->hidden, layers = m->n_layers;
    const double router = m->kinds[0].ffn.n_experts * h;
    const double bits = a->s.question.bits.ffn_weight;
    const double right = layers * (layer_matrices(m) / tp * bits / 8.0 + (2.0 * h + router) * 2.0) +
                         2.0 * m->vocab * h / tp * 2.0 + 2.0 * h;
    seed_judge(a->t, a->id, "weights", theirs_of(record, "model_params_gb"),
               own_weights(a) * a->scale, right * a->scale,
               a->weights_changed ? SEED_SERVING : SEED_RIGHT);
}

/* Whole blocks of each of the tp ranks; beams share the prompt, and the one token of the answer is
 * in its last block. */
static void judge_cache(const asked *a, const sp_json *record)
{
    const sp_footprint_question *q = &a->s.question;
    const sp_layer_kind *kind = &q->model->kinds[0];
    const double block = q->server.block_tokens > 1.0 ? q->server.block_tokens : 1.0;
    const double tokens = ceil((double)a->tokens / block) * block;
    const double bits = q->server.kv_formats[q->server.kv].bits;
    const double heads = (double)kind->attention.kv_heads / q->tp;
    const double right = q->server.cached * (double)a->batch * tokens * 2.0 * q->model->n_layers *
                         heads * kind->attention.head_dim * bits / 8.0;
    const double *ours = a->s.out.bytes[SP_MEMORY_DECODE];
    const bool plain = strcmp(a->engine, "vllm") != 0 && strcmp(a->engine, "sglang") != 0;
    /* Not what a smaller pool holds of it; scales apart. */
    const double shown = ours[SP_PART_OF_kv_cache] + ours[SP_PART_OF_kv_scales];
    const double share = shown > 0.0 ? ours[SP_PART_OF_kv_cache] / shown : 0.0;
    const double kept = a->s.out.request * (double)a->batch * share;
    if (a->kv_refused) {
        seed_refuse(a->t, 1);
        return;
    }
    seed_judge(a->t, a->id, "cache", theirs_of(record, "kv_cache_gb"), kept, right,
               plain ? SEED_CACHE : SEED_POOLS);
}

/* One layer's, of the tokens of a pass: not of all layers, and not whole prompts where the engine
 * cuts them. */
static void judge_activations(const asked *a, const sp_json *record)
{
    const sp_footprint_question *q = &a->s.question;
    const sp_layer_kind *kind = &q->model->kinds[0];
    const double ours = a->s.out.bytes[SP_MEMORY_PREFILL][SP_PART_OF_activations];
    const double width = 3.0 * (kind->ffn.ffn + (double)kind->ffn.top_k * kind->ffn.expert_ffn);
    const double token = 2.0 * (8.0 * q->model->hidden + 2.0 * width);
    assert_true(ours > 0.0 && ours <= token * (double)(a->batch * a->tokens));
    seed_count(a->t, fabs(theirs_of(record, "activations_gb") - ours) <= 1e-3 * ours, SEED_SERVING,
               a->id, "activations");
}

static double largest_batch(asked *a)
{
    sp_footprint_question q = a->s.question;
    bool found = false;
    sp_error err = {0};
    assert_int_equal(sp_footprint_search(&a->s.arena, getenv("SHARDPLAN_HOME"), SP_FIND_MAX_BATCH,
                                         8, &q, &found, &err),
                     SP_OK);
    return found ? (double)q.batch : 0.0;
}

static void judge_rest(asked *a, const sp_json *record)
{
    const sp_json output = sp_json_get(record, "output");
    const sp_footprint *out = &a->s.out;
    const double *decode = out->bytes[SP_MEMORY_DECODE];
    const bool pool = a->s.question.server.base != SP_POOL_GROWING;
    const double beside = decode[SP_PART_OF_graphs] + decode[SP_PART_OF_workspace] +
                          decode[SP_PART_OF_runtime] + decode[SP_PART_OF_context];
    const double total = number_in(&output, "total_memory_per_gpu_gb") * GIB;
    const seed_error whole = pool ? SEED_POOLS : SEED_SERVING;
    const double most = number_in(&output, "max_supported_batch_size");
    assert_true(beside > 0.0);
    seed_count(a->t, fabs(theirs_of(record, "overhead_gb") - beside) <= 1e-3 * beside,
               SEED_ENGINE_OVERHEAD, a->id, "overhead");
    for (int i = 0; i < 3; i++) { /* of one GPU, of all, and as a share */
        seed_count(a->t, fabs(total - out->peak) <= 1e-3 * out->peak, whole, a->id, "total");
    }
    seed_count(a->t, flag_in(&output, "fits_on_gpu") == sp_footprint_serves(out), whole, a->id,
               "fits");
    seed_count(a->t, most == largest_batch(a), SEED_SERVING, a->id, "largest batch");
    seed_count(a->t, false, SEED_SERVING, a->id, "tokens a second"); /* 50 ms on any GPU */
}

static void replay(const sp_json *record, void *context)
{
    asked a;
    seed_tally *t = context;
    t->records++;
    ask(&a, record, t);
    judge_weights(&a, record);
    judge_cache(&a, record);
    judge_activations(&a, record);
    judge_rest(&a, record);
    serve_fini(&a.s);
}

static void every_figure_of_serving_is_equal_or_of_a_named_error(void **state)
{
    seed_tally t = {0};
    (void)state;
    for_each_record("seed-gpumem", "inference", replay, &t);
    seed_print("inference", &t);
    assert_int_equal(t.records, 40);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_figure_of_serving_is_equal_or_of_a_named_error),
    };
    return getenv("SHARDPLAN_DATA") != NULL ? cmocka_run_group_tests(tests, NULL, NULL) : 77;
}
