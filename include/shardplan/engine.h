/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What a training framework supports together, and what it costs beside the kernels.
 *
 * configs/engines/NAME.json ("shardplan/engine/1") holds rules {id, when, require, versions, source}
 * in the expression language of --where, and profiles by version: the constants of the software that
 * no data sheet states. Each constant carries its source and date in the file.
 */
#include "shardplan/plan.h"
#include "shardplan/status.h"

#include <stdbool.h>
#include <stdint.h>

struct sp_arena;
struct sp_expr;

/* Constants of one era of a framework. */
typedef struct sp_engine_profile {
    const char *versions;        /* ">=0.5"                                                       */
    bool flash_attention;        /* fused attention core; otherwise scores are written to memory  */
    bool native_attention;       /* ... written for the part; otherwise for any since Ampere      */
    bool merges_expert_copies;   /* a token crosses to a node once, however many experts it meets there */
    bool gathers_each_batch;     /* ZeRO-2 gives weights back after every micro-batch             */
    bool adds_gradients_apart;   /* by a kernel of its own; otherwise products add to the sum     */
    bool waits_for_tp_sums;      /* of input gradients; otherwise weight gradients are beside them */
    bool cuts_messages;          /* tp ranks send a share each to the next stage, even without sp */
    double gemm_ratio;           /* matrix products in a running step over isolated ones, >= 1    */
    double attention_ratio;      /* likewise for the attention core                               */
    double power_exponent;       /* kernels taken over from a like part of another power limit take
                                    (its limit / own limit)^this times as long                    */
    double misaligned_ratio;     /* matrix products with rows that are no multiples of 128 bytes  */
    double element_bytes_ratio;  /* bytes of element-wise kernels over those of fused ones        */
    double score_bytes_ratio;    /* passes over the score matrix without flash attention          */
    double kernel_host_s;        /* host time to launch one kernel                                */
    double layer_kernels;        /* kernels of a layer, forward and backward                      */
    double layer_kernels_tp;     /* further ones with tp > 1                                      */
    double expert_layer_kernels; /* further ones of a layer with experts                          */
    double expert_kernels;       /* further ones for each expert that a rank holds                */
    double scaled_expert_kernels; /* ... and further ones of these in formats with scales by block */
    double micro_batch_s;        /* host time of one micro-batch in one model chunk               */
    double step_s;               /* host time of one step                                         */
    double tp_pieces;            /* in which a product is cut that is reduced while it runs       */
    double tp_interference_ratio; /* share of hidden tp traffic that slows the product it hides under:
                                     multiprocessors that copy instead                            */
    double cp_overlap_ratio;     /* share of a block's attention that can hide the next block's traffic */
    double ep_overlap_ratio;     /* share of a layer's computation that can hide expert traffic    */
    double shared_overlap_ratio; /* share of the shared experts' products that can hide expert traffic */
    double expert_excess_ratio;  /* load of the busiest expert over the mean, less 1, by routing that
                                    nothing forces                                                */
    double fp8_dispatch_bytes;   /* an element on its way to its experts in 8 bits, scales included */
    double qwz_bytes;            /* ZeRO++: a weight that is gathered, scales included            */
    double qgz_bytes;            /* likewise a gradient that is reduced                           */
    double low_precision_ratio;  /* products below 16 bits: gemm_ratio is multiplied by this       */
    double offload_overlap_ratio; /* share of a pass that can hide transfers to and from the host  */
    double host_update_ratio;    /* of the node's memory bandwidth that the processors' optimizer reaches */
    double dp_overlap_ratio;     /* share of a backward pass that can hide gradient traffic       */
    double dp_interference_ratio; /* share of hidden gradient and weight traffic that slows the kernels
                                     it hides under                                               */
    double fragmentation_ratio;  /* reserved over allocated memory, less 1                        */
    double communication_bytes;  /* buffers of one communicator (per dimension in use)            */
    double workspace_bytes;      /* matrix-product workspaces                                     */
    double bucket_bytes;         /* gradient bucket in flight, 0 = all at once                       */
    double quantised_weight_bytes; /* per parameter: weights that qlora freezes, scales included  */
    double quantised_rest_bytes; /* per parameter that qlora freezes and leaves as it is: embedding,
                                    head, norms                                                   */
    double master_bytes;         /* per parameter: the copy that the optimizer updates            */
    double narrow_master_bytes;  /* likewise beside moments narrower than fp32                    */
    bool fp32_shards;            /* that copy is what ZeRO 2 and 3 shard, working copies are cast from
                                    it; otherwise it is held beside 16-bit weights                */
    bool flat_state;             /* from ZeRO-1 on the optimizer sees pieces of one vector, not tensors */
    bool root_unit;              /* ZeRO-3 gathers embedding, head and last norm together, for a whole
                                    pass                                                          */
    double grad_bytes;           /* per parameter: accumulated gradient                           */
    double sent_grad_bytes;      /* per parameter: gradient on its way; 0 = as it is accumulated  */
    double twin_grad_bytes;      /* per parameter under ZeRO 0 and 1 in bf16: the 2-byte gradient that
                                    stays beside a wider accumulated one                          */
    double cast_grad_bytes;      /* per parameter that the rank updates: fp32 copy of a 2-byte gradient */
    bool fp8_params;             /* fp8 and mxfp8 weights stand in place of 16-bit ones where the optimizer
                                    is sharded; otherwise beside them                             */
    double fp8_copy_bytes;       /* per parameter of matrices in layers, weights in the format of their
                                    products, scales included: by rows,                           */
    double fp8_transpose_bytes;  /* by columns, where products take fp8 in one layout alone (before
                                    Blackwell)                                                    */
    double mxfp8_copy_bytes;     /* both                                                          */
    double nvfp4_copy_bytes;     /* both                                                          */
    double unit_grad_bytes;      /* per parameter of the unit of ZeRO 2 and 3 at work: its gradient
                                    before it is scattered, with the copy that is reduced          */
    double update_bytes;         /* per parameter that the rank updates, live during the update   */
    double flat_update_bytes;    /* likewise in one tensor, for which activations leave no hole: it
                                    counts at all times                                           */
    double live_params;          /* ZeRO-3 keeps up to so many parameters gathered                */
    double pipeline_unit_bytes;  /* per parameter of a stage: what stays gathered from one micro-batch
                                    to the next under ZeRO-3 with a pipeline                       */
    double logit_bytes;          /* per logit, when most of the loss is live                      */
    double logit_bytes_tp;       /* likewise where tp cuts the vocabulary                         */
    double norm_extra_bytes;     /* per element: kept by a norm beyond its input and output       */
    double gate_extra_bytes;     /* per element of the product: kept by a gated activation beyond its
                                    inputs and output                                              */
    double ops_dropped_ratio;    /* of the outputs of products, under recompute=ops                */
    double step_error_ratio;     /* 80 % of measured steps lie within +- this of the estimate, dense
                                    models on parts whose own kernels were measured               */
    double expert_error_ratio;   /* likewise for models with experts                              */
    double borrowed_error_ratio; /* what a part adds to both, in squares, whose kernels are those of
                                    another                                                       */
    double rank_error_ratio;     /* likewise, once an error common to all plans of a question is taken
                                    out: what tells two plans apart                               */
    double memory_error_ratio;   /* likewise for the memory peak                                  */
    uint64_t own;                /* bit i: the engine's own file states constant i; else any.json */
} sp_engine_profile;

/* The constants by the names that the files have for them: all of the members above that are
 * doubles, in base units (seconds, bytes, ratios, counts). Fits set them. */
typedef struct sp_engine_constant {
    const char *name; /* "gemm_ratio"             */
    const char *unit; /* "ratio", "s", "B", "count" */
    double lo, hi;
} sp_engine_constant;
uint32_t sp_engine_constant_count(void);
sp_engine_constant sp_engine_constant_describe(uint32_t idx);
/* UINT32_MAX when there is none. */
uint32_t sp_engine_constant_find(const char *name);
double sp_engine_constant_get(const sp_engine_profile *profile, uint32_t idx);
/* Values beyond lo .. hi become those. */
void sp_engine_constant_set(sp_engine_profile *profile, uint32_t idx, double value);

typedef struct sp_engine_rule {
    const char *id;              /* "megatron-ep-overlap-needs-ep"                                */
    const struct sp_expr *when;  /* NULL = always                                                 */
    const struct sp_expr *require;
    const char *versions, *source;
    const char *when_text, *require_text;
} sp_engine_rule;

typedef struct sp_engine {
    const char *name;
    const char *versions;        /* printed after the name: ">=0.12"                              */
    sp_engine_profile profile;   /* of the version asked for, or the newest                       */
    uint32_t n_rules;
    const sp_engine_rule *rules;
} sp_engine;

/* Engines that one question can ask at once. */
#define SP_MAX_ENGINES 64

/* Facts of the question that rules may name as constants: heads, kv_heads, layers, hidden, ffn,
 * experts, top_k, seq_len, global_batch, mtp_layers, latent (1 with latent attention), trains_all
 * (0 when a task trains adapters alone), fp8_dispatch (1 where tokens travel to experts in 8 bits),
 * qwz, hpz and qgz (parts of ZeRO++), and two with names as values: optimizer==adafactor,
 * gradients==bf16, a - in a name written as _. */
typedef struct sp_engine_facts {
    const struct sp_model *model;
    uint64_t seq_len, global_batch;
    bool trains_all;
    sp_dispatch dispatch;
    uint32_t zeropp; /* SP_ZEROPP_* parts */
    const char *optimizer; /* --optimizer */
    sp_gradients gradients;
} sp_engine_facts;

/* Loads the engines that `which` names: "any" (every training engine of HOME/configs/engines, by
 * name), "megatron", "megatron@0.12" (the profile and rules of that version), or several by comma.
 * Rules see axes (variables of sp_plan_values) and the facts. *profile is the one to price with:
 * that of the one engine named, or of configs/engines/any.json. */
sp_status sp_engines_load(struct sp_arena *arena, const char *home, const char *which,
                          const sp_engine_facts *facts, const sp_engine **engines,
                          uint32_t *n_engines, const sp_engine_profile **profile, sp_error *err);
