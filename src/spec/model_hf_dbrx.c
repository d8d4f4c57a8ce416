/* SPDX-License-Identifier: Apache-2.0 */
/* dbrx: grouped-query attention and gated experts in every layer, whose sizes stand in objects of
 * their own. Its LayerNorms have no bias and so the shapes of RMSNorms.
 *
 * Source: DbrxConfig of Hugging Face transformers 5 (2026). */
#include "spec/spec.h"

static sp_status read_kv_heads(const sp_json *root, sp_attention *out, sp_error *err)
{
    sp_json config;
    SP_TRY(sp_json_object(root, "attn_config", &config, err));
    SP_TRY(sp_json_u32(&config, "kv_n_heads", 1, out->heads, &out->kv_heads, err));
    if (out->heads % out->kv_heads == 0) return SP_OK;
    const sp_json value = sp_json_get(&config, "kv_n_heads");
    return sp_json_fail(&value, err, SP_E_INCONSISTENT,
                        "%u attention heads cannot share %u key and value heads evenly",
                        (unsigned)out->heads, (unsigned)out->kv_heads);
}

static sp_status read_experts(const sp_json *root, sp_ffn *out, sp_error *err)
{
    sp_json config;
    out->gated = true;
    SP_TRY(sp_json_object(root, "ffn_config", &config, err));
    SP_TRY(sp_json_u32(&config, "ffn_hidden_size", 1, SP_MODEL_MAX_WIDTH, &out->expert_ffn, err));
    SP_TRY(sp_json_u32(&config, "moe_num_experts", 1, SP_MODEL_MAX_EXPERTS, &out->n_experts, err));
    return sp_json_u32(&config, "moe_top_k", 1, out->n_experts, &out->top_k, err);
}

static sp_status read_dbrx(sp_model_build *build, const sp_json *root, sp_error *err)
{
    sp_model *const m = &build->model;
    sp_layer_kind *const kind = &m->kinds[0];
    SP_TRY(sp_json_u32(root, "vocab_size", 1, SP_MODEL_MAX_WIDTH, &m->vocab, err));
    SP_TRY(sp_json_u32(root, "d_model", 1, SP_MODEL_MAX_HIDDEN, &m->hidden, err));
    SP_TRY(sp_json_u32(root, "n_layers", 1, SP_MODEL_MAX_LAYERS, &m->n_layers, err));
    SP_TRY(sp_json_u32_or(root, "max_seq_len", 1, SP_MODEL_MAX_CONTEXT, 0, &m->max_context, err));
    SP_TRY(sp_hf_bool(build, root, "tie_word_embeddings", false, &m->tied_embeddings, err));
    SP_TRY(sp_hf_read_heads(build, root, "n_heads", &kind->attention, err));
    SP_TRY(read_kv_heads(root, &kind->attention, err));
    SP_TRY(read_experts(root, &kind->ffn, err));
    return sp_model_set_one_kind(build, err);
}

static const char *const keys[] = {"model_type",  "vocab_size", "d_model",
                                   "n_layers",    "n_heads",    "max_seq_len",
                                   "attn_config", "ffn_config", "tie_word_embeddings",
                                   NULL};

const sp_model_type sp_model_type_dbrx = {"dbrx", keys, read_dbrx};
