/* SPDX-License-Identifier: Apache-2.0 */
/* Values that only a running model knows, as a graph of arithmetic: constants are folded exactly,
 * equal nodes are one, and each node knows between which numbers it stays. */
#include "formula/formula_priv.h"

#include <assert.h>
#include <math.h>

#define LIMIT  1e9   /* of a running number */
#define LEAST  1e-9  /* of those that are above zero */
#define FINITE 1e290 /* no value may be larger */

const char *const sp_runtime_names[SP_N_RUNTIME] = {"batch_size", "seq_len", "cache_len",
                                                    "attended"};
const char *const sp_width_names[SP_N_WIDTHS] = {"w_bytes", "a_bytes", "kv_bytes"};

static bool same(const sp_node *a, const sp_node *b)
{
    return a->op == b->op && a->a == b->a && a->b == b->b && a->c == b->c &&
           sp_rational_compare(a->value, b->value) == 0;
}

static sp_formula_code keep(sp_nodes *nodes, const sp_node *made, uint32_t *out)
{
    for (uint32_t i = 0; i < nodes->n; i++) {
        *out = i;
        if (same(&nodes->node[i], made)) return SP_FORMULA_OK;
    }
    if (!(fabs(made->lo) <= FINITE && fabs(made->hi) <= FINITE)) return SP_FORMULA_OVERFLOW;
    if (nodes->n == SP_NODES_MAX) return SP_FORMULA_DEPTH;
    *out = nodes->n;
    nodes->node[nodes->n++] = *made;
    return SP_FORMULA_OK;
}

sp_formula_code sp_nodes_constant(sp_nodes *nodes, sp_rational value, uint32_t *out)
{
    const double x = sp_rational_to_double(value);
    return keep(nodes, &(sp_node){.op = SP_NODE_CONSTANT, .value = value, .lo = x, .hi = x}, out);
}

void sp_nodes_init(sp_nodes *nodes)
{
    uint32_t zero = 0;
    nodes->n = 0;
    const sp_formula_code code = sp_nodes_constant(nodes, sp_rational_of_int(0), &zero);
    assert(code == SP_FORMULA_OK && zero == 0);
    (void)code;
}

sp_formula_code sp_nodes_runtime(sp_nodes *nodes, sp_runtime which, uint32_t *out)
{
    static const double least[SP_N_RUNTIME] = {LEAST, 1.0, 0.0, LEAST};
    return keep(nodes,
                &(sp_node){
                    .op = SP_NODE_RUNTIME,
                    .a = (uint32_t)which,
                    .value = {0, 1},
                    .lo = least[which],
                    .hi = LIMIT
    },
                out);
}

bool sp_nodes_is_constant(const sp_nodes *nodes, uint32_t idx)
{
    return nodes->node[idx].op == SP_NODE_CONSTANT;
}

/* ---- constants ---- */

static sp_formula_code fold(sp_node_op op, sp_rational a, sp_rational b, sp_rational *out)
{
    const int order = sp_rational_compare(a, b);
    switch (op) {
    case SP_NODE_ADD:
        return sp_rational_add(a, b, out);
    case SP_NODE_SUBTRACT:
        return sp_rational_subtract(a, b, out);
    case SP_NODE_MULTIPLY:
        return sp_rational_multiply(a, b, out);
    case SP_NODE_DIVIDE:
        return sp_rational_divide(a, b, out);
    case SP_NODE_FLOOR:
        *out = sp_rational_floor(a);
        break;
    case SP_NODE_CEIL:
        *out = sp_rational_ceil(a);
        break;
    case SP_NODE_MIN:
        *out = order < 0 ? a : b;
        break;
    case SP_NODE_MAX:
        *out = order > 0 ? a : b;
        break;
    case SP_NODE_LESS:
        *out = sp_rational_of_int(order < 0);
        break;
    case SP_NODE_LESS_EQUAL:
        *out = sp_rational_of_int(order <= 0);
        break;
    case SP_NODE_EQUAL:
        *out = sp_rational_of_int(order == 0);
        break;
    case SP_NODE_CONSTANT:
    case SP_NODE_RUNTIME:
    case SP_NODE_SELECT:
        assert(!"nothing to be folded");
        break;
    }
    return SP_FORMULA_OK;
}

/* ---- intervals ---- */

/* Of products of the ends. */
static void bound_product(sp_node *made, double a_lo, double a_hi, double b_lo, double b_hi)
{
    const double ends[] = {a_lo * b_lo, a_lo * b_hi, a_hi * b_lo, a_hi * b_hi};
    made->lo = made->hi = ends[0];
    for (int i = 1; i < 4; i++) {
        made->lo = fmin(made->lo, ends[i]);
        made->hi = fmax(made->hi, ends[i]);
    }
}

static void bound(sp_node *made, const sp_node *a, const sp_node *b)
{
    switch (made->op) {
    case SP_NODE_ADD:
        made->lo = a->lo + b->lo;
        made->hi = a->hi + b->hi;
        break;
    case SP_NODE_SUBTRACT:
        made->lo = a->lo - b->hi;
        made->hi = a->hi - b->lo;
        break;
    case SP_NODE_MULTIPLY:
        bound_product(made, a->lo, a->hi, b->lo, b->hi);
        break;
    case SP_NODE_DIVIDE:
        bound_product(made, a->lo, a->hi, 1.0 / b->hi, 1.0 / b->lo);
        break;
    case SP_NODE_FLOOR:
    case SP_NODE_CEIL:
        made->lo = floor(a->lo);
        made->hi = ceil(a->hi);
        break;
    case SP_NODE_MIN:
        made->lo = fmin(a->lo, b->lo);
        made->hi = fmin(a->hi, b->hi);
        break;
    case SP_NODE_MAX:
        made->lo = fmax(a->lo, b->lo);
        made->hi = fmax(a->hi, b->hi);
        break;
    case SP_NODE_LESS:
    case SP_NODE_LESS_EQUAL:
    case SP_NODE_EQUAL:
        made->lo = 0.0;
        made->hi = 1.0;
        break;
    case SP_NODE_CONSTANT:
    case SP_NODE_RUNTIME:
    case SP_NODE_SELECT:
        break;
    }
}

/* ---- operations ---- */

static bool is_one(const sp_node *node)
{
    return node->op == SP_NODE_CONSTANT && node->value.num == 1 && node->value.den == 1;
}

/* x + 0, x - 0, x * 1, x * 0, x / 1, 0 / x need no node. */
static bool simplify(const sp_nodes *nodes, sp_node_op op, uint32_t a, uint32_t b, uint32_t *out)
{
    const bool product = op == SP_NODE_MULTIPLY, sum = op == SP_NODE_ADD;
    const bool share = op == SP_NODE_DIVIDE, difference = op == SP_NODE_SUBTRACT;
    *out = a;
    if (b == 0 && (sum || difference)) return true;
    if (is_one(&nodes->node[b]) && (product || share)) return true;
    if (a == 0 && (product || share)) return true;
    *out = b;
    return (a == 0 && sum) || (is_one(&nodes->node[a]) && product) || (b == 0 && product);
}

sp_formula_code sp_nodes_add(sp_nodes *nodes, sp_node_op op, uint32_t a, uint32_t b, uint32_t *out)
{
    const sp_node *const left = &nodes->node[a], *const right = &nodes->node[b];
    if (op == SP_NODE_DIVIDE && right->lo <= 0.0 && right->hi >= 0.0) return SP_FORMULA_DIV0;
    if (left->op == SP_NODE_CONSTANT && right->op == SP_NODE_CONSTANT) {
        sp_rational folded;
        const sp_formula_code code = fold(op, left->value, right->value, &folded);
        return code == SP_FORMULA_OK ? sp_nodes_constant(nodes, folded, out) : code;
    }
    if (simplify(nodes, op, a, b, out)) return SP_FORMULA_OK;
    sp_node made = {
        .op = op, .a = a, .b = b, .value = {0, 1}
    };
    bound(&made, left, right);
    return keep(nodes, &made, out);
}

sp_formula_code sp_nodes_select(sp_nodes *nodes, uint32_t condition, uint32_t a, uint32_t b,
                                uint32_t *out)
{
    const sp_node *const when = &nodes->node[condition];
    *out = a;
    if (a == b) return SP_FORMULA_OK;
    if (when->op == SP_NODE_CONSTANT) {
        *out = condition != 0 ? a : b;
        return SP_FORMULA_OK;
    }
    return keep(nodes,
                &(sp_node){
                    .op = SP_NODE_SELECT,
                    .a = condition,
                    .b = a,
                    .c = b,
                    .value = {0, 1},
                    .lo = fmin(nodes->node[a].lo, nodes->node[b].lo),
                    .hi = fmax(nodes->node[a].hi, nodes->node[b].hi)
    },
                out);
}
