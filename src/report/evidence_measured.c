/* SPDX-License-Identifier: Apache-2.0 */
/* Which kernels of a plan have shapes that nobody measured on its GPU: products of its layers,
 * forward and backward, the length of its attention, collectives of one domain. What goes between
 * domains was measured nowhere and is not asked. */
#include "report/evidence.h"

#include "shardplan/traffic.h"
#include "step/step.h"

/* The tables' word for the products of a precision. */
static const char *format_of(sp_dtype dtype)
{
    if (dtype == SP_NVFP4) return "nvfp4";
    return dtype == SP_FP8 || dtype == SP_MXFP8 ? "fp8" : "bfloat16";
}

static bool is_outside(const sp_surface *surface, double a, double b, double c)
{
    const double dim[SP_SURFACE_MAX_DIMS] = {a, b, c};
    return surface != NULL && sp_surface_outside(surface, dim) != NULL;
}

/* Forward [m,k][k,n], and the products of both gradients. */
static bool product_outside(const sp_surface *surface, const sp_op *op)
{
    return is_outside(surface, op->m, op->n, op->k) || is_outside(surface, op->m, op->k, op->n) ||
           is_outside(surface, op->k, op->n, op->m);
}

static bool core_outside(const sp_surfaces *surfaces, const sp_op *op)
{
    const sp_surface *surface = sp_surface_find(
        surfaces, &(sp_surface_query){.op = SP_SURFACE_ATTENTION_CONTEXT, .key_width = op->k});
    return surface != NULL && (op->m < surface->lo[SP_DIM_NEW] || op->m > surface->hi[SP_DIM_NEW]);
}

static void check_layer(const sp_surfaces *surfaces, const sp_surface *gemm,
                        const sp_layer_work *work, sp_beyond *out)
{
    for (uint32_t i = 0; i < work->n_ops; i++) {
        const sp_op *op = &work->ops[i];
        if (op->class == SP_OP_GEMM) out->products |= product_outside(gemm, op);
        if (op->class == SP_OP_ATTENTION) out->attention |= core_outside(surfaces, op);
    }
}

static void check_exchange(const sp_surfaces *surfaces, const sp_exchange *row, sp_beyond *out)
{
    static const char *const variants[SP_N_COLLECTIVES] = {
        [SP_ALL_REDUCE] = "all_reduce",
        [SP_REDUCE_SCATTER] = "reduce_scatter",
        [SP_ALL_GATHER] = "all_gather",
        [SP_ALL_TO_ALL] = "alltoall",
    };
    if (row->leaves_domain || variants[row->collective] == NULL) return;
    const sp_surface *surface =
        sp_surface_find(surfaces, &(sp_surface_query){.op = SP_SURFACE_COLLECTIVE,
                                                      .variant = variants[row->collective]});
    out->collectives |= is_outside(surface, row->ranks, row->bytes, 0.0);
}

sp_beyond sp_beyond_measured(const sp_surfaces *surfaces, const sp_problem *problem,
                             const sp_plan *plan)
{
    const sp_shape shape = sp_plan_shape(problem, plan);
    const char *format = format_of(sp_precision_dtype((sp_precision)plan->precision));
    const sp_surface *gemm =
        sp_surface_find(surfaces, &(sp_surface_query){.op = SP_SURFACE_GEMM, .dtype = format});
    sp_beyond out = {0};
    for (uint32_t k = 0; k < problem->model->n_kinds; k++) {
        const sp_layer_kind *kind = &problem->model->kinds[k];
        const sp_sharding sharding = sp_plan_sharding(plan, kind->ffn.n_experts > 0);
        sp_layer_work work;
        sp_graph_layer(problem->model, kind, &shape, &sharding, problem->rates.flash, &work);
        check_layer(surfaces, gemm, &work, &out);
    }
    sp_traffic traffic;
    sp_traffic_build(problem, plan, &traffic);
    for (uint32_t i = 0; i < traffic.n_rows; i++) {
        check_exchange(surfaces, &traffic.rows[i], &out);
    }
    return out;
}
