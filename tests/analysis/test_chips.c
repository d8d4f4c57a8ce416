/* SPDX-License-Identifier: Apache-2.0 */
/* Several chips: no layer is lost, a pipeline shortens no token, and experts count. */
#include "sweep_fixture.h"

static sp_chips price(const swept *s, uint32_t tp, uint32_t pp, uint32_t dp)
{
    sp_chips chips = {0};
    sp_error err = {0};
    must(sp_chips_price(&s->question, tp, pp, dp, &chips, &err), &err);
    return chips;
}

static void with_network(swept *s)
{
    sweep_setup(s);
    s->question.cluster = &s->cluster;
}

static void one_chip_takes_as_long_as_the_analysis(void **state)
{
    swept s;
    (void)state;
    with_network(&s);
    const sp_chips one = price(&s, 1, 1, 1);
    const sp_phase_total *phase = s.analysis->phase;
    assert_close(one.prefill_s, phase[SP_PHASE_PREFILL].time_s, 1e-12);
    assert_close(one.token_s,
                 0.5 * (phase[SP_PHASE_DECODE].time_s + phase[SP_PHASE_LAST_DECODE].time_s), 1e-12);
    assert_close(one.stage_memory_bytes, s.analysis->memory_needed_bytes, 1e-12);
    sweep_fini(&s);
}

static void a_pipeline_shortens_no_token(void **state)
{
    swept s;
    (void)state;
    with_network(&s);
    s.question.batch = 1;
    const sp_chips one = price(&s, 1, 1, 1), four = price(&s, 1, 4, 1);
    assert_at_most(one.least_token_s, four.least_token_s, 0.0);
    assert_int_equal(four.groups_in_flight, 1);
    assert_at_most(four.tokens_per_s, one.tokens_per_s, 0.0);
    sweep_fini(&s);
}

static void parts_in_flight_raise_throughput_and_not_beyond_the_stages(void **state)
{
    swept s;
    (void)state;
    with_network(&s);
    const sp_chips one = price(&s, 1, 1, 1), four = price(&s, 1, 4, 1);
    assert_int_equal(four.groups_in_flight, 4);
    assert_at_most(four.tokens_per_s, 4.0 * one.tokens_per_s, 0.0);
    sweep_fini(&s);
}

/* 12 layers in 5 stages are 3, 3, 2, 2, 2: a token waits for all of them, and the slowest stage has
 * three, not floor(12 / 5). */
static void no_layer_is_lost_where_stages_are_unequal(void **state)
{
    swept s;
    (void)state;
    with_network(&s);
    s.question.batch = 5;
    s.cluster.levels[0].bytes_per_s = 1e18;
    s.cluster.levels[0].base_s = s.cluster.levels[0].latency_s = 0.0;
    s.cluster.levels[0].half_bytes = 0.0;
    const sp_chips five = price(&s, 1, 5, 1);
    s.question.batch = 1;
    sweep_analyse(&s);
    const sp_phase_total *phase = s.analysis->phase;
    const double whole_s =
        0.5 * (phase[SP_PHASE_DECODE].time_s + phase[SP_PHASE_LAST_DECODE].time_s);
    assert_close(five.least_token_s, whole_s, 1e-9);
    assert_at_most(whole_s * 5.0 * 2.5 / 12.0, five.token_s, 0.0);
    sweep_fini(&s);
}

static void experts_are_held_by_someone(void **state)
{
    swept s;
    sp_error err = {0};
    (void)state;
    with_network(&s);
    make_moe(&s.model, 1024, 16, 2048, 8, 2, 0, 12);
    must(sp_analyze(&s.arena, &s.question, &s.analysis, &err), &err);
    const double expert_bytes = 12.0 * 8.0 * 3.0 * 1024.0 * 2048.0 * 2.0;
    assert_at_most(expert_bytes, price(&s, 1, 1, 1).stage_memory_bytes, 0.0);
    assert_at_most(expert_bytes / 4.0, price(&s, 2, 2, 1).stage_memory_bytes, 0.0);
    sweep_fini(&s);
}

static void a_faster_link_never_slows_a_deployment(void **state)
{
    swept s;
    (void)state;
    with_network(&s);
    double before_s = 0.0;
    for (double rate = 1e12; rate > 1e8; rate /= 2.0) {
        s.cluster.levels[0].bytes_per_s = rate;
        const sp_chips chips = price(&s, 4, 2, 1);
        assert_at_most(before_s, chips.token_s, 0.0);
        before_s = chips.token_s;
    }
    sweep_fini(&s);
}

static void the_curve_starts_with_one_chip_and_keeps_the_best_split(void **state)
{
    swept s;
    sp_error err = {0};
    const sp_chips *curve = NULL;
    (void)state;
    with_network(&s);
    must(sp_chips_curve(&s.arena, &s.question, 8, &curve, &err), &err);
    assert_close(curve[0].tokens_per_s, price(&s, 1, 1, 1).tokens_per_s, 1e-12);
    for (uint32_t n = 1; n <= 8; n++) {
        assert_true(curve[n - 1].tp == 0 ||
                    curve[n - 1].tp * curve[n - 1].pp * curve[n - 1].dp == n);
    }
    assert_at_most(price(&s, 4, 2, 1).tokens_per_s, curve[7].tokens_per_s, 0.0);
    assert_at_most(price(&s, 2, 1, 4).tokens_per_s, curve[7].tokens_per_s, 0.0);
    sweep_fini(&s);
}

static void what_cannot_be_built_is_refused(void **state)
{
    swept s;
    sp_error err = {0};
    sp_chips chips;
    (void)state;
    with_network(&s);
    assert_int_equal(sp_chips_price(&s.question, 1, 13, 1, &chips, &err), SP_E_RANGE);
    assert_int_equal(sp_chips_price(&s.question, 1, 1, 3, &chips, &err), SP_E_INCONSISTENT);
    assert_int_equal(sp_chips_price(&s.question, 64, 2, 1, &chips, &err), SP_E_RANGE);
    s.question.cluster = NULL;
    assert_int_equal(sp_chips_price(&s.question, 1, 1, 1, &chips, &err), SP_E_INCONSISTENT);
    sweep_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_chip_takes_as_long_as_the_analysis),
        cmocka_unit_test(a_pipeline_shortens_no_token),
        cmocka_unit_test(parts_in_flight_raise_throughput_and_not_beyond_the_stages),
        cmocka_unit_test(no_layer_is_lost_where_stages_are_unequal),
        cmocka_unit_test(experts_are_held_by_someone),
        cmocka_unit_test(a_faster_link_never_slows_a_deployment),
        cmocka_unit_test(the_curve_starts_with_one_chip_and_keeps_the_best_split),
        cmocka_unit_test(what_cannot_be_built_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
