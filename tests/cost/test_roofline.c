/* SPDX-License-Identifier: Apache-2.0 */
/* Times of single operators: by hand on a machine of round numbers, and laws over random ones. */
#include "common/close.h"
#include "common/draw.h"
#include "cost/cost.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define EXACT 1e-14

/* 100 TFLOP/s at 50 %, 1 TB/s at 80 %; attention at 40 %, with head_dim 64 at 3/4 of that. */
static sp_gpu round_gpu(void)
{
    sp_gpu gpu = {
        .name = "round",
        .memory_bytes_per_s = 1e12,
        .stream_ratio = 0.8,
        .stream_launch_s = 2e-6,
        .attention = {.efficiency_ratio = 0.4,
                      .sequence_half = 512,
                      .head_dim_64_ratio = 0.75,
                      .backward_flops_ratio = 1.2,
                      .launch_s = 5e-6}
    };
    gpu.peak_flops_per_s[SP_BF16] = 100e12;
    gpu.gemm[SP_BF16] = (sp_gemm_surface){.efficiency_ratio = 0.5,
                                          .memory_ratio = 0.8,
                                          .launch_s = 3e-6,
                                          .m_half = 24,
                                          .n_half = 0,
                                          .k_half = 96};
    gpu.grouped[SP_BF16] =
        (sp_grouped_surface){.efficiency_ratio = 0.25, .memory_ratio = 0.8, .launch_s = 4e-6};
    return gpu;
}

static sp_engine_profile plain_profile(bool flash)
{
    return (sp_engine_profile){.flash_attention = flash,
                               .gemm_ratio = 1.0,
                               .attention_ratio = 1.0,
                               .element_bytes_ratio = 1.0,
                               .score_bytes_ratio = 1.0,
                               .misaligned_ratio = 1.0,
                               .grad_bytes = 4.0};
}

static sp_rates round_rates(bool flash)
{
    const sp_gpu gpu = round_gpu();
    const sp_engine_profile profile = plain_profile(flash);
    sp_rates rates;
    sp_rates_build(&gpu, &profile, &rates);
    return rates;
}

static sp_op_time price(const sp_rates *rates, const sp_op *op, bool dropout)
{
    return sp_roof_op(rates, op, SP_PRECISION_BF16, dropout);
}

static sp_op gemm(double m, double n, double k)
{
    return (sp_op){.class = SP_OP_GEMM, .m = m, .n = n, .k = k, .count = 1, .flops = 2 * m * n * k};
}

static double fourth_norm(double a, double b)
{
    return pow(pow(a, 4) + pow(b, 4), 0.25);
}

/* ---- matrix products ---- */
/* m 1000, n 2000, k 904: 2 * 1024 * 2000 * 1000 FLOPs at 50 TFLOP/s take 81.92 us; 2 * 904 * 1000
 * bytes in, 2 * 2000 * 1000 out and 2 * 904 * 2000 of weights at 800 GB/s take 11.78 us. */
static void a_product_by_hand(void **state)
{
    (void)state;
    const sp_rates rates = round_rates(true);
    const sp_op op = gemm(1000, 2000, 904);
    const double compute = 81.92e-6, memory = (1.808e6 + 4e6 + 3.616e6) / 800e9;
    assert_close(price(&rates, &op, false).forward_s, 3e-6 + fourth_norm(compute, memory), 1e-12);
}

/* Gradient of the input: [m,n] times [n,k], so 904 columns and depth 2000 + 96. Gradient of the
 * weights: [k,m] times [m,n], rows 904 + 24, depth 1000 + 96, and 2 x 4 bytes a weight. */
static void gradients_are_products_of_other_shapes(void **state)
{
    (void)state;
    const sp_rates rates = round_rates(true);
    const sp_op op = gemm(1000, 2000, 904);
    const sp_op_time t = price(&rates, &op, false);
    const double in_out = 1.808e6 + 4e6, weights = 904 * 2000.0;
    assert_close(
        t.input_grad_s,
        3e-6 + fourth_norm(2 * 1024.0 * 904 * 2096 / 50e12, (in_out + 2 * weights) / 800e9), 1e-12);
    assert_close(
        t.weight_grad_s,
        3e-6 + fourth_norm(2 * 928.0 * 2000 * 1096 / 50e12, (in_out + 8 * weights) / 800e9), 1e-12);
}

/* 2 bytes a weight leave the product; then 10 bytes a weight go through memory, 800 GB/s of it. */
static void a_kernel_of_its_own_adds_the_gradient(void **state)
{
    (void)state;
    sp_rates rates = round_rates(true);
    rates.added_bytes = 10.0;
    rates.state_s_per_byte = 1.0 / 800e9;
    const sp_op op = gemm(1000, 2000, 904);
    const double weights = 904 * 2000.0, moved = 1.808e6 + 4e6 + 2 * weights;
    const double product = 3e-6 + fourth_norm(2 * 928.0 * 2000 * 1096 / 50e12, moved / 800e9);
    assert_close(price(&rates, &op, false).weight_grad_s, product + 10 * weights / 800e9, 1e-12);
}

/* One launch, four times the work. */
static void grouped_products_launch_once(void **state)
{
    (void)state;
    const sp_rates rates = round_rates(true);
    sp_op op = gemm(1000, 2000, 1000);
    op.class = SP_OP_GROUPED;
    const double one = price(&rates, &op, false).forward_s - 4e-6;
    op.count = 4;
    assert_close(price(&rates, &op, false).forward_s, 4e-6 + 4 * one, 1e-12);
}

static sp_op random_product(draw *d)
{
    sp_op op = gemm(draw_scale(d, 1, 1e5), draw_scale(d, 1, 1e5), draw_scale(d, 1, 1e5));
    op.class = draw_coin(d) ? SP_OP_GEMM : SP_OP_GROUPED;
    op.count = op.class == SP_OP_GEMM ? 1 : draw_scale(d, 1, 100);
    return op;
}

static void a_larger_product_never_takes_less_time(void **state)
{
    (void)state;
    draw d = draw_begin("a_larger_product_never_takes_less_time");
    const sp_rates rates = round_rates(true);
    for (int trial = 0; trial < 20000; trial++) {
        const sp_op op = random_product(&d);
        sp_op more = op;
        double *const sizes[] = {&more.m, &more.n, &more.k, &more.count};
        *sizes[draw_between(&d, 0, 3)] *= draw_scale(&d, 1.0, 10.0);
        const sp_op_time a = price(&rates, &op, false), b = price(&rates, &more, false);
        assert_at_most(a.forward_s, b.forward_s, 1e-15);
        assert_at_most(a.input_grad_s, b.input_grad_s, 1e-15);
        assert_at_most(a.weight_grad_s, b.weight_grad_s, 1e-15);
    }
}

/* Never below what peak and memory bandwidth allow. */
static void no_product_beats_the_roofline(void **state)
{
    (void)state;
    draw d = draw_begin("no_product_beats_the_roofline");
    const sp_rates rates = round_rates(true);
    for (int trial = 0; trial < 5000; trial++) {
        const sp_op op = random_product(&d);
        const double flops = 2 * op.m * op.n * op.k * op.count;
        const double bytes = 2 * op.count * (op.m * op.k + op.m * op.n + op.k * op.n);
        const sp_op_time t = price(&rates, &op, false);
        assert_at_most(fmax(flops / 100e12, bytes / 1e12), t.forward_s, 0.0);
        assert_at_most(fmax(flops / 100e12, bytes / 1e12), t.input_grad_s, 0.0);
        assert_at_most(fmax(flops / 100e12, bytes / 1e12), t.weight_grad_s, 0.0);
    }
}

/* At most 2^(1/4) = 1.1893 times the larger, at least the larger. */
static void the_soft_maximum_lies_within_19_percent(void **state)
{
    (void)state;
    draw d = draw_begin("the_soft_maximum_lies_within_19_percent");
    assert_close(sp_roof_either_s(3.0, 3.0), 3.0 * 1.189207115002721, 1e-15);
    assert_true(sp_roof_either_s(0.0, 5.0) == 5.0 && sp_roof_either_s(0.0, 0.0) == 0.0);
    for (int trial = 0; trial < 20000; trial++) {
        const double a = draw_scale(&d, 1e-9, 1e3), b = draw_scale(&d, 1e-9, 1e3);
        const double either = sp_roof_either_s(a, b);
        assert_at_most(fmax(a, b), either, 1e-15);
        assert_at_most(either, 1.189207115002721 * fmax(a, b), 1e-15);
        assert_true(either == sp_roof_either_s(b, a));
        assert_at_most(either, sp_roof_either_s(a * draw_scale(&d, 1.0, 2.0), b), 1e-15);
    }
}

/* ---- attention ---- */
/* s 2048 causal, 32 heads of 128, one sequence: 4 * 1024 * 32 * 128 * 2048 FLOPs = 34.36 G at
 * 40 TFLOP/s and 1 + 512/2048; backward 2.5 * 1.2 = 3 times as long. */
static sp_op example_core(double head_dim)
{
    return (sp_op){.class = SP_OP_ATTENTION,
                   .m = 2048,
                   .n = 2048,
                   .k = head_dim,
                   .count = 32,
                   .flops = 4.0 * 1024 * 32 * head_dim * 2048};
}

static void a_fused_core_by_hand(void **state)
{
    (void)state;
    const sp_rates rates = round_rates(true);
    const sp_op core = example_core(128);
    const double compute = core.flops / 40e12 * 1.25;
    const sp_op_time t = price(&rates, &core, false);
    assert_close(t.forward_s, 5e-6 + compute, EXACT);
    assert_close(t.input_grad_s, 5e-6 + 3.0 * compute, EXACT);
    assert_true(t.weight_grad_s == 0.0);
}

/* Efficiency 1 at 128 and wider, 0.75 at 64, on a line between them: 0.875 at 96. */
static void narrow_heads_are_less_efficient(void **state)
{
    (void)state;
    const sp_rates rates = round_rates(true);
    static const double cases[][2] = {
        {256, 1.0  },
        {128, 1.0  },
        {96,  0.875},
        {64,  0.75 },
        {32,  0.625}
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const sp_op core = example_core(cases[i][0]);
        assert_close(price(&rates, &core, false).forward_s,
                     5e-6 + core.flops / 40e12 * 1.25 / cases[i][1], EXACT);
    }
}

/* Two products for each head, [s,d][d,s] and [s,s][s,d], 2 (2 s d + s s) bytes each; then softmax
 * reads and writes 2 bytes a score; dropout reads, writes and keeps a mask, 5 bytes more. */
static void written_scores_by_hand(void **state)
{
    (void)state;
    const sp_rates rates = round_rates(false);
    const sp_op core = example_core(128);
    const double s = 2048, d = 128, scores = 32 * s * s, bytes = 32 * 2 * (2 * s * d + s * s);
    const double products = 6e-6 +
                            fourth_norm(32 * 2 * (s + 24) * s * (d + 96) / 50e12, bytes / 800e9) +
                            fourth_norm(32 * 2 * (s + 24) * d * (s + 96) / 50e12, bytes / 800e9);
    assert_close(price(&rates, &core, false).forward_s, products + 4 * scores / 800e9, 1e-12);
    assert_close(price(&rates, &core, true).forward_s, products + 9 * scores / 800e9, 1e-12);
    assert_close(price(&rates, &core, false).input_grad_s, 2 * products + 6 * scores / 800e9,
                 1e-12);
    assert_close(price(&rates, &core, true).input_grad_s, 2 * products + 11 * scores / 800e9,
                 1e-12);
}

/* The fused core does half of the products (those above the diagonal are skipped) and none of the
 * traffic: on this machine, which gives it 40 % against 50 % for products, it is faster forward for
 * all sequences past sequence_half. */
static void a_fused_core_is_faster_than_written_scores(void **state)
{
    (void)state;
    draw d = draw_begin("a_fused_core_is_faster_than_written_scores");
    const sp_rates fused = round_rates(true), written = round_rates(false);
    for (int trial = 0; trial < 2000; trial++) {
        const double s = draw_scale(&d, 1024, 131072), heads = draw_scale(&d, 8, 512);
        const sp_op core = {.class = SP_OP_ATTENTION,
                            .m = s,
                            .n = s,
                            .k = 128,
                            .count = heads,
                            .flops = 2 * s * s * heads * 128};
        const bool dropout = draw_coin(&d);
        assert_true(price(&fused, &core, dropout).forward_s <
                    price(&written, &core, dropout).forward_s);
    }
}

/* ---- element-wise kernels ---- */
/* 80 MB at 800 GB/s: 100 us, backward twice that. */
static void a_stream_by_hand(void **state)
{
    (void)state;
    const sp_rates rates = round_rates(true);
    const sp_op op = {.class = SP_OP_STREAM, .bytes = 80e6};
    const sp_op_time t = price(&rates, &op, false);
    assert_close(t.forward_s, 2e-6 + 100e-6, EXACT);
    assert_close(t.input_grad_s, 2e-6 + 200e-6, EXACT);
    assert_true(t.weight_grad_s == 0.0);
}

/* 80 MB at 800 GB/s: 100 us. 10 GFLOP at 50 TFLOP/s outside the matrix units: 200 us, of which the
 * bytes hide; without such a figure the bytes alone. */
static void a_scan_takes_its_bytes_or_its_flops(void **state)
{
    (void)state;
    sp_rates rates = round_rates(true);
    rates.vector_s_per_flop = 1.0 / 50e12;
    sp_op op = {.class = SP_OP_SCAN, .bytes = 80e6, .flops = 10e9};
    assert_close(price(&rates, &op, false).forward_s, 2e-6 + 200e-6, EXACT);
    assert_close(price(&rates, &op, false).input_grad_s, 2e-6 + 400e-6, EXACT);
    op.flops = 1e9;
    assert_close(price(&rates, &op, false).forward_s, 2e-6 + 100e-6, EXACT);
    op.flops = 10e9;
    rates.vector_s_per_flop = 0.0;
    assert_close(price(&rates, &op, false).forward_s, 2e-6 + 100e-6, EXACT);
}

/* ---- building the rates ---- */
static void the_profile_slows_what_it_names(void **state)
{
    (void)state;
    const sp_gpu gpu = round_gpu();
    sp_engine_profile profile = plain_profile(true);
    profile.gemm_ratio = 1.25;
    profile.attention_ratio = 1.5;
    profile.element_bytes_ratio = 2.0;
    sp_rates rates;
    sp_rates_build(&gpu, &profile, &rates);
    assert_close(rates.gemm[SP_PRECISION_BF16].s_per_flop, 1.25 / 50e12, EXACT);
    assert_close(rates.grouped[SP_PRECISION_BF16].s_per_flop, 1.25 / 25e12, EXACT);
    assert_close(rates.gemm[SP_PRECISION_BF16].s_per_byte, 1.25 / 800e9, EXACT);
    assert_close(rates.attention_s_per_flop, 1.5 / 40e12, EXACT);
    assert_close(rates.stream_s_per_byte, 2.0 / 800e9, EXACT);
    assert_close(rates.state_s_per_byte, 1.0 / 800e9, EXACT); /* the optimizer is no layer kernel */
}

static void a_precision_without_peak_or_surface_is_missing(void **state)
{
    (void)state;
    sp_gpu gpu = round_gpu();
    assert_true(sp_rates_has(&gpu, SP_PRECISION_BF16));
    assert_false(sp_rates_has(&gpu, SP_PRECISION_FP16));
    gpu.peak_flops_per_s[SP_FP16] = 100e12;
    assert_false(sp_rates_has(&gpu, SP_PRECISION_FP16));
    gpu.gemm[SP_FP16] = gpu.gemm[SP_BF16];
    assert_true(sp_rates_has(&gpu, SP_PRECISION_FP16));
}

/* 1,800 elements of 2 bytes are 28.1 cache lines, 1,792 are 28. */
static void rows_that_fill_no_whole_cache_lines_take_longer(void **state)
{
    (void)state;
    sp_rates rates = round_rates(true);
    const sp_op even = gemm(4096, 1792, 1792), odd = gemm(4096, 1792, 1800);
    const sp_op_time plain = price(&rates, &odd, false);
    rates.misaligned_ratio = 1.25;
    const sp_op_time slow = price(&rates, &odd, false);
    assert_close(slow.forward_s, 1.25 * plain.forward_s, 1e-12);
    assert_close(slow.input_grad_s, 1.25 * plain.input_grad_s, 1e-12);
    assert_close(slow.weight_grad_s, 1.25 * plain.weight_grad_s, 1e-12);
    const sp_op_time aligned = price(&rates, &even, false);
    rates.misaligned_ratio = 1.0;
    assert_close(aligned.forward_s, price(&rates, &even, false).forward_s, 1e-12);
}

/* 700 W where kernels were measured, 350 W here: twice to the power of 0.5. Memory keeps its pace.
 */
static void a_tighter_power_limit_slows_arithmetic_alone(void **state)
{
    (void)state;
    sp_gpu gpu = round_gpu();
    sp_engine_profile profile = plain_profile(true);
    sp_rates full, held;
    profile.power_exponent = 0.5;
    gpu.tdp_watts = 350;
    sp_rates_build(&gpu, &profile, &full);
    gpu.calibrated_watts = 700;
    sp_rates_build(&gpu, &profile, &held);
    const double slower = sqrt(2.0);
    assert_close(held.gemm[SP_PRECISION_BF16].s_per_flop,
                 slower * full.gemm[SP_PRECISION_BF16].s_per_flop, 1e-12);
    assert_close(held.attention_s_per_flop, slower * full.attention_s_per_flop, 1e-12);
    assert_true(held.gemm[SP_PRECISION_BF16].s_per_byte == full.gemm[SP_PRECISION_BF16].s_per_byte);
    assert_true(held.stream_s_per_byte == full.stream_s_per_byte);
}

static void a_core_written_for_any_part_is_slower_where_there_is_a_native_one(void **state)
{
    (void)state;
    sp_gpu gpu = round_gpu();
    sp_engine_profile profile = plain_profile(true);
    sp_rates native, portable;
    profile.native_attention = true;
    gpu.portable_attention_ratio = 1.7;
    sp_rates_build(&gpu, &profile, &native);
    profile.native_attention = false;
    sp_rates_build(&gpu, &profile, &portable);
    assert_close(portable.attention_s_per_flop, 1.7 * native.attention_s_per_flop, 1e-12);
    gpu.portable_attention_ratio = 0.0; /* one kernel for all */
    sp_rates_build(&gpu, &profile, &portable);
    assert_true(portable.attention_s_per_flop == native.attention_s_per_flop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_product_by_hand),
        cmocka_unit_test(gradients_are_products_of_other_shapes),
        cmocka_unit_test(a_kernel_of_its_own_adds_the_gradient),
        cmocka_unit_test(grouped_products_launch_once),
        cmocka_unit_test(a_larger_product_never_takes_less_time),
        cmocka_unit_test(no_product_beats_the_roofline),
        cmocka_unit_test(the_soft_maximum_lies_within_19_percent),
        cmocka_unit_test(a_fused_core_by_hand),
        cmocka_unit_test(narrow_heads_are_less_efficient),
        cmocka_unit_test(written_scores_by_hand),
        cmocka_unit_test(a_fused_core_is_faster_than_written_scores),
        cmocka_unit_test(a_stream_by_hand),
        cmocka_unit_test(a_scan_takes_its_bytes_or_its_flops),
        cmocka_unit_test(the_profile_slows_what_it_names),
        cmocka_unit_test(a_precision_without_peak_or_surface_is_missing),
        cmocka_unit_test(rows_that_fill_no_whole_cache_lines_take_longer),
        cmocka_unit_test(a_tighter_power_limit_slows_arithmetic_alone),
        cmocka_unit_test(a_core_written_for_any_part_is_slower_where_there_is_a_native_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
