/* SPDX-License-Identifier: Apache-2.0 */
/* Batches as people give them, worked by hand. */
#include "cli/cli.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static sp_batch parse(const char *text, uint64_t seq_len)
{
    sp_batch batch = {0};
    sp_error err = {0};
    assert_int_equal(sp_batch_parse(text, seq_len, &batch, &err), SP_OK);
    return batch;
}

static void a_number_counts_sequences(void **state)
{
    (void)state;
    assert_int_equal(parse("1536", 0).sequences, 1536);
    assert_int_equal(parse("1k", 0).sequences, 1024);
}

/* 4 Mtok = 4 x 1048576 tokens = 512 x 8192. */
static void tokens_become_sequences(void **state)
{
    (void)state;
    assert_int_equal(parse("4Mtok", 8192).sequences, 512);
    assert_int_equal(parse("8192tok", 8192).sequences, 1);
}

static void tokens_that_are_no_whole_number_of_sequences_are_refused(void **state)
{
    (void)state;
    sp_batch batch;
    sp_error err = {0};
    assert_int_equal(sp_batch_parse("1000000tok", 8192, &batch, &err), SP_E_INCONSISTENT);
    assert_string_equal(err.file, "--global-batch");
    assert_int_equal(sp_batch_parse("8192tok", 0, &batch, &err), SP_E_INCONSISTENT);
}

/* 1000000 / 8192 = 122.07 */
static void with_a_tolerance_tokens_are_rounded(void **state)
{
    (void)state;
    const sp_batch batch = parse("1000000tok:5%", 8192);
    assert_int_equal(batch.sequences, 122);
    assert_true(batch.tolerance_ratio == 0.05);
}

/* 1000 on 64 GPUs: 64 x 16 = 1024 is 2.4 % away; 64 x 15 = 960 is 4 %. */
static void the_nearest_multiple_of_the_gpus_is_taken(void **state)
{
    (void)state;
    const sp_batch batch = parse("1000:5%", 0);
    assert_int_equal(sp_batch_nearest(&batch, 64), 1024);
}

/* 1 % of 1000 is 10: no multiple of 64 or 32 (992 is 8 away: it is one of 32). */
static void a_smaller_divisor_is_taken_where_the_tolerance_is_small(void **state)
{
    (void)state;
    const sp_batch batch = parse("1000:1%", 0);
    assert_int_equal(sp_batch_nearest(&batch, 64), 992);
}

static void without_tolerance_the_batch_stays(void **state)
{
    (void)state;
    const sp_batch batch = parse("997", 0);
    assert_int_equal(sp_batch_nearest(&batch, 64), 997);
}

static void an_empty_step_is_refused(void **state)
{
    (void)state;
    sp_batch batch;
    sp_error err = {0};
    assert_int_equal(sp_batch_parse("0", 0, &batch, &err), SP_E_RANGE);
    assert_int_equal(sp_batch_parse("", 0, &batch, &err), SP_E_SYNTAX);
    assert_int_equal(sp_batch_parse("8:", 0, &batch, &err), SP_E_SYNTAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_number_counts_sequences),
        cmocka_unit_test(tokens_become_sequences),
        cmocka_unit_test(tokens_that_are_no_whole_number_of_sequences_are_refused),
        cmocka_unit_test(with_a_tolerance_tokens_are_rounded),
        cmocka_unit_test(the_nearest_multiple_of_the_gpus_is_taken),
        cmocka_unit_test(a_smaller_divisor_is_taken_where_the_tolerance_is_small),
        cmocka_unit_test(without_tolerance_the_batch_stays),
        cmocka_unit_test(an_empty_step_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
