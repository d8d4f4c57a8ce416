/* SPDX-License-Identifier: Apache-2.0 */
/* The axes of serving plans and their values in a problem: numbers, and positions in its lists. */
#include "serve/serving_priv.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Far above any machine or batch, and low enough that a product of two stays exact in a double. */
#define COUNT_MAX (UINT32_C(1) << 24)

#define IS_NAME  true
#define IS_COUNT false

/* clang-format off */
static const sp_serving_axis_info axes[SP_N_SERVING_AXES] = {
#define SP_SERVING_AXIS(id, axis_name, kind, value, axis_unit, axis_meaning)                       \
    [SP_SERVING_AXIS_##id] = {.name = axis_name, .unit = axis_unit, .meaning = axis_meaning,       \
                              .named = IS_##kind, .fallback = value},
#include "shardplan/serving_axes.def"
#undef SP_SERVING_AXIS
};
/* clang-format on */

static const char *const mode_names[SP_N_SERVING_MODES] = {"agg", "disagg"};

const char *sp_serving_mode_name(sp_serving_mode mode)
{
    assert(mode < SP_N_SERVING_MODES);
    return mode_names[mode];
}

const sp_serving_axis_info *sp_serving_axis_describe(sp_serving_axis_id axis)
{
    assert(axis < SP_N_SERVING_AXES);
    return &axes[axis];
}

/* Axes of the decode pool: those of aggregated workers that disaggregated plans have twice. */
static bool is_decode(sp_serving_axis_id axis)
{
    return axis >= SP_SERVING_AXIS_tp && axis <= SP_SERVING_AXIS_pp;
}

sp_serving_axis_id sp_serving_axis_find(const char *name)
{
    static const char prefix[] = "decode.";
    const size_t n = sizeof prefix - 1;
    const bool decode = strncmp(name, prefix, n) == 0;
    for (sp_serving_axis_id axis = 0; axis < SP_N_SERVING_AXES; axis++) {
        if (decode && !is_decode(axis)) continue;
        if (strcmp(axes[axis].name, decode ? name + n : name) == 0) return axis;
    }
    return SP_N_SERVING_AXES;
}

sp_status sp_serving_axis_find_or_fail(const char *name, sp_serving_axis_id *axis, sp_error *err)
{
    const char *names[SP_N_SERVING_AXES];
    *axis = sp_serving_axis_find(name);
    if (*axis != SP_N_SERVING_AXES) return SP_OK;
    for (sp_serving_axis_id a = 0; a < SP_N_SERVING_AXES; a++) {
        names[a] = axes[a].name;
    }
    if (strcmp(name, "replicas") == 0 || strcmp(name, "decode.workers") == 0) {
        sp_fail(err, SP_E_UNKNOWN_NAME,
                "%s is no axis: it follows from the GPUs and what a worker takes", name);
        return sp_fail_value(err, "%s", name);
    }
    sp_fail(err, SP_E_UNKNOWN_NAME, "there is no axis of this name");
    sp_fail_value(err, "%s", name);
    return sp_fail_names(err, name, names, SP_N_SERVING_AXES);
}

uint32_t sp_serving_axis_names(const sp_serving_problem *problem, sp_serving_axis_id axis,
                               const char *const **names)
{
    assert(axes[axis].named);
    if (axis == SP_SERVING_AXIS_engine) {
        *names = problem->engine_names;
        return problem->n_engines;
    }
    if (axis == SP_SERVING_AXIS_weight_dtype) {
        *names = problem->weight_names;
        return problem->n_weights;
    }
    if (axis == SP_SERVING_AXIS_kv_dtype) {
        *names = problem->cache_names;
        return problem->n_caches;
    }
    *names = mode_names;
    return SP_N_SERVING_MODES;
}

static sp_status parse_name(const sp_serving_problem *problem, sp_serving_axis_id axis,
                            const char *text, uint32_t *value, sp_error *err)
{
    const char *const *names = NULL;
    const uint32_t n = sp_serving_axis_names(problem, axis, &names);
    for (uint32_t i = 0; i < n; i++) {
        if (strcmp(text, names[i]) != 0) continue;
        *value = i;
        return SP_OK;
    }
    const bool dtype = axis == SP_SERVING_AXIS_weight_dtype || axis == SP_SERVING_AXIS_kv_dtype;
    sp_fail(err, SP_E_UNKNOWN_NAME,
            dtype ? "%s has this value only where --set %s=%s names it"
                  : "not a value of %s in this question",
            axes[axis].name, axes[axis].name, text);
    sp_fail_value(err, "%s", text);
    return sp_fail_names(err, text, names, n);
}

static sp_status parse_count(sp_serving_axis_id axis, const char *text, uint32_t *value,
                             sp_error *err)
{
    const uint32_t least = axes[axis].fallback == 0 ? 0 : 1;
    uint64_t number = 0;
    const char *end = text;
    for (; *end >= '0' && *end <= '9'; end++) {
        if (number <= COUNT_MAX) number = 10 * number + (uint64_t)(*end - '0');
    }
    const bool is_number = end > text && *end == '\0';
    if (is_number && number >= least && number <= COUNT_MAX) {
        *value = (uint32_t)number;
        return SP_OK;
    }
    sp_fail(err, is_number ? SP_E_RANGE : SP_E_TYPE, "%s must be a whole number", axes[axis].name);
    sp_fail_value(err, "%s", text);
    return sp_fail_range(err, "%" PRIu32 " .. %" PRIu32, least, COUNT_MAX);
}

/* Drafts need modules that draft, and a chance that is stated. */
static sp_status check_drafts(const sp_serving_problem *problem, uint32_t value, sp_error *err)
{
    if (value == 0) return SP_OK;
    if (problem->model->mtp_layers == 0) {
        sp_fail(err, SP_E_INCONSISTENT, "%s has no modules that draft tokens: spec=0",
                problem->model->name);
        return sp_fail_value(err, "%" PRIu32, value);
    }
    if (problem->question.spec_acceptance > 0.0) return SP_OK;
    sp_fail(err, SP_E_USAGE,
            "what drafts give depends on how many are accepted; say --spec-acceptance, for example "
            "--spec-acceptance 0.8");
    return sp_fail_value(err, "%" PRIu32, value);
}

sp_status sp_serving_parse_value(const sp_serving_problem *problem, sp_serving_axis_id axis,
                                 const char *text, uint32_t *value, sp_error *err)
{
    if (axes[axis].named) return parse_name(problem, axis, text, value, err);
    SP_TRY(parse_count(axis, text, value, err));
    return axis == SP_SERVING_AXIS_spec ? check_drafts(problem, *value, err) : SP_OK;
}

void sp_serving_format_value(const sp_serving_problem *problem, sp_serving_axis_id axis,
                             uint32_t value, char out[32])
{
    const char *const *names = NULL;
    if (!axes[axis].named) {
        (void)snprintf(out, 32, "%" PRIu32, value);
        return;
    }
    const uint32_t n = sp_serving_axis_names(problem, axis, &names);
    assert(value < n);
    (void)snprintf(out, 32, "%s", value < n ? names[value] : "");
}
