/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The score of surfaces against measured calls, as its pages read it. */
#include "fidelity/ops.h"
#include "fidelity/score.h"
#include "shardplan/calibrate.h"

/* Why a row was not predicted. */
typedef enum sp_ops_reason { SP_OPS_NO_SURFACE, SP_OPS_NO_PEAK, SP_N_OPS_REASONS } sp_ops_reason;
const char *sp_ops_reason_words(sp_ops_reason reason);

/* An accelerator of the tables. */
typedef struct sp_ops_part {
    const sp_gpu *gpu;
    double link_bytes_per_s;
    const sp_surfaces *surfaces;
} sp_ops_part;

/* Rows of one part, operator and format. */
typedef struct sp_ops_group {
    uint32_t part_idx;
    sp_surface_op op;
    const char *dtype, *kv_dtype;
    uint32_t n_outside; /* shapes beyond those that were measured */
    sp_metric latency;
} sp_ops_group;

typedef struct sp_ops_point {
    sp_pair pair;
    uint32_t group_idx, file_idx;
    int line;
} sp_ops_point;

struct sp_ops_score {
    sp_arena arena;
    const char **files;
    sp_ops_part *parts;
    sp_ops_group *groups;
    sp_ops_point *points;
    uint32_t n_files, n_parts, n_groups, n_points, n_rows;
    uint32_t skipped[SP_N_OPS_REASONS];
    sp_metric overall; /* the mean over groups */
};
