/* SPDX-License-Identifier: Apache-2.0 */
/* The walk over a space like an odometer: digits turn, ids are added up, and a rule that refuses a
 * digit skips all plans below it at once. No recursion and no division. */
#include "space/space.h"

#include <assert.h>

static void set_value(sp_walk *w, sp_axis_id d)
{
    const uint32_t value = w->space->axes[d].values[w->digit[d]];
    sp_plan_set(&w->plan, d, value);
    w->values[d] = sp_axis_number(d, value);
    if (d != SP_AXIS_pp && d != SP_AXIS_micro_batch) return;
    sp_plan_derive(&w->plan, w->space->problem->question.global_batch);
    w->values[SP_VAR_DP] = (double)w->plan.dp;
    w->values[SP_VAR_ACCUMULATION] = (double)w->plan.accumulation;
}

/* The canonical or structure rule that the current digit breaks, or SP_NO_RULE. */
static uint32_t meaning_refusal(const sp_walk *w)
{
    const sp_depth *at = &w->space->depths[w->depth];
    for (uint32_t i = 0; i < at->n_meanings; i++) {
        if (!at->meanings[i].admits(w->space->problem, &w->plan)) return at->meanings[i].rule;
    }
    return SP_NO_RULE;
}

static uint32_t other_refusal(const sp_walk *w, sp_axis_id d, uint64_t *engines)
{
    const sp_space *space = w->space;
    uint32_t rule = sp_engine_refusal(space, d, w->values, engines);
    if (rule == SP_NO_RULE) rule = sp_where_refusal(space, d, w->values);
    if (rule != SP_NO_RULE || d != space->memory->depth || w->memory_late) return rule;
    return space->memory->admits(space->problem, &w->plan) ? SP_NO_RULE : space->memory_rule;
}

/* Carries down what refused the plans so far, or asks the rules of this depth. */
static void carry(sp_walk *w, sp_axis_id d)
{
    w->engines[d] = d > 0 ? w->engines[d - 1] : w->space->all_engines;
    w->refused[d] = d > 0 ? w->refused[d - 1] : SP_NO_RULE;
    if (w->refused[d] == SP_NO_RULE) w->refused[d] = other_refusal(w, d, &w->engines[d]);
}

/* Takes the current digit; false when it means nothing and its ids are skipped. */
static bool enter(sp_walk *w)
{
    set_value(w, w->depth);
    const uint32_t rule = meaning_refusal(w);
    if (rule != SP_NO_RULE) {
        w->pruned[rule] += w->space->axes[w->depth].stride;
        return false;
    }
    carry(w, w->depth);
    return true;
}

/* Turns the digit of the current depth or the nearest one above that has a value left; the digits
 * below stand at 0. */
static bool turn(sp_walk *w)
{
    const sp_axis *axes = w->space->axes;
    while (w->digit[w->depth] + 1 == axes[w->depth].n_values) {
        w->id -= w->digit[w->depth] * axes[w->depth].stride;
        w->digit[w->depth] = 0;
        if (w->depth == w->first) return false;
        w->depth--;
    }
    w->digit[w->depth]++;
    w->id += axes[w->depth].stride;
    return true;
}

void sp_walk_begin(sp_walk *w, const sp_space *space, uint64_t prefix_id, sp_axis_id first,
                   sp_axis_id last, uint64_t *pruned)
{
    assert(prefix_id < space->n_plans && first <= last && last < SP_N_AXES);
    *w = (sp_walk){.space = space,
                   .pruned = pruned,
                   .first = first,
                   .last = last,
                   .depth = first,
                   .id = prefix_id,
                   .plan = sp_plan_default()};
    uint64_t rest = prefix_id;
    for (sp_axis_id d = 0; d < first; d++) {
        w->digit[d] = (uint32_t)(rest / space->axes[d].stride);
        rest %= space->axes[d].stride;
        set_value(w, d);
        carry(w, d);
    }
    assert(rest == 0);
}

bool sp_walk_next(sp_walk *w)
{
    bool more = !w->started || turn(w);
    w->started = true;
    while (more) {
        if (!enter(w)) {
            more = turn(w);
        } else if (w->depth == w->last) {
            return true;
        } else {
            w->depth++;
        }
    }
    return false;
}
