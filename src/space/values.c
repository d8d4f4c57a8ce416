/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of an axis's values. */
#include "space/values.h"

#include "base/base.h"

#include <stdlib.h>

void sp_values_add(sp_values *l, uint64_t value)
{
    if (l->n == l->capacity && !l->failed) {
        const uint32_t capacity = l->capacity == 0 ? 64 : 2 * l->capacity;
        uint32_t *grown = sp_realloc(l->values, capacity * sizeof *grown);
        l->failed = grown == NULL;
        if (grown != NULL) {
            l->values = grown;
            l->capacity = capacity;
        }
    }
    if (!l->failed) l->values[l->n++] = (uint32_t)value;
}

static int ascending(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

void sp_values_sort_distinct(sp_values *l)
{
    if (l->n < 2) return;
    qsort(l->values, l->n, sizeof *l->values, ascending);
    uint32_t kept = 1;
    for (uint32_t i = 1; i < l->n; i++) {
        if (l->values[i] != l->values[kept - 1]) l->values[kept++] = l->values[i];
    }
    l->n = kept;
}

/* The divisors of n from lo to hi. */
void sp_values_add_divisors(sp_values *l, uint64_t n, uint64_t lo, uint64_t hi)
{
    for (uint64_t i = 1; i * i <= n; i++) {
        if (n % i != 0) continue;
        if (i >= lo && i <= hi) sp_values_add(l, i);
        if (n / i >= lo && n / i <= hi) sp_values_add(l, n / i);
    }
    sp_values_sort_distinct(l);
}

void sp_values_add_range(sp_values *l, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        sp_values_add(l, i);
    }
}
