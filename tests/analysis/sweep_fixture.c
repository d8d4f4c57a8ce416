/* SPDX-License-Identifier: Apache-2.0 */
/* See sweep_fixture.h. */
#include "sweep_fixture.h"

void sweep_machine(swept *s)
{
    *s = (swept){
        .gpu = {.name = "made",
                .memory_bytes = 80e9,
                .memory_bytes_per_s = 1e12,
                .tdp_watts = 400.0                                                 },
        .cluster = {.name = "nodes of 8", .node_gpus = 8, .n_levels = 1, .max_gpus = 64}
    };
    s->gpu.peak_flops_per_s[SP_BF16] = 100e12;
    s->gpu.peak_flops_per_s[SP_FP32] = 25e12;
    s->cluster.levels[0] = (sp_level){.label = "node",
                                      .n_gpus = UINT32_MAX,
                                      .bytes_per_s = 400e9,
                                      .efficiency_ratio = 0.8,
                                      .latency_s = 1e-6,
                                      .base_s = 2e-6,
                                      .half_bytes = 1e4,
                                      .oversubscription = 1};
}

void sweep_setup(swept *s)
{
    sweep_machine(s);
    make_llama(&s->model, 1024, 16, 4, 4096, 12);
    s->question = (sp_analysis_question){.model = &s->model.model, .gpu = &s->gpu};
    sp_analysis_defaults(&s->question);
    s->question.batch = 8;
    sweep_analyse(s);
}

void sweep_analyse(swept *s)
{
    sp_error err = {0};
    must(sp_analyze(&s->arena, &s->question, &s->analysis, &err), &err);
    must(sp_workload_build(&s->arena, &s->question, s->analysis, &s->workload, &err), &err);
}

void sweep_fini(swept *s)
{
    sp_arena_fini(&s->arena);
}

sp_chip sweep_own_chip(const swept *s)
{
    return (sp_chip){.flops_per_s = s->gpu.peak_flops_per_s[SP_BF16],
                     .bytes_per_s = s->gpu.memory_bytes_per_s,
                     .capacity_bytes = s->gpu.memory_bytes,
                     .tdp_watts = s->gpu.tdp_watts,
                     .price_usd = 20000.0};
}

sp_economics sweep_money(void)
{
    return (sp_economics){.lifetime_years = 3.0,
                          .utilization_ratio = 0.5,
                          .pue = 1.2,
                          .usd_per_kwh = 0.1,
                          .grid_g_per_kwh = 400.0,
                          .embodied_kg = 80.0,
                          .compute_power_ratio = 0.6,
                          .score_flops_per_joule = 1e11,
                          .score_price_usd = 10000.0,
                          .score_g_per_eflop = 1000.0,
                          .score_no_fit = 0.3};
}
