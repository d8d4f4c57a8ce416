/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a program on a stack of values. Nothing is allocated, and nothing recurses but references,
 * which the frame bounds. Only what a taken branch reads is asked for. */
#include "formula/formula_priv.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *sp_formula_code_name(sp_formula_code code)
{
    static const char *const names[] = {
#define SP_FORMULA_CODE(name, word, words) word,
        SP_FORMULA_CODE_LIST(SP_FORMULA_CODE)
#undef SP_FORMULA_CODE
    };
    return names[code];
}

const char *sp_formula_code_words(sp_formula_code code)
{
    static const char *const texts[] = {
#define SP_FORMULA_CODE(name, word, words) words,
        SP_FORMULA_CODE_LIST(SP_FORMULA_CODE)
#undef SP_FORMULA_CODE
    };
    return texts[code];
}

const char *sp_formula_metric_name(sp_formula_metric metric)
{
    static const char *const names[] = {"flops", "read", "write"};
    return names[metric];
}

sp_formula_code sp_formula_fail(sp_formula_failure *failure, sp_formula_code code, const char *name,
                                const char *format, ...)
{
    if (!failure) return code;
    va_list args;
    va_start(args, format);
    snprintf(failure->name, sizeof failure->name, "%s", name);
    vsnprintf(failure->detail, sizeof failure->detail, format, args);
    va_end(args);
    return code;
}

static const char *const signs[] = {
    [SP_OP_NEGATE] = "-",    [SP_OP_PLUS] = "+",
    [SP_OP_NOT] = "not",     [SP_OP_ADD] = "+",
    [SP_OP_SUBTRACT] = "-",  [SP_OP_MULTIPLY] = "*",
    [SP_OP_DIVIDE] = "/",    [SP_OP_FLOOR_DIVIDE] = "//",
    [SP_OP_REMAINDER] = "%", [SP_OP_POWER] = "**",
    [SP_OP_LESS] = "<",      [SP_OP_LESS_EQUAL] = "<=",
    [SP_OP_GREATER] = ">",   [SP_OP_GREATER_EQUAL] = ">=",
    [SP_OP_EQUAL] = "==",    [SP_OP_UNEQUAL] = "!=",
    [SP_OP_IN] = "in",       [SP_OP_NOT_IN] = "not in",
    [SP_OP_INDEX] = "[]",
};

typedef sp_formula_code (*arithmetic)(sp_rational a, sp_rational b, sp_rational *out);

static const arithmetic arithmetics[] = {
    [SP_OP_ADD] = sp_rational_add,
    [SP_OP_SUBTRACT] = sp_rational_subtract,
    [SP_OP_MULTIPLY] = sp_rational_multiply,
    [SP_OP_DIVIDE] = sp_rational_divide,
    [SP_OP_FLOOR_DIVIDE] = sp_rational_floor_divide,
    [SP_OP_REMAINDER] = sp_rational_remainder,
    [SP_OP_POWER] = sp_rational_power,
};

static bool compare(sp_op op, sp_rational a, sp_rational b)
{
    const int order = sp_rational_compare(a, b);
    if (op == SP_OP_LESS) return order < 0;
    if (op == SP_OP_LESS_EQUAL) return order <= 0;
    return op == SP_OP_GREATER ? order > 0 : order >= 0;
}

/* a becomes a op b; both are numbers. */
static sp_formula_code combine_numbers(sp_op op, sp_value *a, const sp_value *b,
                                       sp_formula_failure *failure)
{
    if (op >= SP_OP_LESS) {
        *a = sp_value_of_int(compare(op, a->number, b->number));
        return SP_FORMULA_OK;
    }
    const sp_formula_code code = arithmetics[op](a->number, b->number, &a->number);
    if (code == SP_FORMULA_OK) return code;
    return sp_formula_fail(failure, code, signs[op], "%s", sp_formula_code_words(code));
}

static sp_formula_code combine(sp_op op, sp_value *a, const sp_value *b,
                               sp_formula_failure *failure)
{
    bool truth = false;
    sp_formula_code code = SP_FORMULA_OK;
    if (op == SP_OP_INDEX) {
        const sp_value list = *a;
        return sp_value_index(&list, b, a, failure);
    }
    if (op == SP_OP_EQUAL || op == SP_OP_UNEQUAL) {
        truth = sp_value_equal(a, b) == (op == SP_OP_EQUAL);
    } else if (op == SP_OP_IN || op == SP_OP_NOT_IN) {
        code = sp_value_in(a, b, &truth, failure);
        truth = truth == (op == SP_OP_IN);
    } else if (a->kind == SP_VALUE_NUMBER && b->kind == SP_VALUE_NUMBER) {
        return combine_numbers(op, a, b, failure);
    } else {
        return sp_formula_fail(failure, SP_FORMULA_TYPE, signs[op], "\"%s\" between %s and %s",
                               signs[op], sp_value_kind_words(a), sp_value_kind_words(b));
    }
    *a = sp_value_of_int(truth);
    return code;
}

static sp_formula_code change(sp_op op, sp_value *a, sp_formula_failure *failure)
{
    if (op == SP_OP_NOT) {
        *a = sp_value_of_int(!sp_value_is_true(a));
        return SP_FORMULA_OK;
    }
    if (a->kind != SP_VALUE_NUMBER) {
        return sp_formula_fail(failure, SP_FORMULA_TYPE, signs[op], "\"%s\" before %s", signs[op],
                               sp_value_kind_words(a));
    }
    if (op == SP_OP_NEGATE) a->number = sp_rational_negate(a->number);
    return SP_FORMULA_OK;
}

static sp_formula_code admit_ref(const sp_formula *f, const sp_frame *frame, size_t ref,
                                 sp_formula_failure *failure)
{
    if (frame->admit) return frame->admit(frame, ref, failure);
    return sp_formula_fail(failure, SP_FORMULA_UNRESOLVED_REF, f->refs[ref].class_name, "%s",
                           sp_formula_code_words(SP_FORMULA_UNRESOLVED_REF));
}

static sp_formula_code fail_function(const sp_formula *f, const sp_instr *instr,
                                     sp_formula_failure *failure)
{
    const char *name = f->texts[instr->arg];
    const bool known = sp_function_find(SP_FORMULA_MODULE, name, strlen(name)) >= 0;
    if (!known) {
        return sp_formula_fail(failure, SP_FORMULA_UNKNOWN_FUNCTION, name, "%s",
                               sp_formula_code_words(SP_FORMULA_UNKNOWN_FUNCTION));
    }
    return sp_formula_fail(failure, SP_FORMULA_ARITY, name, "%s does not take %u arguments", name,
                           (unsigned)instr->n);
}

static sp_formula_code push(const sp_formula *f, const sp_frame *frame, const sp_instr *instr,
                            sp_value *top, sp_formula_failure *failure)
{
    if (instr->op == SP_OP_NAME) return frame->load(frame, f, instr->arg, top, failure);
    if (instr->op == SP_OP_NUMBER) {
        *top = (sp_value){.kind = SP_VALUE_NUMBER, .number = f->numbers[instr->arg]};
    } else if (instr->op == SP_OP_TEXT) {
        *top = (sp_value){.kind = SP_VALUE_TEXT, .text = f->texts[instr->arg]};
    } else {
        *top = (sp_value){.kind = SP_VALUE_NONE};
    }
    return SP_FORMULA_OK;
}

/* How many instructions to skip; takes the condition off the stack unless it is the result. */
static size_t jump(const sp_instr *instr, const sp_value *stack, size_t *n)
{
    if (instr->op == SP_OP_JUMP) return instr->arg;
    const bool truth = sp_value_is_true(&stack[*n - 1]);
    if (instr->op == SP_OP_OR ? truth : instr->op == SP_OP_AND && !truth) return instr->arg;
    --*n;
    return instr->op == SP_OP_UNLESS && !truth ? instr->arg : 0;
}

/* Replaces the arguments on the stack by the result. */
static sp_formula_code call(const sp_formula *f, const sp_frame *frame, const sp_instr *instr,
                            sp_value *stack, size_t *n, sp_formula_failure *failure)
{
    if (instr->op == SP_OP_REF) return admit_ref(f, frame, instr->arg, failure);
    if (instr->op == SP_OP_FAIL) return fail_function(f, instr, failure);
    const bool is_ref = instr->op == SP_OP_CALL_REF;
    const size_t n_args = is_ref ? f->refs[instr->arg].n_args : instr->n;
    assert(*n >= n_args);
    sp_value *args = stack + (*n - n_args), result = {.kind = SP_VALUE_NONE};
    const sp_formula_code code =
        is_ref ? frame->call(frame, instr->arg, args, &result, failure)
               : sp_function_call((int)instr->arg, args, n_args, &result, failure);
    *n = *n - n_args + 1;
    stack[*n - 1] = result;
    return code;
}

static sp_formula_code run_on(const sp_formula *f, const sp_frame *frame, sp_value *stack,
                              sp_value *out, sp_formula_failure *failure)
{
    size_t n = 0;
    for (size_t i = 0; i < f->n_code; i++) {
        const sp_instr *instr = &f->code[i];
        const sp_op op = (sp_op)instr->op;
        sp_formula_code code = SP_FORMULA_OK;
        if (op <= SP_OP_NAME) {
            code = push(f, frame, instr, &stack[n++], failure);
        } else if (op <= SP_OP_OR) {
            i += jump(instr, stack, &n);
        } else if (op >= SP_OP_ADD) {
            n--;
            code = combine(op, &stack[n - 1], &stack[n], failure);
        } else if (op >= SP_OP_NEGATE) {
            code = change(op, &stack[n - 1], failure);
        } else {
            code = call(f, frame, instr, stack, &n, failure);
        }
        if (code != SP_FORMULA_OK) return code;
    }
    assert(n == 1);
    *out = stack[0];
    return SP_FORMULA_OK;
}

/* Apart from run_on_small, so that a chain of references needs little of the machine's stack. */
static __attribute__((noinline)) sp_formula_code
run_on_large(const sp_formula *f, const sp_frame *frame, sp_value *out, sp_formula_failure *failure)
{
    sp_value stack[SP_FORMULA_STACK] = {0};
    return run_on(f, frame, stack, out, failure);
}

static __attribute__((noinline)) sp_formula_code
run_on_small(const sp_formula *f, const sp_frame *frame, sp_value *out, sp_formula_failure *failure)
{
    sp_value stack[SP_FORMULA_SMALL_STACK] = {0};
    return run_on(f, frame, stack, out, failure);
}

sp_formula_code sp_formula_run(const sp_formula *f, const sp_frame *frame, sp_value *out,
                               sp_formula_failure *failure)
{
    assert(f->stack <= SP_FORMULA_STACK);
    if (f->stack > SP_FORMULA_SMALL_STACK) return run_on_large(f, frame, out, failure);
    return run_on_small(f, frame, out, failure);
}

static sp_formula_code load_from_scope(const sp_frame *frame, const sp_formula *f, size_t name,
                                       sp_value *out, sp_formula_failure *failure)
{
    const sp_scope *scope = frame->user;
    const sp_formula_code code =
        scope ? scope->lookup(scope->user, f->names[name], out) : SP_FORMULA_UNBOUND;
    if (code == SP_FORMULA_OK) return code;
    return sp_formula_fail(failure, code, f->names[name], "%s", sp_formula_code_words(code));
}

sp_formula_code sp_formula_eval(const sp_formula *f, const sp_scope *scope, sp_value *out,
                                sp_formula_failure *failure)
{
    assert(f && out);
    return sp_formula_run(f, &(sp_frame){.load = load_from_scope, .user = scope}, out, failure);
}

static sp_formula_code load_from_values(const sp_frame *frame, const sp_formula *f, size_t name,
                                        sp_value *out, sp_formula_failure *failure)
{
    (void)f;
    (void)failure;
    *out = ((const sp_value *)frame->user)[name];
    return SP_FORMULA_OK;
}

sp_formula_code sp_formula_eval_values(const sp_formula *f, const sp_value *values, sp_value *out,
                                       sp_formula_failure *failure)
{
    assert(f && out && (values || f->n_names == 0));
    return sp_formula_run(f, &(sp_frame){.load = load_from_values, .user = values}, out, failure);
}
