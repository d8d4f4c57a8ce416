/* SPDX-License-Identifier: Apache-2.0 */
/* Training engines by name and version: which files are meant, and what stands at their head. What
 * else is in them is read in engine_profile.c and engine_rules.c. */
#include "spec/spec.h"

#include <assert.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char ANY[] = "any";

typedef struct loader {
    struct sp_arena *arena;
    const char *home, *dir;
    const char *const *names; /* of the files in it */
    size_t n_names;
    const sp_engine_facts *facts;
    const sp_engine_profile *base; /* holds where a file states nothing; NULL while it is read */
} loader;

/* One engine of the list asked for. */
typedef struct request {
    const char *name;
    const char *version; /* NULL = the newest that the file knows */
    bool legacy;         /* set on loading: not meant by "any"    */
} request;

/* ---- files ---- */

/* The version asked for, else the newest one that the file speaks of. */
static sp_status choose_version(const request *asked, const sp_json *root, const char **version,
                                sp_error *err)
{
    SP_TRY(sp_json_string(root, "version", version, err));
    if (!sp_version_is_valid(*version)) {
        const sp_json value = sp_json_get(root, "version");
        return sp_json_fail(&value, err, SP_E_SYNTAX,
                            "a version is numbers and dots, such as 0.12");
    }
    if (asked->version == NULL) return SP_OK;
    *version = asked->version;
    if (sp_version_is_valid(*version)) return SP_OK;
    sp_fail(err, SP_E_SYNTAX, "a version is numbers and dots, such as %s@0.12", asked->name);
    return sp_fail_value(err, "%s", asked->version);
}

static sp_status read_head(request *asked, const sp_json *root, sp_error *err)
{
    static const char *const keys[] = {"schema", "name",     "about", "version",
                                       "legacy", "profiles", "rules"};
    const char *name = NULL, *about = NULL;
    SP_TRY(sp_json_schema(root, "shardplan/engine/1", err));
    SP_TRY(sp_json_only(root, keys, COUNT(keys), err));
    SP_TRY(sp_json_string(root, "name", &name, err));
    SP_TRY(sp_json_string(root, "about", &about, err));
    SP_TRY(sp_json_bool_or(root, "legacy", false, &asked->legacy, err));
    if (strcmp(name, asked->name) == 0) return SP_OK;
    const sp_json value = sp_json_get(root, "name");
    return sp_json_fail(&value, err, SP_E_INCONSISTENT, "must be the name of the file, %s",
                        asked->name);
}

static sp_status read_engine(const loader *load, request *asked, const sp_json *root,
                             sp_engine *engine, sp_error *err)
{
    const char *version = NULL;
    *engine = (sp_engine){0};
    SP_TRY(read_head(asked, root, err));
    SP_TRY(choose_version(asked, root, &version, err));
    SP_TRY(sp_text_keep(load->arena, asked->name, &engine->name, err));
    SP_TRY(sp_engine_profile_read(load->arena, root, version, load->base, engine, err));
    return sp_engine_rules_read(load->arena, load->home, root, version, load->facts, engine, err);
}

static sp_status load_engine(const loader *load, request *asked, sp_engine *engine, sp_error *err)
{
    const char *file = sp_arena_printf(load->arena, "%s/%s.json", load->dir, asked->name);
    if (file == NULL) return sp_fail(err, SP_E_MEMORY, "out of memory");
    sp_json_doc *doc = NULL;
    SP_TRY(sp_json_load_file(file, &doc, err));
    const sp_json root = sp_json_root(doc);
    const sp_status status = read_engine(load, asked, &root, engine, err);
    sp_json_free(doc);
    return status;
}

/* ---- the list asked for ---- */

static sp_status check_name(const loader *load, const char *name, sp_error *err)
{
    static const char *const serving[] = {"vllm", "sglang", "trtllm", "tgi", "hf", "dashinfer"};
    for (size_t i = 0; i < load->n_names; i++) {
        if (strcmp(load->names[i], name) == 0) return SP_OK;
    }
    for (size_t i = 0; i < COUNT(serving); i++) {
        if (strcmp(serving[i], name) != 0) continue;
        sp_fail(err, SP_E_NOT_YET, "this engine serves models, and plans are for training");
        return sp_fail_value(err, "%s", name);
    }
    sp_fail(err, SP_E_UNKNOWN_NAME, "no engine goes by this name");
    sp_fail_value(err, "%s", name);
    return sp_fail_names(err, name, load->names, load->n_names);
}

static sp_status check_request(const loader *load, const request *list, size_t idx, sp_error *err)
{
    const char *name = list[idx].name;
    SP_TRY(check_name(load, name, err));
    if (strcmp(name, ANY) == 0) {
        sp_fail(err, SP_E_INCONSISTENT, "any means every engine and stands alone, without version");
        return sp_fail_value(err, "%s", name);
    }
    for (size_t i = 0; i < idx; i++) {
        if (strcmp(list[i].name, name) != 0) continue;
        sp_fail(err, SP_E_INCONSISTENT, "%s is named twice", name);
        return sp_fail_value(err, "%s", name);
    }
    return SP_OK;
}

/* Turns "a,b@1.2" into requests. */
static sp_status split_list(const loader *load, const char *which, request **list, size_t *n_list,
                            sp_error *err)
{
    size_t n_commas = 0;
    for (const char *c = which; *c != '\0'; c++) {
        n_commas += *c == ',';
    }
    char *rest = sp_arena_strdup(load->arena, which);
    *list = sp_arena_alloc(load->arena, (n_commas + 1) * sizeof **list);
    if (rest == NULL || *list == NULL) return sp_fail(err, SP_E_MEMORY, "out of memory");
    for (*n_list = 0; rest != NULL; (*n_list)++) {
        char *comma = strchr(rest, ',');
        if (comma != NULL) *comma = '\0';
        char *at = strchr(rest, '@');
        if (at != NULL) *at = '\0';
        (*list)[*n_list] = (request){.name = rest, .version = at != NULL ? at + 1 : NULL};
        SP_TRY(check_request(load, *list, *n_list, err));
        rest = comma != NULL ? comma + 1 : NULL;
    }
    return SP_OK;
}

/* Every file but any.json. */
static sp_status list_all(const loader *load, request **list, size_t *n_list, sp_error *err)
{
    *list = sp_arena_alloc(load->arena, load->n_names * sizeof **list);
    if (*list == NULL) return sp_fail(err, SP_E_MEMORY, "out of memory");
    *n_list = 0;
    for (size_t i = 0; i < load->n_names; i++) {
        if (strcmp(load->names[i], ANY) != 0) {
            (*list)[(*n_list)++] = (request){.name = load->names[i]};
        }
    }
    return SP_OK;
}

static sp_status open_folder(loader *load, const char *home, sp_engine *any, sp_error *err)
{
    load->home = home;
    load->dir = sp_arena_printf(load->arena, "%s/configs/engines", home);
    if (load->dir == NULL) return sp_fail(err, SP_E_MEMORY, "out of memory");
    SP_TRY(sp_dir_names(load->arena, load->dir, ".json", &load->names, &load->n_names, err));
    request asked = {.name = ANY};
    SP_TRY(load_engine(load, &asked, any, err));
    load->base = &any->profile;
    return SP_OK;
}

/* Engines of past eras are left out of "any": nobody plans for them unasked. */
static sp_status load_list(const loader *load, request *list, size_t n_list, bool all,
                           sp_engine *engines, uint32_t *n_engines, sp_error *err)
{
    *n_engines = 0;
    for (size_t i = 0; i < n_list; i++) {
        SP_TRY(load_engine(load, &list[i], &engines[*n_engines], err));
        if (!all || !list[i].legacy) (*n_engines)++;
    }
    return SP_OK;
}

sp_status sp_engines_load(struct sp_arena *arena, const char *home, const char *which,
                          const sp_engine_facts *facts, const sp_engine **engines,
                          uint32_t *n_engines, const sp_engine_profile **profile, sp_error *err)
{
    assert(arena != NULL && home != NULL && which != NULL && facts != NULL);
    loader load = {.arena = arena, .facts = facts};
    const bool all = strcmp(which, ANY) == 0;
    request *list = NULL;
    size_t n_list = 0;
    sp_engine *any = sp_arena_alloc(arena, sizeof *any);
    if (any == NULL) return sp_fail(err, SP_E_MEMORY, "out of memory");
    SP_TRY(open_folder(&load, home, any, err));
    SP_TRY(all ? list_all(&load, &list, &n_list, err)
               : split_list(&load, which, &list, &n_list, err));
    sp_engine *loaded = sp_arena_alloc(arena, (n_list + 1) * sizeof *loaded);
    if (loaded == NULL) return sp_fail(err, SP_E_MEMORY, "out of memory");
    SP_TRY(load_list(&load, list, n_list, all, loaded, n_engines, err));
    *profile = !all && n_list == 1 ? &loaded[0].profile : &any->profile;
    *engines = loaded;
    return SP_OK;
}
