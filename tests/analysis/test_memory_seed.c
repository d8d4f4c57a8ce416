/* SPDX-License-Identifier: Apache-2.0 */
/* GPU Memory Calculator's records of serving, where it is right: caches of models with one head of
 * keys for each of queries on one GPU, weights in 16 bits. Every option that its configuration has
 * changes something here or is refused with a reason. */
#include "analysis/seed.h"
#include "analysis/served.h"

#include <ctype.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define GIB 0x1p30

typedef struct tally {
    uint32_t equal, refused, set;
} tally;

static double theirs(const sp_json *record, const char *part)
{
    const sp_json output = sp_json_get(record, "output");
    const sp_json breakdown = sp_json_get(&output, "breakdown");
    return number_in(&breakdown, part);
}

/* Its caches without a quirk of the engine: pages of vLLM are counted 1.2 times, SGLang's are cut.
 */
static bool is_plain(const char *engine)
{
    return strcmp(engine, "hf") == 0 || strcmp(engine, "tgi") == 0 || strcmp(engine, "trtllm") == 0;
}

static void compare_cache(const sp_json *record, void *context)
{
    tally *t = context;
    const sp_json input = sp_json_get(record, "input"), model = sp_json_get(&input, "model");
    const sp_json asked = sp_json_get(&input, "inference");
    const char *engine = seed_server(&input);
    const bool quantised = sp_json_has(&asked, "kv_cache_quantization") &&
                           strcmp(word_in(&asked, "kv_cache_quantization"), "none") != 0;
    if (!is_plain(engine) || quantised || flag_in(&model, "moe_enabled") ||
        strcmp(word_in(&model, "name"), "llama2-7b") != 0) {
        return;
    }
    served s;
    serve(&s, "llama-2-7b", "a100-sxm-80g", engine);
    s.question.batch = count_in(&asked, "batch_size");
    s.question.isl = count_in(&model, "max_seq_len") - 1;
    s.question.osl = 1;
    s.question.server.beams = 1.0;
    const double request = serve_ask(&s)->request * (double)s.question.batch;
    assert_true(fabs(request / GIB - theirs(record, "kv_cache_gb")) < 1e-9);
    /* Its 7B is 7e9 parameters. */
    const double scale = 7e9 / (double)sp_model_parameters(s.question.model).total;
    assert_true(fabs(s.out.weights * scale / GIB - theirs(record, "model_params_gb")) < 1e-6);
    t->equal++;
    serve_fini(&s);
}

static void caches_and_weights_equal_its_own_where_it_is_right(void **state)
{
    tally t = {0};
    (void)state;
    for_each_record("seed-gpumem", "inference", compare_cache, &t);
    assert_true(t.equal >= 5);
}

/* Python's words. */
static void write_value(const sp_json *value, char *text, size_t capacity)
{
    sp_text dumped = {0};
    sp_json_dump(value, &dumped);
    const char *from = dumped.data[0] == '"' ? dumped.data + 1 : dumped.data;
    size_t n = strcspn(from, "\"");
    if (n >= capacity) n = capacity - 1;
    memcpy(text, from, n);
    text[n] = '\0';
    sp_text_fini(&dumped);
}

/* The reason is a sentence of the engine's file, or the words that it does take. */
static void try_option(const char *engine, const char *option, tally *t)
{
    served s;
    sp_error err = {0};
    serve(&s, "llama-2-7b", "a100-sxm-80g", engine);
    const sp_status status =
        sp_server_set(&s.arena, getenv("SHARDPLAN_HOME"), option, &s.question.server, &err);
    if (status == SP_OK) {
        t->set++;
    } else {
        if (strstr(err.message, "no option that is known") != NULL) {
            fail_msg("%s: %s", engine, option);
        }
        assert_true(status == SP_E_INCONSISTENT || err.range[0] != '\0');
        assert_true(strlen(err.message) > 20);
        t->refused++;
    }
    serve_fini(&s);
}

static void try_options(const sp_json *record, void *context)
{
    const sp_json input = sp_json_get(record, "input");
    const sp_json asked = sp_json_get(&input, "inference");
    for (size_t i = 0; i < sp_json_size(&asked); i++) {
        const sp_json member = sp_json_member(&asked, i);
        char value[64], option[160];
        write_value(&member, value, sizeof value);
        (void)snprintf(option, sizeof option, "%s=%s", member.key, value);
        try_option(seed_server(&input), option, context);
    }
}

static void every_option_of_its_records_has_an_effect_or_a_reason(void **state)
{
    tally t = {0};
    (void)state;
    for_each_record("seed-gpumem", "inference", try_options, &t);
    assert_true(t.set > 0 && t.refused > 0);
}

/* The fields of its configuration that no record uses. */
static void every_other_field_has_an_effect_or_a_reason(void **state)
{
    static const struct field {
        const char *engine, *option;
    } fields[] = {
        {"vllm",      "enable_streaming=true"        },
        {"vllm",      "cpu_offload_gb=4"             },
        {"vllm",      "enable_prefix_caching=true"   },
        {"vllm",      "max_num_batched_tokens=4096"  },
        {"vllm",      "max_num_seqs=64"              },
        {"vllm",      "vllm_quantization=squeezellm" },
        {"vllm",      "gpu_memory_utilization=0.8"   },
        {"tgi",       "max_input_tokens=1000"        },
        {"tgi",       "max_batch_total_tokens=65536" },
        {"tgi",       "tgi_dtype=float16"            },
        {"tgi",       "sharded=true"                 },
        {"tgi",       "num_shard=2"                  },
        {"tgi",       "tgi_quantize=bitsandbytes-nf4"},
        {"trtllm",    "trt_max_batch_size=8"         },
        {"trtllm",    "trt_max_input_len=2048"       },
        {"trtllm",    "trt_max_seq_len=8192"         },
        {"sglang",    "attention_backend=triton"     },
        {"sglang",    "radix_cache_max_seq_len=4096" },
        {"sglang",    "speculative_algo=medusa"      },
        {"sglang",    "speculative_algo=default"     },
        {"dashinfer", "cache_span_size=32"           },
    };
    tally t = {0};
    (void)state;
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        try_option(fields[i].engine, fields[i].option, &t);
    }
    assert_true(t.set > 0 && t.refused > 0);
}

static void options_change_the_bytes_they_are_about(void **state)
{
    static const struct change {
        const char *engine, *option;
        sp_memory_part part;
    } changes[] = {
        {"vllm",   "enforce_eager=true",             SP_PART_OF_graphs         },
        {"vllm",   "cpu_offload_gb=4",               SP_PART_OF_ffn_weights    },
        {"vllm",   "max_num_seqs=16",                SP_PART_OF_graphs         },
        {"vllm",   "gpu_memory_utilization=0.8",     SP_PART_OF_kv_spare       },
        {"vllm",   "block_size=64",                  SP_PART_OF_kv_cache       },
        {"sglang", "speculative_algo=eagle",         SP_PART_OF_draft_weights  },
        {"sglang", "multi_lora_enabled=true",        SP_PART_OF_adapter_weights},
        {"sglang", "attention_backend=flashinfer",   SP_PART_OF_workspace      },
        {"sglang", "max_total_tokens=8192",          SP_PART_OF_kv_spare       },
        {"trtllm", "trt_max_beam_width=4",           SP_PART_OF_kv_cache       },
        {"trtllm", "free_gpu_memory_fraction=0.5",   SP_PART_OF_kv_spare       },
        {"tgi",    "max_batch_prefill_tokens=16384", SP_PART_OF_kv_spare       },
        {"hf",     "num_beams=4",                    SP_PART_OF_kv_cache       },
        {"hf",     "kv_cache_quantization=int4",     SP_PART_OF_kv_scales      },
        {"hf",     "use_kv_cache=false",             SP_PART_OF_kv_cache       },
    };
    (void)state;
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        served s;
        serve(&s, "llama-2-7b", "a100-sxm-80g", changes[i].engine);
        s.question.isl = 1000;
        const double before = serve_ask(&s)->bytes[SP_MEMORY_DECODE][changes[i].part];
        serve_option(&s, changes[i].option);
        const double after = serve_ask(&s)->bytes[SP_MEMORY_DECODE][changes[i].part];
        if (before == after) fail_msg("%s changes nothing", changes[i].option);
        serve_fini(&s);
    }
}

int main(void)
{
    const bool data = getenv("SHARDPLAN_DATA") != NULL;
    const struct CMUnitTest own[] = {
        cmocka_unit_test(every_other_field_has_an_effect_or_a_reason),
        cmocka_unit_test(options_change_the_bytes_they_are_about),
    };
    const struct CMUnitTest compared[] = {
        cmocka_unit_test(caches_and_weights_equal_its_own_where_it_is_right),
        cmocka_unit_test(every_option_of_its_records_has_an_effect_or_a_reason),
    };
    const int failed = cmocka_run_group_tests(own, NULL, NULL);
    return failed + (data ? cmocka_run_group_tests(compared, NULL, NULL) : 0);
}
