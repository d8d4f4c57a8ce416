/* SPDX-License-Identifier: Apache-2.0 */
/* Module analyses: {class_name, kernels: [{kernel_type, operation, flops, memory_access: {read,
 * write}, repeat, sub_kernels}]}. Kernels of other types than basic and composite are read like
 * them; kernels that list sub_kernels and no formulas are the sum of those. */
#include "formula/formula_priv.h"

#include <stdio.h>
#include <string.h>

enum { PATH_BYTES = 256 };

const char *const sp_kernel_figure_names[SP_N_KERNEL_FIGURES] = {
    "m", "n", "k", "v", "count", "parameters", "vector_flops"};

static bool is_known(const char *type)
{
    return strcmp(type, "basic") == 0 || strcmp(type, "composite") == 0;
}

/* One finding a class, however many of its kernels say something else. */
static sp_status check_types(sp_formula_library *library, const sp_class *c, sp_error *err)
{
    size_t n_odd = 0;
    const sp_kernel *first = NULL;
    for (size_t i = 0; i < c->n_kernels; i++) {
        if (is_known(c->kernels[i].type)) continue;
        if (!first) first = &c->kernels[i];
        n_odd++;
    }
    if (!first) return SP_OK;
    return sp_library_find_odd(library, c->file, first->path, err,
                               "kernel_type \"%s\" is neither basic nor composite; of %zu kernels, "
                               "%zu are of other types",
                               first->type, c->n_kernels, n_odd);
}

static sp_status read_words(sp_formula_library *library, const sp_json *object, const char *path,
                            sp_kernel *kernel, sp_error *err)
{
    const char *operation = "", *type = "";
    SP_TRY(sp_json_string_or(object, "operation", "", &operation, err));
    SP_TRY(sp_json_string_or(object, "kernel_type", "", &type, err));
    kernel->operation = sp_arena_strdup(library->arena, operation);
    kernel->type = sp_arena_strdup(library->arena, type);
    kernel->path = sp_arena_strdup(library->arena, path);
    if (!kernel->operation || !kernel->type || !kernel->path) {
        return sp_fail(err, SP_E_MEMORY, "no memory for formulas");
    }
    return SP_OK;
}

/* What laying flat wants to know beside the costs. */
static sp_status read_figures(sp_formula_library *library, sp_class *owner, const sp_json *object,
                              const char *path, sp_kernel *kernel, sp_error *err)
{
    static const char *const units[] = {"matrix", "vector"};
    static const char *const parts[] = {
#define SP_FLAT_PART(name, word) word,
        SP_FLAT_PART_LIST(SP_FLAT_PART)
#undef SP_FLAT_PART
    };
    char at[PATH_BYTES + 32];
    uint32_t choice = 0;
    for (size_t i = 0; i < SP_N_KERNEL_FIGURES; i++) {
        const sp_json value = sp_json_get(object, sp_kernel_figure_names[i]);
        snprintf(at, sizeof at, "%s/%s", path, sp_kernel_figure_names[i]);
        SP_TRY(sp_library_member(library, owner, &value, at, &kernel->figures[i], err));
    }
    if (sp_json_has(object, "unit")) {
        SP_TRY(sp_json_enum(object, "unit", units, 2, &choice, err));
        kernel->unit = choice == 0 ? SP_UNIT_MATRIX : SP_UNIT_VECTOR;
    }
    if (sp_json_has(object, "part")) {
        SP_TRY(sp_json_enum(object, "part", parts, SP_N_FLAT_PARTS, &choice, err));
        kernel->part = (sp_flat_part)choice;
    }
    return SP_OK;
}

static sp_status read_formulas(sp_formula_library *library, sp_class *owner, const sp_json *object,
                               const char *path, sp_kernel *kernel, sp_error *err)
{
    static const char *const keys[] = {"read", "write"};
    char at[PATH_BYTES + 32];
    const sp_json flops = sp_json_get(object, "flops");
    snprintf(at, sizeof at, "%s/flops", path);
    SP_TRY(sp_library_member(library, owner, &flops, at, &kernel->metrics[SP_FORMULA_FLOPS], err));
    const sp_json access = sp_json_get(object, "memory_access");
    if (access.node && !sp_json_is_object(&access)) {
        return sp_json_fail(&access, err, SP_E_TYPE, "must be an object with read and write");
    }
    for (size_t i = 0; i < 2; i++) {
        const sp_json value = sp_json_get(&access, keys[i]);
        snprintf(at, sizeof at, "%s/memory_access/%s", path, keys[i]);
        SP_TRY(sp_library_member(library, owner, &value, at,
                                 &kernel->metrics[SP_FORMULA_READ + (int)i], err));
    }
    const sp_json repeat = sp_json_get(object, "repeat");
    snprintf(at, sizeof at, "%s/repeat", path);
    SP_TRY(sp_library_member(library, owner, &repeat, at, &kernel->repeat, err));
    return read_figures(library, owner, object, path, kernel, err);
}

static sp_status check_formulas(sp_formula_library *library, const sp_class *owner,
                                const sp_kernel *kernel, sp_error *err)
{
    for (sp_formula_metric m = 0; m < SP_N_FORMULA_METRICS; m++) {
        if (kernel->metrics[m].path || kernel->n_subs > 0) continue;
        SP_TRY(sp_library_find_odd(library, owner->file, kernel->path, err,
                                   "no formula for %s: it counts as 0", sp_formula_metric_name(m)));
    }
    return SP_OK;
}

static sp_status read_kernels(sp_formula_library *library, sp_class *owner, const sp_json *list,
                              const char *path, unsigned level, sp_kernel **kernels, size_t *n,
                              sp_error *err);

static sp_status read_kernel(sp_formula_library *library, sp_class *owner, const sp_json *object,
                             const char *path, unsigned level, sp_kernel *kernel, sp_error *err)
{
    char at[PATH_BYTES + 16];
    if (!sp_json_is_object(object)) {
        return sp_json_fail(object, err, SP_E_TYPE, "a kernel must be an object");
    }
    SP_TRY(read_words(library, object, path, kernel, err));
    SP_TRY(read_formulas(library, owner, object, path, kernel, err));
    const sp_json subs = sp_json_get(object, "sub_kernels");
    snprintf(at, sizeof at, "%s/sub_kernels", path);
    if (subs.node) {
        SP_TRY(read_kernels(library, owner, &subs, at, level + 1, &kernel->subs, &kernel->n_subs,
                            err));
    }
    return check_formulas(library, owner, kernel, err);
}

static sp_status read_kernels(sp_formula_library *library, sp_class *owner, const sp_json *list,
                              const char *path, unsigned level, sp_kernel **kernels, size_t *n,
                              sp_error *err)
{
    if (!sp_json_is_array(list)) {
        return sp_json_fail(list, err, SP_E_TYPE, "must be a list of kernels");
    }
    if (level > SP_FORMULA_KERNEL_LEVELS) {
        return sp_json_fail(list, err, SP_E_RANGE, "kernels are too deeply nested");
    }
    SP_TRY(sp_library_kernels(library, list, sp_json_size(list), kernels, err));
    for (*n = 0; *n < sp_json_size(list); ++*n) {
        const sp_json object = sp_json_at(list, *n);
        char at[PATH_BYTES];
        snprintf(at, sizeof at, "%s/%zu", path, *n);
        SP_TRY(read_kernel(library, owner, &object, at, level, &(*kernels)[*n], err));
    }
    return SP_OK;
}

sp_status sp_read_analysis(sp_formula_library *library, const sp_json *object, const char *path,
                           sp_error *err)
{
    const char *name = NULL;
    sp_json list;
    sp_class *added = NULL;
    char at[PATH_BYTES];
    SP_TRY(sp_json_string(object, "class_name", &name, err));
    SP_TRY(sp_json_array(object, "kernels", &list, err));
    SP_TRY(sp_library_class(library, object, name, path, &added, err));
    const sp_json parameters = sp_json_get(object, "parameters");
    if (parameters.node) SP_TRY(sp_library_parameters(library, added, &parameters, err));
    snprintf(at, sizeof at, "%s/kernels", path);
    SP_TRY(read_kernels(library, added, &list, at, 1, &added->kernels, &added->n_kernels, err));
    return check_types(library, added, err);
}
