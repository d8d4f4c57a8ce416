/* SPDX-License-Identifier: Apache-2.0 */
/* The network rule: the estimate's own verdict. A search reads it off the estimate that it makes of
 * each plan anyway; this is for those who ask about one plan. */
#include "space/prune.h"

bool sp_prune_network(const sp_problem *problem, const sp_plan *plan)
{
    double keys[SP_MAX_OBJECTIVES];
    return sp_estimate_keys(problem, plan, keys) != SP_OVER_NETWORK;
}
