/* SPDX-License-Identifier: Apache-2.0 */
/* See models.h. */
#include "common/models.h"

static void one_kind(made_model *made, uint32_t layers)
{
    made->model.n_layers = layers;
    made->model.n_kinds = 1;
    made->model.n_runs = 1;
    made->model.runs = made->runs;
    made->runs[0] = (sp_layer_run){.kind = 0, .count = layers};
}

void make_gpt(made_model *made, uint32_t hidden, uint32_t heads, uint32_t layers)
{
    *made = (made_model){
        .model = {.name = "gpt",
                  .model_type = "gpt2",
                  .source = "made by hand",
                  .hidden = hidden,
                  .vocab = 51200,
                  .positions = 4096,
                  .max_context = 4096,
                  .tied_embeddings = true,
                  .norm_vectors = 2,
                  .outer_norms = 1,
                  .dropout = true}
    };
    made->model.kinds[0] = (sp_layer_kind){
        .attention = {.norms = 1,
                      .heads = heads,
                      .kv_heads = heads,
                      .head_dim = hidden / heads,
                      .qkv_bias = true,
                      .out_bias = true},
        .ffn = {.norms = 1, .ffn = 4 * hidden, .bias = true}
    };
    one_kind(made, layers);
}

void make_llama(made_model *made, uint32_t hidden, uint32_t heads, uint32_t kv_heads, uint32_t ffn,
                uint32_t layers)
{
    *made = (made_model){
        .model = {.name = "llama",
                  .model_type = "llama",
                  .source = "made by hand",
                  .hidden = hidden,
                  .vocab = 64000,
                  .max_context = 8192,
                  .norm_vectors = 1,
                  .outer_norms = 1}
    };
    made->model.kinds[0] = (sp_layer_kind){
        .attention = {.norms = 1, .heads = heads, .kv_heads = kv_heads, .head_dim = hidden / heads},
        .ffn = {.norms = 1,          .ffn = ffn,               .gated = true               }
    };
    one_kind(made, layers);
}

void make_moe(made_model *made, uint32_t hidden, uint32_t heads, uint32_t ffn, uint32_t n_experts,
              uint32_t top_k, uint32_t dense, uint32_t layers)
{
    make_llama(made, hidden, heads, heads, 2 * ffn, layers);
    sp_layer_kind moe = made->model.kinds[0];
    moe.ffn = (sp_ffn){
        .norms = 1, .gated = true, .n_experts = n_experts, .top_k = top_k, .expert_ffn = ffn};
    made->model.name = "moe";
    if (dense == 0) {
        made->model.kinds[0] = moe;
        return;
    }
    made->model.kinds[1] = moe;
    made->model.n_kinds = made->model.n_runs = 2;
    made->runs[0].count = dense;
    made->runs[1] = (sp_layer_run){.kind = 1, .count = layers - dense};
}

/* Source: config.json of deepseek-ai/DeepSeek-V3, and arXiv:2412.19437, section 4.2. */
void make_deepseek_v3(made_model *made)
{
    make_moe(made, 7168, 128, 2048, 256, 8, 3, 61);
    made->model.name = "deepseek-v3";
    made->model.vocab = 129280;
    made->model.mtp_layers = 1;
    made->model.kinds[0].ffn = (sp_ffn){.norms = 1, .ffn = 18432, .gated = true};
    made->model.kinds[1].ffn.shared_ffn = 2048;
    made->model.kinds[0].attention = made->model.kinds[1].attention =
        (sp_attention){.norms = 1,
                       .heads = 128,
                       .kv_heads = 128,
                       .head_dim = 192,
                       .v_dim = 128,
                       .q_lora = 1536,
                       .kv_lora = 512,
                       .rope_dim = 64};
}

/* Source: config.json of openai/gpt-oss-20b. */
void make_gpt_oss_20b(made_model *made)
{
    make_moe(made, 2880, 64, 2880, 32, 4, 0, 24);
    made->model.name = "gpt-oss-20b";
    made->model.vocab = 201088;
    made->model.kinds[0].attention = (sp_attention){.norms = 1,
                                                    .heads = 64,
                                                    .kv_heads = 8,
                                                    .head_dim = 64,
                                                    .sinks = true,
                                                    .qkv_bias = true,
                                                    .out_bias = true,
                                                    .window = 128};
    made->model.kinds[0].ffn.router_bias = made->model.kinds[0].ffn.expert_bias = true;
    made->model.kinds[1] = made->model.kinds[0];
    made->model.kinds[1].attention.window = 0;
    made->model.n_kinds = 2;
    made->model.n_runs = 24;
    for (uint32_t i = 0; i < 24; i++) {
        made->runs[i] = (sp_layer_run){.kind = i % 2, .count = 1};
    }
}

/* Of each three layers: a recurrence in place of attention, attention alone, experts alone. All
 * layers of attention share their weights. */
void make_hybrid(made_model *made, uint32_t hidden, uint32_t heads, uint32_t layers)
{
    make_moe(made, hidden, heads, hidden, 16, 2, 0, layers);
    sp_layer_kind *kinds = made->model.kinds;
    made->model.name = "hybrid";
    kinds[0].attention.gate = 1;
    kinds[0].attention.no_rope = true;
    kinds[1] = (sp_layer_kind){.ffn = kinds[0].ffn};
    kinds[1].ffn.latent = hidden / 4;
    kinds[1].ffn.shared_ffn = hidden;
    kinds[0].ffn = (sp_ffn){0};
    kinds[0].tied = 1;
    kinds[2] = (sp_layer_kind){
        .recurrent = {.form = SP_RECURRENCE_MAMBA2,
                      .heads = 2 * heads,
                      .key_dim = 128,
                      .value_dim = 64,
                      .in_width = 2 * heads * 64 * 2 + 2 * heads * 128 + 2 * heads,
                      .conv_width = 2 * heads * 64 + 2 * heads * 128,
                      .conv_kernel = 4,
                      .vectors = 6 * heads,
                      .norms = 1}
    };
    made->model.n_kinds = made->model.n_runs = 3;
    made->runs[0] = (sp_layer_run){.kind = 2, .count = layers / 3};
    made->runs[1] = (sp_layer_run){.kind = 0, .count = layers / 3};
    made->runs[2] = (sp_layer_run){.kind = 1, .count = layers - 2 * (layers / 3)};
}

void make_random(made_model *made, draw *d)
{
    const uint32_t heads = 8 * draw_between(d, 1, 12), hidden = 128 * heads;
    const uint32_t layers = 4 * draw_between(d, 1, 24);
    switch (draw_between(d, 0, 8)) {
    case 0:
        make_deepseek_v3(made);
        return;
    case 1:
        make_gpt_oss_20b(made);
        return;
    case 2:
    case 3:
        make_gpt(made, hidden, heads, layers);
        return;
    case 4:
    case 5:
        make_llama(made, hidden, heads, draw_divisor(d, heads, heads),
                   128 * draw_between(d, 8, 200), layers);
        return;
    case 6:
        make_hybrid(made, hidden, heads, layers);
        return;
    default:
        make_moe(made, hidden, heads, 128 * draw_between(d, 4, 100), 8 * draw_between(d, 1, 8),
                 draw_between(d, 1, 8), draw_between(d, 0, 3), layers);
        return;
    }
}
