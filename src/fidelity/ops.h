/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Tables of measured kernel calls as samples: one row a call, with the dimensions that surfaces
 * have, sorted under the kernel that ran. README "Calibrate to your machines" has the columns. */
#include "fidelity/csv.h"
#include "shardplan/surface.h"

/* One kernel in one format: what one surface describes. */
typedef struct sp_ops_kernel {
    sp_surface surface; /* op, words and widths; no numbers                                       */
    const char *name;   /* of the framework, without its version                                  */
    const char *version;
    double key_width; /* of attention; 0 for others                                               */
    uint32_t n_rows;
    bool superseded; /* a newer version of the framework is there                                 */
} sp_ops_kernel;

typedef struct sp_ops_row {
    double dim[SP_SURFACE_MAX_DIMS];
    double measured_s;
    uint64_t shape; /* equal for rows of one whole shape, which are left out together             */
    uint32_t kernel_idx;
    int line;
} sp_ops_row;

typedef struct sp_ops {
    sp_arena arena;
    sp_ops_kernel *kernels;
    sp_ops_row *rows;
    uint32_t n_kernels, kernels_capacity;
    uint32_t n_rows;
} sp_ops; /* {0} is empty */

/* Appends a table; what it holds is said by `op` ("gemm", "nccl", ..) or else by the file's name.
 */
sp_status sp_ops_read(sp_ops *ops, const char *file, const char *op, sp_error *err);
/* ops_nccl.c: appends what a program of nccl-tests printed. */
sp_status sp_ops_read_nccl_log(sp_ops *ops, const char *file, sp_error *err);
/* Marks kernels of which a newer version was read. */
void sp_ops_supersede(sp_ops *ops);
void sp_ops_fini(sp_ops *ops);

/* ---- ops_routing.c ---- */
/* How the routed tokens of a measurement fall on the rank that was timed. */
typedef struct sp_routing {
    uint32_t tokens, topk, experts, ranks; /* experts of all ranks that share them                */
    double alpha;                          /* of a power law; 0 = balanced                        */
} sp_routing;
typedef struct sp_load {
    double choices; /* tokens that its experts receive, once for each of them                     */
    double active;  /* of its experts, those that receive any                                     */
} sp_load;
sp_load sp_routing_load(const sp_routing *routing);
