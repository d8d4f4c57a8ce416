/* SPDX-License-Identifier: Apache-2.0 */
/* A model file "shardplan/formula-model/1" (configs/schema/formula-model.json): sizes, module
 * files, and for the embedding, each kind of layer and the head the class that says what it costs.
 * All formulas are worked out or laid flat here, so that nothing can fail when the model is used.
 */
#include "spec/model_formula.h"

#include "spec/spec.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define SCHEMA       "shardplan/formula-model/1"
#define N_KEYS(keys) (sizeof(keys) / sizeof((keys)[0]))

enum {
    MAX_BINDINGS = 64,
    MAX_NAMES = 512, /* that an error lists */
    MAX_LEVELS = 16  /* of a JSON pointer */
};

typedef struct reader {
    sp_model_build *build;
    const sp_json *root;
    sp_arena arena; /* of formulas, which go when the model is read */
    sp_formula_library *library;
} reader;

/* ---- names ---- */

static sp_formula_code look_up(void *user, const char *name, sp_value *out)
{
    return strncmp(name, "config.", 7) == 0 ? sp_scope_json(user, name, out) : SP_FORMULA_UNBOUND;
}

static sp_scope scope_of(const reader *r)
{
    sp_json *root = NULL;
    memcpy(&root, &r->root, sizeof root); /* sp_scope carries it without looking at const */
    return (sp_scope){.lookup = look_up, .user = root};
}

/* Lists what has a value and names the nearest. */
static sp_status fail_names(reader *r, const char *given, bool running, sp_error *err)
{
    const char *names[MAX_NAMES];
    size_t n = 0;
    const sp_json config = sp_json_get(r->root, "config");
    for (size_t i = 0; i < sp_json_size(&config) && n < MAX_NAMES; i++) {
        const sp_json member = sp_json_member(&config, i);
        const char *name = sp_arena_printf(&r->arena, "config.%s", member.key);
        if (name != NULL) names[n++] = name;
    }
    for (size_t i = 0; running && i < SP_N_RUNTIME && n < MAX_NAMES; i++) {
        names[n++] = sp_runtime_names[i];
    }
    return sp_fail_names(err, given, names, n);
}

/* ---- what went wrong ---- */

static sp_status status_of(sp_formula_code code)
{
    if (code == SP_FORMULA_UNBOUND || code == SP_FORMULA_UNKNOWN_REF) return SP_E_UNKNOWN_NAME;
    if (code == SP_FORMULA_SYNTAX) return SP_E_SYNTAX;
    if (code == SP_FORMULA_OVERFLOW) return SP_E_OVERFLOW;
    return SP_E_INCONSISTENT;
}

/* "column 7: ", where the formula at `value` names what is wrong. */
static void column_words(const sp_json *value, const char *name, char words[32])
{
    const char *text = NULL;
    sp_error ignored;
    words[0] = '\0';
    if (name[0] == '\0' || sp_json_as_string(value, &text, &ignored) != SP_OK) return;
    const char *at = strstr(text, name);
    if (at != NULL) snprintf(words, 32, "column %zu: ", (size_t)(at - text) + 1);
}

static sp_status fail_at(reader *r, const sp_json *value, sp_formula_code code,
                         const sp_formula_failure *failure, sp_error *err)
{
    char column[32];
    column_words(value, failure->name, column);
    if (code == SP_FORMULA_UNBOUND) {
        sp_json_fail(value, err, status_of(code), "%s%s has no value", column, failure->name);
    } else {
        sp_json_fail(value, err, status_of(code), "%s%s", column,
                     failure->detail[0] != '\0' ? failure->detail : sp_formula_code_words(code));
    }
    if (!sp_json_is_string(value)) err->value[0] = '\0'; /* a whole object says nothing */
    return code == SP_FORMULA_UNBOUND ? fail_names(r, failure->name, true, err) : err->status;
}

/* Enters the object or list at *at by the next part of a JSON pointer; false where it has none. */
static bool enter(const sp_json *at, const char *part, sp_json *out)
{
    if (sp_json_is_array(at)) {
        size_t idx = 0;
        if (sscanf(part, "%zu", &idx) != 1 || idx >= sp_json_size(at)) return false;
        *out = sp_json_at(at, idx);
        return true;
    }
    *out = sp_json_get(at, part);
    return out->node != NULL;
}

/* The value of a module file that failed, found again by its JSON pointer. */
static sp_status fail_in_file(reader *r, sp_formula_code code, const sp_formula_failure *failure,
                              sp_error *err)
{
    char path[sizeof failure->path];
    sp_json way[MAX_LEVELS];
    sp_json_doc *doc = NULL;
    SP_TRY(sp_json_load_file(failure->file, &doc, err));
    memcpy(path, failure->path, sizeof path);
    size_t n = 0;
    way[0] = sp_json_root(doc);
    char *const end = path + strlen(path);
    for (char *slash = path; (slash = strchr(slash, '/')) != NULL;)
        *slash++ = '\0';
    for (const char *part = path + 1; part < end; part += strlen(part) + 1) {
        if (n + 1 == MAX_LEVELS || !enter(&way[n], part, &way[n + 1])) break;
        n++;
    }
    const sp_status status = fail_at(r, &way[n], code, failure, err);
    sp_json_free(doc);
    return status;
}

/* ---- numbers ---- */

static sp_status parse(reader *r, const sp_json *value, const sp_formula **out, sp_error *err)
{
    const char *text = NULL;
    sp_text number = {0};
    if (sp_json_is_number(value) || sp_json_is_bool(value)) {
        sp_json_dump(value, &number);
        text = sp_json_is_number(value) || number.data == NULL ? number.data
               : number.data[0] == 't'                         ? "1"
                                                               : "0";
    } else {
        SP_TRY(sp_json_as_string(value, &text, err));
    }
    sp_error why;
    const sp_status status = text == NULL
                                 ? sp_fail(&why, SP_E_MEMORY, "the model needs more")
                                 : sp_formula_parse(&r->arena, SP_FORMULA_MODULE, text, out, &why);
    sp_text_fini(&number);
    return status == SP_OK ? SP_OK : sp_json_fail(value, err, status, "%s", why.message);
}

/* A whole number, stated or by a formula over config. */
static sp_status read_count(reader *r, const sp_json *object, const char *key, uint64_t lo,
                            uint64_t hi, uint64_t *out, sp_error *err)
{
    const sp_formula *formula = NULL;
    const sp_scope scope = scope_of(r);
    sp_formula_failure failure = {.name = ""};
    sp_value value;
    int64_t whole = 0;
    const sp_json at = sp_json_get(object, key);
    if (at.node == NULL) {
        const char *missing = NULL;
        return sp_json_string(object, key, &missing, err);
    }
    SP_TRY(parse(r, &at, &formula, err));
    const sp_formula_code code = sp_formula_eval(formula, &scope, &value, &failure);
    if (code == SP_FORMULA_UNBOUND) {
        fail_at(r, &at, code, &failure, err);
        return fail_names(r, failure.name, false, err);
    }
    if (code != SP_FORMULA_OK) return fail_at(r, &at, code, &failure, err);
    if (sp_value_as_int(&value, (int64_t)lo, (int64_t)hi, &whole)) {
        *out = (uint64_t)whole;
        return SP_OK;
    }
    char number[SP_RATIONAL_TEXT_BYTES] = "no number";
    if (value.kind == SP_VALUE_NUMBER) (void)sp_rational_format(value.number, number);
    sp_json_fail(&at, err, SP_E_RANGE, "this is %s", number);
    return sp_fail_range(err, "whole numbers from %llu to %llu", (unsigned long long)lo,
                         (unsigned long long)hi);
}

static sp_status read_count_or(reader *r, const sp_json *object, const char *key, uint64_t hi,
                               uint64_t fallback, uint64_t *out, sp_error *err)
{
    *out = fallback;
    return sp_json_has(object, key) ? read_count(r, object, key, 0, hi, out, err) : SP_OK;
}

static sp_status check_config(const reader *r, sp_error *err)
{
    sp_json config;
    SP_TRY(sp_json_object(r->root, "config", &config, err));
    for (size_t i = 0; i < sp_json_size(&config); i++) {
        const sp_json member = sp_json_member(&config, i);
        if (sp_json_is_number(&member) || sp_json_is_bool(&member)) continue;
        return sp_json_fail(&member, err, SP_E_TYPE, "must be a number");
    }
    return SP_OK;
}

/* ---- modules ---- */

/* Beside the model file, unless it is written from the root. */
static const char *beside(reader *r, const char *name)
{
    const char *file = sp_json_file(r->root), *slash = strrchr(file, '/');
    if (name[0] == '/' || slash == NULL) return name;
    return sp_arena_printf(&r->arena, "%.*s/%s", (int)(slash - file), file, name);
}

static sp_status add_module(reader *r, const sp_json *entry, sp_error *err)
{
    const char *name = NULL;
    SP_TRY(sp_json_as_string(entry, &name, err));
    const char *file = beside(r, name);
    if (file == NULL) return sp_fail(err, SP_E_MEMORY, "the model needs more");
    if (!sp_file_exists(file))
        return sp_json_fail(entry, err, SP_E_IO, "there is no file %s", file);
    return sp_formula_library_add_file(r->library, file, err);
}

static sp_status read_library(reader *r, sp_error *err)
{
    sp_json list;
    r->library = sp_formula_library_new(&r->arena);
    if (r->library == NULL) return sp_fail(err, SP_E_MEMORY, "the model needs more");
    SP_TRY(sp_json_array(r->root, "modules", &list, err));
    for (size_t i = 0; i < sp_json_size(&list); i++) {
        const sp_json entry = sp_json_at(&list, i);
        SP_TRY(add_module(r, &entry, err));
    }
    const sp_json names = sp_json_get(r->root, "names");
    const sp_json signatures = sp_json_get(r->root, "signatures");
    if (names.node != NULL) SP_TRY(sp_formula_library_add_map(r->library, &names, err));
    if (signatures.node != NULL) {
        SP_TRY(sp_formula_library_add_signatures(r->library, &signatures, err));
    }
    return sp_formula_library_link(r->library, err);
}

/* ---- parts of the model ---- */

static sp_status find_class(const reader *r, const sp_json *part, size_t *idx, sp_error *err)
{
    const char *name = NULL, *names[MAX_NAMES];
    size_t n = 0;
    SP_TRY(sp_json_string(part, "class", &name, err));
    if (sp_formula_class_find(r->library, name, idx)) return SP_OK;
    for (size_t i = 0; i < sp_formula_library_size(r->library) && n < MAX_NAMES; i++) {
        names[n++] = sp_formula_class_name(r->library, i);
    }
    const sp_json at = sp_json_get(part, "class");
    sp_json_fail(&at, err, SP_E_UNKNOWN_NAME, "no module of this name");
    return sp_fail_names(err, name, names, n);
}

/* Widths that no table of formats has, such as that of ids, reach the classes within too. */
static bool is_parameter(const reader *r, size_t class_idx, const char *name)
{
    static const char width[] = "_bytes";
    const size_t length = strlen(name), tail = sizeof width - 1;
    if (length > tail && strcmp(name + length - tail, width) == 0) return true;
    const char *const *parameters = NULL;
    const size_t n = sp_formula_class_parameters(r->library, class_idx, &parameters);
    for (size_t i = 0; i < n; i++) {
        if (strcmp(parameters[i], name) == 0) return true;
    }
    return false;
}

static sp_status read_bindings(reader *r, const sp_json *part, size_t class_idx,
                               sp_flat_binding bindings[MAX_BINDINGS], size_t *n, sp_error *err)
{
    sp_json bind;
    *n = 0;
    if (!sp_json_has(part, "bind")) return SP_OK;
    SP_TRY(sp_json_object(part, "bind", &bind, err));
    if (sp_json_size(&bind) > MAX_BINDINGS) {
        sp_json_fail(&bind, err, SP_E_RANGE, "too many bindings");
        return sp_fail_range(err, "up to %d", MAX_BINDINGS);
    }
    for (; *n < sp_json_size(&bind); ++*n) {
        const sp_json member = sp_json_member(&bind, *n);
        if (!is_parameter(r, class_idx, member.key)) {
            const char *const *names = NULL;
            const size_t n_names = sp_formula_class_parameters(r->library, class_idx, &names);
            sp_json_fail(&member, err, SP_E_UNKNOWN_NAME, "the class has no parameter \"%s\"",
                         member.key);
            return sp_fail_names(err, member.key, names, n_names);
        }
        bindings[*n].name = member.key;
        SP_TRY(parse(r, &member, &bindings[*n].formula, err));
    }
    return SP_OK;
}

static sp_status read_class(reader *r, const sp_json *part, const sp_flat **flat, size_t *idx,
                            sp_error *err)
{
    sp_flat_binding bindings[MAX_BINDINGS];
    size_t n_bindings = 0;
    sp_formula_failure failure;
    const sp_scope scope = scope_of(r);
    SP_TRY(find_class(r, part, idx, err));
    SP_TRY(read_bindings(r, part, *idx, bindings, &n_bindings, err));
    const sp_flat_request request = {.library = r->library,
                                     .class_idx = *idx,
                                     .scope = &scope,
                                     .bindings = bindings,
                                     .n_bindings = n_bindings};
    const sp_formula_code code = sp_flat_build(r->build->arena, &request, flat, &failure);
    if (code == SP_FORMULA_OK && *flat != NULL) return SP_OK;
    if (code == SP_FORMULA_OK) return sp_fail(err, SP_E_MEMORY, "the model needs more");
    if (failure.file[0] != '\0') return fail_in_file(r, code, &failure, err);
    return fail_at(r, part, code, &failure, err);
}

static double kernel_parameters(const sp_flat *flat)
{
    const sp_flat_kernel *kernels = NULL;
    double sum = 0.0;
    const size_t n = sp_flat_kernels(flat, &kernels);
    for (size_t i = 0; i < n; i++) {
        sum += kernels[i].parameters;
    }
    return sum;
}

static void note_difference(reader *r, const char *part, const sp_flat *flat, uint64_t stated)
{
    const double found = kernel_parameters(flat);
    if (found == (double)stated) return;
    sp_model_note(r->build,
                  "The kernels of %s have %.0f parameters and its formula counts %.0f; tables of "
                  "operators show the former.",
                  part, found, (double)stated);
}

/* ---- layers ---- */

static sp_status read_layer(reader *r, const sp_json *entry, sp_layer_kind *kind, sp_layer_run *run,
                            sp_error *err)
{
    static const char *const keys[] = {
        "class", "bind", "count", "parameters", "active_parameters", "cache_elements"};
    sp_model *const model = &r->build->model;
    uint64_t count = 0;
    size_t class_idx = 0;
    struct sp_layer_formula *f = sp_arena_alloc(r->build->arena, sizeof *f);
    if (f == NULL) return sp_fail(err, SP_E_MEMORY, "the model needs more");
    SP_TRY(sp_json_only(entry, keys, N_KEYS(keys), err));
    SP_TRY(read_count(r, entry, "count", 1, SP_MODEL_MAX_LAYERS - model->n_layers, &count, err));
    SP_TRY(read_count(r, entry, "parameters", 0, SP_MODEL_MAX_PARAMS, &f->parameters, err));
    SP_TRY(read_count_or(r, entry, "active_parameters", f->parameters, f->parameters,
                         &f->active_parameters, err));
    SP_TRY(
        read_count_or(r, entry, "cache_elements", SP_MODEL_MAX_WIDTH, 0, &f->cache_elements, err));
    SP_TRY(read_class(r, entry, &f->flat, &class_idx, err));
    f->class_name = sp_arena_strdup(r->build->arena, sp_formula_class_name(r->library, class_idx));
    r->build->no_memory = r->build->no_memory || f->class_name == NULL;
    note_difference(r, "a layer", f->flat, f->parameters);
    kind->formula = f;
    run->count = (uint32_t)count;
    model->n_layers += run->count;
    return SP_OK;
}

static sp_status read_layers(reader *r, sp_error *err)
{
    sp_model *const model = &r->build->model;
    sp_json list;
    SP_TRY(sp_json_array(r->root, "layers", &list, err));
    const size_t n = sp_json_size(&list);
    if (n < 1 || n > SP_MODEL_MAX_KINDS) {
        sp_json_fail(&list, err, SP_E_RANGE, "wrong number of kinds of layers");
        sp_fail_value(err, "%zu kinds", n);
        return sp_fail_range(err, "1 .. %d", SP_MODEL_MAX_KINDS);
    }
    sp_layer_run *runs = sp_arena_alloc(r->build->arena, n * sizeof *runs);
    if (runs == NULL) return sp_fail(err, SP_E_MEMORY, "the layers of the model need more");
    for (size_t i = 0; i < n; i++) {
        const sp_json entry = sp_json_at(&list, i);
        runs[i].kind = (uint32_t)i;
        SP_TRY(read_layer(r, &entry, &model->kinds[i], &runs[i], err));
    }
    model->n_kinds = model->n_runs = (uint32_t)n;
    model->runs = runs;
    return SP_OK;
}

/* ---- embedding and head ---- */

static sp_status read_end(reader *r, const char *key, const sp_flat **flat, uint64_t *parameters,
                          sp_error *err)
{
    static const char *const keys[] = {"class", "bind", "parameters"};
    size_t class_idx = 0;
    sp_json part;
    SP_TRY(sp_json_object(r->root, key, &part, err));
    SP_TRY(sp_json_only(&part, keys, N_KEYS(keys), err));
    SP_TRY(read_count(r, &part, "parameters", 0, SP_MODEL_MAX_PARAMS, parameters, err));
    return read_class(r, &part, flat, &class_idx, err);
}

/* Plans price the product with the vocabulary apart from the layers. */
static sp_status check_head(const reader *r, const sp_flat *head, sp_error *err)
{
    const sp_flat_kernel *kernels = NULL;
    const size_t n = sp_flat_kernels(head, &kernels);
    if (kernels[n - 1].matrix) return SP_OK;
    const sp_json part = sp_json_get(r->root, "head");
    const sp_json at = sp_json_get(&part, "class");
    return sp_json_fail(&at, err, SP_E_INCONSISTENT,
                        "the last kernel of the head must be the product with the vocabulary, on "
                        "matrix units");
}

static sp_status read_ends(reader *r, sp_error *err)
{
    struct sp_model_formulas *f = sp_arena_alloc(r->build->arena, sizeof *f);
    if (f == NULL) return sp_fail(err, SP_E_MEMORY, "the model needs more");
    SP_TRY(read_end(r, "embedding", &f->embedding, &f->embedding_parameters, err));
    SP_TRY(read_end(r, "head", &f->head, &f->head_parameters, err));
    SP_TRY(check_head(r, f->head, err));
    SP_TRY(read_count_or(r, r->root, "other_parameters", SP_MODEL_MAX_PARAMS, 0,
                         &f->other_parameters, err));
    note_difference(r, "the embedding", f->embedding, f->embedding_parameters);
    note_difference(r, "the head", f->head, f->head_parameters + f->other_parameters);
    r->build->model.formulas = f;
    return SP_OK;
}

/* ---- the file ---- */

static sp_status read_sizes(reader *r, sp_error *err)
{
    static const char *const keys[] = {"hidden", "vocab", "max_context", "tied_embeddings"};
    sp_model *const model = &r->build->model;
    uint64_t hidden = 0, vocab = 0, context = 0, tied = 0;
    sp_json sizes;
    SP_TRY(sp_json_object(r->root, "model", &sizes, err));
    SP_TRY(sp_json_only(&sizes, keys, N_KEYS(keys), err));
    SP_TRY(read_count(r, &sizes, "hidden", 1, SP_MODEL_MAX_HIDDEN, &hidden, err));
    SP_TRY(read_count(r, &sizes, "vocab", 1, SP_MODEL_MAX_WIDTH, &vocab, err));
    SP_TRY(read_count_or(r, &sizes, "max_context", SP_MODEL_MAX_CONTEXT, 0, &context, err));
    SP_TRY(read_count_or(r, &sizes, "tied_embeddings", 1, 0, &tied, err));
    model->hidden = (uint32_t)hidden;
    model->vocab = (uint32_t)vocab;
    model->max_context = (uint32_t)context;
    model->tied_embeddings = tied == 1;
    model->norm_vectors = model->outer_norms = model->streams = 1;
    return SP_OK;
}

static sp_status read_names(reader *r, sp_error *err)
{
    sp_model *const model = &r->build->model;
    const char *name = NULL, *source = NULL, *date = NULL;
    SP_TRY(sp_json_string(r->root, "name", &name, err));
    SP_TRY(sp_model_own_read_origin(r->root, &source, &date, err));
    model->name = sp_arena_strdup(r->build->arena, name);
    model->model_type = "formulas";
    model->source = sp_arena_printf(r->build->arena, "%s (%s)", source, date);
    if (model->name != NULL && model->source != NULL) return SP_OK;
    return sp_fail(err, SP_E_MEMORY, "the model needs more");
}

static sp_status read_all(reader *r, sp_error *err)
{
    SP_TRY(read_names(r, err));
    SP_TRY(check_config(r, err));
    SP_TRY(read_sizes(r, err));
    SP_TRY(read_library(r, err));
    SP_TRY(read_layers(r, err));
    return read_ends(r, err);
}

bool sp_model_is_formulas(const sp_json *root)
{
    const sp_json schema = sp_json_get(root, "schema");
    const char *text = NULL;
    sp_error ignored;
    return sp_json_is_string(&schema) && sp_json_as_string(&schema, &text, &ignored) == SP_OK &&
           strncmp(text, SCHEMA, sizeof SCHEMA - 2) == 0;
}

sp_status sp_model_read_formulas(sp_model_build *build, const sp_json *root, sp_error *err)
{
    static const char *const keys[] = {
        "schema", "name",  "aliases",    "source",    "date",   "config", "modules",
        "names",  "model", "signatures", "embedding", "layers", "head",   "other_parameters"};
    SP_TRY(sp_json_schema(root, SCHEMA, err));
    SP_TRY(sp_json_only(root, keys, N_KEYS(keys), err));
    reader r = {.build = build, .root = root};
    const sp_status status = read_all(&r, err);
    sp_arena_fini(&r.arena);
    return status;
}
