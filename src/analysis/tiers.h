/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the files of memory tiers share: an analysis as things that lie somewhere and move. */
#include "analysis/analysis_priv.h"
#include "shardplan/sweep.h"

#define SP_TIERS_MAX_ITEMS (SP_PHASE_MAX_ROWS + 2)

/* Weights of each operator of a decode step, in its order, then the cache and the activations. */
typedef struct sp_tier_load {
    sp_tier_item items[SP_TIERS_MAX_ITEMS];
    uint32_t n_items, cache_item, activation_item;
    const sp_operator *rows[SP_WORK_N_PHASES];
    uint32_t n_rows[SP_WORK_N_PHASES];
} sp_tier_load;

/* question must ask for the three inference phases. */
sp_status sp_tiers_load(const sp_analysis_question *question, const sp_analysis *analysis,
                        sp_tier_load *load, sp_error *err);
/* The item whose weights row `idx` of a phase reads; SP_TIERS_SPREAD: some of all weights, since
 * the phase cuts them into other operators than a decode step (latent attention, expanded). */
#define SP_TIERS_SPREAD UINT32_MAX
uint32_t sp_tiers_owner(const sp_tier_load *load, const sp_operator *row, uint32_t phase,
                        uint32_t idx);
/* Of the bytes that a row reads and writes, those of the cache. */
double sp_tiers_cache_bytes(const sp_operator *row);
