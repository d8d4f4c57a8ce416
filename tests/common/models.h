/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Models made by hand: the families that the formulas of the field are written for, with sizes
 * small enough to work out on paper. */
#include "common/draw.h"
#include "shardplan/model.h"

/* A model and the runs that it points to; it must stay where it was made. */
typedef struct made_model {
    sp_model model;
    sp_layer_run runs[24];
} made_model;

/* LayerNorm, biases, dropout, learned positions, f = 4 h, tied head: as GPT-2. */
void make_gpt(made_model *made, uint32_t hidden, uint32_t heads, uint32_t layers);
/* RMSNorm, SwiGLU, grouped-query attention, rotary positions, untied head: as Llama. */
void make_llama(made_model *made, uint32_t hidden, uint32_t heads, uint32_t kv_heads, uint32_t ffn,
                uint32_t layers);
/* The same with experts of width ffn in all layers but the first `dense` ones: as Mixtral. */
void make_moe(made_model *made, uint32_t hidden, uint32_t heads, uint32_t ffn, uint32_t n_experts,
              uint32_t top_k, uint32_t dense, uint32_t layers);
/* DeepSeek-V3: latent attention, 3 dense layers, 58 with 256 experts, one prediction module. */
void make_deepseek_v3(made_model *made);
/* gpt-oss-20b: sinks, biases everywhere, every second layer with a window of 128. */
void make_gpt_oss_20b(made_model *made);
/* Nemotron-H's like: recurrences, attention and experts in layers of their own, tied attention. */
void make_hybrid(made_model *made, uint32_t hidden, uint32_t heads, uint32_t layers);
/* One of the first three with random sizes that many counts divide, or now and then one of the two
 * above. */
void make_random(made_model *made, draw *d);
