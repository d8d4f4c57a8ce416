/* SPDX-License-Identifier: Apache-2.0 */
/* Training engines by name and version: which files are meant, and the constants of the software in
 * them. any.json states every constant; another file states those in which its engine differs.
 * Rules are read in engine_rules.c. */
#include "spec/spec.h"

#include <assert.h>
#include <float.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char ANY[] = "any";

typedef struct loader {
    struct sp_arena *arena;
    const char *dir;
    const char *const *names; /* of the files in it */
    size_t n_names;
    const sp_engine_facts *facts;
    sp_engine any; /* whose constants hold where a file states none */
} loader;

/* One engine of the list asked for. */
typedef struct request {
    const char *name;
    const char *version; /* NULL = the newest that the file knows */
    bool legacy;         /* set on loading: not meant by "any"    */
} request;

/* ---- constants ---- */

#define CONSTANT(field, quantity, lo, hi) {#field, quantity, offsetof(sp_engine_profile, field), lo, hi}

static const sp_figure_field constants[] = {
    CONSTANT(gemm_ratio, SP_Q_RATIO, 1.0, 100.0),
    CONSTANT(attention_ratio, SP_Q_RATIO, 1.0, 100.0),
    CONSTANT(element_bytes_ratio, SP_Q_RATIO, 1.0, 100.0),
    CONSTANT(score_bytes_ratio, SP_Q_RATIO, 0.0, 100.0),
    CONSTANT(kernel_host_s, SP_Q_TIME, 0.0, 1.0),
    CONSTANT(layer_kernels, SP_Q_COUNT, 0.0, 1e6),
    CONSTANT(layer_kernels_tp, SP_Q_COUNT, 0.0, 1e6),
    CONSTANT(micro_batch_s, SP_Q_TIME, 0.0, 60.0),
    CONSTANT(step_s, SP_Q_TIME, 0.0, 3600.0),
    CONSTANT(tp_overlap_ratio, SP_Q_RATIO, 0.0, 1.0),
    CONSTANT(tp_async_ratio, SP_Q_RATIO, 0.0, 1.0),
    CONSTANT(dp_overlap_ratio, SP_Q_RATIO, 0.0, 1.0),
    CONSTANT(fragmentation_ratio, SP_Q_RATIO, 0.0, 10.0),
    CONSTANT(communication_bytes, SP_Q_MEMORY, 0.0, 1e12),
    CONSTANT(workspace_bytes, SP_Q_MEMORY, 0.0, 1e12),
    CONSTANT(bucket_bytes, SP_Q_MEMORY, 0.0, 1e12),
    CONSTANT(grad_bytes, SP_Q_MEMORY, 1.0, 16.0),
    CONSTANT(step_error_ratio, SP_Q_RATIO, 0.0, 10.0),
    CONSTANT(memory_error_ratio, SP_Q_RATIO, 0.0, 10.0),
};

/* {"value": true, "source": ..., "date": ...} */
static sp_status read_flash_attention(const sp_json *value, bool *out, sp_error *err)
{
    static const char *const keys[] = {"value", "source", "date"};
    sp_json figure;
    SP_TRY(sp_json_object(value, "flash_attention", &figure, err));
    SP_TRY(sp_json_only(&figure, keys, COUNT(keys), err));
    SP_TRY(sp_json_bool(&figure, "value", out, err));
    return sp_provenance_check(&figure, err);
}

static sp_status read_constants(const sp_json *value, bool complete, sp_engine_profile *profile,
                                sp_error *err)
{
    const char *keys[COUNT(constants) + 2] = {"versions", "flash_attention"};
    for (size_t i = 0; i < COUNT(constants); i++) {
        keys[i + 2] = constants[i].key;
    }
    SP_TRY(sp_json_only(value, keys, COUNT(keys), err));
    if (complete || sp_json_has(value, "flash_attention")) {
        SP_TRY(read_flash_attention(value, &profile->flash_attention, err));
    }
    for (size_t i = 0; i < COUNT(constants); i++) {
        if (!complete && !sp_json_has(value, constants[i].key)) continue;
        SP_TRY(sp_figures_read(value, &constants[i], 1, profile, err));
    }
    return SP_OK;
}

/* ---- versions ---- */

sp_status sp_engine_check_selector(const sp_json *object, const char *selector, sp_error *err)
{
    if (sp_version_select(selector, "0") != SP_VERSION_MALFORMED) return SP_OK;
    const sp_json value = sp_json_get(object, "versions");
    sp_json_fail(&value, err, SP_E_SYNTAX, "does not select versions");
    return sp_fail_range(err, "*, >=0.12, or >=0.4,<0.12");
}

static sp_status fail_version(const request *asked, const sp_json *profiles, sp_error *err)
{
    sp_text known = {0};
    for (size_t i = 0; i < sp_json_size(profiles); i++) {
        const sp_json profile = sp_json_at(profiles, i);
        const char *versions = "";
        (void)sp_json_string(&profile, "versions", &versions, err);
        sp_text_printf(&known, "%s%s", i > 0 ? " or " : "", versions);
    }
    sp_fail(err, SP_E_RANGE, "nothing is known of this version of %s", asked->name);
    sp_fail_value(err, "%s", asked->version);
    sp_fail_range(err, "%s", known.failed || known.length == 0 ? "" : known.data);
    sp_text_fini(&known);
    return err->status;
}

/* Reads the profile of the first selector that the version satisfies, and checks the others. */
static sp_status read_profiles(const loader *load, const request *asked, const char *version,
                               const sp_json *root, sp_engine *engine, sp_error *err)
{
    const bool complete = strcmp(asked->name, ANY) == 0;
    sp_json profiles;
    SP_TRY(sp_json_array(root, "profiles", &profiles, err));
    for (size_t i = 0; i < sp_json_size(&profiles); i++) {
        const sp_json value = sp_json_at(&profiles, i);
        sp_engine_profile profile = load->any.profile;
        SP_TRY(sp_json_string(&value, "versions", &profile.versions, err));
        SP_TRY(sp_engine_check_selector(&value, profile.versions, err));
        SP_TRY(read_constants(&value, complete, &profile, err));
        if (engine->versions != NULL) continue;
        if (sp_version_select(profile.versions, version) != SP_VERSION_IN) continue;
        SP_TRY(sp_text_keep(load->arena, profile.versions, &engine->versions, err));
        profile.versions = engine->versions;
        engine->profile = profile;
    }
    return engine->versions != NULL ? SP_OK : fail_version(asked, &profiles, err);
}

/* The version asked for, else the newest one that the file speaks of. */
static sp_status choose_version(const request *asked, const sp_json *root, const char **version,
                                sp_error *err)
{
    SP_TRY(sp_json_string(root, "version", version, err));
    if (!sp_version_is_valid(*version)) {
        const sp_json value = sp_json_get(root, "version");
        return sp_json_fail(&value, err, SP_E_SYNTAX, "a version is numbers and dots, such as 0.12");
    }
    if (asked->version == NULL) return SP_OK;
    *version = asked->version;
    if (sp_version_is_valid(*version)) return SP_OK;
    sp_fail(err, SP_E_SYNTAX, "a version is numbers and dots, such as %s@0.12", asked->name);
    return sp_fail_value(err, "%s", asked->version);
}

/* ---- files ---- */

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
    SP_TRY(read_profiles(load, asked, version, root, engine, err));
    SP_TRY(sp_text_keep(load->arena, asked->name, &engine->name, err));
    return sp_engine_rules_read(load->arena, root, version, load->facts, engine, err);
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

static sp_status open_folder(loader *load, const char *home, sp_error *err)
{
    load->dir = sp_arena_printf(load->arena, "%s/configs/engines", home);
    if (load->dir == NULL) return sp_fail(err, SP_E_MEMORY, "out of memory");
    SP_TRY(sp_dir_names(load->arena, load->dir, ".json", &load->names, &load->n_names, err));
    request any = {.name = ANY};
    return load_engine(load, &any, &load->any, err);
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
    SP_TRY(open_folder(&load, home, err));
    SP_TRY(all ? list_all(&load, &list, &n_list, err)
               : split_list(&load, which, &list, &n_list, err));
    sp_engine *loaded = sp_arena_alloc(arena, (n_list + 1) * sizeof *loaded);
    if (loaded == NULL) return sp_fail(err, SP_E_MEMORY, "out of memory");
    SP_TRY(load_list(&load, list, n_list, all, loaded, n_engines, err));
    loaded[n_list] = load.any; /* beyond the engines that are counted: its profile lives here */
    *profile = !all && n_list == 1 ? &loaded[0].profile : &loaded[n_list].profile;
    *engines = loaded;
    return SP_OK;
}
