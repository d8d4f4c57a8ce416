/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* "Will it fit?" of training turned round: the largest micro-batch, global batch, sequence, adapter
 * rank or model whose plan fits, and the fewest GPUs on which some plan does. The test is the one
 * of the search, sp_estimate_memory beside the rules of structure, asked of whole plans; answers are
 * exact (tests compare them with trying every number).
 *
 *     sp_inverse_question q = {.goal = SP_LARGEST_SEQUENCE, .problem = problem, .plan = plan};
 *     sp_inverse answer;
 *     SP_TRY(sp_inverse_largest(&arena, &q, &answer, err));
 *     if (answer.found) printf("%llu tokens\n", (unsigned long long)answer.value);
 */
#include "shardplan/space.h"

struct sp_arena;

typedef enum sp_inverse_goal {
    SP_LARGEST_MICRO_BATCH,  /* sequences                                                         */
    SP_LARGEST_GLOBAL_BATCH, /* sequences, at the plan's micro-batch                              */
    SP_LARGEST_SEQUENCE,     /* tokens, in steps of 2 tp cp, which every engine can deal          */
    SP_LARGEST_LORA_RANK,    /* columns                                                           */
    SP_LARGEST_MODEL,        /* hundreds of millions of parameters, shaped by sp_model_guess      */
    SP_N_INVERSE_GOALS
} sp_inverse_goal;

typedef struct sp_inverse_question {
    sp_inverse_goal goal;
    const sp_problem *problem;
    sp_plan plan;
    bool batch_follows; /* global batch = gpus x micro_batch: every stage of the pipeline is full   */
} sp_inverse_question;

typedef struct sp_inverse {
    bool found;
    bool unbounded; /* not even the largest that is tried is refused                              */
    uint64_t value; /* in the unit of the goal; GPUs                                              */
    uint64_t global_batch;
    const sp_model *model; /* of the problem, or the largest one, in the arena                    */
    sp_plan plan;
} sp_inverse;

/* SP_E_MEMORY, and under SP_LARGEST_MODEL what is wrong with HOME/configs/shapes.json. The plan's
 * pp must be within the model's layers. */
sp_status sp_inverse_largest(struct sp_arena *arena, const sp_inverse_question *question,
                             sp_inverse *answer, sp_error *err);

/* The first number of GPUs of the space on which some of its plans fits, and the first such plan.
 * The space has one micro_batch. Numbers on which not even the model's state fits are passed over. */
sp_status sp_inverse_fewest_gpus(const sp_space *space, bool batch_follows, sp_inverse *answer,
                                 sp_error *err);
