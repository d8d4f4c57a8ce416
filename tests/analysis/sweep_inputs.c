/* SPDX-License-Identifier: Apache-2.0 */
/* The reference's inputs as ours; see sweep_records.h. */
#include "sweep_records.h"

#include <string.h>

sp_chip reference_chip(const sp_json *record)
{
    return (sp_chip){.flops_per_s = reference_number(record, "hardware/peak_performance"),
                     .bytes_per_s = reference_number(record, "hardware/memory_bandwidth"),
                     .capacity_bytes = reference_number(record, "hardware/memory_capacity"),
                     .tdp_watts = reference_number(record, "hardware/tdp_w"),
                     .price_usd = reference_number(record, "hardware/cost_usd")};
}

sp_economics reference_money(const sp_json *record)
{
    return (sp_economics){
        .lifetime_years = reference_number(record, "metrics_inputs/tco_params/lifetime_years"),
        .utilization_ratio = reference_number(record, "metrics_inputs/tco_params/utilization"),
        .pue = reference_number(record, "metrics_inputs/tco_params/pue"),
        .usd_per_kwh = reference_number(record, "metrics_inputs/tco_params/electricity_price"),
        .grid_g_per_kwh = reference_number(record, "metrics/co2e/carbon_intensity_gco2_kwh"),
        .embodied_kg = reference_number(record, "hardware/carbon_mfg_kgco2e"),
        .compute_power_ratio = reference_number(record, "hardware/compute_power_frac"),
        .score_flops_per_joule = 1e11,
        .score_price_usd = 1e4,
        .score_g_per_eflop = 1e3,
        .score_no_fit = 0.3};
}

/* A member of the config of a record, `config` naming where it lies. */
static uint32_t member(const sp_json *record, const char *config, const char *name, uint32_t absent)
{
    char path[96];
    (void)strcpy(path, config);
    (void)strcat(path, "/");
    (void)strcat(path, name);
    return reference_has(record, path) ? (uint32_t)reference_number(record, path) : absent;
}

static bool flag(const sp_json *record, const char *config, const char *name)
{
    const sp_json object = sp_json_get(record, config);
    bool set = false;
    sp_error err = {0};
    must(sp_json_bool_or(&object, name, false, &set, &err), &err);
    return set;
}

void reference_model(const sp_json *record, const char *config, made_model *made)
{
    const uint32_t heads = member(record, config, "num_heads", 0);
    const uint32_t hidden = member(record, config, "hidden_size", 0);
    const uint32_t ffn = member(record, config, "intermediate_size", 4 * hidden);
    make_llama(made, hidden, heads, member(record, config, "num_key_value_heads", heads), ffn,
               member(record, config, "num_layers", 0));
    made->model.vocab = member(record, config, "vocab_size", 32000);
    made->model.norm_vectors = flag(record, config, "use_rmsnorm") ? 1 : 2;
    sp_layer_kind *kind = &made->model.kinds[0];
    kind->ffn.gated = flag(record, config, "use_gate_ffn");
    kind->attention.no_rope = member(record, config, "rope_theta", 0) == 0;
    if (member(record, config, "num_experts_per_tok", 0) == 0) return;
    kind->ffn.gated = true;
    kind->ffn.ffn = 0;
    kind->ffn.expert_ffn = ffn;
    kind->ffn.top_k = member(record, config, "num_experts_per_tok", 0);
    kind->ffn.n_experts = member(record, config, "num_local_experts", 0);
}

sp_analysis_question reference_ask(const sp_json *record, const made_model *made, const sp_gpu *gpu)
{
    sp_analysis_question q = {.model = &made->model, .gpu = gpu};
    sp_analysis_defaults(&q);
    q.batch = (uint64_t)reference_number(record, "config/batch_size");
    q.prompt_tokens = (uint64_t)reference_number(record, "config/seq_len");
    q.generated_tokens = (uint64_t)reference_number(record, "config/max_gen_len");
    q.flash = flag(record, "config", "use_flash_attn");
    q.bits.activation = q.bits.norm = reference_number(record, "config/quant_config/activation");
    q.bits.attention_weight = reference_number(record, "config/quant_config/weight_attn");
    q.bits.embedding = q.bits.attention_weight;
    q.bits.ffn_weight = reference_number(record, "config/quant_config/weight_ffn");
    q.bits.kv_cache = reference_number(record, "config/quant_config/kv_cache");
    q.bits.rope = reference_number(record, "config/quant_config/rope_bit");
    return q;
}

sp_analysis_question reference_question(const sp_json *record, const made_model *made, sp_gpu *gpu)
{
    *gpu = (sp_gpu){.name = "of the record",
                    .memory_bytes = reference_number(record, "hardware/memory_capacity"),
                    .memory_bytes_per_s = reference_number(record, "hardware/memory_bandwidth"),
                    .tdp_watts = reference_number(record, "hardware/tdp_w")};
    gpu->peak_flops_per_s[SP_BF16] = reference_number(record, "hardware/peak_performance_fp16");
    gpu->peak_flops_per_s[SP_FP32] = reference_number(record, "hardware/peak_performance");
    return reference_ask(record, made, gpu);
}
