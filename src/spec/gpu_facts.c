/* SPDX-License-Identifier: Apache-2.0 */
/* What an analysis asks of an accelerator beside its speed: what kind of part it is, what buying
 * and making one costs, how its power is shared out, and the memories it has where it has several.
 */
#include "spec/spec.h"

#include <assert.h>
#include <stddef.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char *const kind_names[SP_N_DEVICE_KINDS] = {
    [SP_DEVICE_GPU] = "gpu",        [SP_DEVICE_ACCELERATOR] = "accelerator",
    [SP_DEVICE_CPU] = "cpu",        [SP_DEVICE_SOC] = "soc",
    [SP_DEVICE_NPU] = "npu",        [SP_DEVICE_PIM] = "pim",
    [SP_DEVICE_CHIPLET] = "chiplet"};

static const sp_figure_field facts[] = {
    {"purchase",            SP_Q_MONEY,  offsetof(sp_gpu, usd),                   0.0,  1e8 },
    {"process",             SP_Q_LENGTH, offsetof(sp_gpu, process_m),             1e-9, 1e-6},
    {"manufacturing",       SP_Q_CARBON, offsetof(sp_gpu, manufacturing_kg_co2e), 0.0,  1e6 },
    {"compute_power_ratio", SP_Q_RATIO,  offsetof(sp_gpu, compute_power_ratio),   0.01, 0.99},
};

static const sp_figure_field tier_fields[] = {
    {"bandwidth_bytes_per_s", SP_Q_BANDWIDTH, offsetof(sp_memory_tier, bytes_per_s),     1e7,   1e16},
    {"capacity_bytes",        SP_Q_MEMORY,    offsetof(sp_memory_tier, bytes),           1e6,   1e16},
    {"energy_j_per_byte",     SP_Q_COUNT,     offsetof(sp_memory_tier, joules_per_byte), 1e-15, 1e-6},
    {"latency_s",             SP_Q_TIME,      offsetof(sp_memory_tier, latency_s),       0.0,   1.0 },
};

const char *sp_device_kind_name(sp_device_kind kind)
{
    assert(kind < SP_N_DEVICE_KINDS);
    return kind_names[kind];
}

static sp_status read_kind(const sp_json *root, sp_gpu *gpu, sp_error *err)
{
    uint32_t kind = SP_DEVICE_GPU;
    if (sp_json_has(root, "kind")) {
        SP_TRY(sp_json_enum(root, "kind", kind_names, SP_N_DEVICE_KINDS, &kind, err));
    }
    gpu->kind = (sp_device_kind)kind;
    return SP_OK;
}

static sp_status read_tier(sp_arena *arena, const sp_json *value, sp_memory_tier *tier,
                           sp_error *err)
{
    static const char *const keys[] = {"name", "figures"};
    const char *name = NULL;
    SP_TRY(sp_json_only(value, keys, COUNT(keys), err));
    SP_TRY(sp_json_string(value, "name", &name, err));
    SP_TRY(sp_text_keep(arena, name, &tier->name, err));
    return sp_figure_set_read(value, "figures", tier_fields, COUNT(tier_fields), tier, err);
}

/* Nearest to the arithmetic first: a tier below is never faster. */
static sp_status check_order(const sp_json *value, const sp_memory_tier *tiers, size_t idx,
                             sp_error *err)
{
    if (idx == 0 || tiers[idx].bytes_per_s <= tiers[idx - 1].bytes_per_s) {
        return SP_OK;
    }
    (void)sp_json_fail(value, err, SP_E_INCONSISTENT,
                       "memory tiers go from the fastest to the slowest");
    return sp_fail_range(err, "at most the bandwidth of %s", tiers[idx - 1].name);
}

static sp_status read_tiers(sp_arena *arena, const sp_json *root, sp_gpu *gpu, sp_error *err)
{
    sp_json list;
    SP_TRY(sp_json_array(root, "memory_tiers", &list, err));
    const size_t n = sp_json_size(&list);
    if (n < 2 || n > SP_GPU_MAX_TIERS) {
        (void)sp_json_fail(&list, err, SP_E_RANGE, "memory tiers are several or not given");
        return sp_fail_range(err, "2 .. %d tiers", SP_GPU_MAX_TIERS);
    }
    sp_memory_tier *const tiers = sp_arena_alloc(arena, n * sizeof *tiers);
    if (tiers == NULL) {
        return sp_fail(err, SP_E_MEMORY, "out of memory");
    }
    for (size_t i = 0; i < n; i++) {
        const sp_json value = sp_json_at(&list, i);
        SP_TRY(read_tier(arena, &value, &tiers[i], err));
        SP_TRY(check_order(&value, tiers, i, err));
    }
    gpu->tiers = tiers;
    gpu->n_tiers = (uint32_t)n;
    return SP_OK;
}

sp_status sp_gpu_facts_read(struct sp_arena *arena, const sp_json *root, sp_gpu *gpu, sp_error *err)
{
    SP_TRY(read_kind(root, gpu, err));
    for (size_t i = 0; i < COUNT(facts); i++) {
        if (sp_json_has(root, facts[i].key)) {
            SP_TRY(sp_figures_read(root, &facts[i], 1, gpu, err));
        }
    }
    return sp_json_has(root, "memory_tiers") ? read_tiers(arena, root, gpu, err) : SP_OK;
}
