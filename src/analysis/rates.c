/* SPDX-License-Identifier: Apache-2.0 */
/* What kernels take by the measured surfaces of an accelerator, each on its own: no engine, no
 * launch-bound host. Rows bring their own bytes, so that narrow weights and long caches count. */
#include "analysis/analysis_priv.h"

#include <math.h>

sp_precision sp_analysis_precision(const sp_analysis_question *question)
{
    for (int p = 0; p < SP_N_PRECISIONS; p++) {
        const sp_precision precision = (sp_precision)p;
        if (sp_precision_dtype(precision) == question->compute &&
            sp_rates_has(question->gpu, precision)) {
            return precision;
        }
    }
    return SP_N_PRECISIONS;
}

bool sp_analysis_rates(const sp_analysis_question *question, sp_rates *rates)
{
    const sp_gpu *gpu = question->gpu;
    const sp_engine_profile neutral = {.flash_attention = question->flash,
                                       .native_attention = true,
                                       .misaligned_ratio = 1.0,
                                       .gemm_ratio = 1.0,
                                       .attention_ratio = 1.0,
                                       .element_bytes_ratio = 1.0,
                                       .score_bytes_ratio = 1.0,
                                       .low_precision_ratio = 1.0,
                                       .grad_bytes = 2.0};
    if (sp_analysis_precision(question) == SP_N_PRECISIONS ||
        gpu->attention.efficiency_ratio <= 0.0 || gpu->stream_ratio <= 0.0) {
        return false;
    }
    sp_rates_build(gpu, &neutral, rates);
    return true;
}

static double memory_bytes(const sp_operator *row)
{
    return row->weight_bytes + row->read_bytes + row->write_bytes;
}

/* Backward, a product becomes two, of the gradients of its inputs and of its weights. */
double sp_expected_product_s(const sp_pass *pass, const sp_operator *row, bool grouped)
{
    if (pass->rates == NULL) return 0.0;
    const sp_gemm_rate *gemm = &pass->rates->gemm[pass->precision];
    const sp_gemm_rate *measured = &pass->rates->grouped[pass->precision];
    const sp_gemm_rate *rate = grouped && measured->s_per_flop > 0.0 ? measured : gemm;
    const double m = row->rows, n = row->columns, k = row->inner, bytes = memory_bytes(row);
    if (pass->phase != SP_PHASE_BACKWARD) {
        return sp_roof_gemm_s(rate, m, n, k, row->count, bytes);
    }
    return sp_roof_gemm_s(rate, m, k, n, row->count, bytes / 2.0) +
           sp_roof_gemm_s(rate, k, n, m, row->count, bytes / 2.0);
}

/* The surface is that of many queries a sequence. With one query the core is a stream over the
 * cache. */
double sp_expected_core_s(const sp_pass *pass, const sp_operator *row, const sp_op *op)
{
    if (pass->rates == NULL) return 0.0;
    const double stream_s =
        pass->rates->attention_launch_s + memory_bytes(row) * pass->rates->stream_s_per_byte;
    if (op->m <= 1.0) return stream_s;
    const sp_op_time time = sp_roof_op(pass->rates, op, pass->precision, false);
    return fmax(stream_s, pass->phase == SP_PHASE_BACKWARD ? time.input_grad_s : time.forward_s);
}

double sp_expected_stream_s(const sp_pass *pass, const sp_operator *row)
{
    const double bytes = memory_bytes(row);
    if (pass->rates == NULL || bytes <= 0.0) return 0.0;
    return pass->rates->stream_launch_s + fmax(bytes * pass->rates->stream_s_per_byte,
                                               row->flops * pass->rates->vector_s_per_flop);
}
