/* SPDX-License-Identifier: Apache-2.0 */
/* The kinds of tables of measured kernel calls: their columns, and what a row of each means. */
#include "fidelity/ops_priv.h"

#include <math.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* DeepSeek-AI, DeepSeek-V2, arXiv:2405.04434: a latent vector of 512 beside 64 rotated dimensions;
 * expanded, keys of 128 + 64 and values of 128 a head. */
static const double mla_key = 192.0, mla_value = 128.0, mla_latent = 512.0, mla_rotated = 64.0;

const char *sp_ops_word(const sp_ops_reader *r, uint32_t row, uint32_t i)
{
    return sp_csv_cell(&r->csv, row, r->column[i]);
}

/* A number that must be there. */
sp_status sp_ops_number(const sp_ops_reader *r, uint32_t row, uint32_t column, double lo, double hi,
                        double *value)
{
    if (sp_csv_cell(&r->csv, row, column)[0] == '\0') {
        return sp_csv_fail(&r->csv, row, column, r->err, SP_E_TYPE, "must be a number");
    }
    return sp_csv_double(&r->csv, row, column, lo, hi, 0.0, value, r->err);
}

sp_status sp_ops_count(const sp_ops_reader *r, uint32_t row, uint32_t i, double lo, double *value)
{
    SP_TRY(sp_ops_number(r, row, r->column[i], lo, 1e12, value));
    if (*value == floor(*value)) return SP_OK;
    return sp_csv_fail(&r->csv, row, r->column[i], r->err, SP_E_TYPE, "must be a whole number");
}

/* The same where a blank cell means none. */
static sp_status count_or_none(const sp_ops_reader *r, uint32_t row, uint32_t i, double *value)
{
    *value = 0.0;
    return sp_ops_word(r, row, i)[0] == '\0' ? SP_OK : sp_ops_count(r, row, i, 0.0, value);
}

/* ---- the kinds of tables ---- */

static sp_status read_gemm(sp_ops_reader *r, uint32_t row, sp_ops_row *out, sp_ops_kernel *kernel)
{
    kernel->surface.dtype = sp_ops_word(r, row, 0);
    SP_TRY(sp_ops_count(r, row, 1, 1.0, &out->dim[SP_DIM_M]));
    SP_TRY(sp_ops_count(r, row, 2, 1.0, &out->dim[SP_DIM_N]));
    return sp_ops_count(r, row, 3, 1.0, &out->dim[SP_DIM_K]);
}

/* Kernels of their own: sliding windows, and in decoding by how many query heads share a key head.
 */
static const char *variant_of(const sp_ops_reader *r, const double *dim)
{
    const double group = dim[SP_DIM_HEADS] / dim[SP_DIM_KV_HEADS];
    if (dim[SP_DIM_WINDOW] > 0.0) return "window";
    if (r->kind->op != SP_SURFACE_ATTENTION_GENERATION) return "";
    return group <= 1.0 ? "mha" : group <= SP_SURFACE_WIDEST_GROUP ? "gqa" : "mqa";
}

/* Decoding has one new token and all others in the cache. */
static sp_status read_attention(sp_ops_reader *r, uint32_t row, sp_ops_row *out,
                                sp_ops_kernel *kernel)
{
    kernel->surface.dtype = sp_ops_word(r, row, 0);
    kernel->surface.kv_dtype = sp_ops_word(r, row, 1);
    SP_TRY(sp_ops_count(r, row, 2, 1.0, &out->dim[SP_DIM_BATCH]));
    SP_TRY(sp_ops_count(r, row, 3, 1.0, &out->dim[SP_DIM_NEW]));
    SP_TRY(sp_ops_count(r, row, 4, 1.0, &out->dim[SP_DIM_HEADS]));
    SP_TRY(sp_ops_count(r, row, 5, 1.0, &out->dim[SP_DIM_KV_HEADS]));
    SP_TRY(sp_ops_count(r, row, 6, 1.0, &out->dim[SP_DIM_KEY]));
    SP_TRY(count_or_none(r, row, 7, &out->dim[SP_DIM_WINDOW]));
    SP_TRY(count_or_none(r, row, 8, &out->dim[SP_DIM_PAST]));
    out->dim[SP_DIM_VALUE] = out->dim[SP_DIM_KEY];
    kernel->key_width = out->dim[SP_DIM_KEY];
    kernel->surface.variant = variant_of(r, out->dim);
    return SP_OK;
}

static sp_status read_mla(sp_ops_reader *r, uint32_t row, sp_ops_row *out, sp_ops_kernel *kernel)
{
    const bool absorbed = r->kind->op == SP_SURFACE_MLA_GENERATION;
    kernel->surface.dtype = sp_ops_word(r, row, 0);
    kernel->surface.kv_dtype = sp_ops_word(r, row, 1);
    SP_TRY(sp_ops_count(r, row, 2, 1.0, &out->dim[SP_DIM_BATCH]));
    SP_TRY(sp_ops_count(r, row, 3, 1.0, &out->dim[SP_DIM_NEW]));
    SP_TRY(sp_ops_count(r, row, 4, 1.0, &out->dim[SP_DIM_HEADS]));
    SP_TRY(count_or_none(r, row, 5, &out->dim[SP_DIM_PAST]));
    out->dim[SP_DIM_KV_HEADS] = absorbed ? 1.0 : out->dim[SP_DIM_HEADS];
    out->dim[SP_DIM_KEY] = absorbed ? mla_latent + mla_rotated : mla_key;
    out->dim[SP_DIM_VALUE] = absorbed ? mla_latent : mla_value;
    kernel->key_width = out->dim[SP_DIM_KEY];
    return SP_OK;
}

static sp_status read_message(sp_ops_reader *r, uint32_t row, sp_ops_row *out,
                              sp_ops_kernel *kernel)
{
    double elements = 0.0;
    const sp_surface_format *format = sp_surface_format_find(kernel->surface.dtype);
    SP_TRY(sp_ops_count(r, row, 1, 2.0, &out->dim[SP_DIM_RANKS]));
    SP_TRY(sp_ops_count(r, row, 2, 1.0, &elements));
    out->dim[SP_DIM_BYTES] = elements * (format != NULL ? format->activation_bytes : 1.0);
    return SP_OK;
}

static const char any_message[] = "half";

static sp_status read_nccl(sp_ops_reader *r, uint32_t row, sp_ops_row *out, sp_ops_kernel *kernel)
{
    static const char *const variants[] = {"all_gather", "all_reduce", "alltoall",
                                           "reduce_scatter"};
    const char *variant = sp_ops_word(r, row, 3);
    kernel->surface.dtype = sp_ops_word(r, row, 0);
    for (size_t i = 0; i < COUNT(variants); i++) {
        if (strcmp(variant, variants[i]) == 0) kernel->surface.variant = variants[i];
    }
    if (kernel->surface.variant[0] != '\0') {
        SP_TRY(read_message(r, row, out, kernel));
        kernel->surface.dtype = any_message; /* bytes are bytes to the library */
        return SP_OK;
    }
    (void)sp_csv_fail(&r->csv, row, r->column[3], r->err, SP_E_UNKNOWN_NAME, "not a collective");
    return sp_fail_names(r->err, variant, variants, COUNT(variants));
}

static sp_status read_allreduce(sp_ops_reader *r, uint32_t row, sp_ops_row *out,
                                sp_ops_kernel *kernel)
{
    kernel->surface.dtype = sp_ops_word(r, row, 0);
    kernel->surface.variant = "all_reduce";
    return read_message(r, row, out, kernel);
}

#define ATTENTION_COLUMNS                                                                          \
    {                                                                                              \
        "attn_dtype", "kv_cache_dtype", "batch_size", "isl", "num_heads", "num_key_value_heads",   \
            "head_dim", "window_size", "step"                                                      \
    }
#define MLA_COLUMNS                                                                                \
    {                                                                                              \
        "mla_dtype", "kv_cache_dtype", "batch_size", "isl", "num_heads", "step"                    \
    }
#define ATTENTION_SHAPE                                                                            \
    3,                                                                                             \
    {                                                                                              \
        SP_DIM_HEADS, SP_DIM_KV_HEADS, SP_DIM_KEY                                                  \
    }

/* clang-format off */
static const sp_ops_kind kinds[] = {
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
     sp_ops_read_moe,
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
/* clang-format on */

sp_status sp_ops_kind_find(const char *file, const char *op, const sp_ops_kind **out, sp_error *err)
{
    const char *names[COUNT(kinds)];
    const char *slash = strrchr(file, '/');
    const char *stem = slash != NULL ? slash + 1 : file;
    for (size_t i = 0; i < COUNT(kinds); i++) {
        const size_t length = strlen(kinds[i].name);
        const bool by_name = strncmp(stem, kinds[i].name, length) == 0 && stem[length] == '.';
        names[i] = kinds[i].name;
        *out = &kinds[i];
        if (op != NULL ? strcmp(op, names[i]) == 0 : by_name) return SP_OK;
    }
    (void)sp_fail(err, SP_E_UNKNOWN_NAME,
                  op != NULL ? "no kernels of this kind are described by surfaces"
                             : "the file's name does not say what was measured: rename it, or add "
                               "--op");
    (void)sp_fail_file(err, op != NULL ? "--op" : file);
    (void)sp_fail_value(err, "%s", op != NULL ? op : stem);
    return sp_fail_names(err, op != NULL ? op : stem, names, COUNT(kinds));
}
