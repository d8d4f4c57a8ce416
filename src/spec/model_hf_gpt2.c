/* SPDX-License-Identifier: Apache-2.0 */
/* gpt2: LayerNorm, a learned position table, biases everywhere, two feed-forward matrices, a head
 * tied to the token table, dropout. The keys have short names and, since they were renamed, long
 * ones; both are read.
 *
 * Source: GPT2Config of Hugging Face transformers 5 (2026). */
#include "spec/spec.h"

#define DEFAULT_POSITIONS 1024u

static sp_status read_sizes(sp_model_build *build, const sp_json *root, sp_error *err)
{
    sp_model *const m = &build->model;
    const char *const hidden = sp_hf_spelling(root, "n_embd", "hidden_size");
    const char *const layers = sp_hf_spelling(root, "n_layer", "num_hidden_layers");
    const char *const positions = sp_hf_spelling(root, "n_positions", "max_position_embeddings");
    SP_TRY(sp_json_u32(root, "vocab_size", 1, SP_MODEL_MAX_WIDTH, &m->vocab, err));
    SP_TRY(sp_json_u32(root, hidden, 1, SP_MODEL_MAX_HIDDEN, &m->hidden, err));
    SP_TRY(sp_json_u32(root, layers, 1, SP_MODEL_MAX_LAYERS, &m->n_layers, err));
    SP_TRY(sp_hf_u32(build, root, positions, SP_MODEL_MAX_CONTEXT, DEFAULT_POSITIONS, &m->positions,
                     err));
    m->max_context = m->positions;
    m->norm_vectors = 2;
    return sp_hf_bool(build, root, "tie_word_embeddings", true, &m->tied_embeddings, err);
}

static sp_status read_ffn(const sp_model *model, const sp_json *root, sp_ffn *out, sp_error *err)
{
    out->bias = true;
    return sp_json_u32_or(root, "n_inner", 1, SP_MODEL_MAX_WIDTH, 4 * model->hidden, &out->ffn,
                          err);
}

static sp_status read_gpt2(sp_model_build *build, const sp_json *root, sp_error *err)
{
    static const char *const dropouts[] = {"resid_pdrop", "embd_pdrop", "attn_pdrop"};
    static const double ratios[] = {0.1, 0.1, 0.1};
    sp_model *const m = &build->model;
    sp_attention *const attention = &m->kinds[0].attention;
    const char *const heads_key = sp_hf_spelling(root, "n_head", "num_attention_heads");
    SP_TRY(read_sizes(build, root, err));
    SP_TRY(sp_hf_read_heads(build, root, heads_key, attention, err));
    attention->qkv_bias = true;
    attention->out_bias = true;
    SP_TRY(read_ffn(m, root, &m->kinds[0].ffn, err));
    SP_TRY(sp_hf_read_dropout(build, root, dropouts, ratios, 3, err));
    return sp_model_set_one_kind(build, err);
}

static const char *const gpt2_keys[] = {"model_type",
                                        "vocab_size",
                                        "n_embd",
                                        "hidden_size",
                                        "n_layer",
                                        "num_hidden_layers",
                                        "n_head",
                                        "num_attention_heads",
                                        "n_positions",
                                        "max_position_embeddings",
                                        "n_inner",
                                        "resid_pdrop",
                                        "embd_pdrop",
                                        "attn_pdrop",
                                        "tie_word_embeddings",
                                        NULL};

const sp_model_type sp_model_type_gpt2 = {"gpt2", gpt2_keys, read_gpt2};
