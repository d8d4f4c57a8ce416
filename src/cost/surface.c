/* SPDX-License-Identifier: Apache-2.0 */
/* Seconds of one call of a measured kernel, by the form of its operator. The forms were chosen on
 * measured tables with whole shapes left out; each line of a form is a thing that a kernel does. */
#include "shardplan/surface.h"

#include "cost/cost.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* t = launch + steps_s k^x
 *     + 4-norm(2 (m + m_half)(n + n_half)(k + k_half) / (peak eff), b / W b / (b + cache))
 * steps: a tile walks along k one step after the other however few tiles there are; x is below 1
 * where a long k is dealt out over several. cache: so many bytes stay in the last-level cache from
 * one call to the next. */
static double gemm_s(const sp_surface *s, const double *dim)
{
    const double m = dim[SP_DIM_M], n = dim[SP_DIM_N], k = dim[SP_DIM_K];
    const double *p = s->param;
    const double bytes = s->weight_bytes * n * k + s->activation_bytes * m * k + 2.0 * m * n;
    const double compute_s =
        2.0 * (m + p[3]) * (n + p[4]) * (k + p[5]) / (s->peak_flops_per_s * p[0]);
    const double memory_s = bytes / (s->memory_bytes_per_s * p[1]) * (bytes / (bytes + p[7]));
    return p[2] + p[6] * pow(k, p[8]) + sp_roof_either_s(compute_s, memory_s);
}

/* Keys seen by the new tokens together: the sum of min(past + i, window) over i = 1 .. new. */
static double seen_keys(double new_tokens, double past, double window)
{
    if (!(window > 0.0)) return new_tokens * (past + 0.5 * (new_tokens + 1.0));
    const double free =
        fmin(fmax(window - past, 0.0), new_tokens); /* whose window is not full yet */
    return free * (past + 0.5 * (free + 1.0)) + (new_tokens - free) * window;
}

/* t = launch + width steps_s reach^x + flops / (peak eff) (1 + visible_half / visible)
 *     (1 + query_half / new) + bytes / W
 * visible: keys of a query in the mean; reach: of the last query. The two halves are what tiles of
 * keys and of queries waste; the bytes are those of the kernels around the core, which do not hide
 * behind it. */
static double context_s(const sp_surface *s, const double *dim)
{
    const double *p = s->param;
    const double heads = dim[SP_DIM_BATCH] * dim[SP_DIM_HEADS];
    const double kv_heads = dim[SP_DIM_BATCH] * dim[SP_DIM_KV_HEADS];
    const double width = dim[SP_DIM_KEY] + dim[SP_DIM_VALUE], new_tokens = dim[SP_DIM_NEW];
    const double window = dim[SP_DIM_WINDOW], past = dim[SP_DIM_PAST];
    const double seen = seen_keys(new_tokens, past, window);
    const double keys = window > 0.0 ? fmin(past, window) + new_tokens : past + new_tokens;
    const double reach = window > 0.0 ? fmin(past + new_tokens, window) : past + new_tokens;
    const double core_s = 2.0 * heads * seen * width / (s->peak_flops_per_s * p[0]) *
                          (1.0 + p[3] * new_tokens / seen) * (1.0 + p[4] / new_tokens);
    const double bytes = (2.0 * heads * new_tokens + s->kv_bytes * kv_heads * keys) * width;
    return p[2] + width * p[5] * pow(reach, p[6]) + core_s + bytes / (s->memory_bytes_per_s * p[1]);
}

/* t = launch + 4-norm(flops / (peak eff), bytes / W) + kv_heads kv_head + heads head
 *     + keys_s keys^x
 * Work is dealt out by sequence and head, each with a start and an end of its own; long contexts
 * are cut in pieces that are joined again. */
static double generation_s(const sp_surface *s, const double *dim)
{
    const double *p = s->param;
    const double heads = dim[SP_DIM_BATCH] * dim[SP_DIM_HEADS];
    const double kv_heads = dim[SP_DIM_BATCH] * dim[SP_DIM_KV_HEADS];
    const double window = dim[SP_DIM_WINDOW], past = dim[SP_DIM_PAST] + dim[SP_DIM_NEW];
    const double keys = window > 0.0 ? fmin(past, window) : past;
    const double width = dim[SP_DIM_KEY] + dim[SP_DIM_VALUE];
    const double held = s->op == SP_SURFACE_MLA_GENERATION ? dim[SP_DIM_KEY] : width;
    const double bytes = s->kv_bytes * kv_heads * keys * held + 2.0 * heads * width;
    const double flops = 2.0 * heads * keys * width;
    return p[2] +
           sp_roof_either_s(flops / (s->peak_flops_per_s * p[0]),
                            bytes / (s->memory_bytes_per_s * p[1])) +
           kv_heads * p[3] + heads * p[4] + p[5] * pow(keys, p[6]);
}

/* t = launch + 4-norm(2 matrices (choices + active m_half)(width + width_half)(hidden +
 * hidden_half) / (peak eff), weights of active experts / W) + traffic (choices + shared tokens
 * topk) 4 hidden / bandwidth Every active expert rounds its tokens up to tiles (m_half); the last
 * term gathers tokens before and adds them up after the products, partly for all of them whichever
 * rank they belong to. */
static double moe_s(const sp_surface *s, const double *dim)
{
    const double *p = s->param;
    const double hidden = dim[SP_DIM_HIDDEN], width = dim[SP_DIM_WIDTH];
    const double choices = dim[SP_DIM_CHOICES], active = dim[SP_DIM_ACTIVE];
    const double matrices = dim[SP_DIM_MATRICES];
    const double flops =
        2.0 * matrices * (choices + active * p[3]) * (width + p[4]) * (hidden + p[5]);
    const double bytes = matrices * active * hidden * width * s->weight_bytes;
    const double moved =
        (dim[SP_DIM_TOKENS] * dim[SP_DIM_TOPK] * p[6] + choices) * 4.0 * hidden * p[7];
    return p[2] +
           sp_roof_either_s(flops / (s->peak_flops_per_s * p[0]),
                            bytes / (s->memory_bytes_per_s * p[1])) +
           moved / s->memory_bytes_per_s;
}

/* t = base + steps step + (sent + sqrt(sent half)) ranks^x / (link ratio)
 * An all-reduce goes round twice. */
static double collective_s(const sp_surface *s, const double *dim)
{
    const double *p = s->param;
    const double n = dim[SP_DIM_RANKS], rounds = strcmp(s->variant, "all_reduce") == 0 ? 2.0 : 1.0;
    const double sent = rounds * dim[SP_DIM_BYTES] * (n - 1.0) / n;
    return p[0] + rounds * (n - 1.0) * p[1] +
           (sent + sqrt(sent * p[3])) * pow(n, p[4]) / (s->link_bytes_per_s * p[2]);
}

double sp_surface_s(const sp_surface *surface, const double dim[SP_SURFACE_MAX_DIMS])
{
    switch (surface->op) {
    case SP_SURFACE_GEMM:
        return gemm_s(surface, dim);
    case SP_SURFACE_ATTENTION_CONTEXT:
    case SP_SURFACE_MLA_CONTEXT:
        return context_s(surface, dim);
    case SP_SURFACE_ATTENTION_GENERATION:
    case SP_SURFACE_MLA_GENERATION:
        return generation_s(surface, dim);
    case SP_SURFACE_MOE:
        return moe_s(surface, dim);
    case SP_SURFACE_COLLECTIVE:
    case SP_N_SURFACE_OPS:
        break;
    }
    assert(surface->op == SP_SURFACE_COLLECTIVE);
    return collective_s(surface, dim);
}
