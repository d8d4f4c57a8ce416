/* SPDX-License-Identifier: Apache-2.0 */
/* Parameter counts against those of another client, exactly: a folder has a configuration of each
 * model (configs/NAME.json) and what the client counted (expected.json). */
#include "fidelity/fidelity_priv.h"
#include "fidelity/params.h"

#include <stdlib.h>
#include <string.h>

static sp_status no_memory(sp_error *err)
{
    return sp_fail(err, SP_E_MEMORY, "the score needs more");
}

const char *sp_params_figure_name(sp_params_figure figure)
{
    static const char *const names[] = {"total", "embedding", "active"};
    return names[figure];
}

static void put_figures(const sp_parameters *p, uint64_t figures[SP_N_PARAMS_FIGURES])
{
    figures[SP_PARAMS_TOTAL] = p->total;
    figures[SP_PARAMS_EMBEDDING] = p->embedding;
    figures[SP_PARAMS_ACTIVE] = p->active;
}

/* A model that cannot be read is no failure of ours: it counts as not scored. */
static sp_status count_model(sp_params_score *score, const char *home, sp_params_row *row,
                             sp_error *err)
{
    sp_arena arena = {0};
    const sp_model *model = NULL;
    char line[SP_ERROR_TEXT_BYTES];
    const char *file =
        sp_arena_printf(&score->arena, "%s/configs/%s.json", score->folder, row->name);
    if (file == NULL) return no_memory(err);
    if (sp_model_load(&arena, home, file, &model, &row->refusal) == SP_OK) {
        const sp_parameters p = sp_model_parameters(model);
        put_figures(&p, row->counted);
    } else {
        (void)sp_error_format(&row->refusal, line, sizeof line);
        row->complaint = sp_arena_strdup(&score->arena, line);
    }
    sp_arena_fini(&arena);
    if (row->refusal.status == SP_E_MEMORY) return no_memory(err);
    return row->refusal.status == SP_OK || row->complaint != NULL ? SP_OK : no_memory(err);
}

static sp_status read_expected(sp_params_score *score, const sp_json *entry, sp_params_row *row,
                               sp_error *err)
{
    row->name = sp_arena_strdup(&score->arena, entry->key);
    if (row->name == NULL) return no_memory(err);
    for (int f = 0; f < SP_N_PARAMS_FIGURES; f++) {
        SP_TRY(sp_json_u64(entry, sp_params_figure_name((sp_params_figure)f), 1, UINT64_MAX,
                           &row->expected[f], err));
    }
    return SP_OK;
}

bool sp_params_row_is_exact(const sp_params_row *row)
{
    return row->complaint == NULL && memcmp(row->counted, row->expected, sizeof row->counted) == 0;
}

static sp_status add_up(sp_params_score *score, sp_error *err)
{
    bool failed = false;
    sp_pair *pairs = sp_alloc((score->n_rows + 1) * sizeof *pairs);
    if (pairs == NULL) return no_memory(err);
    for (int f = 0; f < SP_N_PARAMS_FIGURES; f++) {
        size_t n = 0;
        for (uint32_t i = 0; i < score->n_rows; i++) {
            const sp_params_row *row = &score->rows[i];
            if (row->complaint != NULL) continue;
            const double counted = (double)row->counted[f];
            pairs[n++] = (sp_pair){counted, counted, counted, (double)row->expected[f]};
            score->n_exact[f] += row->counted[f] == row->expected[f] ? 1 : 0;
        }
        score->n_scored = (uint32_t)n;
        score->overall[f] = sp_metric_of(pairs, n, &failed);
    }
    for (uint32_t i = 0; i < score->n_rows; i++) {
        score->n_all_exact += sp_params_row_is_exact(&score->rows[i]) ? 1 : 0;
    }
    sp_free(pairs);
    return failed ? no_memory(err) : SP_OK;
}

static sp_status read_rows(sp_params_score *score, const char *home, const sp_json *models,
                           sp_error *err)
{
    const size_t n_models = sp_json_size(models);
    if (n_models == 0) return sp_json_fail(models, err, SP_E_RANGE, "holds no model");
    score->rows = sp_arena_alloc(&score->arena, n_models * sizeof *score->rows);
    if (score->rows == NULL) return no_memory(err);
    for (size_t i = 0; i < n_models; i++) {
        const sp_json entry = sp_json_member(models, i);
        sp_params_row *row = &score->rows[score->n_rows++];
        SP_TRY(read_expected(score, &entry, row, err));
        SP_TRY(count_model(score, home, row, err));
    }
    return add_up(score, err);
}

static sp_status fill(sp_params_score *score, const char *home, const char *folder, sp_error *err)
{
    sp_json_doc *doc = NULL;
    sp_json models;
    score->folder = sp_arena_strdup(&score->arena, folder);
    const char *file = sp_arena_printf(&score->arena, "%s/expected.json", folder);
    if (file == NULL || score->folder == NULL) return no_memory(err);
    SP_TRY(sp_json_load_file(file, &doc, err));
    const sp_json root = sp_json_root(doc);
    sp_status status = sp_json_object(&root, "models", &models, err);
    if (status == SP_OK) status = read_rows(score, home, &models, err);
    sp_json_free(doc);
    return status;
}

sp_status sp_score_params(const char *home, const char *folder, sp_params_score **score,
                          sp_error *err)
{
    *score = sp_alloc(sizeof **score);
    if (*score == NULL) return no_memory(err);
    const sp_status status = fill(*score, home, folder, err);
    if (status == SP_OK) return SP_OK;
    sp_params_score_free(*score);
    *score = NULL;
    return status;
}

void sp_params_score_free(sp_params_score *score)
{
    if (score == NULL) return;
    sp_arena_fini(&score->arena);
    sp_free(score);
}
