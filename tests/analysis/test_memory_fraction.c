/* SPDX-License-Identifier: Apache-2.0 */
/* What engines count against their memory fraction, and what their defaults make of a GPU. */
#include "analysis/served.h"
#include "common/close.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* vLLM: 0.92 of all, less what is counted. SGLang: weights and cache are 0.8 of what is free at the
 * start. TensorRT-LLM: 0.9 of what is free at the end. */
static void fractions_mean_what_their_engines_mean(void **state)
{
    served s;
    (void)state;
    serve(&s, "llama-3.1-8b", "h100-sxm", "vllm");
    const sp_footprint *out = serve_ask(&s);
    const double total = s.question.gpu->memory_bytes, context = s.question.gpu->context_bytes;
    const double pass = out->total[SP_MEMORY_PROFILE] - out->total[SP_MEMORY_LOAD];
    const double *bytes = out->bytes[SP_MEMORY_DECODE];
    assert_within(out->pool,
                  0.92 * total - out->weights - pass - bytes[SP_PART_OF_runtime] -
                      bytes[SP_PART_OF_graphs],
                  1.0);
    serve_fini(&s);

    serve(&s, "llama-3.1-8b", "h100-sxm", "sglang");
    serve_option(&s, "mem-fraction-static=0.8");
    out = serve_ask(&s);
    assert_within(out->pool + out->weights, 0.8 * (total - context), 1.0);
    serve_fini(&s);

    serve(&s, "llama-3.1-8b", "h100-sxm", "trtllm");
    out = serve_ask(&s);
    const double held =
        out->total[SP_MEMORY_PROFILE] + out->bytes[SP_MEMORY_DECODE][SP_PART_OF_graphs];
    assert_within(out->pool, 0.9 * (total - held), 1.0);
    serve_fini(&s);
}

/* TGI takes 0.1 off the total before anything is counted, DashInfer 600 MiB before its 0.9. */
static void what_is_kept_back_is_taken_off_the_total(void **state)
{
    served s;
    (void)state;
    serve(&s, "llama-3.1-8b", "h100-sxm", "tgi");
    const sp_footprint *out = serve_ask(&s);
    const double total = s.question.gpu->memory_bytes;
    assert_within(out->pool, 0.9 * total - out->total[SP_MEMORY_PROFILE], 1.0);
    serve_option(&s, "release=2");
    out = serve_ask(&s);
    assert_within(out->pool, 0.95 * total - out->total[SP_MEMORY_PROFILE], 1.0);
    /* Its warm-up has logits of all 4,096 tokens, 4 bytes each, beside those of 128 sequences. */
    assert_within(out->bytes[SP_MEMORY_PROFILE][SP_PART_OF_logits],
                  4096.0 * (4096 * 2 + 128256 * 4) + 128.0 * 128256 * 10, 1.0);
    serve_fini(&s);

    serve(&s, "llama-3.1-8b", "h100-sxm", "dashinfer");
    out = serve_ask(&s);
    const double *bytes = out->bytes[SP_MEMORY_PROFILE];
    const double runtime =
        bytes[SP_PART_OF_activations] + bytes[SP_PART_OF_logits] + bytes[SP_PART_OF_workspace];
    assert_within(out->pool, 0.9 * (total - 600 * 0x1p20) - out->weights - 1.1 * runtime, 1.0);
    serve_fini(&s);
}

/* vLLM, arg_utils.py, get_batch_defaults: 8,192 tokens and 1,024 sequences on an H100, 2,048 and
 * 256 on an A100 of 80 GB and on an RTX 4090; what an option says holds on each. */
static void passes_are_as_large_as_the_gpu_makes_them(void **state)
{
    static const char *const gpus[] = {"h100-sxm", "a100-sxm-80g", "rtx4090"};
    static const double tokens[] = {8192, 2048, 2048}, rows[] = {1024, 256, 256};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        served s;
        serve(&s, "qwen2.5-0.5b", gpus[i], "vllm");
        const double *bytes = serve_ask(&s)->bytes[SP_MEMORY_PROFILE];
        assert_within(bytes[SP_PART_OF_logits], rows[i] * 151936 * 14 + tokens[i] * 896 * 2, 1.0);
        serve_option(&s, "max_num_seqs=64");
        serve_option(&s, "max_num_batched_tokens=512");
        assert_within(serve_ask(&s)->bytes[SP_MEMORY_PROFILE][SP_PART_OF_logits],
                      64.0 * 151936 * 14 + 512.0 * 896 * 2, 1.0);
        serve_fini(&s);
    }
}

/* SGLang, server_args.py: 512 MiB, 1.5 for each of 8,192 tokens, 2 for each of 256 sequences and
 * 128 for a rank are left out on 80 GB; at least 10 GiB where the chunk is small. */
static void sglang_leaves_out_what_chunks_graphs_and_ranks_need(void **state)
{
    served s;
    (void)state;
    serve(&s, "llama-3.1-8b", "h100-sxm", "sglang");
    const double total = s.question.gpu->memory_bytes / 0x1p20;
    assert_within(serve_ask(&s)->fraction, 1.0 - (512 + 1.5 * 8192 + 2 * 256 + 128) / total,
                  0.0005);
    serve_option(&s, "chunked_prefill_size=1024");
    assert_within(serve_ask(&s)->fraction, 1.0 - 10240 / total, 0.0005);
    serve_fini(&s);
    serve(&s, "qwen2.5-0.5b", "rtx4090", "sglang");
    const double small = s.question.gpu->memory_bytes / 0x1p20;
    assert_within(serve_ask(&s)->fraction, 1.0 - (512 + 1.5 * 2048 + 2 * 24 + 128) / small, 0.0005);
    s.question.tp = 2;
    assert_within(serve_ask(&s)->fraction, 1.0 - (512 + 1.5 * 2048 + 2 * 24 + 256) / small, 0.0005);
    serve_fini(&s);
}

static void the_fraction_that_is_named_holds_the_batch_and_no_more(void **state)
{
    static const char *const engines[] = {"vllm", "sglang", "trtllm", "tgi", "dashinfer"};
    for (size_t i = 0; i < sizeof engines / sizeof engines[0]; i++) {
        served s;
        (void)state;
        serve(&s, "llama-3.1-8b", "h100-sxm", engines[i]);
        s.question.batch = 16;
        s.question.server.fraction = serve_ask(&s)->fraction_needed;
        assert_true(s.question.server.fraction > 0.0 && s.question.server.fraction < 1.0);
        assert_within(serve_ask(&s)->pool / s.out.needed, 1.0, 1e-9);
        serve_fini(&s);
    }
}

/* A rank within two nodes holds what it holds within one, and more of NCCL's buffers. */
static void nodes_add_buffers_between_them_and_nothing_else(void **state)
{
    served s;
    (void)state;
    serve(&s, "llama-3.1-405b", "h100-sxm", "vllm");
    s.question.tp = 16;
    const double pool = serve_ask(&s)->pool, weights = s.out.weights;
    s.question.nodes = 2;
    assert_within(serve_ask(&s)->weights, weights, 0.0);
    assert_within(pool - s.out.pool, s.question.server.node_bytes, 1.0);
    serve_fini(&s);
}

static void engines_of_one_machine_put_copies_on_nodes_but_no_parts(void **state)
{
    served s;
    sp_error err;
    (void)state;
    serve(&s, "llama-3.1-70b", "h100-sxm", "tgi");
    s.question.nodes = 2;
    s.question.tp = 8;
    assert_int_equal(sp_footprint_check(&s.question, &err), SP_E_INCONSISTENT);
    s.question.tp = 4;
    s.question.dp = 2;
    assert_int_equal(sp_footprint_check(&s.question, &err), SP_OK);
    s.question.dp = 1;
    s.question.nodes = 1;
    s.question.pp = 2;
    assert_int_equal(sp_footprint_check(&s.question, &err), SP_E_INCONSISTENT);
    serve_fini(&s);
}

/* gpt-oss-120b in MXFP4: 36 layers x 128 experts x 3 x 2,880 x 2,880 of 4.25 bits, sides of 2,880
 * padded to 3,072 and 2,944; issue 23278 prints 65.97 GiB for all weights. */
static void kernels_of_four_bits_pad_experts(void **state)
{
    served s;
    sp_error err = {0};
    sp_dtype compute = SP_BF16;
    (void)state;
    serve(&s, "gpt-oss-120b", "h100-sxm", "vllm");
    assert_int_equal(sp_widths_parse(&s.arena, getenv("SHARDPLAN_HOME"), "mxfp4", &s.question.bits,
                                     &compute, &err),
                     SP_OK);
    assert_within(serve_ask(&s)->weights / 0x1p30, 65.97, 0.15);
    const double matrices = s.out.bytes[SP_MEMORY_LOAD][SP_PART_OF_expert_weights];
    assert_within(matrices / (36.0 * 128 * 3 * 3072 * 2944 * 4.25 / 8), 1.0, 0.005);
    serve_fini(&s);
}

/* 4 GiB of a 7B's 12.55 GiB lie on the host; the cache is as much larger. */
static void offloaded_weights_leave_room_for_the_cache(void **state)
{
    served s;
    (void)state;
    serve(&s, "llama-2-7b", "a100-sxm-80g", "vllm");
    const double weights = serve_ask(&s)->weights, pool = s.out.pool;
    serve_option(&s, "cpu_offload_gb=4");
    assert_within(weights - serve_ask(&s)->weights, 4 * 0x1p30, 1.0);
    assert_within(s.out.pool - pool, 4 * 0x1p30, 1.0);
    assert_within(s.out.host, 4 * 0x1p30, 1.0);
    serve_fini(&s);
}

/* transformers joins a token to the keys of a layer by copying them: half of one of 32 layers. */
static void a_growing_cache_holds_the_keys_of_one_layer_twice(void **state)
{
    served s;
    (void)state;
    serve(&s, "llama-3.1-8b", "h100-sxm", "hf");
    s.question.batch = 4;
    const double *bytes = serve_ask(&s)->bytes[SP_MEMORY_DECODE];
    assert_within(bytes[SP_PART_OF_workspace], 4.0 * s.out.request / 32 / 2, 1.0);
    serve_option(&s, "cache_implementation=static");
    assert_within(serve_ask(&s)->bytes[SP_MEMORY_DECODE][SP_PART_OF_workspace], 0.0, 0.0);
    serve_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fractions_mean_what_their_engines_mean),
        cmocka_unit_test(what_is_kept_back_is_taken_off_the_total),
        cmocka_unit_test(passes_are_as_large_as_the_gpu_makes_them),
        cmocka_unit_test(sglang_leaves_out_what_chunks_graphs_and_ranks_need),
        cmocka_unit_test(the_fraction_that_is_named_holds_the_batch_and_no_more),
        cmocka_unit_test(nodes_add_buffers_between_them_and_nothing_else),
        cmocka_unit_test(engines_of_one_machine_put_copies_on_nodes_but_no_parts),
        cmocka_unit_test(kernels_of_four_bits_pad_experts),
        cmocka_unit_test(offloaded_weights_leave_room_for_the_cache),
        cmocka_unit_test(a_growing_cache_holds_the_keys_of_one_layer_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
