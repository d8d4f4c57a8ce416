/* SPDX-License-Identifier: Apache-2.0 */
/* The search against the plainest thing that can be right: look at every id, ask every rule, price
 * what is left, sort. Compared are the front, the best K, layouts, grid and every count.
 * SHARDPLAN_LONG is the number of spaces to try (200). */
#include "laws/questions.h"
#include "shardplan/search.h"
#include "step/step.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MAX_IDS = 60000, TOP_K = 7 };

/* All that was found the plain way. */
typedef struct plain {
    const sp_space *space;
    sp_search_counts counts;
    uint32_t n_points;
    sp_point *points; /* feasible, by id */
    uint64_t *cell_refused;
} plain;

static uint32_t cell_of(const sp_space *space, uint64_t id)
{
    const sp_axis *tp = sp_space_axis(space, SP_AXIS_tp), *pp = sp_space_axis(space, SP_AXIS_pp);
    const uint64_t row = id / tp->stride % tp->n_values, column = id / pp->stride % pp->n_values;
    return (uint32_t)(row * pp->n_values + column);
}

static bool reads_results(const sp_problem *problem, const sp_rule_info *rule)
{
    for (uint32_t i = 0; i < problem->n_wheres; i++) {
        if (rule->name == sp_expr_text(problem->wheres[i].expr)) {
            return problem->wheres[i].reads_results;
        }
    }
    return false;
}

static void add_point(plain *p, uint64_t id, const sp_plan *plan)
{
    const sp_problem *problem = sp_space_problem(p->space);
    double keys[SP_MAX_OBJECTIVES];
    const sp_verdict verdict = sp_estimate_keys(problem, plan, keys);
    assert_true(verdict == SP_FITS || verdict == SP_TIGHT);
    sp_point *point = &p->points[p->n_points++];
    *point = (sp_point){.id = id};
    for (uint32_t k = 0; k < problem->n_objectives; k++) {
        point->key[k] = sp_quantise(keys[k], SP_KEY_BITS);
    }
}

static void look_at(plain *p, uint64_t id)
{
    const sp_plan plan = sp_space_unrank(p->space, id);
    const uint32_t rule = sp_space_refusal(p->space, &plan);
    const sp_rule_info *info = rule != UINT32_MAX ? sp_space_rule(p->space, rule) : NULL;
    if (info != NULL && info->class <= SP_RULE_STRUCTURE) {
        p->counts.pruned[rule]++;
        return;
    }
    p->counts.admitted++;
    if (info == NULL) {
        p->counts.evaluated++;
        p->counts.feasible++;
        add_point(p, id, &plan);
        return;
    }
    const uint32_t n_rules = sp_space_rule_count(p->space);
    p->cell_refused[(size_t)cell_of(p->space, id) * n_rules + rule]++;
    if (reads_results(sp_space_problem(p->space), info)) {
        p->counts.evaluated++;
    } else {
        p->counts.pruned[rule]++;
    }
}

static void plain_init(plain *p, const sp_space *space)
{
    const uint32_t n_rules = sp_space_rule_count(space);
    const size_t n_cells = (size_t)sp_space_axis(space, SP_AXIS_tp)->n_values *
                           sp_space_axis(space, SP_AXIS_pp)->n_values;
    *p = (plain){.space = space};
    p->counts.pruned = calloc(n_rules, sizeof(uint64_t));
    p->points = calloc(sp_space_count(space), sizeof *p->points);
    p->cell_refused = calloc(n_cells * n_rules, sizeof(uint64_t));
    for (uint64_t id = 0; id < sp_space_count(space); id++) {
        look_at(p, id);
    }
}

static void plain_fini(plain *p)
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
    assert_int_equal(ranked->n_points, p->n_points < TOP_K ? p->n_points : TOP_K);
    for (uint32_t i = 0; i < ranked->n_points; i++) {
        assert_point(&ranked->points[i], &p->points[i]);
    }
}

/* Needs p->points sorted by the first key: the first of a layout is its best. */
static void compare_layouts(const plain *p, const sp_search_result *result)
{
    const sp_axis *placement = sp_space_axis(p->space, SP_AXIS_placement);
    const uint64_t stride = placement->stride * placement->n_values;
    uint32_t n = 0;
    for (uint32_t i = 0; i < p->n_points && n < TOP_K; i++) {
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
        if (cell_of(p->space, p->points[i].id) == cell) return &p->points[i];
    }
    return NULL;
}

static void compare_cells(const plain *p, const sp_search_result *result)
{
    const uint32_t n_rules = sp_space_rule_count(p->space);
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
    for (uint32_t rule = 0; rule < sp_space_rule_count(p->space); rule++) {
        if (found->pruned[rule] == p->counts.pruned[rule]) continue;
        print_message("%s: %llu found, %llu looked at\n", sp_space_rule(p->space, rule)->name,
                      (unsigned long long)found->pruned[rule],
                      (unsigned long long)p->counts.pruned[rule]);
    }
    assert_int_equal(found->space, sp_space_count(p->space));
    assert_int_equal(found->admitted, p->counts.admitted);
    assert_int_equal(found->evaluated, p->counts.evaluated);
    assert_int_equal(found->feasible, p->counts.feasible);
    assert_int_equal(found->uncovered, 0);
    for (uint32_t rule = 0; rule < sp_space_rule_count(p->space); rule++) {
        assert_int_equal(found->pruned[rule], p->counts.pruned[rule]);
    }
}

/* Returns whether the space holds a plan. */
static bool compare(draw *d, const sp_space *space)
{
    sp_error err = {0};
    sp_search_result result;
    const sp_search_options options = {
        .threads = draw_between(d, 1, 4), .top_k = TOP_K, .no_bounds = draw_coin(d)};
    assert_int_equal(sp_search_run(space, &options, &result, &err), SP_OK);
    plain p;
    plain_init(&p, space);
    assert_true(result.exact);
    compare_counts(&p, &result.counts);
    compare_front(&p, &result.front);
    compare_ranked(&p, &result.ranked);
    compare_layouts(&p, &result);
    compare_cells(&p, &result);
    const bool any = p.n_points > 0;
    plain_fini(&p);
    sp_search_result_fini(&result);
    return any;
}

static uint32_t wanted_spaces(void)
{
    const char *text = getenv("SHARDPLAN_LONG");
    const long n = text != NULL ? strtol(text, NULL, 10) : 0;
    return n > 0 ? (uint32_t)n : 200;
}

static void the_search_finds_what_looking_at_every_id_finds(void **state)
{
    const uint32_t wanted = wanted_spaces();
    uint32_t n_feasible = 0;
    static drawn_question drawn; /* outlives a failure, which tell_question describes */
    draw d = draw_begin("brute force");
    *state = &drawn.question;
    for (uint32_t n = 0; n < wanted;) {
        sp_problem *problem = NULL;
        sp_space *space = NULL;
        draw_question(&d, &drawn);
        build_question(&drawn.question, &problem, &space);
        if (sp_space_count(space) <= MAX_IDS) {
            n_feasible += compare(&d, space);
            n++;
        }
        sp_space_free(space);
        sp_problem_free(problem);
    }
    *state = NULL;
    print_message("%u spaces, %u of them with plans\n", wanted, n_feasible);
    assert_true(n_feasible > wanted / 8);
}

/* The question that a failure left behind. */
static int tell_question(void **state)
{
    if (*state != NULL) print_question(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(the_search_finds_what_looking_at_every_id_finds, tell_question),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
