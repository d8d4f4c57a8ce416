/* SPDX-License-Identifier: Apache-2.0 */
/* Names of plans in expressions: what they stand for and when they are known. */
#include "base/base.h"
#include "shardplan/plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <string.h>

static int resolve(void *user, const char *name, const char *context, double *constant,
                   sp_error *err)
{
    (void)user;
    return sp_plan_resolve(name, context, constant, err);
}

/* 64 GPUs, tp 4, pp 2, dp 8, 8 micro-batches of 2, interleaved, sp on, a quarter of the optimizer
 * on the host. */
static sp_plan sample(void)
{
    sp_error err = {0};
    sp_plan plan = sp_plan_default();
    const char *text = "gpus=64,tp=4,pp=2,micro_batch=2,schedule=interleaved,vpp=2,sp=on,"
                       "offload_optimizer=0.25,recompute=full,recompute_layers=3";
    assert_int_equal(sp_plan_parse(text, &plan, &err), SP_OK);
    sp_plan_derive(&plan, 128);
    return plan;
}

static sp_status parse(sp_arena *arena, const char *text, sp_expr **expr, sp_error *err)
{
    return sp_expr_parse(arena, text, resolve, NULL, expr, err);
}

static double evaluate(const char *text)
{
    sp_arena arena = {0};
    sp_error err = {0};
    sp_expr *expr = NULL;
    double values[SP_N_PLAN_VARS];
    const sp_plan plan = sample();
    if (parse(&arena, text, &expr, &err) != SP_OK) fail_msg("%s: %s", text, err.message);
    sp_plan_values(&plan, values);
    const double value = sp_expr_eval(expr, values);
    sp_arena_fini(&arena);
    return value;
}

static sp_axis_id depth(const char *text)
{
    sp_arena arena = {0};
    sp_error err = {0};
    sp_expr *expr = NULL;
    if (parse(&arena, text, &expr, &err) != SP_OK) fail_msg("%s: %s", text, err.message);
    const sp_axis_id axis = sp_plan_expr_depth(expr);
    sp_arena_fini(&arena);
    return axis;
}

static sp_error refuse(const char *text, sp_status status)
{
    sp_arena arena = {0};
    sp_error err = {0};
    sp_expr *expr = NULL;
    assert_int_equal(parse(&arena, text, &expr, &err), status);
    sp_arena_fini(&arena);
    return err;
}

static void axes_and_derived_values_are_variables(void **state)
{
    (void)state;
    assert_true(evaluate("gpus") == 64.0);
    assert_true(evaluate("tp * pp * dp") == 64.0);
    assert_true(evaluate("accumulation * micro_batch * dp") == 128.0);
    assert_true(evaluate("tp*pp<=8 && accumulation%pp==0") == 1.0);
    assert_true(evaluate("tp*cp*pp*dp == gpus") == 1.0);
}

static void a_name_beside_a_named_axis_is_its_value(void **state)
{
    (void)state;
    assert_true(evaluate("schedule==interleaved") == 1.0);
    assert_true(evaluate("schedule==1f1b") == 0.0);
    assert_true(evaluate("interleaved==schedule") == 1.0);
    assert_true(evaluate("recompute!=layernorm_act") == 1.0);
    assert_true(evaluate("cp_kind==ring && offload_target==host") == 1.0);
    assert_true(evaluate("sp==on && tp_overlap==off") == 1.0);
    assert_true(evaluate("sp==true") == 1.0);
    assert_true(evaluate("precision==bf16") == 1.0);
}

/* A share compares as 0 .. 1, "all" as itself. */
static void shares_and_all_are_compared_as_people_write_them(void **state)
{
    (void)state;
    assert_true(evaluate("offload_optimizer == 0.25 && offload_params == 0") == 1.0);
    assert_true(evaluate("offload_optimizer > 0.3") == 0.0);
    assert_true(evaluate("shard_group==all && recompute_layers==3") == 1.0);
    assert_true(evaluate("recompute_layers==all") == 0.0);
}

static void an_expression_is_known_where_its_last_axis_is(void **state)
{
    (void)state;
    assert_int_equal(depth("1 < 2"), 0);
    assert_int_equal(depth("gpus > 8"), SP_AXIS_gpus);
    assert_int_equal(depth("tp*pp <= 64"), SP_AXIS_pp);
    assert_int_equal(depth("sp==on || tp==1"), SP_AXIS_sp);
    assert_int_equal(depth("dp % ep == 0"), SP_AXIS_placement);
    assert_int_equal(depth("cp * tp <= 8"), SP_AXIS_cp);
    assert_int_equal(depth("offload_optimizer == 0 || cp_kind == ring"), SP_AXIS_cp_kind);
    assert_int_equal(depth("accumulation >= pp"), SP_AXIS_micro_batch);
    assert_int_equal(depth("accumulation >= pp && zero < 2"), SP_AXIS_zero);
}

static void an_unknown_name_is_told_the_nearest(void **state)
{
    (void)state;
    const sp_error err = refuse("micro_bach > 1", SP_E_UNKNOWN_NAME);
    assert_string_equal(err.nearest, "micro_batch");
    assert_string_equal(refuse("acumulation > 1", SP_E_UNKNOWN_NAME).nearest, "accumulation");
}

static void a_wrong_value_of_a_named_axis_is_told_the_right_ones(void **state)
{
    (void)state;
    const sp_error err = refuse("schedule==gpip", SP_E_UNKNOWN_NAME);
    assert_string_equal(
        err.range,
        "1f1b, gpipe, interleaved, zb_h1, zb_h2, zb_v, v_half, v_min, dualpipe, dualpipe_v");
    assert_string_equal(err.nearest, "gpipe");
    assert_non_null(strstr(err.message, "schedule"));
}

static void an_axis_to_come_is_refused_as_not_yet(void **state)
{
    (void)state;
    refuse("attn_dp<=2", SP_E_NOT_YET);
    refuse("tp==4 && kv_dtype==fp8", SP_E_NOT_YET);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(axes_and_derived_values_are_variables),
        cmocka_unit_test(a_name_beside_a_named_axis_is_its_value),
        cmocka_unit_test(shares_and_all_are_compared_as_people_write_them),
        cmocka_unit_test(an_expression_is_known_where_its_last_axis_is),
        cmocka_unit_test(an_unknown_name_is_told_the_nearest),
        cmocka_unit_test(a_wrong_value_of_a_named_axis_is_told_the_right_ones),
        cmocka_unit_test(an_axis_to_come_is_refused_as_not_yet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
