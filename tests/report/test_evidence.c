/* SPDX-License-Identifier: Apache-2.0 */
/* Which published run stands beside a plan, and what was measured as seconds of a step, by hand. */
#include "common/asked.h"
#include "common/close.h"
#include "common/shipped.h"
#include "report/evidence.h"
#include "report/evidence_base.h"
#include "report/report_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static double measured_s(sp_evidence_base *base, const char *name)
{
    const sp_recipes *recipes = sp_evidence_recipes(base);
    for (uint32_t i = 0; i < recipes->n; i++) {
        if (strcmp(recipes->list[i].name, name) != 0) continue;
        const sp_recipe_answer *answer = NULL;
        sp_error err = {0};
        must(sp_evidence_price(base, i, &answer, &err), &err);
        const double ratio = answer->estimate.time.step_s / answer->measured_step_s - 1.0;
        assert_close(answer->error_ratio, ratio, 1e-12);
        return answer->measured_step_s;
    }
    fail_msg("no recipe %s", name);
    return 0.0;
}

/* ---- what was measured ---- */

static void a_step_is_the_tokens_of_a_batch_over_their_rate(void **state)
{
    /* 1536 sequences of 2048 tokens on 256 GPUs at 408 tokens/s each: 3145728 / 104448 */
    assert_close(measured_s(*state, "gpt3-175b-256xh100-fsdp"), 30.1176, 1e-5);
}

/* Narayanan et al., SC'21, equation 3: 96 B s l h^2 (1 + s / 6h + V / 16lh) FLOPs, recomputed
 * forward passes and the whole score matrix included. */
static void hardware_flops_are_those_of_narayanan_et_al(void **state)
{
    const double h = 25600, l = 128, s = 2048, b = 3072, v = 51200;
    const double flops = 96 * b * s * l * h * h * (1 + s / (6 * h) + v / (16 * l * h));
    assert_close(measured_s(*state, "megatron-1t-3072xa100"), flops / (163e12 * 3072), 1e-9);
}

/* Attention cores of Llama 3.1 405B: 126 layers, 128 heads of 128; queries times keys and scores
 * times values over half of 8192 tokens: 2 x 2 x 4096 x 16384 FLOPs a layer and token, forward. All
 * else is 2 FLOPs a parameter but for the token table of 128256 x 16384, and for the norms. */
static void causal_flops_count_half_of_the_scores(void **state)
{
    const double parameters = 405853388800.0 - 128256.0 * 16384.0 - (2 * 126 + 1) * 16384.0;
    const double token = 3 * (2 * parameters + 126 * 4.0 * 4096 * 16384);
    const double step = token * 2048 * 8192 / (400e12 * 16384);
    assert_close(measured_s(*state, "llama-3.1-405b-16384xh100"), step, 1e-4);
}

/* ---- distance ---- */

static const sp_gpu slow = {.name = "slow", .peak_flops_per_s = {[SP_BF16] = 1e14}};
static const sp_gpu fast = {.name = "fast", .peak_flops_per_s = {[SP_BF16] = 4e14}};

static const sp_evidence_weights weights = {
    .kind = 4,
    .gpu = 2,
    .peak_flops = 1,
    .active_parameters = 1,
    .gpus = 0.5,
    .seq_len = 0.25,
    .batch = 0.125,
    .axes = {[SP_AXIS_tp] = 3, [SP_AXIS_zero] = 5, [SP_AXIS_recompute] = 7},
    .size_doublings = 2,
};

static sp_plan plan_of(const char *text)
{
    sp_error err = {0};
    sp_plan plan = sp_plan_default();
    must(sp_plan_parse(text, &plan, &err), &err);
    return plan;
}

static void distance_is_a_weighted_sum_of_doublings(void **state)
{
    (void)state;
    const sp_plan p = plan_of("gpus=8,tp=2,zero=0"),
                  q = plan_of("gpus=32,tp=8,zero=1,recompute=full");
    const sp_evidence_run a = {
        .plan = &p, .gpu = &slow, .active_parameters = 1e9, .seq_len = 1024, .step_tokens = 8e6};
    const sp_evidence_run b = {.plan = &q,
                               .gpu = &fast,
                               .active_parameters = 8e9,
                               .experts = true,
                               .seq_len = 4096,
                               .step_tokens = 8e6};
    /* kind 4, gpu 2, peak 2 doublings, parameters 3, GPUs 2 at 0.5, length 2 at 0.25, tokens a GPU
     * 2 at 0.125; tp 2 at 3; zero from a half to 1 at 5; recompute 7 */
    const double expected = 4 + 2 + 2 + 3 + 1 + 0.5 + 0.25 + 6 + 5 + 7;
    assert_close(sp_evidence_distance(&weights, &a, &b), expected, 1e-12);
    assert_close(sp_evidence_distance(&weights, &b, &a), expected, 1e-12);
    assert_true(sp_evidence_distance(&weights, &a, &a) == 0.0);
}

static void what_differs_from_the_run_is_extrapolated(void **state)
{
    (void)state;
    const sp_plan p = plan_of("gpus=8"), q = plan_of("gpus=32"), r = plan_of("gpus=40");
    const sp_evidence_run a = {.plan = &p, .gpu = &slow, .active_parameters = 1e9};
    sp_evidence_run b = {.plan = &q, .gpu = &slow, .active_parameters = 1e9};
    sp_evidence e = {0};
    sp_evidence_extrapolate(&weights, &a, &b, &e);
    assert_false(e.other_hardware || e.other_size || e.other_kind); /* a factor of 4 is no other */
    b.plan = &r;
    sp_evidence_extrapolate(&weights, &a, &b, &e);
    assert_true(e.other_size);
    b = (sp_evidence_run){.plan = &p, .gpu = &fast, .active_parameters = 1e9, .latent = true};
    sp_evidence_extrapolate(&weights, &a, &b, &e);
    assert_true(e.other_hardware && e.other_kind && !e.other_size);
}

/* ---- what was not measured ---- */

/* Products up to `inner` deep and cores up to `tokens` long were measured. */
static sp_beyond beyond(const sp_problem *problem, const char *text, double inner, double tokens)
{
    const sp_surface list[] = {
        {.op = SP_SURFACE_GEMM,
         .variant = "",
         .framework = "",
         .kernel = "",
         .dtype = "bfloat16",
         .kv_dtype = "",
         .hi = {1e6, 1e6, inner}                },
        { .op = SP_SURFACE_ATTENTION_CONTEXT,
         .variant = "mha",
         .framework = "",
         .kernel = "",
         .dtype = "bfloat16",
         .kv_dtype = "",
         .lo = {[SP_DIM_KEY] = 128},
         .hi = {1e3, 1e3, 1e3, 128, 128, tokens}}
    };
    const sp_surfaces surfaces = {.from = "a part", .n = 2, .list = list};
    const sp_plan plan = plan_on(problem, text);
    return sp_beyond_measured(&surfaces, problem, &plan);
}

/* Llama-2-7B at 4,096 tokens: the deepest product of a layer is the gate and up together, backward:
 * 2 x 11,008; over 8 tensor-parallel ranks 2,752, but then 4,096 of hidden states and as many
 * tokens are deeper. */
static void shapes_that_were_not_measured_are_told(void **state)
{
    (void)state;
    sp_question q = sp_question_default();
    q.home = source_home();
    q.model = "llama-2-7b";
    q.cluster = "dgx-a100-80g";
    q.gpus = "8";
    q.seq_len = 4096;
    q.global_batch = 8;
    sp_problem *problem = build_problem(&q);
    assert_false(beyond(problem, "gpus=8,zero=1", 22016, 4096).products);
    assert_true(beyond(problem, "gpus=8,zero=1", 11007, 4096).products);
    assert_false(beyond(problem, "gpus=8,tp=8,zero=1", 11007, 4096).products);
    assert_true(beyond(problem, "gpus=8,tp=8,zero=1", 4095, 4096).products);
    assert_false(beyond(problem, "gpus=8,zero=1", 22016, 4096).attention);
    assert_true(beyond(problem, "gpus=8,zero=1", 22016, 4095).attention);
    assert_false(beyond(problem, "gpus=8,tp=8,zero=1", 22016, 4096).collectives);
    sp_problem_free(problem);
}

/* ---- the nearest ---- */

static void a_published_run_is_nearest_to_itself(void **state)
{
    const sp_recipes *recipes = sp_evidence_recipes(*state);
    for (uint32_t i = 0; i < recipes->n; i++) {
        sp_error err = {0};
        sp_problem *problem = NULL;
        const sp_question q = sp_recipe_question(source_home(), &recipes->list[i]);
        must(sp_problem_build(&q, &problem, &err), &err);
        const sp_evidence e = sp_evidence_nearest(*state, problem, &recipes->list[i].plan);
        assert_true(e.priced && e.distance == 0.0);
        assert_string_equal(e.nearest->model, recipes->list[i].model);
        assert_false(e.other_hardware || e.other_size || e.other_kind);
        sp_problem_free(problem);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_step_is_the_tokens_of_a_batch_over_their_rate),
        cmocka_unit_test(hardware_flops_are_those_of_narayanan_et_al),
        cmocka_unit_test(causal_flops_count_half_of_the_scores),
        cmocka_unit_test(distance_is_a_weighted_sum_of_doublings),
        cmocka_unit_test(what_differs_from_the_run_is_extrapolated),
        cmocka_unit_test(shapes_that_were_not_measured_are_told),
        cmocka_unit_test(a_published_run_is_nearest_to_itself),
    };
    return cmocka_run_group_tests(tests, load_evidence, free_evidence);
}
