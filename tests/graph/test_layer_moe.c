/* SPDX-License-Identifier: Apache-2.0 */
/* Mixture of experts by hand. E experts of width f, k of them a token; ep ranks share the experts,
 * etp ranks cut one; h hidden. */
#include "common/close.h"
#include "common/models.h"
#include "graph/sums.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define EXACT 1e-14

static const sp_sharding alone = {.tp = 1, .cp = 1, .ep = 1, .etp = 1, .sp = false};

/* h = 1024, f = 512, E = 16, k = 2, b s = 2 * 2048 tokens. */
static void make_example(made_model *moe)
{
    make_moe(moe, 1024, 8, 512, 16, 2, 0, 2);
}

/* A token meets the router and k experts of three matrices. */
static void flops_are_those_of_the_experts_met(void **state)
{
    (void)state;
    made_model moe;
    make_example(&moe);
    const double tokens = 2.0 * 2048;
    const sp_layer_work work = expand_layer(&moe.model, 0, 2, 2048, &alone, true);
    assert_close(ffn_flops(&work), tokens * (2 * 1024 * 16 + 2 * 2 * 3 * 1024 * 512.0), EXACT);
}

/* Spreading the experts changes neither the copies of tokens on a rank nor its FLOPs, but the
 * number of experts there and with it the rows of each product. */
static void expert_parallelism_moves_tokens_and_not_work(void **state)
{
    (void)state;
    made_model moe;
    make_example(&moe);
    const sp_layer_work one = expand_layer(&moe.model, 0, 2, 2048, &alone, true);
    for (uint32_t ep = 2; ep <= 16; ep *= 2) {
        const sp_sharding spread = {.tp = 1, .cp = 1, .ep = ep, .etp = 1, .sp = false};
        const sp_layer_work work = expand_layer(&moe.model, 0, 2, 2048, &spread, true);
        const sp_op *up = find_op(&work, "expert_up");
        assert_int_equal(up->class, SP_OP_GROUPED);
        assert_close(up->count, 16.0 / ep, EXACT);
        assert_close(up->m, 4096.0 * 2 * ep / 16, EXACT);
        assert_close(ffn_flops(&work), ffn_flops(&one), EXACT);
        assert_close(ffn_kept(&work), ffn_kept(&one), EXACT);
    }
}

/* Four tensor-parallel ranks with sequence parallelism, each expert cut in four: every rank does a
 * quarter of the products of experts and router. */
static void tensor_parallel_ranks_share_the_work(void **state)
{
    (void)state;
    made_model moe;
    make_example(&moe);
    const sp_sharding four = {.tp = 4, .cp = 1, .ep = 8, .etp = 4, .sp = true};
    const sp_layer_work one = expand_layer(&moe.model, 0, 2, 2048, &alone, true);
    const sp_layer_work cut = expand_layer(&moe.model, 0, 2, 2048, &four, true);
    assert_close(4 * ffn_flops(&cut), ffn_flops(&one), EXACT);
}

/* Norm 2 h, input 2 h, router 4 E of fp32; for each copy of a token its input 2 h, gate, up and
 * product 6 f. */
static void kept_bytes_by_hand(void **state)
{
    (void)state;
    made_model moe;
    make_example(&moe);
    const double tokens = 2.0 * 2048, copies = 2 * tokens;
    const sp_layer_work work = expand_layer(&moe.model, 0, 2, 2048, &alone, true);
    assert_close(ffn_kept(&work), tokens * (4 * 1024 + 4 * 16) + copies * (2 * 1024 + 6 * 512),
                 EXACT);
}

/* tp = etp = 4 with sp: what tp leaves whole and the inner width are cut by 4; the copies that the
 * experts' ranks gathered are not. */
static void cut_experts_keep_gathered_inputs_whole(void **state)
{
    (void)state;
    made_model moe;
    make_example(&moe);
    const sp_sharding four = {.tp = 4, .cp = 1, .ep = 8, .etp = 4, .sp = true};
    const double tokens = 2.0 * 2048, copies = 2 * tokens;
    const sp_layer_work work = expand_layer(&moe.model, 0, 2, 2048, &four, true);
    assert_close(ffn_kept(&work),
                 tokens / 4 * (4 * 1024 + 4 * 16) + copies * (2 * 1024 + 6 * 512 / 4.0), EXACT);
}

/* Each rank sends k copies of its tokens / tp, 2 h bytes each. */
static void a_rank_sends_its_tokens_once_an_expert_met(void **state)
{
    (void)state;
    made_model moe;
    make_example(&moe);
    const sp_sharding four = {.tp = 4, .cp = 1, .ep = 8, .etp = 4, .sp = true};
    const sp_layer_work work = expand_layer(&moe.model, 0, 2, 2048, &four, true);
    assert_true(work.ffn.ep_bytes == 2.0 * 1024 * (4096 / 4.0) * 2);
    assert_true(work.ffn.etp_bytes == 4 * work.ffn.ep_bytes);
    assert_false(work.ffn.tp_exchange); /* no shared expert: tensor parallelism has nothing to do */
}

/* Router 1024*16, norm 1024; 16 experts of 3*1024*512. */
static void parameters_by_hand(void **state)
{
    (void)state;
    made_model moe;
    make_example(&moe);
    moe.model.kinds[0].attention = (sp_attention){0};
    const sp_layer_params whole = sp_graph_layer_params(&moe.model, &moe.model.kinds[0], &alone);
    assert_true(whole.dense == 1024.0 * 16 + 1024);
    assert_true(whole.expert == 16 * 3.0 * 1024 * 512);
    const sp_sharding spread = {.tp = 2, .cp = 1, .ep = 8, .etp = 2, .sp = true};
    const sp_layer_params rank = sp_graph_layer_params(&moe.model, &moe.model.kinds[0], &spread);
    assert_true(rank.dense == whole.dense); /* router and norm are whole everywhere */
    assert_true(rank.expert == 2 * 3.0 * 1024 * 512 / 2);
}

/* A shared expert of width 768 beside the routed ones works as a dense block: 6 h f_s FLOPs, 6 f_s
 * bytes and three matrices more, cut by tp, whose traffic comes with it. */
static void a_shared_expert_is_a_dense_block_without_norm(void **state)
{
    (void)state;
    made_model moe, with;
    make_example(&moe);
    make_example(&with);
    with.model.kinds[0].ffn.shared_ffn = 768;
    const double tokens = 2.0 * 2048;
    const sp_sharding two = {.tp = 2, .cp = 1, .ep = 8, .etp = 2, .sp = true};
    const sp_layer_work a = expand_layer(&moe.model, 0, 2, 2048, &two, true);
    const sp_layer_work b = expand_layer(&with.model, 0, 2, 2048, &two, true);
    assert_close(ffn_flops(&b) - ffn_flops(&a), tokens * 6 * 1024 * 768 / 2, 1e-12);
    assert_close(ffn_kept(&b) - ffn_kept(&a), tokens * 6 * 768 / 2, 1e-12);
    assert_true(b.ffn.tp_exchange);
    assert_true(sp_graph_layer_params(&with.model, &with.model.kinds[0], &two).dense -
                    sp_graph_layer_params(&moe.model, &moe.model.kinds[0], &two).dense ==
                3.0 * 1024 * 768 / 2);
}

/* Outputs of both norms 2 x 2 h a token; output of SwiGLU 2 f a copy, 2 f_s a token of the shared
 * expert. There is no dense block. Inputs of products: of the projections 2 h and 2 h, of the
 * experts 2 h and 2 f a copy, of the shared down matrix 2 f_s; the router is none of them. */
static void modules_by_hand(void **state)
{
    (void)state;
    made_model moe;
    make_example(&moe);
    moe.model.kinds[0].ffn.shared_ffn = 768;
    const double tokens = 2.0 * 2048, copies = 2 * tokens, h = 1024, f = 512, shared = 768;
    const sp_layer_work work = expand_layer(&moe.model, 0, 2, 2048, &alone, true);
    const double activations = copies * 2 * f + tokens * 2 * shared;
    assert_close(layer_dropped(&work, SP_MODULE_NORM), tokens * 4 * h, EXACT);
    assert_close(layer_dropped(&work, SP_MODULE_ACTIVATION), activations, EXACT);
    assert_close(layer_dropped(&work, SP_MODULE_STREAMS), tokens * 4 * h + activations, EXACT);
    assert_true(layer_dropped(&work, SP_MODULE_FFN) == 0.0);
    assert_close(product_inputs(&work), tokens * (4 * h + 2 * shared) + copies * (2 * h + 2 * f),
                 EXACT);
}

/* Biases: 16 on the router; each expert 2 * 512 inside, cut by etp, and 1024 outside, whole. */
static void biases_of_router_and_experts_by_hand(void **state)
{
    (void)state;
    made_model moe;
    make_example(&moe);
    moe.model.kinds[0].attention = (sp_attention){0};
    moe.model.kinds[0].ffn.router_bias = moe.model.kinds[0].ffn.expert_bias = true;
    const sp_sharding spread = {.tp = 2, .cp = 1, .ep = 8, .etp = 2, .sp = true};
    const sp_layer_params rank = sp_graph_layer_params(&moe.model, &moe.model.kinds[0], &spread);
    assert_true(rank.dense == 1024.0 * 16 + 16 + 1024);
    assert_true(rank.expert == 2 * (3.0 * 1024 * 512 / 2 + 512 + 1024));
}

/* Experts that read and write 256 of 1024 numbers: 2 * 1024 * 256 around them, a quarter of the
 * experts' weights, work and traffic; the router and the shared expert see all. */
static void latent_experts_work_and_travel_narrow(void **state)
{
    (void)state;
    made_model wide, latent;
    make_example(&wide);
    wide.model.kinds[0].ffn.shared_ffn = 768;
    latent = wide;
    latent.model.kinds[0].ffn.latent = 256;
    const double tokens = 2.0 * 2048;
    const sp_sharding cut = {.tp = 2, .cp = 1, .ep = 8, .etp = 2, .sp = true};
    const sp_layer_work a = expand_layer(&wide.model, 0, 2, 2048, &cut, true);
    const sp_layer_work b = expand_layer(&latent.model, 0, 2, 2048, &cut, true);
    assert_true(b.ffn.ep_bytes == a.ffn.ep_bytes / 4);
    assert_true(b.ffn.etp_bytes == a.ffn.etp_bytes / 4);
    assert_true(find_op(&b, "expert_up")->flops == find_op(&a, "expert_up")->flops / 4);
    assert_true(find_op(&b, "router")->flops == find_op(&a, "router")->flops);
    assert_true(find_op(&b, "shared_up")->flops == find_op(&a, "shared_up")->flops);
    assert_true(find_op(&b, "latent_down")->flops == tokens / 2 * 2 * 1024 * 256);
    assert_true(find_op(&b, "latent_up")->flops == tokens / 2 * 2 * 1024 * 256);
    const sp_layer_params p = sp_graph_layer_params(&wide.model, &wide.model.kinds[0], &alone);
    const sp_layer_params q = sp_graph_layer_params(&latent.model, &latent.model.kinds[0], &alone);
    assert_true(q.dense - p.dense == 2.0 * 1024 * 256);
    assert_true(q.expert == p.expert / 4);
}

/* 16 experts and 8 that compute nothing: of 2 choices two thirds are sent; the router weighs 24. */
static void idle_experts_take_choices_and_no_work(void **state)
{
    (void)state;
    made_model all, some;
    make_example(&all);
    some = all;
    some.model.kinds[0].ffn.idle_experts = 8;
    const sp_layer_work a = expand_layer(&all.model, 0, 2, 2048, &alone, true);
    const sp_layer_work b = expand_layer(&some.model, 0, 2, 2048, &alone, true);
    assert_close(find_op(&b, "expert_up")->flops, find_op(&a, "expert_up")->flops * 2 / 3, EXACT);
    assert_close(b.ffn.ep_bytes, a.ffn.ep_bytes * 2 / 3, EXACT);
    assert_true(find_op(&b, "router")->n == 24);
}

/* Both blocks work on the same normed input: one norm, two residuals. */
static void a_dense_block_beside_experts_shares_their_norm(void **state)
{
    (void)state;
    made_model experts, dense, both;
    make_example(&experts);
    dense = both = experts;
    both.model.kinds[0].ffn.ffn = 2048;
    dense.model.kinds[0].ffn = (sp_ffn){.ffn = 2048, .gated = true, .norms = 1};
    const sp_layer_work a = expand_layer(&experts.model, 0, 1, 2048, &alone, true);
    const sp_layer_work b = expand_layer(&dense.model, 0, 1, 2048, &alone, true);
    const sp_layer_work c = expand_layer(&both.model, 0, 1, 2048, &alone, true);
    assert_close(ffn_flops(&c), ffn_flops(&a) + ffn_flops(&b), EXACT);
    assert_close(ffn_kept(&c), ffn_kept(&a) + ffn_kept(&b) - 2048 * 4.0 * 1024, EXACT);
    assert_true(sp_graph_layer_params(&both.model, &both.model.kinds[0], &alone).dense -
                    sp_graph_layer_params(&experts.model, &experts.model.kinds[0], &alone).dense ==
                3.0 * 1024 * 2048);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flops_are_those_of_the_experts_met),
        cmocka_unit_test(expert_parallelism_moves_tokens_and_not_work),
        cmocka_unit_test(tensor_parallel_ranks_share_the_work),
        cmocka_unit_test(kept_bytes_by_hand),
        cmocka_unit_test(cut_experts_keep_gathered_inputs_whole),
        cmocka_unit_test(a_rank_sends_its_tokens_once_an_expert_met),
        cmocka_unit_test(parameters_by_hand),
        cmocka_unit_test(modules_by_hand),
        cmocka_unit_test(biases_of_router_and_experts_by_hand),
        cmocka_unit_test(a_shared_expert_is_a_dense_block_without_norm),
        cmocka_unit_test(latent_experts_work_and_travel_narrow),
        cmocka_unit_test(idle_experts_take_choices_and_no_work),
        cmocka_unit_test(a_dense_block_beside_experts_shares_their_norm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
