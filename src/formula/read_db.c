/* SPDX-License-Identifier: Apache-2.0 */
/* Entries of module databases: {full_class_name, flop_analysis, memory_analysis}. Two generations
 * name their formulas differently; memory for intermediates has no metric here and is left out. */
#include "formula/formula_priv.h"

#include <stdio.h>
#include <string.h>

enum { PATH_BYTES = 256 };

static const char *const parts[SP_N_FORMULA_METRICS] = {"flop_analysis", "memory_analysis",
                                                        "memory_analysis"};
static const char *const keys[SP_N_FORMULA_METRICS][2] = {
    {"calculation_formula",        "formula_template"},
    {"reads_calculation_formula",  "reads_template"  },
    {"writes_calculation_formula", "writes_template" }
};

static sp_status read_metric(sp_formula_library *library, sp_class *owner, const sp_json *object,
                             const char *path, sp_formula_metric metric, sp_error *err)
{
    sp_json part;
    char at[PATH_BYTES];
    SP_TRY(sp_json_object(object, parts[metric], &part, err));
    const char *key = sp_json_has(&part, keys[metric][0]) ? keys[metric][0] : keys[metric][1];
    const sp_json value = sp_json_get(&part, key);
    if (!value.node) {
        return sp_json_fail(&part, err, SP_E_MISSING_KEY, "\"%s\" or \"%s\" is missing",
                            keys[metric][0], keys[metric][1]);
    }
    snprintf(at, sizeof at, "%s/%s/%s", path, parts[metric], key);
    return sp_library_member(library, owner, &value, at, &owner->kernels->metrics[metric], err);
}

/* Bytes of intermediates are neither read nor written by this account. */
static sp_status note_intermediates(sp_formula_library *library, const sp_class *owner,
                                    const sp_json *object, const char *path, sp_error *err)
{
    static const char *const names[] = {"intermediates_calculation_formula",
                                        "intermediates_template"};
    const sp_json part = sp_json_get(object, parts[SP_FORMULA_READ]);
    for (int i = 0; i < 2; i++) {
        const char *text = "0";
        SP_TRY(sp_json_string_or(&part, names[i], "0", &text, err));
        if (strcmp(text, "0") == 0) continue;
        char at[PATH_BYTES];
        snprintf(at, sizeof at, "%s/%s/%s", path, parts[SP_FORMULA_READ], names[i]);
        return sp_library_find_odd(library, owner->file, at, err,
                                   "bytes of intermediates count in no metric");
    }
    return SP_OK;
}

sp_status sp_read_db_entry(sp_formula_library *library, const sp_json *object, const char *path,
                           sp_error *err)
{
    const char *name = NULL;
    sp_json flops, parameters;
    sp_class *added = NULL;
    SP_TRY(sp_json_string(object, "full_class_name", &name, err));
    SP_TRY(sp_json_object(object, parts[0], &flops, err));
    SP_TRY(sp_json_array(&flops, "parameters", &parameters, err));
    SP_TRY(sp_library_class(library, object, name, path, &added, err));
    SP_TRY(sp_library_parameters(library, added, &parameters, err));
    SP_TRY(sp_library_kernels(library, object, 1, &added->kernels, err));
    added->n_kernels = 1;
    *added->kernels = (sp_kernel){
        .operation = added->name, .type = "composite", .path = added->path, .n_subs = 0};
    for (sp_formula_metric m = 0; m < SP_N_FORMULA_METRICS; m++)
        SP_TRY(read_metric(library, added, object, path, m, err));
    return note_intermediates(library, added, object, path, err);
}
