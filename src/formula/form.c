/* SPDX-License-Identifier: Apache-2.0 */
/* Arithmetic on numbers that are linear in the widths of an element: sums go width by width,
 * products and quotients take one factor with widths, and everything else takes none. */
#include "formula/formula_priv.h"

#include <assert.h>
#include <string.h>

enum { POWER_MAX = 64 };

sp_form sp_form_of(uint32_t node)
{
    return (sp_form){.base = node};
}

bool sp_form_is_plain(const sp_form *form)
{
    bool plain = true;
    for (int w = 0; w < SP_N_WIDTHS; w++)
        plain = plain && form->width[w] == 0;
    return plain;
}

/* The same operation on the base and on each width. */
static sp_formula_code each(sp_nodes *nodes, sp_node_op op, sp_form *a, const sp_form *b)
{
    sp_formula_code code = sp_nodes_add(nodes, op, a->base, b->base, &a->base);
    for (int w = 0; w < SP_N_WIDTHS && code == SP_FORMULA_OK; w++)
        code = sp_nodes_add(nodes, op, a->width[w], b->width[w], &a->width[w]);
    return code;
}

/* Each of a times or over the plain number b. */
static sp_formula_code scale(sp_nodes *nodes, sp_node_op op, sp_form *a, uint32_t b)
{
    sp_form factor = {.base = b};
    for (int w = 0; w < SP_N_WIDTHS; w++)
        factor.width[w] = b;
    return each(nodes, op, a, &factor);
}

static sp_formula_code multiply(sp_nodes *nodes, sp_form *a, const sp_form *b)
{
    if (sp_form_is_plain(b)) return scale(nodes, SP_NODE_MULTIPLY, a, b->base);
    if (!sp_form_is_plain(a)) return SP_FORMULA_TYPE;
    const uint32_t factor = a->base;
    *a = *b;
    return scale(nodes, SP_NODE_MULTIPLY, a, factor);
}

static sp_formula_code floor_divide(sp_nodes *nodes, uint32_t a, uint32_t b, uint32_t *out)
{
    const sp_formula_code code = sp_nodes_add(nodes, SP_NODE_DIVIDE, a, b, out);
    return code == SP_FORMULA_OK ? sp_nodes_add(nodes, SP_NODE_FLOOR, *out, 0, out) : code;
}

/* a - b floor(a / b) */
static sp_formula_code remainder_of(sp_nodes *nodes, uint32_t a, uint32_t b, uint32_t *out)
{
    uint32_t whole = 0;
    sp_formula_code code = floor_divide(nodes, a, b, &whole);
    if (code == SP_FORMULA_OK) code = sp_nodes_add(nodes, SP_NODE_MULTIPLY, whole, b, &whole);
    return code == SP_FORMULA_OK ? sp_nodes_add(nodes, SP_NODE_SUBTRACT, a, whole, out) : code;
}

static sp_formula_code power_of_constants(sp_nodes *nodes, uint32_t a, uint32_t b, uint32_t *out)
{
    sp_rational result;
    const sp_formula_code code =
        sp_rational_power(nodes->node[a].value, nodes->node[b].value, &result);
    return code == SP_FORMULA_OK ? sp_nodes_constant(nodes, result, out) : code;
}

/* A running number to a constant whole power, as products. */
static sp_formula_code power(sp_nodes *nodes, uint32_t a, uint32_t b, uint32_t *out)
{
    uint32_t one = 0;
    const sp_rational exponent = nodes->node[b].value;
    if (!sp_nodes_is_constant(nodes, b)) return SP_FORMULA_POW;
    if (sp_nodes_is_constant(nodes, a)) return power_of_constants(nodes, a, b, out);
    const bool whole = exponent.den == 1;
    if (!whole || exponent.num > POWER_MAX || exponent.num < -POWER_MAX) return SP_FORMULA_POW;
    sp_formula_code code = sp_nodes_constant(nodes, sp_rational_of_int(1), &one);
    const int n = (int)(exponent.num < 0 ? -exponent.num : exponent.num);
    *out = one;
    for (int i = 0; i < n && code == SP_FORMULA_OK; i++)
        code = sp_nodes_add(nodes, SP_NODE_MULTIPLY, *out, a, out);
    if (code != SP_FORMULA_OK || exponent.num >= 0) return code;
    return sp_nodes_add(nodes, SP_NODE_DIVIDE, one, *out, out);
}

static sp_formula_code compare(sp_nodes *nodes, sp_op op, uint32_t a, uint32_t b, uint32_t *out)
{
    const bool swapped = op == SP_OP_GREATER || op == SP_OP_GREATER_EQUAL;
    const bool strict = op == SP_OP_LESS || op == SP_OP_GREATER;
    const bool ordered = op != SP_OP_EQUAL && op != SP_OP_UNEQUAL;
    const sp_node_op node = !ordered ? SP_NODE_EQUAL : strict ? SP_NODE_LESS : SP_NODE_LESS_EQUAL;
    uint32_t one = 0;
    sp_formula_code code = sp_nodes_add(nodes, node, swapped ? b : a, swapped ? a : b, out);
    if (code != SP_FORMULA_OK || op != SP_OP_UNEQUAL) return code;
    code = sp_nodes_constant(nodes, sp_rational_of_int(1), &one);
    return code == SP_FORMULA_OK ? sp_nodes_add(nodes, SP_NODE_SUBTRACT, one, *out, out) : code;
}

/* Operations that have no meaning for a number with widths in it. */
static sp_formula_code combine_plain(sp_nodes *nodes, sp_op op, uint32_t a, uint32_t b,
                                     uint32_t *out)
{
    if (op == SP_OP_FLOOR_DIVIDE) return floor_divide(nodes, a, b, out);
    if (op == SP_OP_REMAINDER) return remainder_of(nodes, a, b, out);
    if (op == SP_OP_POWER) return power(nodes, a, b, out);
    const bool comparison = op >= SP_OP_LESS && op <= SP_OP_UNEQUAL;
    return comparison ? compare(nodes, op, a, b, out) : SP_FORMULA_TYPE;
}

sp_formula_code sp_form_combine(sp_nodes *nodes, sp_op op, sp_form *a, const sp_form *b)
{
    if (op == SP_OP_ADD) return each(nodes, SP_NODE_ADD, a, b);
    if (op == SP_OP_SUBTRACT) return each(nodes, SP_NODE_SUBTRACT, a, b);
    if (op == SP_OP_MULTIPLY) return multiply(nodes, a, b);
    if (!sp_form_is_plain(b)) return SP_FORMULA_TYPE;
    if (op == SP_OP_DIVIDE) return scale(nodes, SP_NODE_DIVIDE, a, b->base);
    if (!sp_form_is_plain(a)) return SP_FORMULA_TYPE;
    return combine_plain(nodes, op, a->base, b->base, &a->base);
}

sp_formula_code sp_form_select(sp_nodes *nodes, uint32_t condition, const sp_form *a,
                               const sp_form *b, sp_form *out)
{
    sp_formula_code code = sp_nodes_select(nodes, condition, a->base, b->base, &out->base);
    for (int w = 0; w < SP_N_WIDTHS && code == SP_FORMULA_OK; w++)
        code = sp_nodes_select(nodes, condition, a->width[w], b->width[w], &out->width[w]);
    return code;
}

/* Toward zero: floor(max(x, 0)) + ceil(min(x, 0)) */
static sp_formula_code whole_part(sp_nodes *nodes, uint32_t x, uint32_t *out)
{
    uint32_t above = 0, below = 0;
    sp_formula_code code = sp_nodes_add(nodes, SP_NODE_MAX, x, 0, &above);
    if (code == SP_FORMULA_OK) code = sp_nodes_add(nodes, SP_NODE_FLOOR, above, 0, &above);
    if (code == SP_FORMULA_OK) code = sp_nodes_add(nodes, SP_NODE_MIN, x, 0, &below);
    if (code == SP_FORMULA_OK) code = sp_nodes_add(nodes, SP_NODE_CEIL, below, 0, &below);
    return code == SP_FORMULA_OK ? sp_nodes_add(nodes, SP_NODE_ADD, above, below, out) : code;
}

/* max(x, -x) */
static sp_formula_code magnitude(sp_nodes *nodes, uint32_t x, uint32_t *out)
{
    uint32_t turned = 0;
    const sp_formula_code code = sp_nodes_add(nodes, SP_NODE_SUBTRACT, 0, x, &turned);
    return code == SP_FORMULA_OK ? sp_nodes_add(nodes, SP_NODE_MAX, x, turned, out) : code;
}

static sp_formula_code extreme(sp_nodes *nodes, sp_node_op op, const sp_form *args, size_t n_args,
                               uint32_t *out)
{
    sp_formula_code code = SP_FORMULA_OK;
    *out = args[0].base;
    for (size_t i = 1; i < n_args && code == SP_FORMULA_OK; i++)
        code = sp_nodes_add(nodes, op, *out, args[i].base, out);
    return code;
}

sp_formula_code sp_form_call(sp_nodes *nodes, const char *function, const sp_form *args,
                             size_t n_args, sp_form *out)
{
    uint32_t node = 0;
    sp_formula_code code = SP_FORMULA_TYPE;
    for (size_t i = 0; i < n_args; i++) {
        if (!sp_form_is_plain(&args[i])) return SP_FORMULA_TYPE;
    }
    const uint32_t x = args[0].base;
    if (strcmp(function, "min") == 0) {
        code = extreme(nodes, SP_NODE_MIN, args, n_args, &node);
    } else if (strcmp(function, "max") == 0) {
        code = extreme(nodes, SP_NODE_MAX, args, n_args, &node);
    } else if (strcmp(function, "floor") == 0) {
        code = sp_nodes_add(nodes, SP_NODE_FLOOR, x, 0, &node);
    } else if (strcmp(function, "ceil") == 0) {
        code = sp_nodes_add(nodes, SP_NODE_CEIL, x, 0, &node);
    } else if (strcmp(function, "int") == 0) {
        code = whole_part(nodes, x, &node);
    } else if (strcmp(function, "abs") == 0) {
        code = magnitude(nodes, x, &node);
    }
    *out = sp_form_of(node);
    return code;
}
