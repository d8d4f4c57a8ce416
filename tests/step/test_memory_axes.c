/* SPDX-License-Identifier: Apache-2.0 */
/* Peak memory along the axes that trade it for time, by hand: offload, recomputed layers, shard
 * groups, low precision, GPipe, overlapped experts, adapters, prediction modules. */
#include "common/close.h"
#include "common/problems.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define EXACT 1e-12

/* A token keeps 16 h + 6 f + 32 bytes a layer: see test_offload.c. */
#define HIDDEN     1024.0
#define FFN        2816.0
#define LAYER_KEPT (16 * HIDDEN + 6 * FFN + 32)
#define TOKENS     2048.0

static sp_memory memory_of(const made_problem *made, const sp_plan *plan)
{
    sp_memory m;
    sp_estimate_memory(&made->problem, plan, &m);
    return m;
}

static void make_llama_of(made_problem *made, uint32_t layers)
{
    make_machine(made);
    make_llama(&made->model, 1024, 8, 8, 2816, layers);
    derive_problem(made);
}

static double params_of(const made_problem *made)
{
    return (double)made->problem.parameters.total;
}

/* ---- offload ---- */
/* 8 ranks under ZeRO 1, 2 and 3. Of a quarter of its eighth the host holds 12 bytes of state and 4
 * of gradients a parameter; gradients leave the device where they are sharded. */
static void the_hosts_share_of_the_optimizer_leaves_the_device(void **state)
{
    (void)state;
    made_problem made;
    make_llama_of(&made, 8);
    const double share = params_of(&made) / 8;
    for (uint8_t zero = 1; zero <= 3; zero++) {
        sp_plan plan = make_plan(&made, 1, 1, 8, 1);
        plan.zero = zero;
        const sp_memory before = memory_of(&made, &plan);
        plan.offload_optimizer = 25;
        const sp_memory m = memory_of(&made, &plan);
        assert_close(m.optimizer_bytes, 12 * 0.75 * share, EXACT);
        assert_close(m.gradients_bytes,
                     zero == 1 ? before.gradients_bytes : 0.75 * before.gradients_bytes, EXACT);
        assert_close(m.host_bytes, 0.25 * (12 + 4) * share, EXACT);
        assert_true(m.nvme_bytes == 0.0 && m.weights_bytes == before.weights_bytes);
    }
    free_problem(&made);
}

/* Half of the optimizer and of the sharded weights on local storage; activations wait in the host's
 * memory whatever the target. */
static void the_target_takes_state_and_not_activations(void **state)
{
    (void)state;
    made_problem made;
    make_llama_of(&made, 8);
    const double share = params_of(&made) / 8;
    sp_plan plan = make_plan(&made, 1, 1, 8, 1);
    plan.zero = 3;
    plan.offload_optimizer = plan.offload_params = 50;
    plan.offload_activations = 100;
    plan.offload_target = SP_OFFLOAD_NVME;
    const sp_memory m = memory_of(&made, &plan);
    assert_close(m.nvme_bytes, 0.5 * (12 + 4 + 2) * share, EXACT);
    assert_close(m.host_bytes, 8 * LAYER_KEPT * TOKENS, EXACT);
    assert_close(m.weights_bytes, 0.5 * 2 * share, EXACT);
    free_problem(&made);
}

/* All activations away: two of eight layers pass through the device, six layers' room is free. */
static void offloaded_activations_pass_through_two_layers(void **state)
{
    (void)state;
    made_problem made;
    make_llama_of(&made, 8);
    sp_plan plan = make_plan(&made, 1, 1, 1, 1);
    const double all = memory_of(&made, &plan).activations_bytes;
    plan.offload_activations = 100;
    assert_close(all - memory_of(&made, &plan).activations_bytes, 6 * LAYER_KEPT * TOKENS, EXACT);
    plan.offload_activations = 50;
    assert_close(all - memory_of(&made, &plan).activations_bytes, 3 * LAYER_KEPT * TOKENS, EXACT);
    free_problem(&made);
}

/* ---- recomputation ---- */
/* A layer that is computed again keeps its input, 2 h bytes a token. */
static void each_layer_computed_again_saves_the_same(void **state)
{
    (void)state;
    made_problem made;
    make_llama_of(&made, 8);
    sp_plan plan = make_plan(&made, 1, 1, 1, 1);
    plan.recompute = SP_RECOMPUTE_FULL;
    const double all = memory_of(&made, &plan).activations_bytes;
    for (uint16_t n = 1; n < 8; n++) {
        plan.recompute_layers = n;
        assert_close(memory_of(&made, &plan).activations_bytes - all,
                     (8 - n) * (LAYER_KEPT - 2 * HIDDEN) * TOKENS, EXACT);
    }
    plan.recompute_layers = 8;
    assert_true(memory_of(&made, &plan).activations_bytes == all);
    free_problem(&made);
}

/* Twelve layers instead of eight: the four more keep what is left of a layer without its norms'
 * outputs (4 h), the activation (2 f), or the block between norm and residual (6 f). */
static void modules_computed_again_are_not_kept(void **state)
{
    (void)state;
    static const struct {
        sp_recompute recompute;
        double dropped;
    } cases[] = {
        {SP_RECOMPUTE_NONE,          0                      },
        {SP_RECOMPUTE_SELECTIVE,     32                     },
        {SP_RECOMPUTE_LAYERNORM,     4 * HIDDEN             },
        {SP_RECOMPUTE_ACT,           2 * FFN                },
        {SP_RECOMPUTE_LAYERNORM_ACT, 4 * HIDDEN + 2 * FFN   },
        {SP_RECOMPUTE_MLP,           6 * FFN                },
        {SP_RECOMPUTE_OPS,           4 * HIDDEN + 2 * FFN   },
        {SP_RECOMPUTE_FULL,          LAYER_KEPT - 2 * HIDDEN}
    };
    made_problem eight, twelve;
    make_llama_of(&eight, 8);
    make_llama_of(&twelve, 12);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        sp_plan plan = make_plan(&eight, 1, 1, 1, 1);
        plan.recompute = (uint8_t)cases[i].recompute;
        const double four = memory_of(&twelve, &plan).activations_bytes -
                            memory_of(&eight, &plan).activations_bytes;
        assert_close(four, 4 * (LAYER_KEPT - cases[i].dropped) * TOKENS, EXACT);
    }
    free_problem(&eight);
    free_problem(&twelve);
}

/* ---- sharding and formats ---- */
/* 16 ranks in groups of 4: state is a quarter, not a sixteenth; so it is for ranks of a sequence.
 */
static void state_is_sharded_within_its_group(void **state)
{
    (void)state;
    made_problem made;
    make_llama_of(&made, 8);
    sp_plan plan = make_plan(&made, 1, 1, 16, 1);
    plan.shard_group = 4;
    assert_close(memory_of(&made, &plan).optimizer_bytes, 12 * params_of(&made) / 4, EXACT);
    plan.zero = 3;
    assert_close(memory_of(&made, &plan).weights_bytes, 2 * params_of(&made) / 4, EXACT);
    sp_plan cut = make_plan(&made, 1, 1, 4, 1);
    cut_sequences(&made, 4, &cut);
    assert_close(memory_of(&made, &cut).optimizer_bytes, 12 * params_of(&made) / 16, EXACT);
    free_problem(&made);
}

/* A quarter of a sequence keeps a quarter; logits likewise. */
static void ranks_of_a_sequence_keep_their_share(void **state)
{
    (void)state;
    made_problem eight, twelve;
    make_llama_of(&eight, 8);
    make_llama_of(&twelve, 12);
    sp_plan plan = make_plan(&eight, 1, 1, 1, 1);
    cut_sequences(&eight, 4, &plan);
    const sp_memory few = memory_of(&eight, &plan), many = memory_of(&twelve, &plan);
    assert_close(many.activations_bytes - few.activations_bytes, 4 * LAYER_KEPT * TOKENS / 4,
                 EXACT);
    assert_close(few.logits_bytes, 8 * TOKENS / 4 * 64000, EXACT);
    free_problem(&eight);
    free_problem(&twelve);
}

/* Inputs of products, two norms' outputs, the core's and the activation's (6 h + 2 f bytes), are
 * kept in their format: half in fp8, with a scale of a byte for 32 elements in mxfp8. */
static void low_precision_keeps_smaller_inputs_of_products(void **state)
{
    (void)state;
    made_problem made;
    make_llama_of(&made, 8);
    sp_plan plan = make_plan(&made, 1, 1, 1, 1);
    const double inputs = 8 * (6 * HIDDEN + 2 * FFN) * TOKENS;
    const sp_memory bf16 = memory_of(&made, &plan);
    plan.precision = SP_PRECISION_FP8;
    const sp_memory fp8 = memory_of(&made, &plan);
    assert_close(bf16.activations_bytes - fp8.activations_bytes, inputs / 2, EXACT);
    assert_true(fp8.logits_bytes == bf16.logits_bytes);
    plan.precision = SP_PRECISION_MXFP8;
    assert_close(bf16.activations_bytes - memory_of(&made, &plan).activations_bytes,
                 inputs * (1 - 33 / 64.0), EXACT);
    plan.precision = SP_PRECISION_FP16;
    assert_true(memory_of(&made, &plan).activations_bytes == bf16.activations_bytes);
    free_problem(&made);
}

/* ---- schedules ---- */
/* The first of 4 stages holds 4 micro-batches under 1F1B, all 16 under GPipe: another layer on each
 * stage counts as often. */
static void gpipe_holds_every_micro_batch(void **state)
{
    (void)state;
    made_problem eight, twelve;
    make_machine(&eight);
    make_machine(&twelve);
    eight.problem.question.global_batch = twelve.problem.question.global_batch = 16;
    make_gpt(&eight.model, 1024, 16, 8);
    make_gpt(&twelve.model, 1024, 16, 12);
    /* A small table, so that the first stage is the fullest. */
    eight.model.model.vocab = twelve.model.model.vocab = 128;
    derive_problem(&eight);
    derive_problem(&twelve);
    const double held[] = {[SP_SCHEDULE_1F1B] = 4, [SP_SCHEDULE_GPIPE] = 16};
    const double gpt_kept = 34 * HIDDEN + 4 * 16; /* 4 bytes of log-sum-exp a head */
    for (uint8_t schedule = SP_SCHEDULE_1F1B; schedule <= SP_SCHEDULE_GPIPE; schedule++) {
        sp_plan plan = make_plan(&eight, 1, 4, 1, 1);
        plan.schedule = schedule;
        const sp_memory few = memory_of(&eight, &plan), many = memory_of(&twelve, &plan);
        assert_close(many.activations_bytes - few.activations_bytes,
                     held[schedule] * gpt_kept * TOKENS, EXACT);
    }
    free_problem(&eight);
    free_problem(&twelve);
}

/* 4 stages, 16 micro-batches of a Llama with a table of 128 words. One more layer on each stage
 * (two more blocks' of a mirrored one) counts as often as the fullest stage holds its
 * micro-batches: 4 of H1 and V, 7 of H2, 3 of V-Half, 2 of V-Min, 2.5 of both blocks of
 * DualPipe, 4.5 of DualPipeV.
 */
static void make_pair(made_problem *few, made_problem *many)
{
    make_machine(few);
    make_machine(many);
    few->problem.question.global_batch = many->problem.question.global_batch = 16;
    make_llama(&few->model, 1024, 8, 8, 2816, 16);
    make_llama(&many->model, 1024, 8, 8, 2816, 24);
    few->model.model.vocab = many->model.model.vocab = 128;
    derive_problem(few);
    derive_problem(many);
}

static const struct {
    sp_schedule schedule;
    uint16_t vpp;
    double held, layers; /* layers of a stage that 8 more of the model add */
} split_schedules[] = {
    {SP_SCHEDULE_ZB_H1,      1, 4,   2},
    {SP_SCHEDULE_ZB_H2,      1, 7,   2},
    {SP_SCHEDULE_ZB_V,       2, 4,   2},
    {SP_SCHEDULE_V_HALF,     2, 3,   2},
    {SP_SCHEDULE_V_MIN,      2, 2,   2},
    {SP_SCHEDULE_DUALPIPE,   1, 2.5, 4},
    {SP_SCHEDULE_DUALPIPE_V, 2, 4.5, 2},
};
#define N_SPLIT (sizeof split_schedules / sizeof split_schedules[0])

static sp_plan split_plan(const made_problem *made, size_t i)
{
    sp_plan plan = make_plan(made, 1, 4, 1, 1);
    plan.schedule = (uint8_t)split_schedules[i].schedule;
    plan.vpp = split_schedules[i].vpp;
    return plan;
}

static void stages_hold_what_their_schedule_does(void **state)
{
    (void)state;
    made_problem few, many;
    make_pair(&few, &many);
    for (size_t i = 0; i < N_SPLIT; i++) {
        const sp_plan plan = split_plan(&few, i);
        const double more =
            memory_of(&many, &plan).activations_bytes - memory_of(&few, &plan).activations_bytes;
        assert_close(
            more, split_schedules[i].held * split_schedules[i].layers * LAYER_KEPT * TOKENS, EXACT);
    }
    free_problem(&few);
    free_problem(&many);
}

/* DualPipe holds weights and gradients of two stages; their optimizer is dealt to both copies. */
static void mirrored_stages_hold_weights_twice(void **state)
{
    (void)state;
    made_problem few, many;
    make_pair(&few, &many);
    sp_plan plan = make_plan(&few, 1, 4, 1, 1);
    const sp_memory once[] = {memory_of(&few, &plan), memory_of(&many, &plan)};
    plan.schedule = SP_SCHEDULE_DUALPIPE;
    const sp_memory twice[] = {memory_of(&few, &plan), memory_of(&many, &plan)};
    assert_close(twice[1].weights_bytes - twice[0].weights_bytes,
                 2 * (once[1].weights_bytes - once[0].weights_bytes), EXACT);
    assert_close(twice[1].gradients_bytes - twice[0].gradients_bytes,
                 2 * (once[1].gradients_bytes - once[0].gradients_bytes), EXACT);
    assert_close(twice[1].optimizer_bytes - twice[0].optimizer_bytes,
                 once[1].optimizer_bytes - once[0].optimizer_bytes, EXACT);
    free_problem(&few);
    free_problem(&many);
}

/* Under full recomputation a layer keeps its input, 2 h bytes a token, until its backward pass, and
 * all that it computed until the gradients of its weights are there: stage 3 of H1 holds none of
 * the former and 4 of the latter. */
static void late_gradients_hold_all_that_is_computed_again(void **state)
{
    (void)state;
    made_problem few, many;
    make_pair(&few, &many);
    sp_plan plan = make_plan(&few, 1, 4, 1, 1);
    plan.schedule = SP_SCHEDULE_ZB_H1;
    plan.recompute = SP_RECOMPUTE_FULL;
    const sp_memory a = memory_of(&few, &plan), b = memory_of(&many, &plan);
    assert_int_equal(b.worst_stage, 3);
    assert_close(b.activations_bytes - a.activations_bytes, 2 * 4 * LAYER_KEPT * TOKENS, EXACT);
    plan.schedule = SP_SCHEDULE_1F1B;
    const double early =
        memory_of(&many, &plan).activations_bytes - memory_of(&few, &plan).activations_bytes;
    assert_close(early, 2 * 4 * 2 * HIDDEN * TOKENS, EXACT);
    free_problem(&few);
    free_problem(&many);
}

/* Shares of activations leave, but for what late gradients need: only
 * the room of two layers that they pass through is added.
 * Layers that are computed again free memory one by one under every schedule. */
static void every_schedule_offloads_and_recomputes_in_parts(void **state)
{
    (void)state;
    made_problem few, many;
    make_pair(&few, &many);
    for (size_t i = 0; i < N_SPLIT; i++) {
        sp_plan plan = split_plan(&many, i);
        double before = memory_of(&many, &plan).activations_bytes, away = 0.0;
        for (uint8_t share = 25; share <= 100; share = (uint8_t)(share + 25)) {
            plan.offload_activations = share;
            const sp_memory m = memory_of(&many, &plan);
            const double room = share / 100.0 * 2 * LAYER_KEPT * TOKENS;
            assert_true(m.activations_bytes - room <= before && m.host_bytes > away);
            before = m.activations_bytes - room;
            away = m.host_bytes;
        }
        plan.offload_activations = 0;
        plan.recompute = SP_RECOMPUTE_FULL;
        before = INFINITY;
        for (uint16_t layers = 1; layers <= 6; layers++) {
            plan.recompute_layers = (uint16_t)(layers % 6);
            const double now = memory_of(&many, &plan).activations_bytes;
            assert_true(now <= before);
            before = now;
        }
    }
    free_problem(&few);
    free_problem(&many);
}

/* Under GPipe the logits of all 16 micro-batches wait for the first backward pass. */
static void gpipe_holds_the_logits_of_every_micro_batch(void **state)
{
    (void)state;
    made_problem made;
    make_machine(&made);
    made.problem.question.global_batch = 16;
    make_llama(&made.model, 1024, 8, 8, 2816, 8);
    derive_problem(&made);
    sp_plan plan = make_plan(&made, 1, 2, 1, 1);
    plan.schedule = SP_SCHEDULE_GPIPE;
    const sp_memory m = memory_of(&made, &plan);
    assert_int_equal(m.worst_stage, 1);
    assert_close(m.logits_bytes, 16 * 8 * TOKENS * 64000, EXACT);
    free_problem(&made);
}

/* Hiding expert traffic beside another micro-batch takes the activations of one more, where there
 * is one: four further layers count twice. */
static void overlapped_experts_hold_another_micro_batch(void **state)
{
    (void)state;
    made_problem four, eight;
    make_machine(&four);
    make_machine(&eight);
    make_moe(&four.model, 1024, 8, 512, 16, 2, 0, 4);
    make_moe(&eight.model, 1024, 8, 512, 16, 2, 0, 8);
    derive_problem(&four);
    derive_problem(&eight);
    sp_plan plan = make_plan(&four, 1, 1, 16, 1);
    plan.ep = 8;
    assert_int_equal(plan.accumulation, 32);
    const double once =
        memory_of(&eight, &plan).activations_bytes - memory_of(&four, &plan).activations_bytes;
    plan.ep_overlap = SP_ON;
    const double twice =
        memory_of(&eight, &plan).activations_bytes - memory_of(&four, &plan).activations_bytes;
    assert_true(once > 0.0);
    assert_close(twice, 2 * once, EXACT);
    sp_plan single = make_plan(&four, 1, 1, 512, 1);
    single.ep = 8;
    const double alone = memory_of(&four, &single).activations_bytes;
    assert_int_equal(single.accumulation, 1);
    single.ep_overlap = SP_ON;
    assert_true(memory_of(&four, &single).activations_bytes == alone);
    free_problem(&four);
    free_problem(&eight);
}

/* ---- frozen models and prediction modules ---- */
/* Adapters of rank 16 beside the four products of a layer: 3072 x 1024, 1024 x 1024, 5632 x 1024
 * and 1024 x 2816. The model has weights alone, 2 bytes a parameter, or 0.516 in matrices of
 * layers. */
static void frozen_models_hold_no_gradients_and_no_optimizer(void **state)
{
    (void)state;
    const double adapters = 8 * 16.0 * (4096 + 2048 + 6656 + 3840);
    static const sp_task tasks[] = {SP_TASK_LORA, SP_TASK_QLORA};
    static const double bytes[] = {2, 0.516};
    for (int i = 0; i < 2; i++) {
        made_problem made;
        make_llama_of(&made, 8);
        made.problem.question.task = tasks[i];
        made.problem.question.lora_rank = 16;
        derive_problem(&made);
        const sp_plan plan = make_plan(&made, 1, 1, 1, 1);
        const sp_memory m = memory_of(&made, &plan);
        const double matrices = 8 * HIDDEN * (4 * HIDDEN + 3 * FFN);
        assert_close(m.weights_bytes,
                     bytes[i] * matrices + 2 * (params_of(&made) - matrices) + 2 * adapters, EXACT);
        assert_close(m.gradients_bytes, 4 * adapters, EXACT);
        assert_close(m.optimizer_bytes, 12 * adapters, EXACT);
        free_problem(&made);
    }
}

/* 61 stages of one layer and one micro-batch each: the last one holds a layer, the norm and the
 * head, and the module, 11,610,067,968 parameters; its logits are those of two heads. */
static void prediction_modules_lie_on_the_last_stage(void **state)
{
    (void)state;
    made_problem made;
    make_machine(&made);
    make_deepseek_v3(&made.model);
    made.problem.question.global_batch = 1;
    derive_problem(&made);
    const sp_plan plan = make_plan(&made, 1, 61, 1, 1);
    const sp_memory m = memory_of(&made, &plan);
    const double layer = 187107328 + 2 * 7168.0 + 257 * 3 * 7168.0 * 2048 + 7168 * 256.0;
    const double head = 129280 * 7168.0 + 7168, module = 11610067968.0;
    assert_int_equal(m.worst_stage, 60);
    assert_close(m.weights_bytes, 2 * (layer + head + module), EXACT);
    assert_close(m.logits_bytes, 2 * 8 * TOKENS * 129280, EXACT);
    free_problem(&made);
}

/* Two modules on the only stage keep two layers, and each the inputs of its norm and head (4 h). */
static void prediction_modules_keep_a_layer_each(void **state)
{
    (void)state;
    made_problem made;
    make_llama_of(&made, 8);
    const sp_plan plan = make_plan(&made, 1, 1, 1, 1);
    const double before = memory_of(&made, &plan).activations_bytes;
    made.model.model.mtp_layers = 2;
    derive_problem(&made);
    assert_close(memory_of(&made, &plan).activations_bytes - before,
                 2 * (LAYER_KEPT + 4 * HIDDEN) * TOKENS, EXACT);
    free_problem(&made);
}

/* The module's layer has adapters like any other: those of the last stage are twice a layer's. */
static void prediction_modules_have_adapters_too(void **state)
{
    (void)state;
    made_problem with, without;
    double adapters[2];
    make_machine(&with);
    make_deepseek_v3(&with.model);
    with.problem.question.global_batch = 1;
    with.problem.question.task = SP_TASK_LORA;
    with.problem.question.lora_rank = 16;
    without = with;
    without.model.model.runs = without.model.runs;
    without.model.model.mtp_layers = 0;
    const made_problem *both[] = {&with, &without};
    derive_problem(&with);
    derive_problem(&without);
    for (int i = 0; i < 2; i++) {
        const sp_plan plan = make_plan(both[i], 1, 61, 1, 1);
        const sp_memory m = memory_of(both[i], &plan);
        assert_int_equal(m.worst_stage, 60);
        adapters[i] = m.optimizer_bytes;
    }
    assert_close(adapters[0], 2 * adapters[1], EXACT);
    free_problem(&with);
    free_problem(&without);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_hosts_share_of_the_optimizer_leaves_the_device),
        cmocka_unit_test(the_target_takes_state_and_not_activations),
        cmocka_unit_test(offloaded_activations_pass_through_two_layers),
        cmocka_unit_test(each_layer_computed_again_saves_the_same),
        cmocka_unit_test(modules_computed_again_are_not_kept),
        cmocka_unit_test(state_is_sharded_within_its_group),
        cmocka_unit_test(ranks_of_a_sequence_keep_their_share),
        cmocka_unit_test(low_precision_keeps_smaller_inputs_of_products),
        cmocka_unit_test(gpipe_holds_every_micro_batch),
        cmocka_unit_test(gpipe_holds_the_logits_of_every_micro_batch),
        cmocka_unit_test(stages_hold_what_their_schedule_does),
        cmocka_unit_test(mirrored_stages_hold_weights_twice),
        cmocka_unit_test(late_gradients_hold_all_that_is_computed_again),
        cmocka_unit_test(every_schedule_offloads_and_recomputes_in_parts),
        cmocka_unit_test(overlapped_experts_hold_another_micro_batch),
        cmocka_unit_test(frozen_models_hold_no_gradients_and_no_optimizer),
        cmocka_unit_test(prediction_modules_lie_on_the_last_stage),
        cmocka_unit_test(prediction_modules_keep_a_layer_each),
        cmocka_unit_test(prediction_modules_have_adapters_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
