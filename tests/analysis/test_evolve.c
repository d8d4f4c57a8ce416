/* SPDX-License-Identifier: Apache-2.0 */
/* NSGA-II: it finds known fronts, returns to what can be built, repeats itself, and beats a grid of
 * as many evaluations. */
#include "sweep_fixture.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Schaffer's problem on a shifted line: f1 = (x - 3)^2, f2 = (x - 5)^2; 3 <= x <= 5 is optimal. */
static double schaffer(const void *user, const double *genes, double *objectives)
{
    (void)user;
    objectives[0] = (genes[0] - 3.0) * (genes[0] - 3.0);
    objectives[1] = (genes[0] - 5.0) * (genes[0] - 5.0);
    return 0.0;
}

static const sp_evolve_problem line = {
    .n_genes = 1, .n_objectives = 2, .lo = {0.5}, .hi = {50.0}, .evaluate = schaffer};

static const sp_individual *evolve(sp_arena *arena, const sp_evolve_problem *problem, uint32_t n,
                                   uint32_t generations, uint64_t seed)
{
    const sp_individual *all = NULL;
    sp_error err = {0};
    must(sp_evolve(arena, problem, n, generations, seed, &all, &err), &err);
    return all;
}

static void a_known_front_is_found_and_covered(void **state)
{
    sp_arena arena = {0};
    (void)state;
    const sp_individual *all = evolve(&arena, &line, 60, 60, 1);
    bool low = false, high = false;
    for (int i = 0; i < 60; i++) {
        assert_true(all[i].rank == 0);
        assert_true(all[i].genes[0] > 2.99 && all[i].genes[0] < 5.01);
        low = low || all[i].genes[0] < 3.1;
        high = high || all[i].genes[0] > 4.9;
    }
    assert_true(low && high);
    sp_arena_fini(&arena);
}

static void the_same_seed_finds_the_same(void **state)
{
    sp_arena arena = {0};
    (void)state;
    const sp_individual *a = evolve(&arena, &line, 20, 10, 7),
                        *b = evolve(&arena, &line, 20, 10, 7);
    const sp_individual *c = evolve(&arena, &line, 20, 10, 8);
    assert_memory_equal(a, b, 20 * sizeof *a);
    assert_true(memcmp(a, c, 20 * sizeof *a) != 0);
    sp_arena_fini(&arena);
}

/* Only a sliver of the range can be built: x within 1 % of 40, a five-hundredth of all draws. */
static double sliver(const void *user, const double *genes, double *objectives)
{
    (void)user;
    objectives[0] = genes[0];
    return fmax(0.0, fabs(genes[0] / 40.0 - 1.0) - 0.01);
}

static void what_cannot_be_built_is_ordered_by_how_far_off_it_is(void **state)
{
    const sp_evolve_problem problem = {
        .n_genes = 1, .n_objectives = 1, .lo = {0.5}, .hi = {500.0}, .evaluate = sliver};
    sp_arena arena = {0};
    (void)state;
    const sp_individual *all = evolve(&arena, &problem, 8, 40, 3);
    assert_true(all[0].violation == 0.0);
    assert_true(fabs(all[0].genes[0] / 40.0 - 1.0) <= 0.01);
    sp_arena_fini(&arena);
}

static void a_population_must_be_even_and_of_some_size(void **state)
{
    static const uint32_t bad[] = {0, 2, 7, 16386};
    sp_arena arena = {0};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const sp_individual *all = NULL;
        sp_error err = {0};
        assert_int_equal(sp_evolve(&arena, &line, bad[i], 1, 1, &all, &err), SP_E_RANGE);
    }
    sp_arena_fini(&arena);
}

/* ---- against a grid ---- */

enum { N_PER_AXIS = 6, N_GRID = 7776, POPULATION = 96, GENERATIONS = 80 };

static sp_chip chip_of_genes(const double *genes)
{
    sp_chip chip;
    for (uint32_t f = 0; f < SP_CHIP_N_FIGURES; f++) {
        *sp_chip_figure(&chip, f) = genes[f];
    }
    return chip;
}

/* Geometric steps between the ends of the ranges. */
static void make_grid(const sp_sweep *ranges, sp_sweep *grid)
{
    *grid = (sp_sweep){.n_points = N_GRID};
    for (uint32_t f = 0; f < SP_CHIP_N_FIGURES; f++) {
        const double lo = ranges->values[f][0], hi = ranges->values[f][1];
        grid->n_values[f] = N_PER_AXIS;
        for (int v = 0; v < N_PER_AXIS; v++) {
            grid->values[f][v] = lo * pow(hi / lo, v / (N_PER_AXIS - 1.0));
        }
    }
}

typedef struct contest {
    swept s;
    sp_economics money;
    sp_silicon silicon;
    const sp_sweep *ranges;
} contest;

static bool can_be_built(const contest *c, const sp_chip *chip, const sp_chip_price *price)
{
    return price->fits && sp_silicon_excess_ratio(&c->silicon, chip) == 0.0;
}

/* Objectives of a chip as the search sees them. */
static void coordinates(const sp_chip_price *price, double *at)
{
    at[0] = 1.0 / price->tokens_per_s;
    at[1] = price->joules_per_token;
    at[2] = price->usd_per_mtok;
}

static bool matches(const double *a, const double *b)
{
    return a[0] <= b[0] && a[1] <= b[1] && a[2] <= b[2];
}

/* Chips of the grid that can be built, as points. */
static uint32_t price_grid(const contest *c, double (*points)[3])
{
    sp_sweep grid;
    uint32_t n = 0;
    make_grid(c->ranges, &grid);
    for (uint64_t i = 0; i < N_GRID; i++) {
        const sp_chip chip = sp_sweep_chip(&grid, i);
        const sp_chip_price price = sp_chip_evaluate(c->s.workload, &c->money, &chip);
        if (can_be_built(c, &chip, &price)) coordinates(&price, points[n++]);
    }
    return n;
}

static void count_matches(const sp_individual *all, double (*points)[3], uint32_t n,
                          uint32_t *n_grid_matched, uint32_t *n_evolved_matched)
{
    *n_grid_matched = *n_evolved_matched = 0;
    for (uint32_t i = 0; i < n; i++) {
        bool matched = false;
        for (uint32_t e = 0; e < POPULATION; e++) {
            matched = matched || matches(all[e].objectives, points[i]);
        }
        *n_grid_matched += matched;
    }
    for (uint32_t e = 0; e < POPULATION; e++) {
        bool matched = false;
        for (uint32_t i = 0; i < n; i++) {
            matched = matched || matches(points[i], all[e].objectives);
        }
        *n_evolved_matched += matched;
    }
}

/* 96 x 81 = 7,776 evaluations each. Nearly every chip of the grid is matched or beaten in speed,
 * energy and cost by an evolved one, and hardly any evolved chip by one of the grid. */
static void evolution_finds_what_a_grid_of_as_many_evaluations_does_not(void **state)
{
    contest c;
    sp_error err = {0};
    const sp_individual *all = NULL;
    uint32_t n_grid_matched = 0, n_evolved_matched = 0;
    (void)state;
    sweep_setup(&c.s);
    double(*points)[3] = sp_arena_alloc(&c.s.arena, N_GRID * sizeof *points);
    must(sp_economics_load(source_home(), NULL, &c.money, &err), &err);
    must(sp_silicon_load(source_home(), &c.silicon, &err), &err);
    must(sp_sweep_find(&c.s.arena, source_home(), "any-chip", &c.ranges, &err), &err);
    must(sp_evolve_chips(&c.s.arena, c.s.workload, &c.money, &c.silicon, c.ranges, POPULATION,
                         GENERATIONS, 11, &all, &err),
         &err);
    for (int i = 0; i < POPULATION; i++) {
        const sp_chip chip = chip_of_genes(all[i].genes);
        const sp_chip_price price = sp_chip_evaluate(c.s.workload, &c.money, &chip);
        assert_true(can_be_built(&c, &chip, &price));
    }
    const uint32_t n = price_grid(&c, points);
    count_matches(all, points, n, &n_grid_matched, &n_evolved_matched);
    print_message("%u of %u chips of the grid matched, %u of %d evolved ones\n", n_grid_matched, n,
                  n_evolved_matched, POPULATION);
    assert_true(n > 100);
    assert_true(n_grid_matched >= 0.99 * n);
    assert_true(n_evolved_matched <= 0.05 * POPULATION);
    sweep_fini(&c.s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_known_front_is_found_and_covered),
        cmocka_unit_test(the_same_seed_finds_the_same),
        cmocka_unit_test(what_cannot_be_built_is_ordered_by_how_far_off_it_is),
        cmocka_unit_test(a_population_must_be_even_and_of_some_size),
        cmocka_unit_test(evolution_finds_what_a_grid_of_as_many_evaluations_does_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
