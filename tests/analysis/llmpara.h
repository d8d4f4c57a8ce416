/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* LLM-para's records as questions of ours. */
#include "analysis/records.h"

/* The model of a record's config: heads as wide as LLM-para takes them, floor(h / n). */
const sp_model *llmpara_model(sp_arena *arena, const sp_json *config);
/* The question of a record, its attention written out as its rows are. */
sp_analysis_question llmpara_question(sp_arena *arena, const sp_json *record);
/* The record's row of the phase and operation, which must be there. */
sp_json llmpara_row(const sp_json *record, const char *phase, const char *operation);
