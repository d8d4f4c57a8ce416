/* SPDX-License-Identifier: Apache-2.0 */
/* The list of what is fitted, as a file of one's own has it. */
#include "common/close.h"
#include "fidelity/fit.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define TERM                                                                                       \
    "{\"constants\": [\"gemm_ratio\", \"attention_ratio\"], \"engines\": [\"any\"], "              \
    "\"metric\": \"step_time\", \"centre\": 1.1, \"log_width\": 0.1, \"lo\": 1, \"hi\": 2, "       \
    "\"source\": \"belief\"}"
#define GROUPING "{\"name\": \"gpu\", \"column\": \"gpu\", \"groups\": {\"Hopper\": [\"H100*\"]}}"

static sp_error err;

static void write_list(const char *home, const char *term, const char *grouping)
{
    char path[256];
    (void)snprintf(path, sizeof path, "%s/configs", home);
    (void)mkdir(path, 0700);
    (void)snprintf(path, sizeof path, "%s/configs/validation", home);
    (void)mkdir(path, 0700);
    (void)snprintf(path, sizeof path, "%s/configs/validation/fit-training.json", home);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    (void)fprintf(file,
                  "{\"schema\": \"shardplan/fit/1\", \"about\": \"\", \"residual_ratio\": 0.1, "
                  "\"huber_ratio\": 0.2, \"source_runs\": 4, \"coverage_ratio\": 0.8, "
                  "\"site\": {\"site_ratio\": 0.1, \"run_ratio\": 0.1}, \"terms\": [%s], "
                  "\"intervals\": [], \"leave_out\": [%s]}",
                  term, grouping);
    assert_int_equal(fclose(file), 0);
}

static void remove_list(const char *home)
{
    static const char *const parts[] = {"/configs/validation/fit-training.json",
                                        "/configs/validation", "/configs", ""};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        char path[256];
        (void)snprintf(path, sizeof path, "%s%s", home, parts[i]);
        (void)remove(path);
    }
}

/* Reads a list of one term and one grouping over a table with the columns gpu and step_s. */
static sp_status load(const char *term, const char *grouping, sp_arena *arena, sp_fit_list *list)
{
    static const char table[] = "gpu,step_s\nH100,1\n";
    char home[] = "/tmp/shardplan-list-XXXXXX";
    sp_csv csv = {0};
    assert_non_null(mkdtemp(home));
    write_list(home, term, grouping);
    assert_int_equal(sp_csv_parse(table, strlen(table), "t.csv", &csv, &err), SP_OK);
    const sp_fit_words words = sp_fit_training_words();
    const sp_status status = sp_fit_list_load(arena, home, &csv, &words, list, &err);
    sp_csv_fini(&csv);
    remove_list(home);
    return status;
}

static void refuse(const char *term, const char *grouping, sp_status wanted)
{
    sp_arena arena = {0};
    sp_fit_list list;
    assert_int_equal(load(term, grouping, &arena, &list), wanted);
    sp_arena_fini(&arena);
}

static void unknowns_are_logarithms_that_constants_share(void **state)
{
    (void)state;
    sp_arena arena = {0};
    sp_fit_list list;
    assert_int_equal(load(TERM, GROUPING, &arena, &list), SP_OK);
    assert_int_equal(list.n_terms, 1);
    assert_int_equal(list.terms[0].n_constants, 2);
    assert_int_equal(list.terms[0].constants[1], sp_engine_constant_find("attention_ratio"));
    assert_close(list.terms[0].prior.centre, log(1.1), 1e-12);
    assert_close(list.terms[0].prior.hi, log(2.0), 1e-12);
    assert_string_equal(list.groupings[0].groups[0].patterns[0], "H100*");
    sp_arena_fini(&arena);
}

static void a_constant_that_no_profile_has_is_told_the_nearest(void **state)
{
    (void)state;
    refuse("{\"constants\": [\"gem_ratio\"], \"engines\": [\"any\"], \"metric\": \"step_time\", "
           "\"centre\": 1, \"log_width\": 0.1, \"lo\": 1, \"hi\": 2, \"source\": \"\"}",
           GROUPING, SP_E_UNKNOWN_NAME);
    assert_string_equal(err.nearest, "gemm_ratio");
}

static void what_is_believed_lies_within_its_bounds(void **state)
{
    (void)state;
    refuse("{\"constants\": [\"gemm_ratio\"], \"engines\": [\"any\"], \"metric\": \"step_time\", "
           "\"centre\": 3, \"log_width\": 0.1, \"lo\": 1, \"hi\": 2, \"source\": \"\"}",
           GROUPING, SP_E_RANGE);
}

static void no_group_depends_on_a_measurement(void **state)
{
    (void)state;
    refuse(TERM, "{\"name\": \"step\", \"column\": \"step_s\"}", SP_E_INCONSISTENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unknowns_are_logarithms_that_constants_share),
        cmocka_unit_test(a_constant_that_no_profile_has_is_told_the_nearest),
        cmocka_unit_test(what_is_believed_lies_within_its_bounds),
        cmocka_unit_test(no_group_depends_on_a_measurement),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
