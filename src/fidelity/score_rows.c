/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of a table of training runs: which of them count, what was measured, what they ask and
 * what is predicted under the constants of the engine files. */
#include "fidelity/fidelity_priv.h"

#include <string.h>

static const double GIB = 1073741824.0;

static sp_status keep_text(sp_score *score, const char *text, const char **kept, sp_error *err)
{
    *kept = sp_arena_strdup(&score->arena, text);
    return *kept != NULL ? SP_OK : sp_fail(err, SP_E_MEMORY, "no memory for the score");
}

/* Older releases of a source that measures one plan again and again show its drift, not our error.
 */
static bool is_latest(const sp_map *map, const sp_table *table, uint32_t row)
{
    const char *source = sp_table_text(table, row, SP_COLUMN_SOURCE);
    for (uint32_t i = 0; i < map->n_latest_only; i++) {
        if (strcmp(map->latest_only[i], source) != 0) continue;
        return strcmp(sp_table_text(table, row, SP_COLUMN_LATEST), "1") == 0;
    }
    return true;
}

static sp_status read_row(sp_score *score, const sp_table *table, uint32_t row, sp_scored_row *out,
                          sp_error *err)
{
    bool step = false, memory = false;
    double gib = 0.0;
    const char *quality = sp_table_text(table, row, SP_COLUMN_QUALITY);
    const bool good = strcmp(quality, "A") == 0 || strcmp(quality, "B") == 0;
    const bool counts = good && is_latest(&score->map, table, row);
    SP_TRY(keep_text(score, sp_table_text(table, row, SP_COLUMN_ID), &out->id, err));
    SP_TRY(keep_text(score, sp_table_text(table, row, SP_COLUMN_SOURCE), &out->source, err));
    SP_TRY(keep_text(score, sp_table_text(table, row, SP_COLUMN_RANK_SET), &out->rank_set, err));
    SP_TRY(sp_table_switch(table, row, SP_COLUMN_SCORE_STEP, &step, err));
    SP_TRY(sp_table_switch(table, row, SP_COLUMN_SCORE_MEM, &memory, err));
    SP_TRY(sp_table_switch(table, row, SP_COLUMN_OOM, &out->oom, err));
    SP_TRY(sp_table_double(table, row, SP_COLUMN_STEP_S, 1e9, &out->step_s, err));
    SP_TRY(sp_table_double(table, row, SP_COLUMN_PEAK_MEM_GIB, 1e6, &gib, err));
    out->for_step = step && counts;
    out->for_memory = memory && counts;
    out->core = good && strcmp(sp_table_text(table, row, SP_COLUMN_SCOPE), "core") == 0;
    out->memory_bytes = gib * GIB;
    return SP_OK;
}

sp_status sp_score_read(sp_score *score, const sp_table *table, sp_predictor *predictor,
                        sp_error *err)
{
    SP_TRY(keep_text(score, table->csv.file, &score->file, err));
    score->n_rows = table->csv.n_rows;
    score->rows = sp_arena_alloc(&score->arena, ((size_t)score->n_rows + 1) * sizeof *score->rows);
    if (score->rows == NULL) return sp_fail(err, SP_E_MEMORY, "no memory for the score");
    for (uint32_t i = 0; i < score->n_rows; i++) {
        sp_scored_row *row = &score->rows[i];
        SP_TRY(read_row(score, table, i, row, err));
        SP_TRY(sp_ask_row(predictor, i, &row->asked, err));
        if (row->asked.problem != NULL)
            sp_predict(row->asked.problem, &row->asked, &row->predicted);
    }
    return SP_OK;
}

void sp_score_forget(sp_score *score)
{
    for (uint32_t i = 0; score->rows != NULL && i < score->n_rows; i++) {
        score->rows[i].asked.problem = NULL;
    }
}

bool sp_pair_of(const sp_scored_row *row, sp_metric_id metric, sp_pair *pair)
{
    const sp_prediction *p = &row->predicted;
    const bool step = metric == SP_METRIC_STEP;
    *pair = step ? (sp_pair){p->step_s, p->step_low_s, p->step_high_s, row->step_s}
                 : (sp_pair){p->memory_bytes, p->memory_low_bytes, p->memory_high_bytes,
                             row->memory_bytes};
    return p->made && !row->oom && pair->measured > 0.0 && (step ? row->for_step : row->for_memory);
}
