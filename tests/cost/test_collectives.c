/* SPDX-License-Identifier: Apache-2.0 */
/* Collectives by hand on one level and two, and the laws of all algorithms of the list. */
#include "common/close.h"
#include "cost/fabrics.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define EXACT 1e-14

static const sp_coll_algorithm *find_algorithm(const char *name)
{
    for (uint32_t i = 0; i < sp_coll_algorithm_count(); i++) {
        const sp_coll_algorithm *algorithm = sp_coll_algorithm_describe(i);
        if (strcmp(algorithm->name, name) == 0) return algorithm;
    }
    fail_msg("there is no algorithm %s", name);
    return NULL;
}

/* ---- by hand ---- */
/* 8 GPUs of a node, 800 MB, 100 GB/s, 1 us: 700 MB take 7 ms, and 7 hops 7 us. A tree sends 1600 MB
 * in 16 ms with 2 x 3 hops. Level by level is the same as a ring: there is one level. */
static void eight_gpus_of_a_node(void **state)
{
    (void)state;
    const sp_fabric fabric = round_fabric();
    const sp_group node = sp_group_build(&fabric, 8, 1);
    const double bytes = 800e6, gather = 7e-3 + 7e-6;
    assert_close(find_algorithm("ring")->allgather_s(&node, bytes), gather, EXACT);
    assert_close(find_algorithm("ring")->allreduce_s(&node, bytes), 2 * gather, EXACT);
    assert_close(find_algorithm("tree")->allreduce_s(&node, bytes), 16e-3 + 6e-6, EXACT);
    assert_close(find_algorithm("hierarchical")->allgather_s(&node, bytes), gather, EXACT);
    assert_close(sp_coll_allgather_s(&node, bytes), gather, EXACT);
    assert_close(sp_coll_allreduce_s(&node, bytes), 2 * gather, EXACT);
    assert_close(sp_coll_alltoall_s(&node, bytes), gather, EXACT);
    assert_close(sp_coll_p2p_s(&node, bytes), 8e-3 + 1e-6, EXACT);
}

/* 16 GPUs on two nodes, 1600 MB, 100 MB a GPU; between nodes 10 GB/s and 5 us.
 * ring: 1500 MB through the node (15 ms) and through 8 ports (18.75 ms); of its 15 hops one joins
 * the nodes: 14 of 1 us, 1 of 5 us tree: 3200 MB through the node (32 ms) and through 8 ports (40
 * ms); 2 x 3 hops and 2 x 1 by levels: 1 share of 100 MB between the nodes (10 ms), then 7 x 200 MB
 * inside (14 ms) all to all: 7 shares inside (7 ms) beside 8 shares between the nodes (80 ms), 7 us
 * and 40 us */
static void sixteen_gpus_on_two_nodes(void **state)
{
    (void)state;
    const sp_fabric fabric = round_fabric();
    const sp_group group = sp_group_build(&fabric, 16, 1);
    const double bytes = 1600e6;
    const double ring = 18.75e-3 + 19e-6, levels = 10e-3 + 5e-6 + 14e-3 + 7e-6;
    assert_close(find_algorithm("ring")->allgather_s(&group, bytes), ring, EXACT);
    assert_close(find_algorithm("hierarchical")->allgather_s(&group, bytes), levels, EXACT);
    assert_close(find_algorithm("tree")->allreduce_s(&group, bytes), 40e-3 + 6e-6 + 10e-6, EXACT);
    assert_close(sp_coll_allgather_s(&group, bytes), ring, EXACT);
    assert_close(sp_coll_allreduce_s(&group, bytes), 2 * ring, EXACT);
    assert_close(sp_coll_alltoall_s(&group, bytes), 80e-3 + 47e-6, EXACT);
    assert_close(sp_coll_p2p_s(&group, bytes), 160e-3 + 5e-6, EXACT);
}

/* One GPU of each of 4 nodes: the inner level carries nothing. 3/4 of 400 MB at 10 GB/s. */
static void four_gpus_on_four_nodes(void **state)
{
    (void)state;
    const sp_fabric fabric = round_fabric();
    const sp_group group = sp_group_build(&fabric, 4, 8);
    assert_close(sp_coll_allgather_s(&group, 400e6), 30e-3 + 15e-6, EXACT);
    assert_close(sp_coll_alltoall_s(&group, 400e6), 30e-3 + 15e-6, EXACT);
    assert_close(sp_coll_p2p_s(&group, 400e6), 40e-3 + 5e-6, EXACT);
}

/* 4 kB over 16 GPUs: latency decides, and trees have the shortest way: 4 kB / 100 GB/s and 2 x 4 kB
 * / 8 at 10 GB/s are 0.08 us and 0.1 us beside 16 us. */
static void small_messages_go_through_a_tree(void **state)
{
    (void)state;
    const sp_fabric fabric = round_fabric();
    const sp_group group = sp_group_build(&fabric, 16, 1);
    assert_close(sp_coll_allreduce_s(&group, 4000), 16e-6 + 0.1e-6, EXACT);
    assert_true(sp_coll_allreduce_s(&group, 4000) ==
                find_algorithm("tree")->allreduce_s(&group, 4000));
}

/* 2 us inside a node, 20 us across: a collective pays the larger of the levels that it uses, once.
 */
static void every_collective_starts_with_the_base_of_its_widest_level(void **state)
{
    (void)state;
    sp_fabric fabric = round_fabric();
    fabric.level[0].base_s = 2e-6;
    fabric.level[1].base_s = 20e-6;
    const sp_group node = sp_group_build(&fabric, 8, 1), both = sp_group_build(&fabric, 16, 1);
    const sp_group apart = sp_group_build(&fabric, 4, 8);
    assert_close(sp_coll_allgather_s(&node, 800e6), 2e-6 + 7e-3 + 7e-6, EXACT);
    assert_close(sp_coll_allreduce_s(&node, 800e6), 2e-6 + 2 * (7e-3 + 7e-6), EXACT);
    assert_close(sp_coll_alltoall_s(&both, 1600e6), 20e-6 + 80e-3 + 47e-6, EXACT);
    assert_close(sp_coll_p2p_s(&apart, 400e6), 20e-6 + 40e-3 + 5e-6, EXACT);
    fabric.level[0].base_s = 30e-6; /* a level that no member shares is not used */
    const sp_group still_apart = sp_group_build(&fabric, 4, 8);
    assert_close(sp_coll_p2p_s(&still_apart, 400e6), 20e-6 + 40e-3 + 5e-6, EXACT);
}

/* ---- laws ---- */
static void a_group_of_one_is_free(void **state)
{
    (void)state;
    draw d = draw_begin("a_group_of_one_is_free");
    for (int trial = 0; trial < 200; trial++) {
        const sp_fabric fabric = random_fabric(&d);
        const sp_group one = sp_group_build(&fabric, 1, draw_between(&d, 1, 64));
        assert_true(sp_coll_allgather_s(&one, 1e9) == 0.0);
        assert_true(sp_coll_allreduce_s(&one, 1e9) == 0.0);
        assert_true(sp_coll_alltoall_s(&one, 1e9) == 0.0);
        assert_true(sp_coll_p2p_s(&one, 1e9) == 0.0);
        for (uint32_t i = 0; i < sp_coll_algorithm_count(); i++) {
            const sp_coll_algorithm *a = sp_coll_algorithm_describe(i);
            assert_true(a->allreduce_s(&one, 1e9) == 0.0);
            if (a->allgather_s != NULL) assert_true(a->allgather_s(&one, 1e9) == 0.0);
        }
    }
}

static sp_group random_group(draw *d, const sp_fabric *fabric)
{
    return sp_group_build(fabric, draw_between(d, 2, 256), draw_between(d, 1, 64));
}

static void the_fastest_algorithm_is_taken(void **state)
{
    (void)state;
    draw d = draw_begin("the_fastest_algorithm_is_taken");
    for (int trial = 0; trial < 5000; trial++) {
        const sp_fabric fabric = random_fabric(&d);
        const sp_group group = random_group(&d, &fabric);
        const double bytes = draw_scale(&d, 1.0, 1e11);
        double gather = INFINITY, reduce = INFINITY;
        for (uint32_t i = 0; i < sp_coll_algorithm_count(); i++) {
            const sp_coll_algorithm *a = sp_coll_algorithm_describe(i);
            if (a->allgather_s != NULL) gather = fmin(gather, a->allgather_s(&group, bytes));
            if (a->allreduce_s != NULL) reduce = fmin(reduce, a->allreduce_s(&group, bytes));
        }
        assert_close(sp_coll_allgather_s(&group, bytes), group.base_s + gather, EXACT);
        assert_close(sp_coll_allreduce_s(&group, bytes), group.base_s + reduce, EXACT);
    }
}

typedef double (*collective)(const sp_group *group, double bytes);

static const collective collectives[] = {sp_coll_allgather_s, sp_coll_allreduce_s,
                                         sp_coll_alltoall_s, sp_coll_p2p_s};

#define N_COLLECTIVES (sizeof collectives / sizeof collectives[0])

static void more_bytes_never_take_less_time(void **state)
{
    (void)state;
    draw d = draw_begin("more_bytes_never_take_less_time");
    for (int trial = 0; trial < 5000; trial++) {
        const sp_fabric fabric = random_fabric(&d);
        const sp_group group = random_group(&d, &fabric);
        const double few = draw_scale(&d, 1.0, 1e11), many = few * draw_scale(&d, 1.0, 1e3);
        for (size_t c = 0; c < N_COLLECTIVES; c++) {
            assert_at_most(collectives[c](&group, few), collectives[c](&group, many), 0.0);
        }
    }
}

/* More ranks may well be faster when they fill nodes (16 GPUs share 8 ports a node, 9 do not);
 * inside one level and over whole nodes they are not. An all-to-all that leaves its first node is
 * the exception: half of its traffic moves to other links, which work at the same time. */
static void more_ranks_never_take_less_time_on_one_level_or_whole_nodes(void **state)
{
    (void)state;
    draw d = draw_begin("more_ranks_never_take_less_time");
    for (int trial = 0; trial < 500; trial++) {
        sp_fabric fabric = random_fabric(&d);
        const double bytes = draw_scale(&d, 1.0, 1e11);
        const uint32_t node = fabric.n_levels > 1 ? fabric.level[0].n_gpus : 1;
        fabric.n_levels = fabric.n_levels > 1 ? 2 : 1;
        fabric.level[fabric.n_levels - 1].n_gpus = UINT32_MAX;
        for (uint32_t nodes = 1; nodes < 40; nodes++) {
            const sp_group fewer = sp_group_build(&fabric, nodes * node, 1);
            const sp_group more = sp_group_build(&fabric, (nodes + 1) * node, 1);
            for (size_t c = 0; c < N_COLLECTIVES; c++) {
                const bool leaves_node = node > 1 && nodes == 1;
                if (collectives[c] == sp_coll_alltoall_s && leaves_node) continue;
                assert_at_most(collectives[c](&fewer, bytes), collectives[c](&more, bytes), 1e-14);
            }
        }
    }
}

/* Two bounds on an all-gather of `bytes` over n ranks, on any network:
 * a rank receives (n-1)/n of them, at best all over its fastest link;
 * of the p members that a domain holds each brings in 1/p of what lies outside, (n-p)/n. */
static double gather_bound_s(const sp_group *group, double bytes)
{
    const double n = group->n;
    double fastest = INFINITY, bound = 0.0, p = 1.0;
    for (uint32_t i = 0; i < group->n_levels; i++) {
        const double s_per_byte = group->fabric->level[i].s_per_byte;
        fastest = fmin(fastest, s_per_byte);
        if (i > 0) bound = fmax(bound, (n - p) / n / p * bytes * s_per_byte);
        p = group->inside[i];
    }
    return fmax(bound, (n - 1.0) / n * bytes * fastest);
}

static void no_algorithm_beats_the_bandwidth(void **state)
{
    (void)state;
    draw d = draw_begin("no_algorithm_beats_the_bandwidth");
    for (int trial = 0; trial < 20000; trial++) {
        const sp_fabric fabric = random_fabric(&d);
        const sp_group group = random_group(&d, &fabric);
        const double bytes = draw_scale(&d, 1.0, 1e11);
        const double bound = gather_bound_s(&group, bytes);
        for (uint32_t i = 0; i < sp_coll_algorithm_count(); i++) {
            const sp_coll_algorithm *a = sp_coll_algorithm_describe(i);
            if (a->allgather_s != NULL) assert_at_most(bound, a->allgather_s(&group, bytes), 1e-14);
            /* A reduction sends everything twice: partial sums one way, the sum the other. */
            if (a->allreduce_s != NULL) {
                assert_at_most(2.0 * bound, a->allreduce_s(&group, bytes), 1e-14);
            }
        }
    }
}

/* Each of the p members of a domain exchanges bytes / n with each of the n - p ranks outside. */
static void all_to_all_never_beats_its_outermost_link(void **state)
{
    (void)state;
    draw d = draw_begin("all_to_all_never_beats_its_outermost_link");
    for (int trial = 0; trial < 5000; trial++) {
        const sp_fabric fabric = random_fabric(&d);
        const sp_group group = random_group(&d, &fabric);
        const double bytes = draw_scale(&d, 1.0, 1e11), n = group.n;
        const uint32_t last = group.n_levels - 1;
        const double p = last > 0 ? group.inside[last - 1] : 1.0;
        assert_at_most((n - p) / n * bytes * fabric.level[last].s_per_byte,
                       sp_coll_alltoall_s(&group, bytes), 1e-14);
    }
}

static void a_slower_link_is_never_faster(void **state)
{
    (void)state;
    draw d = draw_begin("a_slower_link_is_never_faster");
    for (int trial = 0; trial < 5000; trial++) {
        const sp_fabric fabric = random_fabric(&d);
        sp_fabric slower = fabric;
        sp_fabric_level *level = &slower.level[draw_between(&d, 0, fabric.n_levels - 1)];
        level->s_per_byte *= draw_scale(&d, 1.0, 10.0);
        level->latency_s *= draw_scale(&d, 1.0, 10.0);
        const uint32_t n = draw_between(&d, 2, 256), stride = draw_between(&d, 1, 64);
        const sp_group before = sp_group_build(&fabric, n, stride);
        const sp_group after = sp_group_build(&slower, n, stride);
        const double bytes = draw_scale(&d, 1.0, 1e11);
        for (size_t c = 0; c < N_COLLECTIVES; c++) {
            assert_at_most(collectives[c](&before, bytes), collectives[c](&after, bytes), 0.0);
        }
    }
}

static void nothing_to_send_is_free(void **state)
{
    (void)state;
    const sp_fabric fabric = round_fabric();
    const sp_group group = sp_group_build(&fabric, 16, 1);
    assert_true(sp_coll_allgather_s(&group, 0.0) == 0.0);
    assert_true(sp_coll_allreduce_s(&group, 0.0) == 0.0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(eight_gpus_of_a_node),
        cmocka_unit_test(sixteen_gpus_on_two_nodes),
        cmocka_unit_test(four_gpus_on_four_nodes),
        cmocka_unit_test(small_messages_go_through_a_tree),
        cmocka_unit_test(every_collective_starts_with_the_base_of_its_widest_level),
        cmocka_unit_test(a_group_of_one_is_free),
        cmocka_unit_test(the_fastest_algorithm_is_taken),
        cmocka_unit_test(more_bytes_never_take_less_time),
        cmocka_unit_test(more_ranks_never_take_less_time_on_one_level_or_whole_nodes),
        cmocka_unit_test(no_algorithm_beats_the_bandwidth),
        cmocka_unit_test(all_to_all_never_beats_its_outermost_link),
        cmocka_unit_test(a_slower_link_is_never_faster),
        cmocka_unit_test(nothing_to_send_is_free),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
