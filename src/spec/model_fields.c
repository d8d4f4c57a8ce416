/* SPDX-License-Identifier: Apache-2.0 */
/* The table of a model's members, and what walks it: equality of layer kinds, the numbers that a
 * fingerprint is made of. */
#include "spec/model_fields.h"

#include "spec/model_formula.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#define REQUIRED          UINT64_MAX
#define STRUCT_MODEL      sp_model
#define STRUCT_ATTENTION  sp_attention
#define STRUCT_RECURRENT  sp_recurrent
#define STRUCT_FFN        sp_ffn
#define STRUCT_KIND       sp_layer_kind
#define STRUCT_PROJECTION sp_projection

static const sp_model_field table[] = {
#define SP_FIELD(in_group, member, kind, least, most, silent, words)                               \
    {.name = #member,                                                                              \
     .meaning = (words),                                                                           \
     .offset = offsetof(STRUCT_##in_group, member),                                                \
     .lo = (least),                                                                                \
     .hi = (most),                                                                                 \
     .fallback = (silent) == REQUIRED ? 0 : (silent),                                              \
     .group = SP_FIELDS_##in_group,                                                                \
     .type = SP_FIELD_##kind,                                                                      \
     .required = (silent) == REQUIRED},
#include "shardplan/model_fields.def"
#undef SP_FIELD
};

#define MAX_KEYS 40 /* of one object */
#define N_FIELDS (sizeof table / sizeof table[0])

const char *const sp_recurrence_names[SP_RECURRENCE_CONV] = {"mamba",  "mamba2", "delta",
                                                             "linear", "gated",  "conv"};

size_t sp_model_fields(sp_field_group group, const sp_model_field **fields)
{
    size_t first = 0;
    while (table[first].group != group)
        first++;
    size_t end = first;
    while (end < N_FIELDS && table[end].group == group)
        end++;
    *fields = &table[first];
    return end - first;
}

const sp_model_field *sp_model_field_find(sp_field_group group, const char *name)
{
    for (size_t i = 0; i < N_FIELDS; i++) {
        if (table[i].group == group && strcmp(table[i].name, name) == 0) return &table[i];
    }
    return NULL;
}

uint64_t sp_model_field_get(const sp_model_field *field, const void *object)
{
    const void *at = (const char *)object + field->offset;
    if (field->type == SP_FIELD_BOOL) return *(const bool *)at ? 1 : 0;
    return field->type == SP_FIELD_U64 ? *(const uint64_t *)at : *(const uint32_t *)at;
}

void sp_model_field_set(const sp_model_field *field, uint64_t value, void *object)
{
    void *at = (char *)object + field->offset;
    assert(value <= field->hi);
    if (field->type == SP_FIELD_BOOL) {
        *(bool *)at = value != 0;
    } else if (field->type == SP_FIELD_U64) {
        *(uint64_t *)at = value;
    } else {
        *(uint32_t *)at = (uint32_t)value;
    }
}

void sp_model_fields_init(sp_field_group group, void *object)
{
    const sp_model_field *fields = NULL;
    const size_t n_fields = sp_model_fields(group, &fields);
    for (size_t i = 0; i < n_fields; i++) {
        sp_model_field_set(&fields[i], fields[i].fallback, object);
    }
}

sp_status sp_model_check_keys(const sp_json *g, sp_field_group group, const char *const *more,
                              size_t n_more, sp_error *err)
{
    const char *keys[MAX_KEYS];
    const sp_model_field *fields = NULL;
    const size_t n_fields = sp_model_fields(group, &fields);
    for (size_t i = 0; i < n_fields; i++) {
        keys[i] = fields[i].name;
    }
    for (size_t i = 0; i < n_more; i++) {
        keys[n_fields + i] = more[i];
    }
    return sp_json_only(g, keys, n_fields + n_more, err);
}

bool sp_model_field_is_form(const sp_model_field *field)
{
    return field->group == SP_FIELDS_RECURRENT && field->offset == offsetof(sp_recurrent, form);
}

static bool equal_fields(sp_field_group group, const void *a, const void *b)
{
    const sp_model_field *fields = NULL;
    const size_t n_fields = sp_model_fields(group, &fields);
    for (size_t i = 0; i < n_fields; i++) {
        if (sp_model_field_get(&fields[i], a) != sp_model_field_get(&fields[i], b)) return false;
    }
    return true;
}

static bool equal_projections(const sp_layer_kind *a, const sp_layer_kind *b)
{
    if (a->n_projections != b->n_projections) return false;
    for (uint32_t i = 0; i < a->n_projections; i++) {
        const sp_projection *left = &a->projections[i];
        const sp_projection *right = &b->projections[i];
        if (strcmp(left->name, right->name) != 0) return false;
        if (!equal_fields(SP_FIELDS_PROJECTION, left, right)) return false;
    }
    return true;
}

bool sp_layer_kind_equal(const sp_layer_kind *a, const sp_layer_kind *b)
{
    return equal_fields(SP_FIELDS_ATTENTION, &a->attention, &b->attention) &&
           equal_fields(SP_FIELDS_RECURRENT, &a->recurrent, &b->recurrent) &&
           equal_fields(SP_FIELDS_FFN, &a->ffn, &b->ffn) && equal_fields(SP_FIELDS_KIND, a, b) &&
           equal_projections(a, b) && a->formula == b->formula;
}

static void add_fields(sp_text *out, const char *title, sp_field_group group, const void *object)
{
    const sp_model_field *fields = NULL;
    const size_t n_fields = sp_model_fields(group, &fields);
    sp_text_add(out, title);
    for (size_t i = 0; i < n_fields; i++) {
        sp_text_printf(out, " %" PRIu64, sp_model_field_get(&fields[i], object));
    }
    sp_text_add(out, "\n");
}

static void add_projections(sp_text *out, const sp_projection *projections, uint32_t n_projections)
{
    for (uint32_t i = 0; i < n_projections; i++) {
        add_fields(out, "projection", SP_FIELDS_PROJECTION, &projections[i]);
    }
}

static void add_layer_formula(sp_text *out, const struct sp_layer_formula *formula)
{
    if (formula == NULL) return;
    sp_text_printf(out, "formula %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", formula->parameters,
                   formula->active_parameters, formula->cache_elements);
    sp_flat_write_numbers(formula->flat, out);
}

static void add_model_formulas(sp_text *out, const struct sp_model_formulas *formulas)
{
    if (formulas == NULL) return;
    sp_text_printf(out, "ends %" PRIu64 " %" PRIu64 " %" PRIu64 "\n",
                   formulas->embedding_parameters, formulas->head_parameters,
                   formulas->other_parameters);
    sp_flat_write_numbers(formulas->embedding, out);
    sp_flat_write_numbers(formulas->head, out);
}

void sp_model_write_numbers(const sp_model *model, sp_text *out)
{
    add_fields(out, "model", SP_FIELDS_MODEL, model);
    add_projections(out, model->projections, model->n_projections);
    for (uint32_t k = 0; k < model->n_kinds; k++) {
        const sp_layer_kind *kind = &model->kinds[k];
        add_fields(out, "kind", SP_FIELDS_KIND, kind);
        add_fields(out, "attention", SP_FIELDS_ATTENTION, &kind->attention);
        add_fields(out, "recurrent", SP_FIELDS_RECURRENT, &kind->recurrent);
        add_fields(out, "ffn", SP_FIELDS_FFN, &kind->ffn);
        add_projections(out, kind->projections, kind->n_projections);
        add_layer_formula(out, kind->formula);
    }
    add_model_formulas(out, model->formulas);
    for (uint32_t r = 0; r < model->n_runs; r++) {
        sp_text_printf(out, "run %u %u\n", model->runs[r].kind, model->runs[r].count);
    }
}
