/* SPDX-License-Identifier: Apache-2.0 */
/* The dense feed-forward block against the published counts (Korthikanti et al., MLSys 2023) and by
 * hand. s sequence, b micro-batch, h hidden, f width, t tensor-parallel ranks. */
#include "common/close.h"
#include "common/models.h"
#include "graph/sums.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define EXACT 1e-14

static const sp_sharding alone = {.tp = 1, .cp = 1, .ep = 1, .etp = 1, .sp = false};

/* Norm 2, input 2, input of GeLU 8, of the second matrix 8, dropout mask 1: 21 s b h with the norm;
 * the 16 in the middle are cut by t. */
static void gpt_keeps_21_sbh(void **state)
{
    (void)state;
    made_model gpt;
    make_gpt(&gpt, 512, 8, 2);
    const double b = 3, s = 1024, h = 512, t = 4;
    sp_sharding sharding = {.tp = 4, .cp = 1, .ep = 1, .etp = 1, .sp = false};
    const sp_layer_work whole = expand_layer(&gpt.model, 0, b, s, &alone, true);
    assert_close(ffn_kept(&whole), 21 * s * b * h, EXACT);
    const sp_layer_work cut = expand_layer(&gpt.model, 0, b, s, &sharding, true);
    assert_close(ffn_kept(&cut), s * b * h * (5 + 16 / t), EXACT);
    sharding.sp = true;
    const sp_layer_work all_cut = expand_layer(&gpt.model, 0, b, s, &sharding, true);
    assert_close(ffn_kept(&all_cut), 21 * s * b * h / t, EXACT);
}

/* SwiGLU: norm 2 h, input 2 h, gate 2 f, up 2 f, their product 2 f. */
static void a_gated_block_keeps_4_h_and_6_f(void **state)
{
    (void)state;
    made_model llama;
    make_llama(&llama, 1024, 8, 2, 2816, 2);
    const double tokens = 2.0 * 4096;
    const sp_layer_work work = expand_layer(&llama.model, 0, 2, 4096, &alone, true);
    assert_close(ffn_kept(&work), tokens * (4 * 1024 + 6 * 2816), EXACT);
}

static void flops_are_two_a_weight_and_token(void **state)
{
    (void)state;
    made_model gpt, llama;
    make_gpt(&gpt, 512, 8, 2);
    make_llama(&llama, 1024, 8, 2, 2816, 2);
    const sp_layer_work two = expand_layer(&gpt.model, 0, 3, 1024, &alone, true);
    assert_close(ffn_flops(&two), 3.0 * 1024 * 2 * 2 * 512 * 2048, EXACT);
    const sp_layer_work three = expand_layer(&llama.model, 0, 2, 4096, &alone, true);
    assert_close(ffn_flops(&three), 2.0 * 4096 * 2 * 3 * 1024 * 2816, EXACT);
}

/* Without attention heads there is no attention: the block alone.
 * GPT: 512*2048*2 matrices, biases 2048 + 512, LayerNorm 2*512. */
static void parameters_by_hand(void **state)
{
    (void)state;
    made_model gpt, llama;
    make_gpt(&gpt, 512, 8, 1);
    make_llama(&llama, 1024, 8, 2, 2816, 1);
    gpt.model.kinds[0].attention = llama.model.kinds[0].attention = (sp_attention){0};
    assert_true(sp_graph_layer_params(&gpt.model, &gpt.model.kinds[0], &alone).dense ==
                2.0 * 512 * 2048 + 2048 + 512 + 1024);
    assert_true(sp_graph_layer_params(&llama.model, &llama.model.kinds[0], &alone).dense ==
                3.0 * 1024 * 2816 + 1024);
}

/* A rank of 4 holds a quarter of the matrices and of the inner bias; the outer bias and norm whole.
 */
static void a_rank_holds_its_columns_and_the_whole_norm(void **state)
{
    (void)state;
    made_model gpt;
    make_gpt(&gpt, 512, 8, 1);
    gpt.model.kinds[0].attention = (sp_attention){0};
    const sp_sharding four = {.tp = 4, .cp = 1, .ep = 1, .etp = 1, .sp = true};
    assert_true(sp_graph_layer_params(&gpt.model, &gpt.model.kinds[0], &four).dense ==
                2.0 * 512 * 512 + 512 + 512 + 1024);
}

static void the_block_exchanges_activations_over_tp_alone(void **state)
{
    (void)state;
    made_model llama;
    make_llama(&llama, 1024, 8, 2, 2816, 1);
    const sp_sharding four = {.tp = 4, .cp = 1, .ep = 1, .etp = 1, .sp = true};
    const sp_layer_work work = expand_layer(&llama.model, 0, 2, 2048, &four, true);
    assert_true(work.ffn.tp_exchange);
    assert_true(work.ffn.ep_bytes == 0.0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gpt_keeps_21_sbh),
        cmocka_unit_test(a_gated_block_keeps_4_h_and_6_f),
        cmocka_unit_test(flops_are_two_a_weight_and_token),
        cmocka_unit_test(parameters_by_hand),
        cmocka_unit_test(a_rank_holds_its_columns_and_the_whole_norm),
        cmocka_unit_test(the_block_exchanges_activations_over_tp_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
