/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Work into seconds and bytes: rooflines, collectives, memory. Pure functions of a few numbers;
 * what does not depend on a plan is worked out once (sp_rates, sp_fabric) so that none of them
 * divides by a data-sheet figure. */
#include "graph/graph.h"
#include "shardplan/cluster.h"
#include "shardplan/engine.h"
#include "shardplan/optimizer.h"
#include "shardplan/plan.h"

/* ---- roofline.c ------------------------------------------------------------------------------ */
/* A measured surface (cluster.h) with its divisions done. */
typedef struct sp_gemm_rate {
    double s_per_flop, s_per_byte, launch_s;
    double m_half, n_half, k_half;
} sp_gemm_rate;

typedef struct sp_rates {
    sp_gemm_rate gemm[SP_N_PRECISIONS];
    sp_gemm_rate grouped[SP_N_PRECISIONS];
    double attention_s_per_flop; /* at head_dim 128 and long sequences */
    double attention_sequence_half;
    double attention_head_dim_64_ratio;
    double attention_backward_ratio;
    double attention_launch_s;
    double stream_s_per_byte, stream_launch_s;
    double vector_s_per_flop; /* of scans, outside the matrix units; 0 = no figure */
    double state_s_per_byte;  /* optimizer: long streams, no launch overhead to speak of */
    double score_bytes_ratio;
    double misaligned_ratio; /* of products with rows that are no multiples of 128 bytes */
    double grad_bytes;
    double added_bytes; /* per weight: what a kernel moves that adds a gradient to the accumulated
                           one; 0 = the product adds it */
    bool flash;
} sp_rates;

void sp_rates_build(const sp_gpu *gpu, const sp_engine_profile *profile, sp_rates *rates);
/* Dense 16-bit peak: of bf16, or of fp16 where the part has no bf16. What MFU is measured by. */
double sp_gpu_peak_flops_per_s(const sp_gpu *gpu);
/* Number format of the products that a precision asks for, and the precision of the head, which
 * stays in 16 bits. */
sp_dtype sp_precision_dtype(sp_precision precision);
sp_precision sp_precision_of_head(sp_precision precision);
/* True when the GPU has figures for the precision. */
bool sp_rates_has(const sp_gpu *gpu, sp_precision precision);

/* Seconds of one operator on one micro-batch. */
typedef struct sp_op_time {
    double forward_s;
    double input_grad_s;  /* gradient of the operator's input */
    double weight_grad_s; /* gradient of its weights; 0 where there are none */
} sp_op_time;

/* (a^4 + b^4)^(1/4): a soft maximum, at most 19 % above the larger; monotone in both. */
double sp_roof_either_s(double a_s, double b_s);
double sp_roof_gemm_s(const sp_gemm_rate *rate, double m, double n, double k, double count,
                      double bytes);
sp_op_time sp_roof_op(const sp_rates *rates, const sp_op *op, sp_precision precision, bool dropout);

/* ---- link.c: who sits where ---- */
typedef struct sp_fabric_level {
    uint32_t n_gpus;
    double s_per_byte, half_bytes, latency_s, base_s;
} sp_fabric_level;

typedef struct sp_fabric {
    uint32_t node_gpus; /* of one server: a domain of several servers is filled with whole ones */
    uint32_t n_levels;
    sp_fabric_level level[SP_CLUSTER_MAX_LEVELS];
} sp_fabric;

void sp_fabric_build(const sp_cluster *cluster, sp_fabric *fabric);
/* As a plan of so many GPUs finds it: where they fill no whole number of domains of several servers
 * (256 GPUs on domains of 72), it takes equally many whole servers of each (4 x 64), so that groups
 * of ranks do not straddle their borders. */
sp_fabric sp_fabric_fit(const sp_fabric *fabric, uint32_t gpus);

/* n ranks whose numbers lie `stride` apart, as the levels of the network see them. */
typedef struct sp_group {
    uint32_t n;
    uint32_t n_levels;                      /* levels in use: the last one joins all members     */
    uint32_t inside[SP_CLUSTER_MAX_LEVELS]; /* members that share a domain of the level          */
    bool one_level;                         /* all links between members are alike              */
    double base_s;                          /* of one collective: the largest of the levels used */
    const sp_fabric *fabric;
} sp_group;

sp_group sp_group_build(const sp_fabric *fabric, uint32_t n, uint32_t stride);
/* n_near ranks stride_near apart, and n_far such runs stride_far apart. */
sp_group sp_group_pair(const sp_fabric *fabric, uint32_t n_near, uint32_t stride_near,
                       uint32_t n_far, uint32_t stride_far);
/* Time of `bytes` sent by each GPU through a level, without latency. */
double sp_link_transfer_s(const sp_fabric_level *level, double bytes);

/* ---- collectives (collectives.def) ----------------------------------------------------------- */
/* bytes: the whole tensor, before the scatter or after the gather. The fastest algorithm is taken,
 * as the communication libraries do. All are free for one rank, monotone in bytes, and never faster
 * than the slowest link allows. */
double sp_coll_allgather_s(const sp_group *group, double bytes); /* reduce-scatter costs the same */
double sp_coll_allreduce_s(const sp_group *group, double bytes);
/* bytes: held by each rank before the exchange, its own share included. */
double sp_coll_alltoall_s(const sp_group *group, double bytes);
/* The same for tokens that go to experts: bytes holds a copy of each token for every choice of it;
 * copies for ranks of one domain cross to it once and are forwarded there. reach: largest share of
 * the domains that a token can go to. */
double sp_coll_dispatch_s(const sp_group *group, double bytes, double copies, double reach);
/* The same by one kernel that writes to all ranks at once (DeepEP's low-latency mode, TensorRT-LLM's
 * one-sided exchange): of the latencies only the farthest rank's is waited for. */
double sp_coll_put_s(const sp_group *group, double bytes, double copies, double reach);
/* Between neighbours of the group, over the slowest link between any two. */
double sp_coll_p2p_s(const sp_group *group, double bytes);

typedef struct sp_coll_algorithm {
    const char *name;
    double (*allgather_s)(const sp_group *group, double bytes); /* NULL: cannot */
    double (*allreduce_s)(const sp_group *group, double bytes);
    bool by_level; /* on a single level the same as the first of the list, and not asked */
} sp_coll_algorithm;
uint32_t sp_coll_algorithm_count(void);
const sp_coll_algorithm *sp_coll_algorithm_describe(uint32_t idx);

/* ---- overlap.c ------------------------------------------------------------------------------- */
/* Exposed seconds of communication that may hide under share `ratio` of a computation:
 * max(c, (1 - ratio) c + comm) - c. */
double sp_overlap_exposed_s(double compute_s, double ratio, double comm_s);
/* What hides in so many seconds still slows the work there by this share of itself, since copies
 * take multiprocessors and memory traffic: comm - (1 - interference) min(comm, room). */
double sp_overlap_slowed_s(double room_s, double interference, double comm_s);
/* A computation and its communication in n equal pieces, each sent when it is computed: the last
 * has nothing left to hide under (or the first, where pieces are received before they are
 * computed). t = c / n + (n - 1) / n slowed(compute, c) */
double sp_overlap_pieces_s(double compute_s, double n, double interference, double comm_s);
/* A ring that passes n pieces on by copy engines, its own piece being there from the start: n - 1
 * transfers beside n - 1 of n equal products. */
double sp_overlap_ring_s(double compute_s, double n, double comm_s);

/* ---- mem_state.c: weights, gradients, optimizer ---------------------------------------------- */
typedef struct sp_state_bytes {
    double weights, gradients, optimizer;
    double updated; /* parameters whose optimizer the rank holds */
    /* Weights under ZeRO-3, and gradients under ZeRO 2 and 3, that are whole: while the largest
     * unit is worked on, and while a layer is. */
    double gathered, gathered_layer;
} sp_state_bytes;

/* Bytes per parameter of a recipe, by definition of its number formats. */
typedef struct sp_recipe {
    double weight_bytes;   /* working copy, which is computed with, gathered and sent             */
    double shard_bytes;    /* shards that are updated and from which working copies are cast; 0:
                              working copies are themselves what ZeRO-3 shards                    */
    double gradient_bytes; /* accumulated gradient                                               */
    double twin_bytes;     /* gradient of one micro-batch, which waits whole beside that under ZeRO
                              0 and 1                                                             */
    double sent_bytes;     /* gradient on its way                                                */
    double master_bytes;   /* copy that the optimizer updates, beside working copies             */
    double moments_bytes;  /* the optimizer's own state: moments                                  */
    double step_bytes;     /* memory traffic of one update                                       */
} sp_recipe;
/* What an update reads and writes: the gradient twice (norm, update), the copy that is updated and
 * the moments once each way, the working copy; and what the optimizer passes over besides. */
double sp_recipe_step_bytes(const sp_recipe *recipe, double pass_bytes);
/* bf16 or fp16 weights with fp32 AdamW, as Megatron-LM, DeepSpeed and FSDP mixed precision hold it.
 */
sp_recipe sp_recipe_adamw(double gradient_bytes);
/* Weights that are read and never updated. */
sp_recipe sp_recipe_frozen(double weight_bytes);

/* What ZeRO-3 gathers at a time: layers, and the ends of the model. */
typedef struct sp_units {
    double layer_params;   /* of the largest layer on the rank                                    */
    double largest_params; /* of the largest unit: a layer, the embedding or the head             */
    double gradient_bytes; /* per parameter of a unit before its gradient is scattered            */
    double live_params;    /* stay gathered at least, as far as there are so many                 */
    double root_params;    /* stay gathered from the first pass to the last: a root unit          */
    double root_gradients; /* of these, gradients that wait whole for those of the rest           */
} sp_units;

/* params on a rank, sharded over `shards` data-parallel ranks from ZeRO stage `zero` on. */
sp_state_bytes sp_mem_state(const sp_recipe *recipe, double params, const sp_units *units,
                            uint32_t zero, uint32_t shards);

/* ---- mem_optimizer.c: what an optimizer holds that treats tensors by their kind ---------------
 */
/* Of some tensors on one rank. */
typedef struct sp_moments {
    double bytes;       /* of state, which ZeRO cuts                                             */
    double whole_bytes; /* of state that every shard has whole: columns                          */
    double largest;     /* elements of the largest tensor whose update takes room of its own     */
    double newton_s;    /* of the products that make every matrix orthogonal                     */
} sp_moments;

/* Learned numbers of a layer on one rank: those of matrices, and the optimizer's state of all. */
typedef struct sp_layer_tensors {
    double dense_matrix, expert_matrix;
    sp_moments dense, expert;
} sp_layer_tensors;

sp_layer_tensors sp_optimizer_layer(const sp_optimizer *optimizer, const sp_layer_work *work);
/* Adds what Newton-Schulz takes for the matrices of a layer, `whole` as it is without tensor
 * parallelism: 4 r^2 c + 2 r^3 FLOPs an iteration of an r x c matrix, r <= c. */
void sp_optimizer_newton(const sp_optimizer *optimizer, const sp_gemm_rate *rate,
                         const sp_layer_work *whole, sp_layer_tensors *tensors);
/* The embedding or the head: a table of `hidden` columns, state_bytes a parameter. */
sp_moments sp_optimizer_table(const sp_optimizer *optimizer, double state_bytes, double params,
                              double hidden);
void sp_moments_add(sp_moments *sum, const sp_moments *part, double times);

/* ---- mem_activ.c ----------------------------------------------------------------------------- */
typedef struct sp_layer_bytes {
    double kept;    /* a micro-batch's activations of one layer until its backward pass           */
    double working; /* live only while the layer runs                                             */
} sp_layer_bytes;
/* What a layer is asked to keep, and what the kernels of an engine keep beside it. */
typedef struct sp_keeping {
    uint32_t modules;     /* sp_module flags of what is recomputed                               */
    bool full;            /* the whole layer is, from its input                                  */
    double product_bytes; /* one element of a kept input of a matrix product, 2 for 16-bit ones  */
    double dropped_ratio; /* under SP_MODULE_STREAMS: of the outputs of products                 */
    double norm_extra_bytes, gate_extra_bytes; /* as in sp_engine_profile                        */
    bool in_place; /* gradients of a gate's inputs are written over them                         */
    double adapter_columns; /* of the thin pair beside every product, which keeps what lies between;
                               0: none                                                           */
    bool unpacks;           /* frozen weights are written out in 16 bits, matrix by matrix        */
} sp_keeping;
/* Reads operators; otherwise the tensors alone (sp_graph_kept). */
bool sp_keeping_asks_ops(const sp_keeping *keeping);
sp_layer_bytes sp_mem_layer(const sp_layer_work *work, const sp_keeping *keeping);

/* The loss on one rank: so many bytes for each logit. */
double sp_mem_logits(double tokens, double vocab_columns, double logit_bytes);
/* 2-byte logits and their 2-byte gradient. */
#define SP_FUSED_LOGIT_BYTES 4.0
/* In chunks of so many tokens that their logits are as wide as the hidden vectors: logits and the
 * gradient of the hidden vectors, and of the head's weights, unless they are frozen, the gradient
 * (2), the last chunk's product (2) and its fp32 copy (4).
 * Source: Liger-Kernel, ops/fused_linear_cross_entropy.py. */
double sp_mem_chunked_loss(double tokens, double vocab_columns, double hidden, bool frozen);
