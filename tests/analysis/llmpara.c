/* SPDX-License-Identifier: Apache-2.0 */
/* See llmpara.h. */
#include "analysis/llmpara.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static uint32_t count_or(const sp_json *config, const char *key, uint32_t fallback)
{
    const uint32_t value = count_in(config, key);
    return value > 0 ? value : fallback;
}

static sp_attention attention_of(const sp_json *config)
{
    const uint32_t h = count_in(config, "hidden_size"), n = count_in(config, "num_heads");
    if (flag_in(config, "use_mla")) {
        const uint32_t rope = count_in(config, "mla_qk_rope_head_dim");
        return (sp_attention){.heads = n,
                              .kv_heads = n,
                              .head_dim = count_in(config, "mla_qk_nope_head_dim") + rope,
                              .v_dim = count_in(config, "mla_v_head_dim"),
                              .q_lora = count_in(config, "mla_q_lora_rank"),
                              .kv_lora = count_in(config, "mla_kv_lora_rank"),
                              .rope_dim = rope,
                              .norms = 1};
    }
    const bool rope = number_in(config, "rope_theta") > 0.0 || flag_in(config, "use_rope");
    return (sp_attention){.heads = n,
                          .kv_heads = count_or(config, "num_key_value_heads", n),
                          .head_dim = h / n,
                          .norms = 1,
                          .no_rope = !rope};
}

/* Its experts are gated whatever the config says. */
static sp_ffn ffn_of(const sp_json *config)
{
    const uint32_t width = count_in(config, "intermediate_size");
    const uint32_t n_experts = count_in(config, "num_local_experts");
    if (n_experts > 0) {
        return (sp_ffn){.gated = true,
                        .norms = 1,
                        .n_experts = n_experts,
                        .top_k = count_in(config, "num_experts_per_tok"),
                        .expert_ffn = width};
    }
    return (sp_ffn){.ffn = width, .gated = flag_in(config, "use_gate_ffn"), .norms = 1};
}

const sp_model *llmpara_model(sp_arena *arena, const sp_json *config)
{
    static const uint8_t kind_of_layer[512] = {0};
    const bool rms = flag_in(config, "use_rmsnorm") || !sp_json_has(config, "use_rmsnorm");
    const double factor = number_in(config, "rope_scaling_factor");
    const sp_model parts = {.name = "recorded",
                            .model_type = "llama",
                            .source = "LLM-para",
                            .hidden = count_in(config, "hidden_size"),
                            .vocab = count_or(config, "vocab_size", 32000),
                            .norm_vectors = rms ? 1 : 2,
                            .outer_norms = 1,
                            .streams = 1,
                            .rope_theta = number_in(config, "rope_theta"),
                            .rope_factor = factor > 0.0 ? factor : 1.0,
                            .n_layers = count_in(config, "num_layers"),
                            .n_kinds = 1,
                            .kinds = {{.attention = attention_of(config), .ffn = ffn_of(config)}}};
    const sp_model *model = NULL;
    sp_error err = {0};
    if (sp_model_assemble(arena, &parts, kind_of_layer, &model, &err) != SP_OK) {
        fail_msg("%s", err.message);
    }
    return model;
}

sp_analysis_question llmpara_question(sp_arena *arena, const sp_json *record)
{
    const sp_json config = sp_json_get(record, "config");
    const sp_json bits = sp_json_get(&config, "quant_config");
    sp_analysis_question q = plain_question(llmpara_model(arena, &config));
    q.batch = count_in(&config, "batch_size");
    q.prompt_tokens = count_in(&config, "seq_len");
    q.generated_tokens = count_in(&config, "max_gen_len");
    /* Its latent attention is never fused. */
    q.flash = flag_in(&config, "use_flash_attn") && !flag_in(&config, "use_mla");
    q.bits = (sp_widths){.activation = number_in(&bits, "activation"),
                         .attention_weight = number_in(&bits, "weight_attn"),
                         .ffn_weight = number_in(&bits, "weight_ffn"),
                         .kv_cache = number_in(&bits, "kv_cache"),
                         .rope = number_in(&bits, "rope_bit"),
                         .norm = number_in(&bits, "activation"),
                         .embedding = number_in(&bits, "weight_attn")};
    return q;
}

sp_json llmpara_row(const sp_json *record, const char *phase, const char *operation)
{
    const sp_json rows = sp_json_get(record, "rows");
    const bool head = sp_json_has(record, "summary");
    for (size_t i = 0; i < sp_json_size(&rows); i++) {
        const sp_json row = sp_json_at(&rows, i);
        if (strcmp(word_in(&row, head ? "phase" : "Phase"), phase) == 0 &&
            strcmp(word_in(&row, head ? "operation" : "Operation"), operation) == 0) {
            return row;
        }
    }
    fail_msg("%s: no row %s of %s", word_in(record, "id"), operation, phase);
    return rows;
}
