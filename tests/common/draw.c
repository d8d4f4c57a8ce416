/* SPDX-License-Identifier: Apache-2.0 */
/* splitmix64 (Steele, Lea, Flood, OOPSLA 2014) and what the laws draw from it. */
#include "common/draw.h"

#include <assert.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

draw draw_begin(const char *law)
{
    const char *asked = getenv("SHARDPLAN_TEST_SEED");
    const uint64_t seed = asked != NULL ? strtoull(asked, NULL, 0) : UINT64_C(20261121);
    print_message("%s: SHARDPLAN_TEST_SEED=%llu\n", law, (unsigned long long)seed);
    return (draw){seed};
}

uint64_t draw_u64(draw *d)
{
    d->state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = d->state;
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

uint32_t draw_between(draw *d, uint32_t lo, uint32_t hi)
{
    assert(lo <= hi);
    return lo + (uint32_t)(draw_u64(d) % ((uint64_t)hi - lo + 1));
}

bool draw_coin(draw *d)
{
    return draw_u64(d) >> 63 != 0;
}

double draw_scale(draw *d, double lo, double hi)
{
    assert(lo > 0.0 && lo <= hi);
    const double unit = (double)(draw_u64(d) >> 11) * 0x1p-53;
    return lo * exp(unit * log(hi / lo));
}

uint32_t draw_divisor(draw *d, uint32_t n, uint32_t most)
{
    uint32_t divisors[1024], count = 0;
    for (uint32_t i = 1; i <= n && i <= most; i++) {
        if (n % i == 0 && count < sizeof divisors / sizeof divisors[0]) divisors[count++] = i;
    }
    assert(count > 0);
    return divisors[draw_between(d, 0, count - 1)];
}
