/* SPDX-License-Identifier: Apache-2.0 */
/* Measured surfaces of an accelerator as the rates of a serving engine. A format that the part
 * multiplies but nobody measured takes the 16-bit surface at its own peak; one that it does not
 * multiply is unpacked on the way into a 16-bit product. */
#include "serve/serve_priv.h"

/* An engine's kernel takes floor_ratio of the measured launch and rate_ratio of the rest. */
static sp_gemm_rate rate_of(const sp_gpu *gpu, const sp_gemm_surface *s, double peak,
                            const sp_server_timing *timing)
{
    const double ratio = timing->rate_ratio;
    return (sp_gemm_rate){.s_per_flop = ratio / (peak * s->efficiency_ratio),
                          .s_per_byte = ratio / (gpu->memory_bytes_per_s * s->memory_ratio),
                          .launch_s = timing->floor_ratio * s->launch_s,
                          .m_half = s->m_half,
                          .n_half = s->n_half,
                          .k_half = s->k_half};
}

static sp_dtype sixteen_bits(const sp_gpu *gpu)
{
    return gpu->peak_flops_per_s[SP_BF16] > 0.0 ? SP_BF16 : SP_FP16;
}

static sp_gemm_surface surface_of(const sp_gpu *gpu, sp_dtype dtype, bool grouped)
{
    const sp_grouped_surface *g = &gpu->grouped[dtype];
    return grouped ? (sp_gemm_surface){g->efficiency_ratio, g->memory_ratio, g->launch_s,
                                       g->m_half,           g->n_half,       g->k_half}
                   : gpu->gemm[dtype];
}

static sp_gemm_rate rate_for(const sp_gpu *gpu, const sp_server_timing *timing, sp_dtype dtype,
                             bool grouped, bool *borrowed)
{
    const sp_dtype wide = sixteen_bits(gpu);
    const double peak = gpu->peak_flops_per_s[dtype];
    const sp_dtype runs = peak > 0.0 ? dtype : wide;
    sp_gemm_surface surface = surface_of(gpu, runs, grouped);
    if (surface.efficiency_ratio <= 0.0) {
        surface = surface_of(gpu, wide, grouped);
        *borrowed = true;
    }
    if (surface.efficiency_ratio <= 0.0) surface = surface_of(gpu, wide, false);
    return rate_of(gpu, &surface, gpu->peak_flops_per_s[runs], timing);
}

bool sp_serve_rates_build(const sp_gpu *gpu, const sp_server_timing *timing,
                          const sp_serve_formats *formats, sp_serve_rates *rates, bool *borrowed)
{
    const sp_dtype wide = sixteen_bits(gpu);
    const sp_attention_surface *a = &gpu->attention;
    *borrowed = false;
    if (gpu->gemm[wide].efficiency_ratio <= 0.0 || a->efficiency_ratio <= 0.0) return false;
    const double memory = gpu->memory_bytes_per_s;
    const double vector = sp_gpu_vector_flops_per_s(gpu);
    *rates = (sp_serve_rates){
        .attention = rate_for(gpu, timing, formats->attention, false, borrowed),
        .ffn = rate_for(gpu, timing, formats->ffn, false, borrowed),
        .experts = rate_for(gpu, timing, formats->ffn, true, borrowed),
        .router = rate_for(gpu, timing, wide, false, borrowed),
        .head = rate_for(gpu, timing, wide, false, borrowed),
        .core_s_per_flop = timing->rate_ratio / (gpu->peak_flops_per_s[wide] * a->efficiency_ratio),
        .core_half = a->sequence_half,
        .core_head_64_ratio = a->head_dim_64_ratio,
        .core_launch_s = timing->floor_ratio * a->launch_s,
        .cache_s_per_byte = timing->rate_ratio / (memory * gpu->stream_ratio),
        .element_s_per_byte = timing->rate_ratio / (memory * gpu->stream_ratio),
        .vector_s_per_flop = vector > 0.0 ? 1.0 / vector : 0.0};
    return true;
}
