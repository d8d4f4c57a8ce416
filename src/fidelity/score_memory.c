/* SPDX-License-Identifier: Apache-2.0 */
/* Serving memory against what engines print when they start, engine by engine; logs that a
 * constant was read off are left out of the figures that are called held out. */
#include "fidelity/serving.h"

#include <string.h>

static sp_status no_memory(sp_error *err)
{
    return sp_fail(err, SP_E_MEMORY, "the score needs more");
}

/* ---- figures ---- */

static bool belongs(const sp_served_group *group, const sp_served_row *row)
{
    if (row->complaint != NULL || (group->held_out && row->fitted)) return false;
    return group->engine == NULL || strcmp(group->engine, row->engine) == 0;
}

static sp_status add_up_group(const sp_memory_score *score, sp_pair *pairs, sp_served_group *group,
                              sp_error *err)
{
    bool failed = false;
    for (int f = 0; f < SP_N_SERVED_FIGURES; f++) {
        size_t n = 0;
        for (uint32_t i = 0; i < score->n_rows; i++) {
            const sp_served_row *row = &score->rows[i];
            const double said = row->predicted[f], was = row->measured[f];
            if (!belongs(group, row) || was <= 0.0) continue;
            pairs[n++] = (sp_pair){said, said, said, was};
        }
        group->metric[f] = sp_metric_of(pairs, n, &failed);
    }
    return failed ? no_memory(err) : SP_OK;
}

static void name_engine(sp_memory_score *score, const char *engine)
{
    for (uint32_t i = 0; i < score->n_engines; i++) {
        if (strcmp(score->engines[i].engine, engine) == 0) return;
    }
    if (score->n_engines == SP_MAX_SERVED_ENGINES) return;
    score->engines[score->n_engines++] = (sp_served_group){.engine = engine};
}

static sp_status add_up(sp_memory_score *score, sp_error *err)
{
    sp_status status = SP_OK;
    sp_pair *pairs = sp_alloc((score->n_rows + 1) * sizeof *pairs);
    if (pairs == NULL) return no_memory(err);
    for (uint32_t i = 0; i < score->n_rows; i++) {
        const sp_served_row *row = &score->rows[i];
        if (row->complaint != NULL) continue;
        score->n_scored++;
        name_engine(score, row->engine);
    }
    score->held_out.held_out = true;
    for (uint32_t i = 0; i < score->n_engines && status == SP_OK; i++) {
        status = add_up_group(score, pairs, &score->engines[i], err);
    }
    if (status == SP_OK) status = add_up_group(score, pairs, &score->overall, err);
    if (status == SP_OK) status = add_up_group(score, pairs, &score->held_out, err);
    sp_free(pairs);
    return status;
}

/* ---- the file ---- */

static sp_status read_rows(sp_memory_score *score, const char *home, const sp_json *root,
                           sp_error *err)
{
    sp_json logs;
    SP_TRY(sp_json_schema(root, "shardplan/serving-logs/1", err));
    SP_TRY(sp_json_array(root, "logs", &logs, err));
    const size_t n = sp_json_size(&logs);
    if (n == 0) return sp_json_fail(&logs, err, SP_E_RANGE, "holds no log");
    score->rows = sp_arena_alloc(&score->arena, n * sizeof *score->rows);
    if (score->rows == NULL) return no_memory(err);
    for (size_t i = 0; i < n; i++) {
        const sp_json entry = sp_json_at(&logs, i);
        sp_served_row *row = &score->rows[score->n_rows++];
        SP_TRY(sp_served_read(&score->arena, home, &entry, row, err));
    }
    return add_up(score, err);
}

static sp_status fill(sp_memory_score *score, const char *home, const char *file, sp_error *err)
{
    sp_json_doc *doc = NULL;
    score->file = sp_arena_strdup(&score->arena, file);
    if (score->file == NULL) return no_memory(err);
    SP_TRY(sp_json_load_file(file, &doc, err));
    const sp_json root = sp_json_root(doc);
    const sp_status status = read_rows(score, home, &root, err);
    sp_json_free(doc);
    return status;
}

sp_status sp_score_memory(const char *home, const char *file, sp_memory_score **score,
                          sp_error *err)
{
    *score = sp_alloc(sizeof **score);
    if (*score == NULL) return no_memory(err);
    const sp_status status = fill(*score, home, file, err);
    if (status == SP_OK) return SP_OK;
    sp_memory_score_free(*score);
    *score = NULL;
    return status;
}

void sp_memory_score_free(sp_memory_score *score)
{
    if (score == NULL) return;
    sp_arena_fini(&score->arena);
    sp_free(score);
}
