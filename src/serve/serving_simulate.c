/* SPDX-License-Identifier: Apache-2.0 */
/* A plan request by request: one aggregated worker with its share of the load, which stands for
 * all, or both pools as they are. */
#include "serve/serving_priv.h"

/* Of each request under way at once so many are measured. */
#define ROUNDS         20
#define LEAST_REQUESTS 500
#define MOST_REQUESTS  20000

static uint64_t requests_of(const sp_serve_load *load)
{
    const double wanted = ROUNDS * load->concurrency;
    if (wanted < LEAST_REQUESTS) return LEAST_REQUESTS;
    return wanted > MOST_REQUESTS ? MOST_REQUESTS : (uint64_t)wanted;
}

/* Throughput of all workers. */
static void scale(double workers, sp_simulated *run)
{
    run->tokens_per_s *= workers;
    run->requests_per_s *= workers;
    run->in_flight *= workers;
}

static sp_status run_together(const sp_serving_problem *problem, const sp_serving_plan *plan,
                              sp_arena *scratch, uint64_t seed, sp_simulated *out, sp_error *err)
{
    sp_serving_base base;
    sp_serving_side side;
    sp_serving_base_of(problem, plan, SP_ROLE_DECODE, &base);
    sp_serving_side_of(problem, plan, SP_ROLE_DECODE, &base, &side);
    const sp_serve_load load = sp_serving_load_of(problem, plan, 1.0);
    SP_TRY(sp_serve_simulate(scratch, &side.pool, &load, requests_of(&load), seed, out, err));
    scale(sp_serving_workers_of(problem, plan->workers), out);
    return SP_OK;
}

static sp_status run_apart(const sp_serving_problem *problem, const sp_serving_plan *plan,
                           sp_arena *scratch, uint64_t seed, sp_simulated *out, sp_error *err)
{
    sp_serving_base bases[SP_N_ROLES];
    sp_serving_side sides[SP_N_ROLES];
    for (sp_serving_role role = 0; role < SP_N_ROLES; role++) {
        sp_serving_base_of(problem, plan, role, &bases[role]);
        sp_serving_side_of(problem, plan, role, &bases[role], &sides[role]);
    }
    sp_pool prefill = sides[SP_ROLE_PREFILL].pool, decode = sides[SP_ROLE_DECODE].pool;
    prefill.workers = sp_serving_workers_of(problem, plan->value[SP_SERVING_AXIS_prefill_workers]);
    decode.workers = sp_serving_workers_of(problem, plan->workers);
    const sp_serve_load load = sp_serving_load_of(problem, plan, decode.workers);
    const sp_kv_link link = sp_serving_link_of(problem, plan);
    return sp_serve_simulate_apart(scratch, &prefill, &decode, &load, &link, requests_of(&load),
                                   seed, out, err);
}

sp_status sp_serving_simulate(const sp_serving_problem *problem, const sp_serving_plan *plan,
                              uint64_t seed, sp_serving_run *out, sp_error *err)
{
    sp_arena scratch = {0};
    *out = (sp_serving_run){0};
    const bool apart = plan->value[SP_SERVING_AXIS_mode] == SP_SERVING_DISAGG;
    const sp_status status =
        (apart ? run_apart : run_together)(problem, plan, &scratch, seed, &out->simulated, err);
    sp_arena_fini(&scratch);
    out->slo_attainment_ratio = sp_serving_within_ratio(problem, &out->simulated);
    return status;
}
