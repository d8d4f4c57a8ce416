/* SPDX-License-Identifier: Apache-2.0 */
/* Figures of an estimate by name: every name once, each reads its own member. */
#include "step/step.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static double get(const sp_estimate *e, const char *name)
{
    const uint32_t field = sp_field_find(name);
    if (field == UINT32_MAX) fail_msg("there is no figure %s", name);
    return sp_field_get(e, field);
}

static void figures_go_by_their_json_and_their_short_name(void **state)
{
    (void)state;
    const sp_estimate e = {
        .time = {.step_s = 1.0,        .bubble_s = 2.0     },
        .memory = {.peak_bytes = 3.0,    .weights_bytes = 4.0},
        .network = {.exposed_ratio = 5.0, .dp_bytes = 6.0     },
        .mfu = 7.0,
        .step_high_s = 8.0
    };
    assert_true(get(&e, "time_s.step") == 1.0 && get(&e, "time.step") == 1.0);
    assert_true(get(&e, "time.bubble") == 2.0);
    assert_true(get(&e, "memory_bytes.peak") == 3.0 && get(&e, "memory.peak") == 3.0);
    assert_true(get(&e, "memory.weights") == 4.0);
    assert_true(get(&e, "network.exposed_ratio") == 5.0);
    assert_true(get(&e, "network.dp_bytes") == 6.0 && get(&e, "network.dp") == 6.0);
    assert_true(get(&e, "mfu") == 7.0);
    assert_true(get(&e, "interval.step_high") == 8.0);
}

static void unknown_figures_are_not_found(void **state)
{
    (void)state;
    assert_true(sp_field_find("time") == UINT32_MAX);
    assert_true(sp_field_find("") == UINT32_MAX);
    assert_true(sp_field_find("MFU") == UINT32_MAX);
    assert_true(sp_field_find("tp") == UINT32_MAX);
}

/* A name that meant two figures, or a figure and an axis, would read the wrong one. */
static void no_name_means_two_things(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < sp_field_count(); i++) {
        const sp_field *f = sp_field_describe(i);
        assert_int_equal(sp_field_find(f->json), i);
        assert_int_equal(sp_field_find(f->where), i);
        assert_int_equal(sp_axis_find(f->where), SP_N_AXES);
        assert_true(f->unit[0] != '\0' && f->meaning[0] != '\0');
    }
}

/* Each figure reads a member of its own: a mark in one is seen by no other. */
static void no_two_figures_read_the_same_member(void **state)
{
    (void)state;
    sp_estimate e;
    memset(&e, 0, sizeof e);
    uint32_t seen = 0;
    for (size_t at = 0; at + sizeof(double) <= sizeof e; at += sizeof(double)) {
        const double mark = 1.0;
        memset(&e, 0, sizeof e);
        memcpy((char *)&e + at, &mark, sizeof mark);
        uint32_t here = 0;
        for (uint32_t i = 0; i < sp_field_count(); i++) {
            here += sp_field_get(&e, i) == 1.0;
        }
        assert_in_range(here, 0, 1);
        seen += here;
    }
    assert_int_equal(seen, sp_field_count());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(figures_go_by_their_json_and_their_short_name),
        cmocka_unit_test(unknown_figures_are_not_found),
        cmocka_unit_test(no_name_means_two_things),
        cmocka_unit_test(no_two_figures_read_the_same_member),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
