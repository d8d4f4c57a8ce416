/* SPDX-License-Identifier: Apache-2.0 */
/* Where groups of ranks sit: hand-worked placements, and every group of whole clusters counted out
 * against the closed form. */
#include "common/close.h"
#include "cost/fabrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* Levels of 8 and of all GPUs; the members of a group in one node. */
static uint32_t inside_node(uint32_t n, uint32_t stride)
{
    const sp_fabric fabric = round_fabric();
    const sp_group group = sp_group_build(&fabric, n, stride);
    assert_true(group.n == n && group.fabric == &fabric);
    assert_true(group.inside[group.n_levels - 1] == n);
    return group.inside[0];
}

static uint32_t levels_used(uint32_t n, uint32_t stride)
{
    const sp_fabric fabric = round_fabric();
    return sp_group_build(&fabric, n, stride).n_levels;
}

static void eight_neighbours_share_a_node(void **state)
{
    (void)state;
    assert_int_equal(levels_used(8, 1), 1);
    assert_int_equal(inside_node(8, 1), 8);
    assert_int_equal(levels_used(4, 2), 1); /* 0 2 4 6 */
    assert_int_equal(levels_used(2, 4), 1); /* 0 4 */
    assert_int_equal(levels_used(1, 1000), 1);
}

static void ranks_eight_apart_never_share_a_node(void **state)
{
    (void)state;
    assert_int_equal(levels_used(8, 8), 2);
    assert_int_equal(inside_node(8, 8), 1);
    assert_int_equal(inside_node(4, 16), 1);
}

/* Ranks 6 .. 11 lie on two nodes, two of them on the first. */
static void groups_of_six_straddle_nodes_of_eight(void **state)
{
    (void)state;
    assert_int_equal(levels_used(6, 1), 2);
    assert_int_equal(inside_node(6, 1), 2);
    assert_int_equal(inside_node(3, 1), 1);  /* 6 7 | 8 */
    assert_int_equal(inside_node(12, 1), 4); /* 12 13 14 15 | 16 .. 23 */
}

static void whole_nodes_are_filled(void **state)
{
    (void)state;
    assert_int_equal(inside_node(16, 1), 8);
    assert_int_equal(inside_node(8, 2), 4);  /* 0 2 4 6 | 8 10 12 14 */
    assert_int_equal(inside_node(16, 4), 2); /* 0 4 | 8 12 | ... */
}

/* 0 3 6 | 9 12 15 | 18 21: the last node holds two. */
static void a_stride_that_does_not_divide_the_node_counts_the_worst_node(void **state)
{
    (void)state;
    assert_int_equal(inside_node(8, 3), 2);
    assert_int_equal(inside_node(4, 3), 1); /* 0 3 6 | 9 */
}

/* ---- the closed form against all groups of a cluster ---- */
/* The fewest members that any group has in a domain that it touches. Ranks b n stride + o + j
 * stride, o < stride, form a group. */
static uint32_t fewest_together(uint32_t total, uint32_t domain, uint32_t n, uint32_t stride)
{
    uint32_t fewest = n;
    for (uint32_t block = 0; block < total; block += n * stride) {
        for (uint32_t first = block; first < block + stride; first++) {
            uint32_t here = 1;
            for (uint32_t j = 1; j <= n; j++) {
                const uint32_t rank = first + j * stride;
                if (j < n && rank / domain == (rank - stride) / domain) {
                    here++;
                    continue;
                }
                fewest = here < fewest ? here : fewest;
                here = 1;
            }
        }
    }
    return fewest;
}

static uint32_t gcd(uint32_t a, uint32_t b)
{
    return b == 0 ? a : gcd(b, a % b);
}

static void check_placement(uint32_t total, uint32_t domain, uint32_t n, uint32_t stride)
{
    sp_fabric fabric = round_fabric();
    fabric.level[0].n_gpus = domain;
    const sp_group group = sp_group_build(&fabric, n, stride);
    const uint32_t fewest = fewest_together(total, domain, n, stride);
    if (group.inside[0] < 1 || group.inside[0] > fewest) {
        fail_msg("%u ranks %u apart, domains of %u: %u together, counted %u", n, stride, domain,
                 group.inside[0], fewest);
    }
    /* Groups and domains both start at multiples of their common divisor; where the stride divides
     * it, and all offsets between the two occur, nothing is lost by counting only to the next such
     * start. */
    const uint32_t common = gcd(n * stride, domain);
    if (common % stride == 0 && total % domain == 0 && group.inside[0] != fewest) {
        fail_msg("%u ranks %u apart, domains of %u: %u together, exactly %u", n, stride, domain,
                 group.inside[0], fewest);
    }
    assert_int_equal(group.n_levels, group.inside[0] == n ? 1 : 2);
}

/* The form promises no more neighbours than the worst group has, and exactly as many where the
 * stride divides what groups and domains have in common: every placement of four clusters. */
static void no_group_has_fewer_neighbours_than_promised(void **state)
{
    (void)state;
    static const uint32_t totals[] = {48, 64, 96, 120};
    for (size_t i = 0; i < sizeof totals / sizeof totals[0]; i++) {
        const uint32_t total = totals[i];
        for (uint32_t n = 1; n <= total; n++) {
            for (uint32_t stride = 1; n * stride <= total; stride++) {
                if (total % (n * stride) != 0) continue;
                for (uint32_t domain = 1; domain <= total; domain++) {
                    check_placement(total, domain, n, stride);
                }
            }
        }
    }
}

static void outer_levels_hold_at_least_as_many_members(void **state)
{
    (void)state;
    draw d = draw_begin("outer_levels_hold_at_least_as_many_members");
    for (int trial = 0; trial < 20000; trial++) {
        const sp_fabric fabric = random_fabric(&d);
        const uint32_t n = draw_between(&d, 1, 256), stride = draw_between(&d, 1, 64);
        const sp_group group = sp_group_build(&fabric, n, stride);
        assert_in_range(group.n_levels, 1, fabric.n_levels);
        assert_int_equal(group.inside[group.n_levels - 1], n);
        for (uint32_t i = 0; i + 1 < group.n_levels; i++) {
            assert_in_range(group.inside[i], 1, n - 1);
            assert_true(group.inside[i] <= group.inside[i + 1]);
        }
    }
}

/* ---- runs of neighbours, far apart ---- */
static sp_group pair(uint32_t n_near, uint32_t stride_near, uint32_t n_far, uint32_t stride_far)
{
    static sp_fabric fabric;
    fabric = round_fabric();
    return sp_group_pair(&fabric, n_near, stride_near, n_far, stride_far);
}

static void runs_that_fit_into_a_node_count_as_one_group_there(void **state)
{
    (void)state;
    const sp_group near = pair(2, 2, 2, 4); /* 0 2 | 4 6 */
    assert_true(near.n == 4 && near.n_levels == 1 && near.inside[0] == 4 && near.one_level);
    const sp_group apart = pair(2, 2, 2, 8); /* 0 2 | 8 10 */
    assert_true(apart.n == 4 && apart.n_levels == 2 && apart.inside[0] == 2);
    assert_true(apart.inside[1] == 4 && !apart.one_level);
    const sp_group four = pair(2, 1, 4, 4); /* 0 1 | 4 5 | 8 9 | 12 13 */
    assert_true(four.n == 8 && four.inside[0] == 4);
}

/* 0 4 8 12 | 16 20 24 28: a run spans two nodes by itself. */
static void runs_longer_than_a_node_share_it_with_no_other(void **state)
{
    (void)state;
    const sp_group group = pair(4, 4, 2, 16);
    assert_true(group.n == 8 && group.n_levels == 2 && group.inside[0] == 2);
}

static void one_run_and_runs_without_gaps_are_plain_groups(void **state)
{
    (void)state;
    const sp_group one = pair(4, 2, 1, 1000), plain = pair(4, 2, 1, 8);
    assert_true(one.n == 4 && one.n_levels == 1 && plain.inside[0] == one.inside[0]);
    for (uint32_t near = 1; near <= 16; near *= 2) {
        for (uint32_t far = 1; far <= 16; far *= 2) {
            for (uint32_t stride = 1; stride <= 16; stride *= 2) {
                const sp_group two = pair(near, stride, far, near * stride);
                const sp_fabric fabric = round_fabric();
                const sp_group whole = sp_group_build(&fabric, near * far, stride);
                assert_int_equal(two.n, whole.n);
                assert_int_equal(two.n_levels, whole.n_levels);
                assert_int_equal(two.inside[0], whole.inside[0]);
                assert_true(two.one_level == whole.one_level && two.base_s == whole.base_s);
            }
        }
    }
}

/* A group: n_near ranks stride_near apart from a first one, and n_far such runs. */
typedef struct run_group {
    uint32_t n_near, stride_near, n_far, stride_far;
} run_group;

/* The fewest members of the group from `first` in a domain that it touches. */
static uint32_t fewest_of(const run_group *g, uint32_t domain, uint32_t first)
{
    uint32_t in_domain[512] = {0}, fewest = g->n_near * g->n_far;
    for (uint32_t j = 0; j < g->n_far; j++) {
        for (uint32_t i = 0; i < g->n_near; i++) {
            in_domain[(first + i * g->stride_near + j * g->stride_far) / domain]++;
        }
    }
    for (uint32_t k = 0; k < 512; k++) {
        if (in_domain[k] > 0 && in_domain[k] < fewest) fewest = in_domain[k];
    }
    return fewest;
}

static void check_runs(const run_group *g, uint32_t domain, uint32_t total)
{
    sp_fabric fabric = round_fabric();
    fabric.level[0].n_gpus = domain;
    const sp_group group =
        sp_group_pair(&fabric, g->n_near, g->stride_near, g->n_far, g->stride_far);
    const uint32_t span = g->n_near * g->stride_near, block = g->n_far * g->stride_far;
    uint32_t fewest = g->n_near * g->n_far;
    for (uint32_t rank = 0; rank < total; rank++) {
        const bool first = rank % block < g->stride_far && rank % span < g->stride_near;
        const uint32_t here = first ? fewest_of(g, domain, rank) : fewest;
        fewest = here < fewest ? here : fewest;
    }
    const bool even = domain % g->stride_near == 0 && (domain % span == 0 || span % domain == 0) &&
                      (domain % block == 0 || block % domain == 0) &&
                      (domain % g->stride_far == 0 || g->stride_far % domain == 0);
    if (group.inside[0] < 1 || group.inside[0] > fewest || (even && group.inside[0] != fewest)) {
        fail_msg("%u ranks %u apart, %u times %u apart, domains of %u: %u together, counted %u",
                 g->n_near, g->stride_near, g->n_far, g->stride_far, domain, group.inside[0],
                 fewest);
    }
}

/* Every pair of runs of a cluster of 96 or 64 GPUs against the count of all its groups: never more
 * neighbours than the worst group has, exactly as many where domains hold whole runs or blocks. */
static void no_pair_of_runs_has_fewer_neighbours_than_promised(void **state)
{
    (void)state;
    for (uint32_t total = 64; total <= 96; total += 32) {
        for (uint32_t near = 1; near <= 12; near++) {
            for (uint32_t stride = 1; near * stride <= 24; stride++) {
                for (uint32_t gap = 1; near * stride * gap <= total; gap++) {
                    const uint32_t stride_far = near * stride * gap;
                    for (uint32_t far = 2; far * stride_far <= total; far++) {
                        if (total % (far * stride_far) != 0) continue;
                        const run_group group = {near, stride, far, stride_far};
                        for (uint32_t domain = 1; domain <= total; domain++) {
                            check_runs(&group, domain, total);
                        }
                    }
                }
            }
        }
    }
}

/* ---- levels of one speed ---- */
static sp_level nvlink(uint32_t n_gpus)
{
    return (sp_level){.n_gpus = n_gpus,
                      .bytes_per_s = 900e9,
                      .efficiency_ratio = 0.8,
                      .base_s = 5e-6,
                      .latency_s = 1e-6,
                      .half_bytes = 1e5,
                      .oversubscription = 1};
}

static const sp_level ports = {
    .n_gpus = UINT32_MAX, .bytes_per_s = 50e9, .efficiency_ratio = 0.8, .oversubscription = 1};

/* NVL72: servers of 4 GPUs, 18 of them on one switch of the same links. */
static void a_domain_of_several_servers_is_one_level(void **state)
{
    (void)state;
    const sp_cluster cluster = {
        .n_levels = 3, .node_gpus = 4, .levels = {nvlink(4), nvlink(72), ports}
    };
    sp_fabric fabric;
    sp_fabric_build(&cluster, &fabric);
    assert_int_equal(fabric.n_levels, 2);
    assert_int_equal(fabric.level[0].n_gpus, 72);
    assert_int_equal(fabric.level[1].n_gpus, UINT32_MAX);
    const sp_group group = sp_group_build(&fabric, 8, 1);
    assert_true(group.n_levels == 1 && group.one_level && group.inside[0] == 8);
    assert_true(group.base_s == 5e-6);
}

/* Each figure alone tells two levels apart: a tapered, slower or more distant one is a level. */
static void levels_that_differ_in_any_figure_stay_apart(void **state)
{
    (void)state;
    sp_level other[5];
    for (int i = 0; i < 5; i++) {
        other[i] = nvlink(72);
    }
    other[0].oversubscription = 2;
    other[1].bytes_per_s = 450e9;
    other[2].latency_s = 2e-6;
    other[3].base_s = 6e-6;
    other[4].half_bytes = 2e5;
    for (int i = 0; i < 5; i++) {
        const sp_cluster cluster = {
            .n_levels = 3, .levels = {nvlink(4), other[i], ports}
        };
        sp_fabric fabric;
        sp_fabric_build(&cluster, &fabric);
        assert_int_equal(fabric.n_levels, 3);
        assert_int_equal(fabric.level[0].n_gpus, 4);
    }
}

/* ---- bandwidth ---- */
/* 400 GB/s at 80 %, oversubscribed twice: 160 GB/s. */
static void a_level_gives_its_efficient_share(void **state)
{
    (void)state;
    const sp_cluster cluster = {.n_levels = 1,
                                .levels = {{.n_gpus = 8,
                                            .bytes_per_s = 400e9,
                                            .efficiency_ratio = 0.8,
                                            .latency_s = 2e-6,
                                            .half_bytes = 1e6,
                                            .oversubscription = 2.0}}};
    sp_fabric fabric;
    sp_fabric_build(&cluster, &fabric);
    assert_int_equal(fabric.n_levels, 1);
    assert_int_equal(fabric.level[0].n_gpus, 8);
    assert_close(fabric.level[0].s_per_byte, 1.0 / 160e9, 1e-15);
    assert_true(fabric.level[0].latency_s == 2e-6 && fabric.level[0].half_bytes == 1e6);
}

/* t = bytes / b (1 + sqrt(half / bytes)): twice the time at half_bytes, 1.1 times at 100
 * half_bytes. */
static void a_message_of_half_bytes_reaches_half_of_the_bandwidth(void **state)
{
    (void)state;
    const sp_fabric_level level = {.s_per_byte = 1e-9, .half_bytes = 1e6};
    assert_close(sp_link_transfer_s(&level, 1e6), 2e-3, 1e-15);
    assert_close(sp_link_transfer_s(&level, 1e8), 1.1e-1, 1e-15);
    assert_true(sp_link_transfer_s(&level, 0.0) == 0.0);
}

/* 64 GPUs of a domain of 72 are all in it, and so are any groups of them. */
static void a_plan_smaller_than_a_domain_never_leaves_it(void **state)
{
    (void)state;
    sp_fabric fabric = round_fabric();
    fabric.level[0].n_gpus = 72;
    const sp_fabric fit = sp_fabric_fit(&fabric, 64);
    const sp_group all = sp_group_build(&fit, 64, 1), half = sp_group_build(&fit, 32, 2);
    assert_int_equal(all.n_levels, 1);
    assert_int_equal(all.inside[0], 64);
    assert_int_equal(half.n_levels, 1);
    assert_int_equal(half.inside[0], 32);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(eight_neighbours_share_a_node),
        cmocka_unit_test(ranks_eight_apart_never_share_a_node),
        cmocka_unit_test(groups_of_six_straddle_nodes_of_eight),
        cmocka_unit_test(whole_nodes_are_filled),
        cmocka_unit_test(a_stride_that_does_not_divide_the_node_counts_the_worst_node),
        cmocka_unit_test(no_group_has_fewer_neighbours_than_promised),
        cmocka_unit_test(outer_levels_hold_at_least_as_many_members),
        cmocka_unit_test(runs_that_fit_into_a_node_count_as_one_group_there),
        cmocka_unit_test(runs_longer_than_a_node_share_it_with_no_other),
        cmocka_unit_test(one_run_and_runs_without_gaps_are_plain_groups),
        cmocka_unit_test(no_pair_of_runs_has_fewer_neighbours_than_promised),
        cmocka_unit_test(a_domain_of_several_servers_is_one_level),
        cmocka_unit_test(levels_that_differ_in_any_figure_stay_apart),
        cmocka_unit_test(a_level_gives_its_efficient_share),
        cmocka_unit_test(a_message_of_half_bytes_reaches_half_of_the_bandwidth),
        cmocka_unit_test(a_plan_smaller_than_a_domain_never_leaves_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
