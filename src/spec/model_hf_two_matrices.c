/* SPDX-License-Identifier: Apache-2.0 */
/* starcoder2, gpt_neox, nemotron, opt and mpt: a feed-forward of two matrices, every layer alike.
 * They differ in norms, biases and positions; in gpt_neox the two blocks of a layer may stand side
 * by side, which changes no shape.
 *
 * Source: their configuration and model classes in Hugging Face transformers 5 (2026). */
#include "spec/spec.h"

#define STARCODER2_KV_HEADS 2u
#define OPT_POSITION_OFFSET 2u /* rows before that of the first token */
#define MPT_FFN_RATIO       4u

static sp_status read_body(sp_model_build *build, const sp_json *root, const sp_hf_attention *rule,
                           bool tied, sp_error *err)
{
    sp_layer_kind *const kind = &build->model.kinds[0];
    build->model.norm_vectors = 2;
    SP_TRY(sp_hf_read_sizes(build, root, tied, err));
    SP_TRY(sp_hf_read_attention(build, root, rule, &kind->attention, err));
    SP_TRY(sp_hf_read_ffn(root, &kind->ffn, err));
    kind->ffn.gated = false;
    return SP_OK;
}

static sp_status read_starcoder2(sp_model_build *build, const sp_json *root, sp_error *err)
{
    static const sp_hf_attention rule = {
        .kv_heads = STARCODER2_KV_HEADS, .bias_key = "use_bias", .bias = true};
    static const char *const dropouts[] = {"attention_dropout", "residual_dropout",
                                           "embedding_dropout"};
    static const double none[] = {0.0, 0.0, 0.0};
    sp_layer_kind *const kind = &build->model.kinds[0];
    SP_TRY(read_body(build, root, &rule, true, err));
    SP_TRY(sp_hf_read_window(build, root, 0, &kind->attention.window, err));
    SP_TRY(sp_hf_read_dropout(build, root, dropouts, none, 3, err));
    kind->ffn.bias = kind->attention.qkv_bias;
    return sp_model_set_one_kind(build, err);
}

static sp_status read_gpt_neox(sp_model_build *build, const sp_json *root, sp_error *err)
{
    static const sp_hf_attention rule = {.bias_key = "attention_bias", .bias = true};
    static const char *const dropouts[] = {"attention_dropout", "hidden_dropout"};
    static const double none[] = {0.0, 0.0};
    SP_TRY(read_body(build, root, &rule, false, err));
    SP_TRY(sp_hf_read_dropout(build, root, dropouts, none, 2, err));
    build->model.kinds[0].ffn.bias = true;
    return sp_model_set_one_kind(build, err);
}

static sp_status read_nemotron(sp_model_build *build, const sp_json *root, sp_error *err)
{
    static const sp_hf_attention rule = {.bias_key = "attention_bias"};
    SP_TRY(read_body(build, root, &rule, false, err));
    SP_TRY(sp_hf_bool(build, root, "mlp_bias", false, &build->model.kinds[0].ffn.bias, err));
    return sp_model_set_one_kind(build, err);
}

/* The token table of the smallest ones is narrower than the layers: not a model as we know it. */
static sp_status check_embedding_width(const sp_model *model, const sp_json *root, sp_error *err)
{
    static const char key[] = "word_embed_proj_dim";
    uint32_t width = 0;
    SP_TRY(sp_json_u32_or(root, key, 1, SP_MODEL_MAX_HIDDEN, model->hidden, &width, err));
    if (width == model->hidden) return SP_OK;
    const sp_json value = sp_json_get(root, key);
    sp_json_fail(&value, err, SP_E_NOT_YET, "a token table of another width than hidden_size");
    return sp_fail_range(err, "%u", (unsigned)model->hidden);
}

/* Otherwise the norms stand behind the blocks, have no weights, or there is none at the end. */
static sp_status check_norms(const sp_json *root, sp_error *err)
{
    static const struct {
        const char *key;
        bool wanted;
    } switches[] = {
        {"do_layer_norm_before",          true },
        {"layer_norm_elementwise_affine", true },
        {"_remove_final_layer_norm",      false},
    };
    for (size_t i = 0; i < sizeof switches / sizeof switches[0]; i++) {
        const bool wanted = switches[i].wanted;
        bool stated = wanted;
        SP_TRY(sp_json_bool_or(root, switches[i].key, wanted, &stated, err));
        if (stated == wanted) continue;
        const sp_json value = sp_json_get(root, switches[i].key);
        sp_json_fail(&value, err, SP_E_NOT_YET,
                     "an opt with other norms than two in each layer "
                     "and one at the end");
        return sp_fail_range(err, wanted ? "true" : "false");
    }
    return SP_OK;
}

static sp_status read_opt_sizes(sp_model_build *build, const sp_json *root, sp_error *err)
{
    sp_model *const m = &build->model;
    SP_TRY(sp_hf_read_sizes(build, root, true, err));
    SP_TRY(sp_json_u32(root, "max_position_embeddings", 1, SP_MODEL_MAX_CONTEXT, &m->max_context,
                       err));
    m->positions = m->max_context + OPT_POSITION_OFFSET;
    m->norm_vectors = 2;
    SP_TRY(check_embedding_width(m, root, err));
    return check_norms(root, err);
}

static sp_status read_opt(sp_model_build *build, const sp_json *root, sp_error *err)
{
    static const char *const dropouts[] = {"dropout", "attention_dropout"};
    static const double ratios[] = {0.1, 0.0};
    sp_layer_kind *const kind = &build->model.kinds[0];
    bool bias = true;
    SP_TRY(read_opt_sizes(build, root, err));
    SP_TRY(sp_hf_read_heads(build, root, "num_attention_heads", &kind->attention, err));
    SP_TRY(sp_json_u32(root, "ffn_dim", 1, SP_MODEL_MAX_WIDTH, &kind->ffn.ffn, err));
    SP_TRY(sp_hf_bool(build, root, "enable_bias", true, &bias, err));
    SP_TRY(sp_hf_read_dropout(build, root, dropouts, ratios, 2, err));
    kind->attention.qkv_bias = bias;
    kind->attention.out_bias = bias;
    kind->ffn.bias = bias;
    return sp_model_set_one_kind(build, err);
}

/* Of the attention of an mpt, only norms on queries and keys would change shapes. */
static sp_status check_attn_config(const sp_json *root, sp_error *err)
{
    static const char key[] = "qk_ln";
    const sp_json config = sp_json_get(root, "attn_config");
    bool norm = false;
    if (!sp_json_is_object(&config)) return SP_OK;
    SP_TRY(sp_json_bool_or(&config, key, false, &norm, err));
    if (!norm) return SP_OK;
    const sp_json value = sp_json_get(&config, key);
    return sp_json_fail(&value, err, SP_E_NOT_YET, "an mpt with norms on queries and keys");
}

/* LayerNorm without a bias has the shapes of RMSNorm; positions are slopes, not parameters. */
static sp_status read_mpt(sp_model_build *build, const sp_json *root, sp_error *err)
{
    sp_model *const m = &build->model;
    sp_ffn *const ffn = &m->kinds[0].ffn;
    uint32_t ratio = 0;
    SP_TRY(sp_json_u32(root, "vocab_size", 1, SP_MODEL_MAX_WIDTH, &m->vocab, err));
    SP_TRY(sp_json_u32(root, "d_model", 1, SP_MODEL_MAX_HIDDEN, &m->hidden, err));
    SP_TRY(sp_json_u32(root, "n_layers", 1, SP_MODEL_MAX_LAYERS, &m->n_layers, err));
    SP_TRY(sp_json_u32_or(root, "max_seq_len", 1, SP_MODEL_MAX_CONTEXT, 0, &m->max_context, err));
    SP_TRY(sp_hf_bool(build, root, "tie_word_embeddings", true, &m->tied_embeddings, err));
    SP_TRY(sp_hf_read_heads(build, root, "n_heads", &m->kinds[0].attention, err));
    SP_TRY(check_attn_config(root, err));
    SP_TRY(sp_json_u32_or(root, "expansion_ratio", MPT_FFN_RATIO, MPT_FFN_RATIO, MPT_FFN_RATIO,
                          &ratio, err));
    ffn->ffn = ratio * m->hidden;
    return sp_model_set_one_kind(build, err);
}

#define COMMON_KEYS                                                                                \
    "model_type", "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads",         \
        "max_position_embeddings", "tie_word_embeddings"
#define BODY_KEYS COMMON_KEYS, "intermediate_size", "num_key_value_heads", "head_dim"

static const char *const starcoder2_keys[] = {
    BODY_KEYS,           "use_bias", "sliding_window", "attention_dropout", "residual_dropout",
    "embedding_dropout", NULL};
static const char *const gpt_neox_keys[] = {COMMON_KEYS,      "intermediate_size",
                                            "attention_bias", "attention_dropout",
                                            "hidden_dropout", NULL};
static const char *const nemotron_keys[] = {BODY_KEYS, "attention_bias", "mlp_bias", NULL};
static const char *const opt_keys[] = {COMMON_KEYS,
                                       "ffn_dim",
                                       "enable_bias",
                                       "dropout",
                                       "attention_dropout",
                                       "word_embed_proj_dim",
                                       "do_layer_norm_before",
                                       "layer_norm_elementwise_affine",
                                       "_remove_final_layer_norm",
                                       NULL};
static const char *const mpt_keys[] = {"model_type",
                                       "vocab_size",
                                       "d_model",
                                       "n_layers",
                                       "n_heads",
                                       "max_seq_len",
                                       "tie_word_embeddings",
                                       "expansion_ratio",
                                       "attn_config",
                                       "learned_pos_emb",
                                       "no_bias",
                                       NULL};

const sp_model_type sp_model_type_starcoder2 = {"starcoder2", starcoder2_keys, read_starcoder2};
const sp_model_type sp_model_type_gpt_neox = {"gpt_neox", gpt_neox_keys, read_gpt_neox};
const sp_model_type sp_model_type_nemotron = {"nemotron", nemotron_keys, read_nemotron};
const sp_model_type sp_model_type_opt = {"opt", opt_keys, read_opt};
const sp_model_type sp_model_type_mpt = {"mpt", mpt_keys, read_mpt};
