/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the files of `shardplan memory` share. */
#include "cli/cli.h"
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

/* memory_training.c */
/* --task says so, or else --engine names an engine that trains. */
bool sp_memory_is_training(const sp_settings *settings, sp_arena *arena, const char *home);
sp_exit sp_memory_train(const sp_context *context, sp_arena *arena, sp_footprint_find find);

/* memory_question.c: the question of the flags; what it points to lies in the arena. */
sp_status sp_memory_read(const sp_settings *settings, sp_arena *arena, const char *home,
                         sp_memory_asked *asked, sp_error *err);
