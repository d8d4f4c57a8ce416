/* SPDX-License-Identifier: Apache-2.0 */
/* State and activations off the GPU, by hand: who updates how much how fast, what hides beside the
 * passes, what is sent, and whether the host has room. */
#include "common/close.h"
#include "common/problems.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define EXACT 1e-9

/* Llama of 8 layers, h = 1024, f = 2816, V = 64000. A layer keeps 16 h + 6 f + 32 bytes a token:
 * two norms' inputs and outputs 8 h, queries, keys and values 6 h, output 2 h and 8 log-sum-exps of
 * the core, gate, up and activation 6 f. */
#define KEPT (8 * (16.0 * 1024 + 6 * 2816 + 32))

/* One micro-batch of 2048 tokens at 1 PFLOP/s: 2 (4 h^2 + 3 h f) + 2 s h FLOPs a token and layer,
 * products three times, the core 3.5 times. */
#define BATCH_S                                                                                    \
    (2048 *                                                                                        \
     (8 * (6 * (4 * 1024.0 * 1024 + 3 * 1024.0 * 2816) + 7 * 2048 * 1024.0) +                      \
      6 * 64000 * 1024.0) /                                                                        \
     1e15)

static void make_example(made_problem *made)
{
    make_calculator(made);
    make_llama(&made->model, 1024, 8, 8, 2816, 8);
    derive_problem(made);
}

static sp_estimate estimate(const made_problem *made, const sp_plan *plan)
{
    sp_estimate e;
    sp_estimate_plan(&made->problem, plan, &e);
    return e;
}

/* ---- the optimizer ---- */
/* The GPU streams 34 bytes a parameter at 500 GB/s; the host at `host` bytes/s, an eighth of its
 * node's, over a link of `link` bytes/s. */
static void make_updater(made_problem *made, double host, double link)
{
    make_calculator(made);
    make_llama(&made->model, 1024, 8, 8, 2816, 8);
    made->gpu.memory_bytes_per_s = 1e12;
    made->gpu.stream_ratio = 0.5;
    made->cluster.host_memory_bytes_per_s = 8 * host;
    made->cluster.host_link_bytes_per_s = link;
    derive_problem(made);
}

/* Half on each: the GPU takes half of its time; a host ten times as slow is waited for, one as fast
 * is not. */
static void the_slower_half_of_the_update_counts(void **state)
{
    (void)state;
    made_problem made;
    make_updater(&made, 50e9, 1e30);
    const double half = 34 * (double)made.problem.parameters.total / 2;
    sp_plan plan = make_plan(&made, 1, 1, 1, 1);
    plan.offload_optimizer = 50;
    sp_time t = estimate(&made, &plan).time;
    assert_close(t.optimizer_s, half / 500e9, EXACT);
    assert_close(t.offload_s, half / 50e9 - half / 500e9, EXACT);
    free_problem(&made);
    make_updater(&made, 500e9, 1e30);
    t = estimate(&made, &plan).time;
    assert_close(t.optimizer_s, half / 500e9, EXACT);
    assert_true(t.offload_s <= EXACT * t.optimizer_s);
    free_problem(&made);
}

/* All of it at the host: 4 bytes of gradients a parameter over 1 GB/s take longer than 34 through
 * the host's memory at 50 GB/s. */
static void gradients_cross_the_link_to_the_host(void **state)
{
    (void)state;
    made_problem made;
    make_updater(&made, 50e9, 1e9);
    const double params = (double)made.problem.parameters.total;
    sp_plan plan = make_plan(&made, 1, 1, 1, 1);
    plan.offload_optimizer = 100;
    const sp_estimate e = estimate(&made, &plan);
    assert_true(e.time.optimizer_s == 0.0);
    assert_close(e.time.offload_s, 4 * params / 1e9, EXACT);
    assert_close(e.network.host_bytes, (4 + 2) * params, EXACT); /* and weights back */
    free_problem(&made);
}

/* Storage reads and writes 12 bytes a parameter at 1 GB/s. */
static void local_storage_is_slower_than_memory(void **state)
{
    (void)state;
    made_problem made;
    make_updater(&made, 50e9, 1e30);
    made.cluster.nvme_bytes_per_s = 8e9;
    derive_problem(&made);
    const double params = (double)made.problem.parameters.total;
    sp_plan plan = make_plan(&made, 1, 1, 1, 1);
    plan.offload_optimizer = 100;
    assert_close(estimate(&made, &plan).time.offload_s, 34 * params / 50e9, EXACT);
    plan.offload_target = SP_OFFLOAD_NVME;
    assert_close(estimate(&made, &plan).time.offload_s, 24 * params / 1e9, EXACT);
    free_problem(&made);
}

/* Eight ranks update an eighth each; without ZeRO each updates all. */
static void a_rank_offloads_what_it_updates(void **state)
{
    (void)state;
    made_problem made;
    make_updater(&made, 50e9, 1e30);
    const double params = (double)made.problem.parameters.total;
    for (uint8_t zero = 0; zero <= 1; zero++) {
        sp_plan plan = make_plan(&made, 1, 1, 8, 1);
        plan.zero = zero;
        plan.offload_optimizer = 100;
        const double own = zero == 0 ? params : params / 8;
        assert_close(estimate(&made, &plan).time.offload_s, 34 * own / 50e9, EXACT);
        assert_close(estimate(&made, &plan).network.host_bytes, 6 * own, EXACT);
    }
    free_problem(&made);
}

/* ---- activations and weights ---- */
/* Half of a pass hides transfers over a link of `link` bytes/s. */
static void make_mover(made_problem *made, double link)
{
    make_example(made);
    made->cluster.host_link_bytes_per_s = link;
    made->profile.offload_overlap_ratio = 0.5;
    derive_problem(made);
}

/* Out beside a third of the micro-batch, in beside two thirds. A link that needs less than half of
 * the forward pass is hidden; one that needs twice the micro-batch is not. */
static void activations_hide_beside_long_passes(void **state)
{
    (void)state;
    made_problem made;
    const double bytes = 2048 * KEPT;
    make_mover(&made, bytes / (0.16 * BATCH_S));
    sp_plan plan = make_plan(&made, 1, 1, 1, 1);
    plan.offload_activations = 100;
    assert_int_equal(plan.accumulation, 512);
    assert_true(estimate(&made, &plan).time.offload_s == 0.0);
    assert_close(estimate(&made, &plan).network.host_bytes, 512 * 2 * bytes, EXACT);
    free_problem(&made);
    make_mover(&made, bytes / (2 * BATCH_S));
    assert_close(estimate(&made, &plan).time.offload_s,
                 512 * BATCH_S * ((2 - 0.5 / 3) + (2 - 0.5 * 2 / 3)), EXACT);
    plan.offload_activations = 50;
    assert_close(estimate(&made, &plan).time.offload_s,
                 512 * BATCH_S * ((1 - 0.5 / 3) + (1 - 0.5 * 2 / 3)), EXACT);
    free_problem(&made);
}

/* Every rank of 8 fetches its eighth of the weights for both passes of 64 micro-batches. */
static void sharded_weights_are_fetched_for_both_passes(void **state)
{
    (void)state;
    made_problem made;
    make_mover(&made, 1e30);
    const double bytes = 2 * (double)made.problem.parameters.total / 8;
    free_problem(&made);
    make_mover(&made, bytes / BATCH_S);
    sp_plan plan = make_plan(&made, 1, 1, 8, 1);
    plan.zero = 3;
    plan.offload_params = 100;
    const sp_estimate e = estimate(&made, &plan);
    assert_int_equal(plan.accumulation, 64);
    assert_close(e.network.host_bytes, 64 * 2 * bytes, EXACT);
    assert_close(e.time.offload_s, 64 * BATCH_S * ((1 - 0.5 / 3) + (1 - 0.5 * 2 / 3)), EXACT);
    free_problem(&made);
}

/* Activations out and weights in cross each other; on the way back both come in. */
static void a_link_carries_both_directions_at_once(void **state)
{
    (void)state;
    made_problem made;
    make_mover(&made, 1e9);
    made.profile.offload_overlap_ratio = 0.0;
    derive_problem(&made);
    const double kept_s = 2048 * KEPT / 1e9;
    const double fetch_s = 2 * (double)made.problem.parameters.total / 8 / 1e9;
    sp_plan plan = make_plan(&made, 1, 1, 8, 1);
    plan.zero = 3;
    plan.offload_params = plan.offload_activations = 100;
    const double longer_s = kept_s > fetch_s ? kept_s : fetch_s;
    assert_close(estimate(&made, &plan).time.offload_s, 64 * (longer_s + kept_s + fetch_s), EXACT);
    free_problem(&made);
}

/* The host's link and the network are waited for at the same time: the longer of both waits counts,
 * for every micro-batch and for the gradients of the last. */
static void host_and_network_are_waited_for_together(void **state)
{
    (void)state;
    made_problem made;
    make_mover(&made, 10e9);
    made.cluster.levels[0].bytes_per_s = 10e9;
    made.profile.offload_overlap_ratio = 0.0;
    derive_problem(&made);
    for (uint8_t zero = 1; zero <= 3; zero++) {
        sp_plan plan = make_plan(&made, 1, 1, 8, 1);
        plan.zero = zero;
        const sp_time network = estimate(&made, &plan).time;
        plan.offload_activations = 100;
        const sp_time both = estimate(&made, &plan).time;
        made.problem.fabric.level[0].s_per_byte = 0.0;
        const sp_time host = estimate(&made, &plan).time;
        derive_problem(&made);
        assert_at_most(both.step_s, host.step_s + network.dp_comm_s, EXACT);
        assert_at_most(host.step_s, both.step_s, EXACT);
        assert_at_most(network.step_s, both.step_s, EXACT);
        const double wait_s = host.offload_s / 64, each_s = network.dp_comm_s / 64;
        const double once_s = zero == 1 ? network.dp_comm_s : 0.0;
        if (zero == 1) {
            assert_close(both.dp_comm_s, once_s - wait_s, EXACT);
            assert_close(both.offload_s, host.offload_s, EXACT);
        }
        if (zero == 3) {
            assert_true(each_s > wait_s);
            assert_close(both.dp_comm_s, network.dp_comm_s, EXACT);
            assert_true(both.offload_s == 0.0);
        }
    }
    free_problem(&made);
}

/* ---- laws
 * ------------------------------------------------------------------------------------------------
 */
/* On one stage of one micro-batch in flight, what waits on the host is what goes there and back,
 * prediction modules included. */
static void what_waits_on_the_host_went_there_and_comes_back(void **state)
{
    (void)state;
    draw d = draw_begin("what_waits_on_the_host_went_there_and_comes_back");
    for (int i = 0; i < 2000; i++) {
        made_problem made;
        make_random_problem(&made, &d);
        derive_problem(&made);
        sp_plan plan = draw_plan(&made, &d);
        if (plan.pp == 1 && plan.ep_overlap == SP_OFF) {
            plan.offload_optimizer = plan.offload_params = 0;
            plan.offload_activations = (uint8_t)draw_between(&d, 1, 100);
            const sp_estimate e = estimate(&made, &plan);
            assert_true(e.memory.host_bytes > 0.0 && e.memory.nvme_bytes == 0.0);
            assert_close(e.network.host_bytes, 2.0 * plan.accumulation * e.memory.host_bytes,
                         EXACT);
        }
        free_problem(&made);
    }
}

static void nothing_offloaded_sends_and_waits_for_nothing(void **state)
{
    (void)state;
    draw d = draw_begin("nothing_offloaded_sends_and_waits_for_nothing");
    for (int i = 0; i < 500; i++) {
        made_problem made;
        make_random_problem(&made, &d);
        derive_problem(&made);
        sp_plan plan = draw_plan(&made, &d);
        plan.offload_optimizer = plan.offload_params = plan.offload_activations = 0;
        const sp_estimate e = estimate(&made, &plan);
        assert_true(e.time.offload_s == 0.0 && e.network.host_bytes == 0.0);
        assert_true(e.memory.host_bytes == 0.0 && e.memory.nvme_bytes == 0.0);
        assert_true(sp_offload_has_room(&made.problem, &plan));
        free_problem(&made);
    }
}

/* ---- room
 * ------------------------------------------------------------------------------------------------
 */
/* 12 bytes of state and 4 of gradients a parameter, on one GPU. */
static void the_host_needs_room_and_known_rates(void **state)
{
    (void)state;
    made_problem made;
    make_example(&made);
    sp_problem *p = &made.problem;
    const double bytes = 16 * (double)p->parameters.total;
    sp_plan plan = make_plan(&made, 1, 1, 1, 1);
    plan.offload_optimizer = 100;
    p->host.memory_bytes = 1.001 * bytes;
    assert_true(sp_offload_has_room(p, &plan));
    p->host.memory_bytes = 0.999 * bytes;
    assert_false(sp_offload_has_room(p, &plan));
    plan.offload_target = SP_OFFLOAD_NVME;
    p->host.nvme_bytes = 1.001 * bytes;
    assert_true(sp_offload_has_room(p, &plan));
    p->host.nvme_bytes = 0.999 * bytes;
    assert_false(sp_offload_has_room(p, &plan));
    p->host.nvme_bytes = 2 * bytes;
    p->host.nvme_s_per_byte = 0.0;
    assert_false(sp_offload_has_room(p, &plan));
    plan.offload_target = SP_OFFLOAD_HOST;
    p->host.memory_bytes = 2 * bytes;
    assert_true(sp_offload_has_room(p, &plan));
    p->host.update_s_per_byte = 0.0; /* only processors that update need a rate */
    assert_false(sp_offload_has_room(p, &plan));
    plan.offload_optimizer = 0;
    plan.offload_activations = 100;
    assert_true(sp_offload_has_room(p, &plan));
    p->host.link_s_per_byte = 0.0;
    assert_false(sp_offload_has_room(p, &plan));
    free_problem(&made);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_slower_half_of_the_update_counts),
        cmocka_unit_test(gradients_cross_the_link_to_the_host),
        cmocka_unit_test(local_storage_is_slower_than_memory),
        cmocka_unit_test(a_rank_offloads_what_it_updates),
        cmocka_unit_test(activations_hide_beside_long_passes),
        cmocka_unit_test(sharded_weights_are_fetched_for_both_passes),
        cmocka_unit_test(a_link_carries_both_directions_at_once),
        cmocka_unit_test(host_and_network_are_waited_for_together),
        cmocka_unit_test(what_waits_on_the_host_went_there_and_comes_back),
        cmocka_unit_test(nothing_offloaded_sends_and_waits_for_nothing),
        cmocka_unit_test(the_host_needs_room_and_known_rates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
