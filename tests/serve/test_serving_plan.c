/* SPDX-License-Identifier: Apache-2.0 */
/* Serving plans as text and as numbers: what follows from their axes, what is refused. */
#include "served.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static sp_serving_problem *of_both_modes(const char *model)
{
    sp_serving_question q = served_example();
    q.model = model;
    q.mode = "both";
    q.spec_acceptance = 0.8;
    return served_build(&q);
}

static void replicas_follow_from_the_gpus(void **state)
{
    (void)state;
    sp_serving_problem *p = of_both_modes("qwen3-32b");
    assert_int_equal(served_plan(p, "tp=4").workers, 8);
    assert_int_equal(served_plan(p, "tp=4,pp=2").workers, 4);
    assert_int_equal(served_plan(p, "tp=4,cp_prefill=2").workers, 4);
    assert_int_equal(served_plan(p, "tp=5").workers, 0);
    assert_int_equal(served_plan(p, "tp=8,gpus=40").workers, 5);
    /* 32 - 2 x 4 = 24 GPUs are left for answers. */
    const char *apart = "mode=disagg,prefill.tp=4,prefill.workers=2,tp=8";
    assert_int_equal(served_plan(p, apart).workers, 3);
    assert_int_equal(served_plan(p, "mode=disagg,prefill.tp=4,prefill.workers=8").workers, 0);
    assert_int_equal(served_plan(p, "mode=disagg,prefill.tp=4,tp=8").workers, 0);
    sp_serving_problem_free(p);
}

static void idle_gpus_are_allowed_where_asked(void **state)
{
    (void)state;
    sp_serving_question q = served_example();
    q.use_upto = true;
    sp_serving_problem *p = served_build(&q);
    const sp_serving_plan plan = served_plan(p, "tp=8,pp=3");
    sp_serving_estimate e;
    sp_serving_estimate_plan(p, &plan, &e);
    assert_int_equal(plan.workers, 1);
    assert_int_equal(e.gpus, 24);
    assert_int_equal(e.gpus_idle, 8);
    sp_serving_problem_free(p);
}

static void the_width_of_experts_follows_that_of_attention(void **state)
{
    (void)state;
    sp_serving_problem *p = of_both_modes("deepseek-v3");
    sp_serving_plan plan = served_plan(p, "tp=2,attn_dp=8");
    assert_int_equal(plan.value[SP_SERVING_AXIS_ep], 1);
    assert_int_equal(plan.value[SP_SERVING_AXIS_moe_tp], 16);
    plan = served_plan(p, "tp=2,attn_dp=8,ep=4");
    assert_int_equal(plan.value[SP_SERVING_AXIS_moe_tp], 4);
    plan = served_plan(p, "tp=2,attn_dp=8,moe_tp=2");
    assert_int_equal(plan.value[SP_SERVING_AXIS_ep], 8);
    plan = served_plan(p, "mode=disagg,prefill.tp=8,prefill.ep=8,prefill.workers=1,decode.tp=4,"
                          "decode.ep=2");
    assert_int_equal(plan.value[SP_SERVING_AXIS_prefill_moe_tp], 1);
    assert_int_equal(plan.value[SP_SERVING_AXIS_moe_tp], 2);
    sp_serving_problem_free(p);
}

static void plans_read_back_as_they_are_written(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "tp=4,batch=64", "tp=2,attn_dp=4,ep=8,chunk_tokens=4096,batch=256", "tp=8,pp=2,moe_tp=4",
        "mode=disagg,prefill.tp=2,prefill.attn_dp=4,prefill.ep=8,prefill.workers=2,tp=8,ep=2",
        "tp=8,spec=1,batch=3,cp_prefill=2"};
    sp_serving_problem *p = of_both_modes("deepseek-v3");
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        char text[SP_SERVING_TEXT_BYTES];
        const sp_serving_plan plan = served_plan(p, texts[i]);
        const size_t length = sp_serving_plan_format(p, &plan, text, sizeof text);
        assert_int_equal(length, strlen(text));
        const sp_serving_plan again = served_plan(p, text);
        assert_memory_equal(&plan, &again, sizeof plan);
    }
    sp_serving_problem_free(p);
}

static void bad_plans_are_refused_at_their_column(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says, *nearest;
        sp_status status;
    } cases[] = {
        {"tp",               "column 1: a plan is written",            "",       SP_E_SYNTAX      },
        {"tp=4,,pp=2",       "column 6: a plan is written",            "",       SP_E_SYNTAX      },
        {"tp=4,pq=2",        "column 6: there is no axis",             "pp",     SP_E_UNKNOWN_NAME},
        {"tp=4,tp=2",        "column 6: tp is set twice",              "",       SP_E_INCONSISTENT},
        {"tp=4,decode.tp=2", "column 6: decode.tp is set twice",       "",       SP_E_INCONSISTENT},
        {"decode.batch=2",   "column 1: there is no axis",             "",       SP_E_UNKNOWN_NAME},
        {"tp=0",             "column 1: tp must be a whole number",    "",       SP_E_RANGE       },
        {"tp=4.5",           "column 1: tp must be a whole number",    "",       SP_E_TYPE        },
        {"batch=99999999",   "column 1: batch must be a whole number", "",       SP_E_RANGE       },
        {"engine=vlm",       "column 1: not a value of engine",        "vllm",   SP_E_UNKNOWN_NAME},
        {"mode=disag",       "column 1: not a value of mode",          "disagg", SP_E_UNKNOWN_NAME},
        {"weight_dtype=fp8",
         "column 1: weight_dtype has this value only where --set "
         "weight_dtype=fp8 names it",                                  "",       SP_E_UNKNOWN_NAME},
        {"tp=4,replicas=2",  "column 6: replicas is no axis",          "",       SP_E_UNKNOWN_NAME},
    };
    sp_serving_problem *p = of_both_modes("qwen3-32b");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        sp_error err = {0};
        sp_serving_plan plan = sp_serving_plan_default(p);
        const sp_serving_plan before = plan;
        assert_int_equal(sp_serving_plan_parse(p, cases[i].text, &plan, &err), cases[i].status);
        assert_memory_equal(&plan, &before, sizeof plan);
        if (strstr(err.message, cases[i].says) == NULL) fail_msg("case %zu: %s", i, err.message);
        if (cases[i].nearest[0] != '\0') assert_string_equal(err.nearest, cases[i].nearest);
    }
    sp_serving_problem_free(p);
}

static void workers_that_cannot_be_built_say_why(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"tp=3",           "tp does not divide the query heads"},
        {"attn_dp=2,ep=3", "moe_tp x ep"                       },
        {"tp=1,pp=100",    "fewer layers than pipeline stages" },
    };
    sp_serving_problem *p = of_both_modes("qwen3-32b");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        sp_error why = {0};
        const sp_serving_plan plan = served_plan(p, cases[i].text);
        assert_false(sp_serving_side_is_sound(p, &plan, SP_ROLE_DECODE, &why));
        if (strstr(why.message, cases[i].says) == NULL) fail_msg("case %zu: %s", i, why.message);
    }
    sp_serving_problem_free(p);
}

static void every_field_has_one_name_and_is_found_by_it(void **state)
{
    (void)state;
    for (uint32_t f = 0; f < sp_serving_field_count(); f++) {
        const sp_field *field = sp_serving_field_describe(f);
        assert_int_equal(sp_serving_field_find(field->json), f);
        assert_int_equal(sp_serving_field_find(field->where), f);
    }
    assert_int_equal(sp_serving_field_find("ttft_s"), UINT32_MAX);
    assert_int_not_equal(sp_serving_field_find("ttft_s.p95"), UINT32_MAX);
    assert_int_equal(sp_serving_axis_find("decode.pp"), SP_SERVING_AXIS_pp);
    assert_int_equal(sp_serving_axis_find("decode.batch"), SP_N_SERVING_AXES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replicas_follow_from_the_gpus),
        cmocka_unit_test(idle_gpus_are_allowed_where_asked),
        cmocka_unit_test(the_width_of_experts_follows_that_of_attention),
        cmocka_unit_test(plans_read_back_as_they_are_written),
        cmocka_unit_test(bad_plans_are_refused_at_their_column),
        cmocka_unit_test(workers_that_cannot_be_built_say_why),
        cmocka_unit_test(every_field_has_one_name_and_is_found_by_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
