/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* configs/serving_formats.json, and the format that a model's own weights are in. */
#include "serve/serving_priv.h"

#define SP_MAX_FORMAT_KERNELS 4

typedef struct sp_format_part {
    double bits;
    uint32_t n_kernels;
    const char *kernel[SP_MAX_FORMAT_KERNELS]; /* as measured tables name them, best first */
    sp_dtype needs[SP_MAX_FORMAT_KERNELS];     /* that the part must compute in */
} sp_format_part;

typedef struct sp_format_entry {
    const char *name;
    sp_format_part attention, ffn;
} sp_format_entry;

typedef struct sp_format_pattern {
    const char *model, *format; /* model: a name, '*' at its end standing for anything */
} sp_format_pattern;

typedef struct sp_formats_file {
    uint32_t n, n_patterns;
    sp_format_entry list[SP_MAX_WEIGHT_FORMATS];
    const sp_format_pattern *patterns;
} sp_formats_file;

/* ---- serving_formats_file.c ---- */
sp_status sp_formats_file_load(sp_serving_problem *problem, sp_formats_file *file, sp_error *err);

/* ---- serving_checkpoint.c ---- */
/* By the model's own config.json, then by its name, else bf16. */
sp_status sp_checkpoint_format_of(const sp_serving_problem *problem, const sp_formats_file *file,
                                  const char **name, sp_error *err);
