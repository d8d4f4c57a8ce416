/* SPDX-License-Identifier: Apache-2.0 */
/* Serving plans: what follows from their axes, and their text, "engine=vllm,tp=4,batch=64". */
#include "serve/serving_priv.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

_Static_assert(sizeof(sp_serving_plan) == (SP_N_SERVING_AXES + 1) * sizeof(uint32_t),
               "plans are compared and hashed as bytes: no padding");

sp_serving_plan sp_serving_plan_default(const sp_serving_problem *problem)
{
    sp_serving_plan plan = {0};
    for (sp_serving_axis_id axis = 0; axis < SP_N_SERVING_AXES; axis++) {
        plan.value[axis] = sp_serving_axis_describe(axis)->fallback;
    }
    plan.value[SP_SERVING_AXIS_gpus] = problem->gpus_values[0];
    plan.value[SP_SERVING_AXIS_mode] =
        problem->modes[SP_SERVING_AGG] ? SP_SERVING_AGG : SP_SERVING_DISAGG;
    sp_serving_plan_derive(problem, &plan);
    return plan;
}

/* Workers of all GPUs that the prefill pool leaves; with --use upto some may stay idle. */
void sp_serving_plan_derive(const sp_serving_problem *problem, sp_serving_plan *plan)
{
    uint64_t gpus = plan->value[SP_SERVING_AXIS_gpus];
    const uint32_t each = sp_serving_worker_gpus(plan, SP_ROLE_DECODE);
    plan->workers = 0;
    if (plan->value[SP_SERVING_AXIS_mode] == SP_SERVING_DISAGG) {
        const uint64_t taken = (uint64_t)plan->value[SP_SERVING_AXIS_prefill_workers] *
                               sp_serving_worker_gpus(plan, SP_ROLE_PREFILL);
        if (taken == 0 || taken >= gpus) return;
        gpus -= taken;
    }
    if (each == 0 || (gpus % each != 0 && !problem->question.use_upto)) return;
    plan->workers = (uint32_t)(gpus / each);
}

/* ---- text ---- */

/* The text between two commas: name=value. */
typedef struct setting {
    char name[48], value[48];
} setting;

static sp_status fail_column(size_t column, sp_error *err)
{
    char message[sizeof err->message];
    memcpy(message, err->message, sizeof message);
    (void)snprintf(err->message, sizeof err->message, "column %zu: %.280s", column, message);
    return err->status;
}

static sp_status split(const char *start, size_t length, setting *out, sp_error *err)
{
    const char *equals = memchr(start, '=', length);
    const size_t n_name = equals != NULL ? (size_t)(equals - start) : 0;
    if (n_name == 0 || n_name >= sizeof out->name || length - n_name - 1 >= sizeof out->value) {
        sp_fail(err, SP_E_SYNTAX, "a plan is written axis=value,axis=value");
        return sp_fail_value(err, "%.*s", (int)length, start);
    }
    (void)snprintf(out->name, sizeof out->name, "%.*s", (int)n_name, start);
    (void)snprintf(out->value, sizeof out->value, "%.*s", (int)(length - n_name - 1), equals + 1);
    return SP_OK;
}

static sp_status parse_setting(const sp_serving_problem *problem, const char *start, size_t length,
                               uint32_t *seen, sp_serving_plan *plan, sp_error *err)
{
    setting text = {0};
    sp_serving_axis_id axis = SP_N_SERVING_AXES;
    SP_TRY(split(start, length, &text, err));
    SP_TRY(sp_serving_axis_find_or_fail(text.name, &axis, err));
    if ((*seen >> axis & 1) != 0) {
        sp_fail(err, SP_E_INCONSISTENT, "%s is set twice", text.name);
        return sp_fail_value(err, "%.*s", (int)length, start);
    }
    *seen |= UINT32_C(1) << axis;
    return sp_serving_parse_value(problem, axis, text.value, &plan->value[axis], err);
}

/* Of ep and moe_tp the one that was not named is what is left of the width. */
static void complete_width(uint32_t seen, sp_serving_axis_id tp, sp_serving_axis_id attn_dp,
                           sp_serving_axis_id ep, sp_serving_axis_id moe_tp, sp_serving_plan *plan)
{
    const uint64_t width = (uint64_t)plan->value[tp] * plan->value[attn_dp];
    const bool has_ep = (seen >> ep & 1) != 0, has_tp = (seen >> moe_tp & 1) != 0;
    const sp_serving_axis_id known = has_tp ? moe_tp : ep, other = has_tp ? ep : moe_tp;
    if ((has_ep && has_tp) || width % plan->value[known] != 0) return;
    plan->value[other] = (uint32_t)(width / plan->value[known]);
}

static void complete(uint32_t seen, sp_serving_plan *plan)
{
    complete_width(seen, SP_SERVING_AXIS_tp, SP_SERVING_AXIS_attn_dp, SP_SERVING_AXIS_ep,
                   SP_SERVING_AXIS_moe_tp, plan);
    if (plan->value[SP_SERVING_AXIS_mode] != SP_SERVING_DISAGG) return;
    complete_width(seen, SP_SERVING_AXIS_prefill_tp, SP_SERVING_AXIS_prefill_attn_dp,
                   SP_SERVING_AXIS_prefill_ep, SP_SERVING_AXIS_prefill_moe_tp, plan);
}

sp_status sp_serving_plan_parse(const sp_serving_problem *problem, const char *text,
                                sp_serving_plan *plan, sp_error *err)
{
    static_assert(SP_N_SERVING_AXES <= 32, "a bit for each");
    sp_serving_plan read = *plan;
    uint32_t seen = 0;
    const char *start = text;
    for (;;) {
        const size_t length = strcspn(start, ",");
        if (parse_setting(problem, start, length, &seen, &read, err) != SP_OK) {
            return fail_column((size_t)(start - text) + 1, err);
        }
        if (start[length] == '\0') break;
        start += length + 1;
    }
    complete(seen, &read);
    sp_serving_plan_derive(problem, &read);
    *plan = read;
    return SP_OK;
}

/* What a reader wants to see whatever its value; of others those that differ from their first. */
static bool is_written(const sp_serving_problem *problem, const sp_serving_plan *plan,
                       sp_serving_axis_id axis)
{
    const bool disagg = plan->value[SP_SERVING_AXIS_mode] == SP_SERVING_DISAGG;
    const bool prefill =
        axis >= SP_SERVING_AXIS_prefill_tp && axis <= SP_SERVING_AXIS_prefill_workers;
    if (prefill && !disagg) return false;
    if (axis == SP_SERVING_AXIS_ep || axis == SP_SERVING_AXIS_prefill_ep) {
        return problem->has_experts;
    }
    if (axis == SP_SERVING_AXIS_engine || axis == SP_SERVING_AXIS_tp ||
        axis == SP_SERVING_AXIS_prefill_tp || axis == SP_SERVING_AXIS_prefill_workers ||
        axis == SP_SERVING_AXIS_chunk_tokens || axis == SP_SERVING_AXIS_batch ||
        axis == SP_SERVING_AXIS_gpus) {
        return true;
    }
    if (axis == SP_SERVING_AXIS_moe_tp || axis == SP_SERVING_AXIS_prefill_moe_tp) return false;
    return plan->value[axis] != sp_serving_axis_describe(axis)->fallback;
}

size_t sp_serving_plan_format(const sp_serving_problem *problem, const sp_serving_plan *plan,
                              char *text, size_t capacity)
{
    assert(capacity >= SP_SERVING_TEXT_BYTES);
    size_t length = 0;
    text[0] = '\0';
    for (sp_serving_axis_id axis = 0; axis < SP_N_SERVING_AXES; axis++) {
        char value[32];
        if (!is_written(problem, plan, axis)) continue;
        sp_serving_format_value(problem, axis, plan->value[axis], value);
        const int added =
            snprintf(text + length, capacity - length, "%s%s=%s", length > 0 ? "," : "",
                     sp_serving_axis_describe(axis)->name, value);
        length += (size_t)added;
        assert(length < capacity);
    }
    return length;
}
