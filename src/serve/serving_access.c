/* SPDX-License-Identifier: Apache-2.0 */
/* What a serving problem tells those who do not see its layout. */
#include "serve/serving_priv.h"

#include <assert.h>

const sp_model *sp_serving_problem_model(const sp_serving_problem *problem)
{
    return problem->model;
}

/* Where disaggregated plans are not asked for, both roles stand in the one cluster. */
const sp_cluster *sp_serving_problem_cluster(const sp_serving_problem *problem,
                                             sp_serving_role role)
{
    assert(role < SP_N_ROLES);
    const sp_cluster *own =
        problem->machine[role == SP_ROLE_PREFILL ? SP_PLACE_PREFILL : SP_PLACE_DECODE].cluster;
    return own != NULL ? own : problem->machine[SP_PLACE_TOGETHER].cluster;
}

const char *sp_serving_problem_fingerprint(const sp_serving_problem *problem)
{
    return problem->fingerprint;
}

const sp_serving_question *sp_serving_problem_question(const sp_serving_problem *problem)
{
    return &problem->question;
}

uint32_t sp_serving_problem_n_limits(const sp_serving_problem *problem)
{
    return problem->n_limits;
}

const sp_limit *sp_serving_problem_limit(const sp_serving_problem *problem, uint32_t idx)
{
    assert(idx < problem->n_limits);
    return &problem->limits[idx];
}

uint32_t sp_serving_problem_n_objectives(const sp_serving_problem *problem)
{
    return problem->n_objectives;
}

const sp_objective *sp_serving_problem_objective(const sp_serving_problem *problem, uint32_t idx)
{
    assert(idx < problem->n_objectives);
    return sp_serving_objective_describe(problem->objectives[idx]);
}

const char *sp_serving_verdict_name(sp_serving_verdict verdict)
{
    static const char *const names[SP_N_SERVING_VERDICTS] = {"fits", "tight", "over_memory",
                                                             "over_limit", "overloaded"};
    assert(verdict < SP_N_SERVING_VERDICTS);
    return names[verdict];
}
