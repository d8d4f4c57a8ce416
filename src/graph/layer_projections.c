/* SPDX-License-Identifier: Apache-2.0 */
/* Matrices of a layer that no other block names, in its mixing or its feed-forward part, and its
 * further learned numbers. Those that are cut lie by columns, or by whole blocks, on the ranks; the
 * others are whole on each, with rows cut along the sequence. */
#include "graph/graph.h"

static bool has_part(const sp_layer_kind *kind, bool ffn)
{
    for (uint32_t i = 0; i < kind->n_projections; i++) {
        if (kind->projections[i].ffn == ffn) return true;
    }
    return false;
}

static bool mixing_present(const sp_layer_kind *kind)
{
    return kind->vectors > 0 || (kind->n_projections > 0 && has_part(kind, false));
}

static bool ffn_present(const sp_layer_kind *kind)
{
    return kind->n_projections > 0 && has_part(kind, true);
}

/* The input is kept beside that of the block, unless it is the block's own. */
static void add_projection(const sp_projection *p, double hidden, const sp_shape *s,
                           const sp_sharding *shard, sp_layer_work *work)
{
    const sp_part part = p->ffn ? SP_PART_FFN : SP_PART_ATTENTION;
    const double rows = p->cut ? s->tokens : sp_whole_rows(s, shard);
    const double blocks = p->cut && p->blocks > 1 ? (double)p->blocks / shard->tp : p->blocks;
    const double columns = p->cut && p->blocks == 1 ? (double)p->out / shard->tp : p->out;
    sp_op *op = sp_op_gemm(work, p->name, part, rows, columns, p->in);
    op->count = blocks;
    op->flops *= blocks;
    if (p->in != hidden) {
        sp_keep(work, 2.0 * p->in * blocks * rows, 0, true);
    }
    sp_keep(work, 2.0 * columns * blocks * rows, 0, false);
}

static void add_part(const sp_model *model, const sp_layer_kind *kind, bool ffn, const sp_shape *s,
                     const sp_sharding *shard, sp_layer_work *work)
{
    for (uint32_t i = 0; i < kind->n_projections; i++) {
        if (kind->projections[i].ffn == ffn) {
            add_projection(&kind->projections[i], model->hidden, s, shard, work);
        }
    }
}

static void expand_mixing(const sp_model *model, const sp_layer_kind *kind, const sp_shape *s,
                          const sp_sharding *shard, bool flash, sp_layer_work *work)
{
    (void)flash;
    add_part(model, kind, false, s, shard, work);
    if (kind->vectors > 0) {
        sp_op_stream(work, "vectors", SP_PART_NORM, kind->vectors, 0.0)->k = kind->vectors;
    }
    sp_end_mixing(work);
}

static void expand_ffn(const sp_model *model, const sp_layer_kind *kind, const sp_shape *s,
                       const sp_sharding *shard, bool flash, sp_layer_work *work)
{
    (void)flash;
    add_part(model, kind, true, s, shard, work);
}

static double part_params(const sp_layer_kind *kind, bool ffn, bool shared_alone, uint32_t tp)
{
    double sum = 0.0;
    for (uint32_t i = 0; i < kind->n_projections; i++) {
        const sp_projection *p = &kind->projections[i];
        const double whole = (double)p->in * p->out * p->blocks;
        if (p->ffn != ffn || (shared_alone && !p->tied)) continue;
        sum += p->cut ? whole / tp : whole;
    }
    return sum;
}

static sp_layer_params mixing_params(const sp_model *model, const sp_layer_kind *kind,
                                     const sp_sharding *shard)
{
    (void)model;
    return (sp_layer_params){.dense = part_params(kind, false, false, shard->tp) + kind->vectors};
}

static sp_layer_params ffn_params(const sp_model *model, const sp_layer_kind *kind,
                                  const sp_sharding *shard)
{
    (void)model;
    return (sp_layer_params){.dense = part_params(kind, true, false, shard->tp)};
}

static double mixing_shared(const sp_layer_kind *kind, const sp_sharding *shard)
{
    return part_params(kind, false, true, shard->tp);
}

static double ffn_shared(const sp_layer_kind *kind, const sp_sharding *shard)
{
    return part_params(kind, true, true, shard->tp);
}

const sp_block sp_block_mixing_projections = {.name = "mixing_projections",
                                              .own = true,
                                              .present = mixing_present,
                                              .expand = expand_mixing,
                                              .params = mixing_params,
                                              .shared = mixing_shared};
const sp_block sp_block_ffn_projections = {.name = "ffn_projections",
                                           .own = true,
                                           .present = ffn_present,
                                           .expand = expand_ffn,
                                           .params = ffn_params,
                                           .shared = ffn_shared};
