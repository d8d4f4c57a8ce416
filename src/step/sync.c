/* SPDX-License-Identifier: Apache-2.0 */
/* What ranks with the same weights send each other: gradients scattered and weights gathered within
 * a shard group, shards of gradients added up between groups (HSDP), in buckets or units; packed
 * tighter by ZeRO++ (Wang et al., arXiv:2306.10209). */
#include "step/step.h"

static double share_sent(const sp_group *group)
{
    return (group->n - 1.0) / group->n;
}

/* One of n messages of equal size, each with its own latency; what packing its numbers tighter, and
 * unpacking them, moves through the GPU's memory. */
typedef struct sp_message {
    double n;
    double gradient_bytes, weight_bytes;
    double pack_gradients_s, pack_weights_s;
} sp_message;

static void add_reduction(uint32_t zero, const sp_copies *copies, const sp_message *one,
                          sp_sync *sum)
{
    const sp_group *shard = &copies->shard, *replica = &copies->replica;
    const double grads = one->gradient_bytes;
    double one_s = 0.0, sent = 0.0;
    if (zero == 0) {
        one_s = sp_coll_allreduce_s(shard, grads);
        sent = 2.0 * share_sent(shard) * grads;
    } else {
        const double part = grads / shard->n;
        one_s = sp_coll_allgather_s(shard, grads) + sp_coll_allreduce_s(replica, part) +
                one->pack_gradients_s;
        sent = share_sent(shard) * grads + 2.0 * share_sent(replica) * part;
    }
    sum->reduce_s += one->n * one_s;
    sum->reduce_one_s += one_s;
    sum->reduce_bytes += one->n * sent;
}

static void add_gathering(const sp_copies *copies, const sp_message *one, sp_sync *sum)
{
    const double weights = one->weight_bytes;
    const double one_s = sp_coll_allgather_s(&copies->shard, weights) + one->pack_weights_s;
    sum->gather_s += one->n * one_s;
    sum->gather_one_s += one_s;
    sum->gather_bytes += one->n * share_sent(&copies->shard) * weights;
}

/* Within the fastest domain. */
static void add_near_gathering(const sp_copies *copies, const sp_message *one, sp_sync *sum)
{
    const double weights = one->weight_bytes;
    const double one_s = sp_coll_allgather_s(&copies->near, weights) + one->pack_weights_s;
    sum->near_s += one->n * one_s;
    sum->near_bytes += one->n * share_sent(&copies->near) * weights;
}

/* Messages of a reduction: units under ZeRO-3, else gradient buckets, the last of which is filled
 * in part. */
static double n_messages(const sp_inputs *in, double grads, double n_units)
{
    if (in->plan->zero >= 3) {
        return n_units;
    }
    const double bucket_bytes = in->problem->profile->bucket_bytes;
    return bucket_bytes > 0.0 ? 1.0 + grads / bucket_bytes : 1.0;
}

/* ZeRO++: what is gathered or reduced is packed, sent and unpacked. A weight is read in 16 bits and
 * written in 8, and back; a gradient likewise in 4, which its sum reads once more. */
static void pack(const sp_inputs *in, double params, sp_message *one)
{
    const uint32_t parts = in->problem->question.zeropp;
    const sp_engine_profile *profile = in->problem->profile;
    const double stream = in->problem->rates.state_s_per_byte;
    const double weights = profile->qwz_bytes * params, grads = profile->qgz_bytes * params;
    if ((parts & SP_ZEROPP_QWZ) != 0 && one->weight_bytes > weights) {
        one->pack_weights_s = (one->weight_bytes + weights) * stream;
        one->weight_bytes = weights;
    }
    if ((parts & SP_ZEROPP_QGZ) != 0 && one->gradient_bytes > 0.0) {
        one->pack_gradients_s = (one->gradient_bytes + 2.0 * grads) * stream;
        one->gradient_bytes = grads;
    }
}

/* What is trained sends its gradients and gathers what was updated; frozen weights are gathered
 * only where ZeRO-3 shards them. */
void sp_sync_add(const sp_inputs *in, const sp_recipe *recipe, const sp_copies *copies,
                 double params, double n_units, sp_sync *sum)
{
    if (params <= 0.0) {
        return;
    }
    const uint32_t zero = in->plan->zero, parts = zero >= 3 ? in->problem->question.zeropp : 0;
    const double n = n_messages(in, recipe->gradient_bytes * params, n_units);
    const double each = params / n, grads = recipe->gradient_bytes * each;
    const bool gathers = zero >= 1 && (grads > 0.0 || zero >= 3);
    sp_message one = {.n = n,
                      .gradient_bytes = grads,
                      .weight_bytes = gathers ? recipe->weight_bytes * each : 0.0};
    if (parts != 0 && copies->shard.n > 1) {
        pack(in, each, &one);
    }
    if (one.gradient_bytes > 0.0) {
        add_reduction(zero, copies, &one, sum);
    }
    if (one.weight_bytes > 0.0) {
        add_gathering(copies, &one, sum);
    }
    if (one.weight_bytes > 0.0 && (parts & SP_ZEROPP_HPZ) != 0) {
        add_near_gathering(copies, &one, sum);
    }
}
