/* SPDX-License-Identifier: Apache-2.0 */
/* Turns the text of a formula into a program by operator precedence (Pratt, POPL 1973), in one pass
 * and without a tree: operands are emitted before their operation, and in "a if c else b" the code
 * of c is moved before that of a. Nesting is bounded here, so evaluating needs no checks. */
#include "formula/formula_priv.h"

#include <assert.h>
#include <string.h>

typedef struct parser {
    const char *text;
    sp_formula_dialect dialect;
    sp_lexeme now; /* to be used next */
    size_t level;
    sp_emitter emit;
    sp_error *err;
} parser;

/* ---- errors ---- */

static size_t column_of(const parser *p, const sp_lexeme *t)
{
    return (size_t)(t->start - p->text) + 1;
}

static sp_status fail_at(parser *p, const sp_lexeme *t, sp_status status, const char *message)
{
    sp_fail(p->err, status, "column %zu: %s", column_of(p, t), message);
    return sp_fail_value(p->err, "%s", p->text);
}

static sp_status fail_expecting(parser *p, const char *expected)
{
    const sp_lexeme *t = &p->now;
    if (t->kind == SP_LEXEME_END) {
        sp_fail(p->err, SP_E_SYNTAX, "the formula ends where %s is expected", expected);
    } else {
        /* Never half a character of several bytes. */
        size_t length = t->length > 0 ? t->length : 1;
        while (((unsigned char)t->start[length] & 0xC0U) == 0x80U)
            length++;
        sp_fail(p->err, SP_E_SYNTAX, "column %zu: \"%.*s\" stands where %s is expected",
                column_of(p, t), (int)length, t->start, expected);
    }
    return sp_fail_value(p->err, "%s", p->text);
}

static sp_status enter(parser *p)
{
    if (++p->level <= SP_FORMULA_LEVELS) return SP_OK;
    return fail_at(p, &p->now, SP_E_RANGE, "the formula is too deeply nested");
}

/* ---- lexemes ---- */

static void advance(parser *p)
{
    p->now = sp_lexeme_after(&p->now);
}

static bool take(parser *p, const char *text)
{
    if (!sp_lexeme_is(&p->now, text)) return false;
    advance(p);
    return true;
}

static sp_status expect(parser *p, const char *text, const char *quoted)
{
    return take(p, text) ? SP_OK : fail_expecting(p, quoted);
}

static bool is_dotted(const sp_lexeme *t)
{
    return memchr(t->start, '.', t->length) != NULL;
}

static bool is_word(const sp_lexeme *t, const char *word)
{
    return t->kind == SP_LEXEME_NAME && strlen(word) == t->length &&
           memcmp(t->start, word, t->length) == 0;
}

/* A name in any number of braces, at least `least`: *name is the name and *after what follows. */
static bool braced_name(const sp_lexeme *from, size_t least, sp_lexeme *name, sp_lexeme *after)
{
    size_t open = 0;
    sp_lexeme t = *from;
    for (; sp_lexeme_is(&t, "{") || (open == 0 && sp_lexeme_is(&t, "${")); open++)
        t = sp_lexeme_after(&t);
    if (open < least || t.kind != SP_LEXEME_NAME) return false;
    *name = t;
    for (t = sp_lexeme_after(&t); open > 0 && sp_lexeme_is(&t, "}"); open--)
        t = sp_lexeme_after(&t);
    *after = t;
    return open == 0;
}

/* ---- values ---- */

static sp_status parse_formula(parser *p);
static sp_status parse_binary(parser *p, int weakest);

static sp_status parse_number(parser *p)
{
    size_t length = 0;
    sp_rational number;
    if (sp_rational_scan(p->now.start, &length, &number) != SP_FORMULA_OK) {
        return fail_at(p, &p->now, SP_E_OVERFLOW, "the number is too large");
    }
    sp_emit_number(&p->emit, number);
    advance(p);
    return SP_OK;
}

/* The arguments of a function up to its closing parenthesis; counts them. */
static sp_status parse_args(parser *p, size_t *n_args)
{
    *n_args = 0;
    if (take(p, ")")) return SP_OK;
    do {
        SP_TRY(parse_formula(p));
        ++*n_args;
    } while (take(p, ","));
    return expect(p, ")", "\",\" or \")\"");
}

static sp_status fail_function(parser *p, const sp_lexeme *name, int function)
{
    char given[64] = "";
    const char *names[SP_FUNCTIONS_MAX];
    if (function >= 0) {
        return fail_at(p, name, SP_E_TYPE, "the function takes another number of arguments");
    }
    fail_at(p, name, SP_E_UNKNOWN_NAME, "there is no such function");
    memcpy(given, name->start, name->length < sizeof given ? name->length : sizeof given - 1);
    return sp_fail_names(p->err, given, names, sp_function_names(p->dialect, names));
}

/* Published formulas are read to the end: a function that is none fails when it is evaluated. */
static sp_status parse_function(parser *p)
{
    const sp_lexeme name = p->now;
    const int function = sp_function_find(p->dialect, name.start, name.length);
    size_t n_args = 0;
    advance(p);
    SP_TRY(expect(p, "(", "\"(\""));
    SP_TRY(parse_args(p, &n_args));
    if (function >= 0 && sp_function_takes(function, n_args)) {
        sp_emit(&p->emit, SP_OP_CALL, n_args, (size_t)function);
    } else if (p->dialect == SP_FORMULA_CONFIG) {
        return fail_function(p, &name, function);
    } else {
        sp_emit_fail(&p->emit, name.start, name.length, n_args);
    }
    return SP_OK;
}

static sp_status parse_name(parser *p)
{
    const sp_lexeme name = p->now, next = sp_lexeme_after(&name);
    if (sp_lexeme_is(&next, "(") && !is_dotted(&name)) return parse_function(p);
    if (is_word(&name, "True")) {
        sp_emit_number(&p->emit, sp_rational_of_int(1));
    } else if (is_word(&name, "False")) {
        sp_emit_number(&p->emit, sp_rational_of_int(0));
    } else if (is_word(&name, "None") && p->dialect == SP_FORMULA_CONFIG) {
        sp_emit(&p->emit, SP_OP_NONE, 0, 0);
    } else {
        sp_emit_name(&p->emit, name.start, name.length);
    }
    advance(p);
    return SP_OK;
}

/* One argument of a reference: formula, or name = formula. */
static sp_status parse_ref_arg(parser *p, const char **name, size_t *n_named)
{
    sp_lexeme word, after;
    *name = NULL;
    if (braced_name(&p->now, 0, &word, &after) && sp_lexeme_is(&after, "=")) {
        char *own = sp_arena_alloc(p->emit.arena, word.length + 1);
        if (!own) return sp_fail(p->err, SP_E_MEMORY, "no memory for a formula");
        memcpy(own, word.start, word.length);
        *name = own;
        ++*n_named;
        p->now = sp_lexeme_after(&after);
    } else if (*n_named > 0) {
        return fail_at(p, &p->now, SP_E_SYNTAX, "a positional argument stands behind a named one");
    }
    return parse_formula(p);
}

enum { REF_ARGS_MAX = 64 };

static sp_status parse_ref(parser *p, const sp_lexeme *class_name, const sp_lexeme *parenthesis)
{
    const char *names[REF_ARGS_MAX];
    size_t n = 0, n_named = 0;
    const size_t ref =
        sp_emit_ref(&p->emit, class_name->start, class_name->length, column_of(p, class_name));
    p->now = sp_lexeme_after(parenthesis);
    while (!sp_lexeme_is(&p->now, ")") || n > 0) {
        if (n == REF_ARGS_MAX) return fail_at(p, &p->now, SP_E_RANGE, "too many arguments");
        SP_TRY(parse_ref_arg(p, &names[n++], &n_named));
        if (!take(p, ",")) break;
    }
    SP_TRY(expect(p, ")", "\",\" or \")\""));
    const char **kept = sp_arena_alloc(p->emit.arena, n * sizeof *kept + 1);
    if (!kept || p->emit.failed) return sp_fail(p->err, SP_E_MEMORY, "no memory for a formula");
    memcpy(kept, names, n * sizeof *kept);
    p->emit.refs[ref].arg_names = kept;
    p->emit.refs[ref].n_args = n;
    p->emit.refs[ref].n_named = n_named;
    sp_emit(&p->emit, SP_OP_CALL_REF, 0, ref);
    return SP_OK;
}

/* ${name}, {formula}, or a reference in either spelling. */
static sp_status parse_braces(parser *p)
{
    const bool dollar = sp_lexeme_is(&p->now, "${");
    sp_lexeme name, after;
    const bool named = braced_name(&p->now, 1, &name, &after);
    if (named && (dollar || is_dotted(&name)) && sp_lexeme_is(&after, "(")) {
        return parse_ref(p, &name, &after);
    }
    advance(p);
    if (!dollar) {
        SP_TRY(parse_formula(p));
        return expect(p, "}", "\"}\"");
    }
    if (!named) return fail_expecting(p, "a name");
    sp_emit_name(&p->emit, name.start, name.length);
    p->now = after;
    return SP_OK;
}

static sp_status parse_parentheses(parser *p)
{
    advance(p);
    SP_TRY(parse_formula(p));
    return expect(p, ")", "\")\"");
}

static sp_status parse_plain_atom(parser *p)
{
    const bool module = p->dialect == SP_FORMULA_MODULE;
    if (p->now.kind == SP_LEXEME_NUMBER) return parse_number(p);
    if (p->now.kind == SP_LEXEME_NAME) return parse_name(p);
    if (sp_lexeme_is(&p->now, "(")) return parse_parentheses(p);
    if (module && (sp_lexeme_is(&p->now, "{") || sp_lexeme_is(&p->now, "${"))) {
        return parse_braces(p);
    }
    if (module || p->now.kind != SP_LEXEME_TEXT) return fail_expecting(p, "a value");
    sp_emit_text(&p->emit, p->now.start + 1, p->now.length - 2);
    advance(p);
    return SP_OK;
}

/* An atom with what is in brackets behind it. */
static sp_status parse_atom(parser *p)
{
    SP_TRY(enter(p));
    SP_TRY(parse_plain_atom(p));
    while (p->dialect == SP_FORMULA_CONFIG && take(p, "[")) {
        SP_TRY(parse_formula(p));
        SP_TRY(expect(p, "]", "\"]\""));
        sp_emit(&p->emit, SP_OP_INDEX, 0, 0);
    }
    p->level--;
    return SP_OK;
}

/* ---- operators ---- */

typedef struct operation {
    const char *sign;
    sp_op op;
    int strength; /* operands bind at least so strongly */
    bool config_only;
} operation;

enum { OR = 1, AND, NOT, COMPARE, SUM, PRODUCT };

/* Signs with two characters are whole lexemes, so their order here does not matter. */
static const operation operations[] = {
    {"or",  SP_OP_OR,            OR,      true },
    {"and", SP_OP_AND,           AND,     true },
    {"in",  SP_OP_IN,            COMPARE, true },
    {"not", SP_OP_NOT_IN,        COMPARE, true },
    {"<",   SP_OP_LESS,          COMPARE, false},
    {"<=",  SP_OP_LESS_EQUAL,    COMPARE, false},
    {">",   SP_OP_GREATER,       COMPARE, false},
    {">=",  SP_OP_GREATER_EQUAL, COMPARE, false},
    {"==",  SP_OP_EQUAL,         COMPARE, false},
    {"!=",  SP_OP_UNEQUAL,       COMPARE, false},
    {"+",   SP_OP_ADD,           SUM,     false},
    {"-",   SP_OP_SUBTRACT,      SUM,     false},
    {"*",   SP_OP_MULTIPLY,      PRODUCT, false},
    {"/",   SP_OP_DIVIDE,        PRODUCT, false},
    {"//",  SP_OP_FLOOR_DIVIDE,  PRODUCT, false},
    {"%",   SP_OP_REMAINDER,     PRODUCT, false},
};

static const operation *operation_here(const parser *p)
{
    for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++) {
        if (operations[i].config_only && p->dialect != SP_FORMULA_CONFIG) continue;
        if (sp_lexeme_is(&p->now, operations[i].sign)) return &operations[i];
    }
    return NULL;
}

/* -2**2 is -(2**2) and 2**-1 is 2**(-1), so a sign and a power call each other. */
static sp_status parse_unary(parser *p)
{
    const bool minus = sp_lexeme_is(&p->now, "-");
    if (minus || sp_lexeme_is(&p->now, "+")) {
        SP_TRY(enter(p));
        advance(p);
        SP_TRY(parse_unary(p));
        sp_emit(&p->emit, minus ? SP_OP_NEGATE : SP_OP_PLUS, 0, 0);
        p->level--;
        return SP_OK;
    }
    SP_TRY(parse_atom(p));
    if (!sp_lexeme_is(&p->now, "**")) return SP_OK;
    SP_TRY(enter(p));
    advance(p);
    SP_TRY(parse_unary(p));
    sp_emit(&p->emit, SP_OP_POWER, 0, 0);
    p->level--;
    return SP_OK;
}

static sp_status parse_operand(parser *p, int weakest)
{
    if (weakest > NOT || p->dialect != SP_FORMULA_CONFIG || !sp_lexeme_is(&p->now, "not")) {
        return parse_unary(p);
    }
    SP_TRY(enter(p));
    advance(p);
    SP_TRY(parse_binary(p, NOT));
    sp_emit(&p->emit, SP_OP_NOT, 0, 0);
    p->level--;
    return SP_OK;
}

/* The right side of an operation, and the operation. */
static sp_status parse_right(parser *p, const operation *found)
{
    const bool lazy = found->op == SP_OP_AND || found->op == SP_OP_OR;
    advance(p);
    if (found->op == SP_OP_NOT_IN) SP_TRY(expect(p, "in", "\"in\""));
    const size_t jump = lazy ? sp_emit_jump(&p->emit, found->op) : 0;
    SP_TRY(parse_binary(p, found->strength + 1));
    if (lazy) {
        sp_emit_land(&p->emit, jump);
    } else {
        sp_emit(&p->emit, found->op, 0, 0);
    }
    return SP_OK;
}

/* Operations that bind at least as strongly as `weakest`, from left to right. */
static sp_status parse_binary(parser *p, int weakest)
{
    bool compared = false;
    SP_TRY(parse_operand(p, weakest));
    for (const operation *found; (found = operation_here(p)) && found->strength >= weakest;) {
        if (compared && found->strength == COMPARE) {
            return fail_at(p, &p->now, SP_E_SYNTAX, "two comparisons in a row");
        }
        compared = found->strength == COMPARE;
        SP_TRY(parse_right(p, found));
    }
    return SP_OK;
}

/* a if c else b: the code of a stands there when "if" is met. */
static sp_status parse_formula(parser *p)
{
    const size_t start = p->emit.n_code;
    SP_TRY(parse_binary(p, OR));
    if (!sp_lexeme_is(&p->now, "if")) return SP_OK;
    SP_TRY(enter(p));
    advance(p);
    const size_t condition = p->emit.n_code;
    SP_TRY(parse_binary(p, OR));
    const size_t unless = sp_emit_jump(&p->emit, SP_OP_UNLESS);
    const size_t before = start + (unless + 1 - condition);
    sp_emit_swap(&p->emit, start, condition);
    SP_TRY(expect(p, "else", "\"else\""));
    const size_t jump = sp_emit_jump(&p->emit, SP_OP_JUMP);
    sp_emit_land(&p->emit, before - 1);
    if (!p->emit.failed) p->emit.depth--; /* of a and b only one is there */
    SP_TRY(parse_formula(p));
    sp_emit_land(&p->emit, jump);
    p->level--;
    return SP_OK;
}

/* ---- the result ---- */

static sp_status parse_whole(parser *p, sp_arena *arena, size_t length, const sp_formula **out)
{
    sp_arena scratch = {0};
    sp_emit_init(&p->emit, &scratch, arena, length + 1);
    sp_status status = p->emit.failed ? SP_E_MEMORY : parse_formula(p);
    if (status == SP_OK && p->now.kind != SP_LEXEME_END) status = fail_expecting(p, "an operator");
    if (status == SP_OK && p->emit.stack > SP_FORMULA_STACK) {
        status = fail_at(p, &p->now, SP_E_RANGE, "the formula needs too many values at once");
    }
    if (status == SP_OK) {
        *out = sp_emit_finish(&p->emit, p->text);
        if (!*out) status = SP_E_MEMORY;
    }
    if (status == SP_E_MEMORY) sp_fail(p->err, SP_E_MEMORY, "no memory for a formula");
    sp_arena_fini(&scratch);
    return status;
}

sp_status sp_formula_parse(sp_arena *arena, sp_formula_dialect dialect, const char *text,
                           const sp_formula **out, sp_error *err)
{
    assert(arena && text && out && err);
    const size_t length = strnlen(text, SP_FORMULA_TEXT_MAX + 1);
    if (length > SP_FORMULA_TEXT_MAX) {
        sp_fail(err, SP_E_RANGE, "the formula is too long");
        return sp_fail_range(err, "up to %d characters", SP_FORMULA_TEXT_MAX);
    }
    parser p = {.text = text, .dialect = dialect, .now = sp_lexeme_at(text), .err = err};
    return parse_whole(&p, arena, length, out);
}

sp_formula_code sp_formula_code_of(sp_status parse_failure)
{
    if (parse_failure == SP_OK) return SP_FORMULA_OK;
    if (parse_failure == SP_E_RANGE) return SP_FORMULA_DEPTH;
    if (parse_failure == SP_E_OVERFLOW) return SP_FORMULA_OVERFLOW;
    if (parse_failure == SP_E_UNKNOWN_NAME) return SP_FORMULA_UNKNOWN_FUNCTION;
    return parse_failure == SP_E_TYPE ? SP_FORMULA_ARITY : SP_FORMULA_SYNTAX;
}

const char *sp_formula_text(const sp_formula *f)
{
    return f->text;
}

size_t sp_formula_names(const sp_formula *f, const char *const **names)
{
    *names = f->names;
    return f->n_names;
}

size_t sp_formula_refs(const sp_formula *f, const sp_formula_ref **refs)
{
    *refs = f->refs;
    return f->n_refs;
}
