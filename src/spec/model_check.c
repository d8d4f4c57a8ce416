/* SPDX-License-Identifier: Apache-2.0 */
/* Whether the members of a layer fit each other. Both readers of models end a layer here and say in
 * their own way where the fault stands in the file. */
#include "spec/model_check.h"

#include <stdarg.h>
#include <stdio.h>

static bool refuse_range(sp_model_fault *fault, sp_field_group group, const char *name, uint64_t lo,
                         uint64_t hi)
{
    *fault = (sp_model_fault){
        .field = sp_model_field_find(group, name), .status = SP_E_RANGE, .lo = lo, .hi = hi};
    return false;
}

__attribute__((format(printf, 4, 5))) static bool
refuse(sp_model_fault *fault, sp_field_group group, const char *name, const char *format, ...)
{
    va_list args;
    *fault =
        (sp_model_fault){.field = sp_model_field_find(group, name), .status = SP_E_INCONSISTENT};
    va_start(args, format);
    (void)vsnprintf(fault->message, sizeof fault->message, format, args);
    va_end(args);
    return false;
}

static bool check_latent(const sp_attention *a, sp_model_fault *fault)
{
    if (a->kv_heads != a->heads) {
        return refuse(fault, SP_FIELDS_ATTENTION, "kv_heads",
                      "in latent attention each of the %u heads has its own keys and values",
                      (unsigned)a->heads);
    }
    if (a->rope_dim > a->head_dim) {
        return refuse_range(fault, SP_FIELDS_ATTENTION, "rope_dim", 0, a->head_dim);
    }
    return true;
}

static bool check_indexer(const sp_attention *a, sp_model_fault *fault)
{
    if (a->index_heads > 0 && a->index_dim == 0) {
        return refuse_range(fault, SP_FIELDS_ATTENTION, "index_dim", 1, SP_MODEL_MAX_HEAD_DIM);
    }
    if (a->index_heads > 0 && a->index_top_k == 0) {
        return refuse_range(fault, SP_FIELDS_ATTENTION, "index_top_k", 1, SP_MODEL_MAX_CONTEXT);
    }
    return true;
}

static bool check_attention(const sp_attention *a, sp_model_fault *fault)
{
    if (a->heads == 0) return true;
    if (a->head_dim == 0) {
        return refuse_range(fault, SP_FIELDS_ATTENTION, "head_dim", 1, SP_MODEL_MAX_HEAD_DIM);
    }
    if (a->kv_heads < 1 || (a->kv_heads > a->heads && a->kv_lora == 0)) {
        return refuse_range(fault, SP_FIELDS_ATTENTION, "kv_heads", 1, a->heads);
    }
    if (a->kv_lora == 0 && a->heads % a->kv_heads != 0) {
        return refuse(fault, SP_FIELDS_ATTENTION, "kv_heads",
                      "%u attention heads cannot share %u key and value heads evenly",
                      (unsigned)a->heads, (unsigned)a->kv_heads);
    }
    if (a->kv_lora == 0 && a->rope_dim > 0) {
        return refuse(fault, SP_FIELDS_ATTENTION, "rope_dim",
                      "only latent attention has a rotary part, and kv_lora is 0");
    }
    if (a->kv_lora == 0 && a->index_heads == 0 && a->q_lora > 0) {
        return refuse(fault, SP_FIELDS_ATTENTION, "q_lora",
                      "only latent attention and an indexer read a compressed query, and kv_lora "
                      "and index_heads are 0");
    }
    if (a->kv_cached_once && !a->keys_as_values) {
        return refuse(fault, SP_FIELDS_ATTENTION, "kv_cached_once",
                      "keys and values that have projections of their own are two tensors");
    }
    return (a->kv_lora == 0 || check_latent(a, fault)) && check_indexer(a, fault);
}

static bool check_recurrent(const sp_recurrent *r, sp_model_fault *fault)
{
    static const char *const needed[] = {"heads", "value_dim"};
    if (r->form == SP_RECURRENCE_NONE) return true;
    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++) {
        const sp_model_field *field = sp_model_field_find(SP_FIELDS_RECURRENT, needed[i]);
        if (sp_model_field_get(field, r) == 0) {
            return refuse_range(fault, SP_FIELDS_RECURRENT, needed[i], 1, field->hi);
        }
    }
    return true;
}

static bool check_experts(const sp_ffn *f, sp_model_fault *fault)
{
    if (f->top_k < 1 || f->top_k > f->n_experts) {
        return refuse_range(fault, SP_FIELDS_FFN, "top_k", 1, f->n_experts);
    }
    if (f->expert_ffn < 1) {
        return refuse_range(fault, SP_FIELDS_FFN, "expert_ffn", 1, SP_MODEL_MAX_WIDTH);
    }
    if (f->expert_groups > f->n_experts) {
        return refuse_range(fault, SP_FIELDS_FFN, "expert_groups", 0, f->n_experts);
    }
    if (f->top_groups > f->expert_groups) {
        return refuse_range(fault, SP_FIELDS_FFN, "top_groups", 0, f->expert_groups);
    }
    return true;
}

/* What only routed experts have. */
static const char *const expert_members[] = {
    "router_in", "top_k",      "expert_ffn",  "expert_groups", "top_groups",  "idle_experts",
    "latent",    "shared_ffn", "shared_gate", "router_bias",   "expert_bias",
};

#define N_EXPERT_MEMBERS (sizeof expert_members / sizeof expert_members[0])

static bool check_ffn(const sp_ffn *f, sp_model_fault *fault)
{
    if (f->bias && f->ffn == 0 && f->n_experts > 0) {
        return refuse(fault, SP_FIELDS_FFN, "bias",
                      "there is no dense block; biases of experts are expert_bias");
    }
    if (f->n_experts > 0) return check_experts(f, fault);
    for (size_t i = 0; i < N_EXPERT_MEMBERS; i++) {
        const sp_model_field *field = sp_model_field_find(SP_FIELDS_FFN, expert_members[i]);
        if (sp_model_field_get(field, f) != 0) {
            return refuse(fault, SP_FIELDS_FFN, field->name, "there are no routed experts");
        }
    }
    return true;
}

bool sp_layer_kind_check(const sp_layer_kind *kind, sp_model_fault *fault)
{
    return check_attention(&kind->attention, fault) && check_recurrent(&kind->recurrent, fault) &&
           check_ffn(&kind->ffn, fault);
}

static void tidy_ffn(sp_ffn *f)
{
    if (f->n_experts == 0) {
        for (size_t i = 0; i < N_EXPERT_MEMBERS; i++) {
            sp_model_field_set(sp_model_field_find(SP_FIELDS_FFN, expert_members[i]), 0, f);
        }
    }
    const bool limits = f->top_groups < f->expert_groups && f->expert_groups <= f->n_experts;
    if (!limits) f->expert_groups = f->top_groups = 0;
    if (f->n_experts == 0 && f->ffn == 0) *f = (sp_ffn){0};
}

void sp_layer_kind_tidy(sp_layer_kind *kind)
{
    if (kind->attention.heads == 0) kind->attention = (sp_attention){0};
    if (kind->recurrent.form == SP_RECURRENCE_NONE) kind->recurrent = (sp_recurrent){0};
    tidy_ffn(&kind->ffn);
}
