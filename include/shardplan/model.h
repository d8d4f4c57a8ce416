/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A transformer language model as its dimensions, and nothing else: no weights, no code.
 *
 * A model is an embedding table, runs of equal layers, a final norm and a head. A layer kind is an
 * attention block and a feed-forward block; graph/ turns a kind into operators, parameter counts and
 * bytes, so this header holds only what a config.json states.
 *
 * Loading: sp_model_load reads either a Hugging Face config.json (its model_type decides; an unknown
 * one is refused with the nearest known) or a file in our own schema "shardplan/model/1". The model
 * lives in the caller's arena and is const ever after; any number of threads may read it.
 */
#include "shardplan/status.h"

#include <stdbool.h>
#include <stdint.h>

struct sp_arena;

#define SP_MODEL_MAX_KINDS 4

/* Feed-forward of one layer. */
typedef struct sp_ffn {
    uint32_t ffn;        /* width of the dense block; 0 when the layer has experts only           */
    bool gated;          /* SwiGLU/GeGLU: three matrices; otherwise two                           */
    bool bias;           /* bias vectors on the dense matrices                                    */
    uint32_t n_experts;  /* routed experts, 0 = dense layer                                       */
    uint32_t top_k;      /* experts a token is sent to                                            */
    uint32_t expert_ffn; /* width of one routed expert                                            */
    uint32_t expert_groups; /* groups of experts, of which a token reaches top_groups; 0 = no such */
    uint32_t top_groups;    /* limit (DeepSeek-V3, arXiv:2412.19437, section 2.1.2)                */
    uint32_t shared_ffn; /* summed width of the shared experts, 0 = none                          */
    bool shared_gate;    /* a sigmoid gate (hidden x 1) on the shared expert                      */
    bool router_bias;    /* a learned bias vector (n_experts) on the router                       */
    bool expert_bias;    /* bias vectors on the matrices of every routed expert                   */
} sp_ffn;

/* Attention of one layer: multi-head (kv_heads = heads), grouped-query, multi-query, or, with
 * kv_lora > 0, multi-head latent (DeepSeek-V2, arXiv:2405.04434): keys and values of all heads come
 * from one latent vector of kv_lora and one rotary key of rope_dim that the heads share. */
typedef struct sp_attention {
    uint32_t heads;
    uint32_t kv_heads;
    uint32_t head_dim;    /* of queries and keys, rope_dim included; need not be hidden / heads   */
    uint32_t v_dim;       /* of values, 0 = head_dim                                              */
    uint32_t q_lora;      /* latent: width of the compressed query, 0 = projected at once         */
    uint32_t kv_lora;     /* latent: width of the compressed keys and values, 0 = not latent      */
    uint32_t rope_dim;    /* latent: rotary part of head_dim                                      */
    bool sinks;           /* one learned logit a head that takes part in the softmax              */
    bool qkv_bias;        /* bias on the query, key and value projections; latent: on those down  */
    bool out_bias;        /* bias on the output projection                                        */
    bool qk_norm;         /* one norm vector of head_dim each for queries and keys                */
    uint32_t window;      /* sliding window in tokens, 0 = full causal attention                  */
} sp_attention;

typedef struct sp_layer_kind {
    sp_attention attention;
    sp_ffn ffn;
} sp_layer_kind;

/* `count` layers of kind `kind` in a row; runs follow each other from the embedding to the head. */
typedef struct sp_layer_run {
    uint32_t kind;
    uint32_t count;
} sp_layer_run;

typedef struct sp_model {
    const char *name;       /* as in configs/models/, or the folder of a config.json              */
    const char *model_type; /* Hugging Face model_type, such as "llama"                           */
    const char *source;     /* where the figures come from                                        */
    uint32_t hidden;
    uint32_t vocab;
    uint32_t positions;     /* rows of a learned position table, 0 = rotary or none               */
    uint32_t max_context;   /* longest sequence the model was made for, 0 = not stated            */
    bool tied_embeddings;   /* the head is the embedding table                                    */
    bool layer_norm;        /* LayerNorm (weight and bias) instead of RMSNorm (weight)            */
    bool dropout;           /* trained with dropout (its masks are kept for the backward pass)    */
    uint32_t mtp_layers;    /* multi-token prediction: further modules behind the last layer, each
                             * a layer like the last one, a 2 hidden x hidden projection and three
                             * norms; they share embedding and head and train with their own loss */
    uint32_t n_layers;      /* sum of the runs                                                    */
    uint32_t n_kinds;
    sp_layer_kind kinds[SP_MODEL_MAX_KINDS];
    uint32_t n_runs;
    const sp_layer_run *runs;
    const char *const *assumptions; /* sentences: defaults taken, keys not understood            */
    uint32_t n_assumptions;
} sp_model;

/* Exact parameter counts, by the definitions of Hugging Face transformers (tied tables once). */
typedef struct sp_parameters {
    uint64_t total;
    uint64_t embedding;     /* the token table                                                    */
    uint64_t head;          /* the output head, 0 when it is the token table                      */
    uint64_t non_embedding; /* total - embedding - head; learned positions belong here            */
    uint64_t active;        /* used by one token: experts it is not sent to are left out          */
    uint64_t mtp;           /* of the multi-token prediction modules; not part of the others      */
} sp_parameters;

/* path: a config.json, a folder with one, or a file of ours. Errors: SP_E_IO, and everything a
 * strict reader refuses, with file, JSON pointer and line. */
sp_status sp_model_load(struct sp_arena *arena, const char *path, const sp_model **model,
                        sp_error *err);

/* ref: a path, or the name or an alias of a file in HOME/configs/models. An unknown name is refused
 * with the nearest known one. */
sp_status sp_model_find(struct sp_arena *arena, const char *home, const char *ref,
                        const sp_model **model, sp_error *err);

/* A model from figures at hand: `parts` with every member but the runs filled, and the index into
 * parts->kinds of each of its n_layers layers. Copies what parts points to. */
sp_status sp_model_assemble(struct sp_arena *arena, const sp_model *parts,
                            const uint8_t *kind_of_layer, const sp_model **model, sp_error *err);

/* The kind of the layer with index idx (0 = next to the embedding). */
const sp_layer_kind *sp_model_layer(const sp_model *model, uint32_t layer_idx);

/* Cannot fail: sp_model_load has checked that every count fits 64 bits. */
sp_parameters sp_model_parameters(const sp_model *model);
