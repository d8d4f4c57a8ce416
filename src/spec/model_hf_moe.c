/* SPDX-License-Identifier: Apache-2.0 */
/* mixtral, granitemoe, qwen2_moe and qwen3_moe: routed experts in place of the feed-forward. All
 * layers of the first two are alike; the others may have dense layers among them, and qwen2_moe
 * has a shared expert behind a gate.
 *
 * Source: their configuration classes in Hugging Face transformers 5 (2026). */
#include "spec/spec.h"

#define MIXTRAL_KV_HEADS   8u
#define QWEN2_MOE_KV_HEADS 16u
#define QWEN3_MOE_KV_HEADS 4u
#define SHARED_FFN         5632u /* of qwen2_moe, by default */

static sp_status read_alike(sp_model_build *build, const sp_json *root, const sp_hf_attention *rule,
                            sp_error *err)
{
    const char *const count_key = sp_hf_spelling(root, "num_local_experts", "num_experts");
    sp_layer_kind *const kind = &build->model.kinds[SP_HF_SPARSE];
    SP_TRY(sp_hf_read_sizes(build, root, false, err));
    SP_TRY(sp_hf_read_attention(build, root, rule, &kind->attention, err));
    return sp_hf_read_experts(root, count_key, "intermediate_size", &kind->ffn, err);
}

static sp_status read_mixtral(sp_model_build *build, const sp_json *root, sp_error *err)
{
    static const sp_hf_attention rule = {.kv_heads = MIXTRAL_KV_HEADS};
    sp_attention *const attention = &build->model.kinds[SP_HF_SPARSE].attention;
    SP_TRY(read_alike(build, root, &rule, err));
    SP_TRY(sp_hf_read_window(build, root, 0, &attention->window, err));
    return sp_model_set_one_kind(build, err);
}

static sp_status read_granitemoe(sp_model_build *build, const sp_json *root, sp_error *err)
{
    static const sp_hf_attention rule = {.bias_key = "attention_bias"};
    SP_TRY(read_alike(build, root, &rule, err));
    return sp_model_set_one_kind(build, err);
}

/* The window holds for every layer. */
static sp_status read_mixed(sp_model_build *build, const sp_json *root, const sp_hf_attention *rule,
                            sp_error *err)
{
    const char *const count_key = sp_hf_spelling(root, "num_experts", "num_local_experts");
    sp_layer_kind *const kinds = build->model.kinds;
    sp_layer_kind *const sparse = &kinds[SP_HF_SPARSE];
    SP_TRY(sp_hf_read_sizes(build, root, false, err));
    SP_TRY(sp_hf_read_attention(build, root, rule, &sparse->attention, err));
    SP_TRY(sp_hf_read_switched_window(build, root, &sparse->attention.window, err));
    SP_TRY(sp_hf_read_experts(root, count_key, "moe_intermediate_size", &sparse->ffn, err));
    kinds[SP_HF_DENSE].attention = sparse->attention;
    return sp_hf_read_ffn(root, &kinds[SP_HF_DENSE].ffn, err);
}

static sp_status set_mixed_runs(sp_model_build *build, const sp_json *root, sp_error *err)
{
    uint8_t *kind_of_layer = NULL;
    SP_TRY(sp_hf_layer_kinds(build, &kind_of_layer, err));
    SP_TRY(sp_hf_read_sparse_step(build, root, kind_of_layer, err));
    return sp_model_set_runs(build, kind_of_layer, err);
}

static sp_status read_qwen3_moe(sp_model_build *build, const sp_json *root, sp_error *err)
{
    static const sp_hf_attention rule = {
        .kv_heads = QWEN3_MOE_KV_HEADS, .bias_key = "attention_bias", .qk_norm = true};
    SP_TRY(read_mixed(build, root, &rule, err));
    return set_mixed_runs(build, root, err);
}

/* The window, where it is in use, alternates in a way that no published model makes use of. */
static sp_status refuse_window(const sp_model *model, const sp_json *root, sp_error *err)
{
    if (model->kinds[SP_HF_SPARSE].attention.window == 0) return SP_OK;
    const sp_json value = sp_json_get(root, "use_sliding_window");
    return sp_json_fail(&value, err, SP_E_NOT_YET, "a qwen2_moe with a sliding window");
}

static sp_status read_qwen2_moe(sp_model_build *build, const sp_json *root, sp_error *err)
{
    static const sp_hf_attention rule = {
        .kv_heads = QWEN2_MOE_KV_HEADS, .bias_key = "qkv_bias", .bias = true, .no_out_bias = true};
    sp_ffn *const ffn = &build->model.kinds[SP_HF_SPARSE].ffn;
    SP_TRY(read_mixed(build, root, &rule, err));
    SP_TRY(refuse_window(&build->model, root, err));
    SP_TRY(sp_hf_u32(build, root, "shared_expert_intermediate_size", SP_MODEL_MAX_WIDTH, SHARED_FFN,
                     &ffn->shared_ffn, err));
    ffn->shared_gate = true;
    return set_mixed_runs(build, root, err);
}

#define COMMON_KEYS                                                                                \
    "model_type", "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers",           \
        "num_attention_heads", "num_key_value_heads", "head_dim", "max_position_embeddings",       \
        "tie_word_embeddings", "num_experts", "num_local_experts", "num_experts_per_tok"
#define MIXED_KEYS                                                                                 \
    COMMON_KEYS, "sliding_window", "use_sliding_window", "decoder_sparse_step", "mlp_only_layers", \
        "moe_intermediate_size"

static const char *const mixtral_keys[] = {COMMON_KEYS, "sliding_window", NULL};
static const char *const granitemoe_keys[] = {COMMON_KEYS, "attention_bias", NULL};
static const char *const qwen2_moe_keys[] = {MIXED_KEYS, "qkv_bias",
                                             "shared_expert_intermediate_size", NULL};
static const char *const qwen3_moe_keys[] = {MIXED_KEYS, "attention_bias", NULL};

const sp_model_type sp_model_type_mixtral = {"mixtral", mixtral_keys, read_mixtral};
const sp_model_type sp_model_type_granitemoe = {"granitemoe", granitemoe_keys, read_granitemoe};
const sp_model_type sp_model_type_qwen2_moe = {"qwen2_moe", qwen2_moe_keys, read_qwen2_moe};
const sp_model_type sp_model_type_qwen3_moe = {"qwen3_moe", qwen3_moe_keys, read_qwen3_moe};
