/* SPDX-License-Identifier: Apache-2.0 */
/* Exact parameter counts in closed form, one small sum for each part of a layer.
 *
 * The definitions are those of the classes in Hugging Face transformers: tensors that are tied
 * count once, buffers (rotary tables, routing corrections) do not count. */
#include "spec/model_formula.h"
#include "spec/spec.h"

#include <assert.h>

/* A sum that remembers whether it still fits 64 bits. */
typedef struct tally {
    uint64_t sum;
    bool overflow;
} tally;

static void add(tally *t, uint64_t times, uint64_t rows, uint64_t columns)
{
    uint64_t product = 0;
    const bool fits = sp_mul_u64(rows, columns, &product) && sp_mul_u64(product, times, &product) &&
                      sp_add_u64(t->sum, product, &t->sum);
    t->overflow = t->overflow || !fits;
}

static void add_norms(tally *t, const sp_model *model, uint64_t n_norms)
{
    add(t, n_norms, model->norm_vectors, model->hidden);
}

static void add_projections(tally *t, const sp_projection *projections, uint32_t n_projections,
                            bool tied)
{
    for (uint32_t i = 0; i < n_projections; i++) {
        if (projections[i].tied != tied) continue;
        add(t, projections[i].blocks, projections[i].in, projections[i].out);
    }
}

/*   h (d (a + k) + v k)  [+ d (a + k) + v k]
 * h hidden, a heads, k kv_heads, d head_dim, v its size for values; in brackets the biases. Without
 * k and v where they are another layer's, without v where the keys serve. */
static void add_queries_keys_values(tally *t, const sp_attention *attention, uint64_t hidden)
{
    const uint64_t kv_heads = attention->kv_of_other ? 0 : attention->kv_heads;
    const uint64_t values = attention->keys_as_values ? 0 : (uint64_t)sp_v_dim(attention);
    const uint64_t queries =
        attention->factored ? 0 : (uint64_t)attention->heads * attention->head_dim;
    const uint64_t qkv = queries + kv_heads * (attention->head_dim + values);
    add(t, 1, hidden, qkv);
    add(t, attention->qkv_bias ? 1 : 0, 1, qkv);
}

/*   query: h q + q + q a d, or h a d where it is not compressed
 *   key and value: h (c + r) + c + c a (d - r + v)  [+ q + c + r], without h (c + r) + c where
 *   they are an earlier layer's
 * q q_lora, c kv_lora, r rope_dim; the lone q and c are norms, in brackets the biases: the
 * projections down have them, those up have not. Source: arXiv:2405.04434, section 2.1. */
static void add_latent(tally *t, const sp_attention *attention, uint64_t hidden)
{
    const uint64_t own = attention->kv_of_other ? 0 : 1;
    const uint64_t latent = own * (attention->kv_lora + attention->rope_dim);
    const uint64_t unrotated = attention->head_dim - attention->rope_dim;
    const uint64_t queries = (uint64_t)attention->heads * attention->head_dim;
    add(t, 1, hidden, attention->q_lora);
    add(t, 1, 1, attention->q_lora);
    add(t, 1, attention->q_lora > 0 ? attention->q_lora : hidden, queries);
    add(t, 1, hidden, latent);
    add(t, own, 1, attention->kv_lora);
    add(t, attention->heads, attention->kv_lora, unrotated + (uint64_t)sp_v_dim(attention));
    add(t, attention->qkv_bias ? 1 : 0, 1, attention->q_lora + latent);
}

/* Queries of the indexer (from the compressed query if there is one), its one key with a LayerNorm,
 * and a weight a head, unless it scores blocks by their mean key. Source: arXiv:2512.02556, section
 * 2.1. */
static void add_indexer(tally *t, const sp_attention *attention, uint64_t hidden)
{
    if (attention->index_heads == 0) return;
    const uint64_t queries = (uint64_t)attention->index_heads * attention->index_dim;
    add(t, 1, attention->q_lora > 0 ? attention->q_lora : hidden, queries);
    const uint64_t weights = attention->index_block > 0 ? 0 : attention->index_heads;
    add(t, 1, hidden, attention->index_dim + weights);
    add(t, 2, 1, attention->index_dim);
}

/* The projections in, the norms of queries and keys, and a v h  [+ a g h]  [+ h]  [+ a]: out, its
 * gate, its bias, the sinks. */
static void add_attention(tally *t, const sp_model *model, const sp_attention *attention)
{
    const uint64_t hidden = model->hidden;
    if (attention->heads == 0) return;
    if (attention->kv_lora > 0) {
        add_latent(t, attention, hidden);
    } else {
        add_queries_keys_values(t, attention, hidden);
    }
    add_indexer(t, attention, hidden);
    add(t, 1, 1, attention->qk_norm);
    add(t, attention->factored ? 0 : attention->heads, (uint64_t)sp_v_dim(attention), hidden);
    add(t, attention->heads, attention->gate, hidden);
    add(t, attention->out_bias ? 1 : 0, 1, hidden);
    add(t, attention->sinks ? 1 : 0, 1, attention->heads);
    add_norms(t, model, attention->norms);
}

static void add_recurrent(tally *t, const sp_model *model, const sp_recurrent *recurrent)
{
    const uint64_t inner = (uint64_t)recurrent->heads * recurrent->value_dim;
    if (recurrent->form == SP_RECURRENCE_NONE) return;
    add(t, 1, model->hidden, recurrent->in_width);
    add(t, recurrent->in_bias ? 1 : 0, 1, recurrent->in_width);
    add(t, 1, recurrent->conv_width, (uint64_t)recurrent->conv_kernel + recurrent->conv_bias);
    add(t, 1, 1, recurrent->vectors);
    add(t, 1, inner, model->hidden);
    add(t, recurrent->out_bias ? 1 : 0, 1, model->hidden);
    add_norms(t, model, recurrent->norms);
}

static uint64_t n_matrices(const sp_ffn *ffn)
{
    return ffn->gated ? 3 : 2;
}

static bool has_ffn(const sp_ffn *ffn)
{
    return ffn->ffn > 0 || ffn->n_experts > 0;
}

/* Everything that each token uses: the dense block, the router, the shared experts and the
 * projections around routed ones. */
static void add_common_ffn(tally *t, const sp_model *model, const sp_ffn *ffn)
{
    const uint64_t hidden = model->hidden;
    const uint64_t choices = (uint64_t)ffn->n_experts + ffn->idle_experts;
    if (!has_ffn(ffn)) return;
    add(t, n_matrices(ffn), hidden, ffn->ffn);
    add(t, ffn->bias ? n_matrices(ffn) - 1 : 0, 1, ffn->ffn);
    add(t, ffn->bias ? 1 : 0, 1, hidden);
    add(t, 1, ffn->router_in > 0 ? ffn->router_in : hidden, choices);
    add(t, ffn->router_bias ? 1 : 0, 1, choices);
    add(t, 2, hidden, ffn->latent);
    add(t, n_matrices(ffn), hidden, ffn->shared_ffn);
    add(t, ffn->shared_gate ? 1 : 0, 1, hidden);
    add_norms(t, model, ffn->norms);
}

/* `n_experts` of the routed ones */
static void add_experts(tally *t, const sp_model *model, const sp_ffn *ffn, uint64_t n_experts)
{
    const uint64_t width = ffn->latent > 0 ? ffn->latent : model->hidden;
    add(t, n_experts * n_matrices(ffn), width, ffn->expert_ffn);
    if (!ffn->expert_bias) return;
    add(t, n_experts, n_matrices(ffn) - 1, ffn->expert_ffn);
    add(t, n_experts, 1, width);
}

/* What layers of one `tied` number hold together, with `n_experts` of the routed experts. */
static void add_shared_part(tally *t, const sp_model *model, const sp_layer_kind *kind,
                            uint64_t n_experts)
{
    add_attention(t, model, &kind->attention);
    add_common_ffn(t, model, &kind->ffn);
    add_experts(t, model, &kind->ffn, n_experts);
    add_projections(t, kind->projections, kind->n_projections, true);
}

static void add_own_part(tally *t, const sp_model *model, const sp_layer_kind *kind)
{
    add_recurrent(t, model, &kind->recurrent);
    add_projections(t, kind->projections, kind->n_projections, false);
    add(t, 1, 1, kind->vectors);
}

/* The first run of its `tied` number has the weights, once. */
static bool holds_weights(const sp_model *model, uint32_t run_idx)
{
    const uint32_t tied = model->kinds[model->runs[run_idx].kind].tied;
    for (uint32_t i = 0; tied > 0 && i < run_idx; i++) {
        if (model->kinds[model->runs[i].kind].tied == tied) return false;
    }
    return true;
}

static void add_times(tally *total, const tally *part, uint64_t times)
{
    add(total, times, 1, part->sum);
    total->overflow = total->overflow || part->overflow;
}

/* A run of layers in which each token meets all routed experts, or only top_k of them. */
static void add_run(tally *total, const sp_model *model, uint32_t run_idx, bool all_experts)
{
    const sp_layer_run *run = &model->runs[run_idx];
    const sp_layer_kind *kind = &model->kinds[run->kind];
    tally shared = {0};
    tally own = {0};
    add_shared_part(&shared, model, kind, all_experts ? kind->ffn.n_experts : kind->ffn.top_k);
    add_own_part(&own, model, kind);
    if (kind->formula != NULL) {
        add(&own, 1, 1, all_experts ? kind->formula->parameters : kind->formula->active_parameters);
    }
    add_times(total, &own, run->count);
    if (holds_weights(model, run_idx)) add_times(total, &shared, kind->tied > 0 ? 1 : run->count);
}

static void add_outside(tally *t, const sp_model *model)
{
    if (model->formulas != NULL) {
        add(t, 1, 1, model->formulas->embedding_parameters);
        add(t, 1, 1, model->formulas->head_parameters);
        add(t, 1, 1, model->formulas->other_parameters);
        return;
    }
    add(t, model->tied_embeddings ? 1 : 2, model->vocab, model->hidden);
    add(t, model->head_bias ? 1 : 0, 1, model->vocab);
    add(t, 1, model->positions, model->hidden);
    add_norms(t, model, model->outer_norms);
    for (int tied = 0; tied <= 1; tied++) { /* outside layers it makes no difference */
        add_projections(t, model->projections, model->n_projections, tied == 1);
    }
    add(t, 1, 1, model->vectors);
    add(t, 1, 1, model->table_params);
    add(t, 1, 1, model->tower_params);
}

/* Each module: a layer like the last one, the projection of hidden state and next token, a norm of
 * each and one before the shared head. */
static tally count_mtp(const sp_model *model)
{
    tally t = {0};
    if (model->mtp_layers == 0) return t;
    const sp_layer_kind *last = &model->kinds[model->runs[model->n_runs - 1].kind];
    tally layer = {0};
    add_shared_part(&layer, model, last, last->ffn.n_experts);
    add_own_part(&layer, model, last);
    add_norms(&layer, model, 3);
    add(&layer, 2, model->hidden, model->hidden);
    add_times(&t, &layer, model->mtp_layers);
    return t;
}

bool sp_model_count(const sp_model *model, sp_parameters *out)
{
    tally total = {0};
    tally active = {0};
    add_outside(&total, model);
    add_outside(&active, model);
    for (uint32_t i = 0; i < model->n_runs; i++) {
        add_run(&total, model, i, true);
        add_run(&active, model, i, false);
    }
    const tally mtp = count_mtp(model);
    const uint64_t table = (uint64_t)model->vocab * model->hidden;
    const uint64_t norm = model->table_norm ? (uint64_t)model->norm_vectors * model->hidden : 0;
    const uint64_t bias = model->head_bias ? model->vocab : 0;
    *out = (sp_parameters){.total = total.sum,
                           .embedding = table + norm,
                           .head = (model->tied_embeddings ? 0 : table) + bias,
                           .active = active.sum,
                           .mtp = mtp.sum};
    if (model->formulas != NULL) {
        out->embedding = model->formulas->embedding_parameters;
        out->head = model->formulas->head_parameters;
    }
    out->non_embedding = out->total - out->embedding - out->head;
    return !total.overflow && !active.overflow && !mtp.overflow;
}

sp_parameters sp_model_parameters(const sp_model *model)
{
    sp_parameters parameters;
    const bool fits = sp_model_count(model, &parameters);
    assert(fits && "the loader refuses models whose counts do not fit");
    (void)fits;
    return parameters;
}
