/* SPDX-License-Identifier: Apache-2.0 */
/* The constants of a framework's software, by era: the first profile of a file whose versions
 * include the one in hand. any.json states every constant; another file only those in which its
 * engine differs. */
#include "spec/spec.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- constants ---- */

#define CONSTANT(field, quantity, lo, hi)                                                          \
    {                                                                                              \
#field, quantity, offsetof(sp_engine_profile, field), lo, hi                               \
    }

static const sp_figure_field constants[] = {
    CONSTANT(gemm_ratio, SP_Q_RATIO, 1.0, 100.0),
    CONSTANT(attention_ratio, SP_Q_RATIO, 1.0, 100.0),
    CONSTANT(power_exponent, SP_Q_RATIO, 0.0, 3.0),
    CONSTANT(misaligned_ratio, SP_Q_RATIO, 1.0, 10.0),
    CONSTANT(element_bytes_ratio, SP_Q_RATIO, 1.0, 100.0),
    CONSTANT(score_bytes_ratio, SP_Q_RATIO, 0.0, 100.0),
    CONSTANT(kernel_host_s, SP_Q_TIME, 0.0, 1.0),
    CONSTANT(layer_kernels, SP_Q_COUNT, 0.0, 1e6),
    CONSTANT(layer_kernels_tp, SP_Q_COUNT, 0.0, 1e6),
    CONSTANT(expert_layer_kernels, SP_Q_COUNT, 0.0, 1e6),
    CONSTANT(expert_kernels, SP_Q_COUNT, 0.0, 1e6),
    CONSTANT(scaled_expert_kernels, SP_Q_COUNT, 0.0, 1e6),
    CONSTANT(micro_batch_s, SP_Q_TIME, 0.0, 60.0),
    CONSTANT(step_s, SP_Q_TIME, 0.0, 3600.0),
    CONSTANT(tp_pieces, SP_Q_COUNT, 1.0, 1024.0),
    CONSTANT(tp_interference_ratio, SP_Q_RATIO, 0.0, 1.0),
    CONSTANT(cp_overlap_ratio, SP_Q_RATIO, 0.0, 1.0),
    CONSTANT(ep_overlap_ratio, SP_Q_RATIO, 0.0, 1.0),
    CONSTANT(shared_overlap_ratio, SP_Q_RATIO, 0.0, 1.0),
    CONSTANT(expert_excess_ratio, SP_Q_RATIO, 0.0, 1000.0),
    CONSTANT(fp8_dispatch_bytes, SP_Q_MEMORY, 1.0, 2.0),
    CONSTANT(qwz_bytes, SP_Q_MEMORY, 0.1, 2.0),
    CONSTANT(qgz_bytes, SP_Q_MEMORY, 0.1, 2.0),
    CONSTANT(low_precision_ratio, SP_Q_RATIO, 0.1, 10.0),
    CONSTANT(offload_overlap_ratio, SP_Q_RATIO, 0.0, 1.0),
    CONSTANT(host_update_ratio, SP_Q_RATIO, 0.01, 1.0),
    CONSTANT(dp_overlap_ratio, SP_Q_RATIO, 0.0, 1.0),
    CONSTANT(dp_interference_ratio, SP_Q_RATIO, 0.0, 1.0),
    CONSTANT(fragmentation_ratio, SP_Q_RATIO, 0.0, 10.0),
    CONSTANT(communication_bytes, SP_Q_MEMORY, 0.0, 1e12),
    CONSTANT(workspace_bytes, SP_Q_MEMORY, 0.0, 1e12),
    CONSTANT(bucket_bytes, SP_Q_MEMORY, 0.0, 1e12),
    CONSTANT(quantised_weight_bytes, SP_Q_MEMORY, 0.1, 2.0),
    CONSTANT(quantised_rest_bytes, SP_Q_MEMORY, 0.1, 4.0),
    CONSTANT(master_bytes, SP_Q_MEMORY, 0.0, 16.0),
    CONSTANT(narrow_master_bytes, SP_Q_MEMORY, 0.0, 16.0),
    CONSTANT(grad_bytes, SP_Q_MEMORY, 1.0, 16.0),
    CONSTANT(sent_grad_bytes, SP_Q_MEMORY, 0.0, 16.0),
    CONSTANT(twin_grad_bytes, SP_Q_MEMORY, 0.0, 16.0),
    CONSTANT(cast_grad_bytes, SP_Q_MEMORY, 0.0, 16.0),
    CONSTANT(fp8_copy_bytes, SP_Q_MEMORY, 0.0, 16.0),
    CONSTANT(fp8_transpose_bytes, SP_Q_MEMORY, 0.0, 16.0),
    CONSTANT(mxfp8_copy_bytes, SP_Q_MEMORY, 0.0, 16.0),
    CONSTANT(nvfp4_copy_bytes, SP_Q_MEMORY, 0.0, 16.0),
    CONSTANT(unit_grad_bytes, SP_Q_MEMORY, 0.0, 16.0),
    CONSTANT(update_bytes, SP_Q_MEMORY, 0.0, 64.0),
    CONSTANT(flat_update_bytes, SP_Q_MEMORY, 0.0, 64.0),
    CONSTANT(live_params, SP_Q_COUNT, 0.0, 1e15),
    CONSTANT(pipeline_unit_bytes, SP_Q_MEMORY, 0.0, 16.0),
    CONSTANT(logit_bytes, SP_Q_MEMORY, 0.0, 64.0),
    CONSTANT(logit_bytes_tp, SP_Q_MEMORY, 0.0, 64.0),
    CONSTANT(norm_extra_bytes, SP_Q_MEMORY, 0.0, 64.0),
    CONSTANT(gate_extra_bytes, SP_Q_MEMORY, 0.0, 64.0),
    CONSTANT(ops_dropped_ratio, SP_Q_RATIO, 0.0, 1.0),
    CONSTANT(step_error_ratio, SP_Q_RATIO, 0.0, 10.0),
    CONSTANT(expert_error_ratio, SP_Q_RATIO, 0.0, 10.0),
    CONSTANT(borrowed_error_ratio, SP_Q_RATIO, 0.0, 10.0),
    CONSTANT(rank_error_ratio, SP_Q_RATIO, 0.0, 10.0),
    CONSTANT(memory_error_ratio, SP_Q_RATIO, 0.0, 10.0),
};

static_assert(COUNT(constants) <= 64, "sp_engine_profile.own has a bit for each");

uint32_t sp_engine_constant_count(void)
{
    return COUNT(constants);
}

static const char *base_unit(sp_quantity quantity)
{
    if (quantity == SP_Q_TIME) return "s";
    if (quantity == SP_Q_MEMORY) return "B";
    return quantity == SP_Q_COUNT ? "count" : "ratio";
}

sp_engine_constant sp_engine_constant_describe(uint32_t idx)
{
    assert(idx < COUNT(constants));
    const sp_figure_field *c = &constants[idx];
    return (sp_engine_constant){c->key, base_unit(c->quantity), c->lo, c->hi};
}

uint32_t sp_engine_constant_find(const char *name)
{
    for (uint32_t i = 0; i < COUNT(constants); i++) {
        if (strcmp(constants[i].key, name) == 0) return i;
    }
    return UINT32_MAX;
}

double sp_engine_constant_get(const sp_engine_profile *profile, uint32_t idx)
{
    assert(idx < COUNT(constants));
    double value = 0.0;
    memcpy(&value, (const char *)profile + constants[idx].offset, sizeof value);
    return value;
}

void sp_engine_constant_set(sp_engine_profile *profile, uint32_t idx, double value)
{
    assert(idx < COUNT(constants));
    const sp_figure_field *c = &constants[idx];
    const double kept = value < c->lo ? c->lo : value > c->hi ? c->hi : value;
    memcpy((char *)profile + c->offset, &kept, sizeof kept);
}

typedef struct switch_field {
    const char *key;
    size_t offset;
} switch_field;

static const switch_field switches[] = {
    {"flash_attention",      offsetof(sp_engine_profile, flash_attention)     },
    {"native_attention",     offsetof(sp_engine_profile, native_attention)    },
    {"merges_expert_copies", offsetof(sp_engine_profile, merges_expert_copies)},
    {"gathers_each_batch",   offsetof(sp_engine_profile, gathers_each_batch)  },
    {"adds_gradients_apart", offsetof(sp_engine_profile, adds_gradients_apart)},
    {"waits_for_tp_sums",    offsetof(sp_engine_profile, waits_for_tp_sums)   },
    {"cuts_messages",        offsetof(sp_engine_profile, cuts_messages)       },
    {"fp32_shards",          offsetof(sp_engine_profile, fp32_shards)         },
    {"flat_state",           offsetof(sp_engine_profile, flat_state)          },
    {"fp8_params",           offsetof(sp_engine_profile, fp8_params)          },
    {"root_unit",            offsetof(sp_engine_profile, root_unit)           },
};

/* {"value": true, "source": ..., "date": ...} */
static sp_status read_switch(const sp_json *value, const switch_field *field,
                             sp_engine_profile *profile, sp_error *err)
{
    static const char *const keys[] = {"value", "source", "date"};
    sp_json figure;
    SP_TRY(sp_json_object(value, field->key, &figure, err));
    SP_TRY(sp_json_only(&figure, keys, COUNT(keys), err));
    SP_TRY(sp_json_bool(&figure, "value", (bool *)((char *)profile + field->offset), err));
    return sp_provenance_check(&figure, err);
}

static sp_status read_constants(const sp_json *value, bool complete, sp_engine_profile *profile,
                                sp_error *err)
{
    const char *keys[COUNT(constants) + COUNT(switches) + 1] = {"versions"};
    for (size_t i = 0; i < COUNT(switches); i++) {
        keys[i + 1] = switches[i].key;
    }
    for (size_t i = 0; i < COUNT(constants); i++) {
        keys[i + 1 + COUNT(switches)] = constants[i].key;
    }
    SP_TRY(sp_json_only(value, keys, COUNT(keys), err));
    for (size_t i = 0; i < COUNT(switches); i++) {
        if (!complete && !sp_json_has(value, switches[i].key)) continue;
        SP_TRY(read_switch(value, &switches[i], profile, err));
    }
    for (size_t i = 0; i < COUNT(constants); i++) {
        if (!complete && !sp_json_has(value, constants[i].key)) continue;
        SP_TRY(sp_figures_read(value, &constants[i], 1, profile, err));
        profile->own |= UINT64_C(1) << i;
    }
    return SP_OK;
}

/* ---- versions ---- */

sp_status sp_engine_check_selector(const sp_json *object, const char *selector, sp_error *err)
{
    if (sp_version_select(selector, "0") != SP_VERSION_MALFORMED) return SP_OK;
    const sp_json value = sp_json_get(object, "versions");
    sp_json_fail(&value, err, SP_E_SYNTAX, "does not select versions");
    return sp_fail_range(err, "*, >=0.12, or >=0.4,<0.12");
}

static sp_status fail_version(const char *name, const char *version, const sp_json *profiles,
                              sp_error *err)
{
    sp_text known = {0};
    for (size_t i = 0; i < sp_json_size(profiles); i++) {
        const sp_json profile = sp_json_at(profiles, i);
        const char *versions = "";
        (void)sp_json_string(&profile, "versions", &versions, err);
        sp_text_printf(&known, "%s%s", i > 0 ? " or " : "", versions);
    }
    sp_fail(err, SP_E_RANGE, "nothing is known of this version of %s", name);
    sp_fail_value(err, "%s", version);
    sp_fail_range(err, "%s", known.failed || known.length == 0 ? "" : known.data);
    sp_text_fini(&known);
    return err->status;
}

/* Reads one profile over the base; any.json, which has none, must state all. */
static sp_status read_profile(const sp_json *value, const sp_engine_profile *base,
                              sp_engine_profile *profile, sp_error *err)
{
    *profile = base != NULL ? *base : (sp_engine_profile){0};
    profile->own = 0;
    SP_TRY(sp_json_string(value, "versions", &profile->versions, err));
    SP_TRY(sp_engine_check_selector(value, profile->versions, err));
    return read_constants(value, base == NULL, profile, err);
}

sp_status sp_engine_profile_read(struct sp_arena *arena, const sp_json *root, const char *version,
                                 const sp_engine_profile *base, sp_engine *engine, sp_error *err)
{
    assert(engine->name != NULL && engine->versions == NULL);
    sp_json profiles;
    SP_TRY(sp_json_array(root, "profiles", &profiles, err));
    for (size_t i = 0; i < sp_json_size(&profiles); i++) {
        const sp_json value = sp_json_at(&profiles, i);
        sp_engine_profile profile;
        SP_TRY(read_profile(&value, base, &profile, err));
        if (engine->versions != NULL) continue; /* later ones are only checked */
        if (sp_version_select(profile.versions, version) != SP_VERSION_IN) continue;
        SP_TRY(sp_text_keep(arena, profile.versions, &engine->versions, err));
        profile.versions = engine->versions;
        engine->profile = profile;
    }
    if (engine->versions != NULL) return SP_OK;
    return fail_version(engine->name, version, &profiles, err);
}
