/* SPDX-License-Identifier: Apache-2.0 */
/* Chips as genes: any figures within a sweep's ranges that silicon allows, by the time, the energy
 * and the money of a token. */
#include "base/base.h"
#include "shardplan/sweep.h"

#include <math.h>

#define FLOPS_PER_TFLOP 1e12
#define BYTES_PER_GB    1e9

static double excess(double value, double limit)
{
    return fmax(0.0, value / limit - 1.0);
}

double sp_silicon_excess_ratio(const sp_silicon *silicon, const sp_chip *chip)
{
    const double tflops_per_s = chip->flops_per_s / FLOPS_PER_TFLOP;
    const double gb_per_s = chip->bytes_per_s / BYTES_PER_GB;
    const double gb = chip->capacity_bytes / BYTES_PER_GB;
    const double mm2 = tflops_per_s * silicon->mm2_per_tflops + gb * silicon->mm2_per_gb;
    const double watts = tflops_per_s * silicon->watts_per_tflops +
                         gb_per_s * silicon->watts_per_gb_per_s +
                         chip->tdp_watts * silicon->static_power_ratio;
    return excess(mm2, silicon->die_mm2) + excess(watts, chip->tdp_watts) +
           excess(gb_per_s / gb, silicon->most_gb_per_s_per_gb);
}

typedef struct chips_problem {
    const sp_workload *workload;
    const sp_economics *money;
    const sp_silicon *silicon;
} chips_problem;

/* A chip that cannot hold the model breaks a constraint too. */
static double evaluate(const void *user, const double *genes, double *objectives)
{
    const chips_problem *p = user;
    sp_chip chip;
    for (uint32_t f = 0; f < SP_CHIP_N_FIGURES; f++) {
        *sp_chip_figure(&chip, f) = genes[f];
    }
    const sp_chip_price price = sp_chip_evaluate(p->workload, p->money, &chip);
    objectives[0] = 1.0 / price.tokens_per_s;
    objectives[1] = price.joules_per_token;
    objectives[2] = price.usd_per_mtok;
    const double missing = sp_workload_memory_bytes(p->workload) / chip.capacity_bytes - 1.0;
    return sp_silicon_excess_ratio(p->silicon, &chip) + fmax(0.0, missing);
}

sp_status sp_evolve_chips(sp_arena *arena, const sp_workload *workload, const sp_economics *money,
                          const sp_silicon *silicon, const sp_sweep *ranges, uint32_t population,
                          uint32_t generations, uint64_t seed, const sp_individual **individuals,
                          sp_error *err)
{
    const chips_problem user = {workload, money, silicon};
    sp_evolve_problem problem = {
        .n_genes = SP_CHIP_N_FIGURES, .n_objectives = 3, .evaluate = evaluate, .user = &user};
    for (uint32_t f = 0; f < SP_CHIP_N_FIGURES; f++) {
        problem.lo[f] = problem.hi[f] = ranges->values[f][0];
        for (uint32_t i = 1; i < ranges->n_values[f]; i++) {
            problem.lo[f] = fmin(problem.lo[f], ranges->values[f][i]);
            problem.hi[f] = fmax(problem.hi[f], ranges->values[f][i]);
        }
    }
    return sp_evolve(arena, &problem, population, generations, seed, individuals, err);
}
