/* SPDX-License-Identifier: Apache-2.0 */
/* Kernel costs: {kernel_name, init_params, forward_params} with flops, memory_read and memory_write
 * (a leaf) or with children {name: {kernel, bindings, count}}; catalogues of leaves in groups; and
 * signatures, which are kernels with one child. All of them state their parameters. */
#include "formula/formula_priv.h"

#include <stdio.h>
#include <string.h>

enum { PATH_BYTES = 256 };

static const char *const metric_keys[SP_N_FORMULA_METRICS] = {"flops", "memory_read",
                                                              "memory_write"};

static sp_status fail_memory(sp_error *err)
{
    return sp_fail(err, SP_E_MEMORY, "no memory for formulas");
}

static sp_status name_kernel(sp_formula_library *library, sp_kernel *kernel, const char *operation,
                             const char *type, const char *path, sp_error *err)
{
    kernel->operation = sp_arena_strdup(library->arena, operation);
    kernel->path = sp_arena_strdup(library->arena, path);
    kernel->type = type;
    return kernel->operation && kernel->path ? SP_OK : fail_memory(err);
}

/* ---- leaves ---- */

static sp_status read_leaf(sp_formula_library *library, sp_class *owner, const sp_json *object,
                           const char *path, sp_error *err)
{
    SP_TRY(sp_library_kernels(library, object, 1, &owner->kernels, err));
    owner->n_kernels = 1;
    SP_TRY(name_kernel(library, owner->kernels, owner->name, "basic", path, err));
    for (int m = 0; m < SP_N_FORMULA_METRICS; m++) {
        char at[PATH_BYTES];
        const sp_json value = sp_json_get(object, metric_keys[m]);
        snprintf(at, sizeof at, "%s/%s", path, metric_keys[m]);
        if (!value.node) {
            return sp_json_fail(object, err, SP_E_MISSING_KEY,
                                "\"%s\" is missing: a kernel has flops, memory_read and "
                                "memory_write, or children",
                                metric_keys[m]);
        }
        SP_TRY(sp_library_member(library, owner, &value, at, &owner->kernels->metrics[m], err));
    }
    return SP_OK;
}

/* ---- composites ---- */

static sp_status read_child(sp_formula_library *library, sp_class *owner, const sp_json *child,
                            const char *path, sp_kernel *kernel, sp_error *err)
{
    static const char *const keys[] = {"kernel", "bindings", "count", "description"};
    const char *name = NULL;
    char at[PATH_BYTES + 16];
    SP_TRY(sp_json_string(child, "kernel", &name, err));
    SP_TRY(sp_json_only(child, keys, sizeof keys / sizeof keys[0], err));
    SP_TRY(name_kernel(library, kernel, child->key, "composite", path, err));
    kernel->child = sp_arena_strdup(library->arena, name);
    if (!kernel->child) return fail_memory(err);
    const sp_json bindings = sp_json_get(child, "bindings"), count = sp_json_get(child, "count");
    snprintf(at, sizeof at, "%s/bindings", path);
    SP_TRY(sp_library_bindings(library, owner, &bindings, at, kernel, err));
    snprintf(at, sizeof at, "%s/count", path);
    return sp_library_member(library, owner, &count, at, &kernel->repeat, err);
}

static sp_status read_children(sp_formula_library *library, sp_class *owner,
                               const sp_json *children, const char *path, sp_error *err)
{
    if (!sp_json_is_object(children) || sp_json_size(children) == 0) {
        return sp_json_fail(children, err, SP_E_TYPE, "must be an object with a child at least");
    }
    for (int m = 0; m < SP_N_FORMULA_METRICS; m++) {
        if (!sp_json_has(children->parent, metric_keys[m])) continue;
        return sp_json_fail(children, err, SP_E_INCONSISTENT,
                            "a kernel has %s or children, not both", metric_keys[m]);
    }
    SP_TRY(sp_library_kernels(library, children, sp_json_size(children), &owner->kernels, err));
    for (size_t i = 0; i < sp_json_size(children); i++) {
        const sp_json child = sp_json_member(children, i);
        char at[PATH_BYTES];
        snprintf(at, sizeof at, "%s/children/%s", path, child.key);
        SP_TRY(read_child(library, owner, &child, at, &owner->kernels[owner->n_kernels++], err));
    }
    return SP_OK;
}

sp_status sp_read_kernel_cost(sp_formula_library *library, const sp_json *object, const char *path,
                              sp_error *err)
{
    static const char *const lists[] = {"init_params", "forward_params"};
    const char *name = NULL;
    sp_class *added = NULL;
    SP_TRY(sp_json_string(object, "kernel_name", &name, err));
    SP_TRY(sp_library_class(library, object, name, path, &added, err));
    added->strict = true;
    for (int i = 0; i < 2; i++) {
        sp_json list;
        SP_TRY(sp_json_array(object, lists[i], &list, err));
        SP_TRY(sp_library_parameters(library, added, &list, err));
    }
    const sp_json children = sp_json_get(object, "children");
    if (children.node) return read_children(library, added, &children, path, err);
    return read_leaf(library, added, object, path, err);
}

/* ---- catalogues: {group: {kernel: {parameters, flops, memory_read, memory_write}}} ---- */

static sp_status read_catalogued(sp_formula_library *library, const sp_json *entry,
                                 const char *group, sp_error *err)
{
    sp_class *added = NULL;
    sp_json parameters;
    char at[PATH_BYTES];
    snprintf(at, sizeof at, "/%s/%s", group, entry->key);
    SP_TRY(sp_json_array(entry, "parameters", &parameters, err));
    SP_TRY(sp_library_class(library, entry, entry->key, at, &added, err));
    added->strict = true;
    SP_TRY(sp_library_parameters(library, added, &parameters, err));
    return read_leaf(library, added, entry, at, err);
}

sp_status sp_read_catalogue(sp_formula_library *library, const sp_json *root, sp_error *err)
{
    size_t n_read = 0;
    for (size_t i = 0; i < sp_json_size(root); i++) {
        const sp_json group = sp_json_member(root, i);
        for (size_t k = 0; sp_json_is_object(&group) && k < sp_json_size(&group); k++) {
            const sp_json entry = sp_json_member(&group, k);
            if (!sp_json_has(&entry, "flops")) continue;
            SP_TRY(read_catalogued(library, &entry, group.key, err));
            n_read++;
        }
    }
    if (n_read > 0) return SP_OK;
    return sp_json_fail(root, err, SP_E_MISSING_KEY,
                        "no known form: neither a module analysis, a kernel cost, a module "
                        "database, a catalogue, a tree of layers nor a map of names");
}

/* ---- signatures ---- */

static bool binds(const sp_json *where, const char *parameter)
{
    return where->node && sp_json_has(where, parameter);
}

/* Parameters pass on as they are, where nothing else is said. */
static sp_status pass_parameters(sp_formula_library *library, sp_class *adapter,
                                 const sp_json *where, sp_kernel *kernel, sp_error *err)
{
    const size_t n = adapter->n_parameters + sp_json_size(where);
    const char **names = sp_arena_alloc(library->arena, n * sizeof *names + 1);
    sp_member *members = sp_arena_alloc(library->arena, n * sizeof *members + 1);
    if (!names || !members) return fail_memory(err);
    size_t n_bound = kernel->n_bindings;
    if (n_bound > 0) {
        memcpy(names, kernel->binding_names, n_bound * sizeof *names);
        memcpy(members, kernel->bindings, n_bound * sizeof *members);
    }
    for (size_t i = 0; i < adapter->n_parameters; i++) {
        if (binds(where, adapter->parameters[i])) continue;
        names[n_bound] = adapter->parameters[i];
        members[n_bound].path = kernel->path;
        SP_TRY(sp_formula_parse(library->arena, SP_FORMULA_MODULE, adapter->parameters[i],
                                &members[n_bound].f, err));
        n_bound++;
    }
    kernel->binding_names = names;
    kernel->bindings = members;
    kernel->n_bindings = n_bound;
    return SP_OK;
}

static sp_status add_adapter(sp_formula_library *library, const sp_json *entry,
                             const sp_json *parameters, const sp_json *where, const char *path,
                             const char *class_name, sp_error *err)
{
    sp_class *added = NULL;
    char at[PATH_BYTES];
    /* A name of its own, so that several may stand before one class. */
    char *own =
        sp_arena_printf(library->arena, "%s (%zu arguments)", class_name, sp_json_size(parameters));
    if (!own) return fail_memory(err);
    SP_TRY(sp_library_class(library, entry, own, path, &added, err));
    added->adapter = true;
    added->name = sp_arena_strdup(library->arena, class_name);
    SP_TRY(sp_library_parameters(library, added, parameters, err));
    SP_TRY(sp_library_kernels(library, entry, 1, &added->kernels, err));
    added->n_kernels = 1;
    sp_kernel *kernel = added->kernels;
    SP_TRY(name_kernel(library, kernel, class_name, "composite", path, err));
    kernel->child = added->name;
    snprintf(at, sizeof at, "%s/where", path);
    SP_TRY(sp_library_bindings(library, added, where, at, kernel, err));
    return pass_parameters(library, added, where, kernel, err);
}

static sp_status read_alternative(sp_formula_library *library, const sp_json *alternative,
                                  const char *path, const char *class_name, sp_error *err)
{
    static const char *const keys[] = {"parameters", "where"};
    sp_json parameters;
    SP_TRY(sp_json_array(alternative, keys[0], &parameters, err));
    SP_TRY(sp_json_only(alternative, keys, 2, err));
    const sp_json where = sp_json_get(alternative, keys[1]);
    return add_adapter(library, alternative, &parameters, &where, path, class_name, err);
}

sp_status sp_read_signature(sp_formula_library *library, const sp_json *entry, sp_error *err)
{
    char at[PATH_BYTES];
    const sp_json first = sp_json_at(entry, 0), nothing = {0};
    snprintf(at, sizeof at, "/%s", entry->key);
    if (!sp_json_is_array(entry)) {
        return sp_json_fail(entry, err, SP_E_TYPE, "must be a list of names, or of signatures");
    }
    if (!sp_json_is_object(&first)) {
        return add_adapter(library, entry, entry, &nothing, at, entry->key, err);
    }
    for (size_t i = 0; i < sp_json_size(entry); i++) {
        const sp_json alternative = sp_json_at(entry, i);
        snprintf(at, sizeof at, "/%s/%zu", entry->key, i);
        SP_TRY(read_alternative(library, &alternative, at, entry->key, err));
    }
    return SP_OK;
}
