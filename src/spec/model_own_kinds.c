/* SPDX-License-Identifier: Apache-2.0 */
/* The kinds of layers in a model file of ours: an attention block and a feed-forward block each. */
#include "spec/spec.h"

#define N_KEYS(keys) (sizeof(keys) / sizeof((keys)[0]))

static sp_status check_heads(const sp_json *g, const sp_attention *a, sp_error *err)
{
    if (a->heads % a->kv_heads == 0) return SP_OK;
    const sp_json value = sp_json_get(g, "kv_heads");
    return sp_json_fail(&value, err, SP_E_INCONSISTENT,
                        "%u attention heads cannot share %u key and value heads evenly",
                        (unsigned)a->heads, (unsigned)a->kv_heads);
}

/* What only latent attention has, and what it cannot have. */
static sp_status read_latent(const sp_json *g, sp_attention *a, sp_error *err)
{
    SP_TRY(sp_json_u32(g, "kv_lora", 1, SP_MODEL_MAX_WIDTH, &a->kv_lora, err));
    SP_TRY(sp_json_u32_or(g, "q_lora", 0, SP_MODEL_MAX_WIDTH, 0, &a->q_lora, err));
    SP_TRY(sp_json_u32(g, "rope_dim", 0, a->head_dim, &a->rope_dim, err));
    if (a->qk_norm) {
        const sp_json value = sp_json_get(g, "qk_norm");
        return sp_json_fail(&value, err, SP_E_INCONSISTENT,
                            "latent attention has norms on its latent vectors instead");
    }
    if (a->kv_heads == a->heads) return SP_OK;
    const sp_json value = sp_json_get(g, "kv_heads");
    sp_json_fail(&value, err, SP_E_INCONSISTENT,
                 "in latent attention each head has its own keys and values");
    return sp_fail_range(err, "%u", (unsigned)a->heads);
}

static sp_status read_attention(const sp_json *kind, sp_attention *a, sp_error *err)
{
    static const char *const plain_keys[] = {"heads",    "kv_heads", "head_dim", "v_dim", "sinks",
                                             "qkv_bias", "out_bias", "qk_norm",  "window"};
    static const char *const latent_keys[] = {"heads",  "kv_heads", "head_dim", "v_dim",
                                              "sinks",  "qkv_bias", "out_bias", "qk_norm",
                                              "window", "q_lora",   "kv_lora",  "rope_dim"};
    sp_json g;
    SP_TRY(sp_json_object(kind, "attention", &g, err));
    const bool latent = sp_json_has(&g, "kv_lora");
    SP_TRY(latent ? sp_json_only(&g, latent_keys, N_KEYS(latent_keys), err)
                  : sp_json_only(&g, plain_keys, N_KEYS(plain_keys), err));
    SP_TRY(sp_json_u32(&g, "heads", 1, SP_MODEL_MAX_HEADS, &a->heads, err));
    SP_TRY(sp_json_u32(&g, "kv_heads", 1, a->heads, &a->kv_heads, err));
    SP_TRY(sp_json_u32(&g, "head_dim", 1, SP_MODEL_MAX_HEAD_DIM, &a->head_dim, err));
    SP_TRY(sp_json_u32_or(&g, "v_dim", 0, SP_MODEL_MAX_HEAD_DIM, 0, &a->v_dim, err));
    SP_TRY(sp_json_bool_or(&g, "sinks", false, &a->sinks, err));
    SP_TRY(sp_json_bool_or(&g, "qkv_bias", false, &a->qkv_bias, err));
    SP_TRY(sp_json_bool_or(&g, "out_bias", false, &a->out_bias, err));
    bool qk_norm = false;
    SP_TRY(sp_json_bool_or(&g, "qk_norm", false, &qk_norm, err));
    a->qk_norm = qk_norm ? 2 * a->head_dim : 0;
    SP_TRY(sp_json_u32_or(&g, "window", 0, SP_MODEL_MAX_CONTEXT, 0, &a->window, err));
    return latent ? read_latent(&g, a, err) : check_heads(&g, a, err);
}

static sp_status read_experts(const sp_json *g, sp_ffn *f, sp_error *err)
{
    SP_TRY(sp_json_u32(g, "n_experts", 1, SP_MODEL_MAX_EXPERTS, &f->n_experts, err));
    SP_TRY(sp_json_u32(g, "top_k", 1, f->n_experts, &f->top_k, err));
    SP_TRY(sp_json_u32(g, "expert_ffn", 1, SP_MODEL_MAX_WIDTH, &f->expert_ffn, err));
    SP_TRY(sp_json_u32_or(g, "shared_ffn", 0, SP_MODEL_MAX_WIDTH, 0, &f->shared_ffn, err));
    SP_TRY(sp_json_u32_or(g, "expert_groups", 0, f->n_experts, 0, &f->expert_groups, err));
    SP_TRY(sp_json_u32_or(g, "top_groups", 0, f->expert_groups, 0, &f->top_groups, err));
    SP_TRY(sp_json_bool_or(g, "shared_gate", false, &f->shared_gate, err));
    SP_TRY(sp_json_bool_or(g, "router_bias", false, &f->router_bias, err));
    return sp_json_bool_or(g, "expert_bias", false, &f->expert_bias, err);
}

static sp_status read_ffn(const sp_json *kind, sp_ffn *f, sp_error *err)
{
    static const char *const dense_keys[] = {"ffn", "gated", "bias"};
    static const char *const expert_keys[] = {
        "ffn",        "gated",       "bias",        "n_experts",   "top_k",         "expert_ffn",
        "shared_ffn", "shared_gate", "router_bias", "expert_bias", "expert_groups", "top_groups"};
    sp_json g;
    SP_TRY(sp_json_object(kind, "ffn", &g, err));
    const bool sparse =
        sp_json_has(&g, "n_experts") || sp_json_has(&g, "top_k") || sp_json_has(&g, "expert_ffn");
    SP_TRY(sparse ? sp_json_only(&g, expert_keys, N_KEYS(expert_keys), err)
                  : sp_json_only(&g, dense_keys, N_KEYS(dense_keys), err));
    SP_TRY(sp_json_bool(&g, "gated", &f->gated, err));
    SP_TRY(sp_json_bool_or(&g, "bias", false, &f->bias, err));
    if (!sparse) return sp_json_u32(&g, "ffn", 1, SP_MODEL_MAX_WIDTH, &f->ffn, err);
    SP_TRY(sp_json_u32_or(&g, "ffn", 0, SP_MODEL_MAX_WIDTH, 0, &f->ffn, err));
    return read_experts(&g, f, err);
}

sp_status sp_model_own_read_kinds(sp_model *model, const sp_json *root, sp_error *err)
{
    static const char *const keys[] = {"attention", "ffn", "source", "date"};
    sp_json list;
    SP_TRY(sp_json_array(root, "kinds", &list, err));
    model->n_kinds = (uint32_t)sp_json_size(&list);
    if (model->n_kinds < 1 || model->n_kinds > SP_MODEL_MAX_KINDS) {
        sp_json_fail(&list, err, SP_E_RANGE, "wrong number of layer kinds");
        sp_fail_value(err, "%u kinds", (unsigned)model->n_kinds);
        return sp_fail_range(err, "1 .. %d", SP_MODEL_MAX_KINDS);
    }
    for (uint32_t i = 0; i < model->n_kinds; i++) {
        const sp_json kind = sp_json_at(&list, i);
        const char *source = NULL;
        const char *date = NULL;
        SP_TRY(sp_json_only(&kind, keys, N_KEYS(keys), err));
        SP_TRY(read_attention(&kind, &model->kinds[i].attention, err));
        SP_TRY(read_ffn(&kind, &model->kinds[i].ffn, err));
        SP_TRY(sp_model_own_read_origin(&kind, &source, &date, err));
    }
    return SP_OK;
}
