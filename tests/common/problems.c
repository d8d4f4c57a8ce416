/* SPDX-License-Identifier: Apache-2.0 */
/* See problems.h. */
#include "common/problems.h"

#include <assert.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void set_surfaces(sp_gpu *gpu, const sp_gemm_surface *gemm)
{
    for (int dtype = 0; dtype < SP_N_DTYPES; dtype++) {
        gpu->peak_flops_per_s[dtype] = 1e15;
        gpu->gemm[dtype] = *gemm;
        gpu->grouped[dtype] =
            (sp_grouped_surface){gemm->efficiency_ratio, gemm->memory_ratio, gemm->launch_s,
                                 gemm->m_half,           gemm->n_half,       gemm->k_half};
    }
}

static const sp_gpu machine_gpu = {
    .name = "made",
    .memory_bytes = 80e9,
    .memory_bytes_per_s = 3e12,
    .attention = {.efficiency_ratio = 0.5,
                  .sequence_half = 600,
                  .head_dim_64_ratio = 0.8,
                  .backward_flops_ratio = 1.2,
                  .launch_s = 8e-6},
    .stream_ratio = 0.85,
    .stream_launch_s = 3e-6,
    .context_bytes = 0.5e9,
    .usd_per_hour = 2.0
};

static const sp_level machine_levels[2] = {
    {.label = "node",
     .n_gpus = 8,
     .bytes_per_s = 400e9,
     .efficiency_ratio = 0.75,
     .latency_s = 2e-6,
     .base_s = 5e-6,
     .half_bytes = 1e5,
     .oversubscription = 1},
    {.label = "network",
     .n_gpus = UINT32_MAX,
     .bytes_per_s = 50e9,
     .efficiency_ratio = 0.8,
     .latency_s = 8e-6,
     .base_s = 12e-6,
     .half_bytes = 1e6,
     .oversubscription = 1}
};

static const sp_engine_profile machine_profile = {.flash_attention = true,
                                                  .merges_expert_copies = true,
                                                  .gemm_ratio = 1.1,
                                                  .attention_ratio = 1.1,
                                                  .element_bytes_ratio = 1.2,
                                                  .score_bytes_ratio = 1.0,
                                                  .kernel_host_s = 5e-6,
                                                  .layer_kernels = 90,
                                                  .layer_kernels_tp = 12,
                                                  .micro_batch_s = 1e-3,
                                                  .step_s = 30e-3,
                                                  .tp_overlap_ratio = 0.6,
                                                  .tp_async_ratio = 0.8,
                                                  .cp_overlap_ratio = 0.9,
                                                  .ep_overlap_ratio = 0.7,
                                                  .low_precision_ratio = 0.8,
                                                  .offload_overlap_ratio = 0.8,
                                                  .host_update_ratio = 0.3,
                                                  .dp_overlap_ratio = 0.9,
                                                  .dp_interference_ratio = 0.2,
                                                  .fragmentation_ratio = 0.04,
                                                  .communication_bytes = 0.3e9,
                                                  .workspace_bytes = 0.25e9,
                                                  .bucket_bytes = 0.4e9,
                                                  .quantised_weight_bytes = 0.516,
                                                  .grad_bytes = 4,
                                                  .step_error_ratio = 0.15,
                                                  .rank_error_ratio = 0.05,
                                                  .memory_error_ratio = 0.1};

void make_machine(made_problem *made)
{
    const sp_gemm_surface gemm = {.efficiency_ratio = 0.8,
                                  .memory_ratio = 0.8,
                                  .launch_s = 3e-6,
                                  .m_half = 20,
                                  .n_half = 10,
                                  .k_half = 90};
    *made = (made_problem){.gpu = machine_gpu, .profile = machine_profile, .gpus = 64};
    set_surfaces(&made->gpu, &gemm);
    made->cluster = (sp_cluster){
        .name = "made",
        .node_gpus = 8,
        .n_levels = 2,
        .levels = {machine_levels[0], machine_levels[1]},
        .max_gpus = UINT32_MAX,
        .host_memory_bytes = 2e12,
        .host_link_bytes_per_s = 50e9,
        .host_memory_bytes_per_s = 400e9,
        .nvme_bytes = 30e12,
        .nvme_bytes_per_s = 40e9
    };
    sp_question *q = &made->problem.question;
    *q = sp_question_default();
    q->seq_len = 2048;
    q->global_batch = 512;
    q->tokens = 1e12;
}

void make_calculator(made_problem *made)
{
    const sp_gemm_surface gemm = {.efficiency_ratio = 1, .memory_ratio = 1};
    make_machine(made);
    made->gpu.memory_bytes_per_s = 1e30;
    made->gpu.stream_launch_s = 0;
    made->gpu.attention = (sp_attention_surface){
        .efficiency_ratio = 1, .head_dim_64_ratio = 1, .backward_flops_ratio = 1};
    set_surfaces(&made->gpu, &gemm);
    for (uint32_t i = 0; i < made->cluster.n_levels; i++) {
        sp_level *level = &made->cluster.levels[i];
        level->bytes_per_s = 1e30;
        level->latency_s = level->base_s = level->half_bytes = 0;
    }
    made->profile = (sp_engine_profile){.flash_attention = true,
                                        .gemm_ratio = 1,
                                        .attention_ratio = 1,
                                        .element_bytes_ratio = 1,
                                        .grad_bytes = 4};
}

static void scale(draw *d, double *value, double by)
{
    *value *= draw_scale(d, 1.0 / by, by);
}

void make_random_problem(made_problem *made, draw *d)
{
    make_machine(made);
    make_random(&made->model, d);
    const double by = draw_scale(d, 0.1, 10);
    for (int dtype = 0; dtype < SP_N_DTYPES; dtype++) {
        made->gpu.peak_flops_per_s[dtype] *= by;
    }
    scale(d, &made->gpu.memory_bytes_per_s, 4);
    scale(d, &made->gpu.memory_bytes, 8);
    for (uint32_t i = 0; i < made->cluster.n_levels; i++) {
        scale(d, &made->cluster.levels[i].bytes_per_s, 20);
        scale(d, &made->cluster.levels[i].latency_s, 10);
    }
    scale(d, &made->profile.kernel_host_s, 4);
    scale(d, &made->profile.micro_batch_s, 10);
    scale(d, &made->profile.step_s, 10);
    made->profile.flash_attention = draw_coin(d);
    made->profile.grad_bytes = draw_coin(d) ? 2 : 4;
    made->problem.question.seq_len = 512u << draw_between(d, 0, 3);
    made->problem.question.global_batch = 96u << draw_between(d, 0, 5);
}

void derive_problem(made_problem *made)
{
    sp_problem *p = &made->problem;
    const double length = (double)p->question.seq_len;
    sp_error err = {0};
    made->cluster.gpu = &made->gpu;
    p->model = &made->model.model;
    p->parameters = sp_model_parameters(p->model);
    p->cluster = &made->cluster;
    p->profile = &made->profile;
    p->gpus_values = &made->gpus;
    p->n_gpus_values = 1;
    p->n_objectives = SP_MAX_OBJECTIVES;
    for (uint32_t i = 0; i < SP_MAX_OBJECTIVES; i++) {
        p->objectives[i] = i;
    }
    p->ranks_by_money = true;
    sp_rates_build(&made->gpu, &made->profile, &p->rates);
    sp_fabric_build(&made->cluster, &p->fabric);
    p->recipe = sp_recipe_adamw(made->profile.grad_bytes);
    p->has_experts = false;
    for (uint32_t k = 0; k < p->model->n_kinds; k++) {
        p->has_experts |= p->model->kinds[k].ffn.n_experts > 0;
    }
    p->forward_flops =
        sp_graph_forward_flops(p->model, length, length * (double)p->question.global_batch);
    p->usd_per_gpu_hour = made->gpu.usd_per_hour;
    p->allowed_bytes = made->gpu.memory_bytes * (1.0 - p->question.headroom_ratio);
    sp_arena_fini(&p->arena);
    assert_int_equal(sp_splits_build(p, &err), SP_OK);
}

void free_problem(made_problem *made)
{
    sp_arena_fini(&made->problem.arena);
}

sp_plan make_plan(const made_problem *made, uint16_t tp, uint16_t pp, uint32_t dp,
                  uint32_t micro_batch)
{
    sp_plan plan = sp_plan_default();
    plan.tp = tp;
    plan.pp = pp;
    plan.gpus = dp * tp * pp;
    plan.micro_batch = micro_batch;
    sp_plan_derive(&plan, made->problem.question.global_batch);
    assert(plan.dp == dp && plan.accumulation > 0);
    return plan;
}

/* Ranks among which query heads divide, and key/value heads divide or are repeated evenly. */
static uint16_t draw_tp(const sp_attention *a, draw *d)
{
    for (;;) {
        const uint32_t tp = draw_divisor(d, a->heads, 16);
        const bool even = a->kv_heads % tp == 0 || tp % a->kv_heads == 0;
        if (even && 16 % tp == 0) return (uint16_t)tp;
    }
}

static uint32_t gcd(uint32_t a, uint32_t b)
{
    return b == 0 ? a : gcd(b, a % b);
}

static void draw_schedule(const sp_model *model, draw *d, sp_plan *plan)
{
    if (plan->pp == 1 || plan->accumulation % plan->pp != 0 || model->n_layers % plan->pp != 0) {
        return;
    }
    const uint32_t vpp = draw_divisor(d, model->n_layers / plan->pp, 8);
    if (vpp == 1) return;
    plan->vpp = (uint16_t)vpp;
    plan->schedule = SP_SCHEDULE_INTERLEAVED;
}

static void draw_knobs(draw *d, sp_plan *plan)
{
    plan->placement = (uint8_t)draw_between(d, 0, SP_N_PLACEMENTS - 1);
    plan->recompute = (uint8_t)draw_between(d, 0, SP_N_RECOMPUTE - 1);
    plan->zero = (uint8_t)draw_between(d, 0, 3);
    plan->precision = (uint8_t)draw_between(d, 0, SP_N_PRECISIONS - 1);
    plan->dp_overlap = (uint8_t)draw_coin(d);
    if (plan->tp > 1) {
        plan->sp = (uint8_t)draw_coin(d);
        plan->tp_overlap = plan->sp == SP_ON && draw_coin(d);
    }
    if (plan->schedule == SP_SCHEDULE_1F1B) {
        plan->stage_layers = (uint8_t)draw_between(d, 0, SP_N_STAGE_LAYERS - 1);
    }
}

sp_plan draw_plan(const made_problem *made, draw *d)
{
    const sp_model *model = &made->model.model;
    const uint32_t batch = (uint32_t)made->problem.question.global_batch;
    const uint32_t dp = draw_divisor(d, batch, 64);
    const uint32_t most = model->n_layers < 16 ? model->n_layers : 16;
    sp_plan plan =
        make_plan(made, draw_tp(&model->kinds[0].attention, d), (uint16_t)draw_between(d, 1, most),
                  dp, draw_divisor(d, batch / dp, 8));
    if (made->problem.has_experts) {
        const uint32_t n_experts = model->kinds[model->n_kinds - 1].ffn.n_experts;
        plan.ep = (uint16_t)draw_divisor(d, gcd(dp, n_experts), 64);
    }
    draw_schedule(model, d, &plan);
    draw_knobs(d, &plan);
    return plan;
}
