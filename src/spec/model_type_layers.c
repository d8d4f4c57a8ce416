/* SPDX-License-Identifier: Apache-2.0 */
/* The layers of a model from the kinds of its type file: for each layer the first kind that holds.
 * Layers that come out alike are one kind of the model. */
#include "spec/model_type.h"

#include <string.h>

sp_status sp_type_block_values(sp_type_reader *reader, const sp_type_block *block, void *object,
                               sp_error *err)
{
    for (size_t i = 0; i < block->n_fields; i++) {
        sp_type_field *field = &block->fields[i];
        uint64_t value = 0;
        SP_TRY(sp_type_field_value(reader, field->field, &field->expr, &value, err));
        sp_model_field_set(field->field, value, object);
    }
    return SP_OK;
}

static sp_status read_projection(sp_type_reader *reader, sp_type_projection *from,
                                 sp_projection *out, sp_error *err)
{
    sp_model_fields_init(SP_FIELDS_PROJECTION, out);
    SP_TRY(sp_type_block_values(reader, &from->block, out, err));
    return sp_text_keep(reader->build->arena, from->name, &out->name, err);
}

sp_status sp_type_read_projections(sp_type_reader *reader, sp_type_projection *from, size_t n,
                                   sp_projection *projections, uint32_t *n_projections,
                                   sp_error *err)
{
    *n_projections = 0;
    for (size_t i = 0; i < n; i++) {
        bool exists = true;
        if (from[i].when != NULL) {
            SP_TRY(sp_type_is_true(reader, from[i].when, "whether there is a projection", &exists,
                                   err));
        }
        if (!exists) continue;
        if (*n_projections == SP_MODEL_MAX_PROJECTIONS) {
            sp_json_fail(reader->file, err, SP_E_NOT_YET, "more projections than %d",
                         SP_MODEL_MAX_PROJECTIONS);
            return err->status;
        }
        SP_TRY(read_projection(reader, &from[i], &projections[(*n_projections)++], err));
    }
    return SP_OK;
}

static const sp_type_expr *expr_of(const sp_type_kind *from, const sp_model_field *field)
{
    const sp_type_block *block = &from->blocks[field->group];
    for (size_t i = 0; i < block->n_fields; i++) {
        if (block->fields[i].field == field) return &block->fields[i].expr;
    }
    return NULL;
}

static sp_status tell_fault(const sp_type_reader *reader, const sp_type_kind *from,
                            const sp_model_fault *fault, sp_error *err)
{
    const sp_type_expr *expr = expr_of(from, fault->field);
    if (expr == NULL) {
        sp_json_fail(reader->file, err, SP_E_MISSING_KEY, "layers need \"%s\"", fault->field->name);
        err->value[0] = '\0';
        return err->status;
    }
    if (fault->status == SP_E_RANGE) {
        return sp_type_fail_limits(reader, expr, fault->field->meaning, fault->lo, fault->hi, err);
    }
    return sp_type_fail(reader, expr, err, fault->status, "%s", fault->message);
}

static sp_status read_kind(sp_type_reader *reader, sp_type_kind *from, sp_layer_kind *kind,
                           sp_error *err)
{
    void *const objects[SP_N_FIELD_GROUPS] = {[SP_FIELDS_ATTENTION] = &kind->attention,
                                              [SP_FIELDS_RECURRENT] = &kind->recurrent,
                                              [SP_FIELDS_FFN] = &kind->ffn,
                                              [SP_FIELDS_KIND] = kind};
    sp_model_fault fault;
    for (int group = 0; group < SP_N_FIELD_GROUPS; group++) {
        if (!from->blocks[group].exists) continue;
        sp_model_fields_init((sp_field_group)group, objects[group]);
        SP_TRY(sp_type_block_values(reader, &from->blocks[group], objects[group], err));
    }
    SP_TRY(sp_type_read_projections(reader, from->projections, from->n_projections,
                                    kind->projections, &kind->n_projections, err));
    sp_layer_kind_tidy(kind);
    return sp_layer_kind_check(kind, &fault) ? SP_OK : tell_fault(reader, from, &fault, err);
}

/* The first kind of the file that holds for the layer at hand. */
static sp_status choose_kind(sp_type_reader *reader, sp_type_kind **out, sp_error *err)
{
    const sp_type_expr *last = NULL;
    for (size_t k = 0; k < reader->n_kinds; k++) {
        sp_type_kind *kind = &reader->kinds[k];
        bool fits = true;
        if (kind->when != NULL) {
            SP_TRY(sp_type_is_true(reader, kind->when, "the kind of a layer", &fits, err));
        }
        *out = kind;
        if (fits) return SP_OK;
        last = kind->when;
    }
    reader->unevaluated = true; /* a requirement may know better why */
    const sp_json *place = last != NULL && last->origin != NULL ? last->origin : reader->file;
    return sp_json_fail(place, err, SP_E_NOT_YET, "no kind of layer is known for layer %u",
                        (unsigned)reader->layer_idx);
}

/* The index of the kind among those of the model, to which it is added where it is new. */
static sp_status add_kind(sp_type_reader *reader, const sp_layer_kind *kind, uint8_t *idx,
                          sp_error *err)
{
    sp_model *const model = &reader->build->model;
    uint32_t k = 0;
    while (k < model->n_kinds && !sp_layer_kind_equal(&model->kinds[k], kind))
        k++;
    *idx = (uint8_t)k;
    if (k < model->n_kinds) return SP_OK;
    if (k == SP_MODEL_MAX_KINDS) {
        const sp_json *place = reader->config->node != NULL ? reader->config : reader->file;
        sp_json_fail(place, err, SP_E_NOT_YET, "more than %d kinds of layers in one model",
                     SP_MODEL_MAX_KINDS);
        err->value[0] = '\0';
        return SP_E_NOT_YET;
    }
    model->kinds[model->n_kinds++] = *kind;
    return SP_OK;
}

sp_status sp_type_read_layers(sp_type_reader *reader, sp_error *err)
{
    sp_model *const model = &reader->build->model;
    uint8_t *kind_of_layer = sp_arena_alloc(reader->scratch, reader->n_layers);
    if (kind_of_layer == NULL)
        return sp_fail(err, SP_E_MEMORY, "the layers of the model need more");
    model->n_layers = reader->n_layers;
    for (uint32_t i = 0; i < reader->n_layers; i++) {
        sp_layer_kind kind = {0};
        sp_type_kind *from = NULL;
        reader->layer_idx = i;
        SP_TRY(choose_kind(reader, &from, err));
        SP_TRY(read_kind(reader, from, &kind, err));
        SP_TRY(add_kind(reader, &kind, &kind_of_layer[i], err));
    }
    return sp_model_set_runs(reader->build, kind_of_layer, err);
}
