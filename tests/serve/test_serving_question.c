/* SPDX-License-Identifier: Apache-2.0 */
/* Serving questions: what is loaded, what is refused and by which flag, number formats, lengths,
 * and the name of a question. */
#include "common/close.h"
#include "served.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void a_question_loads_what_it_names(void **state)
{
    (void)state;
    sp_serving_question q = served_example();
    q.slo = "ttft:p95<=800ms,itl:p99<=60000us,e2e:mean<=20s";
    q.engine = "sglang,vllm";
    sp_serving_problem *p = served_build(&q);
    assert_string_equal(sp_serving_problem_model(p)->name, "qwen3-32b");
    assert_string_equal(sp_serving_problem_cluster(p, SP_ROLE_PREFILL)->name, "dgx-h200");
    assert_int_equal(p->n_engines, 2);
    assert_string_equal(p->engine_names[0], "sglang");
    assert_int_equal(sp_serving_problem_n_limits(p), 3);
    const sp_limit *limit = sp_serving_problem_limit(p, 1);
    assert_int_equal(limit->latency, SP_LATENCY_ITL);
    assert_int_equal(limit->percentile, SP_P99);
    assert_close(limit->most_s, 0.06, 1e-12);
    assert_string_equal(sp_serving_problem_objective(p, 0)->name, "tokens_per_s_per_gpu");
    assert_string_equal(sp_serving_problem_objective(p, 1)->name, "tokens_per_s_per_user");
    sp_serving_problem_free(p);
    sp_serving_problem_free(NULL);
}

static void a_question_keeps_nothing_of_its_caller(void **state)
{
    (void)state;
    sp_serving_question q = served_example();
    char set[] = "tp=4,8", where[] = "ttft.p95<=2s", gpus[] = "8..64", slo[] = "ttft:p50<=1s";
    q.gpus = gpus;
    q.slo = slo;
    q.sets[q.n_sets++] = set;
    q.wheres[q.n_wheres++] = where;
    sp_serving_problem *p = served_build(&q);
    memset(set, '#', sizeof set - 1);
    memset(where, '#', sizeof where - 1);
    memset(slo, '#', sizeof slo - 1);
    memset(gpus, '#', sizeof gpus - 1);
    const sp_serving_question *kept = sp_serving_problem_question(p);
    assert_string_equal(kept->sets[0], "tp=4,8");
    assert_string_equal(kept->slo, "ttft:p50<=1s");
    assert_string_equal(sp_expr_text(p->wheres[0].expr), "ttft.p95<=2s");
    assert_true(p->wheres[0].reads_results);
    sp_serving_problem_free(p);
}

/* Multiples of a node of 8 within the range, and below a node its divisors. */
static void ranges_of_gpus_are_whole_nodes_and_parts_of_one(void **state)
{
    (void)state;
    static const uint32_t expected[] = {2, 4, 8, 16, 24};
    sp_serving_question q = served_example();
    q.gpus = "2..24";
    sp_serving_problem *p = served_build(&q);
    assert_int_equal(p->n_gpus_values, 5);
    assert_memory_equal(p->gpus_values, expected, sizeof expected);
    sp_serving_problem_free(p);
}

typedef struct bad_text {
    const char *text, *value, *nearest;
    sp_status status;
} bad_text;

static void limits_are_refused_with_what_is_wrong_in_them(void **state)
{
    (void)state;
    static const bad_text cases[] = {
        {"ttf:p95<=1s",                  "ttf",         "ttft", SP_E_UNKNOWN_NAME},
        {"ttft:p96<=1s",                 "p96",         "p90",  SP_E_UNKNOWN_NAME},
        {"ttft<=1s",                     "ttft<=1s",    "",     SP_E_SYNTAX      },
        {"ttft:p95<1s",                  "ttft:p95<1s", "",     SP_E_SYNTAX      },
        {"ttft:p95<=1",                  "1",           "",     SP_E_RANGE       },
        {"ttft:p95<=-1s",                "-1s",         "",     SP_E_RANGE       },
        {"ttft:p95<=nans",               "nans",        "",     SP_E_RANGE       },
        {"ttft:p95<=1h",                 "1h",          "",     SP_E_RANGE       },
        {"ttft:p95<=1s,",                "",            "",     SP_E_SYNTAX      },
        {"ttft:p95<=1s,ttft:p95<=900ms", "ttft:p95",    "",     SP_E_INCONSISTENT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        sp_serving_question q = served_example();
        q.slo = cases[i].text;
        const sp_error err = served_refusal(&q, cases[i].status);
        assert_string_equal(err.file, "--slo");
        assert_string_equal(err.value, cases[i].value);
        assert_string_equal(err.nearest, cases[i].nearest);
    }
}

typedef struct bad_question {
    void (*spoil)(sp_serving_question *q);
    sp_status status;
    const char *file, *says; /* what the message holds */
} bad_question;

static void no_model(sp_serving_question *q)
{
    q->model = NULL;
}
static void no_cluster(sp_serving_question *q)
{
    q->cluster = NULL;
}
static void no_gpus(sp_serving_question *q)
{
    q->gpus = NULL;
}
static void no_isl(sp_serving_question *q)
{
    q->isl = 0;
}
static void no_osl(sp_serving_question *q)
{
    q->osl = 0;
}
static void short_osl(sp_serving_question *q)
{
    q->osl = 0.5;
}
static void both_lengths(sp_serving_question *q)
{
    q->lengths = "x.csv";
}
static void both_loads(sp_serving_question *q)
{
    q->rate = q->concurrency = 2;
}
static void short_context(sp_serving_question *q)
{
    q->max_context = 4999;
}
static void much_hit(sp_serving_question *q)
{
    q->prefix_hit_ratio = 1.1;
}
static void no_utilization(sp_serving_question *q)
{
    q->utilization = 0;
}
static void no_burst(sp_serving_question *q)
{
    q->burstiness = 0;
}
static void sure_draft(sp_serving_question *q)
{
    q->spec_acceptance = 1.5;
}
static void bad_mode(sp_serving_question *q)
{
    q->mode = "disag";
}
static void bad_space(sp_serving_question *q)
{
    q->space = "al";
}
static void bad_engine(sp_serving_question *q)
{
    q->engine = "vlm";
}
static void old_engine(sp_serving_question *q)
{
    q->engine = "vllm@0.1";
}
static void two_engines(sp_serving_question *q)
{
    q->engine = "vllm,vllm@0.26";
}
static void bad_objective(sp_serving_question *q)
{
    q->objectives = "tokens_per_s_per_gp";
}
static void same_objective(sp_serving_question *q)
{
    q->objectives = "ttft,ttft";
}
static void no_agg_cluster(sp_serving_question *q)
{
    q->prefill_cluster = q->decode_cluster = q->cluster;
    q->cluster = NULL;
}
static void set_axis(sp_serving_question *q)
{
    q->sets[q->n_sets++] = "tpp=4";
}
static void set_replicas(sp_serving_question *q)
{
    q->sets[q->n_sets++] = "replicas=4";
}
static void set_gpus(sp_serving_question *q)
{
    q->sets[q->n_sets++] = "gpus=4";
}
static void set_zero(sp_serving_question *q)
{
    q->sets[q->n_sets++] = "tp=0";
}
static void set_twice(sp_serving_question *q)
{
    q->sets[q->n_sets++] = "tp=4";
    q->sets[q->n_sets++] = "decode.tp=8";
}
static void set_fp9(sp_serving_question *q)
{
    q->sets[q->n_sets++] = "weight_dtype=fp9";
}
static void set_nvfp4(sp_serving_question *q)
{
    q->sets[q->n_sets++] = "weight_dtype=nvfp4";
}
static void set_kv(sp_serving_question *q)
{
    q->sets[q->n_sets++] = "kv_dtype=fp4";
}
static void where_name(sp_serving_question *q)
{
    q->wheres[q->n_wheres++] = "tft.p95<=2";
}

static void bad_questions_are_refused_by_their_flag(void **state)
{
    (void)state;
    static const bad_question cases[] = {
        {no_model,       SP_E_USAGE,        "",                   "--model is missing"   },
        {no_cluster,     SP_E_USAGE,        "",                   "--cluster is missing" },
        {no_gpus,        SP_E_USAGE,        "",                   "--gpus is missing"    },
        {no_isl,         SP_E_USAGE,        "",                   "--isl is missing"     },
        {no_osl,         SP_E_USAGE,        "",                   "--osl is missing"     },
        {short_osl,      SP_E_RANGE,        "--osl",              "an answer has tokens" },
        {both_lengths,   SP_E_USAGE,        "",                   "one of them"          },
        {both_loads,     SP_E_USAGE,        "",                   "one of them"          },
        {short_context,  SP_E_INCONSISTENT, "--max-context",      "longest sequence"     },
        {much_hit,       SP_E_RANGE,        "--prefix-hit",       "share"                },
        {no_utilization, SP_E_RANGE,        "--utilization",      "share"                },
        {no_burst,       SP_E_RANGE,        "--burstiness",       "gaps"                 },
        {sure_draft,     SP_E_RANGE,        "--spec-acceptance",  "accepted"             },
        {bad_mode,       SP_E_UNKNOWN_NAME, "--mode",             "no such value"        },
        {bad_space,      SP_E_UNKNOWN_NAME, "--space",            "no such value"        },
        {bad_engine,     SP_E_UNKNOWN_NAME, "--engine",           "serving engine"       },
        {old_engine,     SP_E_UNKNOWN_NAME, "--engine",           "the newest is 0.26.0" },
        {two_engines,    SP_E_INCONSISTENT, "--engine",           "twice"                },
        {bad_objective,  SP_E_UNKNOWN_NAME, "--objectives",       "no such objective"    },
        {same_objective, SP_E_INCONSISTENT, "--objectives",       "twice"                },
        {no_agg_cluster, SP_E_USAGE,        "",                   "--mode disagg"        },
        {set_axis,       SP_E_UNKNOWN_NAME, "--set",              "no axis"              },
        {set_replicas,   SP_E_UNKNOWN_NAME, "--set",              "follows from the GPUs"},
        {set_gpus,       SP_E_USAGE,        "--set",              "--gpus"               },
        {set_zero,       SP_E_RANGE,        "--set",              "whole number"         },
        {set_twice,      SP_E_INCONSISTENT, "--set",              "twice"                },
        {set_fp9,        SP_E_UNKNOWN_NAME, "--set weight_dtype", "no such number format"},
        {set_nvfp4,      SP_E_INCONSISTENT, "--set weight_dtype", "computes no products" },
        {set_kv,         SP_E_UNKNOWN_NAME, "--set kv_dtype",     "such a cache"         },
        {where_name,     SP_E_UNKNOWN_NAME, "--where",            "neither an axis nor"  },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        sp_serving_question q = served_example();
        if (cases[i].spoil == no_agg_cluster) q.mode = "both";
        cases[i].spoil(&q);
        const sp_error err = served_refusal(&q, cases[i].status);
        assert_string_equal(err.file, cases[i].file);
        if (strstr(err.message, cases[i].says) == NULL) fail_msg("case %zu: %s", i, err.message);
    }
}

static void money_without_a_price_is_refused(void **state)
{
    (void)state;
    sp_serving_question q = served_example();
    q.objectives = "usd_per_million_tokens";
    q.usd_per_gpu_hour = 2.0;
    sp_serving_problem *p = served_build(&q);
    assert_true(p->ranks_by_money);
    sp_serving_problem_free(p);
    q.usd_per_gpu_hour = -1.0;
    (void)served_refusal(&q, SP_E_RANGE);
}

/* ---- number formats ---- */

static void weights_stay_in_the_format_of_the_checkpoint(void **state)
{
    (void)state;
    sp_serving_question q = served_example();
    sp_serving_problem *p = served_build(&q);
    assert_int_equal(p->n_weights, 1);
    assert_string_equal(p->weight_names[0], "bf16");
    assert_string_equal(p->cache_names[0], "bf16");
    sp_serving_problem_free(p);
    q.model = "deepseek-v3";
    p = served_build(&q);
    assert_string_equal(p->weight_names[0], "fp8_block");
    assert_string_equal(p->weights[0].ffn[SP_PLACE_TOGETHER], "fp8_block");
    sp_serving_problem_free(p);
    q.model = "gpt-oss-120b";
    p = served_build(&q);
    assert_string_equal(p->weight_names[0], "mxfp4");
    assert_string_equal(p->weights[0].attention[SP_PLACE_TOGETHER], "bfloat16");
    assert_string_equal(p->weights[0].ffn[SP_PLACE_TOGETHER], "w4a16_mxfp4");
    sp_serving_problem_free(p);
    q.cluster = "dgx-b200";
    p = served_build(&q);
    assert_string_equal(p->weights[0].ffn[SP_PLACE_TOGETHER], "w4a8_mxfp4_mxfp8");
    sp_serving_problem_free(p);
}

static void other_formats_come_with_set(void **state)
{
    (void)state;
    sp_serving_question q = served_example();
    q.sets[q.n_sets++] = "weight_dtype=fp8,bf16";
    q.sets[q.n_sets++] = "kv_dtype=fp8";
    sp_serving_problem *p = served_build(&q);
    assert_int_equal(p->n_weights, 2);
    assert_int_equal(p->n_caches, 1);
    assert_int_equal(p->n_sets, 2);
    assert_int_equal(p->sets[0].n_values, 2);
    const sp_serving_estimate wide = served_estimate(p, "tp=4,batch=32,weight_dtype=bf16");
    const sp_serving_estimate narrow = served_estimate(p, "tp=4,batch=32,weight_dtype=fp8");
    assert_true(narrow.memory.weights < 0.6 * wide.memory.weights);
    assert_true(narrow.decode_step_s < wide.decode_step_s);
    sp_serving_problem_free(p);
}

/* ---- lengths ---- */

static const char *write_file(const char *name, const char *text, char path[256])
{
    const char *dir = getenv("TMPDIR");
    (void)snprintf(path, 256, "%s/shardplan-%ld-%s", dir != NULL ? dir : "/tmp", (long)getpid(),
                   name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    return path;
}

static sp_serving_question of_lengths(const char *file)
{
    sp_serving_question q = served_example();
    q.isl = q.osl = 0;
    q.lengths = file;
    return q;
}

/* Three of (1000, 100) and one of (5000, 500): means of 2000 and 200, the same spread for both:
 * variance 3000000 of 2000^2, sqrt(3 x 0.75) = 1.5, more than the whole, so 1. */
static void distributions_become_means_and_a_spread(void **state)
{
    (void)state;
    static const char *const texts[2][2] = {
        {"a.json", "[{\"isl\": 1000, \"osl\": 100, \"weight\": 3}, {\"isl\": 5000, \"osl\": 500}]"},
        {"a.csv",  "osl,isl,weight\n100,1000,3\n500,5000,1\n"                                     },
    };
    for (size_t i = 0; i < 2; i++) {
        char path[256];
        const sp_serving_question q = of_lengths(write_file(texts[i][0], texts[i][1], path));
        sp_serving_problem *p = served_build(&q);
        assert_close(p->load.isl, 2000.0, 1e-12);
        assert_close(p->load.osl, 200.0, 1e-12);
        assert_close(p->load.length_spread, 1.0, 1e-12);
        sp_serving_problem_free(p);
        (void)remove(path);
    }
}

static void bad_lengths_name_their_line(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        {"b.csv",  "isl,weight\n1,1\n",                      "columns isl and osl"},
        {"b.csv",  "isl,osl\n1000,x\n",                      "line 2: a number"   },
        {"b.csv",  "isl,osl\n1000,10\n0,10\n",               "line 3: isl and osl"},
        {"b.csv",  "isl,osl\n",                              "no lengths"         },
        {"b.csv",  "isl,osl,weight\n10,10,0\n",              "all weights are 0"  },
        {"b.json", "[]",                                     "a list of"          },
        {"b.json", "[{\"isl\": 10, \"osl\": 10, \"w\": 1}]", ""                   },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char path[256];
        sp_error err = {0};
        sp_serving_problem *p = NULL;
        const sp_serving_question q = of_lengths(write_file(cases[i][0], cases[i][1], path));
        assert_int_not_equal(sp_serving_problem_build(&q, &p, &err), SP_OK);
        assert_string_equal(err.file, path);
        if (strstr(err.message, cases[i][2]) == NULL) fail_msg("case %zu: %s", i, err.message);
        (void)remove(path);
    }
}

/* A config.json says what its weights are in; a method that is not known is refused. */
static void the_models_own_file_states_its_format(void **state)
{
    (void)state;
    static const char config[] =
        "{\"model_type\": \"llama\", \"hidden_size\": 4096, \"intermediate_size\": 14336, "
        "\"num_attention_heads\": 32, \"num_key_value_heads\": 8, \"num_hidden_layers\": 32, "
        "\"vocab_size\": 128256, \"quantization_config\": %s}";
    static const struct {
        const char *text, *format;
    } cases[] = {
        {"{\"quant_method\": \"fp8\"}",                                    "fp8"      },
        {"{\"quant_method\": \"fp8\", \"weight_block_size\": [128, 128]}", "fp8_block"},
        {"{\"quant_method\": \"awq\", \"bits\": 4}",                       "int4"     },
        {"{\"quant_method\": \"gptq\", \"bits\": 8}",                      "w8a16"    },
        {"{\"quant_method\": \"hqq\"}",                                    NULL       },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[1024], path[256];
        (void)snprintf(text, sizeof text, config, cases[i].text);
        sp_serving_question q = served_example();
        q.model = write_file("config.json", text, path);
        if (cases[i].format == NULL) {
            const sp_error err = served_refusal(&q, SP_E_UNKNOWN_NAME);
            assert_string_equal(err.path, "/quantization_config");
            assert_non_null(strstr(err.message, "--set weight_dtype"));
        } else {
            sp_serving_problem *p = served_build(&q);
            assert_string_equal(p->weight_names[0], cases[i].format);
            sp_serving_problem_free(p);
        }
        (void)remove(path);
    }
}

/* ---- the name of a question ---- */

static void more_gpus(sp_serving_question *q)
{
    q->gpus = "64";
}
static void longer(sp_serving_question *q)
{
    q->osl = 1001;
}
static void limited(sp_serving_question *q)
{
    q->slo = "ttft:p50<=1s";
}
static void loaded(sp_serving_question *q)
{
    q->concurrency = 77;
}
static void dearer(sp_serving_question *q)
{
    q->usd_per_gpu_hour = 77;
}
static void cached(sp_serving_question *q)
{
    q->prefix_hit_ratio = 0.5;
}
static void other_model(sp_serving_question *q)
{
    q->model = "llama-3.1-8b";
}
static void other_cluster(sp_serving_question *q)
{
    q->cluster = "dgx-h100";
}
static void other_engine(sp_serving_question *q)
{
    q->engine = "sglang";
}
static void older_engine(sp_serving_question *q)
{
    q->engine = "vllm@0.9";
}
static void of_axis(sp_serving_question *q)
{
    q->sets[q->n_sets++] = "tp=4";
}
static void of_format(sp_serving_question *q)
{
    q->sets[q->n_sets++] = "kv_dtype=fp8";
}
static void of_space(sp_serving_question *q)
{
    q->space = "all";
}
static void of_mode(sp_serving_question *q)
{
    q->mode = "both";
}
static void spare(sp_serving_question *q)
{
    q->spare_replicas = 1;
}

static void questions_differ_in_name_where_they_differ(void **state)
{
    (void)state;
    void (*const changes[])(sp_serving_question * q) = {
        NULL,      more_gpus,   longer,        limited,      loaded,       dearer,
        cached,    other_model, other_cluster, other_engine, older_engine, of_axis,
        of_format, of_space,    of_mode,       spare};
    enum { N = sizeof changes / sizeof changes[0] };
    char names[N][33];
    for (size_t i = 0; i < N; i++) {
        sp_serving_question q = served_example();
        if (changes[i] != NULL) changes[i](&q);
        sp_serving_problem *p = served_build(&q);
        memcpy(names[i], sp_serving_problem_fingerprint(p), 33);
        sp_serving_problem_free(p);
        for (size_t k = 0; k < i; k++) {
            if (strcmp(names[i], names[k]) == 0) fail_msg("questions %zu and %zu", k, i);
        }
    }
    const sp_serving_question again = served_example();
    sp_serving_problem *p = served_build(&again);
    assert_string_equal(names[0], sp_serving_problem_fingerprint(p));
    sp_serving_problem_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_question_loads_what_it_names),
        cmocka_unit_test(a_question_keeps_nothing_of_its_caller),
        cmocka_unit_test(ranges_of_gpus_are_whole_nodes_and_parts_of_one),
        cmocka_unit_test(limits_are_refused_with_what_is_wrong_in_them),
        cmocka_unit_test(bad_questions_are_refused_by_their_flag),
        cmocka_unit_test(money_without_a_price_is_refused),
        cmocka_unit_test(weights_stay_in_the_format_of_the_checkpoint),
        cmocka_unit_test(other_formats_come_with_set),
        cmocka_unit_test(the_models_own_file_states_its_format),
        cmocka_unit_test(distributions_become_means_and_a_spread),
        cmocka_unit_test(bad_lengths_name_their_line),
        cmocka_unit_test(questions_differ_in_name_where_they_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
