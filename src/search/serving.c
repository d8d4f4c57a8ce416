/* SPDX-License-Identifier: Apache-2.0 */
/* A space of serving plans as the search sees it. A block is all plans down to the tp of the
 * (decode) workers; a layout what differs in chunk_tokens and batch alone. */
#include "search/search_priv.h"
#include "search/serving_memo.h"

#define BLOCK_AXIS SP_SERVING_AXIS_tp

static void list_blocks(const void *space, sp_id_list *blocks, uint64_t *pruned)
{
    sp_serving_walk walk;
    sp_serving_walk_begin(&walk, space, 0, SP_SERVING_AXIS_gpus, BLOCK_AXIS, pruned);
    while (sp_serving_walk_next(&walk)) {
        sp_id_list_add(blocks, walk.id);
    }
}

/* ---- one layout ---- */

/* A layout while it is searched. */
typedef struct visit {
    const sp_serving_space *space;
    sp_tally *tally;
    uint64_t *refused; /* of the cell, by rule */
    sp_layout layout;
    sp_serving_memo *memo;
    sp_serving_known *pools[SP_N_ROLES]; /* PREFILL: NULL in aggregated plans */
} visit;

/* The pools of a plan; false when one of them has no room in memory. */
static bool find_sides(const visit *v, const sp_serving_walk *walk,
                       const sp_serving_side *sides[SP_N_ROLES])
{
    for (int role = 0; role < SP_N_ROLES; role++) {
        if (v->pools[role] == NULL) continue;
        sides[role] = sp_serving_known_side(v->memo, v->pools[role], &walk->plan,
                                            (sp_serving_role)role, walk->digit);
        if (!sp_serving_side_fits(sides[role])) return false;
    }
    return true;
}

/* What sp_serving_estimate_plan says, from what is remembered; the rule that refuses the plan. */
static uint32_t judge(const visit *v, const sp_serving_walk *walk, sp_serving_estimate *out)
{
    const sp_serving_problem *problem = v->space->problem;
    const sp_serving_side *sides[SP_N_ROLES] = {NULL};
    sp_serving_point point;
    if (!find_sides(v, walk, sides)) return v->space->memory_rule;
    const bool read = v->space->n_result_wheres > 0; /* any figure, by a --where */
    (read ? sp_serving_point_of : sp_serving_point_judged)(
        problem, &walk->plan, sides[SP_ROLE_PREFILL], sides[SP_ROLE_DECODE], &point);
    sp_serving_combine(problem, &walk->plan, sides[SP_ROLE_PREFILL], sides[SP_ROLE_DECODE], &point,
                       out);
    return sp_serving_verdict_refusal(v->space, out->verdict, out->limit);
}

static void refuse(visit *v, uint32_t rule, uint64_t n)
{
    v->tally->counts.pruned[rule] += n;
    v->refused[rule] += n;
}

static void visit_plan(visit *v, const sp_serving_walk *walk)
{
    sp_search_counts *counts = &v->tally->counts;
    sp_serving_estimate estimate;
    double keys[SP_MAX_OBJECTIVES];
    uint32_t rule = walk->refused[SP_SERVING_LAST_AXIS];
    counts->admitted++;
    if (rule == SP_NO_RULE) rule = judge(v, walk, &estimate);
    if (rule != SP_NO_RULE) {
        refuse(v, rule, 1);
        return;
    }
    counts->evaluated++;
    rule = sp_serving_result_refusal(v->space, &walk->plan, &estimate);
    if (rule != SP_NO_RULE) {
        v->refused[rule]++;
        return;
    }
    counts->feasible++;
    sp_serving_space_keys(v->space, &estimate, keys);
    sp_tally_keep(v->tally, &v->layout, walk->id, keys);
}

/* A layout that is refused as it stands: its plans are only counted. */
static void count_layout(visit *v, const sp_serving_walk *above)
{
    const uint32_t rule = above->refused[above->depth];
    const uint64_t n = sp_serving_walk_count(above, v->tally->counts.pruned);
    v->tally->counts.admitted += n;
    refuse(v, rule, n);
}

/* False when memory is gone. */
static bool find_pools(visit *v, const sp_serving_walk *above)
{
    const bool apart = above->plan.value[SP_SERVING_AXIS_mode] == SP_SERVING_DISAGG;
    sp_serving_memo_make_room(v->memo);
    for (int role = apart ? SP_ROLE_PREFILL : SP_ROLE_DECODE; role < SP_N_ROLES; role++) {
        v->pools[role] = sp_serving_memo_find(v->memo, &above->plan, (sp_serving_role)role);
        if (v->pools[role] == NULL) return false;
    }
    return true;
}

static void search_layout(const sp_serving_walk *above, sp_serving_memo *memo, sp_tally *t)
{
    const sp_serving_space *space = above->space;
    const uint32_t n_pp = space->axes[SP_SERVING_AXIS_pp].n_values;
    const uint32_t cell =
        above->digit[SP_SERVING_AXIS_tp] * n_pp + above->digit[SP_SERVING_AXIS_pp];
    visit v = {.space = space,
               .tally = t,
               .memo = memo,
               .refused = &t->cell_refused[(size_t)cell * t->of->n_rules]};
    sp_serving_walk walk;
    if (above->refused[above->depth] != SP_NO_RULE) {
        count_layout(&v, above);
        return;
    }
    if (!find_pools(&v, above)) {
        t->failed = true;
        return;
    }
    sp_serving_walk_below(&walk, above, SP_SERVING_LAST_AXIS, t->counts.pruned);
    while (sp_serving_walk_next(&walk)) {
        visit_plan(&v, &walk);
    }
    sp_tally_close(t, cell, &v.layout);
}

static void search_block(const void *space, uint64_t block, bool no_bounds, void *memo, sp_tally *t)
{
    (void)no_bounds;
    sp_serving_walk walk;
    sp_serving_walk_begin(&walk, space, block, (sp_serving_axis_id)(BLOCK_AXIS + 1),
                          SP_SERVING_LAYOUT_AXIS, t->counts.pruned);
    while (sp_serving_walk_next(&walk)) {
        search_layout(&walk, memo, t);
    }
}

/* ---- the whole ---- */

static void *begin_memo(const void *space)
{
    return sp_serving_memo_begin(space);
}

static void end_memo(void *memo)
{
    sp_serving_memo_end(memo);
}

static void label_cell(const void *of, uint32_t cell, sp_cell *out)
{
    const sp_serving_space *space = of;
    const sp_serving_axis *pp = &space->axes[SP_SERVING_AXIS_pp];
    out->tp = space->axes[SP_SERVING_AXIS_tp].values[cell / pp->n_values];
    out->pp = pp->values[cell % pp->n_values];
}

sp_searchable sp_serving_searchable(const sp_serving_space *space)
{
    const sp_serving_axis *axes = space->axes;
    return (sp_searchable){.space = space,
                           .fingerprint = sp_serving_problem_fingerprint(space->problem),
                           .n_ids = space->n_plans,
                           .block_ids = axes[BLOCK_AXIS].stride,
                           .n_rules = space->n_rules,
                           .n_keys = space->problem->n_objectives,
                           .n_cells = axes[SP_SERVING_AXIS_tp].n_values *
                                      axes[SP_SERVING_AXIS_pp].n_values,
                           .list = list_blocks,
                           .search = search_block,
                           .memo_begin = begin_memo,
                           .memo_end = end_memo,
                           .label = label_cell};
}

sp_status sp_serving_search(const sp_serving_space *space, const sp_search_options *options,
                            sp_search_result *result, sp_error *err)
{
    const sp_searchable of = sp_serving_searchable(space);
    return sp_search_all(&of, options, result, err);
}
