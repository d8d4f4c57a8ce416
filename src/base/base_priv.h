/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the files of this room share among themselves and nobody else needs. */
#include "base/base.h"

#include <stdarg.h>

/* ---- error.c --------------------------------------------------------------------------------- */
sp_status sp_vfail(sp_error *err, sp_status status, const char *format, va_list args)
    __attribute__((format(printf, 3, 0)));

/* ---- text.c ---------------------------------------------------------------------------------- */
/* Bytes of the UTF-8 character at s, of which n >= 1 bytes may be read: 1..4, or 0 if it is none.
 */
size_t sp_utf8_length(const char *s, size_t n);
/* The largest length <= n at which s may be cut without splitting a character. */
size_t sp_utf8_cut(const char *s, size_t n);

/* ---- num.c ----------------------------------------------------------------------------------- */
/* Reads digits, fraction and exponent (no sign, no space, no hexadecimal) and returns how many
 * characters they are; 0 where there is no number, or one of more than 63 characters. */
size_t sp_scan_number(const char *text, double *value);

/* Families of units; a mask says which of them a text may use. */
enum {
    SP_UNIT_LENGTH = 1,    /* k M G as powers of 1024    */
    SP_UNIT_AMOUNT = 2,    /* k M G B T as powers of 1000 */
    SP_UNIT_BYTES = 4,     /* kB .. PB, KiB .. PiB       */
    SP_UNIT_RATIO = 8,     /* %                          */
    SP_UNIT_DURATION = 16, /* ns .. w                    */
    SP_UNIT_KILO = 32      /* k alone, as 1024           */
};
#define SP_UNITS_MAX 40
/* Scales *value by a unit of one of the families; false when there is no such unit. */
bool sp_unit_apply(const char *unit, size_t length, unsigned families, double *value);
/* The names of the units of some families; returns how many. */
size_t sp_unit_names(unsigned families, const char *names[SP_UNITS_MAX]);

/* ---- json_scan.c: places in JSON text that is known to be well formed ---- */
typedef struct sp_json_place {
    const char *key; /* opening quote of the member's name; NULL for elements and the root */
    const char *start, *stop; /* the value: first character, and one past the last */
} sp_json_place;
sp_json_place sp_json_scan_root(const char *text, const char *end);
/* The idx-th member or element of a container; it must exist. */
sp_json_place sp_json_scan_child(const sp_json_place *container, size_t idx);
/* One past the string whose opening quote is at p. */
const char *sp_json_scan_string(const char *p, const char *end);
int sp_json_scan_line(const char *text, const char *at);
/* Adds the value without the white space between its tokens. */
void sp_json_scan_compact(const sp_json_place *place, sp_text *out);

/* ---- json_read.c ---- */
/* The place of a member among the members of its object, in file order. */
size_t sp_json_ordinal(const sp_json *member);

/* ---- json_fail.c ---- */
/* Sets file, pointer and line of *err; the line is that of the member's name if of_key. */
void sp_json_tell_place(const sp_json *value, bool of_key, sp_error *err);
sp_status sp_json_fail_missing(const sp_json *object, const char *key, sp_error *err);
/* The value is not `what` ("a number"), or not there at all. */
sp_status sp_json_fail_type(const sp_json *value, const char *what, sp_error *err);
sp_status sp_json_fail_range_u64(const sp_json *value, const char *complaint, uint64_t lo,
                                 uint64_t hi, sp_error *err);
sp_status sp_json_fail_range_double(const sp_json *value, const char *complaint, double lo,
                                    double hi, sp_error *err);

/* ---- expr_lex.c ---- */
typedef enum sp_token_kind {
    SP_TOKEN_END,
    SP_TOKEN_NUMBER,
    SP_TOKEN_NAME,
    SP_TOKEN_SIGN,
    SP_TOKEN_BAD
} sp_token_kind;

/* A number sp_token includes its unit; it may turn out to be a name such as 1f1b. */
typedef struct sp_token {
    sp_token_kind kind;
    const char *start;
    size_t length;
} sp_token;
/* The first token at or after p. */
sp_token sp_token_at(const char *p);
sp_token sp_token_after(const sp_token *t);
bool sp_token_is(const sp_token *t, const char *sign);

/* ---- expr_parse.c, expr_eval.c ---- */
/* An expression is a postfix program: constants and variables are pushed, the other operations
 * replace one or two values on top of the stack by their result. */
enum {
    SP_EXPR_STACK = 32,  /* values on the stack */
    SP_EXPR_CODE = 256,  /* instructions        */
    SP_EXPR_NESTING = 64 /* parentheses and unary operators inside each other */
};

typedef enum sp_expr_op {
    SP_EXPR_CONSTANT,
    SP_EXPR_VARIABLE,
    SP_EXPR_NEGATE,
    SP_EXPR_NOT,
    SP_EXPR_MULTIPLY, /* this and the following take two values */
    SP_EXPR_DIVIDE,
    SP_EXPR_REMAINDER,
    SP_EXPR_ADD,
    SP_EXPR_SUBTRACT,
    SP_EXPR_EQUAL,
    SP_EXPR_UNEQUAL,
    SP_EXPR_LESS,
    SP_EXPR_LESS_EQUAL,
    SP_EXPR_GREATER,
    SP_EXPR_GREATER_EQUAL,
    SP_EXPR_AND,
    SP_EXPR_OR
} sp_expr_op;

typedef struct sp_expr_instr {
    sp_expr_op op;
    int variable;    /* SP_EXPR_VARIABLE */
    double constant; /* SP_EXPR_CONSTANT */
} sp_expr_instr;

struct sp_expr {
    const char *text;
    const sp_expr_instr *code;
    const int *variables; /* distinct, ascending */
    size_t n_code, n_variables;
};
