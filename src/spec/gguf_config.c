/* SPDX-License-Identifier: Apache-2.0 */
/* The keys of a GGUF file as the config.json of its model. HOME/configs/gguf/ARCHITECTURE.json says
 * which key of the one is which of the other; what converters leave out of the keys (a tied head,
 * biases, the vocabulary) is read from which tensors there are. */
#include "spec/checkpoint_priv.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

typedef struct config_writer {
    sp_arena *arena;
    const char *arch;
    const sp_gguf_keys *keys;
    const sp_checkpoint *checkpoint;
    sp_json_writer json;
    sp_error *err;
} config_writer;

static sp_status fail_memory(const config_writer *w)
{
    return sp_fail(w->err, SP_E_MEMORY, "the model needs more");
}

/* The value of ARCHITECTURE.key; NULL = the file has none. */
static sp_status find_key(const config_writer *w, const char *key, const sp_gguf_value **value)
{
    const char *name = sp_arena_printf(w->arena, "%s.%s", w->arch, key);
    if (!name) return fail_memory(w);
    *value = sp_gguf_find(w->keys, name);
    return SP_OK;
}

static const sp_checkpoint_tensor *find_tensor(const config_writer *w, const char *name)
{
    for (size_t i = 0; i < w->checkpoint->n_listed; i++) {
        if (strcmp(w->checkpoint->tensors[i].name, name) == 0) return &w->checkpoint->tensors[i];
    }
    return NULL;
}

static sp_status fail_key(const config_writer *w, const char *key, sp_status status,
                          const char *message)
{
    sp_fail(w->err, status, "%s", message);
    snprintf(w->err->path, sizeof w->err->path, "%s.%s", w->arch, key);
    return sp_fail_file(w->err, w->checkpoint->path);
}

/* One number for all layers where they agree, a list else. */
static void write_list(config_writer *w, const char *name, const sp_gguf_value *value)
{
    bool equal = value->length > 0;
    for (uint64_t i = 1; i < value->length; i++)
        equal = equal && value->elements[i] == value->elements[0];
    if (equal) {
        sp_jw_i64(&w->json, name, value->elements[0]);
        return;
    }
    sp_jw_open_array_compact(&w->json, name);
    for (uint64_t i = 0; i < value->length; i++)
        sp_jw_i64(&w->json, NULL, value->elements[i]);
    sp_jw_close_array(&w->json);
}

static sp_status write_value(config_writer *w, const char *name, const char *key,
                             const sp_gguf_value *value, int64_t minus)
{
    if (value->type == SP_GGUF_ARRAY && value->elements && minus == 0) {
        write_list(w, name, value);
    } else if (!sp_gguf_is_whole(value)) {
        return fail_key(w, key, SP_E_TYPE, "a whole number must stand here");
    } else if (value->type == SP_GGUF_BOOL) {
        sp_jw_bool(&w->json, name, value->whole != 0);
    } else if (value->whole < minus || value->whole < 0) {
        fail_key(w, key, SP_E_RANGE, "the number is too small");
        sp_fail_value(w->err, "%" PRId64, value->whole);
        return sp_fail_range(w->err, "at least %" PRId64, minus);
    } else {
        sp_jw_i64(&w->json, name, value->whole - minus);
    }
    return SP_OK;
}

/* {"first": [KEY, ..], "minus": KEY, "else": VALUE} */
static sp_status write_first(config_writer *w, const sp_json *rule)
{
    const sp_json keys = sp_json_get(rule, "first"), other = sp_json_get(rule, "else");
    const char *minus_key = NULL, *key = NULL;
    const sp_gguf_value *value = NULL, *minus = NULL;
    SP_TRY(sp_json_string_or(rule, "minus", NULL, &minus_key, w->err));
    if (minus_key) SP_TRY(find_key(w, minus_key, &minus));
    for (size_t i = 0; !value && i < sp_json_size(&keys); i++) {
        const sp_json entry = sp_json_at(&keys, i);
        SP_TRY(sp_json_as_string(&entry, &key, w->err));
        SP_TRY(find_key(w, key, &value));
    }
    if (value) {
        const int64_t less =
            minus && sp_gguf_is_whole(minus) && minus->whole > 0 ? minus->whole : 0;
        return write_value(w, rule->key, key, value, less);
    }
    if (other.node) {
        sp_text text = {0};
        sp_json_dump(&other, &text);
        if (!text.failed) sp_jw_raw(&w->json, rule->key, text.data);
        const bool failed = text.failed;
        sp_text_fini(&text);
        if (failed) return fail_memory(w);
    }
    return SP_OK;
}

/* {"present": TENSOR}, {"absent": TENSOR}, {"rows": TENSOR} */
static sp_status write_tensor(config_writer *w, const sp_json *rule)
{
    const sp_json fact = sp_json_member(rule, 0);
    const char *name = NULL;
    SP_TRY(sp_json_as_string(&fact, &name, w->err));
    const sp_checkpoint_tensor *tensor = find_tensor(w, name);
    if (strcmp(fact.key, "rows") != 0) {
        sp_jw_bool(&w->json, rule->key, (tensor != NULL) == (strcmp(fact.key, "present") == 0));
        return SP_OK;
    }
    if (tensor && tensor->n_dims == 2) {
        sp_jw_u64(&w->json, rule->key, tensor->shape[1]);
        return SP_OK;
    }
    sp_fail(w->err, SP_E_MISSING_KEY, "a matrix with one row for each \"%s\" must be there",
            rule->key);
    sp_checkpoint_tell_tensor(name, w->err);
    return sp_fail_file(w->err, w->checkpoint->path);
}

static sp_status write_rule(config_writer *w, const sp_json *rule)
{
    static const char *const of_keys[] = {"first", "minus", "else"};
    static const char *const of_tensors[] = {"present", "absent", "rows"};
    if (sp_json_is_string(rule)) {
        const char *key = NULL;
        const sp_gguf_value *value = NULL;
        SP_TRY(sp_json_as_string(rule, &key, w->err));
        SP_TRY(find_key(w, key, &value));
        return value ? write_value(w, rule->key, key, value, 0) : SP_OK;
    }
    if (sp_json_has(rule, "first")) {
        SP_TRY(sp_json_only(rule, of_keys, 3, w->err));
        return write_first(w, rule);
    }
    SP_TRY(sp_json_only(rule, of_tensors, 3, w->err));
    if (sp_json_size(rule) == 1) return write_tensor(w, rule);
    return sp_json_fail(rule, w->err, SP_E_RANGE, "a rule looks at one thing");
}

static bool is_listed(const sp_json *names, const char *name)
{
    for (size_t i = 0; i < sp_json_size(names); i++) {
        const sp_json entry = sp_json_at(names, i);
        const char *text = NULL;
        sp_error ignored;
        if (sp_json_as_string(&entry, &text, &ignored) == SP_OK && strcmp(text, name) == 0)
            return true;
    }
    return false;
}

/* Does the file have the variant's key, with its value where it states one, or any but 0? */
static sp_status holds(const config_writer *w, const sp_json *variant, bool *out)
{
    static const char *const keys[] = {"key", "is", "model_type", "without"};
    const char *key = NULL;
    uint64_t wanted = 0;
    const sp_gguf_value *value = NULL;
    SP_TRY(sp_json_only(variant, keys, 4, w->err));
    SP_TRY(sp_json_string(variant, "key", &key, w->err));
    SP_TRY(sp_json_u64_or(variant, "is", 1, INT64_MAX, 0, &wanted, w->err));
    SP_TRY(find_key(w, key, &value));
    const int64_t whole = value && sp_gguf_is_whole(value) ? value->whole : 0;
    *out = wanted > 0 ? whole == (int64_t)wanted : whole > 0;
    return SP_OK;
}

/* The type that the file's variant names, and the keys that this one does without. */
static sp_status choose_type(const config_writer *w, const sp_json *root, const sp_json *variants,
                             const char **type, const sp_json **chosen, sp_json *kept)
{
    SP_TRY(sp_json_string(root, "model_type", type, w->err));
    *chosen = NULL;
    for (size_t i = 0; !*chosen && i < sp_json_size(variants); i++) {
        *kept = sp_json_at(variants, i);
        bool found = false;
        SP_TRY(holds(w, kept, &found));
        if (!found) continue;
        *chosen = kept;
        SP_TRY(sp_json_string(kept, "model_type", type, w->err));
    }
    return SP_OK;
}

static sp_status check_required(const config_writer *w, const sp_json *root)
{
    sp_json required;
    SP_TRY(sp_json_array(root, "required", &required, w->err));
    for (size_t i = 0; i < sp_json_size(&required); i++) {
        const sp_json entry = sp_json_at(&required, i);
        const char *key = NULL;
        const sp_gguf_value *value = NULL;
        SP_TRY(sp_json_as_string(&entry, &key, w->err));
        SP_TRY(find_key(w, key, &value));
        if (!value) return fail_key(w, key, SP_E_MISSING_KEY, "the file does not state this key");
    }
    return SP_OK;
}

static sp_status write_config(config_writer *w, const sp_json *root)
{
    static const char *const keys[] = {"schema", "architecture", "model_type", "source",
                                       "date",   "variants",     "required",   "keys"};
    const char *type = NULL;
    const sp_json variants = sp_json_get(root, "variants"), *chosen = NULL;
    sp_json rules, kept = {0};
    SP_TRY(sp_json_schema(root, "shardplan/gguf/1", w->err));
    SP_TRY(sp_json_only(root, keys, sizeof keys / sizeof keys[0], w->err));
    SP_TRY(check_required(w, root));
    SP_TRY(choose_type(w, root, &variants, &type, &chosen, &kept));
    const sp_json without = chosen ? sp_json_get(chosen, "without") : (sp_json){0};
    SP_TRY(sp_json_object(root, "keys", &rules, w->err));
    sp_jw_open_object(&w->json, NULL);
    sp_jw_string(&w->json, "model_type", type);
    for (size_t i = 0; i < sp_json_size(&rules); i++) {
        const sp_json rule = sp_json_member(&rules, i);
        if (chosen && is_listed(&without, rule.key)) continue;
        SP_TRY(write_rule(w, &rule));
    }
    sp_jw_close_object(&w->json);
    return SP_OK;
}

static sp_status find_arch(const char *path, const sp_gguf_keys *keys, const char **arch,
                           sp_error *err)
{
    const sp_gguf_value *value = sp_gguf_find(keys, "general.architecture");
    if (value && value->text && value->text[0] != '\0') {
        *arch = value->text;
        return SP_OK;
    }
    sp_fail(err, SP_E_MISSING_KEY, "the file does not say of which architecture its model is");
    sp_checkpoint_tell_tensor("general.architecture", err);
    return sp_fail_file(err, path);
}

/* The file of the architecture, or an error that names the known ones. */
static sp_status find_rules(const config_writer *w, const char *home, const char **file)
{
    const char *dir = sp_arena_printf(w->arena, "%s/configs/gguf", home);
    if (!dir) return fail_memory(w);
    const char *const *names = NULL;
    size_t n = 0;
    SP_TRY(sp_dir_names(w->arena, dir, ".json", &names, &n, w->err));
    for (size_t i = 0; i < n; i++) {
        if (strcmp(names[i], w->arch) != 0) continue;
        *file = sp_arena_printf(w->arena, "%s/%s.json", dir, w->arch);
        return *file ? SP_OK : fail_memory(w);
    }
    sp_fail(w->err, SP_E_NOT_YET,
            "models of this architecture cannot be read from their GGUF file alone");
    sp_checkpoint_tell_tensor("general.architecture", w->err);
    sp_fail_value(w->err, "%s", w->arch);
    sp_fail_names(w->err, w->arch, names, n);
    return sp_fail_file(w->err, w->checkpoint->path);
}

static sp_status write_text(config_writer *w, const char *home, const char **config)
{
    const char *file = NULL;
    sp_json_doc *doc = NULL;
    SP_TRY(find_rules(w, home, &file));
    SP_TRY(sp_json_load_file(file, &doc, w->err));
    const sp_json root = sp_json_root(doc);
    sp_text text = {0};
    sp_jw_init(&w->json, &text);
    sp_status status = write_config(w, &root);
    if (status == SP_OK) {
        *config = text.failed ? NULL : sp_arena_strdup(w->arena, text.data);
        if (!*config) status = fail_memory(w);
    }
    sp_text_fini(&text);
    sp_json_free(doc);
    return status;
}

sp_status sp_checkpoint_gguf_config(sp_arena *arena, const char *home, const char *path,
                                    const char **config, sp_error *err)
{
    sp_gguf_keys keys = {0};
    config_writer w = {.arena = arena, .keys = &keys, .err = err};
    SP_TRY(sp_checkpoint_open(arena, path, &keys, &w.checkpoint, err));
    SP_TRY(find_arch(path, &keys, &w.arch, err));
    return write_text(&w, home, config);
}

bool sp_checkpoint_is_gguf(const char *path)
{
    static const char ending[] = ".gguf";
    const size_t length = strlen(path), n = sizeof ending - 1;
    if (!sp_dir_exists(path)) return length > n && strcmp(path + length - n, ending) == 0;
    sp_arena arena = {0};
    sp_error ignored;
    const char *const *names = NULL;
    size_t n_names = 0;
    const bool found = sp_dir_names(&arena, path, ending, &names, &n_names, &ignored) == SP_OK;
    sp_arena_fini(&arena);
    return found && n_names > 0;
}
