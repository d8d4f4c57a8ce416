/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of the keys that a reader does not take: those known to leave shapes alone are
 * passed over, those of other families that would change shapes are refused, and so is what looks
 * like a misspelling of a key that is absent; the rest becomes an assumption. */
#include "spec/spec.h"

#include <string.h>

#define MAX_ABSENT 48

/* Numerics, tokens, generation, bookkeeping: no shape depends on them. */
static const char *const inert[] = {
    "_attn_implementation",
    "_attn_implementation_autoset",
    "_commit_hash",
    "_name_or_path",
    "activation_function",
    "architectures",
    "attention_dropout",
    "attention_multiplier",
    "attn_implementation",
    "attn_pdrop",
    "auto_map",
    "aux_loss_alpha",
    "bad_words_ids",
    "begin_suppress_tokens",
    "bos_token_id",
    "chunk_size_feed_forward",
    "clip_qkv",
    "cross_attention_hidden_size",
    "custom_pipelines",
    "decoder_start_token_id",
    "diversity_penalty",
    "do_sample",
    "dtype",
    "early_stopping",
    "embd_pdrop",
    "embedding_multiplier",
    "encoder_no_repeat_ngram_size",
    "eos_token_id",
    "ep_size",
    "experts_per_token",
    "exponential_decay_length_penalty",
    "finetuning_task",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "gradient_checkpointing",
    "hidden_act",
    "id2label",
    "ignore_keys_at_rope_validation",
    "init_std",
    "initial_context_length",
    "initializer_range",
    "is_decoder",
    "label2id",
    "layer_norm_eps",
    "layer_norm_epsilon",
    "length_penalty",
    "logits_scaling",
    "max_length",
    "max_window_layers",
    "min_length",
    "n_ctx",
    "n_group",
    "name_or_path",
    "no_repeat_ngram_size",
    "norm_eps",
    "norm_epsilon",
    "norm_topk_prob",
    "num_beam_groups",
    "num_beams",
    "num_labels",
    "num_return_sequences",
    "original_max_position_embeddings",
    "output_attentions",
    "output_hidden_states",
    "output_past",
    "output_router_logits",
    "output_scores",
    "pad_token_id",
    "partial_rotary_factor",
    "pretraining_tp",
    "problem_type",
    "remove_invalid_values",
    "reorder_and_upcast_attn",
    "repetition_penalty",
    "resid_pdrop",
    "residual_multiplier",
    "return_dict",
    "return_dict_in_generate",
    "rms_norm_eps",
    "rope_interleave",
    "rope_parameters",
    "rope_scaling",
    "rope_theta",
    "rotary_emb_base",
    "rotary_pct",
    "routed_scaling_factor",
    "router_aux_loss_coef",
    "router_jitter_noise",
    "scale_attn_by_inverse_layer_idx",
    "scale_attn_weights",
    "scoring_func",
    "sep_token_id",
    "seq_aux",
    "summary_activation",
    "summary_first_dropout",
    "summary_proj_to_labels",
    "summary_type",
    "summary_use_proj",
    "suppress_tokens",
    "swiglu_alpha",
    "swiglu_limit",
    "task_specific_params",
    "temperature",
    "tf_legacy_loss",
    "tie_encoder_decoder",
    "tokenizer_class",
    "top_k",
    "top_p",
    "topk_group",
    "topk_method",
    "torch_dtype",
    "torchscript",
    "transformers_version",
    "typical_p",
    "unsloth_fixed",
    "unsloth_version",
    "use_bfloat16",
    "use_cache",
    "use_mrope",
    "use_parallel_residual",
    "use_sliding_window",
};

/* Keys by which other families change shapes. */
static const char *const foreign[] = {
    "add_bias_linear",
    "add_cross_attention",
    "add_qkv_bias",
    "alt_up",
    "altup_num_inputs",
    "attention_bias",
    "attn_layer_period",
    "attention_out_bias",
    "attn_bias",
    "attn_output_gate",
    "audio_config",
    "bias",
    "block_configs",
    "decoder_sparse_step",
    "embedding_size",
    "expert_layer_period",
    "ffn_config",
    "first_k_dense_replace",
    "full_attention_interval",
    "head_dim",
    "hidden_size_per_layer_input",
    "index_n_heads",
    "is_encoder_decoder",
    "kv_lora_rank",
    "layers_block_type",
    "linear_num_key_heads",
    "linear_num_value_heads",
    "mamba_d_state",
    "mlp_bias",
    "mlp_only_layers",
    "moe_intermediate_size",
    "moe_layer_freq",
    "moe_num_experts",
    "multi_query",
    "n_routed_experts",
    "n_shared_experts",
    "new_decoder_architecture",
    "num_experts",
    "num_experts_per_tok",
    "num_key_value_heads",
    "num_kv_shared_layers",
    "num_local_experts",
    "num_shared_experts",
    "per_layer_config",
    "pruned_heads",
    "q_lora_rank",
    "qk_nope_head_dim",
    "qk_norm",
    "qk_rope_head_dim",
    "shared_expert_intermediate_size",
    "shared_intermediate_size",
    "ssm_cfg",
    "state_size",
    "qkv_bias",
    "use_bias",
    "use_qk_norm",
    "v_head_dim",
    "vision_config",
    "word_embed_proj_dim",
};

#define N_INERT   (sizeof inert / sizeof inert[0])
#define N_FOREIGN (sizeof foreign / sizeof foreign[0])

/* Keys about which there is more to say than that they are not known. */
static const struct remark {
    const char *key, *sentence;
} remarks[] = {
    {"quantization_config",
     "quantization_config is ignored: shapes are those before quantisation."},
    {"num_nextn_predict_layers",
     "layers for multi-token prediction are left out, as transformers does."},
};

static bool is_listed(const char *const *names, size_t n_names, const char *key)
{
    for (size_t i = 0; i < n_names; i++) {
        if (strcmp(names[i], key) == 0) return true;
    }
    return false;
}

static size_t count_keys(const sp_model_type *type)
{
    size_t n_keys = 0;
    while (type->keys[n_keys] != NULL)
        n_keys++;
    return n_keys;
}

/* false, 0, "", [] and {} switch a feature off. */
static bool is_off(const sp_json *value)
{
    bool truth = true;
    double number = 1.0;
    sp_error ignored;
    if (sp_json_is_object(value) || sp_json_is_array(value)) return sp_json_size(value) == 0;
    if (sp_json_is_number(value)) {
        return sp_json_as_double(value, 0.0, 0.0, &number, &ignored) == SP_OK;
    }
    return sp_json_is_bool(value) &&
           sp_json_bool(value->parent, value->key, &truth, &ignored) == SP_OK && !truth;
}

/* The keys of the type that the file does not have. */
static size_t absent_keys(const sp_json *root, const sp_model_type *type,
                          const char *absent[MAX_ABSENT])
{
    size_t n_absent = 0;
    for (const char *const *key = type->keys; *key != NULL && n_absent < MAX_ABSENT; key++) {
        if (!sp_json_has(root, *key)) absent[n_absent++] = *key;
    }
    return n_absent;
}

static void note_unknown(sp_model_build *build, const char *key, const sp_model_type *type)
{
    for (size_t i = 0; i < sizeof remarks / sizeof remarks[0]; i++) {
        if (strcmp(remarks[i].key, key) == 0) {
            sp_model_note(build, "%s", remarks[i].sentence);
            return;
        }
    }
    sp_model_note(build, "%s is not known for model_type %s and is ignored.", key, type->name);
}

static sp_status check_unknown(sp_model_build *build, const sp_json *root, const sp_json *value,
                               const sp_model_type *type, sp_error *err)
{
    const char *absent[MAX_ABSENT];
    const size_t n_absent = absent_keys(root, type, absent);
    const char *meant = sp_name_nearest(value->key, absent, n_absent);
    if (meant == NULL) {
        note_unknown(build, value->key, type);
        return SP_OK;
    }
    sp_json_fail(value, err, SP_E_UNKNOWN_KEY,
                 "it looks like a misspelling of a key that is absent");
    sp_fail_names(err, value->key, &meant, 1);
    err->range[0] = '\0'; /* the nearest name says it all */
    return SP_E_UNKNOWN_KEY;
}

static sp_status check_key(sp_model_build *build, const sp_json *root, const sp_json *value,
                           const sp_model_type *type, sp_error *err)
{
    const bool known = is_listed(type->keys, count_keys(type), value->key) ||
                       is_listed(inert, N_INERT, value->key);
    if (known || sp_json_is_null(value)) return SP_OK;
    if (!is_listed(foreign, N_FOREIGN, value->key)) {
        return check_unknown(build, root, value, type, err);
    }
    if (is_off(value)) return SP_OK;
    return sp_json_fail(value, err, SP_E_UNKNOWN_KEY,
                        "it changes the shapes of other models and is not understood for "
                        "model_type %s",
                        type->name);
}

sp_status sp_hf_check_keys(sp_model_build *build, const sp_json *root, const sp_model_type *type,
                           sp_error *err)
{
    const size_t n_members = sp_json_size(root);
    for (size_t i = 0; i < n_members; i++) {
        const sp_json value = sp_json_member(root, i);
        SP_TRY(check_key(build, root, &value, type, err));
    }
    return SP_OK;
}
