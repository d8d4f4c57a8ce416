/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON answer of a small search, read back: its keys, its sums, and its plans. */
#include "report/report_priv.h"
#include "step/step.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef struct fixture {
    sp_problem *problem;
    sp_space *space;
    sp_search_result result;
    sp_text text;
    sp_json_doc *doc;
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
    sp_question q = sp_question_default();
    q.home = getenv("SHARDPLAN_HOME");
    q.model = "gpt2";
    q.cluster = "l40s-8";
    q.gpus = "4,8";
    q.seq_len = 1024;
    q.global_batch = 32;
    q.tokens = 1e9;
    const sp_search_options options = {.threads = 2, .top_k = 4};
    if (sp_problem_build(&q, &f.problem, &err) != SP_OK) explain(&err);
    if (sp_space_build(f.problem, &f.space, &err) != SP_OK) explain(&err);
    if (sp_search_run(f.space, &options, &f.result, &err) != SP_OK) explain(&err);
    sp_report_train_json(f.space, &f.result, &(sp_report_options){0}, &f.text);
    assert_false(f.text.failed);
    if (sp_json_load_text(f.text.data, f.text.length, "answer", &f.doc, &err) != SP_OK)
        explain(&err);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    sp_json_free(f->doc);
    sp_text_fini(&f->text);
    sp_search_result_fini(&f->result);
    sp_space_free(f->space);
    sp_problem_free(f->problem);
    return 0;
}

static double number_at(const sp_json *object, const char *key)
{
    sp_error err = {0};
    double value = 0.0;
    if (sp_json_double(object, key, -1e300, 1e300, &value, &err) != SP_OK) explain(&err);
    return value;
}

static void every_part_of_the_answer_is_there(void **state)
{
    const fixture *f = *state;
    static const char *const keys[] = {"schema", "shardplan", "question", "model", "search",
                                       "front",  "ranked",    "layouts",  "grid"};
    sp_error err = {0};
    const sp_json root = sp_json_root(f->doc);
    if (sp_json_schema(&root, "shardplan/result/1", &err) != SP_OK) explain(&err);
    if (sp_json_only(&root, keys, sizeof keys / sizeof keys[0], &err) != SP_OK) explain(&err);
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        assert_true(sp_json_has(&root, keys[i]));
    }
}

static void every_id_of_the_space_is_accounted_for(void **state)
{
    const fixture *f = *state;
    const sp_json root = sp_json_root(f->doc);
    const sp_json search = sp_json_get(&root, "search");
    const sp_json pruned = sp_json_get(&search, "pruned");
    double sum = number_at(&search, "evaluated") + number_at(&search, "uncovered");
    for (size_t i = 0; i < sp_json_size(&pruned); i++) {
        const sp_json rule = sp_json_member(&pruned, i);
        sum += number_at(&pruned, rule.key);
    }
    assert_true(sum == number_at(&search, "space"));
}

static void the_parts_of_a_step_sum_to_it(void **state)
{
    const fixture *f = *state;
    const sp_json root = sp_json_root(f->doc);
    const sp_json ranked = sp_json_get(&root, "ranked");
    assert_int_equal(sp_json_size(&ranked), 4);
    for (size_t i = 0; i < sp_json_size(&ranked); i++) {
        const sp_json plan = sp_json_at(&ranked, i);
        const sp_json time = sp_json_get(&plan, "time_s");
        double sum = 0.0;
        for (size_t k = 0; k < sp_json_size(&time); k++) {
            const sp_json part = sp_json_member(&time, k);
            if (strcmp(part.key, "step") != 0) sum += number_at(&time, part.key);
        }
        const double step = number_at(&time, "step");
        assert_true(sum > step * (1.0 - 1e-9) && sum < step * (1.0 + 1e-9));
    }
}

static void the_plan_text_and_the_id_name_the_same_plan(void **state)
{
    const fixture *f = *state;
    const sp_json root = sp_json_root(f->doc);
    const sp_json front = sp_json_get(&root, "front");
    assert_true(sp_json_size(&front) > 0);
    for (size_t i = 0; i < sp_json_size(&front); i++) {
        const sp_json entry = sp_json_at(&front, i);
        const char *text = NULL, *id = NULL;
        sp_error err = {0};
        uint64_t rank = 0;
        sp_plan plan = sp_plan_default();
        if (sp_json_string(&entry, "text", &text, &err) != SP_OK) explain(&err);
        if (sp_json_string(&entry, "id", &id, &err) != SP_OK) explain(&err);
        if (sp_plan_parse(text, &plan, &err) != SP_OK) explain(&err);
        assert_true(sp_space_rank(f->space, &plan, &rank));
        assert_true(rank == strtoull(id, NULL, 10));
    }
}

static void the_front_is_sorted_by_the_first_objective(void **state)
{
    const fixture *f = *state;
    const sp_json root = sp_json_root(f->doc);
    const sp_json front = sp_json_get(&root, "front");
    double before = 1e300;
    for (size_t i = 0; i < sp_json_size(&front); i++) {
        const sp_json plan = sp_json_at(&front, i);
        const sp_json objectives = sp_json_get(&plan, "objectives");
        const double rate = number_at(&objectives, "tokens_per_s");
        assert_true(rate <= before * (1.0 + 1e-5)); /* keys are rounded to 20 bits */
        before = rate;
    }
}

static void the_run_has_days_because_its_tokens_are_stated(void **state)
{
    const fixture *f = *state;
    const sp_json root = sp_json_root(f->doc);
    const sp_json ranked = sp_json_get(&root, "ranked");
    const sp_json plan = sp_json_at(&ranked, 0);
    const double days = number_at(&plan, "days"), rate = number_at(&plan, "tokens_per_s");
    assert_true(days * 86400.0 * rate > 0.999e9 && days * 86400.0 * rate < 1.001e9);
}

/* The table names GPUs in their own column when there are several counts. */
static void the_table_has_a_column_of_gpus_and_no_line_over_100_columns(void **state)
{
    const fixture *f = *state;
    const sp_report_options options = {.by_layout = true};
    sp_text text = {0};
    sp_report_train_table(f->space, &f->result, &options, &text);
    assert_false(text.failed);
    assert_non_null(strstr(text.data, "#  GPUs  tp pp dp  settings"));
    size_t width = 0;
    for (const char *c = text.data; *c != '\0'; c++) {
        width = *c == '\n' ? 0 : width + 1;
        assert_true(width <= 100);
    }
    sp_text_fini(&text);
}

/* Rows that cannot be told from the leader come first, the simplest of them at the top. */
static void tied_rows_come_first_and_the_simplest_leads(void **state)
{
    const fixture *f = *state;
    uint32_t n = 0;
    sp_row *rows = sp_rows_build(f->space, &f->result, false, &n);
    assert_non_null(rows);
    assert_int_equal(n, 4);
    for (uint32_t i = 1; i < n; i++) {
        assert_true(rows[i - 1].tied || !rows[i].tied);
        if (rows[i].tied) assert_true(rows[i - 1].n_settings <= rows[i].n_settings);
    }
    sp_free(rows);
}

static void the_csv_has_a_row_a_plan_and_as_many_cells_as_the_header(void **state)
{
    const fixture *f = *state;
    sp_text text = {0};
    sp_report_train_csv(f->space, &f->result, NULL, &text);
    assert_false(text.failed);
    size_t cells = 0, expected = 0, rows = 0;
    bool quoted = false;
    for (const char *c = text.data; *c != '\0'; c++) {
        quoted = *c == '"' ? !quoted : quoted;
        cells += *c == ',' && !quoted;
        if (*c != '\n') continue;
        if (rows++ == 0) expected = cells;
        assert_int_equal(cells, expected);
        cells = 0;
    }
    assert_true(rows > f->result.front.n_points);
    sp_text_fini(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_part_of_the_answer_is_there),
        cmocka_unit_test(every_id_of_the_space_is_accounted_for),
        cmocka_unit_test(the_parts_of_a_step_sum_to_it),
        cmocka_unit_test(the_plan_text_and_the_id_name_the_same_plan),
        cmocka_unit_test(the_front_is_sorted_by_the_first_objective),
        cmocka_unit_test(the_run_has_days_because_its_tokens_are_stated),
        cmocka_unit_test(the_table_has_a_column_of_gpus_and_no_line_over_100_columns),
        cmocka_unit_test(tied_rows_come_first_and_the_simplest_leads),
        cmocka_unit_test(the_csv_has_a_row_a_plan_and_as_many_cells_as_the_header),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
