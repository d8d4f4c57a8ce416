/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the files of `shardplan analyze` share. */
#include "cli/cli.h"
#include "shardplan/roofline.h"

typedef enum sp_graph_form { SP_GRAPH_NONE, SP_GRAPH_JSON, SP_GRAPH_DOT } sp_graph_form;

/* One question for each accelerator, and its answer. */
typedef struct sp_analyzed {
    uint32_t n;
    sp_analysis_question questions[SP_ROOFLINE_MAX_HARDWARE];
    const sp_analysis *analyses[SP_ROOFLINE_MAX_HARDWARE];
    sp_graph_form graph;
} sp_analyzed;

/* analyze_question.c: the questions of the flags; what they point to lies in the arena. */
sp_status sp_analyze_read(const sp_settings *settings, sp_arena *arena, const char *home,
                          sp_analyzed *done, sp_error *err);
/* analyze_draw.c: the picture of --roofline, if one is asked for. */
sp_status sp_analyze_draw(const sp_context *context, sp_arena *arena, const sp_analyzed *done,
                          sp_error *err);
/* analyze_flags.c: refuses flags that would change nothing or hide each other, and forms that the
 * answer does not have. */
sp_status sp_analyze_check_flags(const sp_context *context, const sp_analyzed *done, sp_error *err);
/* The answer goes to a file that ends in .xlsx. */
bool sp_analyze_wants_workbook(const sp_context *context);
