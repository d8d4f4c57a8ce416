/* SPDX-License-Identifier: Apache-2.0 */
/* Whole searches: the same for any number of threads, with and without early pruning, stopped
 * early, and without memory. */
#include "search/ask.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void threads_and_bounds_do_not_change_the_answer(void **state)
{
    (void)state;
    asked a = ask();
    const sp_search_options plain = {.threads = 1, .top_k = 10};
    sp_search_result expected = search(&a, &plain);
    assert_true(expected.exact);
    assert_true(expected.front.n_points > 10 && expected.counts.feasible > 1000);
    assert_true(expected.counts.evaluated > expected.counts.feasible);
    for (uint32_t threads = 1; threads <= 5; threads++) {
        const sp_search_options options = {
            .threads = threads, .top_k = 10, .no_bounds = threads % 2 == 1};
        sp_search_result result = search(&a, &options);
        assert_same_result(&a, &result, &expected);
        sp_search_result_fini(&result);
    }
    sp_search_result_fini(&expected);
    drop(&a);
}

/* Counts calls, and cancels at the first. */
typedef struct watcher {
    volatile sig_atomic_t cancel;
    uint32_t n_calls;
    sp_progress last;
} watcher;

static void watch(void *user, const sp_progress *progress)
{
    watcher *w = user;
    assert_true(progress->done <= progress->total && progress->done >= w->last.done);
    w->last = *progress;
    w->n_calls++;
    w->cancel = 1;
}

static void assert_partial(const asked *a, const sp_search_result *result)
{
    const sp_search_counts *counts = &result->counts;
    uint64_t sum = counts->evaluated + counts->uncovered;
    for (uint32_t rule = 0; rule < sp_space_rule_count(a->space); rule++) {
        sum += counts->pruned[rule];
    }
    assert_int_equal(sum, counts->space);
    assert_false(result->exact);
    assert_true(counts->uncovered > 0);
    assert_true(result->covered_ratio >= 0.0 && result->covered_ratio < 1.0);
}

static void a_cancelled_search_says_what_it_left_out(void **state)
{
    (void)state;
    asked a = ask();
    watcher w = {0};
    const sp_search_options options = {
        .threads = 2, .top_k = 10, .cancel = &w.cancel, .progress = watch, .user = &w};
    sp_search_result result = search(&a, &options);
    /* Progress comes with the first layout that thread 0 is done with. */
    assert_true(w.n_calls >= 1);
    assert_partial(&a, &result);
    assert_true(result.counts.admitted > 0);
    sp_search_result_fini(&result);
    drop(&a);
}

static void a_search_without_time_is_valid_and_empty(void **state)
{
    (void)state;
    asked a = ask();
    const sp_search_options options = {.threads = 2, .top_k = 10, .timeout_s = 1e-12};
    sp_search_result result = search(&a, &options);
    assert_partial(&a, &result);
    assert_int_equal(result.counts.evaluated, 0);
    assert_int_equal(result.front.n_points, 0);
    for (uint32_t i = 0; i < result.n_cells; i++) {
        assert_false(result.cells[i].feasible);
        assert_int_equal(result.cells[i].rule, UINT32_MAX);
    }
    sp_search_result_fini(&result);
    drop(&a);
}

static void no_best_plans_are_kept_when_none_are_asked_for(void **state)
{
    (void)state;
    asked a = ask();
    const sp_search_options options = {.threads = 1, .top_k = 0};
    sp_search_result result = search(&a, &options);
    assert_int_equal(result.ranked.n_points, 0);
    assert_int_equal(result.n_layouts, 0);
    assert_true(result.front.n_points > 0);
    sp_search_result_fini(&result);
    drop(&a);
}

static void a_search_survives_every_lack_of_memory(void **state)
{
    (void)state;
    asked a = ask();
    sp_status status = SP_E_MEMORY;
    uint64_t nth = 1;
    for (; status != SP_OK; nth++) {
        sp_error err = {0};
        sp_search_result result;
        const sp_search_options options = {.threads = 1, .top_k = 3};
        assert_true(nth < 200);
        sp_alloc_fail_at(nth);
        status = sp_search_run(a.space, &options, &result, &err);
        sp_alloc_fail_at(0);
        assert_true(status == SP_OK || status == SP_E_MEMORY);
        sp_search_result_fini(&result);
    }
    assert_true(nth > 10);
    drop(&a);
}

static void one_process_is_rank_0_of_1(void **state)
{
    (void)state;
    assert_int_equal(sp_ranks_rank(), 0);
    assert_int_equal(sp_ranks_size(), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_and_bounds_do_not_change_the_answer),
        cmocka_unit_test(a_cancelled_search_says_what_it_left_out),
        cmocka_unit_test(a_search_without_time_is_valid_and_empty),
        cmocka_unit_test(no_best_plans_are_kept_when_none_are_asked_for),
        cmocka_unit_test(a_search_survives_every_lack_of_memory),
        cmocka_unit_test(one_process_is_rank_0_of_1),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
