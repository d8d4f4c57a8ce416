/* SPDX-License-Identifier: Apache-2.0 */
/* Recurrent blocks: norm, projection in, causal convolution, the recurrence, gate, projection out,
 * residual; cut by tp along heads. Over many tokens recurrences of matrices run in chunks, whose
 * products matrix units do; one token, or a recurrence of single numbers, is a scan. Leaves out:
 * chunks longer or shorter than the state is wide, which the kernels choose by what fits a GPU. */
#include "graph/graph.h"

#include <assert.h>

static bool present(const sp_layer_kind *kind)
{
    return kind->recurrent.form != SP_RECURRENCE_NONE;
}

/* One rank's part. */
typedef struct parts {
    double heads, key, value; /* of the state: key x value a head */
    double inner;             /* channels: heads x value           */
    double in, conv;
    double taps; /* learned numbers of the convolution */
    double vectors;
} parts;

static parts parts_of(const sp_recurrent *r, uint32_t tp)
{
    const double heads = (double)r->heads / tp, conv = (double)r->conv_width / tp;
    return (parts){.heads = heads,
                   .key = r->key_dim,
                   .value = r->value_dim,
                   .inner = heads * r->value_dim,
                   .in = (double)r->in_width / tp,
                   .conv = conv,
                   .taps = conv * ((double)r->conv_kernel + (r->conv_bias ? 1.0 : 0.0)),
                   .vectors = (double)r->vectors / tp};
}

/* What the recurrence reads of a token: inputs with their steps, keys and queries, gates. */
static double scan_reads(const sp_recurrent *r, const parts *p)
{
    const double all = p->heads * (2.0 * p->key + p->value);
    switch ((sp_recurrence)r->form) {
    case SP_RECURRENCE_MAMBA:
        return 2.0 * p->inner + 2.0 * p->key; /* keys and queries of all channels are the same */
    case SP_RECURRENCE_MAMBA2:
        return p->conv + p->heads;
    case SP_RECURRENCE_DELTA:
        return (p->conv > 0.0 ? p->conv : all) + 2.0 * p->heads;
    case SP_RECURRENCE_LINEAR:
        return all;
    case SP_RECURRENCE_GATED:
        return 3.0 * p->inner;
    case SP_RECURRENCE_NONE:
    case SP_RECURRENCE_CONV:
        break;
    }
    return 0.0;
}

/* FLOPs of one token, step by step, for each number of the state: decay, input and output cost a
 * multiplication, a multiply-add and a multiply-add.
 *   mamba   7: the decay is an exponential of a product, the input has a product more
 *   delta   7: the state is read once more for what it knows of the key
 *   gated   9: exponential of a product, 1 - a^2, root, and the input twice multiplied
 * Sources: equations 2 of arXiv:2312.00752, 10 of arXiv:2412.06464, 3 of arXiv:2402.19427. */
static double step_flops(const sp_recurrent *r, const parts *p)
{
    const double state = p->heads * p->key * p->value;
    switch ((sp_recurrence)r->form) {
    case SP_RECURRENCE_MAMBA:
    case SP_RECURRENCE_DELTA:
        return 7.0 * state;
    case SP_RECURRENCE_MAMBA2:
    case SP_RECURRENCE_LINEAR:
        return 5.0 * state;
    case SP_RECURRENCE_GATED:
        return 9.0 * state;
    case SP_RECURRENCE_NONE:
    case SP_RECURRENCE_CONV:
        break;
    }
    return 0.0;
}

static bool has_chunks(const sp_recurrent *r)
{
    return r->form == SP_RECURRENCE_MAMBA2 || r->form == SP_RECURRENCE_DELTA ||
           r->form == SP_RECURRENCE_LINEAR;
}

/* FLOPs of one token and head in chunks of q: inside them scores and values under a causal mask,
 * q (key + value); the state is read and updated with 2 key value each. The delta rule has keys
 * against keys, the inverse of that triangle (q^2 / 3), its products with keys and values, and what
 * the state knows of the keys.
 * Sources: arXiv:2405.21060, section 6; arXiv:2401.04658, section 3.2; arXiv:2406.06484,
 * section 3.2 and arXiv:2412.06464, section 3.3. */
static double chunk_flops(const sp_recurrent *r, const parts *p, double q)
{
    const double state = p->key * p->value, inside = q * (p->key + p->value) + 4.0 * state;
    if (r->form != SP_RECURRENCE_DELTA) return inside;
    return inside + q * (2.0 * p->key + p->value) + q * q / 3.0 + 2.0 * state;
}

/* Chunks as long as the state is wide, for which Dao and Gu show all parts to cost alike. */
static void add_chunks(const sp_recurrent *r, const parts *p, const sp_shape *s, double cp,
                       sp_layer_work *work)
{
    assert(work->n_ops < SP_MAX_OPS);
    const double q = p->key < s->length ? p->key : s->length;
    work->ops[work->n_ops++] = (sp_op){.name = "chunk_products",
                                       .class = SP_OP_ATTENTION,
                                       .part = SP_PART_RECURRENT,
                                       .m = s->length / cp,
                                       .n = q,
                                       .k = p->key,
                                       .v = r->value_dim,
                                       .count = p->heads * s->sequences,
                                       .flops = chunk_flops(r, p, q) * p->heads * s->tokens};
}

/* `carried` of the elements are read from what the sequences left, and left again. */
static sp_op *add_scan(sp_layer_work *work, const char *name, double reads, double writes,
                       double carried, double learned, double flops)
{
    sp_op *op = sp_op_stream(work, name, SP_PART_RECURRENT, reads + carried, writes + carried);
    op->class = SP_OP_SCAN;
    op->count = carried;
    op->k = learned;
    op->flops = flops;
    return op;
}

static void add_convolution(const sp_recurrent *r, const parts *p, const sp_shape *s,
                            sp_layer_work *work)
{
    if (r->conv_width == 0) return;
    const double rows = p->conv * s->tokens;
    const double kept =
        r->conv_kernel > 0 ? r->conv_kernel - 1.0 : 0.0; /* as graph/cache.c has it */
    const double carried = s->past > 0.0 ? p->conv * kept * s->sequences : 0.0;
    add_scan(work, "convolution", rows, rows, carried, p->taps, 2.0 * r->conv_kernel * rows)
        ->modules = SP_MODULE_STREAMS;
    sp_keep(work, 2.0 * rows, SP_MODULE_STREAMS, false);
}

/* A state that is found is read and written once; a fresh one stays on the chip. */
static void add_recurrence(const sp_recurrent *r, const parts *p, const sp_shape *s, double cp,
                           sp_layer_work *work)
{
    if (r->form == SP_RECURRENCE_CONV) return;
    const bool chunks = has_chunks(r) && s->length > 1.0;
    const double state = p->heads * p->key * p->value;
    const double carried = s->past > 0.0 ? state * s->sequences : 0.0;
    if (chunks) {
        add_chunks(r, p, s, cp, work);
    }
    add_scan(work, "scan", scan_reads(r, p) * s->tokens, p->inner * s->tokens, carried, p->vectors,
             chunks ? 0.0 : step_flops(r, p) * s->tokens);
    sp_keep(work, 2.0 * p->inner * s->tokens, 0, false);
    work->attention.kv_bytes += 2.0 * state * s->sequences; /* passed on from piece to piece */
}

static void expand(const sp_model *model, const sp_layer_kind *kind, const sp_shape *s,
                   const sp_sharding *shard, bool flash, sp_layer_work *work)
{
    (void)flash;
    const sp_recurrent *r = &kind->recurrent;
    const parts p = parts_of(r, shard->tp);
    const double h = model->hidden, tokens = s->tokens, whole = sp_whole_rows(s, shard);

    sp_norm_before(work, "recurrent_norm", model, r->norms, whole, true);
    sp_op_gemm(work, "recurrent_in", SP_PART_RECURRENT, tokens, p.in, h)->vectors =
        r->in_bias ? p.in : 0.0;
    sp_keep(work, 2.0 * p.in * tokens, 0, false);
    add_convolution(r, &p, s, work);
    add_recurrence(r, &p, s, shard->cp, work);
    /* Norm and gate of the output, or of a convolution that stands alone. */
    sp_op *gate = sp_op_stream(work, "recurrent_gate", SP_PART_RECURRENT, 2.0 * p.inner * tokens,
                               p.inner * tokens);
    gate->modules = SP_MODULE_STREAMS;
    gate->k = r->form == SP_RECURRENCE_CONV ? p.vectors : 0.0;
    sp_keep(work, 2.0 * p.inner * tokens, SP_MODULE_STREAMS, true);
    sp_op_gemm(work, "recurrent_out", SP_PART_RECURRENT, tokens, h, p.inner)->vectors =
        r->out_bias ? h : 0.0;
    sp_norms_behind(work, "recurrent_post_norm", model, r->norms, whole);
    sp_residual(work, "recurrent_residual", h * whole, model->dropout);

    sp_end_mixing(work);
    work->attention.tp_exchange = true;
    work->attention.q_bytes += 2.0 * p.in * tokens;
    work->attention.o_bytes += 2.0 * p.inner * tokens;
}

static sp_layer_params params(const sp_model *model, const sp_layer_kind *kind,
                              const sp_sharding *shard)
{
    const sp_recurrent *r = &kind->recurrent;
    const parts p = parts_of(r, shard->tp);
    const double h = model->hidden;
    const double norm = (double)r->norms * model->norm_vectors * h;
    const double bias = (r->in_bias ? p.in : 0.0) + (r->out_bias ? h : 0.0);
    return (sp_layer_params){.dense = h * p.in + p.inner * h + p.taps + p.vectors + bias + norm};
}

const sp_block sp_block_recurrent = {
    .name = "recurrent", .own = true, .present = present, .expand = expand, .params = params};
