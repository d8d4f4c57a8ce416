/* SPDX-License-Identifier: Apache-2.0 */
/* The architecture columns of a row as a model: at most three kinds of layers, dense ones before
 * those with experts, or full and sliding attention by turns. */
#include "fidelity/fidelity_priv.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define MAX_LAYERS 4096u
#define MAX_WIDTH  (1u << 24)

/* What the numeric columns say. */
typedef struct dims {
    uint32_t layers, hidden, heads, kv_heads, head_dim, ffn, vocab, seq;
    uint32_t experts, topk, moe_ffn, shared_ffn, dense_layers, mtp;
} dims;

static sp_status read_dims(const sp_table *table, uint32_t row, dims *d, sp_error *err)
{
    const struct {
        sp_column column;
        uint32_t hi, *value;
    } fields[] = {
        {SP_COLUMN_LAYERS,       MAX_LAYERS, &d->layers      },
        {SP_COLUMN_HIDDEN,       1u << 20,   &d->hidden      },
        {SP_COLUMN_HEADS,        1u << 14,   &d->heads       },
        {SP_COLUMN_KV_HEADS,     1u << 14,   &d->kv_heads    },
        {SP_COLUMN_HEAD_DIM,     1u << 14,   &d->head_dim    },
        {SP_COLUMN_FFN,          MAX_WIDTH,  &d->ffn         },
        {SP_COLUMN_VOCAB,        MAX_WIDTH,  &d->vocab       },
        {SP_COLUMN_SEQ,          1u << 30,   &d->seq         },
        {SP_COLUMN_EXPERTS,      1u << 16,   &d->experts     },
        {SP_COLUMN_TOPK,         1u << 16,   &d->topk        },
        {SP_COLUMN_MOE_FFN,      MAX_WIDTH,  &d->moe_ffn     },
        {SP_COLUMN_SHARED_FFN,   MAX_WIDTH,  &d->shared_ffn  },
        {SP_COLUMN_DENSE_LAYERS, MAX_LAYERS, &d->dense_layers},
        {SP_COLUMN_MTP,          64,         &d->mtp         },
    };
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        SP_TRY(sp_table_u32(table, row, fields[i].column, fields[i].hi, fields[i].value, err));
    }
    return SP_OK;
}

static void give(sp_reason *reason, const char *text)
{
    (void)snprintf(reason->text, sizeof reason->text, "%s", text);
}

static bool is_complete(const dims *d)
{
    const bool sized = d->layers > 0 && d->hidden > 0 && d->vocab > 0;
    const bool attends = d->heads > 0 && d->kv_heads > 0 && d->head_dim > 0;
    const bool routed = d->experts > 0 && d->topk > 0 && d->topk <= d->experts && d->moe_ffn > 0;
    const bool feeds = d->experts > 0 ? routed && (d->dense_layers == 0 || d->ffn > 0) : d->ffn > 0;
    return sized && attends && feeds && d->dense_layers < d->layers;
}

/* ---- attention ---- */

/* "mla(q1536,kv512,nope128,rope64,v128)" */
static bool read_latent(const char *text, sp_attention *out)
{
    unsigned q = 0, kv = 0, nope = 0, rope = 0, v = 0;
    int end = 0;
    const int n =
        sscanf(text, "mla(q%9u,kv%9u,nope%9u,rope%9u,v%9u)%n", &q, &kv, &nope, &rope, &v, &end);
    if (n != 5 || text[end] != '\0' || kv == 0 || v == 0 || nope + rope != out->head_dim) {
        return false;
    }
    out->q_lora = q;
    out->kv_lora = kv;
    out->rope_dim = rope;
    out->v_dim = v;
    return true;
}

/* "gqa+sliding128 alternate": every other layer has a window, the first one too. */
static bool read_window(const char *text, uint32_t *window)
{
    unsigned tokens = 0;
    int end = 0;
    const bool read = sscanf(text, "gqa+sliding%9u alternate%n", &tokens, &end) == 1;
    *window = tokens;
    return read && end > 0 && text[end] == '\0' && tokens > 0;
}

static bool read_attention(const char *text, const dims *d, uint32_t traits, sp_attention *out,
                           uint32_t *window)
{
    const bool bias = (traits >> SP_TRAIT_BIAS & 1) != 0;
    *out = (sp_attention){.heads = d->heads,
                          .kv_heads = d->kv_heads,
                          .head_dim = d->head_dim,
                          .qkv_bias = bias,
                          .out_bias = bias,
                          .norms = 1,
                          .qk_norm = (traits >> SP_TRAIT_QK_NORM & 1) != 0 ? 2 * d->head_dim : 0,
                          .sinks = (traits >> SP_TRAIT_SINKS & 1) != 0};
    *window = 0;
    if (strcmp(text, "mha") == 0 || strcmp(text, "gqa") == 0) return true;
    return read_latent(text, out) || read_window(text, window);
}

/* ---- layers ---- */

static bool read_gated(const char *activation, bool *gated)
{
    *gated = strcmp(activation, "swiglu") == 0 || strcmp(activation, "geglu") == 0;
    return *gated || strcmp(activation, "gelu") == 0 || strcmp(activation, "relu2") == 0;
}

enum { DENSE, ROUTED, DENSE_WINDOW, ROUTED_WINDOW, N_KINDS };
_Static_assert((int)N_KINDS <= SP_MODEL_MAX_KINDS, "every kind has its place");

static void fill_kinds(const dims *d, const sp_attention *attention, uint32_t window, bool gated,
                       uint32_t traits, sp_model *model)
{
    const sp_ffn dense = {
        .ffn = d->ffn, .gated = gated, .bias = (traits >> SP_TRAIT_BIAS & 1) != 0, .norms = 1};
    const sp_ffn routed = {.gated = gated,
                           .norms = 1,
                           .n_experts = d->experts,
                           .top_k = d->topk,
                           .expert_ffn = d->moe_ffn,
                           .shared_ffn = d->shared_ffn,
                           .expert_bias = (traits >> SP_TRAIT_EXPERT_BIAS & 1) != 0};
    model->n_kinds = N_KINDS;
    for (uint32_t k = 0; k < N_KINDS; k++) {
        const bool slides = k == DENSE_WINDOW || k == ROUTED_WINDOW;
        model->kinds[k].attention = *attention;
        model->kinds[k].attention.window = slides ? window : 0;
        model->kinds[k].ffn = k == DENSE || k == DENSE_WINDOW ? dense : routed;
    }
}

static void deal_kinds(const dims *d, uint32_t window, uint8_t *kinds)
{
    for (uint32_t i = 0; i < d->layers; i++) {
        const bool routed = d->experts > 0 && i >= d->dense_layers;
        const bool slides = window > 0 && i % 2 == 0;
        kinds[i] =
            (uint8_t)(slides ? (routed ? ROUTED_WINDOW : DENSE_WINDOW) : (routed ? ROUTED : DENSE));
    }
}

static void fill_model(const sp_table *table, uint32_t row, const dims *d, uint32_t traits,
                       sp_model *model)
{
    model->name = sp_table_text(table, row, SP_COLUMN_MODEL);
    model->model_type = "";
    model->source = table->csv.file;
    model->hidden = d->hidden;
    model->vocab = d->vocab;
    model->positions = (traits >> SP_TRAIT_LEARNED_POSITIONS & 1) != 0 ? d->seq : 0;
    model->max_context = d->seq;
    model->tied_embeddings = (traits >> SP_TRAIT_TIED_EMBEDDINGS & 1) != 0;
    model->norm_vectors = (traits >> SP_TRAIT_LAYER_NORM & 1) != 0 ? 2 : 1;
    model->outer_norms = model->streams = 1;
    model->dropout = (traits >> SP_TRAIT_DROPOUT & 1) != 0;
    model->mtp_layers = (traits >> SP_TRAIT_PREDICTION_HEADS & 1) != 0 ? d->mtp : 0;
    model->n_layers = d->layers;
}

sp_status sp_row_model(sp_arena *arena, const sp_table *table, uint32_t row, uint32_t traits,
                       const sp_model **model, sp_reason *reason, sp_error *err)
{
    dims d = {0};
    bool gated = false;
    uint32_t window = 0;
    sp_attention attention;
    SP_TRY(read_dims(table, row, &d, err));
    reason->text[0] = '\0';
    if (!is_complete(&d)) {
        give(reason, "the architecture is not stated");
    } else if (!read_gated(sp_table_text(table, row, SP_COLUMN_FFN_ACT), &gated)) {
        give(reason, "this activation of the feed-forward block is not known");
    } else if (!read_attention(sp_table_text(table, row, SP_COLUMN_ATTN), &d, traits, &attention,
                               &window)) {
        give(reason, "this kind of attention is not known");
    }
    if (reason->text[0] != '\0') return SP_OK;
    uint8_t kinds[MAX_LAYERS];
    sp_model parts = {0};
    fill_model(table, row, &d, traits, &parts);
    fill_kinds(&d, &attention, window, gated, traits, &parts);
    deal_kinds(&d, window, kinds);
    return sp_model_assemble(arena, &parts, kinds, model, err);
}
