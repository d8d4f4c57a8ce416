/* SPDX-License-Identifier: Apache-2.0 */
/* Lays a class flat: runs its programs on forms instead of numbers, enters the classes that its
 * kernels stand for, and lists what is left. It goes the ways of expand.c and walk.c; where a
 * condition depends on the running numbers, both of its alternatives are worked out. */
#include "formula/formula_priv.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum {
    CALLS_MAX = 100000,
    STACK_MAX = 16384,    /* forms of all programs that are under way */
    VARIABLES_MAX = 65536 /* of all calls that are under way */
};
#define UNBOUND UINT32_MAX

/* What a formula is laid flat for. */
typedef struct place {
    sp_flatten *x;
    const sp_class *owner;
    const sp_member *member;
    size_t base; /* of the variables */
    int metric;  /* of the classes that it calls: sp_formula_metric */
} place;

static sp_formula_code locate(const sp_flatten *x, sp_formula_code code, const char *file,
                              const char *path)
{
    if (code == SP_FORMULA_OK || x->failure->file[0] != '\0') return code;
    snprintf(x->failure->file, sizeof x->failure->file, "%s", file);
    snprintf(x->failure->path, sizeof x->failure->path, "%s", path);
    return code;
}

/* ---- what a name is worth ---- */

static bool by_name(sp_flatten *x, const char *name, sp_form *out, sp_formula_code *code)
{
    for (int w = 0; w < SP_N_WIDTHS; w++) {
        if (strcmp(name, sp_width_names[w]) != 0) continue;
        *out = (sp_form){0};
        *code = sp_nodes_constant(&x->nodes, sp_rational_of_int(1), &out->width[w]);
        return true;
    }
    for (int r = 0; r < SP_N_RUNTIME; r++) {
        if (strcmp(name, sp_runtime_names[r]) != 0) continue;
        *out = (sp_form){0};
        *code = sp_nodes_runtime(&x->nodes, (sp_runtime)r, &out->base);
        return true;
    }
    return false;
}

/* Of the outermost class: a width, a running number or a number of the scope. */
static sp_form outermost(sp_flatten *x, const char *name)
{
    const sp_scope *scope = x->request->scope;
    sp_form form = {.base = UNBOUND};
    sp_formula_code code = SP_FORMULA_OK;
    sp_value value = {.kind = SP_VALUE_NONE};
    if (by_name(x, name, &form, &code))
        return code == SP_FORMULA_OK ? form : (sp_form){UNBOUND, {0}};
    if (!scope || scope->lookup(scope->user, name, &value) != SP_FORMULA_OK) return form;
    if (value.kind != SP_VALUE_NUMBER) return form;
    code = sp_nodes_constant(&x->nodes, value.number, &form.base);
    return code == SP_FORMULA_OK ? form : (sp_form){UNBOUND, {0}};
}

static sp_formula_code load(const place *p, size_t name, sp_form *out)
{
    sp_flatten *x = p->x;
    const char *const text = p->member->f->names[name];
    *out = p->member->slots ? x->variables[p->base + p->member->slots[name]] : outermost(x, text);
    if (out->base != UNBOUND) return SP_FORMULA_OK;
    return sp_formula_fail(x->failure, SP_FORMULA_UNBOUND, text, "%s has no value%s%s", text,
                           p->owner ? " in " : "", p->owner ? p->owner->name : "");
}

/* ---- programs ---- */

static sp_formula_code call_class(const place *p, size_t ref, const sp_form *args, sp_form *out);
static sp_formula_code run(const place *p, size_t from, size_t to, sp_form *out);

static const char *const not_linear =
    "the bytes of a kernel must be linear in w_bytes, a_bytes and kv_bytes: no product of widths, "
    "no condition, rounding or extreme of one";

static sp_formula_code fail_operation(const sp_flatten *x, sp_formula_code code)
{
    const char *words = code == SP_FORMULA_TYPE ? not_linear : sp_formula_code_words(code);
    if (code == SP_FORMULA_DIV0) {
        words = "a divisor may be zero for some batch_size, seq_len or cache_len";
    }
    if (code == SP_FORMULA_POW) words = "an exponent must be a constant whole number";
    if (code == SP_FORMULA_OVERFLOW) words = "a value may be too large for some batch or length";
    if (code == SP_FORMULA_DEPTH) words = "the class has too many different figures";
    return sp_formula_fail(x->failure, code, "", "%s", words);
}

/* Either the alternative that holds, or both; *next is the instruction behind them. */
static sp_formula_code choose(const place *p, size_t at, const sp_form *condition, size_t *next,
                              sp_form *out)
{
    const sp_formula *f = p->member->f;
    sp_flatten *x = p->x;
    const size_t other = at + f->code[at].arg + 1, leave = other - 1;
    assert(f->code[leave].op == SP_OP_JUMP);
    *next = other + f->code[leave].arg;
    if (!sp_form_is_plain(condition)) return fail_operation(x, SP_FORMULA_TYPE);
    if (sp_nodes_is_constant(&x->nodes, condition->base)) {
        return condition->base != 0 ? run(p, at + 1, leave, out) : run(p, other, *next, out);
    }
    sp_form first, second;
    sp_formula_code code = run(p, at + 1, leave, &first);
    if (code == SP_FORMULA_OK) code = run(p, other, *next, &second);
    if (code != SP_FORMULA_OK) return code;
    code = sp_form_select(&x->nodes, condition->base, &first, &second, out);
    return code == SP_FORMULA_OK ? code : fail_operation(x, code);
}

static sp_formula_code admit(const sp_flatten *x, const sp_link *link)
{
    const char *name = x->library->classes[link->class_idx].name;
    if (link->code != SP_FORMULA_OK) {
        return sp_formula_fail(x->failure, link->code, link->name, "%s", link->detail);
    }
    for (size_t i = 0; i < x->n_active; i++) {
        if (x->active[i] != link->class_idx) continue;
        return sp_formula_fail(x->failure, SP_FORMULA_CYCLE, name, "%s refers to itself", name);
    }
    if (x->n_active < SP_FORMULA_CLASS_LEVELS) return SP_FORMULA_OK;
    return sp_formula_fail(x->failure, SP_FORMULA_DEPTH, name,
                           "more than %d classes inside each other", SP_FORMULA_CLASS_LEVELS);
}

/* Replaces the arguments on the stack by the result. */
static sp_formula_code call(const place *p, const sp_instr *instr)
{
    sp_flatten *x = p->x;
    const sp_formula *f = p->member->f;
    const bool is_ref = instr->op == SP_OP_CALL_REF;
    if (instr->op == SP_OP_FAIL) {
        return sp_formula_fail(x->failure, SP_FORMULA_UNKNOWN_FUNCTION, f->texts[instr->arg],
                               "there is no function %s of %u arguments", f->texts[instr->arg],
                               (unsigned)instr->n);
    }
    if (instr->op == SP_OP_REF && !p->member->links) {
        return sp_formula_fail(x->failure, SP_FORMULA_UNRESOLVED_REF,
                               f->refs[instr->arg].class_name, "a binding cannot refer to a class");
    }
    if (instr->op == SP_OP_REF) return admit(x, &p->member->links[instr->arg]);
    const size_t n_args = is_ref ? f->refs[instr->arg].n_args : instr->n;
    sp_form *const args = x->stack + (x->n_stack - n_args), result = {0};
    sp_formula_code code = SP_FORMULA_OK;
    if (is_ref) {
        code = call_class(p, instr->arg, args, &result);
    } else {
        code = sp_form_call(&x->nodes, sp_function_name((int)instr->arg), args, n_args, &result);
        if (code != SP_FORMULA_OK) code = fail_operation(x, code);
    }
    x->n_stack -= n_args;
    x->stack[x->n_stack++] = result;
    return code;
}

static sp_formula_code change(sp_flatten *x, sp_op op)
{
    sp_form *const top = &x->stack[x->n_stack - 1];
    if (op == SP_OP_PLUS) return SP_FORMULA_OK;
    sp_form turned = {0};
    const sp_formula_code code = op == SP_OP_NEGATE
                                     ? sp_form_combine(&x->nodes, SP_OP_SUBTRACT, &turned, top)
                                     : SP_FORMULA_TYPE;
    *top = turned;
    return code;
}

static sp_formula_code step(const place *p, const sp_instr *instr)
{
    sp_flatten *x = p->x;
    const sp_op op = (sp_op)instr->op;
    sp_form pushed = {0};
    sp_formula_code code = SP_FORMULA_TYPE;
    if (op == SP_OP_NAME) {
        code = load(p, instr->arg, &pushed);
        x->stack[x->n_stack++] = pushed;
        return code;
    }
    if (op == SP_OP_NUMBER) {
        code = sp_nodes_constant(&x->nodes, p->member->f->numbers[instr->arg], &pushed.base);
        x->stack[x->n_stack++] = pushed;
    } else if (op >= SP_OP_ADD) {
        x->n_stack--;
        code = sp_form_combine(&x->nodes, op, &x->stack[x->n_stack - 1], &x->stack[x->n_stack]);
    } else if (op >= SP_OP_NEGATE) {
        code = change(x, op);
    } else if (op >= SP_OP_REF) {
        return call(p, instr);
    }
    return code == SP_FORMULA_OK ? code : fail_operation(x, code);
}

/* The value of the instructions [from, to). */
static sp_formula_code run(const place *p, size_t from, size_t to, sp_form *out)
{
    sp_flatten *x = p->x;
    const sp_formula *f = p->member->f;
    const size_t base = x->n_stack;
    sp_formula_code code = SP_FORMULA_OK;
    if (base + f->stack > STACK_MAX) {
        return sp_formula_fail(x->failure, SP_FORMULA_DEPTH, "", "calls are too deeply nested");
    }
    for (size_t i = from; i < to && code == SP_FORMULA_OK; i++) {
        if (f->code[i].op != SP_OP_UNLESS) {
            code = step(p, &f->code[i]);
            continue;
        }
        size_t next = 0;
        const sp_form condition = x->stack[--x->n_stack];
        sp_form chosen = {0};
        code = choose(p, i, &condition, &next, &chosen);
        x->stack[x->n_stack++] = chosen;
        i = next - 1;
    }
    if (code == SP_FORMULA_OK) *out = x->stack[base];
    x->n_stack = base;
    return code;
}

static sp_formula_code evaluate(const place *p, sp_form *out)
{
    const sp_flatten *x = p->x;
    *out = (sp_form){0};
    if (!p->member->f) {
        sp_formula_fail(x->failure, p->member->code, "", "%s", p->member->words);
        return locate(x, p->member->code, p->owner->file, p->member->path);
    }
    const sp_formula_code code = run(p, 0, p->member->f->n_code, out);
    return p->owner ? locate(x, code, p->owner->file, p->member->path) : code;
}

/* A formula whose value has no widths in it. */
static sp_formula_code evaluate_plain(const place *p, uint32_t *out)
{
    sp_form form;
    sp_formula_code code = evaluate(p, &form);
    if (code == SP_FORMULA_OK && !sp_form_is_plain(&form)) {
        code = sp_formula_fail(p->x->failure, SP_FORMULA_TYPE, "",
                               "widths of elements belong into bytes alone");
        code = locate(p->x, code, p->owner->file, p->member->path);
    }
    *out = form.base;
    return code;
}

/* ---- calls ---- */

/* Lays the variables of a call, the inherited ones with their values. */
static sp_formula_code push_call(sp_flatten *x, const sp_link *link, size_t caller)
{
    const sp_class *to = &x->library->classes[link->class_idx];
    const size_t base = x->n_variables, n = x->library->n_globals + to->n_locals;
    if (base + n > VARIABLES_MAX || ++x->n_calls > CALLS_MAX) {
        return sp_formula_fail(x->failure, SP_FORMULA_DEPTH, to->name, "there are too many calls");
    }
    for (size_t i = 0; i < n; i++) {
        const bool inherited = i < x->library->n_globals;
        x->variables[base + i] = inherited ? x->variables[caller + i] : (sp_form){.base = UNBOUND};
    }
    x->n_variables += n;
    return SP_FORMULA_OK;
}

static void bind(sp_flatten *x, const sp_link *link, size_t i, size_t base, const sp_form *value)
{
    if (link->slots[i] >= 0) x->variables[base + (size_t)link->slots[i]] = *value;
}

static sp_formula_code sum_kernels(const place *p, const sp_kernel *kernels, size_t n,
                                   sp_form *out);

static sp_formula_code class_cost(sp_flatten *x, size_t class_idx, size_t base, int metric,
                                  sp_form *out)
{
    const sp_class *c = &x->library->classes[class_idx];
    const place inside = {.x = x, .owner = c, .base = base, .metric = metric};
    x->active[x->n_active++] = class_idx;
    const sp_formula_code code = sum_kernels(&inside, c->kernels, c->n_kernels, out);
    x->n_active--;
    return code;
}

static sp_formula_code list_class(sp_flatten *x, size_t class_idx, size_t base,
                                  const sp_listing *as);

static sp_formula_code call_class(const place *p, size_t ref, const sp_form *args, sp_form *out)
{
    sp_flatten *x = p->x;
    const sp_link *link = &p->member->links[ref];
    const size_t base = x->n_variables;
    sp_formula_code code = push_call(x, link, p->base);
    for (size_t i = 0; i < p->member->f->refs[ref].n_args && code == SP_FORMULA_OK; i++)
        bind(x, link, i, base, &args[i]);
    const sp_listing *as = x->entering;
    x->entering = NULL;
    if (code == SP_FORMULA_OK) {
        code = as ? list_class(x, link->class_idx, base, as)
                  : class_cost(x, link->class_idx, base, p->metric, out);
    }
    x->n_variables = base;
    return code;
}

static place at_member(const place *p, const sp_member *member)
{
    place moved = *p;
    moved.member = member;
    return moved;
}

/* Lays the variables of the class that a kernel stands for, at *called. */
static sp_formula_code push_child(const place *p, const sp_kernel *kernel, size_t *called)
{
    sp_flatten *x = p->x;
    *called = x->n_variables;
    sp_formula_code code = locate(x, admit(x, &kernel->link), p->owner->file, kernel->path);
    if (code == SP_FORMULA_OK) code = push_call(x, &kernel->link, p->base);
    for (size_t i = 0; i < kernel->n_bindings && code == SP_FORMULA_OK; i++) {
        sp_form value;
        const place binding = at_member(p, &kernel->bindings[i]);
        code = evaluate(&binding, &value);
        if (code == SP_FORMULA_OK) bind(x, &kernel->link, i, *called, &value);
    }
    return code;
}

/* One repetition, for the metric of the place. */
static sp_formula_code single(const place *p, const sp_kernel *kernel, sp_form *out)
{
    sp_flatten *x = p->x;
    const place formula = at_member(p, &kernel->metrics[p->metric]);
    *out = (sp_form){0};
    if (formula.member->path) return evaluate(&formula, out);
    if (!kernel->child) return sum_kernels(p, kernel->subs, kernel->n_subs, out);
    size_t called = 0;
    sp_formula_code code = push_child(p, kernel, &called);
    if (code == SP_FORMULA_OK) code = class_cost(x, kernel->link.class_idx, called, p->metric, out);
    x->n_variables = called;
    return code;
}

static sp_formula_code repeat_of(const place *p, const sp_kernel *kernel, uint32_t *out)
{
    if (!kernel->repeat.path) {
        return sp_nodes_constant(&p->x->nodes, sp_rational_of_int(1), out);
    }
    const place repeat = at_member(p, &kernel->repeat);
    return evaluate_plain(&repeat, out);
}

static sp_formula_code sum_kernels(const place *p, const sp_kernel *kernels, size_t n, sp_form *out)
{
    sp_form total = {0}, cost, times = {0};
    for (size_t i = 0; i < n; i++) {
        sp_formula_code code = single(p, &kernels[i], &cost);
        if (code == SP_FORMULA_OK) code = repeat_of(p, &kernels[i], &times.base);
        if (code != SP_FORMULA_OK) return code;
        code = sp_form_combine(&p->x->nodes, SP_OP_MULTIPLY, &cost, &times);
        if (code == SP_FORMULA_OK) {
            code = sp_form_combine(&p->x->nodes, SP_OP_ADD, &total, &cost);
        }
        if (code != SP_FORMULA_OK) {
            return locate(p->x, fail_operation(p->x, code), p->owner->file, kernels[i].path);
        }
    }
    *out = total;
    return SP_FORMULA_OK;
}

/* ---- the list of kernels ---- */

/* Nothing but ${Class}(..) for every metric. */
static bool stands_for_class(const sp_kernel *kernel)
{
    for (int m = 0; m < SP_N_FORMULA_METRICS; m++) {
        const sp_formula *f = kernel->metrics[m].f;
        if (!f || f->n_refs != 1) return false;
        if (f->code[0].op != SP_OP_REF || f->code[f->n_code - 1].op != SP_OP_CALL_REF) return false;
    }
    return true;
}

static sp_formula_code list_leaf(const place *p, const sp_kernel *kernel, const sp_listing *as)
{
    sp_flatten *x = p->x;
    sp_formula_code code = SP_FORMULA_OK;
    if (x->n_leaves == SP_LEAVES_MAX) {
        return sp_formula_fail(x->failure, SP_FORMULA_DEPTH, p->owner->name, "more than %d kernels",
                               SP_LEAVES_MAX);
    }
    sp_leaf *leaf = &x->leaves[x->n_leaves];
    *leaf = (sp_leaf){.name = as->name,
                      .owner = p->owner,
                      .kernel = kernel,
                      .part = as->part,
                      .times = as->times};
    for (int m = 0; m < SP_N_FORMULA_METRICS && code == SP_FORMULA_OK; m++) {
        place metric = *p;
        metric.metric = m;
        code = single(&metric, kernel, &leaf->metrics[m]);
    }
    for (int i = 0; i < SP_N_KERNEL_FIGURES && code == SP_FORMULA_OK; i++) {
        const place figure = at_member(p, &kernel->figures[i]);
        if (figure.member->path) code = evaluate_plain(&figure, &leaf->figures[i]);
    }
    x->n_leaves++;
    return code;
}

static sp_formula_code list_kernels(const place *p, const sp_kernel *kernels, size_t n,
                                    const sp_listing *outer);

/* Enters the class that was called with the variables at base. */
static sp_formula_code list_class(sp_flatten *x, size_t class_idx, size_t base,
                                  const sp_listing *as)
{
    const sp_class *c = &x->library->classes[class_idx];
    const place inside = {.x = x, .owner = c, .base = base};
    x->active[x->n_active++] = class_idx;
    const sp_formula_code code = list_kernels(&inside, c->kernels, c->n_kernels, as);
    x->n_active--;
    return code;
}

/* Enters what a kernel stands for: bindings and a class, or a formula that is a call of one. */
static sp_formula_code list_called(const place *p, const sp_kernel *kernel, const sp_listing *as)
{
    sp_flatten *x = p->x;
    size_t called = 0;
    sp_form nothing;
    sp_formula_code code = SP_FORMULA_OK;
    if (!kernel->child) {
        const place formula = at_member(p, &kernel->metrics[SP_FORMULA_FLOPS]);
        x->entering = as;
        code = evaluate(&formula, &nothing);
        x->entering = NULL;
        return code;
    }
    code = push_child(p, kernel, &called);
    if (code == SP_FORMULA_OK) code = list_class(x, kernel->link.class_idx, called, as);
    x->n_variables = called;
    return code;
}

/* A class of one kernel is listed under the name of what stands for it. */
static sp_formula_code list_kernels(const place *p, const sp_kernel *kernels, size_t n,
                                    const sp_listing *outer)
{
    sp_flatten *x = p->x;
    for (size_t i = 0; i < n; i++) {
        const sp_kernel *kernel = &kernels[i];
        sp_listing as = {.name = n == 1 && outer->name ? outer->name : kernel->operation,
                         .part = kernel->part != SP_FLAT_KERNEL ? kernel->part : outer->part};
        sp_formula_code code = repeat_of(p, kernel, &as.times);
        if (code == SP_FORMULA_OK) {
            code = sp_nodes_add(&x->nodes, SP_NODE_MULTIPLY, as.times, outer->times, &as.times);
        }
        if (code != SP_FORMULA_OK) return code;
        const bool sum = kernel->n_subs > 0 && !kernel->metrics[SP_FORMULA_FLOPS].path;
        if (sum) {
            code = list_kernels(p, kernel->subs, kernel->n_subs, &as);
        } else if (kernel->child || stands_for_class(kernel)) {
            code = list_called(p, kernel, &as);
        } else {
            code = list_leaf(p, kernel, &as);
        }
        if (code != SP_FORMULA_OK) return code;
    }
    return SP_FORMULA_OK;
}

/* ---- the outermost class ---- */

static const sp_flat_binding *binding_of(const sp_flat_request *request, const char *name)
{
    for (size_t i = 0; i < request->n_bindings; i++) {
        if (strcmp(request->bindings[i].name, name) == 0) return &request->bindings[i];
    }
    return NULL;
}

/* Bound by the request, or else what its name is worth. */
static sp_formula_code set_variable(sp_flatten *x, const char *name, sp_form *out)
{
    const sp_flat_binding *binding = binding_of(x->request, name);
    if (!binding) {
        *out = outermost(x, name);
        return SP_FORMULA_OK;
    }
    const sp_member member = {.f = binding->formula};
    const place outside = {.x = x, .member = &member};
    return evaluate(&outside, out);
}

static sp_formula_code set_variables(sp_flatten *x, const sp_class *c)
{
    const sp_formula_library *library = x->library;
    sp_formula_code code = SP_FORMULA_OK;
    x->n_variables = library->n_globals + c->n_locals;
    for (size_t i = 0; i < library->n_globals && code == SP_FORMULA_OK; i++)
        code = set_variable(x, library->globals[i], &x->variables[i]);
    for (size_t i = 0; i < c->n_variables && code == SP_FORMULA_OK; i++)
        code = set_variable(x, c->variables[i], &x->variables[c->slots[i]]);
    return code;
}

sp_formula_code sp_flatten_class(sp_flatten *x)
{
    const sp_class *c = &x->library->classes[x->request->class_idx];
    x->stack = sp_alloc(STACK_MAX * sizeof *x->stack);
    x->variables = sp_alloc(VARIABLES_MAX * sizeof *x->variables);
    sp_listing all = {.name = NULL};
    x->no_memory = !x->stack || !x->variables;
    sp_formula_code code = x->no_memory ? SP_FORMULA_DEPTH : SP_FORMULA_OK;
    sp_nodes_init(&x->nodes);
    if (code == SP_FORMULA_OK) {
        code = sp_nodes_constant(&x->nodes, sp_rational_of_int(1), &all.times);
    }
    if (code == SP_FORMULA_OK) code = set_variables(x, c);
    if (code == SP_FORMULA_OK) code = list_class(x, x->request->class_idx, 0, &all);
    sp_free(x->stack);
    sp_free(x->variables);
    return code;
}
