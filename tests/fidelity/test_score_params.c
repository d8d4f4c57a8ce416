/* SPDX-License-Identifier: Apache-2.0 */
/* Scores of parameter counts: tests/fidelity/counts has two models whose counts were worked out by
 * hand, one whose expected total is one too many, and one of a type that nobody knows. */
#include "fidelity/params.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static sp_params_score *score_folder(const char *folder)
{
    sp_error err = {0};
    sp_params_score *score = NULL;
    assert_int_equal(chdir(getenv("SHARDPLAN_HOME")), 0);
    assert_int_equal(sp_score_params(".", folder, &score, &err), SP_OK);
    return score;
}

static void equal_counts_are_exact_and_one_parameter_more_is_not(void **state)
{
    (void)state;
    sp_params_score *score = score_folder("tests/fidelity/counts");
    assert_int_equal(score->n_rows, 4);
    assert_int_equal(score->n_scored, 3);
    assert_int_equal(score->n_exact[SP_PARAMS_TOTAL], 2);
    assert_int_equal(score->n_exact[SP_PARAMS_EMBEDDING], 3);
    assert_int_equal(score->n_exact[SP_PARAMS_ACTIVE], 3);
    assert_int_equal(score->n_all_exact, 2);
    sp_params_score_free(score);
}

static void a_model_that_cannot_be_read_is_told_with_the_reason(void **state)
{
    (void)state;
    sp_text text = {0};
    sp_params_score *score = score_folder("tests/fidelity/counts");
    sp_params_score_page(score, &text);
    assert_non_null(strstr(text.data, "2 of 4 models exact"));
    assert_non_null(strstr(text.data, "models of this type cannot be read"));
    assert_non_null(strstr(text.data, "expected 64,065: -1"));
    sp_text_fini(&text);
    sp_params_score_free(score);
}

static void the_json_names_reasons_and_points(void **state)
{
    (void)state;
    sp_text text = {0};
    sp_params_score *score = score_folder("tests/fidelity/counts");
    sp_params_score_json(score, true, &text);
    assert_non_null(strstr(text.data, "\"unknown name\": 1"));
    assert_non_null(strstr(text.data, "\"total\": 41920"));
    assert_non_null(strstr(text.data, "\"refused\""));
    sp_text_fini(&text);
    sp_params_score_free(score);
}

static void a_folder_without_expected_counts_is_refused(void **state)
{
    (void)state;
    sp_error err = {0};
    sp_params_score *score = NULL;
    assert_int_equal(sp_score_params(".", "tests/fidelity/counts/configs", &score, &err), SP_E_IO);
    assert_null(score);
    assert_non_null(strstr(err.file, "expected.json"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_counts_are_exact_and_one_parameter_more_is_not),
        cmocka_unit_test(a_model_that_cannot_be_read_is_told_with_the_reason),
        cmocka_unit_test(the_json_names_reasons_and_points),
        cmocka_unit_test(a_folder_without_expected_counts_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
