/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The values of an axis while they are gathered, for plans of training and of serving. */
#include <stdbool.h>
#include <stdint.h>

typedef struct sp_values {
    uint32_t *values; /* freed with sp_free */
    uint32_t n, capacity;
    bool failed; /* memory is gone: the list is incomplete */
} sp_values;

void sp_values_add(sp_values *l, uint64_t value); /* below 2^32 */
/* 0 .. n - 1 */
void sp_values_add_range(sp_values *l, uint32_t n);
/* The divisors of n from lo to hi; the list is then ascending and distinct. */
void sp_values_add_divisors(sp_values *l, uint64_t n, uint64_t lo, uint64_t hi);
void sp_values_sort_distinct(sp_values *l);
