/* SPDX-License-Identifier: Apache-2.0 */
/* A library of classes while it is filled: what kind a file is, names, variables, findings. The
 * published forms are read in read_*.c, references are connected in link.c. */
#include "formula/formula_priv.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static sp_status fail_memory(sp_error *err)
{
    return sp_fail(err, SP_E_MEMORY, "no memory for formulas");
}

void *sp_library_grow(sp_arena *arena, void *entries, size_t n, size_t *room, size_t bytes)
{
    if (n < *room) return entries;
    const size_t more = *room == 0 ? 8 : *room * 2;
    void *grown = sp_arena_alloc(arena, more * bytes);
    if (!grown) return NULL;
    if (n > 0) memcpy(grown, entries, n * bytes);
    *room = more;
    return grown;
}

sp_formula_library *sp_formula_library_new(sp_arena *arena)
{
    sp_formula_library *library = sp_arena_alloc(arena, sizeof *library);
    if (library) library->arena = arena;
    return library;
}

/* ---- variables ---- */

bool sp_is_byte_width(const char *variable)
{
    static const char ending[] = "_bytes";
    const size_t length = strlen(variable), tail = sizeof ending - 1;
    return strcmp(variable, "bytes") == 0 ||
           (length > tail && strcmp(variable + length - tail, ending) == 0);
}

bool sp_is_global(const char *variable)
{
    return sp_is_byte_width(variable) || strcmp(variable, "batch_size") == 0 ||
           strcmp(variable, "seq_len") == 0 || strcmp(variable, "cache_len") == 0 ||
           strncmp(variable, "config.", 7) == 0;
}

sp_status sp_library_variable(sp_formula_library *library, sp_class *owner, const char *name,
                              sp_error *err)
{
    for (size_t i = 0; i < owner->n_variables; i++) {
        if (strcmp(owner->variables[i], name) == 0) return SP_OK;
    }
    if (owner->n_variables == SP_FORMULA_VARIABLES_MAX) {
        return sp_fail(err, SP_E_RANGE, "%s has too many variables", owner->name);
    }
    const char **grown = sp_library_grow(library->arena, owner->variables, owner->n_variables,
                                         &owner->capacity, sizeof *grown);
    const char *own = sp_arena_strdup(library->arena, name);
    if (!grown || !own) return fail_memory(err);
    owner->variables = grown;
    owner->variables[owner->n_variables++] = own;
    return SP_OK;
}

static sp_status parameter_name(const sp_json *element, const char **name, sp_error *err)
{
    if (sp_json_is_object(element)) return sp_json_string(element, "name", name, err);
    return sp_json_as_string(element, name, err);
}

sp_status sp_library_parameters(sp_formula_library *library, sp_class *owner, const sp_json *list,
                                sp_error *err)
{
    const size_t n = sp_json_size(list);
    const char **grown =
        sp_arena_alloc(library->arena, (owner->n_parameters + n) * sizeof *grown + 1);
    if (!grown) return fail_memory(err);
    if (owner->n_parameters > 0) {
        memcpy(grown, owner->parameters, owner->n_parameters * sizeof *grown);
    }
    owner->parameters = grown;
    owner->declared = true;
    for (size_t i = 0; i < n; i++) {
        const sp_json element = sp_json_at(list, i);
        const char *name = NULL;
        SP_TRY(parameter_name(&element, &name, err));
        SP_TRY(sp_library_variable(library, owner, name, err));
        const char *own = sp_arena_strdup(library->arena, name);
        if (!own) return fail_memory(err);
        owner->parameters[owner->n_parameters++] = own;
    }
    return SP_OK;
}

/* ---- entries ---- */

sp_status sp_library_class(sp_formula_library *library, const sp_json *at, const char *name,
                           const char *path, sp_class **out, sp_error *err)
{
    assert(!library->linked);
    for (size_t i = 0; i < library->n_classes; i++) {
        const sp_class *other = &library->classes[i];
        if (other->adapter || strcmp(other->name, name) != 0) continue;
        sp_json_fail(at, err, SP_E_INCONSISTENT, "\"%s\" is described in %s too", name,
                     other->file);
        return sp_fail_value(err, "%s", name);
    }
    if (library->n_classes == SP_FORMULA_CLASSES_MAX) {
        return sp_json_fail(at, err, SP_E_RANGE, "there are too many classes");
    }
    sp_class *grown = sp_library_grow(library->arena, library->classes, library->n_classes,
                                      &library->classes_room, sizeof *grown);
    if (!grown) return fail_memory(err);
    library->classes = grown;
    *out = &grown[library->n_classes];
    **out = (sp_class){.name = sp_arena_strdup(library->arena, name),
                       .file = sp_arena_strdup(library->arena, sp_json_file(at)),
                       .path = sp_arena_strdup(library->arena, path)};
    if (!(*out)->name || !(*out)->file || !(*out)->path) return fail_memory(err);
    library->n_classes++;
    return SP_OK;
}

sp_status sp_library_kernels(sp_formula_library *library, const sp_json *at, size_t n,
                             sp_kernel **out, sp_error *err)
{
    if (n > SP_FORMULA_KERNELS_MAX) {
        sp_json_fail(at, err, SP_E_RANGE, "there are too many kernels");
        return sp_fail_range(err, "up to %d", SP_FORMULA_KERNELS_MAX);
    }
    *out = sp_arena_alloc(library->arena, n * sizeof **out + 1);
    return *out ? SP_OK : fail_memory(err);
}

sp_status sp_library_find_odd(sp_formula_library *library, const char *file, const char *path,
                              sp_error *err, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    sp_formula_finding *grown =
        sp_library_grow(library->arena, library->findings, library->n_findings,
                        &library->findings_room, sizeof *grown);
    if (!grown) return fail_memory(err);
    library->findings = grown;
    sp_formula_finding *added = &grown[library->n_findings];
    *added = (sp_formula_finding){.file = sp_arena_strdup(library->arena, file),
                                  .path = sp_arena_strdup(library->arena, path),
                                  .text = sp_arena_strdup(library->arena, text)};
    if (!added->file || !added->path || !added->text) return fail_memory(err);
    library->n_findings++;
    return SP_OK;
}

/* ---- formulas ---- */

/* Keeps why the text is no formula: its class can be read, and fails where it is used. */
static sp_status keep_broken(sp_formula_library *library, const sp_class *owner, sp_member *member,
                             sp_error *err)
{
    if (err->status == SP_E_MEMORY) return err->status;
    member->code = sp_formula_code_of(err->status);
    member->words = sp_arena_strdup(library->arena, err->message);
    const sp_error broken = *err;
    *err = (sp_error){0};
    if (!member->words) return fail_memory(err);
    return sp_library_find_odd(library, owner->file, member->path, err,
                               "no formula: %s; got \"%s\"", broken.message, broken.value);
}

static sp_status parse_member(sp_formula_library *library, sp_class *owner, const char *text,
                              sp_member *out, sp_error *err)
{
    const char *const *names = NULL;
    if (sp_formula_parse(library->arena, SP_FORMULA_MODULE, text, &out->f, err) != SP_OK) {
        out->f = NULL;
        return keep_broken(library, owner, out, err);
    }
    const size_t n = sp_formula_names(out->f, &names);
    for (size_t i = 0; i < n; i++)
        SP_TRY(sp_library_variable(library, owner, names[i], err));
    return SP_OK;
}

sp_status sp_library_member(sp_formula_library *library, sp_class *owner, const sp_json *value,
                            const char *path, sp_member *out, sp_error *err)
{
    const char *text = NULL;
    *out = (sp_member){.code = SP_FORMULA_OK};
    if (!value->node || sp_json_is_null(value)) return SP_OK;
    out->path = sp_arena_strdup(library->arena, path);
    if (!out->path) return fail_memory(err);
    if (!sp_json_is_number(value) && !sp_json_is_bool(value)) {
        SP_TRY(sp_json_as_string(value, &text, err));
        return parse_member(library, owner, text, out, err);
    }
    sp_text number = {0};
    sp_json_dump(value, &number);
    const char *constant = sp_json_is_number(value)           ? number.data
                           : strcmp(number.data, "true") == 0 ? "1"
                                                              : "0";
    const sp_status status =
        number.failed ? fail_memory(err) : parse_member(library, owner, constant, out, err);
    sp_text_fini(&number);
    return status;
}

sp_status sp_library_bindings(sp_formula_library *library, sp_class *owner, const sp_json *bindings,
                              const char *path, sp_kernel *kernel, sp_error *err)
{
    const size_t n = sp_json_size(bindings);
    kernel->binding_names = sp_arena_alloc(library->arena, n * sizeof *kernel->binding_names + 1);
    kernel->bindings = sp_arena_alloc(library->arena, n * sizeof *kernel->bindings + 1);
    if (!kernel->binding_names || !kernel->bindings) return fail_memory(err);
    for (; kernel->n_bindings < n; kernel->n_bindings++) {
        const size_t i = kernel->n_bindings;
        const sp_json binding = sp_json_member(bindings, i);
        char at[512];
        snprintf(at, sizeof at, "%s/%s", path, binding.key);
        kernel->binding_names[i] = sp_arena_strdup(library->arena, binding.key);
        if (!kernel->binding_names[i]) return fail_memory(err);
        if (sp_json_is_null(&binding)) {
            return sp_json_fail(&binding, err, SP_E_TYPE, "must be a formula");
        }
        SP_TRY(sp_library_member(library, owner, &binding, at, &kernel->bindings[i], err));
    }
    return SP_OK;
}

/* ---- files ---- */

sp_status sp_formula_library_add_map(sp_formula_library *library, const sp_json *map, sp_error *err)
{
    for (size_t i = 0; i < sp_json_size(map); i++) {
        const sp_json member = sp_json_member(map, i);
        const char *meaning = NULL;
        SP_TRY(sp_json_as_string(&member, &meaning, err));
        sp_alias *grown = sp_library_grow(library->arena, library->aliases, library->n_aliases,
                                          &library->aliases_room, sizeof *grown);
        if (!grown) return fail_memory(err);
        library->aliases = grown;
        grown[library->n_aliases] = (sp_alias){sp_arena_strdup(library->arena, member.key),
                                               sp_arena_strdup(library->arena, meaning)};
        if (!grown[library->n_aliases].name || !grown[library->n_aliases].meaning) {
            return fail_memory(err);
        }
        library->n_aliases++;
    }
    return SP_OK;
}

sp_status sp_formula_library_add_signatures(sp_formula_library *library, const sp_json *signatures,
                                            sp_error *err)
{
    for (size_t i = 0; i < sp_json_size(signatures); i++) {
        const sp_json entry = sp_json_member(signatures, i);
        SP_TRY(sp_read_signature(library, &entry, err));
    }
    return SP_OK;
}

typedef sp_status (*reader)(sp_formula_library *library, const sp_json *object, const char *path,
                            sp_error *err);

/* How an object is read, by the key that only this form has; NULL: none of them. */
static reader reader_of(const sp_json *object)
{
    if (sp_json_has(object, "class_name")) return sp_read_analysis;
    if (sp_json_has(object, "kernel_name")) return sp_read_kernel_cost;
    if (sp_json_has(object, "full_class_name")) return sp_read_db_entry;
    return sp_json_has(object, "layers") ? sp_read_tree : NULL;
}

static sp_status add_entry(sp_formula_library *library, const sp_json *object, const char *path,
                           sp_error *err)
{
    const reader read = reader_of(object);
    if (read) return read(library, object, path, err);
    return sp_json_fail(
        object, err, SP_E_MISSING_KEY,
        "one of class_name, kernel_name, full_class_name and layers says what this is");
}

/* Elements of an array, or members of an object. */
static sp_status add_entries(sp_formula_library *library, const sp_json *entries, const char *path,
                             sp_error *err)
{
    for (size_t i = 0; i < sp_json_size(entries); i++) {
        const bool list = sp_json_is_array(entries);
        const sp_json entry = list ? sp_json_at(entries, i) : sp_json_member(entries, i);
        char at[256];
        if (list) {
            snprintf(at, sizeof at, "%s/%zu", path, i);
        } else {
            snprintf(at, sizeof at, "%s/%s", path, entry.key);
        }
        SP_TRY(add_entry(library, &entry, at, err));
    }
    return SP_OK;
}

static bool is_map(const sp_json *root)
{
    bool texts = sp_json_size(root) > 0;
    for (size_t i = 0; texts && i < sp_json_size(root); i++) {
        const sp_json member = sp_json_member(root, i);
        texts = sp_json_is_string(&member);
    }
    return texts;
}

/* Files of our own schema are read strictly. */
static sp_status add_own(sp_formula_library *library, const sp_json *root, sp_error *err)
{
    static const char *const keys[] = {"schema", "source", "date", "modules"};
    sp_json modules;
    const char *source = NULL, *date = NULL;
    SP_TRY(sp_json_schema(root, "shardplan/modules/1", err));
    SP_TRY(sp_json_only(root, keys, sizeof keys / sizeof keys[0], err));
    SP_TRY(sp_json_string(root, "source", &source, err));
    SP_TRY(sp_json_string(root, "date", &date, err));
    SP_TRY(sp_json_array(root, "modules", &modules, err));
    return add_entries(library, &modules, "/modules", err);
}

sp_status sp_formula_library_add(sp_formula_library *library, const sp_json *root, sp_error *err)
{
    if (sp_json_is_array(root)) return add_entries(library, root, "", err);
    if (!sp_json_is_object(root)) {
        return sp_json_fail(root, err, SP_E_TYPE, "must be an object or a list");
    }
    if (sp_json_has(root, "schema")) return add_own(library, root, err);
    if (reader_of(root)) return add_entry(library, root, "", err);
    const sp_json modules = sp_json_get(root, "modules"), examples = sp_json_get(root, "examples");
    if (modules.node) return add_entries(library, &modules, "/modules", err);
    if (examples.node) return add_entries(library, &examples, "/examples", err);
    if (is_map(root)) return sp_formula_library_add_map(library, root, err);
    return sp_read_catalogue(library, root, err);
}

sp_status sp_formula_library_add_file(sp_formula_library *library, const char *file, sp_error *err)
{
    sp_json_doc *doc = NULL;
    SP_TRY(sp_json_load_file(file, &doc, err));
    const sp_json root = sp_json_root(doc);
    const sp_status status = sp_formula_library_add(library, &root, err);
    sp_json_free(doc);
    return status;
}

/* ---- what is there ---- */

size_t sp_formula_library_size(const sp_formula_library *library)
{
    return library->n_classes;
}

const char *sp_formula_class_name(const sp_formula_library *library, size_t idx)
{
    assert(idx < library->n_classes);
    return library->classes[idx].name;
}

bool sp_formula_class_is_signature(const sp_formula_library *library, size_t idx)
{
    assert(idx < library->n_classes);
    return library->classes[idx].adapter;
}

size_t sp_formula_class_parameters(const sp_formula_library *library, size_t idx,
                                   const char *const **parameters)
{
    assert(idx < library->n_classes && library->linked);
    *parameters = library->classes[idx].parameters;
    return library->classes[idx].n_parameters;
}

size_t sp_formula_library_findings(const sp_formula_library *library,
                                   const sp_formula_finding **findings)
{
    *findings = library->findings;
    return library->n_findings;
}
