/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The question: which model, on which machine, at which batch, by whose rules, ranked how.
 *
 * sp_problem_build loads what the question names and works out everything that does not depend on a
 * plan. The problem is const from then on; all threads share it.
 *
 *     sp_question q = sp_question_default();
 *     q.home = "/usr/share/shardplan"; q.model = "llama-3.1-70b"; q.cluster = "dgx-h100";
 *     q.gpus = "64"; q.seq_len = 8192; q.global_batch = 128;
 *     sp_problem *problem;
 *     if (sp_problem_build(&q, &problem, &err) == SP_OK) { ...; sp_problem_free(problem); }
 */
#include "shardplan/cluster.h"
#include "shardplan/discover.h"
#include "shardplan/engine.h"
#include "shardplan/estimate.h"
#include "shardplan/model.h"
#include "shardplan/plan.h"

#define SP_MAX_SETS 64
#define SP_MAX_WHERES 32

/* As the user put it; strings are borrowed until sp_problem_build returns. */
typedef struct sp_question {
    const char *home;           /* folder that holds configs/ and hardware/                       */
    const char *model;          /* --model                                                        */
    const sp_model *loaded_model; /* instead of looking `model` up, which then only names it; must
                                     outlive the problem                                          */
    const sp_cluster *loaded_cluster; /* likewise instead of `cluster`                            */
    const char *cluster;        /* --cluster                                                      */
    sp_discover_files from;     /* --from-nvidia-smi, --from-hwloc, --from-sinfo; its cluster is
                                 * the one above, which may then be NULL                          */
    const char *gpus;           /* --gpus: "64", "8..64", "8,16,48"                               */
    const char *engine;         /* --engine: "any", "megatron", "megatron@0.12"                   */
    const char *objectives;     /* --objectives: "tokens_per_s,memory_peak"; NULL = default       */
    const char *space;          /* --space: "default", "all"                                      */
    const char *optimizer;      /* --optimizer: a name of configs/optimizers.json                 */
    sp_gradients gradients;     /* --gradients                                                    */
    uint64_t seq_len;           /* tokens                                                         */
    uint64_t global_batch;      /* sequences                                                      */
    uint64_t doc_len;           /* --doc-len: tokens of the documents packed into a sequence, which
                                 * attend to their own document alone; 0 = one document            */
    sp_task task;               /* --task                                                         */
    sp_kernels kernels;         /* --kernels                                                      */
    uint32_t lora_rank;         /* --lora-rank                                                    */
    double moe_imbalance_ratio; /* --moe-imbalance: load of the busiest experts' rank over the mean;
                                 * 0 = natural routing, as far as ep spreads it                   */
    sp_dispatch dispatch;       /* --dispatch-dtype                                               */
    uint32_t zeropp;            /* --zeropp: SP_ZEROPP_* parts                                    */
    double straggler_ratio;     /* --straggler: time of the slowest rank's work over the usual    */
    double site_factor;         /* --site-factor: by which all times are multiplied, as `calibrate
                                   steps --site` found it; 0 = not known                          */
    double site_error_ratio;    /* 8 of 10 steps lie within +- this of the corrected one; 0 = what
                                   the engine's profile says                                      */
    double tokens;              /* of the whole run, 0 = not stated                               */
    double max_network_ratio;   /* 1 = off                                                        */
    double headroom_ratio;      /* share of usable memory left free                               */
    double reserve_bytes;       /* for other tenants                                              */
    bool use_upto;              /* --use upto: plans may leave whole nodes idle                   */
    double usd_per_gpu_hour;    /* --usd-per-gpu-hour; 0 = the price in the GPU's file            */
    uint32_t n_sets;
    const char *sets[SP_MAX_SETS];     /* --set: "tp=4,8" (values of one axis) each               */
    uint32_t n_wheres;
    const char *wheres[SP_MAX_WHERES]; /* --where: expressions                                    */
} sp_question;

sp_question sp_question_default(void);

/* One objective: how to read it off an estimate. */
typedef struct sp_objective {
    const char *name;    /* "tokens_per_s" */
    const char *unit;
    const char *meaning;
    bool maximise;
} sp_objective;
uint32_t sp_objective_count(void);
const sp_objective *sp_objective_describe(uint32_t objective);

typedef struct sp_problem sp_problem; /* its layout is private to step/ and the rooms above it */

sp_status sp_problem_build(const sp_question *question, sp_problem **problem, sp_error *err);
void sp_problem_free(sp_problem *problem); /* NULL is fine */

const sp_model *sp_problem_model(const sp_problem *problem);
const sp_cluster *sp_problem_cluster(const sp_problem *problem);
/* 32 hexadecimal digits over everything that the answer depends on. */
const char *sp_problem_fingerprint(const sp_problem *problem);
uint32_t sp_problem_n_objectives(const sp_problem *problem);
const sp_objective *sp_problem_objective(const sp_problem *problem, uint32_t idx);
