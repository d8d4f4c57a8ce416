/* SPDX-License-Identifier: Apache-2.0 */
/* A model cut for one GPU: each kind of layer is expanded once, for a prompt's chunk and for a
 * decode step, and every later figure is a sum over kinds. */
#include "analysis/memory_priv.h"

#include <math.h>

/* Long enough that parts of a token do not matter, short enough that nothing overflows. */
#define PROBE_TOKENS 4096.0

static sp_sharding sharding_of(const sp_footprint_question *q)
{
    return (sp_sharding){
        .tp = q->tp, .cp = 1, .ep = q->ep, .etp = q->ep < q->tp ? q->tp / q->ep : 1};
}

static double weight_bytes(const sp_widths *bits, const sp_op *op)
{
    const double matrix = sp_op_params(op) - op->vectors;
    return (matrix * sp_weight_bits(bits, op->part) + op->vectors * bits->norm) / 8.0;
}

static double padded(double length, double multiple)
{
    return multiple > 0.0 ? ceil(length / multiple) * multiple : length;
}

/* Kernels of some formats want whole tiles. */
static double expert_padding(const sp_footprint_question *q, const sp_layer_kind *kind)
{
    const sp_sharding sharding = sharding_of(q);
    const double hidden = q->model->hidden, width = (double)kind->ffn.expert_ffn / sharding.etp;
    const double bits = q->server.expert_pad_bits;
    if (bits <= 0.0 || fabs(bits - q->bits.ffn_weight) > 1e-9 || width <= 0.0) return 1.0;
    return padded(hidden, q->server.expert_hidden_multiple) / hidden *
           padded(width, q->server.expert_width_multiple) / width;
}

static void add_weights(const sp_widths *bits, const sp_layer_kind *kind, const sp_op *op,
                        bool mixing, sp_kind_share *share)
{
    const double bytes = weight_bytes(bits, op);
    const bool own = sp_op_is_own(kind, op);
    if (op->part == SP_PART_EXPERTS) {
        share->experts += bytes;
    } else if (mixing) {
        *(own ? &share->mixing : &share->tied_mixing) += bytes;
    } else {
        *(own ? &share->ffn : &share->tied_ffn) += bytes;
    }
}

/* What goes in and comes out; keys and values lie in the cache. */
static double moved_elements(const sp_op *op)
{
    switch (op->class) {
    case SP_OP_GEMM:
    case SP_OP_GROUPED:
        return op->m * (op->k + op->n) * op->count;
    case SP_OP_ATTENTION:
        return op->m * (op->k + op->v) * op->count;
    case SP_OP_STREAM:
    case SP_OP_SCAN:
        break;
    }
    return op->m + op->n;
}

static double largest_operator(const sp_layer_work *work)
{
    double largest = 0.0;
    for (uint32_t i = 0; i < work->n_ops; i++) {
        largest = fmax(largest, moved_elements(&work->ops[i]));
    }
    return largest;
}

static double adapter_rows(const sp_layer_work *work)
{
    double rows = 0.0;
    for (uint32_t i = 0; i < work->n_ops; i++) {
        const sp_op *op = &work->ops[i];
        const bool adapted = op->class == SP_OP_GEMM && op->part != SP_PART_ROUTER;
        rows += adapted ? (op->k + op->n) * op->count : 0.0;
    }
    return rows;
}

/* Bits that a format adds to each element: vectors are heads of keys and of values. */
static double scale_bits(const sp_kv_format *format, const sp_attention *a)
{
    if (format->group > 0.0) return format->scale_bits / format->group;
    if (a->heads == 0) return 0.0;
    if (a->kv_lora > 0) return format->scale_bits / ((double)a->kv_lora + a->rope_dim);
    const double values = a->kv_cached_once ? 0.0 : sp_v_dim(a);
    return format->scale_bits * (a->kv_cached_once ? 1.0 : 2.0) / (a->head_dim + values);
}

static void expand(const sp_footprint_question *q, const sp_layer_kind *kind, double length,
                   double past, sp_layer_work *work)
{
    const sp_sharding sharding = sharding_of(q);
    const sp_shape shape = {.sequences = PROBE_TOKENS / length,
                            .tokens = PROBE_TOKENS,
                            .length = length,
                            .context = past + length / 2.0,
                            .past = past,
                            .absorbed = past > 0.0};
    sp_graph_layer(q->model, kind, &shape, &sharding, true, work);
}

static void build_kind(const sp_footprint_question *q, const sp_layer_kind *kind,
                       sp_kind_share *share)
{
    const sp_sharding sharding = sharding_of(q);
    const sp_server *server = &q->server;
    sp_layer_work work;
    *share = (sp_kind_share){.cache = sp_graph_cache(kind, &sharding),
                             .scale_bits =
                                 scale_bits(&server->kv_formats[server->kv], &kind->attention)};
    expand(q, kind, PROBE_TOKENS, 0.0, &work);
    for (uint32_t i = 0; i < work.n_ops; i++) {
        add_weights(&q->bits, kind, &work.ops[i], i < work.n_attention_ops, share);
    }
    share->experts *= expert_padding(q, kind);
    share->operator_elements = largest_operator(&work) / PROBE_TOKENS;
    share->adapter_rows = adapter_rows(&work);
    expand(q, kind, 1.0, PROBE_TOKENS, &work);
    share->step_elements = largest_operator(&work) / PROBE_TOKENS;
}

void sp_share_build(const sp_footprint_question *q, sp_share *share)
{
    const sp_sharding sharding = sharding_of(q);
    const double bytes = q->bits.embedding / 8.0;
    share->question = q;
    for (uint32_t k = 0; k < q->model->n_kinds; k++) {
        build_kind(q, &q->model->kinds[k], &share->kind[k]);
    }
    share->embedding = bytes * sp_graph_embedding_params(q->model, &sharding);
    share->head = bytes * sp_graph_head_params(q->model, &sharding);
}

sp_held_layers sp_share_stage(const sp_footprint_question *q, uint32_t stage)
{
    const uint32_t each = q->model->n_layers / q->pp, more = q->model->n_layers % q->pp;
    const uint32_t first = stage * each + (stage < more ? stage : more);
    const uint32_t last = first + each + (stage < more ? 1 : 0);
    sp_held_layers layers = {.first = stage == 0, .last = stage + 1 == q->pp};
    uint32_t at = 0;
    for (uint32_t r = 0; r < q->model->n_runs; r++) {
        const sp_layer_run *run = &q->model->runs[r];
        const uint32_t from = at > first ? at : first;
        const uint32_t to = at + run->count < last ? at + run->count : last;
        if (to > from) layers.n[run->kind] += to - from;
        at += run->count;
    }
    return layers;
}
