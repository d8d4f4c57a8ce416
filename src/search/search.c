/* SPDX-License-Identifier: Apache-2.0 */
/* A search from a space to its answer: lists the layouts, lets ranks and threads settle them, and
 * turns what they found into the result. */
#include "search/search_priv.h"

#include <assert.h>

/* ---- the grid ---- */

/* The rule that refused most admitted plans of a cell; the first of equals. */
static void fill_empty(const sp_tally *tally, uint32_t idx, sp_cell *cell)
{
    const uint32_t n_rules = sp_space_rule_count(tally->space);
    const uint64_t *refused = &tally->cell_refused[(size_t)idx * n_rules];
    cell->rule = UINT32_MAX;
    for (uint32_t rule = 0; rule < n_rules; rule++) {
        if (refused[rule] <= cell->refused) continue;
        cell->refused = refused[rule];
        cell->rule = rule;
    }
}

static sp_status fill_cells(const sp_tally *tally, sp_search_result *result, sp_error *err)
{
    const sp_axis *tp = sp_space_axis(tally->space, SP_AXIS_tp);
    const sp_axis *pp = sp_space_axis(tally->space, SP_AXIS_pp);
    result->cells = sp_alloc(tally->n_cells * sizeof *result->cells);
    if (result->cells == NULL) return sp_fail(err, SP_E_MEMORY, "no memory for the grid");
    result->n_cells = tally->n_cells;
    for (uint32_t i = 0; i < tally->n_cells; i++) {
        sp_cell *cell = &result->cells[i];
        cell->tp = tp->values[i / pp->n_values];
        cell->pp = pp->values[i % pp->n_values];
        cell->feasible = tally->cell_best[i].id != SP_NO_PLAN;
        if (cell->feasible) {
            cell->best = tally->cell_best[i];
        } else {
            fill_empty(tally, i, cell);
        }
    }
    return SP_OK;
}

/* ---- the result ---- */

static void fill_counts(const sp_run *run, uint64_t settled, sp_search_result *result)
{
    sp_search_counts *counts = &result->counts;
    const uint64_t layout_ids = sp_space_axis(run->space, SP_LAYOUT_AXIS)->stride;
    counts->space = sp_space_count(run->space);
    counts->uncovered = (run->n_layouts - settled) * layout_ids;
    uint64_t sum = counts->evaluated + counts->uncovered;
    for (uint32_t rule = 0; rule < sp_space_rule_count(run->space); rule++) {
        sum += counts->pruned[rule];
    }
    assert(sum == counts->space);
    (void)sum;
    result->exact = counts->uncovered == 0;
    /* By layouts that admit anything: most ids are holes and would flatter an early stop. */
    result->covered_ratio = result->exact ? 1.0 : (double)settled / (double)run->n_layouts;
}

/* The result takes the tally's sets. */
static void move_sets(sp_tally *tally, sp_search_result *result)
{
    result->front = tally->front;
    result->ranked = tally->ranked;
    result->layouts = tally->layouts.layouts;
    result->n_layouts = tally->layouts.n_layouts;
    result->counts = tally->counts;
    tally->front = (sp_front){0};
    tally->ranked = (sp_best){0};
    tally->layouts = (sp_layouts){0};
    tally->counts = (sp_search_counts){0};
}

static sp_status find_answer(const sp_run *run, uint64_t *pruned, sp_error *err)
{
    sp_tally answer = {0};
    uint64_t settled = 0;
    SP_TRY(sp_tally_init(&answer, run->space, run->options->top_k, err));
    sp_status status = sp_coordinate(run, &answer, &settled, err);
    if (status == SP_OK) status = fill_cells(&answer, run->result, err);
    if (status == SP_OK) {
        for (uint32_t rule = 0; rule < sp_space_rule_count(run->space); rule++) {
            answer.counts.pruned[rule] += pruned[rule];
        }
        move_sets(&answer, run->result);
        fill_counts(run, settled, run->result);
    }
    sp_tally_fini(&answer);
    return status;
}

/* ---- the search ---- */

static sp_status list_layouts(const sp_space *space, uint64_t **layouts, uint64_t *n_layouts,
                              uint64_t **pruned, sp_error *err)
{
    *pruned = sp_alloc(sp_space_rule_count(space) * sizeof **pruned);
    if (*pruned == NULL) return sp_fail(err, SP_E_MEMORY, "no memory for the counts of the search");
    return sp_layouts_list(space, layouts, n_layouts, *pruned, err);
}

sp_status sp_search_run(const sp_space *space, const sp_search_options *options,
                        sp_search_result *result, sp_error *err)
{
    const bool first_rank = sp_ranks_rank() == 0;
    const double start_s = sp_clock_s();
    uint64_t *layouts = NULL, *pruned = NULL;
    sp_run run = {.space = space, .options = options, .result = result};
    *result = (sp_search_result){0};
    sp_status status = list_layouts(space, &layouts, &run.n_layouts, &pruned, err);
    run.layouts = layouts;
    if (status == SP_OK) {
        status = first_rank ? find_answer(&run, pruned, err) : sp_work(&run, err);
    } else if (!first_rank) {
        sp_work_fail(err);
    }
    result->seconds = sp_clock_s() - start_s;
    sp_free(layouts);
    sp_free(pruned);
    if (status != SP_OK) sp_search_result_fini(result);
    return status;
}

void sp_search_result_fini(sp_search_result *result)
{
    sp_front_fini(&result->front);
    sp_best_fini(&result->ranked);
    sp_free(result->layouts);
    sp_free(result->cells);
    sp_free(result->counts.pruned);
    *result = (sp_search_result){0};
}
