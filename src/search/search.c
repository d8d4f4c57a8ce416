/* SPDX-License-Identifier: Apache-2.0 */
/* A search from a space to its answer: lists the blocks, lets ranks and threads settle them, and
 * turns what they found into the result. */
#include "search/search_priv.h"

#include <assert.h>

/* ---- the grid ---- */

/* The rule that refused most admitted plans of a cell; the first of equals. */
static void fill_empty(const sp_tally *tally, uint32_t idx, sp_cell *cell)
{
    const uint32_t n_rules = tally->of->n_rules;
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
    result->cells = sp_alloc(tally->n_cells * sizeof *result->cells);
    if (result->cells == NULL) return sp_fail(err, SP_E_MEMORY, "no memory for the grid");
    result->n_cells = tally->n_cells;
    for (uint32_t i = 0; i < tally->n_cells; i++) {
        sp_cell *cell = &result->cells[i];
        tally->of->label(tally->of->space, i, cell);
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
    counts->space = run->of->n_ids;
    counts->uncovered = (run->n_blocks - settled) * run->of->block_ids;
    uint64_t sum = counts->evaluated + counts->uncovered;
    for (uint32_t rule = 0; rule < run->of->n_rules; rule++) {
        sum += counts->pruned[rule];
    }
    assert(sum == counts->space);
    (void)sum;
    result->exact = counts->uncovered == 0;
    /* By blocks that admit anything: most ids are holes and would flatter an early stop. */
    result->covered_ratio = result->exact ? 1.0 : (double)settled / (double)run->n_blocks;
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
    SP_TRY(sp_tally_init(&answer, run->of, run->options->top_k, err));
    sp_status status = sp_coordinate(run, &answer, &settled, err);
    if (status == SP_OK) status = fill_cells(&answer, run->result, err);
    if (status == SP_OK) {
        for (uint32_t rule = 0; rule < run->of->n_rules; rule++) {
            answer.counts.pruned[rule] += pruned[rule];
        }
        move_sets(&answer, run->result);
        fill_counts(run, settled, run->result);
    }
    sp_tally_fini(&answer);
    return status;
}

/* ---- the search ---- */

void sp_id_list_add(sp_id_list *list, uint64_t id)
{
    if (list->n == list->capacity) {
        const uint64_t capacity = list->capacity == 0 ? 1024 : 2 * list->capacity;
        uint64_t *grown = sp_realloc(list->ids, capacity * sizeof *grown);
        list->failed |= grown == NULL;
        if (grown == NULL) return;
        list->ids = grown;
        list->capacity = capacity;
    }
    list->ids[list->n++] = id;
}

static sp_status list_blocks(const sp_searchable *of, sp_id_list *blocks, uint64_t **pruned,
                             sp_error *err)
{
    *pruned = sp_alloc(of->n_rules * sizeof **pruned);
    if (*pruned != NULL) of->list(of->space, blocks, *pruned);
    if (*pruned != NULL && !blocks->failed) return SP_OK;
    return sp_fail(err, SP_E_MEMORY, "no memory for what is to be searched");
}

sp_status sp_search_all(const sp_searchable *of, const sp_search_options *options,
                        sp_search_result *result, sp_error *err)
{
    const bool first_rank = options->alone || sp_ranks_rank() == 0;
    const double start_s = sp_clock_s();
    uint64_t *pruned = NULL;
    sp_id_list blocks = {0};
    *result = (sp_search_result){0};
    sp_status status = list_blocks(of, &blocks, &pruned, err);
    const sp_run run = {
        .of = of, .options = options, .n_blocks = blocks.n, .blocks = blocks.ids, .result = result};
    if (status == SP_OK) {
        status = first_rank ? find_answer(&run, pruned, err) : sp_work(&run, err);
    } else if (!first_rank) {
        sp_work_fail(err);
    }
    result->seconds = sp_clock_s() - start_s;
    sp_free(blocks.ids);
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
