/* SPDX-License-Identifier: Apache-2.0 */
/* What lies in memory, and how often a request moves each byte of it. */
#include "analysis/tiers.h"
#include "base/base.h"

#include <string.h>

static const sp_phase phases[SP_WORK_N_PHASES] = {SP_PHASE_PREFILL, SP_PHASE_DECODE,
                                                  SP_PHASE_LAST_DECODE};

/* Rows of one name in front of row idx: kinds of layers repeat names. */
static uint32_t namesakes_before(const sp_operator *rows, uint32_t idx)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < idx; i++) {
        n += strcmp(rows[i].name, rows[idx].name) == 0;
    }
    return n;
}

static uint32_t find_named(const sp_tier_load *load, const char *name, uint32_t skip)
{
    for (uint32_t i = 0; i < load->cache_item; i++) {
        if (load->items[i].held_bytes <= 0.0 || strcmp(load->items[i].name, name) != 0) continue;
        if (skip-- == 0) return i;
    }
    return SP_TIERS_SPREAD;
}

/* Rows of a decode step own themselves; others are found by name. A head without weights of its own
 * reads the embedding table; tables that nobody holds are made on the way, like activations. */
uint32_t sp_tiers_owner(const sp_tier_load *load, const sp_operator *row, uint32_t phase,
                        uint32_t idx)
{
    const bool is_head = strcmp(row->category, "head") == 0;
    if (is_head && row->held_bytes <= 0.0) {
        const uint32_t own = find_named(load, "head", 0);
        return own != SP_TIERS_SPREAD ? own : find_named(load, "embedding", 0);
    }
    if (row->held_bytes <= 0.0) return load->activation_item;
    return find_named(load, row->name, namesakes_before(load->rows[phase], idx));
}

double sp_tiers_cache_bytes(const sp_operator *row)
{
    const bool writes = strcmp(row->category, "cache") == 0;
    const bool state = strcmp(row->category, "recurrence") == 0; /* written where it was read */
    return (state ? 2.0 : 1.0) * row->cache_bytes + (writes ? row->write_bytes : 0.0);
}

static void add_weight_moves(sp_tier_load *load, uint32_t owner, uint32_t phase, double bytes)
{
    double held_bytes = 0.0;
    if (owner != SP_TIERS_SPREAD) {
        load->items[owner].moved_bytes[phase] += bytes;
        return;
    }
    for (uint32_t i = 0; i < load->cache_item; i++) {
        held_bytes += load->items[i].held_bytes;
    }
    for (uint32_t i = 0; i < load->cache_item; i++) {
        load->items[i].moved_bytes[phase] += bytes * load->items[i].held_bytes / held_bytes;
    }
}

static void add_moves(sp_tier_load *load, uint32_t phase)
{
    for (uint32_t i = 0; i < load->n_rows[phase]; i++) {
        const sp_operator *row = &load->rows[phase][i];
        const double cached = sp_tiers_cache_bytes(row);
        const double other = row->read_bytes + row->write_bytes - cached;
        const uint32_t owner = sp_tiers_owner(load, row, phase, i);
        add_weight_moves(load, owner, phase, row->layers * row->weight_bytes);
        load->items[load->cache_item].moved_bytes[phase] += row->layers * cached;
        load->items[load->activation_item].moved_bytes[phase] += row->layers * other;
    }
}

static void add_items(const sp_analysis *analysis, sp_tier_load *load)
{
    const uint32_t n = load->n_rows[1];
    for (uint32_t i = 0; i < n; i++) {
        const sp_operator *row = &load->rows[1][i];
        load->items[i] =
            (sp_tier_item){.name = row->name, .held_bytes = row->held_layers * row->held_bytes};
    }
    const double working =
        analysis->memory_needed_bytes - analysis->weight_bytes - analysis->kv_max_bytes;
    load->cache_item = n;
    load->activation_item = n + 1;
    load->n_items = n + 2;
    load->items[n] = (sp_tier_item){.name = "kv_cache", .held_bytes = analysis->kv_max_bytes};
    load->items[n + 1] = (sp_tier_item){.name = "activations", .held_bytes = working};
}

sp_status sp_tiers_load(const sp_analysis_question *question, const sp_analysis *analysis,
                        sp_tier_load *load, sp_error *err)
{
    const double steps = (double)question->generated_tokens;
    for (uint32_t p = 0; p < SP_WORK_N_PHASES; p++) {
        const sp_phase_total *total = &analysis->phase[phases[p]];
        if (!total->present) {
            return sp_fail(err, SP_E_INCONSISTENT, "tiers need the %s phase of the analysis",
                           sp_phase_name(phases[p]));
        }
        load->rows[p] = &analysis->operators[total->first];
        load->n_rows[p] = total->count;
    }
    add_items(analysis, load);
    for (uint32_t p = 0; p < SP_WORK_N_PHASES; p++) {
        add_moves(load, p);
    }
    for (uint32_t i = 0; i < load->n_items; i++) {
        sp_tier_item *item = &load->items[i];
        item->moved_per_request =
            item->moved_bytes[0] + steps * 0.5 * (item->moved_bytes[1] + item->moved_bytes[2]);
    }
    return SP_OK;
}
