/* SPDX-License-Identifier: Apache-2.0 */
/* Gradients and weights between copies, by hand: shard groups and their copies, how many messages
 * ZeRO sends, and what is sent where the model is frozen. Nothing hides here. */
#include "common/close.h"
#include "common/problems.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define EXACT 1e-9

/* Adapters of rank 16 beside the four products of a layer: 3072 x 1024, 1024 x 1024, 5632 x 1024
 * and 1024 x 2816. */
#define ADAPTERS (8 * 16.0 * (4096 + 2048 + 6656 + 3840))

/* Nodes of 8 at 100 GB/s, 10 GB/s between them. */
static void set_links(made_problem *made)
{
    made->cluster.levels[0].bytes_per_s = 100e9;
    made->cluster.levels[1].bytes_per_s = 10e9;
    made->cluster.levels[0].efficiency_ratio = made->cluster.levels[1].efficiency_ratio = 1;
}

static void make_example(made_problem *made)
{
    make_calculator(made);
    make_llama(&made->model, 1024, 8, 8, 2816, 8);
    set_links(made);
    derive_problem(made);
}

static sp_estimate estimate(const made_problem *made, const sp_plan *plan)
{
    sp_estimate e;
    sp_estimate_plan(&made->problem, plan, &e);
    return e;
}

/* Two nodes. Gradients of 4 bytes are scattered in the node (7/8 of them), the eighth that a rank
 * then has is added up with the other node's (an all-reduce: twice half of it), and weights of 2
 * bytes are gathered in the node. */
static void groups_scatter_inside_and_add_up_outside(void **state)
{
    (void)state;
    made_problem made;
    make_example(&made);
    sp_plan plan = make_plan(&made, 1, 1, 16, 1);
    plan.shard_group = 8;
    const double params = (double)made.problem.parameters.total;
    const sp_estimate e = estimate(&made, &plan);
    const double inside = 7 / 8.0 * (4 + 2) * params, outside = 4 * params / 8;
    assert_close(e.time.dp_comm_s, inside / 100e9 + outside / 10e9, EXACT);
    assert_close(e.network.dp_bytes, inside + outside, EXACT);
    assert_close(e.memory.optimizer_bytes, 12 * params / 8, EXACT);
    free_problem(&made);
}

/* FSDP in the node: weights stay there, gathered for both passes of every micro-batch; only shards
 * of gradients leave it. */
static void weights_are_gathered_within_their_group(void **state)
{
    (void)state;
    made_problem made;
    make_example(&made);
    sp_plan plan = make_plan(&made, 1, 1, 16, 4);
    plan.shard_group = 8;
    plan.zero = 3;
    const double params = (double)made.problem.parameters.total;
    const double each = 7 / 8.0 * (4 + 2 + 2) * params + 4 * params / 8;
    assert_int_equal(plan.accumulation, 8);
    assert_close(estimate(&made, &plan).network.dp_bytes, 8 * each, EXACT);
    free_problem(&made);
}

/* A group of one rank shards nothing: all gradients are added up, weights are never gathered. */
static void a_group_of_one_sends_what_no_sharding_sends(void **state)
{
    (void)state;
    made_problem made;
    make_example(&made);
    sp_plan plan = make_plan(&made, 1, 1, 16, 1);
    plan.zero = 0;
    const sp_estimate none = estimate(&made, &plan);
    plan.zero = 1;
    plan.shard_group = 1;
    const sp_estimate one = estimate(&made, &plan);
    assert_close(one.time.dp_comm_s, none.time.dp_comm_s, EXACT);
    assert_close(one.network.dp_bytes, none.network.dp_bytes, EXACT);
    assert_close(one.memory.optimizer_bytes, none.memory.optimizer_bytes, EXACT);
    free_problem(&made);
}

/* Ranks of a sequence hold copies of the weights: cp = 4 with dp = 2 sends what dp = 8 sends. */
static void ranks_of_a_sequence_share_the_weights(void **state)
{
    (void)state;
    made_problem made;
    make_example(&made);
    sp_plan cut = make_plan(&made, 1, 1, 2, 1);
    cut_sequences(&made, 4, &cut);
    const sp_plan plain = make_plan(&made, 1, 1, 8, 1);
    const sp_estimate a = estimate(&made, &cut), b = estimate(&made, &plain);
    assert_close(a.network.dp_bytes, b.network.dp_bytes, EXACT);
    assert_close(a.time.dp_comm_s, b.time.dp_comm_s, EXACT);
    assert_close(a.memory.optimizer_bytes, b.memory.optimizer_bytes, EXACT);
    free_problem(&made);
}

/* 16 experts on 8 ranks of a node, 2 copies of them: groups of 8 hold every expert once, so that
 * none is sharded and all gradients of an eighth are added up between the nodes. */
static void experts_have_as_many_copies_as_the_groups(void **state)
{
    (void)state;
    made_problem made;
    make_calculator(&made);
    make_moe(&made.model, 1024, 8, 512, 16, 2, 0, 4);
    set_links(&made);
    derive_problem(&made);
    sp_plan plan = make_plan(&made, 1, 1, 16, 1);
    plan.ep = 8;
    plan.shard_group = 8;
    const double expert = 4 * 16 * 3.0 * 1024 * 512;
    const double dense = (double)made.problem.parameters.total - expert;
    const double sent = 7 / 8.0 * 6 * dense + 4 * dense / 8 + 4 * expert / 8;
    assert_close(estimate(&made, &plan).network.dp_bytes, sent, EXACT);
    assert_close(estimate(&made, &plan).memory.optimizer_bytes, 12 * (dense / 8 + expert / 8),
                 EXACT);
    free_problem(&made);
}

/* Gradients longer than a micro-batch hide beside the last backward pass, two thirds of one, but
 * for the time that expert traffic holds the ports, which that pass has no pair to hide beside. 4
 * layers with products three times and the core 3.5 times; a way of expert traffic is a quarter of
 * a layer's forward pass, four to a layer. */
static void gradients_find_no_room_beside_expert_traffic(void **state)
{
    (void)state;
    made_problem made;
    const double tokens = 4 * 2048.0, core = 2 * 2048 * 1024.0, head = 2 * 64000 * 1024.0;
    const double products = 2 * (4 * 1024.0 * 1024 + 1024 * 16.0 + 2 * 3 * 1024.0 * 512);
    const double way_s = tokens * (products + core) / 1e15 / 4;
    make_calculator(&made);
    make_moe(&made.model, 1024, 8, 512, 16, 2, 0, 4);
    set_links(&made);
    made.cluster.levels[0].bytes_per_s = 7 / 8.0 * 2 * 1024 * tokens * 2 / way_s;
    made.profile.ep_overlap_ratio = made.profile.dp_overlap_ratio = 1;
    made.profile.bucket_bytes = 1; /* so that the last message is nothing */
    derive_problem(&made);
    sp_plan plan = make_plan(&made, 1, 1, 16, 4);
    plan.zero = 0;
    plan.ep = 8;
    plan.ep_overlap = SP_ON;
    const double waits_s = estimate(&made, &plan).time.dp_comm_s;
    plan.dp_overlap = SP_ON;
    const sp_time t = estimate(&made, &plan).time;
    const double work_s = tokens * (3 * (4 * products + head) + 3.5 * 4 * core) / 1e15;
    assert_close(t.ep_comm_s, 4 * 4 * way_s, 1e-6); /* of one micro-batch, first and last pass */
    assert_close(waits_s - t.dp_comm_s, 2 / 3.0 * work_s, 1e-6);
    free_problem(&made);
}

/* ---- messages ---- */
/* Collectives cost 1 ms each and bytes nothing; 16 micro-batches, buckets of a quarter of the
 * gradients and one that is filled in part. ZeRO 0 reduces 5 buckets a step, 1 gathers as many; 2
 * reduces 5 with every micro-batch; 3 reduces and gathers 10 units (8 layers and the ends) and
 * gathers them again. */
static void zero_sends_buckets_or_units(void **state)
{
    (void)state;
    static const double messages[] = {5, 5 + 5, 16 * 5 + 5, 16 * 3 * 10};
    made_problem made;
    make_calculator(&made);
    make_llama(&made.model, 1024, 8, 8, 2816, 8);
    made.cluster.levels[0].base_s = 1e-3;
    made.profile.bucket_bytes = (double)sp_model_parameters(&made.model.model).total;
    derive_problem(&made);
    for (uint8_t zero = 0; zero <= 3; zero++) {
        sp_plan plan = make_plan(&made, 1, 1, 8, 4);
        plan.zero = zero;
        assert_int_equal(plan.accumulation, 16);
        assert_close(estimate(&made, &plan).time.dp_comm_s, messages[zero] * 1e-3, EXACT);
    }
    free_problem(&made);
}

/* Gradients below a bucket go in one message. */
static void small_gradients_are_one_message(void **state)
{
    (void)state;
    made_problem made;
    make_calculator(&made);
    make_llama(&made.model, 1024, 8, 8, 2816, 8);
    made.cluster.levels[0].base_s = 1e-3;
    made.profile.bucket_bytes = 1e18;
    derive_problem(&made);
    sp_plan plan = make_plan(&made, 1, 1, 8, 1);
    assert_close(estimate(&made, &plan).time.dp_comm_s, 2e-3, EXACT);
    free_problem(&made);
}

/* ---- frozen models ---- */
static void train_adapters(made_problem *made, sp_task task)
{
    make_example(made);
    made->problem.question.task = task;
    made->problem.question.lora_rank = 16;
    derive_problem(made);
}

/* 4 bytes of gradients out and 2 of weights back, of the adapters alone. */
static void adapters_alone_are_sent(void **state)
{
    (void)state;
    made_problem made;
    train_adapters(&made, SP_TASK_LORA);
    sp_plan plan = make_plan(&made, 1, 1, 8, 4);
    const sp_estimate e = estimate(&made, &plan);
    assert_close(e.network.dp_bytes, 7 / 8.0 * 6 * ADAPTERS, EXACT);
    assert_close(e.time.dp_comm_s, 7 / 8.0 * 6 * ADAPTERS / 100e9, EXACT);
    free_problem(&made);
}

/* ZeRO-3 shards frozen weights too, and gathers them for both passes of 16 micro-batches: 2 bytes a
 * parameter, half a byte in matrices of layers packed to 4 bits. */
static void sharded_frozen_weights_are_gathered(void **state)
{
    (void)state;
    static const sp_task tasks[] = {SP_TASK_LORA, SP_TASK_QLORA};
    static const double bytes[] = {2, 0.5};
    for (int i = 0; i < 2; i++) {
        made_problem made;
        train_adapters(&made, tasks[i]);
        sp_plan plan = make_plan(&made, 1, 1, 8, 4);
        plan.zero = 3;
        const double params = (double)made.problem.parameters.total;
        const double matrices = 8 * 1024.0 * (4 * 1024 + 3 * 2816);
        const double held = bytes[i] * matrices + 2 * (params - matrices);
        const double each = 7 / 8.0 * (2 * held + (4 + 2 + 2) * ADAPTERS);
        assert_close(estimate(&made, &plan).network.dp_bytes, 16 * each, EXACT);
        free_problem(&made);
    }
}

/* Copies of a tied table at both ends of a pipeline add up gradients, unless the table is frozen.
 */
static void a_frozen_tied_table_sends_nothing(void **state)
{
    (void)state;
    made_problem made;
    make_calculator(&made);
    make_gpt(&made.model, 1024, 16, 8);
    set_links(&made);
    derive_problem(&made);
    const sp_plan plan = make_plan(&made, 1, 8, 1, 1);
    const double trained_s = estimate(&made, &plan).time.dp_comm_s;
    assert_true(trained_s > 0.0);
    made.problem.question.task = SP_TASK_LORA;
    made.problem.question.lora_rank = 8;
    derive_problem(&made);
    assert_true(estimate(&made, &plan).time.dp_comm_s == 0.0);
    free_problem(&made);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(groups_scatter_inside_and_add_up_outside),
        cmocka_unit_test(weights_are_gathered_within_their_group),
        cmocka_unit_test(a_group_of_one_sends_what_no_sharding_sends),
        cmocka_unit_test(ranks_of_a_sequence_share_the_weights),
        cmocka_unit_test(experts_have_as_many_copies_as_the_groups),
        cmocka_unit_test(gradients_find_no_room_beside_expert_traffic),
        cmocka_unit_test(zero_sends_buckets_or_units),
        cmocka_unit_test(small_gradients_are_one_message),
        cmocka_unit_test(adapters_alone_are_sent),
        cmocka_unit_test(sharded_frozen_weights_are_gathered),
        cmocka_unit_test(a_frozen_tied_table_sends_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
