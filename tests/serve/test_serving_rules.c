/* SPDX-License-Identifier: Apache-2.0 */
/* Rules and flags of serving engines: each rule refuses some worker that no other rule does, and a
 * worker's arguments read as the engine's own documentation writes them. */
#include "shardplan/serving_rules.h"

#include "base/base.h"
#include "common/shipped.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const engines[] = {"vllm", "sglang", "trtllm", "tgi", "hf", "dashinfer"};
static const char *const models[] = {"deepseek-v3", "qwen3-32b", "llama-3.2-3b"};
static const char *const weights[] = {"bf16", "fp8", "nvfp4"};
static const char *const kv[] = {"bf16", "fp8", "int8", "int4"};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

typedef struct asked {
    sp_arena arena;
    sp_error err;
    sp_serving_facts facts;
    sp_serving_rules rules;
} asked;

static void ask(asked *a, const char *engine, const char *model)
{
    *a = (asked){
        .facts = {.max_context = 8192,
                  .weight_formats = weights,
                  .kv_formats = kv,
                  .n_weight_formats = COUNT(weights),
                  .n_kv_formats = COUNT(kv)}
    };
    must(sp_model_find(&a->arena, source_home(), model, &a->facts.model, &a->err), &a->err);
    must(sp_cluster_find(&a->arena, source_home(), "dgx-h200", &a->facts.cluster, &a->err),
         &a->err);
    must(sp_serving_rules_load(&a->arena, source_home(), engine, NULL, &a->facts, &a->rules,
                               &a->err),
         &a->err);
}

typedef struct worker {
    double v[SP_N_SERVING_VARS];
} worker;

static worker worker_of(double tp, double attn_dp, double ep, double pp)
{
    worker w = {0};
    w.v[SP_SERVING_VAR_TP] = tp;
    w.v[SP_SERVING_VAR_ATTN_DP] = attn_dp;
    w.v[SP_SERVING_VAR_WIDTH] = tp * attn_dp;
    w.v[SP_SERVING_VAR_EP] = ep;
    w.v[SP_SERVING_VAR_MOE_TP] = tp * attn_dp / ep;
    w.v[SP_SERVING_VAR_PP] = pp;
    w.v[SP_SERVING_VAR_CP_PREFILL] = 1.0;
    w.v[SP_SERVING_VAR_BATCH] = 64.0;
    w.v[SP_SERVING_VAR_CHUNK_TOKENS] = 2048.0;
    return w;
}

static const char *refusal(const asked *a, const worker *w)
{
    const uint32_t rule = sp_serving_rules_refusal(&a->rules, w->v);
    return rule == UINT32_MAX ? "none" : a->rules.rules[rule].id;
}

static void every_engine_serves_a_dense_model_on_one_gpu(void **state)
{
    (void)state;
    for (size_t e = 0; e < COUNT(engines); e++) {
        asked a;
        ask(&a, engines[e], "qwen3-32b");
        const worker w = worker_of(1, 1, 1, 1);
        assert_string_equal(refusal(&a, &w), "none");
        sp_arena_fini(&a.arena);
    }
}

static void an_engine_refuses_what_it_cannot_do_together(void **state)
{
    (void)state;
    static const struct {
        const char *engine, *model;
        double tp, attn_dp, ep, pp, spec;
        sp_worker_role role;
        const char *rule;
    } cases[] = {
        {"vllm",      "deepseek-v3", 8,  1, 4, 1, 0, SP_WORKER_BOTH,    "vllm-ep"            },
        {"vllm",      "deepseek-v3", 2,  4, 8, 1, 0, SP_WORKER_BOTH,    "none"               },
        {"vllm",      "qwen3-32b",   2,  4, 1, 1, 0, SP_WORKER_BOTH,    "vllm-dp-experts"    },
        {"vllm",      "qwen3-32b",   3,  1, 1, 1, 0, SP_WORKER_BOTH,    "vllm-heads"         },
        {"vllm",      "qwen3-32b",   1,  1, 1, 1, 2, SP_WORKER_BOTH,    "vllm-spec-modules"  },
        {"vllm",      "deepseek-v3", 8,  1, 8, 2, 1, SP_WORKER_BOTH,    "vllm-spec-stages"   },
        {"sglang",    "deepseek-v3", 8,  1, 4, 1, 0, SP_WORKER_BOTH,    "none"               },
        {"sglang",    "deepseek-v3", 8,  1, 8, 2, 1, SP_WORKER_BOTH,    "sglang-spec-stages" },
        {"sglang",    "deepseek-v3", 8,  1, 8, 2, 1, SP_WORKER_PREFILL, "none"               },
        {"trtllm",    "deepseek-v3", 2,  4, 8, 1, 0, SP_WORKER_BOTH,    "trtllm-attention-dp"},
        {"trtllm",    "deepseek-v3", 1,  8, 8, 1, 0, SP_WORKER_BOTH,    "none"               },
        {"tgi",       "qwen3-32b",   8,  1, 1, 1, 0, SP_WORKER_BOTH,    "none"               },
        {"tgi",       "qwen3-32b",   16, 1, 1, 1, 0, SP_WORKER_BOTH,    "tgi-kv-heads"       },
        {"hf",        "qwen3-32b",   4,  1, 1, 2, 0, SP_WORKER_BOTH,    "hf-tp-alone"        },
        {"dashinfer", "qwen3-32b",   8,  1, 1, 1, 1, SP_WORKER_BOTH,    "dashinfer-spec"     },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        asked a;
        ask(&a, cases[i].engine, cases[i].model);
        worker w = worker_of(cases[i].tp, cases[i].attn_dp, cases[i].ep, cases[i].pp);
        w.v[SP_SERVING_VAR_SPEC] = cases[i].spec;
        w.v[SP_SERVING_VAR_ROLE] = cases[i].role;
        assert_string_equal(refusal(&a, &w), cases[i].rule);
        sp_arena_fini(&a.arena);
    }
}

/* Of all workers of a small box; a rule that never decides alone would be dead. */
static void each_rule_refuses_something_that_no_other_does(void **state)
{
    (void)state;
    static const double sizes[] = {1, 2, 3, 4, 8, 16, 128};
    for (size_t e = 0; e < COUNT(engines); e++) {
        uint32_t alone[64] = {0};
        uint32_t n_rules = 0;
        for (size_t m = 0; m < COUNT(models); m++) {
            asked a;
            ask(&a, engines[e], models[m]);
            const size_t n = COUNT(sizes);
            for (size_t i = 0; i < n * n * n * 64; i++) {
                const double tp = sizes[i % n], dp = sizes[i / n % n];
                const size_t rest = i / (n * n * n);
                worker w = worker_of(tp, dp, sizes[i / n / n % n], rest % 2 > 0 ? 2 : 1);
                w.v[SP_SERVING_VAR_SPEC] = rest / 2 % 2 > 0 ? 1 : 0;
                w.v[SP_SERVING_VAR_MODE] = rest / 4 % 2 > 0 ? 1 : 0;
                w.v[SP_SERVING_VAR_CHUNK_TOKENS] = rest / 8 % 2 > 0 ? 32 : 2048;
                w.v[SP_SERVING_VAR_CP_PREFILL] = rest / 16 % 2 > 0 ? 2 : 1;
                uint32_t n_refusing = 0, last = 0;
                for (uint32_t r = 0; r < a.rules.n_rules; r++) {
                    sp_serving_rules one = a.rules;
                    one.rules = &a.rules.rules[r];
                    one.n_rules = 1;
                    if (sp_serving_rules_refusal(&one, w.v) == UINT32_MAX) continue;
                    n_refusing++;
                    last = r;
                }
                if (n_refusing == 1) alone[last]++;
            }
            n_rules = a.rules.n_rules;
            sp_arena_fini(&a.arena);
        }
        for (uint32_t r = 0; r < n_rules; r++) {
            assert_true(alone[r] > 0);
        }
    }
}

static void a_worker_reads_in_the_engines_own_words(void **state)
{
    (void)state;
    static const struct {
        const char *engine, *words;
    } cases[] = {
        {"vllm",
         "--tensor-parallel-size 1 --data-parallel-size 8 --enable-expert-parallel --max-num-seqs "
         "64 --max-num-batched-tokens 2048 --max-model-len 8192 --kv-cache-dtype fp8"  },
        {"sglang",
         "--tp-size 8 --dp-size 8 --enable-dp-attention --ep-size 8 --max-running-requests 512 "
         "--chunked-prefill-size 16384 --context-length 8192 --kv-cache-dtype fp8_e4m3"},
        {"trtllm",
         "--tp_size 8 --ep_size 8 --max_batch_size 64 --max_num_tokens 2048 --max_seq_len 8192 "
         "enable_attention_dp=true kv_cache_config.dtype=fp8"                          },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        asked a;
        sp_text out = {0};
        ask(&a, cases[i].engine, "deepseek-v3");
        worker w = worker_of(1, 8, 8, 1);
        w.v[SP_SERVING_VAR_KV_DTYPE] = 1.0;
        sp_serving_flags_put(&a.rules, w.v, &out);
        assert_string_equal(out.data, cases[i].words);
        sp_text_fini(&out);
        sp_arena_fini(&a.arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_engine_serves_a_dense_model_on_one_gpu),
        cmocka_unit_test(an_engine_refuses_what_it_cannot_do_together),
        cmocka_unit_test(each_rule_refuses_something_that_no_other_does),
        cmocka_unit_test(a_worker_reads_in_the_engines_own_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
