/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The members of a model as a table, made from shardplan/model_fields.def: whatever reads, prints,
 * compares or hashes models walks it. */
#include "spec/spec.h"

typedef enum sp_field_group {
    SP_FIELDS_MODEL,
    SP_FIELDS_ATTENTION,
    SP_FIELDS_RECURRENT,
    SP_FIELDS_FFN,
    SP_FIELDS_KIND,
    SP_FIELDS_PROJECTION,
    SP_N_FIELD_GROUPS
} sp_field_group;

typedef enum sp_field_type { SP_FIELD_U32, SP_FIELD_U64, SP_FIELD_BOOL } sp_field_type;

typedef struct sp_model_field {
    const char *name;
    const char *meaning;
    size_t offset; /* in the struct of its group */
    uint64_t lo, hi;
    uint64_t fallback; /* where a file is silent */
    sp_field_group group;
    sp_field_type type;
    bool required; /* a file must not be silent */
} sp_model_field;

/* The members of a group in the order of their struct; returns how many. */
size_t sp_model_fields(sp_field_group group, const sp_model_field **fields);
/* NULL: no such member. */
const sp_model_field *sp_model_field_find(sp_field_group group, const char *name);
/* `object` is the struct of the field's group. */
uint64_t sp_model_field_get(const sp_model_field *field, const void *object);
void sp_model_field_set(const sp_model_field *field, uint64_t value, void *object);
/* Gives every member of the group what holds where a file is silent. */
void sp_model_fields_init(sp_field_group group, void *object);

/* The texts that stand for a recurrence in files: "mamba2"; NULL for none. */
extern const char *const sp_recurrence_names[SP_RECURRENCE_CONV];
bool sp_model_field_is_form(const sp_model_field *field);

/* Alike in every member and every projection. */
bool sp_layer_kind_equal(const sp_layer_kind *a, const sp_layer_kind *b);

/* Refuses keys that are neither members of the group nor in `more`. */
sp_status sp_model_check_keys(const sp_json *g, sp_field_group group, const char *const *more,
                              size_t n_more, sp_error *err);
/* model_own_kinds.c: reads the members of the group into the struct at `object`, and checks
 * the keys as above. */
sp_status sp_model_own_read_fields(const sp_json *g, sp_field_group group, const char *const *more,
                                   size_t n_more, void *object, sp_error *err);
/* object["projections"], none where it is absent */
sp_status sp_model_own_read_projections(sp_model_build *build, const sp_json *object,
                                        sp_projection *projections, uint32_t *n_projections,
                                        sp_error *err);
