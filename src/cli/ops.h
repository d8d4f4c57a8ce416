/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Tables of measured kernel calls on the command line: a part of `calibrate` and of `validate`. */
#include "cli/cli.h"

#define SP_OPS_MAX_WORDS 256 /* the kind, and files */

/* `calibrate ops FILE.. --gpu NAME` */
sp_exit sp_cli_calibrate_ops(const sp_context *context);
/* `validate ops FILE..` */
sp_exit sp_cli_score_ops(const sp_context *context, bool points);
/* `calibrate steps --log FORMAT FILE..`: the runs of logs as a table. */
sp_exit sp_cli_write_runs(const sp_context *context, const char *format);
