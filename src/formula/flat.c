/* SPDX-License-Identifier: Apache-2.0 */
/* From the kernels of a class to a program of doubles: figures of all repetitions, equal kernels
 * counted once where there are too many, and of all nodes only those that a figure needs. */
#include "formula/formula_priv.h"

#include <assert.h>
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* Figures of a kernel in the order of sp_flat_counts, all of them doubles. */
enum { N_FIGURES = sizeof(sp_flat_counts) / sizeof(double) };
_Static_assert(N_FIGURES == 2 + 2 * SP_N_WIDTHS + 1 + 4 + 1, "sp_flat_counts holds figures alone");

/* Constants lie first, then the running numbers, then the results of the instructions. */
typedef struct instruction {
    uint16_t op, a, b, c;
} instruction;

typedef struct figures {
    uint16_t at[N_FIGURES];
} figures;

struct sp_flat {
    size_t n_kernels, n_constants, n_instructions;
    const sp_flat_kernel *kernels;
    const figures *figures;
    const double *constants;
    const instruction *instructions;
};

/* A kernel with the nodes of its figures. */
typedef struct draft {
    sp_flat_kernel kernel;
    const sp_leaf *leaf;
    uint32_t times;
    uint32_t figure[N_FIGURES];
} draft;

typedef struct drafts {
    draft list[SP_LEAVES_MAX];
    size_t n;
} drafts;

enum {
    FLOPS,
    VECTOR_FLOPS,
    READ,
    WRITTEN = READ + SP_N_WIDTHS,
    PARAMETERS = WRITTEN + SP_N_WIDTHS,
    SHAPE, /* m, n, k, v */
    COUNT = SHAPE + 4
};

/* ---- figures of one repetition ---- */

static sp_formula_code fail(const sp_flatten *x, const sp_leaf *leaf, const char *path,
                            sp_formula_code code, const char *words)
{
    snprintf(x->failure->file, sizeof x->failure->file, "%s", leaf->owner->file);
    snprintf(x->failure->path, sizeof x->failure->path, "%s", path ? path : leaf->kernel->path);
    return sp_formula_fail(x->failure, code, leaf->name, "%s", words);
}

static const char *metric_path(const sp_leaf *leaf, int metric)
{
    return leaf->kernel->metrics[metric].path;
}

static bool has_figure(const sp_leaf *leaf, sp_kernel_figure figure)
{
    return leaf->kernel->figures[figure].path != NULL;
}

static bool contains(const char *text, const char *word)
{
    const size_t length = strlen(word);
    for (; *text; text++) {
        size_t i = 0;
        while (i < length && tolower((unsigned char)text[i]) == word[i])
            i++;
        if (i == length) return true;
    }
    return false;
}

/* Whether matrix units do it: as stated, or it has a shape, or FLOPs and the name of a product. */
static bool on_matrix_units(const sp_leaf *leaf)
{
    static const char *const words[] = {"product", "matmul",     "linear",
                                        "gemm",    "projection", "attention"};
    if (leaf->kernel->unit != SP_UNIT_UNSTATED) return leaf->kernel->unit == SP_UNIT_MATRIX;
    if (has_figure(leaf, SP_FIGURE_M)) return true;
    if (leaf->metrics[SP_FORMULA_FLOPS].base == 0) return false;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (contains(leaf->name, words[i]) || contains(leaf->kernel->operation, words[i]) ||
            contains(leaf->owner->name, words[i])) {
            return true;
        }
    }
    return false;
}

/* Elements of each width; anything beside them is refused. */
static sp_formula_code take_elements(const sp_flatten *x, const sp_leaf *leaf, int metric,
                                     uint32_t *figure)
{
    if (leaf->metrics[metric].base != 0) {
        return fail(x, leaf, metric_path(leaf, metric), SP_FORMULA_TYPE,
                    "bytes must be elements times w_bytes, a_bytes or kv_bytes; some stand without "
                    "a width");
    }
    for (int w = 0; w < SP_N_WIDTHS; w++)
        figure[w] = leaf->metrics[metric].width[w];
    return SP_FORMULA_OK;
}

static sp_formula_code check_shape(const sp_flatten *x, const sp_leaf *leaf, bool matrix)
{
    const bool m = has_figure(leaf, SP_FIGURE_M), n = has_figure(leaf, SP_FIGURE_N);
    const bool k = has_figure(leaf, SP_FIGURE_K), v = has_figure(leaf, SP_FIGURE_V);
    if (m != n || n != k || (v && !m)) {
        return fail(x, leaf, NULL, SP_FORMULA_TYPE,
                    "the shape of a product is m, n and k, that of an attention core v besides");
    }
    if (matrix && !m && leaf->metrics[SP_FORMULA_FLOPS].base == 0) {
        return fail(x, leaf, NULL, SP_FORMULA_TYPE, "work of matrix units has FLOPs");
    }
    const bool moves = leaf->metrics[SP_FORMULA_READ].width[SP_WIDTH_ACTIVATION] != 0 &&
                       leaf->metrics[SP_FORMULA_WRITE].width[SP_WIDTH_ACTIVATION] != 0;
    if (!matrix || m || moves) return SP_FORMULA_OK;
    return fail(x, leaf, NULL, SP_FORMULA_TYPE,
                "work of matrix units states m, n and k, or reads and writes activations");
}

static sp_formula_code draft_kernel(sp_flatten *x, const sp_leaf *leaf, draft *d)
{
    const bool matrix = on_matrix_units(leaf);
    *d = (draft){
        .kernel = {.name = leaf->name, .matrix = matrix, .part = leaf->part},
        .leaf = leaf,
        .times = leaf->times
    };
    if (!sp_form_is_plain(&leaf->metrics[SP_FORMULA_FLOPS])) {
        return fail(x, leaf, metric_path(leaf, SP_FORMULA_FLOPS), SP_FORMULA_TYPE,
                    "FLOPs do not depend on the widths of elements");
    }
    sp_formula_code code = check_shape(x, leaf, matrix);
    if (code == SP_FORMULA_OK) code = take_elements(x, leaf, SP_FORMULA_READ, d->figure + READ);
    if (code == SP_FORMULA_OK) code = take_elements(x, leaf, SP_FORMULA_WRITE, d->figure + WRITTEN);
    d->figure[FLOPS] = leaf->metrics[SP_FORMULA_FLOPS].base;
    d->figure[VECTOR_FLOPS] = matrix ? leaf->figures[SP_FIGURE_VECTOR_FLOPS] : d->figure[FLOPS];
    d->figure[PARAMETERS] = has_figure(leaf, SP_FIGURE_PARAMETERS)
                                ? leaf->figures[SP_FIGURE_PARAMETERS]
                                : d->figure[READ + SP_WIDTH_WEIGHT];
    for (int i = 0; i < 4; i++)
        d->figure[SHAPE + i] = leaf->figures[SP_FIGURE_M + i];
    if (code != SP_FORMULA_OK || has_figure(leaf, SP_FIGURE_COUNT)) {
        d->figure[COUNT] = leaf->figures[SP_FIGURE_COUNT];
        return code;
    }
    return sp_nodes_constant(&x->nodes, sp_rational_of_int(1), &d->figure[COUNT]);
}

/* ---- few enough kernels ---- */

static bool same_kernel(const draft *a, const draft *b)
{
    return strcmp(a->kernel.name, b->kernel.name) == 0 && a->kernel.matrix == b->kernel.matrix &&
           a->kernel.part == b->kernel.part && memcmp(a->figure, b->figure, sizeof a->figure) == 0;
}

static sp_formula_code merge_equal(sp_flatten *x, drafts *d)
{
    size_t n = 0;
    for (size_t i = 0; i < d->n; i++) {
        size_t first = 0;
        while (first < n && !same_kernel(&d->list[first], &d->list[i]))
            first++;
        if (first == n) {
            d->list[n++] = d->list[i];
            continue;
        }
        const sp_formula_code code = sp_nodes_add(&x->nodes, SP_NODE_ADD, d->list[first].times,
                                                  d->list[i].times, &d->list[first].times);
        if (code != SP_FORMULA_OK) return code;
    }
    d->n = n;
    return SP_FORMULA_OK;
}

static sp_formula_code draft_all(sp_flatten *x, drafts *d)
{
    sp_formula_code code = SP_FORMULA_OK;
    d->n = 0;
    for (size_t i = 0; i < x->n_leaves && code == SP_FORMULA_OK; i++) {
        if (x->leaves[i].part == SP_FLAT_CACHE) continue;
        code = draft_kernel(x, &x->leaves[i], &d->list[d->n++]);
    }
    if (code == SP_FORMULA_OK && d->n > SP_FLAT_KERNELS) code = merge_equal(x, d);
    if (code != SP_FORMULA_OK) return code;
    const char *name = sp_formula_class_name(x->library, x->request->class_idx);
    if (d->n == 0) {
        return sp_formula_fail(x->failure, SP_FORMULA_TYPE, name, "%s has no kernels", name);
    }
    if (d->n <= SP_FLAT_KERNELS) return SP_FORMULA_OK;
    return sp_formula_fail(x->failure, SP_FORMULA_DEPTH, name,
                           "%s has %zu different kernels, of which %d are the most", name, d->n,
                           SP_FLAT_KERNELS);
}

/* All repetitions; the shape is that of one product. */
static sp_formula_code repeat(sp_flatten *x, draft *d)
{
    sp_formula_code code = SP_FORMULA_OK;
    for (int i = 0; i < N_FIGURES && code == SP_FORMULA_OK; i++) {
        if (i >= SHAPE && i < COUNT) continue;
        code = sp_nodes_add(&x->nodes, SP_NODE_MULTIPLY, d->figure[i], d->times, &d->figure[i]);
    }
    if (code == SP_FORMULA_OK) return code;
    return fail(x, d->leaf, NULL, code, "a figure may be too large for some batch or length");
}

/* ---- the program ---- */

typedef struct layout {
    uint16_t place[SP_NODES_MAX]; /* of a node among the values */
    bool used[SP_NODES_MAX];
    size_t n_constants, n_instructions;
} layout;

static void mark(const sp_nodes *nodes, const drafts *d, layout *l)
{
    for (size_t i = 0; i < d->n; i++) {
        for (int k = 0; k < N_FIGURES; k++)
            l->used[d->list[i].figure[k]] = true;
    }
    for (uint32_t i = nodes->n; i-- > 0;) {
        const sp_node *node = &nodes->node[i];
        if (!l->used[i] || node->op == SP_NODE_CONSTANT || node->op == SP_NODE_RUNTIME) continue;
        l->used[node->a] = l->used[node->b] = true;
        if (node->op == SP_NODE_SELECT) l->used[node->c] = true;
    }
}

static sp_formula_code place_nodes(const sp_flatten *x, layout *l)
{
    const sp_nodes *nodes = &x->nodes;
    for (uint32_t i = 0; i < nodes->n; i++) {
        if (!l->used[i] || nodes->node[i].op != SP_NODE_CONSTANT) continue;
        l->place[i] = (uint16_t)l->n_constants++;
    }
    for (uint32_t i = 0; i < nodes->n; i++) {
        const sp_node *node = &nodes->node[i];
        if (!l->used[i] || node->op == SP_NODE_CONSTANT) continue;
        l->place[i] = (uint16_t)(l->n_constants + (node->op == SP_NODE_RUNTIME
                                                       ? node->a
                                                       : SP_N_RUNTIME + l->n_instructions++));
    }
    const size_t n = l->n_constants + SP_N_RUNTIME + l->n_instructions;
    if (n <= SP_FLAT_NODES) return SP_FORMULA_OK;
    return sp_formula_fail(x->failure, SP_FORMULA_DEPTH, "",
                           "the class needs %zu different values, of which %d are the most", n,
                           SP_FLAT_NODES);
}

static void write_program(const sp_nodes *nodes, const layout *l, double *constants,
                          instruction *code)
{
    for (uint32_t i = 0; i < nodes->n; i++) {
        const sp_node *node = &nodes->node[i];
        if (!l->used[i] || node->op == SP_NODE_RUNTIME) continue;
        if (node->op == SP_NODE_CONSTANT) {
            constants[l->place[i]] = sp_rational_to_double(node->value);
            continue;
        }
        code[l->place[i] - l->n_constants - SP_N_RUNTIME] = (instruction){
            (uint16_t)node->op, l->place[node->a], l->place[node->b], l->place[node->c]};
    }
}

/* ---- evaluating ---- */

static double work_out(const instruction *i, const double *value)
{
    const double a = value[i->a], b = value[i->b];
    switch ((sp_node_op)i->op) {
    case SP_NODE_ADD:
        return a + b;
    case SP_NODE_SUBTRACT:
        return a - b;
    case SP_NODE_MULTIPLY:
        return a * b;
    case SP_NODE_DIVIDE:
        return a / b;
    case SP_NODE_FLOOR:
        return floor(a);
    case SP_NODE_CEIL:
        return ceil(a);
    case SP_NODE_MIN:
        return a < b ? a : b;
    case SP_NODE_MAX:
        return a > b ? a : b;
    case SP_NODE_LESS:
        return a < b ? 1.0 : 0.0;
    case SP_NODE_LESS_EQUAL:
        return a <= b ? 1.0 : 0.0;
    case SP_NODE_EQUAL:
        return a == b ? 1.0 : 0.0;
    case SP_NODE_SELECT:
        return a != 0.0 ? b : value[i->c];
    case SP_NODE_CONSTANT:
    case SP_NODE_RUNTIME:
        break;
    }
    assert(!"no instruction");
    return 0.0;
}

static void run_program(const sp_flat *flat, const double runtime[SP_N_RUNTIME],
                        double value[SP_FLAT_NODES])
{
    memcpy(value, flat->constants, flat->n_constants * sizeof value[0]);
    memcpy(value + flat->n_constants, runtime, SP_N_RUNTIME * sizeof value[0]);
    double *const results = value + flat->n_constants + SP_N_RUNTIME;
    for (size_t i = 0; i < flat->n_instructions; i++)
        results[i] = work_out(&flat->instructions[i], value);
}

void sp_flat_eval(const sp_flat *flat, const double runtime[SP_N_RUNTIME], sp_flat_counts *counts)
{
    double value[SP_FLAT_NODES];
    run_program(flat, runtime, value);
    for (size_t i = 0; i < flat->n_kernels; i++) {
        double figure[N_FIGURES];
        for (int k = 0; k < N_FIGURES; k++)
            figure[k] = fmax(value[flat->figures[i].at[k]], 0.0);
        memcpy(&counts[i], figure, sizeof figure);
        counts[i].parameters = flat->kernels[i].parameters;
    }
}

/* ---- building ---- */

static void set_parameters(const sp_flat *flat, sp_flat_kernel *kernels)
{
    static const double many[SP_N_RUNTIME] = {1, 1048576, 0, 524288.5};
    double value[SP_FLAT_NODES];
    run_program(flat, many, value);
    for (size_t i = 0; i < flat->n_kernels; i++)
        kernels[i].parameters = value[flat->figures[i].at[PARAMETERS]];
}

static sp_formula_code write_flat(sp_arena *arena, sp_flatten *x, const drafts *d, const layout *l,
                                  const sp_flat **out)
{
    sp_flat *flat = sp_arena_alloc(arena, sizeof *flat);
    sp_flat_kernel *kernels = sp_arena_alloc(arena, d->n * sizeof *kernels);
    figures *places = sp_arena_alloc(arena, d->n * sizeof *places);
    double *constants = sp_arena_alloc(arena, (l->n_constants + 1) * sizeof *constants);
    instruction *code = sp_arena_alloc(arena, (l->n_instructions + 1) * sizeof *code);
    bool failed = !flat || !kernels || !places || !constants || !code;
    for (size_t i = 0; i < d->n && !failed; i++) {
        kernels[i] = d->list[i].kernel;
        kernels[i].name = sp_arena_strdup(arena, kernels[i].name);
        failed = !kernels[i].name;
        for (int k = 0; k < N_FIGURES; k++)
            places[i].at[k] = l->place[d->list[i].figure[k]];
    }
    x->no_memory = failed;
    if (failed) return SP_FORMULA_DEPTH;
    write_program(&x->nodes, l, constants, code);
    *flat = (sp_flat){.n_kernels = d->n,
                      .n_constants = l->n_constants,
                      .n_instructions = l->n_instructions,
                      .kernels = kernels,
                      .figures = places,
                      .constants = constants,
                      .instructions = code};
    set_parameters(flat, kernels);
    *out = flat;
    return SP_FORMULA_OK;
}

/* Signs are tried out for the shapes of training, prefill and decoding. */
static sp_formula_code try_shapes(const sp_flatten *x, const drafts *d, const sp_flat *flat)
{
    static const double shapes[][SP_N_RUNTIME] = {
        {1,  1,    0,     1     },
        {1,  4096, 0,     2048  },
        {8,  2048, 0,     1024.5},
        {1,  1,    4096,  4097  },
        {64, 1,    32768, 32769 },
        {4,  512,  1536,  1792.5},
    };
    double value[SP_FLAT_NODES];
    for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) {
        run_program(flat, shapes[s], value);
        for (size_t i = 0; i < flat->n_kernels; i++) {
            for (int k = 0; k < N_FIGURES; k++) {
                if (value[flat->figures[i].at[k]] >= 0.0) continue;
                return fail(x, d->list[i].leaf, NULL, SP_FORMULA_TYPE,
                            "a figure of the kernel is below zero");
            }
        }
    }
    return SP_FORMULA_OK;
}

/* What building needs for a moment, too large for the stack. */
typedef struct workshop {
    sp_flatten x;
    drafts d;
    layout l;
} workshop;

static sp_formula_code build(sp_arena *arena, workshop *w, const sp_flat **out)
{
    sp_formula_code code = sp_flatten_class(&w->x);
    if (code == SP_FORMULA_OK) code = draft_all(&w->x, &w->d);
    for (size_t i = 0; i < w->d.n && code == SP_FORMULA_OK; i++)
        code = repeat(&w->x, &w->d.list[i]);
    if (code != SP_FORMULA_OK) return code;
    mark(&w->x.nodes, &w->d, &w->l);
    code = place_nodes(&w->x, &w->l);
    if (code == SP_FORMULA_OK) code = write_flat(arena, &w->x, &w->d, &w->l, out);
    return code == SP_FORMULA_OK ? try_shapes(&w->x, &w->d, *out) : code;
}

sp_formula_code sp_flat_build(sp_arena *arena, const sp_flat_request *request, const sp_flat **out,
                              sp_formula_failure *failure)
{
    assert(request->library->linked && failure);
    workshop *w = sp_alloc(sizeof *w);
    *failure = (sp_formula_failure){0};
    *out = NULL;
    if (!w) return SP_FORMULA_OK;
    w->x.request = request;
    w->x.library = request->library;
    w->x.failure = failure;
    const sp_formula_code built = build(arena, w, out);
    const sp_formula_code code = w->x.no_memory ? SP_FORMULA_OK : built;
    sp_free(w);
    return code;
}

size_t sp_flat_kernels(const sp_flat *flat, const sp_flat_kernel **kernels)
{
    *kernels = flat->kernels;
    return flat->n_kernels;
}

void sp_flat_write_numbers(const sp_flat *flat, sp_text *out)
{
    for (size_t i = 0; i < flat->n_kernels; i++) {
        const sp_flat_kernel *kernel = &flat->kernels[i];
        sp_text_printf(out, "kernel %d %d", kernel->matrix, (int)kernel->part);
        for (int k = 0; k < N_FIGURES; k++)
            sp_text_printf(out, " %u", flat->figures[i].at[k]);
        sp_text_add(out, "\n");
    }
    sp_text_add(out, "constants");
    for (size_t i = 0; i < flat->n_constants; i++)
        sp_text_printf(out, " %.17g", flat->constants[i]);
    sp_text_add(out, "\n");
    for (size_t i = 0; i < flat->n_instructions; i++) {
        const instruction *in = &flat->instructions[i];
        sp_text_printf(out, "%u %u %u %u\n", in->op, in->a, in->b, in->c);
    }
}
