/* SPDX-License-Identifier: Apache-2.0 */
/* The walk against unranking every id. */
#include "space/ask.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define LAST ((sp_axis_id)(SP_N_AXES - 1))

static asked small(void)
{
    sp_question q = ask_experts();
    q.gpus = "8,12";
    q.sets[q.n_sets++] = "recompute=none,full";
    q.sets[q.n_sets++] = "vpp=1,2";
    q.sets[q.n_sets++] = "micro_batch=1,2,3";
    q.sets[q.n_sets++] = "zero=0,1";
    q.sets[q.n_sets++] = "pp=1,2,3";
    q.sets[q.n_sets++] = "tp=1,2,4";
    q.wheres[q.n_wheres++] = "pp*ep<=8";
    return build(&q);
}

static bool is_admitted(const sp_space *space, const sp_plan *plan, uint32_t *rule)
{
    *rule = sp_space_refusal(space, plan);
    return *rule == SP_NO_RULE || sp_space_rule(space, *rule)->class > SP_RULE_STRUCTURE;
}

static void the_walk_meets_every_admitted_plan_once_in_order(void **state)
{
    (void)state;
    asked a = small();
    uint64_t *pruned = calloc(sp_space_rule_count(a.space), sizeof *pruned), next = 0;
    uint64_t n_met = 0, n_skipped = 0;
    sp_walk walk;
    sp_walk_begin(&walk, a.space, 0, SP_AXIS_gpus, LAST, pruned);
    while (sp_walk_next(&walk)) {
        uint32_t rule = 0;
        for (; next < walk.id; next++) {
            const sp_plan skipped = sp_space_unrank(a.space, next);
            assert_false(is_admitted(a.space, &skipped, &rule));
        }
        const sp_plan plan = sp_space_unrank(a.space, walk.id);
        assert_true(is_admitted(a.space, &plan, &rule));
        assert_memory_equal(&walk.plan, &plan, sizeof plan);
        /* The walk leaves the network to the estimate. */
        if (rule == a.space->network_rule) rule = SP_NO_RULE;
        assert_int_equal(walk.refused[LAST], rule);
        next = walk.id + 1;
        n_met++;
    }
    for (uint32_t rule = 0; rule < sp_space_rule_count(a.space); rule++) {
        n_skipped += pruned[rule];
    }
    assert_true(n_met > 100);
    assert_int_equal(n_met + n_skipped, sp_space_count(a.space));
    free(pruned);
    drop(&a);
}

static void a_walk_below_a_prefix_stays_there(void **state)
{
    (void)state;
    asked a = small();
    uint64_t *pruned = calloc(sp_space_rule_count(a.space), sizeof *pruned);
    const uint64_t stride = sp_space_axis(a.space, SP_AXIS_ep)->stride;
    uint64_t n_whole = 0, n_parts = 0;
    sp_walk outer, inner;
    sp_walk_begin(&outer, a.space, 0, SP_AXIS_gpus, SP_AXIS_ep, pruned);
    while (sp_walk_next(&outer)) {
        assert_int_equal(outer.id % stride, 0);
        sp_walk_begin(&inner, a.space, outer.id, SP_AXIS_etp, LAST, pruned);
        while (sp_walk_next(&inner)) {
            assert_true(inner.id >= outer.id && inner.id < outer.id + stride);
            n_parts++;
        }
    }
    sp_walk_begin(&outer, a.space, 0, SP_AXIS_gpus, LAST, pruned);
    while (sp_walk_next(&outer)) {
        n_whole++;
    }
    assert_int_equal(n_parts, n_whole);
    free(pruned);
    drop(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_walk_meets_every_admitted_plan_once_in_order),
        cmocka_unit_test(a_walk_below_a_prefix_stays_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
