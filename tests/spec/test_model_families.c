/* SPDX-License-Identifier: Apache-2.0 */
/* Hugging Face configurations of the families beyond those in test_model_hf.c: what each reader
 * makes of its keys and of those that are absent. */
#include "model_fixture.h"

#define EXPERTS "\"n_routed_experts\": 6, \"num_experts_per_tok\": 2, \"moe_intermediate_size\": 16"

static void a_deepseek_v2_takes_the_latent_dimensions_of_its_class(void **state)
{
    (void)state;
    sp_arena arena = {0};
    const sp_model *m =
        fixture_model(&arena, "{\"model_type\": \"deepseek_v2\", " FIXTURE_SIZES ", " EXPERTS "}");
    const sp_layer_kind *kind = sp_model_layer(m, 0);
    assert_int_equal(kind->attention.q_lora, 1536);
    assert_int_equal(kind->attention.kv_lora, 512);
    assert_int_equal(kind->attention.head_dim, 128 + 64);
    assert_int_equal(kind->attention.rope_dim, 64);
    assert_int_equal(kind->attention.v_dim, 128);
    assert_int_equal(kind->attention.kv_heads, 8);
    assert_int_equal(kind->ffn.shared_ffn, 2 * 16);
    assert_int_equal(m->n_runs, 1); /* no dense layer unless stated */
    assert_int_equal(m->mtp_layers, 0);
    assert_true(fixture_assumes(m, "kv_lora_rank"));
    sp_arena_fini(&arena);
}

static void a_null_q_lora_rank_means_that_queries_are_projected_at_once(void **state)
{
    (void)state;
    sp_arena arena = {0};
    const sp_model *m = fixture_model(
        &arena,
        "{\"model_type\": \"deepseek_v2\", \"q_lora_rank\": null, " FIXTURE_SIZES ", " EXPERTS "}");
    assert_int_equal(sp_model_layer(m, 0)->attention.q_lora, 0);
    assert_false(fixture_assumes(m, "q_lora_rank"));
    sp_arena_fini(&arena);
}

static void a_deepseek_v3_has_three_dense_layers_and_its_prediction_modules(void **state)
{
    (void)state;
    sp_arena arena = {0};
    const sp_model *m =
        fixture_model(&arena, "{\"model_type\": \"deepseek_v3\", "
                              "\"num_nextn_predict_layers\": 2, " FIXTURE_SIZES ", " EXPERTS "}");
    assert_int_equal(m->mtp_layers, 2);
    assert_int_equal(m->n_runs, 2);
    assert_int_equal(sp_model_layer(m, 2)->ffn.ffn, 96);
    assert_int_equal(sp_model_layer(m, 2)->ffn.n_experts, 0);
    assert_int_equal(sp_model_layer(m, 3)->ffn.n_experts, 6);
    assert_int_equal(sp_model_layer(m, 3)->ffn.shared_ffn, 16);
    sp_arena_fini(&arena);
}

static void
prediction_modules_that_are_not_stated_are_those_of_the_class_and_that_is_said(void **state)
{
    (void)state;
    sp_arena arena = {0};
    const sp_model *m =
        fixture_model(&arena, "{\"model_type\": \"kimi_k2\", " FIXTURE_SIZES ", " EXPERTS "}");
    assert_int_equal(m->mtp_layers, 1);
    assert_true(fixture_assumes(m, "num_nextn_predict_layers 1"));
    sp_arena_fini(&arena);
}

static void key_and_value_heads_do_not_matter_in_latent_attention(void **state)
{
    (void)state;
    sp_arena arena = {0};
    const sp_model *m =
        fixture_model(&arena, "{\"model_type\": \"deepseek_v3\", "
                              "\"num_key_value_heads\": 1, " FIXTURE_SIZES ", " EXPERTS "}");
    assert_int_equal(sp_model_layer(m, 0)->attention.kv_heads, 8);
    sp_arena_fini(&arena);
}

static void a_glm4_moe_has_no_bias_on_its_output(void **state)
{
    (void)state;
    sp_arena arena = {0};
    const sp_model *m = fixture_model(
        &arena,
        "{\"model_type\": \"glm4_moe\", \"attention_bias\": true, "
        "\"use_qk_norm\": true, \"num_nextn_predict_layers\": 1, " FIXTURE_SIZES ", " EXPERTS "}");
    const sp_attention *attention = &sp_model_layer(m, 0)->attention;
    assert_true(attention->qkv_bias && attention->qk_norm && !attention->out_bias);
    assert_int_equal(attention->kv_heads, 8);
    assert_int_equal(sp_model_layer(m, 0)->ffn.n_experts, 0);
    assert_int_equal(sp_model_layer(m, 1)->ffn.n_experts, 6);
    assert_int_equal(m->mtp_layers, 1);
    sp_arena_fini(&arena);
}

static void the_layers_of_a_gpt_oss_take_turns_beginning_with_the_window(void **state)
{
    (void)state;
    sp_arena arena = {0};
    const sp_model *m =
        fixture_model(&arena, "{\"model_type\": \"gpt_oss\", \"num_local_experts\": 6, "
                              "\"num_experts_per_tok\": 2, " FIXTURE_SIZES "}");
    for (uint32_t i = 0; i < 4; i++) {
        const sp_layer_kind *kind = sp_model_layer(m, i);
        assert_int_equal(kind->attention.window, i % 2 == 0 ? 128 : 0);
        assert_true(kind->attention.sinks && kind->attention.qkv_bias && kind->attention.out_bias);
        assert_true(kind->ffn.router_bias && kind->ffn.expert_bias);
        assert_int_equal(kind->ffn.expert_ffn, 96);
        assert_int_equal(kind->attention.head_dim, 64);
    }
    assert_true(fixture_assumes(m, "layer_types"));
    sp_arena_fini(&arena);
}

static void the_layer_types_of_a_gpt_oss_hold_where_they_are_stated(void **state)
{
    (void)state;
    sp_arena arena = {0};
    const sp_model *m = fixture_model(
        &arena,
        "{\"model_type\": \"gpt_oss\", \"num_local_experts\": 6, "
        "\"num_experts_per_tok\": 2, \"layer_types\": [\"full_attention\", "
        "\"full_attention\", \"sliding_attention\", \"full_attention\"], " FIXTURE_SIZES "}");
    assert_int_equal(m->n_runs, 3);
    assert_int_equal(sp_model_layer(m, 0)->attention.window, 0);
    assert_int_equal(sp_model_layer(m, 2)->attention.window, 128);
    sp_arena_fini(&arena);
}

static void a_qwen2_moe_has_a_shared_expert_behind_a_gate(void **state)
{
    (void)state;
    sp_arena arena = {0};
    const sp_model *m = fixture_model(
        &arena, "{\"model_type\": \"qwen2_moe\", \"num_experts\": 6, "
                "\"num_experts_per_tok\": 2, \"moe_intermediate_size\": 16, "
                "\"shared_expert_intermediate_size\": 40, \"decoder_sparse_step\": 2, "
                "\"num_key_value_heads\": 8, " FIXTURE_SIZES "}");
    const sp_layer_kind *sparse = sp_model_layer(m, 1);
    assert_int_equal(sparse->ffn.shared_ffn, 40);
    assert_true(sparse->ffn.shared_gate);
    assert_true(sparse->attention.qkv_bias && !sparse->attention.out_bias);
    assert_int_equal(sp_model_layer(m, 0)->ffn.ffn, 96);
    assert_false(sp_model_layer(m, 0)->ffn.shared_gate);
    sp_arena_fini(&arena);
}

static void a_phi3_has_a_window_only_where_it_is_stated(void **state)
{
    (void)state;
    sp_arena arena = {0};
    const sp_model *without =
        fixture_model(&arena, "{\"model_type\": \"phi3\", " FIXTURE_SIZES "}");
    const sp_model *with = fixture_model(
        &arena, "{\"model_type\": \"phi3\", \"sliding_window\": 2047, " FIXTURE_SIZES "}");
    assert_int_equal(sp_model_layer(without, 0)->attention.window, 0);
    assert_int_equal(sp_model_layer(with, 0)->attention.window, 2047);
    sp_arena_fini(&arena);
}

static void a_granite_may_have_biases_and_its_multipliers_change_nothing(void **state)
{
    (void)state;
    sp_arena arena = {0};
    const sp_model *m = fixture_model(&arena, "{\"model_type\": \"granite\", \"mlp_bias\": true, "
                                              "\"embedding_multiplier\": 12.0, " FIXTURE_SIZES "}");
    assert_true(sp_model_layer(m, 0)->ffn.bias);
    assert_false(fixture_assumes(m, "embedding_multiplier"));
    sp_arena_fini(&arena);
}

static void the_experts_of_a_granitemoe_have_the_intermediate_size(void **state)
{
    (void)state;
    sp_arena arena = {0};
    const sp_model *m =
        fixture_model(&arena, "{\"model_type\": \"granitemoe\", \"num_local_experts\": 6, "
                              "\"num_experts_per_tok\": 2, " FIXTURE_SIZES "}");
    assert_int_equal(sp_model_layer(m, 0)->ffn.expert_ffn, 96);
    assert_int_equal(sp_model_layer(m, 0)->attention.kv_heads, 8);
    sp_arena_fini(&arena);
}

static void a_gpt_neox_has_biases_everywhere_and_a_head_of_its_own(void **state)
{
    (void)state;
    sp_arena arena = {0};
    const sp_model *m = fixture_model(&arena, "{\"model_type\": \"gpt_neox\", " FIXTURE_SIZES "}");
    const sp_layer_kind *kind = sp_model_layer(m, 0);
    assert_true(kind->attention.qkv_bias && kind->attention.out_bias && kind->ffn.bias);
    assert_int_equal(m->norm_vectors, 2);
    assert_false(kind->ffn.gated || m->tied_embeddings || m->dropout);
    sp_arena_fini(&arena);
}

static void a_starcoder2_is_tied_and_shares_two_heads(void **state)
{
    (void)state;
    sp_arena arena = {0};
    const sp_model *m =
        fixture_model(&arena, "{\"model_type\": \"starcoder2\", \"use_bias\": false, "
                              "\"residual_dropout\": 0.1, " FIXTURE_SIZES "}");
    const sp_layer_kind *kind = sp_model_layer(m, 0);
    assert_int_equal(kind->attention.kv_heads, 2);
    assert_false(kind->attention.qkv_bias || kind->attention.out_bias || kind->ffn.bias);
    assert_true(m->tied_embeddings && m->dropout && m->norm_vectors == 2);
    sp_arena_fini(&arena);
}

static void a_nemotron_has_two_matrices_and_no_biases_but_in_its_norms(void **state)
{
    (void)state;
    sp_arena arena = {0};
    const sp_model *m = fixture_model(&arena, "{\"model_type\": \"nemotron\", "
                                              "\"num_key_value_heads\": 8, " FIXTURE_SIZES "}");
    const sp_layer_kind *kind = sp_model_layer(m, 0);
    assert_false(kind->ffn.gated || kind->ffn.bias || kind->attention.qkv_bias);
    assert_int_equal(m->norm_vectors, 2);
    sp_arena_fini(&arena);
}

static void the_position_table_of_an_opt_has_two_more_rows(void **state)
{
    (void)state;
    sp_arena arena = {0};
    const sp_model *m = fixture_model(
        &arena, "{\"model_type\": \"opt\", \"vocab_size\": 100, \"hidden_size\": 64, "
                "\"ffn_dim\": 96, \"num_hidden_layers\": 4, \"num_attention_heads\": 8, "
                "\"max_position_embeddings\": 32, \"word_embed_proj_dim\": 64}");
    assert_int_equal(m->positions, 34);
    assert_int_equal(m->max_context, 32);
    assert_true(m->tied_embeddings && m->dropout && m->norm_vectors == 2);
    assert_true(sp_model_layer(m, 0)->ffn.bias);
    sp_arena_fini(&arena);
}

static void an_mpt_has_neither_biases_nor_a_position_table(void **state)
{
    (void)state;
    sp_arena arena = {0};
    const sp_model *m =
        fixture_model(&arena, "{\"model_type\": \"mpt\", \"vocab_size\": 100, \"d_model\": 64, "
                              "\"n_layers\": 4, \"n_heads\": 8, \"max_seq_len\": 32, "
                              "\"attn_config\": {\"alibi\": true}, \"no_bias\": true}");
    const sp_layer_kind *kind = sp_model_layer(m, 0);
    assert_int_equal(m->positions, 0);
    assert_int_equal(kind->ffn.ffn, 4 * 64);
    assert_false(m->norm_vectors == 2 || kind->ffn.bias || kind->attention.qkv_bias ||
                 kind->ffn.gated);
    assert_true(m->tied_embeddings);
    sp_arena_fini(&arena);
}

static void the_sizes_of_a_dbrx_stand_in_its_inner_objects(void **state)
{
    (void)state;
    sp_arena arena = {0};
    const sp_model *m = fixture_model(
        &arena, "{\"model_type\": \"dbrx\", \"vocab_size\": 100, \"d_model\": 64, \"n_layers\": 4, "
                "\"n_heads\": 8, \"attn_config\": {\"kv_n_heads\": 2, \"rope_theta\": 1e4}, "
                "\"ffn_config\": "
                "{\"ffn_hidden_size\": 96, \"moe_num_experts\": 6, \"moe_top_k\": 3}}");
    const sp_layer_kind *kind = sp_model_layer(m, 0);
    assert_int_equal(kind->attention.kv_heads, 2);
    assert_int_equal(kind->ffn.n_experts, 6);
    assert_int_equal(kind->ffn.top_k, 3);
    assert_int_equal(kind->ffn.expert_ffn, 96);
    assert_false(m->norm_vectors == 2 || m->tied_embeddings);
    sp_arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_deepseek_v2_takes_the_latent_dimensions_of_its_class),
        cmocka_unit_test(a_null_q_lora_rank_means_that_queries_are_projected_at_once),
        cmocka_unit_test(a_deepseek_v3_has_three_dense_layers_and_its_prediction_modules),
        cmocka_unit_test(
            prediction_modules_that_are_not_stated_are_those_of_the_class_and_that_is_said),
        cmocka_unit_test(key_and_value_heads_do_not_matter_in_latent_attention),
        cmocka_unit_test(a_glm4_moe_has_no_bias_on_its_output),
        cmocka_unit_test(the_layers_of_a_gpt_oss_take_turns_beginning_with_the_window),
        cmocka_unit_test(the_layer_types_of_a_gpt_oss_hold_where_they_are_stated),
        cmocka_unit_test(a_qwen2_moe_has_a_shared_expert_behind_a_gate),
        cmocka_unit_test(a_phi3_has_a_window_only_where_it_is_stated),
        cmocka_unit_test(a_granite_may_have_biases_and_its_multipliers_change_nothing),
        cmocka_unit_test(the_experts_of_a_granitemoe_have_the_intermediate_size),
        cmocka_unit_test(a_gpt_neox_has_biases_everywhere_and_a_head_of_its_own),
        cmocka_unit_test(a_starcoder2_is_tied_and_shares_two_heads),
        cmocka_unit_test(a_nemotron_has_two_matrices_and_no_biases_but_in_its_norms),
        cmocka_unit_test(the_position_table_of_an_opt_has_two_more_rows),
        cmocka_unit_test(an_mpt_has_neither_biases_nor_a_position_table),
        cmocka_unit_test(the_sizes_of_a_dbrx_stand_in_its_inner_objects),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
