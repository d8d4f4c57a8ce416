/* SPDX-License-Identifier: Apache-2.0 */
/* Laws of broken files: whatever the bytes, a checkpoint is read or refused with a sentence and the
 * file's name. What breaks memory on the way is the sanitizers' to see. */
#include "common/draw.h"
#include "spec/checkpoint_files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void put_small_safetensors(sp_text *out)
{
    put_safetensors(
        out,
        "{\"__metadata__\": {\"format\": \"pt\"},"
        "\"l.weight_packed\": {\"dtype\": \"I32\", \"shape\": [2, 1], \"data_offsets\": [0, 8]},"
        "\"l.weight_scale\": {\"dtype\": \"BF16\", \"shape\": [2, 1], \"data_offsets\": [8, 12]},"
        "\"l.weight_shape\": {\"dtype\": \"I64\", \"shape\": [2], \"data_offsets\": [12, 28]}}",
        28);
}

static void put_small_gguf(sp_text *out)
{
    put_gguf(out, 3, 2, 4);
    put_key_string(out, "general.architecture", "llama");
    put_key_u32(out, "general.alignment", 32);
    put_name(out, "words");
    put_u32(out, 9);
    put_u32(out, 8);
    put_u64(out, 2);
    put_name(out, "one");
    put_name(out, "two");
    put_name(out, "lists");
    put_u32(out, 9);
    put_u32(out, 9);
    put_u64(out, 1);
    put_u32(out, 5);
    put_u64(out, 2);
    put_u64(out, 0);
    put_tensor(out, "w", 2, (const uint64_t[]){32, 2}, 2, 0);
    put_tensor(out, "b", 1, (const uint64_t[]){4}, 0, 64);
    put_data(out, 80);
}

static const struct {
    const char *name;
    void (*put)(sp_text *out);
} formats[] = {
    {"m.safetensors", put_small_safetensors},
    {"m.gguf",        put_small_gguf       }
};

/* True if the checkpoint was read. */
static bool read_or_refused(const char *path)
{
    sp_arena arena = {0};
    sp_error err = {0};
    const sp_checkpoint *c = NULL;
    const sp_status status = sp_checkpoint_read(&arena, path, &c, &err);
    if (status != SP_OK) {
        assert_int_equal(err.status, status);
        assert_true(err.message[0] != '\0');
        assert_string_equal(err.file, path);
    } else {
        assert_true(c->bytes < 1000);
    }
    sp_arena_fini(&arena);
    return status == SP_OK;
}

static void no_beginning_of_a_file_passes_for_it(void **state)
{
    for (size_t f = 0; f < 2; f++) {
        const char *path = at(state, formats[f].name);
        sp_text text = {0};
        formats[f].put(&text);
        write_file(path, &text);
        assert_true(read_or_refused(path));
        for (const size_t whole = text.length; text.length > 0;) {
            text.length--;
            write_file(path, &text);
            if (read_or_refused(path)) fail_msg("%zu bytes of %zu pass", text.length, whole);
        }
        sp_text_fini(&text);
    }
}

static void changed_bytes_are_read_or_refused(void **state)
{
    draw d = draw_begin(__func__);
    for (unsigned round = 0; round < 6000; round++) {
        const char *path = at(state, formats[round % 2].name);
        sp_text text = {0};
        formats[round % 2].put(&text);
        const uint32_t n = draw_between(&d, 1, 4);
        for (uint32_t i = 0; i < n; i++) {
            char *byte = text.data + draw_between(&d, 0, (uint32_t)text.length - 1);
            const unsigned bit = 1u << draw_between(&d, 0, 7);
            const unsigned other =
                draw_coin(&d) ? (unsigned)draw_u64(&d) : (unsigned char)*byte ^ bit;
            *byte = (char)(other & 0xFF);
        }
        write_file(path, &text);
        read_or_refused(path);
        sp_text_fini(&text);
    }
}

static void random_bytes_are_refused(void **state)
{
    draw d = draw_begin(__func__);
    for (unsigned round = 0; round < 2000; round++) {
        const char *path = at(state, formats[round % 2].name);
        sp_text text = {0};
        if (round % 4 == 1) put_gguf(&text, 3, draw_between(&d, 0, 3), draw_between(&d, 0, 3));
        if (round % 4 == 2) put_u64(&text, draw_between(&d, 0, 40));
        for (uint32_t n = draw_between(&d, 8, 200); n > 0; n--) {
            const char byte = (char)(draw_u64(&d) >> (draw_coin(&d) ? 8 : 60));
            sp_text_add_n(&text, &byte, 1);
        }
        write_file(path, &text);
        read_or_refused(path);
        sp_text_fini(&text);
    }
}

int main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, folder_begin, folder_end)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(no_beginning_of_a_file_passes_for_it),
        IN_FOLDER(changed_bytes_are_read_or_refused),
        IN_FOLDER(random_bytes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
