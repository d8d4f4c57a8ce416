/* SPDX-License-Identifier: Apache-2.0 */
/* Objectives by name, and what they read off an estimate. */
#include "step/step.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static uint32_t objective(const char *name)
{
    for (uint32_t i = 0; i < sp_objective_count(); i++) {
        if (strcmp(sp_objective_describe(i)->name, name) == 0) return i;
    }
    fail_msg("there is no objective %s", name);
    return 0;
}

static void check_list(const char *text, bool gpus_vary, const char *const *names, uint32_t n_names)
{
    uint32_t list[SP_MAX_OBJECTIVES] = {0}, n = 0;
    sp_error err = {0};
    assert_int_equal(sp_objectives_parse(text, gpus_vary, list, &n, &err), SP_OK);
    assert_int_equal(n, n_names);
    for (uint32_t i = 0; i < n; i++) {
        assert_string_equal(sp_objective_describe(list[i])->name, names[i]);
    }
}

static void objectives_keep_the_order_of_the_list(void **state)
{
    (void)state;
    static const char *const three[] = {"memory_peak", "step_time", "gpus"};
    check_list("memory_peak,step_time,gpus", false, three, 3);
    check_list("step_time", true, &three[1], 1);
}

static void without_a_list_speed_and_memory_count_and_gpus_where_they_vary(void **state)
{
    (void)state;
    static const char *const fixed[] = {"tokens_per_s", "memory_peak"};
    static const char *const varied[] = {"tokens_per_s", "gpus", "memory_peak"};
    check_list(NULL, false, fixed, 2);
    check_list(NULL, true, varied, 3);
}

static sp_error refusal(const char *text, sp_status status)
{
    uint32_t list[SP_MAX_OBJECTIVES] = {0}, n = 0;
    sp_error err = {0};
    assert_int_equal(sp_objectives_parse(text, false, list, &n, &err), status);
    assert_string_equal(err.file, "--objectives");
    return err;
}

static void wrong_lists_are_refused(void **state)
{
    (void)state;
    assert_string_equal(refusal("tokens_per_sec", SP_E_UNKNOWN_NAME).nearest, "tokens_per_s");
    assert_string_equal(refusal("gpus,gpus", SP_E_INCONSISTENT).value, "gpus");
    refusal("", SP_E_UNKNOWN_NAME);
    refusal("gpus,", SP_E_UNKNOWN_NAME);
    refusal("a_name_that_is_longer_than_any_name_of_an_objective_could_ever_become",
            SP_E_UNKNOWN_NAME);
    refusal("goodput", SP_E_NOT_YET);
    refusal("step_time,joules_per_token", SP_E_NOT_YET);
}

static void more_objectives_than_a_front_compares_are_refused(void **state)
{
    (void)state;
    assert_true(sp_objective_count() > SP_MAX_OBJECTIVES);
    char text[512] = "";
    for (uint32_t i = 0; i <= SP_MAX_OBJECTIVES; i++) {
        strcat(text, i > 0 ? "," : "");
        strcat(text, sp_objective_describe(i)->name);
    }
    assert_string_equal(refusal(text, SP_E_RANGE).range, "1 .. 6");
}

static void values_are_read_off_the_estimate_and_the_plan(void **state)
{
    (void)state;
    const sp_estimate e = {.time = {.step_s = 2.0},
                           .memory = {.peak_bytes = 3e9},
                           .network = {.step_ratio = 0.25},
                           .tokens_per_s = 5.0,
                           .tokens_per_s_per_gpu = 0.5,
                           .usd_run = 7.0};
    const sp_plan plan = {.gpus = 16};
    assert_true(sp_objective_value(objective("step_time"), &e, &plan) == 2.0);
    assert_true(sp_objective_value(objective("memory_peak"), &e, &plan) == 3e9);
    assert_true(sp_objective_value(objective("exposed_network"), &e, &plan) == 0.25);
    assert_true(sp_objective_value(objective("tokens_per_s"), &e, &plan) == 5.0);
    assert_true(sp_objective_value(objective("tokens_per_s_per_gpu"), &e, &plan) == 0.5);
    assert_true(sp_objective_value(objective("usd_run"), &e, &plan) == 7.0);
    assert_true(sp_objective_value(objective("gpus"), &e, &plan) == 16.0);
}

static void only_throughputs_are_better_when_larger(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < sp_objective_count(); i++) {
        const sp_objective *o = sp_objective_describe(i);
        assert_int_equal(o->maximise, strncmp(o->name, "tokens_per_s", 12) == 0);
        assert_true(o->unit[0] != '\0' && o->meaning[0] != '\0');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(objectives_keep_the_order_of_the_list),
        cmocka_unit_test(without_a_list_speed_and_memory_count_and_gpus_where_they_vary),
        cmocka_unit_test(wrong_lists_are_refused),
        cmocka_unit_test(more_objectives_than_a_front_compares_are_refused),
        cmocka_unit_test(values_are_read_off_the_estimate_and_the_plan),
        cmocka_unit_test(only_throughputs_are_better_when_larger),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
