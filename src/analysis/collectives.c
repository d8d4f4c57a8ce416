/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of what a block asks of the network: the sum over the tp group, and the exchange of tokens
 * between the ranks that hold the experts. Bytes are what one accelerator sends; seconds need a
 * cluster. The backward pass sends the gradients the same way. */
#include "analysis/analysis_priv.h"

#include <math.h>

/* Partial sums, and the experts' weighted sums, travel in no fewer bits, whatever the activations
 * have. */
#define LEAST_SUM_BITS 16.0

typedef enum collective { ALL_REDUCE, REDUCE_SCATTER, ALL_GATHER } collective;

static double hidden_bytes(const sp_pass *pass, double bits)
{
    return pass->shape.tokens * pass->question->model->hidden * bits / 8.0;
}

static double sum_bits(const sp_pass *pass)
{
    return fmax(pass->question->bits.activation, LEAST_SUM_BITS);
}

static sp_operator collective_row(const sp_pass *pass, const char *name, double sent_bytes)
{
    return (sp_operator){.name = name,
                         .category = "collective",
                         .layers = pass->layers,
                         .held_layers = pass->held_layers,
                         .network_bytes = sent_bytes};
}

/* An all-reduce is a reduce-scatter and an all-gather, each of which sends all but one share. */
static void add_tp(sp_rows *rows, const sp_pass *pass, const char *name, collective kind,
                   double bytes)
{
    const uint32_t tp = pass->question->tp;
    const double halves = kind == ALL_REDUCE ? 2.0 : 1.0;
    if (tp == 1) return;
    sp_operator row = collective_row(pass, name, halves * bytes * (tp - 1.0) / tp);
    if (pass->fabric != NULL) {
        const sp_group group = sp_group_build(pass->fabric, tp, 1);
        row.network_s = kind == ALL_REDUCE ? sp_coll_allreduce_s(&group, bytes)
                                           : sp_coll_allgather_s(&group, bytes);
    }
    sp_rows_add(rows, pass, &row);
}

/* comm->ep_bytes holds 2 bytes for each element of each copy of a token, this rank's own included.
 */
static void add_exchange(sp_rows *rows, const sp_pass *pass, const sp_block_comm *comm,
                         const char *name, double bits)
{
    const uint32_t ep = pass->sharding.ep;
    const double bytes = comm->ep_bytes / 2.0 * bits / 8.0;
    sp_operator row = collective_row(pass, name, bytes * (ep - 1.0) / ep);
    if (pass->fabric != NULL) {
        const sp_group group = sp_group_build(pass->fabric, ep, 1);
        row.network_s = sp_coll_dispatch_s(&group, bytes, comm->ep_copies, comm->ep_reach);
    }
    sp_rows_add(rows, pass, &row);
}

/* Experts inside one tp group find all of its tokens on every rank. */
bool sp_pass_dispatches(const sp_pass *pass)
{
    return pass->question->dispatch && pass->sharding.ep > 1 &&
           pass->sharding.ep >= pass->question->tp;
}

static bool alone(const sp_pass *pass)
{
    return pass->question->dense_dp && pass->kind->ffn.n_experts == 0;
}

/* Feed-forward layers that each rank runs on its own tokens need those alone. */
static void add_mixing(sp_rows *rows, const sp_pass *pass)
{
    const double bytes = hidden_bytes(pass, sum_bits(pass));
    if (alone(pass) && pass->kind->ffn.ffn > 0) {
        add_tp(rows, pass, "attention_reduce_scatter", REDUCE_SCATTER, bytes);
    } else {
        add_tp(rows, pass, "attention_all_reduce", ALL_REDUCE, bytes);
    }
}

/* Where no matrix of the block is cut by tp, ranks have finished their own tokens, and gather. */
static void add_ffn(sp_rows *rows, const sp_pass *pass, const sp_block_comm *comm)
{
    const bool routed = comm->ep_bytes > 0.0, exchanged = routed && sp_pass_dispatches(pass);
    if (exchanged) {
        add_exchange(rows, pass, comm, "dispatch", pass->question->bits.activation);
        add_exchange(rows, pass, comm, "combine", sum_bits(pass));
    }
    if (alone(pass) && comm->tp_exchange) {
        add_tp(rows, pass, "ffn_all_gather", ALL_GATHER,
               hidden_bytes(pass, pass->question->bits.activation));
    } else if (comm->tp_exchange || (routed && !exchanged)) {
        add_tp(rows, pass, "ffn_all_reduce", ALL_REDUCE, hidden_bytes(pass, sum_bits(pass)));
    } else if (exchanged) {
        add_tp(rows, pass, "ffn_all_gather", ALL_GATHER, hidden_bytes(pass, sum_bits(pass)));
    }
}

void sp_rows_add_collectives(sp_rows *rows, const sp_pass *pass, const sp_layer_work *work,
                             bool attention)
{
    if (!attention) {
        add_ffn(rows, pass, &work->ffn);
    } else if (work->attention.tp_exchange) {
        add_mixing(rows, pass);
    }
}

void sp_rows_add_embedding_sum(sp_rows *rows, const sp_pass *pass)
{
    if (pass->phase == SP_PHASE_BACKWARD) return; /* the gradient of a sum is there already */
    add_tp(rows, pass, "embedding_all_reduce", ALL_REDUCE,
           hidden_bytes(pass, pass->question->bits.activation));
}

/* Training takes the loss from the columns where they are (Megatron-LM), and backwards sums what
 * they give the gradient of the head's input. */
void sp_rows_add_logits(sp_rows *rows, const sp_pass *pass)
{
    if (pass->phase == SP_PHASE_BACKWARD) {
        add_tp(rows, pass, "head_all_reduce", ALL_REDUCE, hidden_bytes(pass, sum_bits(pass)));
    }
    if (sp_phase_is_training(pass->phase)) return;
    add_tp(rows, pass, "logits_all_gather", ALL_GATHER,
           pass->head_tokens * pass->question->model->vocab * sum_bits(pass) / 8.0);
}
