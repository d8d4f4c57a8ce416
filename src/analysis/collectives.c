/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of what a block asks of the network: the sum over the tp group, and the exchange of tokens
 * between the ranks that hold the experts. Bytes are what one accelerator sends; seconds need a
 * cluster. The backward pass sends the gradients the same way. */
#include "analysis/analysis_priv.h"

/* Combined tokens are sums, and stay in 16 bits whatever travels to the experts. */
#define COMBINE_BITS 16.0

static sp_operator collective_row(const char *name, uint32_t layers, double sent_bytes)
{
    return (sp_operator){
        .name = name, .category = "collective", .layers = layers, .network_bytes = sent_bytes};
}

static void add_all_reduce(sp_rows *rows, const sp_pass *pass, const char *name, uint32_t layers)
{
    const uint32_t tp = pass->sharding.tp;
    const double bytes =
        pass->shape.tokens * pass->question->model->hidden * pass->question->bits.activation / 8.0;
    if (tp == 1) return;
    sp_operator row = collective_row(name, layers, 2.0 * bytes * (tp - 1.0) / tp);
    if (pass->fabric != NULL) {
        const sp_group group = sp_group_build(pass->fabric, tp, 1);
        row.network_s = sp_coll_allreduce_s(&group, bytes);
    }
    sp_rows_add(rows, pass, &row);
}

/* comm->ep_bytes holds 2 bytes for each element of each copy of a token, this rank's own included.
 */
static void add_exchange(sp_rows *rows, const sp_pass *pass, const sp_block_comm *comm,
                         const char *name, double bits, uint32_t layers)
{
    const uint32_t ep = pass->sharding.ep;
    const double bytes = comm->ep_bytes / 2.0 * bits / 8.0;
    sp_operator row = collective_row(name, layers, bytes * (ep - 1.0) / ep);
    if (pass->fabric != NULL) {
        const sp_group group = sp_group_build(pass->fabric, ep, 1);
        row.network_s = sp_coll_dispatch_s(&group, bytes, comm->ep_copies, comm->ep_reach);
    }
    sp_rows_add(rows, pass, &row);
}

void sp_rows_add_collectives(sp_rows *rows, const sp_pass *pass, const sp_layer_work *work,
                             bool attention, uint32_t layers)
{
    const sp_analysis_question *q = pass->question;
    const sp_block_comm *comm = attention ? &work->attention : &work->ffn;
    const bool routed = comm->ep_bytes > 0.0;
    if (routed && q->dispatch && q->ep > 1) {
        add_exchange(rows, pass, comm, "dispatch", q->bits.activation, layers);
        add_exchange(rows, pass, comm, "combine", COMBINE_BITS, layers);
    }
    const bool summed = comm->tp_exchange || (routed && !q->dispatch);
    if (summed && !(q->dense_dp && !attention && !routed)) {
        add_all_reduce(rows, pass, attention ? "attention_all_reduce" : "ffn_all_reduce", layers);
    }
}
