/* SPDX-License-Identifier: Apache-2.0 */
/* Defaults of an engine that depend on the GPU or on the split: in its file each has a condition,
 * all that hold are applied in turn, and what an option has set stays as it is. */
#include "analysis/memory_priv.h"
#include "base/base.h"

#include <math.h>
#include <string.h>

#define MAX_TIERS   16
#define MAX_CHANGES 8

typedef struct sp_change {
    const sp_knob *knob;
    double value;
} sp_change;

typedef struct sp_server_tier {
    const char *gpu; /* part of its name; NULL: any */
    double from_bytes, below_bytes, from_tp;
    uint32_t n_changes;
    sp_change changes[MAX_CHANGES];
} sp_server_tier;

/* ---- reading ---- */

static sp_status read_changes(const sp_json *entry, sp_server_tier *tier, sp_error *err)
{
    sp_json settings;
    SP_TRY(sp_json_object(entry, "settings", &settings, err));
    const size_t n = sp_json_size(&settings);
    if (n == 0 || n > MAX_CHANGES) {
        return sp_json_fail(&settings, err, SP_E_RANGE, "1 to %d settings change", MAX_CHANGES);
    }
    for (size_t i = 0; i < n; i++) {
        sp_change *change = &tier->changes[i];
        const char *name = sp_json_member(&settings, i).key;
        change->knob = sp_knob_find(name);
        if (change->knob == NULL) {
            return sp_json_fail(&settings, err, SP_E_UNKNOWN_NAME, "no setting is called %s", name);
        }
        SP_TRY(sp_knob_read(&settings, change->knob, &change->value, err));
    }
    tier->n_changes = (uint32_t)n;
    return SP_OK;
}

static sp_status read_tier(struct sp_arena *arena, const sp_json *entry, sp_server_tier *tier,
                           sp_error *err)
{
    static const char *const keys[] = {"gpu", "from_bytes", "below_bytes", "from_tp", "settings"};
    const char *gpu = NULL;
    SP_TRY(sp_json_only(entry, keys, sizeof keys / sizeof keys[0], err));
    SP_TRY(sp_json_string_or(entry, "gpu", NULL, &gpu, err));
    SP_TRY(sp_json_double_or(entry, "from_bytes", 0.0, 1e15, 0.0, &tier->from_bytes, err));
    SP_TRY(sp_json_double_or(entry, "below_bytes", 1.0, 1e15, 1e15, &tier->below_bytes, err));
    SP_TRY(sp_json_double_or(entry, "from_tp", 1.0, 65536.0, 1.0, &tier->from_tp, err));
    tier->gpu = gpu == NULL ? NULL : sp_arena_strdup(arena, gpu);
    if (gpu != NULL && tier->gpu == NULL) return sp_fail(err, SP_E_MEMORY, "the engine needs more");
    return read_changes(entry, tier, err);
}

sp_status sp_server_read_tiers(struct sp_arena *arena, const sp_json *root, sp_server *server,
                               sp_error *err)
{
    sp_json list;
    if (!sp_json_has(root, "by_gpu")) return SP_OK;
    SP_TRY(sp_json_array(root, "by_gpu", &list, err));
    const size_t n = sp_json_size(&list);
    if (n > MAX_TIERS) return sp_json_fail(&list, err, SP_E_RANGE, "at most %d", MAX_TIERS);
    sp_server_tier *tiers = sp_arena_alloc(arena, n * sizeof *tiers);
    if (tiers == NULL) return sp_fail(err, SP_E_MEMORY, "the engine needs more");
    for (size_t i = 0; i < n; i++) {
        const sp_json entry = sp_json_at(&list, i);
        tiers[i] = (sp_server_tier){0};
        SP_TRY(read_tier(arena, &entry, &tiers[i], err));
    }
    server->tiers = tiers;
    server->n_tiers = (uint32_t)n;
    return SP_OK;
}

/* ---- applying ---- */

static bool holds(const sp_server_tier *tier, const sp_footprint_question *q)
{
    const double bytes = q->gpu->memory_bytes;
    if (tier->gpu != NULL && strstr(q->gpu->name, tier->gpu) == NULL) return false;
    return bytes >= tier->from_bytes && bytes < tier->below_bytes && q->tp >= tier->from_tp;
}

sp_server sp_server_on_gpu(const sp_footprint_question *q)
{
    sp_server server = q->server;
    for (uint32_t i = 0; i < server.n_tiers; i++) {
        const sp_server_tier *tier = &server.tiers[i];
        if (!holds(tier, q)) continue;
        for (uint32_t k = 0; k < tier->n_changes; k++) {
            const sp_change *change = &tier->changes[k];
            if (!sp_knob_is_given(&server, change->knob)) {
                sp_knob_set(&server, change->knob, change->value);
            }
        }
    }
    return server;
}
