/* SPDX-License-Identifier: Apache-2.0 */
/* Connects a library once all files are read: variables get their places, references their classes,
 * arguments their parameters. What cannot be connected keeps the reason and fails where it is used.
 */
#include "formula/formula_priv.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static sp_status fail_memory(sp_error *err)
{
    return sp_fail(err, SP_E_MEMORY, "no memory for formulas");
}

/* ---- places of variables: those that calls inherit first, then those of the class ---- */

static sp_status add_global(sp_formula_library *library, const char *name, uint32_t *slot,
                            sp_error *err)
{
    for (size_t i = 0; i < library->n_globals; i++) {
        *slot = (uint32_t)i;
        if (strcmp(library->globals[i], name) == 0) return SP_OK;
    }
    const char **grown = sp_library_grow(library->arena, library->globals, library->n_globals,
                                         &library->globals_room, sizeof *grown);
    if (!grown) return fail_memory(err);
    library->globals = grown;
    *slot = (uint32_t)library->n_globals;
    library->globals[library->n_globals++] = name;
    return SP_OK;
}

static sp_status place_globals(sp_formula_library *library, sp_class *c, sp_error *err)
{
    c->slots = sp_arena_alloc(library->arena, c->n_variables * sizeof *c->slots + 1);
    if (!c->slots) return fail_memory(err);
    for (size_t i = 0; i < c->n_variables; i++) {
        if (!sp_is_global(c->variables[i])) continue;
        SP_TRY(add_global(library, c->variables[i], &c->slots[i], err));
    }
    return SP_OK;
}

static void place_locals(const sp_formula_library *library, sp_class *c)
{
    for (size_t i = 0; i < c->n_variables; i++) {
        if (sp_is_global(c->variables[i])) continue;
        c->slots[i] = (uint32_t)(library->n_globals + c->n_locals++);
    }
}

/* Declared ones, or else variables in the order of first use without byte widths and configuration.
 */
static sp_status find_parameters(sp_formula_library *library, sp_class *c, sp_error *err)
{
    if (c->declared) return SP_OK;
    c->parameters = sp_arena_alloc(library->arena, c->n_variables * sizeof *c->parameters + 1);
    if (!c->parameters) return fail_memory(err);
    for (size_t i = 0; i < c->n_variables; i++) {
        const char *name = c->variables[i];
        if (sp_is_byte_width(name) || strchr(name, '.')) continue;
        c->parameters[c->n_parameters++] = name;
    }
    return SP_OK;
}

/* The place of a name in calls of the class; -1: it has none. */
static int32_t slot_of(const sp_formula_library *library, const sp_class *c, const char *name)
{
    for (size_t i = 0; i < c->n_variables; i++) {
        if (strcmp(c->variables[i], name) == 0) return (int32_t)c->slots[i];
    }
    for (size_t i = 0; i < library->n_globals; i++) {
        if (strcmp(library->globals[i], name) == 0) return (int32_t)i;
    }
    return -1;
}

/* ---- classes ---- */

static const char *meaning_of(const sp_formula_library *library, const char *name)
{
    for (size_t i = 0; i < library->n_aliases; i++) {
        if (strcmp(library->aliases[i].name, name) == 0) return library->aliases[i].meaning;
    }
    return NULL;
}

static bool find_exactly(const sp_formula_library *library, const char *name, size_t *idx)
{
    for (size_t i = 0; i < library->n_classes; i++) {
        *idx = i;
        const sp_class *c = &library->classes[i];
        if (!c->adapter && strcmp(c->name, name) == 0) return true;
    }
    return false;
}

bool sp_formula_class_find(const sp_formula_library *library, const char *name, size_t *idx)
{
    if (find_exactly(library, name, idx)) return true;
    const char *meaning = meaning_of(library, name);
    return meaning && find_exactly(library, meaning, idx);
}

/* A signature of the class with so many arguments. */
static bool find_adapter(const sp_formula_library *library, const char *name, size_t n_args,
                         size_t *idx)
{
    for (size_t i = 0; i < library->n_classes; i++) {
        *idx = i;
        const sp_class *c = &library->classes[i];
        if (c->adapter && strcmp(c->name, name) == 0 && c->n_parameters == n_args) return true;
    }
    return false;
}

/* ---- arguments ---- */

typedef struct call {
    const char *class_name;
    const char *const *names; /* NULL entries: positional */
    size_t n_args, n_named;
    const sp_class *from;
    const char *path;
    bool exact; /* must bind every parameter of a strict class */
} call;

static sp_status break_link(sp_formula_library *library, sp_link *link, sp_formula_code code,
                            const char *name, const char *detail, sp_error *err)
{
    link->code = code;
    link->name = sp_arena_strdup(library->arena, name);
    link->detail = sp_arena_strdup(library->arena, detail);
    return link->name && link->detail ? SP_OK : fail_memory(err);
}

static sp_status break_arity(sp_formula_library *library, sp_link *link, const call *c,
                             const sp_class *to, sp_error *err)
{
    char detail[384];
    int n = snprintf(detail, sizeof detail, "%s: %zu given, %zu parameters [", to->name, c->n_args,
                     to->n_parameters);
    for (size_t i = 0; i < to->n_parameters && n < (int)sizeof detail; i++) {
        n += snprintf(detail + n, sizeof detail - (size_t)n, "%s'%s'", i > 0 ? ", " : "",
                      to->parameters[i]);
    }
    if (n < (int)sizeof detail) snprintf(detail + n, sizeof detail - (size_t)n, "]");
    return break_link(library, link, SP_FORMULA_ARITY, c->class_name, detail, err);
}

static bool is_parameter(const sp_class *to, const char *name)
{
    for (size_t i = 0; i < to->n_parameters; i++) {
        if (strcmp(to->parameters[i], name) == 0) return true;
    }
    return false;
}

static bool is_given(const call *c, const char *parameter)
{
    for (size_t i = 0; i < c->n_args; i++) {
        if (c->names[i] && strcmp(c->names[i], parameter) == 0) return true;
    }
    return false;
}

/* Calls of kernel costs bind exactly their parameters. */
static sp_status check_exact(sp_formula_library *library, sp_link *link, const call *c,
                             const sp_class *to, sp_error *err)
{
    for (size_t i = 0; i < c->n_args; i++) {
        if (is_parameter(to, c->names[i])) continue;
        return break_link(library, link, SP_FORMULA_UNKNOWN_PARAM, c->names[i], to->name, err);
    }
    for (size_t i = 0; i < to->n_parameters; i++) {
        if (is_given(c, to->parameters[i])) continue;
        return break_link(library, link, SP_FORMULA_UNBOUND_PARAM, to->parameters[i], to->name,
                          err);
    }
    return SP_OK;
}

/* An argument that the class does not use is dropped, and noted. */
static sp_status bind_named(sp_formula_library *library, const call *c, const sp_class *to,
                            int32_t *slots, sp_error *err)
{
    for (size_t i = c->n_args - c->n_named; i < c->n_args; i++) {
        slots[i] = slot_of(library, to, c->names[i]);
        if (slots[i] >= 0 || c->from->adapter) continue;
        SP_TRY(sp_library_find_odd(library, c->from->file, c->path, err,
                                   "%s has no parameter \"%s\"", to->name, c->names[i]));
    }
    return SP_OK;
}

static sp_status bind_positional(sp_formula_library *library, const call *c, const sp_class *to,
                                 int32_t *slots)
{
    for (size_t i = 0; i < c->n_args - c->n_named; i++)
        slots[i] = i < to->n_parameters ? slot_of(library, to, to->parameters[i]) : -1;
    return SP_OK;
}

static sp_status bind(sp_formula_library *library, const call *c, sp_link *link, sp_error *err)
{
    const sp_class *to = &library->classes[link->class_idx];
    const size_t n_positional = c->n_args - c->n_named;
    int32_t *slots = sp_arena_alloc(library->arena, c->n_args * sizeof *slots + 1);
    if (!slots) return fail_memory(err);
    link->slots = slots;
    const bool fits = c->n_named > 0 ? n_positional <= to->n_parameters
                                     : n_positional == to->n_parameters || to->n_parameters == 0;
    if (!c->exact && !fits) return break_arity(library, link, c, to, err);
    if (c->exact && to->strict) SP_TRY(check_exact(library, link, c, to, err));
    SP_TRY(bind_positional(library, c, to, slots));
    return bind_named(library, c, to, slots, err);
}

static sp_status find_target(sp_formula_library *library, const call *c, sp_link *link,
                             sp_error *err)
{
    size_t idx = 0;
    const bool found =
        (c->n_named == 0 && !c->exact && find_adapter(library, c->class_name, c->n_args, &idx)) ||
        sp_formula_class_find(library, c->class_name, &idx);
    link->class_idx = (uint32_t)idx;
    if (found) return bind(library, c, link, err);
    return break_link(library, link, SP_FORMULA_UNKNOWN_REF, c->class_name,
                      sp_formula_code_words(SP_FORMULA_UNKNOWN_REF), err);
}

/* ---- formulas ---- */

static sp_status place_names(sp_formula_library *library, const sp_class *c, sp_member *member,
                             sp_error *err)
{
    const char *const *names = NULL;
    const size_t n = sp_formula_names(member->f, &names);
    uint32_t *slots = sp_arena_alloc(library->arena, n * sizeof *slots + 1);
    if (!slots) return fail_memory(err);
    for (size_t i = 0; i < n; i++) {
        const int32_t slot = slot_of(library, c, names[i]);
        assert(slot >= 0);
        slots[i] = (uint32_t)slot;
    }
    member->slots = slots;
    return SP_OK;
}

static sp_status link_member(sp_formula_library *library, const sp_class *c, sp_member *member,
                             sp_error *err)
{
    if (!member->f) return SP_OK;
    const sp_formula_ref *refs = NULL;
    const size_t n = sp_formula_refs(member->f, &refs);
    SP_TRY(place_names(library, c, member, err));
    sp_link *links = sp_arena_alloc(library->arena, n * sizeof *links + 1);
    if (!links) return fail_memory(err);
    member->links = links;
    for (size_t i = 0; i < n; i++) {
        const call one = {.class_name = refs[i].class_name,
                          .names = refs[i].arg_names,
                          .n_args = refs[i].n_args,
                          .n_named = refs[i].n_named,
                          .from = c,
                          .path = member->path};
        SP_TRY(find_target(library, &one, &links[i], err));
    }
    return SP_OK;
}

static sp_status link_kernels(sp_formula_library *library, const sp_class *c, sp_kernel *kernels,
                              size_t n, sp_error *err);

static sp_status link_kernel(sp_formula_library *library, const sp_class *c, sp_kernel *kernel,
                             sp_error *err)
{
    for (int m = 0; m < SP_N_FORMULA_METRICS; m++)
        SP_TRY(link_member(library, c, &kernel->metrics[m], err));
    SP_TRY(link_member(library, c, &kernel->repeat, err));
    for (size_t i = 0; i < SP_N_KERNEL_FIGURES; i++)
        SP_TRY(link_member(library, c, &kernel->figures[i], err));
    for (size_t i = 0; i < kernel->n_bindings; i++)
        SP_TRY(link_member(library, c, &kernel->bindings[i], err));
    if (kernel->child) {
        const call one = {.class_name = kernel->child,
                          .names = kernel->binding_names,
                          .n_args = kernel->n_bindings,
                          .n_named = kernel->n_bindings,
                          .from = c,
                          .path = kernel->path,
                          .exact = true};
        SP_TRY(find_target(library, &one, &kernel->link, err));
    }
    return link_kernels(library, c, kernel->subs, kernel->n_subs, err);
}

static sp_status link_kernels(sp_formula_library *library, const sp_class *c, sp_kernel *kernels,
                              size_t n, sp_error *err)
{
    for (size_t i = 0; i < n; i++)
        SP_TRY(link_kernel(library, c, &kernels[i], err));
    return SP_OK;
}

sp_status sp_formula_library_link(sp_formula_library *library, sp_error *err)
{
    assert(!library->linked);
    for (size_t i = 0; i < library->n_classes; i++)
        SP_TRY(place_globals(library, &library->classes[i], err));
    for (size_t i = 0; i < library->n_classes; i++) {
        place_locals(library, &library->classes[i]);
        SP_TRY(find_parameters(library, &library->classes[i], err));
    }
    for (size_t i = 0; i < library->n_classes; i++) {
        sp_class *c = &library->classes[i];
        SP_TRY(link_kernels(library, c, c->kernels, c->n_kernels, err));
    }
    library->linked = true;
    return SP_OK;
}
