/* SPDX-License-Identifier: Apache-2.0 */
/* How many tokens the timed rank of a mixture-of-experts measurement serves, and with how many of
 * its experts. Published collectors time the rank with the most tokens, under one of two routings:
 * balanced, or expert loads drawn from a bounded power law. Draws are not recorded, so the mean of
 * a few is taken. Source of the routings: ai-dynamo/aiconfigurator, collector (Apache-2.0). */
#include "fidelity/ops.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAX_EXPERTS 4096u
#define DRAWS       8u

/* Token t chooses experts t, t + stride, t + 2 stride, ...; fewer tokens than a stride are spread.
 */
static sp_load balanced(const sp_routing *r)
{
    uint32_t count[MAX_EXPERTS];
    const uint32_t stride = (r->experts + r->topk - 1) / r->topk;
    const uint32_t own = r->experts / r->ranks;
    memset(count, 0, own * sizeof count[0]);
    for (uint32_t t = 0; t < r->tokens; t++) {
        const uint32_t first =
            r->tokens >= stride ? t % r->experts : (uint32_t)((uint64_t)t * stride / r->tokens);
        for (uint32_t i = 0; i < r->topk; i++) {
            const uint32_t expert = (first + i * stride) % r->experts;
            if (expert < own) count[expert]++;
        }
    }
    sp_load load = {0};
    for (uint32_t e = 0; e < own; e++) {
        load.choices += count[e];
        load.active += count[e] > 0;
    }
    return load;
}

/* SplitMix64 (Steele, Lea, Flood, OOPSLA 2014). */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static void shuffle(double *values, uint32_t n, uint64_t *state)
{
    for (uint32_t i = n; i > 1; i--) {
        const uint32_t k = (uint32_t)(next_random(state) % i);
        const double kept = values[i - 1];
        values[i - 1] = values[k];
        values[k] = kept;
    }
}

/* The quantiles of the law, so that every draw has its mean load. */
static void fill_quantiles(const sp_routing *r, double *load)
{
    const double choices = (double)r->tokens * r->topk;
    const double e = fabs(1.0 - r->alpha) < 1e-6 ? 1e-6 : 1.0 - r->alpha; /* 1/x is a limit */
    const bool many = choices > r->experts;
    const double lo = many ? 1.0 : 0.01, hi = many ? fmax(0.8 * r->tokens, 1.0) : 2.0;
    const double lo_e = pow(lo, e), hi_e = pow(hi, e);
    double sum = 0.0;
    for (uint32_t i = 0; i < r->experts; i++) {
        load[i] = pow((hi_e - lo_e) * ((i + 0.5) / r->experts) + lo_e, 1.0 / e);
        sum += load[i];
    }
    for (uint32_t i = 0; i < r->experts; i++) {
        load[i] *= choices / sum;
    }
}

/* Of the rank with the most tokens. An expert with less than half a token receives none. */
static sp_load busiest(const sp_routing *r, const double *load)
{
    const uint32_t own = r->experts / r->ranks;
    sp_load most = {0};
    for (uint32_t rank = 0; rank < r->ranks; rank++) {
        sp_load here = {0};
        for (uint32_t e = 0; e < own; e++) {
            const double tokens = load[rank * own + e];
            here.choices += tokens;
            here.active += tokens >= 0.5;
        }
        if (here.choices > most.choices) most = here;
    }
    return most;
}

static sp_load power_law(const sp_routing *r)
{
    double load[MAX_EXPERTS];
    uint64_t state = 1;
    sp_load mean = {0};
    fill_quantiles(r, load);
    for (uint32_t i = 0; i < DRAWS; i++) {
        shuffle(load, r->experts, &state);
        const sp_load one = busiest(r, load);
        mean.choices += one.choices / DRAWS;
        mean.active += one.active / DRAWS;
    }
    return mean;
}

sp_load sp_routing_load(const sp_routing *routing)
{
    assert(routing->experts <= MAX_EXPERTS && routing->ranks >= 1 && routing->topk >= 1);
    sp_load load = routing->alpha > 0.0 ? power_law(routing) : balanced(routing);
    load.choices = fmax(load.choices, 1.0); /* a call with no token at all is not measured */
    load.active = fmax(load.active, 1.0);
    return load;
}
