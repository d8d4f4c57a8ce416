/* SPDX-License-Identifier: Apache-2.0 */
/* Mapping files made here: later rules win, what is not there is a reason, and no rule may look at
 * a measurement. */
#include "fidelity/fidelity_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static sp_error err;

static const char table[] = "tp,fw,step_s\n4,old,1\n2,new,2\n,,3\n";

typedef struct fixture {
    sp_arena arena;
    sp_csv csv;
    sp_map map;
} fixture;

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    *state = f;
    return f != NULL && sp_csv_parse(table, sizeof table - 1, "made.csv", &f->csv, &err) == SP_OK
               ? 0
               : -1;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    sp_csv_fini(&f->csv);
    sp_arena_fini(&f->arena);
    free(f);
    return 0;
}

/* Loads a mapping with these axes and rules from a home of its own. */
static sp_status load(fixture *f, const char *axes, const char *rules)
{
    char home[] = "/tmp/shardplan-home-XXXXXX", configs[64], folder[96], file[160];
    assert_non_null(mkdtemp(home));
    (void)snprintf(configs, sizeof configs, "%s/configs", home);
    (void)snprintf(folder, sizeof folder, "%s/validation", configs);
    (void)snprintf(file, sizeof file, "%s/training-points.json", folder);
    assert_int_equal(mkdir(configs, 0700), 0);
    assert_int_equal(mkdir(folder, 0700), 0);
    FILE *out = fopen(file, "w");
    assert_non_null(out);
    (void)fprintf(out,
                  "{\"schema\": \"shardplan/training-points/1\", \"about\": \"\", \"fitted_on\": "
                  "[\"nothing\"], \"latest_only\": [], \"axes\": [%s], \"rules\": [%s]}",
                  axes, rules);
    assert_int_equal(fclose(out), 0);
    const sp_status status = sp_map_load(&f->arena, home, &f->csv, &f->map, &err);
    (void)unlink(file);
    (void)rmdir(folder);
    (void)rmdir(configs);
    (void)rmdir(home);
    return status;
}

static sp_setup apply(const fixture *f, uint32_t row)
{
    sp_setup setup;
    sp_map_apply(&f->map, &f->csv, row, &setup);
    return setup;
}

static void cells_become_axes_and_later_rules_win(void **state)
{
    fixture *f = *state;
    assert_int_equal(
        load(f, "{\"column\": \"tp\", \"axis\": \"tp\"}",
             "{\"engine\": \"megatron\", \"plan\": \"zero=1,sp=on\", \"source\": \"\"},"
             "{\"when\": {\"fw\": [\"old*\"]}, \"engine\": \"megatron-lm\", \"plan\": "
             "\"zero=0\", \"link\": \"ib-hdr\", \"source\": \"\"},"
             "{\"unless\": {\"fw\": \"old\"}, \"model\": {\"bias\": true, \"sinks\": true}, "
             "\"source\": \"\"}, {\"when\": {\"fw\": \"\"}, \"model\": {\"sinks\": false}, "
             "\"memory\": \"allocated\", \"optimizer\": \"adamw8bit\", \"gradients\": \"fp32\", "
             "\"source\": \"\"}"),
        SP_OK);
    const sp_setup old = apply(f, 0), new = apply(f, 1), blank = apply(f, 2);
    assert_string_equal(old.engine, "megatron-lm");
    assert_string_equal(old.link, "ib-hdr");
    assert_int_equal(old.plan.tp, 4);
    assert_int_equal(old.plan.zero, 0);
    assert_int_equal(old.plan.sp, SP_ON);
    assert_int_equal(old.traits, 0);
    assert_string_equal(new.engine, "megatron");
    assert_null(new.link);
    assert_int_equal(new.plan.zero, 1);
    assert_int_equal(new.traits, 1u << SP_TRAIT_BIAS | 1u << SP_TRAIT_SINKS);
    assert_int_equal(blank.plan.tp, 1);
    assert_int_equal(blank.traits, 1u << SP_TRAIT_BIAS);
    assert_int_equal(blank.memory, SP_MEMORY_ALLOCATED);
    assert_string_equal(blank.optimizer, "adamw8bit");
    assert_int_equal(blank.gradients, SP_GRADIENTS_FP32);
    assert_null(old.optimizer);
    assert_int_equal(old.gradients, SP_GRADIENTS_AUTO);
}

static void what_is_not_there_is_a_reason_unless_the_cell_is_neutral(void **state)
{
    fixture *f = *state;
    assert_int_equal(load(f, "{\"column\": \"tp\", \"axis\": \"nowhere\", \"neutral\": \"4\"}", ""),
                     SP_OK);
    assert_int_equal(apply(f, 0).refusal.status, SP_OK);
    assert_int_equal(apply(f, 1).refusal.status, SP_E_UNKNOWN_NAME);
    assert_int_equal(apply(f, 2).refusal.status, SP_OK);
}

static void no_rule_may_look_at_a_measurement(void **state)
{
    fixture *f = *state;
    assert_int_equal(
        load(f, "", "{\"when\": {\"step_s\": \"1\"}, \"plan\": \"tp=2\", \"source\": \"\"}"),
        SP_E_INCONSISTENT);
    assert_non_null(strstr(err.message, "step_s"));
    assert_int_equal(load(f, "{\"column\": \"step_s\", \"axis\": \"tp\"}", ""), SP_E_INCONSISTENT);
}

static void slips_are_refused(void **state)
{
    fixture *f = *state;
    assert_int_equal(load(f, "", "{\"plan\": \"tp\", \"source\": \"\"}"), SP_E_SYNTAX);
    assert_int_equal(load(f, "", "{\"plan\": \"tp=2,\", \"source\": \"\"}"), SP_E_SYNTAX);
    assert_int_equal(load(f, "", "{\"plan\": \"tp=2\"}"), SP_E_MISSING_KEY);
    assert_int_equal(load(f, "", "{\"plans\": \"tp=2\", \"source\": \"\"}"), SP_E_UNKNOWN_KEY);
    assert_int_equal(load(f, "", "{\"model\": {\"biases\": true}, \"source\": \"\"}"),
                     SP_E_UNKNOWN_KEY);
    assert_int_equal(load(f, "", "{\"when\": {\"framework\": \"x\"}, \"source\": \"\"}"),
                     SP_E_MISSING_KEY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(cells_become_axes_and_later_rules_win, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_not_there_is_a_reason_unless_the_cell_is_neutral,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_rule_may_look_at_a_measurement, set_up, tear_down),
        cmocka_unit_test_setup_teardown(slips_are_refused, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
