/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* LLMSim's records as questions of ours. */
#include "analysis/records.h"

/* Reads the configuration that a record names, from hf-configs beside the records. */
sp_status llmsim_model(sp_arena *arena, const sp_json *record, const sp_model **model,
                       sp_error *err);
/* The question of a record: one prompt a tensor-parallel group in prefill, batch_size sequences in
 * decode, scores written to memory as its rows have them, and 8 bits of everything, so that bytes
 * are elements. Tokens are exchanged wherever experts lie outside the group. */
sp_analysis_question llmsim_question(const sp_model *model, const sp_json *record);
/* The phase that a record is about. */
sp_phase llmsim_phase(const sp_json *record);
/* The record's operator, which must be there. */
sp_json llmsim_op(const sp_json *record, const char *name);
