/* SPDX-License-Identifier: Apache-2.0 */
/* What was read from a model: exact parameter counts, its layers, and what was assumed. */
#include "report/report_priv.h"

#include <inttypes.h>

static void add_count(struct sp_text *out, const char *name, uint64_t n, const char *meaning)
{
    sp_text_printf(out, "  %-14s %19s  %s\n", name, sp_word_count(n).text, meaning);
}

static void add_attention(struct sp_text *out, const sp_attention *a)
{
    if (a->heads == 0) return;
    sp_text_printf(out, "%u heads of %u", a->heads, a->head_dim);
    if (a->kv_of_other) {
        sp_text_add(out, ", keys and values of an earlier layer");
    } else {
        sp_text_printf(out, ", %u for keys and values", a->kv_heads);
    }
    if (a->kv_lora > 0) sp_text_printf(out, ", from a latent vector of %u", a->kv_lora);
    if (a->sinks) sp_text_add(out, ", sinks");
    if (a->window > 0) sp_text_printf(out, ", window %u", a->window);
    if (a->chunk > 0) sp_text_printf(out, ", blocks of %u tokens", a->chunk);
    if (a->compress > 0) sp_text_printf(out, ", a key for %u tokens beyond", a->compress);
    if (a->index_heads > 0) sp_text_printf(out, ", %u chosen keys", a->index_top_k);
    sp_text_add(out, "; ");
}

static void add_recurrent(struct sp_text *out, const sp_recurrent *r)
{
    if (r->form == SP_RECURRENCE_NONE) return;
    if (r->form == SP_RECURRENCE_CONV) {
        sp_text_printf(out, "convolution of %u taps; ", r->conv_kernel);
        return;
    }
    sp_text_printf(out, "recurrence of %u heads, state %u x %u; ", r->heads, r->key_dim,
                   r->value_dim);
}

static void add_ffn(struct sp_text *out, const sp_ffn *f)
{
    const bool both = f->ffn > 0 && f->n_experts > 0;
    if (f->ffn > 0) sp_text_printf(out, "feed-forward %u%s", f->ffn, f->gated ? ", gated" : "");
    if (f->n_experts > 0) {
        sp_text_printf(out, "%s%u of %u experts of %u", both ? "; " : "", f->top_k, f->n_experts,
                       f->expert_ffn);
    }
    if (f->shared_ffn > 0) sp_text_printf(out, " and a shared one of %u", f->shared_ffn);
    if (f->ffn == 0 && f->n_experts == 0) sp_text_add(out, "no feed-forward");
    sp_text_add(out, "\n");
}

static void add_kind(struct sp_text *out, const sp_layer_kind *kind)
{
    add_attention(out, &kind->attention);
    add_recurrent(out, &kind->recurrent);
    add_ffn(out, &kind->ffn);
}

/* Layers of the kind of run r, 0 where an earlier run has told of them. */
static uint32_t layers_first_in(const sp_model *model, uint32_t r)
{
    uint32_t n_layers = 0;
    for (uint32_t i = 0; i < model->n_runs; i++) {
        if (model->runs[i].kind != model->runs[r].kind) continue;
        if (i < r) return 0;
        n_layers += model->runs[i].count;
    }
    return n_layers;
}

static void add_layers(struct sp_text *out, const sp_model *model)
{
    sp_text_printf(out, "\n%u layers of width %u, vocabulary %s%s\n", model->n_layers,
                   model->hidden, sp_word_count(model->vocab).text,
                   model->tied_embeddings ? ", head and embedding are one table" : "");
    for (uint32_t r = 0; r < model->n_runs; r++) {
        const uint32_t n_layers = layers_first_in(model, r);
        if (n_layers == 0) continue;
        sp_text_printf(out, "  %5u x  ", n_layers);
        add_kind(out, &model->kinds[model->runs[r].kind]);
    }
    if (model->n_runs > model->n_kinds) {
        sp_text_printf(out, "  they take turns: %u runs of equal layers\n", model->n_runs);
    }
}

void sp_report_params_page(const sp_model *model, struct sp_text *out)
{
    const sp_parameters p = sp_model_parameters(model);
    sp_text_printf(out, "%s (%s)\n\nParameters\n", model->name, model->model_type);
    add_count(out, "total", p.total, "");
    add_count(out, "active", p.active, "used by one token");
    add_count(out, "embedding", p.embedding, "token table");
    add_count(out, "head", p.head, p.head == 0 ? "the token table is used" : "output");
    add_count(out, "non-embedding", p.non_embedding, "all but these two");
    if (p.mtp > 0) add_count(out, "prediction", p.mtp, "multi-token, not in the total");
    add_layers(out, model);
    if (model->n_assumptions > 0) sp_text_add(out, "\nAssumptions\n");
    for (uint32_t i = 0; i < model->n_assumptions; i++) {
        sp_text_printf(out, "  %s\n", model->assumptions[i]);
    }
    sp_text_printf(out, "\nSource: %s\n", model->source);
}

void sp_report_params_json(const sp_model *model, struct sp_text *out)
{
    const sp_parameters p = sp_model_parameters(model);
    sp_json_writer w;
    sp_jw_init(&w, out);
    sp_jw_open_object(&w, NULL);
    sp_jw_string(&w, "schema", "shardplan/params/1");
    sp_jw_string(&w, "model", model->name);
    sp_jw_string(&w, "model_type", model->model_type);
    sp_jw_open_object(&w, "parameters");
    sp_jw_u64(&w, "total", p.total);
    sp_jw_u64(&w, "embedding", p.embedding);
    sp_jw_u64(&w, "non_embedding", p.non_embedding);
    sp_jw_u64(&w, "active", p.active);
    sp_jw_close_object(&w);
    sp_jw_open_array(&w, "assumptions");
    for (uint32_t i = 0; i < model->n_assumptions; i++) {
        sp_jw_string(&w, NULL, model->assumptions[i]);
    }
    sp_jw_close_array(&w);
    sp_jw_close_object(&w);
    sp_text_add(out, "\n");
}
