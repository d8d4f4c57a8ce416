/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the files of `shardplan analyze` share. */
#include "cli/cli.h"
#include "shardplan/analysis.h"

/* The question of the flags, in the arena. */
sp_status sp_analyze_read(const sp_settings *settings, sp_arena *arena, const char *home,
                          sp_analysis_question *question, sp_error *err);
