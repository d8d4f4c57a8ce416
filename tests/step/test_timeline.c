/* SPDX-License-Identifier: Apache-2.0 */
/* Timelines of random plans: they end with the step of the estimate, no stage does two things at
 * once but for pairs, and every micro-batch passes once each way. */
#include "common/close.h"
#include "common/problems.h"
#include "shardplan/timeline.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static sp_timeline *timeline_of(const made_problem *made, const sp_plan *plan)
{
    sp_timeline *timeline = NULL;
    sp_error err = {0};
    assert_int_equal(sp_timeline_build(&made->problem, plan, &timeline, &err), SP_OK);
    return timeline;
}

static bool computes(const sp_event *e)
{
    return e->kind <= SP_EVENT_WEIGHT_GRAD;
}

static void follows_the_estimate(const made_problem *made, const sp_plan *plan)
{
    sp_estimate estimate;
    sp_estimate_plan(&made->problem, plan, &estimate);
    sp_timeline *timeline = timeline_of(made, plan);
    double end_s = 0.0, busy_s = 0.0, begun_s = 0.0;
    uint64_t forward = 0, back = 0;
    uint32_t stage = 0;
    for (size_t i = 0; i < timeline->n_events; i++) {
        const sp_event *e = &timeline->events[i];
        assert_true(e->start_s >= 0.0 && e->end_s > e->start_s);
        if (e->stage != stage) busy_s = begun_s = 0.0;
        stage = e->stage;
        if (computes(e)) {
            assert_true(e->start_s == begun_s || e->start_s >= busy_s * (1 - 1e-12));
            begun_s = e->start_s;
            busy_s = e->end_s;
        }
        forward += e->kind == SP_EVENT_FORWARD;
        back += e->kind == SP_EVENT_BACKWARD || e->kind == SP_EVENT_INPUT_GRAD;
        end_s = fmax(end_s, e->end_s);
    }
    const uint64_t passes = (uint64_t)plan->pp * plan->vpp * plan->accumulation;
    assert_int_equal(forward, passes);
    assert_int_equal(back, passes);
    assert_close(timeline->step_s, estimate.time.step_s, 1e-12);
    assert_at_most(end_s, estimate.time.step_s, 1e-9);
    sp_timeline_free(timeline);
}

static void timelines_follow_the_estimate(void **state)
{
    (void)state;
    draw d = draw_begin("timelines_follow_the_estimate");
    for (int i = 0; i < 60; i++) {
        made_problem made;
        make_random_problem(&made, &d);
        derive_problem(&made);
        for (int k = 0; k < 10; k++) {
            const sp_plan plan = draw_plan(&made, &d);
            if (plan.accumulation <= 128) follows_the_estimate(&made, &plan);
        }
        free_problem(&made);
    }
}

/* 8 equal layers without an embedding or head to speak of on a machine that only calculates: the
 * closed forms are the runs, and the last pass ends the step. */
static void equal_stages_are_not_stretched(void **state)
{
    (void)state;
    static const char *const plans[] = {"pp=4,schedule=1f1b",
                                        "pp=4,schedule=gpipe",
                                        "pp=4,vpp=2,schedule=interleaved",
                                        "pp=4,schedule=zb_h1",
                                        "pp=4,schedule=zb_h2",
                                        "pp=4,vpp=2,schedule=zb_v",
                                        "pp=4,schedule=dualpipe",
                                        "pp=4,vpp=2,schedule=dualpipe_v"};
    made_problem made;
    make_calculator(&made);
    make_llama(&made.model, 1024, 8, 8, 2816, 8);
    made.model.model.vocab = 1;
    derive_problem(&made);
    for (size_t i = 0; i < sizeof plans / sizeof plans[0]; i++) {
        sp_plan plan = sp_plan_default();
        sp_error err = {0};
        assert_int_equal(sp_plan_parse(plans[i], &plan, &err), SP_OK);
        plan.gpus = 4;
        plan.micro_batch = 4;
        sp_plan_derive(&plan, made.problem.question.global_batch);
        sp_timeline *timeline = timeline_of(&made, &plan);
        assert_close(timeline->stretch_ratio, 1.0, 1e-3);
        double end_s = 0.0;
        for (size_t n = 0; n < timeline->n_events; n++) {
            end_s = fmax(end_s, timeline->events[n].end_s);
        }
        assert_close(end_s, timeline->step_s, 1e-9);
        sp_timeline_free(timeline);
    }
    free_problem(&made);
}

static void building_survives_every_lack_of_memory(void **state)
{
    (void)state;
    made_problem made;
    make_calculator(&made);
    make_llama(&made.model, 1024, 8, 8, 2816, 8);
    derive_problem(&made);
    const sp_plan plan = make_plan(&made, 1, 4, 1, 64);
    sp_status status = SP_E_MEMORY;
    for (uint64_t nth = 1; status != SP_OK; nth++) {
        sp_timeline *timeline = NULL;
        sp_error err = {0};
        assert_true(nth < 100);
        sp_alloc_fail_at(nth);
        status = sp_timeline_build(&made.problem, &plan, &timeline, &err);
        sp_alloc_fail_at(0);
        assert_true(status == SP_OK || status == SP_E_MEMORY);
        assert_int_equal(timeline != NULL, status == SP_OK);
        sp_timeline_free(timeline);
    }
    free_problem(&made);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timelines_follow_the_estimate),
        cmocka_unit_test(equal_stages_are_not_stretched),
        cmocka_unit_test(building_survives_every_lack_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
