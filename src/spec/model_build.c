/* SPDX-License-Identifier: Apache-2.0 */
/* Putting a model together: assumptions, runs of equal layers, and the last checks. Both readers
 * (model_hf.c, model_own.c) end here. */
#include "spec/spec.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define NOTE_BYTES 256

void sp_model_build_init(sp_model_build *build)
{
    build->model.norm_vectors = build->model.outer_norms = build->model.streams = 1;
    for (uint32_t k = 0; k < SP_MODEL_MAX_KINDS; k++) {
        build->model.kinds[k].attention.norms = build->model.kinds[k].ffn.norms = 1;
    }
}

void sp_model_note(sp_model_build *build, const char *format, ...)
{
    if (build->n_notes + 1 >= SP_MODEL_MAX_NOTES) {
        build->n_notes_lost++; /* the last place is for their count */
        return;
    }
    char text[NOTE_BYTES];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    const char *note = sp_arena_strdup(build->arena, text);
    build->no_memory = build->no_memory || note == NULL;
    if (note != NULL) build->notes[build->n_notes++] = note;
}

/* Renumbers the kinds that are in use, in their order; the others vanish. */
static void drop_unused_kinds(sp_model *model, const uint8_t *kind_of_layer,
                              uint32_t new_idx[SP_MODEL_MAX_KINDS])
{
    bool used[SP_MODEL_MAX_KINDS] = {false};
    for (uint32_t i = 0; i < model->n_layers; i++) {
        assert(kind_of_layer[i] < SP_MODEL_MAX_KINDS);
        used[kind_of_layer[i]] = true;
    }
    uint32_t n_kinds = 0;
    for (uint32_t kind = 0; kind < SP_MODEL_MAX_KINDS; kind++) {
        if (!used[kind]) continue;
        model->kinds[n_kinds] = model->kinds[kind];
        new_idx[kind] = n_kinds++;
    }
    model->n_kinds = n_kinds;
    memset(&model->kinds[n_kinds], 0, (SP_MODEL_MAX_KINDS - n_kinds) * sizeof model->kinds[0]);
}

static uint32_t count_runs(const uint8_t *kind_of_layer, uint32_t n_layers)
{
    uint32_t n_runs = 1;
    for (uint32_t i = 1; i < n_layers; i++) {
        n_runs += kind_of_layer[i] != kind_of_layer[i - 1] ? 1 : 0;
    }
    return n_runs;
}

sp_status sp_model_set_runs(sp_model_build *build, const uint8_t *kind_of_layer, sp_error *err)
{
    sp_model *model = &build->model;
    assert(model->n_layers > 0);
    uint32_t new_idx[SP_MODEL_MAX_KINDS] = {0};
    drop_unused_kinds(model, kind_of_layer, new_idx);
    model->n_runs = count_runs(kind_of_layer, model->n_layers);
    sp_layer_run *runs = sp_arena_alloc(build->arena, model->n_runs * sizeof *runs);
    if (runs == NULL) return sp_fail(err, SP_E_MEMORY, "the layers of the model need more");
    sp_layer_run *run = runs;
    for (uint32_t i = 0; i < model->n_layers; i++) {
        if (i > 0 && kind_of_layer[i] != kind_of_layer[i - 1]) run++;
        run->kind = new_idx[kind_of_layer[i]];
        run->count++;
    }
    model->runs = runs;
    return SP_OK;
}

sp_status sp_model_set_one_kind(sp_model_build *build, sp_error *err)
{
    sp_model *model = &build->model;
    sp_layer_run *run = sp_arena_alloc(build->arena, sizeof *run);
    if (run == NULL) return sp_fail(err, SP_E_MEMORY, "the layers of the model need more");
    *run = (sp_layer_run){.kind = 0, .count = model->n_layers};
    model->n_kinds = 1;
    model->n_runs = 1;
    model->runs = run;
    return SP_OK;
}

static void keep_notes(sp_model_build *build)
{
    if (build->n_notes_lost > 0) {
        const char *rest = sp_arena_printf(build->arena, "%u more assumptions of this kind.",
                                           (unsigned)build->n_notes_lost);
        build->no_memory = build->no_memory || rest == NULL;
        build->notes[build->n_notes++] = rest;
    }
    const char **kept = sp_arena_alloc(build->arena, (build->n_notes + 1) * sizeof *kept);
    build->no_memory = build->no_memory || kept == NULL;
    for (uint32_t i = 0; kept != NULL && i < build->n_notes; i++) {
        kept[i] = build->notes[i];
    }
    build->model.assumptions = kept;
    build->model.n_assumptions = build->n_notes;
}

sp_status sp_model_build_finish(sp_model_build *build, const sp_json *root, const sp_model **model,
                                sp_error *err)
{
    sp_parameters parameters;
    if (!sp_model_count(&build->model, &parameters)) {
        sp_json_fail(root, err, SP_E_OVERFLOW, "the parameters of this model do not fit 64 bits");
        err->value[0] = '\0';
        return SP_E_OVERFLOW;
    }
    keep_notes(build);
    sp_model *kept = sp_arena_alloc(build->arena, sizeof *kept);
    if (kept == NULL || build->no_memory) {
        return sp_fail(err, SP_E_MEMORY, "the model needs more");
    }
    *kept = build->model;
    *model = kept;
    return SP_OK;
}

sp_status sp_model_assemble(struct sp_arena *arena, const sp_model *parts,
                            const uint8_t *kind_of_layer, const sp_model **model, sp_error *err)
{
    sp_model_build build = {.arena = arena, .model = *parts};
    sp_parameters parameters;
    SP_TRY(sp_text_keep(arena, parts->name, &build.model.name, err));
    SP_TRY(sp_text_keep(arena, parts->model_type, &build.model.model_type, err));
    SP_TRY(sp_text_keep(arena, parts->source, &build.model.source, err));
    SP_TRY(sp_model_set_runs(&build, kind_of_layer, err));
    if (!sp_model_count(&build.model, &parameters)) {
        return sp_fail(err, SP_E_OVERFLOW, "the parameters of this model do not fit 64 bits");
    }
    sp_model *kept = sp_arena_alloc(arena, sizeof *kept);
    if (kept == NULL) return sp_fail(err, SP_E_MEMORY, "the model needs more");
    *kept = build.model;
    kept->assumptions = NULL;
    kept->n_assumptions = 0;
    *model = kept;
    return SP_OK;
}
