/* SPDX-License-Identifier: Apache-2.0 */
/* Every axis of a plan matters: a plan that differs from an admitted one in a single axis, and is
 * admitted too, has another estimate. Otherwise one plan would have two ids. */
#include "laws/questions.h"
#include "step/step.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static bool is_admitted(const sp_space *space, const sp_plan *plan)
{
    const uint32_t rule = sp_space_refusal(space, plan);
    return rule == UINT32_MAX || sp_space_rule(space, rule)->class > SP_RULE_STRUCTURE;
}

static bool same_figures(const sp_problem *problem, const sp_plan *a, const sp_plan *b)
{
    sp_estimate x, y;
    sp_estimate_plan(problem, a, &x);
    sp_estimate_plan(problem, b, &y);
    for (uint32_t i = 0; i < sp_field_count(); i++) {
        if (sp_field_get(&x, i) != sp_field_get(&y, i)) return false;
    }
    return true;
}

static void tell(const sp_problem *problem, const sp_plan *plan, sp_axis_id axis, uint32_t value)
{
    print_question(&problem->question);
    char text[SP_PLAN_TEXT_BYTES], other[24];
    sp_plan_format(plan, text, sizeof text);
    sp_axis_format_value(axis, value, other);
    print_message("%s: no change with %s=%s\n", text, sp_axis_describe(axis)->name, other);
}

/* Pairs that an axis tells apart, or does not. */
typedef struct flips {
    uint32_t n[SP_N_AXES], n_same[SP_N_AXES];
} flips;

/* No activation lives during the update: where that is the fullest phase, a schedule that holds
 * more of them and takes as long changes no figure. Nor does it where ep_overlap, which holds one
 * more micro-batch, makes 1F1B hold all of them, as GPipe does. */
static bool hides_schedule(const sp_problem *problem, const sp_plan *plan, sp_axis_id id)
{
    sp_memory memory;
    if (id != SP_AXIS_schedule) return false;
    if (plan->ep_overlap == SP_ON && plan->accumulation <= plan->pp + 1u) return true;
    sp_estimate_memory(problem, plan, &memory);
    return memory.peak_phase == SP_AT_OPTIMIZER;
}

/* Of the waits for host and network the longer counts: where that is the host's, the network may do
 * as it likes. */
static bool hides_dp_overlap(const sp_plan *plan, sp_axis_id id)
{
    return id == SP_AXIS_dp_overlap && sp_plan_offloads(plan);
}

static void flip(const sp_space *space, const sp_plan *plan, sp_axis_id id, flips *f)
{
    const sp_axis *axis = sp_space_axis(space, id);
    for (uint32_t i = 0; i < axis->n_values; i++) {
        if (axis->values[i] == sp_plan_get(plan, id)) continue;
        sp_plan other = *plan;
        sp_plan_set(&other, id, axis->values[i]);
        sp_plan_derive(&other, sp_space_problem(space)->question.global_batch);
        if (!is_admitted(space, &other)) continue;
        f->n[id]++;
        if (!same_figures(sp_space_problem(space), plan, &other)) continue;
        if (hides_schedule(sp_space_problem(space), plan, id)) continue;
        if (hides_dp_overlap(plan, id)) continue;
        if (f->n_same[id]++ < 3) tell(sp_space_problem(space), plan, id, axis->values[i]);
    }
}

static void flip_some(draw *d, const sp_space *space, flips *f)
{
    const uint64_t count = sp_space_count(space);
    for (uint32_t tries = 0; tries < 6000; tries++) {
        const sp_plan plan = sp_space_unrank(space, draw_u64(d) % count);
        if (!is_admitted(space, &plan)) continue;
        for (sp_axis_id id = 0; id < SP_N_AXES; id++) {
            flip(space, &plan, id, f);
        }
    }
}

static void every_axis_of_an_admitted_plan_matters(void **state)
{
    (void)state;
    flips f = {0};
    draw d = draw_begin("flip");
    for (uint32_t n = 0; n < 200; n++) {
        drawn_question drawn;
        sp_problem *problem = NULL;
        sp_space *space = NULL;
        draw_question(&d, &drawn);
        build_question(&drawn.question, &problem, &space);
        flip_some(&d, space, &f);
        sp_space_free(space);
        sp_problem_free(problem);
    }
    for (sp_axis_id id = 0; id < SP_N_AXES; id++) {
        print_message("%-13s %6u pairs, %u alike\n", sp_axis_describe(id)->name, f.n[id],
                      f.n_same[id]);
        assert_int_equal(f.n_same[id], 0);
        assert_true(f.n[id] > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_axis_of_an_admitted_plan_matters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
