/* SPDX-License-Identifier: Apache-2.0 */
/* What a search has found so far: front, best plans, best layouts, the tp x pp grid and counts. All
 * but the counts are joins, and the counts are sums, so tallies may be merged in any order. */
#include "search/search_priv.h"

#include <assert.h>
#include <string.h>

bool sp_layouts_insert(sp_layouts *l, const sp_layout *layout)
{
    uint32_t n = l->n_layouts, place = n;
    const bool full = n == l->capacity;
    if (full && (n == 0 || !sp_point_precedes(&layout->best, &l->layouts[n - 1].best)))
        return false;
    while (place > 0 && sp_point_precedes(&layout->best, &l->layouts[place - 1].best)) {
        place--;
    }
    if (place > 0 && l->layouts[place - 1].best.id == layout->best.id) return false;
    if (full) n--;
    memmove(&l->layouts[place + 1], &l->layouts[place], (n - place) * sizeof *l->layouts);
    l->layouts[place] = *layout;
    l->n_layouts = n + 1;
    return true;
}

static sp_status allocate(sp_tally *t, uint32_t top_k, sp_error *err)
{
    const size_t n_rules = t->of->n_rules, n_cells = t->n_cells;
    t->layouts.capacity = top_k;
    t->layouts.layouts = sp_alloc(((size_t)top_k + 1) * sizeof *t->layouts.layouts);
    t->cell_best = sp_alloc(n_cells * sizeof *t->cell_best);
    t->cell_refused = sp_alloc(n_cells * n_rules * sizeof *t->cell_refused);
    t->counts.pruned = sp_alloc(n_rules * sizeof *t->counts.pruned);
    const bool all = t->layouts.layouts != NULL && t->cell_best != NULL &&
                     t->cell_refused != NULL && t->counts.pruned != NULL;
    return all ? SP_OK : sp_fail(err, SP_E_MEMORY, "no memory for what the search finds");
}

sp_status sp_tally_init(sp_tally *t, const sp_searchable *of, uint32_t top_k, sp_error *err)
{
    *t = (sp_tally){.of = of, .n_cells = of->n_cells};
    sp_status status = sp_front_init(&t->front, of->n_keys, err);
    if (status == SP_OK) status = sp_best_init(&t->ranked, top_k, err);
    if (status == SP_OK) status = allocate(t, top_k, err);
    if (status != SP_OK) {
        sp_tally_fini(t);
        return status;
    }
    sp_tally_clear(t);
    return SP_OK;
}

void sp_tally_fini(sp_tally *t)
{
    sp_front_fini(&t->front);
    sp_best_fini(&t->ranked);
    sp_free(t->layouts.layouts);
    sp_free(t->cell_best);
    sp_free(t->cell_refused);
    sp_free(t->counts.pruned);
    *t = (sp_tally){0};
}

void sp_tally_clear(sp_tally *t)
{
    const size_t n_rules = t->of->n_rules;
    t->front.n_points = 0;
    t->ranked.n_points = 0;
    t->layouts.n_layouts = 0;
    for (uint32_t i = 0; i < t->n_cells; i++) {
        t->cell_best[i] = (sp_point){.id = SP_NO_PLAN};
    }
    memset(t->cell_refused, 0, t->n_cells * n_rules * sizeof *t->cell_refused);
    memset(t->counts.pruned, 0, n_rules * sizeof *t->counts.pruned);
    t->counts = (sp_search_counts){.pruned = t->counts.pruned};
}

void sp_tally_keep(sp_tally *t, sp_layout *layout, uint64_t id, const double *keys)
{
    sp_point point = {.id = id};
    for (uint32_t k = 0; k < t->front.n_keys; k++) {
        point.key[k] = sp_quantise(keys[k], SP_KEY_BITS);
    }
    (void)sp_front_insert(&t->front, &point, &t->failed);
    (void)sp_best_insert(&t->ranked, &point);
    if (layout->n_variants == 0 || sp_point_precedes(&point, &layout->best)) layout->best = point;
    layout->n_variants++;
}

static void improve_cell(sp_tally *t, uint32_t cell, const sp_point *point)
{
    sp_point *best = &t->cell_best[cell];
    if (best->id == SP_NO_PLAN || sp_point_precedes(point, best)) *best = *point;
}

void sp_tally_close(sp_tally *t, uint32_t cell, const sp_layout *layout)
{
    if (layout->n_variants == 0) return;
    (void)sp_layouts_insert(&t->layouts, layout);
    improve_cell(t, cell, &layout->best);
}

static void join_cells(sp_tally *t, const sp_tally *other)
{
    const size_t n_refused = (size_t)t->n_cells * t->of->n_rules;
    for (uint32_t i = 0; i < t->n_cells; i++) {
        const sp_point *best = &other->cell_best[i];
        if (best->id != SP_NO_PLAN) improve_cell(t, i, best);
    }
    for (size_t i = 0; i < n_refused; i++) {
        t->cell_refused[i] += other->cell_refused[i];
    }
}

void sp_tally_join(sp_tally *t, const sp_tally *other)
{
    assert(t->of == other->of);
    t->failed |= other->failed;
    (void)sp_front_join(&t->front, &other->front, &t->failed);
    sp_best_join(&t->ranked, &other->ranked);
    for (uint32_t i = 0; i < other->layouts.n_layouts; i++) {
        (void)sp_layouts_insert(&t->layouts, &other->layouts.layouts[i]);
    }
    join_cells(t, other);
    t->counts.admitted += other->counts.admitted;
    t->counts.evaluated += other->counts.evaluated;
    t->counts.feasible += other->counts.feasible;
    for (uint32_t r = 0; r < t->of->n_rules; r++) {
        t->counts.pruned[r] += other->counts.pruned[r];
    }
}
