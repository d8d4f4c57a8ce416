/* SPDX-License-Identifier: Apache-2.0 */
/* Every operator of every record of LLM-para (three generations of it) against ours: FLOPs,
 * parameters and bytes are the same doubles wherever it is right. Where it is wrong is said by the
 * table below, and proved in test_llmpara_defects.c. */
#include "analysis/llmpara.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { FLOPS = 1, PARAMETERS = 2, READ = 4, WEIGHTS = 8, CACHE = 16, WRITTEN = 32 };
#define PRODUCT (FLOPS | PARAMETERS | READ | WEIGHTS | WRITTEN)

/* Rows of theirs, whose sums are those of ours. Of two rows of ours, FLOPs and weights add up, the
 * first one reads, the last one writes: theirs are fused, and what passes between ours is left out.
 * Their weights of attention are our cache. */
static const struct mapping {
    const char *theirs[3];
    const char *ours[2];
    unsigned prefill, decode; /* figures that must be equal                                       */
} mappings[] = {
  /* the look-up: 2 FLOPs a token, the whole table and ids as wide as activations (6) */
    {{"Token Embedding"},                              {"embedding"},                PARAMETERS | WRITTEN,   0                             },
    {{"RMSNorm (pre-Attn)"},                           {"attention_norm"},           PRODUCT,                PRODUCT                       },
    {{"RMSNorm (pre-FFN)"},                            {"ffn_norm"},                 PRODUCT,                PRODUCT                       },
 /* a LayerNorm learns a bias besides */
    {{"LayerNorm (pre-Attn)"},                         {"attention_norm"},           FLOPS | READ | WRITTEN, FLOPS | READ | WRITTEN        },
    {{"LayerNorm (pre-FFN)"},                          {"ffn_norm"},                 FLOPS | READ | WRITTEN, FLOPS | READ | WRITTEN        },
 /* three products read their common input three times; ours is one product */
    {{"Q Projection", "K Projection", "V Projection"},
     {"qkv_projection"},
     PRODUCT & ~(unsigned)READ,
     PRODUCT & ~(unsigned)READ                                                                                                             },
 /* 4 FLOPs a pair instead of 6, the table read once for queries and once for keys (10) */
    {{"RoPE-Q", "RoPE-K"},                             {"rotary"},                   READ | WRITTEN,         READ | WRITTEN                },
 /* no causal mask (8) */
    {{"Q×Kᵀ (Score)"},
     {"attention_scores"},
     READ | CACHE | WRITTEN,
     FLOPS | READ | CACHE | WRITTEN                                                                                                        },
    {{"Softmax"},                                      {"softmax"},                  READ | WRITTEN,         FLOPS | READ | WRITTEN        },
    {{"Attn×V"},                                      {"attention_values"},         READ | CACHE | WRITTEN, FLOPS | READ | CACHE | WRITTEN},
 /* keys or values, not both, and no softmax (7) */
    {{"FlashAttention (fused)"},                       {"attention_core"},           READ | WRITTEN,         READ | WRITTEN                },
    {{"O Projection"},                                 {"output_projection"},        PRODUCT,                PRODUCT                       },
    {{"FFN-Up"},                                       {"ffn_up"},                   PRODUCT,                PRODUCT                       },
    {{"FFN-Up+Gate (SwiGLU)"},                         {"ffn_up", "ffn_activation"}, PRODUCT,                PRODUCT                       },
    {{"FFN-Down"},                                     {"ffn_down"},                 PRODUCT,                PRODUCT                       },
    {{"MoE Router"},                                   {"router"},                   PRODUCT,                PRODUCT                       },
 /* all experts in prefill, k of them in decode, whatever the batch (11) */
    {{"MoE FFN-Up+Gate (SwiGLU)"},
     {"expert_up", "expert_activation"},
     FLOPS | PARAMETERS | READ | WRITTEN,
     FLOPS | READ | WRITTEN                                                                                                                },
    {{"MoE FFN-Down"},
     {"expert_down"},
     FLOPS | PARAMETERS | READ | WRITTEN,
     FLOPS | READ | WRITTEN                                                                                                                },
    {{"LM Head"},                                      {"head"},                     PRODUCT,                0                             },
    {{"Q Down-Proj (MLA)"},                            {"q_down"},                   PRODUCT,                PRODUCT                       },
    {{"Q Up-Proj (MLA)"},                              {"q_up"},                     PRODUCT,                PRODUCT                       },
 /* weights in the format of the cache, no rotary columns; decode expands the new token and
  * attends as if the rest were cached expanded (12) */
    {{"KV Compress (MLA)"},                            {"kv_down"},                  READ,                   READ                          },
    {{"KV Expand (MLA)"},                              {"kv_up"},                    PRODUCT,                0                             },
    {{"RoPE-Q (MLA)"},                                 {"rotary"},                   0,                      0                             },
    {{"Q×Kᵀ (MLA)"},                                {"attention_scores"},         WRITTEN,                WRITTEN                       },
    {{"Softmax (MLA)"},                                {"softmax"},                  READ | WRITTEN,         FLOPS | READ | WRITTEN        },
    {{"Attn×V (MLA)"},                                {"attention_values"},         WRITTEN,                READ                          },
    {{"O Projection (MLA)"},                           {"output_projection"},        PRODUCT,                PRODUCT                       },
};
#define N_MAPPINGS (sizeof mappings / sizeof mappings[0])

/* Names of the first two generations. */
static const struct alias {
    const char *old, *new;
} aliases[] = {
    {"xW_Q",              "Q Projection"            },
    {"xW_K",              "K Projection"            },
    {"xW_V",              "V Projection"            },
    {"Q × Kᵀ",         "Q×Kᵀ (Score)"         },
    {"Attn × V",         "Attn×V"                 },
    {"xW_O",              "O Projection"            },
    {"Router",            "MoE Router"              },
    {"FFN-1(with MoE)",   "MoE FFN-Up+Gate (SwiGLU)"},
    {"FFN-2(with MoE)",   "MoE FFN-Down"            },
    {"FFN-1(with Moe)",   "MoE FFN-Up+Gate (SwiGLU)"},
    {"FFN-2(with Moe)",   "MoE FFN-Down"            },
    {"FFN-1",             "FFN-Up"                  },
    {"FFN-1 (with Gate)", "FFN-Up+Gate (SwiGLU)"    },
    {"FFN-2",             "FFN-Down"                },
};

/* Members of a row by generation. */
static const struct names {
    const char *phase, *operation, *flops, *parameters, *read, *weights, *written;
} head_names = {"phase",       "operation",    "flops",       "param_count",
                "input_bytes", "weight_bytes", "output_bytes"},
  old_names = {"Phase",        "Operation",    "FLOPs",       "Param Count",
               "Input1 Bytes", "Input2 Bytes", "Output Bytes"};

typedef struct figures {
    double flops, parameters, read, weights, written;
} figures;

typedef struct tally {
    size_t rows, figures; /* of theirs, compared                                                  */
    bool v0;              /* keys and values as wide as queries, one key too few in decode        */
} tally;

static const char *new_name(const char *operation)
{
    for (size_t i = 0; i < sizeof aliases / sizeof aliases[0]; i++) {
        if (strcmp(aliases[i].old, operation) == 0) return aliases[i].new;
    }
    return operation;
}

static sp_phase phase_of(const char *phase)
{
    if (strcmp(phase, "Decode_Last") == 0) return SP_PHASE_LAST_DECODE;
    return strcmp(phase, "Decode") == 0 ? SP_PHASE_DECODE : SP_PHASE_PREFILL;
}

/* Sums the rows of theirs that a mapping joins; returns how many there are. */
static size_t sum_theirs(const sp_json *rows, const struct mapping *map, sp_phase phase,
                         const struct names *names, figures *sum)
{
    size_t n = 0;
    *sum = (figures){0};
    for (size_t i = 0; i < sp_json_size(rows); i++) {
        const sp_json row = sp_json_at(rows, i);
        const char *name = new_name(word_in(&row, names->operation));
        if (phase_of(word_in(&row, names->phase)) != phase) continue;
        for (size_t t = 0; t < 3 && map->theirs[t] != NULL; t++) {
            if (strcmp(map->theirs[t], name) != 0) continue;
            sum->flops += number_in(&row, names->flops);
            sum->parameters += number_in(&row, names->parameters);
            sum->read += number_in(&row, names->read);
            sum->weights += number_in(&row, names->weights);
            sum->written += number_in(&row, names->written);
            n++;
        }
    }
    return n;
}

static figures sum_ours(const sp_analysis *analysis, const struct mapping *map, sp_phase phase)
{
    const sp_operator *first = need_row(analysis, phase, map->ours[0]);
    const sp_operator *last =
        map->ours[1] != NULL ? need_row(analysis, phase, map->ours[1]) : first;
    const double more = last != first ? 1.0 : 0.0;
    return (figures){.flops = first->flops + more * last->flops,
                     .parameters = first->parameters + more * last->parameters,
                     .read = first->read_bytes - first->cache_bytes,
                     .weights =
                         first->weight_bytes + first->cache_bytes + more * last->weight_bytes,
                     .written = last->write_bytes};
}

/* Tokens an expert are a fraction: a product of four factors, rounded differently. */
static void check_equal(double ours, double theirs, bool fraction, const char *id, const char *row,
                        const char *what)
{
    const double slack = fraction ? 4.0 * 0x1p-52 * theirs : 0.0;
    if (fabs(ours - theirs) > slack) {
        fail_msg("%s, %s: %.17g %s instead of %.17g", id, row, ours, what, theirs);
    }
}

static unsigned wanted(const struct mapping *map, sp_phase phase, const tally *t)
{
    unsigned which = phase == SP_PHASE_PREFILL ? map->prefill : map->decode;
    if (t->v0 && strcmp(map->theirs[0], "Q Projection") == 0) which &= ~(unsigned)WRITTEN;
    if (t->v0 && strcmp(map->ours[0], "attention_scores") == 0) which &= ~(unsigned)FLOPS;
    return which;
}

static void check_mapping(const sp_json *record, const sp_analysis *analysis,
                          const struct mapping *map, sp_phase phase, tally *t)
{
    const sp_json rows = sp_json_get(record, "rows");
    const struct names *names = sp_json_has(record, "summary") ? &head_names : &old_names;
    const char *id = word_in(record, "id"), *name = map->theirs[0];
    const unsigned which = wanted(map, phase, t);
    figures theirs;
    const size_t n = sum_theirs(&rows, map, phase, names, &theirs);
    if (n == 0 || which == 0) return;
    const figures ours = sum_ours(analysis, map, phase);
    const bool part = strncmp(map->ours[0], "expert", 6) == 0;
    const struct {
        unsigned bit;
        double ours, theirs;
        const char *what;
    } pairs[] = {
        {FLOPS,           ours.flops,      theirs.flops,      "FLOPs"           },
        {PARAMETERS,      ours.parameters, theirs.parameters, "parameters"      },
        {READ,            ours.read,       theirs.read,       "bytes read"      },
        {WEIGHTS | CACHE, ours.weights,    theirs.weights,    "bytes of weights"},
        {WRITTEN,         ours.written,    theirs.written,    "bytes written"   },
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        if ((which & pairs[i].bit) == 0) continue;
        check_equal(pairs[i].ours, pairs[i].theirs, part, id, name, pairs[i].what);
        t->figures++;
    }
    t->rows += n;
}

static void check_rows(const sp_json *record, void *context)
{
    sp_arena arena = {0};
    const sp_analysis_question question = llmpara_question(&arena, record);
    const sp_analysis *analysis = analyze(&arena, &question);
    for (size_t i = 0; i < N_MAPPINGS; i++) {
        check_mapping(record, analysis, &mappings[i], SP_PHASE_PREFILL, context);
        check_mapping(record, analysis, &mappings[i], SP_PHASE_DECODE, context);
        check_mapping(record, analysis, &mappings[i], SP_PHASE_LAST_DECODE, context);
    }
    sp_arena_fini(&arena);
}

static void operators_are_those_of_the_head_of_llm_para(void **state)
{
    (void)state;
    tally t = {0};
    assert_int_equal(for_each_record("seed-llmpara", "analysis", check_rows, &t), 49);
    print_message("%zu figures of %zu rows\n", t.figures, t.rows);
    assert_int_equal(t.rows, 1312); /* of 1,318 */
}

static void operators_are_those_of_its_first_version(void **state)
{
    (void)state;
    tally t = {0};
    assert_int_equal(for_each_record("seed-llmpara", "legacy_v1", check_rows, &t), 6);
    print_message("%zu figures of %zu rows\n", t.figures, t.rows);
    assert_int_equal(t.rows, 120);
}

static void operators_are_those_of_its_three_phases(void **state)
{
    (void)state;
    tally t = {.v0 = true};
    assert_int_equal(for_each_record("seed-llmpara", "legacy_v0_three_phase", check_rows, &t), 6);
    print_message("%zu figures of %zu rows\n", t.figures, t.rows);
    assert_int_equal(t.rows, 186);
}

/* It gives bytes of a token, and MiB of the prompt, of generated tokens and of both. */
static void check_cache(const sp_json *record, void *context)
{
    const sp_json config = sp_json_get(record, "config"), sum = sp_json_get(record, "summary");
    const double mib = 1048576.0;
    size_t *n = context;
    if (flag_in(&config, "use_mla")) return; /* 12 */
    sp_arena arena = {0};
    const sp_analysis_question question = llmpara_question(&arena, record);
    const sp_analysis *a = analyze(&arena, &question);
    assert_true(a->kv_bytes_per_token == number_in(&sum, "kv_bytes_per_token"));
    assert_true(a->kv_prompt_bytes == number_in(&sum, "kv_prefill_mb") * mib);
    assert_true(a->kv_generated_bytes == number_in(&sum, "kv_decode_mb") * mib);
    assert_true(a->kv_max_bytes == number_in(&sum, "kv_max_mb") * mib);
    /* theirs is that of key and value heads over query heads */
    assert_true(1.0 / a->gqa_ratio == number_in(&sum, "gqa_ratio"));
    sp_arena_fini(&arena);
    ++*n;
}

static void caches_of_models_with_keys_and_values_are_the_same(void **state)
{
    (void)state;
    size_t n = 0;
    for_each_record("seed-llmpara", "analysis", check_cache, &n);
    assert_int_equal(n, 47);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(operators_are_those_of_the_head_of_llm_para),
        cmocka_unit_test(operators_are_those_of_its_first_version),
        cmocka_unit_test(operators_are_those_of_its_three_phases),
        cmocka_unit_test(caches_of_models_with_keys_and_values_are_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
