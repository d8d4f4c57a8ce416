/* SPDX-License-Identifier: Apache-2.0 */
/* A plan beside the baseline, and two plans in words: steps made up, figures worked by hand. */
#include "common/close.h"
#include "common/problems.h"
#include "report/report_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static sp_priced made_plan(uint32_t tp, double step_s)
{
    sp_priced priced = {.plan = sp_plan_default(), .rule = UINT32_MAX, .priced = true};
    sp_plan_set(&priced.plan, SP_AXIS_tp, tp);
    priced.estimate.time.step_s = step_s;
    return priced;
}

static void make_with_error(made_problem *made, double rank_error_ratio)
{
    make_machine(made);
    make_gpt(&made->model, 1024, 16, 24);
    made->profile.rank_error_ratio = rank_error_ratio;
    derive_problem(made);
}

/* 12 s against 10 s; the baseline took 9 s, so the factor is 0.75 and 10 s become 7.5 s. */
static void a_measurement_scales_the_step(void **state)
{
    (void)state;
    static made_problem made;
    make_with_error(&made, 0.1);
    const sp_baseline baseline = {.priced = made_plan(2, 12.0), .measured_step_s = 9.0};
    const sp_priced plan = made_plan(4, 10.0);
    const sp_against a = sp_against_baseline(&made.problem, &baseline, &plan);
    assert_close(a.speedup_ratio, 1.2, 1e-12);
    assert_close(a.factor, 0.75, 1e-12);
    assert_close(a.step_s, 7.5, 1e-12);
    /* 1.1^sqrt 2 = 1.144295 */
    assert_close(a.step_low_s, 7.5 / 1.144295, 1e-5);
    assert_close(a.step_high_s, 7.5 * 1.144295, 1e-5);
    assert_true(a.p_faster > 0.9);
    free_problem(&made);
}

static void the_baseline_itself_takes_what_was_measured(void **state)
{
    (void)state;
    static made_problem made;
    make_with_error(&made, 0.1);
    const sp_baseline baseline = {.priced = made_plan(2, 12.3), .measured_step_s = 9.1};
    const sp_against a = sp_against_baseline(&made.problem, &baseline, &baseline.priced);
    assert_true(a.speedup_ratio == 1.0 && a.p_faster == 0.5);
    assert_true(a.step_s == 9.1 && a.step_low_s == 9.1 && a.step_high_s == 9.1);
    free_problem(&made);
}

static void without_a_measurement_nothing_is_corrected(void **state)
{
    (void)state;
    static made_problem made;
    make_with_error(&made, 0.1);
    const sp_baseline baseline = {.priced = made_plan(2, 12.0)};
    const sp_priced plan = made_plan(4, 10.0);
    const sp_against a = sp_against_baseline(&made.problem, &baseline, &plan);
    assert_true(a.factor == 0.0 && a.step_s == 0.0);
    free_problem(&made);
}

static void assert_text(sp_text *text, const char *expected)
{
    assert_string_equal(text->length > 0 ? text->data : "", expected);
    sp_text_fini(text);
}

static void changes_are_said_in_the_order_of_the_axes(void **state)
{
    (void)state;
    sp_plan from = sp_plan_default(), to = from;
    sp_text text = {0};
    sp_plan_changes(&from, &to, &text);
    assert_text(&text, "");
    sp_plan_set(&from, SP_AXIS_recompute, SP_RECOMPUTE_FULL);
    sp_plan_set(&from, SP_AXIS_tp, 4);
    sp_plan_set(&to, SP_AXIS_tp, 8);
    sp_plan_changes(&from, &to, &text);
    assert_text(&text, "tp 4 -> 8, recompute full -> none");
}

static void words_name_the_term_that_decides(void **state)
{
    (void)state;
    sp_priced a = made_plan(2, 10.0), b = made_plan(4, 12.5);
    sp_text text = {0};
    a.estimate.time.forward_s = b.estimate.time.forward_s = 6.0;
    a.estimate.time.tp_comm_s = 1.0;
    b.estimate.time.tp_comm_s = 4.0;
    a.estimate.time.bubble_s = 3.0;
    b.estimate.time.bubble_s = 2.5;
    const char *words =
        " is faster by 2.500 s a step (20.0 %), above all by 3.000 s less of tp_comm "
        "(exposed tensor-parallel traffic); most of what it gives back is 0.5000 s "
        "more of bubble (waiting for other pipeline stages).";
    sp_compare_words(&a, &b, &text);
    assert_true(text.data[0] == 'A');
    assert_string_equal(text.data + 1, words);
    sp_text_fini(&text);
    sp_compare_words(&b, &a, &text);
    assert_true(text.data[0] == 'B');
    assert_string_equal(text.data + 1, words);
    sp_text_fini(&text);
    sp_compare_words(&a, &a, &text);
    assert_text(&text, "Both take the same time for a step.");
    b.priced = false;
    sp_compare_words(&a, &b, &text);
    assert_text(&text, "B cannot be built, so there is no step to compare.");
    a.priced = false;
    sp_compare_words(&a, &b, &text);
    assert_text(&text, "Neither plan can be built, so there is no step to compare.");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_measurement_scales_the_step),
        cmocka_unit_test(the_baseline_itself_takes_what_was_measured),
        cmocka_unit_test(without_a_measurement_nothing_is_corrected),
        cmocka_unit_test(changes_are_said_in_the_order_of_the_axes),
        cmocka_unit_test(words_name_the_term_that_decides),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
