/* SPDX-License-Identifier: Apache-2.0 */
/* Every operator of a pass, from the embedding to the head: each kind of layer is expanded once and
 * counted as often as the model has it. */
#include "analysis/analysis_priv.h"

static void add_ops(sp_rows *rows, const sp_pass *pass, const sp_layer_kind *kind,
                    const sp_layer_work *work, uint32_t first, uint32_t last, uint32_t layers)
{
    for (uint32_t i = first; i < last; i++) {
        sp_rows_add_op(rows, pass, kind, &work->ops[i], layers);
    }
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

static void add_kind(sp_rows *rows, const sp_pass *pass, const sp_layer_kind *kind, uint32_t layers)
{
    const sp_model *model = pass->question->model;
    sp_layer_work work;
    sp_graph_layer(model, kind, &pass->shape, &pass->sharding, true, &work);
    add_ops(rows, pass, kind, &work, 0, work.n_attention_ops, layers);
    sp_rows_add_collectives(rows, pass, &work, true, layers);

    const bool dense = kind->ffn.n_experts == 0;
    const sp_pass ffn_pass = dense && pass->question->dense_dp ? without_tp(pass) : *pass;
    sp_graph_layer(model, kind, &ffn_pass.shape, &ffn_pass.sharding, true, &work);
    add_ops(rows, &ffn_pass, kind, &work, work.n_attention_ops, work.n_ops, layers);
    sp_rows_add_collectives(rows, &ffn_pass, &work, false, layers);
}

static uint32_t layers_of_kind(const sp_model *model, uint32_t kind)
{
    uint32_t layers = 0;
    for (uint32_t r = 0; r < model->n_runs; r++) {
        layers += model->runs[r].kind == kind ? model->runs[r].count : 0;
    }
    return layers;
}

/* The embedding or the head of a formula model. */
static void add_end(sp_rows *rows, const sp_pass *pass, const sp_shape *shape, bool embedding)
{
    const sp_model *model = pass->question->model;
    sp_layer_work work;
    if (embedding) {
        sp_graph_embedding_work(model, shape, &pass->sharding, &work);
    } else {
        sp_graph_head_work(model, shape, &pass->sharding, &work);
    }
    add_ops(rows, pass, NULL, &work, 0, work.n_ops, 1);
}

/* Of every sequence the tokens that become logits. */
static void add_formula_head(sp_rows *rows, const sp_pass *pass)
{
    sp_shape shape = pass->shape;
    shape.length = pass->head_tokens / shape.sequences;
    shape.tokens = pass->head_tokens;
    add_end(rows, pass, &shape, false);
}

/* A look-up reads the rows of the table that are asked for; the backward pass adds to them. */
static void add_embedding(sp_rows *rows, const sp_pass *pass)
{
    const sp_model *model = pass->question->model;
    const sp_widths *bits = &pass->question->bits;
    const double elements = pass->shape.tokens * model->hidden;
    if (model->formulas != NULL) {
        add_end(rows, pass, &pass->shape, true);
        return;
    }
    const double tables = model->positions > 0 ? 2.0 : 1.0;
    const sp_operator row = {
        .name = "embedding",
        .category = "embedding",
        .layers = 1,
        .parameters = sp_graph_embedding_params(model, &pass->sharding),
        .held_bytes =
            sp_graph_embedding_params(model, &pass->sharding) * bits->attention_weight / 8.0,
        .weight_bytes = tables * elements * bits->attention_weight / 8.0 / pass->sharding.tp,
        .write_bytes = elements * bits->activation / 8.0};
    sp_rows_add(rows, pass, &row);
}

static void add_final_norm(sp_rows *rows, const sp_pass *pass)
{
    const sp_model *model = pass->question->model;
    const double elements = pass->head_tokens * model->hidden;
    if (model->outer_norms == 0) return;
    const sp_op norm = {.name = "final_norm",
                        .class = SP_OP_STREAM,
                        .part = SP_PART_NORM,
                        .m = elements,
                        .n = elements,
                        .k = (double)model->norm_vectors * model->hidden,
                        .count = 1.0};
    sp_rows_add_op(rows, pass, NULL, &norm, 1);
}

/* Tied to the embedding, the head has no parameters of its own. */
static void add_head(sp_rows *rows, const sp_pass *pass)
{
    const sp_model *model = pass->question->model;
    const sp_shape shape = {.tokens = pass->head_tokens};
    sp_op head = sp_graph_head(model, &shape, &pass->sharding);
    head.part = SP_PART_HEAD;
    sp_rows_add_op(rows, pass, NULL, &head, 1);
    sp_operator *row = &rows->row[rows->n - 1];
    if (model->tied_embeddings) row->parameters = row->held_bytes = 0.0;
}

/* Modules for the tokens after the next: projection, a layer like the last one, the head again. */
static void add_mtp(sp_rows *rows, const sp_pass *pass)
{
    const sp_model *model = pass->question->model;
    if (!pass->question->mtp || model->mtp_layers == 0) return;
    sp_op projection = sp_graph_mtp_projection(model, &pass->shape, &pass->sharding);
    projection.part = SP_PART_HEAD;
    sp_rows_add_op(rows, pass, NULL, &projection, model->mtp_layers);
    add_kind(rows, pass, sp_model_layer(model, model->n_layers - 1), model->mtp_layers);
    const sp_shape shape = {.tokens = pass->head_tokens};
    sp_op head = sp_graph_head(model, &shape, &pass->sharding);
    head.name = "mtp_head";
    head.part = SP_PART_HEAD;
    sp_rows_add_op(rows, pass, NULL, &head, model->mtp_layers);
    rows->row[rows->n - 1].parameters = rows->row[rows->n - 1].held_bytes = 0.0;
}

void sp_rows_add_model(sp_rows *rows, const sp_pass *pass)
{
    const sp_model *model = pass->question->model;
    rows->phase_first = rows->n;
    add_embedding(rows, pass);
    for (uint32_t k = 0; k < model->n_kinds; k++) {
        add_kind(rows, pass, &model->kinds[k], layers_of_kind(model, k));
    }
    if (model->formulas != NULL) {
        add_formula_head(rows, pass);
        return;
    }
    add_final_norm(rows, pass);
    add_head(rows, pass);
    add_mtp(rows, pass);
}
