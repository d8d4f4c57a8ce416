/* SPDX-License-Identifier: Apache-2.0 */
/* Attention against the published counts: activations of Korthikanti et al., "Reducing Activation
 * Recomputation in Large Transformer Models", MLSys 2023, sections 4 and 5; FLOPs and parameters by
 * their definitions. s sequence, b micro-batch, h hidden, a heads, g key/value heads, d head size.
 */
#include "common/close.h"
#include "common/models.h"
#include "graph/sums.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define EXACT 1e-14

static const sp_sharding alone = {.tp = 1, .cp = 1, .ep = 1, .etp = 1, .sp = false};

/* Norm 2 s b h, input of the projections 2, query, key and value 6, input of the output projection
 * 2, dropout mask 1: with the norm 13 s b h. Scores: probabilities 2, mask 1, dropped ones 2. */
static void gpt_keeps_13_sbh_and_5_as2b(void **state)
{
    (void)state;
    made_model gpt;
    make_gpt(&gpt, 512, 8, 2);
    const double b = 3, s = 1024, h = 512, a = 8;
    const sp_layer_work work = expand_layer(&gpt.model, 0, b, s, &alone, false);
    assert_close(attention_kept(&work), 13 * s * b * h + 5 * a * s * s * b, EXACT);
    assert_close(layer_dropped(&work, SP_MODULE_CORE), 5 * a * s * s * b, EXACT);
}

/* Of the 13 s b h the norm, the input of the projections and the dropout mask, 5, lie outside of
 * the tensor-parallel region. */
static void tensor_parallelism_cuts_8_of_the_13_sbh(void **state)
{
    (void)state;
    made_model gpt;
    make_gpt(&gpt, 512, 8, 2);
    const double b = 3, s = 1024, h = 512, a = 8, t = 4;
    sp_sharding sharding = {.tp = 4, .cp = 1, .ep = 1, .etp = 1, .sp = false};
    sp_layer_work work = expand_layer(&gpt.model, 0, b, s, &sharding, false);
    assert_close(attention_kept(&work), s * b * h * (5 + 8 / t) + 5 * a * s * s * b / t, EXACT);
    sharding.sp = true;
    work = expand_layer(&gpt.model, 0, b, s, &sharding, false);
    assert_close(attention_kept(&work), 13 * s * b * h / t + 5 * a * s * s * b / t, EXACT);
}

/* A fused core keeps no scores but one fp32 log-sum-exp a query and head. */
static void flash_attention_keeps_4_bytes_a_token_and_head(void **state)
{
    (void)state;
    made_model gpt;
    make_gpt(&gpt, 512, 8, 2);
    const double b = 3, s = 1024, h = 512, a = 8;
    const sp_layer_work work = expand_layer(&gpt.model, 0, b, s, &alone, true);
    assert_close(attention_kept(&work), 13 * s * b * h + 4 * a * s * b, EXACT);
    assert_close(layer_dropped(&work, SP_MODULE_CORE), 4 * a * s * b, EXACT);
}

/* Norm 2 h, input 2 h, query 2 h, output 2 h, key and value 2 g d each, no dropout. */
static void grouped_queries_keep_8_h_and_4_gd(void **state)
{
    (void)state;
    made_model llama;
    make_llama(&llama, 1024, 8, 2, 2816, 2);
    const double tokens = 2.0 * 4096, h = 1024, g = 2, d = 128, a = 8;
    const sp_layer_work flash = expand_layer(&llama.model, 0, 2, 4096, &alone, true);
    assert_close(attention_kept(&flash), tokens * (8 * h + 4 * g * d + 4 * a), EXACT);
    /* Without dropout an unfused core keeps the probabilities alone. */
    const sp_layer_work scores = expand_layer(&llama.model, 0, 2, 4096, &alone, false);
    assert_close(attention_kept(&scores), tokens * (8 * h + 4 * g * d + 2 * a * 4096), EXACT);
}

/* 2 (h a d + 2 h g d + a d h) a token, and 4 s/2 a d for scores and values under a causal mask. */
static void flops_are_those_of_projections_and_visible_scores(void **state)
{
    (void)state;
    made_model llama;
    make_llama(&llama, 1024, 8, 2, 2816, 2);
    const double tokens = 2.0 * 4096, h = 1024, a = 8, g = 2, d = 128;
    const sp_layer_work work = expand_layer(&llama.model, 0, 2, 4096, &alone, true);
    assert_close(attention_flops(&work),
                 tokens * (2 * (2 * h * a * d + 2 * h * g * d) + 4 * 2048 * a * d), EXACT);
    assert_close(find_op(&work, "attention_core")->flops, tokens * 4 * 2048 * a * d, EXACT);
}

static void a_window_limits_the_flops_and_not_the_products(void **state)
{
    (void)state;
    made_model llama;
    make_llama(&llama, 1024, 8, 2, 2816, 2);
    llama.model.kinds[0].attention.window = 512;
    const sp_layer_work work = expand_layer(&llama.model, 0, 1, 4096, &alone, true);
    /* Token i < 512 sees i: on average 512 - 512^2 / (2 x 4096) = 480. */
    assert_close(find_op(&work, "attention_core")->flops, 4096.0 * 4 * 480 * 8 * 128, EXACT);
    assert_close(find_op(&work, "qkv_projection")->flops, 4096.0 * 2 * 1024 * 12 * 128, EXACT);
    llama.model.kinds[0].attention.window = 1u << 20; /* longer than the sequence: no limit */
    const sp_layer_work wide = expand_layer(&llama.model, 0, 1, 4096, &alone, true);
    assert_close(find_op(&wide, "attention_core")->flops, 4096.0 * 4 * 2048 * 8 * 128, EXACT);
}

/* h = 1024, 8 heads and 2 key/value heads of 128:
 * q 1024*1024, k and v 2*1024*256, o 1024*1024, one norm vector of 1024: 2,622,464. */
static void parameters_of_grouped_queries_by_hand(void **state)
{
    (void)state;
    made_model llama;
    make_llama(&llama, 1024, 8, 2, 0, 1); /* a feed-forward of width 0 is none */
    const sp_layer_params p = sp_graph_layer_params(&llama.model, &llama.model.kinds[0], &alone);
    assert_true(p.dense == 2622464.0);
    assert_true(p.expert == 0.0);
}

/* With biases: q, k and v 3*512, output 512; a LayerNorm has 2 vectors of 512. */
static void parameters_with_biases_by_hand(void **state)
{
    (void)state;
    made_model gpt;
    make_gpt(&gpt, 512, 8, 1);
    gpt.model.kinds[0].ffn = (sp_ffn){0};
    const sp_layer_params p = sp_graph_layer_params(&gpt.model, &gpt.model.kinds[0], &alone);
    assert_true(p.dense == 4 * 512.0 * 512 + 4 * 512 + 2 * 512);
}

/* 2 key/value heads over 8 ranks: each rank holds one, so every head is there 4 times. */
static void key_value_heads_fewer_than_ranks_are_replicated(void **state)
{
    (void)state;
    made_model llama;
    make_llama(&llama, 1024, 8, 2, 0, 1);
    const sp_sharding eight = {.tp = 8, .cp = 1, .ep = 1, .etp = 1, .sp = true};
    const sp_layer_params p = sp_graph_layer_params(&llama.model, &llama.model.kinds[0], &eight);
    assert_true(p.dense == 1024.0 * 128 + 2.0 * 1024 * 128 + 128.0 * 1024 + 1024);
    const sp_layer_work work = expand_layer(&llama.model, 0, 1, 2048, &eight, true);
    assert_true(find_op(&work, "qkv_projection")->n == 3 * 128.0);
}

/* Norms of queries and keys read and write those, and leave the values alone. */
static void query_and_key_norms_do_not_touch_the_values(void **state)
{
    (void)state;
    made_model llama;
    make_llama(&llama, 1024, 8, 2, 2816, 1);
    llama.model.kinds[0].attention.qk_norm = 2 * 128;
    const sp_layer_work work = expand_layer(&llama.model, 0, 1, 2048, &alone, true);
    assert_true(find_op(&work, "qk_norm")->bytes == 4.0 * (8 + 2) * 128 * 2048);
    assert_true(find_op(&work, "rotary")->bytes == 4.0 * (8 + 2) * 128 * 2048);
}

/* Beside queries, keys and values, 2 (8 + 2 + 2) d, the inputs of the norms are kept, 2 (8 + 2) d.
 * Recomputing element-wise operators drops what they make, and not the values. */
static void query_and_key_norms_keep_their_inputs(void **state)
{
    (void)state;
    made_model llama;
    make_llama(&llama, 1024, 8, 2, 2816, 1);
    const sp_layer_work without = expand_layer(&llama.model, 0, 1, 2048, &alone, true);
    llama.model.kinds[0].attention.qk_norm = 2 * 128;
    const sp_layer_work with = expand_layer(&llama.model, 0, 1, 2048, &alone, true);
    const double qk = 2.0 * (8 + 2) * 128 * 2048;
    assert_close(attention_kept(&with) - attention_kept(&without), qk, EXACT);
    assert_close(layer_dropped(&with, SP_MODULE_STREAMS) -
                     layer_dropped(&without, SP_MODULE_STREAMS),
                 qk, EXACT);
    assert_close(layer_dropped(&with, SP_MODULE_NORM), layer_dropped(&without, SP_MODULE_NORM),
                 EXACT);
}

/* Queries and keys of 192, values of 128, 8 heads and 2 key/value heads: projections
 * h (8 * 192 + 2 * (192 + 128)) and 8 * 128 h, core 2 (s / 2) 8 (192 + 128). */
static void values_may_be_narrower_than_keys(void **state)
{
    (void)state;
    made_model llama;
    make_llama(&llama, 1024, 8, 2, 0, 1);
    llama.model.kinds[0].attention.head_dim = 192;
    llama.model.kinds[0].attention.v_dim = 128;
    const double s = 2048, matrices = 1024.0 * (8 * 192 + 2 * (192 + 128)) + 8 * 128 * 1024.0;
    const sp_layer_work work = expand_layer(&llama.model, 0, 1, s, &alone, true);
    assert_close(attention_flops(&work), s * (2 * matrices + 2 * (s / 2) * 8 * (192 + 128)), EXACT);
    assert_true(sp_graph_layer_params(&llama.model, &llama.model.kinds[0], &alone).dense ==
                matrices + 1024);
    /* Norm 2 h and its output 2 h, queries, keys and values, core's output, log-sum-exp. */
    const double heads = 2.0 * (8 * 192 + 2 * (192 + 128)) + 2.0 * 8 * 128;
    assert_close(attention_kept(&work), s * (4 * 1024 + heads + 4 * 8), EXACT);
}

/* gpt-oss-20b: h = 2880, 64 heads and 8 key/value heads of 64, window 128, s = 4096. A token sees
 * 128 - 128^2 / (2 * 4096) = 126 on average in a layer with the window, 2048 in one without. */
static void a_sliding_window_layer_of_gpt_oss_by_hand(void **state)
{
    (void)state;
    made_model made;
    make_gpt_oss_20b(&made);
    const double tokens = 2.0 * 4096, matrices = 2880.0 * (64 + 2 * 8) * 64 + 64 * 64 * 2880.0;
    const sp_layer_work window = expand_layer(&made.model, 0, 2, 4096, &alone, true);
    const sp_layer_work full = expand_layer(&made.model, 1, 2, 4096, &alone, true);
    assert_close(attention_flops(&window), tokens * (2 * matrices + 4 * 126 * 4096.0), EXACT);
    assert_close(attention_flops(&full), tokens * (2 * matrices + 4 * 2048 * 4096.0), EXACT);
    /* 2 h, 2 h, 2 (64 + 16) d, 2 * 64 d and 4 bytes a head: 30,208 a token, window or not. */
    assert_close(attention_kept(&window), tokens * (4 * 2880 + 160 * 64 + 128 * 64 + 4 * 64),
                 EXACT);
    assert_close(attention_kept(&full), attention_kept(&window), EXACT);
    /* A rank of 8 has 8 of the 64 sinks and query biases, one key/value head, the whole output
     * bias. */
    made.model.kinds[0].ffn = (sp_ffn){0};
    const sp_sharding eight = {.tp = 8, .cp = 1, .ep = 1, .etp = 1, .sp = true};
    assert_true(sp_graph_layer_params(&made.model, &made.model.kinds[0], &eight).dense ==
                matrices / 8 + (8 + 2) * 64 + 2880 + 8 + 2880);
}

static void learned_positions_rotate_nothing(void **state)
{
    (void)state;
    made_model gpt;
    make_gpt(&gpt, 512, 8, 1);
    const sp_layer_work work = expand_layer(&gpt.model, 0, 1, 1024, &alone, true);
    for (uint32_t i = 0; i < work.n_ops; i++) {
        assert_string_not_equal(work.ops[i].name, "rotary");
    }
}

/* Whatever the sharding: whether it costs anything is for the network to say. */
static void the_block_exchanges_activations_over_tp_alone(void **state)
{
    (void)state;
    made_model llama;
    make_llama(&llama, 1024, 8, 2, 2816, 1);
    for (uint32_t tp = 1; tp <= 8; tp *= 2) {
        const sp_sharding sharding = {.tp = tp, .cp = 1, .ep = 1, .etp = 1, .sp = tp > 1};
        const sp_layer_work work = expand_layer(&llama.model, 0, 2, 2048, &sharding, true);
        assert_true(work.attention.tp_exchange);
        assert_true(work.attention.ep_bytes == 0.0 && work.attention.etp_bytes == 0.0);
    }
}

/* Qwen3-Next: 16 query heads of 256, each with a gate of 256 columns, hidden 2048. The core's
 * output and the gate are kept, 2 * 4096 each; the gated output too, unless it is made again. */
static void a_gate_is_a_product_and_a_pass_over_the_output(void **state)
{
    (void)state;
    made_model plain, gated;
    make_llama(&plain, 2048, 8, 2, 0, 1);
    plain.model.kinds[0].attention =
        (sp_attention){.heads = 16, .kv_heads = 2, .head_dim = 256, .norms = 1, .qk_norm = 512};
    gated = plain;
    gated.model.kinds[0].attention.gate = 256;
    const sp_layer_work a = expand_layer(&plain.model, 0, 1, 4096, &alone, true);
    const sp_layer_work b = expand_layer(&gated.model, 0, 1, 4096, &alone, true);
    assert_close(attention_flops(&b) - attention_flops(&a), 4096 * 2 * 2048.0 * 4096, EXACT);
    assert_close(attention_kept(&b) - attention_kept(&a), 4096 * 4.0 * 4096, EXACT);
    assert_close(layer_dropped(&b, SP_MODULE_STREAMS) - layer_dropped(&a, SP_MODULE_STREAMS),
                 4096 * 2.0 * 4096, EXACT);
    assert_close(product_inputs(&b), product_inputs(&a), EXACT);
    assert_true(find_op(&b, "gated_output")->m == 4096 * 2.0 * 4096);
    assert_true(find_op(&b, "gated_output")->n == 4096.0 * 4096);
}

/* Four norms of 2 * 512 numbers; the three behind the block keep their inputs, 2 h each. None at
 * all: the projections' input is kept all the same. */
static void a_block_may_have_several_norms_or_none(void **state)
{
    (void)state;
    made_model one, four, none;
    make_gpt(&one, 512, 8, 1);
    four = none = one;
    four.model.kinds[0].attention.norms = 4;
    none.model.kinds[0].attention.norms = 0;
    const sp_layer_work a = expand_layer(&one.model, 0, 1, 1024, &alone, true);
    const sp_layer_work b = expand_layer(&four.model, 0, 1, 1024, &alone, true);
    const sp_layer_work c = expand_layer(&none.model, 0, 1, 1024, &alone, true);
    assert_int_equal(b.n_ops - a.n_ops, 3);
    assert_int_equal(a.n_ops - c.n_ops, 1);
    assert_true(find_op(&b, "attention_post_norm")->k == 2 * 512);
    assert_close(attention_kept(&b) - attention_kept(&a), 3 * 2.0 * 512 * 1024, EXACT);
    assert_close(attention_kept(&a) - attention_kept(&c), 2.0 * 512 * 1024, EXACT);
    assert_close(product_inputs(&c), product_inputs(&a), EXACT);
}

/* 8 heads and 2 key/value heads of 128: values made of the keys save 256 columns, keys and values
 * of another layer 512; the core reads as much as it meets, once where both are one tensor. */
static void keys_may_be_values_or_another_layers(void **state)
{
    (void)state;
    made_model own, shared, once, other;
    make_llama(&own, 1024, 8, 2, 0, 1);
    shared = other = own;
    shared.model.kinds[0].attention.keys_as_values = true;
    once = shared;
    once.model.kinds[0].attention.kv_cached_once = true;
    other.model.kinds[0].attention.kv_of_other = true;
    const sp_layer_work a = expand_layer(&own.model, 0, 1, 4096, &alone, true);
    const sp_layer_work b = expand_layer(&shared.model, 0, 1, 4096, &alone, true);
    const sp_layer_work c = expand_layer(&other.model, 0, 1, 4096, &alone, true);
    const sp_layer_work d = expand_layer(&once.model, 0, 1, 4096, &alone, true);
    assert_true(find_op(&a, "qkv_projection")->n == 1536);
    assert_true(find_op(&b, "qkv_projection")->n == 1280);
    assert_true(find_op(&c, "qkv_projection")->n == 1024);
    assert_true(find_op(&a, "attention_core")->flops == find_op(&c, "attention_core")->flops);
    assert_true(find_op(&a, "attention_core")->bytes == 2.0 * 4096 * 512);
    assert_true(find_op(&b, "attention_core")->bytes == 2.0 * 4096 * 512);
    assert_true(find_op(&d, "attention_core")->bytes == 2.0 * 4096 * 256);
    assert_true(find_op(&d, "qkv_projection")->n == 1280);
    assert_close(attention_kept(&a), attention_kept(&b), EXACT);
    assert_close(attention_kept(&b) - attention_kept(&d), 2.0 * 4096 * 256, EXACT);
    assert_true(find_op(&c, "attention_core")->bytes == 2.0 * 4096 * 512);
}

static void layers_without_rotation_rotate_nothing(void **state)
{
    (void)state;
    made_model with, without;
    make_llama(&with, 1024, 8, 2, 0, 1);
    without = with;
    without.model.kinds[0].attention.no_rope = true;
    const sp_layer_work a = expand_layer(&with.model, 0, 1, 4096, &alone, true);
    const sp_layer_work b = expand_layer(&without.model, 0, 1, 4096, &alone, true);
    assert_int_equal(a.n_ops - b.n_ops, 1);
    assert_true(find_op(&a, "rotary")->part == SP_PART_ROTARY);
    assert_close(layer_kept(&a), layer_kept(&b), EXACT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gpt_keeps_13_sbh_and_5_as2b),
        cmocka_unit_test(tensor_parallelism_cuts_8_of_the_13_sbh),
        cmocka_unit_test(flash_attention_keeps_4_bytes_a_token_and_head),
        cmocka_unit_test(grouped_queries_keep_8_h_and_4_gd),
        cmocka_unit_test(flops_are_those_of_projections_and_visible_scores),
        cmocka_unit_test(a_window_limits_the_flops_and_not_the_products),
        cmocka_unit_test(parameters_of_grouped_queries_by_hand),
        cmocka_unit_test(parameters_with_biases_by_hand),
        cmocka_unit_test(key_value_heads_fewer_than_ranks_are_replicated),
        cmocka_unit_test(query_and_key_norms_do_not_touch_the_values),
        cmocka_unit_test(query_and_key_norms_keep_their_inputs),
        cmocka_unit_test(values_may_be_narrower_than_keys),
        cmocka_unit_test(a_sliding_window_layer_of_gpt_oss_by_hand),
        cmocka_unit_test(learned_positions_rotate_nothing),
        cmocka_unit_test(the_block_exchanges_activations_over_tp_alone),
        cmocka_unit_test(a_gate_is_a_product_and_a_pass_over_the_output),
        cmocka_unit_test(a_block_may_have_several_norms_or_none),
        cmocka_unit_test(keys_may_be_values_or_another_layers),
        cmocka_unit_test(layers_without_rotation_rotate_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
