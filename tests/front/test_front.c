/* SPDX-License-Identifier: Apache-2.0 */
/* The front: examples by hand, the definition, and the three laws of a join on random points with
 * many ties. */
#include "front/points.h"

#include "base/base.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { N_TRIALS = 1500, MAX_POINTS = 120 };

static sp_front front_of(uint32_t n_keys, const sp_point *points, uint32_t n)
{
    sp_error err = {0};
    sp_front front;
    bool failed = false;
    assert_int_equal(sp_front_init(&front, n_keys, &err), SP_OK);
    for (uint32_t i = 0; i < n; i++) {
        sp_front_insert(&front, &points[i], &failed);
    }
    assert_false(failed);
    return front;
}

static void assert_same(const sp_front *a, const sp_front *b)
{
    assert_points(a->points, a->n_points, b->points, b->n_points);
}

static void join(sp_front *a, const sp_front *b)
{
    bool failed = false;
    sp_front_join(a, b, &failed);
    assert_false(failed);
}

/* (1, 4) and (2, 2) are on the front; (3, 3) is beaten by (2, 2); of two (2, 2) the older stays. */
static void what_another_point_beats_is_left_out(void **state)
{
    (void)state;
    const sp_point points[] = {
        {7, {3, 3}},
        {9, {2, 2}},
        {2, {1, 4}},
        {4, {2, 2}},
        {1, {2, 4}},
        {3, {1, 5}}
    };
    sp_front front = front_of(2, points, 6);
    assert_int_equal(front.n_points, 2);
    assert_int_equal(front.points[0].id, 2);
    assert_int_equal(front.points[1].id, 4);
    sp_front_fini(&front);
}

static void a_younger_equal_is_covered_and_an_older_one_is_not(void **state)
{
    (void)state;
    const sp_point point = {
        5, {1, 2}
    };
    sp_front front = front_of(2, &point, 1);
    const double same[] = {1, 2}, worse[] = {1, 3}, other[] = {0, 9};
    assert_true(sp_front_covers(&front, same, 6));
    assert_false(sp_front_covers(&front, same, 5));
    assert_false(sp_front_covers(&front, same, 4));
    assert_true(sp_front_covers(&front, worse, 4));
    assert_false(sp_front_covers(&front, other, 9));
    sp_front_fini(&front);
}

static void inserting_says_whether_anything_changed(void **state)
{
    (void)state;
    sp_error err = {0};
    sp_front front;
    bool failed = false;
    assert_int_equal(sp_front_init(&front, 1, &err), SP_OK);
    const sp_point first = {5, {2}}, again = {5, {2}}, older = {4, {2}}, worse = {1, {3}};
    assert_true(sp_front_insert(&front, &first, &failed));
    assert_false(sp_front_insert(&front, &again, &failed));
    assert_true(sp_front_insert(&front, &older, &failed));
    assert_false(sp_front_insert(&front, &worse, &failed));
    assert_int_equal(front.n_points, 1);
    assert_int_equal(front.points[0].id, 4);
    sp_front_fini(&front);
}

static bool beats(const sp_point *a, const sp_point *b, uint32_t n_keys)
{
    bool better = a->id < b->id;
    for (uint32_t k = 0; k < n_keys; k++) {
        if (a->key[k] > b->key[k]) return false;
        better |= a->key[k] < b->key[k];
    }
    return better;
}

/* The definition, point by point. */
static void a_front_holds_exactly_what_nothing_beats(void **state)
{
    (void)state;
    draw d = draw_begin("front by definition");
    for (uint32_t trial = 0; trial < N_TRIALS; trial++) {
        sp_point points[MAX_POINTS];
        const uint32_t n_keys = draw_between(&d, 1, SP_MAX_OBJECTIVES);
        const uint32_t n = draw_between(&d, 1, MAX_POINTS);
        draw_points(&d, n_keys, draw_between(&d, 1, 12), n, points);
        sp_front front = front_of(n_keys, points, n);
        uint32_t n_kept = 0;
        for (uint32_t i = 0; i < n; i++) {
            bool beaten = false;
            for (uint32_t j = 0; j < n && !beaten; j++) {
                beaten = j != i && beats(&points[j], &points[i], n_keys);
            }
            n_kept += !beaten;
            assert_int_equal(sp_front_covers(&front, points[i].key, points[i].id), beaten);
        }
        assert_int_equal(front.n_points, n_kept);
        for (uint32_t i = 1; i < front.n_points; i++) {
            assert_true(front.points[i - 1].id < front.points[i].id);
        }
        sp_front_fini(&front);
    }
}

static void joining_is_commutative_associative_and_idempotent(void **state)
{
    (void)state;
    draw d = draw_begin("front laws");
    for (uint32_t trial = 0; trial < N_TRIALS; trial++) {
        sp_point points[MAX_POINTS];
        const uint32_t n_keys = draw_between(&d, 1, 4);
        const uint32_t n = draw_between(&d, 3, MAX_POINTS);
        draw_points(&d, n_keys, draw_between(&d, 1, 9), n, points);
        const uint32_t p = draw_between(&d, 0, n), q = draw_between(&d, p, n);
        sp_front all = front_of(n_keys, points, n);
        sp_front left = front_of(n_keys, points, p), right = front_of(n_keys, &points[p], n - p);
        sp_front middle = front_of(n_keys, &points[p], q - p);
        sp_front last = front_of(n_keys, &points[q], n - q);
        sp_front swapped = front_of(n_keys, &points[p], n - p);
        join(&swapped, &left); /* right + left */
        join(&middle, &last);  /* middle + last, then left + that */
        assert_same(&middle, &right);
        join(&left, &middle);
        assert_same(&left, &all);
        assert_same(&swapped, &all);
        join(&left, &all);
        join(&left, &right);
        assert_same(&left, &all);
        shuffle_points(&d, n, points);
        sp_front again = front_of(n_keys, points, n);
        assert_same(&again, &all);
        sp_front *const fronts[] = {&all, &left, &right, &middle, &last, &swapped, &again};
        for (size_t i = 0; i < sizeof fronts / sizeof fronts[0]; i++) {
            sp_front_fini(fronts[i]);
        }
    }
}

static void a_front_without_memory_says_so_and_stays_whole(void **state)
{
    (void)state;
    sp_error err = {0};
    for (uint64_t nth = 1; nth <= 4; nth++) {
        sp_front front;
        bool failed = false;
        assert_int_equal(sp_front_init(&front, 2, &err), SP_OK);
        sp_alloc_fail_at(nth);
        uint32_t n = 0;
        for (; n < 200 && !failed; n++) {
            const sp_point point = {
                n, {(double)n, -(double)n}
            };
            sp_front_insert(&front, &point, &failed);
        }
        sp_alloc_fail_at(0);
        assert_true(failed);
        assert_int_equal(front.n_points, n - 1);
        sp_front_fini(&front);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_another_point_beats_is_left_out),
        cmocka_unit_test(a_younger_equal_is_covered_and_an_older_one_is_not),
        cmocka_unit_test(inserting_says_whether_anything_changed),
        cmocka_unit_test(a_front_holds_exactly_what_nothing_beats),
        cmocka_unit_test(joining_is_commutative_associative_and_idempotent),
        cmocka_unit_test(a_front_without_memory_says_so_and_stays_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
