/* SPDX-License-Identifier: Apache-2.0 */
/* Context parallelism by hand: exposed seconds and sent bytes of the four ways to exchange keys and
 * values, between links without latency; and that ranks share the work of a sequence. */
#include "common/close.h"
#include "common/problems.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define EXACT 1e-12

/* Nodes of 8 at 100 GB/s, 10 GB/s between them; half of an attention block hides traffic. */
static void make_example(made_problem *made)
{
    make_calculator(made);
    make_llama(&made->model, 1024, 8, 8, 2816, 8);
    made->cluster.levels[0].bytes_per_s = 100e9;
    made->cluster.levels[1].bytes_per_s = 10e9;
    made->cluster.levels[0].efficiency_ratio = made->cluster.levels[1].efficiency_ratio = 1;
    made->profile.cp_overlap_ratio = 0.5;
    derive_problem(made);
}

/* A rank's keys and values cross a node in 1 ms, its queries or output in 2 ms. */
static const sp_block_comm comm = {.kv_bytes = 1e8, .q_bytes = 2e8, .o_bytes = 2e8};

static sp_layer_cost price(const made_problem *made, uint32_t cp, sp_cp_kind kind, double core_s,
                           double *forward_bytes)
{
    sp_plan plan = make_plan(made, 1, 1, 1, 1);
    cut_sequences(made, (uint16_t)cp, &plan);
    plan.cp_kind = (uint8_t)kind;
    sp_groups groups = {0};
    sp_groups_build(&made->problem.fabric, &plan, false, false, &groups);
    const sp_op_time core = {.forward_s = core_s, .input_grad_s = 2.5 * core_s};
    sp_layer_cost cost = {0};
    *forward_bytes = sp_context_price(&made->problem, &plan, &groups, &comm, &core, &cost);
    return cost;
}

/* 4 ranks: 3 turns of 1 ms beside blocks of a quarter of the core. 8 ms of attention give 2 ms a
 * block, half of which hides the turn; backward, 5 ms hide the 2 ms of values and gradients. Of 1
 * ms a block hides 0.125 ms forward and 0.3125 ms backward. */
static void a_ring_hides_beside_long_attention_and_not_beside_short(void **state)
{
    (void)state;
    made_problem made;
    double bytes = 0.0;
    make_example(&made);
    const sp_layer_cost lengthy = price(&made, 4, SP_CP_RING, 8e-3, &bytes);
    assert_true(lengthy.cp_forward_s == 0.0 && lengthy.cp_backward_s == 0.0);
    const sp_layer_cost brief = price(&made, 4, SP_CP_RING, 1e-3, &bytes);
    assert_close(brief.cp_forward_s, 3 * (1e-3 - 0.125e-3), EXACT);
    assert_close(brief.cp_backward_s, 3 * (2e-3 - 0.3125e-3), EXACT);
    assert_close(bytes, 3e8, EXACT);
    assert_close(brief.cp_sent_bytes, 9e8, EXACT);
    free_problem(&made);
}

/* Three quarters of 4e8 bytes forward; again, and their gradients, backward. Nothing hides. */
static void a_gather_waits_for_all_keys_and_values(void **state)
{
    (void)state;
    made_problem made;
    double bytes = 0.0;
    make_example(&made);
    const sp_layer_cost cost = price(&made, 4, SP_CP_ALLGATHER, 8e-3, &bytes);
    assert_close(cost.cp_forward_s, 3e-3, EXACT);
    assert_close(cost.cp_backward_s, 6e-3, EXACT);
    assert_close(bytes, 3e8, EXACT);
    assert_close(cost.cp_sent_bytes, 9e8, EXACT);
    free_problem(&made);
}

/* Three quarters of 3e8 bytes in and of 2e8 out, each way. */
static void ulysses_exchanges_heads_for_sequence_and_back(void **state)
{
    (void)state;
    made_problem made;
    double bytes = 0.0;
    make_example(&made);
    const sp_layer_cost cost = price(&made, 4, SP_CP_ULYSSES, 8e-3, &bytes);
    assert_close(cost.cp_forward_s, 2.25e-3 + 1.5e-3, EXACT);
    assert_close(cost.cp_backward_s, 3.75e-3, EXACT);
    assert_close(bytes, 3.75e8, EXACT);
    assert_close(cost.cp_sent_bytes, 7.5e8, EXACT);
    free_problem(&made);
}

/* 16 ranks: heads among 8 of a node, 7/8 of 5e8 bytes; one turn of a ring between two nodes, 10 ms
 * beside blocks of half of the core, of which half hides: 0.25 ms, backward 0.625 ms. */
static void hybrid_does_both(void **state)
{
    (void)state;
    made_problem made;
    double bytes = 0.0;
    make_example(&made);
    const sp_layer_cost cost = price(&made, 16, SP_CP_HYBRID, 1e-3, &bytes);
    assert_close(cost.cp_forward_s, 4.375e-3 + 10e-3 - 0.25e-3, EXACT);
    assert_close(cost.cp_backward_s, 4.375e-3 + 20e-3 - 0.625e-3, EXACT);
    assert_close(bytes, 4.375e8 + 1e8, EXACT);
    assert_close(cost.cp_sent_bytes, 2 * 4.375e8 + 3e8, EXACT);
    free_problem(&made);
}

static void ranks_hold_what_comes_in_beside_their_own(void **state)
{
    (void)state;
    sp_plan plan = sp_plan_default();
    for (uint8_t kind = 0; kind < SP_N_CP_KINDS; kind++) {
        plan.cp_kind = kind;
        assert_true(sp_context_bytes(&plan, &comm) == 0.0);
    }
    plan.cp = 4;
    plan.cp_kind = SP_CP_RING; /* the block that comes in, and its gradient */
    assert_true(sp_context_bytes(&plan, &comm) == 2e8);
    plan.cp_kind = SP_CP_ALLGATHER; /* all four, and theirs */
    assert_true(sp_context_bytes(&plan, &comm) == 8e8);
    plan.cp_kind = SP_CP_ULYSSES; /* a copy of all that is sent */
    assert_true(sp_context_bytes(&plan, &comm) == 5e8);
    plan.cp_kind = SP_CP_HYBRID;
    assert_true(sp_context_bytes(&plan, &comm) == 7e8);
}

/* ---- whole steps ---- */
static sp_estimate estimate(const made_problem *made, const sp_plan *plan)
{
    sp_estimate e;
    sp_estimate_plan(&made->problem, plan, &e);
    return e;
}

/* Where traffic is free, four ranks take a quarter of the time, whatever they exchange. */
static void ranks_share_the_work_of_a_sequence(void **state)
{
    (void)state;
    made_problem made;
    make_calculator(&made);
    make_llama(&made.model, 1024, 8, 8, 2816, 8);
    derive_problem(&made);
    const sp_plan one = make_plan(&made, 1, 1, 1, 4);
    const double alone_s = estimate(&made, &one).time.step_s;
    for (uint8_t kind = 0; kind < SP_CP_HYBRID; kind++) {
        sp_plan plan = one;
        cut_sequences(&made, 4, &plan);
        plan.cp_kind = kind;
        assert_int_equal(plan.dp, 1);
        assert_close(estimate(&made, &plan).time.step_s, alone_s / 4, 1e-9);
        assert_close(estimate(&made, &plan).mfu, estimate(&made, &one).mfu, 1e-9);
    }
    free_problem(&made);
}

/* A rank of 4 with t tokens sends 4096 t bytes of keys and values a turn and does 2 s h FLOPs a
 * token in 4 blocks: 2048 t^2 each. At 100 GB/s and 10 TFLOP/s half a block is longer than a turn
 * from t = 4 x 100 on; backward, with twice the bytes and 2.5 times the FLOPs, from 320 on. */
static void long_sequences_hide_their_ring(void **state)
{
    (void)state;
    made_problem made;
    make_example(&made);
    for (int dtype = 0; dtype < SP_N_DTYPES; dtype++) {
        made.gpu.peak_flops_per_s[dtype] = 1e13;
    }
    static const uint64_t lengths[] = {4 * 390, 4 * 410};
    for (int i = 0; i < 2; i++) {
        made.problem.question.seq_len = lengths[i];
        derive_problem(&made);
        sp_plan plan = make_plan(&made, 1, 1, 1, 1);
        cut_sequences(&made, 4, &plan);
        assert_int_equal(estimate(&made, &plan).time.cp_comm_s > 0.0, i == 0);
    }
    free_problem(&made);
}

/* A pass done again sends its forward part again: a third of what a ring sends, half of what
 * ulysses does. Norms alone, done again, send nothing. */
static void attention_done_again_sends_again(void **state)
{
    (void)state;
    made_problem made;
    make_example(&made);
    for (uint8_t kind = 0; kind < SP_CP_HYBRID; kind++) {
        sp_plan plan = make_plan(&made, 1, 1, 1, 1);
        cut_sequences(&made, 4, &plan);
        plan.cp_kind = kind;
        const double sent = estimate(&made, &plan).network.cp_bytes;
        const double more = kind == SP_CP_ULYSSES ? 3 / 2.0 : 4 / 3.0;
        plan.recompute = SP_RECOMPUTE_FULL;
        assert_close(estimate(&made, &plan).network.cp_bytes, more * sent, EXACT);
        plan.recompute = SP_RECOMPUTE_SELECTIVE;
        assert_close(estimate(&made, &plan).network.cp_bytes, more * sent, EXACT);
        plan.recompute = SP_RECOMPUTE_LAYERNORM;
        assert_close(estimate(&made, &plan).network.cp_bytes, sent, EXACT);
    }
    free_problem(&made);
}

/* Documents of 512 tokens attend to 256 each, not to 1024: the core, 2 s h FLOPs a token and layer,
 * shrinks to a quarter; products stay. */
static void packed_documents_attend_to_themselves_alone(void **state)
{
    (void)state;
    made_problem made;
    make_calculator(&made);
    make_llama(&made.model, 1024, 8, 8, 2816, 8);
    derive_problem(&made);
    const sp_plan plan = make_plan(&made, 1, 1, 1, 1);
    const double whole_s = estimate(&made, &plan).time.forward_s;
    made.problem.question.doc_len = 512;
    derive_problem(&made);
    const double core_s = 512 * 2048.0 * 8 * 2 * 2048 * 1024 / 1e15;
    assert_close(whole_s - estimate(&made, &plan).time.forward_s, 0.75 * core_s, 1e-9);
    free_problem(&made);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ring_hides_beside_long_attention_and_not_beside_short),
        cmocka_unit_test(a_gather_waits_for_all_keys_and_values),
        cmocka_unit_test(ulysses_exchanges_heads_for_sequence_and_back),
        cmocka_unit_test(hybrid_does_both),
        cmocka_unit_test(ranks_hold_what_comes_in_beside_their_own),
        cmocka_unit_test(ranks_share_the_work_of_a_sequence),
        cmocka_unit_test(long_sequences_hide_their_ring),
        cmocka_unit_test(attention_done_again_sends_again),
        cmocka_unit_test(packed_documents_attend_to_themselves_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
