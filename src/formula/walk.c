/* SPDX-License-Identifier: Apache-2.0 */
/* Lists the kernels that the cost of a class is made of. Kernels that are nothing but another
 * class, and kernels with parts, are entered; what is left is priced for every metric. */
#include "formula/formula_priv.h"

#include <assert.h>

enum { KERNELS_MAX = 100000 };

typedef struct walk {
    sp_formula_kernel_visit visit;
    void *user;
    sp_rational times; /* repetitions of the kernel that is being entered */
    unsigned depth;
    size_t n_visited;
} walk;

/* Nothing but ${Class}(..) for every metric. */
static bool stands_for_class(const sp_kernel *kernel)
{
    for (int m = 0; m < SP_N_FORMULA_METRICS; m++) {
        const sp_formula *f = kernel->metrics[m].f;
        if (!f || f->n_refs != 1) return false;
        const bool first = f->code[0].op == SP_OP_REF;
        if (!first || f->code[f->n_code - 1].op != SP_OP_CALL_REF) return false;
    }
    return true;
}

static sp_formula_code fail_times(const sp_expansion *x, sp_formula_code code,
                                  const sp_kernel *kernel)
{
    return sp_formula_fail(x->failure, code, kernel->operation, "%s", sp_formula_code_words(code));
}

static sp_formula_code visit_leaf(sp_expansion *x, const sp_class *owner, const sp_kernel *kernel,
                                  size_t base, sp_rational times)
{
    walk *w = x->user;
    sp_formula_kernel leaf = {.operation = kernel->operation,
                              .type = kernel->type,
                              .class_name = owner->name,
                              .times = times,
                              .depth = w->depth};
    if (++w->n_visited > KERNELS_MAX) return fail_times(x, SP_FORMULA_DEPTH, kernel);
    for (x->metric = SP_FORMULA_FLOPS; x->metric < SP_N_FORMULA_METRICS; x->metric++) {
        const sp_formula_code code =
            sp_expansion_single(x, owner, kernel, base, &leaf.cost[x->metric]);
        if (code != SP_FORMULA_OK) return code;
    }
    w->visit(w->user, &leaf);
    return SP_FORMULA_OK;
}

static sp_formula_code walk_kernels(sp_expansion *x, const sp_class *owner,
                                    const sp_kernel *kernels, size_t n, size_t base,
                                    sp_rational times);

/* Called in the place of the cost of a class. */
static sp_formula_code enter_class(sp_expansion *x, size_t class_idx, size_t base, sp_rational *out)
{
    walk *w = x->user;
    const sp_class *c = &x->library->classes[class_idx];
    *out = sp_rational_of_int(0);
    x->enter = NULL;
    x->active[x->n_active++] = class_idx;
    w->depth++;
    const sp_formula_code code = walk_kernels(x, c, c->kernels, c->n_kernels, base, w->times);
    w->depth--;
    x->n_active--;
    return code;
}

static sp_formula_code walk_kernel(sp_expansion *x, const sp_class *owner, const sp_kernel *kernel,
                                   size_t base, sp_rational times)
{
    walk *w = x->user;
    sp_rational nothing;
    const bool sum = kernel->n_subs > 0 && !kernel->metrics[SP_FORMULA_FLOPS].path;
    if (sum) return walk_kernels(x, owner, kernel->subs, kernel->n_subs, base, times);
    if (!kernel->child && !stands_for_class(kernel)) {
        return visit_leaf(x, owner, kernel, base, times);
    }
    x->metric = SP_FORMULA_FLOPS;
    x->enter = enter_class;
    w->times = times;
    const sp_formula_code code = sp_expansion_single(x, owner, kernel, base, &nothing);
    x->enter = NULL;
    return code;
}

static sp_formula_code walk_kernels(sp_expansion *x, const sp_class *owner,
                                    const sp_kernel *kernels, size_t n, size_t base,
                                    sp_rational times)
{
    for (size_t i = 0; i < n; i++) {
        sp_rational repeat;
        sp_formula_code code = sp_expansion_repeat(x, owner, &kernels[i], base, &repeat);
        if (code != SP_FORMULA_OK) return code;
        code = sp_rational_multiply(times, repeat, &repeat);
        if (code != SP_FORMULA_OK) return fail_times(x, code, &kernels[i]);
        code = walk_kernel(x, owner, &kernels[i], base, repeat);
        if (code != SP_FORMULA_OK) return code;
    }
    return SP_FORMULA_OK;
}

sp_formula_code sp_formula_walk(const sp_formula_library *library, size_t idx,
                                const sp_scope *scope, sp_formula_kernel_visit visit, void *user,
                                sp_formula_failure *failure)
{
    assert(library->linked && idx < library->n_classes && visit);
    const sp_class *c = &library->classes[idx];
    walk w = {
        .visit = visit, .user = user, .times = {1, 1}
    };
    sp_rational nothing;
    if (failure) *failure = (sp_formula_failure){0};
    sp_expansion x = {.library = library, .failure = failure, .user = &w};
    const sp_formula_code code = sp_expansion_begin(&x, c, scope)
                                     ? enter_class(&x, idx, 0, &nothing)
                                     : sp_expansion_no_memory(&x);
    sp_expansion_end(&x);
    return code;
}
