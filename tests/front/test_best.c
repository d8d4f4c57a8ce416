/* SPDX-License-Identifier: Apache-2.0 */
/* The best K: examples by hand, and the three laws of a join, lists that are full included. */
#include "front/points.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { N_TRIALS = 1500, MAX_POINTS = 60 };

static sp_best best_of(uint32_t k, const sp_point *points, uint32_t n)
{
    sp_error err = {0};
    sp_best best;
    assert_int_equal(sp_best_init(&best, k, &err), SP_OK);
    for (uint32_t i = 0; i < n; i++) {
        sp_best_insert(&best, &points[i]);
    }
    return best;
}

static void assert_same(const sp_best *a, const sp_best *b)
{
    assert_points(a->points, a->n_points, b->points, b->n_points);
}

static void the_smallest_keys_stay_and_of_equal_ones_the_oldest(void **state)
{
    (void)state;
    const sp_point points[] = {
        {5, {2}},
        {4, {3}},
        {9, {1}},
        {3, {2}},
        {1, {9}},
        {7, {2}}
    };
    sp_best best = best_of(3, points, 6);
    const sp_point expected[] = {
        {9, {1}},
        {3, {2}},
        {5, {2}}
    };
    assert_points(best.points, best.n_points, expected, 3);
    sp_best_fini(&best);
}

/* A duplicate in a full list must not push out another entry. */
static void a_point_that_is_there_already_changes_nothing(void **state)
{
    (void)state;
    const sp_point points[] = {
        {5, {2}},
        {4, {3}}
    };
    sp_best best = best_of(2, points, 2);
    assert_false(sp_best_insert(&best, &points[0]));
    assert_false(sp_best_insert(&best, &points[1]));
    assert_points(best.points, best.n_points, points, 2);
    sp_best_fini(&best);
}

static void a_list_of_none_stays_empty(void **state)
{
    (void)state;
    const sp_point point = {5, {2}};
    sp_best best = best_of(0, &point, 1);
    assert_int_equal(best.n_points, 0);
    sp_best_fini(&best);
}

static int by_key(const void *a, const void *b)
{
    const sp_point *x = a, *y = b;
    if (x->key[0] != y->key[0]) return x->key[0] < y->key[0] ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

static void joining_is_commutative_associative_and_idempotent(void **state)
{
    (void)state;
    draw d = draw_begin("best laws");
    for (uint32_t trial = 0; trial < N_TRIALS; trial++) {
        sp_point points[MAX_POINTS];
        const uint32_t n = draw_between(&d, 1, MAX_POINTS), k = draw_between(&d, 1, 20);
        draw_points(&d, 1, draw_between(&d, 1, 9), n, points);
        const uint32_t p = draw_between(&d, 0, n), q = draw_between(&d, p, n);
        sp_best left = best_of(k, points, p), middle = best_of(k, &points[p], q - p);
        sp_best last = best_of(k, &points[q], n - q), swapped = best_of(k, &points[p], n - p);
        sp_best_join(&swapped, &left);
        sp_best_join(&middle, &last);
        sp_best_join(&left, &middle);
        sp_best_join(&left, &last);
        sp_best_join(&left, &swapped);
        qsort(points, n, sizeof points[0], by_key);
        assert_points(left.points, left.n_points, points, n < k ? n : k);
        assert_same(&swapped, &left);
        sp_best_fini(&left);
        sp_best_fini(&middle);
        sp_best_fini(&last);
        sp_best_fini(&swapped);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_smallest_keys_stay_and_of_equal_ones_the_oldest),
        cmocka_unit_test(a_point_that_is_there_already_changes_nothing),
        cmocka_unit_test(a_list_of_none_stays_empty),
        cmocka_unit_test(joining_is_commutative_associative_and_idempotent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
