/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a table of measured kernel calls: one CSV file of one kind of operator, plain or packed by
 * gzip. Every cell is checked; errors name line, column and value. */
#include "fidelity/ops.h"

#include "fidelity/gzip.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define MAX_COLUMNS  16

/* DeepSeek-AI, DeepSeek-V2, arXiv:2405.04434: a latent vector of 512 beside 64 rotated dimensions;
 * expanded, keys of 128 + 64 and values of 128 a head. */
static const double mla_key = 192.0, mla_value = 128.0, mla_latent = 512.0, mla_rotated = 64.0;

typedef struct reader {
    sp_ops *ops;
    const struct table *table;
    sp_csv csv;
    uint32_t column[MAX_COLUMNS]; /* of table->columns */
    uint32_t framework, version, kernel, latency;
    uint32_t last_kernel; /* rows of one kernel mostly stand together */
    struct load_memo *memo;
    sp_error *err;
} reader;

/* One kind of table. */
typedef struct table {
    const char *name; /* of the file, before .csv */
    sp_surface_op op;
    const char *columns[MAX_COLUMNS]; /* that must be there */
    /* Fills dimensions, words of the kernel and the numbers of the whole shape (returns how many). */
    sp_status (*read)(reader *r, uint32_t row, sp_ops_row *out, sp_ops_kernel *kernel);
    uint32_t n_shape, shape[4]; /* dimensions that make the whole shape */
} table;

static const char *word(const reader *r, uint32_t row, uint32_t i)
{
    return sp_csv_cell(&r->csv, row, r->column[i]);
}

/* A number that must be there. */
static sp_status number(const reader *r, uint32_t row, uint32_t column, double lo, double hi,
                        double *value)
{
    if (sp_csv_cell(&r->csv, row, column)[0] == '\0') {
        return sp_csv_fail(&r->csv, row, column, r->err, SP_E_TYPE, "must be a number");
    }
    return sp_csv_double(&r->csv, row, column, lo, hi, 0.0, value, r->err);
}

static sp_status count(const reader *r, uint32_t row, uint32_t i, double lo, double *value)
{
    SP_TRY(number(r, row, r->column[i], lo, 1e12, value));
    if (*value == floor(*value)) return SP_OK;
    return sp_csv_fail(&r->csv, row, r->column[i], r->err, SP_E_TYPE, "must be a whole number");
}

/* ---- the kinds of tables ---- */

static sp_status read_gemm(reader *r, uint32_t row, sp_ops_row *out, sp_ops_kernel *kernel)
{
    kernel->surface.dtype = word(r, row, 0);
    SP_TRY(count(r, row, 1, 1.0, &out->dim[SP_DIM_M]));
    SP_TRY(count(r, row, 2, 1.0, &out->dim[SP_DIM_N]));
    return count(r, row, 3, 1.0, &out->dim[SP_DIM_K]);
}

/* Decoding has one new token and all others in the cache. */
static sp_status read_attention(reader *r, uint32_t row, sp_ops_row *out, sp_ops_kernel *kernel)
{
    kernel->surface.dtype = word(r, row, 0);
    kernel->surface.kv_dtype = word(r, row, 1);
    SP_TRY(count(r, row, 2, 1.0, &out->dim[SP_DIM_BATCH]));
    SP_TRY(count(r, row, 3, 1.0, &out->dim[SP_DIM_NEW]));
    SP_TRY(count(r, row, 4, 1.0, &out->dim[SP_DIM_HEADS]));
    SP_TRY(count(r, row, 5, 1.0, &out->dim[SP_DIM_KV_HEADS]));
    SP_TRY(count(r, row, 6, 1.0, &out->dim[SP_DIM_KEY]));
    SP_TRY(count(r, row, 7, 0.0, &out->dim[SP_DIM_WINDOW]));
    SP_TRY(count(r, row, 8, 0.0, &out->dim[SP_DIM_PAST]));
    out->dim[SP_DIM_VALUE] = out->dim[SP_DIM_KEY];
    kernel->key_width = out->dim[SP_DIM_KEY];
    const bool own = out->dim[SP_DIM_HEADS] == out->dim[SP_DIM_KV_HEADS];
    const bool decodes = r->table->op == SP_SURFACE_ATTENTION_GENERATION;
    kernel->surface.variant = !decodes ? "" : own ? "mha" : "gqa";
    return SP_OK;
}

static sp_status read_mla(reader *r, uint32_t row, sp_ops_row *out, sp_ops_kernel *kernel)
{
    const bool absorbed = r->table->op == SP_SURFACE_MLA_GENERATION;
    kernel->surface.dtype = word(r, row, 0);
    kernel->surface.kv_dtype = word(r, row, 1);
    SP_TRY(count(r, row, 2, 1.0, &out->dim[SP_DIM_BATCH]));
    SP_TRY(count(r, row, 3, 1.0, &out->dim[SP_DIM_NEW]));
    SP_TRY(count(r, row, 4, 1.0, &out->dim[SP_DIM_HEADS]));
    SP_TRY(count(r, row, 5, 0.0, &out->dim[SP_DIM_PAST]));
    out->dim[SP_DIM_KV_HEADS] = absorbed ? 1.0 : out->dim[SP_DIM_HEADS];
    out->dim[SP_DIM_KEY] = absorbed ? mla_latent + mla_rotated : mla_key;
    out->dim[SP_DIM_VALUE] = absorbed ? mla_latent : mla_value;
    kernel->key_width = out->dim[SP_DIM_KEY];
    return SP_OK;
}

static sp_status read_alpha(const reader *r, uint32_t row, double *alpha)
{
    static const char law[] = "power_law_";
    const char *text = word(r, row, 8);
    char *end = NULL;
    *alpha = 0.0;
    if (strcmp(text, "balanced") == 0 || strcmp(text, "uniform") == 0) return SP_OK;
    if (strncmp(text, law, sizeof law - 1) == 0) {
        *alpha = strtod(text + sizeof law - 1, &end);
        if (*end == '\0' && *alpha > 0.0 && *alpha <= 8.0) return SP_OK;
    }
    (void)sp_csv_fail(&r->csv, row, r->column[8], r->err, SP_E_UNKNOWN_NAME,
                      "not a distribution of tokens over experts");
    return sp_fail_range(r->err, "balanced, power_law_ALPHA with ALPHA up to 8");
}

#define MEMO_SLOTS 65536u

/* Routings repeat over widths and formats. */
typedef struct load_memo {
    bool used[MEMO_SLOTS];
    sp_routing routing[MEMO_SLOTS];
    sp_load load[MEMO_SLOTS];
} load_memo;

static bool same_routing(const sp_routing *a, const sp_routing *b)
{
    return a->tokens == b->tokens && a->topk == b->topk && a->experts == b->experts &&
           a->ranks == b->ranks && a->alpha == b->alpha;
}

static sp_load load_of(const reader *r, const sp_routing *routing)
{
    const double numbers[] = {routing->tokens, routing->topk, routing->experts, routing->ranks,
                              routing->alpha};
    const uint32_t slot =
        (uint32_t)(sp_hash_bytes(numbers, sizeof numbers).low % MEMO_SLOTS);
    load_memo *memo = r->memo;
    if (!memo->used[slot] || !same_routing(&memo->routing[slot], routing)) {
        memo->used[slot] = true;
        memo->routing[slot] = *routing;
        memo->load[slot] = sp_routing_load(routing);
    }
    return memo->load[slot];
}

static sp_status read_routing(reader *r, uint32_t row, sp_routing *out)
{
    sp_error *const err = r->err;
    const sp_csv *csv = &r->csv;
    SP_TRY(sp_csv_u32(csv, row, r->column[1], 1, 1u << 24, 0, &out->tokens, err));
    SP_TRY(sp_csv_u32(csv, row, r->column[4], 1, 1024, 0, &out->topk, err));
    SP_TRY(sp_csv_u32(csv, row, r->column[5], 1, 4096, 0, &out->experts, err));
    SP_TRY(sp_csv_u32(csv, row, r->column[7], 1, 4096, 0, &out->ranks, err));
    if (out->experts == 0 || out->experts % (out->ranks > 0 ? out->ranks : 1) != 0 ||
        out->topk > out->experts || out->tokens == 0 || out->topk == 0 || out->ranks == 0) {
        return sp_csv_fail(csv, row, r->column[5], err, SP_E_INCONSISTENT,
                           "tokens, topk, num_experts and moe_ep_size must be there; the ranks must "
                           "divide the experts, and a token choose no more than there are");
    }
    return read_alpha(r, row, &out->alpha);
}

/* An expert without a gate has two matrices; the kernel's name says so. */
static bool is_gated(const char *kernel)
{
    return strstr(kernel, "nongated") == NULL;
}

static sp_status read_moe(reader *r, uint32_t row, sp_ops_row *out, sp_ops_kernel *kernel)
{
    sp_routing routing = {0};
    double width = 0.0, pieces = 1.0;
    kernel->surface.dtype = word(r, row, 0);
    SP_TRY(read_routing(r, row, &routing));
    SP_TRY(count(r, row, 2, 1.0, &out->dim[SP_DIM_HIDDEN]));
    SP_TRY(count(r, row, 3, 1.0, &width));
    SP_TRY(count(r, row, 6, 1.0, &pieces));
    const sp_load load = load_of(r, &routing);
    out->dim[SP_DIM_TOKENS] = routing.tokens;
    out->dim[SP_DIM_WIDTH] = width / pieces;
    out->dim[SP_DIM_TOPK] = routing.topk;
    out->dim[SP_DIM_CHOICES] = load.choices;
    out->dim[SP_DIM_ACTIVE] = load.active;
    out->dim[SP_DIM_MATRICES] = is_gated(kernel->surface.kernel) ? 3.0 : 2.0;
    out->dim[SP_DIM_EXPERTS] = (double)routing.experts / routing.ranks;
    /* The whole shape is the model's, whatever share of it was timed. */
    const double whole[] = {out->dim[SP_DIM_HIDDEN], width, routing.experts};
    out->shape = sp_hash_bytes(whole, sizeof whole).low;
    return SP_OK;
}

static sp_status read_message(reader *r, uint32_t row, sp_ops_row *out, sp_ops_kernel *kernel)
{
    double elements = 0.0;
    const sp_surface_format *format = sp_surface_format_find(kernel->surface.dtype);
    SP_TRY(count(r, row, 1, 2.0, &out->dim[SP_DIM_RANKS]));
    SP_TRY(count(r, row, 2, 1.0, &elements));
    out->dim[SP_DIM_BYTES] = elements * (format != NULL ? format->activation_bytes : 1.0);
    return SP_OK;
}

static sp_status read_nccl(reader *r, uint32_t row, sp_ops_row *out, sp_ops_kernel *kernel)
{
    static const char *const variants[] = {"all_gather", "all_reduce", "alltoall",
                                           "reduce_scatter"};
    const char *variant = word(r, row, 3);
    kernel->surface.dtype = word(r, row, 0);
    for (size_t i = 0; i < COUNT(variants); i++) {
        if (strcmp(variant, variants[i]) == 0) kernel->surface.variant = variants[i];
    }
    if (kernel->surface.variant[0] != '\0') return read_message(r, row, out, kernel);
    (void)sp_csv_fail(&r->csv, row, r->column[3], r->err, SP_E_UNKNOWN_NAME, "not a collective");
    return sp_fail_names(r->err, variant, variants, COUNT(variants));
}

static sp_status read_allreduce(reader *r, uint32_t row, sp_ops_row *out, sp_ops_kernel *kernel)
{
    kernel->surface.dtype = word(r, row, 0);
    kernel->surface.variant = "all_reduce";
    return read_message(r, row, out, kernel);
}

#define ATTENTION_COLUMNS                                                                          \
    {"attn_dtype",          "kv_cache_dtype", "batch_size",  "isl", "num_heads",                   \
     "num_key_value_heads", "head_dim",       "window_size", "step"}
#define MLA_COLUMNS {"mla_dtype", "kv_cache_dtype", "batch_size", "isl", "num_heads", "step"}
#define ATTENTION_SHAPE                                                                            \
    3,                                                                                             \
    {                                                                                              \
        SP_DIM_HEADS, SP_DIM_KV_HEADS, SP_DIM_KEY                                                  \
    }

static const table tables[] = {
    {"gemm",
     SP_SURFACE_GEMM,
     {"gemm_dtype", "m", "n", "k"},
     read_gemm,
     2,
     {SP_DIM_N, SP_DIM_K}},
    {"attention_context", SP_SURFACE_ATTENTION_CONTEXT, ATTENTION_COLUMNS, read_attention,
     ATTENTION_SHAPE},
    {"attention_generation", SP_SURFACE_ATTENTION_GENERATION, ATTENTION_COLUMNS, read_attention,
     ATTENTION_SHAPE},
    {"mla_context", SP_SURFACE_MLA_CONTEXT, MLA_COLUMNS, read_mla, ATTENTION_SHAPE},
    {"mla_generation", SP_SURFACE_MLA_GENERATION, MLA_COLUMNS, read_mla, ATTENTION_SHAPE},
    {"moe",
     SP_SURFACE_MOE,
     {"moe_dtype", "num_tokens", "hidden_size", "inter_size", "topk", "num_experts", "moe_tp_size",
      "moe_ep_size", "distribution"},
     read_moe,
     0,
     {0}},
    {"nccl",
     SP_SURFACE_COLLECTIVE,
     {"nccl_dtype", "num_gpus", "message_size", "op_name"},
     read_nccl,
     2,
     {SP_DIM_RANKS, SP_DIM_BYTES}},
    {"custom_allreduce",
     SP_SURFACE_COLLECTIVE,
     {"allreduce_dtype", "num_gpus", "message_size"},
     read_allreduce,
     2,
     {SP_DIM_RANKS, SP_DIM_BYTES}},
};

static sp_status find_table(const char *file, const char *op, const table **out, sp_error *err)
{
    const char *names[COUNT(tables)];
    const char *slash = strrchr(file, '/');
    const char *stem = slash != NULL ? slash + 1 : file;
    for (size_t i = 0; i < COUNT(tables); i++) {
        const size_t length = strlen(tables[i].name);
        const bool by_name = strncmp(stem, tables[i].name, length) == 0 && stem[length] == '.';
        names[i] = tables[i].name;
        *out = &tables[i];
        if (op != NULL ? strcmp(op, names[i]) == 0 : by_name) return SP_OK;
    }
    (void)sp_fail(err, SP_E_UNKNOWN_NAME,
                  op != NULL ? "no kernels of this kind are described by surfaces"
                             : "the file's name does not say what was measured: rename it, or add "
                               "--op");
    (void)sp_fail_file(err, op != NULL ? "--op" : file);
    (void)sp_fail_value(err, "%s", op != NULL ? op : stem);
    return sp_fail_names(err, op != NULL ? op : stem, names, COUNT(tables));
}

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

static sp_status keep(reader *r, const char **text)
{
    *text = sp_arena_strdup(&r->ops->arena, *text);
    return *text != NULL ? SP_OK : fail_memory(r->err);
}

static sp_status add_kernel(reader *r, const sp_ops_kernel *kernel)
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

static sp_status find_kernel(reader *r, const sp_ops_kernel *kernel, uint32_t *idx)
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

static sp_status check_format(reader *r, uint32_t row, uint32_t i)
{
    const char *cell = word(r, row, i);
    if (sp_surface_format_find(cell) != NULL) return SP_OK;
    size_t n = 0;
    const char *const *names = sp_surface_format_names(&n);
    (void)sp_csv_fail(&r->csv, row, r->column[i], r->err, SP_E_UNKNOWN_NAME,
                      "not a number format");
    return sp_fail_names(r->err, cell, names, n);
}

/* ---- rows ---- */

static sp_status read_kernel(reader *r, uint32_t row, sp_ops_row *out)
{
    sp_ops_kernel kernel = {.surface = {.op = r->table->op,
                                        .variant = "",
                                        .kv_dtype = "",
                                        .kernel = sp_csv_cell(&r->csv, row, r->kernel)},
                            .name = sp_csv_cell(&r->csv, row, r->framework),
                            .version = sp_csv_cell(&r->csv, row, r->version)};
    kernel.surface.dtype = word(r, row, 0);
    SP_TRY(check_format(r, row, 0));
    SP_TRY(r->table->read(r, row, out, &kernel));
    if (kernel.surface.kv_dtype[0] != '\0') SP_TRY(check_format(r, row, 1));
    SP_TRY(find_kernel(r, &kernel, &out->kernel_idx));
    r->ops->kernels[out->kernel_idx].n_rows++;
    return SP_OK;
}

static sp_status read_row(reader *r, uint32_t row, sp_ops_row *out)
{
    double numbers[COUNT(r->table->shape)];
    double milliseconds = 0.0;
    *out = (sp_ops_row){.line = r->csv.lines[row + 1]};
    SP_TRY(number(r, row, r->latency, 1e-6, 1e7, &milliseconds));
    out->measured_s = 1e-3 * milliseconds;
    SP_TRY(read_kernel(r, row, out));
    if (r->table->n_shape == 0) return SP_OK;
    for (uint32_t i = 0; i < r->table->n_shape; i++) {
        numbers[i] = out->dim[r->table->shape[i]];
    }
    out->shape = sp_hash_bytes(numbers, r->table->n_shape * sizeof numbers[0]).low;
    return SP_OK;
}

static sp_status find_columns(reader *r)
{
    r->framework = sp_csv_column(&r->csv, "framework");
    r->version = sp_csv_column(&r->csv, "version");
    r->kernel = sp_csv_column(&r->csv, "kernel_source");
    SP_TRY(sp_csv_need(&r->csv, "latency_ms", &r->latency, r->err));
    for (uint32_t i = 0; i < MAX_COLUMNS && r->table->columns[i] != NULL; i++) {
        SP_TRY(sp_csv_need(&r->csv, r->table->columns[i], &r->column[i], r->err));
    }
    return SP_OK;
}

static sp_status read_rows(reader *r)
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

static sp_status load_csv(reader *r, const char *file)
{
    if (!sp_gzip_is(file)) return sp_csv_load(file, &r->csv, r->err);
    sp_text text = {0};
    sp_status status = sp_gzip_read(file, SP_CSV_MAX_BYTES, &text, r->err);
    if (status == SP_OK) {
        status = sp_csv_parse(text.data != NULL ? text.data : "", text.length, file, &r->csv,
                              r->err);
    }
    sp_text_fini(&text);
    return status;
}

sp_status sp_ops_read(sp_ops *ops, const char *file, const char *op, sp_error *err)
{
    reader r = {.ops = ops, .err = err};
    SP_TRY(find_table(file, op, &r.table, err));
    r.memo = sp_alloc(sizeof *r.memo);
    if (r.memo == NULL) return fail_memory(err);
    memset(r.memo->used, 0, sizeof r.memo->used);
    sp_status status = load_csv(&r, file);
    if (status == SP_OK) status = read_rows(&r);
    sp_csv_fini(&r.csv);
    sp_free(r.memo);
    return status;
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

void sp_ops_supersede(sp_ops *ops)
{
    for (uint32_t i = 0; i < ops->n_kernels; i++) {
        sp_ops_kernel *const old = &ops->kernels[i];
        for (uint32_t k = 0; k < ops->n_kernels; k++) {
            sp_ops_kernel same = *old;
            same.version = ops->kernels[k].version;
            if (same_kernel(&same, &ops->kernels[k]) &&
                compare_versions(old->version, same.version) < 0) {
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
