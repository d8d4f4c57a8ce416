/* SPDX-License-Identifier: Apache-2.0 */
/* Trees of layers: {model_id, layers: [{name, class, repeat, parameters, sub_layers}]}. A layer
 * with sub_layers is their sum, another one is its class under its parameters; repeat multiplies
 * both. */
#include "formula/formula_priv.h"

#include <stdio.h>
#include <string.h>

enum { PATH_BYTES = 512 };

static sp_status read_layers(sp_formula_library *library, sp_class *owner, const sp_json *list,
                             const char *path, unsigned level, sp_kernel **kernels, size_t *n,
                             sp_error *err);

static sp_status read_layer(sp_formula_library *library, sp_class *owner, const sp_json *layer,
                            const char *path, unsigned level, sp_kernel *kernel, sp_error *err)
{
    const char *name = NULL, *class_name = NULL;
    char at[PATH_BYTES + 16];
    SP_TRY(sp_json_string(layer, "class", &class_name, err));
    SP_TRY(sp_json_string_or(layer, "name", class_name, &name, err));
    const sp_json repeat = sp_json_get(layer, "repeat"), subs = sp_json_get(layer, "sub_layers");
    const sp_json parameters = sp_json_get(layer, "parameters");
    kernel->operation = sp_arena_strdup(library->arena, name);
    kernel->path = sp_arena_strdup(library->arena, path);
    kernel->type = subs.node ? "composite" : "basic";
    if (!kernel->operation || !kernel->path) {
        return sp_fail(err, SP_E_MEMORY, "no memory for formulas");
    }
    snprintf(at, sizeof at, "%s/repeat", path);
    SP_TRY(sp_library_member(library, owner, &repeat, at, &kernel->repeat, err));
    snprintf(at, sizeof at, "%s/sub_layers", path);
    if (subs.node) {
        return read_layers(library, owner, &subs, at, level + 1, &kernel->subs, &kernel->n_subs,
                           err);
    }
    kernel->child = sp_arena_strdup(library->arena, class_name);
    if (!kernel->child) return sp_fail(err, SP_E_MEMORY, "no memory for formulas");
    snprintf(at, sizeof at, "%s/parameters", path);
    return sp_library_bindings(library, owner, &parameters, at, kernel, err);
}

static sp_status read_layers(sp_formula_library *library, sp_class *owner, const sp_json *list,
                             const char *path, unsigned level, sp_kernel **kernels, size_t *n,
                             sp_error *err)
{
    if (!sp_json_is_array(list)) {
        return sp_json_fail(list, err, SP_E_TYPE, "must be a list of layers");
    }
    if (level > SP_FORMULA_KERNEL_LEVELS) {
        return sp_json_fail(list, err, SP_E_RANGE, "layers are too deeply nested");
    }
    SP_TRY(sp_library_kernels(library, list, sp_json_size(list), kernels, err));
    for (*n = 0; *n < sp_json_size(list); ++*n) {
        const sp_json layer = sp_json_at(list, *n);
        char at[PATH_BYTES];
        snprintf(at, sizeof at, "%s/%zu", path, *n);
        SP_TRY(read_layer(library, owner, &layer, at, level, &(*kernels)[*n], err));
    }
    return SP_OK;
}

sp_status sp_read_tree(sp_formula_library *library, const sp_json *object, const char *path,
                       sp_error *err)
{
    const char *name = NULL, *other = object->key ? object->key : "model";
    sp_class *added = NULL;
    char at[PATH_BYTES];
    const sp_json layers = sp_json_get(object, "layers");
    SP_TRY(sp_json_string_or(object, "model_id", other, &name, err));
    SP_TRY(sp_library_class(library, object, name, path, &added, err));
    snprintf(at, sizeof at, "%s/layers", path);
    return read_layers(library, added, &layers, at, 1, &added->kernels, &added->n_kernels, err);
}
