/* SPDX-License-Identifier: Apache-2.0 */
/* Hugging Face configurations: what is read, what is defaulted and said so, what is passed over.
 * What is refused is in tests/bad/model-NAME. */
#include "model_fixture.h"

static void a_llama_without_options_is_multi_head_and_has_no_biases(void **state)
{
    (void)state;
    sp_arena arena = {0};
    const sp_model *m = fixture_model(&arena, "{\"model_type\": \"llama\", " FIXTURE_SIZES "}");
    const sp_layer_kind *kind = sp_model_layer(m, 3);
    assert_int_equal(kind->attention.kv_heads, 8);
    assert_int_equal(kind->attention.head_dim, 8);
    assert_false(kind->attention.qkv_bias || kind->attention.out_bias || kind->ffn.bias);
    assert_true(kind->ffn.gated);
    assert_false(m->tied_embeddings || m->norm_vectors != 1 || m->dropout);
    assert_int_equal(m->n_runs, 1);
    assert_int_equal(m->max_context, 2048);
    assert_int_equal(m->n_assumptions, 1);
    assert_true(fixture_assumes(m, "the defaults of llama hold:"));
    assert_true(fixture_assumes(m, "num_key_value_heads null"));
    assert_true(fixture_assumes(m, "tie_word_embeddings false"));
    assert_false(fixture_assumes(m, "hidden_size"));
    sp_arena_fini(&arena);
}

static void the_biases_of_a_llama_are_read(void **state)
{
    (void)state;
    sp_arena arena = {0};
    const sp_model *m =
        fixture_model(&arena, "{\"model_type\": \"llama\", \"attention_bias\": true, "
                              "\"mlp_bias\": true, " FIXTURE_SIZES "}");
    const sp_layer_kind *kind = sp_model_layer(m, 0);
    assert_true(kind->attention.qkv_bias && kind->attention.out_bias && kind->ffn.bias);
    sp_arena_fini(&arena);
}

static void a_stated_head_dim_need_not_be_hidden_over_heads(void **state)
{
    (void)state;
    sp_arena arena = {0};
    const sp_model *m =
        fixture_model(&arena, "{\"model_type\": \"llama\", \"head_dim\": 32, " FIXTURE_SIZES "}");
    assert_int_equal(sp_model_layer(m, 0)->attention.head_dim, 32);
    sp_arena_fini(&arena);
}

static void the_window_of_a_mistral_is_4096_unless_null(void **state)
{
    (void)state;
    sp_arena arena = {0};
    const char *const heads = "{\"model_type\": \"mistral\", %s " FIXTURE_SIZES "}";
    char text[512];
    snprintf(text, sizeof text, heads, "");
    assert_int_equal(sp_model_layer(fixture_model(&arena, text), 0)->attention.window, 4096);
    snprintf(text, sizeof text, heads, "\"sliding_window\": null,");
    assert_int_equal(sp_model_layer(fixture_model(&arena, text), 0)->attention.window, 0);
    snprintf(text, sizeof text, heads, "\"sliding_window\": 512, \"num_key_value_heads\": 2,");
    const sp_attention *attention = &sp_model_layer(fixture_model(&arena, text), 0)->attention;
    assert_int_equal(attention->window, 512);
    assert_int_equal(attention->kv_heads, 2);
    sp_arena_fini(&arena);
}

static void absent_and_null_key_and_value_heads_differ_for_a_mistral(void **state)
{
    (void)state;
    sp_arena arena = {0};
    const sp_model *absent = fixture_model(
        &arena, "{\"model_type\": \"mistral\", \"vocab_size\": 100, \"hidden_size\": 64, "
                "\"intermediate_size\": 96, \"num_hidden_layers\": 1, "
                "\"num_attention_heads\": 16}");
    const sp_model *null = fixture_model(
        &arena, "{\"model_type\": \"mistral\", \"vocab_size\": 100, \"hidden_size\": 64, "
                "\"intermediate_size\": 96, \"num_hidden_layers\": 1, "
                "\"num_attention_heads\": 16, \"num_key_value_heads\": null}");
    assert_int_equal(sp_model_layer(absent, 0)->attention.kv_heads, 8);
    assert_int_equal(sp_model_layer(null, 0)->attention.kv_heads, 16);
    sp_arena_fini(&arena);
}

static void a_qwen2_has_biases_on_query_key_and_value_only(void **state)
{
    (void)state;
    sp_arena arena = {0};
    const sp_model *m =
        fixture_model(&arena, "{\"model_type\": \"qwen2\", \"num_key_value_heads\": 2, "
                              "\"sliding_window\": 1024, " FIXTURE_SIZES "}");
    const sp_attention *attention = &sp_model_layer(m, 3)->attention;
    assert_true(attention->qkv_bias);
    assert_false(attention->out_bias || attention->qk_norm);
    assert_int_equal(attention->window, 0); /* use_sliding_window is false by default */
    sp_arena_fini(&arena);
}

static void a_qwen3_has_norms_and_a_head_dim_of_128(void **state)
{
    (void)state;
    sp_arena arena = {0};
    const sp_model *m = fixture_model(
        &arena, "{\"model_type\": \"qwen3\", \"num_key_value_heads\": 2, " FIXTURE_SIZES "}");
    const sp_attention *attention = &sp_model_layer(m, 0)->attention;
    assert_int_equal(attention->qk_norm, 2 * attention->head_dim);
    assert_false(attention->qkv_bias);
    assert_int_equal(attention->head_dim, 128);
    sp_arena_fini(&arena);
}

static void the_layers_of_a_qwen_after_max_window_layers_have_the_window(void **state)
{
    (void)state;
    sp_arena arena = {0};
    const sp_model *m =
        fixture_model(&arena, "{\"model_type\": \"qwen2\", \"num_key_value_heads\": 2, "
                              "\"use_sliding_window\": true, \"sliding_window\": 1024, "
                              "\"max_window_layers\": 3, " FIXTURE_SIZES "}");
    assert_int_equal(m->n_runs, 2);
    assert_int_equal(m->runs[0].count, 3);
    assert_int_equal(sp_model_layer(m, 2)->attention.window, 0);
    assert_int_equal(sp_model_layer(m, 3)->attention.window, 1024);
    sp_arena_fini(&arena);
}

static void layer_types_say_which_layers_have_the_window(void **state)
{
    (void)state;
    sp_arena arena = {0};
    const sp_model *m = fixture_model(
        &arena,
        "{\"model_type\": \"qwen3\", \"num_key_value_heads\": 2, "
        "\"use_sliding_window\": true, \"layer_types\": [\"sliding_attention\", "
        "\"full_attention\", \"sliding_attention\", \"sliding_attention\"], " FIXTURE_SIZES "}");
    assert_int_equal(m->n_runs, 3);
    assert_int_equal(sp_model_layer(m, 0)->attention.window, 4096);
    assert_int_equal(sp_model_layer(m, 1)->attention.window, 0);
    assert_int_equal(sp_model_layer(m, 3)->attention.window, 4096);
    sp_arena_fini(&arena);
}

static void the_experts_of_a_mixtral_have_the_intermediate_size(void **state)
{
    (void)state;
    sp_arena arena = {0};
    const sp_model *m = fixture_model(
        &arena, "{\"model_type\": \"mixtral\", \"num_local_experts\": 4, "
                "\"num_experts_per_tok\": 2, \"num_key_value_heads\": 8, " FIXTURE_SIZES "}");
    const sp_ffn *ffn = &sp_model_layer(m, 0)->ffn;
    assert_int_equal(ffn->n_experts, 4);
    assert_int_equal(ffn->top_k, 2);
    assert_int_equal(ffn->expert_ffn, 96);
    assert_int_equal(ffn->ffn, 0);
    assert_int_equal(sp_model_layer(m, 0)->attention.window, 0);
    sp_arena_fini(&arena);
}

/* Six layers, every second one sparse (1, 3, 5), and layer 3 made dense: D S D D D S. */
static void a_qwen3_moe_may_have_dense_layers(void **state)
{
    (void)state;
    sp_arena arena = {0};
    const sp_model *m = fixture_model(
        &arena, "{\"model_type\": \"qwen3_moe\", \"vocab_size\": 100, \"hidden_size\": 64, "
                "\"intermediate_size\": 96, \"moe_intermediate_size\": 16, "
                "\"num_hidden_layers\": 6, \"num_attention_heads\": 8, \"num_experts\": 4, "
                "\"num_experts_per_tok\": 2, \"decoder_sparse_step\": 2, "
                "\"mlp_only_layers\": [3]}");
    static const bool sparse[] = {false, true, false, false, false, true};
    assert_int_equal(m->n_kinds, 2);
    assert_int_equal(m->n_runs, 4);
    for (uint32_t i = 0; i < 6; i++) {
        const sp_ffn *ffn = &sp_model_layer(m, i)->ffn;
        assert_int_equal(ffn->n_experts, sparse[i] ? 4 : 0);
        assert_int_equal(ffn->ffn, sparse[i] ? 0 : 96);
    }
    sp_arena_fini(&arena);
}

static void a_gpt2_is_tied_has_dropout_and_a_feed_forward_of_four_times_its_width(void **state)
{
    (void)state;
    sp_arena arena = {0};
    const sp_model *m = fixture_model(&arena, "{\"model_type\": \"gpt2\", \"vocab_size\": 100, "
                                              "\"n_embd\": 64, \"n_layer\": 2, \"n_head\": 4}");
    assert_true(m->tied_embeddings && m->norm_vectors == 2 && m->dropout);
    assert_int_equal(m->positions, 1024);
    assert_int_equal(sp_model_layer(m, 0)->ffn.ffn, 256);
    assert_int_equal(sp_model_layer(m, 0)->attention.kv_heads, 4);
    sp_arena_fini(&arena);
}

static void a_gpt2_may_use_the_long_names_and_switch_dropout_off(void **state)
{
    (void)state;
    sp_arena arena = {0};
    const sp_model *m = fixture_model(
        &arena, "{\"model_type\": \"gpt2\", \"vocab_size\": 100, \"hidden_size\": 64, "
                "\"num_hidden_layers\": 2, \"num_attention_heads\": 4, \"n_inner\": 100, "
                "\"max_position_embeddings\": 32, \"resid_pdrop\": 0, \"embd_pdrop\": 0.0, "
                "\"attn_pdrop\": 0, \"tie_word_embeddings\": false}");
    assert_false(m->tied_embeddings || m->dropout);
    assert_int_equal(m->positions, 32);
    assert_int_equal(sp_model_layer(m, 1)->ffn.ffn, 100);
    sp_arena_fini(&arena);
}

static void inert_keys_are_passed_over_and_unknown_ones_become_assumptions(void **state)
{
    (void)state;
    sp_arena arena = {0};
    const sp_model *m =
        fixture_model(&arena, "{\"model_type\": \"llama\", \"rope_scaling\": {\"factor\": 8.0}, "
                              "\"torch_dtype\": \"bfloat16\", \"favourite_colour\": \"green\", "
                              "\"quantization_config\": {\"bits\": 4}, \"n_routed_experts\": null, "
                              "\"num_experts\": 0, \"use_qk_norm\": true, " FIXTURE_SIZES "}");
    assert_true(fixture_assumes(m, "favourite_colour is not known for model_type llama"));
    assert_true(fixture_assumes(m, "quantization_config is ignored"));
    assert_false(fixture_assumes(m, "rope_scaling"));
    assert_false(fixture_assumes(m, "torch_dtype"));
    assert_false(fixture_assumes(m, "num_experts"));
    assert_true(fixture_assumes(m, "use_qk_norm changes the shapes of other models, but not"));
    sp_arena_fini(&arena);
}

static void a_file_that_states_everything_needs_no_assumption(void **state)
{
    (void)state;
    sp_arena arena = {0};
    const sp_model *m = fixture_model(
        &arena,
        "{\"model_type\": \"llama\", \"num_key_value_heads\": 2, \"head_dim\": 8, "
        "\"attention_bias\": false, \"mlp_bias\": false, \"attention_dropout\": 0.0, "
        "\"max_position_embeddings\": 2048, \"tie_word_embeddings\": true, " FIXTURE_SIZES "}");
    assert_int_equal(m->n_assumptions, 0);
    assert_int_equal(m->max_context, 2048);
    assert_true(m->tied_embeddings);
    sp_arena_fini(&arena);
}

static void more_unknown_keys_than_there_is_room_for_are_counted(void **state)
{
    (void)state;
    sp_arena arena = {0};
    sp_text text = {0};
    sp_text_add(&text, "{\"model_type\": \"llama\", ");
    for (int i = 0; i < 100; i++) {
        sp_text_printf(&text, "\"zzzzzzzz_%d\": 1, ", i);
    }
    sp_text_add(&text, FIXTURE_SIZES "}");
    const sp_model *m = fixture_model(&arena, text.data);
    /* 100 unknown keys and a sentence on defaults; the 64th place tells of the 38 too many */
    assert_int_equal(m->n_assumptions, 64);
    assert_non_null(strstr(m->assumptions[63], "38 more"));
    sp_text_fini(&text);
    sp_arena_fini(&arena);
}

/* The law without data: the published dimensions of Llama-3.1-8B, typed in as a config.json. */
static void a_config_and_our_file_of_one_model_agree(void **state)
{
    (void)state;
    sp_arena arena = {0};
    sp_error err = {0};
    const sp_model *own = NULL;
    const sp_model *hf = fixture_model(
        &arena, "{\"model_type\": \"llama\", \"vocab_size\": 128256, \"hidden_size\": 4096, "
                "\"intermediate_size\": 14336, \"num_hidden_layers\": 32, "
                "\"num_attention_heads\": 32, \"num_key_value_heads\": 8, "
                "\"max_position_embeddings\": 131072}");
    assert_int_equal(sp_model_find(&arena, fixture_home(), "llama-3.1-8b", &own, &err), SP_OK);
    assert_true(fixture_same_shapes(own, hf));
    assert_int_equal(own->max_context, hf->max_context);
    assert_int_equal(sp_model_parameters(hf).total, 8030261248);
    sp_arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_llama_without_options_is_multi_head_and_has_no_biases),
        cmocka_unit_test(the_biases_of_a_llama_are_read),
        cmocka_unit_test(a_stated_head_dim_need_not_be_hidden_over_heads),
        cmocka_unit_test(the_window_of_a_mistral_is_4096_unless_null),
        cmocka_unit_test(absent_and_null_key_and_value_heads_differ_for_a_mistral),
        cmocka_unit_test(a_qwen2_has_biases_on_query_key_and_value_only),
        cmocka_unit_test(a_qwen3_has_norms_and_a_head_dim_of_128),
        cmocka_unit_test(the_layers_of_a_qwen_after_max_window_layers_have_the_window),
        cmocka_unit_test(layer_types_say_which_layers_have_the_window),
        cmocka_unit_test(the_experts_of_a_mixtral_have_the_intermediate_size),
        cmocka_unit_test(a_qwen3_moe_may_have_dense_layers),
        cmocka_unit_test(a_gpt2_is_tied_has_dropout_and_a_feed_forward_of_four_times_its_width),
        cmocka_unit_test(a_gpt2_may_use_the_long_names_and_switch_dropout_off),
        cmocka_unit_test(inert_keys_are_passed_over_and_unknown_ones_become_assumptions),
        cmocka_unit_test(a_file_that_states_everything_needs_no_assumption),
        cmocka_unit_test(more_unknown_keys_than_there_is_room_for_are_counted),
        cmocka_unit_test(a_config_and_our_file_of_one_model_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
