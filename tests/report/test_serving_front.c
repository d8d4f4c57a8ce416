/* SPDX-License-Identifier: Apache-2.0 */
/* The front of a small serving search as a picture, its rows, and numbers in three digits. */
#include "report/serving_page.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef struct fixture {
    sp_serving_asked asked;
    sp_serving_answer answer;
} fixture;

static void explain(const sp_error *err)
{
    char text[SP_ERROR_TEXT_BYTES];
    (void)sp_error_format(err, text, sizeof text);
    fail_msg("%s", text);
}

static int set_up(void **state)
{
    static fixture f;
    sp_error err = {0};
    sp_serving_question q = sp_serving_question_default();
    const sp_search_options options = {.threads = 2, .top_k = 5};
    const sp_serving_shown shown = {.by_layout = true, .top = 5, .runs = 1};
    q.home = getenv("SHARDPLAN_HOME");
    q.model = "llama-3.1-8b";
    q.cluster = "l40s-8";
    q.gpus = "4";
    q.engine = "vllm";
    q.mode = "agg";
    q.isl = 1000;
    q.osl = 200;
    q.slo = "ttft:p95<=500s";
    if (sp_serving_ask(&q, &options, &f.asked, &err) != SP_OK) explain(&err);
    if (sp_serving_answer_build(f.asked.space, &f.asked.result, &shown, &f.answer, &err) != SP_OK)
        explain(&err);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    sp_serving_answer_fini(&f->answer);
    sp_serving_asked_fini(&f->asked);
    return 0;
}

static void rows_fall_by_the_first_objective_and_the_first_is_tied_with_itself(void **state)
{
    const fixture *f = *state;
    assert_true(f->answer.n_rows > 1);
    assert_true(f->answer.rows[0].tied && f->answer.rows[0].on_front);
    for (uint32_t i = 1; i < f->answer.n_rows; i++) {
        const sp_serving_estimate *above = &f->answer.rows[i - 1].served.estimate;
        const sp_serving_estimate *row = &f->answer.rows[i].served.estimate;
        /* equal to 20 bits is a tie, settled by id */
        assert_true(row->tokens_per_s_per_gpu <= above->tokens_per_s_per_gpu * (1.0 + 1e-5));
    }
}

static void only_so_many_rows_are_run_request_by_request(void **state)
{
    const fixture *f = *state;
    assert_true(f->answer.rows[0].served.simulated);
    assert_false(f->answer.rows[1].served.simulated);
    assert_float_equal(f->answer.rows[0].served.run.slo_attainment_ratio, 1.0,
                       0.0); /* a wide limit */
}

static void a_mode_that_was_not_asked_for_has_no_best_plan(void **state)
{
    const fixture *f = *state;
    assert_true(f->answer.champions[SP_SERVING_AGG].found);
    assert_int_equal(f->answer.champions[SP_SERVING_AGG].row, 0);
    assert_false(f->answer.champions[SP_SERVING_DISAGG].found);
}

/* Lines behind the title that begin with the wall, from the top. */
static const char *first_marked_line(const char *picture)
{
    for (const char *line = strchr(picture + 1, '\n'); line != NULL;
         line = strchr(line + 1, '\n')) {
        const size_t length = strcspn(line + 1, "\n");
        const char *wall = memchr(line + 1, '|', length);
        if (wall == NULL) continue;
        const size_t left = length - (size_t)(wall - line);
        for (size_t i = 1; i <= left; i++) {
            if (wall[i] != ' ' && wall[i] != '\n') return &wall[i];
        }
    }
    return "";
}

static void the_row_with_the_most_throughput_stands_highest_in_the_picture(void **state)
{
    const fixture *f = *state;
    sp_text text = {0};
    sp_serving_front_draw(&f->answer, &(sp_report_options){.width = 100}, &text);
    assert_false(text.failed);
    assert_int_equal(*first_marked_line(text.data), '1');
    sp_text_fini(&text);
}

static void the_picture_keeps_to_its_width(void **state)
{
    const fixture *f = *state;
    for (uint32_t width = 60; width <= 100; width += 20) {
        sp_text text = {0};
        sp_serving_front_draw(&f->answer, &(sp_report_options){.width = width}, &text);
        const char *line = strchr(text.data + 1, '\n'); /* behind the title */
        while (line != NULL && line[1] != '\0') {
            assert_true(strcspn(line + 1, "\n") <= width);
            line = strchr(line + 1, '\n');
        }
        sp_text_fini(&text);
    }
}

static void a_front_of_one_plan_is_no_picture(void **state)
{
    const fixture *f = *state;
    sp_search_result result = f->asked.result;
    sp_serving_answer answer = f->answer;
    sp_text text = {0};
    result.front.n_points = 1;
    answer.result = &result;
    sp_serving_front_draw(&answer, &(sp_report_options){.width = 100}, &text);
    assert_string_equal(text.data, "\nThe Pareto front is one plan.\n");
    sp_text_fini(&text);
}

static void the_legend_says_what_columns_have_room(void **state)
{
    const fixture *f = *state;
    for (uint32_t width = 60; width <= 200; width += 140) {
        const sp_report_options options = {.width = width, .by_layout = true};
        sp_grid grid;
        sp_text text = {0};
        sp_serving_rows_grid(&f->answer, &options, &grid);
        sp_serving_legend(&f->answer, &grid, &options, &text);
        assert_non_null(strstr(text.data, "TTFT: time"));
        assert_int_equal(strstr(text.data, "plans: feasible") != NULL, width == 200);
        assert_int_equal(strstr(text.data, "chunk: most") != NULL, width == 200);
        sp_grid_fini(&grid);
        sp_text_fini(&text);
    }
}

/* The answer with its first rows changed; at most five. */
static sp_serving_answer copy_of(const fixture *f, sp_serving_row rows[5])
{
    sp_serving_answer answer = f->answer;
    assert_true(answer.n_rows >= 4);
    if (answer.n_rows > 4) answer.n_rows = 4;
    memcpy(rows, f->answer.rows, answer.n_rows * sizeof *rows);
    answer.rows = rows;
    return answer;
}

static void a_run_that_misses_a_limit_is_told_with_the_row_that_keeps_it(void **state)
{
    sp_serving_row rows[5];
    const sp_serving_answer answer = copy_of(*state, rows);
    sp_text text = {0};
    rows[0].served.run.simulated.ttft_s.p95 = 700.0;
    sp_serving_run_words(&answer, &(sp_report_options){.width = 1000}, &text);
    assert_non_null(strstr(text.data, "Its run misses ttft p95 <= 500 s, at 700 s (-v runs all)."));
    sp_text_fini(&text);
    rows[2].served.simulated = true;
    rows[2].served.run.simulated.ttft_s.p95 = 499.0;
    sp_serving_run_words(&answer, &(sp_report_options){.width = 1000}, &text);
    assert_non_null(strstr(text.data, "; row 3 is the first whose run keeps every limit."));
    sp_text_fini(&text);
    rows[0].served.run.simulated.ttft_s.p95 = 500.0;
    sp_serving_run_words(&answer, &(sp_report_options){.width = 1000}, &text);
    assert_null(strstr(text.data, "misses"));
    sp_text_fini(&text);
}

static void rows_that_follow_each_other_are_named_as_a_range(void **state)
{
    sp_serving_row rows[5];
    const sp_serving_answer answer = copy_of(*state, rows);
    for (uint32_t i = 0; i < 4; i++) {
        rows[i].served.estimate.cache_limited = i < 3;
        rows[i].served.estimate.borrowed = i == 0 || i == 3;
    }
    sp_text text = {0};
    sp_serving_reading(&answer, &(sp_report_options){.width = 1000}, &text);
    assert_non_null(strstr(text.data, "\nRows 1 to 3: requests wait for room in the cache"));
    assert_non_null(strstr(text.data, "\nRows 1, 4: some kernels"));
    sp_text_fini(&text);
}

static void three_digits_matter(void **state)
{
    (void)state;
    assert_string_equal(sp_word_brief(0.0).text, "0");
    assert_string_equal(sp_word_brief(0.03124).text, "0.0312");
    assert_string_equal(sp_word_brief(18.24).text, "18.2");
    assert_string_equal(sp_word_brief(123.4).text, "123");
    assert_string_equal(sp_word_brief(12345.0).text, "12,345");
    assert_string_equal(sp_word_latency(0.0831).text, "83.1 ms");
    assert_string_equal(sp_word_latency(2.413).text, "2.41 s");
}

static void a_limit_reads_as_a_sentence(void **state)
{
    (void)state;
    const sp_limit limit = {SP_LATENCY_TTFT, SP_P95, 0.8};
    char words[64];
    sp_limit_words(&limit, words, sizeof words);
    assert_string_equal(words, "ttft p95 <= 800 ms");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_fall_by_the_first_objective_and_the_first_is_tied_with_itself),
        cmocka_unit_test(only_so_many_rows_are_run_request_by_request),
        cmocka_unit_test(a_mode_that_was_not_asked_for_has_no_best_plan),
        cmocka_unit_test(the_row_with_the_most_throughput_stands_highest_in_the_picture),
        cmocka_unit_test(the_picture_keeps_to_its_width),
        cmocka_unit_test(a_front_of_one_plan_is_no_picture),
        cmocka_unit_test(the_legend_says_what_columns_have_room),
        cmocka_unit_test(a_run_that_misses_a_limit_is_told_with_the_row_that_keeps_it),
        cmocka_unit_test(rows_that_follow_each_other_are_named_as_a_range),
        cmocka_unit_test(three_digits_matter),
        cmocka_unit_test(a_limit_reads_as_a_sentence),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
