/* SPDX-License-Identifier: Apache-2.0 */
/* Step times that others measured and published, priced with the constants as shipped. The file of
 * each source says where its figures stand; the limit is the aim of the accuracy table in README. */
#include "step/step.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define LIMIT_RATIO 0.15

static void must(sp_status status, const sp_error *err)
{
    if (status != SP_OK) {
        char text[SP_ERROR_TEXT_BYTES];
        sp_error_format(err, text, sizeof text);
        fail_msg("%s", text);
    }
}

/* Predicted step time of one row. */
static double predict(const sp_json *row, const char *home)
{
    sp_error err = {0};
    sp_question q = sp_question_default();
    const char *plan_text = NULL;
    uint32_t gpus = 0;
    char gpus_text[16];
    q.home = home;
    must(sp_json_string(row, "model", &q.model, &err), &err);
    must(sp_json_string(row, "cluster", &q.cluster, &err), &err);
    must(sp_json_string(row, "engine", &q.engine, &err), &err);
    must(sp_json_string(row, "plan", &plan_text, &err), &err);
    must(sp_json_u64(row, "seq_len", 1, 1u << 20, &q.seq_len, &err), &err);
    must(sp_json_u64(row, "global_batch", 1, 1u << 20, &q.global_batch, &err), &err);
    must(sp_json_u32(row, "gpus", 1, 1u << 20, &gpus, &err), &err);
    snprintf(gpus_text, sizeof gpus_text, "%u", gpus);
    q.gpus = gpus_text;
    sp_problem *problem = NULL;
    must(sp_problem_build(&q, &problem, &err), &err);
    sp_plan plan = sp_plan_default();
    must(sp_plan_parse(plan_text, &plan, &err), &err);
    plan.gpus = gpus;
    sp_plan_derive(&plan, q.global_batch);
    sp_estimate e;
    sp_estimate_plan(problem, &plan, &e);
    sp_problem_free(problem);
    return e.time.step_s;
}

static void published_step_times_are_within_the_limit(void **state)
{
    (void)state;
    const char *home = getenv("SHARDPLAN_HOME");
    assert_non_null(home);
    char path[1024];
    snprintf(path, sizeof path, "%s/tests/golden/published/korthikanti-2022.json", home);
    sp_error err = {0};
    sp_json_doc *doc = NULL;
    must(sp_json_load_file(path, &doc, &err), &err);
    const sp_json root = sp_json_root(doc);
    sp_json rows;
    must(sp_json_array(&root, "rows", &rows, &err), &err);
    assert_int_equal(sp_json_size(&rows), 6);
    for (size_t i = 0; i < sp_json_size(&rows); i++) {
        const sp_json row = sp_json_at(&rows, i);
        double measured_s = 0.0;
        must(sp_json_double(&row, "step_s", 1e-3, 1e6, &measured_s, &err), &err);
        const double predicted_s = predict(&row, home);
        const double error_ratio = predicted_s / measured_s - 1.0;
        print_message("row %zu: measured %.2f s, predicted %.2f s, %+.1f %%\n", i, measured_s,
                      predicted_s, 100.0 * error_ratio);
        assert_true(fabs(error_ratio) <= LIMIT_RATIO);
    }
    sp_json_free(doc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(published_step_times_are_within_the_limit)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
