/* SPDX-License-Identifier: Apache-2.0 */
/* The closed forms of the pipeline schedules against a run of the pipeline pass by pass.
 *   F, B: forward and backward time of one stage, t = F + B */
#include "common/close.h"
#include "common/draw.h"
#include "step/pipeline.h"
#include "step/step.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* The sum of hundreds of doubles. */
#define ROUNDING 1e-12

static double stage_s(const pipeline *pipe, uint32_t i)
{
    return pipe->v * (pipe->forward_s[i] + pipe->backward_s[i]);
}

static pipeline even_pipeline(uint32_t p, uint32_t v, uint32_t m, double f, double b)
{
    pipeline pipe = {.p = p, .v = v, .m = m};
    for (uint32_t i = 0; i < p; i++) {
        pipe.forward_s[i] = f;
        pipe.backward_s[i] = b;
    }
    return pipe;
}

static pipeline random_pipeline(draw *d)
{
    pipeline pipe = {.p = draw_between(d, 1, 16), .v = 1, .m = draw_between(d, 1, 64)};
    for (uint32_t i = 0; i < pipe.p; i++) {
        pipe.forward_s[i] = draw_scale(d, 0.1, 10);
        pipe.backward_s[i] = draw_scale(d, 0.1, 10);
    }
    return pipe;
}

/* 4 stages of 1 s forward and 2 s backward, 8 micro-batches: 8 x 3 + 3 x 3 = 33 s. */
static void one_forward_one_backward_by_hand(void **state)
{
    (void)state;
    const pipeline pipe = even_pipeline(4, 1, 8, 1, 2);
    assert_true(run_1f1b(&pipe).step_s == 33.0);
    assert_true(closed_form_s(SP_SCHEDULE_1F1B, &pipe) == 33.0);
}

/* The same cut in 2 chunks a stage of 0.5 s and 1 s: the bubble of 9 s halves. */
static void interleaving_by_hand(void **state)
{
    (void)state;
    const pipeline pipe = even_pipeline(4, 2, 8, 0.5, 1);
    assert_true(run_interleaved(&pipe).step_s == 28.5);
    assert_true(closed_form_s(SP_SCHEDULE_INTERLEAVED, &pipe) == 28.5);
}

static void even_stages_take_m_and_p_less_1_times_a_stage(void **state)
{
    (void)state;
    draw d = draw_begin("even_stages_take_m_and_p_less_1_times_a_stage");
    for (int trial = 0; trial < 500; trial++) {
        const double f = draw_scale(&d, 0.1, 10), b = draw_scale(&d, 0.1, 10);
        const pipeline pipe =
            even_pipeline(draw_between(&d, 1, 16), 1, draw_between(&d, 1, 64), f, b);
        const double step_s = run_1f1b(&pipe).step_s;
        assert_close(step_s, (pipe.m + pipe.p - 1) * (f + b), ROUNDING);
        assert_close(closed_form_s(SP_SCHEDULE_1F1B, &pipe), step_s, ROUNDING);
    }
}

/* 4 stages of 1 s forward and 2 s backward, 8 micro-batches: 8 + 3 s forward, 16 + 6 s back. */
static void gpipe_by_hand(void **state)
{
    (void)state;
    const pipeline pipe = even_pipeline(4, 1, 8, 1, 2);
    assert_true(run_gpipe(&pipe).step_s == 33.0);
    assert_true(closed_form_s(SP_SCHEDULE_GPIPE, &pipe) == 33.0);
}

/* Both passes wait for the slowest stage, so that the form is exact for stages of any length whose
 * passes stand in one proportion; 1F1B is no slower. */
static void gpipe_takes_its_form_on_stages_of_any_length(void **state)
{
    (void)state;
    draw d = draw_begin("gpipe_takes_its_form_on_stages_of_any_length");
    for (int trial = 0; trial < 1000; trial++) {
        pipeline pipe = random_pipeline(&d);
        const double ratio = draw_scale(&d, 0.5, 4);
        for (uint32_t i = 0; i < pipe.p; i++) {
            pipe.backward_s[i] = ratio * pipe.forward_s[i];
        }
        const double step_s = run_gpipe(&pipe).step_s;
        assert_close(closed_form_s(SP_SCHEDULE_GPIPE, &pipe), step_s, ROUNDING);
        assert_at_most(run_1f1b(&pipe).step_s, step_s, ROUNDING);
    }
}

/* Stage i works m t_i, after the first and before the last pass of the stages ahead of it. */
static double least_s(const pipeline *pipe)
{
    double least = 0.0, ahead = 0.0;
    for (uint32_t i = 0; i < pipe->p; i++) {
        least = fmax(least, pipe->m * stage_s(pipe, i) + ahead);
        ahead += stage_s(pipe, i);
    }
    return least;
}

/* The form is a chain of passes, so that no run is shorter; and where backward passes take the same
 * multiple of forward passes, none is longer than m times the slowest stage and once the others: a
 * loop over k neighbours lets k micro-batches through. */
static void the_form_of_uneven_stages_is_a_chain_of_the_run(void **state)
{
    (void)state;
    draw d = draw_begin("the_form_of_uneven_stages_is_a_chain_of_the_run");
    for (int trial = 0; trial < 3000; trial++) {
        pipeline pipe = random_pipeline(&d);
        const double ratio = draw_scale(&d, 0.5, 4);
        double slowest_s = 0.0, sum_s = 0.0;
        for (uint32_t i = 0; i < pipe.p; i++) {
            pipe.backward_s[i] = ratio * pipe.forward_s[i];
            slowest_s = fmax(slowest_s, stage_s(&pipe, i));
            sum_s += stage_s(&pipe, i);
        }
        const double step_s = run_1f1b(&pipe).step_s;
        assert_at_most(least_s(&pipe), step_s, ROUNDING);
        assert_at_most(closed_form_s(SP_SCHEDULE_1F1B, &pipe), step_s, ROUNDING);
        assert_at_most(step_s, (pipe.m - 1) * slowest_s + sum_s, ROUNDING);
    }
}

/* Stages as real ones are: whole layers, counts that differ by one at most, an embedding on the
 * first stage, a head of up to three layers on the last one. No more than 0.5 % is missing. */
static void layers_and_ends_take_the_form(void **state)
{
    (void)state;
    draw d = draw_begin("layers_and_ends_take_the_form");
    for (int trial = 0; trial < 3000; trial++) {
        const double ratio = draw_scale(&d, 1, 3), head = draw_scale(&d, 0.1, 3);
        const uint32_t layers = draw_between(&d, 1, 6), p = draw_between(&d, 1, 16);
        const uint32_t more = draw_between(&d, 0, p - 1);
        pipeline pipe = even_pipeline(p, 1, draw_between(&d, 1, 64), layers, ratio * layers);
        for (uint32_t i = 1; i <= more && i < p; i++) {
            pipe.forward_s[i] += 1.0;
            pipe.backward_s[i] += ratio;
        }
        pipe.forward_s[0] += 0.05;
        pipe.forward_s[p - 1] += head;
        pipe.backward_s[p - 1] += 2.0 * head;
        const double step_s = run_1f1b(&pipe).step_s,
                     form_s = closed_form_s(SP_SCHEDULE_1F1B, &pipe);
        assert_at_most(form_s, step_s, ROUNDING);
        assert_at_most(0.995 * step_s, form_s, ROUNDING);
    }
}

/* Stages that differ in the ratio too can take turns in being the slowest while the pipeline fills;
 * then the longest passes of any stage bound the run: (m - 1) (max F + max B) + sum. */
static void any_stages_lie_below_the_longest_passes(void **state)
{
    (void)state;
    draw d = draw_begin("any_stages_lie_below_the_longest_passes");
    for (int trial = 0; trial < 3000; trial++) {
        const pipeline pipe = random_pipeline(&d);
        double forward = 0.0, backward = 0.0, sum = 0.0;
        for (uint32_t i = 0; i < pipe.p; i++) {
            forward = fmax(forward, pipe.forward_s[i]);
            backward = fmax(backward, pipe.backward_s[i]);
            sum += stage_s(&pipe, i);
        }
        const double step_s = run_1f1b(&pipe).step_s;
        assert_at_most(least_s(&pipe), step_s, ROUNDING);
        assert_at_most(step_s, (pipe.m - 1) * (forward + backward) + sum, ROUNDING);
    }
}

/* Where the last stage has the longest passes, any chain runs through it. */
static void a_slowest_last_stage_makes_the_form_exact(void **state)
{
    (void)state;
    draw d = draw_begin("a_slowest_last_stage_makes_the_form_exact");
    for (int trial = 0; trial < 1000; trial++) {
        pipeline pipe = random_pipeline(&d);
        pipe.forward_s[pipe.p - 1] = pipe.backward_s[pipe.p - 1] = 20.0;
        assert_close(run_1f1b(&pipe).step_s, closed_form_s(SP_SCHEDULE_1F1B, &pipe), ROUNDING);
    }
}

static void even_chunks_divide_the_bubble_by_their_number(void **state)
{
    (void)state;
    draw d = draw_begin("even_chunks_divide_the_bubble_by_their_number");
    for (int trial = 0; trial < 300; trial++) {
        const uint32_t p = draw_between(&d, 2, 12), v = draw_between(&d, 2, 6);
        const uint32_t m = p * draw_between(&d, 1, 1024 / (p * v) < 6 ? 1024 / (p * v) : 6);
        const double f = draw_scale(&d, 0.1, 10), b = draw_scale(&d, 0.1, 10);
        const pipeline pipe = even_pipeline(p, v, m, f / v, b / v);
        const double step_s = run_interleaved(&pipe).step_s;
        assert_close(step_s, m * (f + b) + (p - 1) * (f + b) / v, ROUNDING);
        assert_close(closed_form_s(SP_SCHEDULE_INTERLEAVED, &pipe), step_s, ROUNDING);
    }
}

/* ---- micro-batches in flight ---- */
static double form_of(sp_schedule schedule, const pipeline *pipe, uint32_t stage)
{
    const sp_pipeline_shape shape = shape_of(pipe);
    return sp_schedule_in_flight(sp_schedule_describe(schedule), &shape, stage);
}

static void stages_hold_as_many_micro_batches_as_stages_follow(void **state)
{
    (void)state;
    for (uint32_t p = 1; p <= 16; p++) {
        for (uint32_t m = 1; m <= 24; m++) {
            const pipeline pipe = even_pipeline(p, 1, m, 1, 2);
            const pipeline_result result = run_1f1b(&pipe);
            for (uint32_t i = 0; i < p; i++) {
                const double form = form_of(SP_SCHEDULE_1F1B, &pipe, i);
                assert_true(form == result.chunks_held[i]);
            }
        }
    }
}

static void gpipe_holds_every_micro_batch_on_every_stage(void **state)
{
    (void)state;
    for (uint32_t p = 1; p <= 16; p++) {
        for (uint32_t m = 1; m <= 24; m++) {
            const pipeline pipe = even_pipeline(p, 1, m, 1, 2);
            const pipeline_result result = run_gpipe(&pipe);
            for (uint32_t i = 0; i < p; i++) {
                const double form = form_of(SP_SCHEDULE_GPIPE, &pipe, i);
                assert_true(form == result.chunks_held[i] && form == m);
            }
        }
    }
}

/* Exact in the published order, for every stage; in units of a stage, which is v chunks. */
static void interleaved_stages_hold_the_chunks_of_their_warm_up(void **state)
{
    (void)state;
    for (uint32_t p = 2; p <= 12; p++) {
        for (uint32_t v = 2; v <= 5; v++) {
            for (uint32_t m = p; m <= 3 * p; m += p) {
                const pipeline pipe = even_pipeline(p, v, m, 1, 2);
                const pipeline_result result = run_interleaved(&pipe);
                for (uint32_t i = 0; i < p; i++) {
                    const double form = form_of(SP_SCHEDULE_INTERLEAVED, &pipe, i);
                    assert_close(form * v, result.chunks_held[i], 1e-15);
                }
            }
        }
    }
}

/* Korthikanti et al., MLSys 2023: interleaving multiplies the activations of the first stage, p
 * micro-batches, by 1 + (p - 1) / (p v). */
static void the_first_stage_pays_the_published_factor(void **state)
{
    (void)state;
    for (uint32_t p = 2; p <= PIPELINE_MAX_STAGES; p++) {
        for (uint32_t v = 2; v <= 8; v++) {
            const pipeline pipe = even_pipeline(p, v, 100 * p, 1, 2);
            const double form = form_of(SP_SCHEDULE_INTERLEAVED, &pipe, 0);
            assert_close(form, p * (1 + (p - 1.0) / (p * (double)v)), 1e-15);
        }
    }
}

static void later_stages_hold_no_more_unless_gradients_are_late(void **state)
{
    (void)state;
    for (int schedule = 0; schedule < SP_N_SCHEDULES; schedule++) {
        const sp_schedule_kind *kind = sp_schedule_describe((sp_schedule)schedule);
        for (uint32_t p = 2; p <= 32 && !kind->holds_late; p++) {
            const uint32_t v = schedule == SP_SCHEDULE_INTERLEAVED ? 2 + p % 4 : 1;
            for (uint32_t pairs = 0; pairs <= kind->pairs; pairs++) {
                const sp_pipeline_shape shape = {.p = p, .v = v, .m = 2 * p, .pairs = pairs != 0};
                for (uint32_t i = 1; i < p; i++) {
                    assert_true(sp_schedule_in_flight(kind, &shape, i) <=
                                sp_schedule_in_flight(kind, &shape, i - 1));
                }
            }
        }
    }
}

static void schedules_go_by_the_names_of_the_axis(void **state)
{
    (void)state;
    const sp_axis_info *axis = sp_axis_describe(SP_AXIS_schedule);
    assert_int_equal(axis->n_names, SP_N_SCHEDULES);
    for (uint32_t i = 0; i < axis->n_names; i++) {
        assert_string_equal(sp_schedule_describe((sp_schedule)i)->name, axis->names[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_forward_one_backward_by_hand),
        cmocka_unit_test(interleaving_by_hand),
        cmocka_unit_test(gpipe_by_hand),
        cmocka_unit_test(gpipe_takes_its_form_on_stages_of_any_length),
        cmocka_unit_test(even_stages_take_m_and_p_less_1_times_a_stage),
        cmocka_unit_test(the_form_of_uneven_stages_is_a_chain_of_the_run),
        cmocka_unit_test(layers_and_ends_take_the_form),
        cmocka_unit_test(any_stages_lie_below_the_longest_passes),
        cmocka_unit_test(a_slowest_last_stage_makes_the_form_exact),
        cmocka_unit_test(even_chunks_divide_the_bubble_by_their_number),
        cmocka_unit_test(stages_hold_as_many_micro_batches_as_stages_follow),
        cmocka_unit_test(gpipe_holds_every_micro_batch_on_every_stage),
        cmocka_unit_test(interleaved_stages_hold_the_chunks_of_their_warm_up),
        cmocka_unit_test(the_first_stage_pays_the_published_factor),
        cmocka_unit_test(later_stages_hold_no_more_unless_gradients_are_late),
        cmocka_unit_test(schedules_go_by_the_names_of_the_axis),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
