/* SPDX-License-Identifier: Apache-2.0 */
/* The architecture columns of a row against published parameter counts and layer patterns. */
#include "fidelity/fidelity_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static sp_error err;

static const char header[] =
    "model,layers,hidden,heads,kv_heads,head_dim,ffn,ffn_act,vocab,seq,attn,experts,topk,moe_ffn,"
    "shared_ffn,dense_layers,mtp\n";

typedef struct made {
    sp_arena arena;
    const sp_model *model;
    sp_reason reason;
} made;

/* Reads one row of these columns. */
static made read_row(const char *row, uint32_t traits)
{
    static const sp_column columns[] = {
        SP_COLUMN_MODEL,    SP_COLUMN_LAYERS,   SP_COLUMN_HIDDEN,     SP_COLUMN_HEADS,
        SP_COLUMN_KV_HEADS, SP_COLUMN_HEAD_DIM, SP_COLUMN_FFN,        SP_COLUMN_FFN_ACT,
        SP_COLUMN_VOCAB,    SP_COLUMN_SEQ,      SP_COLUMN_ATTN,       SP_COLUMN_EXPERTS,
        SP_COLUMN_TOPK,     SP_COLUMN_MOE_FFN,  SP_COLUMN_SHARED_FFN, SP_COLUMN_DENSE_LAYERS,
        SP_COLUMN_MTP};
    made out = {0};
    sp_table table = {0};
    sp_text text = {0};
    sp_text_printf(&text, "%s%s\n", header, row);
    assert_int_equal(sp_csv_parse(text.data, text.length, "made.csv", &table.csv, &err), SP_OK);
    for (uint32_t i = 0; i < sizeof columns / sizeof columns[0]; i++) {
        table.at[columns[i]] = i;
    }
    if (sp_row_model(&out.arena, &table, 0, traits, &out.model, &out.reason, &err) != SP_OK) {
        fail_msg("%s", err.message);
    }
    sp_text_fini(&text);
    sp_table_fini(&table);
    return out;
}

/* meta-llama/Llama-3.1-8B states 8,030,261,248 parameters. */
static void a_dense_row_has_the_published_number_of_parameters(void **state)
{
    (void)state;
    made m = read_row("llama,32,4096,32,8,128,14336,swiglu,128256,8192,gqa,,,,,,", 0);
    assert_non_null(m.model);
    assert_int_equal(sp_model_parameters(m.model).total, 8030261248);
    assert_int_equal(m.model->n_runs, 1);
    sp_arena_fini(&m.arena);
}

/* GPT-2 XL has 1,557,611,200: 48 layers, learned positions, biases, one table. */
static void traits_add_what_the_columns_do_not_say(void **state)
{
    (void)state;
    const uint32_t gpt = 1u << SP_TRAIT_BIAS | 1u << SP_TRAIT_LAYER_NORM |
                         1u << SP_TRAIT_LEARNED_POSITIONS | 1u << SP_TRAIT_TIED_EMBEDDINGS;
    made m = read_row("gpt2,48,1600,25,25,64,6400,gelu,50257,1024,mha,,,,,,", gpt);
    assert_non_null(m.model);
    assert_int_equal(sp_model_parameters(m.model).total, 1557611200);
    sp_arena_fini(&m.arena);
}

static void dense_layers_come_before_those_with_experts(void **state)
{
    (void)state;
    made m = read_row("moe,8,512,8,8,64,2048,swiglu,1000,1024,mha,16,2,256,512,3,", 0);
    assert_non_null(m.model);
    assert_int_equal(m.model->n_runs, 2);
    assert_int_equal(m.model->runs[0].count, 3);
    assert_int_equal(m.model->runs[1].count, 5);
    assert_int_equal(sp_model_layer(m.model, 2)->ffn.ffn, 2048);
    assert_int_equal(sp_model_layer(m.model, 3)->ffn.n_experts, 16);
    assert_int_equal(sp_model_layer(m.model, 3)->ffn.shared_ffn, 512);
    sp_arena_fini(&m.arena);
}

static void windows_slide_in_every_other_layer(void **state)
{
    (void)state;
    made m = read_row("oss,4,512,8,2,64,,swiglu,1000,1024,gqa+sliding128 alternate,4,1,256,,0,",
                      1u << SP_TRAIT_SINKS);
    assert_non_null(m.model);
    assert_int_equal(sp_model_layer(m.model, 0)->attention.window, 128);
    assert_int_equal(sp_model_layer(m.model, 1)->attention.window, 0);
    assert_int_equal(sp_model_layer(m.model, 2)->attention.window, 128);
    assert_true(sp_model_layer(m.model, 1)->attention.sinks);
    sp_arena_fini(&m.arena);
}

static void latent_attention_is_read_from_its_text(void **state)
{
    (void)state;
    static const char row[] = "ds,4,7168,128,128,192,18432,swiglu,129280,4096,\"mla(q1536,kv512,"
                              "nope128,rope64,v128)\",256,8,2048,2048,1,1";
    made m = read_row(row, 1u << SP_TRAIT_PREDICTION_HEADS);
    made without = read_row(row, 0);
    assert_non_null(m.model);
    const sp_attention *a = &sp_model_layer(m.model, 0)->attention;
    assert_int_equal(a->q_lora, 1536);
    assert_int_equal(a->kv_lora, 512);
    assert_int_equal(a->rope_dim, 64);
    assert_int_equal(a->v_dim, 128);
    assert_int_equal(a->head_dim, 192);
    assert_int_equal(m.model->mtp_layers, 1);
    assert_int_equal(without.model->mtp_layers, 0);
    sp_arena_fini(&m.arena);
    sp_arena_fini(&without.arena);
}

static void rows_without_a_model_say_why(void **state)
{
    (void)state;
    static const char *const rows[] = {
        ",,512,8,8,64,2048,gelu,1000,1024,mha,,,,,,",         /* no layers        */
        ",8,512,8,8,64,2048,tanh,1000,1024,mha,,,,,,",        /* activation       */
        ",8,512,8,8,64,2048,gelu,1000,1024,linear,,,,,,",     /* attention        */
        ",8,512,8,8,64,2048,gelu,1000,1024,mha,8,16,256,,0,", /* top 16 of 8      */
        ",8,512,8,8,64,,gelu,1000,1024,mha,8,2,256,,1,",      /* dense, no width  */
        ",8,512,8,8,64,2048,gelu,1000,1024,\"mla(q1,kv2,nope3,rope4,v5)\",,,,,,"};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        made m = read_row(rows[i], 0);
        assert_null(m.model);
        assert_true(m.reason.text[0] != '\0');
        sp_arena_fini(&m.arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_dense_row_has_the_published_number_of_parameters),
        cmocka_unit_test(traits_add_what_the_columns_do_not_say),
        cmocka_unit_test(dense_layers_come_before_those_with_experts),
        cmocka_unit_test(windows_slide_in_every_other_layer),
        cmocka_unit_test(latent_attention_is_read_from_its_text),
        cmocka_unit_test(rows_without_a_model_say_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
