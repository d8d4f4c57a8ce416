/* SPDX-License-Identifier: Apache-2.0 */
/* From a path to a checkpoint: which files are meant, the reader of their format, and the sums over
 * what it found. */
#include "shardplan/checkpoint.h"

#include "spec/checkpoint_priv.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_DTYPES = 64 };

static bool ends_with(const char *text, const char *ending)
{
    const size_t length = strlen(text), n = strlen(ending);
    return length > n && strcmp(text + length - n, ending) == 0;
}

/* ---- which files ---- */

/* The entries of a folder that end so. */
typedef struct listing {
    const char *const *names;
    size_t n;
} listing;

static sp_status list(sp_arena *arena, const char *dir, const char *ending, listing *out,
                      sp_error *err)
{
    *out = (listing){0};
    return sp_dir_names(arena, dir, ending, &out->names, &out->n, err);
}

static const char *in_folder(sp_arena *arena, const char *dir, const char *name, const char *ending)
{
    const bool slash = dir[strlen(dir) - 1] == '/';
    return sp_arena_printf(arena, slash ? "%s%s%s" : "%s/%s%s", dir, name, ending);
}

static sp_status fail_memory(sp_error *err)
{
    return sp_fail(err, SP_E_MEMORY, "the checkpoint needs more");
}

static sp_status read_safetensors(sp_checkpoint_build *b)
{
    b->c.format = SP_CHECKPOINT_SAFETENSORS;
    for (uint32_t i = 0; i < b->c.n_files; i++)
        SP_TRY(sp_safetensors_read(b, i));
    return sp_build_sort(b);
}

static sp_status read_one(sp_checkpoint_build *b, const char *file, sp_gguf_keys *keys)
{
    if (ends_with(file, ".json")) return sp_index_read(b, file);
    if (ends_with(file, ".gguf")) {
        b->c.format = SP_CHECKPOINT_GGUF;
        return sp_gguf_read(b, file, keys);
    }
    b->files = sp_arena_alloc(b->arena, sizeof *b->files);
    if (!b->files) return fail_memory(b->err);
    b->files[0] = file;
    b->c.n_files = 1;
    return read_safetensors(b);
}

/* Of several of a kind, the one with this name; the only one else; NULL = it is not clear which. */
static const char *choose(const listing *found, const char *usual)
{
    for (size_t i = 0; i < found->n; i++) {
        if (strcmp(found->names[i], usual) == 0) return found->names[i];
    }
    return found->n == 1 ? found->names[0] : NULL;
}

static sp_status fail_several(const char *dir, const listing *found, const char *what,
                              sp_error *err)
{
    sp_fail(err, SP_E_INCONSISTENT, "the folder holds several %s; name the one that is meant",
            what);
    sp_fail_names(err, "", found->names, found->n);
    err->nearest[0] = '\0';
    return sp_fail_file(err, dir);
}

static sp_status read_all(sp_checkpoint_build *b, const char *dir, const listing *found)
{
    if (found->n > SP_CHECKPOINT_MAX_FILES)
        return fail_several(dir, found, "safetensors files", b->err);
    b->files = sp_arena_alloc(b->arena, found->n * sizeof *b->files);
    if (!b->files) return fail_memory(b->err);
    for (size_t i = 0; i < found->n; i++) {
        b->files[i] = in_folder(b->arena, dir, found->names[i], ".safetensors");
        if (!b->files[i]) return fail_memory(b->err);
    }
    b->c.n_files = (uint32_t)found->n;
    sp_build_note(b, "the folder has no index: all of its %zu safetensors files are taken together",
                  found->n);
    return read_safetensors(b);
}

/* Are they one file, or the parts of one? */
static bool are_one(const listing *found)
{
    static const char form[] = "-00001-of-00001";
    const size_t length = strlen(found->names[0]), n = sizeof form - 1;
    if (found->n == 1) return true;
    if (length <= n) return false;
    for (size_t i = 1; i < found->n; i++) {
        const char *name = found->names[i];
        const bool same = strlen(name) == length &&
                          strncmp(name, found->names[0], length - n + 1) == 0 &&
                          strcmp(name + length - 9, found->names[0] + length - 9) == 0;
        if (!same) return false;
    }
    return true;
}

static sp_status read_folder(sp_checkpoint_build *b, const char *dir, sp_gguf_keys *keys)
{
    static const char index_ending[] = ".safetensors.index.json";
    listing index, safetensors, gguf;
    SP_TRY(list(b->arena, dir, index_ending, &index, b->err));
    SP_TRY(list(b->arena, dir, ".safetensors", &safetensors, b->err));
    SP_TRY(list(b->arena, dir, ".gguf", &gguf, b->err));
    const char *name = choose(&index, "model"), *ending = index_ending;
    if (!name && index.n > 1) return fail_several(dir, &index, "indices", b->err);
    if (!name && safetensors.n > 0) {
        name = choose(&safetensors, "model");
        ending = ".safetensors";
        if (!name) return read_all(b, dir, &safetensors);
    }
    if (!name && gguf.n > 0) {
        if (!are_one(&gguf)) return fail_several(dir, &gguf, "GGUF files", b->err);
        name = gguf.names[0];
        ending = ".gguf";
    }
    if (!name) {
        sp_fail(b->err, SP_E_IO,
                "the folder holds no safetensors index, safetensors file or GGUF file");
        return sp_fail_file(b->err, dir);
    }
    const char *file = in_folder(b->arena, dir, name, ending);
    return file ? read_one(b, file, keys) : fail_memory(b->err);
}

bool sp_checkpoint_is(const char *path)
{
    static const char *const endings[] = {".safetensors", ".safetensors.index.json", ".gguf"};
    const size_t n = sizeof endings / sizeof endings[0];
    for (size_t i = 0; i < n; i++) {
        if (ends_with(path, endings[i])) return true;
    }
    if (!sp_dir_exists(path)) return false;
    sp_arena arena = {0};
    sp_error ignored;
    bool found = false;
    for (size_t i = 0; i < n && !found; i++) {
        listing entries;
        found = list(&arena, path, endings[i], &entries, &ignored) == SP_OK && entries.n > 0;
    }
    sp_arena_fini(&arena);
    return found;
}

/* ---- sums ---- */

/* None of the sums overflows: bytes are bounded by the sizes of files, elements by eight times
 * those, and packed parameters are checked here. */
static sp_status add_tensor(sp_checkpoint_build *b, const sp_stored_tensor *tensor)
{
    const sp_checkpoint_tensor *t = &tensor->t;
    sp_checkpoint *c = &b->c;
    bool fits = sp_add_u64(c->elements, t->elements, &c->elements) &&
                sp_add_u64(c->parameters, t->parameters, &c->parameters);
    if (c->n_missing == 0) fits = fits && sp_add_u64(c->bytes, t->bytes, &c->bytes);
    if (t->role == SP_TENSOR_QUANTISATION) c->quantisation_elements += t->elements;
    if (t->role == SP_TENSOR_BUFFER) {
        c->buffer_elements += t->elements;
        c->buffer_bytes += t->bytes;
    }
    if (fits) return SP_OK;
    return sp_build_fail(b, tensor, SP_E_OVERFLOW, "the checkpoint has more than 2^64 parameters");
}

static void add_dtype(sp_checkpoint_build *b, sp_checkpoint_dtype *dtypes,
                      const sp_checkpoint_tensor *t)
{
    uint32_t i = 0;
    while (i < b->c.n_dtypes && strcmp(dtypes[i].name, t->dtype) != 0)
        i++;
    assert(i < MAX_DTYPES);
    if (i == b->c.n_dtypes) dtypes[b->c.n_dtypes++].name = t->dtype;
    dtypes[i].n_tensors++;
    dtypes[i].elements += t->elements;
    dtypes[i].parameters += t->parameters;
    dtypes[i].bytes += t->bytes;
}

static int by_bytes(const void *a, const void *b)
{
    const sp_checkpoint_dtype *left = a, *right = b;
    if (left->bytes != right->bytes) return left->bytes > right->bytes ? -1 : 1;
    return strcmp(left->name, right->name);
}

static sp_status sum(sp_checkpoint_build *b)
{
    sp_checkpoint *c = &b->c;
    sp_checkpoint_dtype *dtypes = sp_arena_alloc(b->arena, MAX_DTYPES * sizeof *dtypes);
    sp_checkpoint_tensor *tensors = sp_arena_alloc(b->arena, (b->n + 1) * sizeof *tensors);
    if (!dtypes || !tensors) return fail_memory(b->err);
    for (size_t i = 0; i < b->n; i++) {
        SP_TRY(add_tensor(b, &b->tensors[i]));
        add_dtype(b, dtypes, &b->tensors[i].t);
        tensors[i] = b->tensors[i].t;
    }
    if (c->n_dtypes > 1) qsort(dtypes, c->n_dtypes, sizeof *dtypes, by_bytes);
    c->dtypes = dtypes;
    c->tensors = tensors;
    c->n_listed = b->n;
    if (c->n_missing > 0) {
        c->parameters = 0;
    } else {
        c->n_tensors = b->n;
    }
    if (c->parameters > 0) {
        c->bits_per_parameter = 8 * (double)(c->bytes - c->buffer_bytes) / (double)c->parameters;
    }
    return SP_OK;
}

static void note_roles(sp_checkpoint_build *b)
{
    const sp_checkpoint *c = &b->c;
    uint64_t n_packed = 0, n_unclear = 0;
    for (size_t i = 0; i < b->n; i++) {
        n_packed += b->tensors[i].t.packed;
        n_unclear += b->tensors[i].t.unclear;
    }
    if (n_packed > 0)
        sp_build_note(b, "%" PRIu64 " tensor(s) hold packed weights, counted unpacked", n_packed);
    if (c->quantisation_elements > 0) {
        sp_build_note(b,
                      "%" PRIu64 " scales, zero points and indices of the quantisation are not "
                      "counted as parameters",
                      c->quantisation_elements);
    }
    if (c->buffer_elements > 0) {
        sp_build_note(b, "%" PRIu64 " elements of buffers are not counted as parameters",
                      c->buffer_elements);
    }
    if (n_unclear > 0) {
        sp_build_note(b,
                      "%" PRIu64 " tensor(s) of whole numbers are counted as they are stored: how "
                      "their weights are packed is not known",
                      n_unclear);
    }
}

static sp_status finish(sp_checkpoint_build *b, const sp_checkpoint **out)
{
    SP_TRY(sp_packing_apply(b));
    SP_TRY(sum(b));
    note_roles(b);
    const char **notes = sp_arena_alloc(b->arena, sizeof b->notes);
    sp_checkpoint *c = sp_arena_alloc(b->arena, sizeof *c);
    if (!notes || !c || b->no_memory) return fail_memory(b->err);
    memcpy(notes, b->notes, sizeof b->notes);
    b->c.notes = notes;
    *c = b->c;
    *out = c;
    return SP_OK;
}

sp_status sp_checkpoint_open(sp_arena *arena, const char *path, sp_gguf_keys *keys,
                             const sp_checkpoint **out, sp_error *err)
{
    assert(arena && path && keys && out && err);
    sp_checkpoint_build b = {.arena = arena, .err = err, .c.path = sp_arena_strdup(arena, path)};
    if (!b.c.path) return fail_memory(err);
    sp_status status = sp_dir_exists(path) ? read_folder(&b, path, keys) : read_one(&b, path, keys);
    if (status == SP_OK) status = finish(&b, out);
    sp_free(b.tensors);
    return status;
}

sp_status sp_checkpoint_read(sp_arena *arena, const char *path, const sp_checkpoint **out,
                             sp_error *err)
{
    sp_gguf_keys keys = {0};
    return sp_checkpoint_open(arena, path, &keys, out, err);
}
