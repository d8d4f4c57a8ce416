/* SPDX-License-Identifier: Apache-2.0 */
/* glm4_moe: grouped-query attention with optional biases and norms, some dense layers, then layers
 * with routed and shared experts, and modules for multi-token prediction.
 *
 * Source: Glm4MoeConfig of Hugging Face transformers 5 (2026). */
#include "spec/spec.h"

#define DEFAULT_KV_HEADS 8u
#define DEFAULT_DENSE    1u
#define DEFAULT_SHARED   1u

static sp_status read_glm4_moe(sp_model_build *build, const sp_json *root, sp_error *err)
{
    static const sp_hf_attention rule = {
        .kv_heads = DEFAULT_KV_HEADS, .bias_key = "attention_bias", .no_out_bias = true};
    sp_layer_kind *const kinds = build->model.kinds;
    sp_layer_kind *const sparse = &kinds[SP_HF_SPARSE];
    const char *const count_key = sp_hf_spelling(root, "n_routed_experts", "num_local_experts");
    uint8_t *kind_of_layer = NULL;
    SP_TRY(sp_hf_read_mtp(build, root, err));
    SP_TRY(sp_hf_read_sizes(build, root, false, err));
    SP_TRY(sp_hf_read_attention(build, root, &rule, &sparse->attention, err));
    bool qk_norm = false;
    SP_TRY(sp_hf_bool(build, root, "use_qk_norm", false, &qk_norm, err));
    sparse->attention.qk_norm = qk_norm ? 2 * sparse->attention.head_dim : 0;
    kinds[SP_HF_DENSE].attention = sparse->attention;
    SP_TRY(sp_hf_read_ffn(root, &kinds[SP_HF_DENSE].ffn, err));
    SP_TRY(sp_hf_read_experts(root, count_key, "moe_intermediate_size", &sparse->ffn, err));
    SP_TRY(sp_hf_read_shared(build, root, DEFAULT_SHARED, &sparse->ffn, err));
    SP_TRY(sp_hf_layer_kinds(build, &kind_of_layer, err));
    SP_TRY(sp_hf_read_first_dense(build, root, DEFAULT_DENSE, kind_of_layer, err));
    return sp_model_set_runs(build, kind_of_layer, err);
}

static const char *const keys[] = {"model_type",
                                   "vocab_size",
                                   "hidden_size",
                                   "intermediate_size",
                                   "num_hidden_layers",
                                   "num_attention_heads",
                                   "num_key_value_heads",
                                   "head_dim",
                                   "max_position_embeddings",
                                   "tie_word_embeddings",
                                   "attention_bias",
                                   "use_qk_norm",
                                   "moe_intermediate_size",
                                   "n_routed_experts",
                                   "num_local_experts",
                                   "n_shared_experts",
                                   "num_experts_per_tok",
                                   "first_k_dense_replace",
                                   "moe_layer_freq",
                                   "num_nextn_predict_layers",
                                   "num_mtp_layers",
                                   NULL};

const sp_model_type sp_model_type_glm4_moe = {"glm4_moe", keys, read_glm4_moe};
