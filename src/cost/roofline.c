/* SPDX-License-Identifier: Apache-2.0 */
/* Rooflines of single operators with measured efficiencies: what a kernel takes on one GPU, forward
 * and backward. Leaves out: launch-bound steps (step/ compares with the host), clock changes. */
#include "cost/cost.h"

#include <assert.h>
#include <math.h>

double sp_roof_either_s(double a_s, double b_s)
{
    const double a2 = a_s * a_s, b2 = b_s * b_s;
    return sqrt(sqrt(a2 * a2 + b2 * b2));
}

static const sp_dtype dtype_of[SP_N_PRECISIONS] = {
    [SP_PRECISION_BF16] = SP_BF16,   [SP_PRECISION_FP16] = SP_FP16,   [SP_PRECISION_FP8] = SP_FP8,
    [SP_PRECISION_MXFP8] = SP_MXFP8, [SP_PRECISION_NVFP4] = SP_NVFP4,
};

sp_dtype sp_precision_dtype(sp_precision precision)
{
    return dtype_of[precision];
}

sp_precision sp_precision_of_head(sp_precision precision)
{
    return precision == SP_PRECISION_FP16 ? SP_PRECISION_FP16 : SP_PRECISION_BF16;
}

static bool is_low(sp_precision precision)
{
    return precision != sp_precision_of_head(precision);
}

static sp_gemm_rate rate_of(const sp_gpu *gpu, const sp_gemm_surface *s, double peak, double ratio)
{
    if (s->efficiency_ratio <= 0.0 || peak <= 0.0) {
        return (sp_gemm_rate){0};
    }
    return (sp_gemm_rate){.s_per_flop = ratio / (peak * s->efficiency_ratio),
                          .s_per_byte = ratio / (gpu->memory_bytes_per_s * s->memory_ratio),
                          .launch_s = s->launch_s,
                          .m_half = s->m_half,
                          .n_half = s->n_half,
                          .k_half = s->k_half};
}

double sp_gpu_peak_flops_per_s(const sp_gpu *gpu)
{
    const double bf16 = gpu->peak_flops_per_s[SP_BF16];
    return bf16 > 0.0 ? bf16 : gpu->peak_flops_per_s[SP_FP16];
}

bool sp_rates_has(const sp_gpu *gpu, sp_precision precision)
{
    const sp_dtype dtype = dtype_of[precision];
    return gpu->peak_flops_per_s[dtype] > 0.0 && gpu->gemm[dtype].efficiency_ratio > 0.0;
}

/* A tighter power limit holds a like chip at a lower clock. */
static double power_ratio(const sp_gpu *gpu, const sp_engine_profile *profile)
{
    if (gpu->calibrated_watts <= 0.0) return 1.0;
    return pow(gpu->calibrated_watts / gpu->tdp_watts, profile->power_exponent);
}

static double attention_ratio(const sp_gpu *gpu, const sp_engine_profile *profile)
{
    const bool portable = !profile->native_attention && gpu->portable_attention_ratio > 0.0;
    return profile->attention_ratio * (portable ? gpu->portable_attention_ratio : 1.0);
}

void sp_rates_build(const sp_gpu *gpu, const sp_engine_profile *profile, sp_rates *rates)
{
    const double power = power_ratio(gpu, profile);
    *rates = (sp_rates){.flash = profile->flash_attention,
                        .score_bytes_ratio = profile->score_bytes_ratio,
                        .misaligned_ratio = profile->misaligned_ratio,
                        .grad_bytes = profile->grad_bytes};
    for (int p = 0; p < SP_N_PRECISIONS; p++) {
        const sp_dtype d = dtype_of[p];
        const double peak = gpu->peak_flops_per_s[d];
        const sp_grouped_surface *g = &gpu->grouped[d];
        const sp_gemm_surface grouped = {g->efficiency_ratio, g->memory_ratio, g->launch_s,
                                         g->m_half,           g->n_half,       g->k_half};
        const double ratio =
            profile->gemm_ratio * (is_low((sp_precision)p) ? profile->low_precision_ratio : 1.0);
        rates->gemm[p] = rate_of(gpu, &gpu->gemm[d], peak / power, ratio);
        rates->grouped[p] = rate_of(gpu, &grouped, peak / power, ratio);
    }
    const sp_attention_surface *a = &gpu->attention;
    const double peak = sp_gpu_peak_flops_per_s(gpu);
    rates->attention_s_per_flop =
        attention_ratio(gpu, profile) * power / (peak * a->efficiency_ratio);
    rates->attention_sequence_half = a->sequence_half;
    rates->attention_head_dim_64_ratio = a->head_dim_64_ratio;
    rates->attention_backward_ratio = a->backward_flops_ratio;
    rates->attention_launch_s = a->launch_s;
    rates->state_s_per_byte = 1.0 / (gpu->memory_bytes_per_s * gpu->stream_ratio);
    rates->stream_s_per_byte = profile->element_bytes_ratio * rates->state_s_per_byte;
    rates->stream_launch_s = gpu->stream_launch_s;
    const double vector = sp_gpu_vector_flops_per_s(gpu);
    rates->vector_s_per_flop = vector > 0.0 ? 1.0 / vector : 0.0;
}

/* t = launch + 4-norm(2 (m + m_half)(n + n_half)(k + k_half) / (peak eff), bytes / bandwidth)
 * Source: fit of measured kernels, form and residuals in hardware/gpus. Monotone in m, n, k, bytes.
 */
double sp_roof_gemm_s(const sp_gemm_rate *rate, double m, double n, double k, double count,
                      double bytes)
{
    const double flops = 2.0 * (m + rate->m_half) * (n + rate->n_half) * (k + rate->k_half);
    return rate->launch_s +
           sp_roof_either_s(count * flops * rate->s_per_flop, bytes * rate->s_per_byte);
}

/* Forward [m,k][k,n]; input gradient [m,n][n,k]; weight gradient [k,m][m,n], which reads and writes
 * the accumulated gradient, or writes 16 bits that a kernel of its own adds. */
static sp_op_time product_time(const sp_rates *rates, const sp_gemm_rate *rate, const sp_op *op)
{
    const double in = 2.0 * op->m * op->k, out = 2.0 * op->m * op->n, weights = op->k * op->n;
    const double c = op->count;
    const double bytes = c * (in + out + 2.0 * weights);
    const double written = rates->added_bytes > 0.0 ? 2.0 : 2.0 * rates->grad_bytes;
    const double weight_bytes = c * (in + out + written * weights);
    const double added_s = c * weights * rates->added_bytes * rates->state_s_per_byte;
    return (sp_op_time){.forward_s = sp_roof_gemm_s(rate, op->m, op->n, op->k, c, bytes),
                        .input_grad_s = sp_roof_gemm_s(rate, op->m, op->k, op->n, c, bytes),
                        .weight_grad_s =
                            added_s + sp_roof_gemm_s(rate, op->k, op->n, op->m, c, weight_bytes)};
}

/* Rows of whole cache lines of 128 bytes, in both matrices of weights and activations. Source:
 * NVIDIA, Matrix Multiplication Background User's Guide, section 4.1. */
static bool is_aligned(const sp_op *op, double bytes)
{
    return fmod(op->k * bytes, 128.0) == 0.0 && fmod(op->n * bytes, 128.0) == 0.0;
}

static sp_op_time gemm_time(const sp_rates *rates, const sp_gemm_rate *rate, const sp_op *op,
                            sp_precision precision)
{
    const sp_op_time t = product_time(rates, rate, op);
    if (is_aligned(op, is_low(precision) ? 1.0 : 2.0)) return t;
    const double ratio = rates->misaligned_ratio;
    return (sp_op_time){t.forward_s * ratio, t.input_grad_s * ratio, t.weight_grad_s * ratio};
}

/* Efficiency falls linearly from head_dim 128 to its measured value at 64; wider heads as 128. */
static double head_dim_factor(const sp_rates *rates, double head_dim)
{
    if (head_dim >= 128.0) {
        return 1.0;
    }
    const double at_64 = rates->attention_head_dim_64_ratio;
    const double ratio = at_64 + (1.0 - at_64) * (head_dim - 64.0) / 64.0;
    return 1.0 / fmax(ratio, 0.5 * at_64);
}

/* A fused core: forward 2 products over the visible scores, backward 5 (it computes them again).
 * Source: Dao, FlashAttention-2, 2023. */
static sp_op_time flash_time(const sp_rates *rates, const sp_op *op)
{
    const double s_per_flop = rates->attention_s_per_flop * head_dim_factor(rates, op->k) *
                              (1.0 + rates->attention_sequence_half / op->m);
    return (sp_op_time){.forward_s = rates->attention_launch_s + op->flops * s_per_flop,
                        .input_grad_s =
                            rates->attention_launch_s +
                            2.5 * rates->attention_backward_ratio * op->flops * s_per_flop};
}

/* Scores written to memory: batched products over the full square, then softmax (read, write) and
 * dropout (read, write, mask of 1 byte) forward; their gradients backward read one tensor more. */
static sp_op_time scores_time(const sp_rates *rates, const sp_op *op, const sp_gemm_rate *gemm,
                              bool dropout)
{
    const double s = op->m, d = op->k, scores = op->count * s * op->n;
    const double traffic = op->count * 2.0 * (2.0 * s * d + s * op->n);
    const double product = sp_roof_gemm_s(gemm, s, op->n, d, op->count, traffic) +
                           sp_roof_gemm_s(gemm, s, d, op->n, op->count, traffic);
    const double forward = (dropout ? 9.0 : 4.0) * scores * rates->score_bytes_ratio;
    const double backward = (dropout ? 11.0 : 6.0) * scores * rates->score_bytes_ratio;
    return (sp_op_time){.forward_s = product + forward * rates->state_s_per_byte,
                        .input_grad_s = 2.0 * product + backward * rates->state_s_per_byte};
}

/* The backward pass reads the gradient beside the input and writes one: about twice the bytes. A
 * scan takes whichever is longer, its bytes or its FLOPs, and does both twice likewise. */
static sp_op_time stream_time(const sp_rates *rates, double work_s)
{
    return (sp_op_time){.forward_s = rates->stream_launch_s + work_s,
                        .input_grad_s = rates->stream_launch_s + 2.0 * work_s};
}

sp_op_time sp_roof_op(const sp_rates *rates, const sp_op *op, sp_precision precision, bool dropout)
{
    switch (op->class) {
    case SP_OP_GEMM:
        return gemm_time(rates, &rates->gemm[precision], op, precision);
    case SP_OP_GROUPED:
        return gemm_time(rates, &rates->grouped[precision], op, precision);
    case SP_OP_ATTENTION:
        return rates->flash
                   ? flash_time(rates, op)
                   : scores_time(rates, op, &rates->gemm[sp_precision_of_head(precision)], dropout);
    case SP_OP_SCAN:
        return stream_time(rates, fmax(op->bytes * rates->stream_s_per_byte,
                                       op->flops * rates->vector_s_per_flop));
    case SP_OP_STREAM:
        break;
    }
    assert(op->class == SP_OP_STREAM);
    return stream_time(rates, op->bytes * rates->stream_s_per_byte);
}
