/* SPDX-License-Identifier: Apache-2.0 */
/* Where weights, cache and activations lie in a memory of several tiers, so that moving them takes
 * as little time as can be, and what a request then takes. */
#include "shardplan/sweep.h"

#include "analysis/tiers.h"
#include "base/base.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* ---- placing ---- */

static double moves_per_byte(const sp_tier_item *item)
{
    return item->held_bytes > 0.0 ? item->moved_per_request / item->held_bytes : 0.0;
}

/* The item, not yet placed, of which each held byte moves most often; n_items where all are. */
static uint32_t busiest(const sp_tier_item *items, uint32_t n_items, const bool *placed)
{
    uint32_t best = n_items;
    for (uint32_t i = 0; i < n_items; i++) {
        if (placed[i]) continue;
        if (best == n_items || moves_per_byte(&items[i]) > moves_per_byte(&items[best])) best = i;
    }
    return best;
}

static uint32_t fastest_with_room(const sp_tier *tiers, uint32_t n_tiers, const double *room_bytes)
{
    uint32_t best = n_tiers;
    for (uint32_t t = 0; t < n_tiers; t++) {
        if (room_bytes[t] <= 0.0) continue;
        if (best == n_tiers || tiers[t].bytes_per_s > tiers[best].bytes_per_s) best = t;
    }
    return best;
}

static double place_one(const sp_tier *tiers, uint32_t n_tiers, double *room_bytes,
                        sp_tier_item *item)
{
    double left = item->held_bytes;
    while (left > 0.0) {
        const uint32_t t = fastest_with_room(tiers, n_tiers, room_bytes);
        if (t == n_tiers) break;
        const double put = fmin(left, room_bytes[t]);
        item->in_tier[t] += put;
        room_bytes[t] -= put;
        left -= put;
    }
    return left;
}

/* Why the busiest bytes go to the fastest tier. Let byte b move w_b times a request (for a weight,
 * once in each pass that meets it; expert weights less often). The time is the sum over bytes of
 * w_b / B(tier of b), and the tiers are a list of places of cost 1 / B, as many of each as its
 * capacity. Assigning bytes to places is a sum of products of two lists, least when one is sorted
 * against the other (rearrangement inequality): were w_b > w_c and b in a slower tier than c,
 * changing their places would save (w_b - w_c)(1/B_slow - 1/B_fast) > 0. Bytes are divisible, so
 * nothing is lost to rounding, and where all bytes move once a step any order is as good. */
double sp_tiers_place(const sp_tier *tiers, uint32_t n_tiers, sp_tier_item *items, uint32_t n_items)
{
    bool placed[SP_TIERS_MAX_ITEMS] = {false};
    double room_bytes[SP_TIERS_MAX] = {0.0};
    double overflow_bytes = 0.0;
    assert(n_tiers <= SP_TIERS_MAX && n_items <= SP_TIERS_MAX_ITEMS);
    for (uint32_t t = 0; t < n_tiers; t++) {
        room_bytes[t] = tiers[t].capacity_bytes;
    }
    for (uint32_t n = 0; n < n_items; n++) {
        const uint32_t i = busiest(items, n_items, placed);
        placed[i] = true;
        memset(items[i].in_tier, 0, sizeof items[i].in_tier);
        overflow_bytes += place_one(tiers, n_tiers, room_bytes, &items[i]);
    }
    return overflow_bytes;
}

/* ---- what moves with an operator ---- */

/* Seconds and joules to move one byte of an item from where it lies. */
typedef struct tier_rate {
    double s_per_byte, joules_per_byte;
} tier_rate;

static tier_rate rate_of(const sp_tiered_chip *chip, const sp_tier_item *item)
{
    tier_rate rate = {0.0, 0.0};
    for (uint32_t t = 0; t < chip->n_tiers && item->held_bytes > 0.0; t++) {
        const double share = item->in_tier[t] / item->held_bytes;
        rate.s_per_byte += share / chip->tiers[t].bytes_per_s;
        rate.joules_per_byte += share * chip->tiers[t].joules_per_byte;
    }
    return rate;
}

/* All weights as one item. */
static sp_tier_item weights_of(const sp_tier_load *load)
{
    sp_tier_item all = {.name = "weights"};
    for (uint32_t i = 0; i < load->cache_item; i++) {
        all.held_bytes += load->items[i].held_bytes;
        for (uint32_t t = 0; t < SP_TIERS_MAX; t++) {
            all.in_tier[t] += load->items[i].in_tier[t];
        }
    }
    return all;
}

/* One pass on a placement: an operator waits for its bytes, one tier after the other, or for its
 * arithmetic. Tiers are read ahead, so their latency does not show. */
static void price_phase(const sp_analysis_question *q, const sp_tier_load *load,
                        const sp_tiered_chip *chip, uint32_t p, sp_tier_plan *plan)
{
    const double slower =
        q->gpu->peak_flops_per_s[q->compute] / chip->chip.flops_per_s; /* than the question's */
    const sp_tier_item all = weights_of(load);
    const tier_rate cache = rate_of(chip, &load->items[load->cache_item]);
    const tier_rate rest = rate_of(chip, &load->items[load->activation_item]);
    for (uint32_t i = 0; i < load->n_rows[p]; i++) {
        const sp_operator *row = &load->rows[p][i];
        const uint32_t owner = sp_tiers_owner(load, row, p, i);
        const tier_rate weights =
            rate_of(chip, owner == SP_TIERS_SPREAD ? &all : &load->items[owner]);
        const double cached = sp_tiers_cache_bytes(row);
        const double other = row->read_bytes + row->write_bytes - cached;
        const double memory_s = row->weight_bytes * weights.s_per_byte + cached * cache.s_per_byte +
                                other * rest.s_per_byte;
        plan->phase_memory_s[p] += row->layers * memory_s;
        plan->phase_s[p] +=
            row->layers * (fmax(row->compute_s * slower, memory_s) + row->network_s);
        plan->phase_joules[p] +=
            row->layers * (row->weight_bytes * weights.joules_per_byte +
                           cached * cache.joules_per_byte + other * rest.joules_per_byte);
    }
}

static void sum_up(const sp_analysis_question *q, const sp_tiered_chip *chip, sp_tier_plan *plan)
{
    for (uint32_t i = 0; i < plan->n_items; i++) {
        for (uint32_t t = 0; t < chip->n_tiers; t++) {
            plan->used_bytes[t] += plan->items[i].in_tier[t];
        }
    }
    const double steps = (double)q->generated_tokens, batch = (double)q->batch;
    plan->ttft_s = plan->phase_s[0];
    plan->token_s = 0.5 * (plan->phase_s[1] + plan->phase_s[2]);
    plan->tokens_per_s = batch / plan->token_s;
    plan->joules_per_token =
        (plan->phase_joules[0] + steps * 0.5 * (plan->phase_joules[1] + plan->phase_joules[2])) /
        (steps * batch);
}

static void never(sp_tier_plan *plan)
{
    for (uint32_t p = 0; p < SP_WORK_N_PHASES; p++) {
        plan->phase_s[p] = plan->phase_memory_s[p] = plan->phase_joules[p] = HUGE_VAL;
    }
}

sp_status sp_tiers_plan(sp_arena *arena, const sp_analysis_question *question,
                        const sp_analysis *analysis, const sp_tiered_chip *chip,
                        const sp_tier_plan **plan, sp_error *err)
{
    sp_tier_plan *made = sp_arena_alloc(arena, sizeof *made);
    sp_tier_load *load = sp_arena_alloc(arena, sizeof *load);
    if (made == NULL || load == NULL) return sp_fail(err, SP_E_MEMORY, "the placement needs more");
    SP_TRY(sp_tiers_load(question, analysis, load, err));
    made->items = load->items;
    made->n_items = load->n_items;
    made->overflow_bytes = sp_tiers_place(chip->tiers, chip->n_tiers, load->items, load->n_items);
    if (made->overflow_bytes > 0.0) {
        never(made);
    } else {
        for (uint32_t p = 0; p < SP_WORK_N_PHASES; p++) {
            price_phase(question, load, chip, p, made);
        }
    }
    sum_up(question, chip, made);
    *plan = made;
    return SP_OK;
}
