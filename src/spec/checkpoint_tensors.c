/* SPDX-License-Identifier: Apache-2.0 */
/* The tensors of a checkpoint while its files are read: a growing list, their sizes worked out with
 * checked arithmetic, and sorted by name at the end. */
#include "spec/checkpoint_priv.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static sp_status fail_memory(const sp_checkpoint_build *b)
{
    return sp_fail(b->err, SP_E_MEMORY, "the checkpoint needs more");
}

/* Room for one more. */
static sp_status grow(sp_checkpoint_build *b)
{
    if (b->n < b->capacity) return SP_OK;
    if (b->n == SP_CHECKPOINT_MAX_TENSORS) {
        sp_fail(b->err, SP_E_OVERFLOW, "the checkpoint has more tensors than any we read");
        return sp_fail_range(b->err, "at most %u", SP_CHECKPOINT_MAX_TENSORS);
    }
    const size_t capacity = b->capacity > 0 ? 2 * b->capacity : 256;
    sp_stored_tensor *tensors = sp_realloc(b->tensors, capacity * sizeof *tensors);
    if (!tensors) return fail_memory(b);
    b->tensors = tensors;
    b->capacity = capacity;
    return SP_OK;
}

sp_status sp_build_tensor(sp_checkpoint_build *b, const char *name, sp_stored_tensor **out)
{
    SP_TRY(grow(b));
    const char *copy = sp_arena_strdup(b->arena, name);
    if (!copy) return fail_memory(b);
    sp_stored_tensor *tensor = &b->tensors[b->n++];
    *tensor = (sp_stored_tensor){.t.name = copy};
    *out = tensor;
    return SP_OK;
}

void sp_checkpoint_tell_tensor(const char *name, sp_error *err)
{
    snprintf(err->path, sizeof err->path, "%s", name);
}

sp_status sp_build_fail(sp_checkpoint_build *b, const sp_stored_tensor *tensor, sp_status status,
                        const char *format, ...)
{
    char message[sizeof b->err->message];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    sp_fail(b->err, status, "%s", message);
    sp_checkpoint_tell_tensor(tensor->t.name, b->err);
    return sp_fail_file(b->err, b->files[tensor->t.file_idx]);
}

sp_status sp_build_sizes(sp_checkpoint_build *b, sp_stored_tensor *tensor)
{
    sp_checkpoint_tensor *t = &tensor->t;
    const sp_stored_type *type = tensor->type;
    assert(type && type->elements > 0);
    uint64_t elements = 1;
    for (uint32_t i = 0; i < t->n_dims; i++) {
        if (!sp_mul_u64(elements, t->shape[i], &elements)) {
            return sp_build_fail(b, tensor, SP_E_OVERFLOW, "the shape has more than 2^64 elements");
        }
    }
    if (elements % type->elements != 0) {
        sp_build_fail(b, tensor, SP_E_INCONSISTENT, "%s comes in blocks of %u elements", type->name,
                      type->elements);
        return sp_fail_value(b->err, "%" PRIu64 " elements", elements);
    }
    t->dtype = type->name;
    t->elements = elements;
    if (!sp_mul_u64(elements / type->elements, type->bytes, &t->bytes)) {
        return sp_build_fail(b, tensor, SP_E_OVERFLOW, "the shape has more than 2^64 bytes");
    }
    return SP_OK;
}

void sp_build_note(sp_checkpoint_build *b, const char *format, ...)
{
    char note[512];
    va_list args;
    va_start(args, format);
    vsnprintf(note, sizeof note, format, args);
    va_end(args);
    assert(b->c.n_notes < SP_CHECKPOINT_MAX_NOTES);
    const char *copy = sp_arena_strdup(b->arena, note);
    if (!copy) {
        b->no_memory = true;
        return;
    }
    b->notes[b->c.n_notes++] = copy;
}

static int compare(const void *a, const void *b)
{
    const sp_stored_tensor *left = a, *right = b;
    return strcmp(left->t.name, right->t.name);
}

sp_status sp_build_sort(sp_checkpoint_build *b)
{
    if (b->n > 1) qsort(b->tensors, b->n, sizeof *b->tensors, compare);
    for (size_t i = 1; i < b->n; i++) {
        const sp_stored_tensor *t = &b->tensors[i];
        if (strcmp(t[-1].t.name, t->t.name) != 0) continue;
        const char *other = b->files[t[-1].t.file_idx], *here = b->files[t->t.file_idx];
        if (strcmp(other, here) == 0) {
            return sp_build_fail(b, t, SP_E_INCONSISTENT, "the tensor stands twice in the file");
        }
        return sp_build_fail(b, t, SP_E_INCONSISTENT, "the tensor stands in %s too", other);
    }
    return SP_OK;
}

sp_stored_tensor *sp_build_find(const sp_checkpoint_build *b, const char *name)
{
    if (b->n == 0) return NULL;
    const sp_stored_tensor key = {.t.name = name};
    return bsearch(&key, b->tensors, b->n, sizeof *b->tensors, compare);
}
