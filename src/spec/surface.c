/* SPDX-License-Identifier: Apache-2.0 */
/* The forms of kernel surfaces and the number formats that tables name; which surface a caller
 * means. How a form turns a shape into seconds is in cost/surface.c. */
#include "shardplan/surface.h"

#include "spec/spec.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define ATTENTION_DIMS                                                                             \
    {                                                                                              \
        "batch", "heads", "kv_heads", "key_width", "value_width", "new_tokens", "past", "window"   \
    }
#define ATTENTION_CONTEXT_PARAMS                                                                   \
    {                                                                                              \
        {"efficiency_ratio", 0.005, 2.0, false}, {"memory_ratio", 0.01, 4.0, false},               \
            {"launch_s", 1e-7, 1e-2, false}, {"visible_half", 1e-2, 1e5, false},                   \
            {"query_half", 1e-2, 1e5, false}, {"steps_s", 1e-16, 1e-3, false},                     \
            {"steps_exponent", 0.05, 1.5, true},                                                   \
    }
#define ATTENTION_GENERATION_PARAMS                                                                \
    {                                                                                              \
        {"efficiency_ratio", 0.001, 2.0, false}, {"memory_ratio", 0.01, 4.0, false},               \
            {"launch_s", 1e-7, 1e-2, false}, {"kv_head_s", 1e-14, 1e-5, false},                    \
            {"head_s", 1e-14, 1e-5, false}, {"keys_s", 1e-13, 1e-4, false},                        \
            {"keys_exponent", 0.05, 1.0, true},                                                    \
    }

/* clang-format off */
static const sp_surface_form forms[SP_N_SURFACE_OPS] = {
    [SP_SURFACE_GEMM] = {"gemm", 3, 9, {"m", "n", "k"},
                         {{"efficiency_ratio", 0.01, 1.5, false},
                          {"memory_ratio", 0.01, 2.0, false},
                          {"launch_s", 1e-7, 1e-2, false},
                          {"m_half", 1e-2, 1e5, false},
                          {"n_half", 1e-2, 1e5, false},
                          {"k_half", 1e-2, 1e5, false},
                          {"steps_s", 1e-14, 1e-3, false},
                          {"cache_bytes", 1e3, 1e9, false},
                          {"steps_exponent", 0.05, 1.5, true}}},
    [SP_SURFACE_ATTENTION_CONTEXT] = {"attention_context", 8, 7, ATTENTION_DIMS,
                                      ATTENTION_CONTEXT_PARAMS},
    [SP_SURFACE_ATTENTION_GENERATION] = {"attention_generation", 8, 7, ATTENTION_DIMS,
                                         ATTENTION_GENERATION_PARAMS},
    [SP_SURFACE_MLA_CONTEXT] = {"mla_context", 8, 7, ATTENTION_DIMS, ATTENTION_CONTEXT_PARAMS},
    [SP_SURFACE_MLA_GENERATION] = {"mla_generation", 8, 7, ATTENTION_DIMS,
                                   ATTENTION_GENERATION_PARAMS},
    [SP_SURFACE_MOE] = {"moe", 8, 8,
                        {"tokens", "hidden", "width", "topk", "choices", "active", "matrices",
                         "experts"},
                        {{"efficiency_ratio", 0.01, 2.0, false},
                         {"memory_ratio", 0.01, 1.0, false},
                         {"launch_s", 1e-7, 1e-2, false},
                         {"m_half", 1e-2, 1e4, false},
                         {"width_half", 1e-2, 1e5, false},
                         {"hidden_half", 1e-2, 1e5, false},
                         {"shared_ratio", 1e-4, 1e2, false},
                         {"traffic_ratio", 1e-4, 1e3, false}}},
    [SP_SURFACE_COLLECTIVE] = {"collective", 2, 5, {"ranks", "bytes"},
                               {{"base_s", 1e-7, 1e-2, false},
                                {"step_s", 1e-10, 1e-3, false},
                                {"bandwidth_ratio", 1e-3, 5.0, false},
                                {"half_bytes", 1.0, 1e10, false},
                                {"ranks_exponent", -1.5, 2.0, true}}},
};
/* clang-format on */

/* wo: weights alone; NVFP4 has a scale of 8 bits for 16 elements, MXFP4 and MXFP8 one for 32. */
static const sp_surface_format formats[] = {
    {"bfloat16",         SP_BF16,  2.0,              2.0             },
    {"half",             SP_FP16,  2.0,              2.0             },
    {"float",            SP_FP32,  4.0,              4.0             },
    {"float16",          SP_FP16,  2.0,              2.0             },
    {"fp8",              SP_FP8,   1.0,              1.0             },
    {"fp8_block",        SP_FP8,   1.0,              1.0             },
    {"nvfp4",            SP_NVFP4, 0.5 + 1.0 / 16.0, 0.5 + 1.0 / 16.0},
    {"int8_wo",          SP_BF16,  1.0,              2.0             },
    {"int4_wo",          SP_BF16,  0.5,              2.0             },
    {"w4a16_mxfp4",      SP_BF16,  0.5 + 1.0 / 32.0, 2.0             },
    {"w4a8_mxfp4_mxfp8", SP_FP8,   0.5 + 1.0 / 32.0, 1.0 + 1.0 / 32.0},
    {"sq",               SP_INT8,  1.0,              1.0             },
    {"int8",             SP_INT8,  1.0,              1.0             },
};

const sp_surface_form *sp_surface_form_of(sp_surface_op op)
{
    assert(op < SP_N_SURFACE_OPS);
    return &forms[op];
}

const sp_surface_format *sp_surface_format_find(const char *name)
{
    for (size_t i = 0; i < COUNT(formats); i++) {
        if (strcmp(formats[i].name, name) == 0) {
            return &formats[i];
        }
    }
    return NULL;
}

const char *const *sp_surface_format_names(size_t *n_names)
{
    static const char *const names[] = {
        "bfloat16", "half",    "float",       "float16",          "fp8", "fp8_block", "nvfp4",
        "int8_wo",  "int4_wo", "w4a16_mxfp4", "w4a8_mxfp4_mxfp8", "sq",  "int8"};
    static_assert(COUNT(names) == COUNT(formats), "every format has its name");
    *n_names = COUNT(names);
    return names;
}

/* A part without bf16 runs what was measured in it in fp16. */
static double peak_of(const sp_gpu *gpu, sp_dtype dtype)
{
    const double peak = gpu->peak_flops_per_s[dtype];
    return dtype == SP_BF16 && !(peak > 0.0) ? gpu->peak_flops_per_s[SP_FP16] : peak;
}

bool sp_surface_place(const sp_gpu *gpu, double link_bytes_per_s, sp_surface *s)
{
    const bool own_kv = s->kv_dtype[0] != '\0';
    const sp_surface_format *format = sp_surface_format_find(s->dtype);
    const sp_surface_format *kv = own_kv ? sp_surface_format_find(s->kv_dtype) : format;
    if (format == NULL || kv == NULL) {
        return false;
    }
    s->peak_flops_per_s = peak_of(gpu, format->peak);
    s->memory_bytes_per_s = gpu->memory_bytes_per_s;
    s->link_bytes_per_s = link_bytes_per_s;
    s->weight_bytes = format->weight_bytes;
    s->activation_bytes = format->activation_bytes;
    s->kv_bytes = kv->activation_bytes;
    return s->op == SP_SURFACE_COLLECTIVE ? link_bytes_per_s > 0.0 : s->peak_flops_per_s > 0.0;
}

/* "trtllm" means "trtllm 1.3.0" too. */
static bool is_framework(const char *asked, const char *framework)
{
    const size_t length = strlen(asked);
    return strncmp(asked, framework, length) == 0 &&
           (framework[length] == '\0' || framework[length] == ' ');
}

static bool is_word(const char *asked, const char *word)
{
    return asked == NULL || strcmp(asked, word) == 0;
}

const sp_surface *sp_surface_find(const sp_surfaces *surfaces, const sp_surface_query *query)
{
    for (uint32_t i = 0; i < surfaces->n; i++) {
        const sp_surface *s = &surfaces->list[i];
        const bool width = query->key_width <= 0.0 || (s->lo[SP_DIM_KEY] <= query->key_width &&
                                                       query->key_width <= s->hi[SP_DIM_KEY]);
        if (s->op == query->op && width && is_word(query->variant, s->variant) &&
            (query->framework == NULL || is_framework(query->framework, s->framework)) &&
            is_word(query->kernel, s->kernel) && is_word(query->dtype, s->dtype) &&
            is_word(query->kv_dtype, s->kv_dtype)) {
            return s;
        }
    }
    return NULL;
}

const char *sp_surface_outside(const sp_surface *surface, const double dim[SP_SURFACE_MAX_DIMS])
{
    const sp_surface_form *form = sp_surface_form_of(surface->op);
    for (uint32_t d = 0; d < form->n_dims; d++) {
        if (dim[d] < surface->lo[d] || dim[d] > surface->hi[d]) {
            return form->dim[d];
        }
    }
    return NULL;
}
