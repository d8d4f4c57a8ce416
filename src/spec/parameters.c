/* SPDX-License-Identifier: Apache-2.0 */
/* Exact parameter counts in closed form, one small sum for each part of a layer.
 *
 * The definitions are those of the classes in Hugging Face transformers: tensors that are tied
 * count once, buffers (rotary tables, routing corrections) do not count. */
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

static uint64_t value_dim(const sp_attention *attention)
{
    return attention->v_dim > 0 ? attention->v_dim : attention->head_dim;
}

/*   h (d (a + k) + v k)  [+ d (a + k) + v k]  [+ 2 d]
 * h hidden, a heads, k kv_heads, d head_dim, v its size for values; in brackets the biases and the
 * query and key norms. */
static void add_projections(tally *t, const sp_attention *attention, uint64_t hidden)
{
    const uint64_t heads_in = (uint64_t)attention->heads + attention->kv_heads;
    const uint64_t qkv =
        heads_in * attention->head_dim + attention->kv_heads * value_dim(attention);
    add(t, 1, hidden, qkv);
    add(t, attention->qkv_bias ? 1 : 0, 1, qkv);
    add(t, attention->qk_norm ? 2 : 0, 1, attention->head_dim);
}

/*   query: h q + q + q a d, or h a d where it is not compressed
 *   key and value: h (c + r) + c + c a (d - r + v)  [+ q + c + r]
 * q q_lora, c kv_lora, r rope_dim; the lone q and c are norms, in brackets the biases: the
 * projections down have them, those up have not. Source: arXiv:2405.04434, section 2.1. */
static void add_latent_projections(tally *t, const sp_attention *attention, uint64_t hidden)
{
    const uint64_t latent = (uint64_t)attention->kv_lora + attention->rope_dim;
    const uint64_t unrotated = attention->head_dim - attention->rope_dim;
    const uint64_t queries = (uint64_t)attention->heads * attention->head_dim;
    add(t, 1, hidden, attention->q_lora);
    add(t, 1, 1, attention->q_lora);
    add(t, 1, attention->q_lora > 0 ? attention->q_lora : hidden, queries);
    add(t, 1, hidden, latent);
    add(t, 1, 1, attention->kv_lora);
    add(t, attention->heads, attention->kv_lora, unrotated + value_dim(attention));
    add(t, attention->qkv_bias ? 1 : 0, 1, attention->q_lora + latent);
}

/* The projections in, and a v h  [+ h]  [+ a]: out, its bias, the sinks. */
static void add_attention(tally *t, const sp_attention *attention, uint64_t hidden)
{
    if (attention->kv_lora > 0) {
        add_latent_projections(t, attention, hidden);
    } else {
        add_projections(t, attention, hidden);
    }
    add(t, attention->heads, value_dim(attention), hidden);
    add(t, attention->out_bias ? 1 : 0, 1, hidden);
    add(t, attention->sinks ? 1 : 0, 1, attention->heads);
}

static uint64_t n_matrices(const sp_ffn *ffn)
{
    return ffn->gated ? 3 : 2;
}

/* Everything that each token uses: the dense block, the router and the shared experts. */
static void add_common_ffn(tally *t, const sp_ffn *ffn, uint64_t hidden)
{
    add(t, n_matrices(ffn), hidden, ffn->ffn);
    add(t, ffn->bias ? n_matrices(ffn) - 1 : 0, 1, ffn->ffn);
    add(t, ffn->bias ? 1 : 0, 1, hidden);
    add(t, 1, hidden, ffn->n_experts);
    add(t, ffn->router_bias ? 1 : 0, 1, ffn->n_experts);
    add(t, n_matrices(ffn), hidden, ffn->shared_ffn);
    add(t, ffn->shared_gate ? 1 : 0, 1, hidden);
}

static void add_experts(tally *t, const sp_ffn *ffn, uint64_t hidden, uint64_t n_experts)
{
    add(t, n_experts * n_matrices(ffn), hidden, ffn->expert_ffn);
    if (!ffn->expert_bias) return;
    add(t, n_experts, n_matrices(ffn) - 1, ffn->expert_ffn);
    add(t, n_experts, 1, hidden);
}

static uint64_t norm_width(const sp_model *model)
{
    return (model->layer_norm ? 2ull : 1ull) * model->hidden;
}

/* One layer in which each token meets `n_experts` routed experts. */
static tally count_layer(const sp_model *model, const sp_layer_kind *kind, uint64_t n_experts)
{
    tally t = {0};
    add_attention(&t, &kind->attention, model->hidden);
    add_common_ffn(&t, &kind->ffn, model->hidden);
    add_experts(&t, &kind->ffn, model->hidden, n_experts);
    add(&t, 2, 1, norm_width(model));
    return t;
}

static void add_run(tally *total, tally *active, const sp_model *model, const sp_layer_run *run)
{
    const sp_layer_kind *kind = &model->kinds[run->kind];
    const tally all = count_layer(model, kind, kind->ffn.n_experts);
    const tally used = count_layer(model, kind, kind->ffn.top_k);
    add(total, run->count, 1, all.sum);
    add(active, run->count, 1, used.sum);
    total->overflow = total->overflow || all.overflow;
    active->overflow = active->overflow || used.overflow;
}

static void add_outside(tally *t, const sp_model *model)
{
    add(t, model->tied_embeddings ? 1 : 2, model->vocab, model->hidden);
    add(t, 1, model->positions, model->hidden);
    add(t, 1, 1, norm_width(model));
}

/* Each module: a layer like the last one, the projection of hidden state and next token, a norm of
 * each and one before the shared head. */
static tally count_mtp(const sp_model *model)
{
    tally t = {0};
    if (model->mtp_layers == 0) return t;
    const sp_layer_kind *last = &model->kinds[model->runs[model->n_runs - 1].kind];
    const tally layer = count_layer(model, last, last->ffn.n_experts);
    t.overflow = layer.overflow;
    add(&t, model->mtp_layers, 1, layer.sum);
    add(&t, model->mtp_layers, 2ull * model->hidden, model->hidden);
    add(&t, model->mtp_layers, 3, norm_width(model));
    return t;
}

bool sp_model_count(const sp_model *model, sp_parameters *out)
{
    tally total = {0};
    tally active = {0};
    add_outside(&total, model);
    add_outside(&active, model);
    for (uint32_t i = 0; i < model->n_runs; i++) {
        add_run(&total, &active, model, &model->runs[i]);
    }
    const tally mtp = count_mtp(model);
    const uint64_t table = (uint64_t)model->vocab * model->hidden;
    *out = (sp_parameters){.total = total.sum,
                           .embedding = table,
                           .head = model->tied_embeddings ? 0 : table,
                           .active = active.sum,
                           .mtp = mtp.sum};
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
