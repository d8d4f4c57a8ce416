/* SPDX-License-Identifier: Apache-2.0 */
/* The memory rule: the estimate's own verdict, asked as soon as every axis that memory depends on
 * is known, once for all plans below. */
#include "space/prune.h"

bool sp_prune_memory(const sp_problem *problem, const sp_plan *plan)
{
    sp_memory memory;
    sp_estimate_memory(problem, plan, &memory);
    return sp_memory_fits(problem, &memory);
}
