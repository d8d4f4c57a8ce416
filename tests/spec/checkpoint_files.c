/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "spec/checkpoint_files.h"

#include "common/asked.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

int folder_begin(void **state)
{
    char *name = strdup("/tmp/shardplan-checkpoint-XXXXXX/");
    if (!name) return -1;
    name[strlen(name) - 1] = '\0';
    if (!mkdtemp(name)) return -1;
    name[strlen(name)] = '/'; /* the buffer still has room for it and its final zero */
    *state = name;
    return 0;
}

int folder_end(void **state)
{
    DIR *dir = opendir(*state);
    if (!dir) return -1;
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (entry->d_name[0] != '.') unlinkat(dirfd(dir), entry->d_name, 0);
    }
    closedir(dir);
    const int code = rmdir(*state);
    free(*state);
    return code;
}

const char *at(void *const *state, const char *name)
{
    static char buffers[8][256];
    static unsigned turn;
    char *buffer = buffers[turn++ % 8];
    snprintf(buffer, sizeof buffers[0], "%s%s", (const char *)*state, name);
    return buffer;
}

void write_file(const char *path, const sp_text *bytes)
{
    remove(path); /* some file systems wait for the disk when a file is cut to nothing */
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes->data ? bytes->data : "", 1, bytes->length, file), bytes->length);
    assert_int_equal(fclose(file), 0);
}

void write_words(const char *path, const char *words)
{
    sp_text text = {0};
    sp_text_add(&text, words);
    write_file(path, &text);
    sp_text_fini(&text);
}

static void put_uint(sp_text *out, uint64_t x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const char byte = (char)(x >> (8 * i) & 0xFF);
        sp_text_add_n(out, &byte, 1);
    }
}

void put_u32(sp_text *out, uint32_t x)
{
    put_uint(out, x, 4);
}

void put_u64(sp_text *out, uint64_t x)
{
    put_uint(out, x, 8);
}

void put_name(sp_text *out, const char *name)
{
    put_u64(out, strlen(name));
    sp_text_add(out, name);
}

static void put_zeros(sp_text *out, size_t n)
{
    for (size_t i = 0; i < n; i++)
        sp_text_add_n(out, "", 1);
}

void put_safetensors(sp_text *out, const char *header, size_t data_bytes)
{
    put_name(out, header);
    put_zeros(out, data_bytes);
}

void write_safetensors(const char *path, const char *header, size_t data_bytes)
{
    sp_text text = {0};
    put_safetensors(&text, header, data_bytes);
    write_file(path, &text);
    sp_text_fini(&text);
}

void put_gguf(sp_text *out, uint32_t version, uint64_t n_tensors, uint64_t n_keys)
{
    sp_text_add(out, "GGUF");
    put_u32(out, version);
    put_u64(out, n_tensors);
    put_u64(out, n_keys);
}

void put_key_u32(sp_text *out, const char *key, uint32_t value)
{
    put_name(out, key);
    put_u32(out, 4);
    put_u32(out, value);
}

void put_key_string(sp_text *out, const char *key, const char *value)
{
    put_name(out, key);
    put_u32(out, 8);
    put_name(out, value);
}

void put_tensor(sp_text *out, const char *name, uint32_t n_dims, const uint64_t *shape,
                uint32_t type, uint64_t offset)
{
    put_name(out, name);
    put_u32(out, n_dims);
    for (uint32_t i = 0; i < n_dims; i++)
        put_u64(out, shape[i]);
    put_u32(out, type);
    put_u64(out, offset);
}

void put_data(sp_text *out, size_t data_bytes)
{
    put_zeros(out, (32 - out->length % 32) % 32 + data_bytes);
}

const sp_checkpoint *read_checkpoint(sp_arena *arena, const char *path)
{
    const sp_checkpoint *c = NULL;
    sp_error err = {0};
    must(sp_checkpoint_read(arena, path, &c, &err), &err);
    assert_non_null(c);
    return c;
}

void refuse_checkpoint(const char *path, sp_status status, const char *words)
{
    sp_arena arena = {0};
    const sp_checkpoint *c = NULL;
    sp_error err = {0};
    const sp_status got = sp_checkpoint_read(&arena, path, &c, &err);
    char text[SP_ERROR_TEXT_BYTES];
    sp_error_format(&err, text, sizeof text);
    if (got != status || !strstr(text, words)) {
        fail_msg("status %d instead of %d, or not \"%s\": %s", (int)got, (int)status, words, text);
    }
    assert_true(err.file[0] != '\0');
    sp_arena_fini(&arena);
}

bool has_note(const sp_checkpoint *c, const char *words)
{
    for (uint32_t i = 0; i < c->n_notes; i++) {
        if (strstr(c->notes[i], words)) return true;
    }
    return false;
}

void lose_each_allocation(const char *path)
{
    sp_status status = SP_E_MEMORY;
    for (uint64_t n = 1; status != SP_OK; n++) {
        assert_true(n < 1000);
        sp_arena arena = {0};
        sp_error err = {0};
        const sp_checkpoint *c = NULL;
        sp_alloc_fail_at(n);
        status = sp_checkpoint_read(&arena, path, &c, &err);
        sp_alloc_fail_at(0);
        assert_true(status == SP_OK || status == SP_E_MEMORY);
        sp_arena_fini(&arena);
    }
}
