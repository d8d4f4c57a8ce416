/* SPDX-License-Identifier: Apache-2.0 */
/* llama, granite, mistral and phi3: RMSNorm, rotary positions, grouped-query attention and a gated
 * feed-forward, every layer the same. Granite scales what it adds; mistral and phi3 may have a
 * sliding window and have no biases.
 *
 * Source: LlamaConfig, GraniteConfig, MistralConfig and Phi3Config of transformers 5 (2026). */
#include "spec/spec.h"

#define MISTRAL_KV_HEADS 8u
#define MISTRAL_WINDOW   4096u

static sp_status read_llama(sp_model_build *build, const sp_json *root, sp_error *err)
{
    static const sp_hf_attention rule = {.bias_key = "attention_bias"};
    sp_layer_kind *const kind = &build->model.kinds[0];
    SP_TRY(sp_hf_read_sizes(build, root, false, err));
    SP_TRY(sp_hf_read_attention(build, root, &rule, &kind->attention, err));
    SP_TRY(sp_hf_read_ffn(root, &kind->ffn, err));
    SP_TRY(sp_hf_bool(build, root, "mlp_bias", false, &kind->ffn.bias, err));
    return sp_model_set_one_kind(build, err);
}

static sp_status read_windowed(sp_model_build *build, const sp_json *root,
                               const sp_hf_attention *rule, uint32_t window, sp_error *err)
{
    sp_layer_kind *const kind = &build->model.kinds[0];
    SP_TRY(sp_hf_read_sizes(build, root, false, err));
    SP_TRY(sp_hf_read_attention(build, root, rule, &kind->attention, err));
    SP_TRY(sp_hf_read_window(build, root, window, &kind->attention.window, err));
    SP_TRY(sp_hf_read_ffn(root, &kind->ffn, err));
    return sp_model_set_one_kind(build, err);
}

static sp_status read_mistral(sp_model_build *build, const sp_json *root, sp_error *err)
{
    static const sp_hf_attention rule = {.kv_heads = MISTRAL_KV_HEADS};
    return read_windowed(build, root, &rule, MISTRAL_WINDOW, err);
}

static sp_status read_phi3(sp_model_build *build, const sp_json *root, sp_error *err)
{
    static const sp_hf_attention rule = {0};
    return read_windowed(build, root, &rule, 0, err);
}

#define COMMON_KEYS                                                                                \
    "model_type", "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers",           \
        "num_attention_heads", "num_key_value_heads", "head_dim", "max_position_embeddings",       \
        "tie_word_embeddings"

static const char *const llama_keys[] = {COMMON_KEYS, "attention_bias", "mlp_bias", NULL};
static const char *const mistral_keys[] = {COMMON_KEYS, "sliding_window", NULL};

const sp_model_type sp_model_type_llama = {"llama", llama_keys, read_llama};
const sp_model_type sp_model_type_mistral = {"mistral", mistral_keys, read_mistral};
const sp_model_type sp_model_type_granite = {"granite", llama_keys, read_llama};
const sp_model_type sp_model_type_phi3 = {"phi3", mistral_keys, read_phi3};
