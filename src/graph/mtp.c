/* SPDX-License-Identifier: Apache-2.0 */
/* Multi-token prediction: parameters, the projection and FLOPs of the modules behind the last
 * layer. Their layer is expanded like any other (sp_graph_layer of the last kind), and so is their
 * pass through the head (sp_graph_head). */
#include "graph/graph.h"

sp_layer_params sp_graph_mtp_params(const sp_model *model, const sp_sharding *sharding)
{
    if (model->mtp_layers == 0) {
        return (sp_layer_params){0};
    }
    const double h = model->hidden, norm = model->norm_vectors * h;
    const sp_layer_params layer =
        sp_graph_layer_params(model, sp_model_layer(model, model->n_layers - 1), sharding);
    const double dense = layer.dense + 2.0 * h * h / sharding->tp + 3.0 * norm;
    return (sp_layer_params){.dense = model->mtp_layers * dense,
                             .expert = model->mtp_layers * layer.expert};
}

sp_op sp_graph_mtp_projection(const sp_model *model, const sp_shape *shape,
                              const sp_sharding *sharding)
{
    const double h = model->hidden, columns = h / sharding->tp;
    return (sp_op){.name = "mtp_projection",
                   .class = SP_OP_GEMM,
                   .part = SP_PART_FFN,
                   .m = shape->tokens,
                   .n = columns,
                   .k = 2.0 * h,
                   .count = 1.0,
                   .flops = 2.0 * shape->tokens * columns * 2.0 * h};
}

double sp_graph_mtp_forward_flops(const sp_model *model, double length, double tokens)
{
    if (model->mtp_layers == 0) {
        return 0.0;
    }
    const sp_shape shape = {
        .sequences = tokens / length, .tokens = tokens, .length = length, .context = length / 2.0};
    const sp_sharding whole = {.tp = 1, .cp = 1, .ep = 1, .etp = 1};
    double flops = sp_graph_mtp_projection(model, &shape, &whole).flops +
                   sp_graph_head(model, &shape, &whole).flops;
    sp_layer_work work;
    sp_graph_layer(model, sp_model_layer(model, model->n_layers - 1), &shape, &whole, true, &work);
    for (uint32_t i = 0; i < work.n_ops; i++) {
        flops += work.ops[i].flops;
    }
    return model->mtp_layers * flops;
}
