/* SPDX-License-Identifier: Apache-2.0 */
/* Tensor-parallel traffic beside the products of a layer, by hand: rings, pieces and whole
 * transfers, and what those lose that run beside them. */
#include "common/close.h"
#include "common/problems.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define EXACT  1e-9
#define LAYERS 8
#define TOKENS (4 * 2048.0)

/* Seconds of the product [tokens, 1024][1024, 1024 / 8], the unit of what follows: queries, keys
 * and values take 3, the output 1, the feed-forward block 5.5 and 2.75; the head 62.5. */
#define UNIT (2 * TOKENS * 1024 * 1024 / 8 / 1e15)

/* 8 ranks that compute at 1e15 FLOP/s; a gather of all tokens takes so many units. */
static void make_example(made_problem *made, double units)
{
    make_calculator(made);
    make_llama(&made->model, 1024, 8, 8, 2816, LAYERS);
    made->cluster.levels[0].bytes_per_s = 7 / 8.0 * 2 * 1024 * TOKENS / (units * UNIT);
    made->cluster.levels[0].efficiency_ratio = 1;
    derive_problem(made);
}

/* Exposed units of one layer. The embedding waits for a gather each way, the head for one. */
static double layer_units(const made_problem *made, sp_switch overlap, double units,
                          double head_units)
{
    sp_plan plan = make_plan(made, 8, 1, 1, 4);
    sp_estimate e;
    plan.sp = SP_ON;
    plan.tp_overlap = (uint8_t)overlap;
    sp_estimate_plan(&made->problem, &plan, &e);
    return (e.time.tp_comm_s / plan.accumulation / UNIT - 3 * units - head_units) / LAYERS;
}

/* 2 units of traffic. Forward the gathers go round beside 7/8 of 3 and 5.5 units and are gone;
 * scattering in 4 pieces leaves the last one, 0.5, and behind the output's 1 unit 3/4 of what is
 * longer, 0.75. Backward whole transfers are gone beside 3 and 5.5 units, and of the gathers before
 * the last products 2 - 7/8 is left beside 1 unit and nothing beside 2.75. */
static void short_traffic_leaves_its_last_piece(void **state)
{
    (void)state;
    made_problem made;
    make_example(&made, 2);
    assert_close(layer_units(&made, SP_ON, 2, 0), 0.5 + 0.75 + 0.5 + (2 - 7 / 8.0), EXACT);
    free_problem(&made);
}

/* Without tp_overlap both gathers and scatters of the forward pass wait, and the gathers of output
 * gradients. */
static void without_it_four_and_two_transfers_wait(void **state)
{
    (void)state;
    made_problem made;
    make_example(&made, 2);
    assert_close(layer_units(&made, SP_OFF, 2, 0), 4 * 2 + 2 * 2, EXACT);
    free_problem(&made);
}

/* 4 units: rings leave 4 - 7/8 of 3, 1 and 2.75; pieces a quarter and 3/4 of what is longer than 1
 * and 2.75; whole transfers beside 3 units 1 each. */
static void longer_traffic_leaves_what_no_product_covers(void **state)
{
    (void)state;
    made_problem made;
    make_example(&made, 4);
    const double rings = (4 - 7 / 8.0 * 3) + (4 - 7 / 8.0) + (4 - 7 / 8.0 * 2.75);
    const double pieces = (1 + 0.75 * 3) + (1 + 0.75 * 1.25);
    assert_close(layer_units(&made, SP_ON, 4, 0), rings + pieces + 2, EXACT);
    free_problem(&made);
}

/* A quarter of what hides in pieces and whole slows the product: 3/4 of 1 and of 2 units of pieces
 * hide, and 4 whole transfers of 2 units cost half a unit each; so do 2 beside the head. */
static void what_hides_takes_multiprocessors_from_the_products(void **state)
{
    (void)state;
    made_problem made;
    make_example(&made, 2);
    made.profile.tp_interference_ratio = 0.25;
    derive_problem(&made);
    const double pieces = (0.5 + 0.75 * (2 - 0.75 * 1)) + (0.5 + 0.75 * (2 - 0.75 * 2));
    assert_close(layer_units(&made, SP_ON, 2, 2 * 0.5), pieces + (2 - 7 / 8.0) + 4 * 0.5, EXACT);
    free_problem(&made);
}

/* One piece is no overlap of the scattering. */
static void one_piece_waits_for_its_product(void **state)
{
    (void)state;
    made_problem made;
    make_example(&made, 2);
    made.profile.tp_pieces = 1;
    derive_problem(&made);
    assert_close(layer_units(&made, SP_ON, 2, 0), 2 + 2 + (2 - 7 / 8.0), EXACT);
    free_problem(&made);
}

/* Units that all layers wait for all-reduces, and the ends likewise. */
static double reduced_units(made_problem *made, bool waits)
{
    sp_plan plan = make_plan(made, 8, 1, 1, 4);
    sp_estimate e;
    made->profile.waits_for_tp_sums = waits;
    derive_problem(made);
    sp_estimate_plan(&made->problem, &plan, &e);
    return e.time.tp_comm_s / plan.accumulation / UNIT;
}

/* An all-reduce is two gathers, 4 units. Backward it leaves 1 behind 3 units of weight gradients
 * and nothing behind 5.5; engines that wait for it first see all 8. */
static void old_engines_wait_for_the_sums_of_input_gradients(void **state)
{
    (void)state;
    made_problem made;
    make_example(&made, 2);
    assert_close(reduced_units(&made, true) - reduced_units(&made, false), LAYERS * (8 - 1), EXACT);
    free_problem(&made);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(short_traffic_leaves_its_last_piece),
        cmocka_unit_test(without_it_four_and_two_transfers_wait),
        cmocka_unit_test(longer_traffic_leaves_what_no_product_covers),
        cmocka_unit_test(what_hides_takes_multiprocessors_from_the_products),
        cmocka_unit_test(one_piece_waits_for_its_product),
        cmocka_unit_test(old_engines_wait_for_the_sums_of_input_gradients),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
