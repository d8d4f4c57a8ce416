/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The expression engine: text is compiled once to a postfix program and evaluated as often as
 * wanted, without allocation. Two dialects share one grammar:
 *
 *   SP_FORMULA_MODULE  the formulas of published module analyses: + - * / // % **, one comparison,
 *                      a if c else b, min max abs ceil floor int, True False; variables are written
 *                      name, {name} or ${name}; ${pkg.Class}(args) and {pkg.Class}(args) refer to
 *                      the cost of another class; {{ }} are the same as { }.
 *   SP_FORMULA_CONFIG  a subset of Python for reading a config.json: the arithmetic of the former
 *                      without braces and references, and 'text' None list[i] `in` `not in` and or
 *                      not (they return operands, as in Python), len sum count(list, value).
 *
 * Decimal numbers are what they say (0.1 is 1/10), so a product such as 0.29 * 100 is exactly 29,
 * where binary floating point gives 28.999...
 */
#include "base/base.h"
#include "shardplan/formula.h"

typedef enum sp_formula_dialect { SP_FORMULA_MODULE, SP_FORMULA_CONFIG } sp_formula_dialect;

typedef enum sp_value_kind {
    SP_VALUE_NONE, /* None, null */
    SP_VALUE_NUMBER,
    SP_VALUE_TEXT,
    SP_VALUE_JSON /* a list or an object */
} sp_value_kind;

/* Truth values are the numbers 0 and 1. Text and JSON are borrowed. */
typedef struct sp_value {
    sp_value_kind kind;
    union {
        sp_rational number;
        const char *text;
        sp_json json;
    };
} sp_value;

/* ---- value.c ------------------------------------------------------------------------------------
 */
sp_value sp_value_of_int(int64_t number);
/* null is None, true and false are 1 and 0, decimals are exact; lists and objects stay what they
 * are. SP_FORMULA_OVERFLOW for numbers that do not fit. */
sp_formula_code sp_value_of_json(const sp_json *json, sp_value *out);
/* As Python has it: 0, None, "", [] and {} are false. */
bool sp_value_is_true(const sp_value *value);
/* True if the number is whole and lo <= number <= hi; then *out is it. */
bool sp_value_as_int(const sp_value *value, int64_t lo, int64_t hi, int64_t *out);
/* "a number", "a text", "None", "a list" */
const char *sp_value_kind_words(const sp_value *value);

/* ---- parse.c ------------------------------------------------------------------------------------
 */
enum {
    SP_FORMULA_TEXT_MAX = 16384, /* bytes of one formula */
    SP_FORMULA_LEVELS = 256      /* parentheses, signs, powers and alternatives inside each other */
};

typedef struct sp_formula sp_formula;

/* A reference to another class as it is written. */
typedef struct sp_formula_ref {
    const char *class_name;
    const char *const *arg_names; /* NULL for a positional argument */
    size_t n_args, n_named;
    size_t column; /* 1-based */
} sp_formula_ref;

/* Compiles a text. Errors name the column and carry the text as value: SP_E_SYNTAX; SP_E_RANGE (too
 * long or too deeply nested); SP_E_OVERFLOW (a number too large); and, in the config dialect only,
 * SP_E_UNKNOWN_NAME (no such function) and SP_E_TYPE (its number of arguments), which in the module
 * dialect are errors of evaluating. */
sp_status sp_formula_parse(sp_arena *arena, sp_formula_dialect dialect, const char *text,
                           const sp_formula **out, sp_error *err);
/* The code under which a failure of sp_formula_parse is reported among results. */
sp_formula_code sp_formula_code_of(sp_status parse_failure);
const char *sp_formula_text(const sp_formula *f);
/* Its variables in the order of first use: as written, but a condition before its alternatives. */
size_t sp_formula_names(const sp_formula *f, const char *const **names);
size_t sp_formula_refs(const sp_formula *f, const sp_formula_ref **refs);

/* ---- eval.c -------------------------------------------------------------------------------------
 */
/* Gives a name its value: SP_FORMULA_OK, SP_FORMULA_UNBOUND, or what came of working it out. Asked
 * only for names that the taken branches read. */
typedef struct sp_scope {
    sp_formula_code (*lookup)(void *user, const char *name, sp_value *out);
    void *user;
} sp_scope;

/* scope may be NULL: nothing is bound. *out is set on SP_FORMULA_OK, *failure otherwise; failure
 * may be NULL. References are SP_FORMULA_UNRESOLVED_REF here. */
sp_formula_code sp_formula_eval(const sp_formula *f, const sp_scope *scope, sp_value *out,
                                sp_formula_failure *failure);
/* The same with a value for each of sp_formula_names, in their order: the quick way for thousands
 * of bindings. */
sp_formula_code sp_formula_eval_values(const sp_formula *f, const sp_value *values, sp_value *out,
                                       sp_formula_failure *failure);

/* ---- scope.c ------------------------------------------------------------------------------------
 */
/* A lookup whose user is a const sp_json * of an object: "config.n_embd" is the member of that
 * name, or else the member n_embd of the object config. */
sp_formula_code sp_scope_json(void *user, const char *name, sp_value *out);
