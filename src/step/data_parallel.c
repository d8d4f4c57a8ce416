/* SPDX-License-Identifier: Apache-2.0 */
/* Gradients, sharded weights and the update of one stage: how often ZeRO 0 to 3 send them (what
 * they send is sync.c's), how much of it hides beside the passes, and how long the optimizer takes.
 */
#include "step/step.h"

static sp_sync sync_stage(const sp_inputs *in, const sp_stage_params *params)
{
    const sp_recipe *recipe = &in->problem->recipe, *own = &in->problem->adapter_recipe;
    const sp_groups *groups = &in->groups;
    sp_sync sum = {0};
    sp_sync_add(in, recipe, &groups->dense, params->dense, params->n_units, &sum);
    sp_sync_add(in, own, &groups->dense, params->adapter.dense, params->n_units, &sum);
    if (in->problem->has_experts) {
        sp_sync_add(in, recipe, &groups->expert, params->expert, params->n_layers, &sum);
        sp_sync_add(in, own, &groups->expert, params->adapter.expert, params->n_layers, &sum);
    }
    return sum;
}

/* Copies of a tied table at both ends of the pipeline add up their gradients. */
static double tied_table_s(const sp_inputs *in, const sp_stage_class *stage)
{
    if (!in->problem->model->tied_embeddings || in->plan->pp == 1 ||
        !(stage->embedding || stage->head)) {
        return 0.0;
    }
    const double grads = in->problem->recipe.gradient_bytes * in->head_params;
    if (grads <= 0.0) {
        return 0.0;
    }
    sp_group ends = in->groups.pp;
    ends.n = 2;
    for (uint32_t i = 0; i < ends.n_levels; i++) {
        ends.inside[i] = i + 1 == ends.n_levels ? 2 : 1;
    }
    return sp_coll_allreduce_s(&ends, grads);
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

sp_owned sp_stage_owned(const sp_inputs *in, const sp_stage_params *params)
{
    const bool sharded = in->plan->zero >= 1;
    const sp_shards all = sp_plan_shards(in->problem, in->plan);
    const sp_shards shards = sharded ? all : (sp_shards){1, 1};
    return (sp_owned){.model = params->dense / shards.dense + params->expert / shards.expert,
                      .adapters = params->adapter.dense / shards.dense +
                                  params->adapter.expert / shards.expert};
}

static double update_s(const sp_inputs *in, const sp_stage_params *params)
{
    const sp_problem *problem = in->problem;
    const sp_owned owned = sp_stage_owned(in, params);
    return (owned.model * problem->recipe.step_bytes +
            owned.adapters * problem->adapter_recipe.step_bytes) *
           problem->rates.state_s_per_byte;
}

/* Micro-batches with which weights are gathered and gradients reduced, of m: engines that leave
 * weights whole over a pipeline do both once a step, ZeRO-2 of engines that hold weights whole
 * gathers once. */
typedef struct sp_rounds {
    bool gathers_each, reduces_each;
} sp_rounds;

static sp_rounds rounds_of(const sp_inputs *in)
{
    const sp_engine_profile *profile = in->problem->profile;
    const uint32_t zero = in->plan->zero;
    const bool stays = in->plan->pp > 1 && profile->pipeline_unit_bytes > 0.0;
    return (sp_rounds){.gathers_each =
                           !stays && (zero >= 3 || (zero == 2 && profile->gathers_each_batch)),
                       .reduces_each = !stays && zero >= 2};
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
    const sp_rounds rounds = rounds_of(in);
    const double m = in->plan->accumulation;
    const sp_sync sync = sync_stage(in, params);
    const double back = sp_stage_back_share(in, class);
    const double room_s = cost->gpu_s + cost->host_s - cost->sum.ep_traffic_s;
    /* ZeRO-3 gathers again for the backward pass. */
    const bool near = (in->problem->question.zeropp & SP_ZEROPP_HPZ) != 0;
    const bool again = in->plan->zero >= 3 && rounds.gathers_each;
    const double again_s = !again ? 0.0 : near ? sync.near_s : sync.gather_s;
    const double again_bytes = !again ? 0.0 : near ? sync.near_bytes : sync.gather_bytes;
    const double back_s = beside_s(in, back * room_s, sync.reduce_s + again_s, sync.reduce_one_s);
    const double front_s = beside_s(in, (1.0 - back) * room_s, sync.gather_s, sync.gather_one_s);
    cost->dp_each_s = (rounds.reduces_each ? back_s : 0.0) + (rounds.gathers_each ? front_s : 0.0);
    cost->dp_once_s = (rounds.reduces_each ? 0.0 : back_s) + (rounds.gathers_each ? 0.0 : front_s) +
                      tied_table_s(in, class);
    cost->optimizer_s = update_s(in, params);
    cost->dp_sent_bytes = (rounds.reduces_each ? m : 1.0) * sync.reduce_bytes +
                          (rounds.gathers_each ? m : 1.0) * sync.gather_bytes + m * again_bytes;
}
