/* SPDX-License-Identifier: Apache-2.0 */
/* The solver on lines, whose answers are known on paper. */
#include "common/close.h"
#include "fidelity/fit.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define CLOSE 1e-6

/* residual_i = sum_k slope_ik x_k - y_i */
typedef struct lines {
    uint32_t n_rows, n_terms;
    const double (*slopes)[2];
    const double *y;
    uint32_t n_calls;
} lines;

static void residuals(void *user, const double *x, uint32_t changed, double *out)
{
    lines *l = user;
    (void)changed;
    l->n_calls++;
    for (uint32_t i = 0; i < l->n_rows; i++) {
        out[i] = -l->y[i];
        for (uint32_t k = 0; k < l->n_terms; k++) {
            out[i] += l->slopes[i][k] * x[k];
        }
    }
}

static void solve(lines *l, const sp_fit_prior *priors, const double *weights, double huber,
                  double *x)
{
    sp_error err = {0};
    const sp_fit_task task = {.n_terms = l->n_terms,
                              .n_rows = l->n_rows,
                              .priors = priors,
                              .weights = weights,
                              .huber = huber,
                              .residuals = residuals,
                              .user = l};
    assert_int_equal(sp_fit_solve(&task, x, &err), SP_OK);
}

/* x + y = 3, x - y = 1: (2, 1), whatever is vaguely believed. */
static void two_exact_lines_meet_in_their_point(void **state)
{
    (void)state;
    static const double slopes[][2] = {
        {1.0, 1.0 },
        {1.0, -1.0}
    };
    static const double y[] = {3.0, 1.0}, weights[] = {1.0, 1.0};
    static const sp_fit_prior priors[] = {
        {0.0, 1e5, -10.0, 10.0},
        {0.0, 1e5, -10.0, 10.0}
    };
    lines l = {2, 2, slopes, y, 0};
    double x[2] = {0.0, 0.0};
    solve(&l, priors, weights, 100.0, x);
    assert_close(x[0], 2.0, CLOSE);
    assert_close(x[1], 1.0, CLOSE);
}

/* (x - 1)^2 + 3 (x - 2)^2 + ((x - 6) / 0.5)^2: (1 + 6 + 24) / (1 + 3 + 4). */
static void data_and_belief_are_weighed_by_their_precision(void **state)
{
    (void)state;
    static const double slopes[][2] = {{1.0}, {1.0}};
    static const double y[] = {1.0, 2.0}, weights[] = {1.0, 3.0};
    static const sp_fit_prior prior = {6.0, 0.5, -10.0, 10.0};
    lines l = {2, 1, slopes, y, 0};
    double x[2] = {0.0};
    solve(&l, &prior, weights, 100.0, x);
    assert_close(x[0], 31.0 / 8.0, CLOSE);
}

static void a_row_without_weight_is_not_seen(void **state)
{
    (void)state;
    static const double slopes[][2] = {{1.0}, {1.0}};
    static const double y[] = {1.0, 1e6}, weights[] = {1.0, 0.0};
    static const sp_fit_prior prior = {0.0, 1e5, -10.0, 10.0};
    lines l = {2, 1, slopes, y, 0};
    double x[2] = {0.0};
    solve(&l, &prior, weights, 100.0, x);
    assert_close(x[0], 1.0, CLOSE);
}

/* Rows at 0, 0, 0 and one at 100, limit 1: the far one pulls with the force of a residual of 1, so
 * 3 x = 1. The square alone would give 25. */
static void a_far_row_pulls_no_harder_than_the_limit(void **state)
{
    (void)state;
    static const double slopes[][2] = {{1.0}, {1.0}, {1.0}, {1.0}};
    static const double y[] = {0.0, 0.0, 0.0, 100.0}, weights[] = {1.0, 1.0, 1.0, 1.0};
    static const sp_fit_prior prior = {0.0, 1e5, -1000.0, 1000.0};
    lines l = {4, 1, slopes, y, 0};
    double x[2] = {0.0};
    solve(&l, &prior, weights, 1.0, x);
    assert_close(x[0], 1.0 / 3.0, 1e-4);
}

/* x + y = 10 with x at most 2: y makes up for it. */
static void an_unknown_at_its_bound_leaves_the_rest_to_the_others(void **state)
{
    (void)state;
    static const double slopes[][2] = {
        {1.0, 1.0}
    };
    static const double y[] = {10.0}, weights[] = {1e6};
    static const sp_fit_prior priors[] = {
        {0.0, 10.0, -2.0,  2.0 },
        {0.0, 10.0, -20.0, 20.0}
    };
    lines l = {1, 2, slopes, y, 0};
    double x[2] = {0.0, 0.0};
    solve(&l, priors, weights, 100.0, x);
    assert_close(x[0], 2.0, CLOSE);
    assert_close(x[1], 8.0, 1e-4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_exact_lines_meet_in_their_point),
        cmocka_unit_test(data_and_belief_are_weighed_by_their_precision),
        cmocka_unit_test(a_row_without_weight_is_not_seen),
        cmocka_unit_test(a_far_row_pulls_no_harder_than_the_limit),
        cmocka_unit_test(an_unknown_at_its_bound_leaves_the_rest_to_the_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
