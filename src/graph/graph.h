/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A layer as the operators one rank runs, for a shape and a sharding: closed forms, no simulation.
 *
 * Only the forward pass is written down; the passes of the backward follow from it (cost/). One
 * file a block kind, one line each in layers.def; a block serves training and serving alike, since
 * prefill and decode are other shapes of the same function. */
#include "formula/flat.h"
#include "shardplan/model.h"

#include <stdbool.h>
#include <stdint.h>

/* What one rank's forward pass sees. Training and prefill of a fresh prompt have past = 0; a later
 * chunk of a prompt, and decoding (length = 1), find `past` tokens in the cache. */
typedef struct sp_shape {
    double sequences; /* of `length` in the micro-batch: tokens cp / length                       */
    double tokens;    /* of one rank, context parallelism taken off: rows of the products         */
    double length;    /* new tokens of a sequence (or packed document)                            */
    double context;   /* tokens that one token attends to, mean: length / 2 under a causal mask,
                       * and `past` before them                                                   */
    double past;      /* tokens of each sequence before the new ones, 0 in training               */
    double expert_excess; /* of the busiest rank's experts over the mean load, 0 = balanced         */
    bool absorbed; /* latent attention works on the latent vectors themselves, as decoding does */
} sp_shape;

typedef struct sp_sharding {
    uint32_t tp;
    uint32_t cp;  /* ranks that share a sequence, each with early and late pieces (zig-zag), so
                   * that all do 1/cp of the causal core                                          */
    uint32_t ep;  /* ranks over which the routed experts are spread                               */
    uint32_t etp; /* ranks over which one expert's matrices are cut                               */
    bool sp;      /* what tp leaves whole is cut along the sequence                               */
} sp_sharding;

/* What the backward pass can compute again; flags. The first five are the recompute modules of
 * Megatron-Core (core_attn, layernorm, moe_act, mla_up_proj, mlp), the activation of dense blocks
 * and shared experts counted to moe_act. */
typedef enum sp_module {
    SP_MODULE_CORE = 1,       /* attention core, from queries, keys and values                    */
    SP_MODULE_NORM = 2,       /* norms before blocks                                              */
    SP_MODULE_ACTIVATION = 4, /* of the feed-forward block and the experts                        */
    SP_MODULE_MLA_UP = 8,     /* queries, keys and values from their latent vectors               */
    SP_MODULE_FFN = 16,       /* dense feed-forward block, from the output of its norm            */
    SP_MODULE_STREAMS = 32    /* every element-wise operator whose output would be kept           */
} sp_module;

typedef enum sp_op_class {
    SP_OP_GEMM,      /* [m,k] x [k,n], `count` of them                                            */
    SP_OP_GROUPED,   /* the same, one launch for all experts                                      */
    SP_OP_ATTENTION, /* fused products of queries, keys and values over `count` heads: m queries, n
                      * keys, k = size of a key, v = size of a value (0: scores alone)            */
    SP_OP_STREAM,    /* element-wise: bytes only                                                  */
    SP_OP_SCAN       /* a recurrence or convolution: bytes, and FLOPs that no matrix unit does    */
} sp_op_class;

/* Whose bit widths an operator's weights have, and where a table of operators lists it. */
typedef enum sp_part {
    SP_PART_ATTENTION, /* projections of the mixing block, and its core                           */
    SP_PART_RECURRENT,
    SP_PART_FFN,
    SP_PART_ROUTER,
    SP_PART_EXPERTS,
    SP_PART_NORM,
    SP_PART_ROTARY,
    SP_PART_RESIDUAL,
    SP_PART_EMBEDDING,
    SP_PART_HEAD,
    SP_PART_KERNEL /* of a formula model that does not say                                        */
} sp_part;

/* m, n, k of a STREAM are the elements that it reads, those that it writes, and its learned
 * numbers; a SCAN has them too, and FLOPs; `count` of what it reads and of what it writes is state.
 * FLOPs of a product are 2 m n k count; of an ATTENTION 2 m (k + v) count for each key that a query
 * meets, mean: n of them are there, fewer are met under a mask, a window or a choice. */
typedef struct sp_op {
    const char *name;
    sp_op_class class;
    uint32_t modules; /* runs again in the backward pass when any of these is recomputed          */
    sp_part part;
    uint32_t v; /* of an ATTENTION                                                                */
    double m, n, k, count;
    double vectors; /* learned numbers of a product or core beside its matrix: biases, sinks      */
    double flops;   /* forward, causal                                                            */
    double bytes;   /* forward traffic of a STREAM or SCAN, fused, 2-byte elements; of an ATTENTION
                     * what it reads of keys and values                                             */
    const sp_flat_counts *counts; /* what a formula model says of it, in the sp_layer_work that it
                                   * belongs to; otherwise NULL                                   */
} sp_op;

/* A layer that has everything at once stays below. */
#define SP_MAX_OPS     72
#define SP_MAX_TENSORS 72

/* An activation kept from the forward pass for the backward one. */
typedef struct sp_tensor {
    double bytes;       /* with 2-byte elements (4 where a kernel keeps fp32, 1 for masks)        */
    uint32_t modules;   /* not kept when any of these is recomputed                               */
    bool product_input; /* kept as input of a matrix product, in the format of the product        */
} sp_tensor;

/* Communication that a block asks for, of one rank and one pass. */
typedef struct sp_block_comm {
    bool tp_exchange; /* hidden activations of all tokens are gathered before and scattered (or
                         all-reduced) after the block                                         */
    double kv_bytes;  /* keys and values of the rank's tokens, 2-byte: what cp moves          */
    double q_bytes;   /* queries of the rank's tokens                                         */
    double o_bytes;   /* output of the core for them                                          */
    double ep_bytes;  /* sent by the busiest rank to its expert group, each way, in 16 bits: a copy
                         a choice                                                             */
    double ep_copies; /* choices of a token: so many copies are sent where none are merged    */
    double ep_reach;  /* largest share of the experts' ranks that a token can reach           */
    double etp_bytes; /* gathered over the expert-tensor group after dispatch                 */
} sp_block_comm;

/* Parameters of a layer on one rank, by how they are sharded. */
typedef struct sp_layer_params {
    double dense;  /* held by every data-parallel rank: cut by tp, or whole (norms, router)      */
    double expert; /* routed experts: cut by ep and etp                                          */
} sp_layer_params;

typedef struct sp_layer_work {
    bool without_ops; /* sp_graph_kept: operators are not there to be read                       */
    uint32_t n_ops, n_tensors;
    uint32_t n_attention_ops, n_attention_tensors; /* the first ones belong to the mixing block:
                                                    * attention, recurrence, projections          */
    sp_op ops[SP_MAX_OPS];
    sp_flat_counts counts[SP_MAX_OPS]; /* of a formula model                                      */
    sp_tensor tensors[SP_MAX_TENSORS];
    sp_block_comm attention, ffn;
    sp_layer_params params; /* as sp_graph_layer_params has them */
    double gradient_bytes;  /* inside the block that holds most of them, while it runs backwards */
    double working_bytes; /* live beside the kept bytes while the layer runs, with the above     */
    double input_bytes;   /* the layer's input, all that full recompute keeps                 */
} sp_layer_work;

/* flash: the attention core is fused and keeps no scores. */
void sp_graph_layer(const sp_model *model, const sp_layer_kind *kind, const sp_shape *shape,
                    const sp_sharding *sharding, bool flash, sp_layer_work *work);
/* The same without the operators of products, cores and streams, for those who ask for bytes alone:
 * tensors, parameters, communication and working bytes are those of sp_graph_layer. */
void sp_graph_kept(const sp_model *model, const sp_layer_kind *kind, const sp_shape *shape,
                   const sp_sharding *sharding, bool flash, sp_layer_work *work);
sp_layer_params sp_graph_layer_params(const sp_model *model, const sp_layer_kind *kind,
                                      const sp_sharding *sharding);
/* The part of these that layers with the same `tied` number hold together: attention and
 * feed-forward. 0 where the kind is not tied. A rank with several such layers has it once, and
 * computes each of them. */
sp_layer_params sp_graph_tied_params(const sp_model *model, const sp_layer_kind *kind,
                                     const sp_sharding *sharding);
/* What a rank with n_layers[k] layers of each kind k holds less than each of them for itself;
 * tied[k] is the part that layers of a number share. */
sp_layer_params sp_graph_spared_params(const sp_model *model, const sp_layer_params *tied,
                                       const double *n_layers);
/* Weights that one operator reads, on one rank. Over the operators of a layer they add up to its
 * parameters. */
double sp_op_params(const sp_op *op);

/* ---- ends.c: what lies outside the layers ---- */
/* The embedding (first stage), with what else tokens meet before the layers: norms, projections,
 * further tables, encoders of other inputs. */
double sp_graph_embedding_params(const sp_model *model, const sp_sharding *sharding);
/* The final norm with the head (last stage), the head's table even where it is tied. */
double sp_graph_head_params(const sp_model *model, const sp_sharding *sharding);
/* All layers and both ends on one rank; a tied table counts once. */
sp_layer_params sp_graph_model_params(const sp_model *model, const sp_sharding *sharding);
/* Operators of the ends. The first of the embedding is the look-up, the last of the head
 * [tokens, vocab / tp, hidden]; work->n_ops and work->ops alone are filled. */
void sp_graph_embedding_work(const sp_model *model, const sp_shape *shape,
                             const sp_sharding *sharding, sp_layer_work *work);
void sp_graph_head_work(const sp_model *model, const sp_shape *shape, const sp_sharding *sharding,
                        sp_layer_work *work);
/* The head's product alone. */
sp_op sp_graph_head(const sp_model *model, const sp_shape *shape, const sp_sharding *sharding);

/* ---- cache.c: what a layer remembers of a sequence while it decodes ---- */
/* Elements on one rank, whatever their width. */
typedef struct sp_cache {
    double token;      /* for each token of the sequence                                         */
    double near_token; /* for each of its newest near_tokens: windows and blocks                 */
    double near_tokens;
    double state;       /* of a recurrence, whatever the length                                   */
    double convolution; /* inputs of the last taps                                                */
} sp_cache;

sp_cache sp_graph_cache(const sp_layer_kind *kind, const sp_sharding *sharding);
/* Elements of a sequence of so many tokens. */
double sp_cache_elements(const sp_cache *cache, double tokens);

/* FLOPs of a forward pass of the whole model over `tokens` tokens of sequences (or packed
 * documents) of `length`: every matrix product and the causal attention core; the input embedding
 * is a look-up and costs none. Multi-token prediction does not count: it is no part of what MFU
 * measures. */
double sp_graph_forward_flops(const sp_model *model, double length, double tokens);

/* ---- mtp.c: multi-token prediction --------------------------------------------------------------
 * Behind the last layer, on the last stage, stand mtp_layers modules: norms of the hidden state and
 * of the next token's embedding, a projection of both (2 hidden) to hidden, a layer like the last
 * one, and a norm of its own before the shared head. Source: DeepSeek-V3, arXiv:2412.19437,
 * section 2.2. */
/* Of all modules; the projection's columns are cut by tp, the norms are not. */
sp_layer_params sp_graph_mtp_params(const sp_model *model, const sp_sharding *sharding);
/* Of one module: [tokens, hidden / tp, 2 hidden] */
sp_op sp_graph_mtp_projection(const sp_model *model, const sp_shape *shape,
                              const sp_sharding *sharding);
/* Of all modules, each with its pass through the head. */
double sp_graph_mtp_forward_flops(const sp_model *model, double length, double tokens);

/* ---- a block kind (layers.def) ---- */
typedef struct sp_block {
    const char *name;
    bool own; /* each of several tied layers has its own weights */
    bool (*present)(const sp_layer_kind *kind);
    /* Appends its operators to work and fills its communication. */
    void (*expand)(const sp_model *model, const sp_layer_kind *kind, const sp_shape *shape,
                   const sp_sharding *sharding, bool flash, sp_layer_work *work);
    sp_layer_params (*params)(const sp_model *model, const sp_layer_kind *kind,
                              const sp_sharding *sharding);
    /* Of a block that each layer owns: the dense part that tied layers share after all, or NULL. */
    double (*shared)(const sp_layer_kind *kind, const sp_sharding *sharding);
} sp_block;

/* ---- parts.c: what blocks are put together from ---- */
/* Room for the next operator, or under without_ops for none. */
sp_op *sp_op_next(sp_layer_work *work);
/* Append an operator; its modules are 0. */
sp_op *sp_op_gemm(sp_layer_work *work, const char *name, sp_part part, double m, double n,
                  double k);
/* In elements of 2 bytes. */
sp_op *sp_op_stream(sp_layer_work *work, const char *name, sp_part part, double reads,
                    double writes);
/* Appends a kept activation. */
void sp_keep(sp_layer_work *work, double bytes, uint32_t modules, bool product_input);
/* Gradients that are live while the block runs backwards; the block with most of them counts. */
void sp_live(sp_layer_work *work, double bytes);
/* A norm with so many learned numbers over `elements` keeps its input for its own gradient; its
 * output, the input of what follows, goes with `modules`. */
void sp_norm(sp_layer_work *work, const char *name, double elements, double learned,
             uint32_t modules, bool feeds_product);
/* The first of the norms of a block stands before it; a block without one keeps its input. */
void sp_norm_before(sp_layer_work *work, const char *name, const sp_model *model, uint32_t norms,
                    double rows, bool feeds_product);
/* The others stand behind it and keep their inputs. */
void sp_norms_behind(sp_layer_work *work, const char *name, const sp_model *model, uint32_t norms,
                     double rows);
/* Adds a block's output to its input, under dropout with a mask of 1 byte an element. */
void sp_residual(sp_layer_work *work, const char *name, double elements, bool dropout);
/* What was appended so far belongs to the mixing block. */
void sp_end_mixing(sp_layer_work *work);
/* Rows of what tp leaves whole. */
double sp_whole_rows(const sp_shape *shape, const sp_sharding *sharding);

/* ---- layer_formula.c: what formulas say ---- */
/* Appends the kernels of a class as operators. */
void sp_formula_ops(const sp_flat *flat, const sp_shape *shape, sp_layer_work *work);
/* The last one alone, without its counts. */
sp_op sp_formula_last_op(const sp_flat *flat, const sp_shape *shape);

/* ---- core.c, visible.c, indexer.c: attention ---- */
/* The attention core of one rank. */
typedef struct sp_core {
    const sp_attention *attention;
    double heads; /* of the rank                                                           */
    double head_dim, v_dim;
    double key_elements; /* of one token's keys and values                                        */
    bool flash, dropout;
} sp_core;

/* Appends the core with what it keeps but its inputs, and fills the traffic of cp. */
void sp_core_expand(const sp_core *core, const sp_shape *shape, const sp_sharding *sharding,
                    sp_layer_work *work);
/* For attention with a gate: appends it to the core. */
void sp_gate_expand(const sp_attention *attention, double heads, double hidden, double tokens,
                    sp_layer_work *work);
/* Key and value heads that one rank holds; fewer heads than ranks are replicated. */
double sp_kv_heads_local(const sp_attention *attention, uint32_t tp);

/* Keys that a query meets, mean over the new tokens; those that the indexer weighs for it; those
 * that the new tokens of a sequence read together, each once. */
double sp_visible_keys(const sp_attention *attention, const sp_shape *shape);
double sp_weighed_keys(const sp_attention *attention, const sp_shape *shape);
double sp_touched_keys(const sp_attention *attention, const sp_shape *shape);

/* For attention with an indexer. */
void sp_indexer_expand(const sp_model *model, const sp_attention *attention, const sp_shape *shape,
                       const sp_sharding *sharding, sp_layer_work *work);
double sp_indexer_params(const sp_model *model, const sp_attention *attention);
