/* SPDX-License-Identifier: Apache-2.0 */
/* Schedules that cut backward passes in two or run passes in pairs: their closed forms against a
 * run of the published order pass by pass, and published figures.
 *   F, B, W: forward, input gradient and weight gradient of one stage and micro-batch */
#include "common/close.h"
#include "common/draw.h"
#include "step/pipeline.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define ROUNDING 1e-12

static const sp_schedule all[] = {SP_SCHEDULE_ZB_H1,     SP_SCHEDULE_ZB_H2, SP_SCHEDULE_ZB_V,
                                  SP_SCHEDULE_V_HALF,    SP_SCHEDULE_V_MIN, SP_SCHEDULE_DUALPIPE,
                                  SP_SCHEDULE_DUALPIPE_V};
#define N_ALL (sizeof all / sizeof all[0])

/* Equal stages of F, B, W seconds in all, cut into chunks. */
static pipeline even(sp_schedule schedule, uint32_t p, uint32_t m, double f, double b, double w)
{
    pipeline pipe = {.p = p, .m = m};
    pipe.v = sp_schedule_describe(schedule)->layout == SP_LAYOUT_V ? 2 : 1;
    const double chunks = sp_schedule_describe(schedule)->layout == SP_LAYOUT_ROW ? 1.0 : 2.0;
    for (uint32_t i = 0; i < p; i++) {
        pipe.forward_s[i] = f / chunks;
        pipe.backward_s[i] = b / chunks;
        pipe.weight_s[i] = w / chunks;
    }
    return pipe;
}

/* 4 stages, 12 micro-batches of 1 s each of F, B and W: 36 s of work. H1 waits p - 1 = 3 s where
 * 1F1B waits 9, H2 no more than it takes to begin, V half of that. */
static void the_bubbles_by_hand(void **state)
{
    (void)state;
    const struct {
        sp_schedule schedule;
        double step_s;
    } cases[] = {
        {SP_SCHEDULE_1F1B,  45  },
        {SP_SCHEDULE_ZB_H1, 39  },
        {SP_SCHEDULE_ZB_H2, 39  },
        {SP_SCHEDULE_ZB_V,  37.5}
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const pipeline pipe = even(cases[i].schedule, 4, 12, 1, 1, 1);
        assert_close(run_schedule(cases[i].schedule, &pipe).step_s, cases[i].step_s, ROUNDING);
        assert_close(closed_form_s(cases[i].schedule, &pipe), cases[i].step_s, ROUNDING);
    }
}

/* Qi et al., ICLR 2024, table 2: from the first to the last pass of a stage H1 waits
 * (p - 1)(F + B - W), H2 (p - 1)(F + B - 2 W). With equal passes H2 and V wait for nothing. */
static void stages_wait_as_published(void **state)
{
    (void)state;
    for (uint32_t p = 2; p <= 12; p++) {
        const uint32_t m = 3 * p;
        const pipeline h1 = even(SP_SCHEDULE_ZB_H1, p, m, 1, 1.2, 0.9);
        assert_close(run_schedule(SP_SCHEDULE_ZB_H1, &h1).span_s, m * 3.1 + (p - 1) * 1.3,
                     ROUNDING);
        const pipeline h2 = even(SP_SCHEDULE_ZB_H2, p, m, 1, 1.2, 0.9);
        assert_close(run_schedule(SP_SCHEDULE_ZB_H2, &h2).span_s, m * 3.1 + (p - 1) * 0.4,
                     ROUNDING);
        const pipeline equal = even(SP_SCHEDULE_ZB_H2, p, m, 1, 1, 1);
        assert_close(run_schedule(SP_SCHEDULE_ZB_H2, &equal).span_s, m * 3.0, ROUNDING);
        const pipeline v = even(SP_SCHEDULE_ZB_V, p, m, 1, 1, 1);
        assert_close(run_schedule(SP_SCHEDULE_ZB_V, &v).span_s, m * 3.0, ROUNDING);
    }
}

/* deepseek-ai/DualPipe, README: (p / 2 - 1)(F&B + B - 3 W), B the whole backward pass: here of 1,
 * 1 and 1 s, a pair taking as long as both or 1 s less. */
static void dualpipe_waits_as_published(void **state)
{
    (void)state;
    for (uint32_t n = 2; n <= 8; n++) {
        for (int saved = 0; saved <= 1; saved++) {
            pipeline pipe = {.p = 2 * n, .v = 1, .m = 3 * n};
            for (uint32_t i = 0; i < 2 * n; i++) {
                pipe.forward_s[i] = pipe.backward_s[i] = pipe.weight_s[i] = 1;
                pipe.hidden_s[i] = saved;
            }
            const double step_s = run_schedule(SP_SCHEDULE_DUALPIPE, &pipe).step_s;
            assert_close(closed_form_s(SP_SCHEDULE_DUALPIPE, &pipe), step_s, ROUNDING);
            if (saved == 0) assert_close(step_s, 18.0 * n + (n - 1) * (3.0 + 2.0 - 3.0), ROUNDING);
        }
    }
}

typedef struct range {
    uint32_t lo, hi;
} range;

static range stages_of(sp_schedule schedule)
{
    return (range){schedule == SP_SCHEDULE_V_MIN ? 3 : 2, PIPELINE_MAX_STAGES};
}

/* A pipeline that the schedule admits, its passes F and W no longer than B. */
static pipeline draw_even(sp_schedule schedule, draw *d)
{
    const sp_schedule_kind *kind = sp_schedule_describe(schedule);
    for (;;) {
        const range p = stages_of(schedule);
        const double b = draw_scale(d, 0.1, 10);
        pipeline pipe = even(schedule, draw_between(d, p.lo, p.hi), draw_between(d, 2, 60),
                             b * draw_scale(d, 0.3, 1), b, b * draw_scale(d, 0.3, 1));
        if (schedule == SP_SCHEDULE_ZB_H1 && draw_coin(d)) pipe.v = draw_between(d, 2, 4);
        const sp_pipeline_shape shape = shape_of(&pipe);
        const bool saves = kind->pairs && draw_coin(d);
        for (uint32_t i = 0; i < pipe.p && saves; i++) {
            pipe.hidden_s[i] = 0.5 * pipe.forward_s[i];
        }
        if (kind->admits(&shape)) return pipe;
    }
}

static void equal_stages_take_the_closed_form(void **state)
{
    (void)state;
    draw d = draw_begin("equal_stages_take_the_closed_form");
    for (size_t k = 0; k < N_ALL; k++) {
        for (int trial = 0; trial < 300; trial++) {
            const pipeline pipe = draw_even(all[k], &d);
            assert_close(closed_form_s(all[k], &pipe), run_schedule(all[k], &pipe).step_s,
                         ROUNDING);
        }
    }
}

/* H1, H2 and both DualPipes whatever passes take longer. */
static void some_forms_hold_for_any_passes(void **state)
{
    (void)state;
    static const sp_schedule any[] = {SP_SCHEDULE_ZB_H1, SP_SCHEDULE_ZB_H2, SP_SCHEDULE_DUALPIPE,
                                      SP_SCHEDULE_DUALPIPE_V};
    draw d = draw_begin("some_forms_hold_for_any_passes");
    for (size_t k = 0; k < sizeof any / sizeof any[0]; k++) {
        for (int trial = 0; trial < 300; trial++) {
            pipeline pipe = draw_even(any[k], &d);
            const double f = draw_scale(&d, 0.3, 3), w = draw_scale(&d, 0.3, 3);
            for (uint32_t i = 0; i < pipe.p; i++) {
                pipe.forward_s[i] *= f;
                pipe.weight_s[i] *= w;
                pipe.hidden_s[i] = 0.0;
            }
            assert_close(closed_form_s(any[k], &pipe), run_schedule(any[k], &pipe).step_s,
                         ROUNDING);
        }
    }
}

/* Passes of 1F1B in pairs, and the combined 1F1B of chunks: p F and p B alone, the rest in pairs.
 */
static void paired_passes_of_1f1b_take_the_closed_form(void **state)
{
    (void)state;
    draw d = draw_begin("paired_passes_of_1f1b_take_the_closed_form");
    for (int trial = 0; trial < 400; trial++) {
        const uint32_t p = draw_between(&d, 1, 12), v = draw_between(&d, 1, 4);
        pipeline pipe = {
            .p = p, .v = v, .m = p * draw_between(&d, v > 1 ? 2 : 1, 5), .pairs = true};
        const double f = draw_scale(&d, 0.1, 10), b = draw_scale(&d, 0.1, 10);
        const double hidden = draw_scale(&d, 0.1, 1) * fmin(f, b);
        for (uint32_t i = 0; i < p; i++) {
            pipe.forward_s[i] = f;
            pipe.backward_s[i] = b;
            pipe.hidden_s[i] = hidden;
        }
        const sp_schedule schedule = v > 1 ? SP_SCHEDULE_INTERLEAVED : SP_SCHEDULE_1F1B;
        const double pairs = pipe.m * (double)v - (v - 1.0) * p - 1;
        const double step_s = run_schedule(schedule, &pipe).step_s;
        assert_close(step_s, pairs * (f + b - hidden) + v * p * (f + b), ROUNDING);
        assert_close(closed_form_s(schedule, &pipe), step_s, ROUNDING);
    }
}

/* Whole layers, counts that differ by one at most, an embedding and a head of up to two layers
 * where they lie: by so much the form of a mean stage may differ from the run, by 5 % in the mean.
 */
static void uneven_stages_lie_within_a_bound(void **state)
{
    (void)state;
    static const struct {
        double low, high;
    } bound[N_ALL] = {
        {-0.03, 0.12},
        {-0.04, 0.06},
        {-0.01, 0.09},
        {-0.19, 0.10},
        {-0.24, 0.07},
        {-0.01, 0.12},
        {-0.01, 0.13}
    };
    draw d = draw_begin("uneven_stages_lie_within_a_bound");
    for (size_t k = 0; k < N_ALL; k++) {
        const bool folds = sp_schedule_describe(all[k])->layout != SP_LAYOUT_ROW;
        double low = 0.0, high = 0.0, sum = 0.0;
        for (int trial = 0; trial < 400; trial++) {
            pipeline pipe = draw_even(all[k], &d);
            const uint32_t n = all[k] == SP_SCHEDULE_DUALPIPE ? pipe.p / 2 : pipe.p;
            const uint32_t layers = draw_between(&d, 2, 6), more = draw_between(&d, 0, n - 1);
            const double head = draw_scale(&d, 0.1, 2);
            pipe.v = folds && all[k] != SP_SCHEDULE_DUALPIPE ? 2 : 1;
            for (uint32_t i = 0; i < pipe.p; i++) {
                const uint32_t at = i < n ? i : pipe.p - 1 - i;
                const double ends = at == (folds ? 0 : n - 1) ? head : 0.0;
                const double weight = layers + (at > 0 && at <= more ? 1.0 : 0.0) + ends;
                pipe.forward_s[i] *= weight;
                pipe.backward_s[i] *= weight;
                pipe.weight_s[i] *= weight;
                pipe.hidden_s[i] *= weight;
            }
            const double step_s = run_schedule(all[k], &pipe).step_s;
            const double off = closed_form_s(all[k], &pipe) / step_s - 1.0;
            low = fmin(low, off);
            high = fmax(high, off);
            sum += fabs(off);
        }
        if (low < bound[k].low || high > bound[k].high || sum > 0.05 * 400) {
            fail_msg("%s: %.4f .. %.4f, %.4f", sp_schedule_describe(all[k])->name, low, high,
                     sum / 400);
        }
    }
}

/* ---- micro-batches in flight ---- */

/* For chunks that weigh w until the gradient of their input is there and w' >= w from then on. */
static void stages_hold_what_their_lists_say(void **state)
{
    (void)state;
    draw d = draw_begin("stages_hold_what_their_lists_say");
    for (size_t k = 0; k < N_ALL; k++) {
        const sp_schedule_kind *kind = sp_schedule_describe(all[k]);
        for (int trial = 0; trial < 200; trial++) {
            const pipeline pipe = draw_even(all[k], &d);
            const sp_pipeline_shape shape = shape_of(&pipe);
            const double chunks = sp_pipeline_chunks(kind, &shape);
            const double late = trial % 2 == 0 ? 1.0 : draw_scale(&d, 1, 20);
            for (uint32_t i = 0; i < pipe.p; i++) {
                sp_held moments[SP_MAX_HELD];
                double peak = 0.0;
                for (uint32_t n = kind->held(&shape, i, moments); n-- > 0;) {
                    peak = fmax(peak, moments[n].whole + late * moments[n].weight_grad);
                }
                assert_close(chunks * peak, list_peak(all[k], &pipe, i, 1.0, late), ROUNDING);
            }
        }
    }
}

/* Published for all stages: p of H1 and V, 2 p - 1 of H2, floor((p + 2) / 2) of V-Half,
 * floor((p + 4) / 3) of V-Min; p + 1 stages' of DualPipe, of both its blocks half as many. */
static void the_fullest_stage_holds_what_is_published(void **state)
{
    (void)state;
    for (uint32_t p = 4; p <= 32; p += 2) {
        const double published[N_ALL] = {p,           2.0 * p - 1,     p,      p / 2 + 1,
                                         (p + 4) / 3, (p + 1.0) / 2.0, p + 0.5};
        for (size_t k = 0; k < N_ALL; k++) {
            const sp_schedule_kind *kind = sp_schedule_describe(all[k]);
            const sp_pipeline_shape shape = {
                .p = p, .v = kind->layout == SP_LAYOUT_V ? 2 : 1, .m = 3 * p};
            double most = 0.0;
            for (uint32_t i = 0; i < p; i++) {
                most = fmax(most, sp_schedule_in_flight(kind, &shape, i));
            }
            assert_close(most, published[k], ROUNDING);
        }
    }
}

/* ---- the run itself ---- */

/* Every chunk of every micro-batch once forward and once back, whole or in two halves. */
static void every_pass_runs_once(void **state)
{
    (void)state;
    draw d = draw_begin("every_pass_runs_once");
    for (size_t k = 0; k < N_ALL; k++) {
        const sp_schedule_kind *kind = sp_schedule_describe(all[k]);
        for (int trial = 0; trial < 50; trial++) {
            const pipeline pipe = draw_even(all[k], &d);
            const sp_pipeline_shape shape = shape_of(&pipe);
            static sp_stage_pass passes[6 * 64 * 4];
            for (uint32_t i = 0; i < pipe.p; i++) {
                sp_pass_list list = {.passes = passes};
                unsigned char seen[4][64][SP_N_PASS_KINDS] = {0};
                kind->list(&shape, i, &list);
                for (uint32_t n = 0; n < list.n; n++) {
                    seen[passes[n].chunk][passes[n].micro_batch][passes[n].kind]++;
                }
                for (uint32_t c = 0; c < sp_pipeline_chunks(kind, &shape); c++) {
                    for (uint32_t b = 0; b < pipe.m; b++) {
                        const unsigned char *x = seen[c][b];
                        assert_int_equal(x[SP_PASS_FORWARD], 1);
                        assert_int_equal(x[SP_PASS_BACKWARD] + x[SP_PASS_INPUT_GRAD], 1);
                        assert_int_equal(x[SP_PASS_INPUT_GRAD], x[SP_PASS_WEIGHT_GRAD]);
                    }
                }
            }
        }
    }
}

/* 2 stages, 1 micro-batch of 1F1B, 1 s a message: F, message, F, B, message, B. */
static void messages_take_their_time(void **state)
{
    (void)state;
    pipeline pipe = even(SP_SCHEDULE_1F1B, 2, 1, 2, 3, 0);
    pipe.message_s = 1;
    assert_true(run_1f1b(&pipe).step_s == 2 + 1 + 2 + 3 + 1 + 3);
}

/* Without overlap an estimate adds two messages for every micro-batch and two for every stage on
 * the way (train.c); the run, whose stages wait for their neighbours alone, takes no longer, and no
 * less than half of it. */
static void messages_of_1f1b_cost_what_is_priced(void **state)
{
    (void)state;
    draw d = draw_begin("messages_of_1f1b_cost_what_is_priced");
    for (int trial = 0; trial < 300; trial++) {
        const uint32_t p = draw_between(&d, 2, 16), m = draw_between(&d, p, 64);
        pipeline pipe = even(SP_SCHEDULE_1F1B, p, m, draw_scale(&d, 0.1, 10), 1, 1);
        const double free_s = run_1f1b(&pipe).step_s;
        pipe.message_s = draw_scale(&d, 0.001, 0.1);
        const double more_s = run_1f1b(&pipe).step_s - free_s;
        const double priced_s = 2 * pipe.message_s * (m + p - 1);
        assert_at_most(more_s, priced_s, ROUNDING);
        assert_at_most(0.4 * priced_s, more_s, ROUNDING);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_bubbles_by_hand),
        cmocka_unit_test(stages_wait_as_published),
        cmocka_unit_test(dualpipe_waits_as_published),
        cmocka_unit_test(equal_stages_take_the_closed_form),
        cmocka_unit_test(some_forms_hold_for_any_passes),
        cmocka_unit_test(paired_passes_of_1f1b_take_the_closed_form),
        cmocka_unit_test(uneven_stages_lie_within_a_bound),
        cmocka_unit_test(stages_hold_what_their_lists_say),
        cmocka_unit_test(the_fullest_stage_holds_what_is_published),
        cmocka_unit_test(every_pass_runs_once),
        cmocka_unit_test(messages_take_their_time),
        cmocka_unit_test(messages_of_1f1b_cost_what_is_priced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
