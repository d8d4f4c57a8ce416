/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A worker as it is priced, for the files of this room. */
#include "cost/cost.h"
#include "shardplan/serve.h"

/* Kernels of one worker, measured alone: divisions done, engine's ratios in. */
typedef struct sp_serve_rates {
    sp_gemm_rate attention, ffn, router, head; /* by whose weights they multiply                 */
    sp_gemm_rate experts;
    double core_s_per_flop, core_half, core_head_64_ratio, core_launch_s;
    double cache_s_per_byte; /* of keys and values that decoding reads                           */
    double element_s_per_byte;
    double vector_s_per_flop;
} sp_serve_rates;

struct sp_worker {
    const sp_model *model;
    const sp_server_timing *timing;
    sp_worker_layout layout;
    sp_serve_formats formats;
    sp_sharding sharding;
    sp_serve_rates rates;
    sp_fabric fabric;
    sp_group tp, width; /* ranks that share attention, and experts */
    sp_group stages;    /* neighbours in the pipeline              */
    uint32_t n_layers[SP_MODEL_MAX_KINDS];
    uint32_t gpus;
    bool borrowed; /* a format without measurements of its own */
};

/* ---- rates.c ---- */
/* False where the part cannot multiply with such weights at all. */
bool sp_serve_rates_build(const sp_gpu *gpu, const sp_server_timing *timing,
                          const sp_serve_formats *formats, sp_serve_rates *rates, bool *borrowed);

/* ---- kernels.c: seconds of one operator on one rank ---- */
double sp_serve_product_s(const sp_worker *worker, const sp_op *op, double m);
/* Experts with `rows` (token, choice) pairs on this rank, of a batch of `tokens` on all ranks. */
double sp_serve_experts_s(const sp_worker *worker, const sp_ffn *ffn, const sp_op *op, double rows,
                          double tokens);
double sp_serve_core_s(const sp_worker *worker, const sp_op *op);
double sp_serve_element_s(const sp_worker *worker, const sp_op *op);
