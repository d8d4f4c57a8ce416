/* SPDX-License-Identifier: Apache-2.0 */
/* Gradients, sharded weights and the update of one stage: what ZeRO 0 to 3 send, how much of it
 * hides beside the passes, and how long the optimizer takes. Within a shard group gradients are
 * scattered and weights gathered; groups add up their shards of gradients (HSDP). */
#include "step/step.h"

/* Gradients reduced and weights gathered over the copies, in seconds and bytes. */
typedef struct sp_sync {
    double reduce_s, gather_s; /* reduce-scatter (all-reduce at ZeRO-0), all-gather of weights */
    double reduce_bytes, gather_bytes;
} sp_sync;

static double share_sent(const sp_group *group)
{
    return (group->n - 1.0) / group->n;
}

/* Bytes of gradients and weights that go in n messages of equal size, each with its own latency. */
static void add_sync(uint32_t zero, const sp_copies *copies, double grads, double weights, double n,
                     sp_sync *sum)
{
    const sp_group *shard = &copies->shard, *replica = &copies->replica;
    const double shards = shard->n;
    if (zero == 0) {
        sum->reduce_s += n * sp_coll_allreduce_s(shard, grads / n);
        sum->reduce_bytes += 2.0 * share_sent(shard) * grads;
        return;
    }
    if (grads > 0.0) {
        sum->reduce_s += n * (sp_coll_allgather_s(shard, grads / n) +
                              sp_coll_allreduce_s(replica, grads / shards / n));
        sum->reduce_bytes += share_sent(shard) * grads + 2.0 * share_sent(replica) * grads / shards;
    }
    if (weights > 0.0) {
        sum->gather_s += n * sp_coll_allgather_s(shard, weights / n);
        sum->gather_bytes += share_sent(shard) * weights;
    }
}

/* Messages of a reduction: units under ZeRO-3, else gradient buckets. */
static double n_messages(const sp_inputs *in, double grads, double n_units)
{
    if (in->plan->zero >= 3) {
        return n_units;
    }
    const double bucket_bytes = in->problem->profile->bucket_bytes;
    return grads > bucket_bytes && bucket_bytes > 0.0 ? grads / bucket_bytes : 1.0;
}

/* What is trained sends its gradients and gathers what was updated; frozen weights are gathered
 * only where ZeRO-3 shards them. */
static void sync_params(const sp_inputs *in, const sp_recipe *recipe, const sp_copies *copies,
                        double params, double n_units, sp_sync *sum)
{
    const uint32_t zero = in->plan->zero;
    const double grads = recipe->sent_bytes * params;
    const double weights = grads > 0.0 || zero >= 3 ? recipe->weight_bytes * params : 0.0;
    if (grads > 0.0 || weights > 0.0) {
        add_sync(zero, copies, grads, weights, n_messages(in, grads, n_units), sum);
    }
}

static sp_sync sync_stage(const sp_inputs *in, const sp_stage_params *params,
                          const sp_stage_recipes *recipes)
{
    const sp_recipe *own = &recipes->adapter;
    const sp_groups *groups = &in->groups;
    sp_sync sum = {0};
    sync_params(in, &recipes->dense, &groups->dense, params->dense, params->n_units, &sum);
    sync_params(in, own, &groups->dense, params->adapter.dense, params->n_units, &sum);
    if (in->problem->has_experts) {
        sync_params(in, &recipes->expert, &groups->expert, params->expert, params->n_layers, &sum);
        sync_params(in, own, &groups->expert, params->adapter.expert, params->n_layers, &sum);
    }
    return sum;
}

/* Two stages far from each other. */
static sp_group two_ends(const sp_inputs *in)
{
    sp_group ends = in->groups.pp;
    ends.n = 2;
    for (uint32_t i = 0; i < ends.n_levels; i++) {
        ends.inside[i] = i + 1 == ends.n_levels ? 2 : 1;
    }
    return ends;
}

/* Copies of a tied table at both ends of the pipeline add up their gradients. */
static double tied_table_s(const sp_inputs *in, const sp_stage_class *stage)
{
    if (!in->problem->model->tied_embeddings || in->plan->pp == 1 ||
        stage->embedding == stage->head) {
        return 0.0;
    }
    const double grads = in->problem->recipe.sent_bytes * in->head_params;
    if (grads <= 0.0) {
        return 0.0;
    }
    const sp_group ends = two_ends(in);
    return sp_coll_allreduce_s(&ends, grads);
}

sp_owned sp_stage_owned(const sp_inputs *in, const sp_stage_params *params)
{
    const bool sharded = in->plan->zero >= 1;
    const sp_shards shards = sharded ? in->shards : (sp_shards){1, 1};
    return (sp_owned){.dense = params->dense / shards.dense,
                      .expert = params->expert / shards.expert,
                      .adapters = params->adapter.dense / shards.dense +
                                  params->adapter.expert / shards.expert};
}

/* Mirrored stages add up what each has reduced over its own copies, and share the update: their
 * messages follow the others and wait for the last pass. */
static double mirror_s(const sp_inputs *in, const sp_stage_params *params,
                       const sp_stage_recipes *recipes)
{
    if (in->schedule->layout != SP_LAYOUT_MIRROR) {
        return 0.0;
    }
    const sp_recipe *dense = &recipes->dense, *expert = &recipes->expert, *own = &recipes->adapter;
    const sp_owned owned = sp_stage_owned(in, params);
    const sp_group pair = two_ends(in);
    const double twice = in->plan->zero > 0 ? 2.0 : 1.0; /* owned by both together */
    const double grads =
        twice * (dense->sent_bytes * owned.dense + expert->sent_bytes * owned.expert +
                 own->sent_bytes * owned.adapters);
    if (in->plan->zero == 0) {
        return sp_coll_allreduce_s(&pair, grads);
    }
    const double trained = dense->sent_bytes > 0.0 ? 1.0 : 0.0;
    const double weights =
        twice *
        (trained * (dense->weight_bytes * owned.dense + expert->weight_bytes * owned.expert) +
         own->weight_bytes * owned.adapters);
    return sp_coll_allgather_s(&pair, grads) + sp_coll_allgather_s(&pair, weights);
}

/* Exposed seconds of data-parallel traffic beside work of work_s. What hides still slows the
 * kernels it hides under, since both use the memory and the multiprocessors. work_s plus this never
 * falls when either grows. */
static double beside_s(const sp_inputs *in, double work_s, double comm_s)
{
    if (in->plan->dp_overlap == SP_OFF) {
        return comm_s;
    }
    const sp_engine_profile *profile = in->problem->profile;
    const double room_s = profile->dp_overlap_ratio * work_s;
    const double hidden_s = comm_s < room_s ? comm_s : room_s;
    return comm_s - (1.0 - profile->dp_interference_ratio) * hidden_s;
}

/* Each matrix is made orthogonal on one of the ranks that share it out, of momentum gathered over
 * those that cut it. */
static double newton_s(const sp_inputs *in, const sp_stage_params *params)
{
    const sp_optimizer *o = in->problem->optimizer;
    if (o->newton_schulz_steps <= 0.0 || in->problem->has_adapters) return 0.0;
    const sp_shards shards = in->plan->zero >= 1 ? in->shards : (sp_shards){1, 1};
    const double tp = in->plan->tp, etp = in->groups.etp.n;
    const double dense_bytes = o->matrix_bytes * params->dense_matrix / shards.dense * tp;
    const double expert_bytes = o->matrix_bytes * params->expert_matrix / shards.expert * etp;
    return params->dense_state.newton_s / shards.dense +
           params->expert_state.newton_s / shards.expert +
           (tp > 1.0 ? sp_coll_allgather_s(&in->groups.tp, dense_bytes) : 0.0) +
           (etp > 1.0 ? sp_coll_allgather_s(&in->groups.etp, expert_bytes) : 0.0);
}

static double update_s(const sp_inputs *in, const sp_stage_params *params,
                       const sp_stage_recipes *recipes)
{
    const sp_owned owned = sp_stage_owned(in, params);
    return (owned.dense * recipes->dense.step_bytes + owned.expert * recipes->expert.step_bytes +
            owned.adapters * recipes->adapter.step_bytes) *
               in->problem->rates.state_s_per_byte +
           newton_s(in, params);
}

/* ZeRO 0 and 1 reduce once a step, and 1 and 2 gather weights once; 2 reduces with every
 * micro-batch; 3 does that and gathers weights for every forward and backward pass. Reductions hide
 * beside the backward pass, two thirds of a micro-batch (three quarters when it computes the
 * forward pass again), gathering for the forward pass beside that; neither beside expert traffic,
 * hidden or not, which holds the same ports. Completes *cost, of which sum, gpu_s and host_s are
 * known. */
void sp_data_parallel_price(const sp_inputs *in, const sp_stage_class *class,
                            const sp_stage_params *params, sp_stage_cost *cost)
{
    const uint32_t zero = in->plan->zero;
    const double m = in->pipeline.m;
    const sp_stage_recipes recipes = sp_stage_recipes_of(in, params);
    const sp_sync sync = sync_stage(in, params, &recipes);
    const double back = cost->back_share;
    /* Once a step means beside the first or the last pass, which have no pair. */
    const double busy_s = cost->gpu_s + cost->host_s + (zero < 2 ? cost->alone_s : 0.0);
    const double room_s = busy_s - cost->sum.ep_traffic_s;
    const double back_s =
        beside_s(in, back * room_s, sync.reduce_s + (zero >= 3 ? sync.gather_s : 0.0));
    const double front_s = beside_s(in, (1.0 - back) * room_s, sync.gather_s);
    cost->dp_each_s = (zero >= 2 ? back_s : 0.0) + (zero >= 3 ? front_s : 0.0);
    cost->dp_once_s = (zero < 2 ? back_s : 0.0) + (zero < 3 ? front_s : 0.0) +
                      tied_table_s(in, class) + mirror_s(in, params, &recipes);
    cost->optimizer_s = update_s(in, params, &recipes);
    cost->dp_sent_bytes =
        (zero >= 2 ? m : 1.0) * sync.reduce_bytes + (zero >= 3 ? 2.0 * m : 1.0) * sync.gather_bytes;
}
