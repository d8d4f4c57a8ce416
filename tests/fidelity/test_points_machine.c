/* SPDX-License-Identifier: Apache-2.0 */
/* The machine that a row states: how its GPUs lie in domains, at which rate, and who shares it. */
#include "fidelity/fidelity_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static sp_error err;

typedef struct fixture {
    sp_arena arena;
    sp_machine *machines;
} fixture;

static const sp_machine *find(fixture *f, const sp_machine_ask *ask)
{
    const sp_machine *found = NULL;
    const char *home = getenv("SHARDPLAN_HOME");
    if (sp_machine_find(&f->arena, home != NULL ? home : ".", &f->machines, ask, &found, &err) !=
        SP_OK) {
        fail_msg("%s", err.message);
    }
    return found;
}

/* 256 over domains of 72 need four, of 64 each. */
static void domains_are_filled_evenly(void **state)
{
    (void)state;
    fixture f = {0};
    const sp_machine *m = find(&f, &(sp_machine_ask){"H100-80GB", "ib-ndr", 256, 72, 400.0});
    assert_non_null(m->cluster);
    assert_int_equal(m->cluster->n_levels, 2);
    assert_int_equal(m->cluster->levels[0].n_gpus, 64);
    assert_int_equal(m->cluster->max_gpus, 256);
    assert_true(m->cluster->levels[1].bytes_per_s == 50e9);
    sp_arena_fini(&f.arena);
}

/* 20 over domains of 8 need three, which 20 does not divide into. */
static void domains_stay_whole_where_they_cannot_be_even(void **state)
{
    (void)state;
    fixture f = {0};
    const sp_machine *m = find(&f, &(sp_machine_ask){"H100-80GB", "ib-ndr", 20, 8, 400.0});
    assert_int_equal(m->cluster->levels[0].n_gpus, 8);
    assert_int_equal(m->cluster->max_gpus, 24);
    sp_arena_fini(&f.arena);
}

/* An NDR port carries 400 Gb/s. */
static void a_blank_rate_is_one_port_a_gpu(void **state)
{
    (void)state;
    fixture f = {0};
    const sp_machine *m = find(&f, &(sp_machine_ask){"H100-80GB", "ib-ndr", 64, 8, 0.0});
    assert_true(m->cluster->levels[1].bytes_per_s == 50e9);
    sp_arena_fini(&f.arena);
}

static void one_domain_needs_no_link(void **state)
{
    (void)state;
    fixture f = {0};
    const sp_machine *m = find(&f, &(sp_machine_ask){"H100-80GB", NULL, 4, 8, 0.0});
    assert_int_equal(m->cluster->n_levels, 1);
    sp_arena_fini(&f.arena);
}

static void rows_with_one_machine_share_it(void **state)
{
    (void)state;
    fixture f = {0};
    const sp_machine_ask ask = {"A100-80GB", "ib-hdr", 64, 8, 100.0};
    assert_ptr_equal(find(&f, &ask), find(&f, &ask));
    const sp_machine_ask faster = {"A100-80GB", "ib-hdr", 64, 8, 200.0};
    assert_ptr_not_equal(find(&f, &ask), find(&f, &faster));
    sp_arena_fini(&f.arena);
}

static void a_gpu_that_is_not_there_is_a_reason(void **state)
{
    (void)state;
    fixture f = {0};
    const sp_machine *m = find(&f, &(sp_machine_ask){"Abacus-1", "ib-hdr", 64, 8, 0.0});
    assert_null(m->cluster);
    assert_non_null(strstr(m->reason.text, "Abacus-1"));
    sp_arena_fini(&f.arena);
}

static void a_broken_data_file_is_no_excuse(void **state)
{
    (void)state;
    sp_reason reason = {""};
    sp_error failure = {.status = SP_E_UNKNOWN_KEY, .line = 3};
    assert_int_equal(sp_excuse(&failure, &reason, &err), SP_E_UNKNOWN_KEY);
    failure.line = 0;
    assert_int_equal(sp_excuse(&failure, &reason, &err), SP_OK);
    failure.status = SP_E_MEMORY;
    assert_int_equal(sp_excuse(&failure, &reason, &err), SP_E_MEMORY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(domains_are_filled_evenly),
        cmocka_unit_test(domains_stay_whole_where_they_cannot_be_even),
        cmocka_unit_test(a_blank_rate_is_one_port_a_gpu),
        cmocka_unit_test(one_domain_needs_no_link),
        cmocka_unit_test(rows_with_one_machine_share_it),
        cmocka_unit_test(a_gpu_that_is_not_there_is_a_reason),
        cmocka_unit_test(a_broken_data_file_is_no_excuse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
