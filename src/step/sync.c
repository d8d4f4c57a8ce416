/* SPDX-License-Identifier: Apache-2.0 */
/* What ranks with the same weights send each other: gradients scattered and weights gathered within
 * a shard group, shards of gradients added up between groups (HSDP), in buckets or units; packed
 * tighter by ZeRO++ (Wang et al., arXiv:2306.10209). */
#include "step/step.h"

static double share_sent(const sp_group *group)
{
    return (group->n - 1.0) / group->n;
}

/* ---- what there is ---- */

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
static void pack(const sp_inputs *in, uint32_t parts, double params, sp_synced *all)
{
    const sp_engine_profile *profile = in->problem->profile;
    const double stream = in->problem->rates.state_s_per_byte;
    const double weights = profile->qwz_bytes * params, grads = profile->qgz_bytes * params;
    if ((parts & SP_ZEROPP_QWZ) != 0 && all->weight_bytes > weights) {
        all->pack_weights_s = (all->weight_bytes + weights) * stream;
        all->weight_bytes = weights;
    }
    if ((parts & SP_ZEROPP_QGZ) != 0 && all->grad_bytes > grads) {
        all->pack_gradients_s = (all->grad_bytes + 2.0 * grads) * stream;
        all->grad_bytes = grads;
    }
}

/* What is trained sends its gradients and gathers what was updated; frozen weights are gathered
 * only where ZeRO-3 shards them. */
static sp_synced synced_params(const sp_inputs *in, const sp_recipe *recipe,
                               const sp_copies *copies, double params, double n_units)
{
    const uint32_t zero = in->plan->zero, parts = zero >= 3 ? in->problem->question.zeropp : 0;
    const double grads = recipe->sent_bytes * params;
    const bool gathers = zero >= 1 && (grads > 0.0 || zero >= 3);
    sp_synced all = {.copies = copies,
                     .again = (parts & SP_ZEROPP_HPZ) != 0 ? &copies->near : &copies->shard,
                     .grad_bytes = grads,
                     .weight_bytes = gathers ? recipe->weight_bytes * params : 0.0,
                     .n_messages = n_messages(in, grads, n_units)};
    if (parts != 0 && copies->shard.n > 1) {
        pack(in, parts, params, &all);
    }
    return all;
}

uint32_t sp_stage_synced(const sp_inputs *in, const sp_stage_params *params,
                         const sp_stage_recipes *recipes, sp_synced *synced)
{
    const sp_copies *dense = &in->groups.dense, *expert = &in->groups.expert;
    uint32_t n = 0;
    synced[n++] = synced_params(in, &recipes->dense, dense, params->dense, params->n_units);
    if (in->problem->has_experts) {
        synced[n++] = synced_params(in, &recipes->expert, expert, params->expert, params->n_layers);
    }
    if (in->problem->has_adapters) {
        const sp_recipe *own = &recipes->adapter;
        synced[n++] = synced_params(in, own, dense, params->adapter.dense, params->n_units);
        if (in->problem->has_experts) {
            synced[n++] = synced_params(in, own, expert, params->adapter.expert, params->n_layers);
        }
    }
    return n;
}

/* ---- what it takes ---- */

static void add_reduction(uint32_t zero, const sp_synced *all, sp_sync *sum)
{
    const sp_group *shard = &all->copies->shard, *replica = &all->copies->replica;
    const double n = all->n_messages, grads = all->grad_bytes / n;
    double one_s = 0.0, sent = 0.0;
    if (zero == 0) {
        one_s = sp_coll_allreduce_s(shard, grads);
        sent = 2.0 * share_sent(shard) * grads;
    } else {
        const double part = grads / shard->n;
        one_s = sp_coll_allgather_s(shard, grads) + sp_coll_allreduce_s(replica, part) +
                all->pack_gradients_s / n;
        sent = share_sent(shard) * grads + 2.0 * share_sent(replica) * part;
    }
    sum->reduce_s += n * one_s;
    sum->reduce_one_s += one_s;
    sum->reduce_bytes += n * sent;
}

static void add_gathering(const sp_synced *all, sp_sync *sum)
{
    const sp_group *shard = &all->copies->shard;
    const double n = all->n_messages, weights = all->weight_bytes / n;
    const double pack_s = all->pack_weights_s / n;
    const double one_s = sp_coll_allgather_s(shard, weights) + pack_s;
    const bool alike = all->again == shard;
    const double again_s = alike ? one_s : sp_coll_allgather_s(all->again, weights) + pack_s;
    const double bytes = share_sent(shard) * all->weight_bytes;
    sum->gather_s += n * one_s;
    sum->gather_one_s += one_s;
    sum->gather_bytes += bytes;
    sum->again_s += n * again_s;
    sum->again_bytes += alike ? bytes : share_sent(all->again) * all->weight_bytes;
}

sp_sync sp_sync_stage(const sp_inputs *in, const sp_stage_params *params,
                      const sp_stage_recipes *recipes)
{
    sp_synced synced[SP_MAX_SYNCED];
    const uint32_t n = sp_stage_synced(in, params, recipes, synced);
    sp_sync sum = {0};
    for (uint32_t i = 0; i < n; i++) {
        if (synced[i].grad_bytes > 0.0) add_reduction(in->plan->zero, &synced[i], &sum);
        if (synced[i].weight_bytes > 0.0) add_gathering(&synced[i], &sum);
    }
    return sum;
}

/* ---- how often ---- */

sp_rounds sp_plan_rounds(const sp_problem *problem, const sp_plan *plan)
{
    const sp_engine_profile *profile = problem->profile;
    const bool stays = plan->pp > 1 && profile->pipeline_unit_bytes > 0.0;
    const bool each = plan->zero >= 3 || (plan->zero == 2 && profile->gathers_each_batch);
    return (sp_rounds){.reduces_each = !stays && plan->zero >= 2,
                       .gathers_each = !stays && each,
                       .gathers_again = !stays && plan->zero >= 3};
}
