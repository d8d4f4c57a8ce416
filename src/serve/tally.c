/* SPDX-License-Identifier: Apache-2.0 */
/* Means and tails: of values kept one by one, or of so many that they are counted by size, each
 * octave in equal parts. */
#include "serve/sim.h"

#include <math.h>
#include <stdlib.h>

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double quantile(const double *sorted, uint64_t n, double q)
{
    const double at = q * (double)(n - 1);
    const uint64_t below = (uint64_t)at, above = below + 1 < n ? below + 1 : below;
    return sorted[below] + (at - (double)below) * (sorted[above] - sorted[below]);
}

sp_tail sp_tail_of(double *values, uint64_t n)
{
    double sum = 0.0;
    if (n == 0) return (sp_tail){0};
    qsort(values, n, sizeof *values, ascending);
    for (uint64_t i = 0; i < n; i++) {
        sum += values[i];
    }
    return (sp_tail){.mean = sum / (double)n,
                     .p50 = quantile(values, n, 0.5),
                     .p90 = quantile(values, n, 0.9),
                     .p95 = quantile(values, n, 0.95),
                     .p99 = quantile(values, n, 0.99)};
}

#define LEAST_EXPONENT (-30)

static uint32_t part_of(double value)
{
    int exponent = 0;
    const double m = frexp(value, &exponent); /* 0.5 <= m < 1 */
    if (value <= 0.0 || exponent <= LEAST_EXPONENT) return 0;
    const uint32_t octave = (uint32_t)(exponent - LEAST_EXPONENT - 1);
    if (octave >= SP_TALLY_OCTAVES) return SP_TALLY_OCTAVES * SP_TALLY_PARTS - 1;
    return octave * SP_TALLY_PARTS + (uint32_t)((2.0 * m - 1.0) * SP_TALLY_PARTS);
}

static double middle_of(uint32_t part)
{
    const double m = 1.0 + (part % SP_TALLY_PARTS + 0.5) / SP_TALLY_PARTS;
    return ldexp(m, (int)(part / SP_TALLY_PARTS) + LEAST_EXPONENT);
}

void sp_tally_add(sp_tally *tally, double value, double times)
{
    tally->n += times;
    tally->sum += times * value;
    tally->count[part_of(value)] += times;
}

static double tally_quantile(const sp_tally *tally, double q)
{
    double below = 0.0;
    uint32_t part = 0;
    while (part + 1 < SP_TALLY_OCTAVES * SP_TALLY_PARTS &&
           below + tally->count[part] <= q * tally->n) {
        below += tally->count[part++];
    }
    return middle_of(part);
}

sp_tail sp_tally_tail(const sp_tally *tally)
{
    if (tally->n <= 0.0) return (sp_tail){0};
    return (sp_tail){.mean = tally->sum / tally->n,
                     .p50 = tally_quantile(tally, 0.5),
                     .p90 = tally_quantile(tally, 0.9),
                     .p95 = tally_quantile(tally, 0.95),
                     .p99 = tally_quantile(tally, 0.99)};
}
