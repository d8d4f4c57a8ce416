/* SPDX-License-Identifier: Apache-2.0 */
/* Plans as text, "tp=4,pp=8,vpp=5": reading is strict (each axis once, every value in range, no
 * spaces) and says at which column it stopped; writing leaves out what is at its default. */
#include "base/base.h"
#include "shardplan/plan.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* Far above any machine or batch, and low enough that a product of two stays exact in a double. */
static const uint32_t COUNT_MAX = UINT32_C(1) << 24;

/* ---- names of axes ---- */

/* Promised in the documentation and refused by name until they are built. */
static const char *const announced[] = {
    "cluster",      "batch",    "moe_tp", "attn_dp", "cp_prefill", "chunk_tokens",
    "weight_dtype", "kv_dtype", "spec",   "mode",    "replicas",
};

static bool is_announced(const char *name)
{
    for (size_t i = 0; i < sizeof announced / sizeof announced[0]; i++) {
        if (strcmp(announced[i], name) == 0) return true;
    }
    return strncmp(name, "prefill.", 8) == 0 || strncmp(name, "decode.", 7) == 0;
}

static sp_status fail_axis(const char *name, sp_error *err)
{
    const char *names[SP_N_AXES];
    for (sp_axis_id axis = 0; axis < SP_N_AXES; axis++) {
        names[axis] = sp_axis_describe(axis)->name;
    }
    sp_fail(err, SP_E_UNKNOWN_NAME, "there is no axis of this name");
    sp_fail_value(err, "%s", name);
    return sp_fail_names(err, name, names, SP_N_AXES);
}

sp_status sp_axis_find_or_fail(const char *name, sp_axis_id *axis, sp_error *err)
{
    *axis = sp_axis_find(name);
    if (*axis != SP_N_AXES) return SP_OK;
    if (is_announced(name)) {
        sp_fail(err, SP_E_NOT_YET, "plans cannot vary along this axis");
    } else if (strcmp(name, "dp") == 0) {
        sp_fail(err, SP_E_UNKNOWN_NAME, "dp is no axis: it follows as gpus / (tp cp pp)");
    } else if (strcmp(name, "accumulation") == 0) {
        sp_fail(err, SP_E_UNKNOWN_NAME,
                "accumulation is no axis: it follows as global batch / (dp micro_batch)");
    } else {
        return fail_axis(name, err);
    }
    return sp_fail_value(err, "%s", name);
}

/* ---- values ---- */

static uint32_t least_count(sp_axis_id axis)
{
    return axis == SP_AXIS_zero ? 0 : 1;
}

static uint32_t greatest_count(sp_axis_id axis)
{
    if (axis == SP_AXIS_zero) return 3;
    const bool wide =
        axis == SP_AXIS_gpus || axis == SP_AXIS_micro_batch || axis == SP_AXIS_shard_group;
    return wide ? COUNT_MAX : UINT16_MAX;
}

/* A share such as "0.25" or "25%"; hundredths are the finest that a plan can say. */
static sp_status parse_ratio(sp_axis_id axis, const char *text, uint32_t *value, sp_error *err)
{
    sp_error detail = {0};
    double ratio = 0.0;
    if (sp_parse_ratio(text, &ratio, &detail) == SP_OK && ratio >= 0.0 && ratio <= 1.0 &&
        fabs(100.0 * ratio - round(100.0 * ratio)) < 1e-9) {
        *value = (uint32_t)lround(100.0 * ratio);
        return SP_OK;
    }
    sp_fail(err, SP_E_RANGE, "%s must be a share in whole hundredths",
            sp_axis_describe(axis)->name);
    sp_fail_value(err, "%s", text);
    return sp_fail_range(err, "0 .. 1, such as 0.25");
}

static sp_status parse_count(sp_axis_id axis, const char *text, uint32_t *value, sp_error *err)
{
    const uint32_t lo = least_count(axis), hi = greatest_count(axis);
    uint64_t number = 0;
    const char *end = text;
    for (; *end >= '0' && *end <= '9'; end++) {
        if (number <= hi) number = 10 * number + (uint64_t)(*end - '0'); /* beyond hi: enough */
    }
    const bool is_number = end > text && *end == '\0';
    if (is_number && number >= lo && number <= hi) {
        *value = (uint32_t)number;
        return SP_OK;
    }
    sp_fail(err, is_number ? SP_E_RANGE : SP_E_TYPE, "%s must be a whole number",
            sp_axis_describe(axis)->name);
    sp_fail_value(err, "%s", text);
    const bool or_all = sp_axis_describe(axis)->kind == SP_AXIS_KIND_COUNT_OR_ALL;
    return sp_fail_range(err, "%s%" PRIu32 " .. %" PRIu32, or_all ? "all, or " : "", lo, hi);
}

static sp_status parse_name(sp_axis_id axis, const char *text, uint32_t *value, sp_error *err)
{
    const sp_axis_info *info = sp_axis_describe(axis);
    for (uint32_t i = 0; i < info->n_names; i++) {
        if (strcmp(info->names[i], text) == 0) {
            *value = i;
            return SP_OK;
        }
    }
    sp_fail(err, SP_E_UNKNOWN_NAME, "not a value of %s", info->name);
    sp_fail_value(err, "%s", text);
    return sp_fail_names(err, text, info->names, info->n_names);
}

static bool is_switch(sp_axis_id axis)
{
    const sp_axis_info *info = sp_axis_describe(axis);
    return info->n_names == 2 && strcmp(info->names[SP_OFF], "off") == 0;
}

static sp_status parse_switch(sp_axis_id axis, const char *text, uint32_t *value, sp_error *err)
{
    static const char *const others[2][2] = {
        {"0", "false"},
        {"1", "true" }
    };
    for (uint32_t i = 0; i < 2; i++) {
        if (strcmp(text, others[i][0]) == 0 || strcmp(text, others[i][1]) == 0) {
            *value = i;
            return SP_OK;
        }
    }
    return parse_name(axis, text, value, err);
}

sp_status sp_axis_parse_value(sp_axis_id axis, const char *text, uint32_t *value, sp_error *err)
{
    assert(axis < SP_N_AXES && text != NULL && value != NULL);
    switch (sp_axis_describe(axis)->kind) {
    case SP_AXIS_KIND_NAME:
        return is_switch(axis) ? parse_switch(axis, text, value, err)
                               : parse_name(axis, text, value, err);
    case SP_AXIS_KIND_RATIO:
        return parse_ratio(axis, text, value, err);
    case SP_AXIS_KIND_COUNT_OR_ALL:
        if (strcmp(text, "all") == 0 || strcmp(text, "0") == 0) {
            *value = 0;
            return SP_OK;
        }
        break;
    case SP_AXIS_KIND_COUNT:
        break;
    }
    return parse_count(axis, text, value, err);
}

void sp_axis_format_value(sp_axis_id axis, uint32_t value, char out[24])
{
    const sp_axis_info *info = sp_axis_describe(axis);
    switch (info->kind) {
    case SP_AXIS_KIND_NAME:
        assert(value < info->n_names);
        (void)snprintf(out, 24, "%s", info->names[value]);
        return;
    case SP_AXIS_KIND_RATIO:
        (void)snprintf(out, 24, "%g", value / 100.0);
        return;
    case SP_AXIS_KIND_COUNT_OR_ALL:
        if (value == 0) {
            (void)snprintf(out, 24, "all");
            return;
        }
        break;
    case SP_AXIS_KIND_COUNT:
        break;
    }
    (void)snprintf(out, 24, "%" PRIu32, value);
}

/* ---- whole plans ---- */

/* The text between two commas: name=value. */
typedef struct setting {
    char name[48], value[48];
} setting;

/* Puts the place in front of the message. */
static sp_status fail_column(size_t column, sp_error *err)
{
    char message[sizeof err->message];
    memcpy(message, err->message, sizeof message);
    (void)snprintf(err->message, sizeof err->message, "column %zu: %.280s", column, message);
    return err->status;
}

static sp_status fail_setting(const char *start, size_t length, const char *message, sp_error *err)
{
    sp_fail(err, SP_E_SYNTAX, "%s", message);
    return sp_fail_value(err, "%.*s", (int)length, start);
}

static sp_status split(const char *start, size_t length, setting *out, sp_error *err)
{
    const char *equals = memchr(start, '=', length);
    if (equals == NULL) {
        return fail_setting(start, length, "a plan is written axis=value,axis=value", err);
    }
    const size_t n_name = (size_t)(equals - start), n_value = length - n_name - 1;
    if (n_name >= sizeof out->name || n_value >= sizeof out->value) {
        return fail_setting(start, length, "no axis or value is that long", err);
    }
    (void)snprintf(out->name, sizeof out->name, "%.*s", (int)n_name, start);
    (void)snprintf(out->value, sizeof out->value, "%.*s", (int)n_value, equals + 1);
    return SP_OK;
}

/* Reads one setting into the plan; `seen` has a bit for each axis that was set before. */
static sp_status parse_setting(const char *start, size_t length, uint64_t *seen, sp_plan *plan,
                               sp_error *err)
{
    setting text = {0};
    sp_axis_id axis = SP_N_AXES;
    uint32_t value = 0;
    SP_TRY(split(start, length, &text, err));
    SP_TRY(sp_axis_find_or_fail(text.name, &axis, err));
    if ((*seen >> axis & 1) != 0) {
        sp_fail(err, SP_E_INCONSISTENT, "%s is set twice", text.name);
        return sp_fail_value(err, "%.*s", (int)length, start);
    }
    SP_TRY(sp_axis_parse_value(axis, text.value, &value, err));
    *seen |= UINT64_C(1) << axis;
    sp_plan_set(plan, axis, value);
    return SP_OK;
}

sp_status sp_plan_parse(const char *text, sp_plan *plan, sp_error *err)
{
    assert(text != NULL && plan != NULL && SP_N_AXES <= 64);
    sp_plan read = *plan;
    uint64_t seen = 0;
    const char *start = text;
    for (;;) {
        const size_t length = strcspn(start, ",");
        if (parse_setting(start, length, &seen, &read, err) != SP_OK) {
            return fail_column((size_t)(start - text) + 1, err);
        }
        if (start[length] == '\0') break;
        start += length + 1;
    }
    *plan = read;
    return SP_OK;
}

static bool is_written(const sp_plan *plan, sp_axis_id axis)
{
    if (axis == SP_AXIS_tp || axis == SP_AXIS_pp) return true;
    return sp_plan_get(plan, axis) != sp_axis_describe(axis)->fallback;
}

size_t sp_plan_format(const sp_plan *plan, char *text, size_t capacity)
{
    assert(capacity >= SP_PLAN_TEXT_BYTES);
    size_t length = 0;
    for (sp_axis_id axis = 0; axis < SP_N_AXES; axis++) {
        if (!is_written(plan, axis)) continue;
        char value[24];
        sp_axis_format_value(axis, sp_plan_get(plan, axis), value);
        const int added = snprintf(text + length, capacity - length, "%s%s=%s",
                                   length > 0 ? "," : "", sp_axis_describe(axis)->name, value);
        length += (size_t)added;
        assert(length < capacity);
    }
    return length;
}
