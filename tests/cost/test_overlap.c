/* SPDX-License-Identifier: Apache-2.0 */
/* Exposed communication: by hand, and that the sum with the computation grows with both. */
#include "common/close.h"
#include "common/draw.h"
#include "cost/cost.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* Half of 10 s can hide 5 s. */
static void what_fits_under_the_share_is_hidden(void **state)
{
    (void)state;
    assert_true(sp_overlap_exposed_s(10.0, 0.5, 4.0) == 0.0);
    assert_true(sp_overlap_exposed_s(10.0, 0.5, 5.0) == 0.0);
    assert_true(sp_overlap_exposed_s(10.0, 0.5, 7.0) == 2.0);
}

static void without_overlap_or_computation_all_is_exposed(void **state)
{
    (void)state;
    assert_true(sp_overlap_exposed_s(10.0, 0.0, 4.0) == 4.0);
    assert_true(sp_overlap_exposed_s(0.0, 1.0, 4.0) == 4.0);
}

/* max(c, (1 - r) c + comm) is never less for more of either, and between max(c, comm) and c + comm.
 */
static void computation_with_what_is_exposed_grows_with_both(void **state)
{
    (void)state;
    draw d = draw_begin("computation_with_what_is_exposed_grows_with_both");
    for (int trial = 0; trial < 20000; trial++) {
        const double c = draw_scale(&d, 1e-6, 10), comm = draw_scale(&d, 1e-6, 10);
        const double r = draw_scale(&d, 1e-3, 1.0), more = draw_scale(&d, 1.0, 3.0);
        const double exposed = sp_overlap_exposed_s(c, r, comm), sum = c + exposed;
        assert_true(exposed >= 0.0);
        assert_close(sum, fmax(c, (1 - r) * c + comm), 1e-14);
        assert_at_most(fmax(c, comm), sum, 1e-14);
        assert_at_most(sum, c + comm, 1e-14);
        assert_at_most(sum, more * c + sp_overlap_exposed_s(more * c, r, comm), 1e-14);
        assert_at_most(sum, c + sp_overlap_exposed_s(c, r, more * comm), 1e-14);
    }
}

/* 8 units of work and 4 of traffic in 4 pieces: the last unit of traffic is left. Of 12 units 3 are
 * left, and 3/4 of the 4 that are longer than the work. */
static void the_last_piece_has_nothing_to_hide_under(void **state)
{
    (void)state;
    assert_true(sp_overlap_pieces_s(8.0, 4.0, 0.0, 4.0) == 1.0);
    assert_true(sp_overlap_pieces_s(8.0, 4.0, 0.0, 12.0) == 3.0 + 3.0);
    assert_true(sp_overlap_pieces_s(8.0, 1.0, 0.0, 4.0) == 4.0);
}

/* The piece at hand is computed beside the first transfer: 3 of 4 quarters of the work. */
static void a_ring_starts_with_its_own_piece(void **state)
{
    (void)state;
    assert_true(sp_overlap_ring_s(8.0, 4.0, 6.0) == 0.0);
    assert_true(sp_overlap_ring_s(8.0, 4.0, 7.0) == 1.0);
}

static void what_hides_slows_by_its_share(void **state)
{
    (void)state;
    assert_true(sp_overlap_slowed_s(8.0, 0.25, 4.0) == 1.0);
    assert_true(sp_overlap_slowed_s(8.0, 0.25, 12.0) == 4.0 + 2.0);
}

/* Pieces one by one: the work of a piece, then its transfer beside the next piece's work. */
static double pieces_one_by_one(double work, uint32_t n, double comm)
{
    double done = 0.0, sent = 0.0;
    for (uint32_t i = 0; i < n; i++) {
        done += work / n;
        sent = fmax(sent, done) + comm / n;
    }
    return sent - work;
}

static void pieces_take_what_they_take_one_by_one(void **state)
{
    (void)state;
    draw d = draw_begin("pieces_take_what_they_take_one_by_one");
    for (int trial = 0; trial < 5000; trial++) {
        const double work = draw_scale(&d, 1e-3, 10), comm = draw_scale(&d, 1e-3, 10);
        const uint32_t n = draw_between(&d, 1, 40);
        assert_close(sp_overlap_pieces_s(work, n, 0.0, comm), pieces_one_by_one(work, n, comm),
                     1e-9);
    }
}

/* Work and what is left never fall when either grows, and more pieces never leave more. */
static void pieces_and_rings_grow_with_both(void **state)
{
    (void)state;
    draw d = draw_begin("pieces_and_rings_grow_with_both");
    for (int trial = 0; trial < 20000; trial++) {
        const double c = draw_scale(&d, 1e-6, 10), comm = draw_scale(&d, 1e-6, 10);
        const double i = draw_scale(&d, 1e-3, 1.0), more = draw_scale(&d, 1.0, 3.0);
        const double n = draw_between(&d, 1, 40);
        const double piece = c + sp_overlap_pieces_s(c, n, i, comm);
        const double ring = c + sp_overlap_ring_s(c, n, comm);
        assert_at_most(piece, c + comm, 1e-14);
        assert_at_most(piece, more * c + sp_overlap_pieces_s(more * c, n, i, comm), 1e-14);
        assert_at_most(piece, c + sp_overlap_pieces_s(c, n, i, more * comm), 1e-14);
        assert_at_most(c + sp_overlap_pieces_s(c, n + 1.0, i, comm), piece, 1e-14);
        assert_at_most(ring, more * c + sp_overlap_ring_s(more * c, n, comm), 1e-14);
        assert_at_most(ring, c + sp_overlap_ring_s(c, n, more * comm), 1e-14);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_fits_under_the_share_is_hidden),
        cmocka_unit_test(without_overlap_or_computation_all_is_exposed),
        cmocka_unit_test(computation_with_what_is_exposed_grows_with_both),
        cmocka_unit_test(the_last_piece_has_nothing_to_hide_under),
        cmocka_unit_test(a_ring_starts_with_its_own_piece),
        cmocka_unit_test(what_hides_slows_by_its_share),
        cmocka_unit_test(pieces_take_what_they_take_one_by_one),
        cmocka_unit_test(pieces_and_rings_grow_with_both),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
