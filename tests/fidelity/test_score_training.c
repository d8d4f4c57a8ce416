/* SPDX-License-Identifier: Apache-2.0 */
/* The score of runs.csv, twelve made-up rows: which rows count, and that no prediction looks at
 * what was measured. */
#include "fidelity/fidelity_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static sp_error err;

static const char *home(void)
{
    const char *folder = getenv("SHARDPLAN_HOME");
    return folder != NULL ? folder : ".";
}

static sp_score *score_file(const char *file)
{
    sp_score *score = NULL;
    if (sp_score_training(home(), file, NULL, &score, &err) != SP_OK) {
        fail_msg("%s:%d: %s %s", err.file, err.line, err.message, err.value);
    }
    return score;
}

static void runs_file(char path[4096])
{
    (void)snprintf(path, 4096, "%s/tests/fidelity/runs.csv", home());
}

static const sp_scored_row *row_of(const sp_score *score, const char *id)
{
    for (uint32_t i = 0; i < score->n_rows; i++) {
        if (strcmp(score->rows[i].id, id) == 0) return &score->rows[i];
    }
    fail_msg("no row %s", id);
    return NULL;
}

/* T5 is of quality C, T10 of an old release; T8, T9, T11 and T12 count but cannot be expressed. */
static void rows_count_by_their_flags_and_quality(void **state)
{
    (void)state;
    char path[4096];
    runs_file(path);
    sp_score *score = score_file(path);
    assert_int_equal(score->n_rows, 12);
    assert_int_equal(score->eligible.n_rows, 10);
    assert_int_equal(score->eligible.n_predicted, 6);
    assert_int_equal(score->n_scored, 5);
    assert_int_equal(score->core.n_rows, 10); /* not T5 and T11 */
    assert_int_equal(score->core.n_predicted, 7);
    assert_int_equal(score->n_oom, 1);
    assert_int_equal(score->n_ran, 9);
    assert_int_equal(score->overall[SP_METRIC_STEP].n, 5);
    assert_int_equal(score->overall[SP_METRIC_MEMORY].n, 1);
    assert_int_equal(score->ranks.n, 1);
    sp_score_free(score);
}

static void rows_that_cannot_be_expressed_say_why(void **state)
{
    (void)state;
    char path[4096];
    runs_file(path);
    sp_score *score = score_file(path);
    assert_non_null(strstr(row_of(score, "T8")->asked.reason.text, "Abacus-1"));
    assert_non_null(strstr(row_of(score, "T9")->asked.reason.text, "attention"));
    assert_non_null(strstr(row_of(score, "T11")->asked.reason.text, "architecture"));
    assert_non_null(strstr(row_of(score, "T12")->asked.reason.text, "tp divides"));
    sp_score_free(score);
}

/* 70 G parameters of 16 bytes on 8 GPUs are 140 GB each; 24 layers of 2048 are a few. */
static void a_plan_beyond_memory_is_called_out(void **state)
{
    (void)state;
    char path[4096];
    runs_file(path);
    sp_score *score = score_file(path);
    assert_false(row_of(score, "T7")->predicted.fits);
    assert_true(row_of(score, "T1")->predicted.fits);
    assert_int_equal(score->n_oom_called, 1);
    assert_int_equal(score->n_ran_called, 0);
    sp_score_free(score);
}

/* Writes the table with every cell of a measured column replaced. */
static void replace_measured(const char *from, const char *to, const char *text)
{
    sp_csv csv;
    assert_int_equal(sp_csv_load(from, &csv, &err), SP_OK);
    FILE *out = fopen(to, "w");
    assert_non_null(out);
    for (uint32_t c = 0; c < csv.n_columns; c++) {
        (void)fprintf(out, "%s%s", c > 0 ? "," : "", csv.cells[c]);
    }
    for (uint32_t r = 0; r < csv.n_rows; r++) {
        for (uint32_t c = 0; c < csv.n_columns; c++) {
            const bool measured = sp_column_is_measured(csv.cells[c]);
            const bool quoted = strcmp(csv.cells[c], "notes") == 0; /* of no matter here */
            const char *cell = quoted ? "" : sp_csv_cell(&csv, r, c);
            (void)fprintf(out, "%s%s", c > 0 ? "," : "\n", measured ? text : cell);
        }
    }
    assert_int_equal(fclose(out), 0);
    sp_csv_fini(&csv);
}

static void assert_same_predictions(const sp_score *a, const sp_score *b)
{
    assert_int_equal(a->n_rows, b->n_rows);
    for (uint32_t i = 0; i < a->n_rows; i++) {
        const sp_prediction *p = &a->rows[i].predicted, *q = &b->rows[i].predicted;
        assert_int_equal(p->made, q->made);
        assert_int_equal(p->fits, q->fits);
        assert_true(p->step_s == q->step_s);
        assert_true(p->step_low_s == q->step_low_s && p->step_high_s == q->step_high_s);
        assert_true(p->memory_bytes == q->memory_bytes);
    }
}

static void check_replaced(const char *text)
{
    char path[4096], other[] = "/tmp/shardplan-runs-XXXXXX";
    const int file = mkstemp(other);
    assert_true(file >= 0);
    (void)close(file);
    runs_file(path);
    replace_measured(path, other, text);
    sp_score *told = score_file(path), *blind = score_file(other);
    (void)unlink(other);
    assert_same_predictions(told, blind);
    assert_int_equal(told->eligible.n_predicted, 6);
    if (text[0] == '\0') assert_int_equal(blind->n_scored, 0);
    sp_score_free(told);
    sp_score_free(blind);
}

static void predictions_need_no_measurement(void **state)
{
    (void)state;
    check_replaced("");
}

static void predictions_do_not_follow_measurements(void **state)
{
    (void)state;
    check_replaced("1");
}

static void every_measured_column_of_the_table_is_known_as_such(void **state)
{
    (void)state;
    static const char *const measured[] = {
        "step_s",       "tok_s_gpu",     "tflops_gpu", "mfu_pct",     "hfu_pct",
        "peak_mem_gib", "mem_state_gib", "oom",        "mem_act_gib", "mfu_causal_pct"};
    for (size_t i = 0; i < sizeof measured / sizeof measured[0]; i++) {
        assert_true(sp_column_is_measured(measured[i]));
    }
    assert_false(sp_column_is_measured("tp"));
    assert_false(sp_column_is_measured("recompute"));
}

static void patterns_are_open_where_a_star_stands(void **state)
{
    (void)state;
    assert_true(sp_pattern_matches("fp8", "fp8"));
    assert_false(sp_pattern_matches("fp8", "fp8-block"));
    assert_true(sp_pattern_matches("fp8-*", "fp8-block"));
    assert_false(sp_pattern_matches("fp8-*", "mxfp8-"));
    assert_true(sp_pattern_matches("*FSDP1", "Composer+PyTorch FSDP1"));
    assert_true(sp_pattern_matches("*w/o MTP*", "dropless; w/o MTP; head"));
    assert_false(sp_pattern_matches("*w/o MTP*", "w/ MTP"));
    assert_true(sp_pattern_matches("*", ""));
    assert_true(sp_pattern_matches("", ""));
    assert_false(sp_pattern_matches("", "1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_count_by_their_flags_and_quality),
        cmocka_unit_test(rows_that_cannot_be_expressed_say_why),
        cmocka_unit_test(a_plan_beyond_memory_is_called_out),
        cmocka_unit_test(predictions_need_no_measurement),
        cmocka_unit_test(predictions_do_not_follow_measurements),
        cmocka_unit_test(every_measured_column_of_the_table_is_known_as_such),
        cmocka_unit_test(patterns_are_open_where_a_star_stands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
