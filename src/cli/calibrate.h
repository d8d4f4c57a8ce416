/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The parts of `shardplan calibrate`. */
#include "cli/cli.h"

/* `calibrate steps FILE [--site]`: constants of a running step, or the factor of one site. */
sp_exit sp_calibrate_steps(const sp_context *context);
/* `calibrate serving FILE`: constants of serving engines. */
sp_exit sp_calibrate_serving(const sp_context *context);
