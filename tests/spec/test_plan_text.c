/* SPDX-License-Identifier: Apache-2.0 */
/* Plan text there and back, and what is said about text that is no plan. */
#include "shardplan/plan.h"

#include "../base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

static sp_plan parse(const char *text)
{
    sp_error err = {0};
    sp_plan plan = sp_plan_default();
    if (sp_plan_parse(text, &plan, &err) != SP_OK) fail_msg("%s: %s", text, err.message);
    return plan;
}

static sp_error refuse(const char *text, sp_status status)
{
    sp_error err = {0};
    sp_plan plan = sp_plan_default();
    const sp_plan before = plan;
    assert_int_equal(sp_plan_parse(text, &plan, &err), status);
    assert_int_equal(err.status, status);
    assert_memory_equal(&plan, &before, sizeof plan);
    return err;
}

static void a_plan_is_read_from_its_text(void **state)
{
    (void)state;
    const sp_plan plan = parse("gpus=1536,pp=16,tp=8,schedule=interleaved,vpp=3,sp=on,zero=1,"
                               "recompute=selective,placement=tp_pp_dp,micro_batch=2");
    assert_int_equal(plan.gpus, 1536);
    assert_int_equal(plan.tp, 8);
    assert_int_equal(plan.pp, 16);
    assert_int_equal(plan.vpp, 3);
    assert_int_equal(plan.micro_batch, 2);
    assert_int_equal(plan.schedule, SP_SCHEDULE_INTERLEAVED);
    assert_int_equal(plan.sp, SP_ON);
    assert_int_equal(plan.zero, 1);
    assert_int_equal(plan.recompute, SP_RECOMPUTE_SELECTIVE);
    assert_int_equal(plan.placement, SP_PLACEMENT_DP_LAST);
}

/* Shares are held in hundredths, written either way; 0 stands for "all". */
static void shares_and_all_are_read_as_people_write_them(void **state)
{
    (void)state;
    const sp_plan plan = parse("cp=4,cp_kind=hybrid,offload_optimizer=0.5,offload_params=25%,"
                               "offload_activations=1,offload_target=nvme,shard_group=8,"
                               "recompute=full,recompute_layers=all,ep_overlap=on");
    assert_int_equal(plan.cp, 4);
    assert_int_equal(plan.cp_kind, SP_CP_HYBRID);
    assert_int_equal(plan.offload_optimizer, 50);
    assert_int_equal(plan.offload_params, 25);
    assert_int_equal(plan.offload_activations, 100);
    assert_int_equal(plan.offload_target, SP_OFFLOAD_NVME);
    assert_int_equal(plan.shard_group, 8);
    assert_int_equal(plan.recompute_layers, 0);
    assert_int_equal(plan.ep_overlap, SP_ON);
    assert_int_equal(parse("shard_group=all").shard_group, 0);
}

static void a_share_is_whole_hundredths_up_to_one(void **state)
{
    (void)state;
    static const char *const texts[] = {"1.01", "-0.5", "0.125", "on", "50"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        char setting[64];
        (void)snprintf(setting, sizeof setting, "offload_params=%s", texts[i]);
        assert_string_equal(refuse(setting, SP_E_RANGE).value, texts[i]);
    }
}

static void axes_not_named_keep_their_values(void **state)
{
    (void)state;
    sp_error err = {0};
    sp_plan plan = sp_plan_default();
    plan.ep = 4;
    assert_int_equal(sp_plan_parse("tp=2", &plan, &err), SP_OK);
    assert_int_equal(plan.ep, 4);
    assert_int_equal(plan.tp, 2);
}

static void a_switch_has_three_spellings_each_way(void **state)
{
    (void)state;
    static const char *const on[] = {"sp=on", "sp=1", "sp=true"};
    static const char *const off[] = {"sp=off", "sp=0", "sp=false"};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(parse(on[i]).sp, SP_ON);
        assert_int_equal(parse(off[i]).sp, SP_OFF);
    }
}

static void text_leaves_out_defaults_but_always_names_tp_and_pp(void **state)
{
    (void)state;
    char text[SP_PLAN_TEXT_BYTES];
    const sp_plan plain = sp_plan_default();
    assert_int_equal(sp_plan_format(&plain, text, sizeof text), strlen("tp=1,pp=1"));
    assert_string_equal(text, "tp=1,pp=1");
    const sp_plan plan = parse("vpp=5,schedule=interleaved,pp=8,tp=4,dp_overlap=true");
    sp_plan_format(&plan, text, sizeof text);
    assert_string_equal(text, "tp=4,pp=8,schedule=interleaved,vpp=5,dp_overlap=on");
}

static uint32_t random_value(sp_axis_id axis, uint64_t *random)
{
    const uint32_t n_names = sp_axis_describe(axis)->n_names;
    if (n_names > 0) return (uint32_t)random_below(random, n_names);
    if (axis == SP_AXIS_zero) return (uint32_t)random_below(random, 4);
    const sp_axis_kind kind = sp_axis_describe(axis)->kind;
    if (kind == SP_AXIS_KIND_RATIO) return (uint32_t)random_below(random, 101);
    const bool wide =
        axis == SP_AXIS_gpus || axis == SP_AXIS_micro_batch || axis == SP_AXIS_shard_group;
    const uint32_t least = kind == SP_AXIS_KIND_COUNT_OR_ALL ? 0 : 1;
    return least + (uint32_t)random_below(random, wide ? 1u << 24 : UINT16_MAX);
}

/* parse(format(p)) = p */
static void reading_back_what_was_written_gives_the_plan(void **state)
{
    (void)state;
    uint64_t random = 20261121;
    for (int round = 0; round < 20000; round++) {
        sp_plan plan = sp_plan_default();
        for (sp_axis_id axis = 0; axis < SP_N_AXES; axis++) {
            const bool changed = random_below(&random, 2) == 0;
            if (changed) sp_plan_set(&plan, axis, random_value(axis, &random));
        }
        char text[SP_PLAN_TEXT_BYTES];
        const size_t length = sp_plan_format(&plan, text, sizeof text);
        assert_int_equal(length, strlen(text));
        const sp_plan back = parse(text);
        assert_memory_equal(&back, &plan, sizeof plan);
    }
}

static void the_longest_text_fits(void **state)
{
    (void)state;
    sp_plan plan = parse(
        "gpus=16777216,tp=65535,cp=65535,pp=65535,ep=65535,etp=65535,placement=tp_pp_dp,"
        "micro_batch=16777216,recompute=layernorm_act,recompute_layers=65535,zero=3,"
        "shard_group=16777216,schedule=interleaved,vpp=65535,stage_layers=weighted,"
        "precision=nvfp4,offload_optimizer=0.99,offload_params=0.99,offload_activations=0.99,"
        "offload_target=nvme,cp_kind=allgather,ep_overlap=on,sp=on,tp_overlap=on,dp_overlap=on");
    char text[SP_PLAN_TEXT_BYTES];
    const size_t length = sp_plan_format(&plan, text, sizeof text);
    assert_true(length < SP_PLAN_TEXT_BYTES);
    size_t n_settings = 1;
    for (size_t i = 0; i < length; i++) {
        n_settings += text[i] == ',';
    }
    assert_int_equal(n_settings, SP_N_AXES); /* so that none is missing here */
}

static void a_misspelt_axis_is_told_its_column_and_its_nearest(void **state)
{
    (void)state;
    const sp_error err = refuse("tp=8,ppp=4", SP_E_UNKNOWN_NAME);
    assert_string_equal(err.message, "column 6: there is no axis of this name");
    assert_string_equal(err.value, "ppp");
    assert_string_equal(err.nearest, "pp");
}

static void an_axis_to_come_is_refused_as_not_yet(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "cluster=a", "batch=8", "attn_dp=2", "kv_dtype=fp8", "prefill.tp=2", "decode.batch=8",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        refuse(texts[i], SP_E_NOT_YET);
    }
}

static void derived_values_are_refused_with_their_formula(void **state)
{
    (void)state;
    assert_non_null(strstr(refuse("dp=8", SP_E_UNKNOWN_NAME).message, "gpus / (tp cp pp)"));
    assert_non_null(strstr(refuse("accumulation=8", SP_E_UNKNOWN_NAME).message, "global batch"));
}

static void a_count_out_of_range_is_told_the_range(void **state)
{
    (void)state;
    const sp_error err = refuse("pp=4,tp=0", SP_E_RANGE);
    assert_string_equal(err.message, "column 6: tp must be a whole number");
    assert_string_equal(err.value, "0");
    assert_string_equal(err.range, "1 .. 65535");
    assert_string_equal(refuse("zero=4", SP_E_RANGE).range, "0 .. 3");
    refuse("tp=65536", SP_E_RANGE);
    refuse("gpus=18446744073709551617", SP_E_RANGE);
}

static void a_count_must_be_digits_alone(void **state)
{
    (void)state;
    static const char *const texts[] = {"tp=",   "tp=-1", "tp=+8",  "tp= 8",
                                        "tp=8 ", "tp=8x", "tp=1e3", "tp=2.0"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        refuse(texts[i], SP_E_TYPE);
    }
}

static void a_value_that_an_axis_lacks_is_told_those_it_has(void **state)
{
    (void)state;
    const sp_error err = refuse("schedule=1f1", SP_E_UNKNOWN_NAME);
    assert_string_equal(
        err.range,
        "1f1b, gpipe, interleaved, zb_h1, zb_h2, zb_v, v_half, v_min, dualpipe, dualpipe_v");
    assert_string_equal(err.nearest, "1f1b");
    refuse("sp=yes", SP_E_UNKNOWN_NAME);
    refuse("recompute=1", SP_E_UNKNOWN_NAME);
}

static void an_axis_set_twice_is_refused(void **state)
{
    (void)state;
    const sp_error err = refuse("tp=8,pp=2,tp=8", SP_E_INCONSISTENT);
    assert_string_equal(err.message, "column 11: tp is set twice");
    assert_string_equal(err.value, "tp=8");
}

static void text_that_is_not_settings_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "tp", "tp=8,", ",tp=8", "tp=8,,pp=4", "12345"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        refuse(texts[i], SP_E_SYNTAX);
    }
    refuse("tp=8;pp=4", SP_E_TYPE);
    refuse("tp=8, pp=4", SP_E_UNKNOWN_NAME);
    refuse("tp=00000000000000000000000000000000000000000000000000000008", SP_E_SYNTAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plan_is_read_from_its_text),
        cmocka_unit_test(shares_and_all_are_read_as_people_write_them),
        cmocka_unit_test(a_share_is_whole_hundredths_up_to_one),
        cmocka_unit_test(axes_not_named_keep_their_values),
        cmocka_unit_test(a_switch_has_three_spellings_each_way),
        cmocka_unit_test(text_leaves_out_defaults_but_always_names_tp_and_pp),
        cmocka_unit_test(reading_back_what_was_written_gives_the_plan),
        cmocka_unit_test(the_longest_text_fits),
        cmocka_unit_test(a_misspelt_axis_is_told_its_column_and_its_nearest),
        cmocka_unit_test(an_axis_to_come_is_refused_as_not_yet),
        cmocka_unit_test(derived_values_are_refused_with_their_formula),
        cmocka_unit_test(a_count_out_of_range_is_told_the_range),
        cmocka_unit_test(a_count_must_be_digits_alone),
        cmocka_unit_test(a_value_that_an_axis_lacks_is_told_those_it_has),
        cmocka_unit_test(an_axis_set_twice_is_refused),
        cmocka_unit_test(text_that_is_not_settings_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
