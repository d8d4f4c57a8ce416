/* SPDX-License-Identifier: Apache-2.0 */
/* gpt_oss: experts with biases in every layer, attention with sinks, and a sliding window on every
 * other layer, beginning with the first.
 *
 * Source: GptOssConfig of Hugging Face transformers 5 (2026). */
#include "spec/spec.h"

#define DEFAULT_KV_HEADS 8u
#define DEFAULT_HEAD_DIM 64u
#define DEFAULT_WINDOW   128u

static sp_status read_layers(sp_model_build *build, const sp_json *root, sp_error *err)
{
    uint8_t *kind_of_layer = NULL;
    bool stated = false;
    SP_TRY(sp_hf_layer_kinds(build, &kind_of_layer, err));
    SP_TRY(sp_hf_read_layer_types(&build->model, root, kind_of_layer, &stated, err));
    if (!stated) {
        sp_model_note(build, "layer_types is not stated; every other layer has the window.");
    }
    for (uint32_t i = 0; !stated && i < build->model.n_layers; i++) {
        kind_of_layer[i] = i % 2 == 0 ? SP_HF_SLIDING : SP_HF_FULL;
    }
    return sp_model_set_runs(build, kind_of_layer, err);
}

static sp_status read_gpt_oss(sp_model_build *build, const sp_json *root, sp_error *err)
{
    static const sp_hf_attention rule = {.kv_heads = DEFAULT_KV_HEADS,
                                         .head_dim = DEFAULT_HEAD_DIM,
                                         .bias_key = "attention_bias",
                                         .bias = true};
    const char *const count_key = sp_hf_spelling(root, "num_local_experts", "num_experts");
    sp_layer_kind *const kinds = build->model.kinds;
    sp_layer_kind *const full = &kinds[SP_HF_FULL];
    SP_TRY(sp_hf_read_sizes(build, root, false, err));
    SP_TRY(sp_hf_read_attention(build, root, &rule, &full->attention, err));
    SP_TRY(sp_hf_read_experts(root, count_key, "intermediate_size", &full->ffn, err));
    full->attention.sinks = true;
    full->ffn.router_bias = true;
    full->ffn.expert_bias = true;
    kinds[SP_HF_SLIDING] = *full;
    SP_TRY(sp_hf_read_window(build, root, DEFAULT_WINDOW, &kinds[SP_HF_SLIDING].attention.window,
                             err));
    return read_layers(build, root, err);
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
                                   "num_local_experts",
                                   "num_experts",
                                   "num_experts_per_tok",
                                   "sliding_window",
                                   "layer_types",
                                   NULL};

const sp_model_type sp_model_type_gpt_oss = {"gpt_oss", keys, read_gpt_oss};
