/* SPDX-License-Identifier: Apache-2.0 */
/* Which measured surface each kernel of an engine follows: its own framework's in its own format
 * first, then another framework's, then a wider format's. What is taken instead is marked. */
#include "base/base.h"
#include "serve/serve_priv.h"

/* Formats in the order in which they stand in for one another. */
#define MAX_FORMATS 4

static void stand_ins(const char *format, const char *formats[MAX_FORMATS])
{
    const sp_surface_format *f = sp_surface_format_find(format);
    const bool narrow = f != NULL && f->peak == SP_FP8;
    formats[0] = format;
    formats[1] = narrow ? "fp8_block" : "bfloat16";
    formats[2] = narrow ? "fp8" : "half";
    formats[3] = "bfloat16";
}

static const sp_surface *find_in(const sp_surfaces *all, const char *const *frameworks,
                                 sp_surface_query query)
{
    for (uint32_t i = 0; i < 3; i++) {
        if (i < 2 && frameworks[i] == NULL) continue;
        query.framework = i < 2 ? frameworks[i] : NULL;
        const sp_surface *found = sp_surface_find(all, &query);
        if (found != NULL) return found;
    }
    return NULL;
}

static const sp_surface *find_format(const sp_surfaces *all, const char *const *frameworks,
                                     sp_surface_query query, const char *format, bool *borrowed)
{
    const char *formats[MAX_FORMATS];
    stand_ins(format, formats);
    for (uint32_t i = 0; i < MAX_FORMATS; i++) {
        query.dtype = formats[i];
        const sp_surface *found = find_in(all, frameworks, query);
        if (found == NULL) continue;
        *borrowed = *borrowed || i > 0 || found->borrowed;
        return found;
    }
    *borrowed = true;
    return NULL;
}

/* Widths of keys are fitted one by one; the nearest is taken. */
static const sp_surface *find_core(const sp_surfaces *all, const char *const *frameworks,
                                   sp_surface_op op, double width, double kv_bytes, bool *borrowed)
{
    static const double widths[] = {128.0, 64.0, 256.0, 192.0};
    const char *const caches[] = {kv_bytes < 2.0 ? "fp8" : "bfloat16", "bfloat16"};
    for (uint32_t k = 0; k < 2; k++) {
        for (uint32_t i = 0; i < 5; i++) {
            const sp_surface_query query = {.op = op,
                                            .dtype = "bfloat16",
                                            .kv_dtype = caches[k],
                                            .key_width = i == 0 ? width : widths[i - 1]};
            const sp_surface *found = find_in(all, frameworks, query);
            if (found == NULL) continue;
            *borrowed = *borrowed || k > 0 || i > 0;
            return found;
        }
    }
    *borrowed = true;
    return NULL;
}

static const sp_attention *main_attention(const sp_model *model)
{
    for (uint32_t k = 0; k < model->n_kinds; k++) {
        if (model->kinds[k].attention.heads > 0) return &model->kinds[k].attention;
    }
    return NULL;
}

static void find_cores(const sp_worker_setup *setup, const sp_surfaces *all,
                       const char *const *frameworks, sp_serve_rates *rates)
{
    const sp_attention *a = main_attention(setup->model);
    if (a == NULL) return;
    const double kv_bytes = setup->formats.bits.kv_cache / 8.0;
    const bool latent = a->kv_lora > 0;
    rates->context =
        find_core(all, frameworks, latent ? SP_SURFACE_MLA_CONTEXT : SP_SURFACE_ATTENTION_CONTEXT,
                  latent ? 0.0 : a->head_dim, kv_bytes, &rates->borrowed);
    rates->generation = find_core(
        all, frameworks, latent ? SP_SURFACE_MLA_GENERATION : SP_SURFACE_ATTENTION_GENERATION,
        latent ? 0.0 : a->head_dim, kv_bytes, &rates->borrowed);
}

static bool has_experts(const sp_model *model)
{
    for (uint32_t k = 0; k < model->n_kinds; k++) {
        if (model->kinds[k].ffn.n_experts > 0) return true;
    }
    return false;
}

sp_status sp_serve_rates_build(struct sp_arena *arena, const sp_worker_setup *setup,
                               sp_serve_rates *rates, sp_error *err)
{
    const sp_gpu *gpu = setup->cluster->gpu;
    const sp_surfaces *all = NULL;
    const char *const *frameworks = setup->timing->frameworks;
    SP_TRY(sp_surfaces_load(arena, setup->home, gpu, &all, err));
    if (all->n == 0 || gpu->stream_ratio <= 0.0) {
        sp_fail(err, SP_E_INCONSISTENT, "kernels of this accelerator were never measured");
        return sp_fail_value(err, "%s", gpu->name);
    }
    *rates = (sp_serve_rates){0};
    const sp_surface_query product = {.op = SP_SURFACE_GEMM}, moe = {.op = SP_SURFACE_MOE};
    const double vector = sp_gpu_vector_flops_per_s(gpu);
    const char *attention = setup->formats.attention, *ffn = setup->formats.ffn;
    bool unused = false;
    rates->attention = find_format(all, frameworks, product, attention, &rates->borrowed);
    rates->ffn = find_format(all, frameworks, product, ffn,
                             has_experts(setup->model) ? &unused : &rates->borrowed);
    rates->wide = find_format(all, frameworks, product, "bfloat16", &rates->borrowed);
    if (has_experts(setup->model)) {
        rates->experts = find_format(all, frameworks, moe, ffn, &rates->borrowed);
    }
    find_cores(setup, all, frameworks, rates);
    const sp_surface_query reduce = {.op = SP_SURFACE_COLLECTIVE,
                                     .variant = "all_reduce",
                                     .kernel = setup->timing->reduce_kernel};
    rates->all_reduce = find_in(all, frameworks, reduce);
    rates->element_s_per_byte = 1.0 / (gpu->memory_bytes_per_s * gpu->stream_ratio);
    rates->vector_s_per_flop = vector > 0.0 ? 1.0 / vector : 0.0;
    rates->flop_s = 2.0 / sp_gpu_peak_flops_per_s(gpu);
    if (rates->wide == NULL || rates->attention == NULL) {
        sp_fail(err, SP_E_INCONSISTENT, "products of this accelerator were never measured");
        return sp_fail_value(err, "%s", gpu->name);
    }
    return SP_OK;
}
