/* SPDX-License-Identifier: Apache-2.0 */
/* What the accelerator must hold: weights, keys and values of its sequences at their longest,
 * states of recurrent layers, and the inputs and outputs of its largest operator. */
#include "analysis/analysis_priv.h"
#include "spec/model_formula.h"

#include <math.h>

/* Elements that one token leaves in the cache of one layer, on this rank or, with tp 1, in all. */
static double elements_per_token(const sp_layer_kind *kind, uint32_t tp)
{
    const sp_attention *a = &kind->attention;
    if (kind->formula != NULL) return (double)kind->formula->cache_elements;
    const double v_dim = a->v_dim > 0 ? a->v_dim : a->head_dim;
    if (a->heads == 0 || a->kv_of_other) return 0.0;
    if (a->kv_lora > 0) return (double)a->kv_lora + a->rope_dim;
    const double heads = a->kv_heads >= tp ? (double)a->kv_heads / tp : 1.0;
    return heads * (a->head_dim + (a->keys_as_values ? 0.0 : v_dim));
}

/* Tokens of a context that a layer keeps. */
static double kept_tokens(const sp_attention *a, double context)
{
    const double window = a->window > 0 ? fmin(context, a->window) : context;
    if (a->compress > 0) return window + context / a->compress;
    return a->chunk > 0 ? fmin(window, a->chunk) : window;
}

static double cache_bytes(const sp_analysis_question *q, double context)
{
    const sp_model *model = q->model;
    double elements = 0.0;
    for (uint32_t r = 0; r < model->n_runs; r++) {
        const sp_layer_kind *kind = &model->kinds[model->runs[r].kind];
        elements += model->runs[r].count * elements_per_token(kind, q->tp) *
                    kept_tokens(&kind->attention, context);
    }
    return elements * (double)q->batch / q->dp * q->bits.kv_cache / 8.0;
}

/* Of the model, uncut; layers with a window keep no more once it is full and do not count. */
static double bytes_per_token(const sp_analysis_question *q)
{
    const sp_model *model = q->model;
    double elements = 0.0;
    for (uint32_t r = 0; r < model->n_runs; r++) {
        const sp_layer_kind *kind = &model->kinds[model->runs[r].kind];
        const sp_attention *a = &kind->attention;
        const bool bounded = (a->window > 0 && a->compress == 0) || a->chunk > 0;
        const double share = a->compress > 0 ? 1.0 / a->compress : 1.0;
        elements += bounded ? 0.0 : model->runs[r].count * share * elements_per_token(kind, 1);
    }
    return elements * q->bits.kv_cache / 8.0;
}

static double largest_operator_bytes(const sp_analysis *analysis)
{
    double largest = 0.0;
    for (uint32_t i = 0; i < analysis->n_operators; i++) {
        const sp_operator *row = &analysis->operators[i];
        largest = fmax(largest, row->read_bytes + row->write_bytes);
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
        analysis->parameters += row->layers * row->parameters;
        analysis->weight_bytes += row->layers * row->held_bytes;
    }
}

void sp_analysis_cache(const sp_analysis_question *question, sp_analysis *analysis)
{
    const double prompt = (double)(question->past_tokens + question->prompt_tokens);
    const double all = prompt + (double)question->generated_tokens;
    const sp_attention *first = &question->model->kinds[0].attention;
    add_weights(analysis);
    analysis->kv_bytes_per_token = bytes_per_token(question);
    analysis->kv_prompt_bytes = cache_bytes(question, prompt);
    analysis->kv_max_bytes = cache_bytes(question, all);
    analysis->kv_generated_bytes = analysis->kv_max_bytes - analysis->kv_prompt_bytes;
    analysis->gqa_ratio = first->kv_heads > 0 ? (double)first->heads / first->kv_heads : 0.0;
    analysis->memory_needed_bytes = analysis->weight_bytes + analysis->kv_max_bytes +
                                    analysis->state_bytes + largest_operator_bytes(analysis);
    analysis->fits = analysis->memory_needed_bytes <= question->gpu->memory_bytes;
}
