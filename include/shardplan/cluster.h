/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Accelerators, links and clusters as data.
 *
 * A cluster is one kind of accelerator and a list of nested network levels. Level 0 is the group of
 * GPUs joined by the fastest link (an NVLink domain, a PCIe switch); each further level groups
 * domains of the one below. A cluster is a recipe: it takes any GPU count. GPUs are numbered so
 * that neighbours share the lowest levels.
 *
 * Every figure in the files carries a source and a date; the structs hold the figures alone.
 * Bandwidths are per GPU, one direction, bytes per second (10^9, not 2^30).
 */
#include "shardplan/status.h"

#include <stdbool.h>
#include <stdint.h>

struct sp_arena;

#define SP_CLUSTER_MAX_LEVELS    4
#define SP_CLUSTER_MAX_NODE_GPUS 1024
#define SP_CLUSTER_MAX_GPUS      16777216

typedef enum sp_dtype {
    SP_BF16,
    SP_FP16,
    SP_FP8,   /* one scale a tensor, or blocks of 128 x 128 as DeepSeek-V3 has them */
    SP_MXFP8, /* fp8 with one 8-bit scale for 32 elements */
    SP_NVFP4, /* 4 bits with one fp8 scale for 16 elements */
    SP_FP32,
    SP_INT8, /* inference only, as is int4 */
    SP_INT4,
    SP_N_DTYPES
} sp_dtype;

typedef enum sp_device_kind {
    SP_DEVICE_GPU,
    SP_DEVICE_ACCELERATOR, /* a data-centre part that is no GPU */
    SP_DEVICE_CPU,
    SP_DEVICE_SOC, /* a system on a chip, its memory shared by CPU, GPU and NPU            */
    SP_DEVICE_NPU, /* the neural unit of such a chip, taken alone                          */
    SP_DEVICE_PIM, /* processing in or near memory                                         */
    SP_DEVICE_CHIPLET,
    SP_N_DEVICE_KINDS
} sp_device_kind;

/* One memory of several that weights and cache may lie in. */
typedef struct sp_memory_tier {
    const char *name; /* "SRAM", "DRAM", "Flash"; nearest to the arithmetic first             */
    double bytes_per_s;
    double bytes;
    double joules_per_byte;
    double latency_s;
} sp_memory_tier;

#define SP_GPU_MAX_TIERS 8

/* Time of a dense matrix product C[m,n] = A[m,k] B[k,n] on one GPU, measured:
 *   compute = 2 (m + m_half)(n + n_half)(k + k_half) / (peak_flops_per_s * efficiency_ratio)
 *   memory  = bytes / (memory_bytes_per_s * memory_ratio)
 *   t       = launch_s + (compute^4 + memory^4)^(1/4)
 * The halves are the sizes at which a dimension alone costs half of the efficiency. */
typedef struct sp_gemm_surface {
    double efficiency_ratio;
    double memory_ratio;
    double launch_s;
    double m_half, n_half, k_half;
} sp_gemm_surface;

/* Time of a fused (flash) attention core, measured: flops / (peak * efficiency) * (1 + s_half/s) +
 * launch_s, efficiency that of head_dim 128; other head dimensions scale by a factor. */
typedef struct sp_attention_surface {
    double efficiency_ratio;
    double sequence_half;        /* tokens                                                       */
    double head_dim_64_ratio;    /* efficiency at head_dim 64 over that at 128                   */
    double backward_flops_ratio; /* backward time per FLOP over forward time per FLOP: ~1.13; the
                                  * backward pass has 2.5 x the FLOPs of the forward pass besides */
    double launch_s;
} sp_attention_surface;

/* Grouped matrix products of experts, measured; as sp_gemm_surface, with tokens an expert as m. */
typedef struct sp_grouped_surface {
    double efficiency_ratio;
    double memory_ratio;
    double launch_s;
    double m_half, n_half, k_half;
} sp_grouped_surface;

typedef struct sp_gpu {
    const char *name;            /* as in hardware/gpus/, such as "h100-sxm"                      */
    const char *file;            /* that it was read from                                         */
    const char *calibrated_from; /* name of the GPU whose measurements were used; own name = own  */
    double memory_bytes;         /* usable, as the driver reports it, not the marketing figure    */
    double memory_bytes_per_s;
    double peak_flops_per_s[SP_N_DTYPES]; /* dense, of products; 0 = the part cannot do it */
    bool tf32;                 /* its products of 32-bit numbers run as TF32                    */
    double vector_flops_per_s; /* 32-bit arithmetic outside products; 0 = as fast as these      */
    sp_gemm_surface gemm[SP_N_DTYPES]; /* efficiency_ratio 0 = no surface                       */
    sp_attention_surface attention;
    sp_grouped_surface grouped[SP_N_DTYPES];
    double stream_ratio;      /* element-wise kernels: achieved over peak memory bandwidth     */
    double stream_launch_s;   /* floor of one element-wise kernel                              */
    double context_bytes;     /* taken by the driver and runtime on every GPU                  */
    double tdp_watts;         /* 0 = not known, of parts that are not measured                 */
    double calibrated_watts;  /* power limit of the like part whose kernels were taken over; 0: they
                                 were measured at tdp_watts, or cannot be compared                */
    double portable_attention_ratio; /* time of a fused core written for any part since Ampere over
                                        that of the measured ones; 0 = the same                   */
    double usd_per_hour;      /* on demand, one GPU with its share of the node; 0 = no price   */
    const char *price_source; /* "" when there is no price                                     */
    const char *price_date;
    const char *const *links; /* that the part itself has, fastest first, as in hardware/links */
    uint32_t n_links;         /* 0: none that we know                                          */
    const char *typical_node; /* in hardware/nodes: lends its host figures to topology strings */
    sp_device_kind kind;
    /* For analysis; 0 = not known. */
    double usd;       /* to buy one                                                    */
    double process_m; /* feature size of its process, as it is advertised              */
    double manufacturing_kg_co2e;
    double compute_power_ratio;  /* of the design power, at the peak, that the arithmetic takes   */
    const sp_memory_tier *tiers; /* none: one memory of memory_bytes                              */
    uint32_t n_tiers;
} sp_gpu;

/* One network level, seen by one GPU:
 *   t(bytes) = base_s + steps * latency_s
 *              + bytes / (bandwidth * efficiency) * (1 + sqrt(half_bytes/bytes))
 * where bytes are what the GPU sends. */
typedef struct sp_level {
    const char *link;        /* name in hardware/links/                                       */
    const char *label;       /* "NVLink domain", "rails", "spine"                             */
    uint32_t n_gpus;         /* GPUs inside one domain of this level; UINT32_MAX = all        */
    double bytes_per_s;      /* data sheet, per GPU and direction                             */
    double efficiency_ratio; /* reached by large collectives                                  */
    double base_s;           /* of one collective, whatever its size and steps                */
    double latency_s;        /* of one step of a collective                                   */
    double half_bytes;       /* message at which half of the bandwidth is reached             */
    double oversubscription; /* >= 1: bandwidth through this level is divided by it           */
} sp_level;

typedef struct sp_cluster {
    const char *name; /* of the recipe, or the topology string as typed                */
    const sp_gpu *gpu;
    uint32_t node_gpus; /* GPUs in one server                                            */
    uint32_t n_levels;
    sp_level levels[SP_CLUSTER_MAX_LEVELS]; /* innermost first; the last holds every GPU */
    uint32_t max_gpus;        /* GPUs that the recipe goes up to; UINT32_MAX = any count       */
    double host_memory_bytes; /* of one node; 0 = not known                                    */
    double host_link_bytes_per_s;   /* GPU to host, one direction, per GPU; 0 = not known   */
    double host_memory_bytes_per_s; /* what the processors of one node stream through their memory;
                                     0 = not known                                                */
    double nvme_bytes;       /* local storage of one node; 0 = none or not known              */
    double nvme_bytes_per_s; /* of one node, reading or writing; 0 = not known                */
    const char *source;
} sp_cluster;

/* Reads HOME/hardware/clusters/NAME.json (by name or alias), a cluster file by path (*.json,
 * *.json5), or a topology string, innermost level first:
 *
 *     COUNTxGPU[/LINK][:RATE][@OVER] [,COUNTxLINK[:RATE][@OVER]]...
 *
 *     8xH100                              one node of 8 on the fastest link that an H100 has
 *     8xH100/nvlink4,64xib-ndr            nodes of 8, up to 64 of them: 512 GPUs at most
 *     8xH100/nvlink,32xib400,8xib400@4    ... and 8 such groups behind a spine oversubscribed 4:1
 *     8xL40S/pcie4,16xethernet:25Gb       a link at another rate
 *
 * GPU and link names are those of hardware/gpus and hardware/links (case, '-', '_' and spaces do
 * not matter; aliases count; "nvlink" and "pcie" mean the generation that the GPU has). Counts
 * multiply: their product is max_gpus. RATE is per GPU and direction with its unit, bits or bytes:
 * "400Gb", "450GB", "1.6Tb"; without it a network level gives every GPU one port. Errors name the
 * column. */
sp_status sp_cluster_find(struct sp_arena *arena, const char *home, const char *ref,
                          const sp_cluster **cluster, sp_error *err);

/* Reads HOME/hardware/gpus/NAME.json (by name or alias), or a file of one's own by its path
 * (*.json, or *.json5 with comments and bare keys). Such a part need not have measured kernels. */
sp_status sp_gpu_find(struct sp_arena *arena, const char *home, const char *name,
                      const sp_gpu **gpu, sp_error *err);
/* The same, for plans: refuses a part whose kernels or links are not known. */
sp_status sp_gpu_find_measured(struct sp_arena *arena, const char *home, const char *name,
                               const sp_gpu **gpu, sp_error *err);
/* True where its kernels were measured, or taken over from the part named in calibrated_from. */
bool sp_gpu_is_measured(const sp_gpu *gpu);

/* "gpu", "accelerator", "cpu", "soc", "npu", "pim", "chiplet" */
const char *sp_device_kind_name(sp_device_kind kind);
/* "bf16", "fp16", "fp8", "mxfp8", "nvfp4", "fp32", "int8", "int4" */
const char *sp_dtype_name(sp_dtype dtype);
/* What products of the format run as on the part: "tf32" for fp32 where it has that. */
const char *sp_gpu_product_name(const sp_gpu *gpu, sp_dtype dtype);
/* Peak of element-wise 32-bit arithmetic (norms, softmax, scans); 0 = not known. */
double sp_gpu_vector_flops_per_s(const sp_gpu *gpu);
/* Of one element, its share of the scales included. */
double sp_dtype_bytes(sp_dtype dtype);
