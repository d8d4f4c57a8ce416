/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that is given out in pieces and freed at once. An arena is a list of chunks; pieces are
 * cut from the front of the head chunk:
 *
 *     head -> [header|piece|piece|....free....] -> [header|pieces] -> NULL
 *
 * A piece too large for that gets a chunk of its own behind the head, whose free part stays usable.
 */
#include "base/base.h"

#include <assert.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { ALIGNMENT = 16, CHUNK_BYTES = 32 * 1024 };

struct sp_arena_chunk {
    struct sp_arena_chunk *next;
    size_t used, capacity;
    alignas(ALIGNMENT) unsigned char data[];
};

static struct sp_arena_chunk *new_chunk(size_t capacity)
{
    struct sp_arena_chunk *chunk = sp_alloc(sizeof *chunk + capacity);
    if (chunk) chunk->capacity = capacity;
    return chunk;
}

/* The chunk to cut `bytes` from; NULL when memory is gone. */
static struct sp_arena_chunk *chunk_for(sp_arena *arena, size_t bytes)
{
    struct sp_arena_chunk *head = arena->head;
    if (head && bytes <= head->capacity - head->used) return head;
    const bool large = bytes > CHUNK_BYTES / 4;
    struct sp_arena_chunk *chunk = new_chunk(large ? bytes : CHUNK_BYTES);
    if (!chunk) return NULL;
    if (large && head) {
        chunk->next = head->next;
        head->next = chunk;
    } else {
        chunk->next = head;
        arena->head = chunk;
    }
    return chunk;
}

void *sp_arena_alloc(sp_arena *arena, size_t bytes)
{
    assert(arena);
    if (bytes > SIZE_MAX / 2) return NULL;
    const size_t rounded = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    struct sp_arena_chunk *chunk = chunk_for(arena, rounded);
    if (!chunk) return NULL;
    void *piece = chunk->data + chunk->used;
    chunk->used += rounded;
    assert(chunk->used <= chunk->capacity);
    return piece;
}

char *sp_arena_strdup(sp_arena *arena, const char *text)
{
    assert(text);
    const size_t length = strlen(text);
    char *copy = sp_arena_alloc(arena, length + 1);
    if (copy) memcpy(copy, text, length + 1);
    return copy;
}

char *sp_arena_printf(sp_arena *arena, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (length < 0) return NULL;
    char *text = sp_arena_alloc(arena, (size_t)length + 1);
    if (!text) return NULL;
    va_start(args, format);
    vsnprintf(text, (size_t)length + 1, format, args);
    va_end(args);
    return text;
}

void sp_arena_fini(sp_arena *arena)
{
    for (struct sp_arena_chunk *chunk = arena->head; chunk;) {
        struct sp_arena_chunk *next = chunk->next;
        sp_free(chunk);
        chunk = next;
    }
    arena->head = NULL;
}
