/* SPDX-License-Identifier: Apache-2.0 */
/* State of optimizers that tell tensors apart, for a layer of two matrices, one expert's matrix in
 * four copies, biases and a norm; and the FLOPs of Newton-Schulz. */
#include "common/close.h"
#include "cost/cost.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* [30, 20] with 30 biases, [20, 30], four experts of [10, 20], a norm of 20. */
static sp_layer_work example(void)
{
    sp_layer_work work;
    memset(&work, 0, sizeof work);
    work.n_ops = 4;
    work.ops[0] = (sp_op){.class = SP_OP_GEMM, .n = 30, .k = 20, .count = 1, .vectors = 30};
    work.ops[1] = (sp_op){.class = SP_OP_GEMM, .n = 20, .k = 30, .count = 1};
    work.ops[2] = (sp_op){.class = SP_OP_GROUPED, .n = 10, .k = 20, .count = 4};
    work.ops[3] = (sp_op){.class = SP_OP_STREAM, .part = SP_PART_NORM, .k = 20};
    return work;
}

static void matrices_are_told_from_vectors(void **state)
{
    (void)state;
    const sp_layer_work work = example();
    const sp_optimizer sgd = {.name = "sgd"};
    const sp_layer_tensors t = sp_optimizer_layer(&sgd, &work);
    assert_true(t.dense_matrix == 1200 && t.expert_matrix == 800);
    assert_true(t.dense.bytes == 0.0);
}

/* 30 + 20 rows and 20 + 30 columns of dense matrices; 4 (10 + 20) of experts; 50 vectors whole. */
static void adafactor_has_a_number_for_each_row_and_column(void **state)
{
    (void)state;
    const sp_layer_work work = example();
    const sp_optimizer adafactor = {
        .row_bytes = 4, .column_bytes = 4, .vector_bytes = 4, .largest_bytes = 12};
    const sp_layer_tensors t = sp_optimizer_layer(&adafactor, &work);
    assert_true(t.dense.bytes == 4 * 50 + 4 * 50);
    assert_true(t.dense.whole_bytes == 4 * 50);
    assert_true(t.expert.bytes == 4 * 4 * 10);
    assert_true(t.expert.whole_bytes == 4 * 4 * 20);
    assert_true(t.dense.largest == 600 && t.expert.largest == 200);
}

/* Of fewer than 400 elements: experts of 200, biases of 30, the norm of 20. */
static void small_tensors_have_their_own_state(void **state)
{
    (void)state;
    const sp_layer_work work = example();
    const sp_optimizer narrow = {
        .matrix_bytes = 2, .vector_bytes = 2, .small_elements = 400, .small_bytes = 8};
    const sp_layer_tensors t = sp_optimizer_layer(&narrow, &work);
    assert_true(t.dense.bytes == 2 * 1200 + 8 * 50);
    assert_true(t.expert.bytes == 8 * 800);
}

/* At one FLOP a second. r = 20, c = 30: 2 (2 r r c) + 2 r^3 = 64,000 an iteration, twice; experts
 * of r = 10, c = 20: 10,000, four times. */
static void newton_schulz_takes_4rrc_and_2rrr_flops_an_iteration(void **state)
{
    (void)state;
    const sp_layer_work work = example();
    const sp_optimizer muon = {.matrix_bytes = 4, .vector_bytes = 8, .newton_schulz_steps = 5};
    const sp_gemm_rate rate = {.s_per_flop = 1.0};
    sp_layer_tensors t = sp_optimizer_layer(&muon, &work);
    sp_optimizer_newton(&muon, &rate, &work, &t);
    assert_close(t.dense.newton_s, 5 * 2 * 64000.0, 1e-12);
    assert_close(t.expert.newton_s, 5 * 4 * 10000.0, 1e-12);
    assert_true(t.dense.bytes == 4 * 1200 + 8 * 50);
}

static void a_table_has_rows_of_hidden_columns(void **state)
{
    (void)state;
    const sp_optimizer adafactor = {.row_bytes = 4, .column_bytes = 4, .largest_bytes = 12};
    const sp_moments table = sp_optimizer_table(&adafactor, 0.0, 1000 * 64, 64);
    assert_true(table.bytes == 4 * 1000 && table.whole_bytes == 4 * 64 && table.largest == 64000);
    const sp_optimizer muon = {.newton_schulz_steps = 5};
    assert_true(sp_optimizer_table(&muon, 8.0, 64000, 64).bytes == 8 * 64000);
    assert_true(sp_optimizer_table(&muon, 8.0, 64000, 64).largest == 0.0);
    assert_true(sp_optimizer_table(&adafactor, 0.0, 0.0, 64).whole_bytes == 0.0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matrices_are_told_from_vectors),
        cmocka_unit_test(adafactor_has_a_number_for_each_row_and_column),
        cmocka_unit_test(small_tensors_have_their_own_state),
        cmocka_unit_test(newton_schulz_takes_4rrc_and_2rrr_flops_an_iteration),
        cmocka_unit_test(a_table_has_rows_of_hidden_columns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
