/* SPDX-License-Identifier: Apache-2.0 */
/* One safetensors file: 8 bytes with the length of a JSON header, the header, the data. The header
 * names each tensor with its type, shape and the range of its bytes in the data; the ranges must
 * follow each other without a hole, to the end of the file.
 * Source: README.md and safetensors/src/tensor.rs of huggingface/safetensors. */
#include "spec/checkpoint_priv.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define LENGTH_BYTES     8
#define MAX_HEADER_BYTES UINT64_C(100000000) /* MAX_HEADER_SIZE of the format's own library */

static const sp_stored_type types[] = {
#define SP_SAFETENSORS_TYPE(type_name, n, n_bytes, is_whole)                                       \
    {.name = (type_name), .elements = (n), .bytes = (n_bytes), .whole = (is_whole)},
#include "spec/safetensors_types.def"
#undef SP_SAFETENSORS_TYPE
};
enum { N_TYPES = sizeof types / sizeof types[0] };

typedef struct header_reader {
    sp_checkpoint_build *build;
    sp_bytes bytes;
    sp_text text;    /* of the header */
    sp_text scratch; /* name or type at hand */
    sp_json_pull pull;
    uint32_t file_idx;
    size_t first; /* tensor of the build that is the first of this file */
    uint64_t data_bytes;
} header_reader;

static sp_status fail_at(const header_reader *r, sp_status status, const char *complaint)
{
    sp_fail(r->build->err, status, "byte %td of the header: %s",
            r->pull.at - r->pull.text + LENGTH_BYTES, complaint);
    return sp_fail_file(r->build->err, r->bytes.file);
}

/* What the JSON reader has to say. */
static sp_status pull_status(const header_reader *r)
{
    if (r->scratch.failed) return sp_fail(r->build->err, SP_E_MEMORY, "the checkpoint needs more");
    return r->pull.complaint ? fail_at(r, SP_E_SYNTAX, r->pull.complaint) : SP_OK;
}

static sp_status read_type(header_reader *r, sp_stored_tensor *tensor)
{
    if (!sp_json_pull_string(&r->pull, &r->scratch)) return pull_status(r);
    const char *names[N_TYPES];
    for (size_t i = 0; i < N_TYPES; i++) {
        names[i] = types[i].name;
        if (strcmp(r->scratch.data, types[i].name) == 0) tensor->type = &types[i];
    }
    if (tensor->type) return SP_OK;
    sp_build_fail(r->build, tensor, SP_E_UNKNOWN_NAME, "there is no such type in safetensors");
    sp_fail_value(r->build->err, "%s", r->scratch.data);
    return sp_fail_names(r->build->err, r->scratch.data, names, N_TYPES);
}

/* Numbers of a list, at most `max`; the first one too many is refused. */
static sp_status read_numbers(header_reader *r, const sp_stored_tensor *tensor, uint64_t *out,
                              uint32_t max, uint32_t *n)
{
    *n = 0;
    sp_json_pull_enter(&r->pull, '[');
    while (sp_json_pull_more(&r->pull, ']')) {
        if (*n == max) {
            sp_build_fail(r->build, tensor, SP_E_RANGE, "the list of numbers is too long");
            return sp_fail_range(r->build->err, "at most %u", max);
        }
        if (!sp_json_pull_u64(&r->pull, &out[*n])) break;
        ++*n;
    }
    return pull_status(r);
}

static sp_status read_shape(header_reader *r, sp_stored_tensor *tensor)
{
    uint64_t shape[SP_CHECKPOINT_MAX_DIMS];
    SP_TRY(read_numbers(r, tensor, shape, SP_CHECKPOINT_MAX_DIMS, &tensor->t.n_dims));
    uint64_t *copy = sp_arena_alloc(r->build->arena, (tensor->t.n_dims + 1) * sizeof *copy);
    if (!copy) return sp_fail(r->build->err, SP_E_MEMORY, "the checkpoint needs more");
    memcpy(copy, shape, tensor->t.n_dims * sizeof *copy);
    tensor->t.shape = copy;
    return SP_OK;
}

static sp_status read_offsets(header_reader *r, sp_stored_tensor *tensor, uint64_t *end)
{
    uint64_t range[2] = {0};
    uint32_t n = 0;
    SP_TRY(read_numbers(r, tensor, range, 2, &n));
    if (n < 2 || range[0] > range[1]) {
        sp_build_fail(r->build, tensor, SP_E_INCONSISTENT,
                      "data_offsets must be a beginning and an end");
        if (n == 2) sp_fail_value(r->build->err, "[%" PRIu64 ", %" PRIu64 "]", range[0], range[1]);
        return r->build->err->status;
    }
    tensor->offset = range[0];
    *end = range[1];
    return SP_OK;
}

/* The three members, each once. */
static sp_status read_members(header_reader *r, sp_stored_tensor *tensor, uint64_t *end)
{
    static const char *const keys[] = {"dtype", "shape", "data_offsets"};
    unsigned seen = 0;
    sp_json_pull_enter(&r->pull, '{');
    while (sp_json_pull_more(&r->pull, '}') && sp_json_pull_key(&r->pull, &r->scratch)) {
        unsigned k = 0;
        while (k < 3 && strcmp(r->scratch.data, keys[k]) != 0)
            k++;
        if (k == 3 || (seen & 1u << k)) {
            sp_build_fail(r->build, tensor, SP_E_UNKNOWN_KEY,
                          k == 3 ? "not a key of a tensor" : "the key stands twice");
            sp_fail_value(r->build->err, "%s", r->scratch.data);
            return sp_fail_names(r->build->err, r->scratch.data, keys, 3);
        }
        seen |= 1u << k;
        SP_TRY(k == 0   ? read_type(r, tensor)
               : k == 1 ? read_shape(r, tensor)
                        : read_offsets(r, tensor, end));
    }
    SP_TRY(pull_status(r));
    for (unsigned k = 0; k < 3; k++) {
        if (!(seen & 1u << k)) {
            return sp_build_fail(r->build, tensor, SP_E_MISSING_KEY, "\"%s\" is missing", keys[k]);
        }
    }
    return SP_OK;
}

/* The shape of a packed matrix is itself a tensor of two whole numbers: the one thing in the data
 * that says how many parameters there are. */
static sp_status read_packed_shape(header_reader *r, sp_stored_tensor *tensor)
{
    static const char suffix[] = ".weight_shape";
    const size_t length = strlen(tensor->t.name), n = sizeof suffix - 1;
    const size_t width = tensor->type->bytes;
    if (length < n || strcmp(tensor->t.name + length - n, suffix) != 0) return SP_OK;
    if (!tensor->type->whole || tensor->t.elements != 2) return SP_OK;
    unsigned char data[16];
    SP_TRY(sp_bytes_peek(&r->bytes, r->bytes.size - r->data_bytes + tensor->offset, data, 2 * width,
                         "the shape of a packed matrix"));
    const uint64_t rows = sp_little_endian(data, width),
                   columns = sp_little_endian(data + width, width);
    if (sp_mul_u64(rows, columns, &tensor->unpacked)) return SP_OK;
    sp_build_fail(r->build, tensor, SP_E_OVERFLOW, "the shape of a packed matrix is too large");
    return sp_fail_value(r->build->err, "%" PRIu64 " x %" PRIu64, rows, columns);
}

static sp_status read_tensor(header_reader *r)
{
    sp_stored_tensor *tensor = NULL;
    uint64_t end = 0;
    SP_TRY(sp_build_tensor(r->build, r->scratch.data, &tensor));
    tensor->t.file_idx = r->file_idx;
    SP_TRY(read_members(r, tensor, &end));
    SP_TRY(sp_build_sizes(r->build, tensor));
    if (end - tensor->offset != tensor->t.bytes) {
        sp_build_fail(r->build, tensor, SP_E_INCONSISTENT,
                      "data_offsets hold another number of bytes than shape and dtype");
        sp_fail_value(r->build->err, "%" PRIu64 " bytes", end - tensor->offset);
        return sp_fail_range(r->build->err, "%" PRIu64 " elements of %s, %" PRIu64 " bytes",
                             tensor->t.elements, tensor->t.dtype, tensor->t.bytes);
    }
    if (end > r->data_bytes) {
        sp_build_fail(r->build, tensor, SP_E_INCONSISTENT,
                      "the data of the tensor lies behind the end of the file");
        sp_fail_value(r->build->err, "byte %" PRIu64 " of the data", end);
        return sp_fail_range(r->build->err, "the file has %" PRIu64 " bytes of data",
                             r->data_bytes);
    }
    return read_packed_shape(r, tensor);
}

static sp_status read_tensors(header_reader *r)
{
    r->pull = sp_json_pull_begin(r->text.data, r->text.length);
    sp_json_pull_enter(&r->pull, '{');
    while (sp_json_pull_more(&r->pull, '}') && sp_json_pull_key(&r->pull, &r->scratch)) {
        if (r->scratch.failed) break;
        if (strcmp(r->scratch.data, "__metadata__") == 0) {
            if (!sp_json_pull_skip(&r->pull)) break;
        } else {
            SP_TRY(read_tensor(r));
        }
    }
    sp_json_pull_end(&r->pull);
    return pull_status(r);
}

static int by_offset(const void *a, const void *b)
{
    const sp_stored_tensor *left = a, *right = b;
    if (left->offset != right->offset) return left->offset < right->offset ? -1 : 1;
    return (left->t.bytes > right->t.bytes) - (left->t.bytes < right->t.bytes);
}

/* From the first byte of the data to the last, each belongs to one tensor. */
static sp_status check_cover(const header_reader *r)
{
    sp_checkpoint_build *b = r->build;
    const size_t n = b->n - r->first;
    sp_stored_tensor *tensors = b->tensors + r->first;
    if (n > 1) qsort(tensors, n, sizeof *tensors, by_offset);
    uint64_t at = 0;
    for (size_t i = 0; i < n; i++) {
        if (tensors[i].offset != at) {
            sp_build_fail(b, &tensors[i], SP_E_INCONSISTENT, "the data of the tensor %s",
                          tensors[i].offset > at ? "leaves a hole before it"
                                                 : "overlaps another's");
            sp_fail_value(b->err, "begins at byte %" PRIu64, tensors[i].offset);
            return sp_fail_range(b->err, "%" PRIu64, at);
        }
        at += tensors[i].t.bytes;
    }
    if (at == r->data_bytes) return SP_OK;
    sp_fail(b->err, SP_E_INCONSISTENT, "bytes follow behind the data of the last tensor");
    sp_fail_value(b->err, "%" PRIu64 " bytes of data", r->data_bytes);
    sp_fail_range(b->err, "%" PRIu64, at);
    return sp_fail_file(b->err, r->bytes.file);
}

static sp_status read_text(header_reader *r)
{
    uint64_t length = 0;
    SP_TRY(sp_bytes_uint(&r->bytes, LENGTH_BYTES, &length, "the length of its header"));
    const uint64_t left = r->bytes.size - LENGTH_BYTES;
    if (length > MAX_HEADER_BYTES || length > left) {
        sp_fail(r->build->err, length > MAX_HEADER_BYTES ? SP_E_OVERFLOW : SP_E_SYNTAX,
                length > MAX_HEADER_BYTES ? "the header would be longer than safetensors allows"
                                          : "the header would be longer than the file");
        sp_fail_value(r->build->err, "%" PRIu64 " bytes", length);
        sp_fail_range(r->build->err, "at most %" PRIu64,
                      left < MAX_HEADER_BYTES ? left : MAX_HEADER_BYTES);
        return sp_fail_file(r->build->err, r->bytes.file);
    }
    r->data_bytes = left - length;
    for (uint64_t done = 0; done < length;) {
        char block[4096];
        const size_t n = length - done < sizeof block ? (size_t)(length - done) : sizeof block;
        SP_TRY(sp_bytes_read(&r->bytes, block, n, "its header"));
        sp_text_add_n(&r->text, block, n);
        done += n;
    }
    if (r->text.failed) return sp_fail(r->build->err, SP_E_MEMORY, "the checkpoint needs more");
    return SP_OK;
}

sp_status sp_safetensors_read(sp_checkpoint_build *b, uint32_t file_idx)
{
    header_reader r = {.build = b, .file_idx = file_idx, .first = b->n};
    SP_TRY(sp_bytes_open(&r.bytes, b->files[file_idx], b->err));
    sp_status status = read_text(&r);
    if (status == SP_OK) status = read_tensors(&r);
    if (status == SP_OK) status = check_cover(&r);
    sp_text_fini(&r.text);
    sp_text_fini(&r.scratch);
    sp_bytes_close(&r.bytes);
    return status;
}
