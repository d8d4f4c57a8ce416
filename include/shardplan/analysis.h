/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A model operator by operator: what each costs in every phase of its life, on one accelerator of a
 * deployment, under the roofline.
 *
 * The operators are those of graph/, by which plans are priced too; here each is listed with the
 * bytes that its number formats give it. Times are those of the roofline: FLOPs over the peak of
 * the format, bytes over the memory bandwidth, the larger of both; no launch, no inefficiency.
 * Where the accelerator has measured surfaces, expected_s is what such a kernel is expected to take.
 *
 *     sp_analysis_question question = {.model = model, .gpu = gpu};
 *     sp_analysis_defaults(&question);
 *     question.prompt_tokens = 4096;
 *     const sp_analysis *analysis = NULL;
 *     SP_TRY(sp_analyze(arena, &question, &analysis, err));
 */
#include "shardplan/cluster.h"
#include "shardplan/model.h"

struct sp_arena;
struct sp_surfaces;

typedef enum sp_phase {
    SP_PHASE_FORWARD,     /* training: a forward pass over whole sequences                        */
    SP_PHASE_BACKWARD,    /* training: gradients of inputs and weights                            */
    SP_PHASE_PREFILL,     /* the prompt of every sequence of the batch                            */
    SP_PHASE_DECODE,      /* the first generated token of each: the prompt lies in the cache      */
    SP_PHASE_LAST_DECODE, /* the last generated token of each                                     */
    SP_N_PHASES
} sp_phase;
const char *sp_phase_name(sp_phase phase); /* "forward", ... "last_decode" */

/* Bits of one element, its share of the scales of its block included: 16, 8, 4.5 (NVFP4), 4.25
 * (MXFP4), 4.125 (int4 in groups of 128 with 16-bit scales), 1.58 (BitNet). */
typedef struct sp_widths {
    double activation;
    double attention_weight; /* also of recurrent blocks                                          */
    double ffn_weight;       /* also of experts and their router                                  */
    double kv_cache;         /* also of recurrent states                                          */
    double rope;             /* of the table of sines and cosines                                 */
    double norm;
    double embedding;        /* of token table and head, which quantised files leave in 16 bits   */
} sp_widths;

typedef struct sp_analysis_question {
    const sp_model *model;
    const sp_gpu *gpu;
    const struct sp_surfaces *surfaces; /* of the part, to say what was not measured; NULL: none  */
    const sp_cluster *cluster; /* for the time of collectives; NULL: only their bytes              */
    uint64_t batch;            /* sequences of the deployment, shared out over dp                 */
    uint64_t prompt_tokens;    /* of each; in training the length of a sequence                   */
    uint64_t generated_tokens; /* of each                                                         */
    uint64_t past_tokens;      /* found in the cache before the prompt (prefix, earlier chunks)   */
    uint32_t tp, dp, ep;       /* ep over the tp x dp ranks                                       */
    bool dense_dp;             /* dense feed-forward layers run whole on every tp rank, on its own
                                * share of the tokens                                             */
    bool dispatch;             /* experts' ranks exchange tokens (DeepEP); otherwise every rank has
                                * all tokens and the sum is reduced                               */
    bool mtp;                  /* prediction modules run too                                      */
    bool flash;                /* fused attention: scores never leave the chip                    */
    sp_widths bits;
    bool bits_of_checkpoint;   /* those of the weights are what the model's own files hold        */
    sp_dtype compute;          /* whose peak holds for products                                   */
    uint32_t phases;           /* bits 1 << sp_phase                                              */
} sp_analysis_question;

typedef enum sp_bound { SP_BOUND_COMPUTE, SP_BOUND_MEMORY, SP_BOUND_NETWORK } sp_bound;

/* One operator of one phase, on one accelerator; figures of one layer. Layers whose figures are the
 * same are one row. */
typedef struct sp_operator {
    sp_phase phase;
    const char *name;      /* "qkv_projection"                                                    */
    const char *category;  /* embedding, norm, projection, rotary, cache, attention, recurrence, ffn,
                            * router, experts, residual, head, collective                          */
    uint32_t layers;
    uint32_t held_layers;  /* with weights of their own: fewer where layers share them              */
    double rows, columns, inner, count; /* of a product [rows, inner] x [inner, columns], count times;
                                         * 0 for others                                           */
    double flops;
    double parameters;
    double held_bytes;     /* of all its parameters; weight_bytes are those that a pass reads       */
    double weight_bytes, read_bytes, write_bytes; /* read: activations and cache                  */
    double cache_bytes;    /* of read_bytes, those that lie in the cache                            */
    double network_bytes;  /* sent by this accelerator                                            */
    double intensity;      /* flops / (weight_bytes + read_bytes + write_bytes), 0 without bytes  */
    double compute_s, memory_s, network_s;
    double time_s;         /* max(compute_s, memory_s) + network_s                                */
    double expected_s;     /* of kernels as measured, and the network; 0 = nothing measured         */
    double joules;         /* by sp_energy_joules of sweep.h; 0 = its power is not known            */
    sp_bound bound;
} sp_operator;

typedef struct sp_phase_total {
    bool present;
    uint32_t first, count;  /* rows of the phase                                                   */
    double flops, weight_bytes, read_bytes, write_bytes, network_bytes;
    double compute_s, memory_s, network_s, time_s, expected_s, joules; /* of all layers            */
    double tokens_per_s;    /* of the deployment at the roofline: prompt or generated tokens       */
    uint32_t bottleneck;    /* row with the most time                                              */
} sp_phase_total;

typedef struct sp_analysis {
    uint32_t n_operators;
    const sp_operator *operators; /* phase by phase, in the order in which a token meets them      */
    sp_phase_total phase[SP_N_PHASES];
    double parameters;            /* on one accelerator                                            */
    double weight_bytes;          /* on one accelerator                                            */
    double kv_bytes_per_token;    /* of the model, every layer that grows with the context         */
    double kv_prompt_bytes, kv_generated_bytes, kv_max_bytes; /* on one accelerator, its sequences */
    double state_bytes;           /* of recurrent layers on one accelerator, its sequences         */
    double gqa_ratio;             /* query heads over key and value heads                          */
    double ridge_intensity;       /* FLOP/byte at which both take as long                          */
    double rope_tokens;           /* longest wavelength of the rotary embedding: positions so far
                                   * apart look alike in every pair; 0 = no base known             */
    double memory_needed_bytes;   /* weights, cache at its longest, inputs and outputs of the largest
                                   * operator                                                      */
    bool fits;
    const char *const *notes;     /* sentences: what was assumed, what is out of range             */
    uint32_t n_notes;
} sp_analysis;

/* Changes *bits and *compute by "fp8", a preset of HOME/configs/widths.json, by "w=4.125,kv=8", parts
 * (a, w, attention_weight, ffn_weight, kv, rope, norm) and their bits, or by both: "fp8,kv=16". */
sp_status sp_widths_parse(struct sp_arena *arena, const char *home, const char *text,
                          sp_widths *bits, sp_dtype *compute, sp_error *err);

/* 16-bit formats, batch 1, a prompt of 2,048 and 512 generated tokens, one accelerator, every
 * inference phase; model and gpu stay as they are. */
void sp_analysis_defaults(sp_analysis_question *question);
/* Errors: SP_E_INCONSISTENT where tp, ep or dp do not divide what they cut, with the nearest that
 * does. The analysis lives in the arena. */
sp_status sp_analyze(struct sp_arena *arena, const sp_analysis_question *question,
                     const sp_analysis **analysis, sp_error *err);
