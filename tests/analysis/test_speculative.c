/* SPDX-License-Identifier: Apache-2.0 */
/* Speculative decoding: tokens of a step by the sum they stand for, verification by the target's
 * own operators, and the depth that pays most. */
#include "sweep_fixture.h"

#include <math.h>

/* The first token comes for certain, token i + 1 when i proposals were accepted. */
static void tokens_of_a_step_are_the_sum_of_a_geometric_series(void **state)
{
    (void)state;
    for (uint32_t depth = 0; depth <= 16; depth++) {
        for (double a = 0.0; a <= 1.0; a += 0.125) {
            double sum = 0.0;
            for (uint32_t i = 0; i <= depth; i++) {
                sum += pow(a, i);
            }
            assert_close(sp_speculate_tokens(a, depth), sum, 1e-12);
        }
    }
}

typedef struct speculated {
    swept target;
    made_model draft;
    sp_analysis_question of_draft;
    sp_speculation s;
} speculated;

static void setup(speculated *x)
{
    sp_error err = {0};
    const sp_economics money = sweep_money();
    sweep_machine(&x->target);
    make_llama(&x->target.model, 4096, 32, 8, 14336, 32);
    x->target.question =
        (sp_analysis_question){.model = &x->target.model.model, .gpu = &x->target.gpu};
    sp_analysis_defaults(&x->target.question);
    sweep_analyse(&x->target);
    make_llama(&x->draft, 1024, 16, 4, 2048, 8);
    x->of_draft = x->target.question;
    x->of_draft.model = &x->draft.model;
    must(sp_speculate(&x->target.arena, &x->target.question, &x->of_draft, &money, &x->s, &err),
         &err);
}

static void verifying_nothing_is_a_decode_step(void **state)
{
    speculated x;
    (void)state;
    setup(&x);
    const sp_phase_total *phase = x.target.analysis->phase;
    const double step_s =
        0.5 * (phase[SP_PHASE_DECODE].time_s + phase[SP_PHASE_LAST_DECODE].time_s);
    assert_close(x.s.target_s, step_s, 1e-12);
    assert_close(x.s.verify_s[0], step_s, 1e-12);
    sweep_fini(&x.target);
}

/* A batch of one waits for its weights: five tokens cost little more than one, never five times. */
static void verifying_more_tokens_never_costs_less_and_reads_weights_once(void **state)
{
    speculated x;
    (void)state;
    setup(&x);
    for (uint32_t g = 1; g <= SP_SPECULATE_MAX_DEPTH; g++) {
        assert_at_most(x.s.verify_s[g - 1], x.s.verify_s[g], 0.0);
        assert_at_most(x.s.verify_joules[g - 1], x.s.verify_joules[g], 0.0);
    }
    assert_at_most(x.s.verify_s[4], 1.1 * x.s.verify_s[0], 0.0);
    sweep_fini(&x.target);
}

static void a_head_verifies_every_token_and_not_the_last_alone(void **state)
{
    speculated x;
    (void)state;
    setup(&x);
    x.target.gpu.memory_bytes_per_s = 1e20;
    const sp_economics money = sweep_money();
    sp_error err = {0};
    must(sp_speculate(&x.target.arena, &x.target.question, &x.of_draft, &money, &x.s, &err), &err);
    const double head_s = 2.0 * 4096.0 * 64000.0 / 100e12;
    assert_at_most(15.0 * head_s, x.s.verify_s[15] - x.s.verify_s[0], 1e-12);
    assert_close(x.s.verify_s[15], 16.0 * x.s.verify_s[0], 1e-2);
    sweep_fini(&x.target);
}

static void the_best_depth_is_the_fastest_of_all(void **state)
{
    static const double acceptances[] = {0.5, 0.6, 0.7, 0.8, 0.9, 0.95};
    speculated x;
    uint32_t before = 0;
    (void)state;
    setup(&x);
    for (size_t i = 0; i < sizeof acceptances / sizeof acceptances[0]; i++) {
        const double a = acceptances[i];
        const uint32_t best = sp_speculate_best_depth(&x.s, a);
        const double speedup = sp_speculate_speedup(&x.s, a, best);
        for (uint32_t g = 1; g <= SP_SPECULATE_MAX_DEPTH; g++) {
            assert_at_most(sp_speculate_speedup(&x.s, a, g), speedup, 0.0);
        }
        assert_true(best >= before && speedup > 1.0);
        before = best;
    }
    sweep_fini(&x.target);
}

static void a_draft_as_slow_as_its_target_does_not_pay(void **state)
{
    speculated x;
    (void)state;
    setup(&x);
    x.s.draft_s = x.s.target_s;
    assert_int_equal(sp_speculate_best_depth(&x.s, 0.5), 0);
    assert_true(sp_speculate_speedup(&x.s, 0.5, 1) < 1.0);
    sweep_fini(&x.target);
}

static void memory_holds_both_models(void **state)
{
    speculated x;
    sp_error err = {0};
    const sp_analysis *draft = NULL;
    (void)state;
    setup(&x);
    must(sp_analyze(&x.target.arena, &x.of_draft, &draft, &err), &err);
    assert_close(x.s.memory_bytes,
                 x.target.analysis->memory_needed_bytes + draft->memory_needed_bytes, 1e-12);
    sweep_fini(&x.target);
}

static void target_and_draft_must_meet_on_one_accelerator(void **state)
{
    speculated x;
    sp_error err = {0};
    const sp_economics money = sweep_money();
    (void)state;
    setup(&x);
    x.of_draft.batch = 2;
    assert_int_equal(
        sp_speculate(&x.target.arena, &x.target.question, &x.of_draft, &money, &x.s, &err),
        SP_E_INCONSISTENT);
    sweep_fini(&x.target);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokens_of_a_step_are_the_sum_of_a_geometric_series),
        cmocka_unit_test(verifying_nothing_is_a_decode_step),
        cmocka_unit_test(verifying_more_tokens_never_costs_less_and_reads_weights_once),
        cmocka_unit_test(a_head_verifies_every_token_and_not_the_last_alone),
        cmocka_unit_test(the_best_depth_is_the_fastest_of_all),
        cmocka_unit_test(a_draft_as_slow_as_its_target_does_not_pay),
        cmocka_unit_test(memory_holds_both_models),
        cmocka_unit_test(target_and_draft_must_meet_on_one_accelerator),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
