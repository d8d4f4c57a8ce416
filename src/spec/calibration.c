/* SPDX-License-Identifier: Apache-2.0 */
/* HOME/configs/calibration.json: how surfaces are fitted, where each fit starts, and what it costs
 * to borrow them from another part. */
#include "shardplan/surface.h"

#include "spec/spec.h"

#include <stdio.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static sp_status read_start(const sp_json *list, uint32_t idx, const sp_surface_form *form,
                            double *start, sp_error *err)
{
    const sp_json point = sp_json_at(list, idx);
    const char *keys[SP_SURFACE_MAX_PARAMS];
    for (uint32_t p = 0; p < form->n_params; p++) {
        keys[p] = form->param[p].key;
        SP_TRY(
            sp_json_double(&point, keys[p], form->param[p].lo, form->param[p].hi, &start[p], err));
    }
    return sp_json_only(&point, keys, form->n_params, err);
}

static sp_status read_starts(const sp_json *root, sp_calibration *out, sp_error *err)
{
    const char *names[SP_N_SURFACE_OPS];
    sp_json starts;
    SP_TRY(sp_json_object(root, "starts", &starts, err));
    for (size_t op = 0; op < SP_N_SURFACE_OPS; op++) {
        const sp_surface_form *form = sp_surface_form_of((sp_surface_op)op);
        sp_json list;
        names[op] = form->name;
        SP_TRY(sp_json_array(&starts, form->name, &list, err));
        out->n_starts[op] = (uint32_t)sp_json_size(&list);
        if (out->n_starts[op] < 1 || out->n_starts[op] > SP_CALIBRATION_MAX_STARTS) {
            (void)sp_json_fail(&list, err, SP_E_RANGE, "must list where a fit starts");
            return sp_fail_range(err, "1 .. %u starts", SP_CALIBRATION_MAX_STARTS);
        }
        for (uint32_t i = 0; i < out->n_starts[op]; i++) {
            SP_TRY(read_start(&list, i, form, out->start[op][i], err));
        }
    }
    return sp_json_only(&starts, names, SP_N_SURFACE_OPS, err);
}

static sp_status read_settings(const sp_json *root, sp_calibration *out, sp_error *err)
{
    static const char *const keys[] = {
        "schema",        "folds", "samples", "rows_at_least", "residual_scale_ratio",
        "starts_source", "date",  "starts",  "loan_error"};
    static const sp_figure_field loan = {"loan_error", SP_Q_RATIO,
                                         offsetof(sp_calibration, loan_error_ratio), 0.0, 10.0};
    SP_TRY(sp_json_schema(root, "shardplan/calibration/1", err));
    SP_TRY(sp_json_only(root, keys, COUNT(keys), err));
    SP_TRY(sp_json_u32(root, "folds", 2, SP_CALIBRATION_MAX_FOLDS, &out->n_folds, err));
    SP_TRY(sp_json_u32(root, "samples", 50, 1000000, &out->n_samples, err));
    SP_TRY(sp_json_u32(root, "rows_at_least", 10, 1000000, &out->n_least, err));
    SP_TRY(sp_json_double(root, "residual_scale_ratio", 1e-3, 10.0, &out->scale_ratio, err));
    SP_TRY(sp_figures_read(root, &loan, 1, out, err));
    return read_starts(root, out, err);
}

sp_status sp_calibration_load(struct sp_arena *arena, const char *home, sp_calibration *out,
                              sp_error *err)
{
    sp_json_doc *doc = NULL;
    const char *file = sp_arena_printf(arena, "%s/configs/calibration.json", home);
    if (file == NULL) {
        return sp_fail(err, SP_E_MEMORY, "out of memory");
    }
    SP_TRY(sp_json_load_file(file, &doc, err));
    const sp_json root = sp_json_root(doc);
    const sp_status status = read_settings(&root, out, err);
    sp_json_free(doc);
    return status;
}
