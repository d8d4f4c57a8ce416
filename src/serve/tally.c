/* SPDX-License-Identifier: Apache-2.0 */
/* Means and tails: of values kept one by one, or of so many that they are counted by size, each
 * octave in equal parts. */
#include "serve/sim.h"

#include <math.h>

/* The value of rank k among v[from..n) moves to its place, none below it is larger and none above
 * it smaller (Hoare, CACM 4, 1961); what lies before `from` stays. */
static void place(double *v, uint64_t from, uint64_t n, uint64_t k)
{
    uint64_t last = n - 1;
    while (from < last) {
        const double middle = v[from + (last - from) / 2];
        uint64_t i = from, j = last;
        for (;;) {
            while (v[i] < middle) {
                i++;
            }
            while (v[j] > middle) {
                j--;
            }
            if (i >= j) break;
            const double moved = v[i];
            v[i++] = v[j];
            v[j--] = moved;
        }
        if (k <= j) {
            last = j;
        } else {
            from = j + 1;
        }
    }
}

/* *from: ranks below it are in their places already, from a lower q. */
static double quantile(double *v, uint64_t n, double q, uint64_t *from)
{
    const double at = q * (double)(n - 1);
    const uint64_t below = (uint64_t)at, above = below + 1 < n ? below + 1 : below;
    place(v, *from, n, below);
    place(v, below, n, above);
    *from = below;
    return v[below] + (at - (double)below) * (v[above] - v[below]);
}

sp_tail sp_tail_of(double *values, uint64_t n)
{
    double sum = 0.0;
    uint64_t from = 0;
    if (n == 0) return (sp_tail){0};
    for (uint64_t i = 0; i < n; i++) {
        sum += values[i];
    }
    sp_tail tail = {.mean = sum / (double)n};
    tail.p50 = quantile(values, n, 0.5, &from);
    tail.p90 = quantile(values, n, 0.9, &from);
    tail.p95 = quantile(values, n, 0.95, &from);
    tail.p99 = quantile(values, n, 0.99, &from);
    return tail;
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
