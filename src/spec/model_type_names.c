/* SPDX-License-Identifier: Apache-2.0 */
/* What names in the expressions of a type file stand for: "i" and "n", its own "let"s, and keys of
 * the config, which take the file's defaults where the config is silent. */
#include "spec/model_type.h"

#include <string.h>

#define FIRST_SYMBOLS 64

static sp_status no_memory(sp_error *err)
{
    return sp_fail(err, SP_E_MEMORY, "the names of a model type need more");
}

const char *sp_type_spelling(const sp_type_reader *reader, const sp_json *object, const char *key)
{
    for (size_t i = 0; i < sp_json_size(&reader->aliases); i++) {
        const sp_json alias = sp_json_member(&reader->aliases, i);
        const char *stands_for = NULL;
        sp_error ignored;
        if (sp_json_as_string(&alias, &stands_for, &ignored) != SP_OK) continue;
        if (strcmp(stands_for, key) == 0 && sp_json_has(object, alias.key)) return alias.key;
    }
    return key;
}

static bool is_stated(const sp_json *value)
{
    return value->node != NULL && !sp_json_is_null(value);
}

/* Follows the dotted path in the config and in the defaults at once, and in those of an object that
 * is not stated at all. Null where the default is an object is silence. `path` is cut up. */
static sp_status resolve(sp_type_reader *reader, char *path, sp_type_symbol *out, sp_error *err)
{
    const sp_json *in_config = reader->config;
    const sp_json *in_defaults = &reader->defaults;
    const sp_json *in_absent = &(sp_json){0};
    const sp_json *origin = NULL;
    for (char *part = path; part != NULL;) {
        char *dot = strchr(part, '.');
        if (dot != NULL) *dot = '\0';
        const bool first = part == path;
        const char *key = first ? sp_type_spelling(reader, in_config, part) : part;
        in_config = sp_type_keep(reader->scratch, sp_json_get(in_config, key));
        in_defaults = sp_type_keep(reader->scratch, sp_json_get(in_defaults, part));
        if (in_config == NULL || in_defaults == NULL) return no_memory(err);
        const bool silent =
            in_config->node == NULL || (!is_stated(in_config) && sp_json_is_object(in_defaults));
        if (first && silent) in_absent = &reader->absent;
        in_absent = sp_type_keep(reader->scratch, sp_json_get(in_absent, part));
        if (in_absent == NULL) return no_memory(err);
        if (silent && out->defaulted == NULL) out->defaulted = part;
        origin = silent ? NULL : in_config;
        part = dot != NULL ? dot + 1 : NULL;
    }
    const sp_json *fallback = in_absent->node != NULL ? in_absent : in_defaults;
    out->value = origin != NULL ? *in_config : *fallback;
    out->stated = origin != NULL && is_stated(origin) ? origin : NULL;
    out->null = origin != NULL && !is_stated(origin) ? origin : NULL;
    if (origin != NULL) out->defaulted = NULL;
    return SP_OK;
}

const sp_type_symbol *sp_type_symbol_find(const sp_type_reader *reader, const char *name)
{
    for (size_t i = 0; i < reader->n_symbols; i++) {
        if (strcmp(reader->symbols[i].name, name) == 0) return &reader->symbols[i];
    }
    return NULL;
}

/* NULL: no memory. */
static sp_type_symbol *add_symbol(sp_type_reader *reader, const char *name)
{
    if (reader->n_symbols == reader->symbol_capacity) {
        const size_t capacity = reader->n_symbols == 0 ? FIRST_SYMBOLS : 2 * reader->n_symbols;
        sp_type_symbol *grown = sp_arena_alloc(reader->scratch, capacity * sizeof *grown);
        if (grown == NULL) return NULL;
        if (reader->n_symbols > 0) {
            memcpy(grown, reader->symbols, reader->n_symbols * sizeof *grown);
        }
        reader->symbols = grown;
        reader->symbol_capacity = capacity;
    }
    sp_type_symbol *added = &reader->symbols[reader->n_symbols++];
    added->name = name;
    return added;
}

static sp_status bind_let(sp_type_reader *reader, const char *name, sp_error *err)
{
    sp_type_symbol *symbol = add_symbol(reader, name);
    sp_type_expr *let = sp_arena_alloc(reader->scratch, sizeof *let);
    if (symbol == NULL || let == NULL) return no_memory(err);
    symbol->let = let; /* before it is compiled: lets may name each other */
    const sp_json value = sp_json_get(&reader->lets, name);
    return sp_type_expr_read(reader, &value, let, err);
}

/* Of a dotted name, the first part must be a key; what is inside may be there or not. */
static bool has_default(const sp_type_reader *reader, char *path)
{
    char *dot = strchr(path, '.');
    if (dot != NULL) *dot = '\0';
    const bool has = sp_json_has(&reader->defaults, path);
    if (dot != NULL) *dot = '.';
    return has;
}

static sp_status refuse_name(const sp_type_reader *reader, const sp_json *value, const char *name,
                             sp_error *err)
{
    const size_t n_defaults = sp_json_size(&reader->defaults);
    const size_t n_lets = sp_json_size(&reader->lets);
    const char **names = sp_arena_alloc(reader->scratch, (n_defaults + n_lets + 1) * sizeof *names);
    if (names == NULL) return no_memory(err);
    for (size_t i = 0; i < n_defaults; i++) {
        names[i] = sp_json_member(&reader->defaults, i).key;
    }
    for (size_t i = 0; i < n_lets; i++) {
        names[n_defaults + i] = sp_json_member(&reader->lets, i).key;
    }
    sp_json_fail(value, err, SP_E_UNKNOWN_NAME, "\"%s\" is neither in \"defaults\" nor in \"let\"",
                 name);
    return sp_fail_names(err, name, names, n_defaults + n_lets);
}

static sp_status bind_key(sp_type_reader *reader, const sp_json *value, const char *name,
                          sp_error *err)
{
    char *path = sp_arena_strdup(reader->scratch, name);
    if (path == NULL) return no_memory(err);
    if (!has_default(reader, path)) return refuse_name(reader, value, name, err);
    sp_type_symbol *symbol = add_symbol(reader, name);
    if (symbol == NULL) return no_memory(err);
    return resolve(reader, path, symbol, err);
}

sp_status sp_type_name_bind(sp_type_reader *reader, const sp_json *value, const char *name,
                            sp_error *err)
{
    if (strcmp(name, "i") == 0 || strcmp(name, "n") == 0) return SP_OK;
    if (sp_type_symbol_find(reader, name) != NULL) return SP_OK;
    if (sp_json_has(&reader->lets, name)) return bind_let(reader, name, err);
    return bind_key(reader, value, name, err);
}

/* ---- the kinds of JSON values ---- */

static bool is_whole(const sp_json *value)
{
    uint64_t ignored = 0;
    sp_error err;
    return sp_json_as_u64(value, 0, UINT64_MAX, &ignored, &err) == SP_OK;
}

/* Null is silence; lists are left to the expressions, since some classes take either. */
static sp_status check_value(const sp_json *value, const sp_json *fallback, sp_error *err)
{
    bool ignored = false;
    if (!is_stated(value) || sp_json_is_array(value)) return SP_OK;
    if (sp_json_is_bool(fallback)) return sp_json_bool(value->parent, value->key, &ignored, err);
    if (!sp_json_is_number(fallback) || sp_json_is_number(value) || sp_json_is_object(value)) {
        return SP_OK;
    }
    return sp_json_fail(value, err, SP_E_TYPE, "must be a %s",
                        is_whole(fallback) ? "whole number" : "number");
}

static sp_status check_members(const sp_json *object, const sp_json *defaults, sp_error *err)
{
    for (size_t i = 0; i < sp_json_size(defaults); i++) {
        const sp_json fallback = sp_json_member(defaults, i);
        const sp_json value = sp_json_get(object, fallback.key);
        SP_TRY(check_value(&value, &fallback, err));
        if (!sp_json_is_object(&fallback) || !is_stated(&value)) continue;
        if (!sp_json_is_object(&value)) {
            return sp_json_fail(&value, err, SP_E_TYPE, "must be an object");
        }
        SP_TRY(check_members(&value, &fallback, err));
    }
    return SP_OK;
}

sp_status sp_type_check_config(const sp_type_reader *reader, sp_error *err)
{
    for (size_t i = 0; i < reader->n_overrides; i++) {
        SP_TRY(check_members(reader->overrides[i].keys, &reader->defaults, err));
    }
    return check_members(reader->config, &reader->defaults, err);
}

/* ---- what was assumed ---- */

static bool told_before(const sp_type_reader *reader, size_t idx)
{
    const char *key = reader->symbols[idx].defaulted;
    for (size_t i = 0; i < idx; i++) {
        const sp_type_symbol *other = &reader->symbols[i];
        if (other->used && other->defaulted != NULL && strcmp(other->defaulted, key) == 0)
            return true;
    }
    return false;
}

void sp_type_note_defaults(const sp_type_reader *reader)
{
    sp_text text = {0};
    for (size_t i = 0; i < reader->n_symbols; i++) {
        const sp_type_symbol *symbol = &reader->symbols[i];
        if (!symbol->used || symbol->defaulted == NULL || told_before(reader, i)) continue;
        const bool inner = strchr(symbol->name, '.') != NULL;
        if (inner && sp_json_is_null(&symbol->value)) continue; /* says that there is none */
        sp_text_printf(&text, "%s %s", text.length > 0 ? "," : "", symbol->defaulted);
        if (inner || sp_json_size(&symbol->value) > 0) continue;
        sp_text_add(&text, " ");
        sp_json_dump(&symbol->value, &text);
    }
    if (text.failed) {
        reader->build->no_memory = true;
    } else if (text.length > 0) {
        sp_model_note(reader->build, "Not stated, so the defaults of %s hold:%s.", reader->type,
                      text.data);
    }
    sp_text_fini(&text);
}
