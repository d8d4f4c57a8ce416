/* SPDX-License-Identifier: Apache-2.0 */
/* From what a user calls a model to its file: a path, or the name or an alias of a file in
 * HOME/configs/models. Names are compared by their last path part, without case, '-', '_' and '.',
 * and without suffixes that leave the shape as it is: -Instruct, -Chat, the format of weights. */
#include "spec/spec.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#define KEY_BYTES 128 /* longer names are cut; none of ours comes near */

typedef struct name_key {
    char text[KEY_BYTES];
    size_t length;
} name_key;

/* Of weights, and of what they were tuned for; as keys have them. */
static const char *const suffixes[] = {
    "instruct", "chat", "hf",   "fp8", "fp8kv", "fp8dynamic", "nvfp4", "nvfp4v2", "fp4",
    "mxfp4",    "bf16", "fp16", "awq", "gptq",  "int4",       "int8",  "w4a16",   "w8a8"};

static bool strip_suffix(name_key *key)
{
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        const size_t length = strlen(suffixes[i]);
        if (key->length <= length) continue;
        if (memcmp(key->text + key->length - length, suffixes[i], length) != 0) continue;
        key->length -= length;
        return true;
    }
    return false;
}

static name_key key_of(const char *name)
{
    const char *slash = strrchr(name, '/');
    name_key key = {.length = 0};
    for (const char *c = slash != NULL ? slash + 1 : name; *c != '\0'; c++) {
        if (strchr("-_. ", *c) != NULL || key.length + 1 >= KEY_BYTES) continue;
        key.text[key.length++] = (char)tolower((unsigned char)*c);
    }
    while (strip_suffix(&key)) {
    }
    key.text[key.length] = '\0';
    return key;
}

static bool same_key(const name_key *key, const char *name)
{
    const name_key other = key_of(name);
    return strcmp(key->text, other.text) == 0;
}

bool sp_model_same_name(const char *a, const char *b)
{
    const name_key key = key_of(a);
    return same_key(&key, b);
}

/* The shelf of models: its folder and the sorted names of its files. */
typedef struct model_shelf {
    struct sp_arena *arena;
    const char *dir;
    const char *const *names;
    size_t n_names;
} model_shelf;

static sp_status open_shelf(struct sp_arena *arena, const char *home, model_shelf *out,
                            sp_error *err)
{
    out->arena = arena;
    out->dir = sp_arena_printf(arena, "%s/configs/models", home);
    if (out->dir == NULL) return sp_fail(err, SP_E_MEMORY, "the list of models needs more");
    return sp_dir_names(arena, out->dir, ".json", &out->names, &out->n_names, err);
}

static sp_status file_on_shelf(const model_shelf *shelf, const char *name, const char **file,
                               sp_error *err)
{
    *file = sp_arena_printf(shelf->arena, "%s/%s.json", shelf->dir, name);
    if (*file == NULL) return sp_fail(err, SP_E_MEMORY, "the list of models needs more");
    return SP_OK;
}

static sp_status has_alias(const char *file, const name_key *key, bool *found, sp_error *err)
{
    sp_json_doc *doc = NULL;
    sp_status status = sp_json_load_file(file, &doc, err);
    if (status != SP_OK) return status;
    const sp_json root = sp_json_root(doc);
    const sp_json aliases = sp_json_get(&root, "aliases");
    *found = false;
    for (size_t i = 0; status == SP_OK && !*found && i < sp_json_size(&aliases); i++) {
        const sp_json entry = sp_json_at(&aliases, i);
        const char *alias = NULL;
        status = sp_json_as_string(&entry, &alias, err);
        *found = status == SP_OK && same_key(key, alias);
    }
    sp_json_free(doc);
    return status;
}

/* *file stays NULL when nothing goes by this name. A file's own name comes before any alias. */
static sp_status find_file(const model_shelf *shelf, const char *ref, const char **file,
                           sp_error *err)
{
    const name_key key = key_of(ref);
    for (size_t i = 0; i < shelf->n_names; i++) {
        if (same_key(&key, shelf->names[i]))
            return file_on_shelf(shelf, shelf->names[i], file, err);
    }
    for (size_t i = 0; i < shelf->n_names; i++) {
        const char *candidate = NULL;
        bool found = false;
        SP_TRY(file_on_shelf(shelf, shelf->names[i], &candidate, err));
        SP_TRY(has_alias(candidate, &key, &found, err));
        if (found) {
            *file = candidate;
            return SP_OK;
        }
    }
    return SP_OK;
}

/* "7B", "1.5b", "350M", "1T": a number and a unit of parameters. */
static bool is_size(const char *ref)
{
    const size_t digits = strspn(ref, "0123456789.");
    return digits > 0 && strlen(ref) == digits + 1 && strchr("bBmMtT", ref[digits]) != NULL;
}

static bool is_of_size(const char *name, const char *size)
{
    const char *dash = strrchr(name, '-');
    return dash != NULL && strcasecmp(dash + 1, size) == 0;
}

/* Lists the models of this size, or all where there is none. */
static sp_status refuse_size(const model_shelf *shelf, const char *ref, sp_error *err)
{
    const char **same = sp_arena_alloc(shelf->arena, (shelf->n_names + 1) * sizeof *same);
    if (same == NULL) return sp_fail(err, SP_E_MEMORY, "the list of models needs more");
    size_t n_same = 0;
    for (size_t i = 0; i < shelf->n_names; i++) {
        if (is_of_size(shelf->names[i], ref)) same[n_same++] = shelf->names[i];
    }
    sp_fail(err, SP_E_NOT_YET, "a size alone does not say which model is meant; name one");
    sp_fail_value(err, "%s", ref);
    return n_same > 0 ? sp_fail_names(err, ref, same, n_same)
                      : sp_fail_names(err, ref, shelf->names, shelf->n_names);
}

static sp_status refuse_name(const model_shelf *shelf, const char *ref, sp_error *err)
{
    if (is_size(ref)) return refuse_size(shelf, ref, err);
    const char *slash = strrchr(ref, '/');
    sp_fail(err, SP_E_UNKNOWN_NAME, "no model goes by this name, and there is no such file");
    sp_fail_value(err, "%s", ref);
    return sp_fail_names(err, slash != NULL ? slash + 1 : ref, shelf->names, shelf->n_names);
}

/* Written as a path, as opposed to a name that may happen to be that of a folder too. */
static bool is_path(const char *ref)
{
    const size_t length = strlen(ref);
    const bool ending = length > 5 && (strcmp(ref + length - 5, ".json") == 0 ||
                                       strcmp(ref + length - 5, ".gguf") == 0);
    return ending || (strchr(ref, '/') != NULL && (sp_dir_exists(ref) || sp_file_exists(ref)));
}

sp_status sp_model_find(struct sp_arena *arena, const char *home, const char *ref,
                        const sp_model **model, sp_error *err)
{
    if (is_path(ref)) return sp_model_load(arena, home, ref, model, err);
    model_shelf models = {0};
    const char *file = NULL;
    SP_TRY(open_shelf(arena, home, &models, err));
    SP_TRY(find_file(&models, ref, &file, err));
    if (file != NULL) return sp_model_load(arena, home, file, model, err);
    if (sp_dir_exists(ref) || sp_file_exists(ref))
        return sp_model_load(arena, home, ref, model, err);
    return refuse_name(&models, ref, err);
}
