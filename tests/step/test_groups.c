/* SPDX-License-Identifier: Apache-2.0 */
/* Who talks to whom, rank by rank on nodes of 8: tp nearest, then cp, then dp and pp as the
 * placement says; shard groups near, their copies far; and what one rank sees of a sequence. */
#include "common/close.h"
#include "common/problems.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void make_example(made_problem *made)
{
    make_calculator(made);
    make_llama(&made->model, 1024, 8, 8, 2816, 8);
    derive_problem(made);
}

static sp_plan plan_of(uint16_t tp, uint16_t cp, uint16_t pp, uint32_t dp)
{
    sp_plan plan = sp_plan_default();
    plan.tp = tp;
    plan.cp = cp;
    plan.pp = pp;
    plan.gpus = dp * tp * cp * pp;
    sp_plan_derive(&plan, 512);
    return plan;
}

/* On nodes of 8; the groups point at this fabric. */
static sp_groups groups_of(const made_problem *made, const sp_plan *plan, bool moe)
{
    sp_groups groups = {0};
    sp_groups_build(&made->problem.fabric, plan, moe, false, &groups);
    return groups;
}

static void assert_group(const sp_group *group, uint32_t n, uint32_t in_node)
{
    assert_int_equal(group->n, n);
    assert_int_equal(group->inside[0], in_node);
    assert_int_equal(group->n_levels, in_node == n ? 1 : 2);
}

/* tp 2, cp 4, dp 4, pp 2: ranks of a sequence are 0 2 4 6; copies 0 2 4 .. 30; stages 0 | 32. */
static void ranks_of_a_sequence_lie_next_to_tensor_parallel_ones(void **state)
{
    (void)state;
    made_problem made;
    make_example(&made);
    const sp_plan plan = plan_of(2, 4, 2, 4);
    const sp_groups g = groups_of(&made, &plan, false);
    assert_group(&g.tp, 2, 2);
    assert_group(&g.cp_ring, 4, 4);
    assert_group(&g.cp_heads, 1, 1);
    assert_group(&g.dense.shard, 16, 4);
    assert_group(&g.dense.replica, 1, 1);
    assert_group(&g.pp, 2, 1);
    free_problem(&made);
}

/* tp 2, cp 2, pp 2, dp 2 in 16 ranks: with pp last copies are 0 2 4 6 and stages 0 8, with dp last
 * stages are 0 4 and copies 0 2 8 10. */
static void the_placement_decides_who_is_far(void **state)
{
    (void)state;
    made_problem made;
    make_example(&made);
    sp_plan plan = plan_of(2, 2, 2, 2);
    sp_groups g = groups_of(&made, &plan, false);
    assert_group(&g.dense.shard, 4, 4);
    assert_group(&g.pp, 2, 1);
    plan.placement = SP_PLACEMENT_DP_LAST;
    g = groups_of(&made, &plan, false);
    assert_group(&g.dense.shard, 4, 2);
    assert_group(&g.pp, 2, 2);
    assert_group(&g.cp_ring, 2, 2); /* 0 2 either way */
    free_problem(&made);
}

/* 32 copies: shards over a node, 4 copies of it 0 8 16 24. */
static void shard_groups_are_near_and_their_copies_far(void **state)
{
    (void)state;
    made_problem made;
    make_example(&made);
    sp_plan plan = plan_of(1, 1, 1, 32);
    sp_groups g = groups_of(&made, &plan, false);
    assert_group(&g.dense.shard, 32, 8);
    assert_group(&g.dense.replica, 1, 1);
    plan.shard_group = 8;
    g = groups_of(&made, &plan, false);
    assert_int_equal(sp_plan_replicas(&plan), 4);
    assert_group(&g.dense.shard, 8, 8);
    assert_group(&g.dense.replica, 4, 1);
    free_problem(&made);
}

/* tp 2, cp 4, dp 4, copies 0 2 4 .. 30. Groups of 2 take half a run: 0 2, copies 0 4 8 .. 28; of 4
 * a run: 0 2 4 6, copies 0 8 16 24; of 8 two runs: 0 2 .. 14, copies 0 16. */
static void shard_groups_take_parts_of_a_sequences_ranks_or_whole_runs(void **state)
{
    (void)state;
    static const struct {
        uint32_t group, near, copies, copies_in_node;
    } cases[] = {
        {2, 2, 8, 2},
        {4, 4, 4, 1},
        {8, 4, 2, 1}
    };
    made_problem made;
    make_example(&made);
    for (size_t i = 0; i < 3; i++) {
        sp_plan plan = plan_of(2, 4, 1, 4);
        plan.shard_group = cases[i].group;
        const sp_groups g = groups_of(&made, &plan, false);
        assert_group(&g.dense.shard, cases[i].group, cases[i].near);
        assert_group(&g.dense.replica, cases[i].copies, cases[i].copies_in_node);
    }
    free_problem(&made);
}

/* cp 2, dp 4 in one node: groups of a run, 0 1, have copies 0 2 4 6; of two runs, 0 1 2 3, copies
 * 0 4. */
static void copies_of_shard_groups_may_share_a_node(void **state)
{
    (void)state;
    made_problem made;
    make_example(&made);
    sp_plan plan = plan_of(1, 2, 1, 4);
    plan.shard_group = 2;
    sp_groups g = groups_of(&made, &plan, false);
    assert_group(&g.dense.shard, 2, 2);
    assert_group(&g.dense.replica, 4, 4);
    plan.shard_group = 4;
    g = groups_of(&made, &plan, false);
    assert_group(&g.dense.shard, 4, 4);
    assert_group(&g.dense.replica, 2, 2);
    free_problem(&made);
}

/* tp 2, cp 2, pp 2, dp 8 with dp last: a group of 4 is 0 2 8 10, its copies 0 16 32 48. */
static void shard_groups_step_over_the_stages_between_them(void **state)
{
    (void)state;
    made_problem made;
    make_example(&made);
    sp_plan plan = plan_of(2, 2, 2, 8);
    plan.placement = SP_PLACEMENT_DP_LAST;
    plan.shard_group = 4;
    const sp_groups g = groups_of(&made, &plan, false);
    assert_group(&g.dense.shard, 4, 2);
    assert_group(&g.dense.replica, 4, 1);
    free_problem(&made);
}

/* tp 2, cp 8, ranks 0 2 4 6 | 8 10 12 14: heads inside the node, the ring from node to node. */
static void hybrid_exchanges_heads_near_and_rings_far(void **state)
{
    (void)state;
    static const uint32_t heads[SP_N_CP_KINDS] = {
        [SP_CP_RING] = 1, [SP_CP_ALLGATHER] = 1, [SP_CP_ULYSSES] = 8, [SP_CP_HYBRID] = 4};
    made_problem made;
    make_example(&made);
    for (uint32_t kind = 0; kind < SP_N_CP_KINDS; kind++) {
        sp_plan plan = plan_of(2, 8, 1, 1);
        plan.cp_kind = (uint8_t)kind;
        const sp_groups g = groups_of(&made, &plan, false);
        assert_int_equal(sp_plan_ulysses_ranks(&made.problem.fabric, &plan), heads[kind]);
        assert_group(&g.cp_heads, heads[kind], heads[kind] > 4 ? 4 : heads[kind]);
        assert_group(&g.cp_ring, 8 / heads[kind], heads[kind] == 1 ? 4 : 1);
    }
    free_problem(&made);
}

/* tp 2, cp 2, dp 4: 16 ranks. 8 experts' ranks side by side, copies 0 8; cut in two 0 2 4 6 share
 * them, and the copies are 0 8. */
static void experts_use_all_ranks_of_a_stage(void **state)
{
    (void)state;
    made_problem made;
    make_example(&made);
    sp_plan plan = plan_of(2, 2, 1, 4);
    plan.ep = 8;
    sp_groups g = groups_of(&made, &plan, true);
    assert_group(&g.etp, 1, 1);
    assert_group(&g.ep, 8, 8);
    assert_group(&g.expert.shard, 2, 1);
    plan.etp = 2;
    plan.ep = 4;
    g = groups_of(&made, &plan, true);
    assert_group(&g.etp, 2, 2);
    assert_group(&g.ep, 4, 4);
    assert_group(&g.expert.shard, 2, 1);
    assert_int_equal(sp_plan_expert_copies(&plan), 2);
    plan.shard_group = 4; /* 8 copies of the rest in 2 groups, so 2 of 1 for the experts */
    g = groups_of(&made, &plan, true);
    assert_group(&g.expert.shard, 1, 1);
    assert_group(&g.expert.replica, 2, 1);
    free_problem(&made);
}

static void the_parts_of_every_dimension_multiply_to_it(void **state)
{
    (void)state;
    draw d = draw_begin("the_parts_of_every_dimension_multiply_to_it");
    for (int i = 0; i < 300; i++) {
        made_problem made;
        make_random_problem(&made, &d);
        derive_problem(&made);
        for (int k = 0; k < 30; k++) {
            const sp_plan plan = draw_plan(&made, &d);
            const bool moe = made.problem.has_experts;
            const sp_groups g = groups_of(&made, &plan, moe);
            assert_int_equal(g.tp.n, plan.tp);
            assert_int_equal(g.pp.n, plan.pp);
            assert_int_equal(g.cp_heads.n * g.cp_ring.n, plan.cp);
            assert_int_equal(g.dense.shard.n * g.dense.replica.n, plan.cp * plan.dp);
            if (plan.shard_group > 0) assert_int_equal(g.dense.shard.n, plan.shard_group);
            if (!moe) continue;
            assert_int_equal(g.ep.n * g.etp.n * g.expert.shard.n * g.expert.replica.n,
                             plan.tp * plan.cp * plan.dp);
            assert_int_equal(g.expert.replica.n, g.dense.replica.n);
        }
        free_problem(&made);
    }
}

/* ---- shapes ---- */
/* 2 sequences of 2048 on 4 ranks: 1024 tokens each, which attend to whole sequences. Packed from
 * documents of 512 they are 8 short ones. */
static void a_rank_sees_its_share_of_whole_sequences(void **state)
{
    (void)state;
    made_problem made;
    make_example(&made);
    sp_plan plan = plan_of(1, 4, 1, 1);
    plan.micro_batch = 2;
    sp_shape shape = sp_plan_shape(&made.problem, &plan);
    assert_true(shape.sequences == 2 && shape.tokens == 1024);
    assert_true(shape.length == 2048 && shape.context == 1024);
    made.problem.question.doc_len = 512;
    shape = sp_plan_shape(&made.problem, &plan);
    assert_true(shape.sequences == 8 && shape.tokens == 1024);
    assert_true(shape.length == 512 && shape.context == 256);
    free_problem(&made);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranks_of_a_sequence_lie_next_to_tensor_parallel_ones),
        cmocka_unit_test(the_placement_decides_who_is_far),
        cmocka_unit_test(shard_groups_are_near_and_their_copies_far),
        cmocka_unit_test(shard_groups_take_parts_of_a_sequences_ranks_or_whole_runs),
        cmocka_unit_test(copies_of_shard_groups_may_share_a_node),
        cmocka_unit_test(shard_groups_step_over_the_stages_between_them),
        cmocka_unit_test(hybrid_exchanges_heads_near_and_rings_far),
        cmocka_unit_test(experts_use_all_ranks_of_a_stage),
        cmocka_unit_test(the_parts_of_every_dimension_multiply_to_it),
        cmocka_unit_test(a_rank_sees_its_share_of_whole_sequences),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
