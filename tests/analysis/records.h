/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Records of the two analysis systems that ours is compared with, which lie outside the source
 * tree: seed-llmpara (LLM-para) and seed-llmsim (LLMSim), one JSON object a line. Tests are skipped
 * where SHARDPLAN_DATA does not name the folder. */
#include "base/base.h"
#include "shardplan/analysis.h"

/* Calls `check` with each record of FOLDER/dev.jsonl that has the kind; returns how many. */
size_t for_each_record(const char *folder, const char *kind,
                       void (*check)(const sp_json *record, void *context), void *context);
/* The record with the id, which must be there; the caller frees *doc. */
sp_json find_record(const char *folder, const char *id, sp_json_doc **doc);

/* Members of a record, which must be there; 0 and false where they are null or missing. */
double number_in(const sp_json *object, const char *key);
uint32_t count_in(const sp_json *object, const char *key);
bool flag_in(const sp_json *object, const char *key);
const char *word_in(const sp_json *object, const char *key);

/* An accelerator with round figures: 100 TFLOP/s of every format, 1 TB/s, 80 GB. */
extern const sp_gpu round_gpu;
/* A question of one accelerator with the defaults of the command, on round_gpu. */
sp_analysis_question plain_question(const sp_model *model);
/* Analyses, or fails the test with the error's words. */
const sp_analysis *analyze(sp_arena *arena, const sp_analysis_question *question);

/* The row of the phase with the name; NULL when there is none. With several (layers that differ),
 * the first. */
const sp_operator *row_of(const sp_analysis *analysis, sp_phase phase, const char *name);
/* The same, which must be there. */
const sp_operator *need_row(const sp_analysis *analysis, sp_phase phase, const char *name);
