/* SPDX-License-Identifier: Apache-2.0 */
/* Multi-token prediction of DeepSeek-V3 by hand: projection 2 * 7168 x 7168, three norms, a
 * layer with experts, the shared head of 129,280 x 7168. */
#include "common/close.h"
#include "common/models.h"
#include "graph/sums.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define EXACT 1e-14

static const sp_sharding alone = {.tp = 1, .cp = 1, .ep = 1, .etp = 1, .sp = false};

#define PROJECTION (2.0 * 7168 * 7168)
#define ATTENTION  187105280.0         /* its matrices, see test_layer_mla.c */
#define EXPERT     (3.0 * 7168 * 2048) /* routed or shared */
#define ROUTER     (7168.0 * 256)

/* Norms: of the latent vectors 2048, of two blocks, of both inputs of the projection and before the
 * head 5 * 7168. */
static void parameters_by_hand(void **state)
{
    (void)state;
    made_model made;
    make_deepseek_v3(&made);
    const sp_layer_params p = sp_graph_mtp_params(&made.model, &alone);
    assert_true(p.dense == PROJECTION + ATTENTION + EXPERT + ROUTER + 2048 + 5 * 7168);
    assert_true(p.expert == 256 * EXPERT);
    made.model.mtp_layers = 2;
    assert_true(sp_graph_mtp_params(&made.model, &alone).dense == 2 * p.dense);
    assert_true(sp_graph_mtp_params(&made.model, &alone).expert == 2 * p.expert);
}

/* A rank of 4 holds a quarter of what tp cuts: the projections down (15,138,816), router and norms
 * are whole. */
static void a_rank_holds_its_columns_of_the_projection(void **state)
{
    (void)state;
    made_model made;
    make_deepseek_v3(&made);
    const double down = 15138816;
    const sp_sharding cut = {.tp = 4, .cp = 1, .ep = 8, .etp = 2, .sp = true};
    const sp_layer_params p = sp_graph_mtp_params(&made.model, &cut);
    assert_true(p.dense ==
                (PROJECTION + ATTENTION - down + EXPERT) / 4 + down + ROUTER + 2048 + 5 * 7168);
    assert_true(p.expert == 256 * EXPERT / 16);
    const sp_shape shape = causal_shape(1, 4096);
    const sp_op op = sp_graph_mtp_projection(&made.model, &shape, &cut);
    assert_true(op.m == 4096 && op.n == 7168 / 4 && op.k == 2 * 7168 && op.count == 1);
    assert_true(op.flops == 4096 * 2 * PROJECTION / 4);
}

/* A token meets 8 routed experts and the shared one; s = 4096: core 167,772,160. */
static void flops_by_hand(void **state)
{
    (void)state;
    made_model made;
    make_deepseek_v3(&made);
    const double weights = PROJECTION + ATTENTION + ROUTER + 9 * EXPERT + 129280.0 * 7168;
    assert_close(sp_graph_mtp_forward_flops(&made.model, 4096, 8192),
                 8192 * (2 * weights + 167772160.0), EXACT);
}

/* MFU counts the main model alone. */
static void the_forward_flops_of_a_model_leave_prediction_modules_out(void **state)
{
    (void)state;
    made_model with, without;
    make_deepseek_v3(&with);
    make_deepseek_v3(&without);
    without.model.mtp_layers = 0;
    assert_true(sp_graph_forward_flops(&with.model, 4096, 8192) ==
                sp_graph_forward_flops(&without.model, 4096, 8192));
    assert_true(sp_graph_mtp_forward_flops(&without.model, 4096, 8192) == 0.0);
    assert_true(sp_graph_mtp_params(&without.model, &alone).dense == 0.0);
    assert_true(sp_graph_mtp_params(&without.model, &alone).expert == 0.0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parameters_by_hand),
        cmocka_unit_test(a_rank_holds_its_columns_of_the_projection),
        cmocka_unit_test(flops_by_hand),
        cmocka_unit_test(the_forward_flops_of_a_model_leave_prediction_modules_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
