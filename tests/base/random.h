/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Random numbers for the tests of this room: splitmix64 (Steele, Lea, Flood, OOPSLA 2014), the same
 * on every machine for the same seed. */
#include <stddef.h>
#include <stdint.h>

static inline uint64_t random_u64(uint64_t *state)
{
    *state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = *state;
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* 0 .. n - 1 */
static inline size_t random_below(uint64_t *state, size_t n)
{
    return (size_t)(random_u64(state) % n);
}
