/* SPDX-License-Identifier: Apache-2.0 */
/* Works out what a class costs. Variables of a call lie on a stack of values: first those that
 * every call inherits, then those of the class. Results are kept by class and variables, so that a
 * class that is used a hundred times alike is worked out once. */
#include "formula/formula_priv.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum { BUCKETS = 1024, CALLS_MAX = 1000000 };

typedef struct memo {
    const struct memo *next;
    size_t class_idx;
    uint64_t hash;
    const sp_value *variables;
    sp_rational cost;
} memo;

typedef struct expansion {
    const sp_formula_library *library;
    sp_formula_metric metric;
    sp_formula_failure *failure;
    sp_value *values; /* variables of all calls that are under way */
    size_t n_values, room, n_calls;
    size_t active[SP_FORMULA_CLASS_LEVELS]; /* classes that are under way */
    size_t n_active;
    const memo *buckets[BUCKETS];
    sp_arena arena; /* of the memos */
} expansion;

/* What a formula is evaluated for. */
typedef struct place {
    expansion *x;
    const sp_class *owner;
    const sp_member *member;
    size_t base; /* of the variables */
} place;

static size_t n_variables(const expansion *x, const sp_class *c)
{
    return x->library->n_globals + c->n_locals;
}

/* The innermost formula that fails is the one to name. */
static sp_formula_code locate(const expansion *x, sp_formula_code code, const char *file,
                              const char *path)
{
    if (code == SP_FORMULA_OK || !x->failure || x->failure->file[0] != '\0') return code;
    snprintf(x->failure->file, sizeof x->failure->file, "%s", file);
    snprintf(x->failure->path, sizeof x->failure->path, "%s", path);
    return code;
}

/* ---- variables of a call ---- */

/* Lays variables without a value; false: no memory. */
static bool push_variables(expansion *x, size_t n)
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

static sp_formula_code fail_no_memory(const expansion *x)
{
    return sp_formula_fail(x->failure, SP_FORMULA_DEPTH, "",
                           "no memory for the variables of a call");
}

/* ---- memos ---- */

static uint64_t hash_variables(const sp_value *variables, size_t n, size_t class_idx)
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

static const memo *recall(const expansion *x, size_t class_idx, uint64_t hash, size_t base)
{
    const size_t n = n_variables(x, &x->library->classes[class_idx]);
    for (const memo *m = x->buckets[hash % BUCKETS]; m; m = m->next) {
        if (m->hash == hash && m->class_idx == class_idx &&
            same_variables(m->variables, x->values + base, n)) {
            return m;
        }
    }
    return NULL;
}

/* Without memory the result is worked out again next time. */
static void remember(expansion *x, size_t class_idx, uint64_t hash, size_t base, sp_rational cost)
{
    const size_t n = n_variables(x, &x->library->classes[class_idx]);
    memo *m = sp_arena_alloc(&x->arena, sizeof *m);
    sp_value *variables = sp_arena_alloc(&x->arena, n * sizeof *variables + 1);
    if (!m || !variables) return;
    if (n > 0) memcpy(variables, x->values + base, n * sizeof *variables);
    *m = (memo){x->buckets[hash % BUCKETS], class_idx, hash, variables, cost};
    x->buckets[hash % BUCKETS] = m;
}

/* ---- formulas ---- */

static sp_formula_code class_cost(expansion *x, size_t class_idx, size_t base, sp_rational *out);
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

static sp_formula_code evaluate(expansion *x, const sp_class *owner, const sp_member *member,
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

static sp_formula_code evaluate_number(expansion *x, const sp_class *owner, const sp_member *member,
                                       size_t base, sp_rational *out)
{
    sp_value value = {.kind = SP_VALUE_NONE};
    const sp_formula_code code = evaluate(x, owner, member, base, &value);
    if (code != SP_FORMULA_OK) return code;
    assert(value.kind == SP_VALUE_NUMBER); /* the dialect has no other kind */
    *out = value.number;
    return SP_FORMULA_OK;
}

/* ---- calls ---- */

static sp_formula_code fail_cycle(const expansion *x, size_t class_idx)
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

static sp_formula_code admit_link(const expansion *x, const sp_link *link)
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
static bool push_call(expansion *x, const sp_link *link, size_t caller)
{
    const size_t base = x->n_values;
    if (!push_variables(x, n_variables(x, &x->library->classes[link->class_idx]))) return false;
    for (size_t i = 0; i < x->library->n_globals; i++)
        x->values[base + i] = x->values[caller + i];
    return true;
}

static void bind(expansion *x, const sp_link *link, size_t i, size_t base, sp_value value)
{
    if (link->slots[i] >= 0) x->values[base + (size_t)link->slots[i]] = value;
}

static sp_formula_code call_class(expansion *x, const sp_link *link, size_t caller,
                                  const sp_value *args, size_t n_args, sp_rational *out)
{
    const size_t base = x->n_values;
    if (!push_call(x, link, caller)) return fail_no_memory(x);
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

static sp_formula_code kernels_cost(expansion *x, const sp_class *owner, const sp_kernel *kernels,
                                    size_t n, size_t base, sp_rational *out);

/* Works out the bindings in the variables of the caller at `base`, into those of the call. */
static sp_formula_code bind_child(expansion *x, const sp_class *owner, const sp_kernel *kernel,
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

static sp_formula_code child_cost(expansion *x, const sp_class *owner, const sp_kernel *kernel,
                                  size_t base, sp_rational *out)
{
    const size_t called = x->n_values;
    sp_formula_code code = locate(x, admit_link(x, &kernel->link), owner->file, kernel->path);
    if (code != SP_FORMULA_OK) return code;
    if (!push_call(x, &kernel->link, base)) return fail_no_memory(x);
    code = bind_child(x, owner, kernel, base, called);
    if (code == SP_FORMULA_OK) code = class_cost(x, kernel->link.class_idx, called, out);
    x->n_values = called;
    return code;
}

/* One repetition: its formula, or its class, or its parts; nothing of these costs nothing. */
static sp_formula_code single_cost(expansion *x, const sp_class *owner, const sp_kernel *kernel,
                                   size_t base, sp_rational *out)
{
    const sp_member *formula = &kernel->metrics[x->metric];
    *out = sp_rational_of_int(0);
    if (formula->path) return evaluate_number(x, owner, formula, base, out);
    if (kernel->child) return child_cost(x, owner, kernel, base, out);
    return kernels_cost(x, owner, kernel->subs, kernel->n_subs, base, out);
}

static sp_formula_code repeat_of(expansion *x, const sp_class *owner, const sp_kernel *kernel,
                                 size_t base, sp_rational *out)
{
    *out = sp_rational_of_int(1);
    if (!kernel->repeat.path) return SP_FORMULA_OK;
    return evaluate_number(x, owner, &kernel->repeat, base, out);
}

static sp_formula_code kernels_cost(expansion *x, const sp_class *owner, const sp_kernel *kernels,
                                    size_t n, size_t base, sp_rational *out)
{
    sp_rational total = sp_rational_of_int(0), repeat, cost;
    for (size_t i = 0; i < n; i++) {
        sp_formula_code code = single_cost(x, owner, &kernels[i], base, &cost);
        if (code == SP_FORMULA_OK) code = repeat_of(x, owner, &kernels[i], base, &repeat);
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

static sp_formula_code class_cost(expansion *x, size_t class_idx, size_t base, sp_rational *out)
{
    const sp_class *c = &x->library->classes[class_idx];
    const uint64_t hash = hash_variables(x->values + base, n_variables(x, c), class_idx);
    const memo *known = recall(x, class_idx, hash, base);
    if (known) {
        *out = known->cost;
        return SP_FORMULA_OK;
    }
    if (++x->n_calls > CALLS_MAX) {
        return sp_formula_fail(x->failure, SP_FORMULA_DEPTH, c->name,
                               "more than %d different calls of classes", CALLS_MAX);
    }
    assert(x->n_active < SP_FORMULA_CLASS_LEVELS);
    x->active[x->n_active++] = class_idx;
    const sp_formula_code code = kernels_cost(x, c, c->kernels, c->n_kernels, base, out);
    x->n_active--;
    if (code == SP_FORMULA_OK) remember(x, class_idx, hash, base, *out);
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

static bool push_root(expansion *x, const sp_class *c, const sp_scope *scope)
{
    if (!push_variables(x, n_variables(x, c))) return false;
    for (size_t i = 0; i < x->library->n_globals; i++)
        x->values[i] = look_up(scope, x->library->globals[i]);
    for (size_t i = 0; i < c->n_variables; i++)
        x->values[c->slots[i]] = look_up(scope, c->variables[i]);
    return true;
}

static void finish(expansion *x)
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
    expansion x = {.library = library, .metric = metric, .failure = failure};
    const sp_formula_code code = push_root(&x, &library->classes[idx], scope)
                                     ? class_cost(&x, idx, 0, out)
                                     : fail_no_memory(&x);
    finish(&x);
    return code;
}

size_t sp_formula_class_kernels(const sp_formula_library *library, size_t idx)
{
    assert(idx < library->n_classes);
    return library->classes[idx].n_kernels;
}

sp_formula_code sp_formula_expand_kernel(const sp_formula_library *library, size_t idx,
                                         size_t kernel, const sp_scope *scope,
                                         sp_formula_kernel *out, sp_formula_failure *failure)
{
    assert(library->linked && idx < library->n_classes && kernel < library->classes[idx].n_kernels);
    const sp_class *c = &library->classes[idx];
    const sp_kernel *k = &c->kernels[kernel];
    if (failure) *failure = (sp_formula_failure){0};
    *out = (sp_formula_kernel){
        .operation = k->operation, .type = k->type, .class_name = k->child ? k->child : ""};
    expansion x = {.library = library, .failure = failure, .n_active = 1, .active = {idx}};
    sp_formula_code code =
        push_root(&x, c, scope) ? repeat_of(&x, c, k, 0, &out->repeat) : fail_no_memory(&x);
    for (; code == SP_FORMULA_OK && x.metric < SP_N_FORMULA_METRICS; x.metric++) {
        memset(x.buckets, 0, sizeof x.buckets); /* memos are of one metric */
        code = single_cost(&x, c, k, 0, &out->cost[x.metric]);
    }
    finish(&x);
    return code;
}
