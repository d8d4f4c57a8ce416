/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes of weights, gradients and optimizer under ZeRO 0 to 3 (Rajbhandari et al., SC 2020): for P
 * parameters over D ranks with fp32 gradients 18 P, (6 + 12/D) P, (2 + 16/D) P and 18/D P. */
#include "common/close.h"
#include "common/draw.h"
#include "cost/cost.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static double held(const sp_state_bytes *s)
{
    return s->weights + s->gradients + s->optimizer;
}

/* A billion parameters on 8 ranks, the largest layer 10 million. */
static sp_state_bytes example(uint32_t zero, double grad_bytes)
{
    const sp_recipe recipe = sp_recipe_adamw(grad_bytes);
    return sp_mem_state(
        &recipe, 1e9,
        &(sp_units){.layer_params = 1e7, .largest_params = 1e7, .gradient_bytes = 4.0}, zero, 8);
}

static void without_zero_a_parameter_takes_18_bytes(void **state)
{
    (void)state;
    const sp_state_bytes s = example(0, 4);
    assert_true(s.weights == 2e9 && s.gradients == 4e9 && s.optimizer == 12e9);
    assert_true(s.gathered == 0.0);
    const sp_state_bytes half_precision = example(0, 2);
    assert_true(held(&half_precision) == 16e9);
}

static void zero_1_takes_6_bytes_and_12_over_the_ranks(void **state)
{
    (void)state;
    const sp_state_bytes s = example(1, 4);
    assert_close(held(&s), (6 + 12 / 8.0) * 1e9, 1e-15);
    assert_true(s.gathered == 0.0);
}

/* Whole gradients exist only for the layer at work: 4 bytes of 10 million. */
static void zero_2_takes_2_bytes_and_16_over_the_ranks(void **state)
{
    (void)state;
    const sp_state_bytes s = example(2, 4);
    assert_close(held(&s), (2 + 16 / 8.0) * 1e9, 1e-15);
    assert_true(s.gathered == 4e7);
}

/* Two layers gathered, one in use and one ahead, 2 x 2 bytes, and one whole gradient, 4 bytes. */
static void zero_3_takes_18_over_the_ranks_and_the_layers_at_work(void **state)
{
    (void)state;
    const sp_state_bytes s = example(3, 4);
    assert_close(held(&s), 18 / 8.0 * 1e9, 1e-15);
    assert_true(s.gathered == 8e7);
}

static void on_one_rank_all_stages_hold_the_same(void **state)
{
    (void)state;
    const sp_recipe recipe = sp_recipe_adamw(4);
    for (uint32_t zero = 0; zero <= 3; zero++) {
        const sp_state_bytes s = sp_mem_state(
            &recipe, 1e9,
            &(sp_units){.layer_params = 1e7, .largest_params = 1e7, .gradient_bytes = 4.0}, zero,
            1);
        assert_true(held(&s) == 18e9);
    }
}

/* Shares of all ranks are together what one rank would hold of what is sharded. */
static void higher_stages_and_more_ranks_hold_less(void **state)
{
    (void)state;
    draw d = draw_begin("higher_stages_and_more_ranks_hold_less");
    for (int trial = 0; trial < 5000; trial++) {
        const sp_recipe recipe = sp_recipe_adamw(draw_coin(&d) ? 2.0 : 4.0);
        const double params = draw_scale(&d, 1e6, 1e12);
        const uint32_t shards = draw_between(&d, 1, 4096);
        for (uint32_t zero = 0; zero < 3; zero++) {
            const sp_state_bytes a = sp_mem_state(&recipe, params, &(sp_units){0}, zero, shards);
            const sp_state_bytes b =
                sp_mem_state(&recipe, params, &(sp_units){0}, zero + 1, shards);
            const sp_state_bytes c =
                sp_mem_state(&recipe, params, &(sp_units){0}, zero + 1, shards + 1);
            assert_at_most(held(&b), held(&a), 1e-15);
            assert_at_most(held(&c), held(&b), 1e-15);
            assert_close(shards * b.optimizer, 12 * params, 1e-14);
        }
    }
}

/* Norm and update read the gradient, the update reads and writes 12 bytes and writes the weights:
 * 2 x 4 + 24 + 2. */
static void an_update_moves_34_bytes_a_parameter(void **state)
{
    (void)state;
    assert_true(sp_recipe_adamw(4).step_bytes == 34.0);
    assert_true(sp_recipe_adamw(2).step_bytes == 30.0);
}

/* A head of 50 million parameters beside layers of 10 million, gradients of 6 bytes: 2 bytes of the
 * head and a layer, and the head's gradient; while a layer is worked on, two layers and one. */
static void the_largest_unit_is_whole_while_it_is_worked_on(void **state)
{
    (void)state;
    const sp_recipe recipe = sp_recipe_adamw(2.0);
    const sp_units units = {.layer_params = 1e7, .largest_params = 5e7, .gradient_bytes = 6.0};
    const sp_state_bytes s = sp_mem_state(&recipe, 1e9, &units, 3, 8);
    assert_true(s.gathered == 2 * (5e7 + 1e7) + 6 * 5e7);
    assert_true(s.gathered_layer == 2 * (1e7 + 1e7) + 6 * 1e7);
}

/* Up to 400 million parameters stay gathered, of 300 million all. */
static void live_parameters_stay_gathered(void **state)
{
    (void)state;
    const sp_recipe recipe = sp_recipe_adamw(2.0);
    const sp_units units = {.layer_params = 1e7, .largest_params = 5e7, .live_params = 4e8};
    assert_true(sp_mem_state(&recipe, 1e9, &units, 3, 8).gathered_layer == 2 * 4e8);
    assert_true(sp_mem_state(&recipe, 3e8, &units, 3, 8).gathered_layer == 2 * 3e8);
    assert_true(sp_mem_state(&recipe, 1e9, &units, 2, 8).gathered_layer == 0.0);
}

/* FSDP2: fp32 shards of weights, gradients and two moments are 16 bytes a parameter; under ZeRO-2
 * the 2-byte weights are whole beside them. */
static void shards_that_are_updated_replace_the_master_copy(void **state)
{
    (void)state;
    sp_recipe recipe = sp_recipe_adamw(4.0);
    recipe.shard_bytes = 4.0;
    recipe.master_bytes = 0.0;
    const sp_state_bytes full = sp_mem_state(&recipe, 1e9, &(sp_units){0}, 3, 8);
    assert_true(full.weights + full.gradients + full.optimizer == 16e9 / 8);
    const sp_state_bytes some = sp_mem_state(&recipe, 1e9, &(sp_units){0}, 2, 8);
    assert_true(some.weights == 2e9 + 4e9 / 8);
    assert_true(sp_recipe_step_bytes(&recipe, 0.0) == 2 * (4 + 4 + 8) + 2);
}

/* DeepSpeed's BF16_Optimizer: 2 + 4 + 2 bytes whole, 12 cut; from ZeRO-2 on there is no twin. */
static void a_twin_of_2_bytes_waits_beside_wider_gradients(void **state)
{
    (void)state;
    sp_recipe recipe = sp_recipe_adamw(4.0);
    recipe.twin_bytes = 2.0;
    const sp_state_bytes one = sp_mem_state(&recipe, 1e9, &(sp_units){0}, 1, 4);
    assert_true(one.weights + one.gradients == 8e9);
    assert_true(one.optimizer == 3e9);
    assert_true(sp_mem_state(&recipe, 1e9, &(sp_units){0}, 2, 4).gradients == 1e9);
}

/* Embedding and head of 5e7 parameters stay gathered, the head's gradient of 2e7 waits with them.
 */
static void a_root_unit_is_whole_from_the_first_pass_to_the_last(void **state)
{
    (void)state;
    const sp_recipe recipe = sp_recipe_adamw(2.0);
    const sp_units units = {.layer_params = 1e7,
                            .largest_params = 1e7,
                            .gradient_bytes = 2.0,
                            .root_params = 5e7,
                            .root_gradients = 2e7};
    const sp_state_bytes s = sp_mem_state(&recipe, 1e9, &units, 3, 8);
    assert_true(s.gathered_layer == 2 * (1e7 + 1e7 + 5e7) + 2 * (1e7 + 2e7));
    assert_true(sp_mem_state(&recipe, 1e9, &units, 2, 8).gathered_layer == 2 * (1e7 + 2e7));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_zero_a_parameter_takes_18_bytes),
        cmocka_unit_test(zero_1_takes_6_bytes_and_12_over_the_ranks),
        cmocka_unit_test(zero_2_takes_2_bytes_and_16_over_the_ranks),
        cmocka_unit_test(zero_3_takes_18_over_the_ranks_and_the_layers_at_work),
        cmocka_unit_test(on_one_rank_all_stages_hold_the_same),
        cmocka_unit_test(higher_stages_and_more_ranks_hold_less),
        cmocka_unit_test(an_update_moves_34_bytes_a_parameter),
        cmocka_unit_test(the_largest_unit_is_whole_while_it_is_worked_on),
        cmocka_unit_test(live_parameters_stay_gathered),
        cmocka_unit_test(shards_that_are_updated_replace_the_master_copy),
        cmocka_unit_test(a_twin_of_2_bytes_waits_beside_wider_gradients),
        cmocka_unit_test(a_root_unit_is_whole_from_the_first_pass_to_the_last),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
