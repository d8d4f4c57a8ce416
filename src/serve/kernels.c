/* SPDX-License-Identifier: Apache-2.0 */
/* One operator of a step on one rank, on the surface that its kernel was measured with. An engine
 * launches a kernel in floor_ratio of the measured launch and runs it in rate_ratio of the rest. */
#include "serve/serve_priv.h"

#include <math.h>

/* Which number of a surface is its launch. */
static double launch_of(const sp_surface *surface)
{
    return surface->op == SP_SURFACE_COLLECTIVE ? surface->param[0] : surface->param[2];
}

static double one_s(const sp_worker *worker, const sp_surface *surface, const double *dim)
{
    const double launch_s = launch_of(surface), rest_s = sp_surface_s(surface, dim) - launch_s;
    return worker->timing->floor_ratio * launch_s + worker->timing->rate_ratio * rest_s;
}

static double engine_s(const sp_worker *worker, const sp_serve_kernels *kernels, const double *dim)
{
    double least_s = INFINITY;
    for (uint32_t i = 0; i < kernels->n; i++) {
        least_s = fmin(least_s, one_s(worker, kernels->of[i], dim));
    }
    return least_s;
}

static const sp_serve_kernels *kernels_of(const sp_worker *worker, sp_part part)
{
    const sp_serve_rates *r = &worker->rates;
    if (part == SP_PART_ATTENTION || part == SP_PART_RECURRENT) return &r->attention;
    return part == SP_PART_FFN && r->ffn.n > 0 ? &r->ffn : &r->wide;
}

/* Of several products in one call the largest dimension grows. */
double sp_serve_product_s(const sp_worker *worker, const sp_op *op, double m)
{
    const double dim[SP_SURFACE_MAX_DIMS] = {
        [SP_DIM_M] = m, [SP_DIM_N] = op->n * op->count, [SP_DIM_K] = op->k};
    return engine_s(worker, kernels_of(worker, op->part), dim);
}

bool sp_serve_sends_tokens(const sp_worker *worker)
{
    const sp_worker_layout *l = &worker->layout;
    return l->attn_dp > 1 && l->ep > 1 && worker->width.n > worker->timing->gather_width;
}

/* Of E experts a token meets k; N tokens leave (1 - k/E)^N of them untouched, whose weights nobody
 * reads. Where experts are spread, the busiest rank has the imbalance's share more. A rank that is
 * sent its tokens gathers and adds up these alone, others look through the tokens of all. */
double sp_serve_experts_s(const sp_worker *worker, const sp_ffn *ffn, double tokens)
{
    const double all = (double)ffn->n_experts + ffn->idle_experts;
    const double share = ffn->top_k / all, own = (double)ffn->n_experts / worker->layout.ep;
    const double load = worker->layout.ep > 1 ? 1.0 + worker->timing->imbalance_ratio : 1.0;
    const double choices = fmax(1.0, load * tokens * share * own);
    const double seen = sp_serve_sends_tokens(worker) ? choices / ffn->top_k : tokens;
    const double active = fmax(1.0, own * (1.0 - pow(1.0 - share, tokens)));
    const double hidden = ffn->latent > 0 ? ffn->latent : worker->model->hidden;
    const double dim[SP_SURFACE_MAX_DIMS] = {[SP_DIM_TOKENS] = seen,
                                             [SP_DIM_HIDDEN] = hidden,
                                             [SP_DIM_WIDTH] =
                                                 (double)ffn->expert_ffn / worker->layout.moe_tp,
                                             [SP_DIM_TOPK] = ffn->top_k,
                                             [SP_DIM_CHOICES] = choices,
                                             [SP_DIM_ACTIVE] = fmin(active, choices),
                                             [SP_DIM_MATRICES] = ffn->gated ? 3.0 : 2.0,
                                             [SP_DIM_EXPERTS] = own};
    return engine_s(worker, &worker->rates.experts, dim);
}

double sp_serve_core_s(const sp_worker *worker, uint32_t kind, const sp_op *op, double sequences,
                       double fresh, double past)
{
    const sp_serve_rates *r = &worker->rates;
    const sp_attention *attention = &worker->model->kinds[kind].attention;
    const sp_serve_kernels *kernels = fresh > 1.0 ? &r->context[kind] : &r->generation[kind];
    if (kernels->n == 0) return sp_serve_other_core_s(worker, op);
    const double heads = op->count / sequences;
    const bool shared = kernels->of[0]->op == SP_SURFACE_MLA_GENERATION;
    const double kv = shared ? 1.0 : sp_kv_heads_local(attention, worker->layout.tp);
    const double dim[SP_SURFACE_MAX_DIMS] = {[SP_DIM_BATCH] = sequences,
                                             [SP_DIM_HEADS] = heads,
                                             [SP_DIM_KV_HEADS] =
                                                 attention->kv_lora > 0 && !shared ? heads : kv,
                                             [SP_DIM_KEY] = op->k,
                                             [SP_DIM_VALUE] = op->v,
                                             [SP_DIM_NEW] = fresh,
                                             [SP_DIM_PAST] = past,
                                             [SP_DIM_WINDOW] = sp_serve_reach(attention)};
    return engine_s(worker, kernels, dim);
}

double sp_serve_other_core_s(const sp_worker *worker, const sp_op *op)
{
    return fmax(op->flops * worker->rates.flop_s, op->bytes * worker->rates.element_s_per_byte);
}

/* Fused with its neighbours and, in a captured step, launched with them. */
double sp_serve_element_s(const sp_worker *worker, const sp_op *op)
{
    const sp_serve_rates *r = &worker->rates;
    const double bytes_s = op->bytes * r->element_s_per_byte;
    const double flops_s = op->class == SP_OP_SCAN ? op->flops * r->vector_s_per_flop : 0.0;
    return bytes_s > flops_s ? bytes_s : flops_s;
}

/* Inside the fastest domain by the engine's own kernel, however large; what that would take for
 * large messages NCCL does faster. */
double sp_serve_all_reduce_s(const sp_worker *worker, const sp_group *group, double bytes)
{
    const double library_s = sp_coll_allreduce_s(group, bytes);
    const sp_serve_kernels *own = &worker->rates.all_reduce;
    if (own->n == 0 || !group->one_level || group->n_levels > 1) return library_s;
    const double dim[SP_SURFACE_MAX_DIMS] = {[SP_DIM_RANKS] = group->n, [SP_DIM_BYTES] = bytes};
    return fmin(library_s, engine_s(worker, own, dim));
}
