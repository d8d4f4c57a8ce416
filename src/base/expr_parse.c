/* SPDX-License-Identifier: Apache-2.0 */
/* Turns the text of an expression into a postfix program by recursive descent, one function a level
 * of precedence: or, and, comparison, sum, product, unary, value. Nesting, program length and stack
 * depth are bounded here, so that evaluating needs no checks. */
#include "base/base_priv.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_BYTES = 64 };

typedef struct parser {
    const char *text;
    sp_token now; /* the sp_token to be used next */
    sp_expr_resolve resolve;
    void *user;
    char context[NAME_BYTES]; /* name on the other side of the comparison, or "" */
    sp_expr_instr code[SP_EXPR_CODE];
    size_t n_code, depth, nesting;
    sp_error *err;
} parser;

static void advance(parser *p)
{
    p->now = sp_token_after(&p->now);
}

/* Takes the sign if it stands next. */
static bool take(parser *p, const char *sign)
{
    if (!sp_token_is(&p->now, sign)) return false;
    advance(p);
    return true;
}

/* ---- errors ---- */

static sp_status fail_at(parser *p, const char *at, sp_status status, const char *message)
{
    sp_fail(p->err, status, "column %zu: %s", (size_t)(at - p->text) + 1, message);
    return sp_fail_value(p->err, "%s", p->text);
}

static sp_status fail_token(parser *p, const char *expected)
{
    const sp_token *t = &p->now;
    const size_t column = (size_t)(t->start - p->text) + 1;
    if (t->kind == SP_TOKEN_END) {
        sp_fail(p->err, SP_E_SYNTAX, "the expression ends where %s is expected", expected);
    } else if (t->kind == SP_TOKEN_BAD && strchr("=&|", *t->start)) {
        sp_fail(p->err, SP_E_SYNTAX, "column %zu: write \"%c%c\" instead of \"%c\"", column,
                *t->start, *t->start, *t->start);
    } else {
        const size_t bytes =
            t->kind == SP_TOKEN_BAD ? sp_utf8_length(t->start, strlen(t->start)) : 0;
        sp_fail(p->err, SP_E_SYNTAX, "column %zu: \"%.*s\" stands where %s is expected", column,
                (int)(bytes > t->length ? bytes : t->length), t->start, expected);
    }
    return sp_fail_value(p->err, "%s", p->text);
}

/* ---- code ---- */

static sp_status emit(parser *p, sp_expr_instr instr)
{
    if (p->n_code == SP_EXPR_CODE) {
        return fail_at(p, p->now.start, SP_E_OVERFLOW, "the expression is too long");
    }
    const bool pushes = instr.op == SP_EXPR_CONSTANT || instr.op == SP_EXPR_VARIABLE;
    const bool pops = instr.op >= SP_EXPR_MULTIPLY;
    if (pushes && p->depth == SP_EXPR_STACK) {
        return fail_at(p, p->now.start, SP_E_OVERFLOW, "the expression is too deeply nested");
    }
    assert(pushes || p->depth >= (pops ? 2U : 1U));
    p->depth = p->depth + (pushes ? 1 : 0) - (pops ? 1 : 0);
    p->code[p->n_code++] = instr;
    return SP_OK;
}

static sp_status emit_op(parser *p, sp_expr_op op)
{
    return emit(p, (sp_expr_instr){.op = op});
}

static sp_status emit_constant(parser *p, double constant)
{
    return emit(p, (sp_expr_instr){.op = SP_EXPR_CONSTANT, .constant = constant});
}

/* ---- values ---- */

static bool copy_name(const sp_token *t, char name[NAME_BYTES])
{
    if (t->length >= NAME_BYTES) return false;
    memcpy(name, t->start, t->length);
    name[t->length] = '\0';
    return true;
}

/* Asks the caller what the name means; *known is false when it means nothing (p->err says why). */
static sp_status emit_name(parser *p, const sp_token *t, bool *known)
{
    char name[NAME_BYTES];
    if (!copy_name(t, name)) return fail_at(p, t->start, SP_E_UNKNOWN_NAME, "the name is too long");
    double constant = 0;
    const int idx = p->resolve(p->user, name, p->context[0] ? p->context : NULL, &constant, p->err);
    assert(idx >= -2);
    *known = idx >= -1;
    if (!*known) return SP_OK;
    if (idx == -1) return emit_constant(p, constant);
    return emit(p, (sp_expr_instr){.op = SP_EXPR_VARIABLE, .variable = idx});
}

static sp_status refuse_name(parser *p)
{
    assert(p->err->status != SP_OK);
    if (p->err->value[0] == '\0') sp_fail_value(p->err, "%s", p->text);
    return p->err->status;
}

static sp_status parse_name(parser *p)
{
    bool known = false;
    SP_TRY(emit_name(p, &p->now, &known));
    if (!known) return refuse_name(p);
    advance(p);
    return SP_OK;
}

static sp_status fail_unit(parser *p, const char *unit, size_t length, unsigned families)
{
    char name[NAME_BYTES];
    const char *names[SP_UNITS_MAX];
    const sp_token word = {SP_TOKEN_NAME, unit, length < NAME_BYTES ? length : NAME_BYTES - 1};
    copy_name(&word, name);
    fail_at(p, unit, SP_E_UNKNOWN_NAME, "there is no such unit");
    return sp_fail_names(p->err, name, names, sp_unit_names(families, names));
}

/* A number with letters behind it is first offered as a name beside == and != (1f1b, 2d), then read
 * as a number with a unit. */
static sp_status parse_number(parser *p)
{
    const unsigned families = SP_UNIT_BYTES | SP_UNIT_RATIO | SP_UNIT_DURATION | SP_UNIT_KILO;
    const sp_token t = p->now;
    double value = 0;
    const size_t n = sp_scan_number(t.start, &value);
    if (n < t.length && p->context[0] && t.length < NAME_BYTES) {
        bool known = false;
        SP_TRY(emit_name(p, &t, &known));
        if (known) {
            advance(p);
            return SP_OK;
        }
        *p->err = (sp_error){0};
    }
    if (n < t.length && !sp_unit_apply(t.start + n, t.length - n, families, &value)) {
        return fail_unit(p, t.start + n, t.length - n, families);
    }
    if (!isfinite(value)) return fail_at(p, t.start, SP_E_OVERFLOW, "the number is too large");
    SP_TRY(emit_constant(p, value));
    advance(p);
    return SP_OK;
}

/* ---- levels of precedence ---- */

static sp_status parse_or(parser *p); /* parentheses lead back to the first level */

static sp_status parse_value(parser *p)
{
    if (p->now.kind == SP_TOKEN_NUMBER) return parse_number(p);
    if (p->now.kind == SP_TOKEN_NAME) return parse_name(p);
    if (!take(p, "(")) return fail_token(p, "a value");
    SP_TRY(parse_or(p));
    return take(p, ")") ? SP_OK : fail_token(p, "\")\"");
}

static sp_status parse_unary(parser *p)
{
    if (p->nesting == SP_EXPR_NESTING) {
        return fail_at(p, p->now.start, SP_E_OVERFLOW, "the expression is too deeply nested");
    }
    p->nesting++;
    sp_status status;
    if (take(p, "-")) {
        status = parse_unary(p);
        if (status == SP_OK) status = emit_op(p, SP_EXPR_NEGATE);
    } else if (take(p, "!")) {
        status = parse_unary(p);
        if (status == SP_OK) status = emit_op(p, SP_EXPR_NOT);
    } else {
        status = parse_value(p);
    }
    p->nesting--;
    return status;
}

typedef struct operation {
    const char *sign;
    sp_expr_op op;
} operation;

/* Takes one of the operators if it stands next. */
static const operation *take_one(parser *p, const operation *operations, size_t n_operations)
{
    for (size_t i = 0; i < n_operations; i++) {
        if (take(p, operations[i].sign)) return &operations[i];
    }
    return NULL;
}

static sp_status parse_product(parser *p)
{
    static const operation products[] = {
        {"*", SP_EXPR_MULTIPLY },
        {"/", SP_EXPR_DIVIDE   },
        {"%", SP_EXPR_REMAINDER}
    };
    SP_TRY(parse_unary(p));
    for (const operation *found; (found = take_one(p, products, 3)) != NULL;) {
        SP_TRY(parse_unary(p));
        SP_TRY(emit_op(p, found->op));
    }
    return SP_OK;
}

static sp_status parse_sum(parser *p)
{
    static const operation sums[] = {
        {"+", SP_EXPR_ADD     },
        {"-", SP_EXPR_SUBTRACT}
    };
    SP_TRY(parse_product(p));
    for (const operation *found; (found = take_one(p, sums, 2)) != NULL;) {
        SP_TRY(parse_product(p));
        SP_TRY(emit_op(p, found->op));
    }
    return SP_OK;
}

/* Remembers a word as context; anything else is none. */
static void set_context(parser *p, const sp_token *t)
{
    const bool is_word = t->kind == SP_TOKEN_NAME || t->kind == SP_TOKEN_NUMBER;
    if (!is_word || !copy_name(t, p->context)) p->context[0] = '\0';
}

/* In "a == b" each side is the other's context, so that schedule==1f1b and 1f1b==schedule both
 * find the meaning of 1f1b. */
static sp_status parse_comparison(parser *p)
{
    static const operation comparisons[] = {
        {"==", SP_EXPR_EQUAL        },
        {"!=", SP_EXPR_UNEQUAL      },
        {"<=", SP_EXPR_LESS_EQUAL   },
        {">=", SP_EXPR_GREATER_EQUAL},
        {"<",  SP_EXPR_LESS         },
        {">",  SP_EXPR_GREATER      }
    };
    const sp_token left = p->now, sign = sp_token_after(&left), right = sp_token_after(&sign);
    const bool beside = sp_token_is(&sign, "==") || sp_token_is(&sign, "!=");
    p->context[0] = '\0';
    if (beside) set_context(p, &right);
    SP_TRY(parse_sum(p));
    const operation *found = take_one(p, comparisons, 6);
    p->context[0] = '\0';
    if (!found) return SP_OK;
    if (beside) set_context(p, &left);
    SP_TRY(parse_sum(p));
    p->context[0] = '\0';
    SP_TRY(emit_op(p, found->op));
    const char *next = p->now.start;
    if (!take_one(p, comparisons, 6)) return SP_OK;
    return fail_at(p, next, SP_E_SYNTAX, "write a<b && b<c instead of a<b<c");
}

static sp_status parse_and(parser *p)
{
    SP_TRY(parse_comparison(p));
    while (take(p, "&&")) {
        SP_TRY(parse_comparison(p));
        SP_TRY(emit_op(p, SP_EXPR_AND));
    }
    return SP_OK;
}

static sp_status parse_or(parser *p)
{
    SP_TRY(parse_and(p));
    while (take(p, "||")) {
        SP_TRY(parse_and(p));
        SP_TRY(emit_op(p, SP_EXPR_OR));
    }
    return SP_OK;
}

/* ---- the result ---- */

static int compare_ints(const void *a, const void *b)
{
    const int *left = a, *right = b;
    return (*left > *right) - (*left < *right);
}

/* Lists the distinct variables of the code, ascending; returns how many. */
static size_t list_variables(const sp_expr_instr *code, size_t n_code, int *variables)
{
    size_t n = 0, n_distinct = 0;
    for (size_t i = 0; i < n_code; i++) {
        if (code[i].op == SP_EXPR_VARIABLE) variables[n++] = code[i].variable;
    }
    qsort(variables, n, sizeof *variables, compare_ints);
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || variables[i] != variables[i - 1]) variables[n_distinct++] = variables[i];
    }
    return n_distinct;
}

static sp_status build(sp_arena *arena, const parser *p, sp_expr **out, sp_error *err)
{
    sp_expr *expr = sp_arena_alloc(arena, sizeof *expr);
    char *text = sp_arena_strdup(arena, p->text);
    sp_expr_instr *code = sp_arena_alloc(arena, p->n_code * sizeof *code);
    int *variables = sp_arena_alloc(arena, p->n_code * sizeof *variables);
    if (!expr || !text || !code || !variables) {
        return sp_fail(err, SP_E_MEMORY, "no memory for an expression");
    }
    memcpy(code, p->code, p->n_code * sizeof *code);
    const size_t n_variables = list_variables(code, p->n_code, variables);
    *expr = (sp_expr){.text = text,
                      .code = code,
                      .variables = variables,
                      .n_code = p->n_code,
                      .n_variables = n_variables};
    *out = expr;
    return SP_OK;
}

sp_status sp_expr_parse(sp_arena *arena, const char *text, sp_expr_resolve resolve, void *user,
                        sp_expr **out, sp_error *err)
{
    assert(arena && text && resolve && out);
    parser p = {
        .text = text, .now = sp_token_at(text), .resolve = resolve, .user = user, .err = err};
    SP_TRY(parse_or(&p));
    if (p.now.kind != SP_TOKEN_END) return fail_token(&p, "an operator");
    return build(arena, &p, out, err);
}
