/* SPDX-License-Identifier: Apache-2.0 */
/* Lists the layouts of a space and searches one: walks its plans, prices those that no rule
 * refuses, and keeps what matters in a tally. */
#include "search/search_priv.h"

#include <assert.h>

#define LAST_AXIS ((sp_axis_id)(SP_N_AXES - 1))

/* ---- the list ---- */

static bool append(uint64_t **ids, uint64_t *n, uint64_t *capacity, uint64_t id)
{
    if (*n == *capacity) {
        const uint64_t larger = *capacity == 0 ? 1024 : 2 * *capacity;
        uint64_t *grown = sp_realloc(*ids, larger * sizeof *grown);
        if (grown == NULL) return false;
        *ids = grown;
        *capacity = larger;
    }
    (*ids)[(*n)++] = id;
    return true;
}

sp_status sp_layouts_list(const sp_space *space, uint64_t **ids, uint64_t *n_ids, uint64_t *pruned,
                          sp_error *err)
{
    uint64_t capacity = 0;
    *ids = NULL;
    *n_ids = 0;
    sp_walk walk;
    sp_walk_begin(&walk, space, 0, SP_AXIS_gpus, SP_LAYOUT_AXIS, pruned);
    while (sp_walk_next(&walk)) {
        if (!append(ids, n_ids, &capacity, walk.id)) {
            sp_free(*ids);
            *ids = NULL;
            return sp_fail(err, SP_E_MEMORY, "no memory for the list of layouts");
        }
    }
    return SP_OK;
}

/* ---- one layout ---- */

/* A layout while it is searched. */
typedef struct visit {
    const sp_space *space;
    sp_tally *tally;
    uint32_t cell;
    uint64_t *refused; /* of the cell, by rule */
    sp_layout layout;
} visit;

static void keep(visit *v, uint64_t id, const double *keys)
{
    sp_tally *t = v->tally;
    sp_point point = {.id = id};
    for (uint32_t k = 0; k < t->front.n_keys; k++) {
        point.key[k] = sp_quantise(keys[k], SP_KEY_BITS);
    }
    (void)sp_front_insert(&t->front, &point, &t->failed);
    (void)sp_best_insert(&t->ranked, &point);
    sp_layout *layout = &v->layout;
    if (layout->n_variants == 0 || sp_point_precedes(&point, &layout->best)) layout->best = point;
    layout->n_variants++;
}

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
    keep(v, walk->id, keys);
}

static uint32_t cell_of(const sp_walk *walk)
{
    const uint32_t n_pp = sp_space_axis(walk->space, SP_AXIS_pp)->n_values;
    return walk->digit[SP_AXIS_tp] * n_pp + walk->digit[SP_AXIS_pp];
}

void sp_layout_search(const sp_space *space, uint64_t first_id, bool no_bounds, sp_tally *t)
{
    sp_walk walk;
    sp_walk_begin(&walk, space, first_id, SP_AXIS_placement, LAST_AXIS, t->counts.pruned);
    walk.memory_late = no_bounds;
    visit v = {.space = space, .tally = t, .cell = cell_of(&walk)};
    v.refused = &t->cell_refused[(size_t)v.cell * sp_space_rule_count(space)];
    while (sp_walk_next(&walk)) {
        visit_plan(&v, &walk);
    }
    if (v.layout.n_variants == 0) return;
    (void)sp_layouts_insert(&t->layouts, &v.layout);
    sp_point *best = &t->cell_best[v.cell];
    if (best->id == SP_NO_PLAN || sp_point_precedes(&v.layout.best, best)) *best = v.layout.best;
}
