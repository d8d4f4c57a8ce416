/* SPDX-License-Identifier: Apache-2.0 */
/* Expands a layer into the operators of its blocks, and counts what layers hold. */
#include "graph/graph.h"

#include <assert.h>
#include <stddef.h>

#define SP_BLOCK(name) extern const sp_block sp_block_##name;
#include "graph/layers.def"
#undef SP_BLOCK

/* What a layer is expanded from. */
typedef struct expansion {
    const sp_model *model;
    const sp_layer_kind *kind;
    const sp_shape *shape;
    const sp_sharding *sharding;
    bool flash;
} expansion;

static inline void add_block(const sp_block *block, const expansion *of, sp_layer_work *work)
{
    if (!block->present(of->kind)) return;
    const sp_layer_params part = block->params(of->model, of->kind, of->sharding);
    work->params.dense += part.dense;
    work->params.expert += part.expert;
    block->expand(of->model, of->kind, of->shape, of->sharding, of->flash, work);
}

static void expand(const sp_model *model, const sp_layer_kind *kind, const sp_shape *shape,
                   const sp_sharding *sharding, bool flash, sp_layer_work *work)
{
    assert(sharding->tp >= 1 && sharding->cp >= 1 && sharding->ep >= 1 && sharding->etp >= 1);
    work->n_ops = work->n_attention_ops = 0;
    work->n_tensors = work->n_attention_tensors = 0;
    work->gradient_bytes = 0.0;
    work->attention = work->ffn = (sp_block_comm){0};
    work->params = (sp_layer_params){0};
    /* With sequence parallelism the block's input is gathered while it runs; its gradient is live.
     */
    work->input_bytes = 2.0 * model->hidden * sp_whole_rows(shape, sharding);
    work->working_bytes =
        work->input_bytes + (sharding->sp ? 2.0 * model->hidden * shape->tokens : 0.0);
    /* Block by block and not from a table: the compiler then sees through present(), and blocks
     * that a layer lacks cost next to nothing. */
    const expansion of = {model, kind, shape, sharding, flash};
#define SP_BLOCK(name) add_block(&sp_block_##name, &of, work);
#include "graph/layers.def"
#undef SP_BLOCK
    work->working_bytes += work->gradient_bytes;
}

void sp_graph_layer(const sp_model *model, const sp_layer_kind *kind, const sp_shape *shape,
                    const sp_sharding *sharding, bool flash, sp_layer_work *work)
{
    work->without_ops = false;
    expand(model, kind, shape, sharding, flash, work);
}

void sp_graph_kept(const sp_model *model, const sp_layer_kind *kind, const sp_shape *shape,
                   const sp_sharding *sharding, bool flash, sp_layer_work *work)
{
    work->without_ops = true;
    expand(model, kind, shape, sharding, flash, work);
}

/* Of a block, or of what tied layers share of it. */
static inline void count_block(const sp_block *block, const expansion *of, bool shared_alone,
                               sp_layer_params *sum)
{
    if (!block->present(of->kind)) return;
    if (shared_alone && block->own) {
        sum->dense += block->shared != NULL ? block->shared(of->kind, of->sharding) : 0.0;
        return;
    }
    const sp_layer_params part = block->params(of->model, of->kind, of->sharding);
    sum->dense += part.dense;
    sum->expert += part.expert;
}

static sp_layer_params sum_blocks(const sp_model *model, const sp_layer_kind *kind,
                                  const sp_sharding *sharding, bool shared_alone)
{
    const expansion of = {.model = model, .kind = kind, .sharding = sharding};
    sp_layer_params sum = {0};
#define SP_BLOCK(name) count_block(&sp_block_##name, &of, shared_alone, &sum);
#include "graph/layers.def"
#undef SP_BLOCK
    return sum;
}

sp_layer_params sp_graph_layer_params(const sp_model *model, const sp_layer_kind *kind,
                                      const sp_sharding *sharding)
{
    return sum_blocks(model, kind, sharding, false);
}

sp_layer_params sp_graph_tied_params(const sp_model *model, const sp_layer_kind *kind,
                                     const sp_sharding *sharding)
{
    return kind->tied > 0 ? sum_blocks(model, kind, sharding, true) : (sp_layer_params){0};
}

/* Copies of the shared part beyond those in memory: all of them, but one for the first kind with
 * the number. */
static double copies_spared(const sp_model *model, uint32_t kind, const double *n_layers)
{
    const uint32_t tied = model->kinds[kind].tied;
    for (uint32_t k = 0; k < kind; k++) {
        if (model->kinds[k].tied == tied && n_layers[k] > 0.0) return n_layers[kind];
    }
    return n_layers[kind] > 0.0 ? n_layers[kind] - 1.0 : 0.0;
}

sp_layer_params sp_graph_spared_params(const sp_model *model, const sp_layer_params *tied,
                                       const double *n_layers)
{
    sp_layer_params sum = {0};
    for (uint32_t k = 0; k < model->n_kinds; k++) {
        if (model->kinds[k].tied > 0) {
            const double spared = copies_spared(model, k, n_layers);
            sum.dense += spared * tied[k].dense;
            sum.expert += spared * tied[k].expert;
        }
    }
    return sum;
}

/* Of all layers: each for itself, less what tied ones share. */
static sp_layer_params all_layers_params(const sp_model *model, const sp_sharding *sharding)
{
    sp_layer_params sum = {0}, tied[SP_MODEL_MAX_KINDS];
    double n_layers[SP_MODEL_MAX_KINDS] = {0};
    for (uint32_t r = 0; r < model->n_runs; r++) {
        n_layers[model->runs[r].kind] += model->runs[r].count;
    }
    for (uint32_t k = 0; k < model->n_kinds; k++) {
        const sp_layer_params layer = sp_graph_layer_params(model, &model->kinds[k], sharding);
        tied[k] = sp_graph_tied_params(model, &model->kinds[k], sharding);
        sum.dense += n_layers[k] * layer.dense;
        sum.expert += n_layers[k] * layer.expert;
    }
    const sp_layer_params spared = sp_graph_spared_params(model, tied, n_layers);
    return (sp_layer_params){.dense = sum.dense - spared.dense,
                             .expert = sum.expert - spared.expert};
}

sp_layer_params sp_graph_model_params(const sp_model *model, const sp_sharding *sharding)
{
    const double table = (double)model->vocab * model->hidden / sharding->tp;
    sp_layer_params sum = all_layers_params(model, sharding);
    sum.dense += sp_graph_embedding_params(model, sharding) +
                 sp_graph_head_params(model, sharding) - (model->tied_embeddings ? table : 0.0);
    return sum;
}

static double flops_of(const sp_layer_work *work)
{
    double flops = 0.0;
    for (uint32_t i = 0; i < work->n_ops; i++) {
        flops += work->ops[i].flops;
    }
    return flops;
}

double sp_graph_forward_flops(const sp_model *model, double length, double tokens)
{
    const sp_shape shape = {
        .sequences = tokens / length, .tokens = tokens, .length = length, .context = length / 2.0};
    const sp_sharding whole = {.tp = 1, .cp = 1, .ep = 1, .etp = 1};
    sp_layer_work work;
    double flops = sp_graph_head(model, &shape, &whole).flops;
    for (uint32_t r = 0; r < model->n_runs; r++) {
        sp_graph_layer(model, &model->kinds[model->runs[r].kind], &shape, &whole, true, &work);
        for (uint32_t i = 0; i < work.n_ops; i++) {
            flops += model->runs[r].count * work.ops[i].flops;
        }
    }
    if (model->n_projections > 0 || model->formulas != NULL) {
        sp_graph_embedding_work(model, &shape, &whole, &work);
        flops += flops_of(&work);
    }
    return flops;
}
