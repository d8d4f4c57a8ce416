/* SPDX-License-Identifier: Apache-2.0 */
/* The values of the axes, worked out by hand for two models. */
#include "space/ask.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void assert_values(const asked *a, sp_axis_id id, const char *expected)
{
    char text[512] = "";
    const sp_axis *axis = sp_space_axis(a->space, id);
    size_t length = 0;
    for (uint32_t i = 0; i < axis->n_values; i++) {
        length += (size_t)snprintf(text + length, sizeof text - length, i == 0 ? "%u" : " %u",
                                   axis->values[i]);
    }
    assert_string_equal(text, expected);
}

static void a_dense_model_is_cut_along_its_heads_and_layers(void **state)
{
    (void)state;
    const sp_question q = ask_dense();
    asked a = build(&q);
    assert_values(&a, SP_AXIS_gpus, "64");
    assert_values(&a, SP_AXIS_tp, "1 2 4 8 16 32 64"); /* 16 copies each of 8 kv heads twice */
    assert_values(&a, SP_AXIS_pp, "1 2 4 8 16 32 64"); /* divisors of 64, to 80 layers      */
    assert_values(&a, SP_AXIS_ep, "1");
    assert_values(&a, SP_AXIS_micro_batch, "1 2 4 8 16 32 64 128");
    assert_values(&a, SP_AXIS_cp, "1 2 4 8"); /* pieces of 1024 of the 8192 tokens or more */
    /* Divisors of 80 layers that leave two stages, and all up to 12. */
    assert_values(&a, SP_AXIS_vpp, "1 2 3 4 5 6 7 8 9 10 11 12 16 20 40");
    assert_values(&a, SP_AXIS_zero, "0 1 2 3");
    assert_values(&a, SP_AXIS_precision, "0");
    drop(&a);
}

/* What changes numerics, or trades time for memory beyond the usual, waits for --space all. */
static void the_usual_space_leaves_unusual_axes_at_rest(void **state)
{
    (void)state;
    const sp_question q = ask_dense();
    asked a = build(&q);
    const sp_axis_id at_rest[] = {SP_AXIS_recompute_layers,  SP_AXIS_shard_group,
                                  SP_AXIS_offload_optimizer, SP_AXIS_offload_params,
                                  SP_AXIS_offload_target,    SP_AXIS_offload_activations};
    for (size_t i = 0; i < sizeof at_rest / sizeof at_rest[0]; i++) {
        assert_values(&a, at_rest[i], "0");
    }
    assert_values(&a, SP_AXIS_recompute, "0 1 9"); /* none, selective, full */
    assert_values(&a, SP_AXIS_schedule, "0 2");    /* no gpipe */
    assert_values(&a, SP_AXIS_cp_kind, "0 1 2 3");
    drop(&a);
}

/* The modules that recent frameworks add for experts and for latent attention. */
static void models_with_experts_also_recompute_norms_and_activations(void **state)
{
    (void)state;
    const sp_question q = ask_experts();
    asked a = build(&q);
    assert_values(&a, SP_AXIS_recompute, "0 1 4 9");
    drop(&a);
    sp_question latent = ask_experts();
    latent.model = "deepseek-v3";
    a = build(&latent);
    assert_values(&a, SP_AXIS_recompute, "0 1 4 5 9");
    drop(&a);
}

static void experts_spread_over_their_divisors(void **state)
{
    (void)state;
    sp_question q = ask_experts();
    q.gpus = "4,24";
    q.space = "all";
    asked a = build(&q);
    assert_values(&a, SP_AXIS_gpus, "4 24");
    assert_values(&a, SP_AXIS_ep, "1 2 4 8");
    assert_values(&a, SP_AXIS_pp, "1 2 3 4 6 8 12 24");
    assert_values(&a, SP_AXIS_cp, "1 2 4"); /* 3 leaves a remainder of the 4096 tokens */
    assert_values(&a, SP_AXIS_precision, "0 1 2 3 4");
    assert_values(&a, SP_AXIS_recompute, "0 1 2 3 4 5 6 7 8 9");
    assert_values(&a, SP_AXIS_shard_group, "0 2 3 4 6 8 12"); /* to half of 24 */
    assert_values(&a, SP_AXIS_offload_optimizer, "0 50 100");
    assert_values(&a, SP_AXIS_schedule, "0 1 2 3 4 5 6 7 8 9");
    assert_int_equal(sp_space_axis(a.space, SP_AXIS_recompute_layers)->n_values, 32);
    drop(&a);
}

static void plans_may_leave_whole_nodes_idle(void **state)
{
    (void)state;
    sp_question q = ask_dense();
    q.gpus = "44";
    q.use_upto = true;
    asked a = build(&q);
    assert_values(&a, SP_AXIS_gpus, "8 16 24 32 40 44");
    drop(&a);
}

/* 5 and 100 are no divisors of anything here, and the rules say so. */
static void a_list_stands_for_the_values_as_given(void **state)
{
    (void)state;
    sp_question q = ask_dense();
    q.sets[q.n_sets++] = "tp=8,5";
    q.sets[q.n_sets++] = "pp=100,4";
    q.sets[q.n_sets++] = "sp=on";
    asked a = build(&q);
    assert_values(&a, SP_AXIS_tp, "5 8");
    assert_values(&a, SP_AXIS_pp, "4 100");
    assert_values(&a, SP_AXIS_sp, "1");
    assert_string_equal(refusal(&a, "tp=5,pp=4,sp=on"), "tp_divides_gpus");
    assert_string_equal(refusal(&a, "gpus=40,tp=5,pp=4,sp=on"), "tp_divides_model");
    assert_string_equal(refusal(&a, "gpus=800,tp=8,pp=100,sp=on"), "pp_within_layers");
    drop(&a);
}

/* 15360 has 32 divisors up to 640; the 40 would go on to 15360. */
static void the_smallest_micro_batches_are_tried(void **state)
{
    (void)state;
    sp_question q = ask_dense();
    q.global_batch = 15360;
    asked a = build(&q);
    const sp_axis *axis = sp_space_axis(a.space, SP_AXIS_micro_batch);
    assert_int_equal(axis->n_values, 32);
    for (uint32_t i = 0; i < axis->n_values; i++) {
        assert_int_equal(15360 % axis->values[i], 0);
    }
    drop(&a);
}

static void fail_to_build(const sp_question *q, sp_status status, const char *part)
{
    sp_error err = {0};
    char text[SP_ERROR_TEXT_BYTES];
    sp_problem *problem = NULL;
    sp_space *space = NULL;
    assert_int_equal(sp_problem_build(q, &problem, &err), SP_OK);
    assert_int_equal(sp_space_build(problem, &space, &err), status);
    assert_null(space);
    sp_error_format(&err, text, sizeof text);
    if (strstr(text, part) == NULL) fail_msg("no \"%s\" in: %s", part, text);
    sp_problem_free(problem);
}

static void a_space_beyond_63_bits_is_refused(void **state)
{
    (void)state;
    sp_question q = ask_dense();
    q.sets[q.n_sets++] = "tp=1..60000";
    q.sets[q.n_sets++] = "pp=1..60000";
    q.sets[q.n_sets++] = "vpp=1..60000";
    q.sets[q.n_sets++] = "micro_batch=1..60000";
    fail_to_build(&q, SP_E_OVERFLOW, "2^63");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_dense_model_is_cut_along_its_heads_and_layers),
        cmocka_unit_test(the_usual_space_leaves_unusual_axes_at_rest),
        cmocka_unit_test(models_with_experts_also_recompute_norms_and_activations),
        cmocka_unit_test(experts_spread_over_their_divisors),
        cmocka_unit_test(plans_may_leave_whole_nodes_idle),
        cmocka_unit_test(a_list_stands_for_the_values_as_given),
        cmocka_unit_test(the_smallest_micro_batches_are_tried),
        cmocka_unit_test(a_space_beyond_63_bits_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
