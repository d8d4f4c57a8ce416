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
 *                      not (they return operands, as in Python), len sum(list)
 *                      sum(objects, key, where absent) count(list, value[, end]) is_list; int floor
 * ceil round to a double first, as Python's do.
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

/* ---- library.c: classes with their costs, out of files
 * ------------------------------------------- */
/* Reads every published form: module analyses (class_name, kernels), kernel costs (kernel_name with
 * flops, memory_read and memory_write, or with children), module databases, catalogues of kernels,
 * trees of layers, name maps, and ours (schema shardplan/modules/1). Texts are copied, so the JSON
 * may go once it was added. A file that cannot be read at all is an error; what can be read but is
 * not as its schema wants is a finding. A formula that is not well formed fails when it is used. */
typedef struct sp_formula_library sp_formula_library;

/* NULL: no memory. It lives in the arena. */
sp_formula_library *sp_formula_library_new(sp_arena *arena);
sp_status sp_formula_library_add_file(sp_formula_library *library, const char *file, sp_error *err);
sp_status sp_formula_library_add(sp_formula_library *library, const sp_json *root, sp_error *err);
/* {"other name": "name of a class"} */
sp_status sp_formula_library_add_map(sp_formula_library *library, const sp_json *map,
                                     sp_error *err);
/* How positional arguments are meant where the order of first use is wrong: {"class": ["a", "b"]},
 * or a list of {"parameters": ["a", "b"], "where": {"c": "a * b"}}, of which the one with as many
 * parameters as there are arguments holds. */
sp_status sp_formula_library_add_signatures(sp_formula_library *library, const sp_json *signatures,
                                            sp_error *err);
/* Connects references with classes; nothing can be added from here on, and it is const. */
sp_status sp_formula_library_link(sp_formula_library *library, sp_error *err);

size_t sp_formula_library_size(const sp_formula_library *library);
const char *sp_formula_class_name(const sp_formula_library *library, size_t idx);
/* True for what add_signatures put before a class. */
bool sp_formula_class_is_signature(const sp_formula_library *library, size_t idx);
/* The parameters that positional arguments bind: declared ones, or else variables in the order of
 * first use without widths in bytes and without names of the config. */
size_t sp_formula_class_parameters(const sp_formula_library *library, size_t idx,
                                   const char *const **parameters);
/* Its place, by name or by another name of it; false where there is none. */
bool sp_formula_class_find(const sp_formula_library *library, const char *name, size_t *idx);

/* What is odd in a file and can still be read. */
typedef struct sp_formula_finding {
    const char *file, *path, *text;
} sp_formula_finding;
size_t sp_formula_library_findings(const sp_formula_library *library,
                                   const sp_formula_finding **findings);

/* ---- expand.c
 * ------------------------------------------------------------------------------------ */
/* The cost of a class: the sum of its kernels, each times its repeat, references replaced by the
 * cost of their class for the same metric. Arguments are values of the caller; batch_size, seq_len,
 * cache_len, widths in bytes (bytes, *_bytes) and config.* are inherited. The same class under the
 * same variables is worked out once a call. At most 64 classes lie inside each other. */
sp_formula_code sp_formula_expand_class(const sp_formula_library *library, size_t idx,
                                        sp_formula_metric metric, const sp_scope *scope,
                                        sp_rational *out, sp_formula_failure *failure);

/* ---- walk.c
 * -------------------------------------------------------------------------------------- */
/* A kernel as an analysis lists it: the class says where it stands, cost is that of one of its
 * `times` repetitions, depth counts the classes around it from 1. */
typedef struct sp_formula_kernel {
    const char *operation, *type, *class_name;
    sp_rational times, cost[SP_N_FORMULA_METRICS];
    unsigned depth;
} sp_formula_kernel;
typedef void (*sp_formula_kernel_visit)(void *user, const sp_formula_kernel *kernel);
/* Visits the kernels that the cost of a class is made of, in their order: times x cost over all of
 * them is what sp_formula_expand_class gives. Classes are entered where a kernel is nothing but
 * them; a kernel that computes with the cost of classes is visited as one. */
sp_formula_code sp_formula_walk(const sp_formula_library *library, size_t idx,
                                const sp_scope *scope, sp_formula_kernel_visit visit, void *user,
                                sp_formula_failure *failure);

/* ---- formulas_in.c
 * ------------------------------------------------------------------------------- */
/* Visits every formula of a file of any of these forms, in its order. The path is a JSON pointer.
 */
typedef void (*sp_formula_visit)(void *user, const char *path, const char *text);
sp_status sp_formulas_in(const sp_json *root, sp_formula_visit visit, void *user, sp_error *err);

/* ---- lint.c
 * -------------------------------------------------------------------------------------- */
/* Adds findings to a linked library: references that cannot be called, parameters that nothing
 * uses, and ways of counting that contradict themselves or the machine (bytes counted by a number
 * instead of a width, costs that vanish without a cache, views that move bytes, a bias that is
 * always there, caches written whole, norms that write more than their output). */
sp_status sp_formula_library_lint(sp_formula_library *library, sp_error *err);

/* ---- write.c
 * ------------------------------------------------------------------------------------- */
/* A number: below 2^53 as it is, else its digits as text; others as {"num", "den"}. */
void sp_formula_write_number(sp_json_writer *w, const char *key, sp_rational number);
/* {"code", "name", "detail", "file", "path"}, without those that are empty. */
void sp_formula_write_failure(sp_json_writer *w, const char *key, sp_formula_code code,
                              const sp_formula_failure *failure);
