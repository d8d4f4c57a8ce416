/* SPDX-License-Identifier: Apache-2.0 */
/* Checkpoints in shards, with their index, without it, and with shards missing; and which files of
 * a folder are meant. */
#include "spec/checkpoint_files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define ONE(name, n)                                                                               \
    "{\"" name "\": {\"dtype\": \"BF16\", \"shape\": [" n "], \"data_offsets\": [0, "
#define INDEX "model.safetensors.index.json"

/* a: 10 numbers in 20 bytes; b: 30 in 60. */
static void write_shards(void **state)
{
    write_safetensors(at(state, "m-1.safetensors"), ONE("a", "10") "20]}}", 20);
    write_safetensors(at(state, "m-2.safetensors"), ONE("b", "30") "60]}}", 60);
}

static void write_index(void **state, const char *words)
{
    write_words(at(state, INDEX), words);
}

#define WHOLE                                                                                      \
    "{\"metadata\": {\"total_size\": 80, \"other\": [1, {}]},\n \"weight_map\": "                  \
    "{\"a\": \"m-1.safetensors\", \"b\": \"m-2.safetensors\"}}"

static void shards_are_one_checkpoint(void **state)
{
    sp_arena arena = {0};
    write_shards(state);
    write_index(state, WHOLE);
    const char *const paths[] = {at(state, INDEX), at(state, "")};
    for (size_t i = 0; i < 2; i++) {
        const sp_checkpoint *c = read_checkpoint(&arena, paths[i]);
        assert_int_equal(c->n_files, 2);
        assert_int_equal(c->n_missing, 0);
        assert_int_equal(c->n_tensors, 2);
        assert_int_equal(c->parameters, 40);
        assert_int_equal(c->bytes, 80);
        assert_int_equal(c->n_notes, 0);
    }
    sp_arena_fini(&arena);
}

static void without_its_shards_an_index_knows_names_and_bytes(void **state)
{
    sp_arena arena = {0};
    write_shards(state);
    write_index(state, WHOLE);
    assert_int_equal(unlink(at(state, "m-2.safetensors")), 0);
    const sp_checkpoint *c = read_checkpoint(&arena, at(state, INDEX));
    assert_int_equal(c->n_files, 2);
    assert_int_equal(c->n_missing, 1);
    assert_int_equal(c->n_tensors, 2);
    assert_int_equal(c->bytes, 80);
    assert_int_equal(c->parameters, 0);
    assert_int_equal(c->n_listed, 1);
    assert_true(has_note(c, "1 of 2 shards are not beside the index"));
    sp_arena_fini(&arena);
}

static void a_wrong_total_is_noted(void **state)
{
    sp_arena arena = {0};
    write_shards(state);
    write_index(
        state,
        "{\"weight_map\": {\"a\": \"m-1.safetensors\"}, \"metadata\": {\"total_size\": 21}}");
    assert_true(has_note(read_checkpoint(&arena, at(state, INDEX)),
                         "total_size of 21 bytes, its shards hold 20"));
    write_index(
        state,
        "{\"weight_map\": {\"a\": \"m-1.safetensors\"}, \"metadata\": {\"total_size\": 21.5}}");
    assert_int_equal(read_checkpoint(&arena, at(state, INDEX))->n_notes, 0);
    sp_arena_fini(&arena);
}

static void a_tensor_that_only_a_shard_knows_is_noted(void **state)
{
    sp_arena arena = {0};
    write_safetensors(at(state, "m-1.safetensors"),
                      "{\"a\": {\"dtype\": \"I8\", \"shape\": [1], \"data_offsets\": [0, 1]},"
                      "\"x\": {\"dtype\": \"I8\", \"shape\": [1], \"data_offsets\": [1, 2]}}",
                      2);
    write_index(state, "{\"weight_map\": {\"a\": \"m-1.safetensors\"}}");
    const sp_checkpoint *c = read_checkpoint(&arena, at(state, INDEX));
    assert_true(has_note(c, "1 tensors of the shards are not in the index"));
    sp_arena_fini(&arena);
}

static void what_an_index_gets_wrong_is_said(void **state)
{
    static const struct {
        const char *words;
        sp_status status;
        const char *complaint;
    } wrong[] = {
        {"",                                                                           SP_E_SYNTAX,       "an object must stand here"},
        {"{\n\n\"weight_map\": [}",                                                    SP_E_SYNTAX,
         INDEX ":3: not well formed: an object must stand here"                                                                      },
        {"{}",                                                                         SP_E_MISSING_KEY,  "\"weight_map\" must say"  },
        {"{\"weight_map\": {}}",                                                       SP_E_MISSING_KEY,  "\"weight_map\" must say"  },
        {"{\"weight_map\": {\"a\": 1}}",                                               SP_E_SYNTAX,       "a string must stand here" },
        {"{\"weight_map\": {\"a\": \"../m-1.safetensors\"}}",                          SP_E_RANGE,
         "must be a file beside the index"                                                                                           },
        {"{\"weight_map\": {\"a\": \"m-1.safetensors\", \"a\": \"m-2.safetensors\"}}",
         SP_E_INCONSISTENT,                                                                               "stands twice in the index"},
        {"{\"weight_map\": {\"a\": \"m-2.safetensors\"}}",                             SP_E_INCONSISTENT,
         "a: values contradict each other: the tensor is not in the shard that the index names; "
         "got m-2"                                                                                                                   },
        {"{\"weight_map\": {\"a\": \"m-1.safetensors\", \"c\": \"m-1.safetensors\"}}",
         SP_E_INCONSISTENT,                                                                               "is not in the shard"      },
        {"{\"weight_map\": {\"a\": \"m-3.safetensors\"}}",                             SP_E_MISSING_KEY,
         "1 of 1 shards are not beside the index, and \"metadata\" states no total_size"                                             },
    };
    write_shards(state);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        write_index(state, wrong[i].words);
        refuse_checkpoint(at(state, INDEX), wrong[i].status, wrong[i].complaint);
    }
}

static void one_name_in_two_files_is_refused(void **state)
{
    write_safetensors(at(state, "m-1.safetensors"), ONE("a", "10") "20]}}", 20);
    write_safetensors(at(state, "m-2.safetensors"), ONE("a", "10") "20]}}", 20);
    refuse_checkpoint(at(state, ""), SP_E_INCONSISTENT, "the tensor stands in ");
}

static void a_folder_without_an_index_is_all_its_files(void **state)
{
    sp_arena arena = {0};
    write_shards(state);
    const sp_checkpoint *c = read_checkpoint(&arena, at(state, ""));
    assert_int_equal(c->n_files, 2);
    assert_int_equal(c->parameters, 40);
    assert_true(has_note(c, "has no index: all of its 2 safetensors files"));
    /* The usual name goes before others. */
    write_safetensors(at(state, "model.safetensors"), ONE("a", "10") "20]}}", 20);
    assert_int_equal(read_checkpoint(&arena, at(state, ""))->parameters, 10);
    sp_arena_fini(&arena);
}

static void a_folder_must_leave_no_doubt(void **state)
{
    refuse_checkpoint(at(state, ""), SP_E_IO,
                      "holds no safetensors index, safetensors file or GGUF file");
    assert_false(sp_checkpoint_is(at(state, "")));
    write_words(at(state, "a.gguf"), "");
    write_words(at(state, "b.gguf"), "");
    assert_true(sp_checkpoint_is(at(state, "")));
    refuse_checkpoint(at(state, ""), SP_E_INCONSISTENT,
                      "several GGUF files; name the one that is meant");
    write_words(at(state, "x.safetensors.index.json"), "");
    write_words(at(state, "y.safetensors.index.json"), "");
    refuse_checkpoint(at(state, ""), SP_E_INCONSISTENT, "several indices");
}

int main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, folder_begin, folder_end)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(shards_are_one_checkpoint),
        IN_FOLDER(without_its_shards_an_index_knows_names_and_bytes),
        IN_FOLDER(a_wrong_total_is_noted),
        IN_FOLDER(a_tensor_that_only_a_shard_knows_is_noted),
        IN_FOLDER(what_an_index_gets_wrong_is_said),
        IN_FOLDER(one_name_in_two_files_is_refused),
        IN_FOLDER(a_folder_without_an_index_is_all_its_files),
        IN_FOLDER(a_folder_must_leave_no_doubt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
