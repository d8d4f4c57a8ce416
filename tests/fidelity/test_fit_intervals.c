/* SPDX-License-Identifier: Apache-2.0 */
/* Interval widths over made-up rows of one question, worked on paper. */
#include "common/close.h"
#include "common/problems.h"
#include "fidelity/fit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define EXACT  1e-9
#define N_ROWS 12

static const char *const any[] = {"any"};

typedef struct rows {
    made_problem made;
    sp_scored_row row[N_ROWS];
    uint32_t variant_of[N_ROWS];
    double ratios[N_ROWS];
    sp_fit_variant variant;
    sp_fit_interval interval;
    sp_fit_list list;
    sp_fit fit;
} rows;

/* n rows of one source, the i-th measured at 1 + step (i + 1) times what was predicted. */
static void make_rows(rows *r, uint32_t n, double step)
{
    *r = (rows){0};
    make_machine(&r->made);
    make_llama(&r->made.model, 1024, 8, 8, 4096, 4);
    derive_problem(&r->made);
    for (uint32_t i = 0; i < n; i++) {
        r->row[i] = (sp_scored_row){.id = "x", .source = "s", .rank_set = ""};
        r->ratios[i] = 1.0 + step * (i + 1);
    }
    r->variant = (sp_fit_variant){.base = &r->made.problem, .engine = "any"};
    r->interval = (sp_fit_interval){.metric = SP_METRIC_STEP,
                                    .rows = SP_FIT_ROWS_ALL,
                                    .prior = 0.5,
                                    .n_engines = 1,
                                    .engines = any};
    r->list = (sp_fit_list){.coverage_ratio = 0.8, .n_intervals = 1, .intervals = &r->interval};
    r->fit = (sp_fit){.list = &r->list,
                      .n_rows = n,
                      .n_variants = 1,
                      .rows = r->row,
                      .variant_of = r->variant_of,
                      .variants = &r->variant};
}

static double width(rows *r)
{
    sp_error err = {0};
    sp_fit_values values = {0};
    assert_int_equal(sp_fit_widths(&r->fit, SP_METRIC_STEP, r->ratios, &values, &err), SP_OK);
    return values.interval[0];
}

static void without_rows_the_prior_stands(void **state)
{
    (void)state;
    rows r;
    make_rows(&r, 0, 0.0);
    assert_close(width(&r), 0.5, EXACT);
    free_problem(&r.made);
}

/* Ten rows 1 % to 10 % off weigh as much as the prior's nine. All ten and six of the nine make up
 * 1.67 of a weight of 2, with five it is 1.56: the sixth of them, 0.5 x 0.6567. */
static void a_source_and_the_prior_weigh_the_same(void **state)
{
    (void)state;
    rows r;
    make_rows(&r, 10, 0.01);
    assert_close(width(&r), 0.5 * 0.6567, EXACT);
    free_problem(&r.made);
}

static void a_row_that_does_not_count_changes_nothing(void **state)
{
    (void)state;
    rows r;
    make_rows(&r, 11, 0.01);
    r.ratios[10] = 0.0;
    assert_close(width(&r), 0.5 * 0.6567, EXACT);
    free_problem(&r.made);
}

static void rows_of_another_kind_are_left_out(void **state)
{
    (void)state;
    rows r;
    make_rows(&r, 10, 0.01);
    r.interval.rows = SP_FIT_ROWS_EXPERTS; /* the model has none */
    assert_close(width(&r), 0.5, EXACT);
    free_problem(&r.made);
}

/* Twice as long as predicted, all of them: nothing is left of it between plans of one question, and
 * 0.8 of the weight lie within the sixth tenth of the prior. */
static void what_a_set_has_in_common_leaves(void **state)
{
    (void)state;
    rows r;
    make_rows(&r, 10, 0.0);
    r.interval.within_sets = true;
    for (uint32_t i = 0; i < 10; i++) {
        r.row[i].rank_set = "one";
        r.ratios[i] = 2.0;
    }
    assert_close(width(&r), 0.5 * 0.6567, EXACT);
    free_problem(&r.made);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_rows_the_prior_stands),
        cmocka_unit_test(a_source_and_the_prior_weigh_the_same),
        cmocka_unit_test(a_row_that_does_not_count_changes_nothing),
        cmocka_unit_test(rows_of_another_kind_are_left_out),
        cmocka_unit_test(what_a_set_has_in_common_leaves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
