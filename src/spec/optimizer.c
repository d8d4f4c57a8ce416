/* SPDX-License-Identifier: Apache-2.0 */
/* Reads configs/optimizers.json. Every entry is checked, whichever is asked for. */
#include "spec/spec.h"

#include "shardplan/optimizer.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define FIGURE(field, quantity, hi)                                                                \
    {                                                                                              \
#field, quantity, offsetof(sp_optimizer, field), 0.0, hi                                   \
    }

static const sp_figure_field needed[] = {
    FIGURE(matrix_bytes, SP_Q_MEMORY, 64.0),
    FIGURE(embedding_bytes, SP_Q_MEMORY, 64.0),
    FIGURE(head_bytes, SP_Q_MEMORY, 64.0),
    FIGURE(vector_bytes, SP_Q_MEMORY, 64.0),
};

static const sp_figure_field optional[] = {
    FIGURE(row_bytes, SP_Q_MEMORY, 64.0),           FIGURE(column_bytes, SP_Q_MEMORY, 64.0),
    FIGURE(small_elements, SP_Q_COUNT, 1e9),        FIGURE(small_bytes, SP_Q_MEMORY, 64.0),
    FIGURE(pass_bytes, SP_Q_MEMORY, 1e3),           FIGURE(largest_bytes, SP_Q_MEMORY, 1e3),
    FIGURE(newton_schulz_steps, SP_Q_COUNT, 100.0),
};

bool sp_optimizer_is_uniform(const sp_optimizer *o)
{
    return o->embedding_bytes == o->matrix_bytes && o->head_bytes == o->matrix_bytes &&
           o->vector_bytes == o->matrix_bytes && o->row_bytes + o->column_bytes == 0.0 &&
           o->small_elements == 0.0 && o->largest_bytes == 0.0 && o->newton_schulz_steps == 0.0;
}

static sp_status check_keys(const sp_json *entry, sp_error *err)
{
    const char *keys[4 + COUNT(needed) + COUNT(optional)] = {"name", "about", "narrow_state",
                                                             "engine_temporaries"};
    size_t n = 4;
    for (size_t i = 0; i < COUNT(needed); i++) {
        keys[n++] = needed[i].key;
    }
    for (size_t i = 0; i < COUNT(optional); i++) {
        keys[n++] = optional[i].key;
    }
    return sp_json_only(entry, keys, n, err);
}

static sp_status read_optimizer(const sp_json *entry, sp_optimizer *o, sp_error *err)
{
    const char *about = NULL;
    *o = (sp_optimizer){0};
    SP_TRY(check_keys(entry, err));
    SP_TRY(sp_json_string(entry, "name", &o->name, err));
    SP_TRY(sp_json_string(entry, "about", &about, err));
    SP_TRY(sp_json_bool_or(entry, "narrow_state", false, &o->narrow_state, err));
    SP_TRY(sp_json_bool_or(entry, "engine_temporaries", false, &o->engine_temporaries, err));
    SP_TRY(sp_figures_read(entry, needed, COUNT(needed), o, err));
    for (size_t i = 0; i < COUNT(optional); i++) {
        if (sp_json_has(entry, optional[i].key)) {
            SP_TRY(sp_figures_read(entry, &optional[i], 1, o, err));
        }
    }
    return SP_OK;
}

/* ---- the file ---- */

typedef struct catalogue {
    const sp_optimizer *list;
    const char *const *names;
    size_t n;
} catalogue;

static sp_status read_list(struct sp_arena *arena, const sp_json *root, catalogue *out,
                           sp_error *err)
{
    static const char *const keys[] = {"schema", "about", "optimizers"};
    sp_json list;
    SP_TRY(sp_json_schema(root, "shardplan/optimizers/1", err));
    SP_TRY(sp_json_only(root, keys, COUNT(keys), err));
    SP_TRY(sp_json_array(root, "optimizers", &list, err));
    out->n = sp_json_size(&list);
    sp_optimizer *optimizers = sp_arena_alloc(arena, (out->n + 1) * sizeof *optimizers);
    const char **names = sp_arena_alloc(arena, (out->n + 1) * sizeof *names);
    if (optimizers == NULL || names == NULL) return sp_fail(err, SP_E_MEMORY, "out of memory");
    for (size_t i = 0; i < out->n; i++) {
        const sp_json entry = sp_json_at(&list, i);
        SP_TRY(read_optimizer(&entry, &optimizers[i], err));
        SP_TRY(sp_text_keep(arena, optimizers[i].name, &names[i], err));
        optimizers[i].name = names[i];
    }
    out->list = optimizers;
    out->names = names;
    return SP_OK;
}

static sp_status load(struct sp_arena *arena, const char *home, catalogue *out, sp_error *err)
{
    const char *file = sp_arena_printf(arena, "%s/configs/optimizers.json", home);
    if (file == NULL) return sp_fail(err, SP_E_MEMORY, "out of memory");
    sp_json_doc *doc = NULL;
    SP_TRY(sp_json_load_file(file, &doc, err));
    const sp_json root = sp_json_root(doc);
    const sp_status status = read_list(arena, &root, out, err);
    sp_json_free(doc);
    return status;
}

sp_status sp_optimizer_names(struct sp_arena *arena, const char *home, const char *const **names,
                             size_t *n_names, sp_error *err)
{
    assert(arena != NULL && home != NULL);
    catalogue all = {0};
    SP_TRY(load(arena, home, &all, err));
    *names = all.names;
    *n_names = all.n;
    return SP_OK;
}

sp_status sp_optimizer_find(struct sp_arena *arena, const char *home, const char *name,
                            const sp_optimizer **optimizer, sp_error *err)
{
    assert(arena != NULL && home != NULL && name != NULL);
    catalogue all = {0};
    SP_TRY(load(arena, home, &all, err));
    for (size_t i = 0; i < all.n; i++) {
        if (strcmp(all.names[i], name) != 0) continue;
        *optimizer = &all.list[i];
        return SP_OK;
    }
    sp_fail(err, SP_E_UNKNOWN_NAME, "no optimizer goes by this name");
    sp_fail_value(err, "%s", name);
    sp_fail_names(err, name, all.names, all.n);
    return sp_fail_file(err, "--optimizer");
}
