/* SPDX-License-Identifier: Apache-2.0 */
/* Context parallelism: every rank holds a piece of the sequence (balanced under the causal mask)
 * and needs the keys and values of the others. A ring passes blocks on beside the attention with
 * the block at hand (Liu et al., Ring Attention, arXiv:2310.01889); all-gather collects them first
 * (Llama 3, arXiv:2407.21783, section 3.3.2); ulysses exchanges heads for sequence
 * (arXiv:2309.14509); hybrid does that near and rings far (arXiv:2405.07719). */
#include "step/step.h"

/* Queries, keys and values one way, the output back; their gradients likewise. */
static double price_heads(const sp_group *group, const sp_block_comm *comm, sp_layer_cost *cost)
{
    const double in_bytes = comm->q_bytes + comm->kv_bytes;
    const double way_s =
        sp_coll_alltoall_s(group, in_bytes) + sp_coll_alltoall_s(group, comm->o_bytes);
    cost->cp_forward_s += way_s;
    cost->cp_backward_s += way_s;
    const double sent_bytes = (in_bytes + comm->o_bytes) * (group->n - 1.0) / group->n;
    cost->cp_sent_bytes += 2.0 * sent_bytes;
    return sent_bytes;
}

/* Backward, keys and values are gathered again and their gradients scattered. */
static double price_gather(const sp_group *group, const sp_block_comm *comm, sp_layer_cost *cost)
{
    const double gather_s = sp_coll_allgather_s(group, comm->kv_bytes * group->n);
    cost->cp_forward_s += gather_s;
    cost->cp_backward_s += 2.0 * gather_s;
    const double sent_bytes = (group->n - 1.0) * comm->kv_bytes;
    cost->cp_sent_bytes += 3.0 * sent_bytes;
    return sent_bytes;
}

/* Backward, the gradients of keys and values travel with them. */
static double price_ring(const sp_group *group, double share, const sp_block_comm *comm,
                         const sp_op_time *core, sp_layer_cost *cost)
{
    const double turns = group->n - 1.0;
    const double forward_s = sp_coll_p2p_s(group, comm->kv_bytes);
    const double backward_s = sp_coll_p2p_s(group, 2.0 * comm->kv_bytes);
    cost->cp_forward_s +=
        turns * sp_overlap_exposed_s(core->forward_s / group->n, share, forward_s);
    cost->cp_backward_s +=
        turns * sp_overlap_exposed_s(core->input_grad_s / group->n, share, backward_s);
    cost->cp_sent_bytes += 3.0 * turns * comm->kv_bytes;
    return turns * comm->kv_bytes;
}

double sp_context_price(const sp_problem *problem, const sp_plan *plan, const sp_groups *groups,
                        const sp_block_comm *comm, const sp_op_time *core, sp_layer_cost *cost)
{
    const sp_group *heads = &groups->cp_heads, *ring = &groups->cp_ring;
    const double share = problem->profile->cp_overlap_ratio;
    double sent_bytes = heads->n > 1 ? price_heads(heads, comm, cost) : 0.0;
    if (ring->n > 1) {
        sent_bytes += plan->cp_kind == SP_CP_ALLGATHER ? price_gather(ring, comm, cost)
                                                       : price_ring(ring, share, comm, core, cost);
    }
    return sent_bytes;
}

/* The ring holds the block that comes in beside the one at hand; the gather all of them, with their
 * gradients backward; the exchange of heads a second copy of what it sends. */
double sp_context_bytes(const sp_plan *plan, const sp_block_comm *comm)
{
    if (plan->cp == 1) {
        return 0.0;
    }
    switch ((sp_cp_kind)plan->cp_kind) {
    case SP_CP_RING:
        return 2.0 * comm->kv_bytes;
    case SP_CP_ALLGATHER:
        return 2.0 * plan->cp * comm->kv_bytes;
    case SP_CP_ULYSSES:
        return comm->q_bytes + comm->kv_bytes + comm->o_bytes;
    case SP_CP_HYBRID:
        return comm->q_bytes + 3.0 * comm->kv_bytes + comm->o_bytes;
    case SP_N_CP_KINDS:
        break;
    }
    return 0.0;
}
