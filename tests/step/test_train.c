/* SPDX-License-Identifier: Apache-2.0 */
/* The time of a step: by hand on machines where one thing costs, and laws over random models,
 * machines and plans. */
#include "common/close.h"
#include "common/problems.h"
#include "step/pipeline.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define N_PROBLEMS 400
#define N_PLANS    20

static sp_estimate estimate(const made_problem *made, const sp_plan *plan)
{
    sp_estimate e;
    sp_estimate_plan(&made->problem, plan, &e);
    return e;
}

/* ---- by hand ---- */
/* Llama of 8 layers, h = 1024, f = 2816, 8 heads of 128, V = 64000; 512 sequences of 2048 tokens: a
 * forward pass has 2 (4 h^2 + 3 h f) + 2 s h FLOPs a token and layer, and 2 h V in the head. */
#define TOKENS      (512.0 * 2048)
#define LAYER_FLOPS (2 * (4 * 1024.0 * 1024 + 3 * 1024.0 * 2816))
#define CORE_FLOPS  (2 * 2048 * 1024.0)
#define HEAD_FLOPS  (2 * 64000 * 1024.0)
#define LAYERS      8

static void make_example(made_problem *made)
{
    make_calculator(made);
    make_llama(&made->model, 1024, 8, 8, 2816, LAYERS);
    derive_problem(made);
}

/* At 1 PFLOP/s and nothing else: forward FLOPs / 10^15, backward twice the products and 2.5 times
 * the attention core, which a fused kernel computes again. */
static void one_gpu_that_only_calculates_takes_its_flops(void **state)
{
    (void)state;
    made_problem made;
    make_example(&made);
    const sp_plan plan = make_plan(&made, 1, 1, 1, 4);
    const sp_estimate e = estimate(&made, &plan);
    const double products = TOKENS * (LAYERS * LAYER_FLOPS + HEAD_FLOPS);
    const double cores = TOKENS * LAYERS * CORE_FLOPS;
    assert_close(e.time.forward_s, (products + cores) / 1e15, 1e-9);
    assert_close(e.time.backward_s, (2 * products + 2.5 * cores) / 1e15, 1e-9);
    assert_close(e.time.step_s, e.time.forward_s + e.time.backward_s, 1e-9);
    assert_close(e.mfu, 3 * (products + cores) / (e.time.step_s * 1e15), 1e-9);
    free_problem(&made);
}

/* tp and dp divide the work, pp does the same with a bubble of the other stages' time. */
static void ranks_that_only_calculate_share_the_work(void **state)
{
    (void)state;
    made_problem made;
    make_example(&made);
    const sp_plan one = make_plan(&made, 1, 1, 1, 4), eight = make_plan(&made, 2, 1, 4, 4);
    assert_close(estimate(&made, &eight).time.step_s, estimate(&made, &one).time.step_s / 8, 1e-9);
    free_problem(&made);
}

/* 4 stages of 2 layers, the last with the head: a micro-batch takes three times t and once t + h;
 * 128 micro-batches at the slowest, and the other three once: 128 (t + h) + 3 t. */
static void a_pipeline_waits_for_the_other_stages_once(void **state)
{
    (void)state;
    made_problem made;
    make_example(&made);
    const sp_plan plan = make_plan(&made, 1, 4, 1, 4);
    const sp_estimate e = estimate(&made, &plan);
    const double batch = 4 * 2048.0;
    const double t = batch * 2 * (3 * LAYER_FLOPS + 3.5 * CORE_FLOPS) / 1e15;
    const double h = batch * 3 * HEAD_FLOPS / 1e15;
    assert_int_equal(plan.accumulation, 128);
    assert_close(e.time.bubble_s, 3 * t, 1e-9);
    assert_close(e.time.step_s, 128 * (t + h) + 3 * t, 1e-9);
    free_problem(&made);
}

/* The last of 4 stages has the most work; a rank there that takes a tenth longer holds up all of
 * it.
 */
static void a_straggler_holds_up_the_longest_work(void **state)
{
    (void)state;
    made_problem made;
    make_example(&made);
    const sp_plan plan = make_plan(&made, 1, 4, 2, 4);
    const sp_time even = estimate(&made, &plan).time;
    made.problem.question.straggler_ratio = 1.1;
    const sp_time t = estimate(&made, &plan).time;
    assert_true(even.straggler_s == 0.0);
    assert_close(t.straggler_s, 0.1 * (t.forward_s + t.backward_s + t.optimizer_s), 1e-9);
    assert_close(t.step_s, even.step_s + t.straggler_s, 1e-12);
    free_problem(&made);
}

static void one_gpu_waits_for_no_other(void **state)
{
    (void)state;
    made_problem made;
    make_example(&made);
    const sp_plan plan = make_plan(&made, 1, 1, 1, 4);
    made.problem.question.straggler_ratio = 1.5;
    assert_true(estimate(&made, &plan).time.straggler_s == 0.0);
    free_problem(&made);
}

/* Two chunks a stage: half of the bubble. */
static void interleaving_halves_the_bubble(void **state)
{
    (void)state;
    made_problem made;
    make_example(&made);
    sp_plan plan = make_plan(&made, 1, 4, 1, 4);
    const double bubble_s = estimate(&made, &plan).time.bubble_s;
    plan.schedule = SP_SCHEDULE_INTERLEAVED;
    plan.vpp = 2;
    assert_close(estimate(&made, &plan).time.bubble_s, bubble_s / 2, 1e-12);
    free_problem(&made);
}

/* The same pipeline run pass by pass: the last of 4 stages has the longest passes. GPipe takes as
 * long as one forward, one backward. */
static void a_step_takes_what_the_pipeline_takes_pass_by_pass(void **state)
{
    (void)state;
    made_problem made;
    make_example(&made);
    sp_plan plan = make_plan(&made, 1, 4, 1, 4);
    const double batch_s = 4 * 2048 / 1e15;
    pipeline pipe = {.p = 4, .v = 1, .m = plan.accumulation};
    for (uint32_t i = 0; i < 4; i++) {
        const double head = i == 3 ? HEAD_FLOPS : 0.0;
        pipe.forward_s[i] = batch_s * (2 * (LAYER_FLOPS + CORE_FLOPS) + head);
        pipe.backward_s[i] = batch_s * (2 * (2 * LAYER_FLOPS + 2.5 * CORE_FLOPS) + 2 * head);
    }
    assert_close(estimate(&made, &plan).time.step_s, run_1f1b(&pipe).step_s, 1e-9);
    plan.schedule = SP_SCHEDULE_GPIPE;
    assert_close(estimate(&made, &plan).time.step_s, run_gpipe(&pipe).step_s, 1e-9);
    free_problem(&made);
}

/* 8 ranks of a node at 100 GB/s. Gradients of 4 bytes: an all-reduce of 2 x 7/8 of them without
 * ZeRO; with ZeRO 1 a reduce-scatter of 7/8 and an all-gather of 7/8 of 2-byte weights. */
static void gradients_cross_the_network_once_a_step(void **state)
{
    (void)state;
    made_problem made;
    make_example(&made);
    made.cluster.levels[0].bytes_per_s = 100e9;
    made.cluster.levels[0].efficiency_ratio = 1;
    derive_problem(&made);
    const double bytes = 4 * (double)made.problem.parameters.total;
    sp_plan plan = make_plan(&made, 1, 1, 8, 4);
    plan.zero = 0;
    assert_close(estimate(&made, &plan).time.dp_comm_s, 2 * 7 / 8.0 * bytes / 100e9, 1e-9);
    assert_close(estimate(&made, &plan).network.dp_bytes, 2 * 7 / 8.0 * bytes, 1e-12);
    plan.zero = 1;
    assert_close(estimate(&made, &plan).time.dp_comm_s, 7 / 8.0 * 1.5 * bytes / 100e9, 1e-9);
    free_problem(&made);
}

/* ZeRO 2 reduces with every micro-batch, ZeRO 3 also gathers the weights for both passes: 16
 * micro-batches, 7/8 x (4 + 2 + 2) bytes a parameter each. */
static void zero_3_moves_weights_with_every_micro_batch(void **state)
{
    (void)state;
    made_problem made;
    make_example(&made);
    sp_plan plan = make_plan(&made, 1, 1, 8, 4);
    const double params = (double)made.problem.parameters.total;
    assert_int_equal(plan.accumulation, 16);
    plan.zero = 2;
    assert_close(estimate(&made, &plan).network.dp_bytes, 7 / 8.0 * params * (16 * 4 + 2), 1e-12);
    plan.zero = 3;
    assert_close(estimate(&made, &plan).network.dp_bytes, 7 / 8.0 * params * 16 * 8, 1e-12);
    free_problem(&made);
}

/* The optimizer reads and writes 34 bytes a parameter, its share of them under ZeRO. */
static void the_optimizer_streams_the_state_that_it_owns(void **state)
{
    (void)state;
    made_problem made;
    make_example(&made);
    made.gpu.memory_bytes_per_s = 1e12;
    made.gpu.stream_ratio = 0.5;
    derive_problem(&made);
    const double update_s = 34 * (double)made.problem.parameters.total / 0.5e12;
    sp_plan plan = make_plan(&made, 1, 1, 8, 4);
    plan.zero = 0;
    assert_close(estimate(&made, &plan).time.optimizer_s, update_s, 1e-12);
    plan.zero = 1;
    assert_close(estimate(&made, &plan).time.optimizer_s, update_s / 8, 1e-12);
    free_problem(&made);
}

/* Per layer and micro-batch without sequence parallelism four all-reduces of 2 s b h bytes, each
 * 2 x 7/8 of them from every rank: 8 layers, 128 micro-batches. The embedding adds one, the head
 * two. */
static void tensor_parallel_ranks_send_four_all_reduces_a_layer(void **state)
{
    (void)state;
    made_problem made;
    make_example(&made);
    const sp_plan plan = make_plan(&made, 8, 1, 1, 4);
    const double tensor = 2 * 4 * 2048.0 * 1024, reduce = 2 * 7 / 8.0 * tensor;
    const double layers = plan.accumulation * LAYERS * 4.0 * reduce;
    const double sent = estimate(&made, &plan).network.tp_bytes;
    assert_int_equal(plan.accumulation, 128);
    assert_true(sent >= layers && sent <= layers * (1 + 3.0 / (4 * LAYERS)) * (1 + 1e-12));
    free_problem(&made);
}

/* Host time of 8 layers' kernels in each of 512 micro-batches, where the GPU has nothing to do. */
static void a_step_takes_at_least_what_the_host_needs(void **state)
{
    (void)state;
    made_problem made;
    make_example(&made);
    made.profile.kernel_host_s = 1e-3;
    made.profile.layer_kernels = 100;
    made.profile.micro_batch_s = 2e-3;
    made.profile.step_s = 0.25;
    derive_problem(&made);
    const sp_plan plan = make_plan(&made, 1, 1, 1, 1);
    const sp_estimate e = estimate(&made, &plan);
    const double launches = 512 * LAYERS * 100 * 1e-3;
    assert_true(e.time.step_s >= launches + 512 * 2e-3 + 0.25);
    assert_true(e.time.step_s <=
                1.19 * (launches + e.time.forward_s + e.time.backward_s) + 512 * 2e-3 + 0.25);
    free_problem(&made);
}

/* A layer with experts launches 100 + 20 kernels, and 10 for each of the 8 experts or of the 4 that
 * one of two ranks holds. */
static void every_expert_of_a_rank_launches_its_kernels(void **state)
{
    (void)state;
    made_problem made;
    make_calculator(&made);
    make_moe(&made.model, 1024, 8, 1024, 8, 2, 0, 4);
    made.profile.kernel_host_s = 1.0; /* so long that nothing else counts */
    made.profile.layer_kernels = 100;
    made.profile.layer_kernels_tp = 0;
    made.profile.expert_layer_kernels = 20;
    made.profile.expert_kernels = 10;
    derive_problem(&made);
    sp_plan plan = make_plan(&made, 1, 1, 2, 1);
    const double micro_batches = plan.accumulation;
    assert_close(estimate(&made, &plan).time.other_s, micro_batches * 4 * (100 + 20 + 80), 1e-3);
    plan.ep = 2;
    assert_close(estimate(&made, &plan).time.other_s, micro_batches * 4 * (100 + 20 + 40), 1e-3);
    made.profile.scaled_expert_kernels = 5; /* more for each where scales go by block */
    derive_problem(&made);
    assert_close(estimate(&made, &plan).time.other_s, micro_batches * 4 * (100 + 20 + 40), 1e-3);
    plan.precision = SP_PRECISION_MXFP8;
    assert_close(estimate(&made, &plan).time.other_s, micro_batches * 4 * (100 + 20 + 60), 1e-3);
    free_problem(&made);
}

/* ---- laws
 * ------------------------------------------------------------------------------------------------
 */
typedef void (*plan_law)(const made_problem *made, const sp_plan *plan, draw *d);

static void for_random_plans(const char *name, plan_law law)
{
    draw d = draw_begin(name);
    for (int i = 0; i < N_PROBLEMS; i++) {
        made_problem made;
        make_random_problem(&made, &d);
        derive_problem(&made);
        for (int k = 0; k < N_PLANS; k++) {
            const sp_plan plan = draw_plan(&made, &d);
            law(&made, &plan, &d);
        }
        free_problem(&made);
    }
}

static void say_plan(const made_problem *made, const sp_plan *plan)
{
    char text[SP_PLAN_TEXT_BYTES];
    sp_plan_format(plan, text, sizeof text);
    print_error("%s with %u layers of %u, dp %u, %u micro-batches: %s\n", made->model.model.name,
                made->model.model.n_layers, made->model.model.hidden, plan->dp, plan->accumulation,
                text);
}

static void sums(const made_problem *made, const sp_plan *plan, draw *d)
{
    (void)d;
    const sp_time t = estimate(made, plan).time;
    const double parts[] = {t.forward_s, t.backward_s,  t.recompute_s, t.tp_comm_s, t.cp_comm_s,
                            t.ep_comm_s, t.pp_comm_s,   t.bubble_s,    t.dp_comm_s, t.optimizer_s,
                            t.offload_s, t.straggler_s, t.other_s};
    double sum = 0.0;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (!(parts[i] >= 0.0) || isinf(parts[i])) say_plan(made, plan);
        assert_true(parts[i] >= 0.0 && isfinite(parts[i]));
        sum += parts[i];
    }
    assert_true(t.step_s > 0.0);
    assert_close(t.step_s, sum, 1e-12);
}

static void the_parts_of_a_step_are_not_negative_and_sum_to_it(void **state)
{
    (void)state;
    for_random_plans("the_parts_of_a_step_are_not_negative_and_sum_to_it", sums);
}

static void ratios(const made_problem *made, const sp_plan *plan, draw *d)
{
    (void)d;
    const sp_estimate e = estimate(made, plan);
    const double all_comm_s = e.time.tp_comm_s + e.time.cp_comm_s + e.time.ep_comm_s +
                              e.time.pp_comm_s + e.time.dp_comm_s;
    assert_true(e.network.exposed_ratio >= 0.0 && e.network.exposed_ratio < 1.0);
    assert_close(e.network.step_ratio, all_comm_s / e.time.step_s, 1e-12);
    /* Frozen weights have no gradient: a third of the products that MFU counts is not done. */
    assert_true(e.mfu > 0.0 && e.mfu < 1.0);
    assert_at_most(e.mfu, e.hfu, 1e-12);
    assert_true(plan->recompute != SP_RECOMPUTE_NONE || e.hfu <= e.mfu * (1 + 1e-12));
}

/* Model FLOPs fill less than the peak; recomputation is what lies between mfu and hfu. */
static void shares_of_peak_and_network_are_shares(void **state)
{
    (void)state;
    for_random_plans("shares_of_peak_and_network_are_shares", ratios);
}

static void no_traffic(const made_problem *made, const sp_plan *plan, draw *d)
{
    (void)d;
    sp_plan alone = *plan;
    alone.tp = alone.cp = alone.pp = alone.ep = alone.etp = alone.vpp = 1;
    alone.gpus = 1;
    alone.shard_group = 0;
    alone.recompute_layers = 0;
    alone.schedule = SP_SCHEDULE_1F1B;
    alone.sp = alone.tp_overlap = alone.ep_overlap = SP_OFF;
    sp_plan_derive(&alone, made->problem.question.global_batch);
    const sp_estimate e = estimate(made, &alone);
    assert_true(e.time.tp_comm_s == 0.0 && e.time.ep_comm_s == 0.0 && e.time.pp_comm_s == 0.0);
    assert_true(e.time.cp_comm_s == 0.0 && e.network.cp_bytes == 0.0);
    assert_true(e.time.dp_comm_s == 0.0 && e.time.bubble_s == 0.0);
    assert_true(e.network.tp_bytes == 0.0 && e.network.ep_bytes == 0.0);
    assert_true(e.network.pp_bytes == 0.0 && e.network.dp_bytes == 0.0);
    assert_true(e.network.exposed_ratio == 0.0 && e.network.step_ratio == 0.0);
}

static void one_gpu_alone_sends_nothing(void **state)
{
    (void)state;
    for_random_plans("one_gpu_alone_sends_nothing", no_traffic);
}

/* Where passes are cut, what hides beside more work moves from one kind of pass to another while
 * their sum stays, and the chain of a schedule need not run through the longer one. */
static double slack(const sp_plan *plan)
{
    return sp_schedule_describe((sp_schedule)plan->schedule)->holds_late ? 0.03 : 1e-12;
}

/* Prices the plan again on a machine with one figure changed. */
static void never_faster(const made_problem *made, made_problem *changed, const sp_plan *plan,
                         const char *what)
{
    derive_problem(changed);
    const double before_s = estimate(made, plan).time.step_s;
    const double after_s = estimate(changed, plan).time.step_s;
    free_problem(changed);
    if (after_s >= before_s * (1 - slack(plan))) return;
    say_plan(made, plan);
    fail_msg("%s: %.9g s become %.9g s", what, before_s, after_s);
}

/* A copy with an arena of its own. */
static made_problem copy(const made_problem *made)
{
    made_problem changed = *made;
    changed.problem.arena = (sp_arena){0};
    return changed;
}

static void try_slower_link(const made_problem *made, const sp_plan *plan, draw *d)
{
    made_problem slower = copy(made);
    slower.model.model.runs = slower.model.runs;
    sp_level *level = &slower.cluster.levels[draw_between(d, 0, 1)];
    level->bytes_per_s /= draw_scale(d, 1.0, 10.0);
    level->latency_s *= draw_scale(d, 1.0, 10.0);
    never_faster(made, &slower, plan, "a slower link");
}

static void try_slower_host(const made_problem *made, const sp_plan *plan, draw *d)
{
    made_problem slower = copy(made);
    slower.model.model.runs = slower.model.runs;
    slower.cluster.host_link_bytes_per_s /= draw_scale(d, 1.0, 10.0);
    slower.cluster.host_memory_bytes_per_s /= draw_scale(d, 1.0, 10.0);
    slower.cluster.nvme_bytes_per_s /= draw_scale(d, 1.0, 10.0);
    never_faster(made, &slower, plan, "a slower host");
}

static void a_faster_host_never_makes_a_step_slower(void **state)
{
    (void)state;
    for_random_plans("a_faster_host_never_makes_a_step_slower", try_slower_host);
}

static void a_slower_link_never_makes_a_step_faster(void **state)
{
    (void)state;
    for_random_plans("a_slower_link_never_makes_a_step_faster", try_slower_link);
}

static void try_lower_peak(const made_problem *made, const sp_plan *plan, draw *d)
{
    made_problem slower = copy(made);
    slower.model.model.runs = slower.model.runs;
    const double by = draw_scale(d, 1.0, 10.0);
    for (int dtype = 0; dtype < SP_N_DTYPES; dtype++) {
        slower.gpu.peak_flops_per_s[dtype] /= by;
    }
    never_faster(made, &slower, plan, "a lower peak");
}

static void a_higher_peak_never_makes_a_step_slower(void **state)
{
    (void)state;
    for_random_plans("a_higher_peak_never_makes_a_step_slower", try_lower_peak);
}

static void try_less_memory_bandwidth(const made_problem *made, const sp_plan *plan, draw *d)
{
    made_problem slower = copy(made);
    slower.model.model.runs = slower.model.runs;
    slower.gpu.memory_bytes_per_s /= draw_scale(d, 1.0, 10.0);
    never_faster(made, &slower, plan, "less memory bandwidth");
}

static void faster_memory_never_makes_a_step_slower(void **state)
{
    (void)state;
    for_random_plans("faster_memory_never_makes_a_step_slower", try_less_memory_bandwidth);
}

/* What hides still disturbs, but hiding never costs more than waiting. */
static void try_overlap(const made_problem *made, const sp_plan *plan, draw *d)
{
    (void)d;
    sp_plan waits = *plan, hides = *plan;
    waits.dp_overlap = SP_OFF;
    hides.dp_overlap = SP_ON;
    const double waits_s = estimate(made, &waits).time.step_s;
    const double hides_s = estimate(made, &hides).time.step_s;
    if (hides_s <= waits_s * (1 + 1e-12)) return;
    say_plan(made, plan);
    fail_msg("%.9g s become %.9g s with dp_overlap", waits_s, hides_s);
}

static void overlap_never_makes_a_step_slower(void **state)
{
    (void)state;
    for_random_plans("overlap_never_makes_a_step_slower", try_overlap);
}

/* Pairs take two passes at a stage on the way instead of one, which few micro-batches do not repay,
 * nor uneven stages with little to hide. */
static void try_expert_overlap(const made_problem *made, const sp_plan *plan, draw *d)
{
    (void)d;
    if (plan->accumulation < 4 * plan->pp) return;
    sp_plan waits = *plan, hides = *plan;
    waits.ep_overlap = SP_OFF;
    hides.ep_overlap = SP_ON;
    const double waits_s = estimate(made, &waits).time.step_s;
    const double hides_s = estimate(made, &hides).time.step_s;
    if (hides_s <= waits_s * (1 + 0.01)) return;
    say_plan(made, plan);
    fail_msg("%.9g s become %.9g s with ep_overlap", waits_s, hides_s);
}

/* What expert traffic hides beside is no longer free for gradients, but hiding wins. */
static void overlapped_experts_never_make_a_step_slower(void **state)
{
    (void)state;
    for_random_plans("overlapped_experts_never_make_a_step_slower", try_expert_overlap);
}

static void try_uneven_routing(const made_problem *made, const sp_plan *plan, draw *d)
{
    made_problem uneven = copy(made);
    uneven.model.model.runs = uneven.model.runs;
    uneven.problem.question.moe_imbalance_ratio *= draw_scale(d, 1.0, 3.0);
    never_faster(made, &uneven, plan, "more uneven routing");
}

static void more_uneven_routing_never_makes_a_step_faster(void **state)
{
    (void)state;
    for_random_plans("more_uneven_routing_never_makes_a_step_faster", try_uneven_routing);
}

/* ---- recomputation ---- */
/* Whole layers are computed again: all forward FLOPs but the head's. */
static void full_recomputation_adds_the_layers_forward_flops(void **state)
{
    (void)state;
    made_problem made;
    make_example(&made);
    for (uint16_t pp = 1; pp <= 4; pp *= 2) {
        sp_plan plan = make_plan(&made, 2, pp, 2, 4);
        plan.recompute = SP_RECOMPUTE_FULL;
        const sp_estimate e = estimate(&made, &plan);
        const double layers = LAYERS * (LAYER_FLOPS + CORE_FLOPS), all = layers + HEAD_FLOPS;
        assert_close(e.hfu / e.mfu, (3 * all + layers) / (3 * all), 1e-12);
        plan.recompute = SP_RECOMPUTE_SELECTIVE;
        const sp_estimate s = estimate(&made, &plan);
        assert_close(s.hfu / s.mfu, (3 * all + LAYERS * CORE_FLOPS) / (3 * all), 1e-12);
    }
    free_problem(&made);
}

static void try_computing_again(const made_problem *made, const sp_plan *plan, draw *d)
{
    (void)d;
    sp_plan keeps = *plan;
    keeps.recompute = SP_RECOMPUTE_NONE;
    keeps.recompute_layers = 0;
    /* Kept activations take longer to offload; and hidden gradients find their room in fixed shares
     * of a micro-batch, which more backward work moves. */
    sp_plan again = *plan;
    keeps.offload_activations = again.offload_activations = 0;
    keeps.dp_overlap = again.dp_overlap = SP_OFF;
    const double keeps_s = estimate(made, &keeps).time.step_s;
    const double again_s = estimate(made, &again).time.step_s;
    if (again_s >= keeps_s * (1 - slack(plan))) return;
    say_plan(made, plan);
    fail_msg("%.9g s become %.9g s by computing again", keeps_s, again_s);
}

static void computing_again_never_makes_a_step_faster(void **state)
{
    (void)state;
    for_random_plans("computing_again_never_makes_a_step_faster", try_computing_again);
}

/* Forward passes that run again send again: of the four all-reduces of a layer two are forward. */
static void full_recomputation_sends_the_forward_traffic_again(void **state)
{
    (void)state;
    made_problem made;
    make_example(&made);
    sp_plan plan = make_plan(&made, 8, 1, 1, 4);
    const double before = estimate(&made, &plan).network.tp_bytes;
    plan.recompute = SP_RECOMPUTE_FULL;
    const double reduce = 2 * 7 / 8.0 * 2 * 4 * 2048.0 * 1024;
    assert_close(estimate(&made, &plan).network.tp_bytes - before, 128 * LAYERS * 2 * reduce, 1e-9);
    free_problem(&made);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_gpu_that_only_calculates_takes_its_flops),
        cmocka_unit_test(ranks_that_only_calculate_share_the_work),
        cmocka_unit_test(a_pipeline_waits_for_the_other_stages_once),
        cmocka_unit_test(a_straggler_holds_up_the_longest_work),
        cmocka_unit_test(one_gpu_waits_for_no_other),
        cmocka_unit_test(interleaving_halves_the_bubble),
        cmocka_unit_test(a_step_takes_what_the_pipeline_takes_pass_by_pass),
        cmocka_unit_test(gradients_cross_the_network_once_a_step),
        cmocka_unit_test(zero_3_moves_weights_with_every_micro_batch),
        cmocka_unit_test(the_optimizer_streams_the_state_that_it_owns),
        cmocka_unit_test(tensor_parallel_ranks_send_four_all_reduces_a_layer),
        cmocka_unit_test(a_step_takes_at_least_what_the_host_needs),
        cmocka_unit_test(every_expert_of_a_rank_launches_its_kernels),
        cmocka_unit_test(the_parts_of_a_step_are_not_negative_and_sum_to_it),
        cmocka_unit_test(shares_of_peak_and_network_are_shares),
        cmocka_unit_test(one_gpu_alone_sends_nothing),
        cmocka_unit_test(a_slower_link_never_makes_a_step_faster),
        cmocka_unit_test(a_faster_host_never_makes_a_step_slower),
        cmocka_unit_test(a_higher_peak_never_makes_a_step_slower),
        cmocka_unit_test(faster_memory_never_makes_a_step_slower),
        cmocka_unit_test(overlap_never_makes_a_step_slower),
        cmocka_unit_test(overlapped_experts_never_make_a_step_slower),
        cmocka_unit_test(more_uneven_routing_never_makes_a_step_faster),
        cmocka_unit_test(computing_again_never_makes_a_step_faster),
        cmocka_unit_test(full_recomputation_adds_the_layers_forward_flops),
        cmocka_unit_test(full_recomputation_sends_the_forward_traffic_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
