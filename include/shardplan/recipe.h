/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Published training runs as anchors: who trained what on which machine by which plan, and how fast.
 *
 * configs/recipes/NAME.json ("shardplan/recipe/1") is one run, transcribed as it was published, with
 * its source and a sentence for each thing that the source does not say and we assumed. A recipe is
 * a question with its plan and its answer: it never enters an estimate, it only stands beside one
 * (evidence.h).
 *
 *     const sp_recipes *recipes;
 *     SP_TRY(sp_recipes_load(&arena, home, &recipes, err));
 *     for (uint32_t i = 0; i < recipes->n; i++) puts(recipes->list[i].name);
 *
 * Everything lives in the caller's arena and is const ever after.
 */
#include "shardplan/plan.h"
#include "shardplan/status.h"

#include <stdint.h>

struct sp_arena;

/* What was published, in the unit of its key in the file. */
typedef enum sp_measure {
    SP_MEASURE_STEP,       /* "step_s": seconds of one optimizer step                             */
    SP_MEASURE_TOKENS,     /* "tokens_per_s_per_gpu"                                              */
    SP_MEASURE_GPU_HOURS,  /* "gpu_hours" for so many "tokens", restarts left out                 */
    SP_MEASURE_TFLOPS,     /* "tflops_per_gpu" by a FLOP convention                               */
    SP_MEASURE_MFU,        /* "mfu" by a FLOP convention, over the dense bf16 peak                */
    SP_N_MEASURES
} sp_measure;

/* Which FLOPs a published rate counts. */
#define SP_ENUM_FLOPS(X)                                                                           \
    X(SP_FLOPS_CAUSAL, "causal")           /* forward and backward, half of the score matrix      */ \
    X(SP_FLOPS_FULL, "full_attention")     /* the same with the whole score matrix                */ \
    X(SP_FLOPS_HARDWARE, "full_recompute") /* the whole matrix, and every layer's forward twice   */ \
    X(SP_FLOPS_6ND, "6nd")                 /* 6 x active parameters x tokens                      */
#define SP_ENUMERATOR(id, name) id,
typedef enum sp_flops_convention { SP_ENUM_FLOPS(SP_ENUMERATOR) SP_N_FLOPS } sp_flops_convention;
#undef SP_ENUMERATOR

typedef struct sp_measured {
    sp_measure measure;
    double value;
    double tokens;             /* with gpu_hours                                                  */
    sp_flops_convention flops; /* with tflops_per_gpu and mfu                                     */
} sp_measured;

typedef struct sp_training_recipe {
    const char *name, *about;
    const char *model, *cluster; /* names, as --model and --cluster take them                     */
    const char *engine;          /* "megatron", "torchtitan@0.3"                                  */
    sp_task task;
    uint32_t lora_rank;          /* 0 unless the task trains adapters                             */
    double moe_imbalance_ratio;  /* as in sp_question: 0 = natural routing                        */
    uint32_t gpus;
    const char *gpus_text;     /* the same as --gpus takes it                                     */
    const char *precision_set; /* "precision=fp8", as --set takes it: formats are named           */
    uint64_t seq_len, global_batch; /* tokens, sequences                                          */
    sp_plan plan;
    sp_measured measured;
    const char *citation, *url, *date;
    uint32_t n_notes;
    const char *const *notes;  /* what the source leaves out, and what was assumed                */
    const char *refused_by;    /* the rule of ours that refuses this plan though it ran, or NULL  */
    const char *refused_why;   /* and a sentence with the figures                                 */
} sp_training_recipe;

typedef struct sp_recipes {
    uint32_t n;
    const sp_training_recipe *list; /* by name */
} sp_recipes;

/* Reads every file of HOME/configs/recipes; a home without that folder has none. Errors: all that a
 * strict reader refuses, with file, JSON pointer and line; the plan's with its column. */
sp_status sp_recipes_load(struct sp_arena *arena, const char *home, const sp_recipes **recipes,
                          sp_error *err);

/* "step_s", "tokens_per_s_per_gpu", ... */
const char *sp_measure_name(sp_measure measure);
const char *sp_flops_name(sp_flops_convention flops);
