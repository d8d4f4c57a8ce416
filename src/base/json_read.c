/* SPDX-License-Identifier: Apache-2.0 */
/* Strict reading of JSON: a tree by jansson, cursors that know their way from the root, and getters
 * of single values. This is the only file that knows jansson, which keeps allocating for itself:
 * routing it through sp_alloc would change a setting of the whole process. */
#include "base/base_priv.h"

#include <assert.h>
#include <jansson.h>
#include <math.h>
#include <string.h>

enum { FILE_MAX_BYTES = 8 * 1024 * 1024 };

struct sp_json_doc {
    json_t *root;
    sp_text text;
    char *file;
};

/* ---- loading ---- */

static const json_t *node_of(const sp_json *value)
{
    return value->node;
}

/* jansson's iterators ask for a tree they may change; ours do not. The detour through an integer
 * says so to the compiler. */
static json_t *iterable(const sp_json *object)
{
    return (json_t *)(uintptr_t)object->node;
}

/* Names the key: it is the string that ends where the parser stopped. */
static void tell_duplicate(const sp_json_doc *doc, const json_error_t *why, sp_error *err)
{
    const char *const start = doc->text.data, *const end = start + doc->text.length;
    const char *const stop = start + why->position;
    for (const char *p = start; p < end && p < stop;) {
        if (*p != '"') {
            p++;
            continue;
        }
        const char *after = sp_json_scan_string(p, end);
        if (after == stop) {
            const int length = (int)(after - p) - 2;
            sp_fail(err, SP_E_SYNTAX, "the key \"%.*s\" stands twice in the same object", length,
                    p + 1);
        }
        p = after;
    }
}

static sp_status fail_parse(const sp_json_doc *doc, const json_error_t *why, sp_error *err)
{
    const enum json_error_code code = json_error_code(why);
    const sp_status status = code == json_error_out_of_memory      ? SP_E_MEMORY
                             : code == json_error_numeric_overflow ? SP_E_OVERFLOW
                                                                   : SP_E_SYNTAX;
    sp_fail(err, status, "column %d: %s", why->column, why->text);
    if (code == json_error_duplicate_key) tell_duplicate(doc, why, err);
    err->line = why->line > 0 ? why->line : 0;
    return sp_fail_file(err, doc->file);
}

static sp_status parse(sp_json_doc *doc, sp_error *err)
{
    if (doc->text.length > FILE_MAX_BYTES) {
        sp_fail(err, SP_E_OVERFLOW, "the text is too long");
        sp_fail_range(err, "at most %d bytes", FILE_MAX_BYTES);
        return sp_fail_file(err, doc->file);
    }
    json_error_t why;
    doc->root = json_loadb(doc->text.data, doc->text.length, JSON_REJECT_DUPLICATES, &why);
    return doc->root ? SP_OK : fail_parse(doc, &why, err);
}

static sp_json_doc *new_doc(const char *file, sp_error *err)
{
    sp_json_doc *doc = sp_alloc(sizeof *doc);
    const size_t length = strlen(file);
    if (doc) doc->file = sp_alloc(length + 1);
    if (doc && doc->file) {
        memcpy(doc->file, file, length);
        return doc;
    }
    sp_json_free(doc);
    sp_fail(err, SP_E_MEMORY, "no memory for the file");
    sp_fail_file(err, file);
    return NULL;
}

/* Text of a .json5 file becomes JSON before it is parsed. */
static sp_status from_json5(sp_json_doc *doc, sp_error *err)
{
    static const char ending[] = ".json5";
    const size_t n = strlen(doc->file), n_ending = sizeof ending - 1;
    if (n < n_ending || strcmp(doc->file + n - n_ending, ending) != 0) return SP_OK;
    sp_text json = {0};
    const sp_status status =
        sp_json5_to_json(doc->text.data, doc->text.length, doc->file, &json, err);
    if (status == SP_OK) {
        sp_text_fini(&doc->text);
        doc->text = json;
    } else {
        sp_text_fini(&json);
    }
    return status;
}

sp_status sp_json_load_file(const char *file, sp_json_doc **doc, sp_error *err)
{
    assert(file && doc);
    *doc = NULL;
    sp_json_doc *loaded = new_doc(file, err);
    if (!loaded) return SP_E_MEMORY;
    sp_status status = sp_file_read(file, FILE_MAX_BYTES, &loaded->text, err);
    if (status == SP_OK) status = from_json5(loaded, err);
    if (status == SP_OK) status = parse(loaded, err);
    if (status == SP_OK) {
        *doc = loaded;
    } else {
        sp_json_free(loaded);
    }
    return status;
}

sp_status sp_json_load_text(const char *text, size_t length, const char *name, sp_json_doc **doc,
                            sp_error *err)
{
    assert((text || length == 0) && name && doc);
    *doc = NULL;
    sp_json_doc *loaded = new_doc(name, err);
    if (!loaded) return SP_E_MEMORY;
    sp_text_add_n(&loaded->text, text, length);
    sp_status status = SP_OK;
    if (loaded->text.failed) {
        sp_fail(err, SP_E_MEMORY, "no memory for the text");
        status = sp_fail_file(err, name);
    }
    if (status == SP_OK) status = parse(loaded, err);
    if (status == SP_OK) {
        *doc = loaded;
    } else {
        sp_json_free(loaded);
    }
    return status;
}

void sp_json_free(sp_json_doc *doc)
{
    if (!doc) return;
    json_decref(doc->root);
    sp_text_fini(&doc->text);
    sp_free(doc->file);
    sp_free(doc);
}

/* ---- cursors ---- */

sp_json sp_json_root(const sp_json_doc *doc)
{
    return (sp_json){.doc = doc, .node = doc->root};
}

const char *sp_json_file(const sp_json *value)
{
    return value->doc->file;
}

const char *sp_json_text(const sp_json_doc *doc, size_t *length)
{
    *length = doc->text.length;
    return doc->text.data;
}

bool sp_json_is_object(const sp_json *value)
{
    return json_is_object(node_of(value));
}

bool sp_json_is_array(const sp_json *value)
{
    return json_is_array(node_of(value));
}

bool sp_json_is_string(const sp_json *value)
{
    return json_is_string(node_of(value));
}

bool sp_json_is_number(const sp_json *value)
{
    return json_is_number(node_of(value));
}

bool sp_json_is_bool(const sp_json *value)
{
    return json_is_boolean(node_of(value));
}

bool sp_json_is_null(const sp_json *value)
{
    return json_is_null(node_of(value));
}

bool sp_json_number(const sp_json *value, int64_t *whole, double *real)
{
    assert(sp_json_is_number(value));
    *whole = json_integer_value(node_of(value));
    *real = json_number_value(node_of(value));
    return json_is_integer(node_of(value));
}

size_t sp_json_size(const sp_json *value)
{
    return json_object_size(node_of(value)) + json_array_size(node_of(value)); /* 0 for others */
}

sp_json sp_json_get(const sp_json *object, const char *key)
{
    return (sp_json){.doc = object->doc,
                     .node = json_object_get(node_of(object), key),
                     .parent = object,
                     .key = key};
}

sp_json sp_json_at(const sp_json *array, size_t idx)
{
    return (sp_json){.doc = array->doc,
                     .node = json_array_get(node_of(array), idx),
                     .parent = array,
                     .idx = idx};
}

bool sp_json_has(const sp_json *object, const char *key)
{
    return json_object_get(node_of(object), key) != NULL;
}

sp_json sp_json_member(const sp_json *object, size_t idx)
{
    assert(idx < sp_json_size(object));
    json_t *tree = iterable(object);
    void *at = json_object_iter(tree);
    for (size_t i = 0; i < idx; i++)
        at = json_object_iter_next(tree, at);
    return sp_json_get(object, json_object_iter_key(at));
}

size_t sp_json_ordinal(const sp_json *member)
{
    json_t *tree = iterable(member->parent);
    size_t idx = 0;
    for (void *at = json_object_iter(tree); at; at = json_object_iter_next(tree, at)) {
        if (strcmp(json_object_iter_key(at), member->key) == 0) return idx;
        idx++;
    }
    assert(!"the key of a present member");
    return 0;
}

/* ---- the value itself ---- */

sp_status sp_json_as_string(const sp_json *value, const char **out, sp_error *err)
{
    if (!sp_json_is_string(value)) return sp_json_fail_type(value, "a string", err);
    *out = json_string_value(node_of(value));
    return SP_OK;
}

/* What is wrong with a number as a whole number in lo .. hi; NULL when nothing is. Reals such as
 * 1e12 pass while they are whole and exact. */
static const char *u64_complaint(const json_t *number, uint64_t lo, uint64_t hi, uint64_t *out)
{
    static const double exact_max = 9007199254740992.0; /* 2^53 */
    if (json_is_real(number)) {
        const double x = json_real_value(number);
        if (x != trunc(x)) return "must be a whole number";
        if (x < 0) return "too small";
        if (x > exact_max) return "too large";
        *out = (uint64_t)x;
    } else {
        const json_int_t i = json_integer_value(number);
        if (i < 0) return "too small";
        *out = (uint64_t)i;
    }
    return *out < lo ? "too small" : *out > hi ? "too large" : NULL;
}

sp_status sp_json_as_u64(const sp_json *value, uint64_t lo, uint64_t hi, uint64_t *out,
                         sp_error *err)
{
    assert(lo <= hi);
    if (!sp_json_is_number(value)) return sp_json_fail_type(value, "a whole number", err);
    uint64_t number = 0;
    const char *complaint = u64_complaint(node_of(value), lo, hi, &number);
    if (complaint) return sp_json_fail_range_u64(value, complaint, lo, hi, err);
    *out = number;
    return SP_OK;
}

static const char *double_complaint(double x, double lo, double hi)
{
    if (x == 0 && signbit(x)) return "must not be negative zero";
    if (fpclassify(x) == FP_SUBNORMAL) return "too close to zero";
    return x < lo   ? "too small"
           : x > hi ? "too large"
                    : NULL; /* the parser passes finite ones only */
}

sp_status sp_json_as_double(const sp_json *value, double lo, double hi, double *out, sp_error *err)
{
    assert(lo <= hi);
    if (!sp_json_is_number(value)) return sp_json_fail_type(value, "a number", err);
    const double x = json_number_value(node_of(value));
    const char *complaint = double_complaint(x, lo, hi);
    if (complaint) return sp_json_fail_range_double(value, complaint, lo, hi, err);
    *out = x;
    return SP_OK;
}

sp_status sp_json_as_bool(const sp_json *value, bool *out, sp_error *err)
{
    if (!sp_json_is_bool(value)) return sp_json_fail_type(value, "true or false", err);
    *out = json_is_true(node_of(value));
    return SP_OK;
}

/* ---- whole objects ---- */

static bool is_listed(const char *name, const char *const *names, size_t n_names)
{
    for (size_t i = 0; i < n_names; i++) {
        if (strcmp(name, names[i]) == 0) return true;
    }
    return false;
}

sp_status sp_json_only(const sp_json *object, const char *const *keys, size_t n_keys, sp_error *err)
{
    if (!sp_json_is_object(object)) return sp_json_fail_type(object, "an object", err);
    json_t *tree = iterable(object);
    for (void *at = json_object_iter(tree); at; at = json_object_iter_next(tree, at)) {
        const char *key = json_object_iter_key(at);
        if (is_listed(key, keys, n_keys)) continue;
        const sp_json member = sp_json_get(object, key);
        sp_fail(err, SP_E_UNKNOWN_KEY, "\"%s\" is not a key of this object", key);
        sp_json_tell_place(&member, true, err);
        return sp_fail_names(err, key, keys, n_keys);
    }
    return SP_OK;
}
