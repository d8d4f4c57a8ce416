/* SPDX-License-Identifier: Apache-2.0 */
/* Where GPU Memory Calculator is wrong: for each of its 17 known errors, numbered as they were
 * found, the right value by the source that is named, and ours. */
#include "analysis/served.h"
#include "common/close.h"
#include "common/shipped.h"
#include "shardplan/estimate.h"
#include "shardplan/plan.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define GIB      0x1p30
#define LLAMA_7B 6738415616.0 /* parameters of Llama-2-7B */

/* ---- training: the estimate of a plan ---- */

typedef struct trained {
    sp_problem *problem;
    sp_plan plan;
    sp_estimate out;
} trained;

/* The plan's GPUs are those of its text; sequences of 2,048 tokens. */
static void train(trained *t, const char *model, const char *engine, const char *plan)
{
    sp_question q = sp_question_default();
    q.home = source_home();
    q.model = model;
    q.cluster = "dgx-a100-80g";
    q.gpus = "1,2,4,8,16,64,128";
    q.engine = engine;
    q.seq_len = 2048;
    q.global_batch = 1024;
    t->problem = build_problem(&q);
    t->plan = plan_on(t->problem, plan);
    sp_estimate_plan(t->problem, &t->plan, &t->out);
}

static sp_memory memory_of(const char *model, const char *engine, const char *plan)
{
    trained t;
    train(&t, model, engine, plan);
    sp_problem_free(t.problem);
    return t.out.memory;
}

static sp_network network_of(const char *model, const char *plan)
{
    trained t;
    train(&t, model, "deepspeed", plan);
    sp_problem_free(t.problem);
    return t.out.network;
}

/* ZeRO, Rajbhandari et al., arXiv:1910.02054, table 1: stage 3 keeps 2P/N of the parameters. */
static void error_1_the_own_shard_of_zero_3_counts(void **state)
{
    (void)state;
    const sp_memory m = memory_of("llama-2-7b", "deepspeed", "gpus=8,zero=3");
    assert_true(m.weights_bytes >= 2.0 * LLAMA_7B / 8);
    assert_true(m.allocated_peak_bytes >= 16.0 * LLAMA_7B / 8);
}

/* The same: Adam's 12 bytes a parameter are 12P/N in all three stages; DeepSpeed holds a flat fp32
 * copy of the shard's gradients besides while it updates, 4P/N. */
static void error_2_adam_takes_12_bytes_a_parameter_in_each_stage(void **state)
{
    static const char *const plans[] = {"gpus=8,zero=1", "gpus=8,zero=2", "gpus=8,zero=3"};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        assert_close(memory_of("llama-2-7b", "deepspeed", plans[i]).optimizer_bytes,
                     (12.0 + 4.0) * LLAMA_7B / 8, 1e-3);
    }
}

/* ZeRO shards over ranks with the same weights: 4 of them where tp is 2, each with half. */
static void error_3_shards_are_of_the_data_parallel_group(void **state)
{
    (void)state;
    const sp_memory half = memory_of("llama-2-7b", "megatron", "gpus=8,tp=2,zero=1");
    assert_close(half.optimizer_bytes, 12.0 * LLAMA_7B / 2 / 4, 1e-2);
    assert_close(half.weights_bytes, 2.0 * LLAMA_7B / 2, 1e-2);
}

static void error_4_nvme_and_offloaded_parameters_move_bytes(void **state)
{
    (void)state;
    const sp_memory nvme = memory_of("llama-2-7b", "deepspeed",
                                     "gpus=8,zero=3,offload_optimizer=1,offload_target=nvme");
    const sp_memory params = memory_of("llama-2-7b", "deepspeed", "gpus=8,zero=3,offload_params=1");
    const sp_memory none = memory_of("llama-2-7b", "deepspeed", "gpus=8,zero=3");
    assert_true(nvme.nvme_bytes >= 12.0 * LLAMA_7B / 8);
    assert_true(nvme.optimizer_bytes < 0.1 * none.optimizer_bytes);
    assert_true(params.weights_bytes < none.weights_bytes);
    assert_true(params.host_bytes >= 2.0 * LLAMA_7B / 8);
}

/* 1F1B, Narayanan et al., arXiv:2104.04473, section 2.2: the first of p stages holds p
 * micro-batches of a p-th of the layers: as much as one stage with all layers, not a p-th of it. */
static void error_5_the_first_stage_holds_a_micro_batch_for_each_stage(void **state)
{
    (void)state;
    const sp_memory one = memory_of("llama-2-7b", "megatron", "gpus=1");
    const sp_memory four = memory_of("llama-2-7b", "megatron", "gpus=4,pp=4");
    assert_true(four.activations_bytes > 0.85 * one.activations_bytes);
    assert_true(four.weights_bytes < 0.3 * one.weights_bytes);
}

/* Korthikanti et al., arXiv:2205.05198, equations 2 and 4: a layer keeps s b h (10 + 24/t) bytes
 * with tensor parallelism, s b h 34/t with sequence parallelism: 10 (1 - 1/t) less, not a t-th. */
static void error_6_sequence_parallelism_cuts_what_tensor_parallelism_leaves_whole(void **state)
{
    const double sbh = 2048.0 * 4 * 6144, layers = 48.0;
    (void)state;
    const sp_memory off = memory_of("megatron-22b", "megatron",
                                    "gpus=8,tp=8,micro_batch=4,recompute=selective,sp=off");
    const sp_memory on = memory_of("megatron-22b", "megatron",
                                   "gpus=8,tp=8,micro_batch=4,recompute=selective,sp=on");
    assert_close(off.activations_bytes - on.activations_bytes,
                 sbh * layers * 10.0 * (1.0 - 1.0 / 8.0), 0.1);
}

/* Each token is worked on by top_k experts: two of Mixtral's make more activations than the dense
 * block of the same width, not less. Logits are b s V. */
static void error_7_experts_add_activations_and_logits_count(void **state)
{
    (void)state;
    const sp_memory moe = memory_of("mixtral-8x7b", "megatron", "gpus=8,tp=8,zero=1");
    const sp_memory dense = memory_of("llama-3.1-8b", "megatron", "gpus=8,tp=8,zero=1");
    assert_true(moe.activations_bytes > dense.activations_bytes);
    assert_true(memory_of("llama-3.1-8b", "megatron", "gpus=1").logits_bytes >=
                2048.0 * 128256 * 2);
}

/* A layer of Llama-2-7B has 4 h^2 + 3 h I = 202.4e6 parameters; ZeRO-3 gathers a whole one. */
static void error_8_the_gathered_layer_has_its_feed_forward_block(void **state)
{
    const double layer = 4.0 * 4096 * 4096 + 3.0 * 4096 * 11008;
    (void)state;
    const sp_memory m = memory_of("llama-2-7b", "deepspeed", "gpus=8,zero=3");
    assert_true(m.weights_bytes + m.communication_bytes >= 2.0 * (LLAMA_7B / 8 + layer));
}

static void error_9_overhead_is_no_fifth_of_the_weights(void **state)
{
    (void)state;
    const sp_memory m = memory_of("llama-2-70b", "megatron", "gpus=8,zero=0");
    const double parts = m.weights_bytes + m.gradients_bytes + m.optimizer_bytes +
                         m.activations_bytes + m.logits_bytes;
    assert_true(m.peak_bytes - parts < 0.1 * parts);
}

/* An optimizer without a recipe is refused and does not become AdamW. */
static void error_10_an_unknown_optimizer_is_no_adamw(void **state)
{
    sp_question q = sp_question_default();
    sp_problem *problem = NULL;
    sp_error err = {0};
    (void)state;
    q.home = getenv("SHARDPLAN_HOME");
    q.model = "llama-2-7b";
    q.cluster = "dgx-a100-80g";
    q.gpus = "8";
    q.seq_len = 2048;
    q.global_batch = 8;
    q.optimizer = "lyon";
    assert_int_not_equal(sp_problem_build(&q, &problem, &err), SP_OK);
    sp_problem_free(problem);
}

/* Weights, gradients and optimizer do not grow with the batch. */
static void error_11_a_larger_batch_grows_activations_alone(void **state)
{
    (void)state;
    const sp_memory one = memory_of("llama-2-7b", "megatron", "gpus=8,zero=1");
    const sp_memory four = memory_of("llama-2-7b", "megatron", "gpus=8,zero=1,micro_batch=4");
    assert_true(four.weights_bytes == one.weights_bytes);
    assert_true(four.optimizer_bytes == one.optimizer_bytes);
    assert_close(four.activations_bytes, 4.0 * one.activations_bytes, 0.05);
    assert_true(four.peak_bytes < 2.5 * one.peak_bytes);
}

/* ---- serving ---- */

/* Llama-2-70B (arXiv:2307.09288): 8 of 64 heads, 80 layers; 80 x 2 x 8 x 128 x 2 bytes a token, a
 * quarter of it on each of 4 ranks. The calculator has 32 times as much. */
static void error_12_the_cache_has_the_heads_of_keys_and_is_cut_by_tp(void **state)
{
    served s;
    (void)state;
    serve(&s, "llama-2-70b", "a100-sxm-80g", "hf");
    s.question.tp = 4;
    s.question.isl = 4000;
    s.question.osl = 96;
    const double theirs = 10.0 * GIB; /* gpumem-dev-065: 40 GiB for 4 requests of 4,096 */
    assert_close(serve_ask(&s)->request, 80.0 * 2 * 8 * 128 * 2 / 4 * 4096, 1e-12);
    assert_close(theirs / s.out.request, 32.0, 1e-12);
    serve_fini(&s);
}

/* One layer is alive at a time, and weights have the format they are stored in. */
static void error_13_activations_do_not_grow_with_layers_nor_weights_with_the_batch(void **state)
{
    served s;
    (void)state;
    serve(&s, "llama-2-7b", "a100-sxm-80g", "hf");
    s.question.batch = 8;
    s.question.isl = 4000;
    s.question.osl = 96;
    const double activations = serve_ask(&s)->bytes[SP_MEMORY_PREFILL][SP_PART_OF_activations];
    const double weights = s.out.weights;
    assert_close(activations, 8.0 * 4000 * 2 * (3.0 * 4096 + 3.0 * 11008), 1e-9);
    s.question.batch = 16;
    assert_true(serve_ask(&s)->weights == weights);
    serve_fini(&s);
    serve(&s, "llama-2-7b", "a100-sxm-80g", "vllm");
    s.question.bits.attention_weight = s.question.bits.ffn_weight = 4.125;
    /* 6.476e9 parameters of 4.125 bits, and 0.262e9 of token table and head in 16. */
    assert_close(serve_ask(&s)->weights, 6.476e9 * 4.125 / 8 + 0.262e9 * 2, 1e-3);
    serve_fini(&s);
}

/* A request of 100,000 tokens keeps 100,000 tokens, whatever the chunk; vLLM takes its whole share
 * and says how many tokens fit. */
static void error_14_the_cache_covers_the_sequence_not_the_chunk(void **state)
{
    served s;
    (void)state;
    serve(&s, "llama-2-7b", "h200-sxm", "sglang");
    serve_option(&s, "chunk_size=2048");
    s.question.isl = 100000;
    s.question.osl = 1;
    assert_close(serve_ask(&s)->request, 100001.0 * 32 * 2 * 32 * 128 * 2, 1e-12);
    serve_fini(&s);
    serve(&s, "llama-2-7b", "h200-sxm", "vllm");
    const double peak = serve_ask(&s)->peak, tokens = s.out.tokens;
    s.question.batch = 8;
    assert_close(serve_ask(&s)->peak, peak, 0.01); /* but for the longer chunk */
    assert_true(tokens > 100000.0 && s.out.tokens == tokens);
    serve_fini(&s);
}

/* ---- networks ---- */

/* A ring sends 2 (n - 1) / n of the gradients (Thakur et al., IJHPCA 2005): more ranks, not less.
 * Stage 3 gathers twice and reduces once, 3 volumes against 2 (ZeRO, arXiv:1910.02054, section 7).
 */
static void error_15_traffic_grows_with_ranks_and_stage_3_sends_half_as_much_again(void **state)
{
    (void)state;
    /* One micro-batch a step: stage 3 gathers for each. */
    const double few = network_of("llama-2-7b", "gpus=8,zero=1,micro_batch=128").dp_bytes;
    const double many = network_of("llama-2-7b", "gpus=64,zero=1,micro_batch=16").dp_bytes;
    const double third = network_of("llama-2-7b", "gpus=8,zero=3,micro_batch=128").dp_bytes;
    assert_close(many / few, (63.0 / 64) / (7.0 / 8), 0.02);
    assert_close(third / few, 1.5, 0.15);
    assert_true(network_of("llama-2-7b", "gpus=8,tp=8").tp_bytes > 0.0);
    assert_true(network_of("llama-2-7b", "gpus=8,pp=8").pp_bytes > 0.0);
}

static void error_16_plain_data_parallelism_has_traffic_too(void **state)
{
    (void)state;
    const double none = network_of("llama-2-7b", "gpus=8,zero=0").dp_bytes;
    const double first = network_of("llama-2-7b", "gpus=8,zero=1").dp_bytes;
    assert_true(none > 0.0);
    assert_close(none / first, 1.0, 0.05);
}

/* 16 bytes x 175e9 are 2.8 TB: no 80 GB hold them, 128 do where layers are cut. */
static void error_17_175_billion_parameters_are_not_answered_with_data_parallelism(void **state)
{
    trained t;
    (void)state;
    train(&t, "gpt3-175b", "megatron", "gpus=64,zero=0");
    assert_false(sp_memory_fits(t.problem, &t.out.memory));
    sp_problem_free(t.problem);
    train(&t, "gpt3-175b", "megatron", "gpus=128,tp=8,pp=8,zero=1,sp=on,recompute=full");
    assert_true(sp_memory_fits(t.problem, &t.out.memory));
    sp_problem_free(t.problem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(error_1_the_own_shard_of_zero_3_counts),
        cmocka_unit_test(error_2_adam_takes_12_bytes_a_parameter_in_each_stage),
        cmocka_unit_test(error_3_shards_are_of_the_data_parallel_group),
        cmocka_unit_test(error_4_nvme_and_offloaded_parameters_move_bytes),
        cmocka_unit_test(error_5_the_first_stage_holds_a_micro_batch_for_each_stage),
        cmocka_unit_test(error_6_sequence_parallelism_cuts_what_tensor_parallelism_leaves_whole),
        cmocka_unit_test(error_7_experts_add_activations_and_logits_count),
        cmocka_unit_test(error_8_the_gathered_layer_has_its_feed_forward_block),
        cmocka_unit_test(error_9_overhead_is_no_fifth_of_the_weights),
        cmocka_unit_test(error_10_an_unknown_optimizer_is_no_adamw),
        cmocka_unit_test(error_11_a_larger_batch_grows_activations_alone),
        cmocka_unit_test(error_12_the_cache_has_the_heads_of_keys_and_is_cut_by_tp),
        cmocka_unit_test(error_13_activations_do_not_grow_with_layers_nor_weights_with_the_batch),
        cmocka_unit_test(error_14_the_cache_covers_the_sequence_not_the_chunk),
        cmocka_unit_test(error_15_traffic_grows_with_ranks_and_stage_3_sends_half_as_much_again),
        cmocka_unit_test(error_16_plain_data_parallelism_has_traffic_too),
        cmocka_unit_test(error_17_175_billion_parameters_are_not_answered_with_data_parallelism),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
