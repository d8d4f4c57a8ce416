/* SPDX-License-Identifier: Apache-2.0 */
/* The settings that `shardplan memory` of training was not told. They are at rest, as those of
 * shardplan estimate; where such a plan cannot be built or the engine does not run it, one of them
 * becomes what it does run: a ZeRO stage first, the highest, as FSDP shards fully and DDP not. */
#include "cli/memory.h"

/* The rule that refuses the plan before its memory is asked for; UINT32_MAX: none does. */
static uint32_t refusal_of(const sp_space *space, const sp_plan *plan, uint64_t global_batch)
{
    sp_plan derived = *plan;
    sp_plan_derive(&derived, global_batch);
    const uint32_t rule = sp_space_refusal(space, &derived);
    if (rule == UINT32_MAX) return rule;
    const sp_rule_class class = sp_space_rule(space, rule)->class;
    return class == SP_RULE_MEMORY || class == SP_RULE_NETWORK ? UINT32_MAX : rule;
}

/* Flags say these, or tell nothing; --set has cut the others down to what they may be. */
static bool is_settled(sp_axis_id axis)
{
    static const sp_axis_id flags[] = {SP_AXIS_gpus, SP_AXIS_tp, SP_AXIS_pp, SP_AXIS_ep,
                                       SP_AXIS_micro_batch};
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        if (flags[i] == axis) return true;
    }
    return false;
}

/* Sizes of the groups are not changed either: who talks to whom is the question. */
static bool is_geometry(sp_axis_id axis)
{
    return axis == SP_AXIS_cp || axis == SP_AXIS_etp || is_settled(axis);
}

/* Another value of one axis with which nothing refuses the plan, the largest first. */
static bool change_axis(const sp_space *space, sp_axis_id axis, uint64_t global_batch,
                        sp_plan *plan)
{
    const sp_axis *values = sp_space_axis(space, axis);
    for (uint32_t i = values->n_values; i-- > 0;) {
        sp_plan changed = *plan;
        sp_plan_set(&changed, axis, values->values[i]);
        if (refusal_of(space, &changed, global_batch) != UINT32_MAX) continue;
        *plan = changed;
        return true;
    }
    return false;
}

/* The first value of an axis whose resting one a setting of several values leaves out. */
static void enter_space(const sp_space *space, sp_plan *plan)
{
    for (sp_axis_id axis = 0; axis < SP_N_AXES; axis++) {
        const sp_axis *values = sp_space_axis(space, axis);
        const uint32_t value = sp_plan_get(plan, axis);
        bool inside = is_settled(axis);
        for (uint32_t i = 0; i < values->n_values && !inside; i++) {
            inside = values->values[i] == value;
        }
        if (!inside) sp_plan_set(plan, axis, values->values[0]);
    }
}

/* One more axis, under any ZeRO stage. */
static bool change_two(const sp_space *space, uint64_t global_batch, sp_plan *plan)
{
    const sp_axis *stages = sp_space_axis(space, SP_AXIS_zero);
    for (uint32_t i = stages->n_values; i-- > 0;) {
        sp_plan changed = *plan;
        sp_plan_set(&changed, SP_AXIS_zero, stages->values[i]);
        for (sp_axis_id axis = 0; axis < SP_N_AXES; axis++) {
            if (is_geometry(axis) || !change_axis(space, axis, global_batch, &changed)) continue;
            *plan = changed;
            return true;
        }
    }
    return false;
}

sp_status sp_memory_refuse_plan(const sp_rule_info *rule, const sp_plan *plan,
                                uint64_t global_batch, sp_error *err)
{
    char text[SP_PLAN_TEXT_BYTES];
    sp_plan derived = *plan;
    sp_plan_derive(&derived, global_batch);
    (void)sp_plan_format(plan, text, sizeof text);
    sp_fail(err, SP_E_INFEASIBLE, "the plan is refused by rule %s: %s", rule->name, rule->meaning);
    return sp_fail_value(err, "%s with dp=%u and a global batch of %llu", text,
                         (unsigned)derived.dp, (unsigned long long)global_batch);
}

sp_status sp_memory_settle(const sp_space *space, uint64_t global_batch, sp_plan *plan,
                           sp_error *err)
{
    enter_space(space, plan);
    const uint32_t rule = refusal_of(space, plan, global_batch);
    if (rule == UINT32_MAX || change_axis(space, SP_AXIS_zero, global_batch, plan)) return SP_OK;
    for (sp_axis_id axis = 0; axis < SP_N_AXES; axis++) {
        if (!is_geometry(axis) && change_axis(space, axis, global_batch, plan)) return SP_OK;
    }
    if (change_two(space, global_batch, plan)) return SP_OK;
    return sp_memory_refuse_plan(sp_space_rule(space, rule), plan, global_batch, err);
}
