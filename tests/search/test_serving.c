/* SPDX-License-Identifier: Apache-2.0 */
/* Whole searches of serving plans: the same for any number of threads, from fresh or full memory of
 * pools, what plans priced by themselves say, stopped early, and without memory. */
#include "common/shipped.h"
#include "search/search_priv.h"
#include "search/serving_memo.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

typedef struct served {
    sp_serving_problem *problem;
    sp_serving_space *space;
} served;

/* Qwen3-30B-A3B on 8 H100, aggregated or in two pools: thousands of plans. */
static served ask_serving(void)
{
    served a;
    sp_error err = {0};
    sp_serving_question q = sp_serving_question_default();
    q.home = source_home();
    q.model = "qwen3-30b-a3b";
    q.cluster = "dgx-h100";
    q.gpus = "8";
    q.engine = "vllm,sglang";
    q.mode = "both";
    q.isl = 2000.0;
    q.osl = 300.0;
    q.slo = "ttft:mean<=2s,itl:p99<=200ms";
    q.wheres[q.n_wheres++] = "tokens_per_s_per_gpu>=100";
    must(sp_serving_problem_build(&q, &a.problem, &err), &err);
    must(sp_serving_space_build(a.problem, &a.space, &err), &err);
    return a;
}

static void drop_serving(served *a)
{
    sp_serving_space_free(a->space);
    sp_serving_problem_free(a->problem);
}

static sp_search_result search_serving(const served *a, const sp_search_options *options)
{
    sp_error err = {0};
    sp_search_result result;
    must(sp_serving_search(a->space, options, &result, &err), &err);
    return result;
}

static void assert_points(const sp_point *x, uint32_t n_x, const sp_point *y, uint32_t n_y)
{
    assert_int_equal(n_x, n_y);
    for (uint32_t i = 0; i < n_x; i++) {
        assert_int_equal(x[i].id, y[i].id);
        assert_memory_equal(x[i].key, y[i].key, sizeof x[i].key);
    }
}

static void threads_do_not_change_the_answer(void **state)
{
    (void)state;
    served a = ask_serving();
    const sp_search_options one = {.threads = 1, .top_k = 10};
    sp_search_result expected = search_serving(&a, &one);
    assert_true(expected.exact);
    assert_true(expected.front.n_points > 10 && expected.counts.feasible > 500);
    assert_true(expected.counts.evaluated > expected.counts.feasible);
    for (uint32_t threads = 2; threads <= 4; threads++) {
        const sp_search_options options = {.threads = threads, .top_k = 10};
        sp_search_result result = search_serving(&a, &options);
        assert_points(result.front.points, result.front.n_points, expected.front.points,
                      expected.front.n_points);
        assert_points(result.ranked.points, result.ranked.n_points, expected.ranked.points,
                      expected.ranked.n_points);
        assert_int_equal(result.counts.feasible, expected.counts.feasible);
        for (uint32_t rule = 0; rule < a.space->n_rules; rule++) {
            assert_int_equal(result.counts.pruned[rule], expected.counts.pruned[rule]);
        }
        sp_search_result_fini(&result);
    }
    sp_search_result_fini(&expected);
    drop_serving(&a);
}

static void the_front_is_what_its_plans_say_by_themselves(void **state)
{
    (void)state;
    served a = ask_serving();
    const sp_search_options options = {.threads = 2, .top_k = 10};
    sp_search_result result = search_serving(&a, &options);
    for (uint32_t i = 0; i < result.front.n_points; i++) {
        const sp_serving_plan plan = sp_serving_space_unrank(a.space, result.front.points[i].id);
        sp_serving_estimate estimate;
        double keys[SP_MAX_OBJECTIVES];
        sp_serving_estimate_plan(a.problem, &plan, &estimate);
        sp_serving_space_keys(a.space, &estimate, keys);
        for (uint32_t k = 0; k < result.front.n_keys; k++) {
            assert_true(result.front.points[i].key[k] == sp_quantise(keys[k], SP_KEY_BITS));
        }
    }
    sp_search_result_fini(&result);
    drop_serving(&a);
}

/* Blocks searched with one memory of pools, or each with its own. */
static void what_is_remembered_changes_nothing(void **state)
{
    (void)state;
    served a = ask_serving();
    const sp_searchable of = sp_serving_searchable(a.space);
    sp_error err = {0};
    sp_id_list blocks = {0};
    uint64_t *pruned = sp_alloc(of.n_rules * sizeof *pruned);
    sp_tally kept, fresh;
    must(sp_tally_init(&kept, &of, 5, &err), &err);
    must(sp_tally_init(&fresh, &of, 5, &err), &err);
    of.list(of.space, &blocks, pruned);
    void *memo = of.memo_begin(of.space);
    for (uint64_t i = 0; i < blocks.n; i++) {
        void *own = of.memo_begin(of.space);
        of.search(of.space, blocks.ids[i], false, memo, &kept);
        of.search(of.space, blocks.ids[blocks.n - 1 - i], false, own, &fresh);
        of.memo_end(own);
    }
    assert_points(kept.front.points, kept.front.n_points, fresh.front.points, fresh.front.n_points);
    assert_points(kept.cell_best, kept.n_cells, fresh.cell_best, fresh.n_cells);
    assert_int_equal(kept.counts.feasible, fresh.counts.feasible);
    of.memo_end(memo);
    sp_tally_fini(&kept);
    sp_tally_fini(&fresh);
    sp_free(blocks.ids);
    sp_free(pruned);
    drop_serving(&a);
}

static void a_search_without_time_says_what_it_left_out(void **state)
{
    (void)state;
    served a = ask_serving();
    const sp_search_options options = {.threads = 2, .top_k = 10, .timeout_s = 1e-12};
    sp_search_result result = search_serving(&a, &options);
    uint64_t sum = result.counts.evaluated + result.counts.uncovered;
    for (uint32_t rule = 0; rule < a.space->n_rules; rule++) {
        sum += result.counts.pruned[rule];
    }
    assert_int_equal(sum, result.counts.space);
    assert_false(result.exact);
    assert_true(result.counts.uncovered > 0);
    assert_int_equal(result.front.n_points, 0);
    sp_search_result_fini(&result);
    drop_serving(&a);
}

static void a_search_survives_lack_of_memory(void **state)
{
    (void)state;
    served a = ask_serving();
    sp_status status = SP_E_MEMORY;
    uint64_t nth = 1;
    for (; status != SP_OK; nth += 1 + nth / 4) {
        sp_error err = {0};
        sp_search_result result;
        const sp_search_options options = {.threads = 1, .top_k = 3};
        assert_true(nth < 5000);
        sp_alloc_fail_at(nth);
        status = sp_serving_search(a.space, &options, &result, &err);
        sp_alloc_fail_at(0);
        assert_true(status == SP_OK || status == SP_E_MEMORY);
        sp_search_result_fini(&result);
    }
    assert_true(nth > 10);
    drop_serving(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_do_not_change_the_answer),
        cmocka_unit_test(the_front_is_what_its_plans_say_by_themselves),
        cmocka_unit_test(what_is_remembered_changes_nothing),
        cmocka_unit_test(a_search_without_time_says_what_it_left_out),
        cmocka_unit_test(a_search_survives_lack_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
