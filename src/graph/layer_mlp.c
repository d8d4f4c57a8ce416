/* SPDX-License-Identifier: Apache-2.0 */
/* The dense feed-forward block: norm, up (and gate), activation, down, residual.
 * Kept activations follow Korthikanti et al., MLSys 2023, section 4 (21 s b h with the norm for GPT
 * with f = 4 h). Recomputing the block runs it to its end, as a checkpoint around it does. */
#include "graph/graph.h"

static const uint32_t activation = SP_MODULE_ACTIVATION | SP_MODULE_FFN | SP_MODULE_STREAMS;

static bool present(const sp_layer_kind *kind)
{
    return kind->ffn.ffn > 0;
}

static void expand(const sp_model *model, const sp_layer_kind *kind, const sp_shape *s,
                   const sp_sharding *shard, bool flash, sp_layer_work *work)
{
    (void)flash;
    const sp_ffn *ffn = &kind->ffn;
    const double h = model->hidden, tokens = s->tokens, whole = sp_whole_rows(s, shard);
    const double f = (double)ffn->ffn / shard->tp;
    const double columns = ffn->gated ? 2.0 * f : f;

    sp_norm_before(work, "ffn_norm", model, ffn->norms, whole, true);
    sp_op *up = sp_op_gemm(work, "ffn_up", SP_PART_FFN, tokens, columns, h);
    up->modules = SP_MODULE_FFN;
    up->vectors = ffn->bias ? columns : 0.0;
    sp_keep(work, 2.0 * columns * tokens, SP_MODULE_FFN, false);
    sp_op_stream(work, "ffn_activation", SP_PART_FFN, columns * tokens, f * tokens)->modules =
        activation;
    sp_keep(work, 2.0 * f * tokens, activation, true);
    sp_op *down = sp_op_gemm(work, "ffn_down", SP_PART_FFN, tokens, h, f);
    down->modules = SP_MODULE_FFN;
    down->vectors = ffn->bias ? h : 0.0;
    if (ffn->norms > 1) {
        sp_norms_behind(work, "ffn_post_norm", model, ffn->norms, whole);
    }
    sp_residual(work, "ffn_residual", h * whole, model->dropout);

    work->ffn.tp_exchange = true;
    /* Gradients of the activation's inputs and output, live while the block runs backwards. */
    sp_live(work, 2.0 * (columns + f) * tokens);
}

static sp_layer_params params(const sp_model *model, const sp_layer_kind *kind,
                              const sp_sharding *shard)
{
    const double h = model->hidden, f = (double)kind->ffn.ffn / shard->tp;
    const double columns = kind->ffn.gated ? 2.0 * f : f;
    const double norm = (double)kind->ffn.norms * model->norm_vectors * h;
    const double bias = kind->ffn.bias ? columns + h : 0.0;
    return (sp_layer_params){.dense = h * columns + f * h + bias + norm};
}

const sp_block sp_block_mlp = {
    .name = "mlp", .present = present, .expand = expand, .params = params};
