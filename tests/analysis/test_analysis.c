/* SPDX-License-Identifier: Apache-2.0 */
/* A tiny model worked out by hand, operator by operator and phase by phase; laws that hold for any
 * model: chunks of a prompt add up, fusing changes no FLOPs, rows hold what the model has. */
#include "analysis/tiny.h"
#include "graph/graph.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void exactly(double figure, double expected)
{
    if (figure != expected) fail_msg("%.17g instead of %.17g", figure, expected);
}

static void near(double figure, double expected)
{
    if (fabs(figure - expected) > 1e-12 * fabs(expected)) {
        fail_msg("%.17g instead of %.17g", figure, expected);
    }
}

typedef struct expected_row {
    const char *name;
    uint32_t layers;
    double flops, weight_bytes, read_bytes, write_bytes;
} expected_row;

static void check_rows(const sp_analysis *analysis, sp_phase phase, const expected_row *rows,
                       size_t n)
{
    const sp_phase_total *total = &analysis->phase[phase];
    assert_int_equal(total->count, n);
    for (size_t i = 0; i < n; i++) {
        const sp_operator *row = &analysis->operators[total->first + i];
        assert_string_equal(row->name, rows[i].name);
        assert_int_equal(row->layers, rows[i].layers);
        exactly(row->flops, rows[i].flops);
        exactly(row->weight_bytes, rows[i].weight_bytes);
        exactly(row->read_bytes, rows[i].read_bytes);
        exactly(row->write_bytes, rows[i].write_bytes);
    }
}

/* 8 tokens; a token attends to 2.5 in the mean. Attention norm and feed-forward norm, and both
 * residuals, are alike but not in name. */
static void every_operator_of_a_prompt(void **state)
{
    (void)state;
    static const expected_row rows[] = {
        {"embedding",          1, 0,    128, 0,   128}, /* 8 rows of 8 */
        {"attention_norm",     3, 256,  16,  128, 128}, /* 4 an element */
        {"qkv_projection",     3, 2048, 256, 128, 256}, /* 2 x 8 x 8 x 16 */
        {"rotary",             3, 288,  64,  192, 192}, /* 3 x 8 x 12; 4 positions x 4 x 4 bytes */
        {"cache_write",        3, 0,    0,   128, 64 }, /* 8 numbers a token, of 2 bytes, then 1 */
        {"attention_core",     3, 840,  0,   192, 128}, /* (2 x 8 + 5) x 2 x 8 x 2.5; 64 of cache */
        {"output_projection",  3, 1024, 128, 128, 128},
        {"attention_residual", 3, 64,   0,   256, 128},
        {"ffn_norm",           3, 256,  16,  128, 128},
        {"ffn_up",             3, 4096, 512, 128, 512}, /* up and gate */
        {"ffn_activation",     3, 128,  0,   512, 256},
        {"ffn_down",           3, 2048, 256, 256, 128},
        {"ffn_residual",       3, 64,   0,   256, 128},
        {"final_norm",         1, 64,   16,  32,  32 }, /* of the last token of each prompt */
        {"head",               1, 320,  160, 32,  40 },
    };
    made_model made;
    sp_arena arena = {0};
    make_tiny(&made);
    const sp_analysis_question question = tiny_question(&made);
    const sp_analysis *a = analyze(&arena, &question);
    check_rows(a, SP_PHASE_PREFILL, rows, sizeof rows / sizeof rows[0]);
    exactly(need_row(a, SP_PHASE_PREFILL, "attention_core")->cache_bytes, 64.0);
    const sp_phase_total *total = &a->phase[SP_PHASE_PREFILL];
    exactly(total->flops, 3.0 * 11112 + 384);
    exactly(total->weight_bytes, 3.0 * 1248 + 304);
    near(total->tokens_per_s, 8.0 / total->time_s);
    sp_arena_fini(&arena);
}

/* 1,152 bytes at 1 TB/s are longer than 4,096 FLOPs at 100 TFLOP/s. */
static void the_slower_of_both_bounds_an_operator(void **state)
{
    (void)state;
    made_model made;
    sp_arena arena = {0};
    make_tiny(&made);
    sp_analysis_question question = tiny_question(&made);
    const sp_operator *up = need_row(analyze(&arena, &question), SP_PHASE_PREFILL, "ffn_up");
    near(up->memory_s, 1152e-12);
    near(up->compute_s, 4096e-14);
    near(up->time_s, 1152e-12);
    assert_int_equal(up->bound, SP_BOUND_MEMORY);
    exactly(up->intensity, 4096.0 / 1152);
    sp_gpu slow = round_gpu;
    slow.peak_flops_per_s[SP_BF16] = 1e12;
    question.gpu = &slow;
    up = need_row(analyze(&arena, &question), SP_PHASE_PREFILL, "ffn_up");
    near(up->time_s, 4096e-12);
    assert_int_equal(up->bound, SP_BOUND_COMPUTE);
    sp_arena_fini(&arena);
}

/* The first token finds 4 and itself, the last one 2 more. */
static void steps_read_what_was_cached(void **state)
{
    (void)state;
    made_model made;
    sp_arena arena = {0};
    make_tiny(&made);
    const sp_analysis_question question = tiny_question(&made);
    const sp_analysis *a = analyze(&arena, &question);
    const sp_operator *first = need_row(a, SP_PHASE_DECODE, "attention_core");
    const sp_operator *last = need_row(a, SP_PHASE_LAST_DECODE, "attention_core");
    exactly(first->flops, (2.0 * 8 + 5) * 2 * 2 * 5);
    exactly(last->flops, (2.0 * 8 + 5) * 2 * 2 * 7);
    exactly(first->cache_bytes, 2.0 * 5 * 8);
    exactly(last->cache_bytes, 2.0 * 7 * 8);
    exactly(need_row(a, SP_PHASE_DECODE, "qkv_projection")->flops, 2.0 * 2 * 8 * 16);
    near(a->phase[SP_PHASE_DECODE].tokens_per_s, 2.0 / a->phase[SP_PHASE_DECODE].time_s);
    sp_arena_fini(&arena);
}

/* 24 bytes a token; the largest operator is the activation, 512 bytes in and 256 out. */
static void memory_holds_weights_cache_and_the_largest_operator(void **state)
{
    (void)state;
    made_model made;
    sp_arena arena = {0};
    make_tiny(&made);
    sp_analysis_question question = tiny_question(&made);
    const sp_analysis *a = analyze(&arena, &question);
    exactly(a->parameters, 80.0 + 3 * 592 + 8 + 80);
    exactly(a->weight_bytes, 2.0 * 1944);
    exactly(a->kv_bytes_per_token, 24.0);
    exactly(a->kv_prompt_bytes, 2.0 * 4 * 24);
    exactly(a->kv_generated_bytes, 2.0 * 3 * 24);
    exactly(a->kv_max_bytes, 2.0 * 7 * 24);
    exactly(a->gqa_ratio, 2.0);
    exactly(a->ridge_intensity, 100.0);
    exactly(a->memory_needed_bytes, 3888.0 + 336 + 768);
    assert_true(a->fits);
    sp_gpu small = round_gpu;
    small.memory_bytes = 4991.0;
    question.gpu = &small;
    assert_false(analyze(&arena, &question)->fits);
    sp_arena_fini(&arena);
}

/* ---- laws ---- */

/* What one pass costs but for logits, which only its last token becomes. */
static double flops_before_the_head(const sp_analysis *a)
{
    return a->phase[SP_PHASE_PREFILL].flops - need_row(a, SP_PHASE_PREFILL, "head")->flops -
           need_row(a, SP_PHASE_PREFILL, "final_norm")->flops;
}

static void chunks_of_a_prompt_add_up(void **state)
{
    (void)state;
    made_model made;
    sp_arena arena = {0};
    make_llama(&made, 512, 8, 2, 1024, 4);
    for (uint32_t window = 0; window <= 512; window += 512) {
        made.model.kinds[0].attention.window = window;
        sp_analysis_question question = plain_question(&made.model);
        const sp_analysis *whole = analyze(&arena, &question);
        question.prompt_tokens = 1024;
        const sp_analysis *first = analyze(&arena, &question);
        question.past_tokens = 1024;
        const sp_analysis *second = analyze(&arena, &question);
        exactly(flops_before_the_head(first) + flops_before_the_head(second),
                flops_before_the_head(whole));
        exactly(second->kv_prompt_bytes, whole->kv_prompt_bytes);
        exactly(need_row(first, SP_PHASE_PREFILL, "attention_core")->flops +
                    need_row(second, SP_PHASE_PREFILL, "attention_core")->flops,
                need_row(whole, SP_PHASE_PREFILL, "attention_core")->flops);
    }
    sp_arena_fini(&arena);
}

/* Latent attention expands keys and values of earlier chunks anew: more than one prefill. */
static void chunks_expand_earlier_latent_vectors_again(void **state)
{
    (void)state;
    made_model made;
    sp_arena arena = {0};
    make_deepseek_v3(&made);
    sp_analysis_question question = plain_question(&made.model);
    question.prompt_tokens = 1024;
    const double fresh = need_row(analyze(&arena, &question), SP_PHASE_PREFILL, "kv_up")->flops;
    question.past_tokens = 1024;
    exactly(need_row(analyze(&arena, &question), SP_PHASE_PREFILL, "kv_up")->flops, 2.0 * fresh);
    sp_arena_fini(&arena);
}

static void fusing_changes_no_flops_of_inference(void **state)
{
    (void)state;
    made_model made[3];
    sp_arena arena = {0};
    make_tiny(&made[0]);
    make_gpt_oss_20b(&made[1]);
    make_deepseek_v3(&made[2]);
    for (size_t i = 0; i < 3; i++) {
        sp_analysis_question question = plain_question(&made[i].model);
        const sp_analysis *fused = analyze(&arena, &question);
        question.flash = false;
        const sp_analysis *three = analyze(&arena, &question);
        for (sp_phase phase = SP_PHASE_PREFILL; phase <= SP_PHASE_LAST_DECODE; phase++) {
            near(three->phase[phase].flops, fused->phase[phase].flops);
            assert_true(three->phase[phase].write_bytes > fused->phase[phase].write_bytes);
        }
        near(three->parameters, fused->parameters);
    }
    sp_arena_fini(&arena);
}

static void rows_hold_what_the_model_has(void **state)
{
    (void)state;
    static const char *const names[] = {"gpt2",         "gpt-neox-20b", "llama-3.1-8b",
                                        "mixtral-8x7b", "gpt-oss-20b",  "qwen2-57b-a14b",
                                        "glm-4.5-air",  "deepseek-v3",  "deepseek-v2-lite",
                                        "opt-175b",     "qwen2.5-0.5b"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        sp_arena arena = {0};
        sp_error err = {0};
        const sp_model *model = NULL;
        if (sp_model_find(&arena, getenv("SHARDPLAN_HOME"), names[i], &model, &err) != SP_OK) {
            fail_msg("%s: %s", names[i], err.message);
        }
        const sp_analysis_question question = plain_question(model);
        exactly(analyze(&arena, &question)->parameters, (double)sp_model_parameters(model).total);
        sp_arena_fini(&arena);
    }
}

/* Three layers that share their weights hold them once and read them three times. */
static void layers_that_share_weights_hold_them_once(void **state)
{
    (void)state;
    made_model made;
    sp_arena arena = {0};
    make_tiny(&made);
    made.model.kinds[0].tied = 1;
    const sp_analysis_question question = tiny_question(&made);
    const sp_analysis *a = analyze(&arena, &question);
    const sp_operator *up = need_row(a, SP_PHASE_PREFILL, "ffn_up");
    assert_int_equal(up->layers, 3);
    assert_int_equal(up->held_layers, 1);
    exactly(a->parameters, 80.0 + 592 + 8 + 80);
    exactly(a->phase[SP_PHASE_PREFILL].weight_bytes, 3.0 * 1248 + 304);
    sp_arena_fini(&arena);
}

/* So do layers of two kinds, full and windowed: the first of either holds them for all. */
static void kinds_that_share_weights_hold_them_once(void **state)
{
    (void)state;
    made_model made;
    sp_arena arena = {0};
    make_tiny(&made);
    made.model.kinds[0].tied = 1;
    made.model.kinds[1] = made.model.kinds[0];
    made.model.kinds[1].attention.window = 2;
    made.model.n_kinds = made.model.n_runs = 2;
    made.runs[0].count = 1;
    made.runs[1] = (sp_layer_run){.kind = 1, .count = 2};
    const sp_analysis_question question = tiny_question(&made);
    const sp_analysis *a = analyze(&arena, &question);
    exactly(a->parameters, 80.0 + 592 + 8 + 80);
    exactly(a->phase[SP_PHASE_PREFILL].weight_bytes, 3.0 * 1248 + 304);
    exactly(a->kv_max_bytes, 2.0 * 8 * (7 + 2 * 2));
    sp_arena_fini(&arena);
}

/* Zamba: recurrences with their norms, and adapters, are each layer's own; what is marked as tied
 * is held once. */
static void tied_layers_hold_all_that_is_their_own(void **state)
{
    (void)state;
    made_model made;
    sp_arena arena = {0};
    make_tiny(&made);
    sp_layer_kind *kind = &made.model.kinds[0];
    kind->tied = 1;
    kind->recurrent = (sp_recurrent){.form = SP_RECURRENCE_MAMBA2,
                                     .heads = 2,
                                     .key_dim = 4,
                                     .value_dim = 4,
                                     .in_width = 8,
                                     .norms = 2};
    kind->n_projections = 2;
    kind->projections[0] =
        (sp_projection){.name = "shared", .in = 8, .out = 4, .blocks = 1, .tied = true};
    kind->projections[1] = (sp_projection){.name = "own", .in = 8, .out = 2, .blocks = 1};
    const sp_analysis_question question = tiny_question(&made);
    const sp_analysis *a = analyze(&arena, &question);
    exactly(a->parameters, (double)sp_model_parameters(&made.model).total);
    exactly(a->parameters, 80.0 + 592 + 8 + 80 + 3 * (64 + 64 + 16) + 32 + 3 * 16);
    sp_arena_fini(&arena);
}

/* 2 sequences, states of 2 heads of 4 x 4 and the inputs of 2 earlier taps of 8 channels, with a
 * cache of 1 byte: what a step reads of them is what is held. Inputs are activations of 2 bytes. */
static void states_have_the_width_of_the_cache(void **state)
{
    (void)state;
    made_model made;
    sp_arena arena = {0};
    make_tiny(&made);
    made.model.kinds[0].recurrent = (sp_recurrent){.form = SP_RECURRENCE_MAMBA2,
                                                   .heads = 2,
                                                   .key_dim = 4,
                                                   .value_dim = 4,
                                                   .in_width = 18,
                                                   .conv_width = 8,
                                                   .conv_kernel = 3,
                                                   .norms = 1};
    sp_analysis_question question = tiny_question(&made);
    question.phases = 1u << SP_PHASE_DECODE;
    question.bits.kv_cache = 8.0;
    const sp_analysis *a = analyze(&arena, &question);
    const sp_operator *scan = need_row(a, SP_PHASE_DECODE, "scan");
    const sp_operator *taps = need_row(a, SP_PHASE_DECODE, "convolution");
    exactly(scan->cache_bytes, 2.0 * 32);
    exactly(scan->read_bytes, 2.0 * 32 + 2 * 2 * (8 + 2));
    exactly(scan->write_bytes, 2.0 * 32 + 2 * 2 * 8);
    exactly(taps->cache_bytes, 2.0 * 16);
    exactly(a->state_bytes, 3.0 * (scan->cache_bytes + taps->cache_bytes));
    sp_arena_fini(&arena);
}

/* What is read from the cache is held already: a step behind 1,000 tokens reads 16 kB of it, and
 * needs 192 bytes for the activation besides. */
static void the_cache_is_no_activation(void **state)
{
    (void)state;
    made_model made;
    sp_arena arena = {0};
    make_tiny(&made);
    sp_analysis_question question = tiny_question(&made);
    question.prompt_tokens = 1000;
    question.phases = 1u << SP_PHASE_DECODE;
    exactly(analyze(&arena, &question)->memory_needed_bytes, 3888.0 + 2.0 * 1003 * 24 + 192);
    sp_arena_fini(&arena);
}

/* A tied head is the token table: read, not held again. */
static void a_tied_head_is_held_once(void **state)
{
    (void)state;
    made_model made;
    sp_arena arena = {0};
    make_tiny(&made);
    made.model.tied_embeddings = true;
    const sp_analysis_question question = tiny_question(&made);
    const sp_analysis *a = analyze(&arena, &question);
    exactly(a->parameters, 1944.0 - 80);
    exactly(need_row(a, SP_PHASE_PREFILL, "head")->weight_bytes, 160.0);
    sp_arena_fini(&arena);
}

/* Biases are read with their matrix, in the format of norms: 2 bytes beside 4-bit weights. */
static void biases_keep_the_format_of_norms(void **state)
{
    (void)state;
    made_model made;
    sp_arena arena = {0};
    make_tiny(&made);
    made.model.kinds[0].attention.qkv_bias = true;
    sp_analysis_question question = tiny_question(&made);
    question.bits.attention_weight = 4.0;
    const sp_operator *qkv =
        need_row(analyze(&arena, &question), SP_PHASE_PREFILL, "qkv_projection");
    exactly(qkv->parameters, 8.0 * 16 + 16);
    exactly(qkv->weight_bytes, 8.0 * 16 / 2 + 16 * 2);
    sp_arena_fini(&arena);
}

/* A window of 3 keeps 3 tokens of a sequence however long it is, and grows no more with it. */
static void a_window_bounds_the_cache(void **state)
{
    (void)state;
    made_model made;
    sp_arena arena = {0};
    make_tiny(&made);
    made.model.kinds[0].attention.window = 3;
    const sp_analysis_question question = tiny_question(&made);
    const sp_analysis *a = analyze(&arena, &question);
    exactly(a->kv_bytes_per_token, 0.0);
    exactly(a->kv_prompt_bytes, 2.0 * 3 * 24);
    exactly(a->kv_max_bytes, 2.0 * 3 * 24);
    exactly(need_row(a, SP_PHASE_LAST_DECODE, "attention_core")->cache_bytes, 2.0 * 3 * 8);
    /* tokens of the prompt see 1, 2, 3 and 3 */
    exactly(need_row(a, SP_PHASE_PREFILL, "attention_core")->flops,
            (2.0 * 8 + 5) * 2 * 2 * (1 + 2 + 3 + 3));
    exactly(need_row(a, SP_PHASE_PREFILL, "cache_write")->write_bytes, 2.0 * 3 * 8);
    sp_arena_fini(&arena);
}

/* A recurrent layer keeps a state and the inputs of its taps, whatever the length: 2 heads of 4 x 4
 * and 3 of 16 channels, of a byte, for 2 sequences. */
static void recurrent_layers_keep_states(void **state)
{
    (void)state;
    made_model made;
    sp_arena arena = {0};
    make_tiny(&made);
    made.model.kinds[0].attention = (sp_attention){0};
    made.model.kinds[0].recurrent = (sp_recurrent){.form = SP_RECURRENCE_DELTA,
                                                   .heads = 2,
                                                   .key_dim = 4,
                                                   .value_dim = 4,
                                                   .in_width = 24,
                                                   .conv_width = 16,
                                                   .conv_kernel = 4,
                                                   .norms = 1};
    const sp_analysis_question question = tiny_question(&made);
    const sp_analysis *a = analyze(&arena, &question);
    exactly(a->kv_max_bytes, 0.0);
    exactly(a->state_bytes, 2.0 * 3 * (2 * 4 * 4 + 3 * 16));
    assert_null(row_of(a, SP_PHASE_PREFILL, "cache_write"));
    sp_arena_fini(&arena);
}

/* ---- measured kernels ---- */

static void measured_kernels_add_up_and_are_slower_than_the_roofline(void **state)
{
    (void)state;
    made_model made;
    sp_arena arena = {0};
    sp_error err = {0};
    make_llama(&made, 4096, 32, 8, 14336, 32);
    sp_analysis_question question = plain_question(&made.model);
    assert_true(analyze(&arena, &question)->phase[SP_PHASE_PREFILL].expected_s == 0.0);
    assert_int_equal(sp_gpu_find(&arena, getenv("SHARDPLAN_HOME"), "h100-sxm", &question.gpu, &err),
                     SP_OK);
    question.phases = (1u << SP_N_PHASES) - 1;
    const sp_analysis *a = analyze(&arena, &question);
    for (sp_phase phase = 0; phase < SP_N_PHASES; phase++) {
        const sp_phase_total *total = &a->phase[phase];
        double sum_s = 0.0;
        for (uint32_t i = total->first; i < total->first + total->count; i++) {
            const sp_operator *row = &a->operators[i];
            if (row->expected_s <= row->time_s) fail_msg("%s is faster than its bound", row->name);
            sum_s += row->layers * row->expected_s;
        }
        near(total->expected_s, sum_s);
    }
    sp_arena_fini(&arena);
}

/* Eight kinds of layers that differ in every matrix, in every phase: no row is another's. */
static void kinds_without_equals_have_rows_of_their_own(void **state)
{
    (void)state;
    made_model made;
    sp_arena arena = {0};
    make_deepseek_v3(&made);
    sp_model *model = &made.model;
    for (uint32_t k = 0; k < SP_MODEL_MAX_KINDS; k++) {
        model->kinds[k] = model->kinds[1];
    }
    for (uint32_t k = 0; k < SP_MODEL_MAX_KINDS; k++) {
        model->kinds[k].attention.q_lora += 64 * k;
        model->kinds[k].attention.kv_lora += 64 * k;
        model->kinds[k].attention.v_dim += 16 * k;
        model->kinds[k].ffn.expert_ffn += 64 * k;
        model->kinds[k].ffn.shared_ffn += 64 * k;
        made.runs[k] = (sp_layer_run){.kind = (uint16_t)k, .count = 1};
    }
    model->n_kinds = model->n_runs = model->n_layers = SP_MODEL_MAX_KINDS;
    sp_analysis_question question = plain_question(model);
    question.flash = false;
    question.phases = (1u << SP_N_PHASES) - 1;
    const sp_analysis *a = analyze(&arena, &question);
    const uint32_t n = a->phase[SP_PHASE_PREFILL].count;
    assert_true(n > 8 * 14);
    assert_true(a->n_operators > 512);                         /* the room there once was */
    sp_arena_fini(&arena);
}

/* ---- notes ---- */

static bool has_note(const sp_analysis *a, const char *part)
{
    for (uint32_t i = 0; i < a->n_notes; i++) {
        if (strstr(a->notes[i], part) != NULL) return true;
    }
    return false;
}

/* Base 16 over heads of 4: pair 1 of 2 turns once in 2 pi 16^(1/2) = 25.1 tokens. */
static void contexts_out_of_range_are_noted(void **state)
{
    (void)state;
    made_model made;
    sp_arena arena = {0};
    make_tiny(&made);
    made.model.rope_theta = 16.0;
    made.model.max_context = 26;
    sp_analysis_question question = tiny_question(&made);
    question.prompt_tokens = 22; /* and 3 */
    const sp_analysis *a = analyze(&arena, &question);
    near(a->rope_tokens, 8.0 * acos(-1.0));
    assert_int_equal(a->n_notes, 0);
    question.prompt_tokens = 23;
    a = analyze(&arena, &question);
    assert_int_equal(a->n_notes, 1);
    assert_true(has_note(a, "26 tokens of context are more than the longest wavelength of the "
                            "rotary embedding, 25"));
    question.prompt_tokens = 24;
    assert_true(has_note(analyze(&arena, &question), "more than the 26 that the model"));
    made.model.rope_factor = 2.0;
    a = analyze(&arena, &question);
    near(a->rope_tokens, 16.0 * acos(-1.0));
    assert_false(has_note(a, "wavelength"));
    made.model.kinds[0].attention.no_rope = true;
    exactly(analyze(&arena, &question)->rope_tokens, 0.0);
    sp_arena_fini(&arena);
}

static void switches_without_effect_are_noted(void **state)
{
    (void)state;
    made_model made;
    sp_arena arena = {0};
    make_tiny(&made);
    sp_analysis_question question = tiny_question(&made);
    question.dispatch = question.mtp = true;
    question.phases = 1u << SP_PHASE_FORWARD;
    const sp_analysis *a = analyze(&arena, &question);
    assert_int_equal(a->n_notes, 3);
    assert_true(has_note(a, "dispatch changes nothing"));
    assert_true(has_note(a, "no prediction modules"));
    assert_true(has_note(a, "gradients, optimizer and kept activations"));
    sp_arena_fini(&arena);
}

static void ranks_without_a_network_are_noted(void **state)
{
    (void)state;
    made_model made;
    sp_arena arena = {0};
    make_tiny(&made);
    sp_analysis_question question = tiny_question(&made);
    question.cluster = NULL;
    assert_false(has_note(analyze(&arena, &question), "without a cluster"));
    question.tp = 2;
    const sp_analysis *a = analyze(&arena, &question);
    assert_true(has_note(a, "without a cluster"));
    for (uint32_t i = 0; i < a->n_operators; i++) {
        const bool sends = a->operators[i].network_bytes > 0.0;
        assert_int_equal(a->operators[i].bound == SP_BOUND_NETWORK, sends);
    }
    sp_arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_operator_of_a_prompt),
        cmocka_unit_test(the_slower_of_both_bounds_an_operator),
        cmocka_unit_test(steps_read_what_was_cached),
        cmocka_unit_test(memory_holds_weights_cache_and_the_largest_operator),
        cmocka_unit_test(chunks_of_a_prompt_add_up),
        cmocka_unit_test(chunks_expand_earlier_latent_vectors_again),
        cmocka_unit_test(fusing_changes_no_flops_of_inference),
        cmocka_unit_test(rows_hold_what_the_model_has),
        cmocka_unit_test(layers_that_share_weights_hold_them_once),
        cmocka_unit_test(kinds_that_share_weights_hold_them_once),
        cmocka_unit_test(tied_layers_hold_all_that_is_their_own),
        cmocka_unit_test(states_have_the_width_of_the_cache),
        cmocka_unit_test(the_cache_is_no_activation),
        cmocka_unit_test(a_tied_head_is_held_once),
        cmocka_unit_test(biases_keep_the_format_of_norms),
        cmocka_unit_test(a_window_bounds_the_cache),
        cmocka_unit_test(recurrent_layers_keep_states),
        cmocka_unit_test(measured_kernels_add_up_and_are_slower_than_the_roofline),
        cmocka_unit_test(kinds_without_equals_have_rows_of_their_own),
        cmocka_unit_test(contexts_out_of_range_are_noted),
        cmocka_unit_test(ranks_without_a_network_are_noted),
        cmocka_unit_test(switches_without_effect_are_noted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
