/* SPDX-License-Identifier: Apache-2.0 */
/* A Hugging Face config.json: model_type decides which reader takes it. The readers are in one file
 * a family, model_hf_*.c; an unknown type is refused, never guessed. */
#include "spec/spec.h"

#include <string.h>

static const sp_model_type *const types[] = {
#define SP_MODEL_TYPE(type) &sp_model_type_##type,
#include "spec/model_types.def"
#undef SP_MODEL_TYPE
};

static const char *const type_names[] = {
#define SP_MODEL_TYPE(type) #type,
#include "spec/model_types.def"
#undef SP_MODEL_TYPE
};

#define N_TYPES (sizeof types / sizeof types[0])

size_t sp_model_type_names(const char *const **names)
{
    *names = type_names;
    return N_TYPES;
}

static const sp_model_type *find_type(const char *name)
{
    for (size_t i = 0; i < N_TYPES; i++) {
        if (strcmp(types[i]->name, name) == 0) return types[i];
    }
    return NULL;
}

static sp_status refuse_wrapper(const sp_json *root, sp_error *err)
{
    const sp_json text_config = sp_json_get(root, "text_config");
    if (!sp_json_is_object(&text_config)) return SP_OK;
    sp_json_fail(&text_config, err, SP_E_NOT_YET,
                 "the language model of a multimodal model; save text_config with its own "
                 "model_type as a file of its own");
    err->value[0] = '\0'; /* the whole object says nothing */
    return SP_E_NOT_YET;
}

static sp_status refuse_untyped(const sp_json *root, sp_error *err)
{
    sp_json_fail(root, err, SP_E_MISSING_KEY,
                 "a model file has \"model_type\" (Hugging Face) or \"schema\" "
                 "(\"shardplan/model/1\")");
    err->value[0] = '\0';
    return SP_E_MISSING_KEY;
}

static sp_status refuse_type(const sp_json *root, const char *name, sp_error *err)
{
    const sp_json value = sp_json_get(root, "model_type");
    sp_json_fail(&value, err, SP_E_UNKNOWN_NAME, "models of this type cannot be read");
    return sp_fail_names(err, name, type_names, N_TYPES);
}

sp_status sp_model_read_hf(sp_model_build *build, const sp_json *root, sp_error *err)
{
    const char *name = NULL;
    if (!sp_json_has(root, "model_type")) return refuse_untyped(root, err);
    SP_TRY(sp_json_string(root, "model_type", &name, err));
    SP_TRY(refuse_wrapper(root, err));
    const sp_model_type *type = find_type(name);
    if (type == NULL) return refuse_type(root, name, err);
    build->model.model_type = type->name;
    build->model.source =
        sp_arena_printf(build->arena, "Hugging Face configuration %s", sp_json_file(root));
    build->no_memory = build->no_memory || build->model.source == NULL;
    SP_TRY(sp_hf_check_keys(build, root, type, err));
    return type->read(build, root, err);
}
