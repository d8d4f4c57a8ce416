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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_fits_under_the_share_is_hidden),
        cmocka_unit_test(without_overlap_or_computation_all_is_exposed),
        cmocka_unit_test(computation_with_what_is_exposed_grows_with_both),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
