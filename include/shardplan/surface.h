/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Measured kernels as surfaces: the time of one call as a function of its shape, for one kernel of
 * one framework in one number format. At most ten numbers a surface, fitted by `shardplan calibrate
 * ops` and kept under "surfaces" in the accelerator's file with what they are worth: residuals on
 * shapes that were left out of the fit, and the box of shapes that were measured.
 *
 *     sp_surfaces_load(arena, home, gpu, &surfaces, &err);
 *     const sp_surface *s = sp_surface_find(surfaces, &(sp_surface_query){.op = SP_SURFACE_GEMM,
 *                                                                         .dtype = "bfloat16"});
 *     const double dim[SP_SURFACE_MAX_DIMS] = {4096, 8192, 8192};
 *     if (s != NULL) t = sp_surface_s(s, dim);                    t s->low_ratio .. t s->high_ratio
 *     if (sp_surface_outside(s, dim) != NULL) ...                 says which dimension leaves the
 * box
 *
 * Rates are shares of the part's own peaks, so that a part without measurements can borrow the
 * surfaces of its relative. Plain data, const once read. */
#include "shardplan/cluster.h"

#define SP_SURFACE_MAX_DIMS   8
#define SP_SURFACE_MAX_PARAMS 10
/* Query heads that share a key head and one tile of a kernel, at most. */
#define SP_SURFACE_WIDEST_GROUP 32.0
/* The variant of experts of which a rank has some: their tokens are sought among those of all. */
#define SP_SURFACE_SPREAD "spread"

typedef enum sp_surface_op {
    SP_SURFACE_GEMM,
    SP_SURFACE_ATTENTION_CONTEXT,
    SP_SURFACE_ATTENTION_GENERATION,
    SP_SURFACE_MLA_CONTEXT,    /* multi-head latent attention, expanded: the core alone           */
    SP_SURFACE_MLA_GENERATION, /* absorbed: every head reads the one latent vector of a token     */
    SP_SURFACE_MOE,            /* the experts of one rank, both products, with the permutation    */
    SP_SURFACE_COLLECTIVE,
    SP_N_SURFACE_OPS
} sp_surface_op;

/* Dimensions of a call, by operator: the order of dim[] in every function below. */
enum { SP_DIM_M, SP_DIM_N, SP_DIM_K };
enum {
    SP_DIM_BATCH,
    SP_DIM_HEADS,
    SP_DIM_KV_HEADS,
    SP_DIM_KEY,   /* width of a key of one head                                                   */
    SP_DIM_VALUE, /* ... of a value; of MLA generation the part of the key that is the value      */
    SP_DIM_NEW,   /* new tokens of a sequence; 1 in generation                                    */
    SP_DIM_PAST,  /* tokens before them                                                           */
    SP_DIM_WINDOW /* keys that a query sees at most; 0 = all                                      */
};
enum {
    SP_DIM_TOKENS, /* of all ranks that share the experts                                         */
    SP_DIM_HIDDEN,
    SP_DIM_WIDTH,    /* of an expert on this rank                                                 */
    SP_DIM_TOPK,     /* experts that a token chooses                                              */
    SP_DIM_CHOICES,  /* tokens that this rank's experts receive, a token once for each of them    */
    SP_DIM_ACTIVE,   /* experts of this rank that receive any                                     */
    SP_DIM_MATRICES, /* of an expert: 3 with a gate, else 2                                       */
    SP_DIM_EXPERTS   /* on this rank                                                              */
};
enum {
    SP_DIM_RANKS,
    SP_DIM_BYTES
}; /* bytes: the whole tensor, before the scatter or after the gather */

typedef struct sp_surface {
    sp_surface_op op;
    const char *variant;   /* all_reduce, ...; mha, gqa, mqa, window; spread; ""                   */
    const char *framework; /* with its version: "trtllm 1.3.0rc20"                                */
    const char *kernel;
    const char *dtype; /* as the table has it: "bfloat16", "fp8_block", "int4_wo"                 */
    const char *kv_dtype; /* "" = as dtype                                                        */
    double peak_flops_per_s, memory_bytes_per_s, link_bytes_per_s; /* of the part that is priced  */
    double weight_bytes, activation_bytes, kv_bytes;               /* of one element              */
    double param[SP_SURFACE_MAX_PARAMS];
    double lo[SP_SURFACE_MAX_DIMS], hi[SP_SURFACE_MAX_DIMS]; /* of the shapes that were measured  */
    uint32_t samples, shapes; /* rows; whole shapes, of which a quarter is left out at a time     */
    double median_ape_ratio, p90_ape_ratio; /* on shapes left out                                 */
    double low_ratio, high_ratio; /* 8 of 10 of them took low to high times what was predicted    */
    bool borrowed;                /* from a relative: low and high are the wider for it           */
} sp_surface;

/* One number of a form. */
typedef struct sp_surface_param {
    const char *key; /* with its unit: "launch_s"                                                 */
    double lo, hi;
    bool is_linear; /* may be negative: fitted as it is; others by their logarithm                */
} sp_surface_param;

/* What the surfaces of an operator have in common. */
typedef struct sp_surface_form {
    const char *name; /* "gemm" */
    uint32_t n_dims, n_params;
    const char *dim[SP_SURFACE_MAX_DIMS];
    sp_surface_param param[SP_SURFACE_MAX_PARAMS];
} sp_surface_form;

const sp_surface_form *sp_surface_form_of(sp_surface_op op);

/* The number formats that tables name. */
typedef struct sp_surface_format {
    const char *name;
    sp_dtype peak; /* whose peak holds for products                                               */
    double weight_bytes, activation_bytes;
} sp_surface_format;
/* NULL when there is none of that name. */
const sp_surface_format *sp_surface_format_find(const char *name);
const char *const *sp_surface_format_names(size_t *n_names);
/* Fills what the surface takes from the part and from its formats; false where the part has no peak
 * for them, or a format is not known. */
bool sp_surface_place(const sp_gpu *gpu, double link_bytes_per_s, sp_surface *surface);

#define SP_CALIBRATION_MAX_FOLDS  16
#define SP_CALIBRATION_MAX_STARTS 4

/* How surfaces are fitted. */
typedef struct sp_calibration {
    uint32_t n_folds;   /* parts of the shapes, each left out once                                */
    uint32_t n_samples; /* rows of one fit at most                                                */
    uint32_t n_least;   /* rows that a surface needs                                              */
    double scale_ratio; /* residuals above it pull with constant force                            */
    double loan_error_ratio; /* of a part that borrows                                            */
    uint32_t n_starts[SP_N_SURFACE_OPS];
    double start[SP_N_SURFACE_OPS][SP_CALIBRATION_MAX_STARTS][SP_SURFACE_MAX_PARAMS];
} sp_calibration;
sp_status sp_calibration_load(struct sp_arena *arena, const char *home, sp_calibration *settings,
                              sp_error *err);

/* The surfaces of a part. */
typedef struct sp_surfaces {
    const char *from; /* the GPU whose kernels were measured: the part itself or its relative     */
    const char *source, *date;
    uint32_t n;
    const sp_surface *list;
} sp_surfaces;
/* Those in the file of `gpu`, else those of the part that it was calibrated from, with intervals
 * widened by what a loan costs (configs/calibration.json). No surfaces are no error: n is 0. */
sp_status sp_surfaces_load(struct sp_arena *arena, const char *home, const sp_gpu *gpu,
                           const sp_surfaces **surfaces, sp_error *err);

typedef struct sp_surface_query {
    sp_surface_op op;
    const char *variant, *framework, *kernel, *dtype, *kv_dtype; /* NULL = any                    */
    double key_width; /* 0 = any: attention is fitted head width by head width                    */
} sp_surface_query;
/* The first surface that fits; NULL when there is none. A framework also fits without its version.
 */
const sp_surface *sp_surface_find(const sp_surfaces *surfaces, const sp_surface_query *query);

/* Seconds of one call. Grows with every dimension but the number of experts. */
double sp_surface_s(const sp_surface *surface, const double dim[SP_SURFACE_MAX_DIMS]);
/* The first dimension that lies outside of what was measured, by name; NULL when none does. */
const char *sp_surface_outside(const sp_surface *surface, const double dim[SP_SURFACE_MAX_DIMS]);
