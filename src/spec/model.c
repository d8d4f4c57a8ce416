/* SPDX-License-Identifier: Apache-2.0 */
/* Loading a model file of either kind, and finding a layer in it. Which names stand for which files
 * is in model_find.c. */
#include "shardplan/model.h"

#include "shardplan/checkpoint.h"
#include "spec/spec.h"

#include <assert.h>
#include <string.h>

#define FILE_MAX_BYTES ((size_t)8 << 20) /* as of every other file */

static const char *last_part(const char *path, size_t length, size_t *part_length)
{
    while (length > 0 && path[length - 1] == '/')
        length--;
    size_t start = length;
    while (start > 0 && path[start - 1] != '/')
        start--;
    *part_length = length - start;
    return path + start;
}

/* "a/Llama-3/config.json" is Llama-3, "a/tiny.json" is tiny. */
static const char *name_of_file(struct sp_arena *arena, const char *file)
{
    static const char config[] = "config.json";
    size_t length = 0;
    const char *name = last_part(file, strlen(file), &length);
    if (strcmp(name, config) == 0) {
        size_t folder_length = 0;
        const char *folder = last_part(file, (size_t)(name - file), &folder_length);
        const bool says_nothing = folder_length == 0 || strncmp(folder, "..", folder_length) == 0;
        if (!says_nothing) return sp_arena_printf(arena, "%.*s", (int)folder_length, folder);
    }
    static const char *const endings[] = {".json", ".gguf"};
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        const size_t n = strlen(endings[i]);
        if (length <= n || memcmp(name + length - n, endings[i], n) != 0) continue;
        length -= n;
        break;
    }
    return sp_arena_printf(arena, "%.*s", (int)length, name);
}

static sp_status read_model(struct sp_arena *arena, const char *home, const sp_json *root,
                            const sp_model **model, sp_error *err)
{
    if (!sp_json_is_object(root)) {
        return sp_json_fail(root, err, SP_E_TYPE, "a model file holds one JSON object");
    }
    sp_model_build build = {.arena = arena, .home = home};
    build.model.name = name_of_file(arena, sp_json_file(root));
    if (build.model.name == NULL) return sp_fail(err, SP_E_MEMORY, "the model needs more");
    if (sp_model_is_formulas(root)) {
        SP_TRY(sp_model_read_formulas(&build, root, err));
    } else if (sp_json_has(root, "schema")) {
        SP_TRY(sp_model_read_own(&build, root, err));
    } else {
        SP_TRY(sp_model_read_hf(&build, root, err));
    }
    return sp_model_build_finish(&build, root, model, err);
}

/* Python writes infinite numbers without their quotes, and configurations of state-space models
 * have them. No shape depends on one: they become null, of the same length, so that places stay. */
static void quiet_infinities(char *text)
{
    static const char word[] = "Infinity";
    static const char null[] = "null";
    bool quoted = false;
    for (char *c = text; *c != '\0'; c++) {
        if (*c == '\\' && c[1] != '\0') {
            c++;
        } else if (*c == '"') {
            quoted = !quoted;
        } else if (!quoted && strncmp(c, word, sizeof word - 1) == 0) {
            char *start = c > text && c[-1] == '-' ? c - 1 : c;
            char *end = c + sizeof word - 1;
            memset(start, ' ', (size_t)(end - start));
            memcpy(start, null, sizeof null - 1);
            c = end - 1;
        }
    }
}

static sp_status load_json(const char *file, sp_json_doc **doc, sp_error *err)
{
    sp_text text = {0};
    sp_status status = sp_file_read(file, FILE_MAX_BYTES, &text, err);
    if (status == SP_OK) {
        if (text.data != NULL) quiet_infinities(text.data);
        status = sp_json_load_text(text.data, text.length, file, doc, err);
    }
    sp_text_fini(&text);
    return status;
}

/* The keys of a GGUF file, as a config.json. */
static sp_status load_gguf(struct sp_arena *arena, const char *home, const char *path,
                           sp_json_doc **doc, sp_error *err)
{
    const char *config = NULL;
    SP_TRY(sp_checkpoint_gguf_config(arena, home, path, &config, err));
    return sp_json_load_text(config, strlen(config), path, doc, err);
}

static const char *file_at(struct sp_arena *arena, const char *path)
{
    if (!sp_dir_exists(path)) return path;
    const bool slash = path[strlen(path) - 1] == '/';
    return sp_arena_printf(arena, slash ? "%sconfig.json" : "%s/config.json", path);
}

sp_status sp_model_load(struct sp_arena *arena, const char *home, const char *path,
                        const sp_model **model, sp_error *err)
{
    const char *file = file_at(arena, path);
    if (file == NULL) return sp_fail(err, SP_E_MEMORY, "the model needs more");
    sp_json_doc *doc = NULL;
    const bool has_config = file != path && sp_file_exists(file);
    if (!has_config && sp_checkpoint_is_gguf(path)) {
        SP_TRY(load_gguf(arena, home, path, &doc, err));
    } else {
        SP_TRY(load_json(file, &doc, err));
    }
    const sp_json root = sp_json_root(doc);
    const sp_status status = read_model(arena, home, &root, model, err);
    sp_json_free(doc);
    return status;
}

uint32_t sp_v_dim(const sp_attention *attention)
{
    return attention->v_dim > 0 ? attention->v_dim : attention->head_dim;
}

uint32_t sp_model_layers_of_kind(const sp_model *model, uint32_t kind_idx)
{
    uint32_t n_layers = 0;
    for (uint32_t r = 0; r < model->n_runs; r++) {
        n_layers += model->runs[r].kind == kind_idx ? model->runs[r].count : 0;
    }
    return n_layers;
}

const sp_layer_kind *sp_model_layer(const sp_model *model, uint32_t layer_idx)
{
    assert(layer_idx < model->n_layers);
    const sp_layer_run *run = model->runs;
    while (layer_idx >= run->count) {
        layer_idx -= run->count;
        run++;
    }
    return &model->kinds[run->kind];
}
