/* SPDX-License-Identifier: Apache-2.0 */
/* The kinds of layers in a model file of ours, and its projections: each block states the members
 * of its struct by their names. A block that is left out does not exist. */
#include "spec/model_check.h"

static sp_status read_form(const sp_json *g, uint64_t *value, sp_error *err)
{
    uint32_t idx = 0;
    SP_TRY(sp_json_enum(g, "form", sp_recurrence_names, SP_RECURRENCE_CONV, &idx, err));
    *value = (uint64_t)idx + 1;
    return SP_OK;
}

static sp_status read_field(const sp_json *g, const sp_model_field *field, uint64_t *value,
                            sp_error *err)
{
    if (sp_model_field_is_form(field)) return read_form(g, value, err);
    if (field->type == SP_FIELD_BOOL) {
        bool truth = false;
        SP_TRY(field->required
                   ? sp_json_bool(g, field->name, &truth, err)
                   : sp_json_bool_or(g, field->name, field->fallback != 0, &truth, err));
        *value = truth ? 1 : 0;
        return SP_OK;
    }
    return field->required
               ? sp_json_u64(g, field->name, field->lo, field->hi, value, err)
               : sp_json_u64_or(g, field->name, field->lo, field->hi, field->fallback, value, err);
}

sp_status sp_model_own_read_fields(const sp_json *g, sp_field_group group, const char *const *more,
                                   size_t n_more, void *object, sp_error *err)
{
    const sp_model_field *fields = NULL;
    const size_t n_fields = sp_model_fields(group, &fields);
    SP_TRY(sp_model_check_keys(g, group, more, n_more, err));
    for (size_t i = 0; i < n_fields; i++) {
        uint64_t value = 0;
        SP_TRY(read_field(g, &fields[i], &value, err));
        sp_model_field_set(&fields[i], value, object);
    }
    return SP_OK;
}

static sp_status read_projection(sp_model_build *build, const sp_json *value, sp_projection *out,
                                 sp_error *err)
{
    static const char *const more[] = {"name"};
    SP_TRY(sp_model_own_read_fields(value, SP_FIELDS_PROJECTION, more, 1, out, err));
    SP_TRY(sp_json_string(value, "name", &out->name, err));
    return sp_text_keep(build->arena, out->name, &out->name, err);
}

sp_status sp_model_own_read_projections(sp_model_build *build, const sp_json *object,
                                        sp_projection *projections, uint32_t *n_projections,
                                        sp_error *err)
{
    *n_projections = 0;
    if (!sp_json_has(object, "projections")) return SP_OK;
    sp_json list;
    SP_TRY(sp_json_array(object, "projections", &list, err));
    if (sp_json_size(&list) > SP_MODEL_MAX_PROJECTIONS) {
        sp_json_fail(&list, err, SP_E_RANGE, "too many projections");
        sp_fail_value(err, "%zu projections", sp_json_size(&list));
        return sp_fail_range(err, "0 .. %d", SP_MODEL_MAX_PROJECTIONS);
    }
    *n_projections = (uint32_t)sp_json_size(&list);
    for (uint32_t i = 0; i < *n_projections; i++) {
        const sp_json value = sp_json_at(&list, i);
        SP_TRY(read_projection(build, &value, &projections[i], err));
    }
    return SP_OK;
}

static const char *const block_names[SP_N_FIELD_GROUPS] = {[SP_FIELDS_ATTENTION] = "attention",
                                                           [SP_FIELDS_RECURRENT] = "recurrent",
                                                           [SP_FIELDS_FFN] = "ffn"};

/* A block that is there has a size: `size` is the member that must not be 0, unless a feed-forward
 * states its experts. */
static sp_status read_block(const sp_json *kind, sp_field_group group, const char *size,
                            void *object, sp_error *err)
{
    uint64_t ignored = 0;
    sp_json g;
    if (!sp_json_has(kind, block_names[group])) return SP_OK;
    SP_TRY(sp_json_object(kind, block_names[group], &g, err));
    SP_TRY(sp_model_own_read_fields(&g, group, NULL, 0, object, err));
    if (group == SP_FIELDS_FFN && sp_json_has(&g, "n_experts")) size = "n_experts";
    const sp_model_field *field = sp_model_field_find(group, size);
    if (sp_model_field_get(field, object) > 0) return SP_OK;
    return sp_json_u64(&g, size, 1, field->hi, &ignored, err);
}

/* Where the fault stands in the file; a member that is absent is asked for. */
static sp_status place_fault(const sp_json *kind, const sp_model_fault *fault, sp_error *err)
{
    uint64_t ignored = 0;
    const sp_json g = sp_json_get(kind, block_names[fault->field->group]);
    if (fault->status == SP_E_RANGE) {
        return sp_json_u64(&g, fault->field->name, fault->lo, fault->hi, &ignored, err);
    }
    const sp_json value = sp_json_get(&g, fault->field->name);
    return sp_json_fail(&value, err, fault->status, "%s", fault->message);
}

static sp_status read_kind(sp_model_build *build, const sp_json *value, sp_layer_kind *kind,
                           sp_error *err)
{
    static const char *const more[] = {"attention",   "recurrent", "ffn",
                                       "projections", "source",    "date"};
    const char *source = NULL;
    const char *date = NULL;
    sp_model_fault fault;
    SP_TRY(sp_model_own_read_fields(value, SP_FIELDS_KIND, more, sizeof more / sizeof more[0], kind,
                                    err));
    SP_TRY(read_block(value, SP_FIELDS_ATTENTION, "heads", &kind->attention, err));
    SP_TRY(read_block(value, SP_FIELDS_RECURRENT, "form", &kind->recurrent, err));
    SP_TRY(read_block(value, SP_FIELDS_FFN, "ffn", &kind->ffn, err));
    SP_TRY(
        sp_model_own_read_projections(build, value, kind->projections, &kind->n_projections, err));
    if (!sp_layer_kind_check(kind, &fault)) return place_fault(value, &fault, err);
    return sp_model_own_read_origin(value, &source, &date, err);
}

sp_status sp_model_own_read_kinds(sp_model_build *build, const sp_json *root, sp_error *err)
{
    sp_model *const model = &build->model;
    sp_json list;
    SP_TRY(sp_json_array(root, "kinds", &list, err));
    model->n_kinds = (uint32_t)sp_json_size(&list);
    if (model->n_kinds < 1 || model->n_kinds > SP_MODEL_MAX_KINDS) {
        sp_json_fail(&list, err, SP_E_RANGE, "wrong number of layer kinds");
        sp_fail_value(err, "%u kinds", (unsigned)model->n_kinds);
        return sp_fail_range(err, "1 .. %d", SP_MODEL_MAX_KINDS);
    }
    for (uint32_t i = 0; i < model->n_kinds; i++) {
        const sp_json value = sp_json_at(&list, i);
        SP_TRY(read_kind(build, &value, &model->kinds[i], err));
    }
    return SP_OK;
}
