/* SPDX-License-Identifier: Apache-2.0 */
/* The whole estimate: what the search ranks by is what is shown, bit for bit; nothing is allocated;
 * rates, money and verdicts follow from time and memory. */
#include "common/close.h"
#include "common/problems.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static uint64_t bits(double x)
{
    uint64_t image;
    memcpy(&image, &x, sizeof image);
    return image;
}

/* Every objective there is, SP_MAX_OBJECTIVES of them a time. */
static void choose_objectives(made_problem *made, draw *d)
{
    const uint32_t first = draw_between(d, 0, sp_objective_count() - 1);
    for (uint32_t i = 0; i < SP_MAX_OBJECTIVES; i++) {
        made->problem.objectives[i] = (first + i) % sp_objective_count();
    }
}

static void check_keys(const made_problem *made, const sp_plan *plan, uint32_t *n_fit)
{
    const sp_problem *problem = &made->problem;
    double keys[SP_MAX_OBJECTIVES];
    sp_estimate e;
    sp_estimate_plan(problem, plan, &e);
    assert_int_equal(sp_estimate_keys(problem, plan, keys), e.verdict);
    if (e.verdict == SP_OVER_MEMORY) return;
    (*n_fit)++;
    for (uint32_t i = 0; i < problem->n_objectives; i++) {
        const uint32_t objective = problem->objectives[i];
        const double shown = e.objective[i];
        assert_true(bits(shown) == bits(sp_objective_value(objective, &e, plan)));
        const double key = sp_objective_describe(objective)->maximise ? -shown : shown;
        assert_true(bits(keys[i]) == bits(key));
    }
}

static void the_search_ranks_by_the_figures_shown(void **state)
{
    (void)state;
    draw d = draw_begin("the_search_ranks_by_the_figures_shown");
    uint32_t n_fit = 0;
    for (int i = 0; i < 300; i++) {
        made_problem made;
        make_random_problem(&made, &d);
        made.problem.question.max_network_ratio = draw_scale(&d, 0.01, 1.0);
        derive_problem(&made);
        choose_objectives(&made, &d);
        for (int k = 0; k < 30; k++) {
            const sp_plan plan = draw_plan(&made, &d);
            check_keys(&made, &plan, &n_fit);
        }
        free_problem(&made);
    }
    assert_true(n_fit > 1000);
}

/* The hook lets the next allocation fail and stays set until there is one. */
static void an_estimate_allocates_nothing(void **state)
{
    (void)state;
    draw d = draw_begin("an_estimate_allocates_nothing");
    for (int i = 0; i < 100; i++) {
        made_problem made;
        double keys[SP_MAX_OBJECTIVES];
        sp_estimate e;
        make_random_problem(&made, &d);
        derive_problem(&made);
        const sp_plan plan = draw_plan(&made, &d);
        sp_alloc_fail_at(1);
        sp_estimate_plan(&made.problem, &plan, &e);
        (void)sp_estimate_keys(&made.problem, &plan, keys);
        sp_estimate_memory(&made.problem, &plan, &e.memory);
        assert_null(sp_alloc(1));
        sp_alloc_fail_at(0);
        free_problem(&made);
    }
}

static void an_estimate_depends_on_nothing_but_its_arguments(void **state)
{
    (void)state;
    draw d = draw_begin("an_estimate_depends_on_nothing_but_its_arguments");
    for (int i = 0; i < 100; i++) {
        made_problem made;
        sp_estimate first, again;
        memset(&first, 0xaa, sizeof first);
        memset(&again, 0x55, sizeof again);
        make_random_problem(&made, &d);
        derive_problem(&made);
        const sp_plan plan = draw_plan(&made, &d), other = draw_plan(&made, &d);
        sp_estimate_plan(&made.problem, &plan, &first);
        sp_estimate_plan(&made.problem, &other, &again);
        sp_estimate_plan(&made.problem, &plan, &again);
        for (uint32_t f = 0; f < sp_field_count(); f++) {
            assert_true(bits(sp_field_get(&first, f)) == bits(sp_field_get(&again, f)));
        }
        assert_int_equal(first.verdict, again.verdict);
        free_problem(&made);
    }
}

/* ---- what follows from time and memory ---- */
static void make_example(made_problem *made)
{
    make_machine(made);
    make_llama(&made->model, 1024, 8, 8, 2816, 8);
    derive_problem(made);
}

/* 512 sequences of 2048 tokens a step on 8 GPUs at 2 USD an hour; a run of 10^12 tokens. */
static void rates_and_money_follow_from_the_step(void **state)
{
    (void)state;
    made_problem made;
    sp_estimate e;
    make_example(&made);
    const sp_plan plan = make_plan(&made, 1, 1, 8, 4);
    sp_estimate_plan(&made.problem, &plan, &e);
    const double step_s = e.time.step_s, steps = 1e12 / (512 * 2048.0);
    assert_close(e.samples_per_s, 512 / step_s, 1e-14);
    assert_close(e.tokens_per_s, 512 * 2048 / step_s, 1e-14);
    assert_close(e.tokens_per_s_per_gpu, 512 * 2048 / step_s / 8, 1e-14);
    assert_close(e.days, steps * step_s / 86400, 1e-14);
    assert_close(e.gpu_hours, 8 * steps * step_s / 3600, 1e-14);
    assert_close(e.usd_per_hour, 16.0, 1e-14);
    assert_close(e.usd_run, 16 * steps * step_s / 3600, 1e-14);
    assert_close(e.usd_per_million_tokens, e.usd_run / 1e6, 1e-14);
    assert_close(e.step_low_s, 0.85 * step_s, 1e-14);
    assert_close(e.step_high_s, 1.15 * step_s, 1e-14);
    free_problem(&made);
}

/* Three forward passes a step over 8 GPUs; no work is done again. */
static void utilisation_is_model_flops_over_the_peak(void **state)
{
    (void)state;
    made_problem made;
    sp_estimate e;
    make_example(&made);
    const sp_plan plan = make_plan(&made, 1, 1, 8, 4);
    sp_estimate_plan(&made.problem, &plan, &e);
    const double flops_per_s = 3 * made.problem.forward_flops / e.time.step_s / 8;
    assert_close(e.model_tflops_per_gpu, flops_per_s / 1e12, 1e-14);
    assert_close(e.mfu, flops_per_s / 1e15, 1e-14);
    assert_close(e.hfu, e.mfu, 1e-12);
    free_problem(&made);
}

/* The same plan on machines whose memory just holds it, holds it with its headroom of 6 % and holds
 * it with the 10 % by which one estimate in ten is short. */
static void verdicts_follow_from_memory(void **state)
{
    (void)state;
    static const struct {
        double memory_of_peak;
        sp_verdict verdict;
    } cases[] = {
        {1.0 / 0.95, SP_OVER_MEMORY}, /* fits, but not with 6 % left free */
        {1.0 / 0.93, SP_TIGHT      },
        {1.09,       SP_TIGHT      },
        {1.11,       SP_FITS       },
        {0.5,        SP_OVER_MEMORY}
    };
    made_problem made;
    sp_estimate e;
    make_example(&made);
    const sp_plan plan = make_plan(&made, 1, 1, 8, 4);
    sp_estimate_plan(&made.problem, &plan, &e);
    const double peak = e.memory.peak_bytes;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        made.gpu.memory_bytes = cases[i].memory_of_peak * peak;
        derive_problem(&made);
        sp_estimate_plan(&made.problem, &plan, &e);
        assert_string_equal(sp_verdict_name(e.verdict), sp_verdict_name(cases[i].verdict));
    }
    free_problem(&made);
}

static void too_much_exposed_traffic_is_a_verdict(void **state)
{
    (void)state;
    made_problem made;
    sp_estimate e;
    make_example(&made);
    const sp_plan plan = make_plan(&made, 8, 1, 1, 4);
    sp_estimate_plan(&made.problem, &plan, &e);
    const double ratio = e.network.exposed_ratio;
    assert_true(ratio > 0.01);
    made.problem.question.max_network_ratio = ratio;
    sp_estimate_plan(&made.problem, &plan, &e);
    assert_int_equal(e.verdict, SP_FITS);
    made.problem.question.max_network_ratio = 0.99 * ratio;
    sp_estimate_plan(&made.problem, &plan, &e);
    assert_int_equal(e.verdict, SP_OVER_NETWORK);
    free_problem(&made);
}

static void idle_gpus_are_counted_where_fewer_may_be_used(void **state)
{
    (void)state;
    made_problem made;
    sp_estimate e;
    make_example(&made); /* of 64 GPUs */
    const sp_plan plan = make_plan(&made, 1, 1, 8, 4);
    sp_estimate_plan(&made.problem, &plan, &e);
    assert_int_equal(e.gpus_idle, 0);
    made.problem.question.use_upto = true;
    sp_estimate_plan(&made.problem, &plan, &e);
    assert_int_equal(e.gpus_idle, 56);
    free_problem(&made);
}

static void verdicts_have_names(void **state)
{
    (void)state;
    assert_string_equal(sp_verdict_name(SP_FITS), "fits");
    assert_string_equal(sp_verdict_name(SP_TIGHT), "tight");
    assert_string_equal(sp_verdict_name(SP_OVER_MEMORY), "over_memory");
    assert_string_equal(sp_verdict_name(SP_OVER_NETWORK), "over_network");
}

static double spread_of(const made_problem *made)
{
    sp_estimate e;
    const sp_plan plan = make_plan(made, 1, 1, made->gpus, 1);
    sp_estimate_plan(&made->problem, &plan, &e);
    assert_close(e.step_high_s - e.time.step_s, e.time.step_s - e.step_low_s, 1e-9);
    return e.step_high_s / e.time.step_s - 1.0;
}

/* 0.3 and 0.4 at right angles are 0.5. */
static void experts_and_borrowed_kernels_widen_the_interval(void **state)
{
    (void)state;
    made_problem dense, experts;
    make_machine(&dense);
    make_llama(&dense.model, 1024, 8, 8, 4096, 4);
    make_machine(&experts);
    make_moe(&experts.model, 1024, 8, 1024, 8, 2, 0, 4);
    made_problem *both[] = {&dense, &experts};
    for (int i = 0; i < 2; i++) {
        both[i]->profile.step_error_ratio = 0.2;
        both[i]->profile.expert_error_ratio = 0.3;
        both[i]->profile.borrowed_error_ratio = 0.4;
        derive_problem(both[i]);
    }
    assert_close(spread_of(&dense), 0.2, 1e-9);
    assert_close(spread_of(&experts), 0.3, 1e-9);
    experts.gpu.calibrated_from = "another";
    assert_close(spread_of(&experts), 0.5, 1e-9);
    free_problem(&dense);
    free_problem(&experts);
}

static void a_site_factor_lengthens_all_times_alike(void **state)
{
    (void)state;
    made_problem made;
    sp_estimate plain, site;
    make_machine(&made);
    make_llama(&made.model, 1024, 8, 8, 4096, 4);
    derive_problem(&made);
    const sp_plan plan = make_plan(&made, 2, 2, 2, 1);
    sp_estimate_plan(&made.problem, &plan, &plain);
    made.problem.question.site_factor = 1.25;
    made.problem.question.site_error_ratio = 0.05;
    sp_estimate_plan(&made.problem, &plan, &site);
    assert_close(site.time.step_s, 1.25 * plain.time.step_s, 1e-12);
    assert_close(site.time.backward_s, 1.25 * plain.time.backward_s, 1e-12);
    assert_close(site.time.bubble_s, 1.25 * plain.time.bubble_s, 1e-12);
    assert_close(site.tokens_per_s, plain.tokens_per_s / 1.25, 1e-12);
    assert_close(site.step_high_s, 1.05 * site.time.step_s, 1e-12);
    assert_true(site.memory.peak_bytes == plain.memory.peak_bytes);
    free_problem(&made);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_search_ranks_by_the_figures_shown),
        cmocka_unit_test(an_estimate_allocates_nothing),
        cmocka_unit_test(an_estimate_depends_on_nothing_but_its_arguments),
        cmocka_unit_test(rates_and_money_follow_from_the_step),
        cmocka_unit_test(utilisation_is_model_flops_over_the_peak),
        cmocka_unit_test(verdicts_follow_from_memory),
        cmocka_unit_test(too_much_exposed_traffic_is_a_verdict),
        cmocka_unit_test(idle_gpus_are_counted_where_fewer_may_be_used),
        cmocka_unit_test(verdicts_have_names),
        cmocka_unit_test(a_site_factor_lengthens_all_times_alike),
        cmocka_unit_test(experts_and_borrowed_kernels_widen_the_interval),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
