/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A worker as it is priced, for the files of this room. */
#include "cost/cost.h"
#include "shardplan/serve.h"
#include "shardplan/surface.h"

/* Kernels of one kind that an engine has; it runs the fastest for each shape. */
#define SP_SERVE_MAX_KERNELS 4
typedef struct sp_serve_kernels {
    uint32_t n; /* 0: none was measured */
    const sp_surface *of[SP_SERVE_MAX_KERNELS];
} sp_serve_kernels;

typedef struct sp_serve_rates {
    sp_serve_kernels attention, ffn, wide; /* products, by whose weights they multiply; wide:
                                            * router and head                                   */
    sp_serve_kernels experts;
    sp_serve_kernels context[SP_MODEL_MAX_KINDS],
        generation[SP_MODEL_MAX_KINDS]; /* attention cores, by kind of layer                 */
    sp_serve_kernels all_reduce;        /* inside a node, small messages                     */
    double element_s_per_byte;
    double vector_s_per_flop;
    double flop_s; /* of arithmetic that no surface covers                                      */
    bool borrowed; /* some of them are of another format, framework or part                     */
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
};

/* ---- worker.c ---- */
/* Whether the layout divides what it cuts. */
sp_status sp_worker_check(const sp_model *model, const sp_worker_layout *layout, sp_error *err);
/* The same worker as sp_worker_build makes of a checked setup, with kernels and network found
 * before, where the caller wants it. Its groups point into it: it must not be moved. */
void sp_worker_fill(const sp_worker_setup *setup, const sp_serve_rates *rates,
                    const sp_fabric *fabric, sp_worker *worker);

/* ---- rates.c ---- */
/* Surfaces of the engine's framework where it has some, else of the next best. */
/* Keys that a query meets at most, 0 = all. */
double sp_serve_reach(const sp_attention *attention);
sp_status sp_serve_rates_build(const sp_worker_setup *setup, sp_serve_rates *rates, sp_error *err);

/* ---- step.c ---- */
/* Of the engine's loop in a step whose kernels take gpu_s. */
double sp_serve_host_s(const sp_worker *worker, const sp_serve_batch *batch, double gpu_s);

/* ---- kernels.c: seconds of one operator on one rank ---- */
double sp_serve_product_s(const sp_worker *worker, const sp_op *op, double m);
/* Each token goes to the ranks of its experts, rather than all tokens to all ranks. */
bool sp_serve_sends_tokens(const sp_worker *worker);
/* The experts of one layer, permutation and both products: `tokens` of all ranks that share them.
 */
double sp_serve_experts_s(const sp_worker *worker, const sp_ffn *ffn, double tokens);
/* The attention core of one kind of layer in a batch of `sequences`, `fresh` new tokens each. */
double sp_serve_core_s(const sp_worker *worker, uint32_t kind, const sp_op *op, double sequences,
                       double fresh, double past);
/* Other products of activations: chunks of recurrences, indexers. */
double sp_serve_other_core_s(const sp_worker *worker, const sp_op *op);
double sp_serve_element_s(const sp_worker *worker, const sp_op *op);
double sp_serve_all_reduce_s(const sp_worker *worker, const sp_group *group, double bytes);

/* Of a pool whose answers ride along though its engine's do not. */
sp_serve_rule sp_pool_rule(const sp_pool *pool, const sp_server_timing *timing);

/* ---- pool_step.c ---- */
/* What sp_serve_step gives, by the pool's table where it has one, of prompts that are cut for its
 * ranks of context parallelism. */
void sp_pool_step(const sp_pool *pool, const sp_serve_batch *batch, sp_serve_step_time *out);

/* ---- loaded.c: steps of a pool under a load ---- */
typedef struct sp_loaded {
    const sp_pool *pool;
    const sp_serve_load *load;
    double new_tokens, past; /* of a prompt: computed, found in the cache */
    double context;          /* of an answer half way */
} sp_loaded;
sp_loaded sp_loaded_make(const sp_pool *pool, const sp_serve_load *load);
double sp_loaded_decode_s(const sp_loaded *l, double running);
/* Prompts that fit a step beside so many answers; below one: chunks of them. */
double sp_loaded_per_step(const sp_loaded *l, double running);
/* Steps that the tokens of so many prompts need beside `running` answers, and all of these. */
double sp_loaded_steps(const sp_loaded *l, double prompts, double running);
double sp_loaded_prompts_s(const sp_loaded *l, double prompts, double running);
/* Of one prompt among `waiting` that share steps. */
double sp_loaded_crowd_s(const sp_loaded *l, double waiting);
/* Sequences that a rank runs at once, of `wanted`; *limited: the cache has no room for more. */
double sp_loaded_running(const sp_pool *pool, const sp_serve_load *load, double wanted,
                         bool *limited);
/* Tokens a second of all, from the times of a request. */
void sp_served_finish(const sp_serve_load *load, double gpus, sp_served *out);

/* ---- apart.c ---- */
double sp_prefill_side_spill(double workers);

/* ---- join.c ---- */
/* Seconds until the cache of a prompt has been sent. */
double sp_pools_send_s(const sp_prefill_side *prefill, const sp_decode_side *decode,
                       const sp_kv_link *link);
/* A bound of the mean in a closed loop: none that sp_serve_join finds is below it, but for
 * rounding. */
double sp_joined_least_ttft_s(const sp_prefill_side *prefill, const sp_decode_side *decode,
                              const sp_serve_load *load, const sp_kv_link *link);
/* Answers of a rank that a load can bring at once; an open one any that is captured. */
double sp_pools_most(const sp_pool *decode, const sp_serve_load *load);
