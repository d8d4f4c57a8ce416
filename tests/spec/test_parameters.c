/* SPDX-License-Identifier: Apache-2.0 */
/* Parameter counts against sums done by hand. */
#include "spec/spec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const sp_layer_run two_layers[] = {
    {.kind = 0, .count = 2}
};
static const sp_layer_run dense_then_sparse[] = {
    {.kind = 0, .count = 1},
    {.kind = 1, .count = 3}
};

/* hidden 8, 4 heads and 2 key and value heads of 2, feed-forward 10, vocabulary 100. */
static sp_model tiny(void)
{
    return (sp_model){
        .hidden = 8,
        .vocab = 100,
        .norm_vectors = 1,
        .outer_norms = 1,
        .n_layers = 2,
        .n_kinds = 1,
        .kinds = {{.attention = {.heads = 4, .kv_heads = 2, .head_dim = 2, .norms = 1},
                   .ffn = {.ffn = 10, .gated = true, .norms = 1}}},
        .n_runs = 1,
        .runs = two_layers,
    };
}

/* A layer: query 8x8, key 8x4, value 8x4, output 8x8 = 192; 3 x 8x10 = 240; two norms 16: 448.
 * Outside: table 800, head 800, norm 8. */
static void the_parts_of_a_tiny_model_add_up(void **state)
{
    (void)state;
    const sp_model model = tiny();
    const sp_parameters p = sp_model_parameters(&model);
    assert_int_equal(p.total, 2 * 448 + 800 + 800 + 8);
    assert_int_equal(p.embedding, 800);
    assert_int_equal(p.head, 800);
    assert_int_equal(p.non_embedding, 2 * 448 + 8);
    assert_int_equal(p.active, p.total);
}

static void a_tied_head_counts_once(void **state)
{
    (void)state;
    sp_model model = tiny();
    model.tied_embeddings = true;
    const sp_parameters p = sp_model_parameters(&model);
    assert_int_equal(p.total, 2 * 448 + 800 + 8);
    assert_int_equal(p.head, 0);
    assert_int_equal(p.non_embedding, 2 * 448 + 8);
}

static uint64_t total_of(const sp_model *model)
{
    return sp_model_parameters(model).total;
}

static void biases_and_norms_add_their_vectors(void **state)
{
    (void)state;
    const sp_model plain = tiny();
    sp_model model = tiny();
    model.kinds[0].attention.qkv_bias = true; /* 2 (4 + 2 + 2) a layer */
    assert_int_equal(total_of(&model) - total_of(&plain), 2 * 16);
    model = tiny();
    model.kinds[0].attention.out_bias = true; /* hidden */
    assert_int_equal(total_of(&model) - total_of(&plain), 2 * 8);
    model = tiny();
    model.kinds[0].attention.qk_norm = 2 * model.kinds[0].attention.head_dim; /* 2 head_dim */
    assert_int_equal(total_of(&model) - total_of(&plain), 2 * 4);
    model = tiny();
    model.kinds[0].ffn.bias = true; /* gate 10, up 10, down 8 */
    assert_int_equal(total_of(&model) - total_of(&plain), 2 * 28);
    model = tiny();
    model.norm_vectors = 2; /* 5 norms get a bias of 8 */
    assert_int_equal(total_of(&model) - total_of(&plain), 5 * 8);
    model = tiny();
    model.positions = 16;
    assert_int_equal(total_of(&model) - total_of(&plain), 16 * 8);
}

static void a_feed_forward_without_gate_has_two_matrices(void **state)
{
    (void)state;
    const sp_model plain = tiny();
    sp_model model = tiny();
    model.kinds[0].ffn.gated = false;
    assert_int_equal(total_of(&plain) - total_of(&model), 2 * 80);
}

/* Values of 3 where keys have 2: value 8x2x3 = 48 instead of 32, output 4x3x8 = 96 instead of 64.
 */
static void values_may_have_another_size_than_keys(void **state)
{
    (void)state;
    const sp_model plain = tiny();
    sp_model model = tiny();
    model.kinds[0].attention.v_dim = 3;
    assert_int_equal(total_of(&model) - total_of(&plain), 2 * (16 + 32));
}

/* 4 heads of 5, of which 2 rotary, values of 3, latent vectors of 6 and 7:
 * query 8x6 + norm 6 + 6x20 = 174; key and value 8x(7+2) + norm 7 + 7x4x(3+3) = 247; output
 * 4x3x8 = 96; together 517, where tiny has 192. */
static void latent_attention_counts_its_projections_down_and_up_and_their_norms(void **state)
{
    (void)state;
    const sp_model plain = tiny();
    sp_model model = tiny();
    sp_attention *const attention = &model.kinds[0].attention;
    *attention = (sp_attention){.norms = 1,
                                .heads = 4,
                                .kv_heads = 4,
                                .head_dim = 5,
                                .v_dim = 3,
                                .q_lora = 6,
                                .kv_lora = 7,
                                .rope_dim = 2};
    assert_int_equal(total_of(&model) - total_of(&plain), 2 * (517 - 192));
    attention->qkv_bias = true; /* on the projections down: 6 + 7 + 2 */
    attention->out_bias = true; /* hidden */
    assert_int_equal(total_of(&model) - total_of(&plain), 2 * (517 - 192 + 15 + 8));
    attention->qkv_bias = false;
    attention->out_bias = false;
    attention->q_lora = 0; /* query 8x20 = 160 instead of 174 */
    assert_int_equal(total_of(&model) - total_of(&plain), 2 * (517 - 192 - 14));
}

static void sinks_are_one_number_a_head(void **state)
{
    (void)state;
    const sp_model plain = tiny();
    sp_model model = tiny();
    model.kinds[0].attention.sinks = true;
    assert_int_equal(total_of(&model) - total_of(&plain), 2 * 4);
}

/* 6 experts: a bias of 6 on the router, of 5 + 5 + 8 on each expert, of which a token meets 2. */
static void biases_of_experts_belong_to_the_experts_and_that_of_the_router_to_all(void **state)
{
    (void)state;
    sp_model model = tiny();
    sp_ffn *const ffn = &model.kinds[0].ffn;
    *ffn = (sp_ffn){.norms = 1, .gated = true, .n_experts = 6, .top_k = 2, .expert_ffn = 5};
    const sp_parameters plain = sp_model_parameters(&model);
    ffn->router_bias = true;
    ffn->expert_bias = true;
    const sp_parameters biased = sp_model_parameters(&model);
    assert_int_equal(biased.total - plain.total, 2 * (6 + 6 * 18));
    assert_int_equal(biased.active - plain.active, 2 * (6 + 2 * 18));
}

/* A module: a layer of 448, 16 x 8 = 128, three norms of 8. */
static void prediction_modules_are_counted_apart(void **state)
{
    (void)state;
    const sp_model plain = tiny();
    sp_model model = tiny();
    model.mtp_layers = 3;
    const sp_parameters p = sp_model_parameters(&model);
    assert_int_equal(p.mtp, 3 * (448 + 128 + 24));
    assert_int_equal(p.total, total_of(&plain));
    assert_int_equal(p.active, total_of(&plain));
    assert_int_equal(sp_model_parameters(&plain).mtp, 0);
}

/* Layer 0 dense as above, 448; layers 1..3 have 6 experts of 3 x 8x5 = 120, a router of 8x6, a
 * shared expert of 3 x 8x7 = 168 and its gate of 8, with attention and norms 208. */
static void a_token_uses_its_own_experts_and_the_shared_one(void **state)
{
    (void)state;
    sp_model model = tiny();
    model.n_layers = 4;
    model.n_kinds = 2;
    model.kinds[1].attention = model.kinds[0].attention;
    model.kinds[1].ffn = (sp_ffn){.norms = 1,
                                  .gated = true,
                                  .n_experts = 6,
                                  .top_k = 2,
                                  .expert_ffn = 5,
                                  .shared_ffn = 7,
                                  .shared_gate = true};
    model.n_runs = 2;
    model.runs = dense_then_sparse;
    const sp_parameters p = sp_model_parameters(&model);
    const uint64_t sparse = 208 + 6 * 120 + 48 + 168 + 8;
    assert_int_equal(p.total, 448 + 3 * sparse + 1608);
    assert_int_equal(p.active, p.total - 3 * 4 * 120);
}

/* V h + P h + L (12 h^2 + 13 h) + 2 h for GPT-2 (Radford et al. 2019): 124,439,808. */
static void gpt2_has_the_published_number_of_parameters(void **state)
{
    (void)state;
    static const sp_layer_run layers[] = {
        {.kind = 0, .count = 12}
    };
    const sp_model model = {
        .hidden = 768,
        .vocab = 50257,
        .positions = 1024,
        .tied_embeddings = true,
        .norm_vectors = 2,
        .outer_norms = 1,
        .n_layers = 12,
        .n_kinds = 1,
        .kinds = {{.attention = {.norms = 1,
                                 .heads = 12,
                                 .kv_heads = 12,
                                 .head_dim = 64,
                                 .qkv_bias = true,
                                 .out_bias = true},
                   .ffn = {.ffn = 3072, .bias = true, .norms = 1}}},
        .n_runs = 1,
        .runs = layers,
    };
    const uint64_t by_formula =
        50257ull * 768 + 1024 * 768 + 12 * (12 * 768 * 768 + 13 * 768) + 1536;
    assert_int_equal(by_formula, 124439808);
    assert_int_equal(total_of(&model), by_formula);
}

static void a_count_that_does_not_fit_64_bits_is_noticed(void **state)
{
    (void)state;
    static const sp_layer_run many[] = {
        {.kind = 0, .count = 1u << 14}
    };
    sp_model model = tiny();
    sp_parameters p;
    assert_true(sp_model_count(&model, &p));
    model.hidden = 1u << 20;
    model.n_layers = 1u << 14;
    model.runs = many;
    model.kinds[0].ffn =
        (sp_ffn){.gated = true, .n_experts = 1u << 16, .top_k = 1, .expert_ffn = 1u << 24};
    assert_false(sp_model_count(&model, &p));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_parts_of_a_tiny_model_add_up),
        cmocka_unit_test(a_tied_head_counts_once),
        cmocka_unit_test(biases_and_norms_add_their_vectors),
        cmocka_unit_test(a_feed_forward_without_gate_has_two_matrices),
        cmocka_unit_test(values_may_have_another_size_than_keys),
        cmocka_unit_test(latent_attention_counts_its_projections_down_and_up_and_their_norms),
        cmocka_unit_test(sinks_are_one_number_a_head),
        cmocka_unit_test(biases_of_experts_belong_to_the_experts_and_that_of_the_router_to_all),
        cmocka_unit_test(prediction_modules_are_counted_apart),
        cmocka_unit_test(a_token_uses_its_own_experts_and_the_shared_one),
        cmocka_unit_test(gpt2_has_the_published_number_of_parameters),
        cmocka_unit_test(a_count_that_does_not_fit_64_bits_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
