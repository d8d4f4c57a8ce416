/* SPDX-License-Identifier: Apache-2.0 */
/* Works out what a class costs. Variables of a call lie on a stack of values: first those that
 * every call inherits, then those of the class. Results are kept by class and variables, so that a
 * class that is used a hundred times alike is worked out once. */
#include "formula/formula_priv.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* What a formula is evaluated for. */
typedef struct place {
    sp_expansion *x;
    const sp_class *owner;
    const sp_member *member;
    size_t base; /* of the variables */
} place;

/* The innermost formula that fails is the one to name. */
static sp_formula_code locate(const sp_expansion *x, sp_formula_code code, const char *file,
                              const char *path)
{
    if (code == SP_FORMULA_OK || !x->failure || x->failure->file[0] != '\0') return code;
    snprintf(x->failure->file, sizeof x->failure->file, "%s", file);
    snprintf(x->failure->path, sizeof x->failure->path, "%s", path);
    return code;
}

/* ---- variables of a call ---- */

/* Lays variables without a value; false: no memory. */
static bool push_variables(sp_expansion *x, size_t n)
{
    if (x->n_values + n > x->room) {
        const size_t room = 2 * (x->n_values + n);
        sp_value *grown = sp_realloc(x->values, room * sizeof *grown);
        if (!grown) return false;
        x->values = grown;
        x->room = room;
    }
    for (size_t i = 0; i < n; i++)
        x->values[x->n_values + i] = (sp_value){.kind = SP_VALUE_NONE};
    x->n_values += n;
    return true;
}

sp_formula_code sp_expansion_no_memory(const sp_expansion *x)
{
    return sp_formula_fail(x->failure, SP_FORMULA_DEPTH, "",
                           "no memory for the variables of a call");
}

/* ---- formulas ---- */

static sp_formula_code class_cost(sp_expansion *x, size_t class_idx, size_t base, sp_rational *out);
static sp_formula_code admit(const sp_frame *frame, size_t ref, sp_formula_failure *failure);
static sp_formula_code call(const sp_frame *frame, size_t ref, const sp_value *args, sp_value *out,
                            sp_formula_failure *failure);

static sp_formula_code load(const sp_frame *frame, const sp_formula *f, size_t name, sp_value *out,
                            sp_formula_failure *failure)
{
    const place *p = frame->user;
    *out = p->x->values[p->base + p->member->slots[name]];
    if (out->kind == SP_VALUE_NUMBER) return SP_FORMULA_OK;
    return sp_formula_fail(failure, SP_FORMULA_UNBOUND, f->names[name], "%s has no value in %s",
                           f->names[name], p->owner->name);
}

static sp_formula_code evaluate(sp_expansion *x, const sp_class *owner, const sp_member *member,
                                size_t base, sp_value *out)
{
    if (!member->f) {
        sp_formula_fail(x->failure, member->code, "", "%s", member->words);
        return locate(x, member->code, owner->file, member->path);
    }
    const place p = {x, owner, member, base};
    const sp_frame frame = {.load = load, .admit = admit, .call = call, .user = &p};
    return locate(x, sp_formula_run(member->f, &frame, out, x->failure), owner->file, member->path);
}

static sp_formula_code evaluate_number(sp_expansion *x, const sp_class *owner,
                                       const sp_member *member, size_t base, sp_rational *out)
{
    sp_value value = {.kind = SP_VALUE_NONE};
    const sp_formula_code code = evaluate(x, owner, member, base, &value);
    if (code != SP_FORMULA_OK) return code;
    assert(value.kind == SP_VALUE_NUMBER); /* the dialect has no other kind */
    *out = value.number;
    return SP_FORMULA_OK;
}

/* ---- calls ---- */

static sp_formula_code fail_cycle(const sp_expansion *x, size_t class_idx)
{
    char path[384] = "";
    size_t n = 0, first = 0;
    while (x->active[first] != class_idx)
        first++;
    for (size_t i = first; i < x->n_active && n < sizeof path; i++) {
        n += (size_t)snprintf(path + n, sizeof path - n, "%s -> ",
                              x->library->classes[x->active[i]].name);
    }
    const char *name = x->library->classes[class_idx].name;
    if (n < sizeof path) snprintf(path + n, sizeof path - n, "%s", name);
    return sp_formula_fail(x->failure, SP_FORMULA_CYCLE, name, "%s", path);
}

static sp_formula_code admit_link(const sp_expansion *x, const sp_link *link)
{
    if (link->code != SP_FORMULA_OK) {
        return sp_formula_fail(x->failure, link->code, link->name, "%s", link->detail);
    }
    for (size_t i = 0; i < x->n_active; i++) {
        if (x->active[i] == link->class_idx) return fail_cycle(x, link->class_idx);
    }
    if (x->n_active < SP_FORMULA_CLASS_LEVELS) return SP_FORMULA_OK;
    return sp_formula_fail(x->failure, SP_FORMULA_DEPTH, x->library->classes[link->class_idx].name,
                           "more than %d classes inside each other", SP_FORMULA_CLASS_LEVELS);
}

static sp_formula_code admit(const sp_frame *frame, size_t ref, sp_formula_failure *failure)
{
    (void)failure;
    const place *p = frame->user;
    return admit_link(p->x, &p->member->links[ref]);
}

/* Lays the variables of a call, the inherited ones with their values. */
static bool push_call(sp_expansion *x, const sp_link *link, size_t caller)
{
    const size_t base = x->n_values;
    if (!push_variables(x, sp_expansion_variables(x, &x->library->classes[link->class_idx])))
        return false;
    for (size_t i = 0; i < x->library->n_globals; i++)
        x->values[base + i] = x->values[caller + i];
    return true;
}

static void bind(sp_expansion *x, const sp_link *link, size_t i, size_t base, sp_value value)
{
    if (link->slots[i] >= 0) x->values[base + (size_t)link->slots[i]] = value;
}

static sp_formula_code call_class(sp_expansion *x, const sp_link *link, size_t caller,
                                  const sp_value *args, size_t n_args, sp_rational *out)
{
    const size_t base = x->n_values;
    if (!push_call(x, link, caller)) return sp_expansion_no_memory(x);
    for (size_t i = 0; i < n_args; i++)
        bind(x, link, i, base, args[i]);
    const sp_formula_code code = class_cost(x, link->class_idx, base, out);
    x->n_values = base;
    return code;
}

static sp_formula_code call(const sp_frame *frame, size_t ref, const sp_value *args, sp_value *out,
                            sp_formula_failure *failure)
{
    (void)failure;
    const place *p = frame->user;
    out->kind = SP_VALUE_NUMBER;
    return call_class(p->x, &p->member->links[ref], p->base, args, p->member->f->refs[ref].n_args,
                      &out->number);
}

/* ---- kernels ---- */

static sp_formula_code kernels_cost(sp_expansion *x, const sp_class *owner,
                                    const sp_kernel *kernels, size_t n, size_t base,
                                    sp_rational *out);

/* Works out the bindings in the variables of the caller at `base`, into those of the call. */
static sp_formula_code bind_child(sp_expansion *x, const sp_class *owner, const sp_kernel *kernel,
                                  size_t base, size_t called)
{
    for (size_t i = 0; i < kernel->n_bindings; i++) {
        sp_value value = {.kind = SP_VALUE_NONE};
        const sp_formula_code code = evaluate(x, owner, &kernel->bindings[i], base, &value);
        if (code != SP_FORMULA_OK) return code;
        bind(x, &kernel->link, i, called, value);
    }
    return SP_FORMULA_OK;
}

static sp_formula_code child_cost(sp_expansion *x, const sp_class *owner, const sp_kernel *kernel,
                                  size_t base, sp_rational *out)
{
    const size_t called = x->n_values;
    sp_formula_code code = locate(x, admit_link(x, &kernel->link), owner->file, kernel->path);
    if (code != SP_FORMULA_OK) return code;
    if (!push_call(x, &kernel->link, base)) return sp_expansion_no_memory(x);
    code = bind_child(x, owner, kernel, base, called);
    if (code == SP_FORMULA_OK) code = class_cost(x, kernel->link.class_idx, called, out);
    x->n_values = called;
    return code;
}

/* One repetition: its formula, or its class, or its parts; nothing of these costs nothing. */
sp_formula_code sp_expansion_single(sp_expansion *x, const sp_class *owner, const sp_kernel *kernel,
                                    size_t base, sp_rational *out)
{
    const sp_member *formula = &kernel->metrics[x->metric];
    *out = sp_rational_of_int(0);
    if (formula->path) return evaluate_number(x, owner, formula, base, out);
    if (kernel->child) return child_cost(x, owner, kernel, base, out);
    return kernels_cost(x, owner, kernel->subs, kernel->n_subs, base, out);
}

sp_formula_code sp_expansion_repeat(sp_expansion *x, const sp_class *owner, const sp_kernel *kernel,
                                    size_t base, sp_rational *out)
{
    *out = sp_rational_of_int(1);
    if (!kernel->repeat.path) return SP_FORMULA_OK;
    return evaluate_number(x, owner, &kernel->repeat, base, out);
}

static sp_formula_code kernels_cost(sp_expansion *x, const sp_class *owner,
                                    const sp_kernel *kernels, size_t n, size_t base,
                                    sp_rational *out)
{
    sp_rational total = sp_rational_of_int(0), repeat, cost;
    for (size_t i = 0; i < n; i++) {
        sp_formula_code code = sp_expansion_single(x, owner, &kernels[i], base, &cost);
        if (code == SP_FORMULA_OK) code = sp_expansion_repeat(x, owner, &kernels[i], base, &repeat);
        if (code != SP_FORMULA_OK) return code;
        code = sp_rational_multiply(repeat, cost, &cost);
        if (code == SP_FORMULA_OK) code = sp_rational_add(total, cost, &total);
        if (code != SP_FORMULA_OK) {
            sp_formula_fail(x->failure, code, owner->name, "%s", sp_formula_code_words(code));
            return locate(x, code, owner->file, kernels[i].path);
        }
    }
    *out = total;
    return SP_FORMULA_OK;
}

static sp_formula_code class_cost(sp_expansion *x, size_t class_idx, size_t base, sp_rational *out)
{
    const sp_class *c = &x->library->classes[class_idx];
    if (x->enter) return x->enter(x, class_idx, base, out);
    const uint64_t hash =
        sp_expansion_hash(x->values + base, sp_expansion_variables(x, c), class_idx);
    const sp_memo *known = sp_expansion_recall(x, class_idx, hash, base);
    if (known) {
        *out = known->cost;
        return SP_FORMULA_OK;
    }
    if (++x->n_calls > SP_EXPANSION_CALLS) {
        return sp_formula_fail(x->failure, SP_FORMULA_DEPTH, c->name,
                               "more than %d different calls of classes", SP_EXPANSION_CALLS);
    }
    assert(x->n_active < SP_FORMULA_CLASS_LEVELS);
    x->active[x->n_active++] = class_idx;
    const sp_formula_code code = kernels_cost(x, c, c->kernels, c->n_kernels, base, out);
    x->n_active--;
    if (code == SP_FORMULA_OK) sp_expansion_remember(x, class_idx, hash, base, *out);
    return code;
}

/* ---- the outermost class ---- */

static sp_value look_up(const sp_scope *scope, const char *name)
{
    sp_value value = {.kind = SP_VALUE_NONE};
    if (!scope || scope->lookup(scope->user, name, &value) != SP_FORMULA_OK) {
        return (sp_value){.kind = SP_VALUE_NONE};
    }
    return value;
}

bool sp_expansion_begin(sp_expansion *x, const sp_class *c, const sp_scope *scope)
{
    if (!push_variables(x, sp_expansion_variables(x, c))) return false;
    for (size_t i = 0; i < x->library->n_globals; i++)
        x->values[i] = look_up(scope, x->library->globals[i]);
    for (size_t i = 0; i < c->n_variables; i++)
        x->values[c->slots[i]] = look_up(scope, c->variables[i]);
    return true;
}

void sp_expansion_end(sp_expansion *x)
{
    sp_free(x->values);
    sp_arena_fini(&x->arena);
}

sp_formula_code sp_formula_expand_class(const sp_formula_library *library, size_t idx,
                                        sp_formula_metric metric, const sp_scope *scope,
                                        sp_rational *out, sp_formula_failure *failure)
{
    assert(library->linked && idx < library->n_classes && out);
    if (failure) *failure = (sp_formula_failure){0};
    sp_expansion x = {.library = library, .metric = metric, .failure = failure};
    const sp_formula_code code = sp_expansion_begin(&x, &library->classes[idx], scope)
                                     ? class_cost(&x, idx, 0, out)
                                     : sp_expansion_no_memory(&x);
    sp_expansion_end(&x);
    return code;
}
