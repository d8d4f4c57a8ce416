/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Cost formulas of modules: exact numbers, and what can go wrong with them.
 *
 * Values are exact rationals with 128-bit parts: integers stay integers, "/" is true division, and
 * what does not fit is the error SP_FORMULA_OVERFLOW, never a wrong number. Errors of evaluating
 * are values (sp_formula_code with sp_formula_failure), since a file of a hundred formulas is read
 * to its end however many of them fail; files that cannot be read are an sp_status with its
 * sp_error.
 *
 * All functions are pure or fill the caller's memory; what was loaded is const, and any number of
 * threads may evaluate it.
 */
#include "shardplan/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

__extension__ typedef __int128 sp_int128;

/* num / den in lowest terms, den > 0; {0, 1} is zero. |num| and den are below 2^127. */
typedef struct sp_rational {
    sp_int128 num, den;
} sp_rational;

enum { SP_RATIONAL_TEXT_BYTES = 88 };
/* "12", "-7", "27/2"; returns the length. */
size_t sp_rational_format(sp_rational value, char text[SP_RATIONAL_TEXT_BYTES]);
/* The nearest double (one rounding of numerator, denominator and quotient each). */
double sp_rational_to_double(sp_rational value);

/* What came of evaluating: SP_FORMULA_CODE(enumerator, its name in results, what it means). */
#define SP_FORMULA_CODE_LIST(SP_FORMULA_CODE)                                                      \
    SP_FORMULA_CODE(SP_FORMULA_OK, "ok", "no error")                                               \
    SP_FORMULA_CODE(SP_FORMULA_SYNTAX, "syntax", "the formula is not well formed")                 \
    SP_FORMULA_CODE(SP_FORMULA_UNBOUND, "unbound", "a variable has no value")                      \
    SP_FORMULA_CODE(SP_FORMULA_UNRESOLVED_REF, "unresolved_ref",                                   \
                    "another class is referred to, which needs its file")                          \
    SP_FORMULA_CODE(SP_FORMULA_UNKNOWN_REF, "unknown_ref", "no file describes this class")         \
    SP_FORMULA_CODE(SP_FORMULA_UNKNOWN_FUNCTION, "unknown_function", "there is no such function")  \
    SP_FORMULA_CODE(SP_FORMULA_ARITY, "arity", "the number of arguments is wrong")                 \
    SP_FORMULA_CODE(SP_FORMULA_CYCLE, "cycle", "a class refers to itself")                         \
    SP_FORMULA_CODE(SP_FORMULA_DIV0, "div0", "division by zero")                                   \
    SP_FORMULA_CODE(SP_FORMULA_POW, "pow", "an exponent is no whole number from -64 to 64")        \
    SP_FORMULA_CODE(SP_FORMULA_DEPTH, "depth", "too deeply nested")                                \
    SP_FORMULA_CODE(SP_FORMULA_OVERFLOW, "overflow", "a number needs more than 127 bits")          \
    SP_FORMULA_CODE(SP_FORMULA_TYPE, "type", "an operation does not fit the kind of its values")   \
    SP_FORMULA_CODE(SP_FORMULA_UNBOUND_PARAM, "unbound_param", "a parameter is given no value")    \
    SP_FORMULA_CODE(SP_FORMULA_UNKNOWN_PARAM, "unknown_param", "there is no such parameter")

typedef enum sp_formula_code {
#define SP_FORMULA_CODE(name, word, words) name,
    SP_FORMULA_CODE_LIST(SP_FORMULA_CODE)
#undef SP_FORMULA_CODE
} sp_formula_code;

/* "div0"; never NULL. */
const char *sp_formula_code_name(sp_formula_code code);
/* "division by zero"; never NULL. */
const char *sp_formula_code_words(sp_formula_code code);

/* Which name an error is about, the rest of what there is to say, and, when a class was expanded,
 * the place of the formula that failed; "" where there is nothing. */
typedef struct sp_formula_failure {
    char name[128];
    char detail[384];
    char file[256];
    char path[192]; /* JSON pointer */
} sp_formula_failure;

/* What a formula is about: the floating-point operations of a kernel, the bytes it reads, the bytes
 * it writes. */
typedef enum sp_formula_metric {
    SP_FORMULA_FLOPS,
    SP_FORMULA_READ,
    SP_FORMULA_WRITE,
    SP_N_FORMULA_METRICS
} sp_formula_metric;

/* "flops", "read", "write" */
const char *sp_formula_metric_name(sp_formula_metric metric);
