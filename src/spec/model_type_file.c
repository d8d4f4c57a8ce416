/* SPDX-License-Identifier: Apache-2.0 */
/* A file of configs/model_types as it is written, strictly: its head, its requirements, and the
 * model that it describes or wraps. */
#include "spec/model_type.h"

#include <string.h>

#define SCHEMA       "shardplan/model-type/1"
#define N_KEYS(keys) (sizeof(keys) / sizeof((keys)[0]))

static sp_status no_memory(sp_error *err)
{
    return sp_fail(err, SP_E_MEMORY, "the file of a model type needs more");
}

static sp_status read_requirement(sp_type_reader *reader, const sp_json *value,
                                  sp_type_requirement *out, sp_error *err)
{
    static const char *const keys[] = {"that", "key", "say", "later", "remark"};
    SP_TRY(sp_json_only(value, keys, N_KEYS(keys), err));
    SP_TRY(sp_json_string(value, "key", &out->key, err));
    SP_TRY(sp_json_string(value, "say", &out->sentence, err));
    SP_TRY(sp_json_bool_or(value, "later", false, &out->later, err));
    SP_TRY(sp_json_bool_or(value, "remark", false, &out->remark, err));
    const sp_json that = sp_json_get(value, "that");
    SP_TRY(sp_type_expr_read(reader, &that, &out->that, err));
    const sp_json key = sp_json_get(value, "key");
    return sp_type_name_bind(reader, &key, out->key, err);
}

static sp_status read_requirements(sp_type_reader *reader, sp_error *err)
{
    const sp_json *list = NULL;
    if (!sp_json_has(reader->file, "require")) return SP_OK;
    SP_TRY(sp_type_list_read(reader, reader->file, "require", &list, err));
    const size_t n = sp_json_size(list);
    reader->requirements = sp_arena_alloc(reader->scratch, (n + 1) * sizeof *reader->requirements);
    if (reader->requirements == NULL) return no_memory(err);
    for (size_t i = 0; i < n; i++) {
        const sp_json *value = sp_type_keep(reader->scratch, sp_json_at(list, i));
        if (value == NULL) return no_memory(err);
        SP_TRY(read_requirement(reader, value, &reader->requirements[i], err));
        reader->n_requirements++;
    }
    return SP_OK;
}

static sp_status read_wraps(sp_type_reader *reader, sp_error *err)
{
    static const char *const keys[] = {"key", "model_type", "beside"};
    sp_json wraps;
    SP_TRY(sp_json_object(reader->file, "wraps", &wraps, err));
    SP_TRY(sp_json_only(&wraps, keys, N_KEYS(keys), err));
    SP_TRY(sp_json_string(&wraps, "key", &reader->wrapped_key, err));
    SP_TRY(sp_json_bool_or(&wraps, "beside", false, &reader->wraps_beside, err));
    return sp_json_string(&wraps, "model_type", &reader->wrapped_type, err);
}

static sp_status check_required(const sp_type_reader *reader, const sp_json *model, sp_error *err)
{
    const sp_model_field *fields = NULL;
    const size_t n_fields = sp_model_fields(SP_FIELDS_MODEL, &fields);
    for (size_t i = 0; i < n_fields; i++) {
        if (!fields[i].required || sp_json_has(model, fields[i].name)) continue;
        return sp_json_fail(model, err, SP_E_MISSING_KEY, "\"%s\" is required here",
                            fields[i].name);
    }
    if (reader->layers != NULL) return SP_OK;
    return sp_json_fail(model, err, SP_E_MISSING_KEY, "\"layers\" is required here");
}

static sp_status read_model(sp_type_reader *reader, sp_error *err)
{
    static const char *const more[] = {"layers"};
    const bool wraps = reader->wrapped_key != NULL;
    sp_json value;
    if (wraps && !sp_json_has(reader->file, "model")) return SP_OK;
    SP_TRY(sp_json_object(reader->file, "model", &value, err));
    const sp_json *model = sp_type_keep(reader->scratch, value);
    if (model == NULL) return no_memory(err);
    SP_TRY(sp_type_block_read(reader, model, SP_FIELDS_MODEL, more, wraps ? 0 : 1, &reader->model,
                              err));
    SP_TRY(sp_type_expr_read_optional(reader, model, "layers", &reader->layers, err));
    return wraps ? SP_OK : check_required(reader, model, err);
}

static sp_status read_head(sp_type_reader *reader, sp_error *err)
{
    static const char *const keys[] = {"schema",   "model_type", "source",  "date",  "note",
                                       "defaults", "absent",     "aliases", "inert", "let",
                                       "require",  "model",      "kinds",   "wraps", "projections"};
    const char *text = NULL;
    SP_TRY(sp_json_schema(reader->file, SCHEMA, err));
    SP_TRY(sp_json_only(reader->file, keys, N_KEYS(keys), err));
    SP_TRY(sp_json_string(reader->file, "model_type", &text, err));
    if (strcmp(text, reader->type) != 0) {
        const sp_json value = sp_json_get(reader->file, "model_type");
        sp_json_fail(&value, err, SP_E_INCONSISTENT, "must be the name of the file");
        return sp_fail_range(err, "\"%s\"", reader->type);
    }
    SP_TRY(sp_json_string(reader->file, "source", &text, err));
    SP_TRY(sp_json_string(reader->file, "date", &text, err));
    SP_TRY(sp_json_object(reader->file, "defaults", &reader->defaults, err));
    reader->absent = sp_json_get(reader->file, "absent");
    reader->aliases = sp_json_get(reader->file, "aliases");
    reader->lets = sp_json_get(reader->file, "let");
    return SP_OK;
}

sp_status sp_type_file_read(sp_type_reader *reader, sp_error *err)
{
    SP_TRY(read_head(reader, err));
    if (sp_json_has(reader->file, "wraps")) SP_TRY(read_wraps(reader, err));
    SP_TRY(read_requirements(reader, err));
    SP_TRY(read_model(reader, err));
    if (reader->wrapped_key != NULL) return SP_OK;
    SP_TRY(sp_type_projections_read(reader, reader->file, &reader->projections,
                                    &reader->n_projections, err));
    return sp_type_kinds_read(reader, err);
}
