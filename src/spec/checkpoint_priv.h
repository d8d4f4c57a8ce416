/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the readers of checkpoints share: a file read forward in bounded pieces, the tensors found
 * so far, and the keys of a GGUF file. */
#include "base/base.h"
#include "shardplan/checkpoint.h"

/* ---- checkpoint_bytes.c: little-endian fields of a file ---------------------------------------
 */
typedef struct sp_bytes {
    const char *file;
    int descriptor;
    uint64_t size;  /* of the file                                                                */
    uint64_t at;    /* of the next byte that is read                                              */
    uint64_t bound; /* reading ends here at the latest: the limit of a header                     */
    unsigned char *buffer; /* holds the bytes from `at` - used on                                 */
    size_t used, filled;
    sp_error *err;
} sp_bytes;
sp_status sp_bytes_open(sp_bytes *b, const char *file, sp_error *err);
void sp_bytes_close(sp_bytes *b);
/* `what` names the field in errors: "the number of tensors". */
sp_status sp_bytes_read(sp_bytes *b, void *out, size_t n, const char *what);
sp_status sp_bytes_skip(sp_bytes *b, uint64_t n, const char *what);
/* A number of 1, 2, 4 or 8 bytes. */
sp_status sp_bytes_uint(sp_bytes *b, size_t n, uint64_t *out, const char *what);
/* n bytes at a place of the file, beside the order of reading. */
sp_status sp_bytes_peek(const sp_bytes *b, uint64_t offset, void *out, size_t n, const char *what);
uint64_t sp_little_endian(const unsigned char *bytes, size_t n);

/* ---- checkpoint_tensors.c: the tensors found so far -------------------------------------------
 */
#define SP_CHECKPOINT_MAX_DIMS    16
#define SP_CHECKPOINT_MAX_TENSORS (1u << 22)
#define SP_CHECKPOINT_MAX_FILES   99999u /* five digits of a shard's number */
#define SP_CHECKPOINT_MAX_NOTES   16

/* `elements` numbers of this type take `bytes` bytes. */
typedef struct sp_stored_type {
    const char *name;
    uint32_t number;
    uint32_t elements, bytes;
    bool whole; /* whole numbers, which may hold packed weights */
} sp_stored_type;

/* A tensor while it is checked and understood. */
typedef struct sp_stored_tensor {
    sp_checkpoint_tensor t;
    const sp_stored_type *type;
    uint64_t offset;   /* of its first byte, from the first byte of its file's data               */
    uint64_t unpacked; /* parameters that the tensor states for the one it describes, 0 = none    */
} sp_stored_tensor;

typedef struct sp_checkpoint_build {
    sp_arena *arena;
    sp_checkpoint c;
    sp_stored_tensor *tensors;
    size_t n, capacity;
    const char *notes[SP_CHECKPOINT_MAX_NOTES];
    const char **files;      /* in the arena                                                      */
    uint64_t trailing_bytes; /* of GGUF files, that no tensor owns                                */
    bool no_memory; /* a note was lost                                                    */
    sp_error *err;
} sp_checkpoint_build;

/* The next tensor, empty but for file and name. */
sp_status sp_build_tensor(sp_checkpoint_build *b, const char *name, sp_stored_tensor **out);
/* Elements and bytes from type and shape. */
sp_status sp_build_sizes(sp_checkpoint_build *b, sp_stored_tensor *tensor);
/* Fails for a tensor: the file, and its name in the path of the error. */
sp_status sp_build_fail(sp_checkpoint_build *b, const sp_stored_tensor *tensor, sp_status status,
                        const char *format, ...) __attribute__((format(printf, 4, 5)));
/* Puts the name of a tensor into the path of an error. */
void sp_checkpoint_tell_tensor(const char *name, sp_error *err);
void sp_build_note(sp_checkpoint_build *b, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Sorts by name; a name that stands twice is refused. */
sp_status sp_build_sort(sp_checkpoint_build *b);
/* NULL = there is none. The tensors are sorted. */
sp_stored_tensor *sp_build_find(const sp_checkpoint_build *b, const char *name);

/* ---- checkpoint_safetensors.c, checkpoint_index.c ---------------------------------------------
 */
/* Adds the tensors of b->files[file_idx]. */
sp_status sp_safetensors_read(sp_checkpoint_build *b, uint32_t file_idx);
sp_status sp_index_read(sp_checkpoint_build *b, const char *path);

/* ---- packing.c: which tensors are weights, and how many parameters are in each -----------------
 */
sp_status sp_packing_apply(sp_checkpoint_build *b);

/* ---- gguf.c, gguf_values.c --------------------------------------------------------------------
 */
/* The value of one key. Strings, and arrays of other than whole numbers, may be left out. */
typedef struct sp_gguf_value {
    const char *key;
    uint32_t type, element_type; /* of arrays */
    uint64_t length;             /* of strings and arrays                                         */
    const char *text;            /* NULL: not kept                                                */
    const int64_t *elements;     /* of an array of whole numbers or truth values, NULL: not kept  */
    int64_t whole;               /* whole numbers and truth values                                */
    double real;
} sp_gguf_value;

enum {
    SP_GGUF_UINT8,
    SP_GGUF_INT8,
    SP_GGUF_UINT16,
    SP_GGUF_INT16,
    SP_GGUF_UINT32,
    SP_GGUF_INT32,
    SP_GGUF_FLOAT32,
    SP_GGUF_BOOL,
    SP_GGUF_STRING,
    SP_GGUF_ARRAY,
    SP_GGUF_UINT64,
    SP_GGUF_INT64,
    SP_GGUF_FLOAT64,
    SP_GGUF_N_TYPES
};

typedef struct sp_gguf_keys {
    sp_gguf_value *values; /* in the arena, sorted by key */
    size_t n;
} sp_gguf_keys;

/* gguf_values.c: `n` keys with their values, the next thing in the file. */
sp_status sp_gguf_read_keys(sp_arena *arena, sp_bytes *bytes, uint64_t n, sp_gguf_keys *keys);
sp_status sp_gguf_read_name(sp_bytes *bytes, uint64_t max, sp_text *out, const char *what);
const sp_gguf_value *sp_gguf_find(const sp_gguf_keys *keys, const char *key);
bool sp_gguf_is_whole(const sp_gguf_value *value); /* a whole number or a truth value */

/* gguf.c: adds the tensors of all parts; the keys are those of the first part. */
sp_status sp_gguf_read(sp_checkpoint_build *b, const char *path, sp_gguf_keys *keys);

/* checkpoint.c: reads everything but the keys' meaning; *keys stays empty for safetensors. */
sp_status sp_checkpoint_open(sp_arena *arena, const char *path, sp_gguf_keys *keys,
                             const sp_checkpoint **out, sp_error *err);
