/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The plans of a question as numbers.
 *
 * A space is a list of axes in the order of axes.def, each with its values; a plan's id is its
 * mixed-radix index, outermost axis first. Ids have holes: most combinations mean nothing and are
 * refused by rules. Rules are tried at the outermost axis where they can decide, so that one refusal
 * settles a whole run of ids.
 *
 * Classes of rules (order of the list in src/space/prunes.def is order of use):
 *   canonical   an axis without effect stands at its first value: every plan has one id
 *   structure   the plan cannot be built: divisions with a remainder, more stages than layers
 *   engine      no asked framework runs it (configs/engines)
 *   where       the user's --where over axes
 *   memory      the fullest rank is over usable memory less headroom
 *   network     exposed communication over --max-network-ratio
 * A plan that passes canonical and structure is "admitted": it means something.
 */
#include "shardplan/plan.h"
#include "shardplan/problem.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct sp_axis {
    sp_axis_id id;
    uint32_t n_values;
    const uint32_t *values; /* ascending, distinct */
    uint64_t stride;        /* ids between neighbours on this axis */
} sp_axis;

typedef struct sp_space sp_space;

typedef enum sp_rule_class {
    SP_RULE_CANONICAL,
    SP_RULE_STRUCTURE,
    SP_RULE_ENGINE,
    SP_RULE_WHERE,
    SP_RULE_MEMORY,
    SP_RULE_NETWORK,
    SP_RULE_SLO, /* of serving plans alone: a limit that their users set */
    SP_N_RULE_CLASSES
} sp_rule_class;

/* A rule as people see it. Engine rules appear under their id in the engine's file, each --where
 * under its text. */
typedef struct sp_rule_info {
    const char *name;
    const char *meaning;
    sp_rule_class class;
    sp_axis_id depth; /* of canonical and structure rules: the axis at which they decide */
} sp_rule_info;

/* Values of every axis from the question: all that real plans use (divisors, not powers of two
 * only), cut down by --set. Refuses spaces beyond 2^63 ids, naming the axis. */
sp_status sp_space_build(const sp_problem *problem, sp_space **space, sp_error *err);
void sp_space_free(sp_space *space); /* NULL is fine */

uint64_t sp_space_count(const sp_space *space);
const sp_axis *sp_space_axis(const sp_space *space, sp_axis_id axis);
const sp_problem *sp_space_problem(const sp_space *space);
sp_plan sp_space_unrank(const sp_space *space, uint64_t id);
/* False when a value of the plan is not in the space. */
bool sp_space_rank(const sp_space *space, const sp_plan *plan, uint64_t *id);

uint32_t sp_space_rule_count(const sp_space *space);
const sp_rule_info *sp_space_rule(const sp_space *space, uint32_t rule);
/* The first rule that refuses the plan (memory and network included), or UINT32_MAX. */
uint32_t sp_space_refusal(const sp_space *space, const sp_plan *plan);
/* Names of the asked engines that accept the plan; returns how many were written. */
uint32_t sp_space_runs_on(const sp_space *space, const sp_plan *plan, const sp_engine **engines,
                          uint32_t capacity);

/* For plans that come from elsewhere than a space, with dp and accumulation derived: the first
 * structure rule that refuses them, NULL when they can be built. Canonical rules are not asked. */
const sp_rule_info *sp_plan_unbuildable(const sp_problem *problem, const sp_plan *plan);
