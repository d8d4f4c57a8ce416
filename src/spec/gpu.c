/* SPDX-License-Identifier: Apache-2.0 */
/* One accelerator of hardware/gpus: data sheet figures, and the constants of the kernel surfaces
 * measured on it or taken over from the part named in calibrated_from. */
#include "spec/spec.h"

#include <assert.h>
#include <stddef.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const sp_catalogue gpus = {"GPU", "gpus", "shardplan/gpu/1"};

static const char *const dtype_names[SP_N_DTYPES] = {
    [SP_BF16] = "bf16",   [SP_FP16] = "fp16", [SP_FP8] = "fp8",   [SP_MXFP8] = "mxfp8",
    [SP_NVFP4] = "nvfp4", [SP_FP32] = "fp32", [SP_INT8] = "int8", [SP_INT4] = "int4"};

/* Peaks of a file: 32-bit products are of fp32 or tf32, element-wise work runs at fp32_vector. */
static const char *const peak_names[SP_N_DTYPES + 2] = {
    [SP_BF16] = "bf16",     [SP_FP16] = "fp16",
    [SP_FP8] = "fp8",       [SP_MXFP8] = "mxfp8",
    [SP_NVFP4] = "nvfp4",   [SP_FP32] = "fp32",
    [SP_INT8] = "int8",     [SP_INT4] = "int4",
    [SP_N_DTYPES] = "tf32", [SP_N_DTYPES + 1] = "fp32_vector"};

static const sp_figure_field data_sheet[] = {
    {"memory",           SP_Q_MEMORY,    offsetof(sp_gpu, memory_bytes),       1e9,  1e13},
    {"memory_bandwidth", SP_Q_BANDWIDTH, offsetof(sp_gpu, memory_bytes_per_s), 1e10, 1e15},
};

/* Plans need these; of a part without measured kernels they may not be known. */
static const sp_figure_field running[] = {
    {"context", SP_Q_MEMORY, offsetof(sp_gpu, context_bytes), 0.0, 1e11},
    {"power",   SP_Q_POWER,  offsetof(sp_gpu, tdp_watts),     0.1, 1e5 },
};

/* What tells a part from the one whose kernels it took over, and its kernels from others. */
static const sp_figure_field apart[] = {
    {"calibrated_power",   SP_Q_POWER, offsetof(sp_gpu, calibrated_watts),         0.1, 1e5 },
    {"portable_attention", SP_Q_RATIO, offsetof(sp_gpu, portable_attention_ratio), 1.0, 10.0},
};

static const sp_figure_field price = {"price", SP_Q_PRICE, offsetof(sp_gpu, usd_per_hour), 0.0,
                                      1e4};

static const sp_figure_field stream[] = {
    {"memory_ratio", SP_Q_RATIO, offsetof(sp_gpu, stream_ratio),    0.01, 1.2 },
    {"launch_s",     SP_Q_TIME,  offsetof(sp_gpu, stream_launch_s), 0.0,  1e-3},
};

/* The one layout of both kinds of matrix product. */
#define PRODUCT_FIELDS(type)                                                                       \
    {                                                                                              \
        {"efficiency_ratio", SP_Q_RATIO, offsetof(type, efficiency_ratio), 0.01, 1.2},             \
            {"memory_ratio", SP_Q_RATIO, offsetof(type, memory_ratio), 0.01, 1.5},                 \
            {"launch_s", SP_Q_TIME, offsetof(type, launch_s), 0.0, 1e-2},                          \
            {"m_half", SP_Q_RATIO, offsetof(type, m_half), 0.0, 1e5},                              \
            {"n_half", SP_Q_RATIO, offsetof(type, n_half), 0.0, 1e5},                              \
            {"k_half", SP_Q_RATIO, offsetof(type, k_half), 0.0, 1e5},                              \
    }

#define PRODUCT_N_FIELDS 6

static const sp_figure_field gemm[PRODUCT_N_FIELDS] = PRODUCT_FIELDS(sp_gemm_surface);
static const sp_figure_field grouped[PRODUCT_N_FIELDS] = PRODUCT_FIELDS(sp_grouped_surface);

/* An array of surfaces in sp_gpu, one for each dtype. */
typedef struct product_kind {
    const char *key;
    const sp_figure_field *fields;
    size_t offset, stride;
} product_kind;

static const product_kind gemm_kind = {"gemm", gemm, offsetof(sp_gpu, gemm),
                                       sizeof(sp_gemm_surface)};
static const product_kind grouped_kind = {"grouped", grouped, offsetof(sp_gpu, grouped),
                                          sizeof(sp_grouped_surface)};

static const sp_figure_field attention[] = {
    {"efficiency_ratio",     SP_Q_RATIO, offsetof(sp_attention_surface, efficiency_ratio),     0.01, 1.2 },
    {"sequence_half",        SP_Q_RATIO, offsetof(sp_attention_surface, sequence_half),        0.0,  1e5 },
    {"head_dim_64_ratio",    SP_Q_RATIO, offsetof(sp_attention_surface, head_dim_64_ratio),    0.1,  1.5 },
    {"backward_flops_ratio", SP_Q_RATIO, offsetof(sp_attention_surface, backward_flops_ratio), 0.5,
     4.0                                                                                                 },
    {"launch_s",             SP_Q_TIME,  offsetof(sp_attention_surface, launch_s),             0.0,  1e-2},
};

const char *sp_dtype_name(sp_dtype dtype)
{
    assert(dtype < SP_N_DTYPES);
    return dtype_names[dtype];
}

double sp_dtype_bytes(sp_dtype dtype)
{
    static const double bytes[SP_N_DTYPES] = {[SP_BF16] = 2.0,
                                              [SP_FP16] = 2.0,
                                              [SP_FP8] = 1.0,
                                              [SP_MXFP8] = 1.0 + 1.0 / 32.0,
                                              [SP_NVFP4] = 0.5 + 1.0 / 16.0,
                                              [SP_FP32] = 4.0,
                                              [SP_INT8] = 1.0,
                                              [SP_INT4] = 0.5};
    assert(dtype < SP_N_DTYPES);
    return bytes[dtype];
}

const char *sp_gpu_product_name(const sp_gpu *gpu, sp_dtype dtype)
{
    return dtype == SP_FP32 && gpu->tf32 ? peak_names[SP_N_DTYPES] : sp_dtype_name(dtype);
}

double sp_gpu_vector_flops_per_s(const sp_gpu *gpu)
{
    return gpu->vector_flops_per_s > 0.0 ? gpu->vector_flops_per_s : gpu->peak_flops_per_s[SP_FP32];
}

static sp_status check_tf32(const sp_json *peak, sp_gpu *gpu, sp_error *err)
{
    gpu->tf32 = sp_json_has(peak, "tf32");
    if (!gpu->tf32 || !sp_json_has(peak, "fp32")) {
        return SP_OK;
    }
    const sp_json fp32 = sp_json_get(peak, "fp32");
    return sp_json_fail(&fp32, err, SP_E_INCONSISTENT,
                        "32-bit products run as TF32 where there is a peak for it: give the rate "
                        "outside products as fp32_vector");
}

static sp_status read_peaks(const sp_json *root, sp_gpu *gpu, sp_error *err)
{
    sp_json peak;
    SP_TRY(sp_json_object(root, "peak", &peak, err));
    SP_TRY(sp_json_only(&peak, peak_names, COUNT(peak_names), err));
    SP_TRY(check_tf32(&peak, gpu, err));
    double *const into[COUNT(peak_names)] = {[SP_N_DTYPES] = &gpu->peak_flops_per_s[SP_FP32],
                                             [SP_N_DTYPES + 1] = &gpu->vector_flops_per_s};
    for (size_t i = 0; i < COUNT(peak_names); i++) {
        const sp_figure_field field = {peak_names[i], SP_Q_COMPUTE, 0, 1e11, 1e18};
        if (sp_json_has(&peak, peak_names[i])) {
            double *const to = i < SP_N_DTYPES ? &gpu->peak_flops_per_s[i] : into[i];
            SP_TRY(sp_figures_read(&peak, &field, 1, to, err));
        }
    }
    return SP_OK;
}

/* Reads root[key] = {dtype: surface}, for dtypes that the part can do. */
static sp_status read_products(const sp_json *root, const product_kind *kind, sp_gpu *gpu,
                               sp_error *err)
{
    sp_json by_dtype;
    SP_TRY(sp_json_object(root, kind->key, &by_dtype, err));
    SP_TRY(sp_json_only(&by_dtype, dtype_names, SP_N_DTYPES, err));
    for (size_t d = 0; d < SP_N_DTYPES; d++) {
        if (!sp_json_has(&by_dtype, dtype_names[d])) {
            continue;
        }
        if (!(gpu->peak_flops_per_s[d] > 0.0)) {
            const sp_json surface = sp_json_get(&by_dtype, dtype_names[d]);
            return sp_json_fail(&surface, err, SP_E_INCONSISTENT,
                                "a surface needs a peak of the same dtype in /peak");
        }
        SP_TRY(sp_figure_set_read(&by_dtype, dtype_names[d], kind->fields, PRODUCT_N_FIELDS,
                                  (char *)gpu + kind->offset + d * kind->stride, err));
    }
    return SP_OK;
}

/* A part has all of these, and links to others, or none. */
static bool has_kernels(const sp_json *root)
{
    return sp_json_has(root, "stream") || sp_json_has(root, "gemm") ||
           sp_json_has(root, "grouped") || sp_json_has(root, "attention");
}

static sp_status read_kernels(const sp_json *root, sp_gpu *gpu, sp_error *err)
{
    if (!has_kernels(root)) {
        return SP_OK;
    }
    SP_TRY(read_products(root, &gemm_kind, gpu, err));
    SP_TRY(read_products(root, &grouped_kind, gpu, err));
    SP_TRY(sp_figure_set_read(root, "stream", stream, COUNT(stream), gpu, err));
    return sp_figure_set_read(root, "attention", attention, COUNT(attention), &gpu->attention, err);
}

sp_status sp_gpu_price_read(sp_arena *arena, const sp_json *object, sp_gpu *gpu, sp_error *err)
{
    const char *source = NULL;
    const char *date = NULL;
    SP_TRY(sp_figures_read(object, &price, 1, gpu, err));
    const sp_json figure = sp_json_get(object, price.key);
    SP_TRY(sp_json_string(&figure, "source", &source, err));
    SP_TRY(sp_json_string(&figure, "date", &date, err));
    SP_TRY(sp_text_keep(arena, source, &gpu->price_source, err));
    return sp_text_keep(arena, date, &gpu->price_date, err);
}

static sp_status read_links(sp_arena *arena, const sp_json *root, sp_gpu *gpu, sp_error *err)
{
    sp_json links;
    if (!has_kernels(root) && !sp_json_has(root, "links")) {
        return SP_OK;
    }
    SP_TRY(sp_json_array(root, "links", &links, err));
    const size_t n = sp_json_size(&links);
    if (n == 0 || n > 16) {
        (void)sp_json_fail(&links, err, SP_E_RANGE, "must list the links of the part");
        return sp_fail_range(err, "1 .. 16 links");
    }
    const char **names = sp_arena_alloc(arena, n * sizeof *names);
    if (names == NULL) {
        return sp_fail(err, SP_E_MEMORY, "out of memory");
    }
    for (size_t i = 0; i < n; i++) {
        const sp_json link = sp_json_at(&links, i);
        SP_TRY(sp_json_as_string(&link, &names[i], err));
        SP_TRY(sp_text_keep(arena, names[i], &names[i], err));
    }
    gpu->links = names;
    gpu->n_links = (uint32_t)n;
    return SP_OK;
}

static sp_status read_names(sp_arena *arena, const sp_json *root, sp_gpu *gpu, sp_error *err)
{
    const char *name = NULL;
    const char *donor = NULL;
    const char *node = NULL;
    gpu->price_source = "";
    gpu->price_date = "";
    SP_TRY(sp_json_string(root, "name", &name, err));
    SP_TRY(sp_json_string_or(root, "calibrated_from", name, &donor, err));
    SP_TRY(sp_json_string_or(root, "typical_node", "", &node, err));
    SP_TRY(sp_text_keep(arena, name, &gpu->name, err));
    SP_TRY(sp_text_keep(arena, donor, &gpu->calibrated_from, err));
    return sp_text_keep(arena, node, &gpu->typical_node, err);
}

static sp_status read_gpu(sp_arena *arena, const sp_json *root, sp_gpu *gpu, sp_error *err)
{
    static const char *const keys[] = {"schema",
                                       "name",
                                       "aliases",
                                       "links",
                                       "typical_node",
                                       "calibrated_from",
                                       "memory",
                                       "memory_bandwidth",
                                       "context",
                                       "power",
                                       "price",
                                       "peak",
                                       "stream",
                                       "gemm",
                                       "grouped",
                                       "attention",
                                       "surfaces",
                                       "calibrated_power",
                                       "portable_attention",
                                       SP_GPU_FACT_KEYS};
    SP_TRY(sp_json_only(root, keys, COUNT(keys), err));
    SP_TRY(read_names(arena, root, gpu, err));
    SP_TRY(read_links(arena, root, gpu, err));
    SP_TRY(sp_figures_read(root, data_sheet, COUNT(data_sheet), gpu, err));
    for (size_t i = 0; i < COUNT(running); i++) {
        if (has_kernels(root) || sp_json_has(root, running[i].key)) {
            SP_TRY(sp_figures_read(root, &running[i], 1, gpu, err));
        }
    }
    for (size_t i = 0; i < COUNT(apart); i++) {
        if (sp_json_has(root, apart[i].key)) {
            SP_TRY(sp_figures_read(root, &apart[i], 1, gpu, err));
        }
    }
    if (sp_json_has(root, price.key)) {
        SP_TRY(sp_gpu_price_read(arena, root, gpu, err));
    }
    SP_TRY(sp_gpu_facts_read(arena, root, gpu, err));
    SP_TRY(read_peaks(root, gpu, err));
    return read_kernels(root, gpu, err);
}

/* By name from the catalogue, or a file of one's own. */
sp_status sp_gpu_document(const char *home, const char *name, sp_json_doc **doc, sp_error *err)
{
    if (!sp_names_file(name)) {
        return sp_catalogue_load(home, &gpus, name, doc, err);
    }
    SP_TRY(sp_json_load_file(name, doc, err));
    const sp_json root = sp_json_root(*doc);
    const sp_status status = sp_json_schema(&root, gpus.schema, err);
    if (status != SP_OK) {
        sp_json_free(*doc);
    }
    return status;
}

sp_status sp_gpu_find(struct sp_arena *arena, const char *home, const char *name,
                      const sp_gpu **gpu, sp_error *err)
{
    sp_gpu *const read = sp_arena_alloc(arena, sizeof *read);
    if (read == NULL) {
        return sp_fail(err, SP_E_MEMORY, "out of memory");
    }
    sp_json_doc *doc = NULL;
    SP_TRY(sp_gpu_document(home, name, &doc, err));
    const sp_json root = sp_json_root(doc);
    sp_status status = sp_text_keep(arena, sp_json_file(&root), &read->file, err);
    if (status == SP_OK) {
        status = read_gpu(arena, &root, read, err);
    }
    sp_json_free(doc);
    *gpu = read;
    return status;
}

bool sp_gpu_is_measured(const sp_gpu *gpu)
{
    return gpu->attention.efficiency_ratio > 0.0;
}

sp_status sp_gpu_find_measured(struct sp_arena *arena, const char *home, const char *name,
                               const sp_gpu **gpu, sp_error *err)
{
    SP_TRY(sp_gpu_find(arena, home, name, gpu, err));
    if (sp_gpu_is_measured(*gpu)) {
        return SP_OK;
    }
    (void)sp_fail(err, SP_E_NOT_YET,
                  "no kernel of this part has been measured: it can be analysed, not planned for");
    return sp_fail_value(err, "%s", name);
}
