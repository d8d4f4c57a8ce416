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

/* `memory quick SIZE`. */
bool sp_memory_is_quick(const sp_settings *settings);
/* The model of the words or of --model; under `quick` a guessed one; where the largest is asked for
 * there need be none. */
sp_status sp_memory_model(const sp_settings *settings, sp_arena *arena, const char *home,
                          bool largest, const sp_model **model, sp_error *err);
/* Refuses the first of the flags that is given, and says why. */
sp_status sp_memory_refuse_flags(const sp_settings *settings, const sp_flag_id *flags, size_t n,
                                 const char *why, sp_error *err);
sp_status sp_memory_read_find(const sp_settings *settings, sp_footprint_find *find, sp_error *err);

/* A question about the memory of training, and the plan it is about. */
typedef struct sp_training {
    sp_question question;
    char gpus_text[24];
    uint32_t gpus, tp, pp, ep, batch; /* batch: the micro-batch */
    uint32_t dp;                      /* that --dp asks for; 0 = what the others leave */
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
/* The name of the accelerator, which must be given where no cluster is. */
sp_status sp_memory_name_hardware(const sp_settings *settings, const char **name, sp_error *err);
sp_exit sp_memory_train(const sp_context *context, sp_arena *arena);

/* memory_nodes.c */
/* GPUs of --hardware on --nodes as a topology. */
sp_status sp_memory_nodes(const sp_settings *settings, sp_arena *arena, const char *home,
                          uint32_t gpus, const char **cluster, sp_error *err);
/* Refuses --nodes and --interconnect beside a --cluster. */
sp_status sp_memory_no_nodes(const sp_settings *settings, sp_error *err);
/* What the plan sends; the fastest plan of its question, all settings free that the question leaves
 * so. */
sp_status sp_memory_advise(const sp_question *question, const sp_problem *problem,
                           const sp_plan *plan, sp_advice *advice, sp_error *err);

/* memory_words.c */
/* Each --option becomes the flag that says the same. */
sp_status sp_memory_translate(sp_settings *settings, sp_error *err);

/* memory_batch.c */
/* --global-batch, or --accumulation micro-batches on each of the gpus / (ranks cp) replicas;
 * without either one sequence times the micro-batch for each GPU, so that every stage has enough to
 * be full.
 */
sp_status sp_memory_read_batch(const sp_settings *settings, uint32_t gpus, uint32_t ranks,
                               uint32_t micro_batch, sp_question *question, sp_error *err);

/* memory_sets.c */
/* Takes --set into the question. */
sp_status sp_memory_read_sets(const sp_settings *settings, sp_question *question, sp_error *err);
/* What --set says of an axis, NULL: nothing. */
const char *sp_memory_set_of(const sp_question *question, const char *axis);
sp_status sp_memory_add_set(sp_arena *arena, const char *axis, const char *value,
                            sp_question *question, sp_error *err);
/* Sizes of one plan: --set tp=4 is --tp 4; both together are refused. */
sp_status sp_memory_sets_to_flags(sp_settings *settings, const sp_question *question,
                                  sp_error *err);

/* memory_levels.c */
/* --checkpointing becomes a setting of recompute. */
sp_status sp_memory_read_level(const sp_settings *settings, sp_arena *arena, sp_question *question,
                               sp_error *err);

/* memory_settle.c */
sp_status sp_memory_refuse_plan(const sp_rule_info *rule, const sp_plan *plan,
                                uint64_t global_batch, sp_error *err);
/* Changes a setting, within its axis, where the engine refuses the plan as it is; refuses a plan
 * that nothing helps. */
sp_status sp_memory_settle(const sp_space *space, uint64_t global_batch, sp_plan *plan,
                           sp_error *err);

/* memory_engine.c */
sp_status sp_memory_read_engine(const sp_settings *settings, sp_arena *arena, const char *home,
                                sp_footprint_question *question, sp_error *err);

/* memory_question.c: the question of the flags; what it points to lies in the arena. */
sp_status sp_memory_refuse_serving(const sp_settings *settings, sp_error *err);
sp_status sp_memory_read(const sp_settings *settings, sp_arena *arena, const char *home,
                         sp_memory_asked *asked, sp_error *err);
