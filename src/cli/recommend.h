/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What is wanted of `shardplan recommend`, and the number that answers it. The plan behind the number
 * is then shown as serve or train show theirs. */
#include "cli/cli.h"

typedef enum sp_goal { SP_GOAL_MIN_GPUS, SP_GOAL_MIN_USD, SP_GOAL_MAX_RATE, SP_N_GOALS } sp_goal;

/* Sets --gpus or --rate to what was found, and says it in out->sentence (of the settings' arena).
 * SP_E_INFEASIBLE where nothing serves. */
sp_status sp_recommend_serving(const sp_context *context, sp_goal goal, sp_recommendation *out,
                               sp_error *err);
sp_status sp_recommend_training(const sp_context *context, sp_goal goal, sp_recommendation *out,
                                sp_error *err);
