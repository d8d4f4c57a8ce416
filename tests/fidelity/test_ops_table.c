/* SPDX-License-Identifier: Apache-2.0 */
/* What rows of measured kernel calls mean; what they may not hold is in tests/bad/ops-*. */
#include "fidelity/ops.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <unistd.h>

static sp_error err;

/* Reads the text as a table of the operator. */
static sp_ops read_text(const char *op, const char *text)
{
    char file[] = "/tmp/shardplan-ops-XXXXXX";
    sp_ops ops = {0};
    const int fd = mkstemp(file);
    assert_true(fd >= 0);
    (void)close(fd);
    assert_int_equal(sp_file_write(file, text, strlen(text), &err), SP_OK);
    if (sp_ops_read(&ops, file, op, &err) != SP_OK) {
        fail_msg("line %d: %s (%s)", err.line, err.message, err.value);
    }
    (void)unlink(file);
    return ops;
}

static void milliseconds_become_seconds_under_the_kernel_that_ran(void **state)
{
    (void)state;
    sp_ops ops = read_text("gemm", "kernel_source,gemm_dtype,m,n,k,latency_ms\n"
                                   "a,bfloat16,1,2,3,0.5\n"
                                   "b,bfloat16,4,2,3,1\n"
                                   "a,fp8,7,8,9,2\n"
                                   "a,bfloat16,10,2,4,3\n");
    assert_int_equal(ops.n_rows, 4);
    assert_int_equal(ops.n_kernels, 3);
    assert_true(fabs(ops.rows[0].measured_s - 0.5e-3) < 1e-18);
    assert_true(ops.rows[3].dim[SP_DIM_M] == 10.0 && ops.rows[3].dim[SP_DIM_K] == 4.0);
    assert_int_equal(ops.rows[3].kernel_idx, ops.rows[0].kernel_idx);
    assert_int_equal(ops.kernels[0].n_rows, 2);
    sp_ops_fini(&ops);
}

static void rows_of_one_n_and_k_are_one_whole_shape(void **state)
{
    (void)state;
    sp_ops ops = read_text("gemm", "gemm_dtype,m,n,k,latency_ms\n"
                                   "fp8,1,2,3,1\nfp8,9,2,3,1\nfp8,1,3,2,1\n");
    assert_true(ops.rows[0].shape == ops.rows[1].shape);
    assert_true(ops.rows[0].shape != ops.rows[2].shape);
    sp_ops_fini(&ops);
}

static void messages_count_elements(void **state)
{
    (void)state;
    sp_ops ops = read_text("nccl", "op_name,nccl_dtype,num_gpus,message_size,latency_ms\n"
                                   "all_reduce,half,8,1024,1\nall_reduce,int8,8,1024,1\n");
    assert_true(ops.rows[0].dim[SP_DIM_BYTES] == 2048.0);
    assert_true(ops.rows[1].dim[SP_DIM_BYTES] == 1024.0);
    sp_ops_fini(&ops);
}

static void decoding_tells_how_many_heads_share_a_key_head(void **state)
{
    (void)state;
    sp_ops ops =
        read_text("attention_generation",
                  "attn_dtype,kv_cache_dtype,batch_size,isl,num_heads,num_key_value_heads,head_dim,"
                  "window_size,step,latency_ms\n"
                  "bfloat16,bfloat16,2,1,8,8,128,0,99,1\nbfloat16,fp8,2,1,8,2,128,,99,1\n"
                  "bfloat16,bfloat16,2,1,64,1,128,0,99,1\nbfloat16,bfloat16,2,1,8,2,128,128,9,1\n");
    const char *const variants[] = {"mha", "gqa", "mqa", "window"};
    for (uint32_t i = 0; i < 4; i++) {
        assert_string_equal(ops.kernels[ops.rows[i].kernel_idx].surface.variant, variants[i]);
    }
    assert_string_equal(ops.kernels[ops.rows[0].kernel_idx].surface.kv_dtype, "");
    assert_string_equal(ops.kernels[ops.rows[1].kernel_idx].surface.kv_dtype, "fp8");
    sp_ops_fini(&ops);
}

/* Balanced: token t chooses experts t and t + 4 of 8. Two ranks hold experts 0..3 and 4..7: of
 * three tokens each sends one choice to rank 0, to experts 0, 1 (3 tokens are spread over a stride
 * of 4) and 2. Four of 16 tokens' choices meet each of the 4 experts of rank 0. */
static void balanced_tokens_are_dealt_out_in_turn(void **state)
{
    (void)state;
    const sp_load few = sp_routing_load(&(sp_routing){3, 2, 8, 2, 0.0});
    const sp_load many = sp_routing_load(&(sp_routing){16, 2, 8, 2, 0.0});
    const sp_load one = sp_routing_load(&(sp_routing){1, 2, 8, 8, 0.0});
    assert_true(few.choices == 3.0 && few.active == 3.0);
    assert_true(many.choices == 16.0 && many.active == 4.0);
    assert_true(one.choices == 1.0 && one.active == 1.0);
}

/* One rank has every choice; of many, the busiest has more than its share and no more than all. */
static void a_power_law_loads_the_busiest_rank(void **state)
{
    (void)state;
    const sp_load all = sp_routing_load(&(sp_routing){1000, 8, 256, 1, 1.2});
    const sp_load busiest = sp_routing_load(&(sp_routing){1000, 8, 256, 8, 1.2});
    const sp_load again = sp_routing_load(&(sp_routing){1000, 8, 256, 8, 1.2});
    assert_true(fabs(all.choices - 8000.0) < 1e-6);
    assert_true(busiest.choices > 1200.0 && busiest.choices < 8000.0);
    assert_true(busiest.active <= 32.0);
    assert_true(busiest.choices == again.choices);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(milliseconds_become_seconds_under_the_kernel_that_ran),
        cmocka_unit_test(rows_of_one_n_and_k_are_one_whole_shape),
        cmocka_unit_test(messages_count_elements),
        cmocka_unit_test(decoding_tells_how_many_heads_share_a_key_head),
        cmocka_unit_test(balanced_tokens_are_dealt_out_in_turn),
        cmocka_unit_test(a_power_law_loads_the_busiest_rank),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
