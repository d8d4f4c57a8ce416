/* SPDX-License-Identifier: Apache-2.0 */
/* The genetic search of LLM-para against ours, on its objectives by its own formulas: the same
 * value for each of its points, and points at least as good as its own. */
#include "sweep_records.h"

#include <math.h>
#include <string.h>

#define PERF_UNIT 1e12
#define GB        1e9

/* Its problem: genes in its units, its three objectives (turned so that less is better), its
 * limits. */
typedef struct reference_problem {
    reference_rows rows;
    sp_economics money;
    sp_silicon silicon;
    bool constrained;
} reference_problem;

static sp_chip chip_of(const double *genes)
{
    return (sp_chip){genes[0] * PERF_UNIT, genes[1] * GB, genes[2] * GB, genes[3], genes[4]};
}

static double evaluate(const void *user, const double *genes, double *objectives)
{
    const reference_problem *p = user;
    const sp_chip chip = chip_of(genes);
    objectives[0] = -reference_attained_tflops(&p->rows, &chip);
    objectives[1] = -reference_gflops_per_watt(&p->rows, &chip);
    objectives[2] = sp_own(&chip, &p->money).usd_per_eflop;
    return p->constrained ? sp_silicon_excess_ratio(&p->silicon, &chip) : 0.0;
}

static reference_problem problem_of(const sp_json *record)
{
    reference_problem p = {
        .money = {.lifetime_years = 3.0,
                  .utilization_ratio = 0.5,
                  .pue = 1.3,
                  .usd_per_kwh = 0.1,
                  .compute_power_ratio = 0.55}
    };
    sp_error err = {0};
    reference_rows_of(record, &p.rows);
    must(sp_silicon_load(source_home(), &p.silicon, &err), &err);
    must(sp_json_bool_or(record, "use_constraints", false, &p.constrained, &err), &err);
    return p;
}

enum { MAX_POINTS = 512 };

/* Points of a population by its objectives. */
typedef struct cloud {
    const reference_problem *problem;
    uint32_t n;
    double objectives[MAX_POINTS][3];
} cloud;

static void genes_of(const sp_json *point, double *genes)
{
    static const char *const keys[] = {"peak_performance_tflops", "memory_bandwidth_gbs",
                                       "memory_capacity_gb", "tdp_w", "cost_usd"};
    for (size_t g = 0; g < 5; g++) {
        genes[g] = reference_number(point, keys[g]);
    }
}

static void take_point(const sp_json *point, void *user)
{
    cloud *c = user;
    double genes[5];
    assert_true(c->n < MAX_POINTS);
    genes_of(point, genes);
    double *at = c->objectives[c->n++];
    const double violation = evaluate(c->problem, genes, at);
    assert_close(-at[0], reference_number(point, "avg_attain_tflops"), 1e-9);
    assert_close(-at[1], reference_number(point, "energy_efficiency_gflops_per_w"), 1e-9);
    assert_close(at[2], reference_number(point, "tco_per_eflop_usd"), 1e-9);
    if (c->problem->constrained) {
        bool feasible = false;
        sp_error err = {0};
        must(sp_json_bool_or(point, "feasible", false, &feasible, &err), &err);
        assert_int_equal(violation == 0.0, feasible);
    }
}

static void take_points(const sp_json *record, cloud *c)
{
    for (size_t i = 0; i < reference_count(record, "points"); i++) {
        reference_element(record, "points", i, take_point, c);
    }
}

static void recompute(const sp_json *record, void *user)
{
    const reference_problem p = problem_of(record);
    cloud c = {.problem = &p};
    (void)user;
    take_points(record, &c);
    assert_true(c.n > 0);
}

static void each_point_has_its_objectives_again(void **state)
{
    (void)state;
    reference_each("nsga2", recompute, NULL);
}

/* Area between the front of speed against cost and the corner (0, 10^6). */
static double hypervolume(const cloud *c)
{
    double x[MAX_POINTS], y[MAX_POINTS], area = 0.0, below = 1e6;
    uint32_t order[MAX_POINTS];
    for (uint32_t i = 0; i < c->n; i++) {
        x[i] = -c->objectives[i][0];
        y[i] = c->objectives[i][2];
    }
    const uint32_t n = sp_front_2d(x, y, c->n, order);
    for (uint32_t i = n; i-- > 0;) {
        const double left = i + 1 < n ? x[order[i + 1]] : 0.0;
        area += (x[order[i]] - left) * (below - y[order[i]]);
    }
    return area;
}

static bool is_matched(const cloud *ours, const double *point)
{
    for (uint32_t i = 0; i < ours->n; i++) {
        const double *at = ours->objectives[i];
        if (at[0] <= point[0] && at[1] <= point[1] && at[2] <= point[2]) return true;
    }
    return false;
}

static void evolve(const reference_problem *p, uint32_t n, uint32_t generations, uint64_t seed,
                   cloud *ours)
{
    const sp_evolve_problem problem = {
        .n_genes = 5,
        .n_objectives = 3,
        .lo = {0.5,   5.0,    2.0,   2.0,   50.0   },
        .hi = {500.0, 5000.0, 512.0, 750.0, 50000.0},
        .evaluate = evaluate,
        .user = p
    };
    sp_arena arena = {0};
    sp_error err = {0};
    const sp_individual *all = NULL;
    must(sp_evolve(&arena, &problem, n, generations, seed, &all, &err), &err);
    *ours = (cloud){.problem = p};
    for (uint32_t i = 0; i < n; i++) {
        if (all[i].violation == 0.0) memcpy(ours->objectives[ours->n++], all[i].objectives, 24);
    }
    sp_arena_fini(&arena);
}

static double share_matched(const cloud *theirs, const cloud *ours)
{
    uint32_t n_matched = 0;
    for (uint32_t i = 0; i < theirs->n; i++) {
        n_matched += is_matched(ours, theirs->objectives[i]);
    }
    return (double)n_matched / theirs->n;
}

/* A larger volume than its own is no fault; a smaller one would be, beyond 2 %. */
static void contest(const sp_json *record, void *user)
{
    const reference_problem p = problem_of(record);
    static cloud theirs, ours;
    (void)user;
    theirs = (cloud){.problem = &p};
    take_points(record, &theirs);
    evolve(&p, 400, 150, 7, &ours);
    const double reference = reference_number(record, "hypervolume_2d_ref0_1e6");
    const double ratio = hypervolume(&ours) / reference, share = share_matched(&theirs, &ours);
    print_message("%s: hypervolume %.4f of its own, %.0f %% of its points matched\n",
                  reference_text(record, "model_preset"), ratio, 100.0 * share);
    assert_close(hypervolume(&theirs), reference, 1e-9);
    assert_true(ratio >= 0.98);
    assert_true(share >= 0.95);
}

static void our_front_is_as_large_and_as_good_as_its_own(void **state)
{
    (void)state;
    reference_each("nsga2", contest, NULL);
}

/* Its population and its generations: 100 x 20. The mean of three seeds. */
static void contest_equal(const sp_json *record, void *user)
{
    const reference_problem p = problem_of(record);
    static cloud ours;
    double ratio = 0.0;
    (void)user;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        evolve(&p, 100, 20, seed, &ours);
        ratio += hypervolume(&ours) / reference_number(record, "hypervolume_2d_ref0_1e6") / 3.0;
    }
    print_message("%s: with as many evaluations %.4f of its own\n",
                  reference_text(record, "model_preset"), ratio);
    assert_true(ratio >= 0.98);
}

static void as_many_evaluations_find_no_smaller_front(void **state)
{
    (void)state;
    reference_each("nsga2", contest_equal, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_point_has_its_objectives_again),
        cmocka_unit_test(our_front_is_as_large_and_as_good_as_its_own),
        cmocka_unit_test(as_many_evaluations_find_no_smaller_front),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
