/* SPDX-License-Identifier: Apache-2.0 */
/* The one door to the heap, so that a test can make any single allocation fail. */
#include "base/base.h"

#include <stdlib.h>

/* The one mutable global of the library. It is written by tests only; otherwise it stays zero and
 * is only read, which any number of threads may do. */
static uint64_t countdown_to_failure;

static bool must_fail(void)
{
    if (countdown_to_failure == 0) return false;
    countdown_to_failure--;
    return countdown_to_failure == 0;
}

void *sp_alloc(size_t bytes)
{
    /* calloc(1, 0) may return NULL, which would read as failure */
    return must_fail() ? NULL : calloc(1, bytes > 0 ? bytes : 1);
}

void *sp_realloc(void *old, size_t bytes)
{
    return must_fail() ? NULL : realloc(old, bytes > 0 ? bytes : 1);
}

void sp_free(void *memory)
{
    free(memory);
}

void sp_alloc_fail_at(uint64_t n)
{
    countdown_to_failure = n;
}
