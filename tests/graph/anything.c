/* SPDX-License-Identifier: Apache-2.0 */
/* See anything.h. */
#include "graph/anything.h"

#include "graph/graph.h"

static uint32_t eights(draw *d, uint32_t most)
{
    return 8 * draw_between(d, 1, most);
}

/* n, or 0 half of the time. */
static uint32_t maybe(draw *d, uint32_t n)
{
    return draw_coin(d) ? n : 0;
}

static void draw_latent(sp_attention *a, draw *d)
{
    a->kv_lora = draw_between(d, 1, 512);
    a->q_lora = maybe(d, draw_between(d, 1, 512));
    a->rope_dim = draw_between(d, 0, a->head_dim - 1);
    a->kv_heads = a->heads;
}

static void draw_reach(sp_attention *a, draw *d)
{
    a->window = maybe(d, draw_between(d, 1, 3000));
    a->chunk = draw_between(d, 0, 3) == 0 ? draw_between(d, 1, 3000) : 0;
    a->compress = draw_between(d, 0, 3) == 0 ? draw_between(d, 1, 128) : 0;
    if (draw_coin(d)) return;
    a->index_top_k = draw_between(d, 1, 2048);
    if (draw_between(d, 0, 3) == 0) return; /* chosen by an earlier layer */
    a->index_heads = draw_between(d, 1, 64);
    a->index_dim = draw_between(d, 1, 128);
    a->index_block = maybe(d, draw_between(d, 1, 64));
}

static sp_attention draw_attention(draw *d)
{
    sp_attention a = {.heads = eights(d, 4),
                      .head_dim = draw_between(d, 1, 128),
                      .v_dim = maybe(d, draw_between(d, 1, 128)),
                      .norms = draw_between(d, 0, 4),
                      .qk_norm = maybe(d, draw_between(d, 1, 512)),
                      .sinks = draw_coin(d),
                      .qkv_bias = draw_coin(d),
                      .out_bias = draw_coin(d),
                      .no_rope = draw_coin(d)};
    a.kv_heads = 8 * draw_divisor(d, a.heads / 8, a.heads);
    a.gate = draw_coin(d) ? draw_between(d, 0, 1) : sp_v_dim(&a);
    if (draw_coin(d)) {
        draw_latent(&a, d);
    } else {
        a.keys_as_values = draw_coin(d);
        a.kv_cached_once = a.keys_as_values && draw_coin(d);
        a.kv_of_other = draw_coin(d);
        a.factored = draw_coin(d);
    }
    draw_reach(&a, d);
    return a;
}

static sp_recurrent draw_recurrent(draw *d)
{
    return (sp_recurrent){.form = draw_between(d, SP_RECURRENCE_MAMBA, SP_RECURRENCE_CONV),
                          .heads = eights(d, 8),
                          .key_dim = draw_between(d, 1, 128),
                          .value_dim = draw_between(d, 1, 128),
                          .in_width = eights(d, 500),
                          .conv_width = maybe(d, eights(d, 500)),
                          .conv_kernel = draw_between(d, 1, 8),
                          .vectors = eights(d, 100),
                          .norms = draw_between(d, 0, 4),
                          .conv_bias = draw_coin(d),
                          .in_bias = draw_coin(d),
                          .out_bias = draw_coin(d)};
}

static void draw_experts(sp_ffn *f, draw *d)
{
    f->n_experts = eights(d, 16);
    f->top_k = draw_between(d, 1, 8);
    f->expert_ffn = eights(d, 100);
    f->idle_experts = maybe(d, draw_between(d, 1, 64));
    f->router_in = maybe(d, draw_between(d, 1, 512));
    f->latent = maybe(d, draw_between(d, 1, 512));
    f->shared_ffn = maybe(d, eights(d, 100));
    f->shared_gate = draw_coin(d);
    f->router_bias = draw_coin(d);
    f->expert_bias = draw_coin(d);
}

static sp_ffn draw_ffn(draw *d)
{
    sp_ffn f = {.norms = draw_between(d, 0, 4), .gated = draw_coin(d)};
    if (draw_coin(d)) {
        f.ffn = eights(d, 500);
        f.bias = draw_coin(d);
    }
    if (draw_coin(d)) draw_experts(&f, d);
    return f;
}

static uint32_t draw_projections(sp_projection *projections, draw *d)
{
    const uint32_t n = draw_between(d, 0, 3);
    for (uint32_t i = 0; i < n; i++) {
        projections[i] = (sp_projection){.name = "drawn",
                                         .in = draw_between(d, 1, 1000),
                                         .out = eights(d, 100),
                                         .blocks = draw_coin(d) ? 1 : eights(d, 3),
                                         .cut = draw_coin(d),
                                         .ffn = draw_coin(d),
                                         .tied = draw_coin(d)};
    }
    return n;
}

/* A kind with a number shares attention and feed-forward with the first that has it. */
static sp_layer_kind draw_kind(const sp_model *model, uint32_t idx, draw *d)
{
    sp_layer_kind kind = {.vectors = maybe(d, draw_between(d, 1, 1000)),
                          .tied = draw_between(d, 0, 3) == 0 ? draw_between(d, 1, 2) : 0};
    if (draw_between(d, 0, 2) > 0) kind.attention = draw_attention(d);
    if (draw_coin(d)) kind.recurrent = draw_recurrent(d);
    kind.ffn = draw_ffn(d);
    kind.n_projections = draw_projections(kind.projections, d);
    for (uint32_t k = 0; kind.tied > 0 && k < idx; k++) {
        if (model->kinds[k].tied != kind.tied) continue;
        kind.attention = model->kinds[k].attention;
        kind.ffn = model->kinds[k].ffn;
        kind.n_projections = model->kinds[k].n_projections;
        for (uint32_t i = 0; i < kind.n_projections; i++) {
            kind.projections[i] = model->kinds[k].projections[i];
        }
    }
    return kind;
}

static void draw_runs(made_model *made, draw *d)
{
    sp_model *model = &made->model;
    model->n_runs = draw_between(d, 1, 8);
    model->runs = made->runs;
    for (uint32_t r = 0; r < model->n_runs; r++) {
        made->runs[r] = (sp_layer_run){.kind = draw_between(d, 0, model->n_kinds - 1),
                                       .count = draw_between(d, 1, 9)};
        model->n_layers += made->runs[r].count;
    }
}

void make_anything(made_model *made, draw *d)
{
    *made = (made_model){
        .model = {.name = "anything",
                  .model_type = "none",
                  .source = "drawn",
                  .hidden = eights(d, 300),
                  .vocab = eights(d, 5000),
                  .positions = maybe(d, 2048),
                  .tied_embeddings = draw_coin(d),
                  .head_bias = draw_coin(d),
                  .norm_vectors = draw_between(d, 0, 2),
                  .outer_norms = draw_between(d, 0, 4),
                  .vectors = maybe(d, draw_between(d, 1, 5000)),
                  .table_params = maybe(d, draw_between(d, 1, 1u << 30)),
                  .tower_params = maybe(d, draw_between(d, 1, 1u << 30)),
                  .dropout = draw_coin(d),
                  .mtp_layers = draw_between(d, 0, 2),
                  .n_kinds = draw_between(d, 1, SP_MODEL_MAX_KINDS)}
    };
    made->model.n_projections = draw_projections(made->model.projections, d);
    for (uint32_t k = 0; k < made->model.n_kinds; k++) {
        made->model.kinds[k] = draw_kind(&made->model, k, d);
    }
    draw_runs(made, d);
}
