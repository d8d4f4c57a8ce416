/* SPDX-License-Identifier: Apache-2.0 */
/* Costs of classes that were worked out before, by class, metric and the values of all variables.
 */
#include "formula/formula_priv.h"

#include <string.h>

size_t sp_expansion_variables(const sp_expansion *x, const sp_class *c)
{
    return x->library->n_globals + c->n_locals;
}

uint64_t sp_expansion_hash(const sp_value *variables, size_t n, size_t class_idx)
{
    uint64_t hash = class_idx;
    for (size_t i = 0; i < n; i++) {
        const sp_rational r = variables[i].number;
        const bool number = variables[i].kind == SP_VALUE_NUMBER;
        const uint64_t part = number ? (uint64_t)r.num ^ (uint64_t)(r.num >> 64) << 1 ^
                                           (uint64_t)r.den * 0x9e3779b97f4a7c15U
                                     : 1;
        hash = (hash ^ part) * 0xff51afd7ed558ccdU;
        hash ^= hash >> 32;
    }
    return hash;
}

static bool same_variables(const sp_value *a, const sp_value *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!sp_value_equal(&a[i], &b[i])) return false;
    }
    return true;
}

const sp_memo *sp_expansion_recall(const sp_expansion *x, size_t class_idx, uint64_t hash,
                                   size_t base)
{
    const size_t n = sp_expansion_variables(x, &x->library->classes[class_idx]);
    for (const sp_memo *m = x->buckets[hash % SP_EXPANSION_BUCKETS]; m; m = m->next) {
        if (m->hash == hash && m->class_idx == class_idx && m->metric == x->metric &&
            same_variables(m->variables, x->values + base, n)) {
            return m;
        }
    }
    return NULL;
}

/* Without memory the result is worked out again next time. */
void sp_expansion_remember(sp_expansion *x, size_t class_idx, uint64_t hash, size_t base,
                           sp_rational cost)
{
    const size_t n = sp_expansion_variables(x, &x->library->classes[class_idx]);
    sp_memo *m = sp_arena_alloc(&x->arena, sizeof *m);
    sp_value *variables = sp_arena_alloc(&x->arena, n * sizeof *variables + 1);
    if (!m || !variables) return;
    if (n > 0) memcpy(variables, x->values + base, n * sizeof *variables);
    *m = (sp_memo){.next = x->buckets[hash % SP_EXPANSION_BUCKETS],
                   .class_idx = class_idx,
                   .metric = x->metric,
                   .hash = hash,
                   .variables = variables,
                   .cost = cost};
    x->buckets[hash % SP_EXPANSION_BUCKETS] = m;
}
