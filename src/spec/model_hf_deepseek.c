/* SPDX-License-Identifier: Apache-2.0 */
/* deepseek_v2, deepseek_v3 and kimi_k2 (which is a deepseek_v3): multi-head latent attention, some
 * dense layers, then layers with routed and shared experts, and modules for multi-token prediction.
 * The routing correction (e_score_correction_bias) is a buffer, not a parameter.
 *
 * Source: DeepseekV2Config and DeepseekV3Config of Hugging Face transformers 5 (2026). */
#include "spec/spec.h"

#define DEFAULT_Q_LORA  1536u
#define DEFAULT_KV_LORA 512u
#define DEFAULT_NOPE    128u
#define DEFAULT_ROPE    64u
#define DEFAULT_V_DIM   128u

typedef struct deepseek_defaults {
    uint32_t n_dense, n_shared;
} deepseek_defaults;

/* q_lora_rank: null means that queries are projected at once. */
static sp_status read_q_lora(sp_model_build *build, const sp_json *root, uint32_t *q_lora,
                             sp_error *err)
{
    static const char key[] = "q_lora_rank";
    const sp_json value = sp_json_get(root, key);
    *q_lora = 0;
    if (sp_json_is_null(&value)) return SP_OK;
    return sp_hf_u32(build, root, key, SP_MODEL_MAX_WIDTH, DEFAULT_Q_LORA, q_lora, err);
}

/* Every head has keys and values of its own, whatever num_key_value_heads says. */
static sp_status read_kv_heads(sp_model_build *build, const sp_json *root, sp_attention *out,
                               sp_error *err)
{
    static const char key[] = "num_key_value_heads";
    uint32_t stated = 0;
    out->kv_heads = out->heads;
    SP_TRY(sp_json_u32_or(root, key, 1, SP_MODEL_MAX_HEADS, out->heads, &stated, err));
    if (stated != out->heads) {
        sp_model_note(build, "%s is ignored: in latent attention each head has its own.", key);
    }
    return SP_OK;
}

static sp_status read_latent(sp_model_build *build, const sp_json *root, sp_attention *out,
                             sp_error *err)
{
    const uint32_t widest = SP_MODEL_MAX_HEAD_DIM / 2;
    uint32_t nope = 0;
    bool bias = false;
    SP_TRY(sp_json_u32(root, "num_attention_heads", 1, SP_MODEL_MAX_HEADS, &out->heads, err));
    SP_TRY(read_kv_heads(build, root, out, err));
    SP_TRY(read_q_lora(build, root, &out->q_lora, err));
    SP_TRY(sp_hf_u32(build, root, "kv_lora_rank", SP_MODEL_MAX_WIDTH, DEFAULT_KV_LORA,
                     &out->kv_lora, err));
    SP_TRY(sp_hf_u32(build, root, "qk_nope_head_dim", widest, DEFAULT_NOPE, &nope, err));
    SP_TRY(sp_hf_u32(build, root, "qk_rope_head_dim", widest, DEFAULT_ROPE, &out->rope_dim, err));
    SP_TRY(sp_hf_u32(build, root, "v_head_dim", SP_MODEL_MAX_HEAD_DIM, DEFAULT_V_DIM, &out->v_dim,
                     err));
    SP_TRY(sp_hf_bool(build, root, "attention_bias", false, &bias, err));
    out->head_dim = nope + out->rope_dim;
    out->qkv_bias = bias;
    out->out_bias = bias;
    return SP_OK;
}

static sp_status read_deepseek(sp_model_build *build, const sp_json *root,
                               const deepseek_defaults *defaults, sp_error *err)
{
    sp_layer_kind *const kinds = build->model.kinds;
    sp_layer_kind *const sparse = &kinds[SP_HF_SPARSE];
    const char *const count_key = sp_hf_spelling(root, "n_routed_experts", "num_local_experts");
    uint8_t *kind_of_layer = NULL;
    SP_TRY(sp_hf_read_sizes(build, root, false, err));
    SP_TRY(read_latent(build, root, &sparse->attention, err));
    kinds[SP_HF_DENSE].attention = sparse->attention;
    SP_TRY(sp_hf_read_ffn(root, &kinds[SP_HF_DENSE].ffn, err));
    SP_TRY(sp_hf_read_experts(root, count_key, "moe_intermediate_size", &sparse->ffn, err));
    SP_TRY(sp_hf_read_shared(build, root, defaults->n_shared, &sparse->ffn, err));
    SP_TRY(sp_hf_layer_kinds(build, &kind_of_layer, err));
    SP_TRY(sp_hf_read_first_dense(build, root, defaults->n_dense, kind_of_layer, err));
    return sp_model_set_runs(build, kind_of_layer, err);
}

static sp_status read_deepseek_v2(sp_model_build *build, const sp_json *root, sp_error *err)
{
    static const deepseek_defaults defaults = {.n_dense = 0, .n_shared = 2};
    return read_deepseek(build, root, &defaults, err);
}

static sp_status read_deepseek_v3(sp_model_build *build, const sp_json *root, sp_error *err)
{
    static const deepseek_defaults defaults = {.n_dense = 3, .n_shared = 1};
    SP_TRY(sp_hf_read_mtp(build, root, err));
    return read_deepseek(build, root, &defaults, err);
}

/* head_dim and qk_head_dim are written by transformers and follow from the others. */
#define KEYS_OF_BOTH                                                                               \
    "model_type", "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers",           \
        "num_attention_heads", "num_key_value_heads", "max_position_embeddings",                   \
        "tie_word_embeddings", "attention_bias", "q_lora_rank", "kv_lora_rank",                    \
        "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim", "moe_intermediate_size",             \
        "n_routed_experts", "num_local_experts", "n_shared_experts", "num_experts_per_tok",        \
        "first_k_dense_replace", "moe_layer_freq", "head_dim", "qk_head_dim"

static const char *const v2_keys[] = {KEYS_OF_BOTH, NULL};
static const char *const v3_keys[] = {KEYS_OF_BOTH, "num_nextn_predict_layers", "num_mtp_layers",
                                      NULL};

const sp_model_type sp_model_type_deepseek_v2 = {"deepseek_v2", v2_keys, read_deepseek_v2};
const sp_model_type sp_model_type_deepseek_v3 = {"deepseek_v3", v3_keys, read_deepseek_v3};
const sp_model_type sp_model_type_kimi_k2 = {"kimi_k2", v3_keys, read_deepseek_v3};
