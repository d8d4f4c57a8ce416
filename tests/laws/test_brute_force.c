/* SPDX-License-Identifier: Apache-2.0 */
/* The search against the plainest thing that can be right: look at every id, ask every rule, price
 * what is left, sort. Compared are the front, the best K, layouts, grid and every count.
 * SHARDPLAN_LONG is the number of spaces to try (200). */
#include "base/base.h"
#include "laws/questions.h"
#include "shardplan/search.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MAX_IDS = 30000, TOP_K = 7 };

/* All that was found the plain way. */
typedef struct plain {
    const sp_space *space;
    sp_search_counts counts;
    uint32_t n_points;
    sp_point *points; /* feasible, by id */
    bool *on_front;
    uint64_t *cell_refused;
} plain;

static uint32_t cell_of(const sp_space *space, uint64_t id)
{
    const sp_axis *tp = sp_space_axis(space, SP_AXIS_tp), *pp = sp_space_axis(space, SP_AXIS_pp);
    const uint64_t row = id / tp->stride % tp->n_values, column = id / pp->stride % pp->n_values;
    return (uint32_t)(row * pp->n_values + column);
}

static void look_at(plain *p, uint64_t id)
{
    const sp_problem *problem = sp_space_problem(p->space);
    const uint32_t n_rules = sp_space_rule_count(p->space);
    const sp_plan plan = sp_space_unrank(p->space, id);
    const uint32_t rule = sp_space_refusal(p->space, &plan);
    const sp_rule_info *info = rule != UINT32_MAX ? sp_space_rule(p->space, rule) : NULL;
    if (info != NULL && info->class <= SP_RULE_STRUCTURE) {
        p->counts.pruned[rule]++;
        return;
    }
    p->counts.admitted++;
    if (info != NULL) p->cell_refused[(size_t)cell_of(p->space, id) * n_rules + rule]++;
    /* --where over results has the last word, after the network: such a plan was evaluated. */
    sp_estimate estimate;
    sp_estimate_plan(problem, &plan, &estimate);
    const bool over = estimate.verdict == SP_OVER_MEMORY || estimate.verdict == SP_OVER_NETWORK;
    if (info != NULL && (over || strpbrk(info->name, ".f_") == NULL ||
                         info->class != SP_RULE_WHERE)) {
        p->counts.pruned[rule]++;
        return;
    }
    p->counts.evaluated++;
    if (info != NULL) return;
    assert_false(over);
    p->counts.feasible++;
    sp_point *point = &p->points[p->n_points++];
    *point = (sp_point){.id = id};
    double keys[SP_MAX_OBJECTIVES];
    sp_estimate_keys(problem, &plan, keys);
    for (uint32_t k = 0; k < sp_problem_n_objectives(problem); k++) {
        point->key[k] = sp_quantise(keys[k], SP_KEY_BITS);
    }
}
