/* SPDX-License-Identifier: Apache-2.0 */
/* Shares of one accelerator and what it sends: tensor, data and expert parallelism, tokens
 * exchanged or reduced, dense layers that are not cut, experts that a batch meets. By hand. */
#include "analysis/tiny.h"

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

/* Query heads, feed-forward columns and words are halved; the one key and value head is on both
 * ranks. Halves of the hidden state of 8 tokens go each way twice. */
static void tensor_parallel_ranks_share_heads_columns_and_words(void **state)
{
    (void)state;
    made_model made;
    sp_arena arena = {0};
    make_tiny(&made);
    sp_analysis_question question = tiny_question(&made);
    question.tp = 2;
    const sp_analysis *a = analyze(&arena, &question);
    const sp_phase prefill = SP_PHASE_PREFILL;
    exactly(need_row(a, prefill, "qkv_projection")->columns, 4.0 + 4 + 4);
    exactly(need_row(a, prefill, "attention_core")->flops, 840.0 / 2);
    exactly(need_row(a, prefill, "attention_core")->cache_bytes, 64.0);
    exactly(need_row(a, prefill, "output_projection")->inner, 4.0);
    exactly(need_row(a, prefill, "ffn_up")->columns, 16.0);
    exactly(need_row(a, prefill, "ffn_norm")->flops, 256.0);
    exactly(need_row(a, prefill, "head")->columns, 5.0);
    exactly(need_row(a, prefill, "embedding")->weight_bytes, 64.0);
    const char *const reduced[] = {"embedding_all_reduce", "attention_all_reduce",
                                   "ffn_all_reduce"};
    for (size_t i = 0; i < 3; i++) {
        const sp_operator *row = need_row(a, prefill, reduced[i]);
        exactly(row->network_bytes, 2.0 * 8 * 8 * 2 / 2);
        assert_int_equal(row->layers, i == 0 ? 1 : 3);
        exactly(row->time_s, 0.0); /* no cluster, no time */
    }
    exactly(need_row(a, prefill, "logits_all_gather")->network_bytes, 2.0 * 10 * 2 / 2);
    exactly(a->kv_max_bytes, 336.0);
    exactly(a->kv_bytes_per_token, 24.0);
    sp_arena_fini(&arena);
}

/* The sum behind the look-up has the gradient on every rank; the head's columns each give a part of
 * that of its input, 8 tokens of 8. */
static void backwards_the_head_is_summed_and_the_look_up_is_not(void **state)
{
    (void)state;
    made_model made;
    sp_arena arena = {0};
    make_tiny(&made);
    sp_analysis_question question = tiny_question(&made);
    question.tp = 2;
    question.phases = 1u << SP_PHASE_FORWARD | 1u << SP_PHASE_BACKWARD;
    const sp_analysis *a = analyze(&arena, &question);
    exactly(need_row(a, SP_PHASE_FORWARD, "embedding_all_reduce")->network_bytes,
            2.0 * 8 * 8 * 2 / 2);
    exactly(need_row(a, SP_PHASE_BACKWARD, "head_all_reduce")->network_bytes, 2.0 * 8 * 8 * 2 / 2);
    const sp_phase_total *total = &a->phase[SP_PHASE_BACKWARD];
    for (uint32_t i = 0; i < total->count; i++) {
        assert_string_not_equal(a->operators[total->first + i].name, "embedding_all_reduce");
    }
    sp_arena_fini(&arena);
}

/* Sums of 8-bit activations travel in 16 bits. */
static void sums_travel_in_no_fewer_than_16_bits(void **state)
{
    (void)state;
    made_model made;
    sp_arena arena = {0};
    make_tiny(&made);
    sp_analysis_question question = tiny_question(&made);
    question.tp = 2;
    question.bits.activation = 8.0;
    const sp_analysis *a = analyze(&arena, &question);
    exactly(need_row(a, SP_PHASE_PREFILL, "ffn_all_reduce")->network_bytes, 2.0 * 8 * 8 * 2 / 2);
    sp_arena_fini(&arena);
}

static void a_cluster_times_collectives(void **state)
{
    (void)state;
    made_model made;
    sp_arena arena = {0};
    sp_error err = {0};
    make_llama(&made, 4096, 32, 8, 14336, 2);
    sp_analysis_question question = plain_question(&made.model);
    assert_int_equal(
        sp_cluster_find(&arena, getenv("SHARDPLAN_HOME"), "dgx-h100", &question.cluster, &err),
        SP_OK);
    question.gpu = question.cluster->gpu;
    question.tp = 8;
    const sp_analysis *a = analyze(&arena, &question);
    const sp_operator *row = need_row(a, SP_PHASE_PREFILL, "ffn_all_reduce");
    const double bytes = 2048.0 * 4096 * 2;
    exactly(row->network_bytes, 2.0 * bytes * 7 / 8);
    assert_true(row->network_s > row->network_bytes / 450e9); /* NVLink, each way */
    assert_int_equal(row->bound, SP_BOUND_NETWORK);
    exactly(row->time_s, row->network_s);
    exactly(row->expected_s, row->network_s);
    sp_arena_fini(&arena);
}

/* A replica has half of the sequences, and the deployment as many tokens a second as both. */
static void replicas_share_the_sequences(void **state)
{
    (void)state;
    made_model made;
    sp_arena arena = {0};
    make_tiny(&made);
    sp_analysis_question question = tiny_question(&made);
    question.dp = 2;
    const sp_analysis *a = analyze(&arena, &question);
    exactly(need_row(a, SP_PHASE_PREFILL, "ffn_up")->flops, 4096.0 / 2);
    exactly(a->kv_max_bytes, 336.0 / 2);
    near(a->phase[SP_PHASE_DECODE].tokens_per_s, 2.0 / a->phase[SP_PHASE_DECODE].time_s);
    sp_arena_fini(&arena);
}

/* ---- experts ---- */

/* 3 tokens miss one of 8 experts with (3/4)^3: 4.625 of them are read. */
static void a_step_reads_the_experts_that_it_meets(void **state)
{
    (void)state;
    made_model made;
    sp_arena arena = {0};
    make_tiny_moe(&made);
    sp_analysis_question question = tiny_question(&made);
    question.batch = 3;
    const sp_analysis *a = analyze(&arena, &question);
    const sp_operator *up = need_row(a, SP_PHASE_DECODE, "expert_up");
    exactly(up->weight_bytes, 4.625 * 8 * 32 * 2);
    exactly(up->held_bytes, 8.0 * 8 * 32 * 2);
    exactly(up->flops, 2.0 * 3 * 2 * 8 * 32);
    exactly(up->read_bytes, 3.0 * 2 * 8 * 2);
    exactly(need_row(a, SP_PHASE_DECODE, "router")->flops, 2.0 * 3 * 8 * 8);
    sp_arena_fini(&arena);
}

/* Idle choices (they compute nothing) take a part of the tokens: 2 of 16 choices, so a token misses
 * an expert with 14/16, and sends 1 copy of 2. */
static void idle_choices_meet_nobody(void **state)
{
    (void)state;
    made_model made;
    sp_arena arena = {0};
    make_tiny_moe(&made);
    made.model.kinds[0].ffn.idle_experts = 8;
    sp_analysis_question question = tiny_question(&made);
    question.batch = 1;
    const sp_operator *up = need_row(analyze(&arena, &question), SP_PHASE_DECODE, "expert_up");
    exactly(up->weight_bytes, 8.0 * (1.0 - 14.0 / 16) * 8 * 32 * 2);
    exactly(up->flops, 2.0 * 1 * 8 * 32);
    sp_arena_fini(&arena);
}

/* 4 ranks of 2 experts each: a rank's 2 tokens leave as 4 copies, 3 of 4 to other ranks, and meet
 * tokens of all 8. */
static void dispatch_sends_a_copy_to_each_expert(void **state)
{
    (void)state;
    made_model made;
    sp_arena arena = {0};
    make_tiny_moe(&made);
    sp_analysis_question question = tiny_question(&made);
    question.batch = 8;
    question.dp = question.ep = 4;
    question.dispatch = true;
    question.bits.activation = 8.0;
    const sp_analysis *a = analyze(&arena, &question);
    const sp_operator *up = need_row(a, SP_PHASE_DECODE, "expert_up");
    exactly(up->count, 2.0);
    exactly(up->rows, 2.0);
    near(up->weight_bytes, 2.0 * (1.0 - pow(0.75, 8)) * 8 * 32 * 2);
    exactly(need_row(a, SP_PHASE_DECODE, "dispatch")->network_bytes, 4.0 * 8 * 3 / 4);
    exactly(need_row(a, SP_PHASE_DECODE, "combine")->network_bytes, 4.0 * 8 * 2 * 3 / 4);
    assert_null(row_of(a, SP_PHASE_DECODE, "ffn_all_reduce"));
    sp_arena_fini(&arena);
}

/* Two copies of the experts, on two ranks each: 4 of the 8 tokens meet at one. */
static void each_copy_of_the_experts_has_tokens_of_its_own(void **state)
{
    (void)state;
    made_model made;
    sp_arena arena = {0};
    make_tiny_moe(&made);
    sp_analysis_question question = tiny_question(&made);
    question.batch = 8;
    question.dp = 4;
    question.ep = 2;
    question.dispatch = true;
    const sp_operator *up = need_row(analyze(&arena, &question), SP_PHASE_DECODE, "expert_up");
    exactly(up->count, 4.0);
    near(up->weight_bytes, 4.0 * (1.0 - pow(0.75, 4)) * 8 * 32 * 2);
    sp_arena_fini(&arena);
}

/* Ranks of one tensor-parallel group have all tokens: nothing is sent to experts, their sums are
 * reduced. With an exchange each rank sends its half and gathers the others'. */
static void experts_of_one_group_need_no_exchange(void **state)
{
    (void)state;
    made_model made;
    sp_arena arena = {0};
    make_tiny_moe(&made);
    sp_analysis_question question = tiny_question(&made);
    question.tp = question.ep = 2;
    const sp_analysis *a = analyze(&arena, &question);
    const double flops = need_row(a, SP_PHASE_PREFILL, "expert_up")->flops;
    exactly(flops, 2.0 * 8 * 2 * 8 * 32 / 2);
    assert_null(row_of(a, SP_PHASE_PREFILL, "dispatch"));
    exactly(need_row(a, SP_PHASE_PREFILL, "ffn_all_reduce")->network_bytes, 128.0);
    question.dispatch = true;
    a = analyze(&arena, &question);
    exactly(need_row(a, SP_PHASE_PREFILL, "expert_up")->flops, flops);
    exactly(need_row(a, SP_PHASE_PREFILL, "dispatch")->network_bytes, 4.0 * 2 * 8 * 2 / 2);
    exactly(need_row(a, SP_PHASE_PREFILL, "ffn_all_gather")->network_bytes, 8.0 * 8 * 2 / 2);
    assert_null(row_of(a, SP_PHASE_PREFILL, "ffn_all_reduce"));
    sp_arena_fini(&arena);
}

/* A shared expert is cut by tp, and its sum takes the routed ones along. */
static void shared_experts_are_reduced_with_the_routed_ones(void **state)
{
    (void)state;
    made_model made;
    sp_arena arena = {0};
    make_tiny_moe(&made);
    made.model.kinds[0].ffn.shared_ffn = 16;
    sp_analysis_question question = tiny_question(&made);
    question.tp = question.ep = 2;
    question.dispatch = true;
    const sp_analysis *a = analyze(&arena, &question);
    exactly(need_row(a, SP_PHASE_PREFILL, "shared_up")->columns, 16.0);
    exactly(need_row(a, SP_PHASE_PREFILL, "ffn_all_reduce")->network_bytes, 128.0);
    assert_null(row_of(a, SP_PHASE_PREFILL, "ffn_all_gather"));
    sp_arena_fini(&arena);
}

/* With fewer groups of experts than ranks each expert is cut: half of the columns of all 8. */
static void experts_that_are_not_spread_are_cut(void **state)
{
    (void)state;
    made_model made;
    sp_arena arena = {0};
    make_tiny_moe(&made);
    sp_analysis_question question = tiny_question(&made);
    question.tp = 2;
    const sp_operator *up = need_row(analyze(&arena, &question), SP_PHASE_PREFILL, "expert_up");
    exactly(up->count, 8.0);
    exactly(up->columns, 16.0);
    exactly(up->flops, 2.0 * 8 * 2 * 8 * 32 / 2);
    sp_arena_fini(&arena);
}

/* Two groups of experts on four ranks that all have the tokens: --dispatch has nothing to send. */
static void a_group_inside_the_tensor_parallel_one_exchanges_nothing(void **state)
{
    (void)state;
    made_model made;
    sp_arena arena = {0};
    make_tiny_moe(&made);
    made.model.kinds[0].attention.heads = 4;
    sp_analysis_question question = tiny_question(&made);
    question.tp = 4;
    question.ep = 2;
    question.dispatch = true;
    const sp_analysis *a = analyze(&arena, &question);
    const sp_operator *up = need_row(a, SP_PHASE_PREFILL, "expert_up");
    exactly(up->count, 4.0);
    exactly(up->columns, 16.0);
    exactly(up->flops, 2.0 * 8 * 2 * 8 * 32 / 4);
    assert_null(row_of(a, SP_PHASE_PREFILL, "dispatch"));
    exactly(need_row(a, SP_PHASE_PREFILL, "ffn_all_reduce")->network_bytes, 2.0 * 128 * 3 / 4);
    assert_non_null(strstr(a->notes[0], "dispatch changes nothing"));
    sp_arena_fini(&arena);
}

/* ---- dense layers that are not cut ---- */

/* Each rank runs whole matrices on its half of the tokens: it needs half of the sums of attention,
 * and gathers what the others made. The same is sent as for one all-reduce instead of two. */
static void dense_layers_can_run_on_a_share_of_the_tokens(void **state)
{
    (void)state;
    made_model made;
    sp_arena arena = {0};
    make_tiny(&made);
    sp_analysis_question question = tiny_question(&made);
    question.tp = 2;
    question.dense_dp = true;
    const sp_analysis *a = analyze(&arena, &question);
    const sp_operator *up = need_row(a, SP_PHASE_PREFILL, "ffn_up");
    exactly(up->rows, 4.0);
    exactly(up->columns, 32.0);
    exactly(up->flops, 4096.0 / 2);
    exactly(up->held_bytes, 512.0);
    exactly(need_row(a, SP_PHASE_PREFILL, "ffn_norm")->flops, 128.0);
    exactly(need_row(a, SP_PHASE_PREFILL, "attention_reduce_scatter")->network_bytes, 64.0);
    exactly(need_row(a, SP_PHASE_PREFILL, "ffn_all_gather")->network_bytes, 64.0);
    assert_null(row_of(a, SP_PHASE_PREFILL, "attention_all_reduce"));
    assert_null(row_of(a, SP_PHASE_PREFILL, "ffn_all_reduce"));
    sp_arena_fini(&arena);
}

/* ---- questions that contradict themselves ---- */

static void check_refused(const sp_analysis_question *question, const char *message,
                          const char *range)
{
    sp_arena arena = {0};
    sp_error err = {0};
    const sp_analysis *analysis = NULL;
    assert_int_equal(sp_analyze(&arena, question, &analysis, &err), SP_E_INCONSISTENT);
    assert_non_null(strstr(err.message, message));
    assert_string_equal(err.range, range);
    sp_arena_fini(&arena);
}

static void shares_that_do_not_divide_are_refused(void **state)
{
    (void)state;
    made_model made;
    make_tiny_moe(&made);
    sp_analysis_question question = tiny_question(&made);
    question.tp = 3;
    check_refused(&question, "--tp does not divide the attention heads, 2", "2");
    question.tp = 1;
    question.dp = 4;
    check_refused(&question, "--dp does not divide the batch, 2", "2");
    question.dp = 1;
    question.ep = 3;
    check_refused(&question, "--ep does not divide the routed experts, 8", "2 or 4");
    question.ep = 2;
    check_refused(&question, "--ep does not divide the tp x dp ranks, 1", "1");
    question.dp = 2;
    check_refused(&question, "give --dispatch", "");
    question = tiny_question(&made);
    question.tp = 2;
    made.model.kinds[0].ffn.shared_ffn = 7;
    check_refused(&question, "--tp does not divide the width of the shared experts, 7", "1 or 7");
    made.model.kinds[0].ffn = (sp_ffn){.ffn = 15};
    check_refused(&question, "--tp does not divide the feed-forward width, 15", "1 or 3");
    question.dense_dp = true; /* then nothing is cut */
    sp_arena arena = {0};
    (void)analyze(&arena, &question);
    question.compute = SP_NVFP4;
    check_refused(&question, "has no products in this format", "bf16, fp16, fp8, fp32");
    sp_arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tensor_parallel_ranks_share_heads_columns_and_words),
        cmocka_unit_test(backwards_the_head_is_summed_and_the_look_up_is_not),
        cmocka_unit_test(sums_travel_in_no_fewer_than_16_bits),
        cmocka_unit_test(a_cluster_times_collectives),
        cmocka_unit_test(replicas_share_the_sequences),
        cmocka_unit_test(a_step_reads_the_experts_that_it_meets),
        cmocka_unit_test(idle_choices_meet_nobody),
        cmocka_unit_test(dispatch_sends_a_copy_to_each_expert),
        cmocka_unit_test(each_copy_of_the_experts_has_tokens_of_its_own),
        cmocka_unit_test(experts_of_one_group_need_no_exchange),
        cmocka_unit_test(shared_experts_are_reduced_with_the_routed_ones),
        cmocka_unit_test(experts_that_are_not_spread_are_cut),
        cmocka_unit_test(a_group_inside_the_tensor_parallel_one_exchanges_nothing),
        cmocka_unit_test(dense_layers_can_run_on_a_share_of_the_tokens),
        cmocka_unit_test(shares_that_do_not_divide_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
