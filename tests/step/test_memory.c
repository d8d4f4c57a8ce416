/* SPDX-License-Identifier: Apache-2.0 */
/* Peak memory: by hand on one rank and on pipelines, and laws over random models and plans. */
#include "common/close.h"
#include "common/problems.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static sp_memory memory_of(const made_problem *made, const sp_plan *plan)
{
    sp_memory m;
    sp_estimate_memory(&made->problem, plan, &m);
    return m;
}

/* GPT of 8 layers, h = 1024, 16 heads; sequences of 2048; scores are written (5 a s^2 b bytes). */
static void make_example(made_problem *made)
{
    make_machine(made);
    make_gpt(&made->model, 1024, 16, 8);
    made->profile.flash_attention = false;
    derive_problem(made);
}

static double state_bytes(const sp_memory *m)
{
    return m->weights_bytes + m->gradients_bytes + m->optimizer_bytes;
}

/* 2 + 4 + 12 bytes for each parameter, all of them once: also of tied tables. */
static void one_gpu_holds_18_bytes_a_parameter(void **state)
{
    (void)state;
    made_problem gpt, llama;
    make_example(&gpt);
    make_machine(&llama);
    make_llama(&llama.model, 1024, 8, 8, 2816, 8);
    derive_problem(&llama);
    const made_problem *const made[] = {&llama, &gpt};
    for (size_t i = 0; i < 2; i++) {
        const sp_plan plan = make_plan(made[i], 1, 1, 1, 1);
        const sp_memory m = memory_of(made[i], &plan);
        assert_true(state_bytes(&m) == 18.0 * (double)made[i]->problem.parameters.total);
    }
    free_problem(&gpt);
    free_problem(&llama);
}

/* Tied layers are computed one by one and held once; each stage of a pipeline that has some of them
 * holds them. 12 layers, 4 of each kind, those of attention in the middle. */
static void tied_layers_are_held_once_a_stage(void **state)
{
    (void)state;
    made_problem made;
    make_machine(&made);
    make_hybrid(&made.model, 1024, 8, 12);
    derive_problem(&made);
    const sp_plan one = make_plan(&made, 1, 1, 1, 1), two = make_plan(&made, 1, 2, 1, 1);
    const sp_memory m = memory_of(&made, &one);
    assert_true(state_bytes(&m) == 18.0 * (double)made.problem.parameters.total);
    sp_inputs in;
    sp_inputs_build(&made.problem, &two, false, &in);
    const sp_stage_split *split =
        sp_problem_split(&made.problem, 2, SP_STAGE_LAYERS_EVEN, SP_LAYOUT_ROW);
    double sum = 0.0;
    for (uint32_t i = 0; i < split->n_classes; i++) {
        const sp_stage_params p = sp_stage_params_of(&in, &split->classes[i]);
        sum += split->classes[i].n_stages * (p.dense + p.expert);
    }
    assert_true(sum == (double)made.problem.parameters.total + in.tied[0].dense);
    free_problem(&made);
}

/* Eight ranks hold 18, 6 + 12/8, 2 + 16/8 and 18/8 bytes a parameter. */
static void zero_shards_the_state_over_data_parallel_ranks(void **state)
{
    (void)state;
    made_problem made;
    make_machine(&made);
    make_llama(&made.model, 1024, 8, 8, 2816, 8);
    derive_problem(&made);
    static const double bytes[] = {18, 7.5, 4, 2.25};
    for (uint8_t zero = 0; zero <= 3; zero++) {
        sp_plan plan = make_plan(&made, 1, 1, 8, 1);
        plan.zero = zero;
        const sp_memory m = memory_of(&made, &plan);
        assert_close(state_bytes(&m), bytes[zero] * (double)made.problem.parameters.total, 1e-14);
    }
    free_problem(&made);
}

/* Experts are sharded over dp / ep ranks: 16 experts over ep = 8 and ZeRO 1 over 2 further ranks.
 */
static void experts_are_sharded_over_the_ranks_that_share_them(void **state)
{
    (void)state;
    made_problem made;
    make_machine(&made);
    make_moe(&made.model, 1024, 8, 512, 16, 2, 0, 4);
    derive_problem(&made);
    sp_plan plan = make_plan(&made, 1, 1, 16, 1);
    plan.ep = 8;
    plan.zero = 1;
    const double expert = 4 * 16 * 3.0 * 1024 * 512;
    const double dense = (double)made.problem.parameters.total - expert;
    const sp_memory m = memory_of(&made, &plan);
    assert_close(m.weights_bytes, 2 * (dense + expert / 8), 1e-14);
    assert_close(m.optimizer_bytes, 12 * (dense / 16 + expert / 8 / 2), 1e-14);
    free_problem(&made);
}

/* 34 s b h + 5 a s^2 b a layer; beside the layers the embedding keeps ids, positions and a mask,
 * the head its inputs, and the layer at work its own: what is left over 8 layers is below that of
 * one. */
static void one_stage_keeps_every_layer(void **state)
{
    (void)state;
    made_problem made;
    make_example(&made);
    const sp_plan plan = make_plan(&made, 1, 1, 1, 2);
    const double layer = 34 * 2048.0 * 2 * 1024 + 5 * 16 * 2048.0 * 2048 * 2;
    const double kept = memory_of(&made, &plan).activations_bytes;
    assert_true(kept > 8 * layer && kept < 9 * layer);
    free_problem(&made);
}

/* What another layer adds is exactly its share, times the micro-batches in flight: 4 on the first
 * of 4 stages. Both models hold their first stage fullest. */
static void layers_of_the_first_stage_count_once_a_micro_batch_in_flight(void **state)
{
    (void)state;
    made_problem small, large;
    make_example(&small);
    make_example(&large);
    make_gpt(&large.model, 1024, 16, 12);
    derive_problem(&large);
    const sp_plan plan = make_plan(&small, 1, 4, 1, 2);
    const double layer = 34 * 2048.0 * 2 * 1024 + 5 * 16 * 2048.0 * 2048 * 2;
    const sp_memory few = memory_of(&small, &plan), many = memory_of(&large, &plan);
    assert_int_equal(few.worst_stage, 0);
    assert_int_equal(many.worst_stage, 0);
    assert_close(many.activations_bytes - few.activations_bytes, 4 * layer, 1e-12);
    free_problem(&small);
    free_problem(&large);
}

/* 2048 tokens of 2 sequences, 51200 columns of 8 bytes, on the last of the stages alone. */
static void logits_lie_on_the_stage_of_the_head(void **state)
{
    (void)state;
    made_problem made;
    make_example(&made);
    sp_plan plan = make_plan(&made, 1, 1, 1, 2);
    assert_true(memory_of(&made, &plan).logits_bytes == 8.0 * 2 * 2048 * 51200);
    plan = make_plan(&made, 4, 1, 1, 2);
    assert_true(memory_of(&made, &plan).logits_bytes == 8.0 * 2 * 2048 * 51200 / 4);
    free_problem(&made);
}

/* What lies past the allocator beside the driver's context. */
static double communicators(const made_problem *made, const sp_plan *plan)
{
    const sp_memory m = memory_of(made, plan);
    const double outside = m.peak_bytes - m.reserved_peak_bytes - made->gpu.context_bytes;
    return outside / made->profile.communication_bytes;
}

/* tp, cp (twice where heads are exchanged near and blocks passed on far), pp, the copies. */
static void each_communicator_of_a_dense_model_has_its_buffers(void **state)
{
    (void)state;
    made_problem made;
    make_example(&made);
    sp_plan plan = make_plan(&made, 1, 1, 1, 1);
    assert_true(communicators(&made, &plan) == 0.0);
    plan = make_plan(&made, 2, 2, 1, 1);
    assert_close(communicators(&made, &plan), 2, 1e-9);
    plan = make_plan(&made, 2, 2, 4, 1);
    assert_close(communicators(&made, &plan), 3, 1e-9);
    plan.shard_group = 2;
    assert_close(communicators(&made, &plan), 4, 1e-9);
    plan = make_plan(&made, 1, 1, 1, 1);
    cut_sequences(&made, 4, &plan);
    assert_close(communicators(&made, &plan), 2, 1e-9);
    plan.cp_kind = SP_CP_HYBRID;
    assert_close(communicators(&made, &plan), 3, 1e-9);
    free_problem(&made);
}

/* 16 ranks: tp, ep, etp, copies of the dense weights and of the experts; groups of 4 of the 8 dense
 * copies leave one copy of each expert in a group, and copies of the groups. */
static void experts_have_communicators_of_their_own(void **state)
{
    (void)state;
    made_problem made;
    make_machine(&made);
    make_moe(&made.model, 1024, 8, 512, 16, 2, 0, 4);
    derive_problem(&made);
    sp_plan plan = make_plan(&made, 2, 1, 8, 1);
    plan.ep = 4;
    plan.etp = 2;
    assert_close(communicators(&made, &plan), 5, 1e-9);
    plan.shard_group = 4;
    assert_close(communicators(&made, &plan), 4 + 2, 1e-9);
    free_problem(&made);
}

static void copies_have_a_bucket(void **state)
{
    (void)state;
    made_problem made;
    make_example(&made);
    const sp_plan one = make_plan(&made, 2, 1, 1, 1), two = make_plan(&made, 2, 1, 2, 1);
    const sp_memory a = memory_of(&made, &one), b = memory_of(&made, &two);
    assert_close(b.communication_bytes - a.communication_bytes,
                 made.profile.communication_bytes + made.profile.bucket_bytes, 1e-9);
    assert_true(a.workspace_bytes == made.profile.workspace_bytes);
    free_problem(&made);
}

/* 4096 tokens: 51200 columns of 8 bytes are more than a layer of 1024 at work. Without them the
 * backward pass is the fullest; with an update that needs 40 bytes a parameter, the update. */
static void the_fullest_phase_has_a_name(void **state)
{
    (void)state;
    made_problem made;
    make_example(&made);
    made.profile.flash_attention = true;
    derive_problem(&made);
    sp_plan plan = make_plan(&made, 1, 1, 1, 2);
    const sp_memory loss = memory_of(&made, &plan);
    assert_int_equal(loss.peak_phase, SP_AT_LOSS);
    made.profile.logit_bytes = 0.0;
    const sp_memory backward = memory_of(&made, &plan);
    assert_int_equal(backward.peak_phase, SP_AT_BACKWARD);
    assert_true(backward.logits_bytes == 0.0);
    made.profile.update_bytes = 40.0;
    const sp_memory update = memory_of(&made, &plan);
    assert_int_equal(update.peak_phase, SP_AT_OPTIMIZER);
    assert_true(update.activations_bytes == 0.0);
    assert_close(update.communication_bytes, 40.0 * (double)made.problem.parameters.total, 1e-14);
    free_problem(&made);
}

/* Fused kernels: 4 bytes of tokens x h and 8 of vocabulary x h in place of the logits; a fused
 * loss: logits and their gradient, 2 bytes each. */
static void fused_kernels_have_no_whole_logits(void **state)
{
    (void)state;
    made_problem made;
    make_example(&made);
    sp_plan plan = make_plan(&made, 1, 1, 1, 16);
    made.profile.flash_attention = true;
    derive_problem(&made);
    sp_inputs in;
    made.problem.question.kernels = SP_KERNELS_FUSED;
    sp_inputs_build(&made.problem, &plan, false, &in);
    assert_true(in.logits == 4.0 * 16 * 2048 * 1024 + 8.0 * 51200 * 1024);
    made.problem.question.kernels = SP_KERNELS_LOSS;
    sp_inputs_build(&made.problem, &plan, false, &in);
    assert_true(in.logits == (2.0 + 2.0) * 16 * 2048 * 51200);
    free_problem(&made);
}

/* Under ZeRO-3 with a pipeline 6 bytes of each parameter of the stage stay where they are. */
static void weights_stay_gathered_over_a_pipeline(void **state)
{
    (void)state;
    made_problem made;
    make_example(&made);
    sp_plan plan = make_plan(&made, 1, 2, 4, 1);
    plan.zero = 3;
    const sp_memory given_back = memory_of(&made, &plan);
    made.profile.pipeline_unit_bytes = 6.0;
    const sp_memory stays = memory_of(&made, &plan);
    const double params = stays.weights_bytes / 2.0 * 4.0;
    assert_int_equal(stays.worst_stage, given_back.worst_stage);
    assert_close(stays.communication_bytes - given_back.communication_bytes, 6.0 * params, 1e-12);
    plan.zero = 2;
    const sp_memory whole = memory_of(&made, &plan);
    made.profile.pipeline_unit_bytes = 0.0;
    assert_true(whole.peak_bytes == memory_of(&made, &plan).peak_bytes);
    free_problem(&made);
}

/* At the loss 2 bytes of head and layer are whole and 4 of the head's gradient; with a root unit 2
 * of embedding, head and two layers, and 4 of the gradients of head and layer. */
static void a_root_unit_stays_gathered_through_both_passes(void **state)
{
    (void)state;
    made_problem made;
    make_machine(&made);
    make_llama(&made.model, 1024, 8, 8, 2816, 8);
    derive_problem(&made);
    sp_plan plan = make_plan(&made, 1, 1, 8, 2);
    plan.zero = 3;
    const sp_memory apart = memory_of(&made, &plan);
    made.profile.root_unit = true;
    const sp_memory root = memory_of(&made, &plan);
    const double table = 64000 * 1024.0, layer = 1024.0 * (4 * 1024 + 3 * 2816 + 2);
    assert_int_equal(apart.peak_phase, SP_AT_LOSS);
    assert_int_equal(root.peak_phase, SP_AT_LOSS);
    assert_close(root.communication_bytes - apart.communication_bytes,
                 2 * (table + layer) + 4 * layer, 1e-12);
    free_problem(&made);
}

/* ---- laws
 * ------------------------------------------------------------------------------------------------
 */
typedef void (*plan_law)(made_problem *made, const sp_plan *plan, draw *d);

static void for_random_plans(const char *name, plan_law law)
{
    draw d = draw_begin(name);
    for (int i = 0; i < 300; i++) {
        made_problem made;
        make_random_problem(&made, &d);
        derive_problem(&made);
        for (int k = 0; k < 20; k++) {
            const sp_plan plan = draw_plan(&made, &d);
            law(&made, &plan, &d);
        }
        free_problem(&made);
    }
}

static void sums(made_problem *made, const sp_plan *plan, draw *d)
{
    (void)d;
    const sp_memory m = memory_of(made, plan);
    const double parts[] = {m.weights_bytes,     m.gradients_bytes, m.optimizer_bytes,
                            m.activations_bytes, m.logits_bytes,    m.communication_bytes,
                            m.workspace_bytes};
    double sum = 0.0;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        assert_true(parts[i] >= 0.0);
        sum += parts[i];
    }
    const double outside = sum - m.allocated_peak_bytes; /* buffers of communicators */
    assert_at_most(outside, 11 * made->profile.communication_bytes, 1e-9);
    assert_close(m.reserved_peak_bytes, m.allocated_peak_bytes * 1.04, 1e-14);
    assert_close(m.peak_bytes, m.reserved_peak_bytes + outside + made->gpu.context_bytes, 1e-9);
    assert_true(m.usable_bytes == made->gpu.memory_bytes);
    assert_true(m.worst_stage < plan->pp);
}

static void the_parts_are_not_negative_and_sum_to_the_peak(void **state)
{
    (void)state;
    for_random_plans("the_parts_are_not_negative_and_sum_to_the_peak", sums);
}

static void same_as_estimate(made_problem *made, const sp_plan *plan, draw *d)
{
    (void)d;
    sp_estimate e;
    sp_estimate_plan(&made->problem, plan, &e);
    const sp_memory m = memory_of(made, plan);
    assert_true(m.peak_bytes == e.memory.peak_bytes);
    assert_true(m.activations_bytes == e.memory.activations_bytes);
    assert_true(state_bytes(&m) == state_bytes(&e.memory));
    assert_int_equal(m.worst_stage, e.memory.worst_stage);
}

static void memory_alone_is_that_of_the_whole_estimate(void **state)
{
    (void)state;
    for_random_plans("memory_alone_is_that_of_the_whole_estimate", same_as_estimate);
}

/* Stages marked as never the fullest are passed over; pricing them all finds the same peak. */
static void all_stages(made_problem *made, const sp_plan *plan, draw *d)
{
    (void)d;
    static sp_stage_split all[6 * 128]; /* splits as they are, with no stage passed over */
    const sp_stage_split *const kept = made->problem.splits;
    const uint32_t n = made->problem.model->n_layers * SP_N_STAGE_LAYERS * SP_N_LAYOUTS;
    assert_true(n <= sizeof all / sizeof all[0]);
    memcpy(all, kept, n * sizeof *all);
    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t c = 0; c < all[i].n_classes; c++) {
            all[i].classes[c].never_fullest = false;
        }
    }
    const double peak = memory_of(made, plan).peak_bytes;
    made->problem.splits = all;
    assert_true(memory_of(made, plan).peak_bytes == peak);
    made->problem.splits = kept;
}

static void stages_passed_over_are_never_the_fullest(void **state)
{
    (void)state;
    for_random_plans("stages_passed_over_are_never_the_fullest", all_stages);
}

/* More sharding never holds more of the state (of one stage: of several another may become the
 * fullest); larger micro-batches never keep less, unless all of them wait at the head and the first
 * one leaves it before a layer unpacks its weights, whose room is the same for all. */
static void monotone(made_problem *made, const sp_plan *plan, draw *d)
{
    (void)d;
    sp_plan other = *plan;
    const sp_memory m = memory_of(made, plan);
    const uint32_t zeropp = made->problem.question.zeropp;
    if (plan->zero < 3 && plan->pp == 1 && (zeropp & SP_ZEROPP_HPZ) == 0) {
        other.zero = (uint8_t)(plan->zero + 1);
        const sp_memory more = memory_of(made, &other);
        assert_at_most(more.weights_bytes + more.gradients_bytes + more.optimizer_bytes,
                       state_bytes(&m), 1e-14);
        other = *plan;
    }
    const bool waits =
        plan->schedule == SP_SCHEDULE_GPIPE && made->problem.question.task == SP_TASK_QLORA;
    if (!waits && plan->accumulation % 2 == 0 && plan->accumulation / 2 >= plan->pp) {
        other.micro_batch = 2 * plan->micro_batch;
        other.accumulation = plan->accumulation / 2;
        assert_at_most(m.peak_bytes, memory_of(made, &other).peak_bytes, 1e-14);
    }
}

static void sharding_saves_and_larger_micro_batches_cost(void **state)
{
    (void)state;
    for_random_plans("sharding_saves_and_larger_micro_batches_cost", monotone);
}

static void a_plan_fits_up_to_the_allowed_bytes(void **state)
{
    (void)state;
    const sp_problem problem = {.allowed_bytes = 75e9};
    const sp_memory at = {.peak_bytes = 75e9}, over = {.peak_bytes = 75e9 + 1e5};
    assert_true(sp_memory_fits(&problem, &at));
    assert_false(sp_memory_fits(&problem, &over));
}

/* 1 in 10 published peaks lies above low .. high, half of them above the estimate. */
static void one_in_ten_runs_needs_more_than_the_high_end(void **state)
{
    (void)state;
    sp_engine_profile profile = {.memory_error_ratio = 0.25};
    const sp_problem problem = {.profile = &profile};
    const sp_memory high = {.peak_bytes = 80.0, .usable_bytes = 100.0};
    const sp_memory full = {.peak_bytes = 100.0, .usable_bytes = 100.0};
    const sp_memory over = {.peak_bytes = 100.0, .usable_bytes = 75.0};
    assert_true(sp_memory_range_of(&problem, &high).high_bytes == 100.0);
    assert_true(sp_memory_range_of(&problem, &high).low_bytes == 60.0);
    assert_close(sp_memory_range_of(&problem, &high).p_oom, 0.1, 1e-9);
    assert_close(sp_memory_range_of(&problem, &full).p_oom, 0.5, 1e-12);
    assert_close(sp_memory_range_of(&problem, &over).p_oom, 0.9, 1e-9);
    profile.memory_error_ratio = 0.0;
    assert_true(sp_memory_range_of(&problem, &high).p_oom == 0.0);
    assert_true(sp_memory_range_of(&problem, &over).p_oom == 1.0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_gpu_holds_18_bytes_a_parameter),
        cmocka_unit_test(tied_layers_are_held_once_a_stage),
        cmocka_unit_test(zero_shards_the_state_over_data_parallel_ranks),
        cmocka_unit_test(experts_are_sharded_over_the_ranks_that_share_them),
        cmocka_unit_test(one_stage_keeps_every_layer),
        cmocka_unit_test(layers_of_the_first_stage_count_once_a_micro_batch_in_flight),
        cmocka_unit_test(logits_lie_on_the_stage_of_the_head),
        cmocka_unit_test(each_communicator_of_a_dense_model_has_its_buffers),
        cmocka_unit_test(experts_have_communicators_of_their_own),
        cmocka_unit_test(copies_have_a_bucket),
        cmocka_unit_test(the_fullest_phase_has_a_name),
        cmocka_unit_test(fused_kernels_have_no_whole_logits),
        cmocka_unit_test(weights_stay_gathered_over_a_pipeline),
        cmocka_unit_test(a_root_unit_stays_gathered_through_both_passes),
        cmocka_unit_test(the_parts_are_not_negative_and_sum_to_the_peak),
        cmocka_unit_test(memory_alone_is_that_of_the_whole_estimate),
        cmocka_unit_test(stages_passed_over_are_never_the_fullest),
        cmocka_unit_test(sharding_saves_and_larger_micro_batches_cost),
        cmocka_unit_test(a_plan_fits_up_to_the_allowed_bytes),
        cmocka_unit_test(one_in_ten_runs_needs_more_than_the_high_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
