/* SPDX-License-Identifier: Apache-2.0 */
/* Our memory beside Calculon's (calculon-ai/calculon, caa4b11), case by case over its reference
 * outputs in $SHARDPLAN_DATA/calculon-golden. What means the same is equal; what does not:
 * - it has no ends, biases or positions, so the models here have none either;
 * - of fp32 gradients it counts one block, the others in the format of the weights: one block is
 *   compared;
 * - a checkpoint is the whole input of a block even where tensor parallelism cuts the sequence;
 * - with few micro-batches its interleaved schedule holds no fewer than with many;
 * - an attention that it recomputes still keeps what it gathers unless "seq_par_ag_redo" is set.
 * Cases beyond these are not compared. */
#include "calculon.h"
#include "common/close.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define EXACT 1e-12

/* ---- what is compared ---- */

static bool check_state(const calculon_case *g)
{
    if (!calculon_in_16_bits(g)) return false;
    const double dp = calculon_number(&g->execution, "data_par");
    const bool sharded = calculon_flag(&g->execution, "optimizer_sharding");
    const sp_recipe recipe = sp_recipe_adamw(4.0);
    sp_layer_work work;
    calculon_expand(g, false, &work);
    const sp_state_bytes s = sp_mem_state(&recipe, work.params.dense, &(sp_units){0},
                                          sharded ? 1 : 0, sharded ? (uint32_t)dp : 1);
    assert_close(s.weights, calculon_number(&g->stats, "block_weight_space"), EXACT);
    assert_close(s.optimizer, calculon_number(&g->stats, "block_optimizer_space"), EXACT);
    assert_close(s.gradients, calculon_number(&g->stats, "block_weight_grad_space_no_sharding"),
                 EXACT);
    return true;
}

/* The input of a block. */
static bool check_checkpoint(const calculon_case *g)
{
    if (!calculon_in_16_bits(g) ||
        strcmp(calculon_word(&g->execution, "activation_recompute"), "full") != 0)
        return false;
    sp_layer_work work;
    calculon_expand(g, false, &work);
    const sp_keeping keeping = {.full = true, .product_bytes = 2.0};
    assert_close(sp_mem_layer(&work, &keeping).kept,
                 calculon_number(&g->stats, "block_act_checkpoint_size"), EXACT);
    return true;
}

/* 34 s b h / t, and the scores where they are kept. */
static bool check_kept(const calculon_case *g)
{
    const char *redo = calculon_word(&g->execution, "activation_recompute");
    const bool same = strcmp(calculon_word(&g->execution, "tensor_par_comm_type"), "rs_ag") == 0 &&
                      calculon_flag(&g->execution, "seq_par_ag_redo") &&
                      !calculon_flag(&g->execution, "fused_activation") &&
                      strcmp(calculon_word(&g->execution, "attention_type"), "multihead") == 0;
    if (!calculon_in_16_bits(g) || !same || strcmp(redo, "full") == 0) return false;
    sp_layer_work work;
    calculon_expand(g, true, &work);
    const sp_keeping keeping = {.modules = strcmp(redo, "none") == 0 ? 0 : SP_MODULE_CORE,
                                .product_bytes = 2.0};
    assert_close(sp_mem_layer(&work, &keeping).kept,
                 calculon_number(&g->stats, "block_act_storage_space"), EXACT);
    return true;
}

/* Checkpoints of a stage over those of its blocks: micro-batches in flight on the first stage. */
static bool check_in_flight(const calculon_case *g)
{
    const double one = calculon_number(&g->stats, "block_act_checkpoint_size");
    if (one == 0.0 || g->batches < 2 * g->pp) return false;
    const double layers = calculon_number(&g->model, "num_blocks");
    const double blocks = (double)(((uint32_t)layers + g->pp - 1) / g->pp);
    const sp_schedule_kind *schedule =
        sp_schedule_describe(g->vpp > 1 ? SP_SCHEDULE_INTERLEAVED : SP_SCHEDULE_1F1B);
    const sp_pipeline_shape shape = {.p = g->pp, .v = g->vpp, .m = g->batches};
    const double held = sp_schedule_in_flight(schedule, &shape, 0);
    assert_close(held, calculon_number(&g->stats, "act_checkpoint_size") / (blocks * one), EXACT);
    return true;
}

static void weights_gradients_and_optimizer_are_calculons(void **state)
{
    (void)state;
    calculon_each(50, check_state);
}

static void checkpoints_are_calculons(void **state)
{
    (void)state;
    calculon_each(20, check_checkpoint);
}

static void activations_are_calculons(void **state)
{
    (void)state;
    calculon_each(5, check_kept);
}

static void micro_batches_in_flight_are_calculons(void **state)
{
    (void)state;
    calculon_each(15, check_in_flight);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights_gradients_and_optimizer_are_calculons),
        cmocka_unit_test(checkpoints_are_calculons),
        cmocka_unit_test(activations_are_calculons),
        cmocka_unit_test(micro_batches_in_flight_are_calculons),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
