/* SPDX-License-Identifier: Apache-2.0 */
/* The parts that most families of Hugging Face share: sizes, attention, feed-forward, experts and
 * sliding windows. Defaults are those of the configuration classes of transformers 5. */
#include "spec/spec.h"

#include <string.h>

#define DEFAULT_WINDOW 4096u

const char *sp_hf_spelling(const sp_json *root, const char *key, const char *other)
{
    return !sp_json_has(root, key) && sp_json_has(root, other) ? other : key;
}

static bool is_stated(const sp_json *root, const char *key)
{
    const sp_json value = sp_json_get(root, key);
    return value.node != NULL && !sp_json_is_null(&value);
}

static void note_default(sp_model_build *build, const char *key, const char *value)
{
    sp_model_note(build, "%s is not stated; the default of %s, %s, is taken.", key,
                  build->model.model_type, value);
}

sp_status sp_hf_bool(sp_model_build *build, const sp_json *root, const char *key, bool fallback,
                     bool *out, sp_error *err)
{
    if (!is_stated(root, key)) note_default(build, key, fallback ? "true" : "false");
    return sp_json_bool_or(root, key, fallback, out, err);
}

sp_status sp_hf_u32(sp_model_build *build, const sp_json *root, const char *key, uint32_t hi,
                    uint32_t fallback, uint32_t *out, sp_error *err)
{
    char value[32];
    sp_format_double((double)fallback, value);
    if (!is_stated(root, key)) note_default(build, key, value);
    return sp_json_u32_or(root, key, 1, hi, fallback, out, err);
}

sp_status sp_hf_u32_or_none(sp_model_build *build, const sp_json *root, const char *key,
                            uint32_t hi, uint32_t fallback, uint32_t *out, sp_error *err)
{
    char value[32];
    sp_format_double((double)fallback, value);
    if (!is_stated(root, key)) note_default(build, key, value);
    return sp_json_u32_or(root, key, 0, hi, fallback, out, err);
}

sp_status sp_hf_read_sizes(sp_model_build *build, const sp_json *root, bool tied, sp_error *err)
{
    sp_model *m = &build->model;
    SP_TRY(sp_json_u32(root, "vocab_size", 1, SP_MODEL_MAX_WIDTH, &m->vocab, err));
    SP_TRY(sp_json_u32(root, "hidden_size", 1, SP_MODEL_MAX_HIDDEN, &m->hidden, err));
    SP_TRY(sp_json_u32(root, "num_hidden_layers", 1, SP_MODEL_MAX_LAYERS, &m->n_layers, err));
    SP_TRY(sp_json_u32_or(root, "max_position_embeddings", 1, SP_MODEL_MAX_CONTEXT, 0,
                          &m->max_context, err));
    return sp_hf_bool(build, root, "tie_word_embeddings", tied, &m->tied_embeddings, err);
}

static sp_status read_kv_heads(sp_model_build *build, const sp_json *root, uint32_t fallback,
                               sp_attention *out, sp_error *err)
{
    static const char key[] = "num_key_value_heads";
    const bool absent = !sp_json_has(root, key);
    if (absent && fallback > 0) {
        SP_TRY(sp_hf_u32(build, root, key, SP_MODEL_MAX_HEADS, fallback, &out->kv_heads, err));
    } else {
        if (absent) note_default(build, key, "num_attention_heads");
        SP_TRY(sp_json_u32_or(root, key, 1, out->heads, out->heads, &out->kv_heads, err));
    }
    if (out->heads % out->kv_heads == 0) return SP_OK;
    const sp_json value = sp_json_get(root, absent ? "num_attention_heads" : key);
    return sp_json_fail(&value, err, SP_E_INCONSISTENT,
                        "%u attention heads cannot share %u key and value heads evenly",
                        (unsigned)out->heads, (unsigned)out->kv_heads);
}

static sp_status read_head_dim(sp_model_build *build, const sp_json *root, uint32_t fallback,
                               sp_attention *out, sp_error *err)
{
    static const char key[] = "head_dim";
    const uint32_t hidden = build->model.hidden;
    if (is_stated(root, key) || fallback > 0) {
        return sp_hf_u32(build, root, key, SP_MODEL_MAX_HEAD_DIM, fallback, &out->head_dim, err);
    }
    note_default(build, key, "hidden_size / num_attention_heads");
    out->head_dim = hidden / out->heads;
    if (hidden % out->heads == 0) return SP_OK;
    const sp_json heads = sp_json_get(root, "num_attention_heads");
    return sp_json_fail(&heads, err, SP_E_INCONSISTENT,
                        "hidden_size %u is not a multiple of it, and head_dim is not stated",
                        (unsigned)hidden);
}

sp_status sp_hf_read_attention(sp_model_build *build, const sp_json *root,
                               const sp_hf_attention *rule, sp_attention *out, sp_error *err)
{
    bool bias = rule->bias;
    SP_TRY(sp_json_u32(root, "num_attention_heads", 1, SP_MODEL_MAX_HEADS, &out->heads, err));
    SP_TRY(read_kv_heads(build, root, rule->kv_heads, out, err));
    SP_TRY(read_head_dim(build, root, rule->head_dim, out, err));
    if (rule->bias_key != NULL) {
        SP_TRY(sp_hf_bool(build, root, rule->bias_key, rule->bias, &bias, err));
    }
    out->qkv_bias = bias;
    out->out_bias = bias && !rule->no_out_bias;
    out->qk_norm = rule->qk_norm ? 2 * out->head_dim : 0;
    return SP_OK;
}

sp_status sp_hf_read_heads(const sp_model_build *build, const sp_json *root, const char *heads_key,
                           sp_attention *out, sp_error *err)
{
    const uint32_t hidden = build->model.hidden;
    SP_TRY(sp_json_u32(root, heads_key, 1, SP_MODEL_MAX_HEADS, &out->heads, err));
    out->kv_heads = out->heads;
    out->head_dim = hidden / out->heads;
    if (hidden % out->heads == 0) return SP_OK;
    const sp_json heads = sp_json_get(root, heads_key);
    return sp_json_fail(&heads, err, SP_E_INCONSISTENT,
                        "the hidden size %u is not a multiple of it", (unsigned)hidden);
}

sp_status sp_hf_read_dropout(sp_model_build *build, const sp_json *root, const char *const *keys,
                             const double *fallbacks, size_t n_keys, sp_error *err)
{
    build->model.dropout = false;
    for (size_t i = 0; i < n_keys; i++) {
        double ratio = 0.0;
        char value[32];
        sp_format_double(fallbacks[i], value);
        if (!is_stated(root, keys[i])) note_default(build, keys[i], value);
        SP_TRY(sp_json_double_or(root, keys[i], 0.0, 1.0, fallbacks[i], &ratio, err));
        build->model.dropout = build->model.dropout || ratio > 0.0;
    }
    return SP_OK;
}

sp_status sp_hf_read_ffn(const sp_json *root, sp_ffn *out, sp_error *err)
{
    out->gated = true;
    return sp_json_u32(root, "intermediate_size", 1, SP_MODEL_MAX_WIDTH, &out->ffn, err);
}

sp_status sp_hf_read_experts(const sp_json *root, const char *count_key, const char *width_key,
                             sp_ffn *out, sp_error *err)
{
    out->gated = true;
    SP_TRY(sp_json_u32(root, count_key, 1, SP_MODEL_MAX_EXPERTS, &out->n_experts, err));
    SP_TRY(sp_json_u32(root, "num_experts_per_tok", 1, out->n_experts, &out->top_k, err));
    SP_TRY(sp_json_u32_or(root, "n_group", 0, out->n_experts, 0, &out->expert_groups, err));
    SP_TRY(sp_json_u32_or(root, "topk_group", 0, out->n_experts, 0, &out->top_groups, err));
    if (out->top_groups >= out->expert_groups) { /* every group may be reached: no limit */
        out->expert_groups = out->top_groups = 0;
    }
    return sp_json_u32(root, width_key, 1, SP_MODEL_MAX_WIDTH, &out->expert_ffn, err);
}

sp_status sp_hf_read_shared(sp_model_build *build, const sp_json *root, uint32_t fallback,
                            sp_ffn *out, sp_error *err)
{
    static const char key[] = "n_shared_experts";
    const uint32_t most = SP_MODEL_MAX_WIDTH / out->expert_ffn;
    uint32_t n_shared = 0;
    SP_TRY(sp_hf_u32_or_none(build, root, key, most, fallback, &n_shared, err));
    out->shared_ffn = n_shared * out->expert_ffn;
    return SP_OK;
}

sp_status sp_hf_read_mtp(sp_model_build *build, const sp_json *root, sp_error *err)
{
    const char *const key = sp_hf_spelling(root, "num_nextn_predict_layers", "num_mtp_layers");
    if (!is_stated(root, key)) {
        sp_model_note(build, "%s is not stated; multi-token prediction is left out.", key);
    }
    return sp_json_u32_or(root, key, 0, SP_MODEL_MAX_MTP, 0, &build->model.mtp_layers, err);
}

sp_status sp_hf_read_window(sp_model_build *build, const sp_json *root, uint32_t fallback,
                            uint32_t *window, sp_error *err)
{
    static const char key[] = "sliding_window";
    const sp_json value = sp_json_get(root, key);
    *window = 0;
    if (sp_json_is_null(&value) || (value.node == NULL && fallback == 0)) return SP_OK;
    return sp_hf_u32(build, root, key, SP_MODEL_MAX_CONTEXT, fallback, window, err);
}

sp_status sp_hf_read_switched_window(sp_model_build *build, const sp_json *root, uint32_t *window,
                                     sp_error *err)
{
    bool in_use = false;
    *window = 0;
    SP_TRY(sp_hf_bool(build, root, "use_sliding_window", false, &in_use, err));
    return in_use ? sp_hf_read_window(build, root, DEFAULT_WINDOW, window, err) : SP_OK;
}
