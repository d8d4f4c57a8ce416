/* SPDX-License-Identifier: Apache-2.0 */
/* A plan request by request. */
#include "serve/serving_priv.h"

sp_status sp_serving_simulate(const sp_serving_problem *problem, const sp_serving_plan *plan,
                              uint64_t seed, sp_serving_run *out, sp_error *err)
{
    sp_serving_base base;
    sp_serving_side decode;
    sp_serving_point point;
    sp_arena scratch = {0};
    if (plan->value[SP_SERVING_AXIS_mode] == SP_SERVING_DISAGG) {
        return sp_fail(err, SP_E_NOT_YET, "runs are of aggregated plans");
    }
    sp_serving_base_of(problem, plan, SP_ROLE_DECODE, &base);
    sp_serving_side_of(problem, plan, SP_ROLE_DECODE, &base, &decode);
    sp_serving_point_of(problem, plan, NULL, &decode, &point);
    sp_serve_load load = problem->load;
    load.concurrency = point.load_concurrency;
    load.rate = 0.0;
    *out = (sp_serving_run){0};
    const sp_status status =
        sp_serve_simulate(&scratch, &decode.pool, &load, 0, seed, &out->simulated, err);
    sp_arena_fini(&scratch);
    return status;
}
