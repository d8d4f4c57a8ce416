/* SPDX-License-Identifier: Apache-2.0 */
/* GGUF files, alone or split: a head, keys with values, a list of tensors, and data in which every
 * tensor begins at the next multiple of the alignment. Versions 2 and 3 in little-endian order.
 * Source: docs/gguf.md of ggml-org/ggml, src/gguf.cpp of ggml-org/llama.cpp. */
#include "spec/checkpoint_priv.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define MAX_HEADER_BYTES (UINT64_C(1) << 30)
#define MAX_NAME_BYTES   4096
#define MAX_DIMS         4  /* GGML_MAX_DIMS            */
#define ALIGNMENT        32 /* GGUF_DEFAULT_ALIGNMENT   */
#define MAX_ALIGNMENT    (1 << 20)
#define VERSION_2        2
#define VERSION_3        3

static const sp_stored_type types[] = {
#define SP_GGML_TYPE(n, type_name, block, block_bytes)                                             \
    {.number = (n), .name = (type_name), .elements = (block), .bytes = (block_bytes)},
#include "spec/ggml_types.def"
#undef SP_GGML_TYPE
};

typedef struct gguf_reader {
    sp_checkpoint_build *build;
    sp_bytes bytes;
    sp_gguf_keys keys;
    sp_text name;
    uint32_t file_idx;
    uint64_t n_tensors, alignment;
    uint64_t end; /* of the data of the tensors so far, aligned */
    uint64_t exact_end;
} gguf_reader;

static sp_status fail_file(const gguf_reader *r, sp_status status, const char *message)
{
    sp_fail(r->build->err, status, "%s", message);
    return sp_fail_file(r->build->err, r->bytes.file);
}

static sp_status check_version(const gguf_reader *r, uint64_t version)
{
    if (version == VERSION_2 || version == VERSION_3) return SP_OK;
    const bool swapped = version > 0xFFFF && (version & 0xFFFF) == 0;
    fail_file(r, SP_E_NOT_YET,
              swapped ? "the file is in big-endian order, which is not read"
                      : "this version of GGUF is not read");
    sp_fail_value(r->build->err, swapped ? "0x%08" PRIx64 : "%" PRIu64, version);
    return sp_fail_range(r->build->err, "2 .. 3");
}

static sp_status read_head(gguf_reader *r)
{
    char magic[4];
    uint64_t version = 0, n_keys = 0;
    SP_TRY(sp_bytes_read(&r->bytes, magic, sizeof magic, "the letters GGUF"));
    if (memcmp(magic, "GGUF", sizeof magic) != 0) {
        return fail_file(r, SP_E_SYNTAX, "a GGUF file begins with the letters GGUF");
    }
    SP_TRY(sp_bytes_uint(&r->bytes, 4, &version, "its version"));
    SP_TRY(check_version(r, version));
    SP_TRY(sp_bytes_uint(&r->bytes, 8, &r->n_tensors, "the number of tensors"));
    SP_TRY(sp_bytes_uint(&r->bytes, 8, &n_keys, "the number of keys"));
    return sp_gguf_read_keys(r->build->arena, &r->bytes, n_keys, &r->keys);
}

static sp_status read_alignment(gguf_reader *r)
{
    static const char key[] = "general.alignment";
    const sp_gguf_value *value = sp_gguf_find(&r->keys, key);
    r->alignment = ALIGNMENT;
    if (!value) return SP_OK;
    const int64_t n = sp_gguf_is_whole(value) ? value->whole : 0;
    if (n > 0 && n <= MAX_ALIGNMENT && (n & (n - 1)) == 0) {
        r->alignment = (uint64_t)n;
        return SP_OK;
    }
    fail_file(r, SP_E_RANGE, "the alignment must be a power of two");
    sp_checkpoint_tell_tensor(key, r->build->err);
    sp_fail_value(r->build->err, "%" PRId64, n);
    return sp_fail_range(r->build->err, "1 .. %d", MAX_ALIGNMENT);
}

static sp_status read_shape(gguf_reader *r, sp_stored_tensor *tensor)
{
    uint64_t n_dims = 0;
    SP_TRY(sp_bytes_uint(&r->bytes, 4, &n_dims, "the number of dimensions"));
    if (n_dims > MAX_DIMS) {
        sp_build_fail(r->build, tensor, SP_E_RANGE, "the tensor has too many dimensions");
        sp_fail_value(r->build->err, "%" PRIu64, n_dims);
        return sp_fail_range(r->build->err, "0 .. %d", MAX_DIMS);
    }
    uint64_t *shape = sp_arena_alloc(r->build->arena, MAX_DIMS * sizeof *shape);
    if (!shape) return sp_fail(r->build->err, SP_E_MEMORY, "the checkpoint needs more");
    for (uint64_t i = 0; i < n_dims; i++)
        SP_TRY(sp_bytes_uint(&r->bytes, 8, &shape[i], "a dimension"));
    tensor->t.n_dims = (uint32_t)n_dims;
    tensor->t.shape = shape;
    return SP_OK;
}

static sp_status read_type(gguf_reader *r, sp_stored_tensor *tensor)
{
    uint64_t number = 0;
    SP_TRY(sp_bytes_uint(&r->bytes, 4, &number, "the type of a tensor"));
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (types[i].number == number) tensor->type = &types[i];
    }
    if (!tensor->type) {
        sp_build_fail(r->build, tensor, SP_E_UNKNOWN_NAME,
                      "the tensor is of no type that we know in GGUF");
        return sp_fail_value(r->build->err, "%" PRIu64, number);
    }
    const uint64_t row = tensor->t.n_dims > 0 ? tensor->t.shape[0] : 1;
    if (row % tensor->type->elements == 0) return SP_OK;
    sp_build_fail(r->build, tensor, SP_E_INCONSISTENT, "rows of %s are whole blocks of %u elements",
                  tensor->type->name, tensor->type->elements);
    return sp_fail_value(r->build->err, "%" PRIu64, row);
}

/* The tensor begins where the one before it ended, rounded up to the alignment. */
static sp_status place(gguf_reader *r, sp_stored_tensor *tensor)
{
    if (tensor->offset != r->end) {
        sp_build_fail(r->build, tensor, SP_E_INCONSISTENT, "the data of the tensor %s",
                      tensor->offset > r->end ? "leaves a hole before it" : "overlaps another's");
        sp_fail_value(r->build->err, "begins at byte %" PRIu64, tensor->offset);
        return sp_fail_range(r->build->err, "%" PRIu64, r->end);
    }
    uint64_t rounded = 0;
    if (!sp_add_u64(tensor->offset, tensor->t.bytes, &r->exact_end) ||
        !sp_add_u64(r->exact_end, r->alignment - 1, &rounded)) {
        return sp_build_fail(r->build, tensor, SP_E_OVERFLOW, "the data ends behind 2^64 bytes");
    }
    r->end = rounded - rounded % r->alignment;
    return SP_OK;
}

static sp_status read_tensor(gguf_reader *r)
{
    sp_stored_tensor *tensor = NULL;
    SP_TRY(sp_gguf_read_name(&r->bytes, MAX_NAME_BYTES, &r->name, "the name of a tensor"));
    SP_TRY(sp_build_tensor(r->build, r->name.data, &tensor));
    tensor->t.file_idx = r->file_idx;
    SP_TRY(read_shape(r, tensor));
    SP_TRY(read_type(r, tensor));
    SP_TRY(sp_bytes_uint(&r->bytes, 8, &tensor->offset, "the place of a tensor"));
    SP_TRY(sp_build_sizes(r->build, tensor));
    return place(r, tensor);
}

/* Writers pad the last tensor too, or not. */
static sp_status check_end(gguf_reader *r)
{
    if (r->n_tensors == 0) return SP_OK; /* the first part of a split file may have keys alone */
    const uint64_t at = r->bytes.at + (r->alignment - 1), data = at - at % r->alignment;
    const uint64_t left = r->bytes.size > data ? r->bytes.size - data : 0;
    if (r->exact_end > left) {
        fail_file(r, SP_E_INCONSISTENT, "the file ends before the data of its last tensor");
        sp_fail_value(r->build->err, "%" PRIu64 " bytes of data", left);
        return sp_fail_range(r->build->err, "%" PRIu64, r->exact_end);
    }
    if (left > r->end) r->build->trailing_bytes += left - r->end;
    return SP_OK;
}

static sp_status read_open_file(gguf_reader *r)
{
    if (r->bytes.bound > MAX_HEADER_BYTES) r->bytes.bound = MAX_HEADER_BYTES;
    SP_TRY(read_head(r));
    SP_TRY(read_alignment(r));
    for (uint64_t i = 0; i < r->n_tensors; i++)
        SP_TRY(read_tensor(r));
    return check_end(r);
}

static sp_status read_file(sp_checkpoint_build *b, uint32_t file_idx, sp_gguf_keys *keys)
{
    gguf_reader r = {.build = b, .file_idx = file_idx};
    SP_TRY(sp_bytes_open(&r.bytes, b->files[file_idx], b->err));
    const sp_status status = read_open_file(&r);
    sp_text_fini(&r.name);
    sp_bytes_close(&r.bytes);
    *keys = r.keys;
    return status;
}

/* ---- split files: NAME-00002-of-00003.gguf ---- */

/* Length of the path before "-00002-of-00003.gguf", and the number of parts; 0 where the file is a
 * whole one. */
static size_t split_stem(const char *path, uint32_t *n_parts)
{
    static const char form[] = "-00000-of-00000.gguf";
    const size_t length = strlen(path), n = sizeof form - 1;
    *n_parts = 0;
    if (length <= n) return 0;
    const char *tail = path + length - n;
    for (size_t i = 0; i < n; i++) {
        const bool digit = tail[i] >= '0' && tail[i] <= '9';
        if (form[i] == '0' ? !digit : tail[i] != form[i]) return 0;
    }
    for (size_t i = 10; i < 15; i++)
        *n_parts = *n_parts * 10 + (uint32_t)(tail[i] - '0');
    return *n_parts > 0 ? length - n : 0;
}

static sp_status name_parts(sp_checkpoint_build *b, const char *path)
{
    uint32_t n_parts = 0;
    const size_t length = split_stem(path, &n_parts);
    b->c.n_files = length > 0 ? n_parts : 1;
    b->files = sp_arena_alloc(b->arena, b->c.n_files * sizeof *b->files);
    if (!b->files) return sp_fail(b->err, SP_E_MEMORY, "the checkpoint needs more");
    for (uint32_t i = 0; i < b->c.n_files; i++) {
        b->files[i] = length == 0 ? path
                                  : sp_arena_printf(b->arena, "%.*s-%05u-of-%05u.gguf", (int)length,
                                                    path, i + 1, n_parts);
        if (!b->files[i]) return sp_fail(b->err, SP_E_MEMORY, "the checkpoint needs more");
    }
    return SP_OK;
}

/* What a part states about the split, against what is so. */
static sp_status check_split(const sp_checkpoint_build *b, uint32_t file_idx,
                             const sp_gguf_keys *keys, const char *key, uint64_t actual)
{
    const sp_gguf_value *value = sp_gguf_find(keys, key);
    if (!value ||
        (sp_gguf_is_whole(value) && value->whole >= 0 && (uint64_t)value->whole == actual)) {
        return SP_OK;
    }
    sp_fail(b->err, SP_E_INCONSISTENT,
            "the part states another split than its name and its neighbours");
    sp_checkpoint_tell_tensor(key, b->err);
    sp_fail_value(b->err, "%" PRId64, value->whole);
    sp_fail_range(b->err, "%" PRIu64, actual);
    return sp_fail_file(b->err, b->files[file_idx]);
}

sp_status sp_gguf_read(sp_checkpoint_build *b, const char *path, sp_gguf_keys *keys)
{
    SP_TRY(name_parts(b, path));
    for (uint32_t i = 0; i < b->c.n_files; i++) {
        sp_gguf_keys part = {0};
        SP_TRY(read_file(b, i, &part));
        if (i == 0) *keys = part;
        if (b->c.n_files == 1) break; /* a part may be looked at under another name */
        SP_TRY(check_split(b, i, &part, "split.no", i));
        SP_TRY(check_split(b, i, &part, "split.count", b->c.n_files));
    }
    if (b->c.n_files > 1) SP_TRY(check_split(b, 0, keys, "split.tensors.count", b->n));
    if (b->trailing_bytes > 0) {
        sp_build_note(b, "%" PRIu64 " bytes follow behind the data of the last tensors",
                      b->trailing_bytes);
    }
    return sp_build_sort(b);
}
