/* SPDX-License-Identifier: Apache-2.0 */
/* Which measured surfaces the kernels of an engine follow: its own framework's in its own format
 * first, then another framework's, then a wider format's. What is taken instead is marked. */
#include "base/base.h"
#include "serve/serve_priv.h"

#include <string.h>

/* What is looked for, and where. */
typedef struct search {
    const sp_surfaces *all;
    const sp_server_timing *timing;
    const sp_ffn *experts; /* of the model, NULL = none */
    double hidden;
    bool borrowed; /* something was found only in another place */
} search;

static bool named(const char *name, const char *wanted)
{
    const size_t n = strlen(wanted);
    return strncmp(name, wanted, n) == 0 && (name[n] == ' ' || name[n] == '\0');
}

/* A kernel that bears a framework's name is its own, whoever called it when it was measured. */
static bool is_of(const sp_surface *s, const char *framework)
{
    return named(s->framework, framework) || strstr(s->kernel, framework) != NULL;
}

static bool fits(const sp_surface *s, const sp_surface_query *q)
{
    return s->op == q->op && (q->framework == NULL || is_of(s, q->framework)) &&
           (q->variant == NULL || strcmp(s->variant, q->variant) == 0) &&
           (q->kernel == NULL || strcmp(s->kernel, q->kernel) == 0) &&
           (q->dtype == NULL || strcmp(s->dtype, q->dtype) == 0) &&
           (q->kv_dtype == NULL ||
            strcmp(s->kv_dtype[0] != '\0' ? s->kv_dtype : s->dtype, q->kv_dtype) == 0) &&
           (q->key_width <= 0.0 || s->lo[SP_DIM_KEY] == q->key_width);
}

/* A call that took longer to launch than any kernel does was timed with its host, which captured
 * steps do not wait for. */
static bool timed_with_host(const search *f, const sp_surface *s)
{
    const bool single = s->op != SP_SURFACE_MOE && s->op != SP_SURFACE_COLLECTIVE;
    return single && s->param[2] > f->timing->eager_launch_s;
}

/* Kernels of experts with a gate are not those of experts without. */
static bool runs_experts(const search *f, const sp_surface *s)
{
    return s->op != SP_SURFACE_MOE || s->lo[SP_DIM_MATRICES] == (f->experts->gated ? 3.0 : 2.0);
}

/* One that was measured with experts of other widths alone is a guess. */
static bool knows_experts(const search *f, const sp_surface *s)
{
    return s->op != SP_SURFACE_MOE ||
           (f->hidden >= s->lo[SP_DIM_HIDDEN] && f->hidden <= s->hi[SP_DIM_HIDDEN]);
}

static sp_serve_kernels collect(const search *f, const sp_surface_query *query, bool guess)
{
    sp_serve_kernels found = {0};
    for (uint32_t i = 0; i < f->all->n && found.n < SP_SERVE_MAX_KERNELS; i++) {
        const sp_surface *s = &f->all->list[i];
        const bool fit = fits(s, query) && !timed_with_host(f, s) && runs_experts(f, s);
        if (fit && (guess || knows_experts(f, s))) found.of[found.n++] = s;
    }
    return found;
}

/* In the engine's framework, in the next best, in any: those measured with the model's shapes, and
 * where there are none, others. */
static sp_serve_kernels find_in(search *f, sp_surface_query query)
{
    sp_serve_kernels found = {0};
    for (uint32_t i = 0; i < 6 && found.n == 0; i++) {
        const uint32_t place = i % 3;
        if (place < 2 && f->timing->frameworks[place] == NULL) continue;
        query.framework = place < 2 ? f->timing->frameworks[place] : NULL;
        found = collect(f, &query, i >= 3);
    }
    return found;
}

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

static sp_serve_kernels find_format(search *f, sp_surface_query query, const char *format)
{
    const char *formats[MAX_FORMATS];
    sp_serve_kernels found = {0};
    stand_ins(format, formats);
    for (uint32_t i = 0; i < MAX_FORMATS && found.n == 0; i++) {
        query.dtype = formats[i];
        found = find_in(f, query);
        f->borrowed = f->borrowed || i > 0 || found.n == 0 || found.of[0]->borrowed;
    }
    return found;
}

/* Keys that a query meets at most: a window, or those that an indexer chooses. */
double sp_serve_reach(const sp_attention *a)
{
    if (a->index_top_k > 0) return a->index_top_k;
    return a->window > 0 ? a->window : a->chunk;
}

/* As tables of measured kernels tell them apart, in the order in which they stand in for one
 * another: windows, and in decoding how many query heads share a key head. */
#define MAX_VARIANTS 2

static void variants_of(const sp_attention *a, sp_surface_op op, uint32_t tp,
                        const char *variants[MAX_VARIANTS])
{
    const bool decodes = op == SP_SURFACE_ATTENTION_GENERATION;
    const double group = (double)a->heads / tp / sp_kv_heads_local(a, tp);
    const char *full = decodes ? "gqa" : "";
    variants[0] = variants[1] = full;
    if (op == SP_SURFACE_MLA_CONTEXT || op == SP_SURFACE_MLA_GENERATION) return;
    if (sp_serve_reach(a) > 0.0) {
        variants[0] = "window";
    } else if (decodes && group <= 1.0) {
        variants[0] = "mha";
    } else if (decodes && group > SP_SURFACE_WIDEST_GROUP) {
        variants[0] = "mqa";
    }
}

/* Widths of keys are fitted one by one; where there is none the nearest common one is taken. */
static sp_serve_kernels find_core(search *f, const sp_worker_setup *setup, const sp_attention *a,
                                  sp_surface_op op)
{
    static const double widths[] = {128.0, 64.0, 256.0, 192.0};
    const bool latent = a->kv_lora > 0;
    const char *const caches[] = {setup->formats.kv_bits < 16.0 ? "fp8" : "bfloat16", "bfloat16"};
    const char *variants[MAX_VARIANTS];
    sp_serve_kernels found = {0};
    variants_of(a, op, setup->layout.tp, variants);
    for (uint32_t i = 0; i < 2 * MAX_VARIANTS * 5 && found.n == 0; i++) {
        const uint32_t cache = i / (MAX_VARIANTS * 5), variant = i % MAX_VARIANTS;
        const uint32_t width = i / MAX_VARIANTS % 5;
        const double own = latent ? 0.0 : a->head_dim;
        found = find_in(f, (sp_surface_query){.op = op,
                                              .variant = variants[variant],
                                              .dtype = "bfloat16",
                                              .kv_dtype = caches[cache],
                                              .key_width = width == 0 ? own : widths[width - 1]});
        f->borrowed = f->borrowed || (i > 0 && found.n > 0);
    }
    return found;
}

static void find_cores(search *f, const sp_worker_setup *setup, sp_serve_rates *rates)
{
    for (uint32_t k = 0; k < setup->model->n_kinds; k++) {
        const sp_attention *a = &setup->model->kinds[k].attention;
        const bool latent = a->kv_lora > 0;
        if (a->heads == 0) continue;
        rates->context[k] =
            find_core(f, setup, a, latent ? SP_SURFACE_MLA_CONTEXT : SP_SURFACE_ATTENTION_CONTEXT);
        rates->generation[k] = find_core(
            f, setup, a, latent ? SP_SURFACE_MLA_GENERATION : SP_SURFACE_ATTENTION_GENERATION);
    }
}

static const sp_ffn *experts_of(const sp_model *model)
{
    for (uint32_t k = 0; k < model->n_kinds; k++) {
        if (model->kinds[k].ffn.n_experts > 0) return &model->kinds[k].ffn;
    }
    return NULL;
}

static bool has_dense(const sp_model *model)
{
    for (uint32_t k = 0; k < model->n_kinds; k++) {
        if (model->kinds[k].ffn.ffn > 0 || model->kinds[k].ffn.shared_ffn > 0) return true;
    }
    return false;
}

/* Experts of which a rank has some, and all of them where those were not measured. */
static sp_serve_kernels find_experts(search *f, const sp_worker_setup *setup)
{
    sp_surface_query query = {.op = SP_SURFACE_MOE,
                              .variant = setup->layout.ep > 1 ? SP_SURFACE_SPREAD : ""};
    const sp_serve_kernels found = find_format(f, query, setup->formats.ffn);
    if (found.n > 0 || setup->layout.ep == 1) return found;
    query.variant = "";
    return find_format(f, query, setup->formats.ffn);
}

static void find_all(search *f, const sp_worker_setup *setup, sp_serve_rates *rates)
{
    const sp_surface_query product = {.op = SP_SURFACE_GEMM};
    rates->attention = find_format(f, product, setup->formats.attention);
    rates->wide = find_format(f, product, "bfloat16");
    if (has_dense(setup->model)) rates->ffn = find_format(f, product, setup->formats.ffn);
    f->experts = experts_of(setup->model);
    f->hidden = setup->model->hidden;
    if (f->experts != NULL) rates->experts = find_experts(f, setup);
    find_cores(f, setup, rates);
    rates->all_reduce = find_in(f, (sp_surface_query){.op = SP_SURFACE_COLLECTIVE,
                                                      .variant = "all_reduce",
                                                      .kernel = setup->timing->reduce_kernel});
    rates->borrowed = f->borrowed;
}

sp_status sp_serve_rates_build(const sp_worker_setup *setup, sp_serve_rates *rates, sp_error *err)
{
    const sp_gpu *gpu = setup->cluster->gpu;
    search f = {.all = setup->surfaces, .timing = setup->timing};
    *rates = (sp_serve_rates){0};
    if (gpu->stream_ratio > 0.0) find_all(&f, setup, rates);
    const bool experts = experts_of(setup->model) == NULL || rates->experts.n > 0;
    if (rates->wide.n == 0 || rates->attention.n == 0 || !experts) {
        sp_fail(err, SP_E_INCONSISTENT, "kernels of this accelerator were never measured");
        return sp_fail_value(err, "%s", gpu->name);
    }
    const double vector = sp_gpu_vector_flops_per_s(gpu);
    rates->element_s_per_byte = 1.0 / (gpu->memory_bytes_per_s * gpu->stream_ratio);
    rates->vector_s_per_flop = vector > 0.0 ? 1.0 / vector : 0.0;
    rates->flop_s = 2.0 / sp_gpu_peak_flops_per_s(gpu);
    return SP_OK;
}
