/* SPDX-License-Identifier: Apache-2.0 */
/* Chance that is the same on every machine: a generator, and gamma variates from it, with a
 * logarithm of its own since libraries differ in the last bit. */
#include "serve/sim.h"

#include <assert.h>
#include <math.h>

sp_chance sp_chance_make(uint64_t seed)
{
    return (sp_chance){.state = seed * UINT64_C(2) + 1};
}

/* xorshift64*, Vigna, ACM TOMS 42(4), 2016. */
double sp_chance_even(sp_chance *chance)
{
    chance->state ^= chance->state >> 12;
    chance->state ^= chance->state << 25;
    chance->state ^= chance->state >> 27;
    return (double)((chance->state * UINT64_C(2685821657736338717)) >> 11) * 0x1p-53;
}

/* x = m 2^e with m about 1; ln m = 2 artanh((m - 1) / (m + 1)), whose series ends below 1e-16 after
 * 20 terms where m lies within sqrt(1/2) and sqrt(2). */
double sp_ln(double x)
{
    int exponent = 0;
    double m = frexp(x, &exponent);
    if (m < 0.70710678118654752) {
        m *= 2.0;
        exponent--;
    }
    const double z = (m - 1.0) / (m + 1.0), z2 = z * z;
    double sum = 0.0;
    for (int i = 39; i >= 1; i -= 2) {
        sum = sum * z2 + 1.0 / i;
    }
    return 2.0 * z * sum + exponent * 0.69314718055994531;
}

/* e^x for x <= 0, by halves and a series. */
static double exp_down(double x)
{
    double sum = 1.0, part = x / 1024.0;
    const double r = x / 1024.0;
    if (x < -700.0) return 0.0;
    for (int i = 2; i < 14; i++) {
        sum += part;
        part *= r / i;
    }
    for (int i = 0; i < 10; i++) {
        sum *= sum;
    }
    return sum;
}

/* Marsaglia's polar method. */
static double normal(sp_chance *chance)
{
    for (;;) {
        const double x = 2.0 * sp_chance_even(chance) - 1.0;
        const double y = 2.0 * sp_chance_even(chance) - 1.0;
        const double r = x * x + y * y;
        if (r > 0.0 && r < 1.0) return x * sqrt(-2.0 * sp_ln(r) / r);
    }
}

/* Marsaglia, Tsang, ACM TOMS 26(3), 2000: shapes of 1 and more. */
static double gamma_of(sp_chance *chance, double shape)
{
    const double d = shape - 1.0 / 3.0, c = 1.0 / sqrt(9.0 * d);
    for (;;) {
        const double x = normal(chance), root = 1.0 + c * x, v = root * root * root;
        const double u = 1.0 - sp_chance_even(chance);
        if (v > 0.0 && sp_ln(u) < 0.5 * x * x + d - d * v + d * sp_ln(v)) return d * v;
    }
}

double sp_chance_gamma(sp_chance *chance, double variance)
{
    assert(variance >= 0.0);
    if (variance <= 0.0) return 1.0;
    if (variance == 1.0) return -sp_ln(1.0 - sp_chance_even(chance));
    const double shape = 1.0 / variance;
    if (shape >= 1.0) return gamma_of(chance, shape) / shape;
    const double u = 1.0 - sp_chance_even(chance);
    return gamma_of(chance, shape + 1.0) * exp_down(sp_ln(u) / shape) / shape;
}
