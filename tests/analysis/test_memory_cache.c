/* SPDX-License-Identifier: Apache-2.0 */
/* Caches of a request and what a rank holds, against figures worked out by hand. */
#include "analysis/served.h"
#include "common/close.h"
#include "common/models.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void serve_kv(served *s, const char *format)
{
    sp_error err = {0};
    if (sp_server_set_kv(format, &s->question.server, &err) != SP_OK) fail_msg("%s", err.message);
}

/* 80 layers x (keys, values) x 1 of 8 heads x 128 x 2 bytes = 40,960 bytes a token, 320 MiB at 8k.
 */
static void llama_70b_keeps_320_mib_of_8k_tokens_on_each_of_8_ranks(void **state)
{
    served s;
    (void)state;
    serve(&s, "llama-3.1-70b", "h100-sxm", "vllm");
    s.question.tp = 8;
    s.question.isl = 8000;
    s.question.osl = 192;
    assert_within(serve_ask(&s)->request, 320.0 * 0x1p20, 0.0);
    serve_fini(&s);
}

/* 61 layers x (512 + 64) x 2 bytes, whole on every rank: 70,272 bytes a token. */
static void the_latent_cache_of_deepseek_v3_is_whole_on_every_rank(void **state)
{
    served s;
    (void)state;
    serve(&s, "deepseek-v3", "h200-sxm", "vllm");
    for (uint32_t tp = 1; tp <= 16; tp *= 4) {
        s.question.tp = tp;
        assert_within(serve_ask(&s)->token, 70272.0, 0.0);
    }
    serve_fini(&s);
}

/* Attention of Gemma-3-27B: 16 heads of keys and values of 128, every sixth layer sees all, the
 * others 1,024 tokens; 10 of 62 layers see all. (google/gemma-3-27b-it, config.json.) */
static void make_gemma_3_27b(made_model *made)
{
    make_llama(made, 5376, 32, 16, 21504, 62);
    sp_model *model = &made->model;
    model->n_kinds = 2;
    model->kinds[0].attention.head_dim = 128;
    model->kinds[1] = model->kinds[0];
    model->kinds[0].attention.window = 1024;
    model->n_runs = 0;
    for (uint32_t block = 0; block < 10; block++) {
        made->runs[model->n_runs++] = (sp_layer_run){.kind = 0, .count = 5};
        made->runs[model->n_runs++] = (sp_layer_run){.kind = 1, .count = 1};
    }
    made->runs[model->n_runs++] = (sp_layer_run){.kind = 0, .count = 2};
    model->runs = made->runs;
}

/* A layer's token is 2 x 16 x 128 x 2 = 8 KiB: 10 x 32,768 of them and 52 x 1,024 (60, since the
 * groups have 10 layers), each with the block more that the engine keeps for a window that begins
 * within one. On one of 4 ranks, in 8 bits, an eighth of it. */
static void windows_of_gemma_3_keep_their_newest_tokens(void **state)
{
    made_model made;
    served s;
    (void)state;
    make_gemma_3_27b(&made);
    serve_model(&s, &made.model, "h100-sxm", "vllm");
    s.question.isl = 32000;
    s.question.osl = 768;
    assert_within(serve_ask(&s)->request, (10.0 * 32768 + 60.0 * (1024 + 16)) * 8192, 1.0);
    assert_within(s.out.token, 10.0 * 8192, 0.0);
    s.question.tp = 4;
    serve_kv(&s, "fp8");
    assert_within(serve_ask(&s)->request, (10.0 * 32768 + 60.0 * (1024 + 16)) * 1024, 1.0);
    serve_fini(&s);
}

/* DashInfer: a token of a head takes 128 + 8 bytes in 8 bits and 64 + 8 in 4, not 256. */
static void scales_of_dashinfer_cost_8_bytes_for_each_head_and_token(void **state)
{
    static const double bytes[] = {256.0, 136.0, 72.0};
    static const char *const modes[] = {"AsCacheDefault", "AsCacheQuantI8", "AsCacheQuantU4"};
    served s;
    sp_error err;
    (void)state;
    serve(&s, "llama-3.1-8b", "h100-sxm", "dashinfer");
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(sp_server_set_kv(modes[i], &s.question.server, &err), SP_OK);
        assert_within(serve_ask(&s)->token, 32 * 2 * 8 * bytes[i], 1e-6);
    }
    serve_fini(&s);
}

static void fewer_heads_than_ranks_are_replicated_where_the_engine_can(void **state)
{
    served s;
    sp_error err;
    (void)state;
    serve(&s, "llama-3.1-70b", "h100-sxm", "vllm");
    s.question.tp = 16;
    assert_within(serve_ask(&s)->token, 80.0 * 2 * 128 * 2, 0.0);
    serve_fini(&s);
    serve(&s, "llama-3.1-70b", "h100-sxm", "dashinfer");
    s.question.tp = 16;
    assert_int_equal(sp_footprint_check(&s.question, &err), SP_E_INCONSISTENT);
    serve_fini(&s);
}

/* Llama-3.1-8B: 32 layers x (keys, values) x 8 heads of 128. With a scale for each token and head 4
 * bytes more, for 16 elements 8 bytes more a head, for 64 with a shift 8 bytes more. */
static void formats_of_the_cache_take_their_elements_and_scales(void **state)
{
    static const struct {
        const char *engine, *format;
        double head; /* bytes of a head's keys for a token */
    } cases[] = {
        {"vllm",   "none", 256    },
        {"vllm",   "fp8",  128    },
        {"vllm",   "int8", 128 + 4},
        {"vllm",   "int4", 64 + 4 },
        {"sglang", "none", 256    },
        {"sglang", "fp8",  128    },
        {"sglang", "int4", 64 + 8 },
        {"trtllm", "fp8",  128    },
        {"trtllm", "int8", 128    },
        {"trtllm", "int4", 64 + 8 },
        {"tgi",    "none", 256    },
        {"tgi",    "fp8",  128    },
        {"hf",     "none", 256    },
        {"hf",     "int8", 128 + 8},
        {"hf",     "int4", 64 + 8 },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        served s;
        serve(&s, "llama-3.1-8b", "h100-sxm", cases[i].engine);
        serve_kv(&s, cases[i].format);
        assert_within(serve_ask(&s)->token, 32 * 2 * 8 * cases[i].head, 1e-6);
        serve_fini(&s);
    }
}

/* Llama-3.1-70B on 16 ranks, each with a whole one of 8 heads: 80 x 2 x (128 + 4) bytes. */
static void a_replicated_head_has_its_scales_on_every_rank(void **state)
{
    served s;
    (void)state;
    serve(&s, "llama-3.1-70b", "h100-sxm", "vllm");
    s.question.tp = 16;
    serve_kv(&s, "int8");
    assert_within(serve_ask(&s)->token, 80.0 * 2 * (128 + 4), 1e-6);
    serve_fini(&s);
}

/* 61 layers x (512 + 64) bytes. */
static void the_latent_cache_takes_half_in_8_bits(void **state)
{
    static const char *const engines[] = {"vllm", "sglang", "trtllm"};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        served s;
        serve(&s, "deepseek-v3", "h200-sxm", engines[i]);
        serve_kv(&s, "fp8");
        s.question.tp = 8;
        assert_within(serve_ask(&s)->token, 61.0 * 576, 0.0);
        serve_fini(&s);
    }
}

/* Every other of 24 layers of gpt-oss-20b sees 128 tokens; a layer's token is 2 x 8 x 64 x 2 bytes.
 * 2,048 + 512 tokens are 160 blocks; pages of one token need no block more, but a pool of 0.8 of
 * the others' tokens. */
static void windows_of_gpt_oss_follow_the_engine_s_blocks(void **state)
{
    served s;
    (void)state;
    serve(&s, "gpt-oss-20b", "h100-sxm", "vllm");
    assert_within(serve_ask(&s)->request, 12.0 * (2560 + 128 + 16) * 2048, 0.0);
    serve_fini(&s);
    serve(&s, "gpt-oss-20b", "h100-sxm", "sglang");
    assert_within(serve_ask(&s)->request, 12.0 * (2560 + 0.8 * 2560) * 2048, 0.0);
    serve_option(&s, "swa_full_tokens_ratio=0");
    assert_within(serve_ask(&s)->request, 12.0 * (2560 + 128) * 2048, 0.0);
    serve_fini(&s);
}

/* With 2,048 tokens a pass, layers with a window have 128 - 1 + 2,048 of the 131,072 tokens at once:
 * 136 blocks and one more beside 8,192 of the others. */
static void concurrency_leaves_room_for_a_pass_behind_the_window(void **state)
{
    served s;
    (void)state;
    serve(&s, "gpt-oss-20b", "h100-sxm", "vllm");
    serve_option(&s, "max_num_batched_tokens=2048");
    serve_option(&s, "max_model_len=131072");
    const double pages = serve_ask(&s)->pool / (12.0 * 16.0 * 2048.0);
    assert_within(s.out.concurrency, pages / (8192.0 + 136.0 + 1.0), 0.01);
    assert_within(s.out.request, 12.0 * (2560 + 128 + 16) * 2048, 0.0);
    serve_fini(&s);
}

/* DeepSeek-V3 with attention in 8 data-parallel groups and experts over all 8 ranks: 58 layers x
 * 256 experts of 3 x 7,168 x 2,048, an eighth of them on each; attention and the latent whole. */
static void data_parallel_attention_shares_experts_and_nothing_else(void **state)
{
    served s;
    (void)state;
    serve(&s, "deepseek-v3", "h200-sxm", "sglang");
    const double mixing = serve_ask(&s)->bytes[SP_MEMORY_LOAD][SP_PART_OF_mixing_weights];
    s.question.dp = s.question.ep = 8;
    s.question.batch = 64;
    const double *bytes = serve_ask(&s)->bytes[SP_MEMORY_LOAD];
    assert_within(bytes[SP_PART_OF_expert_weights], 58.0 * 256 / 8 * 3 * 7168 * 2048 * 2, 1.0);
    assert_within(bytes[SP_PART_OF_mixing_weights], mixing, 0.0);
    assert_within(s.out.token, 70272.0, 0.0);
    assert_within(s.out.needed, 8.0 * s.out.request, 1.0);
    serve_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(llama_70b_keeps_320_mib_of_8k_tokens_on_each_of_8_ranks),
        cmocka_unit_test(the_latent_cache_of_deepseek_v3_is_whole_on_every_rank),
        cmocka_unit_test(windows_of_gemma_3_keep_their_newest_tokens),
        cmocka_unit_test(scales_of_dashinfer_cost_8_bytes_for_each_head_and_token),
        cmocka_unit_test(fewer_heads_than_ranks_are_replicated_where_the_engine_can),
        cmocka_unit_test(formats_of_the_cache_take_their_elements_and_scales),
        cmocka_unit_test(a_replicated_head_has_its_scales_on_every_rank),
        cmocka_unit_test(the_latent_cache_takes_half_in_8_bits),
        cmocka_unit_test(windows_of_gpt_oss_follow_the_engine_s_blocks),
        cmocka_unit_test(concurrency_leaves_room_for_a_pass_behind_the_window),
        cmocka_unit_test(data_parallel_attention_shares_experts_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
