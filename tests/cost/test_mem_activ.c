/* SPDX-License-Identifier: Apache-2.0 */
/* What recomputation keeps of a layer: Korthikanti et al., MLSys 2023, table 2 (whole, selective
 * and full), for a GPT layer of s b h = 1024 * 2 * 512 and a = 8. */
#include "common/close.h"
#include "common/models.h"
#include "cost/cost.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define EXACT 1e-14
#define SBH   (1024.0 * 2 * 512)
#define AS2B  (8.0 * 1024 * 1024 * 2)

static sp_layer_work example(uint32_t tp, bool flash)
{
    made_model gpt;
    make_gpt(&gpt, 512, 8, 2);
    const sp_shape shape = {.sequences = 2, .tokens = 2048, .length = 1024, .context = 512};
    const sp_sharding sharding = {.tp = tp, .cp = 1, .ep = 1, .etp = 1, .sp = tp > 1};
    sp_layer_work work;
    sp_graph_layer(&gpt.model, &gpt.model.kinds[0], &shape, &sharding, flash, &work);
    return work;
}

static void all_is_kept_without_recomputation(void **state)
{
    (void)state;
    for (uint32_t t = 1; t <= 8; t *= 2) {
        const sp_layer_work work = example(t, false);
        const sp_layer_bytes b =
            sp_mem_layer(&work, &(sp_keeping){.modules = 0, .full = false, .product_bytes = 2.0});
        assert_close(b.kept, 34 * SBH / t + 5 * AS2B / t, EXACT);
        assert_true(b.working == work.working_bytes);
    }
}

/* The core's own bytes go, with or without a fused kernel, and are back while the layer runs. */
static void selective_recomputation_keeps_34_sbh(void **state)
{
    (void)state;
    for (uint32_t t = 1; t <= 8; t *= 2) {
        const sp_layer_work scores = example(t, false), flash = example(t, true);
        const sp_layer_bytes a = sp_mem_layer(
            &scores, &(sp_keeping){.modules = SP_MODULE_CORE, .full = false, .product_bytes = 2.0});
        const sp_layer_bytes b = sp_mem_layer(
            &flash, &(sp_keeping){.modules = SP_MODULE_CORE, .full = false, .product_bytes = 2.0});
        assert_close(a.kept, 34 * SBH / t, EXACT);
        assert_close(b.kept, 34 * SBH / t, EXACT);
        assert_close(a.working - scores.working_bytes, 5 * AS2B / t, EXACT);
    }
}

/* The input, 2 s b h; the layer at work holds its whole set. */
static void full_recomputation_keeps_2_sbh(void **state)
{
    (void)state;
    for (uint32_t t = 1; t <= 8; t *= 2) {
        const sp_layer_work work = example(t, false);
        const sp_layer_bytes b =
            sp_mem_layer(&work, &(sp_keeping){.modules = 0, .full = true, .product_bytes = 2.0});
        assert_close(b.kept, 2 * SBH / t, EXACT);
        assert_close(b.working - work.working_bytes, 34 * SBH / t + 5 * AS2B / t, 1e-12);
    }
}

/* The dense block, 16 of the 34 s b h: input and output of GeLU. */
static void a_module_gives_back_its_own_bytes_while_others_wait(void **state)
{
    (void)state;
    const sp_layer_work work = example(1, true);
    const double sums = 4 * 8.0 * 2048; /* log-sum-exp, 4 a s b */
    const sp_layer_bytes ffn = sp_mem_layer(
        &work, &(sp_keeping){.modules = SP_MODULE_FFN, .full = false, .product_bytes = 2.0});
    assert_close(ffn.kept, 18 * SBH + sums, EXACT);
    assert_close(ffn.working - work.working_bytes, 16 * SBH, 1e-12);
    /* Norms 4, GeLU's output 8; of the latter the dense block has a share. */
    const uint32_t two = SP_MODULE_NORM | SP_MODULE_ACTIVATION;
    assert_close(
        sp_mem_layer(&work, &(sp_keeping){.modules = two, .full = false, .product_bytes = 2.0})
            .kept,
        22 * SBH + sums, EXACT);
    assert_close(sp_mem_layer(&work, &(sp_keeping){.modules = two | SP_MODULE_FFN,
                                                   .full = false,
                                                   .product_bytes = 2.0})
                     .kept,
                 14 * SBH + sums, EXACT);
}

/* Inputs of products are 14 of the 34: of the projections 2, the output projection 2, the first
 * matrix 2, the second 8. With one byte an element 7 are left. */
static void inputs_of_products_are_kept_in_their_format(void **state)
{
    (void)state;
    const sp_layer_work work = example(1, false);
    const double scores = 5 * AS2B;
    assert_close(
        sp_mem_layer(&work, &(sp_keeping){.modules = 0, .full = false, .product_bytes = 1.0}).kept,
        27 * SBH + scores, EXACT);
    /* What is computed again is in that format too: 8 + 8 / 2. */
    const sp_layer_bytes ffn = sp_mem_layer(
        &work, &(sp_keeping){.modules = SP_MODULE_FFN, .full = false, .product_bytes = 1.0});
    assert_close(ffn.kept, 15 * SBH + scores, EXACT);
    assert_close(ffn.working - work.working_bytes, 12 * SBH, 1e-12);
    /* The input of a layer is that of a norm, and no product's. */
    assert_close(
        sp_mem_layer(&work, &(sp_keeping){.modules = 0, .full = true, .product_bytes = 1.0}).kept,
        2 * SBH, EXACT);
}

/* With two or more layers in flight more recomputation keeps less; a single layer peaks the same.
 */
static void recomputation_trades_kept_bytes_for_working_ones(void **state)
{
    (void)state;
    for (int flash = 0; flash < 2; flash++) {
        const sp_layer_work work = example(4, flash != 0);
        const sp_layer_bytes none =
            sp_mem_layer(&work, &(sp_keeping){.modules = 0, .full = false, .product_bytes = 2.0});
        const sp_layer_bytes some = sp_mem_layer(
            &work, &(sp_keeping){.modules = SP_MODULE_CORE, .full = false, .product_bytes = 2.0});
        const sp_layer_bytes full =
            sp_mem_layer(&work, &(sp_keeping){.modules = 0, .full = true, .product_bytes = 2.0});
        assert_true(none.kept > some.kept && some.kept > full.kept);
        assert_true(none.working < some.working && some.working < full.working);
        assert_close(some.kept + some.working, none.kept + none.working, EXACT);
        assert_at_most(none.kept + none.working, full.kept + full.working, EXACT);
    }
}

/* 2-byte logits, fp32 copy, 2-byte gradient. */
static void logits_take_8_bytes_each(void **state)
{
    (void)state;
    assert_true(sp_mem_logits(2048, 12800, 8.0) == 8.0 * 2048 * 12800);
}

/* A Llama layer of 64 tokens, h = 512, 4 heads, f = 1024: with gradients of 2 (2 f + f) a token. */
static sp_layer_work llama_example(void)
{
    made_model llama;
    make_llama(&llama, 512, 4, 4, 1024, 2);
    const sp_shape shape = {.sequences = 1, .tokens = 64, .length = 64, .context = 32};
    const sp_sharding sharding = {.tp = 1, .cp = 1, .ep = 1, .etp = 1};
    sp_layer_work work;
    sp_graph_layer(&llama.model, &llama.model.kinds[0], &shape, &sharding, true, &work);
    return work;
}

/* Two norms of 512 elements a token keep 4 bytes more of each, the gate 2 bytes of 1024. */
static void eager_kernels_keep_more(void **state)
{
    (void)state;
    const sp_layer_work work = llama_example();
    const sp_keeping fused = {.product_bytes = 2.0};
    const sp_keeping eager = {
        .product_bytes = 2.0, .norm_extra_bytes = 4.0, .gate_extra_bytes = 2.0};
    const double extra = 64 * (2 * 4.0 * 512 + 2.0 * 1024);
    assert_close(sp_mem_layer(&work, &eager).kept - sp_mem_layer(&work, &fused).kept, extra, EXACT);
    sp_keeping redone = eager;
    redone.full = true;
    const sp_layer_bytes full = sp_mem_layer(&work, &redone);
    assert_close(full.kept, 2.0 * 512 * 64, EXACT);
    assert_close(full.working - work.working_bytes, sp_mem_layer(&work, &eager).kept, EXACT);
    redone = eager;
    redone.modules = SP_MODULE_NORM | SP_MODULE_ACTIVATION;
    sp_keeping plain = redone;
    plain.norm_extra_bytes = plain.gate_extra_bytes = 0.0;
    assert_close(sp_mem_layer(&work, &redone).kept, sp_mem_layer(&work, &plain).kept, EXACT);
}

/* Gradients of gate and up, 2 bytes of 2 f, need no room of their own. */
static void gradients_over_the_inputs_of_a_gate_save_their_room(void **state)
{
    (void)state;
    const sp_layer_work work = llama_example();
    const sp_keeping own = {.product_bytes = 2.0}, over = {.product_bytes = 2.0, .in_place = true};
    assert_close(sp_mem_layer(&work, &own).working - sp_mem_layer(&work, &over).working,
                 2.0 * 2048 * 64, EXACT);
    assert_true(sp_mem_layer(&work, &own).kept == sp_mem_layer(&work, &over).kept);
}

/* Of each token: the input (2 h), half of the outputs of products (q, k, v and o of h, gate and up
 * of f, down of h: 2 (5 h + 2 f) / 2), the core's output (2 h) and log-sum-exp (4 heads). */
static void every_second_product_is_computed_again(void **state)
{
    (void)state;
    const sp_layer_work work = llama_example();
    const sp_keeping half = {
        .modules = SP_MODULE_STREAMS, .product_bytes = 2.0, .dropped_ratio = 0.5};
    const sp_keeping none = {.product_bytes = 2.0};
    const sp_layer_bytes b = sp_mem_layer(&work, &half);
    assert_close(b.kept, 64 * (2.0 * 512 + (5.0 * 512 + 2.0 * 1024) + 2.0 * 512 + 4.0 * 4), EXACT);
    assert_close(b.kept + b.working, sp_mem_layer(&work, &none).kept + work.working_bytes, EXACT);
}

/* Rank 8 beside four products (qkv, o, gate and up, down): 2 bytes of 8 columns for each of 64
 * tokens; the widest matrix, gate and up of 512 x 2048, is written out in 2 bytes. */
static void adapters_keep_what_lies_between_their_matrices(void **state)
{
    (void)state;
    const sp_layer_work work = llama_example();
    const sp_keeping none = {.product_bytes = 2.0};
    const sp_keeping own = {.product_bytes = 2.0, .adapter_columns = 8.0, .unpacks = true};
    const sp_keeping again = {.product_bytes = 2.0, .adapter_columns = 8.0, .full = true};
    const sp_layer_bytes plain = sp_mem_layer(&work, &none), b = sp_mem_layer(&work, &own);
    const double between = 4 * 2.0 * 8 * 64;
    assert_close(b.kept, plain.kept + between, EXACT);
    assert_close(b.working, plain.working + 2.0 * 512 * 2048, EXACT);
    assert_true(sp_mem_layer(&work, &again).kept == work.input_bytes);
    assert_close(sp_mem_layer(&work, &again).working, plain.working + plain.kept + between, EXACT);
}

/* 1000 tokens, 32000 columns, h = 512: logits and hidden gradient of 2 bytes, 8 bytes a weight. */
static void a_loss_in_chunks_knows_no_whole_logits(void **state)
{
    (void)state;
    assert_true(sp_mem_chunked_loss(1000, 32000, 512, false) ==
                4.0 * 1000 * 512 + 8.0 * 32000 * 512);
    assert_true(sp_mem_chunked_loss(1000, 32000, 512, true) == 4.0 * 1000 * 512);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_is_kept_without_recomputation),
        cmocka_unit_test(selective_recomputation_keeps_34_sbh),
        cmocka_unit_test(full_recomputation_keeps_2_sbh),
        cmocka_unit_test(a_module_gives_back_its_own_bytes_while_others_wait),
        cmocka_unit_test(inputs_of_products_are_kept_in_their_format),
        cmocka_unit_test(recomputation_trades_kept_bytes_for_working_ones),
        cmocka_unit_test(logits_take_8_bytes_each),
        cmocka_unit_test(eager_kernels_keep_more),
        cmocka_unit_test(gradients_over_the_inputs_of_a_gate_save_their_room),
        cmocka_unit_test(every_second_product_is_computed_again),
        cmocka_unit_test(adapters_keep_what_lies_between_their_matrices),
        cmocka_unit_test(a_loss_in_chunks_knows_no_whole_logits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
