/* SPDX-License-Identifier: Apache-2.0 */
/* GPU counts and values of axes as users write them. */
#include "step/step.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void check_values(const uint32_t *values, uint32_t n, const uint32_t *expected,
                         uint32_t n_expected)
{
    assert_int_equal(n, n_expected);
    for (uint32_t i = 0; i < n; i++) {
        assert_int_equal(values[i], expected[i]);
    }
}

#define LIST(...)                                                                                  \
    (const uint32_t[]){__VA_ARGS__}, sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t)

static void gpus_are(const char *text, uint32_t node, const uint32_t *expected, uint32_t n_expected)
{
    sp_arena arena = {0};
    sp_error err = {0};
    const uint32_t *values = NULL;
    uint32_t n = 0;
    if (sp_gpus_parse(&arena, text, node, &values, &n, &err) != SP_OK) {
        fail_msg("%s: %s", text, err.message);
    }
    check_values(values, n, expected, n_expected);
    sp_arena_fini(&arena);
}

static void gpu_counts_are_lists_or_ranges(void **state)
{
    (void)state;
    gpus_are("64", 8, LIST(64));
    gpus_are("3", 8, LIST(3));
    gpus_are("48,8,16,8", 8, LIST(8, 16, 48)); /* ascending, each once */
    gpus_are("8..32", 8, LIST(8, 16, 24, 32));
    gpus_are("10..30", 8, LIST(16, 24));
    gpus_are("64..64", 8, LIST(64));
}

/* Below a node its divisors, from there on whole nodes. */
static void a_range_steps_by_whole_nodes(void **state)
{
    (void)state;
    gpus_are("1..16", 8, LIST(1, 2, 4, 8, 16));
    gpus_are("3..8", 8, LIST(4, 8));
    gpus_are("2..12", 6, LIST(2, 3, 6, 12));
    gpus_are("1..3", 1, LIST(1, 2, 3));
}

static void gpus_are_refused(const char *text, sp_status status)
{
    sp_arena arena = {0};
    sp_error err = {0};
    const uint32_t *values = NULL;
    uint32_t n = 0;
    const sp_status got = sp_gpus_parse(&arena, text, 8, &values, &n, &err);
    if (got != status)
        fail_msg("\"%s\": %s, not %s", text, sp_status_words(got), sp_status_words(status));
    assert_int_equal(err.status, status);
    assert_string_equal(err.file, "--gpus");
    assert_string_equal(err.value, text);
    assert_true(err.message[0] != '\0');
    sp_arena_fini(&arena);
}

static void what_is_no_gpu_count_is_refused_with_its_text(void **state)
{
    (void)state;
    static const char *const forms[] = {"8 16", "8.5", "8,16..32", "8;16", "8x"};
    static const char *const counts[] = {"",
                                         "0",
                                         "-8",
                                         "eight",
                                         "8,",
                                         ",8",
                                         "8..",
                                         "..8",
                                         "64..8",
                                         "8...9",
                                         " 8",
                                         "0..8",
                                         "3..3",
                                         "9..15",
                                         "+8",
                                         "100000000",
                                         "8..16x",
                                         "8..16,32",
                                         "99999999999999999999999"};
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        gpus_are_refused(forms[i], SP_E_SYNTAX);
    }
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        gpus_are_refused(counts[i], SP_E_RANGE);
    }
}

static void a_range_of_too_many_counts_is_refused(void **state)
{
    (void)state;
    sp_arena arena = {0};
    sp_error err = {0};
    const uint32_t *values = NULL;
    uint32_t n = 0;
    assert_int_equal(sp_gpus_parse(&arena, "1..10000000", 1, &values, &n, &err), SP_E_RANGE);
    assert_int_equal(sp_gpus_parse(&arena, "1..65536", 1, &values, &n, &err), SP_OK);
    assert_int_equal(n, 65536);
    sp_arena_fini(&arena);
}

/* ---- --set ---- */
static void set_is(const char *text, sp_axis_id axis, const uint32_t *expected, uint32_t n_expected)
{
    sp_arena arena = {0};
    sp_error err = {0};
    sp_set set = {0};
    if (sp_set_parse(&arena, text, &set, &err) != SP_OK) fail_msg("%s: %s", text, err.message);
    assert_int_equal(set.axis, axis);
    check_values(set.values, set.n_values, expected, n_expected);
    sp_arena_fini(&arena);
}

static void values_of_an_axis_are_lists_ranges_or_names(void **state)
{
    (void)state;
    set_is("tp=4", SP_AXIS_tp, LIST(4));
    set_is("tp=8,4,8", SP_AXIS_tp, LIST(4, 8));
    set_is("pp=2..5", SP_AXIS_pp, LIST(2, 3, 4, 5));
    set_is("pp=1,4..6,12", SP_AXIS_pp, LIST(1, 4, 5, 6, 12));
    set_is("recompute=full,none", SP_AXIS_recompute, LIST(SP_RECOMPUTE_NONE, SP_RECOMPUTE_FULL));
    set_is("sp=on", SP_AXIS_sp, LIST(SP_ON));
    set_is("schedule=interleaved", SP_AXIS_schedule, LIST(SP_SCHEDULE_INTERLEAVED));
}

/* ZeRO stages begin at 0. */
static void an_axis_that_begins_at_0_takes_it_in_lists_and_ranges(void **state)
{
    (void)state;
    set_is("zero=0", SP_AXIS_zero, LIST(0));
    set_is("zero=0..2", SP_AXIS_zero, LIST(0, 1, 2));
}

static void set_is_refused(const char *text, sp_status status)
{
    sp_arena arena = {0};
    sp_error err = {0};
    sp_set set = {0};
    const sp_status got = sp_set_parse(&arena, text, &set, &err);
    if (got != status)
        fail_msg("\"%s\": %s, not %s", text, sp_status_words(got), sp_status_words(status));
    assert_string_equal(err.file, "--set");
    assert_true(err.message[0] != '\0');
    sp_arena_fini(&arena);
}

static void what_is_no_set_is_refused(void **state)
{
    (void)state;
    static const char *const shapes[] = {"tp", "=4", "tp=", "tp=4,", "tp=,4", ""};
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        set_is_refused(shapes[i], SP_E_SYNTAX);
    }
    set_is_refused("gpus=8", SP_E_USAGE);
    set_is_refused("tq=4", SP_E_UNKNOWN_NAME);
    set_is_refused("recompute=some", SP_E_UNKNOWN_NAME);
    set_is_refused("tp=8..4", SP_E_RANGE);
}

static void is_not_a_value(const char *text)
{
    sp_arena arena = {0};
    sp_error err = {0};
    sp_set set = {0};
    if (sp_set_parse(&arena, text, &set, &err) == SP_OK) fail_msg("\"%s\" was accepted", text);
    assert_string_equal(err.file, "--set");
    sp_arena_fini(&arena);
}

static void values_that_no_plan_can_hold_are_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {"tp=0",
                                        "tp=four",
                                        "tp=-4",
                                        "tp=4x..8",
                                        "tp=4..8x",
                                        "tp=4..",
                                        "tp=..8",
                                        "tp=1.5",
                                        "tp=65536",
                                        "tp=1..65536",
                                        "zero=4",
                                        "zero=0..4",
                                        "tp=99999999999999999999999",
                                        "vpp=0",
                                        "sp=maybe"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        is_not_a_value(wrong[i]);
    }
}

static void a_misspelt_axis_is_named_with_the_nearest(void **state)
{
    (void)state;
    sp_arena arena = {0};
    sp_error err = {0};
    sp_set set = {0};
    assert_int_equal(sp_set_parse(&arena, "micro_bath=4", &set, &err), SP_E_UNKNOWN_NAME);
    assert_string_equal(err.nearest, "micro_batch");
    sp_arena_fini(&arena);
}

static void memory_that_runs_out_is_reported(void **state)
{
    (void)state;
    for (uint64_t nth = 1; nth <= 2; nth++) {
        sp_arena arena = {0};
        sp_error err = {0};
        sp_set set = {0};
        const uint32_t *values = NULL;
        uint32_t n = 0;
        sp_alloc_fail_at(nth);
        assert_int_equal(sp_gpus_parse(&arena, "8..64", 8, &values, &n, &err), SP_E_MEMORY);
        sp_alloc_fail_at(nth);
        assert_int_equal(sp_set_parse(&arena, "tp=1..64", &set, &err), SP_E_MEMORY);
        sp_alloc_fail_at(0);
        sp_arena_fini(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gpu_counts_are_lists_or_ranges),
        cmocka_unit_test(a_range_steps_by_whole_nodes),
        cmocka_unit_test(what_is_no_gpu_count_is_refused_with_its_text),
        cmocka_unit_test(a_range_of_too_many_counts_is_refused),
        cmocka_unit_test(values_of_an_axis_are_lists_ranges_or_names),
        cmocka_unit_test(an_axis_that_begins_at_0_takes_it_in_lists_and_ranges),
        cmocka_unit_test(what_is_no_set_is_refused),
        cmocka_unit_test(values_that_no_plan_can_hold_are_refused),
        cmocka_unit_test(a_misspelt_axis_is_named_with_the_nearest),
        cmocka_unit_test(memory_that_runs_out_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
