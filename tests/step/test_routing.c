/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens on their way to experts, by hand: how uneven routing is that nothing forces, what the
 * busiest rank keeps, dispatch in 8 bits, and the shared expert beside it. */
#include "common/close.h"
#include "common/problems.h"
#include "step/step.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <math.h>

#define EXACT 1e-9

/* 4 layers, h = 1024, 16 experts of width 512 of which a token meets 2; 8 ranks of a node. */
#define LAYERS  4
#define TOKENS  (512.0 * 2048 / 8)
#define EXPERTS (2 * 3 * 1024.0 * 512 * 2)

static void make_example(made_problem *made)
{
    make_calculator(made);
    make_moe(&made->model, 1024, 8, 512, 16, 2, 0, LAYERS);
    made->cluster.levels[0].bytes_per_s = 100e9;
    made->cluster.levels[0].efficiency_ratio = 1;
    derive_problem(made);
}

static sp_plan make_expert_plan(const made_problem *made, uint16_t ep)
{
    sp_plan plan = make_plan(made, 1, 1, 8, 4);
    plan.ep = ep;
    return plan;
}

static sp_estimate estimate(const made_problem *made, const sp_plan *plan)
{
    sp_estimate e;
    sp_estimate_plan(&made->problem, plan, &e);
    return e;
}

/* ---- natural routing ---- */
/* The busiest expert has 1.5 times the mean. One rank holds all experts and is even; two hold 8
 * each: 0.5 sqrt(ln 2 / ln 16) sqrt(2 / 16); 16 ranks would hold one each. */
static void the_busiest_rank_is_as_uneven_as_its_experts_add_up(void **state)
{
    (void)state;
    made_problem made;
    make_example(&made);
    made.profile.expert_excess_ratio = 0.5;
    derive_problem(&made);
    const sp_ffn *ffn = &made.model.model.kinds[0].ffn;
    static const double expected[][2] = {
        {1,  0                         },
        {2,  0.5 * 0.5 * 0.353553390593},
        {4,  0.5 * 0.707106781187 * 0.5},
        {16, 0.5                       }
    };
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        sp_plan plan = make_expert_plan(&made, (uint16_t)expected[i][0]);
        assert_true(fabs(sp_plan_expert_excess(&made.problem, &plan, ffn) - expected[i][1]) < 1e-9);
    }
    free_problem(&made);
}

/* ep = 8: an excess of 0.5 sqrt(3/4 1/2) of the experts' products. */
static void natural_routing_prices_the_busiest_rank(void **state)
{
    (void)state;
    made_problem made;
    make_example(&made);
    const sp_plan plan = make_expert_plan(&made, 8);
    const double even_s = estimate(&made, &plan).time.forward_s;
    made.profile.expert_excess_ratio = 0.5;
    derive_problem(&made);
    const double more_s = LAYERS * 0.5 * sqrt(0.375) * EXPERTS * TOKENS / 1e15;
    assert_close(estimate(&made, &plan).time.forward_s, even_s + more_s, EXACT);
    free_problem(&made);
}

/* What the question states counts whatever is natural. */
static void a_stated_imbalance_counts(void **state)
{
    (void)state;
    made_problem made;
    make_example(&made);
    const sp_plan plan = make_expert_plan(&made, 8);
    const double even_s = estimate(&made, &plan).time.step_s;
    made.profile.expert_excess_ratio = 0.5;
    derive_problem(&made);
    made.problem.question.moe_imbalance_ratio = 1.0;
    assert_true(estimate(&made, &plan).time.step_s == even_s);
    free_problem(&made);
}

/* A choice of a token keeps its input (h), gate and up (2 f) and their product (f), 2 bytes each: 2
 * choices, 4 layers, half as many again. At the loss no layer is at work. */
static void the_busiest_rank_keeps_more(void **state)
{
    (void)state;
    made_problem made;
    make_example(&made);
    const sp_plan plan = make_expert_plan(&made, 8);
    made.problem.question.moe_imbalance_ratio = 1.0;
    const sp_memory even = estimate(&made, &plan).memory;
    made.problem.question.moe_imbalance_ratio = 1.5;
    const sp_memory uneven = estimate(&made, &plan).memory;
    const double choice = 2 * (1024 + 2 * 512 + 512.0);
    assert_int_equal(even.peak_phase, SP_AT_LOSS);
    assert_int_equal(uneven.peak_phase, SP_AT_LOSS);
    assert_close(uneven.activations_bytes - even.activations_bytes,
                 0.5 * LAYERS * 4 * 2048 * 2 * choice, EXACT);
    free_problem(&made);
}

/* The busiest rank does more, all ranks together do not. */
static void uneven_routing_adds_no_flops(void **state)
{
    (void)state;
    made_problem made;
    make_example(&made);
    sp_plan plan = make_expert_plan(&made, 8);
    plan.recompute = SP_RECOMPUTE_FULL;
    made.problem.question.moe_imbalance_ratio = 2.0;
    const sp_estimate e = estimate(&made, &plan);
    made.problem.question.moe_imbalance_ratio = 1.0;
    const sp_estimate even = estimate(&made, &plan);
    assert_close(e.hfu / e.mfu, even.hfu / even.mfu, EXACT);
    free_problem(&made);
}

/* ---- dispatch ---- */
/* Of the two ways of a pass one is as short as a byte for two. */
static void dispatch_in_8_bits_shortens_one_way_of_two(void **state)
{
    (void)state;
    made_problem made;
    make_example(&made);
    const sp_plan plan = make_expert_plan(&made, 8);
    const sp_estimate wide = estimate(&made, &plan);
    made.problem.question.dispatch = SP_DISPATCH_FP8;
    const sp_estimate narrow = estimate(&made, &plan);
    assert_close(narrow.network.ep_bytes, wide.network.ep_bytes * 3 / 4, EXACT);
    assert_close(narrow.time.ep_comm_s, wide.time.ep_comm_s * 3 / 4, EXACT);
    free_problem(&made);
}

static void without_expert_parallelism_nothing_is_dispatched(void **state)
{
    (void)state;
    made_problem made;
    make_example(&made);
    const sp_plan plan = make_expert_plan(&made, 1);
    const double wide_s = estimate(&made, &plan).time.step_s;
    made.problem.question.dispatch = SP_DISPATCH_FP8;
    assert_true(estimate(&made, &plan).time.step_s == wide_s);
    free_problem(&made);
}

/* A shared expert of width 512, half of which hides traffic: dispatch and combine, 7/8 of 2 choices
 * of 2 h bytes each, less half of its products forward and twice that backward. */
static void the_shared_expert_hides_traffic(void **state)
{
    (void)state;
    made_problem made;
    make_example(&made);
    made.model.model.kinds[0].ffn.shared_ffn = 512;
    derive_problem(&made);
    const sp_plan plan = make_expert_plan(&made, 8);
    const double waits_s = estimate(&made, &plan).time.ep_comm_s;
    made.profile.shared_overlap_ratio = 0.5;
    derive_problem(&made);
    const double shared_s = LAYERS * TOKENS * 2 * 3 * 1024.0 * 512 / 1e15;
    assert_close(waits_s, LAYERS * TOKENS * 4 * 7 / 8.0 * 2 * 1024 * 2 / 100e9, EXACT);
    assert_close(estimate(&made, &plan).time.ep_comm_s, waits_s - 0.5 * 3 * shared_s, EXACT);
    free_problem(&made);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_busiest_rank_is_as_uneven_as_its_experts_add_up),
        cmocka_unit_test(natural_routing_prices_the_busiest_rank),
        cmocka_unit_test(a_stated_imbalance_counts),
        cmocka_unit_test(the_busiest_rank_keeps_more),
        cmocka_unit_test(uneven_routing_adds_no_flops),
        cmocka_unit_test(dispatch_in_8_bits_shortens_one_way_of_two),
        cmocka_unit_test(without_expert_parallelism_nothing_is_dispatched),
        cmocka_unit_test(the_shared_expert_hides_traffic),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
