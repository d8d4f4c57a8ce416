/* SPDX-License-Identifier: Apache-2.0 */
/* safetensors files worked by hand, and every way in which one can be wrong. */
#include "spec/checkpoint_files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* 6 floats in 24 bytes, then 4 half-sized ones in 8. */
#define TWO                                                                                        \
    "{\"__metadata__\": {\"format\": \"pt\"},"                                                     \
    "\"b\": {\"dtype\": \"F32\", \"shape\": [2, 3], \"data_offsets\": [0, 24]},"                   \
    "\"a\": {\"data_offsets\": [24, 32], \"shape\": [4], \"dtype\": \"BF16\"}}"

static void a_file_is_what_its_header_says(void **state)
{
    sp_arena arena = {0};
    write_safetensors(at(state, "m.safetensors"), TWO, 32);
    const sp_checkpoint *c = read_checkpoint(&arena, at(state, "m.safetensors"));
    assert_int_equal(c->format, SP_CHECKPOINT_SAFETENSORS);
    assert_int_equal(c->n_files, 1);
    assert_int_equal(c->n_tensors, 2);
    assert_int_equal(c->elements, 10);
    assert_int_equal(c->parameters, 10);
    assert_int_equal(c->bytes, 32);
    assert_true(c->bits_per_parameter == 8.0 * 32 / 10);
    assert_string_equal(c->tensors[0].name, "a");
    assert_string_equal(c->tensors[1].dtype, "F32");
    assert_int_equal(c->tensors[1].n_dims, 2);
    assert_int_equal(c->tensors[1].shape[1], 3);
    assert_int_equal(c->n_dtypes, 2);
    assert_string_equal(c->dtypes[0].name, "F32"); /* most bytes first */
    assert_int_equal(c->dtypes[0].bytes, 24);
    assert_int_equal(c->dtypes[1].elements, 4);
    sp_arena_fini(&arena);
}

/* Scalars have one element, empty tensors none; six bits come in fours and four bits in twos. */
static void types_narrower_than_a_byte_share_bytes(void **state)
{
    sp_arena arena = {0};
    write_safetensors(
        at(state, "m.safetensors"),
        "{\"six\": {\"dtype\": \"F6_E3M2\", \"shape\": [2, 4], \"data_offsets\": [0, 6]},"
        "\"four\": {\"dtype\": \"F4\", \"shape\": [6], \"data_offsets\": [6, 9]},"
        "\"one\": {\"dtype\": \"C64\", \"shape\": [], \"data_offsets\": [9, 17]},"
        "\"none\": {\"dtype\": \"I8\", \"shape\": [3, 0], \"data_offsets\": [17, 17]}}   ",
        17);
    const sp_checkpoint *c = read_checkpoint(&arena, at(state, "m.safetensors"));
    assert_int_equal(c->elements, 8 + 6 + 1);
    assert_int_equal(c->bytes, 17);
    sp_arena_fini(&arena);
}

static void a_file_without_tensors_has_no_parameters(void **state)
{
    sp_arena arena = {0};
    write_safetensors(at(state, "m.safetensors"), "{}", 0);
    const sp_checkpoint *c = read_checkpoint(&arena, at(state, "m.safetensors"));
    assert_int_equal(c->n_tensors, 0);
    assert_true(c->bits_per_parameter == 0);
    sp_arena_fini(&arena);
}

#define TENSOR(dtype, shape, offsets)                                                              \
    "{\"w\": {\"dtype\": \"" dtype "\", \"shape\": [" shape "], \"data_offsets\": [" offsets "]}}"

static void what_a_file_gets_wrong_is_said(void **state)
{
    static const struct {
        const char *header;
        size_t data_bytes;
        sp_status status;
        const char *words;
    } wrong[] = {
        {"",                                                  0,          SP_E_SYNTAX,                                       "an object must stand here"},
        {"[]",                                                0,          SP_E_SYNTAX,                                       "byte 8 of the header: an object must stand here"},
        {"{\"w\": 1}",                                        0,          SP_E_SYNTAX,                                       "an object must stand here"},
        {"{} x",                                              0,          SP_E_SYNTAX,                                       "something stands behind the end"},
        {"{\"w\": {}}",                                       0,          SP_E_MISSING_KEY,                                  "w: missing key: \"dtype\" is missing"},
        {"{\"w\": {\"dtype\": \"F32\", \"kind\": 1}}",        0,          SP_E_UNKNOWN_KEY,                                  "got kind"},
        {"{\"w\": {\"dtype\": \"F32\", \"dtype\": \"F32\"}}", 0,          SP_E_UNKNOWN_KEY,                                  "stands twice"},
        {TENSOR("BF61",                                       "2",        "0, 4"),                                           4,SP_E_UNKNOWN_NAME, "got BF61"},
        {TENSOR("F32",                                         "2.5",                                                   "0, 4"),                                                                                         4,SP_E_SYNTAX, "a whole number must stand here"},
        {TENSOR("F32",                                                  "-1",                                                 "0, 4"),4,SP_E_SYNTAX, "a whole number must stand here"},
        {TENSOR("F32","2","0, 4"),                        4,SP_E_INCONSISTENT,
         "got 4 bytes; allowed: 2 elements of F32, 8 bytes"},
        {TENSOR("F32",                                                   "1",                                                  "4, 0"),                                                                                                   4, SP_E_INCONSISTENT, "got [4, 0]"},
        {TENSOR("F32",                                  "1",              "0"),                                                               4,SP_E_INCONSISTENT, "a beginning and an end"},
        {TENSOR("F32",                                            "1",    "0, 4, 8"),4,SP_E_RANGE, "too long"},
        {TENSOR("F4",                                        "3",              "0, 2"),                                              2,SP_E_INCONSISTENT, "blocks of 2 elements"},
        {TENSOR("F32",                           "2",                                     "0, 8"),                                                                           4,SP_E_INCONSISTENT, "behind the end of the file"},
        {TENSOR("F32",                                                  "1",                                                  "4, 8"),                                                                                                                                                        8,                                                                                                                                                                                                                                   SP_E_INCONSISTENT, "leaves a hole before it"},
        {TENSOR("F32",         "1","0, 4"),  5,   SP_E_INCONSISTENT, "got 5 bytes of data; allowed: 4"},
        {TENSOR("F32",                                                   "4294967296, 4294967296",                                                  "0, 4"),                                                                      4,SP_E_OVERFLOW, "2^64 elements"},
        {TENSOR("F64",                                  "4611686018427387904",                "0, 4"),                                                                 4,                          SP_E_OVERFLOW, "2^64 bytes"},
        {TENSOR("F32",                                            "99999999999999999999",    "0, 4"),4,SP_E_SYNTAX, "more than 64 bits"},
        {"{\"v\": {\"dtype\": \"I8\", \"shape\": [4], \"data_offsets\": [0, 4]},"
         "\"w\": {\"dtype\": \"I8\", \"shape\": [4], \"data_offsets\": [2, 6]}}",                                        6,                                       SP_E_INCONSISTENT,                                                                                   "w: values contradict each other: the data of the tensor overlaps"},
        {"{\"w\": {\"dtype\": \"I8\", \"shape\": [4], \"data_offsets\": [0, 4]},"
         "\"w\": {\"dtype\": \"I8\", \"shape\": [4], \"data_offsets\": [4, 8]}}",                  8,                            SP_E_INCONSISTENT,                                                                  "stands twice in the file"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        write_safetensors(at(state, "m.safetensors"), wrong[i].header, wrong[i].data_bytes);
        refuse_checkpoint(at(state, "m.safetensors"), wrong[i].status, wrong[i].words);
    }
}

static void a_length_is_not_believed(void **state)
{
    static const struct {
        uint64_t length;
        sp_status status;
        const char *words;
    } wrong[] = {
        {3,          SP_E_SYNTAX,   "longer than the file; got 3 bytes; allowed: at most 2"},
        {100000001,  SP_E_OVERFLOW, "longer than safetensors allows"                       },
        {UINT64_MAX, SP_E_OVERFLOW, "longer than safetensors allows"                       },
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        sp_text text = {0};
        put_u64(&text, wrong[i].length);
        sp_text_add(&text, "{}");
        write_file(at(state, "m.safetensors"), &text);
        sp_text_fini(&text);
        refuse_checkpoint(at(state, "m.safetensors"), wrong[i].status, wrong[i].words);
    }
}

static void what_is_no_file_is_refused(void **state)
{
    refuse_checkpoint(at(state, "none.safetensors"), SP_E_IO, "cannot open the file");
    refuse_checkpoint("/dev/null", SP_E_IO, "must be a regular file");
    write_words(at(state, "m.safetensors"), "short");
    refuse_checkpoint(at(state, "m.safetensors"), SP_E_SYNTAX,
                      "ends too early for the length of its header");
}

static void every_lost_allocation_is_an_error(void **state)
{
    write_safetensors(at(state, "m.safetensors"), TWO, 32);
    lose_each_allocation(at(state, "m.safetensors"));
}

int main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, folder_begin, folder_end)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(a_file_is_what_its_header_says),
        IN_FOLDER(types_narrower_than_a_byte_share_bytes),
        IN_FOLDER(a_file_without_tensors_has_no_parameters),
        IN_FOLDER(what_a_file_gets_wrong_is_said),
        IN_FOLDER(a_length_is_not_believed),
        IN_FOLDER(what_is_no_file_is_refused),
        IN_FOLDER(every_lost_allocation_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
