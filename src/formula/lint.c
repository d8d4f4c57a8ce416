/* SPDX-License-Identifier: Apache-2.0 */
/* Looks for ways of counting that contradict themselves or the machine. Most are found by asking: a
 * formula is evaluated with some variables set to nothing, and what is left shows what it counts.
 */
#include "formula/formula_priv.h"

#include <assert.h>
#include <ctype.h>
#include <string.h>

typedef struct probe {
    bool (*vanishes)(const char *variable); /* these are 0, all others are primes */
} probe;

static sp_formula_code answer(void *user, const char *name, sp_value *out)
{
    static const int64_t primes[] = {3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47};
    const probe *p = user;
    uint32_t sum = 0;
    for (const char *c = name; *c; c++)
        sum = sum * 31 + (unsigned char)*c;
    const size_t n = sizeof primes / sizeof primes[0];
    *out = sp_value_of_int(p->vanishes && p->vanishes(name) ? 0 : primes[sum % n]);
    return SP_FORMULA_OK;
}

/* False where there is no such formula, or one that cannot be evaluated alone. */
static bool ask(const sp_member *member, bool (*vanishes)(const char *variable), sp_rational *out)
{
    probe p = {.vanishes = vanishes};
    sp_value value = {.kind = SP_VALUE_NONE};
    if (!member->f) return false;
    const sp_scope scope = {answer, &p};
    if (sp_formula_eval(member->f, &scope, &value, NULL) != SP_FORMULA_OK) return false;
    *out = value.number;
    return true;
}

static bool mentions(const sp_member *member, const char *name)
{
    const char *const *names = NULL;
    if (!member->f) return false;
    const size_t n = sp_formula_names(member->f, &names);
    for (size_t i = 0; i < n; i++) {
        if (strcmp(names[i], name) == 0) return true;
    }
    return false;
}

static bool is_cache(const char *variable)
{
    return strcmp(variable, "cache_len") == 0;
}

static bool is_input_width(const char *variable)
{
    static const char *const names[] = {
        "in_features", "input_features", "input_dim", "input_size", "nx", "K"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(variable, names[i]) == 0) return true;
    }
    return false;
}

/* "does the text say so": without case, at the beginning of a word */
static bool says(const char *text, const char *word)
{
    const size_t n = strlen(word);
    for (const char *p = text; *p; p++) {
        size_t i = 0;
        while (i < n && tolower((unsigned char)p[i]) == word[i])
            i++;
        if (i == n && (p == text || !isalpha((unsigned char)p[-1]))) return true;
    }
    return false;
}

static bool ends_with(const char *text, const char *end)
{
    const size_t length = strlen(text), tail = strlen(end);
    return length >= tail && strcmp(text + length - tail, end) == 0;
}

/* ---- one kernel ---- */

/* What is wrong with a kernel of a class, or NULL. */
typedef const char *(*rule)(const sp_class *owner, const sp_kernel *kernel);

static const char *bytes_by_number(const sp_class *owner, const sp_kernel *kernel)
{
    sp_rational rest;
    (void)owner;
    for (int m = SP_FORMULA_READ; m <= SP_FORMULA_WRITE; m++) {
        if (ask(&kernel->metrics[m], sp_is_byte_width, &rest) && rest.num != 0) {
            return "bytes are counted by a number and not by a width";
        }
    }
    return NULL;
}

static const char *vanishes_without_cache(const sp_class *owner, const sp_kernel *kernel)
{
    sp_rational with, without;
    (void)owner;
    const sp_member *flops = &kernel->metrics[SP_FORMULA_FLOPS];
    if (!mentions(flops, "cache_len") || !ask(flops, NULL, &with) ||
        !ask(flops, is_cache, &without)) {
        return NULL;
    }
    if (with.num == 0 || without.num != 0) return NULL;
    return "costs nothing where cache_len is 0: the number of keys is cache_len + seq_len";
}

static const char *cache_written_whole(const sp_class *owner, const sp_kernel *kernel)
{
    (void)owner;
    const bool writes = mentions(&kernel->metrics[SP_FORMULA_WRITE], "cache_len");
    const bool reads = mentions(&kernel->metrics[SP_FORMULA_READ], "cache_len");
    return writes && !reads ? "the whole cache is written, where only new tokens are" : NULL;
}

static const char *view_moves_bytes(const sp_class *owner, const sp_kernel *kernel)
{
    static const char *const views[] = {"view",   "reshape", "transpose", "permute",
                                        "expand", "split",   "squeeze",   "unsqueeze"};
    sp_rational flops, read;
    (void)owner;
    if (!ask(&kernel->metrics[SP_FORMULA_FLOPS], NULL, &flops) || flops.num != 0) return NULL;
    if (!ask(&kernel->metrics[SP_FORMULA_READ], NULL, &read) || read.num == 0) return NULL;
    for (size_t i = 0; i < sizeof views / sizeof views[0]; i++) {
        if (says(kernel->operation, views[i])) return "a view is counted as a copy";
    }
    return NULL;
}

static const char *bias_always_there(const sp_class *owner, const sp_kernel *kernel)
{
    sp_rational whole, rest;
    const sp_member *flops = &kernel->metrics[SP_FORMULA_FLOPS];
    if (!ends_with(owner->name, "Linear") && !ends_with(owner->name, "Conv1D")) return NULL;
    if (mentions(flops, "has_bias") || mentions(flops, "bias")) return NULL;
    if (!ask(flops, NULL, &whole) || !ask(flops, is_input_width, &rest)) return NULL;
    if (rest.num == 0 || sp_rational_compare(rest, whole) == 0) return NULL;
    return "a bias is always counted";
}

static const rule kernel_rules[] = {bytes_by_number, vanishes_without_cache, cache_written_whole,
                                    view_moves_bytes, bias_always_there};

/* ---- references ---- */

static sp_status check_link(sp_formula_library *library, const sp_class *owner, const char *path,
                            const sp_link *link, sp_error *err)
{
    if (link->code == SP_FORMULA_OK) return SP_OK;
    const bool arity = link->code == SP_FORMULA_ARITY;
    return sp_library_find_odd(library, owner->file, path, err, "%s: %s%s%s",
                               sp_formula_code_words(link->code), arity ? "" : link->name,
                               arity || link->code == SP_FORMULA_UNKNOWN_REF ? "" : " of ",
                               link->code == SP_FORMULA_UNKNOWN_REF ? "" : link->detail);
}

static sp_status check_member(sp_formula_library *library, const sp_class *owner,
                              const sp_member *member, sp_error *err)
{
    const sp_formula_ref *refs = NULL;
    if (!member->f) return SP_OK;
    const size_t n = sp_formula_refs(member->f, &refs);
    for (size_t i = 0; i < n; i++)
        SP_TRY(check_link(library, owner, member->path, &member->links[i], err));
    return SP_OK;
}

static sp_status check_kernels(sp_formula_library *library, const sp_class *owner,
                               const sp_kernel *kernels, size_t n, sp_error *err);

static sp_status check_kernel(sp_formula_library *library, const sp_class *owner,
                              const sp_kernel *kernel, sp_error *err)
{
    for (int m = 0; m < SP_N_FORMULA_METRICS; m++)
        SP_TRY(check_member(library, owner, &kernel->metrics[m], err));
    if (kernel->child) SP_TRY(check_link(library, owner, kernel->path, &kernel->link, err));
    for (size_t i = 0; i < sizeof kernel_rules / sizeof kernel_rules[0]; i++) {
        const char *wrong = kernel_rules[i](owner, kernel);
        if (!wrong) continue;
        SP_TRY(sp_library_find_odd(library, owner->file, kernel->path, err, "%s", wrong));
    }
    return check_kernels(library, owner, kernel->subs, kernel->n_subs, err);
}

static sp_status check_kernels(sp_formula_library *library, const sp_class *owner,
                               const sp_kernel *kernels, size_t n, sp_error *err)
{
    for (size_t i = 0; i < n; i++)
        SP_TRY(check_kernel(library, owner, &kernels[i], err));
    return SP_OK;
}

/* ---- classes ---- */

static bool kernels_mention(const sp_kernel *kernels, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        const sp_kernel *k = &kernels[i];
        bool found = mentions(&k->repeat, name) || kernels_mention(k->subs, k->n_subs, name);
        for (int m = 0; !found && m < SP_N_FORMULA_METRICS; m++)
            found = mentions(&k->metrics[m], name);
        for (size_t b = 0; !found && b < k->n_bindings; b++)
            found = mentions(&k->bindings[b], name);
        if (found) return true;
    }
    return false;
}

static sp_status check_parameters(sp_formula_library *library, const sp_class *c, sp_error *err)
{
    for (size_t i = 0; c->declared && i < c->n_parameters; i++) {
        if (kernels_mention(c->kernels, c->n_kernels, c->parameters[i])) continue;
        SP_TRY(sp_library_find_odd(library, c->file, c->path, err,
                                   "no formula of %s uses its parameter \"%s\"", c->name,
                                   c->parameters[i]));
    }
    return SP_OK;
}

/* A norm writes its output once: b s h elements of a_bytes. */
static sp_status check_norm(sp_formula_library *library, const sp_class *c, sp_error *err)
{
    size_t n_writing = 0;
    if (!ends_with(c->name, "Norm")) return SP_OK;
    for (size_t i = 0; i < c->n_kernels; i++) {
        sp_rational written;
        n_writing +=
            ask(&c->kernels[i].metrics[SP_FORMULA_WRITE], NULL, &written) && written.num != 0;
        const sp_member *write = &c->kernels[i].metrics[SP_FORMULA_WRITE];
        n_writing += write->f && strchr(sp_formula_text(write->f), '+') ? 1 : 0;
    }
    if (n_writing < 2) return SP_OK;
    return sp_library_find_odd(library, c->file, c->path, err,
                               "%s writes more than its output: statistics or temporaries are "
                               "counted that a fused kernel keeps",
                               c->name);
}

sp_status sp_formula_library_lint(sp_formula_library *library, sp_error *err)
{
    assert(library->linked);
    for (size_t i = 0; i < library->n_classes; i++) {
        const sp_class *c = &library->classes[i];
        SP_TRY(check_parameters(library, c, err));
        SP_TRY(check_kernels(library, c, c->kernels, c->n_kernels, err));
        SP_TRY(check_norm(library, c, err));
    }
    return SP_OK;
}
