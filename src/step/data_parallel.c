/* SPDX-License-Identifier: Apache-2.0 */
/* Gradients, sharded weights and the update of one stage: how often ZeRO 0 to 3 send them (what
 * they send is sync.c's), how much of it hides beside the passes, and how long the optimizer takes.
 */
#include "step/step.h"

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

/* Exposed seconds of data-parallel traffic beside work of work_s. A message of alone_s has nothing
 * to hide under: gradients of the last unit wait for the end of the work, weights of the first one
 * come before it; each following one is fetched ahead beside the unit before. What hides still
 * slows the kernels it hides under, since both use the memory and the multiprocessors. work_s plus
 * this never falls when either grows. */
static double beside_s(const sp_inputs *in, double work_s, double comm_s, double alone_s)
{
    if (in->plan->dp_overlap == SP_OFF || comm_s <= alone_s) {
        return comm_s;
    }
    const sp_engine_profile *profile = in->problem->profile;
    const double rest = (comm_s - alone_s) / comm_s;
    return alone_s + rest * sp_overlap_slowed_s(profile->dp_overlap_ratio * work_s,
                                                profile->dp_interference_ratio, comm_s);
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

/* Reductions hide beside the backward pass, two thirds of a micro-batch (three quarters when it
 * computes the forward pass again), gathering for the forward pass beside that; neither beside
 * expert traffic, hidden or not, which holds the same ports. Completes *cost, of which sum, gpu_s
 * and host_s are known. */
void sp_data_parallel_price(const sp_inputs *in, const sp_stage_class *class,
                            const sp_stage_params *params, sp_stage_cost *cost)
{
    const sp_stage_recipes recipes = sp_stage_recipes_of(in, params);
    const sp_rounds rounds = sp_plan_rounds(in->problem, in->plan);
    const sp_sync sync = sp_sync_stage(in, params, &recipes);
    const double back = cost->back_share;
    /* Once a step means beside the first or the last pass, which have no pair. */
    const double busy_s = cost->gpu_s + cost->host_s, room_s = busy_s - cost->sum.ep_traffic_s;
    const double back_room_s = back * (room_s + (rounds.reduces_each ? 0.0 : cost->alone_s));
    const double front_room_s =
        (1.0 - back) * (room_s + (rounds.gathers_each ? 0.0 : cost->alone_s));
    const double again_s = rounds.gathers_again ? sync.again_s : 0.0;
    const double back_s = beside_s(in, back_room_s, sync.reduce_s + again_s, sync.reduce_one_s);
    const double front_s = beside_s(in, front_room_s, sync.gather_s, sync.gather_one_s);
    cost->dp_each_s = (rounds.reduces_each ? back_s : 0.0) + (rounds.gathers_each ? front_s : 0.0);
    cost->dp_once_s = (rounds.reduces_each ? 0.0 : back_s) + (rounds.gathers_each ? 0.0 : front_s) +
                      tied_table_s(in, class) + mirror_s(in, params, &recipes);
    cost->optimizer_s = update_s(in, params, &recipes);
    const double m = in->pipeline.m;
    cost->dp_sent_bytes = (rounds.reduces_each ? m : 1.0) * sync.reduce_bytes +
                          (rounds.gathers_each ? m : 1.0) * sync.gather_bytes +
                          (rounds.gathers_again ? m : 0.0) * sync.again_bytes;
}
