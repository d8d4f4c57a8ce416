/* SPDX-License-Identifier: Apache-2.0 */
/* Every operator of a pass, from the embedding to the head: each kind of layer is expanded once and
 * counted as often as the model has it. */
#include "analysis/analysis_priv.h"

#include <string.h>

/* Keys and values on their way into the cache: read as activations, written in its format. */
static void add_cache_write(sp_rows *rows, const sp_pass *pass)
{
    const sp_widths *bits = &pass->question->bits;
    const double elements = sp_cache_written(pass);
    if (sp_phase_is_training(pass->phase) || elements <= 0.0) return;
    sp_operator row = {.name = "cache_write",
                       .category = "cache",
                       .layers = pass->layers,
                       .held_layers = pass->held_layers,
                       .read_bytes = elements * bits->activation / 8.0,
                       .write_bytes = elements * bits->kv_cache / 8.0};
    row.expected_s = sp_expected_stream_s(pass, &row);
    sp_rows_add(rows, pass, &row);
}

/* Recurrences, vectors and most projections are each layer's own; attention, feed-forward blocks
 * and tied projections are held once by all layers with the same number (model.h). */
bool sp_op_is_own(const sp_layer_kind *kind, const sp_op *op)
{
    const bool recurrent = strncmp(op->name, "recurrent_", strlen("recurrent_")) == 0;
    if (kind->tied == 0 || op->part == SP_PART_RECURRENT || recurrent ||
        strcmp(op->name, "vectors") == 0) {
        return true;
    }
    for (uint32_t i = 0; i < kind->n_projections; i++) {
        if (op->name == kind->projections[i].name) return !kind->projections[i].tied;
    }
    return false;
}

/* Of the layers of a tied kind, the ones that bring the weights along: one of the first kind with
 * its number. */
uint32_t sp_tied_holders(const sp_model *model, const sp_layer_kind *kind)
{
    for (const sp_layer_kind *k = model->kinds; k < kind; k++) {
        if (k->tied == kind->tied) return 0;
    }
    return 1;
}

static void add_ops(sp_rows *rows, const sp_pass *pass, const sp_layer_work *work, uint32_t first,
                    uint32_t last)
{
    bool written = first > 0;
    sp_pass shared = *pass;
    shared.held_layers = sp_tied_holders(pass->question->model, pass->kind);
    for (uint32_t i = first; i < last; i++) {
        const sp_op *op = &work->ops[i];
        if (!written && op->class == SP_OP_ATTENTION && op->part == SP_PART_ATTENTION) {
            add_cache_write(rows, pass);
            written = true;
        }
        sp_rows_add_op(rows, sp_op_is_own(pass->kind, op) ? pass : &shared, op);
    }
    /* Formulas need not say which of their kernels reads the cache. */
    if (pass->kind->formula != NULL && last > first && !written) add_cache_write(rows, pass);
}

/* Dense feed-forward layers that run whole on every tp rank, each on its share of the tokens. */
static sp_pass without_tp(const sp_pass *pass)
{
    sp_pass alone = *pass;
    alone.shape.tokens /= pass->sharding.tp;
    alone.shape.sequences /= pass->sharding.tp;
    alone.sharding.tp = 1;
    return alone;
}

static void add_layer(sp_rows *rows, const sp_pass *pass)
{
    const sp_model *model = pass->question->model;
    const bool dense = pass->kind->ffn.n_experts == 0;
    sp_layer_work work;
    sp_graph_layer(model, pass->kind, &pass->shape, &pass->sharding, true, &work);
    add_ops(rows, pass, &work, 0, work.n_attention_ops);
    sp_rows_add_collectives(rows, pass, &work, true);

    const sp_pass ffn_pass = dense && pass->question->dense_dp ? without_tp(pass) : *pass;
    sp_graph_layer(model, pass->kind, &ffn_pass.shape, &ffn_pass.sharding, true, &work);
    add_ops(rows, &ffn_pass, &work, work.n_attention_ops, work.n_ops);
    sp_rows_add_collectives(rows, pass, &work, false);
}

static void add_kinds(sp_rows *rows, const sp_pass *pass)
{
    const sp_model *model = pass->question->model;
    for (uint32_t k = 0; k < model->n_kinds; k++) {
        sp_pass layers = *pass;
        layers.kind = &model->kinds[k];
        layers.layers = layers.held_layers = sp_model_layers_of_kind(model, k);
        if (layers.layers > 0) add_layer(rows, &layers);
    }
}

/* The embedding or the head of a formula model. */
static void add_counted(sp_rows *rows, const sp_pass *pass, const sp_layer_work *work)
{
    for (uint32_t i = 0; i < work->n_ops; i++) {
        sp_rows_add_op(rows, pass, &work->ops[i]);
    }
}

/* A look-up reads the rows of the table that are asked for, those of its vocabulary on each tp
 * rank; the backward pass adds to them. The other operators of this end are ordinary ones. */
static void add_embedding(sp_rows *rows, const sp_pass *pass)
{
    const sp_widths *bits = &pass->question->bits;
    sp_layer_work work;
    sp_graph_embedding_work(pass->question->model, &pass->shape, &pass->sharding, &work);
    if (pass->question->model->formulas != NULL) {
        add_counted(rows, pass, &work);
        return;
    }
    const sp_op *look_up = &work.ops[0];
    sp_operator row = sp_row_of(pass, look_up, look_up->name);
    row.parameters = look_up->k;
    row.held_bytes = look_up->k * bits->embedding / 8.0;
    row.weight_bytes = look_up->m / pass->sharding.tp * bits->embedding / 8.0;
    row.write_bytes = look_up->n * bits->activation / 8.0;
    row.expected_s = sp_expected_stream_s(pass, &row);
    sp_rows_add(rows, pass, &row);
    sp_rows_add_embedding_sum(rows, pass);
    for (uint32_t i = 1; i < work.n_ops; i++) {
        sp_rows_add_op(rows, pass, &work.ops[i]);
    }
}

/* Further tables and encoders of images or sound: held, and met by no token of text. */
static void add_unmet(sp_rows *rows, const sp_pass *pass)
{
    const sp_model *model = pass->question->model;
    const double held = (double)model->table_params + (double)model->tower_params;
    if (held <= 0.0) return;
    const sp_operator row = {.name = "tables_and_encoders",
                             .category = "embedding",
                             .layers = 1,
                             .held_layers = 1,
                             .parameters = held,
                             .held_bytes = held * pass->question->bits.attention_weight / 8.0};
    sp_rows_add(rows, pass, &row);
}

/* The head's product; tied to the embedding, or shared by prediction modules, it has no parameters
 * of its own. */
static void add_head(sp_rows *rows, const sp_pass *pass, const sp_op *head, bool own)
{
    sp_rows_add_op(rows, pass, head);
    sp_operator *row = &rows->row[rows->n - 1];
    if (own) return;
    row->parameters = head->vectors;
    row->held_bytes = head->vectors * pass->question->bits.norm / 8.0;
}

static void add_end(sp_rows *rows, const sp_pass *pass)
{
    const sp_model *model = pass->question->model;
    const sp_shape shape = {.sequences = pass->shape.sequences,
                            .tokens = pass->head_tokens,
                            .length = pass->head_tokens / pass->shape.sequences};
    sp_layer_work work;
    sp_graph_head_work(model, &shape, &pass->sharding, &work);
    if (model->formulas != NULL) {
        add_counted(rows, pass, &work);
        return;
    }
    for (uint32_t i = 0; i + 1 < work.n_ops; i++) {
        sp_rows_add_op(rows, pass, &work.ops[i]);
    }
    add_head(rows, pass, &work.ops[work.n_ops - 1], !model->tied_embeddings);
    sp_rows_add_logits(rows, pass);
}

static sp_op norm_op(const sp_model *model, const char *name, double rows)
{
    const double elements = rows * model->hidden;
    return (sp_op){.name = name,
                   .class = SP_OP_STREAM,
                   .part = SP_PART_NORM,
                   .m = elements,
                   .n = elements,
                   .k = (double)model->norm_vectors * model->hidden,
                   .count = 1.0};
}

/* Modules for the tokens after the next: norms of the hidden state and of the next embedding, their
 * projection, a layer like the last one, a norm, the head again. */
static void add_mtp(sp_rows *rows, const sp_pass *pass)
{
    const sp_model *model = pass->question->model;
    if (!pass->question->mtp || model->mtp_layers == 0) return;
    const sp_shape shape = {.tokens = pass->head_tokens};
    const sp_op projection = sp_graph_mtp_projection(model, &pass->shape, &pass->sharding);
    const sp_op first = norm_op(model, "mtp_norm", pass->shape.tokens);
    const sp_op last = norm_op(model, "mtp_final_norm", pass->head_tokens);
    sp_op head = sp_graph_head(model, &shape, &pass->sharding);
    sp_pass module = *pass;
    head.name = "mtp_head";
    head.vectors = 0.0;
    module.layers = module.held_layers = 2 * model->mtp_layers;
    sp_rows_add_op(rows, &module, &first);
    module.layers = module.held_layers = model->mtp_layers;
    sp_rows_add_op(rows, &module, &projection);
    module.kind = sp_model_layer(model, model->n_layers - 1);
    add_layer(rows, &module);
    sp_rows_add_op(rows, &module, &last);
    add_head(rows, &module, &head, false);
}

void sp_rows_add_model(sp_rows *rows, const sp_pass *pass)
{
    rows->phase_first = rows->n;
    add_embedding(rows, pass);
    add_unmet(rows, pass);
    add_kinds(rows, pass);
    add_end(rows, pass);
    add_mtp(rows, pass);
}
