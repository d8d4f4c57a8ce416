/* SPDX-License-Identifier: Apache-2.0 */
/* A chip with memory in tiers, from hardware/tiers or a file. */
#include "base/base.h"
#include "shardplan/sweep.h"
#include "spec/spec.h"

#include <stddef.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const sp_figure_field chip_fields[] = {
    {"flops_per_s", SP_Q_COUNT, offsetof(sp_chip, flops_per_s), 1e6,  1e21},
    {"tdp_watts",   SP_Q_COUNT, offsetof(sp_chip, tdp_watts),   1e-3, 1e6 },
    {"price_usd",   SP_Q_COUNT, offsetof(sp_chip, price_usd),   1e-2, 1e9 },
};

static const sp_figure_field tier_fields[] = {
    {"bytes_per_s",     SP_Q_COUNT, offsetof(sp_tier, bytes_per_s),     1e3, 1e18},
    {"capacity_bytes",  SP_Q_COUNT, offsetof(sp_tier, capacity_bytes),  1.0, 1e18},
    {"joules_per_byte", SP_Q_COUNT, offsetof(sp_tier, joules_per_byte), 0.0, 1e-3},
    {"latency_s",       SP_Q_COUNT, offsetof(sp_tier, latency_s),       0.0, 1.0 },
};

static sp_status read_tier(sp_arena *arena, const sp_json *object, sp_tier *tier, sp_error *err)
{
    static const char *const keys[] = {"name", "figures"};
    const char *name = NULL;
    SP_TRY(sp_json_only(object, keys, COUNT(keys), err));
    SP_TRY(sp_json_string(object, "name", &name, err));
    SP_TRY(sp_text_keep(arena, name, &tier->name, err));
    return sp_figure_set_read(object, "figures", tier_fields, COUNT(tier_fields), tier, err);
}

static sp_status read_tiers(sp_arena *arena, const sp_json *root, sp_tiered_chip *chip,
                            sp_error *err)
{
    sp_json tiers;
    SP_TRY(sp_json_array(root, "tiers", &tiers, err));
    const size_t n = sp_json_size(&tiers);
    if (n == 0 || n > SP_TIERS_MAX) {
        sp_json_fail(&tiers, err, SP_E_RANGE, "a memory has tiers, and not too many");
        return sp_fail_range(err, "1 .. %d", SP_TIERS_MAX);
    }
    for (size_t i = 0; i < n; i++) {
        const sp_json object = sp_json_at(&tiers, i);
        SP_TRY(read_tier(arena, &object, &chip->tiers[i], err));
        if (i > 0 && chip->tiers[i].bytes_per_s > chip->tiers[i - 1].bytes_per_s) {
            return sp_json_fail(&object, err, SP_E_INCONSISTENT,
                                "tiers must be given fastest first");
        }
        chip->chip.capacity_bytes += chip->tiers[i].capacity_bytes;
        chip->n_tiers++;
    }
    chip->chip.bytes_per_s = chip->tiers[0].bytes_per_s;
    return SP_OK;
}

static sp_status read_chip(sp_arena *arena, const sp_json *root, sp_tiered_chip *chip,
                           sp_error *err)
{
    static const char *const keys[] = {"schema", "name", "aliases", "chip", "tiers"};
    const char *name = NULL;
    SP_TRY(sp_json_schema(root, "shardplan/tiers/1", err));
    SP_TRY(sp_json_only(root, keys, COUNT(keys), err));
    SP_TRY(sp_json_string(root, "name", &name, err));
    SP_TRY(sp_text_keep(arena, name, &chip->name, err));
    SP_TRY(sp_figure_set_read(root, "chip", chip_fields, COUNT(chip_fields), &chip->chip, err));
    return read_tiers(arena, root, chip, err);
}

sp_status sp_tiered_chip_find(sp_arena *arena, const char *home, const char *ref,
                              const sp_tiered_chip **chip, sp_error *err)
{
    static const sp_catalogue folder = {"memory", "tiers", "shardplan/tiers/1"};
    sp_tiered_chip *made = sp_arena_alloc(arena, sizeof *made);
    sp_json_doc *doc = NULL;
    if (made == NULL) return sp_fail(err, SP_E_MEMORY, "out of memory");
    SP_TRY(strchr(ref, '.') != NULL && sp_file_exists(ref)
               ? sp_json_load_file(ref, &doc, err)
               : sp_catalogue_load(home, &folder, ref, &doc, err));
    const sp_json root = sp_json_root(doc);
    const sp_status status = read_chip(arena, &root, made, err);
    sp_json_free(doc);
    *chip = made;
    return status;
}
