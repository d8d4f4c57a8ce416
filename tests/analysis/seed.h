/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Replaying the records of GPU Memory Calculator figure by figure: ours must equal the value that a
 * source gives; theirs equals it too, or belongs to a named error. */
#include "analysis/records.h"
#include "shardplan/traffic.h"
#include "step/step.h"

/* Its errors, numbered as they were found (test_memory_defects.c has 1 to 17); those that the
 * replay added follow. */
typedef enum seed_error {
    SEED_RIGHT,
    SEED_OWN_SHARD,       /* 1: ZeRO-3 without its own shard of the parameters                  */
    SEED_OPTIMIZER_RULES, /* 2: 12 or 16 bytes of Adam by stage                                 */
    SEED_FIXED_SHARDS,    /* 3: ZeRO and FSDP ignore optimizer, format, tp and pp               */
    SEED_OFFLOAD,         /* 4: nvme, parameters alone, gradients of what the host updates      */
    SEED_STAGES,          /* 5: pipeline stages, their ends and micro-batches                   */
    SEED_ACTIVATIONS,     /* 6: 16 bytes, and the ladder of levels                              */
    SEED_EXPERTS,         /* 7: experts shrink activations; no logits                           */
    SEED_LARGEST_LAYER,   /* 8: 4 h^2                                                           */
    SEED_OVERHEAD,        /* 9: a fifth of everything                                           */
    SEED_OPTIMIZERS,      /* 10: 8-bit Adam, SGD                                                */
    SEED_RECOMMENDED,     /* 11: the batch scales the whole total                               */
    SEED_CACHE,           /* 12: heads of queries, no tp, no scales                             */
    SEED_SERVING,         /* 13: weights in 16 bits, activations of all layers, 50 ms           */
    SEED_POOLS,           /* 14: SGLang's chunk, vLLM's spare blocks                            */
    SEED_VOLUMES,         /* 15: all collectives for every engine, less with more nodes         */
    SEED_NO_NODES,        /* 16: plain data parallelism loses its nodes                         */
    SEED_NO_SEARCH,       /* 17: pure data parallelism whatever the model                       */
    SEED_GRADIENTS,       /* 18: gradients that Megatron and autocast hold in fp32 have 2 bytes */
    SEED_FLAT_GRADIENTS,  /* 19: DeepSpeed's fp32 copy of gradients during the update           */
    SEED_ENGINE_OVERHEAD, /* 20: literals for context, workspaces and graphs of serving         */
    SEED_PRECISION,       /* 21: training in int8 and int4 as if all bytes shrank               */
    SEED_FP32_WEIGHTS,    /* 22: FSDP shards fp32 weights under mixed precision                  */
    SEED_N_ERRORS
} seed_error;

typedef struct seed_tally {
    uint32_t records, figures, equal, refused;
    uint32_t by_error[SEED_N_ERRORS];
} seed_tally;

/* Fails unless ours is right to 0.1 %, and theirs right too or `error` says why not. */
void seed_judge(seed_tally *tally, const char *id, const char *figure, double theirs, double ours,
                double right, seed_error error);
/* A figure without a value that both have (a verdict, a list): theirs is right or of the error. */
void seed_count(seed_tally *tally, bool equal, seed_error error, const char *id,
                const char *figure);
void seed_refuse(seed_tally *tally, uint32_t figures);
/* "65 records, 660 figures: 300 equal, 12 refused; of error 1: 10, ..." */
void seed_print(const char *what, const seed_tally *tally);

/* A training record as a plan of ours, whatever its engine's rules say. */
typedef struct seed_plan {
    const char *id;
    sp_problem *problem; /* NULL: refused */
    sp_plan plan;
    sp_estimate estimate;
    double scale; /* its parameters over ours: state is linear in them */
    uint32_t level, batch, n_gpus;
    uint64_t seq_len;
    char engine[24], optimizer[16]; /* its own names */
    uint32_t zero;                  /* stage that its engine and strategy come to */
    bool offloads_optimizer, offloads_params, to_nvme, moe;
    sp_error err;
} seed_plan;

/* Our name of the engine of a serving record. */
const char *seed_server(const sp_json *input);
/* `config` has model, training, parallelism, engine and hardware. */
void seed_plan_build(seed_plan *p, const sp_json *config, const char *id);
/* A constant of the first profile of our engine of that name: 1 for true, 0 where it has none. */
double seed_engine_constant(const char *theirs, const char *key);
void seed_plan_free(seed_plan *p);
double number_of(const sp_json *object, const char *key); /* also "7B" */
