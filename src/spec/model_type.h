/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the readers of config.json share. A file of configs/model_types says how the keys of one
 * model_type become the members of a model: expressions over keys, worked out when they are asked
 * for and, where no layer index is read on the way, only once. */
#include "formula/formula.h"
#include "spec/model_check.h"

/* A value of a type file: a number, a truth value or an expression. */
typedef struct sp_type_expr {
    sp_json json; /* where it stands                                           */
    const struct sp_formula *formula; /* NULL: the value is a constant */
    sp_value value;
    const sp_json *origin; /* the first key it read that the config states, NULL = none */
    const sp_json *null; /* the first one that it states as null, NULL = none                    */
    uint32_t layer_idx;  /* for which the value holds, where it is layered                       */
    bool known, layered, busy;
    bool reads_keys; /* stated or not */
} sp_type_expr;

/* A name that expressions read: a key of the config, its path dotted, or a "let" of the file. */
typedef struct sp_type_symbol {
    const char *name;
    sp_type_expr *let; /* NULL: a key                                                          */
    sp_json value;     /* of a key: as the config states it, or the default                    */
    const sp_json *stated; /* where it is stated and not null; NULL: nowhere */
    const sp_json *null; /* where null is stated; NULL: nowhere                                  */
    const char *defaulted; /* the key that is absent, NULL = none */
    bool used;
} sp_type_symbol;

typedef struct sp_type_field {
    const sp_model_field *field;
    sp_type_expr expr;
} sp_type_field;

typedef struct sp_type_block {
    bool exists;
    size_t n_fields;
    sp_type_field *fields;
} sp_type_block;

typedef struct sp_type_projection {
    const char *name;
    sp_type_expr *when; /* NULL = always */
    sp_type_block block;
} sp_type_projection;

typedef struct sp_type_kind {
    sp_type_expr *when;                      /* NULL = always */
    sp_type_block blocks[SP_N_FIELD_GROUPS]; /* ATTENTION, RECURRENT, FFN and KIND */
    size_t n_projections;
    sp_type_projection *projections;
} sp_type_kind;

typedef struct sp_type_requirement {
    sp_type_expr that;
    const char *key, *sentence;
    bool later;  /* a "not yet" */
    bool remark; /* told among the assumptions; the model is read all the same */
} sp_type_requirement;

/* Keys that hold another value in one layer. */
typedef struct sp_type_override {
    uint32_t layer_idx;
    const sp_json *keys;
} sp_type_override;

#define SP_TYPE_NO_LAYER UINT32_MAX /* what is worked out belongs to no layer */

/* A config while it is read by the file of its type. */
typedef struct sp_type_reader {
    sp_model_build *build;
    sp_arena *scratch; /* everything but the model                                             */
    const char *type;  /* model_type                                                           */
    const sp_json *config; /* the object with the keys; absent: all defaults hold */
    const sp_json *file; /* root of the type file                                                */
    bool beside; /* its keys stand among those of the wrapper, which has checked them            */
    sp_json defaults, aliases, lets;
    sp_json absent; /* defaults of whole objects that are not stated                            */
    size_t n_overrides;
    sp_type_override *overrides;
    sp_type_symbol *symbols;
    size_t n_symbols, symbol_capacity;
    const char *wrapped_key, *wrapped_type; /* NULL: not a wrapper */
    bool wraps_beside; /* where wrapped_key is not stated, its keys stand beside the wrapper's   */
    sp_type_block model;
    sp_type_expr *layers;
    size_t n_projections, n_kinds, n_requirements;
    sp_type_projection *projections;
    sp_type_kind *kinds;
    sp_type_requirement *requirements;
    uint32_t layer_idx, n_layers; /* i and n; SP_TYPE_NO_LAYER, and 0 until it is known */
    bool reads_layer, reads_keys; /* the expression at work read i, or a key */
    const sp_json *origin,
        *null;                  /* keys that the expression at work read: stated, stated as null */
    const sp_json *latest;      /* the last key that was read and is stated                      */
    bool unevaluated;           /* an expression failed, as opposed to a value out of its limits */
    sp_formula_failure failure; /* of the last expression that failed                            */
} sp_type_reader;

/* A cursor that stays. NULL: no memory. */
const sp_json *sp_type_keep(sp_arena *scratch, sp_json value);

/* model_type_file.c: fills the reader from its type file, which must be well formed. */
sp_status sp_type_file_read(sp_type_reader *reader, sp_error *err);

/* model_type_parts.c; cursors that are handed in must stay. */
/* Compiles a value. */
sp_status sp_type_expr_read(sp_type_reader *reader, const sp_json *value, sp_type_expr *out,
                            sp_error *err);
/* object[key], NULL where it is absent */
sp_status sp_type_expr_read_optional(sp_type_reader *reader, const sp_json *object, const char *key,
                                     sp_type_expr **out, sp_error *err);
/* Members of a group in an object that may hold `more` beside them. */
sp_status sp_type_block_read(sp_type_reader *reader, const sp_json *object, sp_field_group group,
                             const char *const *more, size_t n_more, sp_type_block *out,
                             sp_error *err);
/* A member of object as a list whose elements' cursors may point to it. */
sp_status sp_type_list_read(sp_type_reader *reader, const sp_json *object, const char *key,
                            const sp_json **list, sp_error *err);
/* object["projections"], none where it is absent */
sp_status sp_type_projections_read(sp_type_reader *reader, const sp_json *object,
                                   sp_type_projection **out, size_t *n_out, sp_error *err);
/* "kinds" of the file */
sp_status sp_type_kinds_read(sp_type_reader *reader, sp_error *err);

/* model_type_names.c: what the names in expressions stand for. */
/* Sees to it that the name has a symbol; `value` is the expression that reads it, for messages. */
sp_status sp_type_name_bind(sp_type_reader *reader, const sp_json *value, const char *name,
                            sp_error *err);
/* The other spelling of a key that the object uses; the key itself where it uses none. */
const char *sp_type_spelling(const sp_type_reader *reader, const sp_json *object, const char *key);
const sp_type_symbol *sp_type_symbol_find(const sp_type_reader *reader, const char *name);
/* Refuses keys whose JSON type is not that of their default. */
sp_status sp_type_check_config(const sp_type_reader *reader, sp_error *err);
/* One sentence on the defaults that were taken. */
void sp_type_note_defaults(const sp_type_reader *reader);

/* model_type_override.c */
sp_status sp_type_overrides_read(sp_type_reader *reader, sp_error *err);
/* Refuses layers that there are not; reader->n_layers is known. */
sp_status sp_type_overrides_check(const sp_type_reader *reader, sp_error *err);
/* The value that the key has in the layer at hand only, NULL = none. */
const sp_json *sp_type_overriding(const sp_type_reader *reader, const char *key);

/* model_type_value.c */
sp_formula_code sp_type_eval(sp_type_reader *reader, sp_type_expr *expr);
sp_status sp_type_is_true(sp_type_reader *reader, sp_type_expr *expr, const char *what, bool *truth,
                          sp_error *err);
/* The value of a member, within its limits. */
sp_status sp_type_field_value(sp_type_reader *reader, const sp_model_field *field,
                              sp_type_expr *expr, uint64_t *value, sp_error *err);
/* An error about the value of expr, where its user can change it: at the key that it came from; at
 * the object with the keys where that is silent about all it reads; else in the type file. */
sp_status sp_type_fail(const sp_type_reader *reader, const sp_type_expr *expr, sp_error *err,
                       sp_status status, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
/* Says that the value of expr, a number, must be lo .. hi. */
sp_status sp_type_fail_limits(const sp_type_reader *reader, const sp_type_expr *expr,
                              const char *meaning, uint64_t lo, uint64_t hi, sp_error *err);
/* Where `patient`, requirements that cannot be worked out are passed over. */
sp_status sp_type_check_requirements(sp_type_reader *reader, bool patient, sp_error *err);

/* model_type_layers.c */
sp_status sp_type_block_values(sp_type_reader *reader, const sp_type_block *block, void *object,
                               sp_error *err);
sp_status sp_type_read_projections(sp_type_reader *reader, sp_type_projection *from, size_t n,
                                   sp_projection *projections, uint32_t *n_projections,
                                   sp_error *err);
/* Kinds and runs; reader->n_layers is known. */
sp_status sp_type_read_layers(sp_type_reader *reader, sp_error *err);

/* model_type_keys.c: refuses or notes every key of the config that the type does not know. */
sp_status sp_type_check_keys(sp_type_reader *reader, sp_error *err);
