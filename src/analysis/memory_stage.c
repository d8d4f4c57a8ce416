/* SPDX-License-Identifier: Apache-2.0 */
/* One stage of a pipeline on one GPU: what is there from the start, and what its passes need. */
#include "analysis/memory_priv.h"

#include <math.h>

/* ---- what runs ---- */

double sp_longest(const sp_footprint_question *q)
{
    const double asked = (double)q->isl + (double)q->osl;
    return q->server.max_context > 0.0 ? q->server.max_context : asked;
}

double sp_requests(const sp_footprint_question *q)
{
    return ceil((double)q->batch / q->dp);
}

double sp_running(const sp_footprint_question *q)
{
    const double most = q->server.max_running;
    return most > 0.0 ? fmin(most, sp_requests(q)) : sp_requests(q);
}

/* Without a cache every step runs over all tokens again. */
static double step_tokens(const sp_footprint_question *q)
{
    const double length = q->server.cached < 1.0 ? (double)q->isl + (double)q->osl : 1.0;
    return sp_running(q) * q->server.beams * length;
}

static void size_passes(const sp_footprint_question *q, sp_memory_stage *s)
{
    const sp_server *server = &q->server;
    const double prompts = server->one_prompt > 0.0 ? 1.0 : sp_running(q);
    const double chunk = server->chunk_tokens > 0.0 ? server->chunk_tokens : (double)INFINITY;
    const double most = server->max_running > 0.0 ? server->max_running : sp_running(q);
    s->running = sp_running(q);
    s->chunk_tokens = fmin(chunk, prompts * (double)q->isl);
    s->profile_tokens =
        fmin(chunk, server->one_prompt > 0.0 ? sp_longest(q) : most * sp_longest(q));
}

/* The largest operator of any layer of the stage, beside the stream between layers. */
static double activations(const sp_memory_stage *s, double tokens, bool step)
{
    const sp_footprint_question *q = s->share->question;
    const double hidden =
        (double)q->model->hidden * (q->model->streams > 0 ? q->model->streams : 1);
    double largest = 0.0;
    for (uint32_t k = 0; k < q->model->n_kinds; k++) {
        const sp_kind_share *kind = &s->share->kind[k];
        if (s->layers.n[k] <= 0.0) continue;
        largest = fmax(largest, step ? kind->step_elements : kind->operator_elements);
    }
    const double elements = largest + q->server.hidden_copies * hidden;
    return tokens * elements * q->bits.norm / 8.0;
}

/* While the head and the sampler run, what the last layer left for each token is still there. */
static double logits(const sp_memory_stage *s, double rows, double tokens, double token_bytes)
{
    const sp_footprint_question *q = s->share->question;
    const double left =
        tokens * (q->model->hidden * q->bits.norm / 8.0 + q->model->vocab * token_bytes);
    const double each = q->model->vocab * q->server.logit_bytes;
    return s->layers.last ? rows * q->server.beams * each + left : 0.0;
}

/* ---- what is there from the start ---- */

/* Layers of a kind whose weights are shared hold them once. */
static void fill_layer_weights(sp_memory_stage *s)
{
    const sp_model *model = s->share->question->model;
    for (uint32_t k = 0; k < model->n_kinds; k++) {
        const sp_kind_share *kind = &s->share->kind[k];
        const double n = s->layers.n[k];
        const double held =
            model->kinds[k].tied == 0 ? n : fmin(n, sp_tied_holders(model, &model->kinds[k]));
        s->fixed[SP_PART_OF_mixing_weights] += n * kind->mixing + held * kind->tied_mixing;
        s->fixed[SP_PART_OF_ffn_weights] += n * kind->ffn + held * kind->tied_ffn;
        s->fixed[SP_PART_OF_expert_weights] += n * kind->experts;
    }
}

/* The head of a tied table is the table, unless they lie on different stages. */
static void fill_end_weights(sp_memory_stage *s)
{
    const sp_footprint_question *q = s->share->question;
    const bool table = q->model->tied_embeddings && s->layers.first && s->layers.last;
    const double columns = (double)q->model->vocab / q->tp * q->model->hidden;
    const double spared = table ? columns * q->bits.embedding / 8.0 : 0.0;
    if (s->layers.first) s->fixed[SP_PART_OF_embedding_weights] = s->share->embedding;
    if (s->layers.last) s->fixed[SP_PART_OF_head_weights] = s->share->head - spared;
}

static double draft_bytes(const sp_memory_stage *s)
{
    const sp_footprint_question *q = s->share->question;
    const sp_server *server = &q->server;
    const double hidden = q->model->hidden, bytes = q->bits.embedding / 8.0;
    const uint32_t last = q->model->runs[q->model->n_runs - 1].kind;
    const sp_kind_share *kind = &s->share->kind[last];
    const double layer = kind->mixing + kind->ffn + kind->experts;
    const double head = hidden * q->model->vocab / q->tp;
    if (!s->layers.last) return 0.0;
    return server->draft_layers * layer +
           bytes * (server->draft_squares * hidden * hidden / q->tp + server->draft_heads * head);
}

static double adapter_bytes(const sp_memory_stage *s)
{
    const sp_footprint_question *q = s->share->question;
    double rows = 0.0;
    for (uint32_t k = 0; k < q->model->n_kinds; k++) {
        rows += s->layers.n[k] * s->share->kind[k].adapter_rows;
    }
    return q->server.lora_slots * q->server.lora_rank * rows * q->bits.norm / 8.0;
}

static double stage_layers(const sp_memory_stage *s)
{
    double layers = 0.0;
    for (uint32_t k = 0; k < s->share->question->model->n_kinds; k++) {
        layers += s->layers.n[k];
    }
    return layers;
}

/* 1, 2, 4 and the multiples of the step up to the largest batch. */
static double graph_bytes(const sp_memory_stage *s)
{
    const sp_footprint_question *q = s->share->question;
    const sp_server *server = &q->server;
    double most = server->graph_max, sizes = 0.0;
    if (server->graphs < 1.0 || most < 1.0) return 0.0;
    if (server->max_running > 0.0) most = fmin(most, 2.0 * server->max_running);
    for (double size = 1.0; size <= fmin(most, 4.0); size *= 2.0) {
        sizes += size < server->graph_step ? 1.0 : 0.0;
    }
    return (sizes + floor(most / server->graph_step)) * stage_layers(s) * server->graph_bytes;
}

/* Keys and values of the longest sequence, in query heads; what joining tokens to a layer's cache
 * holds twice. */
static double workspace_bytes(const sp_memory_stage *s)
{
    const sp_footprint_question *q = s->share->question;
    const double cached = s->running * (s->request.values + s->request.scales);
    double width = 0.0;
    for (uint32_t k = 0; k < q->model->n_kinds; k++) {
        const sp_attention *a = &q->model->kinds[k].attention;
        width = fmax(width, (double)a->heads * a->head_dim);
    }
    return q->server.workspace_bytes + q->server.joined_ratio * cached / stage_layers(s) +
           q->server.workspace_ratio * 2.0 * sp_longest(q) * width / q->tp * q->bits.norm / 8.0;
}

/* Layers keep a part of their weights on the host, as far as they have so many. */
static void offload(sp_memory_stage *s)
{
    static const sp_memory_part parts[] = {SP_PART_OF_mixing_weights, SP_PART_OF_ffn_weights,
                                           SP_PART_OF_expert_weights};
    double layers = 0.0;
    for (size_t i = 0; i < 3; i++) {
        layers += s->fixed[parts[i]];
    }
    s->offloaded = fmin(layers, s->share->question->server.offload_bytes);
    for (size_t i = 0; i < 3 && layers > 0.0; i++) {
        s->fixed[parts[i]] *= 1.0 - s->offloaded / layers;
    }
}

static void fill_fixed(sp_memory_stage *s)
{
    const sp_footprint_question *q = s->share->question;
    fill_layer_weights(s);
    offload(s);
    fill_end_weights(s);
    s->fixed[SP_PART_OF_adapter_weights] = adapter_bytes(s);
    s->fixed[SP_PART_OF_draft_weights] = draft_bytes(s);
    for (sp_memory_part part = 0; part <= SP_PART_OF_draft_weights; part++) {
        s->weights += s->fixed[part];
    }
    const bool alone = (uint64_t)q->tp * q->pp * q->dp == 1;
    const double between = q->nodes > 1 ? q->server.node_bytes : 0.0;
    s->fixed[SP_PART_OF_communication] = alone ? 0.0 : q->server.communication_bytes + between;
    s->fixed[SP_PART_OF_runtime] = q->server.runtime_bytes;
    s->fixed[SP_PART_OF_context] = q->gpu->context_bytes;
}

void sp_memory_stage_fill(sp_memory_stage *s)
{
    const sp_footprint_question *q = s->share->question;
    const bool cached = q->server.cached >= 1.0;
    size_passes(q, s);
    fill_fixed(s);
    const double most = q->server.max_running > 0.0 ? q->server.max_running : s->running;
    s->profile = activations(s, s->profile_tokens, false);
    s->chunk = activations(s, s->chunk_tokens, false);
    s->step = activations(s, step_tokens(q), cached);
    const double prompts = q->server.prompt_logit_bytes;
    s->profile_logits = logits(s, most, s->profile_tokens, prompts);
    s->prefill_logits = logits(s, s->running, s->chunk_tokens, 0.0);
    s->logits = logits(s, s->running, 0.0, 0.0);
    s->graphs = graph_bytes(s);
    s->request = sp_cached_request(s->share, &s->layers);
    s->workspace = workspace_bytes(s);
}
