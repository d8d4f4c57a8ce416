/* SPDX-License-Identifier: Apache-2.0 */
/* What a worker found in one unit, as bytes: the counts, then lists of front points, best plans,
 * best layouts, best plans of cells and refusals in cells, each led by its length. What the
 * worker's earlier messages make superfluous is left out. */
#include "search/search_priv.h"

#include <assert.h>
#include <string.h>

typedef struct counts {
    uint64_t admitted, evaluated, feasible;
    uint64_t failed;
} counts;

typedef struct cell_point {
    uint64_t cell;
    sp_point point;
} cell_point;

typedef struct cell_refusals {
    uint64_t idx; /* in sp_tally.cell_refused */
    uint64_t n;
} cell_refusals;

/* ---- writing ---- */

static void put(sp_text *out, const void *data, size_t bytes)
{
    sp_text_add_n(out, data, bytes);
}

/* Leaves room for the length of a list; set_length fills it. */
static size_t open_list(sp_text *out)
{
    const uint64_t none = 0;
    put(out, &none, sizeof none);
    return out->length - sizeof none;
}

static void set_length(sp_text *out, size_t at, uint64_t n)
{
    if (!out->failed) memcpy(out->data + at, &n, sizeof n);
}

static void put_front(const sp_tally *unit, const sp_tally *known, sp_text *out)
{
    const size_t at = open_list(out);
    uint64_t n = 0;
    for (uint32_t i = 0; i < unit->front.n_points; i++) {
        const sp_point *point = &unit->front.points[i];
        if (sp_front_covers(&known->front, point->key, point->id)) continue;
        put(out, point, sizeof *point);
        n++;
    }
    set_length(out, at, n);
}

static void put_ranked(const sp_tally *unit, const sp_tally *known, sp_text *out)
{
    const size_t at = open_list(out);
    const sp_best *best = &known->ranked;
    uint64_t n = 0;
    for (; n < unit->ranked.n_points; n++) {
        const sp_point *point = &unit->ranked.points[n];
        const bool full = best->n_points == best->capacity;
        if (full && !sp_point_precedes(point, &best->points[best->n_points - 1])) break;
        put(out, point, sizeof *point);
    }
    set_length(out, at, n);
}

static void put_layouts(const sp_tally *unit, const sp_tally *known, sp_text *out)
{
    const size_t at = open_list(out);
    const sp_layouts *best = &known->layouts;
    uint64_t n = 0;
    for (; n < unit->layouts.n_layouts; n++) {
        const sp_layout *layout = &unit->layouts.layouts[n];
        const bool full = best->n_layouts == best->capacity;
        if (full && !sp_point_precedes(&layout->best, &best->layouts[best->n_layouts - 1].best))
            break;
        put(out, layout, sizeof *layout);
    }
    set_length(out, at, n);
}

static void put_cells(const sp_tally *unit, const sp_tally *known, sp_text *out)
{
    size_t at = open_list(out);
    uint64_t n = 0;
    for (uint32_t i = 0; i < unit->n_cells; i++) {
        const sp_point *best = &unit->cell_best[i], *old = &known->cell_best[i];
        if (best->id == SP_NO_PLAN) continue;
        if (old->id != SP_NO_PLAN && !sp_point_precedes(best, old)) continue;
        const cell_point cell = {i, *best};
        put(out, &cell, sizeof cell);
        n++;
    }
    set_length(out, at, n);
    at = open_list(out);
    n = 0;
    const uint64_t n_refused = (uint64_t)unit->n_cells * unit->of->n_rules;
    for (uint64_t i = 0; i < n_refused; i++) {
        if (unit->cell_refused[i] == 0) continue;
        const cell_refusals refusals = {i, unit->cell_refused[i]};
        put(out, &refusals, sizeof refusals);
        n++;
    }
    set_length(out, at, n);
}

void sp_message_pack(const sp_tally *unit, const sp_tally *known, sp_text *out)
{
    const counts sums = {unit->counts.admitted, unit->counts.evaluated, unit->counts.feasible,
                         unit->failed};
    put(out, &sums, sizeof sums);
    put(out, unit->counts.pruned, unit->of->n_rules * sizeof(uint64_t));
    put_front(unit, known, out);
    put_ranked(unit, known, out);
    put_layouts(unit, known, out);
    put_cells(unit, known, out);
}

/* ---- reading ---- */

typedef struct reader {
    const char *at;
    size_t left;
    bool bad; /* the bytes ended too early */
} reader;

static void get(reader *r, void *data, size_t bytes)
{
    if (r->bad || r->left < bytes) {
        r->bad = true;
        memset(data, 0, bytes);
        return;
    }
    memcpy(data, r->at, bytes);
    r->at += bytes;
    r->left -= bytes;
}

/* The length of a list; 0 when the bytes cannot hold it. */
static uint64_t get_length(reader *r, size_t item_bytes)
{
    uint64_t n = 0;
    get(r, &n, sizeof n);
    if (n > r->left / item_bytes) r->bad = true;
    return r->bad ? 0 : n;
}

static void get_counts(reader *r, sp_tally *t)
{
    counts sums;
    get(r, &sums, sizeof sums);
    t->counts.admitted += sums.admitted;
    t->counts.evaluated += sums.evaluated;
    t->counts.feasible += sums.feasible;
    t->failed |= sums.failed != 0;
    for (uint32_t rule = 0; rule < t->of->n_rules; rule++) {
        uint64_t n = 0;
        get(r, &n, sizeof n);
        t->counts.pruned[rule] += n;
    }
}

static void get_sets(reader *r, sp_tally *t)
{
    sp_point point;
    for (uint64_t n = get_length(r, sizeof point); n > 0; n--) {
        get(r, &point, sizeof point);
        (void)sp_front_insert(&t->front, &point, &t->failed);
    }
    for (uint64_t n = get_length(r, sizeof point); n > 0; n--) {
        get(r, &point, sizeof point);
        (void)sp_best_insert(&t->ranked, &point);
    }
    sp_layout layout;
    for (uint64_t n = get_length(r, sizeof layout); n > 0; n--) {
        get(r, &layout, sizeof layout);
        (void)sp_layouts_insert(&t->layouts, &layout);
    }
}

static void get_cells(reader *r, sp_tally *t)
{
    cell_point cell;
    for (uint64_t n = get_length(r, sizeof cell); n > 0; n--) {
        get(r, &cell, sizeof cell);
        r->bad |= cell.cell >= t->n_cells;
        if (r->bad) return;
        sp_point *best = &t->cell_best[cell.cell];
        if (best->id == SP_NO_PLAN || sp_point_precedes(&cell.point, best)) *best = cell.point;
    }
    const uint64_t n_refused = (uint64_t)t->n_cells * t->of->n_rules;
    cell_refusals refusals;
    for (uint64_t n = get_length(r, sizeof refusals); n > 0; n--) {
        get(r, &refusals, sizeof refusals);
        r->bad |= refusals.idx >= n_refused;
        if (r->bad) return;
        t->cell_refused[refusals.idx] += refusals.n;
    }
}

bool sp_message_unpack(const char *data, size_t bytes, sp_tally *tally)
{
    reader r = {.at = data, .left = bytes};
    get_counts(&r, tally);
    get_sets(&r, tally);
    get_cells(&r, tally);
    return !r.bad && r.left == 0;
}
