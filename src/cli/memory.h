/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the files of `shardplan memory` share. */
#include "cli/cli.h"
#include "shardplan/inverse.h"
#include "shardplan/memory.h"

typedef struct sp_memory_asked {
    sp_footprint_question question;
    sp_footprint_find find;
    uint32_t domain;
} sp_memory_asked;

/* The model of the words or of --model; under `quick` a guessed one. */
sp_status sp_memory_model(const sp_settings *settings, sp_arena *arena, const char *home,
                          const sp_model **model, sp_error *err);
sp_status sp_memory_read_find(const sp_settings *settings, sp_footprint_find *find, sp_error *err);

/* A question about the memory of training, and the plan it is about. */
typedef struct sp_training {
    sp_question question;
    char gpus_text[24];
    uint32_t gpus, tp, pp, ep, batch; /* batch: the micro-batch */
    bool batch_follows;               /* the global batch: gpus x batch */
    sp_plan plan;
    sp_problem *problem;
    sp_space *space;
} sp_training;

typedef enum sp_training_find {
    SP_FIND_NO_SIZE,
    SP_FIND_MICRO_BATCH,
    SP_FIND_GLOBAL_BATCH,
    SP_FIND_SEQUENCE,
    SP_FIND_LORA_RANK,
    SP_FIND_MODEL,
    SP_FIND_GPUS
} sp_training_find;

/* memory_inverse.c */
sp_status sp_training_read_find(const sp_settings *settings, sp_training_find *find, sp_error *err);
/* Frees and builds problem and space of the question; the plan is left alone. */
sp_status sp_training_build(sp_training *training, sp_error *err);
void sp_training_free(sp_training *training);
/* Changes the question and its plan into the answer; *found says in words what it is. */
sp_status sp_training_search(const sp_context *context, sp_arena *arena, sp_training_find find,
                             sp_training *training, const char **found, sp_error *err);

/* memory_training.c */
/* --task says so, or else --engine names an engine that trains. */
bool sp_memory_is_training(const sp_settings *settings, sp_arena *arena, const char *home);
sp_exit sp_memory_train(const sp_context *context, sp_arena *arena);

/* memory_question.c: the question of the flags; what it points to lies in the arena. */
sp_status sp_memory_read(const sp_settings *settings, sp_arena *arena, const char *home,
                         sp_memory_asked *asked, sp_error *err);
