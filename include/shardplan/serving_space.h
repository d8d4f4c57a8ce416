/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The plans of a serving question as numbers; sp_serving_search (search.h) searches all of them. The
 * rules of space.h hold here too: canonical, structure, engine, where, memory, and `slo` for each
 * limit and for a rate that is more than the deployment can take. */
#include "shardplan/serving.h"
#include "shardplan/serving_rules.h"
#include "shardplan/space.h"

typedef struct sp_serving_space sp_serving_space;

sp_status sp_serving_space_build(const sp_serving_problem *problem, sp_serving_space **space,
                                 sp_error *err);
void sp_serving_space_free(sp_serving_space *space); /* NULL is fine */

uint64_t sp_serving_space_count(const sp_serving_space *space);
const sp_serving_problem *sp_serving_space_problem(const sp_serving_space *space);
/* Values of an axis, ascending. */
uint32_t sp_serving_space_values(const sp_serving_space *space, sp_serving_axis_id axis,
                                 const uint32_t **values);
sp_serving_plan sp_serving_space_unrank(const sp_serving_space *space, uint64_t id);
/* False when a value of the plan is not in the space. */
bool sp_serving_space_rank(const sp_serving_space *space, const sp_serving_plan *plan,
                           uint64_t *id);

uint32_t sp_serving_space_rule_count(const sp_serving_space *space);
const sp_rule_info *sp_serving_space_rule(const sp_serving_space *space, uint32_t rule);
/* The first rule that refuses the plan (memory and limits included), or UINT32_MAX. */
uint32_t sp_serving_space_refusal(const sp_serving_space *space, const sp_serving_plan *plan);

/* Rules and flags of one of the problem's engines, and the variables of a worker that they ask for
 * (BOTH in aggregated plans). */
const sp_serving_rules *sp_serving_space_engine(const sp_serving_space *space, uint32_t engine);
void sp_serving_worker_values(const sp_serving_plan *plan, sp_worker_role role,
                              double values[SP_N_SERVING_VARS]);
