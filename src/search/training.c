/* SPDX-License-Identifier: Apache-2.0 */
/* A space of training plans as the search sees it. A block is a layout: the geometries that differ
 * in their placement alone. Its plans are walked, and priced unless a rule refuses them. */
#include "search/search_priv.h"

#include <assert.h>

/* The innermost axis that tells layouts apart, and that of all. */
#define LAYOUT_AXIS ((sp_axis_id)(SP_AXIS_placement - 1))
#define LAST_AXIS   ((sp_axis_id)(SP_N_AXES - 1))

static void list_layouts(const void *space, sp_id_list *blocks, uint64_t *pruned)
{
    sp_walk walk;
    sp_walk_begin(&walk, space, 0, SP_AXIS_gpus, LAYOUT_AXIS, pruned);
    while (sp_walk_next(&walk)) {
        sp_id_list_add(blocks, walk.id);
    }
}

/* ---- one layout ---- */

/* A layout while it is searched. */
typedef struct visit {
    const sp_space *space;
    sp_tally *tally;
    uint64_t *refused; /* of the cell, by rule */
    sp_layout layout;
} visit;

static void refuse(visit *v, uint32_t rule)
{
    v->tally->counts.pruned[rule]++;
    v->refused[rule]++;
}

/* The rule that refuses a plan in the light of its estimate; `found` is what refused it before. */
static uint32_t judge(const visit *v, const sp_walk *walk, sp_verdict verdict, uint32_t found)
{
    const bool fit_asked = walk->refused[SP_AXIS_sp] != SP_NO_RULE;
    if (verdict == SP_OVER_MEMORY && !fit_asked) return v->space->memory_rule;
    if (found != SP_NO_RULE) return found;
    return verdict == SP_OVER_NETWORK ? v->space->network_rule : SP_NO_RULE;
}

static void visit_plan(visit *v, const sp_walk *walk)
{
    sp_search_counts *counts = &v->tally->counts;
    uint32_t rule = walk->refused[LAST_AXIS];
    double keys[SP_MAX_OBJECTIVES];
    counts->admitted++;
    if (rule == SP_NO_RULE || walk->memory_late) {
        const sp_verdict verdict = sp_estimate_keys(v->space->problem, &walk->plan, keys);
        assert(verdict != SP_OVER_MEMORY || walk->memory_late);
        rule = judge(v, walk, verdict, rule);
    }
    if (rule != SP_NO_RULE) {
        refuse(v, rule);
        return;
    }
    counts->evaluated++;
    rule = sp_result_refusal(v->space, &walk->plan);
    if (rule != SP_NO_RULE) {
        v->refused[rule]++;
        return;
    }
    counts->feasible++;
    sp_tally_keep(v->tally, &v->layout, walk->id, keys);
}

static uint32_t cell_of(const sp_walk *walk)
{
    const uint32_t n_pp = sp_space_axis(walk->space, SP_AXIS_pp)->n_values;
    return walk->digit[SP_AXIS_tp] * n_pp + walk->digit[SP_AXIS_pp];
}

static void search_layout(const void *space, uint64_t first_id, bool no_bounds, void *memo,
                          sp_tally *t)
{
    (void)memo;
    sp_walk walk;
    sp_walk_begin(&walk, space, first_id, SP_AXIS_placement, LAST_AXIS, t->counts.pruned);
    walk.memory_late = no_bounds;
    const uint32_t cell = cell_of(&walk);
    visit v = {
        .space = space, .tally = t, .refused = &t->cell_refused[(size_t)cell * t->of->n_rules]};
    while (sp_walk_next(&walk)) {
        visit_plan(&v, &walk);
    }
    sp_tally_close(t, cell, &v.layout);
}

/* ---- the whole ---- */

static void label_cell(const void *space, uint32_t cell, sp_cell *out)
{
    const sp_axis *tp = sp_space_axis(space, SP_AXIS_tp), *pp = sp_space_axis(space, SP_AXIS_pp);
    out->tp = tp->values[cell / pp->n_values];
    out->pp = pp->values[cell % pp->n_values];
}

sp_searchable sp_training_searchable(const sp_space *space)
{
    const sp_problem *problem = sp_space_problem(space);
    return (sp_searchable){.space = space,
                           .fingerprint = sp_problem_fingerprint(problem),
                           .n_ids = sp_space_count(space),
                           .block_ids = sp_space_axis(space, LAYOUT_AXIS)->stride,
                           .n_rules = sp_space_rule_count(space),
                           .n_keys = sp_problem_n_objectives(problem),
                           .n_cells = sp_space_axis(space, SP_AXIS_tp)->n_values *
                                      sp_space_axis(space, SP_AXIS_pp)->n_values,
                           .list = list_layouts,
                           .search = search_layout,
                           .label = label_cell};
}

sp_status sp_search_run(const sp_space *space, const sp_search_options *options,
                        sp_search_result *result, sp_error *err)
{
    const sp_searchable of = sp_training_searchable(space);
    return sp_search_all(&of, options, result, err);
}
