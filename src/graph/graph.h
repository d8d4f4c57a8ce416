/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A layer as the operators one rank runs, for a shape and a sharding: closed forms, no simulation.
 *
 * Only the forward pass is written down; the passes of the backward follow from it (cost/). One
 * file a block kind, one line each in layers.def; a block serves training and serving alike, since
 * prefill and decode are other shapes of the same function. */
#include "shardplan/model.h"

#include <stdbool.h>
#include <stdint.h>

/* What one rank's forward pass sees. */
typedef struct sp_shape {
    double sequences; /* in the micro-batch                                                       */
    double tokens;    /* sequences x length: rows of the matrix products, before tp and sp        */
    double length;    /* tokens of one sequence                                                   */
    double context;   /* tokens that one token attends to, mean: length / 2 under a causal mask   */
} sp_shape;

typedef struct sp_sharding {
    uint32_t tp;
    uint32_t ep;  /* ranks over which the routed experts are spread                               */
    uint32_t etp; /* ranks over which one expert's matrices are cut                               */
    bool sp;      /* what tp leaves whole is cut along the sequence                               */
} sp_sharding;

typedef enum sp_op_class {
    SP_OP_GEMM,      /* [m,k] x [k,n], `count` of them                                            */
    SP_OP_GROUPED,   /* the same, one launch for all experts                                      */
    SP_OP_ATTENTION, /* softmax(q k^T) v over `count` heads: m queries, n keys, k = head_dim      */
    SP_OP_STREAM     /* element-wise: bytes only                                                  */
} sp_op_class;

typedef struct sp_op {
    const char *name;
    sp_op_class class;
    double m, n, k, count;
    double flops;      /* forward, causal                                                     */
    double bytes;      /* forward traffic of a STREAM, fused, 2-byte elements                 */
    double kept_bytes; /* stored for the backward pass unless recomputed                      */
    double core_bytes; /* the part of kept_bytes that selective recompute drops               */
} sp_op;

#define SP_MAX_OPS 24

/* Communication that a block asks for, in bytes of the whole (gathered) tensor of one pass. */
typedef struct sp_block_comm {
    bool tp_exchange; /* hidden activations of all tokens are gathered before and scattered (or
                         all-reduced) after the block                                         */
    double ep_bytes;  /* sent by one rank to its expert group, each way                       */
    double etp_bytes; /* gathered over the expert-tensor group after dispatch                 */
} sp_block_comm;

/* Parameters of a layer on one rank, by how they are sharded. */
typedef struct sp_layer_params {
    double dense;  /* held by every data-parallel rank: cut by tp, or whole (norms, router)      */
    double expert; /* routed experts: cut by ep and etp                                          */
} sp_layer_params;

typedef struct sp_layer_work {
    uint32_t n_ops;
    sp_op ops[SP_MAX_OPS];
    uint32_t n_attention_ops; /* the first ones belong to the attention block                     */
    sp_block_comm attention, ffn;
    double working_bytes; /* live beside the kept bytes while the layer runs                  */
    double input_bytes;   /* the layer's input, all that full recompute keeps                 */
} sp_layer_work;

/* flash: the attention core is fused and keeps no scores. */
void sp_graph_layer(const sp_model *model, const sp_layer_kind *kind, const sp_shape *shape,
                    const sp_sharding *sharding, bool flash, sp_layer_work *work);
sp_layer_params sp_graph_layer_params(const sp_model *model, const sp_layer_kind *kind,
                                      const sp_sharding *sharding);
/* The embedding (first stage) and the final norm with the head (last stage), on one rank. */
double sp_graph_embedding_params(const sp_model *model, const sp_sharding *sharding);
double sp_graph_head_params(const sp_model *model, const sp_sharding *sharding);
/* [tokens, vocab / tp, hidden] */
sp_op sp_graph_head(const sp_model *model, const sp_shape *shape, const sp_sharding *sharding);

/* FLOPs of a forward pass of the whole model over `tokens` tokens of sequences of `length`: every
 * matrix product and the causal attention core; the input embedding is a look-up and costs none. */
double sp_graph_forward_flops(const sp_model *model, double length, double tokens);

/* ---- a block kind (layers.def) ------------------------------------------------------------------
 */
typedef struct sp_block {
    const char *name;
    bool (*present)(const sp_layer_kind *kind);
    /* Appends its operators to work and fills its communication. */
    void (*expand)(const sp_model *model, const sp_layer_kind *kind, const sp_shape *shape,
                   const sp_sharding *sharding, bool flash, sp_layer_work *work);
    sp_layer_params (*params)(const sp_model *model, const sp_layer_kind *kind,
                              const sp_sharding *sharding);
} sp_block;

/* Helpers for blocks: append an operator. */
sp_op *sp_op_gemm(sp_layer_work *work, const char *name, double m, double n, double k);
sp_op *sp_op_stream(sp_layer_work *work, const char *name, double bytes);
