/* SPDX-License-Identifier: Apache-2.0 */
/* The walk over serving plans like an odometer; odometer.c is that of training plans. */
#include "space/serving.h"

#include <assert.h>

/* Workers follow from the layouts of both pools. */
static void set_value(sp_serving_walk *w, sp_serving_axis_id d)
{
    w->plan.value[d] = w->space->axes[d].values[w->digit[d]];
    if (d == SP_SERVING_LAYOUT_AXIS) sp_serving_plan_derive(w->space->problem, &w->plan);
}

/* Carries down what refused the plans so far, or asks the rules of this depth. */
static void carry(sp_serving_walk *w, sp_serving_axis_id d)
{
    w->refused[d] = d > 0 ? w->refused[d - 1] : SP_NO_RULE;
    if (w->refused[d] == SP_NO_RULE) {
        w->refused[d] = sp_serving_other_refusal(w->space, &w->plan, d);
    }
}

/* Takes the current digit; false when it means nothing and its ids are skipped. */
static bool enter(sp_serving_walk *w)
{
    set_value(w, w->depth);
    const uint32_t rule = sp_serving_meaning_refusal(w->space, &w->plan, w->depth);
    if (rule != SP_NO_RULE) {
        w->pruned[rule] += w->space->axes[w->depth].stride;
        return false;
    }
    carry(w, w->depth);
    return true;
}

/* Turns the digit of the current depth or the nearest one above that has a value left; the digits
 * below stand at 0. */
static bool turn(sp_serving_walk *w)
{
    const sp_serving_axis *axes = w->space->axes;
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

void sp_serving_walk_begin(sp_serving_walk *w, const sp_serving_space *space, uint64_t prefix_id,
                           sp_serving_axis_id first, sp_serving_axis_id last, uint64_t *pruned)
{
    assert(prefix_id < space->n_plans && first <= last && last < SP_N_SERVING_AXES);
    *w = (sp_serving_walk){.space = space,
                           .pruned = pruned,
                           .first = first,
                           .last = last,
                           .depth = first,
                           .id = prefix_id};
    uint64_t rest = prefix_id;
    for (sp_serving_axis_id d = 0; d < first; d++) {
        w->digit[d] = (uint32_t)(rest / space->axes[d].stride);
        rest %= space->axes[d].stride;
        set_value(w, d);
        carry(w, d);
    }
    assert(rest == 0);
}

void sp_serving_walk_below(sp_serving_walk *w, const sp_serving_walk *above,
                           sp_serving_axis_id last, uint64_t *pruned)
{
    assert(above->depth == above->last && above->last < last);
    *w = *above;
    w->first = w->depth = (sp_serving_axis_id)(above->last + 1);
    w->last = last;
    w->started = false;
    w->pruned = pruned;
}

/* Values of one axis that mean something; `each` ids stand below each of the others. */
static uint64_t count_axis(const sp_serving_walk *above, sp_serving_axis_id axis, uint64_t each,
                           uint64_t *pruned)
{
    const sp_serving_axis *a = &above->space->axes[axis];
    sp_serving_plan plan = above->plan;
    uint64_t n = 0;
    for (uint32_t i = 0; i < a->n_values; i++) {
        plan.value[axis] = a->values[i];
        const uint32_t rule = sp_serving_meaning_refusal(above->space, &plan, axis);
        if (rule == SP_NO_RULE) {
            n++;
        } else {
            pruned[rule] += each;
        }
    }
    return n;
}

uint64_t sp_serving_walk_count(const sp_serving_walk *above, uint64_t *pruned)
{
    assert(above->depth == SP_SERVING_LAYOUT_AXIS);
    const uint64_t below = above->space->axes[SP_SERVING_AXIS_chunk_tokens].stride;
    const uint64_t chunks = count_axis(above, SP_SERVING_AXIS_chunk_tokens, below, pruned);
    return chunks * count_axis(above, SP_SERVING_AXIS_batch, chunks, pruned);
}

bool sp_serving_walk_next(sp_serving_walk *w)
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
