/* SPDX-License-Identifier: Apache-2.0 */
/* One step of an engine: prompts and answers of a batch go through the layers together. Products
 * see all their tokens at once; attention sees each kind for itself. */
#include "serve/serve_priv.h"

#include <string.h>

/* The operators of one kind of layer, for the prompts of a batch and for its answers. */
typedef struct both_works {
    sp_layer_work prompts, answers;
    double prompt_tokens, answer_tokens;
} both_works;

static void expand(const sp_worker *worker, const sp_layer_kind *kind, const sp_serve_batch *b,
                   both_works *w)
{
    w->prompts.n_ops = w->answers.n_ops = 0;
    w->prompt_tokens = b->prompts * b->prompt_tokens;
    w->answer_tokens = b->decodes;
    if (w->prompt_tokens > 0.0) {
        const sp_shape shape = {.sequences = b->prompts,
                                .tokens = w->prompt_tokens,
                                .length = b->prompt_tokens,
                                .context = b->prompt_past + b->prompt_tokens / 2.0,
                                .past = b->prompt_past};
        sp_graph_layer(worker->model, kind, &shape, &worker->sharding, true, &w->prompts);
    }
    if (w->answer_tokens > 0.0) {
        const sp_shape shape = {.sequences = b->decodes,
                                .tokens = b->decodes,
                                .length = 1.0,
                                .context = b->context,
                                .past = b->context,
                                .absorbed = true};
        sp_graph_layer(worker->model, kind, &shape, &worker->sharding, true, &w->answers);
    }
}

/* The product of that name among the other half's, or NULL. */
static const sp_op *partner(const sp_layer_work *work, const char *name)
{
    for (uint32_t i = 0; i < work->n_ops; i++) {
        if (strcmp(work->ops[i].name, name) == 0) return &work->ops[i];
    }
    return NULL;
}

/* Tokens of one half of a batch, as its attention sees them. */
typedef struct half {
    double sequences, fresh, past;
} half;

/* One operator for its own tokens and for the rows of its partner; experts come at once. */
static void add_op(const sp_worker *worker, uint32_t kind, const sp_op *op, const sp_op *joined,
                   const half *h, sp_serve_step_time *t)
{
    if (op->part == SP_PART_EXPERTS && op->class != SP_OP_GEMM) return;
    if (op->class == SP_OP_GEMM) {
        const double m = op->m + (joined != NULL ? joined->m : 0.0);
        t->projection_s += sp_serve_product_s(worker, op, m);
    } else if (op->class == SP_OP_ATTENTION) {
        const bool core = strcmp(op->name, "attention_core") == 0;
        t->attention_s += core ? sp_serve_core_s(worker, kind, op, h->sequences, h->fresh, h->past)
                               : sp_serve_other_core_s(worker, op);
    } else {
        t->element_s += sp_serve_element_s(worker, op);
    }
}

static bool joins(const sp_op *op)
{
    return op->class == SP_OP_GEMM;
}

static void add_ops(const sp_worker *worker, uint32_t kind, const both_works *w,
                    const sp_serve_batch *batch, sp_serve_step_time *t)
{
    const sp_ffn *ffn = &worker->model->kinds[kind].ffn;
    const half prompts = {batch->prompts, batch->prompt_tokens, batch->prompt_past};
    const half answers = {batch->decodes, 1.0, batch->context};
    for (uint32_t i = 0; i < w->prompts.n_ops; i++) {
        const sp_op *op = &w->prompts.ops[i];
        add_op(worker, kind, op, joins(op) ? partner(&w->answers, op->name) : NULL, &prompts, t);
    }
    for (uint32_t i = 0; i < w->answers.n_ops; i++) {
        const sp_op *op = &w->answers.ops[i];
        const bool done = joins(op) && partner(&w->prompts, op->name) != NULL;
        if (!done) add_op(worker, kind, op, NULL, &answers, t);
    }
    if (ffn->n_experts > 0) {
        const double tokens = w->prompt_tokens + w->answer_tokens;
        t->experts_s += sp_serve_experts_s(worker, ffn, tokens * worker->layout.attn_dp);
    }
}

/* Around experts: with attention cut by tp alone all ranks have all tokens and reduce a sum; with
 * attention replicated they gather all tokens and scatter the sum, or, in wide groups, send each
 * token where its experts are, in the format of their products, and get 16 bits back (DeepEP,
 * README, 2025-02: "FP8 dispatching and BF16 combining"). */
static double experts_exchange_s(const sp_worker *worker, const sp_ffn *ffn, double tokens)
{
    const double elements = ffn->latent > 0 ? ffn->latent : worker->model->hidden;
    const sp_worker_layout *l = &worker->layout;
    if (worker->width.n == 1) return 0.0;
    if (l->attn_dp == 1) {
        return sp_serve_all_reduce_s(worker, &worker->width, 2.0 * elements * tokens);
    }
    if (!sp_serve_sends_tokens(worker)) {
        return 2.0 * sp_coll_allgather_s(&worker->width, 2.0 * elements * tokens * l->attn_dp);
    }
    const sp_surface_format *format = sp_surface_format_find(worker->formats.ffn);
    const double sent = elements * tokens / l->tp * ffn->top_k;
    const double reach = ffn->top_groups > 0 ? (double)ffn->top_groups / ffn->expert_groups : 1.0;
    const double there = format != NULL ? format->activation_bytes : 2.0;
    return sp_coll_put_s(&worker->width, there * sent, ffn->top_k, reach) +
           sp_coll_put_s(&worker->width, 2.0 * sent, ffn->top_k, reach);
}

/* Norms over all heads of queries and keys need the sum of squares of every rank: one number a
 * token, for queries and for keys. */
static bool norms_across_ranks(const sp_attention *a)
{
    return a->qk_norm > 2 * a->head_dim;
}

static double exchange_s(const sp_worker *worker, const sp_layer_kind *kind,
                         const sp_layer_work *work, double tokens)
{
    const double bytes = 2.0 * worker->model->hidden * tokens;
    double s = 0.0;
    if (worker->tp.n > 1 && work->attention.tp_exchange) {
        s += sp_serve_all_reduce_s(worker, &worker->tp, bytes);
        s += norms_across_ranks(&kind->attention)
                 ? 2.0 * sp_serve_all_reduce_s(worker, &worker->tp, 4.0 * tokens)
                 : 0.0;
    }
    if (kind->ffn.n_experts > 0) return s + experts_exchange_s(worker, &kind->ffn, tokens);
    return worker->tp.n > 1 && work->ffn.tp_exchange
               ? s + sp_serve_all_reduce_s(worker, &worker->tp, bytes)
               : s;
}

static bool is_special(const sp_layer_kind *kind)
{
    return kind->recurrent.form != SP_RECURRENCE_NONE || kind->attention.index_heads > 0;
}

static void add_scaled(sp_serve_step_time *sum, const sp_serve_step_time *t, double n)
{
    sum->projection_s += n * t->projection_s;
    sum->attention_s += n * t->attention_s;
    sum->experts_s += n * t->experts_s;
    sum->element_s += n * t->element_s;
    sum->collective_s += n * t->collective_s;
}

static void add_kind(const sp_worker *worker, uint32_t k, const sp_serve_batch *batch,
                     sp_serve_step_time *sum)
{
    const sp_layer_kind *kind = &worker->model->kinds[k];
    sp_serve_step_time one = {0};
    both_works w;
    expand(worker, kind, batch, &w);
    add_ops(worker, k, &w, batch, &one);
    const sp_layer_work *work = w.prompts.n_ops > 0 ? &w.prompts : &w.answers;
    one.collective_s = exchange_s(worker, kind, work, w.prompt_tokens + w.answer_tokens);
    one.element_s += is_special(kind) ? worker->timing->special_layer_s : 0.0;
    add_scaled(sum, &one, worker->n_layers[k]);
}

/* Rows that become logits; the parts of the vocabulary are gathered for the sampler, which reads
 * them in 32 bits. */
static void add_head(const sp_worker *worker, const sp_serve_batch *batch, sp_serve_step_time *t)
{
    const double rows = batch->emitted;
    if (rows <= 0.0) return;
    const sp_shape shape = {.sequences = rows, .tokens = rows, .length = 1.0, .context = 1.0};
    const sp_op head = sp_graph_head(worker->model, &shape, &worker->sharding);
    const double logits = rows * worker->model->vocab;
    t->projection_s += sp_serve_product_s(worker, &head, head.m);
    t->element_s += 4.0 * logits * worker->rates.element_s_per_byte;
    if (worker->tp.n > 1) t->collective_s += sp_coll_allgather_s(&worker->tp, 2.0 * logits);
}

/* Captured steps start at once; others are launched layer by layer, and the longer of both counts.
 */
double sp_serve_host_s(const sp_worker *worker, const sp_serve_batch *batch, double gpu_s)
{
    const sp_server_timing *timing = worker->timing;
    const bool captured = batch->prompts <= 0.0 && batch->decodes <= timing->graph_tokens;
    const double launch_s = captured ? 0.0 : timing->layer_launch_s * worker->model->n_layers;
    return timing->step_host_s + (launch_s > gpu_s ? launch_s - gpu_s : 0.0);
}

void sp_serve_step(const sp_worker *worker, const sp_serve_batch *batch, sp_serve_step_time *out)
{
    sp_serve_step_time t = {0};
    const double tokens = batch->prompts * batch->prompt_tokens + batch->decodes;
    for (uint32_t k = 0; k < worker->model->n_kinds && tokens > 0.0; k++) {
        if (worker->n_layers[k] > 0) add_kind(worker, k, batch, &t);
    }
    const double stages = worker->layout.pp;
    const double layers_s =
        t.projection_s + t.attention_s + t.experts_s + t.element_s + t.collective_s;
    add_head(worker, batch, &t);
    if (worker->layout.pp > 1) {
        t.collective_s +=
            (stages - 1.0) * sp_coll_p2p_s(&worker->stages, 2.0 * worker->model->hidden * tokens);
    }
    const double gpu_s =
        t.projection_s + t.attention_s + t.experts_s + t.element_s + t.collective_s;
    t.host_s = sp_serve_host_s(worker, batch, gpu_s);
    t.step_s = gpu_s + t.host_s;
    t.stage_s = layers_s / stages + (gpu_s - layers_s) + t.host_s;
    *out = t;
}
