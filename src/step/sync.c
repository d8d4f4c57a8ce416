/* SPDX-License-Identifier: Apache-2.0 */
/* What ranks with the same weights send each other: gradients scattered and weights gathered within
 * a shard group, shards of gradients added up between groups (HSDP), in buckets or units; packed
 * tighter by ZeRO++ (Wang et al., arXiv:2306.10209). */
#include "step/step.h"

static double share_sent(const sp_group *group)
{
    return (group->n - 1.0) / group->n;
}

/* So many parameters in n messages of equal size, each with its own latency; what packing their
 * numbers tighter, and unpacking them, moves through the GPU's memory. */
typedef struct sp_load {
    double gradient_bytes, weight_bytes;
    double n_messages;
    double pack_gradients_s, pack_weights_s;
} sp_load;

static void add_reduction(uint32_t zero, const sp_copies *copies, const sp_load *load, sp_sync *sum)
{
    const sp_group *shard = &copies->shard, *replica = &copies->replica;
    const double grads = load->gradient_bytes, n = load->n_messages, shards = shard->n;
    const double one_s = zero == 0 ? sp_coll_allreduce_s(shard, grads / n)
                                   : sp_coll_allgather_s(shard, grads / n) +
                                         sp_coll_allreduce_s(replica, grads / shards / n) +
                                         load->pack_gradients_s / n;
    sum->reduce_s += n * one_s;
    sum->reduce_one_s += one_s;
    sum->reduce_bytes +=
        zero == 0 ? 2.0 * share_sent(shard) * grads
                  : share_sent(shard) * grads + 2.0 * share_sent(replica) * grads / shards;
}

static void add_gathering(const sp_copies *copies, const sp_load *load, sp_sync *sum)
{
    const double weights = load->weight_bytes, n = load->n_messages;
    const double pack_s = load->pack_weights_s / n;
    const double one_s = sp_coll_allgather_s(&copies->shard, weights / n) + pack_s;
    const double again_s = copies->near.n == copies->shard.n
                               ? one_s
                               : sp_coll_allgather_s(&copies->near, weights / n) + pack_s;
    sum->gather_s += n * one_s;
    sum->gather_one_s += one_s;
    sum->gather_bytes += share_sent(&copies->shard) * weights;
    sum->regather_s += n * again_s;
    sum->regather_bytes += share_sent(&copies->near) * weights;
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
 * written in 8, and back; a gradient likewise in 4. */
static void pack(const sp_inputs *in, double params, sp_load *load)
{
    const uint32_t parts = in->problem->question.zeropp;
    const sp_engine_profile *profile = in->problem->profile;
    const double stream = in->problem->rates.state_s_per_byte;
    if ((parts & SP_ZEROPP_QWZ) != 0 && load->weight_bytes > profile->qwz_bytes * params) {
        const double whole = load->weight_bytes, packed = profile->qwz_bytes * params;
        load->pack_weights_s = (whole + packed) * stream;
        load->weight_bytes = packed;
    }
    if ((parts & SP_ZEROPP_QGZ) != 0 && load->gradient_bytes > 0.0) {
        const double whole = load->gradient_bytes, packed = profile->qgz_bytes * params;
        load->pack_gradients_s = (whole + 2.0 * packed) * stream;
        load->gradient_bytes = packed;
    }
}

/* What is trained sends its gradients and gathers what was updated; frozen weights are gathered
 * only where ZeRO-3 shards them. */
void sp_sync_add(const sp_inputs *in, const sp_recipe *recipe, const sp_copies *copies,
                 double params, double n_units, sp_sync *sum)
{
    const uint32_t zero = in->plan->zero;
    const double grads = recipe->gradient_bytes * params;
    const bool gathers = zero >= 1 && (grads > 0.0 || zero >= 3);
    sp_load load = {.gradient_bytes = grads,
                    .weight_bytes = gathers ? recipe->weight_bytes * params : 0.0,
                    .n_messages = n_messages(in, grads, n_units)};
    if (zero >= 3 && copies->shard.n > 1) {
        pack(in, params, &load);
    }
    if (load.gradient_bytes > 0.0) {
        add_reduction(zero, copies, &load, sum);
    }
    if (load.weight_bytes > 0.0) {
        add_gathering(copies, &load, sum);
    }
}
