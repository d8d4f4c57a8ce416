/* SPDX-License-Identifier: Apache-2.0 */
/* Models from the keys of GGUF files, as converters write them: each architecture by a published
 * model whose parameters are known (num_parameters() of transformers for its config.json). The
 * files are sparse: hundreds of megabytes of holes behind a kilobyte of header. */
#define _POSIX_C_SOURCE 200809L
#include "common/asked.h"
#include "spec/checkpoint_files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

typedef struct key {
    const char *name;
    uint32_t value;
} key;

typedef struct published {
    const char *arch, *model_type;
    uint64_t parameters;
    uint32_t hidden, vocab;
    bool head; /* an output.weight of its own */
    const char *bias;
    key keys[24];
} published;

#define SIZES(layers, hidden, ffn, heads, kv, length)                                              \
    {"block_count", layers}, {"embedding_length", hidden}, {"feed_forward_length", ffn},           \
        {"attention.head_count", heads}, {"attention.head_count_kv", kv},                          \
        {"attention.key_length", length},                                                          \
    {                                                                                              \
        "context_length", 4096                                                                     \
    }

static const published models[] = {
  /* Llama-3.1-8B */
    {"llama",     "llama", 8030261248,   4096, 128256, true, NULL,                {SIZES(32, 4096, 14336, 32, 8, 128)}},
 /* Mixtral-8x7B */
    {"llama",
     "mixtral",            46702792704,
     4096,                                     32000,
     true,                                                   NULL,
     {SIZES(32, 4096, 14336, 32, 8, 128), {"expert_count", 8}, {"expert_used_count", 2}}                              },
 /* Qwen2.5-7B */
    {"qwen2",
     "qwen2",              7615616512,
     3584,                                     152064,
     true,                                                   "blk.0.attn_q.bias",
     {SIZES(28, 3584, 18944, 28, 4, 128)}                                                                             },
 /* Qwen3-8B */
    {"qwen3",     "qwen3", 8190735360,   4096, 151936, true, NULL,                {SIZES(36, 4096, 12288, 32, 8, 128)}},
 /* Qwen3-30B-A3B */
    {"qwen3moe",
     "qwen3_moe",          30532122624,
     2048,                                     151936,
     true,                                                   NULL,
     {SIZES(48, 2048, 6144, 32, 4, 128),
      {"expert_count", 128},
      {"expert_used_count", 8},
      {"expert_feed_forward_length", 768}}                                                                            },
 /* gemma-2-2b */
    {"gemma2",
     "gemma2",             2614341888,
     2304,                                     256000,
     false,                                                  NULL,
     {SIZES(26, 2304, 9216, 8, 4, 256), {"attention.sliding_window", 4096}}                                           },
 /* gemma-3-1b */
    {"gemma3",
     "gemma3_text",        999885952,
     1152,                                     262144,
     false,                                                  NULL,
     {SIZES(26, 1152, 6912, 4, 1, 256), {"attention.sliding_window", 512}}                                            },
 /* Phi-3-mini-4k */
    {"phi3",
     "phi3",               3821079552,
     3072,                                     32064,
     true,                                                   NULL,
     {SIZES(32, 3072, 8192, 32, 32, 96), {"attention.sliding_window", 2047}}                                          },
 /* DeepSeek-V3, without its 256 routing corrections a layer, which are buffers */
    {"deepseek2",
     "deepseek_v3",        671026404352,
     7168,                                     129280,
     true,                                                   NULL,
     {SIZES(61, 7168, 18432, 128, 1, 576),
      {"attention.key_length_mla", 192},
      {"attention.value_length", 512},
      {"attention.value_length_mla", 128},
      {"attention.q_lora_rank", 1536},
      {"attention.kv_lora_rank", 512},
      {"rope.dimension_count", 64},
      {"leading_dense_block_count", 3},
      {"expert_count", 256},
      {"expert_used_count", 8},
      {"expert_shared_count", 1},
      {"expert_feed_forward_length", 2048},
      {"expert_gating_func", 2},
      {"expert_group_count", 8},
      {"expert_group_used_count", 4}}                                                                                 },
 /* DeepSeek-V2-Lite, from a converter of before the absorbed form */
    {"deepseek2",
     "deepseek_v2",        15706484224,
     2048,                                     102400,
     true,                                                   NULL,
     {SIZES(27, 2048, 10944, 16, 16, 192),
      {"attention.value_length", 128},
      {"attention.kv_lora_rank", 512},
      {"rope.dimension_count", 64},
      {"leading_dense_block_count", 1},
      {"expert_count", 64},
      {"expert_used_count", 6},
      {"expert_shared_count", 2},
      {"expert_feed_forward_length", 1408}}                                                                           },
 /* gpt-oss-20b */
    {"gpt-oss",
     "gpt_oss",            20914757184,
     2880,                                     201088,
     true,                                                   "blk.0.attn_q.bias",
     {SIZES(24, 2880, 2880, 64, 8, 64),
      {"attention.sliding_window", 128},
      {"expert_count", 32},
      {"expert_used_count", 4},
      {"expert_feed_forward_length", 2880}}                                                                           },
};

static size_t n_keys(const published *m)
{
    size_t n = 0;
    while (m->keys[n].name)
        n++;
    return n;
}

static void write_model(void **state, const published *m, const char *skipped)
{
    sp_text text = {0};
    uint64_t offset = 0;
    const uint64_t eight[] = {8};
    put_gguf(&text, 3, 1u + m->head + (m->bias != NULL), n_keys(m) + 1 - (skipped != NULL));
    put_key_string(&text, "general.architecture", m->arch);
    for (size_t i = 0; m->keys[i].name; i++) {
        char name[128];
        snprintf(name, sizeof name, "%s.%s", m->arch, m->keys[i].name);
        if (!skipped || strcmp(skipped, m->keys[i].name) != 0)
            put_key_u32(&text, name, m->keys[i].value);
    }
    put_tensor(&text, "token_embd.weight", 2, (const uint64_t[]){m->hidden, m->vocab}, 0, offset);
    offset += (uint64_t)4 * m->hidden * m->vocab;
    if (m->head) put_tensor(&text, "output.weight", 1, eight, 0, offset);
    offset += m->head ? 32 : 0;
    if (m->bias) put_tensor(&text, m->bias, 1, eight, 0, offset);
    offset += m->bias ? 32 : 0;
    put_data(&text, 0);
    const uint64_t size = text.length + offset;
    write_file(at(state, "m.gguf"), &text);
    sp_text_fini(&text);
    assert_int_equal(truncate(at(state, "m.gguf"), (off_t)size), 0);
}

static void published_models_have_their_parameters(void **state)
{
    for (size_t i = 0; i < sizeof models / sizeof models[0]; i++) {
        sp_arena arena = {0};
        sp_error err = {0};
        const sp_model *model = NULL;
        write_model(state, &models[i], NULL);
        must(sp_model_find(&arena, source_home(), at(state, "m.gguf"), &model, &err), &err);
        assert_string_equal(model->model_type, models[i].model_type);
        assert_string_equal(model->name, "m");
        if (sp_model_parameters(model).total != models[i].parameters) {
            fail_msg("%s: %llu parameters instead of %llu", models[i].arch,
                     (unsigned long long)sp_model_parameters(model).total,
                     (unsigned long long)models[i].parameters);
        }
        sp_arena_fini(&arena);
    }
}

static void refuse(void **state, sp_status status, const char *words)
{
    sp_arena arena = {0};
    sp_error err = {0};
    const sp_model *model = NULL;
    const sp_status got = sp_model_load(&arena, source_home(), at(state, "m.gguf"), &model, &err);
    char text[SP_ERROR_TEXT_BYTES];
    sp_error_format(&err, text, sizeof text);
    if (got != status || !strstr(text, words)) fail_msg("not \"%s\": %s", words, text);
    sp_arena_fini(&arena);
}

static void a_key_that_is_needed_is_missed(void **state)
{
    write_model(state, &models[0], "block_count");
    refuse(state, SP_E_MISSING_KEY, "llama.block_count: missing key");
}

static void an_unknown_architecture_is_refused_with_the_nearest(void **state)
{
    published odd = models[3];
    odd.arch = "qwen4";
    write_model(state, &odd, NULL);
    refuse(state, SP_E_NOT_YET, "did you mean \"qwen2\"?");
    sp_text text = {0};
    put_gguf(&text, 3, 0, 0);
    write_file(at(state, "m.gguf"), &text);
    sp_text_fini(&text);
    refuse(state, SP_E_MISSING_KEY, "does not say of which architecture");
}

/* Keys that are lists: one number where all layers agree, a list where they do not. */
static void a_list_of_equal_numbers_is_one(void **state)
{
    for (uint32_t last = 8; last > 3; last -= 4) {
        sp_arena arena = {0};
        sp_error err = {0};
        sp_text text = {0};
        const char *config = NULL;
        put_gguf(&text, 3, 1, 6);
        put_key_string(&text, "general.architecture", "llama");
        put_key_u32(&text, "llama.block_count", 2);
        put_key_u32(&text, "llama.embedding_length", 64);
        put_key_u32(&text, "llama.feed_forward_length", 64);
        put_key_u32(&text, "llama.attention.head_count", 8);
        put_name(&text, "llama.attention.head_count_kv");
        put_u32(&text, 9);
        put_u32(&text, 5);
        put_u64(&text, 2);
        put_u32(&text, 8);
        put_u32(&text, last);
        put_tensor(&text, "token_embd.weight", 2, (const uint64_t[]){64, 4}, 0, 0);
        put_data(&text, 1024);
        write_file(at(state, "m.gguf"), &text);
        sp_text_fini(&text);
        must(sp_checkpoint_gguf_config(&arena, source_home(), at(state, "m.gguf"), &config, &err),
             &err);
        assert_non_null(strstr(config, last == 8 ? "\"num_key_value_heads\": 8"
                                                 : "\"num_key_value_heads\": [8, 4]"));
        assert_non_null(strstr(config, "\"vocab_size\": 4"));
        assert_non_null(strstr(config, "\"tie_word_embeddings\": true"));
        sp_arena_fini(&arena);
    }
}

int main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, folder_begin, folder_end)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(published_models_have_their_parameters),
        IN_FOLDER(a_key_that_is_needed_is_missed),
        IN_FOLDER(an_unknown_architecture_is_refused_with_the_nearest),
        IN_FOLDER(a_list_of_equal_numbers_is_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
