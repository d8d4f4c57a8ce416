/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What a serving engine supports together, and how it names what a plan chooses.
 *
 * The lists "rules" and "flags" of configs/engines/serving/NAME.json. Rules are those of training
 * engines: {id, when, require, versions, source}. A flag is {when, text}: text with expressions in
 * braces, written where `when` holds:
 *
 *     {"when": "ep > 1", "text": "--enable-expert-parallel"}
 *     {"text": "--tensor-parallel-size {tp}"}
 *
 * Both see one worker of the plan: in disaggregated plans they are asked once for each role. */
#include "shardplan/cluster.h"
#include "shardplan/engine.h"
#include "shardplan/model.h"

struct sp_text;

/* The variables of rules and flags; names of formats are positions in the facts' lists. */
typedef enum sp_serving_var {
    SP_SERVING_VAR_TP,
    SP_SERVING_VAR_ATTN_DP,
    SP_SERVING_VAR_EP,
    SP_SERVING_VAR_MOE_TP,
    SP_SERVING_VAR_PP,
    SP_SERVING_VAR_CP_PREFILL,
    SP_SERVING_VAR_WIDTH, /* tp attn_dp */
    SP_SERVING_VAR_BATCH,
    SP_SERVING_VAR_CHUNK_TOKENS,
    SP_SERVING_VAR_SPEC,
    SP_SERVING_VAR_MODE, /* agg, disagg           */
    SP_SERVING_VAR_ROLE, /* both, prefill, decode */
    SP_SERVING_VAR_WEIGHT_DTYPE,
    SP_SERVING_VAR_KV_DTYPE,
    SP_N_SERVING_VARS
} sp_serving_var;

typedef enum sp_worker_role {
    SP_WORKER_BOTH,
    SP_WORKER_PREFILL,
    SP_WORKER_DECODE,
    SP_N_WORKER_ROLES
} sp_worker_role;

/* Facts that rules may name as constants: heads, kv_heads, layers, hidden, ffn, expert_ffn, experts
 * (0 in dense models), mtp_layers, latent, indexed and recurrent (1 where some layer attends
 * through a latent vector, through keys that an indexer chooses, or keeps a state), node_gpus and
 * max_context. */
typedef struct sp_serving_facts {
    const sp_model *model;
    const sp_cluster *cluster;
    uint64_t max_context;
    const char *const *weight_formats, *const *kv_formats; /* every name there is */
    uint32_t n_weight_formats, n_kv_formats;
} sp_serving_facts;

typedef struct sp_serving_rules {
    const char *version; /* that was asked for, or the newest that the file knows */
    uint32_t n_rules, n_flags;
    const sp_engine_rule *rules;
    const struct sp_serving_flag *flags;
    const sp_serving_facts *facts;
} sp_serving_rules;

/* version NULL: the newest. The facts and what they point to must outlive the rules. */
sp_status sp_serving_rules_load(struct sp_arena *arena, const char *home, const char *engine,
                                const char *version, const sp_serving_facts *facts,
                                sp_serving_rules *rules, sp_error *err);

/* The first rule that refuses a worker, or UINT32_MAX. */
uint32_t sp_serving_rules_refusal(const sp_serving_rules *rules,
                                  const double values[SP_N_SERVING_VARS]);

/* Adds the worker's arguments in the engine's own words, separated by blanks. */
void sp_serving_flags_put(const sp_serving_rules *rules, const double values[SP_N_SERVING_VARS],
                          struct sp_text *out);
