/* SPDX-License-Identifier: Apache-2.0 */
/* Seconds of layers by hand: modules computed again, uneven routing, expert traffic beside another
 * micro-batch, products in 8 bits, frozen weights. */
#include "common/close.h"
#include "common/problems.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define EXACT 1e-9

/* Llama of 8 layers, h = 1024, f = 2816, V = 64000; 512 sequences of 2048 tokens. */
#define TOKENS    (512.0 * 2048)
#define ATTENTION (2 * 4 * 1024.0 * 1024)
#define FFN       (2 * 3 * 1024.0 * 2816)
#define CORE      (2 * 2048 * 1024.0)
#define HEAD      (2 * 64000 * 1024.0)
#define LAYERS    8

static void make_example(made_problem *made)
{
    make_calculator(made);
    make_llama(&made->model, 1024, 8, 8, 2816, LAYERS);
    derive_problem(made);
}

static sp_time time_of(const made_problem *made, const sp_plan *plan)
{
    sp_estimate e;
    sp_estimate_plan(&made->problem, plan, &e);
    return e.time;
}

/* ---- recomputation ---- */
/* Where only arithmetic costs, norms and activations are free, the core and the block are not. */
static void modules_cost_the_arithmetic_of_their_operators(void **state)
{
    (void)state;
    static const struct {
        sp_recompute recompute;
        double flops; /* a token and layer */
    } cases[] = {
        {SP_RECOMPUTE_NONE,          0                     },
        {SP_RECOMPUTE_SELECTIVE,     CORE                  },
        {SP_RECOMPUTE_LAYERNORM,     0                     },
        {SP_RECOMPUTE_ACT,           0                     },
        {SP_RECOMPUTE_LAYERNORM_ACT, 0                     },
        {SP_RECOMPUTE_MLA_UP_MLP,    FFN                   },
        {SP_RECOMPUTE_MLP,           FFN                   },
        {SP_RECOMPUTE_OPS,           0                     },
        {SP_RECOMPUTE_FULL,          ATTENTION + CORE + FFN}
    };
    made_problem made;
    make_example(&made);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        sp_plan plan = make_plan(&made, 1, 1, 1, 4);
        plan.recompute = (uint8_t)cases[i].recompute;
        const double expected_s = TOKENS * LAYERS * cases[i].flops / 1e15;
        const double actual_s = time_of(&made, &plan).recompute_s;
        assert_true(actual_s >= expected_s * (1 - EXACT));
        assert_true(actual_s <= expected_s * (1 + EXACT) + 1e-9);
    }
    free_problem(&made);
}

/* Where only bytes cost, 1 TB/s: a norm reads and writes 2 bytes each of h, the activation reads 2
 * f and writes f. */
static void modules_cost_the_bytes_of_their_operators(void **state)
{
    (void)state;
    made_problem made;
    make_example(&made);
    made.gpu.memory_bytes_per_s = 1e12;
    made.gpu.stream_ratio = 1;
    for (int dtype = 0; dtype < SP_N_DTYPES; dtype++) {
        made.gpu.peak_flops_per_s[dtype] = 1e30;
    }
    derive_problem(&made);
    const double norms = 2 * 4 * 1024.0, activation = 2 * 3 * 2816.0;
    sp_plan plan = make_plan(&made, 1, 1, 1, 4);
    plan.recompute = SP_RECOMPUTE_LAYERNORM;
    assert_close(time_of(&made, &plan).recompute_s, TOKENS * LAYERS * norms / 1e12, EXACT);
    plan.recompute = SP_RECOMPUTE_ACT;
    assert_close(time_of(&made, &plan).recompute_s, TOKENS * LAYERS * activation / 1e12, EXACT);
    plan.recompute = SP_RECOMPUTE_LAYERNORM_ACT;
    assert_close(time_of(&made, &plan).recompute_s, TOKENS * LAYERS * (norms + activation) / 1e12,
                 EXACT);
    free_problem(&made);
}

/* DeepSeek-V3: queries 128 x 192 from 1536, keys and values 128 x 256 from 512; 61 layers and the
 * module's. */
static void latent_projections_up_are_two_products(void **state)
{
    (void)state;
    made_problem made;
    make_calculator(&made);
    make_deepseek_v3(&made.model);
    derive_problem(&made);
    sp_plan plan = make_plan(&made, 1, 1, 1, 4);
    plan.recompute = SP_RECOMPUTE_MLA_UP;
    const double up = 2 * (1536.0 * 128 * 192 + 512.0 * 128 * 256);
    assert_close(time_of(&made, &plan).recompute_s, TOKENS * 62 * up / 1e15, EXACT);
    free_problem(&made);
}

/* Three of eight layers. */
static void recomputed_layers_are_counted(void **state)
{
    (void)state;
    made_problem made;
    make_example(&made);
    sp_plan plan = make_plan(&made, 1, 1, 1, 4);
    plan.recompute = SP_RECOMPUTE_FULL;
    plan.recompute_layers = 3;
    assert_close(time_of(&made, &plan).recompute_s, TOKENS * 3 * (ATTENTION + CORE + FFN) / 1e15,
                 EXACT);
    free_problem(&made);
}

/* A feed-forward block done again reduces its output again: one all-reduce in a layer's four. */
static void a_block_done_again_sends_its_share_again(void **state)
{
    (void)state;
    made_problem made;
    sp_estimate before, after;
    make_example(&made);
    sp_plan plan = make_plan(&made, 8, 1, 1, 4);
    sp_estimate_plan(&made.problem, &plan, &before);
    plan.recompute = SP_RECOMPUTE_MLP;
    sp_estimate_plan(&made.problem, &plan, &after);
    const double reduce = 2 * 7 / 8.0 * 2 * 4 * 2048.0 * 1024;
    assert_close(after.network.tp_bytes - before.network.tp_bytes, 128 * LAYERS * reduce, EXACT);
    free_problem(&made);
}

/* ---- experts ---- */
/* 4 layers, h = 1024, 16 experts of width 512 of which a token meets 2, 8 ranks of a node. */
#define EXPERTS (2 * 3 * 1024.0 * 512 * 2)
#define ROUTER  (2 * 1024.0 * 16)

static void make_experts(made_problem *made, double link)
{
    make_calculator(made);
    make_moe(&made->model, 1024, 8, 512, 16, 2, 0, 4);
    made->cluster.levels[0].bytes_per_s = link;
    made->cluster.levels[0].efficiency_ratio = 1;
    made->profile.ep_overlap_ratio = 0.5;
    derive_problem(made);
}

static sp_plan expert_plan(const made_problem *made)
{
    sp_plan plan = make_plan(made, 1, 1, 8, 4);
    plan.ep = 8;
    return plan;
}

/* With 1.5 times the mean load the experts of a rank take 1.5 times as long and receive 1.5 times
 * the bytes; the rest of the layer stays. */
static void uneven_routing_scales_experts_and_their_traffic(void **state)
{
    (void)state;
    made_problem made;
    sp_estimate even, uneven;
    make_experts(&made, 100e9);
    const sp_plan plan = expert_plan(&made);
    sp_estimate_plan(&made.problem, &plan, &even);
    const double rank_tokens = TOKENS / 8;
    const double rest = 4 * (ATTENTION + CORE + ROUTER) + HEAD;
    assert_close(even.time.forward_s, rank_tokens * (rest + 4 * EXPERTS) / 1e15, EXACT);
    assert_close(even.network.ep_bytes, 4 * 4 * 7 / 8.0 * 2 * 1024 * rank_tokens * 2, EXACT);
    made.problem.question.moe_imbalance_ratio = 1.5;
    sp_estimate_plan(&made.problem, &plan, &uneven);
    assert_close(uneven.time.forward_s, rank_tokens * (rest + 4 * 1.5 * EXPERTS) / 1e15, EXACT);
    assert_close(uneven.network.ep_bytes, 1.5 * even.network.ep_bytes, EXACT);
    assert_close(uneven.time.ep_comm_s, 1.5 * even.time.ep_comm_s, EXACT);
    assert_close(uneven.network.dp_bytes, even.network.dp_bytes, EXACT);
    free_problem(&made);
}

/* A dense model routes nothing. */
static void uneven_routing_leaves_dense_models_alone(void **state)
{
    (void)state;
    made_problem made;
    make_example(&made);
    const sp_plan plan = make_plan(&made, 1, 1, 8, 4);
    const double even_s = time_of(&made, &plan).step_s;
    made.problem.question.moe_imbalance_ratio = 3;
    assert_true(time_of(&made, &plan).step_s == even_s);
    free_problem(&made);
}

/* Dispatch and combine: 2 x 7/8 of 2 h x 2 bytes a token each pass. Half of a forward pass and of a
 * backward pass, with twice the products and 2.5 times the core, hide as much of both; the first
 * forward and the last backward pass hide nothing. */
static void expert_traffic_hides_beside_another_micro_batch(void **state)
{
    (void)state;
    made_problem made;
    const double bytes = 2 * 7 / 8.0 * 2 * 1024 * 2;
    const double forward = (ATTENTION + ROUTER + EXPERTS + CORE) / 1e15;
    const double backward = (2 * (ATTENTION + ROUTER + EXPERTS) + 2.5 * CORE) / 1e15;
    const double tokens = TOKENS / 8 * 4;           /* times layers */
    static const double pass_s[] = {0.4, 0.8, 2.0}; /* of traffic, in forward passes */
    for (int i = 0; i < 3; i++) {
        make_experts(&made, bytes / (pass_s[i] * forward));
        sp_plan plan = expert_plan(&made);
        const double waits_s = pass_s[i] * forward;
        assert_close(time_of(&made, &plan).ep_comm_s, tokens * 2 * waits_s, EXACT);
        plan.ep_overlap = SP_ON;
        const double both_s = 2 * waits_s - 0.5 * (forward + backward);
        const double left_s = both_s > 0 ? both_s : 0;
        const double once_s = (2 * waits_s - left_s) / plan.accumulation;
        assert_close(time_of(&made, &plan).ep_comm_s, tokens * (left_s + once_s), EXACT);
        free_problem(&made);
    }
}

/* ---- formats ---- */
/* Products of layers at 2 PFLOP/s; the attention core and the head stay in 16 bits. */
static void low_precision_speeds_the_products_of_layers_alone(void **state)
{
    (void)state;
    made_problem made;
    make_example(&made);
    made.gpu.peak_flops_per_s[SP_FP8] = 2e15;
    derive_problem(&made);
    sp_plan plan = make_plan(&made, 1, 1, 1, 4);
    plan.precision = SP_PRECISION_FP8;
    const double products = TOKENS * LAYERS * (ATTENTION + FFN) / 2e15;
    const double cores = TOKENS * LAYERS * CORE / 1e15, head = TOKENS * HEAD / 1e15;
    const sp_time t = time_of(&made, &plan);
    assert_close(t.forward_s, products + cores + head, EXACT);
    assert_close(t.backward_s, 2 * products + 2.5 * cores + 2 * head, EXACT);
    /* Casts and scales: what the profile adds to products below 16 bits, and to those alone. */
    made.profile.low_precision_ratio = 1.25;
    derive_problem(&made);
    assert_close(time_of(&made, &plan).forward_s, 1.25 * products + cores + head, EXACT);
    plan.precision = SP_PRECISION_BF16;
    assert_close(time_of(&made, &plan).forward_s, 2 * products + cores + head, EXACT);
    free_problem(&made);
}

/* ---- frozen weights ---- */
/* A pair of rank 16 beside each product, 16 (m + n) weights, is trained; frozen products have a
 * gradient of their input alone, and so has the head. */
static void frozen_products_have_no_weight_gradient(void **state)
{
    (void)state;
    made_problem made;
    make_example(&made);
    made.problem.question.task = SP_TASK_LORA;
    made.problem.question.lora_rank = 16;
    derive_problem(&made);
    const sp_plan plan = make_plan(&made, 1, 1, 1, 4);
    const double products = TOKENS * LAYERS * (ATTENTION + FFN) / 1e15;
    const double cores = TOKENS * LAYERS * CORE / 1e15, head = TOKENS * HEAD / 1e15;
    const double pairs = TOKENS * LAYERS * 2 * 16 * (4096 + 2048 + 6656 + 3840.0) / 1e15;
    const sp_time t = time_of(&made, &plan);
    assert_close(t.forward_s, products + pairs + cores + head, EXACT);
    assert_close(t.backward_s, products + 2 * pairs + 2.5 * cores + head, EXACT);
    free_problem(&made);
}

/* Weights held in half a byte are read, and written in two, for each pass: 8 layers of
 * 4 h^2 + 3 h f at 1 TB/s. */
static void quantised_weights_are_unpacked_for_every_pass(void **state)
{
    (void)state;
    made_problem made;
    double forward_s[2], backward_s[2];
    static const sp_task tasks[] = {SP_TASK_LORA, SP_TASK_QLORA};
    for (int i = 0; i < 2; i++) {
        make_calculator(&made);
        make_llama(&made.model, 1024, 8, 8, 2816, LAYERS);
        made.gpu.memory_bytes_per_s = 1e12;
        made.gpu.stream_ratio = 1;
        made.problem.question.task = tasks[i];
        made.problem.question.lora_rank = 16;
        derive_problem(&made);
        const sp_plan plan = make_plan(&made, 1, 1, 1, 4);
        forward_s[i] = time_of(&made, &plan).forward_s;
        backward_s[i] = time_of(&made, &plan).backward_s;
        free_problem(&made);
    }
    const double weights = LAYERS * (4 * 1024.0 * 1024 + 3 * 1024.0 * 2816);
    assert_close(forward_s[1] - forward_s[0], 128 * 2.5 * weights / 1e12, 1e-6);
    assert_close(backward_s[1] - backward_s[0], 128 * 2.5 * weights / 1e12, 1e-6);
}

/* A module for a further token: 2 h x h beside a layer like the last one and another pass through
 * the head. */
static void prediction_modules_take_a_layer_a_projection_and_a_head(void **state)
{
    (void)state;
    made_problem made;
    make_example(&made);
    const sp_plan plan = make_plan(&made, 1, 1, 1, 4);
    const double before_s = time_of(&made, &plan).forward_s;
    made.model.model.mtp_layers = 2;
    derive_problem(&made);
    const double module = ATTENTION + FFN + CORE + 2 * 2 * 1024.0 * 1024 + HEAD;
    assert_close(time_of(&made, &plan).forward_s - before_s, 2 * TOKENS * module / 1e15, EXACT);
    free_problem(&made);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(modules_cost_the_arithmetic_of_their_operators),
        cmocka_unit_test(modules_cost_the_bytes_of_their_operators),
        cmocka_unit_test(latent_projections_up_are_two_products),
        cmocka_unit_test(recomputed_layers_are_counted),
        cmocka_unit_test(a_block_done_again_sends_its_share_again),
        cmocka_unit_test(uneven_routing_scales_experts_and_their_traffic),
        cmocka_unit_test(uneven_routing_leaves_dense_models_alone),
        cmocka_unit_test(expert_traffic_hides_beside_another_micro_batch),
        cmocka_unit_test(low_precision_speeds_the_products_of_layers_alone),
        cmocka_unit_test(frozen_products_have_no_weight_gradient),
        cmocka_unit_test(quantised_weights_are_unpacked_for_every_pass),
        cmocka_unit_test(prediction_modules_take_a_layer_a_projection_and_a_head),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
