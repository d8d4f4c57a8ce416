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
    .calibrated_from = "made",
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
                                                  .misaligned_ratio = 1,
                                                  .attention_ratio = 1.1,
                                                  .element_bytes_ratio = 1.2,
                                                  .score_bytes_ratio = 1.0,
                                                  .kernel_host_s = 5e-6,
                                                  .layer_kernels = 90,
                                                  .layer_kernels_tp = 12,
                                                  .micro_batch_s = 1e-3,
                                                  .step_s = 30e-3,
                                                  .tp_pieces = 4,
                                                  .tp_interference_ratio = 0.1,
                                                  .cp_overlap_ratio = 0.9,
                                                  .ep_overlap_ratio = 0.7,
                                                  .shared_overlap_ratio = 0.8,
                                                  .expert_excess_ratio = 0.5,
                                                  .fp8_dispatch_bytes = 1.03125,
                                                  .qwz_bytes = 1.0005,
                                                  .qgz_bytes = 0.5005,
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
                                                  .quantised_rest_bytes = 2,
                                                  .master_bytes = 4,
                                                  .narrow_master_bytes = 4,
                                                  .grad_bytes = 4,
                                                  .unit_grad_bytes = 4,
                                                  .logit_bytes = 8,
                                                  .logit_bytes_tp = 8,
                                                  .step_error_ratio = 0.15,
                                                  .rank_error_ratio = 0.05,
                                                  .memory_error_ratio = 0.1};

static const sp_optimizer adamw = {.name = "adamw",
                                   .matrix_bytes = 8,
                                   .embedding_bytes = 8,
                                   .head_bytes = 8,
                                   .vector_bytes = 8,
                                   .engine_temporaries = true};

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
    made->problem.optimizer = &adamw;
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
                                        .misaligned_ratio = 1,
                                        .attention_ratio = 1,
                                        .element_bytes_ratio = 1,
                                        .tp_pieces = 4,
                                        .fp8_dispatch_bytes = 1,
                                        .qwz_bytes = 1,
                                        .qgz_bytes = 0.5,
                                        .low_precision_ratio = 1,
                                        .host_update_ratio = 1,
                                        .quantised_weight_bytes = 0.5,
                                        .quantised_rest_bytes = 2,
                                        .master_bytes = 4,
                                        .narrow_master_bytes = 4,
                                        .grad_bytes = 4,
                                        .unit_grad_bytes = 4,
                                        .logit_bytes = 8,
                                        .logit_bytes_tp = 8};
    made->cluster.host_link_bytes_per_s = 1e30;
    made->cluster.host_memory_bytes_per_s = 1e30;
    made->cluster.nvme_bytes_per_s = 1e30;
}

static void scale(draw *d, double *value, double by)
{
    *value *= draw_scale(d, 1.0 / by, by);
}

/* One in four trains adapters, one in four packs documents; one in two says how uneven routing is,
 * dispatches in 8 bits, uses some of ZeRO++ and has a straggler. */
static void draw_question(draw *d, sp_question *q)
{
    q->seq_len = 512u << draw_between(d, 0, 3);
    q->global_batch = 96u << draw_between(d, 0, 5);
    if (draw_between(d, 0, 3) == 0) {
        q->task = draw_coin(d) ? SP_TASK_LORA : SP_TASK_QLORA;
        q->lora_rank = draw_between(d, 4, 64);
    }
    if (draw_between(d, 0, 3) == 0) q->doc_len = q->seq_len >> draw_between(d, 1, 3);
    if (draw_coin(d)) q->moe_imbalance_ratio = draw_scale(d, 1.0, 3.0);
    if (draw_coin(d)) q->dispatch = SP_DISPATCH_FP8;
    if (draw_coin(d)) q->zeropp = draw_between(d, 0, SP_ZEROPP_ALL);
    if (draw_coin(d)) q->straggler_ratio = draw_scale(d, 1.0, 1.5);
}

/* State of any optimizer, real or not, and what engines differ in without breaking the law that
 * more sharding never holds more. */
static void draw_state(made_problem *made, draw *d)
{
    sp_optimizer *o = &made->optimizer;
    *o = adamw;
    if (draw_coin(d)) {
        o->embedding_bytes = draw_between(d, 0, 8);
        o->vector_bytes = draw_between(d, 0, 8);
        o->row_bytes = draw_between(d, 0, 4);
        o->column_bytes = draw_between(d, 0, 4);
        o->small_elements = draw_between(d, 0, 4096);
        o->small_bytes = 8;
        o->largest_bytes = draw_between(d, 0, 12);
        o->newton_schulz_steps = draw_coin(d) ? 5 : 0;
    }
    made->problem.optimizer = o;
    made->profile.fp32_shards = draw_between(d, 0, 3) == 0;
    made->profile.root_unit = draw_coin(d);
    made->profile.twin_grad_bytes = draw_coin(d) ? 2 : 0;
    made->profile.cast_grad_bytes = draw_coin(d) ? 4 : 0;
    made->profile.fp8_copy_bytes = draw_coin(d) ? 1 : 0;
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
    made->profile.gathers_each_batch = draw_coin(d);
    made->profile.pipeline_unit_bytes = draw_coin(d) ? 6 : 0;
    made->profile.grad_bytes = draw_coin(d) ? 2 : 4;
    made->profile.adds_gradients_apart = draw_coin(d);
    made->profile.waits_for_tp_sums = draw_coin(d);
    made->profile.cuts_messages = draw_coin(d);
    draw_state(made, d);
    scale(d, &made->cluster.host_link_bytes_per_s, 10);
    scale(d, &made->cluster.host_memory_bytes_per_s, 10);
    scale(d, &made->cluster.nvme_bytes_per_s, 10);
    draw_question(d, &made->problem.question);
}

/* An eighth of the node each. */
static void derive_host(made_problem *made)
{
    const sp_cluster *c = &made->cluster;
    const double update = c->host_memory_bytes_per_s * made->profile.host_update_ratio;
    made->problem.host = (sp_host){.memory_bytes = c->host_memory_bytes / c->node_gpus,
                                   .nvme_bytes = c->nvme_bytes / c->node_gpus,
                                   .link_s_per_byte = 1.0 / c->host_link_bytes_per_s,
                                   .update_s_per_byte = c->node_gpus / update,
                                   .nvme_s_per_byte = c->node_gpus / c->nvme_bytes_per_s};
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
    p->has_experts = p->has_latent_attention = p->has_tied_layers = false;
    for (uint32_t k = 0; k < p->model->n_kinds; k++) {
        p->has_experts |= p->model->kinds[k].ffn.n_experts > 0;
        p->has_tied_layers |= p->model->kinds[k].tied > 0;
        p->has_latent_attention |= p->model->kinds[k].attention.kv_lora > 0;
    }
    p->has_adapters = p->question.task == SP_TASK_LORA || p->question.task == SP_TASK_QLORA;
    sp_recipes_derive(p);
    derive_host(made);
    p->forward_flops = sp_graph_forward_flops(p->model, sp_problem_attended(p),
                                              length * (double)p->question.global_batch);
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

void cut_sequences(const made_problem *made, uint16_t cp, sp_plan *plan)
{
    assert(plan->cp == 1 && made->problem.question.seq_len % (2u * cp) == 0);
    plan->cp = cp;
    plan->gpus *= cp;
    sp_plan_derive(plan, made->problem.question.global_batch);
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

/* Pieces of an expert within a tensor-parallel group, and ranks that share the experts. Spread over
 * tp and cp ranks they need those next to each other. */
static void draw_experts(const made_problem *made, draw *d, sp_plan *plan)
{
    const sp_ffn *ffn = &made->model.model.kinds[made->model.model.n_kinds - 1].ffn;
    const bool cut = ffn->expert_ffn % plan->tp == 0;
    if (plan->placement == SP_PLACEMENT_DP_LAST && cut && plan->cp == 1) {
        plan->etp = plan->tp;
    } else {
        plan->placement = SP_PLACEMENT_PP_LAST;
        plan->etp = (uint16_t)draw_divisor(d, gcd(plan->tp, ffn->expert_ffn), 16);
    }
    const uint32_t ranks = sp_plan_stage_ranks(plan) / plan->etp;
    plan->ep = (uint16_t)draw_divisor(d, gcd(ranks, ffn->n_experts), 64);
    plan->ep_overlap = (plan->ep > 1 || plan->etp > 1) && draw_coin(d);
}

/* One that cuts backward passes, or 1F1B where it does not take these stages and micro-batches. */
static void draw_split_schedule(const sp_model *model, draw *d, sp_plan *plan)
{
    sp_plan drawn = *plan;
    drawn.schedule = (uint8_t)draw_between(d, SP_SCHEDULE_ZB_H1, SP_N_SCHEDULES - 1);
    const sp_schedule_kind *kind = sp_schedule_describe((sp_schedule)drawn.schedule);
    drawn.vpp = kind->layout == SP_LAYOUT_V ? 2 : 1;
    if (drawn.schedule == SP_SCHEDULE_ZB_H1 && draw_coin(d)) drawn.vpp = 2;
    const sp_pipeline_shape shape = sp_plan_pipeline(&drawn);
    const bool even = plan->accumulation % sp_schedule_directions(kind) == 0;
    const bool cut = (uint32_t)drawn.pp * drawn.vpp <= model->n_layers + 2;
    if (even && cut && kind->admits(&shape)) *plan = drawn;
}

static void draw_schedule(const sp_model *model, draw *d, sp_plan *plan)
{
    plan->stage_layers = (uint8_t)draw_between(d, 0, SP_N_STAGE_LAYERS - 1);
    if (plan->pp == 1) return;
    const uint32_t chunks = model->n_layers / plan->pp < 8 ? model->n_layers / plan->pp : 8;
    if (draw_between(d, 0, 2) == 0) {
        draw_split_schedule(model, d, plan);
    } else if (draw_between(d, 0, 3) == 0) {
        plan->schedule = SP_SCHEDULE_GPIPE;
    } else if (plan->accumulation % plan->pp == 0 && chunks > 1 && draw_coin(d)) {
        plan->schedule = SP_SCHEDULE_INTERLEAVED;
        plan->vpp = (uint16_t)draw_between(d, 2, chunks);
    }
}

static bool whole_heads(const sp_model *model, uint32_t ranks)
{
    for (uint32_t k = 0; k < model->n_kinds; k++) {
        if (model->kinds[k].attention.kv_heads % ranks != 0) return false;
    }
    return true;
}

/* Heads are exchanged only where every rank gets whole ones, hybrid only across domains. */
static void draw_cp_kind(const made_problem *made, draw *d, sp_plan *plan)
{
    plan->cp_kind = (uint8_t)draw_between(d, 0, SP_N_CP_KINDS - 1);
    const uint32_t inner = sp_plan_ulysses_ranks(&made->problem.fabric, plan);
    const bool two_parts = inner > 1 && inner < plan->cp && plan->cp % inner == 0;
    if ((plan->cp_kind == SP_CP_HYBRID && !two_parts) ||
        (inner > 1 && !whole_heads(&made->model.model, plan->tp * inner))) {
        plan->cp_kind = SP_CP_RING;
    }
}

/* Groups of whole runs of cp, or even parts of one, that the copies of experts divide into too. */
static void draw_shard_group(const made_problem *made, draw *d, sp_plan *plan)
{
    const uint32_t copies = sp_plan_copies(plan), group = draw_divisor(d, copies, copies);
    const bool whole = group % plan->cp == 0 || plan->cp % group == 0;
    const bool experts =
        !made->problem.has_experts || sp_plan_expert_copies(plan) % (copies / group) == 0;
    if (plan->zero > 0 && group < copies && whole && experts) plan->shard_group = group;
}

static void draw_offload(draw *d, sp_plan *plan)
{
    plan->offload_optimizer = (uint8_t)(25 * draw_between(d, 0, 4));
    plan->offload_params = plan->zero == 3 ? (uint8_t)(25 * draw_between(d, 0, 4)) : 0;
    plan->offload_activations = (uint8_t)(25 * draw_between(d, 0, 4));
    plan->offload_target = (uint8_t)draw_between(d, 0, SP_N_OFFLOAD_TARGETS - 1);
}

static void draw_recompute(const sp_model *model, draw *d, sp_plan *plan)
{
    plan->recompute = draw_between(d, 0, 3) == 0 ? SP_RECOMPUTE_FULL
                                                 : (uint8_t)draw_between(d, 0, SP_N_RECOMPUTE - 1);
    const uint32_t some = (model->n_layers - 1) / plan->pp;
    if (plan->recompute == SP_RECOMPUTE_FULL && some > 0 && draw_coin(d)) {
        plan->recompute_layers = (uint16_t)draw_between(d, 1, some);
    }
}

static void draw_knobs(const made_problem *made, draw *d, sp_plan *plan)
{
    plan->zero = (uint8_t)draw_between(d, 0, sp_plan_is_mirrored(plan) ? 1 : 3);
    plan->precision = (uint8_t)draw_between(d, 0, SP_N_PRECISIONS - 1);
    plan->dp_overlap = (uint8_t)draw_coin(d);
    if (plan->tp > 1) {
        plan->sp = (uint8_t)(made->problem.has_experts || draw_coin(d));
        plan->tp_overlap = plan->sp == SP_ON && draw_coin(d);
    }
    draw_recompute(&made->model.model, d, plan);
    if (draw_coin(d)) draw_shard_group(made, d, plan);
    if (draw_between(d, 0, 3) == 0) draw_offload(d, plan);
    if (plan->cp > 1) draw_cp_kind(made, d, plan);
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
    if (draw_coin(d)) cut_sequences(made, (uint16_t)(1u << draw_between(d, 1, 4)), &plan);
    plan.placement = (uint8_t)draw_between(d, 0, SP_N_PLACEMENTS - 1);
    if (made->problem.has_experts) draw_experts(made, d, &plan);
    draw_schedule(model, d, &plan);
    draw_knobs(made, d, &plan);
    return plan;
}
