/* SPDX-License-Identifier: Apache-2.0 */
/* One operator of a step on one rank. Weights are as wide as their format, activations 16 bits but
 * for what narrow products read. */
#include "serve/serve_priv.h"

#include <math.h>

typedef struct kind_of_weights {
    const sp_gemm_rate *rate;
    double weight_bytes, input_bytes; /* of one element */
} kind_of_weights;

static double input_bytes(sp_dtype dtype, double activation_bits)
{
    const double own = sp_dtype_bytes(dtype);
    return own < activation_bits / 8.0 ? own : activation_bits / 8.0;
}

static kind_of_weights weights_of(const sp_worker *worker, sp_part part)
{
    const sp_serve_formats *f = &worker->formats;
    const sp_serve_rates *r = &worker->rates;
    switch (part) {
    case SP_PART_ATTENTION:
    case SP_PART_RECURRENT:
        return (kind_of_weights){&r->attention, f->bits.attention_weight / 8.0,
                                 input_bytes(f->attention, f->bits.activation)};
    case SP_PART_FFN:
        return (kind_of_weights){&r->ffn, f->bits.ffn_weight / 8.0,
                                 input_bytes(f->ffn, f->bits.activation)};
    case SP_PART_EXPERTS:
        return (kind_of_weights){&r->experts, f->bits.ffn_weight / 8.0,
                                 input_bytes(f->ffn, f->bits.activation)};
    case SP_PART_HEAD:
        return (kind_of_weights){&r->head, f->bits.embedding / 8.0, 2.0};
    case SP_PART_ROUTER:
    case SP_PART_NORM:
    case SP_PART_ROTARY:
    case SP_PART_RESIDUAL:
    case SP_PART_EMBEDDING:
    case SP_PART_KERNEL:
        break;
    }
    return (kind_of_weights){&r->router, 2.0, 2.0};
}

double sp_serve_product_s(const sp_worker *worker, const sp_op *op, double m)
{
    const kind_of_weights w = weights_of(worker, op->part);
    const double bytes =
        op->count * (w.input_bytes * m * op->k + 2.0 * m * op->n + w.weight_bytes * op->k * op->n);
    return sp_roof_gemm_s(w.rate, m, op->n, op->k, op->count, bytes);
}

/* Of E experts a token meets k; N tokens leave (1 - k/E)^N of them untouched, whose weights nobody
 * reads. The busiest rank has the imbalance's share more. */
double sp_serve_experts_s(const sp_worker *worker, const sp_ffn *ffn, const sp_op *op, double rows,
                          double tokens)
{
    const kind_of_weights w = weights_of(worker, SP_PART_EXPERTS);
    const double share = (double)ffn->top_k / (ffn->n_experts + ffn->idle_experts);
    const double met = op->count * (1.0 - pow(1.0 - share, tokens));
    const double load = worker->layout.ep > 1 ? 1.0 + worker->timing->imbalance_ratio : 1.0;
    if (met <= 0.0 || rows <= 0.0) return 0.0;
    const double m = load * rows / met;
    const double bytes =
        met * (w.input_bytes * m * op->k + 2.0 * m * op->n + w.weight_bytes * op->k * op->n);
    return sp_roof_gemm_s(w.rate, m, op->n, op->k, met, bytes);
}

/* Many queries: arithmetic at the measured rate, and what they read of the cache. One query: the
 * cache alone, unless its heads share so much of it that arithmetic takes longer. */
double sp_serve_core_s(const sp_worker *worker, const sp_op *op)
{
    const sp_serve_rates *r = &worker->rates;
    const double bytes = op->bytes / 2.0 * worker->formats.bits.kv_cache / 8.0;
    const double narrow = op->k < 128.0 ? r->core_head_64_ratio : 1.0;
    const double ramp = op->m > 1.0 ? 1.0 + r->core_half / op->m : 1.0;
    const double compute_s = op->flops * r->core_s_per_flop * ramp / narrow;
    return r->core_launch_s + hypot(compute_s, bytes * r->cache_s_per_byte);
}

/* Fused with its neighbours and, in a captured step, launched with them. */
double sp_serve_element_s(const sp_worker *worker, const sp_op *op)
{
    const sp_serve_rates *r = &worker->rates;
    const double bytes_s = op->bytes * r->element_s_per_byte;
    const double flops_s = op->class == SP_OP_SCAN ? op->flops * r->vector_s_per_flop : 0.0;
    return bytes_s > flops_s ? bytes_s : flops_s;
}
