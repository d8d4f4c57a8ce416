/* SPDX-License-Identifier: Apache-2.0 */
/* Load stages: what a line means, what is refused, and which stages count. */
#include "base/base.h"
#include "common/close.h"
#include "common/shipped.h"
#include "fidelity/stages.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const char line[] =
    "{\"experiment\": \"e\", \"stage\": 1, \"gpu\": \"H100-SXM-80GB\", \"engine\": \"vLLM (V1)\", "
    "\"model\": \"%s\", \"tensor_parallel\": 1, \"max_num_batched_tokens\": 2048, "
    "\"max_num_seqs\": 128, \"workload\": {\"shared_prefix\": {\"question_len\": 400, "
    "\"system_prompt_len\": 100, \"output_len\": 101, \"num_unique_system_prompts\": 5, "
    "\"num_users_per_system_prompt\": 2}, \"requested_rate_rps\": %g, \"duration_s\": 60}, "
    "\"failures\": %d, "
    "\"ttft_ms\": {\"mean\": 20, \"median\": 19, \"p90\": 25, \"p95\": 26, \"p99\": 30}, "
    "\"e2e_ms\": {\"mean\": 1020, \"median\": 1010, \"p90\": 1100, \"p95\": 1200, \"p99\": "
    "1300}}\n";

static sp_stages_score *score_of(const char *text, sp_status expected)
{
    char name[] = "/tmp/stages-XXXXXX";
    sp_error err = {0};
    sp_stages_score *score = NULL;
    const int fd = mkstemp(name);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    assert_int_equal(sp_score_stages(source_home(), name, &score, &err), expected);
    unlink(name);
    return score;
}

/* 1020 - 20 ms between the first and the last of 101 tokens are 10 ms a gap. */
static void a_stage_is_read_in_seconds(void **state)
{
    (void)state;
    char text[2048];
    (void)snprintf(text, sizeof text, line, "meta-llama/Llama-2-7b-hf", 1.0, 0);
    sp_stages_score *score = score_of(text, SP_OK);
    const sp_stage *row = &score->rows[0];
    assert_int_equal(score->n_rows, 1);
    assert_null(row->complaint);
    assert_string_equal(row->id, "e/1");
    assert_string_equal(row->setup.engine, "vllm");
    assert_close(row->setup.isl, 500.0, 1e-12);
    assert_close(row->setup.requests, 60.0, 1e-12);
    assert_close(row->measured[SP_STAGE_ITL], 0.010, 1e-12);
    assert_close(row->measured[SP_STAGE_TTFT_P99], 0.030, 1e-12);
    assert_true(row->run[SP_STAGE_TTFT] > 0.0 && row->run[SP_STAGE_TTFT] < 0.2);
    assert_int_equal(score->run[SP_STAGE_TTFT].n, 1);
    sp_stages_score_free(score);
}

/* 500 tokens a request, ten thousand a second: no H100 answers that. */
static void an_overloaded_stage_is_named_and_not_scored(void **state)
{
    (void)state;
    char text[2048];
    (void)snprintf(text, sizeof text, line, "meta-llama/Llama-2-7b-hf", 1000.0, 7);
    sp_stages_score *score = score_of(text, SP_OK);
    assert_int_equal(score->n_failed, 1);
    assert_int_equal(score->n_failed_seen, 1);
    assert_int_equal(score->n_false_alarms, 0);
    assert_int_equal(score->run[SP_STAGE_TTFT].n, 0);
    sp_stages_score_free(score);
}

static void an_unknown_model_is_said_and_the_rest_goes_on(void **state)
{
    (void)state;
    char text[4096];
    const int n = snprintf(text, sizeof text, line, "nobody/Nothing-9Z", 1.0, 0);
    (void)snprintf(text + n, sizeof text - (size_t)n, line, "meta-llama/Llama-2-7b-hf", 1.0, 0);
    sp_stages_score *score = score_of(text, SP_OK);
    assert_int_equal(score->n_rows, 2);
    assert_int_equal(score->n_predicted, 1);
    assert_non_null(strstr(score->rows[0].complaint, "Nothing-9Z"));
    sp_stages_score_free(score);
}

static void lines_that_are_no_stages_are_refused(void **state)
{
    (void)state;
    assert_null(score_of("", SP_E_RANGE));
    assert_null(score_of("{\"experiment\": \"e\"}\n", SP_E_MISSING_KEY));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stage_is_read_in_seconds),
        cmocka_unit_test(an_overloaded_stage_is_named_and_not_scored),
        cmocka_unit_test(an_unknown_model_is_said_and_the_rest_goes_on),
        cmocka_unit_test(lines_that_are_no_stages_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
