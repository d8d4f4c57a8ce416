/* SPDX-License-Identifier: Apache-2.0 */
/* What the accelerator must hold: weights, keys and values of its sequences at their longest,
 * states of recurrent layers, and the inputs and outputs of its largest operator. */
#include "analysis/analysis_priv.h"

#include <math.h>

/* What a layer of a kind keeps of a sequence, and how many layers do; prediction modules are layers
 * like the last one. */
typedef struct kept_layers {
    sp_cache cache;
    double layers;
} kept_layers;

static kept_layers kept_by_run(const sp_analysis_question *q, uint32_t run, uint32_t tp)
{
    const sp_model *model = q->model;
    const sp_sharding sharding = {.tp = tp, .cp = 1, .ep = 1, .etp = 1};
    const sp_layer_run *r = &model->runs[run];
    const bool last = run + 1 == model->n_runs;
    return (kept_layers){.cache = sp_graph_cache(&model->kinds[r->kind], &sharding),
                         .layers = r->count + (last && q->mtp ? (double)model->mtp_layers : 0.0)};
}

double sp_cache_written(const sp_pass *pass)
{
    const sp_cache cache = sp_graph_cache(pass->kind, &pass->sharding);
    const double length = pass->shape.length, near = fmin(cache.near_tokens, length);
    return pass->shape.sequences * (cache.token * length + cache.near_token * near);
}

/* Of this accelerator's sequences. */
static double cache_bytes(const sp_analysis_question *q, double tokens)
{
    double elements = 0.0;
    for (uint32_t r = 0; r < q->model->n_runs; r++) {
        const kept_layers kept = kept_by_run(q, r, q->tp);
        const double near = fmin(tokens, kept.cache.near_tokens);
        elements += kept.layers * (kept.cache.token * tokens + kept.cache.near_token * near);
    }
    return elements * (double)q->batch / q->dp * q->bits.kv_cache / 8.0;
}

static double state_bytes(const sp_analysis_question *q)
{
    double elements = 0.0;
    for (uint32_t r = 0; r < q->model->n_runs; r++) {
        const kept_layers kept = kept_by_run(q, r, q->tp);
        elements += kept.layers * (kept.cache.state + kept.cache.convolution);
    }
    return elements * (double)q->batch / q->dp * q->bits.kv_cache / 8.0;
}

/* Of the model, uncut; layers with a window keep no more once it is full and do not count. */
static double bytes_per_token(const sp_analysis_question *q)
{
    double elements = 0.0;
    for (uint32_t r = 0; r < q->model->n_runs; r++) {
        const kept_layers kept = kept_by_run(q, r, 1);
        elements += kept.layers * kept.cache.token;
    }
    return elements * q->bits.kv_cache / 8.0;
}

static double largest_operator_bytes(const sp_analysis *analysis)
{
    double largest = 0.0;
    for (uint32_t i = 0; i < analysis->n_operators; i++) {
        const sp_operator *row = &analysis->operators[i];
        largest = fmax(largest, row->read_bytes - row->cache_bytes + row->write_bytes);
    }
    return largest;
}

/* Parameters are the same in every phase: those of the first. */
static void add_weights(sp_analysis *analysis)
{
    const sp_phase_total *total = NULL;
    for (sp_phase phase = 0; phase < SP_N_PHASES && total == NULL; phase++) {
        if (analysis->phase[phase].present) total = &analysis->phase[phase];
    }
    for (uint32_t i = 0; total != NULL && i < total->count; i++) {
        const sp_operator *row = &analysis->operators[total->first + i];
        analysis->parameters += row->held_layers * row->parameters;
        analysis->weight_bytes += row->held_layers * row->held_bytes;
    }
}

/* Of the first kind of layer with attention. */
static double gqa_ratio(const sp_model *model)
{
    for (uint32_t k = 0; k < model->n_kinds; k++) {
        const sp_attention *a = &model->kinds[k].attention;
        if (a->heads > 0 && a->kv_heads > 0) return (double)a->heads / a->kv_heads;
    }
    return 0.0;
}

void sp_analysis_cache(const sp_analysis_question *question, sp_analysis *analysis)
{
    const double prompt = (double)(question->past_tokens + question->prompt_tokens);
    const double all = prompt + (double)question->generated_tokens;
    add_weights(analysis);
    analysis->kv_bytes_per_token = bytes_per_token(question);
    analysis->kv_prompt_bytes = cache_bytes(question, prompt);
    analysis->kv_max_bytes = cache_bytes(question, all);
    analysis->kv_generated_bytes = analysis->kv_max_bytes - analysis->kv_prompt_bytes;
    analysis->state_bytes = state_bytes(question);
    analysis->gqa_ratio = gqa_ratio(question->model);
    analysis->memory_needed_bytes = analysis->weight_bytes + analysis->kv_max_bytes +
                                    analysis->state_bytes + largest_operator_bytes(analysis);
    analysis->fits = analysis->memory_needed_bytes <= question->gpu->memory_bytes;
}
