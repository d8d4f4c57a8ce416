/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What is wanted of `shardplan recommend`, and the number that answers it. The plan behind the
 * number is then shown as serve or train show theirs. */
#include "cli/cli.h"

typedef enum sp_goal { SP_GOAL_MIN_GPUS, SP_GOAL_MIN_USD, SP_GOAL_MAX_RATE, SP_N_GOALS } sp_goal;

/* Sets --gpus or --rate to what was found, and says it in out->sentence (of the settings' arena).
 * SP_E_INFEASIBLE where nothing serves. */
sp_status sp_recommend_serving(const sp_context *context, sp_goal goal, sp_recommendation *out,
                               sp_error *err);
sp_status sp_recommend_training(const sp_context *context, sp_goal goal, sp_recommendation *out,
                                sp_error *err);

/* ---- cmd_recommend.c: what both set in the question that is shown ---- */
sp_status sp_recommend_put(const sp_context *context, sp_flag_id flag, const char *text,
                           sp_error *err);
sp_status sp_recommend_put_gpus(const sp_context *context, uint32_t gpus, sp_error *err);
/* A sentence of NULL is lack of memory. */
sp_status sp_recommend_say(sp_recommendation *out, const char *sentence, sp_error *err);
