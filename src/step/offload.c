/* SPDX-License-Identifier: Apache-2.0 */
/* State and activations that wait off the GPU: activations leave during the forward pass and come
 * back for the backward one, sharded weights are fetched for both, and the processors update their
 * share of the optimizer while the GPU updates its own (ZeRO-Offload, arXiv:2101.06840;
 * ZeRO-Infinity, arXiv:2104.07857). Links carry both directions at once. */
#include "step/step.h"

bool sp_plan_offloads(const sp_plan *plan)
{
    return plan->offload_optimizer > 0 || plan->offload_params > 0 || plan->offload_activations > 0;
}

/* What the processors read, and stream through their memory and storage, in bytes. */
typedef struct sp_host_work {
    double gradients, weights, step, state;
} sp_host_work;

static void add_work(const sp_recipe *recipe, double params, sp_host_work *sum)
{
    sum->gradients += params * recipe->sent_bytes;
    sum->weights += recipe->sent_bytes > 0.0 ? params * recipe->weight_bytes : 0.0;
    sum->step += params * recipe->step_bytes;
    sum->state += params * (recipe->shard_bytes + recipe->master_bytes + recipe->moments_bytes);
}

/* Of all that is trained: frozen weights have neither gradients nor state. */
static sp_host_work host_work(const sp_owned *owned, const sp_stage_recipes *recipes)
{
    sp_host_work sum = {0};
    add_work(&recipes->dense, owned->dense, &sum);
    add_work(&recipes->expert, owned->expert, &sum);
    add_work(&recipes->adapter, owned->adapters, &sum);
    return sum;
}

/* The processors read gradients and write weights over the link, and stream their state through the
 * node's memory, or through its storage; the stages of that chain run beside each other. */
static double host_update_s(const sp_host *host, const sp_host_work *work, double ratio, bool nvme)
{
    const double down_s = ratio * work->gradients * host->link_s_per_byte;
    const double memory_s = ratio * work->step * host->update_s_per_byte;
    const double storage_s = nvme ? ratio * 2.0 * work->state * host->nvme_s_per_byte : 0.0;
    return sp_larger(sp_larger(down_s, memory_s), storage_s);
}

/* What ZeRO-3 shards: the copies that are updated, where working ones are cast from them. */
static double resting_bytes(const sp_recipe *recipe)
{
    return recipe->shard_bytes > 0.0 ? recipe->shard_bytes : recipe->weight_bytes;
}

/* Exposed seconds of transfers beside one micro-batch, its passes in their usual proportion:
 * forward, activations go out while weights come in; backward both come in. */
static double transfers_s(const sp_inputs *in, double back, double busy_s, double kept_s,
                          double fetch_s)
{
    const double share = in->problem->profile->offload_overlap_ratio;
    const double out_s = sp_larger(kept_s, fetch_s);
    return sp_overlap_exposed_s((1.0 - back) * busy_s, share, out_s) +
           sp_overlap_exposed_s(back * busy_s, share, kept_s + fetch_s);
}

/* Host and network work beside each other, so that the longer wait of the two counts, once. */
static void share_waits(double wait_s, sp_stage_cost *cost)
{
    const double each_s = sp_larger(wait_s, cost->dp_each_s);
    cost->offload_each_s = each_s - cost->dp_each_s;
    cost->dp_once_s = sp_larger(wait_s, cost->dp_each_s + cost->dp_once_s) - each_s;
}

void sp_offload_price(const sp_inputs *in, const sp_stage_class *stage,
                      const sp_stage_params *params, sp_stage_cost *cost)
{
    const sp_problem *problem = in->problem;
    const sp_plan *plan = in->plan;
    const bool nvme = plan->offload_target == SP_OFFLOAD_NVME;
    const sp_owned owned = sp_stage_owned(in, params);
    const double kept = plan->offload_activations / 100.0 * sp_stage_kept_bytes(in, stage);
    const sp_stage_recipes recipes = sp_stage_recipes_of(in, params);
    const double held = plan->offload_params / 100.0 *
                        (resting_bytes(&recipes.dense) * owned.dense +
                         resting_bytes(&recipes.expert) * owned.expert);
    const double link = problem->host.link_s_per_byte;
    const double storage = nvme ? problem->host.nvme_s_per_byte : 0.0;
    const double fetch_s = held * sp_larger(storage, link), kept_s = kept * link;
    const double back = cost->back_share, busy_s = cost->gpu_s + cost->host_s;
    share_waits(transfers_s(in, back, busy_s, kept_s, fetch_s), cost);

    const double ratio = plan->offload_optimizer / 100.0;
    const sp_host_work work = host_work(&owned, &recipes);
    const double host_s = host_update_s(&problem->host, &work, ratio, nvme);
    cost->optimizer_s *= 1.0 - ratio;
    cost->offload_once_s = sp_larger(host_s - cost->optimizer_s, 0.0);
    cost->host_sent_bytes =
        in->pipeline.m * 2.0 * (kept + held) + ratio * (work.gradients + work.weights);
}

bool sp_offload_has_room(const sp_problem *problem, const sp_plan *plan)
{
    if (!sp_plan_offloads(plan)) {
        return true;
    }
    const sp_host *host = &problem->host;
    const bool updates = plan->offload_optimizer > 0;
    if (host->link_s_per_byte <= 0.0 || (updates && host->update_s_per_byte <= 0.0)) {
        return false;
    }
    const bool nvme = plan->offload_target == SP_OFFLOAD_NVME;
    if (nvme && host->nvme_s_per_byte <= 0.0) {
        return false;
    }
    sp_memory memory;
    sp_estimate_memory(problem, plan, &memory);
    return memory.host_bytes <= host->memory_bytes && memory.nvme_bytes <= host->nvme_bytes;
}
