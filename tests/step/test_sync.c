/* SPDX-License-Identifier: Apache-2.0 */
/* Gradients and weights between copies beside the passes, by hand: the first and the last message,
 * what engines keep gathered, and ZeRO++. */
#include "common/close.h"
#include "common/problems.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define EXACT 1e-9

/* Nodes of 8 at so many bytes/s, a tenth of it between them. Everything may hide, and nothing that
 * does costs. */
static void make_example(made_problem *made, double bytes_per_s)
{
    make_calculator(made);
    make_llama(&made->model, 1024, 8, 8, 2816, 8);
    made->cluster.levels[0].bytes_per_s = bytes_per_s;
    made->cluster.levels[1].bytes_per_s = bytes_per_s / 10;
    made->cluster.levels[0].efficiency_ratio = made->cluster.levels[1].efficiency_ratio = 1;
    made->profile.dp_overlap_ratio = 1;
    derive_problem(made);
}

static sp_estimate estimate(const made_problem *made, const sp_plan *plan)
{
    sp_estimate e;
    sp_estimate_plan(&made->problem, plan, &e);
    return e;
}

static double params_of(const made_problem *made)
{
    return (double)made->problem.parameters.total;
}

/* ---- first and last messages ---- */
/* Buckets of a third of the gradients: 4 messages. All but the last hide beside the backward pass.
 */
static void the_last_bucket_waits_for_the_backward_pass(void **state)
{
    (void)state;
    made_problem made;
    make_example(&made, 1e15);
    made.profile.bucket_bytes = 4 * params_of(&made) / 3;
    derive_problem(&made);
    sp_plan plan = make_plan(&made, 1, 1, 8, 4);
    plan.zero = 0;
    const double all_s = estimate(&made, &plan).time.dp_comm_s;
    plan.dp_overlap = SP_ON;
    assert_close(all_s, 2 * 7 / 8.0 * 4 * params_of(&made) / 1e15, EXACT);
    assert_close(estimate(&made, &plan).time.dp_comm_s, all_s / 4, EXACT);
    free_problem(&made);
}

/* Gradients that take longer than the backward pass, two thirds of a micro-batch: three of four
 * messages have that much to hide under, less the quarter of it in which there is no gradient yet.
 */
static void long_gradients_hide_behind_all_but_the_first_units(void **state)
{
    (void)state;
    made_problem made;
    make_example(&made, 1e9);
    made.profile.bucket_bytes = 4 * params_of(&made) / 3;
    derive_problem(&made);
    sp_plan plan = make_plan(&made, 1, 1, 8, 4);
    plan.zero = 0;
    const sp_time waits = estimate(&made, &plan).time;
    const double back_s = 2 / 3.0 * (waits.forward_s + waits.backward_s) / plan.accumulation;
    plan.dp_overlap = SP_ON;
    const double expected_s = waits.dp_comm_s - 3 / 4.0 * back_s;
    assert_close(estimate(&made, &plan).time.dp_comm_s, expected_s, EXACT);
    free_problem(&made);
}

/* ZeRO-3 with 10 units: every micro-batch waits for the weights of the first and the gradients of
 * the last one. */
static void the_first_unit_is_gathered_and_the_last_one_reduced_alone(void **state)
{
    (void)state;
    made_problem made;
    make_example(&made, 1e15);
    sp_plan plan = make_plan(&made, 1, 1, 8, 4);
    plan.zero = 3;
    plan.dp_overlap = SP_ON;
    const double unit_s = 7 / 8.0 * (2 + 4) * params_of(&made) / 10 / 1e15;
    assert_int_equal(plan.accumulation, 16);
    assert_close(estimate(&made, &plan).time.dp_comm_s, 16 * unit_s, EXACT);
    free_problem(&made);
}

/* ---- what stays gathered ---- */
/* Weights that stay whole over a pipeline are gathered once, and their gradients reduced once. */
static void weights_that_stay_are_gathered_once_a_step(void **state)
{
    (void)state;
    made_problem made;
    make_example(&made, 1e12);
    sp_plan plan = make_plan(&made, 1, 2, 8, 4);
    plan.zero = 3;
    const double each = estimate(&made, &plan).network.dp_bytes;
    made.profile.pipeline_unit_bytes = 6;
    derive_problem(&made);
    const double once = estimate(&made, &plan).network.dp_bytes;
    assert_int_equal(plan.accumulation, 16);
    assert_close(each / once, 16 * (2 + 2 + 4) / (2 + 4.0), EXACT);
    free_problem(&made);
}

/* FSDP without reshard_after_forward: weights for the forward pass of each micro-batch, none for
 * the backward one. */
static void weights_given_back_are_gathered_for_every_micro_batch(void **state)
{
    (void)state;
    made_problem made;
    make_example(&made, 1e12);
    sp_plan plan = make_plan(&made, 1, 1, 8, 4);
    plan.zero = 2;
    const double one = 7 / 8.0 * params_of(&made);
    assert_close(estimate(&made, &plan).network.dp_bytes, (16 * 4 + 2) * one, EXACT);
    made.profile.gathers_each_batch = true;
    derive_problem(&made);
    assert_close(estimate(&made, &plan).network.dp_bytes, 16 * (4 + 2) * one, EXACT);
    free_problem(&made);
}

/* ---- ZeRO++ ---- */
/* Two nodes, 8 micro-batches: 15/16 of weights forward and backward and of gradients; weights in 1
 * byte instead of 2; backward within the node, 7/8; gradients in half a byte instead of 4. */
static void zeropp_sends_less(void **state)
{
    (void)state;
    static const struct {
        uint32_t parts;
        double bytes;
    } cases[] = {
        {0,             15 / 16.0 * (2 + 2 + 4)              },
        {SP_ZEROPP_QWZ, 15 / 16.0 * (1 + 1 + 4)              },
        {SP_ZEROPP_HPZ, 15 / 16.0 * (2 + 4) + 7 / 8.0 * 2    },
        {SP_ZEROPP_QGZ, 15 / 16.0 * (2 + 2 + 0.5)            },
        {SP_ZEROPP_ALL, 15 / 16.0 * (1 + 0.5) + 7 / 8.0 * 1.0}
    };
    made_problem made;
    make_example(&made, 1e12);
    sp_plan plan = make_plan(&made, 1, 1, 16, 4);
    plan.zero = 3;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        made.problem.question.zeropp = cases[i].parts;
        const sp_estimate e = estimate(&made, &plan);
        assert_close(e.network.dp_bytes, 8 * cases[i].bytes * params_of(&made), EXACT);
    }
    free_problem(&made);
}

/* hpz: the backward pass gathers at the node's 1 TB/s what went through a tenth of it a rank; with
 * 8 ranks a node on as many ports both take what the node's links take. */
static void a_second_shard_keeps_the_backward_gather_in_the_node(void **state)
{
    (void)state;
    made_problem made;
    make_example(&made, 1e12);
    made.cluster.levels[1].bytes_per_s = 1e9;
    derive_problem(&made);
    sp_plan plan = make_plan(&made, 1, 1, 16, 4);
    plan.zero = 3;
    const double far_s = estimate(&made, &plan).time.dp_comm_s;
    made.problem.question.zeropp = SP_ZEROPP_HPZ;
    const double near_s = estimate(&made, &plan).time.dp_comm_s;
    const double whole = 2 * params_of(&made);
    /* the outer level joins two nodes: half of each rank's eighth crosses */
    const double across_s = whole / 8 / 2 / 1e9, inside_s = 7 / 8.0 * whole / 1e12;
    assert_close(far_s - near_s, 8 * across_s, 1e-6);
    assert_true(near_s > 8 * inside_s);
    free_problem(&made);
}

/* Packing reads 2 bytes of a weight and writes 1, for both gatherings; a gradient's 4 bytes are
 * read and half a byte is written and read again. 1 TB/s. */
static void packing_takes_the_memory_it_moves(void **state)
{
    (void)state;
    made_problem made;
    make_example(&made, 1e30);
    made.gpu.memory_bytes_per_s = 1e12;
    made.gpu.stream_ratio = 1;
    made.profile.pipeline_unit_bytes = 0;
    derive_problem(&made);
    sp_plan plan = make_plan(&made, 1, 1, 16, 4);
    plan.zero = 3;
    const double free_s = estimate(&made, &plan).time.dp_comm_s;
    made.problem.question.zeropp = SP_ZEROPP_QWZ | SP_ZEROPP_QGZ;
    const double packed_s = estimate(&made, &plan).time.dp_comm_s;
    const double moved = (2 * (2 + 1) + 4 + 2 * 0.5) * params_of(&made);
    assert_close(packed_s - free_s, 8 * moved / 1e12, EXACT);
    free_problem(&made);
}

/* A shard of 2 bytes over the 8 ranks of a node beside that over all 16. */
static void the_second_shard_is_held(void **state)
{
    (void)state;
    made_problem made;
    make_example(&made, 1e12);
    sp_plan plan = make_plan(&made, 1, 1, 16, 4);
    plan.zero = 3;
    const double one = estimate(&made, &plan).memory.weights_bytes;
    made.problem.question.zeropp = SP_ZEROPP_HPZ;
    assert_close(one, 2 * params_of(&made) / 16, EXACT);
    assert_close(estimate(&made, &plan).memory.weights_bytes, one + 2 * params_of(&made) / 8,
                 EXACT);
    free_problem(&made);
}

/* The stages below 3 gather no weights for their passes. */
static void zeropp_is_part_of_stage_3(void **state)
{
    (void)state;
    made_problem made;
    make_example(&made, 1e12);
    for (uint8_t zero = 0; zero < 3; zero++) {
        sp_plan plan = make_plan(&made, 1, 1, 16, 4);
        plan.zero = zero;
        made.problem.question.zeropp = 0;
        const sp_estimate without = estimate(&made, &plan);
        made.problem.question.zeropp = SP_ZEROPP_ALL;
        const sp_estimate with = estimate(&made, &plan);
        assert_true(with.time.step_s == without.time.step_s);
        assert_true(with.memory.peak_bytes == without.memory.peak_bytes);
    }
    free_problem(&made);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_bucket_waits_for_the_backward_pass),
        cmocka_unit_test(long_gradients_hide_behind_all_but_the_first_units),
        cmocka_unit_test(the_first_unit_is_gathered_and_the_last_one_reduced_alone),
        cmocka_unit_test(weights_that_stay_are_gathered_once_a_step),
        cmocka_unit_test(weights_given_back_are_gathered_for_every_micro_batch),
        cmocka_unit_test(zeropp_sends_less),
        cmocka_unit_test(a_second_shard_keeps_the_backward_gather_in_the_node),
        cmocka_unit_test(packing_takes_the_memory_it_moves),
        cmocka_unit_test(the_second_shard_is_held),
        cmocka_unit_test(zeropp_is_part_of_stage_3),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
