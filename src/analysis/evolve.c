/* SPDX-License-Identifier: Apache-2.0 */
/* NSGA-II: parents by tournament, children by simulated binary crossover and polynomial mutation,
 * and the better half of both lives on. */
#include "analysis/evolve.h"
#include "base/base.h"

#include <assert.h>
#include <math.h>

#define CROSSOVER_INDEX 20.0 /* Deb et al. 2002, section VI: both 20 for real-coded genes */
#define MUTATION_INDEX  20.0
#define CROSSOVER_SHARE 0.5  /* of the genes of a pair */
#define WIDE_RANGE      10.0 /* above it genes live in their logarithm */
#define MAX_POPULATION  16384

/* SplitMix64 (Steele, Lea, Flood, OOPSLA 2014). */
static uint64_t next_u64(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* In 0 .. 1, 1 excluded. */
static double next_ratio(uint64_t *state)
{
    return (double)(next_u64(state) >> 11) * 0x1p-53;
}

static uint32_t next_index(uint64_t *state, uint32_t n)
{
    return (uint32_t)(next_u64(state) % n);
}

/* ---- genes on the scale on which they are mixed ---- */

typedef struct scale {
    double lo, hi;
    bool logarithmic;
} scale;

static scale scale_of(const sp_evolve_problem *problem, uint32_t gene)
{
    const double lo = problem->lo[gene], hi = problem->hi[gene];
    const bool wide = hi / lo > WIDE_RANGE;
    return (scale){wide ? log(lo) : lo, wide ? log(hi) : hi, wide};
}

static double on_scale(const scale *s, double gene)
{
    return s->logarithmic ? log(gene) : gene;
}

/* The ends are themselves, not exp(log(end)). */
static double off_scale(const scale *s, double at, const sp_evolve_problem *problem, uint32_t gene)
{
    if (at <= s->lo) return problem->lo[gene];
    if (at >= s->hi) return problem->hi[gene];
    return s->logarithmic ? exp(at) : at;
}

static double spread_factor(double u)
{
    const double power = 1.0 / (CROSSOVER_INDEX + 1.0);
    return u <= 0.5 ? pow(2.0 * u, power) : pow(1.0 / (2.0 * (1.0 - u)), power);
}

static void cross(const sp_evolve_problem *problem, uint64_t *random, sp_individual *a,
                  sp_individual *b)
{
    for (uint32_t g = 0; g < problem->n_genes; g++) {
        if (next_ratio(random) >= CROSSOVER_SHARE) continue;
        const scale s = scale_of(problem, g);
        const double beta = spread_factor(next_ratio(random));
        const double x = on_scale(&s, a->genes[g]), y = on_scale(&s, b->genes[g]);
        const double middle = 0.5 * (x + y), half = 0.5 * beta * (x - y);
        a->genes[g] = off_scale(&s, middle + half, problem, g);
        b->genes[g] = off_scale(&s, middle - half, problem, g);
    }
}

static void mutate(const sp_evolve_problem *problem, uint64_t *random, sp_individual *a)
{
    const double power = 1.0 / (MUTATION_INDEX + 1.0);
    for (uint32_t g = 0; g < problem->n_genes; g++) {
        if (next_ratio(random) * problem->n_genes >= 1.0) continue;
        const scale s = scale_of(problem, g);
        const double u = next_ratio(random);
        const double delta =
            u < 0.5 ? pow(2.0 * u, power) - 1.0 : 1.0 - pow(2.0 * (1.0 - u), power);
        a->genes[g] = off_scale(&s, on_scale(&s, a->genes[g]) + delta * (s.hi - s.lo), problem, g);
    }
}

/* ---- generations ---- */

static void judge(const sp_evolve_problem *problem, sp_individual *a)
{
    a->violation = problem->evaluate(problem->user, a->genes, a->objectives);
}

static void draw_first(const sp_evolve_problem *problem, uint64_t *random, sp_individual *a)
{
    for (uint32_t g = 0; g < problem->n_genes; g++) {
        const scale s = scale_of(problem, g);
        a->genes[g] = off_scale(&s, s.lo + next_ratio(random) * (s.hi - s.lo), problem, g);
    }
    judge(problem, a);
}

static const sp_individual *tournament(uint64_t *random, const sp_individual *all, uint32_t n)
{
    const sp_individual *a = &all[next_index(random, n)];
    const sp_individual *b = &all[next_index(random, n)];
    if (a->rank != b->rank) return a->rank < b->rank ? a : b;
    return a->crowding >= b->crowding ? a : b;
}

/* Parents are the first n, children the n behind them. */
static void breed(const sp_evolve_problem *problem, uint64_t *random, sp_individual *all,
                  uint32_t n)
{
    for (uint32_t i = n; i < 2 * n; i += 2) {
        sp_individual a = *tournament(random, all, n);
        sp_individual b = *tournament(random, all, n);
        cross(problem, random, &a, &b);
        mutate(problem, random, &a);
        mutate(problem, random, &b);
        judge(problem, &a);
        judge(problem, &b);
        all[i] = a;
        all[i + 1] = b;
    }
}

static void order(sp_individual *all, uint32_t n, uint32_t n_objectives, void *scratch)
{
    sp_evolve_rank(all, n, n_objectives, scratch);
    sp_evolve_crowd(all, n, n_objectives, scratch);
    sp_evolve_sort(all, n);
}

static sp_status check(uint32_t population, sp_error *err)
{
    if (population >= 4 && population <= MAX_POPULATION && population % 2 == 0) return SP_OK;
    sp_fail(err, SP_E_RANGE, "a population must be even");
    sp_fail_value(err, "%u", (unsigned)population);
    return sp_fail_range(err, "4 .. %d", MAX_POPULATION);
}

sp_status sp_evolve(sp_arena *arena, const sp_evolve_problem *problem, uint32_t population,
                    uint32_t generations, uint64_t seed, const sp_individual **individuals,
                    sp_error *err)
{
    assert(problem->n_genes <= SP_EVOLVE_MAX_GENES);
    assert(problem->n_objectives <= SP_EVOLVE_MAX_OBJECTIVES);
    SP_TRY(check(population, err));
    const uint32_t n = population;
    uint64_t random = seed;
    sp_individual *all = sp_arena_alloc(arena, 2 * (size_t)n * sizeof *all);
    void *scratch = sp_arena_alloc(arena, sp_evolve_scratch_bytes(2 * n));
    if (all == NULL || scratch == NULL) return sp_fail(err, SP_E_MEMORY, "the search needs more");
    for (uint32_t i = 0; i < n; i++) {
        draw_first(problem, &random, &all[i]);
    }
    order(all, n, problem->n_objectives, scratch);
    for (uint32_t g = 0; g < generations; g++) {
        breed(problem, &random, all, n);
        order(all, 2 * n, problem->n_objectives, scratch);
    }
    *individuals = all;
    return SP_OK;
}
