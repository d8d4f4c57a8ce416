/* SPDX-License-Identifier: Apache-2.0 */
/* The dense feed-forward block: norm, up (and gate), activation, down, residual.
 * Kept activations follow Korthikanti et al., MLSys 2023 (19 s b h for GPT with f = 4 h). */
#include "graph/graph.h"

static bool present(const sp_layer_kind *kind)
{
    return kind->ffn.n_experts == 0;
}

static void expand(const sp_model *model, const sp_layer_kind *kind, const sp_shape *s,
                   const sp_sharding *shard, bool flash, sp_layer_work *work)
{
    (void)flash;
    const double h = model->hidden, tokens = s->tokens;
    const double whole = tokens / (shard->sp ? shard->tp : 1);
    const double f = (double)kind->ffn.ffn / shard->tp;
    const double columns = kind->ffn.gated ? 2.0 * f : f;
    const double mask = model->dropout ? 1.0 : 0.0;

    sp_op_stream(work, "ffn_norm", 4.0 * h * whole)->kept_bytes = 2.0 * h * whole;
    sp_op_gemm(work, "ffn_up", tokens, columns, h)->kept_bytes = 2.0 * h * whole;
    sp_op_stream(work, "ffn_activation", 2.0 * (columns + f) * tokens)->kept_bytes =
        2.0 * columns * tokens;
    sp_op_gemm(work, "ffn_down", tokens, h, f)->kept_bytes = 2.0 * f * tokens;
    sp_op_stream(work, "ffn_residual", (6.0 + 2.0 * mask) * h * whole)->kept_bytes =
        mask * h * whole;

    work->ffn.tp_exchange = true;
    /* Gradients of the activation's inputs and output, live while the block runs backwards. */
    work->working_bytes += 2.0 * (columns + f) * tokens;
}

static sp_layer_params params(const sp_model *model, const sp_layer_kind *kind,
                              const sp_sharding *shard)
{
    const double h = model->hidden, f = (double)kind->ffn.ffn / shard->tp;
    const double columns = kind->ffn.gated ? 2.0 * f : f;
    const double norm = model->layer_norm ? 2.0 * h : h;
    const double bias = kind->ffn.bias ? columns + h : 0.0;
    return (sp_layer_params){.dense = h * columns + f * h + bias + norm};
}

const sp_block sp_block_mlp = {
    .name = "mlp", .present = present, .expand = expand, .params = params};
