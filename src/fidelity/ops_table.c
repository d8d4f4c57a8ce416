/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a table of measured kernel calls: one CSV file of one kind of operator, plain or packed by
 * gzip. Every cell is checked; errors name line, column and value. */
#include "fidelity/gzip.h"
#include "fidelity/ops_priv.h"

#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- kernels ---- */

static bool same_kernel(const sp_ops_kernel *a, const sp_ops_kernel *b)
{
    const sp_surface *s = &a->surface, *t = &b->surface;
    return s->op == t->op && a->key_width == b->key_width && strcmp(s->variant, t->variant) == 0 &&
           strcmp(a->name, b->name) == 0 && strcmp(a->version, b->version) == 0 &&
           strcmp(s->kernel, t->kernel) == 0 && strcmp(s->dtype, t->dtype) == 0 &&
           strcmp(s->kv_dtype, t->kv_dtype) == 0;
}

static sp_status fail_memory(sp_error *err)
{
    return sp_fail(err, SP_E_MEMORY, "no memory for the table");
}

static sp_status keep(sp_ops_reader *r, const char **text)
{
    *text = sp_arena_strdup(&r->ops->arena, *text);
    return *text != NULL ? SP_OK : fail_memory(r->err);
}

static sp_status add_kernel(sp_ops_reader *r, const sp_ops_kernel *kernel)
{
    sp_ops *ops = r->ops;
    if (ops->n_kernels == ops->kernels_capacity) {
        const uint32_t capacity = ops->kernels_capacity == 0 ? 64 : 2 * ops->kernels_capacity;
        sp_ops_kernel *grown = sp_realloc(ops->kernels, capacity * sizeof *grown);
        if (grown == NULL) return fail_memory(r->err);
        ops->kernels = grown;
        ops->kernels_capacity = capacity;
    }
    sp_ops_kernel *const k = &ops->kernels[ops->n_kernels];
    *k = *kernel;
    SP_TRY(keep(r, &k->name));
    SP_TRY(keep(r, &k->version));
    SP_TRY(keep(r, &k->surface.kernel));
    SP_TRY(keep(r, &k->surface.dtype));
    SP_TRY(keep(r, &k->surface.kv_dtype));
    k->surface.framework = sp_arena_printf(&ops->arena, "%s%s%s", k->name,
                                           k->version[0] != '\0' ? " " : "", k->version);
    if (k->surface.framework == NULL) return fail_memory(r->err);
    ops->n_kernels++;
    return SP_OK;
}

static sp_status find_kernel(sp_ops_reader *r, const sp_ops_kernel *kernel, uint32_t *idx)
{
    sp_ops *ops = r->ops;
    *idx = r->last_kernel;
    if (*idx < ops->n_kernels && same_kernel(&ops->kernels[*idx], kernel)) return SP_OK;
    for (*idx = 0; *idx < ops->n_kernels; (*idx)++) {
        if (same_kernel(&ops->kernels[*idx], kernel)) break;
    }
    r->last_kernel = *idx;
    return *idx < ops->n_kernels ? SP_OK : add_kernel(r, kernel);
}

static sp_status check_format(sp_ops_reader *r, uint32_t row, uint32_t i)
{
    const char *cell = sp_ops_word(r, row, i);
    if (sp_surface_format_find(cell) != NULL) return SP_OK;
    size_t n = 0;
    const char *const *names = sp_surface_format_names(&n);
    (void)sp_csv_fail(&r->csv, row, r->column[i], r->err, SP_E_UNKNOWN_NAME, "not a number format");
    return sp_fail_names(r->err, cell, names, n);
}

/* ---- rows ---- */

static sp_status read_kernel(sp_ops_reader *r, uint32_t row, sp_ops_row *out)
{
    sp_ops_kernel kernel = {
        .surface = {.op = r->kind->op,
                    .variant = "",
                    .kv_dtype = "",
                    .kernel = sp_csv_cell(&r->csv, row, r->kernel)},
        .name = sp_csv_cell(&r->csv, row, r->framework),
        .version = sp_csv_cell(&r->csv, row, r->version)
    };
    kernel.surface.dtype = sp_ops_word(r, row, 0);
    SP_TRY(check_format(r, row, 0));
    SP_TRY(r->kind->read(r, row, out, &kernel));
    if (kernel.surface.kv_dtype[0] != '\0') SP_TRY(check_format(r, row, 1));
    if (strcmp(kernel.surface.kv_dtype, kernel.surface.dtype) == 0) kernel.surface.kv_dtype = "";
    SP_TRY(find_kernel(r, &kernel, &out->kernel_idx));
    r->ops->kernels[out->kernel_idx].n_rows++;
    return SP_OK;
}

static sp_status read_row(sp_ops_reader *r, uint32_t row, sp_ops_row *out)
{
    double numbers[COUNT(r->kind->shape)];
    double milliseconds = 0.0;
    *out = (sp_ops_row){.line = r->csv.lines[row + 1]};
    SP_TRY(sp_ops_number(r, row, r->latency, 1e-6, 1e7, &milliseconds));
    out->measured_s = 1e-3 * milliseconds;
    SP_TRY(read_kernel(r, row, out));
    if (r->kind->n_shape == 0) return SP_OK;
    for (uint32_t i = 0; i < r->kind->n_shape; i++) {
        numbers[i] = out->dim[r->kind->shape[i]];
    }
    out->shape = sp_hash_bytes(numbers, r->kind->n_shape * sizeof numbers[0]).low;
    return SP_OK;
}

static sp_status find_columns(sp_ops_reader *r)
{
    r->framework = sp_csv_column(&r->csv, "framework");
    r->version = sp_csv_column(&r->csv, "version");
    r->kernel = sp_csv_column(&r->csv, "kernel_source");
    SP_TRY(sp_csv_need(&r->csv, "latency_ms", &r->latency, r->err));
    for (uint32_t i = 0; i < SP_OPS_MAX_COLUMNS && r->kind->columns[i] != NULL; i++) {
        SP_TRY(sp_csv_need(&r->csv, r->kind->columns[i], &r->column[i], r->err));
    }
    return SP_OK;
}

static sp_status read_rows(sp_ops_reader *r)
{
    sp_ops *ops = r->ops;
    SP_TRY(find_columns(r));
    const uint32_t n = ops->n_rows + r->csv.n_rows;
    sp_ops_row *rows = sp_realloc(ops->rows, n * sizeof *rows);
    if (rows == NULL) return fail_memory(r->err);
    ops->rows = rows;
    for (uint32_t row = 0; row < r->csv.n_rows; row++) {
        SP_TRY(read_row(r, row, &rows[ops->n_rows]));
        ops->n_rows++;
    }
    return SP_OK;
}

static sp_status load_csv(sp_ops_reader *r, const char *file)
{
    if (!sp_gzip_is(file)) return sp_csv_load(file, &r->csv, r->err);
    sp_text text = {0};
    sp_status status = sp_gzip_read(file, SP_CSV_MAX_BYTES, &text, r->err);
    if (status == SP_OK) {
        status =
            sp_csv_parse(text.data != NULL ? text.data : "", text.length, file, &r->csv, r->err);
    }
    sp_text_fini(&text);
    return status;
}

sp_status sp_ops_read(sp_ops *ops, const char *file, const char *op, sp_error *err)
{
    sp_ops_reader r = {.ops = ops, .err = err};
    SP_TRY(sp_ops_kind_find(file, op, &r.kind, err));
    r.memo = sp_load_memo_make();
    if (r.memo == NULL) return fail_memory(err);
    sp_status status = load_csv(&r, file);
    if (status == SP_OK) status = read_rows(&r);
    sp_csv_fini(&r.csv);
    sp_free(r.memo);
    return status;
}

sp_status sp_ops_add(sp_ops *ops, const sp_ops_kernel *kernel, const sp_ops_row *row, sp_error *err)
{
    sp_ops_reader r = {.ops = ops, .err = err};
    uint32_t idx = 0;
    SP_TRY(find_kernel(&r, kernel, &idx));
    sp_ops_row *rows = sp_realloc(ops->rows, (ops->n_rows + 1) * sizeof *rows);
    if (rows == NULL) return fail_memory(err);
    ops->rows = rows;
    rows[ops->n_rows] = *row;
    rows[ops->n_rows++].kernel_idx = idx;
    ops->kernels[idx].n_rows++;
    return SP_OK;
}

/* ---- versions ---- */

/* Compares "1.3.0rc20" and "1.10": numbers by value, other characters as they stand. */
static int compare_versions(const char *a, const char *b)
{
    while (*a != '\0' && *b != '\0') {
        const bool digits = strchr("0123456789", *a) != NULL && strchr("0123456789", *b) != NULL;
        char *end_a = NULL, *end_b = NULL;
        const unsigned long x = digits ? strtoul(a, &end_a, 10) : (unsigned char)*a;
        const unsigned long y = digits ? strtoul(b, &end_b, 10) : (unsigned char)*b;
        if (x != y) return x < y ? -1 : 1;
        a = digits ? end_a : a + 1;
        b = digits ? end_b : b + 1;
    }
    return (*a != '\0') - (*b != '\0');
}

/* Whole shapes of one kernel: what its rows name, each once, of which the first few say enough. */
#define MANY_SHAPES 8

static uint32_t count_shapes(const sp_ops *ops, uint32_t kernel_idx)
{
    uint64_t shapes[MANY_SHAPES];
    uint32_t n = 0;
    for (uint32_t i = 0; i < ops->n_rows && n < MANY_SHAPES; i++) {
        const sp_ops_row *row = &ops->rows[i];
        uint32_t at = 0;
        if (row->kernel_idx != kernel_idx) continue;
        while (at < n && shapes[at] != row->shape)
            at++;
        shapes[at] = row->shape;
        n += at == n;
    }
    return n;
}

/* A version that was measured on a few shapes alone does not speak for the others. */
static bool replaces(const sp_ops *ops, uint32_t newer, uint32_t old)
{
    return 2 * count_shapes(ops, newer) > count_shapes(ops, old);
}

void sp_ops_supersede(sp_ops *ops)
{
    for (uint32_t i = 0; i < ops->n_kernels; i++) {
        sp_ops_kernel *const old = &ops->kernels[i];
        for (uint32_t k = 0; k < ops->n_kernels; k++) {
            sp_ops_kernel same = *old;
            same.version = ops->kernels[k].version;
            if (same_kernel(&same, &ops->kernels[k]) &&
                compare_versions(old->version, same.version) < 0 && replaces(ops, k, i)) {
                old->superseded = true;
            }
        }
    }
}

void sp_ops_fini(sp_ops *ops)
{
    sp_free(ops->kernels);
    sp_free(ops->rows);
    sp_arena_fini(&ops->arena);
    *ops = (sp_ops){0};
}
