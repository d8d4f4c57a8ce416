/* SPDX-License-Identifier: Apache-2.0 */
/* Training, forward and backward, by hand; number formats of single rows. */
#include "analysis/tiny.h"
#include "graph/graph.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
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

static sp_analysis_question training_of(const made_model *made)
{
    sp_analysis_question question = tiny_question(made);
    question.phases = 1u << SP_PHASE_FORWARD | 1u << SP_PHASE_BACKWARD;
    return question;
}

/* Products and the core are what plans are priced by (length / 2 keys a token); norms take 4, a
 * rotation 3, a softmax 5, an activation and a residual 1 an element besides. */
/* ffn_up [8, 8] x [8, 32], 4,096 FLOPs at the peak, and its bytes: of 100 W the arithmetic takes 40
 * while it runs, the memory 60. A norm's arithmetic runs at the rate outside products. */
static void energy_follows_arithmetic_and_bytes(void **state)
{
    (void)state;
    made_model made;
    sp_arena arena = {0};
    make_tiny(&made);
    sp_analysis_question question = training_of(&made);
    sp_gpu gpu = *question.gpu;
    gpu.tdp_watts = 100.0;
    gpu.compute_power_ratio = 0.4;
    gpu.vector_flops_per_s = 1e9;
    question.gpu = &gpu;
    const sp_analysis *a = analyze(&arena, &question);
    const sp_operator *up = need_row(a, SP_PHASE_FORWARD, "ffn_up");
    near(up->compute_s, 4096.0 / gpu.peak_flops_per_s[question.compute]);
    near(up->joules, 40.0 * up->compute_s + 60.0 * up->memory_s);
    const sp_operator *norm = need_row(a, SP_PHASE_FORWARD, "ffn_norm");
    near(norm->compute_s, 4.0 * 8 * 8 / 1e9);
    gpu.compute_power_ratio = 0.0;
    exactly(need_row(analyze(&arena, &question), SP_PHASE_FORWARD, "ffn_up")->joules, 0.0);
    sp_arena_fini(&arena);
}

static void training_flops_are_those_of_plans_and_of_elements(void **state)
{
    (void)state;
    made_model made;
    sp_arena arena = {0};
    make_tiny(&made);
    const sp_analysis_question question = training_of(&made);
    const sp_analysis *a = analyze(&arena, &question);
    const double tokens = 8.0, norms = 2 * 3 + 1;
    const double elements = 4.0 * 8 * tokens * norms + 3.0 * 12 * tokens * 3 +
                            5.0 * 2 * tokens * 2 * 3 + 1.0 * 16 * tokens * 3 +
                            1.0 * 8 * tokens * 2 * 3;
    exactly(a->phase[SP_PHASE_FORWARD].flops,
            sp_graph_forward_flops(&made.model, 4.0, tokens) + elements);
    exactly(need_row(a, SP_PHASE_FORWARD, "head")->rows, tokens);
    assert_null(row_of(a, SP_PHASE_FORWARD, "cache_write"));
    exactly(need_row(a, SP_PHASE_FORWARD, "attention_core")->cache_bytes, 0.0);
    sp_arena_fini(&arena);
}

/* ffn_up [8, 8] x [8, 32]: the gradients of the input, [8, 32] x [32, 8], and of the weights,
 * [8, 8] x [8, 32]. The output's gradient is read for both, the weights for one, the input for the
 * other; gradients of input and weights are written. */
static void a_product_is_two_backwards(void **state)
{
    (void)state;
    made_model made;
    sp_arena arena = {0};
    make_tiny(&made);
    const sp_analysis_question question = training_of(&made);
    const sp_analysis *a = analyze(&arena, &question);
    const sp_operator *up = need_row(a, SP_PHASE_BACKWARD, "ffn_up");
    exactly(up->flops, 2.0 * 4096);
    exactly(up->weight_bytes, 256.0 * 2);
    exactly(up->read_bytes, (64.0 + 2 * 256) * 2);
    exactly(up->write_bytes, (64.0 + 256) * 2);
    exactly(need_row(a, SP_PHASE_BACKWARD, "head")->flops,
            2.0 * need_row(a, SP_PHASE_FORWARD, "head")->flops);
    sp_arena_fini(&arena);
}

/* An element-wise operator reads the gradient beside its input, and writes one. */
static void a_stream_moves_twice_as_much_backwards(void **state)
{
    (void)state;
    made_model made;
    sp_arena arena = {0};
    make_tiny(&made);
    const sp_analysis_question question = training_of(&made);
    const sp_analysis *a = analyze(&arena, &question);
    const char *const names[] = {"attention_norm", "rotary", "ffn_activation", "ffn_residual"};
    for (size_t i = 0; i < 4; i++) {
        const sp_operator *forward = need_row(a, SP_PHASE_FORWARD, names[i]);
        const sp_operator *backward = need_row(a, SP_PHASE_BACKWARD, names[i]);
        exactly(backward->read_bytes, 2.0 * forward->read_bytes);
        exactly(backward->write_bytes, 2.0 * forward->write_bytes);
        exactly(backward->flops, 2.0 * forward->flops);
        exactly(backward->weight_bytes, forward->weight_bytes);
    }
    sp_arena_fini(&arena);
}

/* A fused core has 5 products backwards where it has 2 forwards: 640 / 2 of these, as tokens attend
 * to 2 in the mean here, not 2.5. Unfused, each product becomes 2. */
static void the_core_computes_its_scores_again(void **state)
{
    (void)state;
    made_model made;
    sp_arena arena = {0};
    make_tiny(&made);
    sp_analysis_question question = training_of(&made);
    const double products = 2.0 * 8 * 2 * (4 + 4) * 2, softmax = 5.0 * 8 * 2 * 2;
    const sp_analysis *a = analyze(&arena, &question);
    exactly(need_row(a, SP_PHASE_FORWARD, "attention_core")->flops, products + softmax);
    exactly(need_row(a, SP_PHASE_BACKWARD, "attention_core")->flops,
            2.5 * products + 2.0 * softmax);
    question.flash = false;
    a = analyze(&arena, &question);
    exactly(need_row(a, SP_PHASE_BACKWARD, "attention_scores")->flops +
                need_row(a, SP_PHASE_BACKWARD, "attention_values")->flops,
            2.0 * products);
    sp_arena_fini(&arena);
}

/* ---- number formats ---- */

/* 8-bit products, and a cache of 16 bits in which the core stays: half of the rate. */
static void the_core_runs_in_the_format_of_a_wider_cache(void **state)
{
    (void)state;
    made_model made;
    sp_arena arena = {0};
    sp_gpu gpu = round_gpu;
    make_tiny(&made);
    gpu.peak_flops_per_s[SP_FP8] = 2e14;
    sp_analysis_question question = tiny_question(&made);
    question.gpu = &gpu;
    question.compute = SP_FP8;
    question.bits.activation = 8.0;
    const sp_analysis *a = analyze(&arena, &question);
    near(need_row(a, SP_PHASE_PREFILL, "attention_core")->compute_s, 840.0 / 2e14);
    near(need_row(a, SP_PHASE_PREFILL, "ffn_up")->compute_s, 4096.0 / 2e14);
    question.bits.kv_cache = 16.0;
    a = analyze(&arena, &question);
    near(need_row(a, SP_PHASE_PREFILL, "attention_core")->compute_s, 840.0 / 1e14);
    near(need_row(a, SP_PHASE_PREFILL, "ffn_up")->compute_s, 4096.0 / 2e14);
    sp_arena_fini(&arena);
}

/* Each format is that of its part: 4 bits of attention, 2 of the feed-forward block. */
static void each_part_has_its_format(void **state)
{
    (void)state;
    made_model made;
    sp_arena arena = {0};
    make_tiny(&made);
    sp_analysis_question question = tiny_question(&made);
    question.bits = (sp_widths){.activation = 8.0,
                                .attention_weight = 4.0,
                                .ffn_weight = 2.0,
                                .kv_cache = 4.0,
                                .rope = 16.0,
                                .norm = 32.0,
                                .embedding = 6.0};
    const sp_analysis *a = analyze(&arena, &question);
    const sp_phase prefill = SP_PHASE_PREFILL;
    exactly(need_row(a, prefill, "qkv_projection")->weight_bytes, 128.0 / 2);
    exactly(need_row(a, prefill, "head")->weight_bytes, 80.0 * 6 / 8);
    exactly(need_row(a, prefill, "embedding")->weight_bytes, 64.0 * 6 / 8);
    exactly(need_row(a, prefill, "ffn_up")->weight_bytes, 256.0 / 4);
    exactly(need_row(a, prefill, "rotary")->weight_bytes, 16.0 * 2);
    exactly(need_row(a, prefill, "ffn_norm")->weight_bytes, 8.0 * 4);
    exactly(need_row(a, prefill, "ffn_norm")->read_bytes, 64.0);
    exactly(need_row(a, prefill, "cache_write")->write_bytes, 64.0 / 2);
    exactly(need_row(a, prefill, "attention_core")->cache_bytes, 64.0 / 2);
    sp_arena_fini(&arena);
}

/* A LayerNorm learns two vectors and takes 6 operations an element. */
static void layer_norms_learn_a_bias_too(void **state)
{
    (void)state;
    made_model made;
    sp_arena arena = {0};
    make_tiny(&made);
    made.model.norm_vectors = 2;
    const sp_analysis_question question = tiny_question(&made);
    const sp_operator *norm = need_row(analyze(&arena, &question), SP_PHASE_PREFILL, "ffn_norm");
    exactly(norm->flops, 6.0 * 64);
    exactly(norm->parameters, 16.0);
    sp_arena_fini(&arena);
}

/* Learned positions: a row of a second table for each token, which the token's row is added to. */
static void learned_positions_are_looked_up_too(void **state)
{
    (void)state;
    made_model made;
    sp_arena arena = {0};
    make_tiny(&made);
    made.model.positions = 32;
    const sp_analysis_question question = tiny_question(&made);
    const sp_analysis *a = analyze(&arena, &question);
    const sp_operator *row = need_row(a, SP_PHASE_PREFILL, "positions");
    exactly(row->weight_bytes, 64.0 * 2);
    exactly(row->read_bytes, 64.0 * 2);
    exactly(row->write_bytes, 64.0 * 2);
    exactly(row->parameters, 32.0 * 8);
    assert_null(row_of(a, SP_PHASE_PREFILL, "rotary"));
    exactly(a->parameters, 1944.0 + 32 * 8);
    sp_arena_fini(&arena);
}

/* An indexer of 2 heads of 4 weighs every key, in the format of the cache, and lets 3 through. */
static void an_indexer_reads_its_keys_from_the_cache(void **state)
{
    (void)state;
    made_model made;
    sp_arena arena = {0};
    make_tiny(&made);
    made.model.kinds[0].attention.index_heads = 2;
    made.model.kinds[0].attention.index_dim = 4;
    made.model.kinds[0].attention.index_top_k = 3;
    const sp_analysis_question question = tiny_question(&made);
    const sp_analysis *a = analyze(&arena, &question);
    const sp_operator *scores = need_row(a, SP_PHASE_LAST_DECODE, "index_scores");
    exactly(scores->flops, 2.0 * 2 * 2 * 4 * 7);
    exactly(scores->cache_bytes, 2.0 * 7 * 4);
    exactly(scores->write_bytes, 2.0 * 7 * 2);
    exactly(need_row(a, SP_PHASE_LAST_DECODE, "attention_core")->cache_bytes, 2.0 * 3 * 8);
    exactly(a->kv_bytes_per_token, 3.0 * (8 + 4));
    sp_arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(training_flops_are_those_of_plans_and_of_elements),
        cmocka_unit_test(a_product_is_two_backwards),
        cmocka_unit_test(a_stream_moves_twice_as_much_backwards),
        cmocka_unit_test(the_core_computes_its_scores_again),
        cmocka_unit_test(the_core_runs_in_the_format_of_a_wider_cache),
        cmocka_unit_test(each_part_has_its_format),
        cmocka_unit_test(energy_follows_arithmetic_and_bytes),
        cmocka_unit_test(layer_norms_learn_a_bias_too),
        cmocka_unit_test(learned_positions_are_looked_up_too),
        cmocka_unit_test(an_indexer_reads_its_keys_from_the_cache),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
