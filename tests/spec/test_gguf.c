/* SPDX-License-Identifier: Apache-2.0 */
/* GGUF files worked by hand, whole and split, and every way in which one can be wrong. */
#include "spec/checkpoint_files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum {
    UINT8_TYPE = 0,
    UINT32_TYPE = 4,
    BOOL_TYPE = 7,
    STRING_TYPE = 8,
    ARRAY_TYPE = 9,
    FLOAT64_TYPE = 12
};
enum { F32 = 0, Q4_0 = 2, Q4_K = 12, IQ1_S = 19, MXFP4 = 39 };

static void put_file(void **state, const char *name, sp_text *text)
{
    write_file(at(state, name), text);
    sp_text_fini(text);
}

/* Keys of every shape: a number, a text, a tokenizer's words, lists in lists. */
static void put_keys(sp_text *text)
{
    put_key_string(text, "general.architecture", "llama");
    put_key_u32(text, "llama.block_count", 2);
    put_name(text, "tokenizer.ggml.tokens");
    put_u32(text, ARRAY_TYPE);
    put_u32(text, STRING_TYPE);
    put_u64(text, 3);
    put_name(text, "a");
    put_u64(text, 0); /* an empty word */
    put_name(text, "ccc");
    put_name(text, "lists.in.lists");
    put_u32(text, ARRAY_TYPE);
    put_u32(text, ARRAY_TYPE);
    put_u64(text, 2);
    put_u32(text, UINT8_TYPE);
    put_u64(text, 3);
    sp_text_add_n(text, "\1\2\3", 3);
    put_u32(text, ARRAY_TYPE);
    put_u64(text, 1);
    put_u32(text, FLOAT64_TYPE);
    put_u64(text, 0);
    put_name(text, "a.truth");
    put_u32(text, BOOL_TYPE);
    sp_text_add_n(text, "\1", 1);
}
enum { N_KEYS = 5 };

/* Q4_K: 512 elements are two blocks of 144 bytes. F32: 3 x 4 bytes at 288, a multiple of 32. */
static void put_small(sp_text *text)
{
    put_gguf(text, 3, 2, N_KEYS);
    put_keys(text);
    put_tensor(text, "w", 2, (const uint64_t[]){256, 2}, Q4_K, 0);
    put_tensor(text, "b", 1, (const uint64_t[]){3}, F32, 288);
    put_data(text, 300);
}

static void a_file_is_what_its_list_of_tensors_says(void **state)
{
    sp_arena arena = {0};
    sp_text text = {0};
    put_small(&text);
    put_file(state, "m.gguf", &text);
    const sp_checkpoint *c = read_checkpoint(&arena, at(state, "m.gguf"));
    assert_int_equal(c->format, SP_CHECKPOINT_GGUF);
    assert_int_equal(c->n_tensors, 2);
    assert_int_equal(c->parameters, 512 + 3);
    assert_int_equal(c->bytes, 288 + 12);
    assert_true(c->bits_per_parameter == 8.0 * 300 / 515);
    assert_string_equal(c->dtypes[0].name, "Q4_K");
    assert_int_equal(c->dtypes[0].bytes, 288);
    assert_int_equal(c->n_notes, 0);
    assert_int_equal(read_checkpoint(&arena, at(state, ""))->bytes, 300);
    sp_arena_fini(&arena);
}

/* Bits a weight as llama.cpp prints them: Q4_0 4.5, IQ1_S 1.5625, MXFP4 4.25. */
static void blocks_have_their_scales(void **state)
{
    static const struct {
        uint32_t type;
        uint64_t bytes;
        double bits;
    } types[] = {
        {Q4_0,  144, 4.5   },
        {IQ1_S, 50,  1.5625},
        {MXFP4, 136, 4.25  }
    };
    for (size_t i = 0; i < 3; i++) {
        sp_arena arena = {0};
        sp_text text = {0};
        put_gguf(&text, 2, 1, 0);
        put_tensor(&text, "w", 1, (const uint64_t[]){256}, types[i].type, 0);
        put_data(&text, types[i].bytes);
        put_file(state, "m.gguf", &text);
        assert_true(read_checkpoint(&arena, at(state, "m.gguf"))->bits_per_parameter ==
                    types[i].bits);
        sp_arena_fini(&arena);
    }
}

static void an_alignment_of_its_own_holds(void **state)
{
    sp_arena arena = {0};
    sp_text text = {0};
    put_gguf(&text, 3, 2, 1);
    put_key_u32(&text, "general.alignment", 64);
    put_tensor(&text, "a", 1, (const uint64_t[]){1}, F32, 0);
    put_tensor(&text, "b", 1, (const uint64_t[]){1}, F32, 64);
    put_data(&text, 64 + 64 + 4);
    put_file(state, "m.gguf", &text);
    assert_int_equal(read_checkpoint(&arena, at(state, "m.gguf"))->bytes, 8);
    sp_arena_fini(&arena);
}

static void put_part(void **state, unsigned part, const char *tensor, unsigned n_tensors)
{
    sp_text text = {0};
    char name[64];
    snprintf(name, sizeof name, "m-%05u-of-00002.gguf", part);
    put_gguf(&text, 3, 1, 3);
    put_key_u32(&text, "split.no", part - 1);
    put_key_u32(&text, "split.count", 2);
    put_key_u32(&text, "split.tensors.count", n_tensors);
    put_tensor(&text, tensor, 1, (const uint64_t[]){8 * part}, F32, 0);
    put_data(&text, (size_t)32 * part);
    put_file(state, name, &text);
}

static void parts_are_read_together(void **state)
{
    sp_arena arena = {0};
    put_part(state, 1, "a", 2);
    put_part(state, 2, "b", 2);
    const char *const paths[] = {at(state, "m-00001-of-00002.gguf"),
                                 at(state, "m-00002-of-00002.gguf"), at(state, "")};
    for (size_t i = 0; i < 3; i++) {
        const sp_checkpoint *c = read_checkpoint(&arena, paths[i]);
        assert_int_equal(c->n_files, 2);
        assert_int_equal(c->parameters, 8 + 16);
        assert_int_equal(c->bytes, 96);
    }
    put_part(state, 1, "a", 3);
    refuse_checkpoint(paths[0], SP_E_INCONSISTENT,
                      "split.tensors.count: values contradict each other");
    put_part(state, 1, "b", 2);
    refuse_checkpoint(paths[0], SP_E_INCONSISTENT, "the tensor stands in ");
    assert_int_equal(unlink(paths[0]), 0);
    refuse_checkpoint(paths[1], SP_E_IO, "m-00001-of-00002.gguf: cannot");
    sp_arena_fini(&arena);
}

static void refuse_tensor(void **state, uint32_t n_dims, const uint64_t *shape, uint32_t type,
                          uint64_t offset, sp_status status, const char *words)
{
    sp_text text = {0};
    put_gguf(&text, 3, 1, 0);
    put_tensor(&text, "w", n_dims, shape, type, offset);
    put_data(&text, 144);
    put_file(state, "m.gguf", &text);
    refuse_checkpoint(at(state, "m.gguf"), status, words);
}

static void what_a_tensor_gets_wrong_is_said(void **state)
{
    const uint64_t huge[] = {UINT64_C(1) << 32, UINT64_C(1) << 32};
    refuse_tensor(state, 5, (const uint64_t[]){1, 1, 1, 1, 1}, F32, 0, SP_E_RANGE,
                  "got 5; allowed: 0 .. 4");
    refuse_tensor(state, 1, (const uint64_t[]){256}, 4, 0, SP_E_UNKNOWN_NAME,
                  "w: unknown name: the tensor is of no type");
    refuse_tensor(state, 1, (const uint64_t[]){255}, Q4_K, 0, SP_E_INCONSISTENT,
                  "rows of Q4_K are whole blocks of 256");
    refuse_tensor(state, 1, (const uint64_t[]){256}, Q4_K, 32, SP_E_INCONSISTENT,
                  "leaves a hole before it");
    refuse_tensor(state, 1, (const uint64_t[]){512}, Q4_K, 0, SP_E_INCONSISTENT,
                  "got 144 bytes of data; allowed: 288");
    refuse_tensor(state, 2, huge, F32, 0, SP_E_OVERFLOW, "2^64 elements");
    refuse_tensor(state, 1, (const uint64_t[]){UINT64_MAX - 15}, 24, 0, SP_E_OVERFLOW,
                  "2^64 bytes");
}

static void refuse_head(void **state, uint32_t version, uint64_t n_tensors, uint64_t n_keys,
                        sp_status status, const char *words)
{
    sp_text text = {0};
    put_gguf(&text, version, n_tensors, n_keys);
    put_file(state, "m.gguf", &text);
    refuse_checkpoint(at(state, "m.gguf"), status, words);
}

static void what_a_head_gets_wrong_is_said(void **state)
{
    write_words(at(state, "m.gguf"), "GGUX");
    refuse_checkpoint(at(state, "m.gguf"), SP_E_SYNTAX, "begins with the letters GGUF");
    refuse_head(state, 1, 0, 0, SP_E_NOT_YET, "this version of GGUF is not read; got 1");
    refuse_head(state, 0x03000000, 0, 0, SP_E_NOT_YET, "big-endian order");
    refuse_head(state, 3, 1, 0, SP_E_SYNTAX, "ends too early for the name of a tensor");
    refuse_head(state, 3, 0, 1, SP_E_SYNTAX, "ends too early for the name of a key");
    refuse_head(state, 3, 0, UINT64_MAX, SP_E_OVERFLOW, "more keys than any");
    refuse_head(state, 3, UINT64_MAX, 0, SP_E_SYNTAX, "ends too early");
}

/* A key "k" with a type and what follows it. */
static void refuse_key(void **state, const char *key, uint32_t type, const uint64_t *words,
                       size_t n, sp_status status, const char *complaint)
{
    sp_text text = {0};
    put_gguf(&text, 3, 0, 1);
    put_name(&text, key);
    put_u32(&text, type);
    for (size_t i = 0; i < n; i++)
        put_u64(&text, words[i]);
    put_file(state, "m.gguf", &text);
    refuse_checkpoint(at(state, "m.gguf"), status, complaint);
}

static void what_a_key_gets_wrong_is_said(void **state)
{
    refuse_key(state, "", 4, NULL, 0, SP_E_SYNTAX, "the name of a key has an impossible length");
    refuse_key(state, "k", 13, NULL, 0, SP_E_SYNTAX, "k: not well formed: the value is of no type");
    refuse_key(state, "k", STRING_TYPE, (const uint64_t[]){UINT64_MAX}, 1, SP_E_SYNTAX,
               "ends too early for a string");
    refuse_key(state, "k", BOOL_TYPE, (const uint64_t[]){2}, 1, SP_E_SYNTAX,
               "neither 0 nor 1; got 2");
    refuse_key(state, "general.alignment", UINT32_TYPE, (const uint64_t[]){24}, 1, SP_E_RANGE,
               "power of two; got 24");
    sp_text text = {0};
    put_gguf(&text, 3, 0, 2);
    put_key_u32(&text, "k", 1);
    put_key_u32(&text, "k", 1);
    put_file(state, "m.gguf", &text);
    refuse_checkpoint(at(state, "m.gguf"), SP_E_INCONSISTENT, "the key stands twice");
}

static void lists_nested_without_end_are_refused(void **state)
{
    sp_text text = {0};
    put_gguf(&text, 3, 0, 1);
    put_name(&text, "k");
    put_u32(&text, ARRAY_TYPE);
    for (int i = 0; i < 100; i++) {
        put_u32(&text, ARRAY_TYPE);
        put_u64(&text, UINT64_MAX);
    }
    put_file(state, "m.gguf", &text);
    refuse_checkpoint(at(state, "m.gguf"), SP_E_OVERFLOW, "nested too deeply");
}

static void bytes_behind_the_end_are_noted(void **state)
{
    sp_arena arena = {0};
    sp_text text = {0};
    put_gguf(&text, 3, 1, 0);
    put_tensor(&text, "w", 1, (const uint64_t[]){8}, F32, 0);
    put_data(&text, 40);
    put_file(state, "m.gguf", &text);
    assert_true(has_note(read_checkpoint(&arena, at(state, "m.gguf")), "8 bytes follow behind"));
    sp_arena_fini(&arena);
}

static void every_lost_allocation_is_an_error(void **state)
{
    sp_text text = {0};
    put_small(&text);
    put_file(state, "m.gguf", &text);
    lose_each_allocation(at(state, "m.gguf"));
}

int main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, folder_begin, folder_end)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(a_file_is_what_its_list_of_tensors_says),
        IN_FOLDER(blocks_have_their_scales),
        IN_FOLDER(an_alignment_of_its_own_holds),
        IN_FOLDER(parts_are_read_together),
        IN_FOLDER(what_a_tensor_gets_wrong_is_said),
        IN_FOLDER(what_a_head_gets_wrong_is_said),
        IN_FOLDER(what_a_key_gets_wrong_is_said),
        IN_FOLDER(lists_nested_without_end_are_refused),
        IN_FOLDER(bytes_behind_the_end_are_noted),
        IN_FOLDER(every_lost_allocation_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
