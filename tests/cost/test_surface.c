/* SPDX-License-Identifier: Apache-2.0 */
/* The forms of kernel surfaces by hand, with round numbers, and their laws. */
#include "shardplan/surface.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* 1 TFLOP/s, 1 GB/s, a link of 1 GB/s; numbers of two bytes. */
static sp_surface made(sp_surface_op op)
{
    return (sp_surface){.op = op,
                        .variant = "",
                        .dtype = "bfloat16",
                        .kv_dtype = "",
                        .peak_flops_per_s = 1e12,
                        .memory_bytes_per_s = 1e9,
                        .link_bytes_per_s = 1e9,
                        .weight_bytes = 2.0,
                        .activation_bytes = 2.0,
                        .kv_bytes = 2.0};
}

static void set(sp_surface *s, const double *param, size_t n)
{
    memcpy(s->param, param, n * sizeof *param);
}

#define SET(surface, ...)                                                                          \
    set(surface, (const double[]){__VA_ARGS__}, sizeof((double[]){__VA_ARGS__}) / sizeof(double))

static void a_product_is_launch_steps_and_the_longer_of_work_and_bytes(void **state)
{
    (void)state;
    sp_surface s = made(SP_SURFACE_GEMM);
    /* 2 (90 + 10)(40 + 10)(900 + 100) = 1e7 FLOPs at half of 1e12: 20 us. 2 (40 900 + 90 900 + 90
     * 40) = 241,200 bytes at 1e9, 241,200 of 482,400 from memory: 120.6 us. Launch 1 us, 900 steps
     * of 1 ns. */
    SET(&s, 0.5, 1.0, 1e-6, 10.0, 10.0, 100.0, 30e-9, 241200.0, 0.5);
    const double dim[SP_SURFACE_MAX_DIMS] = {90, 40, 900};
    const double either = pow(pow(20e-6, 4.0) + pow(120.6e-6, 4.0), 0.25);
    assert_true(fabs(sp_surface_s(&s, dim) - (1e-6 + 0.9e-6 + either)) < 1e-15);
}

static void a_prompt_pays_for_keys_seen_and_for_tiles(void **state)
{
    (void)state;
    sp_surface s = made(SP_SURFACE_ATTENTION_CONTEXT);
    /* 2 sequences of 4 heads of 8, 3 new tokens after 1: 2 + 3 + 4 = 9 keys seen, so 2 8 9 16 =
     * 2304 FLOPs at 1e9 (1e-3 of the peak); visible 3, half 3: x 2; query half 3: x 2. Bytes:
     * queries and outputs 2 8 3 and keys 2 (2 x 2 heads) 4, each x 16: 1280 at 1e9. The last query
     * reaches 4. */
    SET(&s, 1e-3, 1.0, 1e-6, 3.0, 3.0, 1e-9, 1.0);
    const double dim[SP_SURFACE_MAX_DIMS] = {2, 4, 2, 8, 8, 3, 1, 0};
    const double core = 2304.0 / 1e9 * 2.0 * 2.0;
    assert_true(fabs(sp_surface_s(&s, dim) - (1e-6 + 4.0 * 16.0 * 1e-9 + core + 1280.0 / 1e9)) <
                1e-15);
}

static void a_window_hides_keys(void **state)
{
    (void)state;
    sp_surface s = made(SP_SURFACE_ATTENTION_CONTEXT);
    /* Window 2, 4 new tokens: 1 + 2 + 2 + 2 = 7 keys; one head of 1. */
    SET(&s, 1.0, 1e9, 1e-9, 0.0, 0.0, 0.0, 1.0);
    const double dim[SP_SURFACE_MAX_DIMS] = {1, 1, 1, 1, 1, 4, 0, 2};
    s.peak_flops_per_s = 1.0;
    assert_true(fabs(sp_surface_s(&s, dim) - 2.0 * 7.0 * 2.0) < 1e-6);
}

static void a_decode_step_reads_the_cache(void **state)
{
    (void)state;
    sp_surface s = made(SP_SURFACE_ATTENTION_GENERATION);
    /* 2 sequences, 4 query and 2 key heads of 8, 99 + 1 keys: 2 (2 2) 100 16 = 12,800 bytes of
     * cache and 2 8 16 = 256 of queries; 2 8 100 16 = 25,600 FLOPs count for nothing at the peak. 4
     * key heads of 1 ns, 8 heads of 2 ns, the square root of 100 times 3 ns. */
    SET(&s, 1.0, 1.0, 1e-6, 1e-9, 2e-9, 3e-9, 0.5);
    const double dim[SP_SURFACE_MAX_DIMS] = {2, 4, 2, 8, 8, 1, 99, 0};
    const double either = pow(pow(25600e-12, 4.0) + pow(13056e-9, 4.0), 0.25);
    assert_true(fabs(sp_surface_s(&s, dim) - (1e-6 + either + 4e-9 + 16e-9 + 30e-9)) < 1e-15);
}

static void latent_attention_reads_one_vector_a_token(void **state)
{
    (void)state;
    sp_surface s = made(SP_SURFACE_MLA_GENERATION);
    SET(&s, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.5);
    s.peak_flops_per_s = 1e30;
    /* 10 keys of 576, of which 512 are the value too: 2 10 576 bytes; one query of 1088 at 2. */
    const double dim[SP_SURFACE_MAX_DIMS] = {1, 1, 1, 576, 512, 1, 9, 0};
    assert_true(fabs(sp_surface_s(&s, dim) - (11520.0 + 2176.0) / 1e9) < 1e-15);
}

static void experts_pay_for_tiles_of_each_that_is_active(void **state)
{
    (void)state;
    sp_surface s = made(SP_SURFACE_MOE);
    /* 3 matrices of 10 x 20, 8 choices on 2 experts with half a tile of 6 each: 2 3 20 (20)(10) =
     * 24,000 FLOPs at 1e9; weights 3 2 200 2 = 2400 bytes at 1e9. 4 tokens that choose 3 each, half
     * of it: (6 + 8) 4 10 = 560 bytes. */
    SET(&s, 1e-3, 1.0, 1e-6, 6.0, 0.0, 0.0, 0.5, 1.0);
    const double dim[SP_SURFACE_MAX_DIMS] = {4, 10, 20, 3, 8, 2, 3, 16};
    const double either = pow(pow(24e-6, 4.0) + pow(2.4e-6, 4.0), 0.25);
    assert_true(fabs(sp_surface_s(&s, dim) - (1e-6 + either + 0.56e-6)) < 1e-15);
}

static void an_allreduce_goes_round_twice(void **state)
{
    (void)state;
    sp_surface s = made(SP_SURFACE_COLLECTIVE);
    SET(&s, 1e-6, 1e-7, 0.5, 1000.0, 0.0);
    const double dim[SP_SURFACE_MAX_DIMS] = {4, 4000};
    /* Each sends 3000 bytes, and 1732 for the approach to full speed, at half of 1e9. */
    const double once = 1e-6 + 3e-7 + (3000.0 + sqrt(3e6)) / 0.5e9;
    const double twice = 1e-6 + 6e-7 + (6000.0 + sqrt(6e6)) / 0.5e9;
    assert_true(fabs(sp_surface_s(&s, dim) - once) < 1e-15);
    s.variant = "all_reduce";
    assert_true(fabs(sp_surface_s(&s, dim) - twice) < 1e-15);
}

static void every_form_grows_with_its_work(void **state)
{
    (void)state;
    static const double of[SP_N_SURFACE_OPS][SP_SURFACE_MAX_DIMS] = {
        [SP_SURFACE_GEMM] = {16,   512, 512},
        [SP_SURFACE_ATTENTION_CONTEXT] = {2,    8,       2, 64, 64, 100, 10, 0},
        [SP_SURFACE_ATTENTION_GENERATION] = {2,   8,2, 64, 64, 1, 100, 0},
        [SP_SURFACE_MLA_CONTEXT] = {2, 8,  8, 192, 128, 100, 10, 0},
        [SP_SURFACE_MLA_GENERATION] = {2,    8,       1, 576, 512, 1, 100, 0},
        [SP_SURFACE_MOE] = {64,   512,       256, 4, 32, 8, 3, 8},
        [SP_SURFACE_COLLECTIVE] = {4,   1 << 20  }
    };
    for (int op = 0; op < SP_N_SURFACE_OPS; op++) {
        const sp_surface_form *form = sp_surface_form_of((sp_surface_op)op);
        sp_surface s = made((sp_surface_op)op);
        for (uint32_t p = 0; p < form->n_params; p++) {
            s.param[p] = sqrt(form->param[p].lo * form->param[p].hi);
            if (form->param[p].is_linear) s.param[p] = 0.5;
        }
        for (uint32_t d = 0; d < form->n_dims; d++) {
            const bool is_limit = strcmp(form->dim[d], "window") == 0 && of[op][d] <= 0.0;
            double more[SP_SURFACE_MAX_DIMS];
            memcpy(more, of[op], sizeof more);
            more[d] = is_limit ? 50.0 : 2.0 * more[d];
            const double before = sp_surface_s(&s, of[op]), after = sp_surface_s(&s, more);
            assert_true(before > 0.0);
            if (is_limit ? after > before : after < before) {
                fail_msg("%s: %s", form->name, form->dim[d]);
            }
        }
    }
}

static void a_shape_beyond_the_measured_ones_is_named(void **state)
{
    (void)state;
    sp_surface s = made(SP_SURFACE_GEMM);
    const double lo[] = {1, 64, 64}, hi[] = {4096, 8192, 8192};
    memcpy(s.lo, lo, sizeof lo);
    memcpy(s.hi, hi, sizeof hi);
    const double inside[SP_SURFACE_MAX_DIMS] = {4096, 64, 8192};
    const double wide[SP_SURFACE_MAX_DIMS] = {4096, 8193, 8192};
    const double flat[SP_SURFACE_MAX_DIMS] = {4096, 64, 63};
    assert_null(sp_surface_outside(&s, inside));
    assert_string_equal(sp_surface_outside(&s, wide), "n");
    assert_string_equal(sp_surface_outside(&s, flat), "k");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_product_is_launch_steps_and_the_longer_of_work_and_bytes),
        cmocka_unit_test(a_prompt_pays_for_keys_seen_and_for_tiles),
        cmocka_unit_test(a_window_hides_keys),
        cmocka_unit_test(a_decode_step_reads_the_cache),
        cmocka_unit_test(latent_attention_reads_one_vector_a_token),
        cmocka_unit_test(experts_pay_for_tiles_of_each_that_is_active),
        cmocka_unit_test(an_allreduce_goes_round_twice),
        cmocka_unit_test(every_form_grows_with_its_work),
        cmocka_unit_test(a_shape_beyond_the_measured_ones_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
