/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A language model as its dimensions, and nothing else: no weights, no code.
 *
 * A model is an embedding table, runs of equal layers, a final norm and a head. A layer kind mixes
 * tokens by attention, a recurrence, both or neither, and has a dense feed-forward block, experts,
 * both or neither; matrices and vectors that belong to none of these are listed beside them. graph/
 * turns a kind into operators, parameter counts and bytes, so this header holds only what a
 * config.json states. model_fields.def lists the members with their limits and meanings: what
 * reads, prints, compares and hashes models walks that list.
 *
 * Loading: sp_model_load reads either a Hugging Face config.json (its model_type names a file of
 * configs/model_types; an unknown one is refused with the nearest known), or a file in our own
 * schema "shardplan/model/1", or a model described by cost formulas, "shardplan/formula-model/1"
 * (those are of one device and cannot be cut by tp, cp or ep). The model lives in the caller's
 * arena and is const ever after; any number of threads may read it.
 */
#include "shardplan/status.h"

#include <stdbool.h>
#include <stdint.h>

struct sp_arena;
struct sp_text;
struct sp_layer_formula;
struct sp_model_formulas;

#define SP_MODEL_MAX_KINDS       8
#define SP_MODEL_MAX_PROJECTIONS 8

/* Feed-forward of one layer: a dense block where ffn > 0, experts where n_experts > 0. */
typedef struct sp_ffn {
    uint32_t ffn;        /* width of the dense block; 0 when the layer has experts only           */
    bool gated;          /* SwiGLU/GeGLU: three matrices; otherwise two                           */
    bool bias;           /* bias vectors on the dense matrices                                    */
    uint32_t norms;      /* norms over hidden that belong to the block, before or behind it       */
    uint32_t n_experts;  /* routed experts, 0 = none                                              */
    uint32_t top_k;      /* experts a token is sent to                                            */
    uint32_t expert_ffn; /* width of one routed expert                                            */
    uint32_t
        expert_groups;     /* groups of experts, of which a token reaches top_groups; 0 = no such */
    uint32_t top_groups;   /* limit (DeepSeek-V3, arXiv:2412.19437, section 2.1.2)                */
    uint32_t router_in;    /* rows of the router's matrix, 0 = hidden                             */
    uint32_t idle_experts; /* choices of the router that compute nothing                         */
    uint32_t latent;       /* width in which routed experts read and write, 0 = hidden: a projection
                            * down before dispatch and one up after combining                       */
    uint32_t shared_ffn; /* summed width of the shared experts, 0 = none                          */
    bool shared_gate;    /* a sigmoid gate (hidden x 1) on the shared expert                      */
    bool router_bias;    /* a learned bias vector (n_experts) on the router                       */
    bool expert_bias;    /* bias vectors on the matrices of every routed expert                   */
} sp_ffn;

/* Attention of one layer, present where heads > 0: multi-head (kv_heads = heads), grouped-query,
 * multi-query, or, with kv_lora > 0, multi-head latent (DeepSeek-V2, arXiv:2405.04434): keys and
 * values of all heads come from one latent vector of kv_lora and one rotary key of rope_dim that
 * the heads share. */
typedef struct sp_attention {
    uint32_t heads;
    uint32_t kv_heads;
    uint32_t head_dim;   /* of queries and keys, rope_dim included; need not be hidden / heads   */
    uint32_t v_dim;      /* of values, 0 = head_dim                                              */
    uint32_t q_lora;     /* latent: width of the compressed query, 0 = projected at once         */
    uint32_t kv_lora;    /* latent: width of the compressed keys and values, 0 = not latent      */
    uint32_t rope_dim;   /* latent: rotary part of head_dim                                      */
    uint32_t norms;      /* norms over hidden that belong to the block, before or behind it      */
    uint32_t qk_norm;    /* weights of the norms of queries and keys together, 0 = no such norm  */
    uint32_t gate;       /* columns a head of a gate on the core's output: 0, 1 or v_dim         */
    bool sinks;          /* one learned logit a head that takes part in the softmax              */
    bool qkv_bias;       /* bias on the query, key and value projections; latent: on those down  */
    bool out_bias;       /* bias on the output projection                                        */
    bool factored;       /* queries and the output have no matrix of their own: those of the layer's
                          * projections stand for them                                           */
    bool keys_as_values; /* no value projection: values are made of the projected keys           */
    bool kv_cached_once; /* these are one tensor, in the cache and in the core; otherwise only keys
                          * are rotated, or normed in their own way, and both are kept           */
    bool kv_of_other;    /* keys and values are those of an earlier layer: none are made or kept */
    bool no_rope;        /* queries and keys are not rotated                                     */
    uint32_t window;     /* sliding window in tokens, 0 = full causal attention                  */
    uint32_t chunk;      /* attends inside blocks of so many tokens, 0 = no blocks               */
    uint32_t compress;   /* one key stands for so many tokens outside the window, 0 = each has
                          * its own (DeepSeek-V4)                                                */
    uint32_t index_heads; /* an indexer of so many heads of index_dim chooses index_top_k keys for
                           * each query (DeepSeek-V3.2, arXiv:2512.02556), 0 = all are met        */
    uint32_t index_dim;
    uint32_t index_top_k; /* with index_heads = 0: chosen by an earlier layer                     */
    uint32_t index_block; /* the indexer scores blocks of so many tokens, 0 = each token          */
} sp_attention;

/* How a recurrent block carries its state from token to token. */
typedef enum sp_recurrence {
    SP_RECURRENCE_NONE,
    SP_RECURRENCE_MAMBA,  /* selective state space, a state of key_dim for each inner channel
                           * (Gu and Dao, arXiv:2312.00752)                                       */
    SP_RECURRENCE_MAMBA2, /* state-space duality, a state of key_dim x value_dim a head
                           * (Dao and Gu, arXiv:2405.21060)                                       */
    SP_RECURRENCE_DELTA,  /* gated delta rule (Yang et al., arXiv:2412.06464) and its kin         */
    SP_RECURRENCE_LINEAR, /* linear attention with a fixed decay (arXiv:2401.04658)               */
    SP_RECURRENCE_GATED,  /* one gated number a channel (RG-LRU, arXiv:2402.19427)                */
    SP_RECURRENCE_CONV    /* a short convolution and nothing else                                 */
} sp_recurrence;

/* Recurrent block of one layer, present where form is not NONE. in_width columns of one projection
 * of hidden (queries, keys, values, gates and steps together), a causal convolution of conv_kernel
 * taps over conv_width channels, the recurrence over `heads`, and heads x value_dim rows back to
 * hidden. Further matrices of a form (low-rank steps, gates) are projections of the layer. */
typedef struct sp_recurrent {
    uint32_t form; /* sp_recurrence                                                               */
    uint32_t heads;
    uint32_t key_dim;   /* of the state, for each head (mamba: for each channel)                  */
    uint32_t value_dim; /* channels a head                                                        */
    uint32_t in_width;
    uint32_t conv_width;
    uint32_t conv_kernel;
    uint32_t vectors; /* learned numbers beside matrices and taps, cut like the heads           */
    uint32_t norms;   /* norms over hidden that belong to the block                             */
    bool conv_bias;
    bool in_bias, out_bias;
} sp_recurrent;

/* A matrix that each token meets and that no member above names. */
typedef struct sp_projection {
    const char *name; /* for people: "index_gate"                                                 */
    uint32_t in, out;
    uint32_t blocks; /* so many matrices of [in, out] side by side (block diagonal), usually 1   */
    bool cut;        /* by tp; otherwise whole on every rank                                     */
    bool ffn;        /* belongs to the feed-forward block, otherwise to the mixing one           */
    bool tied;       /* shared by the layers of one `tied` number, otherwise the layer's own      */
} sp_projection;

typedef struct sp_layer_kind {
    sp_attention attention;
    sp_recurrent recurrent;
    sp_ffn ffn;
    uint32_t vectors; /* further learned numbers, whole on every rank: scales, gates, norms of odd
                       * width                                                                    */
    uint32_t tied;    /* layers with the same number > 0 share attention, feed-forward and tied
                       * projections                                                             */
    uint32_t n_projections;
    sp_projection projections[SP_MODEL_MAX_PROJECTIONS];
    const struct sp_layer_formula *formula; /* what the layer costs, where formulas say it: there is
                                             * nothing of the above then; otherwise NULL          */
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
    uint32_t positions;   /* rows of a learned position table, 0 = rotary or none               */
    uint32_t max_context; /* longest sequence the model was made for, 0 = not stated            */
    double rope_theta;    /* base of the rotary frequencies theta^(-2i/d), 0 = none or not stated */
    double rope_factor;   /* by which the longest wavelength is stretched, 0 = 1: the factor of
                           * linear, yarn and llama3 scaling, all of which divide the lowest
                           * frequency by it; of dynamic scaling, factor L / L0 - (factor - 1) at
                           * the length L asked for and the length L0 of training               */
    bool tied_embeddings; /* the head is the embedding table                                    */
    bool head_bias;       /* a bias of vocab on the head                                        */
    uint32_t norm_vectors;  /* of one norm over hidden: 1 RMSNorm's weight, 2 LayerNorm's weight and
                             * bias, 0 a norm that learns nothing                                 */
    uint32_t outer_norms;   /* norms over hidden outside layers: the final one, one on embeddings */
    bool table_norm;        /* one of these belongs to the module of the token table and counts as
                             * embedding                                                          */
    uint32_t streams;       /* hidden-wide streams between layers: 1, more under hyper-connections
                             * and alternating updates                                            */
    uint32_t vectors;       /* further learned numbers outside layers                             */
    uint64_t table_params;  /* of further tables in which tokens are looked up                    */
    uint64_t tower_params;  /* of encoders of images or sound, which no text token meets          */
    uint32_t n_projections; /* outside layers, met by each token                                  */
    sp_projection projections[SP_MODEL_MAX_PROJECTIONS];
    bool dropout;        /* trained with dropout (its masks are kept for the backward pass)    */
    uint32_t mtp_layers; /* multi-token prediction: further modules behind the last layer, each
                          * a layer like the last one, a 2 hidden x hidden projection and three
                          * norms; they share embedding and head and train with their own loss */
    uint32_t n_layers;   /* sum of the runs                                                    */
    uint32_t n_kinds;
    sp_layer_kind kinds[SP_MODEL_MAX_KINDS];
    const struct sp_model_formulas *formulas; /* embedding and head of a model described by cost
                                               * formulas, otherwise NULL                         */
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
    uint64_t non_embedding; /* total - embedding - head; learned positions and towers belong here */
    uint64_t active;        /* used by one token: experts it is not sent to are left out          */
    uint64_t mtp;           /* of the multi-token prediction modules; not part of the others      */
} sp_parameters;

/* path: a config.json, a folder with one, or a file of ours; HOME/configs/model_types says how the
 * first is read. Errors: SP_E_IO, and everything a
 * strict reader refuses, with file, JSON pointer and line. */
sp_status sp_model_load(struct sp_arena *arena, const char *home, const char *path,
                        const sp_model **model, sp_error *err);

/* ref: a path, or the name or an alias of a file in HOME/configs/models. An unknown name is refused
 * with the nearest known one. */
sp_status sp_model_find(struct sp_arena *arena, const char *home, const char *ref,
                        const sp_model **model, sp_error *err);
/* Do both mean the same dimensions? By the last part of their paths, without case, '-', '_', '.',
 * and suffixes such as -Instruct and the format of weights. */
bool sp_model_same_name(const char *a, const char *b);

/* A model from figures at hand: `parts` with every member but the runs filled, and the index into
 * parts->kinds of each of its n_layers layers. Copies what parts points to. */
sp_status sp_model_assemble(struct sp_arena *arena, const sp_model *parts,
                            const uint8_t *kind_of_layer, const sp_model **model, sp_error *err);

/* The kind of the layer with index idx (0 = next to the embedding). */
const sp_layer_kind *sp_model_layer(const sp_model *model, uint32_t layer_idx);
/* Size of a value: v_dim, or head_dim where that is 0. */
uint32_t sp_v_dim(const sp_attention *attention);
/* Layers of the kind with index kind_idx, over all runs. */
uint32_t sp_model_layers_of_kind(const sp_model *model, uint32_t kind_idx);

/* Cannot fail: sp_model_load has checked that every count fits 64 bits. */
sp_parameters sp_model_parameters(const sp_model *model);

/* Adds everything that shapes depend on as numbers, line by line: equal texts are equal models but
 * for their names. */
void sp_model_write_numbers(const sp_model *model, struct sp_text *out);
