/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Questions that `shardplan analyze` answers from the operators of a model instead of listing them:
 * --sweep, --sensitivity, --tiers, --chips and --draft. */
#include "cli/analyze.h"

/* Whether one of those flags is given. */
bool sp_cli_sweep_asked(const sp_context *context);
/* Answers it. Flags that exclude each other are refused. */
sp_exit sp_cli_sweep(const sp_context *context, sp_arena *arena,
                     const sp_analysis_question *question, const sp_analysis *analysis);
