/* SPDX-License-Identifier: Apache-2.0 */
/* The keys of a GGUF file with their values. Numbers, short strings and lists with one whole number
 * a layer are kept; what is long, a tokenizer's words above all, is passed over unread.
 * Source: docs/gguf.md of ggml-org/ggml. */
#include "spec/checkpoint_priv.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_KEYS = 1 << 16,
    MAX_KEY_BYTES = 65535,
    MAX_KEPT_BYTES = 4096,     /* of a string */
    MAX_KEPT_ELEMENTS = 16384, /* of a list: more than any model has layers */
    MAX_KEPT_LISTS = 1024,
    MAX_DEPTH = 8
};

/* Bytes of a value; 0 of those whose length stands in the file. */
static const unsigned char type_bytes[SP_GGUF_N_TYPES] = {
    [SP_GGUF_UINT8] = 1,  [SP_GGUF_INT8] = 1,  [SP_GGUF_UINT16] = 2,  [SP_GGUF_INT16] = 2,
    [SP_GGUF_UINT32] = 4, [SP_GGUF_INT32] = 4, [SP_GGUF_FLOAT32] = 4, [SP_GGUF_BOOL] = 1,
    [SP_GGUF_UINT64] = 8, [SP_GGUF_INT64] = 8, [SP_GGUF_FLOAT64] = 8,
};

typedef struct key_reader {
    sp_arena *arena;
    sp_bytes *bytes;
    unsigned n_lists; /* kept */
} key_reader;

static sp_status fail_memory(const sp_bytes *bytes)
{
    return sp_fail(bytes->err, SP_E_MEMORY, "the checkpoint needs more");
}

/* Fails at a key. */
static sp_status fail_key(const key_reader *r, const char *key, sp_status status,
                          const char *message)
{
    sp_fail(r->bytes->err, status, "%s", message);
    sp_checkpoint_tell_tensor(key, r->bytes->err);
    return sp_fail_file(r->bytes->err, r->bytes->file);
}

sp_status sp_gguf_read_name(sp_bytes *bytes, uint64_t max, sp_text *out, const char *what)
{
    uint64_t length = 0;
    SP_TRY(sp_bytes_uint(bytes, 8, &length, what));
    if (length == 0 || length > max) {
        sp_fail(bytes->err, SP_E_SYNTAX, "%s has an impossible length, at byte %" PRIu64, what,
                bytes->at - 8);
        sp_fail_value(bytes->err, "%" PRIu64 " bytes", length);
        sp_fail_range(bytes->err, "1 .. %" PRIu64, max);
        return sp_fail_file(bytes->err, bytes->file);
    }
    out->length = 0;
    sp_text_add(out, "");
    for (uint64_t left = length; left > 0;) {
        char block[256];
        const size_t n = left < sizeof block ? (size_t)left : sizeof block;
        SP_TRY(sp_bytes_read(bytes, block, n, what));
        sp_text_add_n(out, block, n);
        left -= n;
    }
    if (out->failed) return fail_memory(bytes);
    if (strlen(out->data) == length) return SP_OK;
    sp_fail(bytes->err, SP_E_SYNTAX, "%s holds a zero, at byte %" PRIu64, what, bytes->at - length);
    return sp_fail_file(bytes->err, bytes->file);
}

static bool is_whole_type(uint32_t type)
{
    return type < SP_GGUF_N_TYPES && type_bytes[type] > 0 && type != SP_GGUF_FLOAT32 &&
           type != SP_GGUF_FLOAT64;
}

bool sp_gguf_is_whole(const sp_gguf_value *value)
{
    return is_whole_type(value->type);
}

/* The bits of a whole number with their sign, where the type has one. */
static int64_t with_sign(uint32_t type, uint64_t bits)
{
    switch (type) {
    case SP_GGUF_INT8:
        return (int8_t)bits;
    case SP_GGUF_INT16:
        return (int16_t)bits;
    case SP_GGUF_INT32:
        return (int32_t)bits;
    default:
        return bits > INT64_MAX && type == SP_GGUF_UINT64 ? INT64_MAX : (int64_t)bits;
    }
}

static double real_of(uint32_t type, uint64_t bits)
{
    double x = 0;
    float narrow = 0;
    const uint32_t low = (uint32_t)bits;
    if (type == SP_GGUF_FLOAT64) {
        memcpy(&x, &bits, sizeof x);
    } else {
        memcpy(&narrow, &low, sizeof narrow);
        x = (double)narrow;
    }
    return x;
}

static sp_status read_type(key_reader *r, const char *key, uint32_t *type)
{
    uint64_t number = 0;
    SP_TRY(sp_bytes_uint(r->bytes, 4, &number, "the type of a value"));
    *type = (uint32_t)number;
    if (number < SP_GGUF_N_TYPES) return SP_OK;
    fail_key(r, key, SP_E_SYNTAX, "the value is of no type that GGUF has");
    sp_fail_value(r->bytes->err, "%" PRIu64, number);
    return sp_fail_range(r->bytes->err, "0 .. %d", SP_GGUF_N_TYPES - 1);
}

static sp_status read_string(key_reader *r, sp_gguf_value *value)
{
    SP_TRY(sp_bytes_uint(r->bytes, 8, &value->length, "the length of a string"));
    if (value->length > MAX_KEPT_BYTES) {
        return sp_bytes_skip(r->bytes, value->length, "a string");
    }
    char *text = sp_arena_alloc(r->arena, (size_t)value->length + 1);
    if (!text) return fail_memory(r->bytes);
    value->text = text;
    return sp_bytes_read(r->bytes, text, (size_t)value->length, "a string");
}

static sp_status skip_strings(key_reader *r, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        uint64_t length = 0;
        SP_TRY(sp_bytes_uint(r->bytes, 8, &length, "the length of a string"));
        SP_TRY(sp_bytes_skip(r->bytes, length, "a string"));
    }
    return SP_OK;
}

/* n values of one type that has a fixed size. */
static sp_status skip_numbers(key_reader *r, uint32_t type, uint64_t n)
{
    uint64_t bytes = 0;
    if (!sp_mul_u64(n, type_bytes[type], &bytes)) bytes = UINT64_MAX;
    return sp_bytes_skip(r->bytes, bytes, "a list");
}

/* Lists in lists, without recursion: left[d] lists are still to come at depth d. */
static sp_status skip_lists(key_reader *r, const char *key, uint64_t n)
{
    uint64_t left[MAX_DEPTH] = {n};
    size_t depth = 0;
    for (;;) {
        while (left[depth] == 0) {
            if (depth == 0) return SP_OK;
            depth--;
        }
        left[depth]--;
        uint32_t type = 0;
        uint64_t length = 0;
        SP_TRY(read_type(r, key, &type));
        SP_TRY(sp_bytes_uint(r->bytes, 8, &length, "the length of a list"));
        if (type == SP_GGUF_ARRAY) {
            if (++depth == MAX_DEPTH)
                return fail_key(r, key, SP_E_OVERFLOW, "lists are nested too deeply");
            left[depth] = length;
        } else {
            SP_TRY(type == SP_GGUF_STRING ? skip_strings(r, length)
                                          : skip_numbers(r, type, length));
        }
    }
}

static sp_status keep_list(key_reader *r, sp_gguf_value *value)
{
    const uint32_t type = value->element_type;
    int64_t *elements = sp_arena_alloc(r->arena, ((size_t)value->length + 1) * sizeof *elements);
    if (!elements) return fail_memory(r->bytes);
    for (uint64_t i = 0; i < value->length; i++) {
        uint64_t bits = 0;
        SP_TRY(sp_bytes_uint(r->bytes, type_bytes[type], &bits, "a list"));
        elements[i] = with_sign(type, bits);
    }
    value->elements = elements;
    r->n_lists++;
    return SP_OK;
}

static sp_status read_list(key_reader *r, sp_gguf_value *value)
{
    SP_TRY(read_type(r, value->key, &value->element_type));
    SP_TRY(sp_bytes_uint(r->bytes, 8, &value->length, "the length of a list"));
    const uint32_t type = value->element_type;
    if (type == SP_GGUF_STRING) return skip_strings(r, value->length);
    if (type == SP_GGUF_ARRAY) return skip_lists(r, value->key, value->length);
    const bool kept = is_whole_type(type) && value->length <= MAX_KEPT_ELEMENTS &&
                      r->n_lists < MAX_KEPT_LISTS && strncmp(value->key, "tokenizer.", 10) != 0;
    return kept ? keep_list(r, value) : skip_numbers(r, type, value->length);
}

static sp_status read_value(key_reader *r, sp_gguf_value *value)
{
    SP_TRY(read_type(r, value->key, &value->type));
    if (value->type == SP_GGUF_STRING) return read_string(r, value);
    if (value->type == SP_GGUF_ARRAY) return read_list(r, value);
    uint64_t bits = 0;
    SP_TRY(sp_bytes_uint(r->bytes, type_bytes[value->type], &bits, "a value"));
    if (value->type == SP_GGUF_BOOL && bits > 1) {
        fail_key(r, value->key, SP_E_SYNTAX, "a truth value is neither 0 nor 1");
        return sp_fail_value(r->bytes->err, "%" PRIu64, bits);
    }
    if (is_whole_type(value->type)) {
        value->whole = with_sign(value->type, bits);
    } else {
        value->real = real_of(value->type, bits);
    }
    return SP_OK;
}

static sp_status read_keys(key_reader *r, sp_gguf_keys *keys, sp_text *name)
{
    for (size_t i = 0; i < keys->n; i++) {
        SP_TRY(sp_gguf_read_name(r->bytes, MAX_KEY_BYTES, name, "the name of a key"));
        keys->values[i].key = sp_arena_strdup(r->arena, name->data);
        if (!keys->values[i].key) return fail_memory(r->bytes);
        SP_TRY(read_value(r, &keys->values[i]));
    }
    return SP_OK;
}

static int compare(const void *a, const void *b)
{
    const sp_gguf_value *left = a, *right = b;
    return strcmp(left->key, right->key);
}

static sp_status sort_keys(const key_reader *r, sp_gguf_keys *keys)
{
    if (keys->n > 1) qsort(keys->values, keys->n, sizeof *keys->values, compare);
    for (size_t i = 1; i < keys->n; i++) {
        if (strcmp(keys->values[i - 1].key, keys->values[i].key) == 0) {
            return fail_key(r, keys->values[i].key, SP_E_INCONSISTENT,
                            "the key stands twice in the file");
        }
    }
    return SP_OK;
}

sp_status sp_gguf_read_keys(sp_arena *arena, sp_bytes *bytes, uint64_t n, sp_gguf_keys *keys)
{
    key_reader r = {.arena = arena, .bytes = bytes};
    if (n > MAX_KEYS) {
        sp_fail(bytes->err, SP_E_OVERFLOW, "the file states more keys than any we read");
        sp_fail_value(bytes->err, "%" PRIu64, n);
        sp_fail_range(bytes->err, "at most %d", MAX_KEYS);
        return sp_fail_file(bytes->err, bytes->file);
    }
    keys->values = sp_arena_alloc(arena, ((size_t)n + 1) * sizeof *keys->values);
    if (!keys->values) return fail_memory(bytes);
    keys->n = (size_t)n;
    sp_text name = {0};
    sp_status status = read_keys(&r, keys, &name);
    sp_text_fini(&name);
    return status == SP_OK ? sort_keys(&r, keys) : status;
}

const sp_gguf_value *sp_gguf_find(const sp_gguf_keys *keys, const char *key)
{
    if (keys->n == 0) return NULL;
    const sp_gguf_value sought = {.key = key};
    return bsearch(&sought, keys->values, keys->n, sizeof *keys->values, compare);
}
