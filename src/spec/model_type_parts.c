/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of a file of configs/model_types: expressions, members of a block, projections and
 * kinds of layers. Every member is one that the table of fields knows, every expression compiles
 * and reads names that exist. */
#include "spec/model_type.h"

#define N_KEYS(keys) (sizeof(keys) / sizeof((keys)[0]))

static sp_status no_memory(sp_error *err)
{
    return sp_fail(err, SP_E_MEMORY, "the file of a model type needs more");
}

const sp_json *sp_type_keep(sp_arena *scratch, sp_json value)
{
    sp_json *kept = sp_arena_alloc(scratch, sizeof *kept);
    if (kept != NULL) *kept = value;
    return kept;
}

static sp_status compile(sp_type_reader *reader, sp_type_expr *out, const char *text, sp_error *err)
{
    const char *const *names = NULL;
    if (sp_formula_parse(reader->scratch, SP_FORMULA_CONFIG, text, &out->formula, err) != SP_OK) {
        const sp_error cause = *err;
        sp_json_fail(&out->json, err, cause.status, "%s", cause.message);
        return cause.status;
    }
    const size_t n_names = sp_formula_names(out->formula, &names);
    for (size_t i = 0; i < n_names; i++) {
        SP_TRY(sp_type_name_bind(reader, &out->json, names[i], err));
    }
    return SP_OK;
}

sp_status sp_type_expr_read(sp_type_reader *reader, const sp_json *value, sp_type_expr *out,
                            sp_error *err)
{
    const char *text = NULL;
    *out = (sp_type_expr){.json = *value};
    if (sp_json_is_string(value)) {
        SP_TRY(sp_json_as_string(value, &text, err));
        return compile(reader, out, text, err);
    }
    if (!sp_json_is_number(value) && !sp_json_is_bool(value)) {
        return sp_json_fail(value, err, SP_E_TYPE,
                            "must be a number, true, false or an expression");
    }
    if (sp_value_of_json(value, &out->value) != SP_FORMULA_OK) {
        return sp_json_fail(value, err, SP_E_OVERFLOW, "a number too large");
    }
    out->known = true;
    return SP_OK;
}

sp_status sp_type_expr_read_optional(sp_type_reader *reader, const sp_json *object, const char *key,
                                     sp_type_expr **out, sp_error *err)
{
    *out = NULL;
    if (!sp_json_has(object, key)) return SP_OK;
    *out = sp_arena_alloc(reader->scratch, sizeof **out);
    if (*out == NULL) return no_memory(err);
    const sp_json value = sp_json_get(object, key);
    return sp_type_expr_read(reader, &value, *out, err);
}

sp_status sp_type_block_read(sp_type_reader *reader, const sp_json *object, sp_field_group group,
                             const char *const *more, size_t n_more, sp_type_block *out,
                             sp_error *err)
{
    const sp_model_field *fields = NULL;
    const size_t n_fields = sp_model_fields(group, &fields);
    SP_TRY(sp_model_check_keys(object, group, more, n_more, err));
    out->exists = true;
    out->fields = sp_arena_alloc(reader->scratch, n_fields * sizeof *out->fields);
    if (out->fields == NULL) return no_memory(err);
    for (size_t i = 0; i < n_fields; i++) {
        if (!sp_json_has(object, fields[i].name)) continue;
        const sp_json value = sp_json_get(object, fields[i].name);
        sp_type_field *field = &out->fields[out->n_fields++];
        field->field = &fields[i];
        SP_TRY(sp_type_expr_read(reader, &value, &field->expr, err));
    }
    return SP_OK;
}

sp_status sp_type_list_read(sp_type_reader *reader, const sp_json *object, const char *key,
                            const sp_json **list, sp_error *err)
{
    sp_json value;
    SP_TRY(sp_json_array(object, key, &value, err));
    *list = sp_type_keep(reader->scratch, value);
    return *list != NULL ? SP_OK : no_memory(err);
}

static sp_status read_projection(sp_type_reader *reader, const sp_json *value,
                                 sp_type_projection *out, sp_error *err)
{
    static const char *const more[] = {"name", "when"};
    SP_TRY(sp_json_string(value, "name", &out->name, err));
    SP_TRY(sp_type_expr_read_optional(reader, value, "when", &out->when, err));
    return sp_type_block_read(reader, value, SP_FIELDS_PROJECTION, more, N_KEYS(more), &out->block,
                              err);
}

sp_status sp_type_projections_read(sp_type_reader *reader, const sp_json *object,
                                   sp_type_projection **out, size_t *n_out, sp_error *err)
{
    const sp_json *list = NULL;
    if (!sp_json_has(object, "projections")) return SP_OK;
    SP_TRY(sp_type_list_read(reader, object, "projections", &list, err));
    *n_out = sp_json_size(list);
    *out = sp_arena_alloc(reader->scratch, (*n_out + 1) * sizeof **out);
    if (*out == NULL) return no_memory(err);
    for (size_t i = 0; i < *n_out; i++) {
        const sp_json *value = sp_type_keep(reader->scratch, sp_json_at(list, i));
        if (value == NULL) return no_memory(err);
        SP_TRY(read_projection(reader, value, &(*out)[i], err));
    }
    return SP_OK;
}

static sp_status read_kind(sp_type_reader *reader, const sp_json *value, sp_type_kind *out,
                           sp_error *err)
{
    static const char *const more[] = {"when", "attention", "recurrent", "ffn", "projections"};
    static const struct {
        const char *key;
        sp_field_group group;
    } blocks[] = {
        {"attention", SP_FIELDS_ATTENTION},
        {"recurrent", SP_FIELDS_RECURRENT},
        {"ffn",       SP_FIELDS_FFN      }
    };
    SP_TRY(sp_type_block_read(reader, value, SP_FIELDS_KIND, more, N_KEYS(more),
                              &out->blocks[SP_FIELDS_KIND], err));
    SP_TRY(sp_type_expr_read_optional(reader, value, "when", &out->when, err));
    for (size_t i = 0; i < N_KEYS(blocks); i++) {
        sp_json block;
        if (!sp_json_has(value, blocks[i].key)) continue;
        SP_TRY(sp_json_object(value, blocks[i].key, &block, err));
        const sp_json *kept = sp_type_keep(reader->scratch, block);
        if (kept == NULL) return no_memory(err);
        SP_TRY(sp_type_block_read(reader, kept, blocks[i].group, NULL, 0,
                                  &out->blocks[blocks[i].group], err));
    }
    return sp_type_projections_read(reader, value, &out->projections, &out->n_projections, err);
}

sp_status sp_type_kinds_read(sp_type_reader *reader, sp_error *err)
{
    const sp_json *list = NULL;
    SP_TRY(sp_type_list_read(reader, reader->file, "kinds", &list, err));
    reader->n_kinds = sp_json_size(list);
    reader->kinds = sp_arena_alloc(reader->scratch, (reader->n_kinds + 1) * sizeof *reader->kinds);
    if (reader->kinds == NULL) return no_memory(err);
    for (size_t i = 0; i < reader->n_kinds; i++) {
        const sp_json *value = sp_type_keep(reader->scratch, sp_json_at(list, i));
        if (value == NULL) return no_memory(err);
        SP_TRY(read_kind(reader, value, &reader->kinds[i], err));
    }
    return SP_OK;
}
