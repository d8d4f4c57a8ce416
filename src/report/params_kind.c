/* SPDX-License-Identifier: Apache-2.0 */
/* One kind of layer in words: what mixes tokens, the feed-forward, and what is beside them. */
#include "report/report_priv.h"
#include "spec/model_formula.h"

static void add_window(struct sp_text *out, const sp_attention *a)
{
    if (a->window > 0) sp_text_printf(out, ", window %u", a->window);
    if (a->chunk > 0) sp_text_printf(out, ", blocks of %u", a->chunk);
    if (a->compress > 0) sp_text_printf(out, ", one key for %u tokens", a->compress);
    if (a->index_heads > 0) {
        sp_text_printf(out, ", %u keys chosen by %u heads of %u", a->index_top_k, a->index_heads,
                       a->index_dim);
    }
    if (a->no_rope) sp_text_add(out, ", not rotated");
}

static void add_attention(struct sp_text *out, const sp_attention *a)
{
    if (a->heads == 0) return;
    sp_text_printf(out, "%u heads of %u", a->heads, a->head_dim);
    if (a->v_dim > 0 && a->v_dim != a->head_dim) sp_text_printf(out, " (values %u)", a->v_dim);
    if (a->kv_of_other) {
        sp_text_add(out, ", keys and values of an earlier layer");
    } else {
        sp_text_printf(out, ", %u for keys%s", a->kv_heads,
                       a->kv_cached_once   ? ", which are the values"
                       : a->keys_as_values ? ", which become the values"
                                           : " and values");
    }
    if (a->kv_lora > 0) sp_text_printf(out, ", from a latent vector of %u", a->kv_lora);
    if (a->sinks) sp_text_add(out, ", sinks");
    if (a->gate > 0) sp_text_add(out, ", gated");
    add_window(out, a);
}

static void add_recurrent(struct sp_text *out, const sp_recurrent *r, bool first)
{
    static const char *const words[] = {
        [SP_RECURRENCE_MAMBA] = "selective state space",
        [SP_RECURRENCE_MAMBA2] = "state-space duality",
        [SP_RECURRENCE_DELTA] = "gated delta rule",
        [SP_RECURRENCE_LINEAR] = "linear attention",
        [SP_RECURRENCE_GATED] = "gated recurrence",
        [SP_RECURRENCE_CONV] = "short convolution",
    };
    if (r->form == SP_RECURRENCE_NONE) return;
    sp_text_printf(out, "%s%s, %u x %u channels", first ? "" : " and ", words[r->form], r->heads,
                   r->value_dim);
    if (r->key_dim > 0) sp_text_printf(out, ", state %u", r->key_dim);
    if (r->conv_kernel > 0) sp_text_printf(out, ", %u taps", r->conv_kernel);
}

static void add_ffn(struct sp_text *out, const sp_ffn *f)
{
    if (f->ffn > 0) sp_text_printf(out, "; feed-forward %u%s", f->ffn, f->gated ? ", gated" : "");
    if (f->n_experts > 0) {
        sp_text_printf(out, "; %u of %u experts of %u", f->top_k, f->n_experts, f->expert_ffn);
    }
    if (f->latent > 0) sp_text_printf(out, " on a latent vector of %u", f->latent);
    if (f->idle_experts > 0) sp_text_printf(out, ", %u idle ones", f->idle_experts);
    if (f->shared_ffn > 0) sp_text_printf(out, " and a shared one of %u", f->shared_ffn);
}

static void add_matrices(struct sp_text *out, const sp_projection *projections, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        const sp_projection *p = &projections[i];
        sp_text_printf(out, "; %s %u x %u", p->name, p->in, p->out);
        if (p->blocks > 1) sp_text_printf(out, " (%u times)", p->blocks);
    }
}

void sp_add_layer_kind(struct sp_text *out, const sp_layer_kind *kind)
{
    const bool attends = kind->attention.heads > 0;
    if (kind->formula != NULL) {
        const sp_flat_kernel *kernels = NULL;
        sp_text_printf(out, "%s, %zu kernels of cost formulas\n", kind->formula->class_name,
                       sp_flat_kernels(kind->formula->flat, &kernels));
        return;
    }
    add_attention(out, &kind->attention);
    add_recurrent(out, &kind->recurrent, !attends);
    if (!attends && kind->recurrent.form == SP_RECURRENCE_NONE) sp_text_add(out, "no mixing");
    add_ffn(out, &kind->ffn);
    add_matrices(out, kind->projections, kind->n_projections);
    if (kind->tied > 0) sp_text_printf(out, "; weights shared by group %u", kind->tied);
    sp_text_add(out, "\n");
}

void sp_add_outside(struct sp_text *out, const sp_model *model)
{
    if (model->positions > 0) {
        sp_text_printf(out, "  learned positions: %s\n", sp_word_count(model->positions).text);
    }
    if (model->table_params > 0) {
        sp_text_printf(out, "  further token tables: %s parameters\n",
                       sp_word_count(model->table_params).text);
    }
    if (model->tower_params > 0) {
        sp_text_printf(out, "  towers for images or sound: %s parameters\n",
                       sp_word_count(model->tower_params).text);
    }
    for (uint32_t i = 0; i < model->n_projections; i++) {
        const sp_projection *p = &model->projections[i];
        sp_text_printf(out, "  %s: %u x %u\n", p->name, p->in, p->out);
    }
}
