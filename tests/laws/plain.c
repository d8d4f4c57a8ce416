/* SPDX-License-Identifier: Apache-2.0 */
#include "laws/plain.h"

#include "base/base.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void add_point(plain *p, uint64_t id)
{
    double keys[SP_MAX_OBJECTIVES];
    p->of.keys(p->of.space, id, keys);
    sp_point *point = &p->points[p->n_points++];
    *point = (sp_point){.id = id};
    for (uint32_t k = 0; k < p->of.n_keys; k++) {
        point->key[k] = sp_quantise(keys[k], SP_KEY_BITS);
    }
}

static void look_at(plain *p, uint64_t id)
{
    const looked_at *of = &p->of;
    const uint32_t rule = of->refusal(of->space, id);
    if (rule != UINT32_MAX && of->rule(of->space, rule)->class <= SP_RULE_STRUCTURE) {
        p->counts.pruned[rule]++;
        return;
    }
    p->counts.admitted++;
    if (rule == UINT32_MAX) {
        p->counts.evaluated++;
        p->counts.feasible++;
        add_point(p, id);
        return;
    }
    p->cell_refused[(size_t)of->cell_of(of->space, id) * of->n_rules + rule]++;
    if (of->reads_results(of->space, rule)) {
        p->counts.evaluated++;
    } else {
        p->counts.pruned[rule]++;
    }
}

void plain_init(plain *p, const looked_at *of)
{
    *p = (plain){.of = *of};
    p->counts.pruned = calloc(of->n_rules, sizeof(uint64_t));
    p->points = calloc(of->n_ids, sizeof *p->points);
    p->cell_refused = calloc((size_t)of->n_cells * of->n_rules, sizeof(uint64_t));
    for (uint64_t id = 0; id < of->n_ids; id++) {
        look_at(p, id);
    }
}

void plain_fini(plain *p)
{
    free(p->counts.pruned);
    free(p->points);
    free(p->cell_refused);
}

/* ---- comparing ---- */

static void assert_point(const sp_point *found, const sp_point *expected)
{
    assert_int_equal(found->id, expected->id);
    assert_memory_equal(found->key, expected->key, sizeof found->key);
}

static int by_keys(const void *a, const void *b)
{
    const sp_point *x = a, *y = b;
    for (int k = 0; k < SP_MAX_OBJECTIVES; k++) {
        if (x->key[k] != y->key[k]) return x->key[k] < y->key[k] ? -1 : 1;
    }
    return (x->id > y->id) - (x->id < y->id);
}

static int by_first_key(const void *a, const void *b)
{
    const sp_point *x = a, *y = b;
    if (x->key[0] != y->key[0]) return x->key[0] < y->key[0] ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

static int by_id(const void *a, const void *b)
{
    const sp_point *x = a, *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

/* No worse in any key; of points sorted by their keys only an earlier one can be so. */
static bool no_worse(const sp_point *a, const sp_point *b)
{
    for (int k = 0; k < SP_MAX_OBJECTIVES; k++) {
        if (a->key[k] > b->key[k]) return false;
    }
    return true;
}

static void compare_front(const plain *p, const sp_front *front)
{
    sp_point *sorted = calloc(p->n_points + 1, sizeof *sorted);
    memcpy(sorted, p->points, p->n_points * sizeof *sorted);
    qsort(sorted, p->n_points, sizeof *sorted, by_keys);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < p->n_points; i++) {
        bool beaten = false;
        for (uint32_t j = 0; j < kept && !beaten; j++) {
            beaten = no_worse(&sorted[j], &sorted[i]);
        }
        if (!beaten) sorted[kept++] = sorted[i];
    }
    qsort(sorted, kept, sizeof *sorted, by_id);
    assert_int_equal(front->n_points, kept);
    for (uint32_t i = 0; i < kept; i++) {
        assert_point(&front->points[i], &sorted[i]);
    }
    free(sorted);
}

/* Sorts p->points by the first key, for good. */
static void compare_ranked(plain *p, const sp_best *ranked)
{
    qsort(p->points, p->n_points, sizeof *p->points, by_first_key);
    assert_int_equal(ranked->n_points, p->n_points < PLAIN_TOP_K ? p->n_points : PLAIN_TOP_K);
    for (uint32_t i = 0; i < ranked->n_points; i++) {
        assert_point(&ranked->points[i], &p->points[i]);
    }
}

/* Needs p->points sorted by the first key: the first of a layout is its best. */
static void compare_layouts(const plain *p, const sp_search_result *result)
{
    const uint64_t stride = p->of.layout_ids;
    uint32_t n = 0;
    for (uint32_t i = 0; i < p->n_points && n < PLAIN_TOP_K; i++) {
        const uint64_t layout = p->points[i].id / stride;
        uint64_t n_variants = 0;
        bool first = true;
        for (uint32_t j = 0; j < p->n_points; j++) {
            if (p->points[j].id / stride != layout) continue;
            first &= j >= i;
            n_variants++;
        }
        if (!first) continue;
        assert_true(n < result->n_layouts);
        assert_point(&result->layouts[n].best, &p->points[i]);
        assert_int_equal(result->layouts[n].n_variants, n_variants);
        n++;
    }
    assert_int_equal(result->n_layouts, n);
}

static const sp_point *best_of_cell(const plain *p, uint32_t cell)
{
    for (uint32_t i = 0; i < p->n_points; i++) {
        if (p->of.cell_of(p->of.space, p->points[i].id) == cell) return &p->points[i];
    }
    return NULL;
}

static void compare_cells(const plain *p, const sp_search_result *result)
{
    const uint32_t n_rules = p->of.n_rules;
    for (uint32_t i = 0; i < result->n_cells; i++) {
        const sp_cell *cell = &result->cells[i];
        const sp_point *best = best_of_cell(p, i);
        const uint64_t *refused = &p->cell_refused[(size_t)i * n_rules];
        assert_int_equal(cell->feasible, best != NULL);
        if (best != NULL) {
            assert_point(&cell->best, best);
            continue;
        }
        uint32_t rule = UINT32_MAX;
        for (uint32_t r = 0; r < n_rules; r++) {
            if (refused[r] > (rule == UINT32_MAX ? 0 : refused[rule])) rule = r;
        }
        assert_int_equal(cell->rule, rule);
        assert_int_equal(cell->refused, rule == UINT32_MAX ? 0 : refused[rule]);
    }
}

static void compare_counts(const plain *p, const sp_search_counts *found)
{
    for (uint32_t rule = 0; rule < p->of.n_rules; rule++) {
        if (found->pruned[rule] == p->counts.pruned[rule]) continue;
        print_message("%s: %llu found, %llu looked at\n", p->of.rule(p->of.space, rule)->name,
                      (unsigned long long)found->pruned[rule],
                      (unsigned long long)p->counts.pruned[rule]);
    }
    assert_int_equal(found->space, p->of.n_ids);
    assert_int_equal(found->admitted, p->counts.admitted);
    assert_int_equal(found->evaluated, p->counts.evaluated);
    assert_int_equal(found->feasible, p->counts.feasible);
    assert_int_equal(found->uncovered, 0);
    for (uint32_t rule = 0; rule < p->of.n_rules; rule++) {
        assert_int_equal(found->pruned[rule], p->counts.pruned[rule]);
    }
}

void assert_plain_finds(plain *p, const sp_search_result *result)
{
    assert_true(result->exact);
    compare_counts(p, &result->counts);
    compare_front(p, &result->front);
    compare_ranked(p, &result->ranked);
    compare_layouts(p, result);
    compare_cells(p, result);
}
