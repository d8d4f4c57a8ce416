/* SPDX-License-Identifier: Apache-2.0 */
/* A Hugging Face config.json: model_type names the file of HOME/configs/model_types that says how
 * its keys become a model. An unknown type is refused, never guessed. The language model inside a
 * multimodal one is read by the file of its own type. */
#include "spec/model_type.h"

#include <string.h>

static const sp_model_field layers_field = {.name = "layers",
                                            .meaning = "number of layers",
                                            .lo = 1,
                                            .hi = SP_MODEL_MAX_LAYERS,
                                            .group = SP_FIELDS_MODEL};

static sp_status no_memory(sp_error *err)
{
    return sp_fail(err, SP_E_MEMORY, "the model needs more");
}

/* Names that begin with '_' are not types: they hold what types have in common. */
sp_status sp_model_type_names(sp_arena *arena, const char *home, const char *const **names,
                              size_t *n_names, sp_error *err)
{
    const char *dir = sp_arena_printf(arena, "%s/configs/model_types", home);
    if (dir == NULL) return no_memory(err);
    const char *const *all = NULL;
    size_t n_all = 0;
    SP_TRY(sp_dir_names(arena, dir, ".json", &all, &n_all, err));
    const char **types = sp_arena_alloc(arena, (n_all + 1) * sizeof *types);
    if (types == NULL) return no_memory(err);
    *n_names = 0;
    for (size_t i = 0; i < n_all; i++) {
        if (all[i][0] != '_') types[(*n_names)++] = all[i];
    }
    *names = types;
    return SP_OK;
}

static sp_status refuse_untyped(const sp_json *root, sp_error *err)
{
    sp_json_fail(root, err, SP_E_MISSING_KEY,
                 "a model file has \"model_type\" (Hugging Face) or \"schema\" "
                 "(\"shardplan/model/1\")");
    err->value[0] = '\0';
    return SP_E_MISSING_KEY;
}

sp_status sp_model_type_check(sp_model_build *build, const sp_json *value, const char *name,
                              const char **kept, sp_error *err)
{
    sp_arena scratch = {0};
    const char *const *names = NULL;
    size_t n_names = 0;
    bool known = false;
    sp_status status = sp_model_type_names(&scratch, build->home, &names, &n_names, err);
    for (size_t i = 0; i < n_names && !known; i++) {
        known = strcmp(names[i], name) == 0;
    }
    if (known) {
        status = sp_text_keep(build->arena, name, kept, err);
    } else if (status == SP_OK) {
        status = sp_json_fail(value, err, SP_E_UNKNOWN_NAME, "models of this type cannot be read");
        sp_fail_names(err, name, names, n_names);
        sp_fail_range(err, "the names of `shardplan list types`; a file of the name in "
                           "configs/model_types adds one");
    }
    sp_arena_fini(&scratch);
    return status;
}

static sp_status read_plain(sp_type_reader *reader, sp_error *err)
{
    sp_model *const model = &reader->build->model;
    uint64_t n_layers = 0;
    sp_model_fields_init(SP_FIELDS_MODEL, model);
    SP_TRY(sp_type_block_values(reader, &reader->model, model, err));
    SP_TRY(sp_type_field_value(reader, &layers_field, reader->layers, &n_layers, err));
    reader->n_layers = (uint32_t)n_layers;
    sp_model_read_rope(reader->config, model);
    SP_TRY(sp_type_overrides_check(reader, err));
    SP_TRY(sp_type_read_projections(reader, reader->projections, reader->n_projections,
                                    model->projections, &model->n_projections, err));
    return sp_type_read_layers(reader, err);
}

/* Where the values cannot be worked out, a requirement may say why. */
static sp_status check_and_read(sp_type_reader *reader,
                                sp_status (*read)(sp_type_reader *, sp_error *), sp_error *err)
{
    sp_error reason;
    const sp_status status = read(reader, err);
    if (status == SP_OK) return sp_type_check_requirements(reader, false, err);
    if (!reader->unevaluated) return status;
    if (sp_type_check_requirements(reader, true, &reason) == SP_OK) return status;
    *err = reason;
    return reason.status;
}

static sp_status read_by_type(sp_model_build *build, const sp_json *config, const char *type,
                              bool beside, sp_error *err);

/* The object with the language model's keys: where it is not stated, what the classes put in its
 * place, or the wrapper's own keys, among which *beside says that they stand. */
static sp_json inner_config(const sp_type_reader *reader, bool *beside)
{
    const sp_json stated = sp_json_get(reader->config, reader->wrapped_key);
    *beside = reader->wraps_beside && !sp_json_is_object(&stated);
    if (*beside) return *reader->config;
    return sp_json_is_object(&stated) ? stated : sp_json_get(&reader->absent, reader->wrapped_key);
}

/* The language model inside, then what the wrapper adds to it. */
static sp_status read_wrapper(sp_type_reader *reader, sp_error *err)
{
    sp_model_build *const build = reader->build;
    const char *name = reader->wrapped_type;
    const char *type = NULL;
    bool beside = false;
    const sp_json inner = inner_config(reader, &beside);
    const bool typed = !beside && sp_json_has(&inner, "model_type");
    const sp_json value =
        typed ? sp_json_get(&inner, "model_type") : sp_json_get(reader->file, "wraps");
    if (typed) SP_TRY(sp_json_string(&inner, "model_type", &name, err));
    SP_TRY(sp_model_type_check(build, &value, name, &type, err));
    SP_TRY(read_by_type(build, &inner, type, beside, err));
    reader->n_layers = build->model.n_layers;
    return sp_type_block_values(reader, &reader->model, &build->model, err);
}

static sp_status read_config(sp_type_reader *reader, sp_error *err)
{
    SP_TRY(sp_type_file_read(reader, err));
    SP_TRY(sp_type_overrides_read(reader, err));
    if (!reader->beside) SP_TRY(sp_type_check_keys(reader, err));
    SP_TRY(sp_type_check_config(reader, err));
    SP_TRY(check_and_read(reader, reader->wrapped_key != NULL ? read_wrapper : read_plain, err));
    sp_type_note_defaults(reader);
    return SP_OK;
}

static sp_status read_by_type(sp_model_build *build, const sp_json *config, const char *type,
                              bool beside, sp_error *err)
{
    sp_arena scratch = {0};
    sp_json_doc *doc = NULL;
    const char *path =
        sp_arena_printf(&scratch, "%s/configs/model_types/%s.json", build->home, type);
    sp_status status = path != NULL ? sp_json_load_file(path, &doc, err) : no_memory(err);
    if (status == SP_OK) {
        const sp_json file = sp_json_root(doc);
        sp_type_reader reader = {.build = build,
                                 .scratch = &scratch,
                                 .type = type,
                                 .config = config,
                                 .file = &file,
                                 .beside = beside,
                                 .layer_idx = SP_TYPE_NO_LAYER};
        status = read_config(&reader, err);
        sp_json_free(doc);
    }
    sp_arena_fini(&scratch);
    return status;
}

sp_status sp_model_read_hf(sp_model_build *build, const sp_json *root, sp_error *err)
{
    const char *name = NULL;
    if (!sp_json_has(root, "model_type")) return refuse_untyped(root, err);
    SP_TRY(sp_json_string(root, "model_type", &name, err));
    const sp_json value = sp_json_get(root, "model_type");
    SP_TRY(sp_model_type_check(build, &value, name, &build->model.model_type, err));
    build->model.source =
        sp_arena_printf(build->arena, "Hugging Face configuration %s", sp_json_file(root));
    build->no_memory = build->no_memory || build->model.source == NULL;
    return read_by_type(build, root, build->model.model_type, false, err);
}
