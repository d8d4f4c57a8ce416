/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Random inputs of a law: the same on every machine for the same seed, which is printed, so that a
 * failure can be met again with SHARDPLAN_TEST_SEED. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct draw {
    uint64_t state;
} draw;

/* Prints the seed under the name of the law. */
draw draw_begin(const char *law);
uint64_t draw_u64(draw *d);
uint32_t draw_between(draw *d, uint32_t lo, uint32_t hi); /* inclusive */
bool draw_coin(draw *d);
/* Between lo and hi, every factor of ten as likely as the other. */
double draw_scale(draw *d, double lo, double hi);
/* One of the divisors of n that are at most `most`. */
uint32_t draw_divisor(draw *d, uint32_t n, uint32_t most);
