/* SPDX-License-Identifier: Apache-2.0 */
/* Serving memory against what engines print when they start (rounded there to 0.01 GiB), its laws,
 * and the questions turned round. */
#include "analysis/served.h"
#include "common/close.h"
#include "common/models.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define GIB 0x1p30

/* ---- what engines print ---- */

/* vllm-project/vllm, pull request 10511: model weights take 14.96 GiB, with -tp 2 7.48 GiB. */
static void weights_of_llama_3_8b_are_those_that_vllm_prints(void **state)
{
    served s;
    (void)state;
    serve(&s, "llama-3.1-8b", "h100-sxm", "vllm");
    assert_within(serve_ask(&s)->weights / GIB, 14.96, 0.005);
    s.question.tp = 2;
    assert_within(serve_ask(&s)->weights / GIB, 7.48, 0.005);
    serve_fini(&s);
}

/* vllm-project/vllm, pull request 12569: Meta-Llama-3.1-70B-Instruct-quantized.w8a8 takes 67.7229
 * GB (binary): 68.45e9 parameters of 1 byte, and token table and head of 2 x 128,256 x 8,192 x 2
 * bytes; the scales of its columns are the rest. */
static void tables_and_head_of_a_quantised_model_keep_16_bits(void **state)
{
    served s;
    (void)state;
    serve(&s, "llama-3.1-70b", "h100-sxm", "vllm");
    s.question.bits.attention_weight = s.question.bits.ffn_weight = 8.0;
    assert_within(serve_ask(&s)->weights / GIB, 67.7229, 0.08);
    serve_fini(&s);
}

/* Pull request 10511 again: activation peak memory 1.26 GiB with one GPU and with two. The bytes of
 * a logit follow from the sampler's source, 38 in that release: 256 x 128,256 of them and 8,192 x
 * 4,096 x 2 bytes of hidden states are 1.224 GiB, 2.8 % less than was measured. */
static void the_sampler_makes_the_profiled_peak_of_a_large_vocabulary(void **state)
{
    served s;
    (void)state;
    serve(&s, "llama-3.1-8b", "h100-sxm", "vllm");
    serve_option(&s, "release=0.6");
    for (uint32_t tp = 1; tp <= 2; tp++) {
        s.question.tp = tp;
        const double *bytes = serve_ask(&s)->bytes[SP_MEMORY_PROFILE];
        const double pass = bytes[SP_PART_OF_logits] + bytes[SP_PART_OF_activations];
        assert_within(pass, 256.0 * 128256 * 38 + 8192.0 * 4096 * 2, 1.0);
        assert_within(pass / GIB / 1.26 - 1.0, -0.028, 0.002);
    }
    serve_fini(&s);
}

/* vllm-project/vllm, issue 10517, Llama-3.1-8B whole prompts: peak_torch_memory less the weights is
 * 17.06 - 14.99 GiB at 20,000 tokens and 17.98 - 14.99 GiB at 29,000. */
static void activations_of_a_long_prompt_are_those_that_vllm_profiles(void **state)
{
    served s;
    (void)state;
    serve(&s, "llama-3.1-8b", "h100-sxm", "vllm");
    serve_option(&s, "max_num_batched_tokens=20000");
    assert_within(serve_ask(&s)->bytes[SP_MEMORY_PROFILE][SP_PART_OF_activations] / GIB, 2.07,
                  0.015);
    serve_option(&s, "max_num_batched_tokens=29000");
    assert_within(serve_ask(&s)->bytes[SP_MEMORY_PROFILE][SP_PART_OF_activations] / GIB, 2.99,
                  0.015);
    serve_fini(&s);
}

/* vllm-project/vllm, issue 12330: 11.12 GiB for the cache are 5691 blocks, "Maximum concurrency for
 * 8192 tokens per request: 11.12x". A block of Llama-3-8B is 16 x 32 x 2 x 8 x 128 x 2 bytes. */
static void concurrency_is_the_one_that_vllm_prints(void **state)
{
    served s;
    (void)state;
    serve(&s, "llama-3.1-8b", "a100-sxm-80g", "vllm");
    serve_option(&s, "max_model_len=8192");
    serve_option(&s, "gpu_memory_utilization=0.5");
    const sp_footprint *out = serve_ask(&s);
    assert_within(out->token * 16.0, 2.0 * 0x1p20, 0.0);
    assert_within(out->blocks, floor(out->pool / (2.0 * 0x1p20)), 0.0);
    assert_within(floor(11.12 * GIB / (out->token * 16.0)), 5691.0, 3.0);
    assert_within(5691.0 * 16.0 / 8192.0, 11.12, 0.005);
    assert_within(out->concurrency, out->blocks * 16.0 / 8192.0, 1e-9);
    serve_fini(&s);
}

/* vllm-project/vllm, issue 21348, Qwen3-235B-A22B on 4 GPUs under SGLang: 367,404 tokens, K size
 * 8.23 GB, V size 8.23 GB (binary). One of 4 heads on each rank: 94 x 2 x 128 x 2 bytes. */
static void tokens_are_as_large_as_sglang_prints(void **state)
{
    served s;
    (void)state;
    serve(&s, "qwen3-235b-a22b", "h100-sxm", "sglang");
    s.question.tp = 4;
    assert_within(serve_ask(&s)->token, 94.0 * 2 * 128 * 2, 0.0);
    assert_within(367404.0 * s.out.token / GIB, 2 * 8.23, 0.01);
    serve_fini(&s);
}

/* ---- laws ---- */

static const char *const all_engines[] = {"vllm", "sglang", "trtllm", "tgi", "hf", "dashinfer"};
static const char *const all_models[] = {"llama-3.1-8b", "mixtral-8x7b", "deepseek-v3",
                                         "gpt-oss-20b", "qwen2.5-0.5b"};
#define N_ENGINES (sizeof all_engines / sizeof all_engines[0])
#define N_MODELS  (sizeof all_models / sizeof all_models[0])

static void phases_are_the_sums_of_their_parts(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ENGINES * N_MODELS; i++) {
        served s;
        serve(&s, all_models[i % N_MODELS], "h200-sxm", all_engines[i / N_MODELS]);
        s.question.batch = 4;
        const sp_footprint *out = serve_ask(&s);
        for (sp_serving_phase phase = 0; phase < SP_N_SERVING_PHASES; phase++) {
            double sum = 0.0;
            for (sp_memory_part part = 0; part < SP_N_MEMORY_PARTS; part++) {
                assert_true(out->bytes[phase][part] >= 0.0);
                sum += out->bytes[phase][part];
            }
            assert_within(sum, out->total[phase], 1.0);
            assert_true(out->total[phase] <= out->peak);
        }
        serve_fini(&s);
    }
}

static void weights_of_a_model_add_up_to_its_parameters(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_MODELS; i++) {
        served s;
        serve(&s, all_models[i], "h200-sxm", "vllm");
        const double parameters = (double)sp_model_parameters(s.question.model).total;
        assert_within(serve_ask(&s)->weights / (2.0 * parameters), 1.0, 1e-12);
        serve_fini(&s);
    }
}

static void more_requests_and_longer_ones_need_more(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ENGINES * N_MODELS; i++) {
        served s;
        double needed = 0.0;
        serve(&s, all_models[i % N_MODELS], "h200-sxm", all_engines[i / N_MODELS]);
        for (uint64_t step = 1; step <= 6; step++) {
            s.question.batch = step;
            s.question.isl = 500 * step;
            assert_true(serve_ask(&s)->needed > needed);
            needed = s.out.needed;
        }
        serve_fini(&s);
    }
}

static void tensor_ranks_and_stages_hold_less_each(void **state)
{
    served s;
    (void)state;
    serve(&s, "mixtral-8x7b", "h100-sxm", "vllm");
    const double whole = serve_ask(&s)->weights;
    s.question.tp = 4;
    assert_true(serve_ask(&s)->weights < 0.26 * whole);
    s.question.tp = 1;
    s.question.pp = 4;
    assert_true(serve_ask(&s)->weights < 0.27 * whole);
    s.question.pp = 1;
    s.question.dp = s.question.ep = 8;
    /* Experts are 96.6 % of it; the rest is on every rank. */
    assert_true(serve_ask(&s)->weights < 0.17 * whole);
    serve_fini(&s);
}

/* ---- the questions turned round ---- */

static bool serves(served *s)
{
    const sp_footprint *out = serve_ask(s);
    if (s->question.server.base == SP_POOL_GROWING) return out->verdict == SP_FOOTPRINT_FITS;
    return sp_footprint_serves(out);
}

static bool search(served *s, sp_footprint_find find)
{
    bool found = false;
    sp_error err = {0};
    const double before = sp_clock_s();
    assert_int_equal(sp_footprint_search(&s->arena, getenv("SHARDPLAN_HOME"), find, 8, &s->question,
                                         &found, &err),
                     SP_OK);
#ifdef NDEBUG
    assert_true(sp_clock_s() - before < 0.01);
#else
    assert_true(sp_clock_s() - before < 1.0);
#endif
    return found;
}

static void the_largest_batch_is_served_and_one_more_is_not(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ENGINES; i++) {
        served s;
        serve(&s, "llama-3.1-8b", "h100-sxm", all_engines[i]);
        assert_true(search(&s, SP_FIND_MAX_BATCH));
        assert_true(serves(&s));
        s.question.batch++;
        assert_false(serves(&s));
        serve_fini(&s);
    }
}

static void the_longest_context_is_served_and_one_more_token_is_not(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ENGINES; i++) {
        served s;
        serve(&s, "llama-3.1-8b", "h100-sxm", all_engines[i]);
        s.question.batch = 8;
        assert_true(search(&s, SP_FIND_MAX_CONTEXT));
        assert_true(serves(&s));
        s.question.isl++;
        assert_false(serves(&s));
        serve_fini(&s);
    }
}

/* Two bytes a parameter: 141 GB hold no 70B, 4 x 80 GB no 405B in 16 bits, 16 x 80 GB do. */
static void the_fewest_gpus_hold_the_model(void **state)
{
    served s;
    (void)state;
    serve(&s, "llama-3.1-405b", "h100-sxm", "vllm");
    assert_true(search(&s, SP_FIND_MIN_GPUS));
    const uint32_t gpus = s.question.tp * s.question.pp;
    assert_true(gpus >= 11 && gpus <= 16);
    serve_fini(&s);
}

/* 0.9 x 79.1 GiB hold at most 38e9 parameters of 2 bytes. */
static void the_largest_model_fills_the_gpu(void **state)
{
    served s;
    (void)state;
    serve(&s, "llama-3.1-8b", "h100-sxm", "vllm");
    assert_true(search(&s, SP_FIND_MAX_MODEL));
    const double parameters = (double)sp_model_parameters(s.question.model).total;
    assert_true(parameters > 25e9 && parameters < 38.2e9);
    assert_true(s.question.model->n_assumptions > 0);
    serve_fini(&s);
}

static void nothing_is_found_where_one_request_does_not_fit(void **state)
{
    served s;
    (void)state;
    serve(&s, "llama-3.1-70b", "h100-sxm", "vllm");
    assert_false(search(&s, SP_FIND_MAX_BATCH));
    assert_int_equal(serve_ask(&s)->verdict, SP_FOOTPRINT_OOM);
    serve_fini(&s);
}

static void sizes_are_read_as_people_write_them(void **state)
{
    double a = 0.0, b = 0.0, c = 0.0;
    sp_error err;
    (void)state;
    assert_int_equal(sp_size_parse("7B", &a, &err), SP_OK);
    assert_int_equal(sp_size_parse("7000M", &b, &err), SP_OK);
    assert_int_equal(sp_size_parse("7e9", &c, &err), SP_OK);
    assert_true(a == 7e9 && b == 7e9 && c == 7e9);
    assert_int_equal(sp_size_parse("7", &a, &err), SP_E_RANGE);
}

static void a_guessed_model_is_as_large_as_it_should_be(void **state)
{
    static const double sizes[] = {1.2e9, 3e9, 7e9, 13e9, 20e9, 32e9, 50e9, 70e9, 180e9, 405e9};
    sp_arena arena = {0};
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        const sp_model *model = NULL;
        sp_error err;
        assert_int_equal(sp_model_guess(&arena, getenv("SHARDPLAN_HOME"), sizes[i], &model, &err),
                         SP_OK);
        assert_within((double)sp_model_parameters(model).total / sizes[i], 1.0, 0.15);
    }
    sp_arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights_of_llama_3_8b_are_those_that_vllm_prints),
        cmocka_unit_test(tables_and_head_of_a_quantised_model_keep_16_bits),
        cmocka_unit_test(the_sampler_makes_the_profiled_peak_of_a_large_vocabulary),
        cmocka_unit_test(activations_of_a_long_prompt_are_those_that_vllm_profiles),
        cmocka_unit_test(concurrency_is_the_one_that_vllm_prints),
        cmocka_unit_test(tokens_are_as_large_as_sglang_prints),
        cmocka_unit_test(phases_are_the_sums_of_their_parts),
        cmocka_unit_test(weights_of_a_model_add_up_to_its_parameters),
        cmocka_unit_test(more_requests_and_longer_ones_need_more),
        cmocka_unit_test(tensor_ranks_and_stages_hold_less_each),
        cmocka_unit_test(the_largest_batch_is_served_and_one_more_is_not),
        cmocka_unit_test(the_longest_context_is_served_and_one_more_token_is_not),
        cmocka_unit_test(the_fewest_gpus_hold_the_model),
        cmocka_unit_test(the_largest_model_fills_the_gpu),
        cmocka_unit_test(nothing_is_found_where_one_request_does_not_fit),
        cmocka_unit_test(sizes_are_read_as_people_write_them),
        cmocka_unit_test(a_guessed_model_is_as_large_as_it_should_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
