/* SPDX-License-Identifier: Apache-2.0 */
/* The figure of a published run, in the unit and by the FLOP convention of its source. */
#include "shardplan/recipe.h"

#include "spec/spec.h"

#include <assert.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The keys of "measured" that hold the figure, and where it may lie. */
typedef struct measure_info {
    const char *key;
    double lo, hi;
    bool needs_flops, needs_tokens;
} measure_info;

static const measure_info measures[SP_N_MEASURES] = {
    [SP_MEASURE_STEP] = {"step_s",               1e-4, 1e6,  false, false},
    [SP_MEASURE_TOKENS] = {"tokens_per_s_per_gpu", 1e-2, 1e8,  false, false},
    [SP_MEASURE_GPU_HOURS] = {"gpu_hours",            1.0,  1e10, false, true },
    [SP_MEASURE_TFLOPS] = {"tflops_per_gpu",       1e-2, 1e5,  true,  false},
    [SP_MEASURE_MFU] = {"mfu",                  1e-3, 2.0,  true,  false},
};

#define SP_NAME(id, name) name,
static const char *const flops_names[SP_N_FLOPS] = {SP_ENUM_FLOPS(SP_NAME)};
#undef SP_NAME

const char *sp_measure_name(sp_measure measure)
{
    assert(measure < SP_N_MEASURES);
    return measures[measure].key;
}

const char *sp_flops_name(sp_flops_convention flops)
{
    assert(flops < SP_N_FLOPS);
    return flops_names[flops];
}

/* Exactly one figure: two would leave open which one the comparison is with. */
static sp_status choose_measure(const sp_json *measured, sp_measure *measure, sp_error *err)
{
    uint32_t n = 0;
    for (sp_measure m = 0; m < SP_N_MEASURES; m++) {
        if (!sp_json_has(measured, measures[m].key)) continue;
        *measure = m;
        n++;
    }
    if (n == 1) return SP_OK;
    sp_json_fail(measured, err, n == 0 ? SP_E_MISSING_KEY : SP_E_INCONSISTENT,
                 "needs one figure that was published");
    return sp_fail_range(err, "step_s, tokens_per_s_per_gpu, gpu_hours, tflops_per_gpu or mfu");
}

static sp_status check_absent(const sp_json *measured, const char *key, bool needed, sp_error *err)
{
    if (needed || !sp_json_has(measured, key)) return SP_OK;
    const sp_json value = sp_json_get(measured, key);
    return sp_json_fail(&value, err, SP_E_INCONSISTENT, "has no meaning beside this figure");
}

sp_status sp_recipe_measured_read(const sp_json *root, sp_measured *out, sp_error *err)
{
    static const char *const keys[] = {
        "step_s", "tokens_per_s_per_gpu", "gpu_hours", "tflops_per_gpu", "mfu", "tokens", "flops"};
    sp_json measured;
    uint32_t flops = 0;
    SP_TRY(sp_json_object(root, "measured", &measured, err));
    SP_TRY(sp_json_only(&measured, keys, COUNT(keys), err));
    SP_TRY(choose_measure(&measured, &out->measure, err));
    const measure_info *info = &measures[out->measure];
    SP_TRY(sp_json_double(&measured, info->key, info->lo, info->hi, &out->value, err));
    SP_TRY(check_absent(&measured, "tokens", info->needs_tokens, err));
    SP_TRY(check_absent(&measured, "flops", info->needs_flops, err));
    if (info->needs_tokens)
        SP_TRY(sp_json_double(&measured, "tokens", 1.0, 1e18, &out->tokens, err));
    if (info->needs_flops) {
        SP_TRY(sp_json_enum(&measured, "flops", flops_names, SP_N_FLOPS, &flops, err));
    }
    out->flops = (sp_flops_convention)flops;
    return SP_OK;
}
