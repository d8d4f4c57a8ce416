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

/* memory_question.c: the question of the flags; what it points to lies in the arena. */
sp_status sp_memory_read(const sp_settings *settings, sp_arena *arena, const char *home,
                         sp_memory_asked *asked, sp_error *err);
