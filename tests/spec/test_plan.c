/* SPDX-License-Identifier: Apache-2.0 */
/* Axes and the numbers derived from them, by hand. */
#include "shardplan/plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void every_axis_is_described_and_found_by_its_name(void **state)
{
    (void)state;
    for (sp_axis_id axis = 0; axis < SP_N_AXES; axis++) {
        const sp_axis_info *info = sp_axis_describe(axis);
        assert_true(info->name[0] != '\0' && info->meaning[0] != '\0');
        assert_int_equal(sp_axis_find(info->name), axis);
        assert_int_equal(info->n_names > 0, info->names != NULL);
        assert_true(info->n_names == 0 || info->fallback < info->n_names);
    }
    assert_int_equal(sp_axis_find("tpp"), SP_N_AXES);
}

static void an_enumerator_goes_by_the_name_in_the_header(void **state)
{
    (void)state;
    assert_string_equal(sp_axis_describe(SP_AXIS_recompute)->names[SP_RECOMPUTE_FULL], "full");
    assert_string_equal(sp_axis_describe(SP_AXIS_schedule)->names[SP_SCHEDULE_1F1B], "1f1b");
    assert_string_equal(sp_axis_describe(SP_AXIS_sp)->names[SP_ON], "on");
    assert_int_equal(sp_axis_describe(SP_AXIS_stage_layers)->n_names, SP_N_STAGE_LAYERS);
    assert_int_equal(sp_axis_describe(SP_AXIS_precision)->n_names, SP_N_PRECISIONS);
    assert_int_equal(sp_axis_describe(SP_AXIS_placement)->n_names, SP_N_PLACEMENTS);
    assert_string_equal(sp_axis_describe(SP_AXIS_cp_kind)->names[SP_CP_ULYSSES], "ulysses");
    assert_int_equal(sp_axis_describe(SP_AXIS_cp_kind)->n_names, SP_N_CP_KINDS);
    assert_int_equal(sp_axis_describe(SP_AXIS_offload_target)->n_names, SP_N_OFFLOAD_TARGETS);
    assert_int_equal(sp_axis_describe(SP_AXIS_recompute)->n_names, SP_N_RECOMPUTE);
}

static void setting_one_axis_leaves_the_others_alone(void **state)
{
    (void)state;
    for (sp_axis_id set = 0; set < SP_N_AXES; set++) {
        sp_plan plan = sp_plan_default();
        const uint32_t value = sp_axis_describe(set)->fallback == 0 ? 1 : 0;
        sp_plan_set(&plan, set, value);
        for (sp_axis_id axis = 0; axis < SP_N_AXES; axis++) {
            const uint32_t expected = axis == set ? value : sp_axis_describe(axis)->fallback;
            assert_int_equal(sp_plan_get(&plan, axis), expected);
        }
    }
}

static void an_axis_is_the_field_of_its_name(void **state)
{
    (void)state;
    sp_plan plan = sp_plan_default();
    sp_plan_set(&plan, SP_AXIS_gpus, 100000);
    sp_plan_set(&plan, SP_AXIS_tp, 8);
    sp_plan_set(&plan, SP_AXIS_recompute, SP_RECOMPUTE_SELECTIVE);
    assert_int_equal(plan.gpus, 100000);
    assert_int_equal(plan.tp, 8);
    assert_int_equal(plan.recompute, SP_RECOMPUTE_SELECTIVE);
}

static void a_default_plan_is_one_gpu_with_a_sharded_optimizer(void **state)
{
    (void)state;
    const sp_plan plan = sp_plan_default();
    assert_int_equal(plan.gpus, 1);
    assert_int_equal(plan.tp * plan.cp * plan.pp * plan.vpp * plan.ep * (int)plan.micro_batch, 1);
    assert_int_equal(plan.zero, 1);
    assert_int_equal(plan.sp + plan.recompute + plan.schedule, 0);
    assert_int_equal(plan.offload_optimizer + plan.offload_params + plan.offload_activations, 0);
    assert_int_equal(plan.recompute_layers + (int)plan.shard_group, 0); /* all */
    assert_int_equal(plan.dp, 0);
    assert_int_equal(plan.accumulation, 0);
}

/* 64 GPUs in 4 x 2 leave dp = 8; 128 sequences over 8 ranks in micro-batches of 2 are 8 each.
 * Two ranks to a sequence leave half as many copies, with twice the micro-batches each. */
static void dp_and_accumulation_are_exact_quotients(void **state)
{
    (void)state;
    sp_plan plan = sp_plan_default();
    plan.gpus = 64;
    plan.tp = 4;
    plan.pp = 2;
    plan.micro_batch = 2;
    sp_plan_derive(&plan, 128);
    assert_int_equal(plan.dp, 8);
    assert_int_equal(plan.accumulation, 8);
    plan.cp = 2;
    sp_plan_derive(&plan, 128);
    assert_int_equal(plan.dp, 4);
    assert_int_equal(plan.accumulation, 16);
}

static void a_remainder_leaves_a_derived_value_at_zero(void **state)
{
    (void)state;
    sp_plan plan = sp_plan_default();
    plan.gpus = 64;
    plan.tp = 3;
    sp_plan_derive(&plan, 128);
    assert_int_equal(plan.dp, 0);
    assert_int_equal(plan.accumulation, 0);
    plan.tp = 4;
    sp_plan_derive(&plan, 100);
    assert_int_equal(plan.dp, 16);
    assert_int_equal(plan.accumulation, 0);
}

static void a_quotient_beyond_its_field_counts_as_none(void **state)
{
    (void)state;
    sp_plan plan = sp_plan_default();
    sp_plan_derive(&plan, UINT64_C(1) << 32);
    assert_int_equal(plan.dp, 1);
    assert_int_equal(plan.accumulation, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_axis_is_described_and_found_by_its_name),
        cmocka_unit_test(an_enumerator_goes_by_the_name_in_the_header),
        cmocka_unit_test(setting_one_axis_leaves_the_others_alone),
        cmocka_unit_test(an_axis_is_the_field_of_its_name),
        cmocka_unit_test(a_default_plan_is_one_gpu_with_a_sharded_optimizer),
        cmocka_unit_test(dp_and_accumulation_are_exact_quotients),
        cmocka_unit_test(a_remainder_leaves_a_derived_value_at_zero),
        cmocka_unit_test(a_quotient_beyond_its_field_counts_as_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
