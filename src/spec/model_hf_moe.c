/* SPDX-License-Identifier: Apache-2.0 */
/* mixtral and qwen3_moe: routed experts in place of the feed-forward. All layers of a mixtral are
 * alike; a qwen3_moe may have dense layers among them.
 *
 * Source: MixtralConfig and Qwen3MoeConfig of Hugging Face transformers 5 (2026). */
#include "spec/spec.h"

#define MIXTRAL_KV_HEADS   8u
#define QWEN3_MOE_KV_HEADS 4u

enum { SPARSE, DENSE }; /* kind indices */

static sp_status read_mixtral(sp_model_build *build, const sp_json *root, sp_error *err)
{
    static const sp_hf_attention rule = {.kv_heads = MIXTRAL_KV_HEADS};
    const char *const count_key = sp_hf_spelling(root, "num_local_experts", "num_experts");
    sp_layer_kind *const kind = &build->model.kinds[SPARSE];
    SP_TRY(sp_hf_read_sizes(build, root, err));
    SP_TRY(sp_hf_read_attention(build, root, &rule, &kind->attention, err));
    SP_TRY(sp_hf_read_window(build, root, 0, &kind->attention.window, err));
    SP_TRY(sp_hf_read_experts(root, count_key, "intermediate_size", &kind->ffn, err));
    return sp_model_set_one_kind(build, err);
}

/* mlp_only_layers: indices of layers that are dense whatever the step says. */
static sp_status mark_dense_layers(const sp_model *model, const sp_json *root, uint8_t *kinds,
                                   sp_error *err)
{
    const sp_json list = sp_json_get(root, "mlp_only_layers");
    if (list.node == NULL || sp_json_is_null(&list)) return SP_OK;
    if (!sp_json_is_array(&list)) {
        return sp_json_fail(&list, err, SP_E_TYPE, "must be a list of layer indices");
    }
    for (size_t i = 0; i < sp_json_size(&list); i++) {
        const sp_json entry = sp_json_at(&list, i);
        uint64_t layer_idx = 0;
        SP_TRY(sp_json_as_u64(&entry, 0, model->n_layers - 1, &layer_idx, err));
        kinds[layer_idx] = DENSE;
    }
    return SP_OK;
}

/* decoder_sparse_step s: layers s-1, 2s-1, ... have experts. */
static sp_status read_layer_kinds(sp_model_build *build, const sp_json *root, uint8_t *kinds,
                                  sp_error *err)
{
    const sp_model *const model = &build->model;
    uint32_t step = 1;
    SP_TRY(sp_hf_u32(build, root, "decoder_sparse_step", SP_MODEL_MAX_LAYERS, 1, &step, err));
    for (uint32_t i = 0; i < model->n_layers; i++) {
        kinds[i] = (i + 1) % step == 0 ? SPARSE : DENSE;
    }
    return mark_dense_layers(model, root, kinds, err);
}

static sp_status read_qwen3_moe(sp_model_build *build, const sp_json *root, sp_error *err)
{
    static const sp_hf_attention rule = {
        .kv_heads = QWEN3_MOE_KV_HEADS, .bias_key = true, .qk_norm = true};
    const char *const count_key = sp_hf_spelling(root, "num_experts", "num_local_experts");
    sp_layer_kind *const kinds = build->model.kinds;
    uint8_t *kind_of_layer = NULL;
    SP_TRY(sp_hf_read_sizes(build, root, err));
    SP_TRY(sp_hf_read_attention(build, root, &rule, &kinds[SPARSE].attention, err));
    SP_TRY(sp_hf_read_switched_window(build, root, &kinds[SPARSE].attention.window, err));
    kinds[DENSE].attention = kinds[SPARSE].attention;
    SP_TRY(sp_hf_read_experts(root, count_key, "moe_intermediate_size", &kinds[SPARSE].ffn, err));
    SP_TRY(sp_hf_layer_kinds(build, &kind_of_layer, err));
    SP_TRY(read_layer_kinds(build, root, kind_of_layer, err));
    SP_TRY(sp_hf_read_ffn(root, &kinds[DENSE].ffn, err));
    return sp_model_set_runs(build, kind_of_layer, err);
}

#define KEYS_OF_BOTH                                                                               \
    "model_type", "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers",           \
        "num_attention_heads", "num_key_value_heads", "head_dim", "max_position_embeddings",       \
        "tie_word_embeddings", "num_experts", "num_local_experts", "num_experts_per_tok",          \
        "sliding_window"

static const char *const mixtral_keys[] = {KEYS_OF_BOTH, NULL};
static const char *const qwen3_moe_keys[] = {KEYS_OF_BOTH,
                                             "attention_bias",
                                             "use_sliding_window",
                                             "decoder_sparse_step",
                                             "mlp_only_layers",
                                             "moe_intermediate_size",
                                             NULL};

const sp_model_type sp_model_type_mixtral = {"mixtral", mixtral_keys, read_mixtral};
const sp_model_type sp_model_type_qwen3_moe = {"qwen3_moe", qwen3_moe_keys, read_qwen3_moe};
