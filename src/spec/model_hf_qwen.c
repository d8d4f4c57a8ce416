/* SPDX-License-Identifier: Apache-2.0 */
/* qwen2 and qwen3, dense: as llama, with biases on query, key and value (qwen2) or norms on query
 * and key (qwen3). A sliding window, where it is in use, holds for some of the layers only.
 *
 * Source: Qwen2Config and Qwen3Config of Hugging Face transformers 5 (2026). */
#include "spec/spec.h"

#include <string.h>

#define DEFAULT_KV_HEADS    32u
#define DEFAULT_FULL_LAYERS 28u /* of max_window_layers: the layers before the first window */
#define QWEN3_HEAD_DIM      128u

static sp_status read_layer_kinds(sp_model_build *build, const sp_json *root, bool window,
                                  uint8_t *kinds, sp_error *err)
{
    const sp_model *const model = &build->model;
    bool stated = false;
    SP_TRY(sp_hf_read_layer_types(model, root, kinds, &stated, err));
    if (!window) memset(kinds, SP_HF_FULL, model->n_layers);
    if (!window || stated) return SP_OK;
    uint32_t full_layers = 0;
    SP_TRY(sp_hf_u32(build, root, "max_window_layers", SP_MODEL_MAX_LAYERS, DEFAULT_FULL_LAYERS,
                     &full_layers, err));
    for (uint32_t i = full_layers; i < model->n_layers; i++) {
        kinds[i] = SP_HF_SLIDING;
    }
    return SP_OK;
}

static sp_status read_qwen(sp_model_build *build, const sp_json *root, const sp_hf_attention *rule,
                           sp_error *err)
{
    sp_layer_kind *const kinds = build->model.kinds;
    uint32_t window = 0;
    uint8_t *kind_of_layer = NULL;
    SP_TRY(sp_hf_read_sizes(build, root, false, err));
    SP_TRY(sp_hf_read_attention(build, root, rule, &kinds[SP_HF_FULL].attention, err));
    SP_TRY(sp_hf_read_ffn(root, &kinds[SP_HF_FULL].ffn, err));
    SP_TRY(sp_hf_read_switched_window(build, root, &window, err));
    kinds[SP_HF_SLIDING] = kinds[SP_HF_FULL];
    kinds[SP_HF_SLIDING].attention.window = window;
    SP_TRY(sp_hf_layer_kinds(build, &kind_of_layer, err));
    SP_TRY(read_layer_kinds(build, root, window > 0, kind_of_layer, err));
    return sp_model_set_runs(build, kind_of_layer, err);
}

static sp_status read_qwen2(sp_model_build *build, const sp_json *root, sp_error *err)
{
    static const sp_hf_attention rule = {
        .kv_heads = DEFAULT_KV_HEADS, .bias = true, .no_out_bias = true};
    return read_qwen(build, root, &rule, err);
}

static sp_status read_qwen3(sp_model_build *build, const sp_json *root, sp_error *err)
{
    static const sp_hf_attention rule = {.kv_heads = DEFAULT_KV_HEADS,
                                         .head_dim = QWEN3_HEAD_DIM,
                                         .bias_key = "attention_bias",
                                         .qk_norm = true};
    return read_qwen(build, root, &rule, err);
}

#define KEYS_OF_BOTH                                                                               \
    "model_type", "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers",           \
        "num_attention_heads", "num_key_value_heads", "head_dim", "max_position_embeddings",       \
        "tie_word_embeddings", "use_sliding_window", "sliding_window", "max_window_layers",        \
        "layer_types"

static const char *const qwen2_keys[] = {KEYS_OF_BOTH, NULL};
static const char *const qwen3_keys[] = {KEYS_OF_BOTH, "attention_bias", NULL};

const sp_model_type sp_model_type_qwen2 = {"qwen2", qwen2_keys, read_qwen2};
const sp_model_type sp_model_type_qwen3 = {"qwen3", qwen3_keys, read_qwen3};
