/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the postfix program of an expression on a fixed stack. The parser has proved that the stack
 * is deep enough and that each operation finds its values. */
#include "base/base_priv.h"

#include <assert.h>
#include <math.h>

/* Not x != 0: a value that is no number must not make a condition hold. */
static bool is_true(double x)
{
    return x < 0 || x > 0;
}

/* Also of 0 / 0: a share of nothing exceeds every limit, where NaN would pass none and fail none.
 */
static double divide(double a, double b)
{
    if (b == 0) return a < 0 ? -HUGE_VAL : HUGE_VAL;
    return a / b;
}

static double remainder_of(double a, double b)
{
    const double whole = trunc(b);
    return whole == 0 ? HUGE_VAL : fmod(trunc(a), whole);
}

static double combine(sp_expr_op op, double a, double b)
{
    switch (op) {
    case SP_EXPR_MULTIPLY:
        return a * b;
    case SP_EXPR_DIVIDE:
        return divide(a, b);
    case SP_EXPR_REMAINDER:
        return remainder_of(a, b);
    case SP_EXPR_ADD:
        return a + b;
    case SP_EXPR_SUBTRACT:
        return a - b;
    case SP_EXPR_EQUAL:
        return a == b;
    case SP_EXPR_UNEQUAL:
        return a != b;
    case SP_EXPR_LESS:
        return a < b;
    case SP_EXPR_LESS_EQUAL:
        return a <= b;
    case SP_EXPR_GREATER:
        return a > b;
    case SP_EXPR_GREATER_EQUAL:
        return a >= b;
    case SP_EXPR_AND:
        return is_true(a) && is_true(b);
    case SP_EXPR_OR:
        return is_true(a) || is_true(b);
    case SP_EXPR_CONSTANT:
    case SP_EXPR_VARIABLE:
    case SP_EXPR_NEGATE:
    case SP_EXPR_NOT:
        break;
    }
    assert(!"an operation on two values");
    return 0;
}

double sp_expr_eval(const sp_expr *expr, const double *values)
{
    double stack[SP_EXPR_STACK] = {0};
    size_t n = 0;
    for (size_t i = 0; i < expr->n_code; i++) {
        const sp_expr_instr *instr = &expr->code[i];
        if (instr->op == SP_EXPR_CONSTANT) {
            stack[n++] = instr->constant;
        } else if (instr->op == SP_EXPR_VARIABLE) {
            stack[n++] = values[instr->variable];
        } else if (instr->op == SP_EXPR_NEGATE) {
            stack[n - 1] = -stack[n - 1];
        } else if (instr->op == SP_EXPR_NOT) {
            stack[n - 1] = !is_true(stack[n - 1]);
        } else {
            n--;
            stack[n - 1] = combine(instr->op, stack[n - 1], stack[n]);
        }
    }
    assert(n == 1);
    return stack[0];
}

size_t sp_expr_variables(const sp_expr *expr, const int **indices)
{
    *indices = expr->variables;
    return expr->n_variables;
}

const char *sp_expr_text(const sp_expr *expr)
{
    return expr->text;
}
