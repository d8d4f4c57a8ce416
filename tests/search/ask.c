/* SPDX-License-Identifier: Apache-2.0 */
#include "search/ask.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

asked ask(void)
{
    sp_question q = sp_question_default();
    q.home = source_home();
    q.model = "mixtral-8x7b";
    q.cluster = "dgx-h100";
    q.gpus = "8..32";
    q.global_batch = 240;
    q.seq_len = 4096;
    q.max_network_ratio = 0.3;
    q.wheres[q.n_wheres++] = "mfu>=0.1";
    q.sets[q.n_sets++] = "cp=1,2";
    q.sets[q.n_sets++] = "cp_kind=ring,allgather";
    q.sets[q.n_sets++] = "vpp=1,2,4";
    q.sets[q.n_sets++] = "recompute=none,full";
    q.sets[q.n_sets++] = "ep_overlap=off";
    return build(&q);
}

sp_search_result search(const asked *a, const sp_search_options *options)
{
    sp_error err = {0};
    sp_search_result result;
    must(sp_search_run(a->space, options, &result, &err), &err);
    return result;
}

static void assert_points(const sp_point *a, uint32_t n_a, const sp_point *b, uint32_t n_b)
{
    assert_int_equal(n_a, n_b);
    for (uint32_t i = 0; i < n_a; i++) {
        assert_int_equal(a[i].id, b[i].id);
        assert_memory_equal(a[i].key, b[i].key, sizeof a[i].key);
    }
}

static void assert_counts(const sp_search_counts *a, const sp_search_counts *b, uint32_t n_rules)
{
    assert_int_equal(a->admitted, b->admitted);
    assert_int_equal(a->evaluated, b->evaluated);
    assert_int_equal(a->feasible, b->feasible);
    assert_memory_equal(a->pruned, b->pruned, n_rules * sizeof a->pruned[0]);
}

static void assert_layouts(const sp_layout *a, uint32_t n_a, const sp_layout *b, uint32_t n_b)
{
    assert_int_equal(n_a, n_b);
    for (uint32_t i = 0; i < n_a; i++) {
        assert_points(&a[i].best, 1, &b[i].best, 1);
        assert_int_equal(a[i].n_variants, b[i].n_variants);
    }
}

void assert_same_tally(const sp_tally *a, const sp_tally *b)
{
    const uint32_t n_rules = a->of->n_rules;
    assert_points(a->front.points, a->front.n_points, b->front.points, b->front.n_points);
    assert_points(a->ranked.points, a->ranked.n_points, b->ranked.points, b->ranked.n_points);
    assert_layouts(a->layouts.layouts, a->layouts.n_layouts, b->layouts.layouts,
                   b->layouts.n_layouts);
    assert_points(a->cell_best, a->n_cells, b->cell_best, b->n_cells);
    assert_memory_equal(a->cell_refused, b->cell_refused,
                        (size_t)a->n_cells * n_rules * sizeof a->cell_refused[0]);
    assert_counts(&a->counts, &b->counts, n_rules);
}

void assert_same_result(const asked *a, const sp_search_result *x, const sp_search_result *y)
{
    assert_points(x->front.points, x->front.n_points, y->front.points, y->front.n_points);
    assert_points(x->ranked.points, x->ranked.n_points, y->ranked.points, y->ranked.n_points);
    assert_layouts(x->layouts, x->n_layouts, y->layouts, y->n_layouts);
    assert_counts(&x->counts, &y->counts, sp_space_rule_count(a->space));
    assert_int_equal(x->n_cells, y->n_cells);
    for (uint32_t i = 0; i < x->n_cells; i++) {
        const sp_cell *p = &x->cells[i], *q = &y->cells[i];
        assert_int_equal(p->tp, q->tp);
        assert_int_equal(p->pp, q->pp);
        assert_int_equal(p->feasible, q->feasible);
        assert_int_equal(p->rule, q->rule);
        assert_int_equal(p->refused, q->refused);
        assert_points(&p->best, 1, &q->best, 1);
    }
}
