/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of the keys that a type does not know: those known to leave shapes alone are passed
 * over, those that no class can pass over are refused, and so is what looks like a misspelling of a
 * key that is absent; the rest is ignored, as the classes do, and becomes an assumption, in other
 * words where other types change shapes by it. Lists: configs/model_types/_common.json. */
#include "spec/model_type.h"

#include <string.h>

#define SCHEMA       "shardplan/model-types-common/1"
#define N_KEYS(keys) (sizeof(keys) / sizeof((keys)[0]))

typedef struct common_keys {
    sp_json inert, shape_keys, refused, remarks;
} common_keys;

static bool lists(const sp_json *list, const char *key)
{
    for (size_t i = 0; i < sp_json_size(list); i++) {
        const sp_json entry = sp_json_at(list, i);
        const char *text = NULL;
        sp_error ignored;
        if (sp_json_as_string(&entry, &text, &ignored) == SP_OK && strcmp(text, key) == 0)
            return true;
    }
    return false;
}

/* false, 0, "", [] and {} switch a feature off. */
static bool is_off(const sp_json *value)
{
    sp_value truth;
    return sp_value_of_json(value, &truth) == SP_FORMULA_OK && !sp_value_is_true(&truth);
}

static bool knows(const sp_type_reader *reader, const char *key)
{
    const sp_json own = sp_json_get(reader->file, "inert");
    const bool wrapped = reader->wrapped_key != NULL && strcmp(reader->wrapped_key, key) == 0;
    return wrapped || strcmp(key, "model_type") == 0 || sp_json_has(&reader->defaults, key) ||
           sp_json_has(&reader->aliases, key) || lists(&own, key);
}

static bool states_other_spelling(const sp_type_reader *reader, const char *key)
{
    for (size_t i = 0; i < sp_json_size(&reader->aliases); i++) {
        const sp_json alias = sp_json_member(&reader->aliases, i);
        const char *stands_for = NULL;
        sp_error ignored;
        if (sp_json_as_string(&alias, &stands_for, &ignored) == SP_OK &&
            strcmp(stands_for, key) == 0 && sp_json_has(reader->config, alias.key)) {
            return true;
        }
    }
    return false;
}

/* The key of the type, absent in the config, that `key` may be a misspelling of; NULL = none. */
static const char *meant_key(const sp_type_reader *reader, const char *key, sp_error *err)
{
    const size_t n_defaults = sp_json_size(&reader->defaults);
    const char **absent = sp_arena_alloc(reader->scratch, (n_defaults + 1) * sizeof *absent);
    size_t n_absent = 0;
    if (absent == NULL) {
        sp_fail(err, SP_E_MEMORY, "the keys of a model type need more");
        return NULL;
    }
    for (size_t i = 0; i < n_defaults; i++) {
        const char *name = sp_json_member(&reader->defaults, i).key;
        const bool stated =
            sp_json_has(reader->config, name) || states_other_spelling(reader, name);
        if (!stated) absent[n_absent++] = name;
    }
    const char *nearest = sp_name_nearest(key, absent, n_absent);
    return nearest != NULL && sp_name_is_slip(key, nearest) ? nearest : NULL;
}

static void note_unknown(const sp_type_reader *reader, const common_keys *common, const char *key)
{
    const sp_json remark = sp_json_get(&common->remarks, key);
    const char *sentence = NULL;
    sp_error ignored;
    if (sp_json_as_string(&remark, &sentence, &ignored) == SP_OK) {
        sp_model_note(reader->build, "%s", sentence);
        return;
    }
    sp_model_note(reader->build, "%s is not known for model_type %s and is ignored.", key,
                  reader->type);
}

static sp_status check_unknown(const sp_type_reader *reader, const common_keys *common,
                               const sp_json *value, sp_error *err)
{
    const bool remarked = sp_json_has(&common->remarks, value->key);
    sp_error failure = {.status = SP_OK};
    const char *meant = remarked ? NULL : meant_key(reader, value->key, &failure);
    if (failure.status != SP_OK) {
        *err = failure;
        return failure.status;
    }
    if (meant == NULL) {
        note_unknown(reader, common, value->key);
        return SP_OK;
    }
    sp_json_fail(value, err, SP_E_UNKNOWN_KEY,
                 "it looks like a misspelling of a key that is absent");
    sp_fail_names(err, value->key, &meant, 1);
    err->range[0] = '\0'; /* the nearest name says it all */
    return SP_E_UNKNOWN_KEY;
}

static sp_status check_key(const sp_type_reader *reader, const common_keys *common,
                           const sp_json *value, sp_error *err)
{
    if (knows(reader, value->key) || sp_json_is_null(value)) return SP_OK;
    if (lists(&common->inert, value->key)) return SP_OK;
    const bool refused = lists(&common->refused, value->key);
    if (!refused && !lists(&common->shape_keys, value->key)) {
        return check_unknown(reader, common, value, err);
    }
    if (is_off(value)) return SP_OK;
    if (refused) {
        return sp_json_fail(value, err, SP_E_UNKNOWN_KEY, "model_type %s does not have it",
                            reader->type);
    }
    sp_model_note(reader->build,
                  "%s changes the shapes of other models, but not those of model_type %s, and is "
                  "ignored.",
                  value->key, reader->type);
    return SP_OK;
}

static sp_status check_members(const sp_type_reader *reader, const common_keys *common,
                               const sp_json *object, sp_error *err)
{
    for (size_t i = 0; i < sp_json_size(object); i++) {
        const sp_json value = sp_json_member(object, i);
        SP_TRY(check_key(reader, common, &value, err));
    }
    return SP_OK;
}

static sp_status check_all(const sp_type_reader *reader, const sp_json *root, sp_error *err)
{
    static const char *const keys[] = {"schema",     "source",  "date",   "inert",
                                       "shape_keys", "refused", "remarks"};
    common_keys common;
    SP_TRY(sp_json_schema(root, SCHEMA, err));
    SP_TRY(sp_json_only(root, keys, N_KEYS(keys), err));
    SP_TRY(sp_json_array(root, "inert", &common.inert, err));
    SP_TRY(sp_json_array(root, "shape_keys", &common.shape_keys, err));
    SP_TRY(sp_json_array(root, "refused", &common.refused, err));
    SP_TRY(sp_json_object(root, "remarks", &common.remarks, err));
    SP_TRY(check_members(reader, &common, reader->config, err));
    for (size_t i = 0; i < reader->n_overrides; i++) {
        SP_TRY(check_members(reader, &common, reader->overrides[i].keys, err));
    }
    return SP_OK;
}

sp_status sp_type_check_keys(sp_type_reader *reader, sp_error *err)
{
    const char *path = sp_arena_printf(reader->scratch, "%s/configs/model_types/_common.json",
                                       reader->build->home);
    sp_json_doc *doc = NULL;
    if (path == NULL) return sp_fail(err, SP_E_MEMORY, "the keys of a model type need more");
    SP_TRY(sp_json_load_file(path, &doc, err));
    const sp_json root = sp_json_root(doc);
    const sp_status status = check_all(reader, &root, err);
    sp_json_free(doc);
    return status;
}
