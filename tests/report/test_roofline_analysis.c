/* SPDX-License-Identifier: Apache-2.0 */
/* An analysis becomes a picture's question: a point for each operator, under the ceiling of the
 * format it was priced in. */
#include "report/roofline_page.h"

#include "shardplan/analysis.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* 400 TFLOP/s in 16 bits, 800 in 8, 20 in fp32, over 2 TB/s. */
static const sp_memory_tier tiers[] = {
    {"SRAM", 9e12, 1e9,  1e-12, 0.0},
    {"HBM",  2e12, 8e10, 0.0,   0.0}
};
static const sp_gpu gpu = {
    .name = "x",
    .memory_bytes_per_s = 2e12,
    .peak_flops_per_s =
        {[SP_BF16] = 4e14, [SP_FP16] = 4e14, [SP_FP8] = 8e14, [SP_FP32] = 2e13, [SP_INT8] = 8e14},
    .tdp_watts = 500.0,
    .compute_power_ratio = 0.5,
    .tiers = tiers,
    .n_tiers = 2
};

static const sp_operator operators[] = {
    {.phase = SP_PHASE_PREFILL,
     .name = "up",
     .category = "ffn",
     .flops = 8e12,
     .intensity = 500.0,
     .compute_s = 1e-2,
     .memory_s = 8e-3,
     .time_s = 1e-2,
     .expected_s = 2e-2},
    {.phase = SP_PHASE_DECODE,
     .name = "norm",
     .category = "norm",
     .flops = 2e10,
     .intensity = 1.0,
     .compute_s = 1e-3,
     .memory_s = 1e-2,
     .time_s = 1e-2},
    {.phase = SP_PHASE_DECODE,        .name = "reduce", .category = "collective"},
};
static const sp_analysis analysis = {.n_operators = 3, .operators = operators};
static const sp_analysis_question question = {.gpu = &gpu, .compute = SP_FP8};

static const sp_roofline *build_of(sp_arena *arena, const sp_analysis_question *q, uint32_t n,
                                   bool expected)
{
    const sp_analysis_question *const questions[] = {q, q, q};
    const sp_analysis *const analyses[] = {&analysis, &analysis, &analysis};
    const sp_roofline *roofline = NULL;
    sp_error err = {0};
    assert_int_equal(
        sp_roofline_of_analyses(arena, "t", "", questions, analyses, n, expected, &roofline, &err),
        SP_OK);
    return roofline;
}

static const sp_roofline *build(sp_arena *arena, uint32_t n, bool expected)
{
    return build_of(arena, &question, n, expected);
}

static void formats_of_one_rate_share_a_ceiling(void **state)
{
    sp_arena arena = {0};
    (void)state;
    const sp_roofline_hardware *const h = &build(&arena, 1, false)->hardware[0];
    assert_int_equal(h->n_ceilings, 3);
    assert_string_equal(h->ceilings[0].label, "fp8, int8"); /* that of the question first */
    assert_string_equal(h->ceilings[1].label, "bf16, fp16");
    assert_string_equal(h->ceilings[2].label, "fp32");
    assert_true(h->ceilings[1].per_s == 4e14 && h->tdp_watts == 500.0);
    sp_arena_fini(&arena);
}

static void thirty_two_bit_products_and_the_rest_have_their_own_ceilings(void **state)
{
    sp_arena arena = {0};
    (void)state;
    sp_gpu part = gpu;
    part.tf32 = true;
    part.vector_flops_per_s = 5e13;
    sp_analysis_question q = question;
    q.gpu = &part;
    const sp_roofline_hardware *const h = &build_of(&arena, &q, 1, false)->hardware[0];
    assert_int_equal(h->n_ceilings, 4);
    assert_string_equal(h->ceilings[2].label, "tf32");
    assert_string_equal(h->ceilings[3].label, "fp32 vector");
    assert_true(h->ceilings[3].per_s == 5e13);
    sp_arena_fini(&arena);
}

static void many_accelerators_show_the_formats_in_use_alone(void **state)
{
    sp_arena arena = {0};
    (void)state;
    const sp_roofline_hardware *const h = &build(&arena, 3, false)->hardware[2];
    assert_int_equal(h->n_ceilings, 2);
    assert_string_equal(h->ceilings[1].label, "fp32");
    sp_arena_fini(&arena);
}

static void the_main_memory_takes_the_name_of_its_tier(void **state)
{
    sp_arena arena = {0};
    (void)state;
    const sp_roofline_hardware *const h = &build(&arena, 1, false)->hardware[0];
    assert_int_equal(h->n_bandwidths, 2);
    assert_string_equal(h->bandwidths[0].label, "HBM");
    assert_string_equal(h->bandwidths[1].label, "SRAM");
    sp_arena_fini(&arena);
}

/* up: 8e12 / 1e-2 = 800 TFLOP/s, fp8; norm: 2e10 / 1e-3 = 20 TFLOP/s, fp32. */
static void points_stand_under_the_ceiling_they_were_priced_by(void **state)
{
    sp_arena arena = {0};
    (void)state;
    const sp_roofline *const r = build(&arena, 1, false);
    assert_int_equal(r->n_points, 3);
    assert_int_equal(r->points[0].ceiling_idx, 0);
    assert_int_equal(r->points[1].ceiling_idx, 2);
    assert_string_equal(r->classes[r->points[0].class_idx], "feed-forward");
    assert_string_equal(r->classes[r->points[2].class_idx], "other");
    assert_true(r->points[0].flops_per_s == 0.0 && r->points[2].flops_per_byte == 0.0);
    assert_true(fabs(sp_point_height(r, SP_ROOFLINE_LOG, &r->points[1]) - 2e12) < 1.0);
    sp_arena_fini(&arena);
}

static void expected_points_lie_where_measurements_put_them(void **state)
{
    sp_arena arena = {0};
    (void)state;
    const sp_roofline *const r = build(&arena, 1, true);
    assert_true(fabs(r->points[0].flops_per_s - 4e14) < 1.0);
    assert_true(r->points[1].flops_per_s == 0.0); /* not measured: on the roof */
    sp_arena_fini(&arena);
}

static void too_many_analyses_are_refused(void **state)
{
    sp_arena arena = {0};
    sp_error err = {0};
    const sp_roofline *roofline = NULL;
    (void)state;
    assert_int_equal(sp_roofline_of_analyses(&arena, "", "", NULL, NULL,
                                             SP_ROOFLINE_MAX_HARDWARE + 1, false, &roofline, &err),
                     SP_E_RANGE);
    sp_arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(formats_of_one_rate_share_a_ceiling),
        cmocka_unit_test(thirty_two_bit_products_and_the_rest_have_their_own_ceilings),
        cmocka_unit_test(many_accelerators_show_the_formats_in_use_alone),
        cmocka_unit_test(the_main_memory_takes_the_name_of_its_tier),
        cmocka_unit_test(points_stand_under_the_ceiling_they_were_priced_by),
        cmocka_unit_test(expected_points_lie_where_measurements_put_them),
        cmocka_unit_test(too_many_analyses_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
