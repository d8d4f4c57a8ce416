/* SPDX-License-Identifier: Apache-2.0 */
/* One optimizer step of a training plan: layers into stages, stages through a schedule, then
 * gradients, weights and optimizer, each less what overlaps.
 *
 *   step = (m - 1) t_max + fill (t_sum - t_max) + p2p + end
 *
 * m micro-batches, t_max the slowest stage's time for one of them, t_sum all stages', fill by
 * schedule (Narayanan et al., SC 2021), end the longest that any stage takes for its last
 * micro-batch, its data-parallel traffic and its update. The step never gets shorter when one of
 * its terms gets longer. Leaves out: stragglers and failures. */
#include "step/step.h"

#include <stddef.h>

/* One stage: seconds of one micro-batch, exposed communication included, and what comes once. */
typedef struct sp_stage_cost {
    sp_layer_cost sum; /* its layers and ends                                                  */
    double gpu_s;      /* of a micro-batch on the GPU                                          */
    double host_s;     /* by which launching alone lengthens that, softly                      */
    double dp_each_s;  /* data-parallel traffic exposed with every micro-batch: ZeRO 2 and 3   */
    double total_s;    /* of a micro-batch: the sum of the three                               */
    double dp_once_s;  /* exposed once a step                                                  */
    double optimizer_s;
    double dp_sent_bytes; /* by one GPU in a step                                                 */
} sp_stage_cost;

/* Kernels of one layer, forward and backward. Forward work done again launches its kernels again: a
 * third of a forward and backward pass. */
static double layer_kernels(const sp_inputs *in)
{
    const sp_engine_profile *profile = in->problem->profile;
    const double again = in->plan->recompute == SP_RECOMPUTE_FULL ? 4.0 / 3.0 : 1.0;
    return again * (profile->layer_kernels + (in->plan->tp > 1 ? profile->layer_kernels_tp : 0.0));
}

static void add_scaled(sp_layer_cost *sum, const sp_layer_cost *c, double n)
{
    sum->forward_s += n * c->forward_s;
    sum->backward_s += n * c->backward_s;
    sum->recompute_s += n * c->recompute_s;
    sum->tp_forward_s += n * c->tp_forward_s;
    sum->tp_backward_s += n * c->tp_backward_s;
    sum->ep_forward_s += n * c->ep_forward_s;
    sum->ep_backward_s += n * c->ep_backward_s;
    sum->tp_sent_bytes += n * c->tp_sent_bytes;
    sum->ep_sent_bytes += n * c->ep_sent_bytes;
    sum->flops += n * c->flops;
    sum->recompute_flops += n * c->recompute_flops;
}

static double forward_all_s(const sp_layer_cost *c)
{
    return c->forward_s + c->tp_forward_s + c->ep_forward_s;
}

static double backward_all_s(const sp_layer_cost *c)
{
    return c->backward_s + c->recompute_s + c->tp_backward_s + c->ep_backward_s;
}

/* ---- data parallelism and optimizer ---------------------------------------------------------- */
/* Parameters of a stage on one rank, and the units in which ZeRO-3 gathers them. */
typedef struct sp_stage_params {
    double dense, expert;
    double n_units, n_layers;
} sp_stage_params;

/* Gradients reduced and weights gathered over one group, in seconds and bytes. */
typedef struct sp_sync {
    double reduce_s, gather_s; /* reduce-scatter (all-reduce at ZeRO-0), all-gather of weights */
    double reduce_bytes, gather_bytes;
} sp_sync;

/* `params` go in n messages of equal size, each with its own latency. */
static sp_sync sync_group(const sp_problem *problem, uint32_t zero, const sp_group *group,
                          double params, double n)
{
    const double share = (group->n - 1.0) / group->n;
    const double grads = problem->recipe.gradient_bytes * params;
    const double weights = problem->recipe.weight_bytes * params;
    if (zero == 0) {
        return (sp_sync){.reduce_s = n * sp_coll_allreduce_s(group, grads / n),
                         .reduce_bytes = 2.0 * share * grads};
    }
    return (sp_sync){.reduce_s = n * sp_coll_allgather_s(group, grads / n),
                     .gather_s = n * sp_coll_allgather_s(group, weights / n),
                     .reduce_bytes = share * grads,
                     .gather_bytes = share * weights};
}

/* Messages of a reduction: units under ZeRO-3, else gradient buckets. */
static double n_messages(const sp_inputs *in, double params, double n_units)
{
    if (in->plan->zero >= 3) {
        return n_units;
    }
    const double bucket_bytes = in->problem->profile->bucket_bytes;
    const double bytes = in->problem->recipe.gradient_bytes * params;
    return bytes > bucket_bytes && bucket_bytes > 0.0 ? bytes / bucket_bytes : 1.0;
}

static sp_sync sync_stage(const sp_inputs *in, const sp_stage_params *params)
{
    const uint32_t zero = in->plan->zero;
    sp_sync sum = sync_group(in->problem, zero, &in->groups.dp, params->dense,
                             n_messages(in, params->dense, params->n_units));
    if (params->expert > 0.0) {
        const sp_sync e = sync_group(in->problem, zero, &in->groups.expert_dp, params->expert,
                                     n_messages(in, params->expert, params->n_layers));
        sum.reduce_s += e.reduce_s;
        sum.gather_s += e.gather_s;
        sum.reduce_bytes += e.reduce_bytes;
        sum.gather_bytes += e.gather_bytes;
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
    sp_group ends = in->groups.pp;
    ends.n = 2;
    for (uint32_t i = 0; i < ends.n_levels; i++) {
        ends.inside[i] = i + 1 == ends.n_levels ? 2 : 1;
    }
    return sp_coll_allreduce_s(&ends, in->problem->recipe.gradient_bytes * in->head_params);
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

static double update_s(const sp_inputs *in, const sp_stage_params *params)
{
    const sp_plan *plan = in->plan;
    const bool sharded = plan->zero >= 1;
    const double shards = sharded ? plan->dp : 1.0;
    const double expert_shards =
        sharded && in->problem->has_experts ? sp_plan_expert_copies(plan) : 1.0;
    const double owned = params->dense / shards + params->expert / expert_shards;
    return owned * in->problem->recipe.step_bytes * in->problem->rates.state_s_per_byte;
}

/* ZeRO 0 and 1 reduce once a step, and 1 and 2 gather weights once; 2 reduces with every
 * micro-batch; 3 does that and gathers weights for every forward and backward pass. Reductions hide
 * beside the backward pass, two thirds of a micro-batch (three quarters when it computes the
 * forward pass again), gathering for the forward pass beside that; neither beside expert traffic,
 * which holds the same ports. Completes *cost, of which sum, gpu_s and host_s are known. */
static void price_dp(const sp_inputs *in, const sp_stage_class *class,
                     const sp_stage_params *params, sp_stage_cost *cost)
{
    const uint32_t zero = in->plan->zero;
    const double m = in->plan->accumulation;
    const sp_sync sync = sync_stage(in, params);
    const double back = in->plan->recompute == SP_RECOMPUTE_FULL ? 3.0 / 4.0 : 2.0 / 3.0;
    const double busy_s = cost->gpu_s + cost->host_s;
    const double room_s = busy_s - cost->sum.ep_forward_s - cost->sum.ep_backward_s;
    const double back_s =
        beside_s(in, back * room_s, sync.reduce_s + (zero >= 3 ? sync.gather_s : 0.0));
    const double front_s = beside_s(in, (1.0 - back) * room_s, sync.gather_s);
    cost->dp_each_s = (zero >= 2 ? back_s : 0.0) + (zero >= 3 ? front_s : 0.0);
    cost->total_s = busy_s + cost->dp_each_s;
    cost->dp_once_s =
        (zero < 2 ? back_s : 0.0) + (zero < 3 ? front_s : 0.0) + tied_table_s(in, class);
    cost->optimizer_s = update_s(in, params);
    cost->dp_sent_bytes =
        (zero >= 2 ? m : 1.0) * sync.reduce_bytes + (zero >= 3 ? 2.0 * m : 1.0) * sync.gather_bytes;
}

/* ---- stages ---------------------------------------------------------------------------------- */
static void price_stage(const sp_inputs *in, const sp_stage_class *stage, sp_stage_cost *out)
{
    const sp_problem *problem = in->problem;
    sp_stage_params params = {0};
    *out = (sp_stage_cost){0};
    for (uint32_t k = 0; k < problem->model->n_kinds; k++) {
        add_scaled(&out->sum, &in->layer[k], stage->layers[k]);
        params.dense += stage->layers[k] * in->params[k].dense;
        params.expert += stage->layers[k] * in->params[k].expert;
        params.n_layers += stage->layers[k];
    }
    if (stage->embedding) {
        add_scaled(&out->sum, &in->embedding, 1.0);
        params.dense += in->embedding_params;
    }
    if (stage->head) {
        add_scaled(&out->sum, &in->head, 1.0);
        params.dense += in->head_params;
    }
    params.n_units = params.n_layers + stage->embedding + stage->head;
    const double launch_s = params.n_layers * layer_kernels(in) * problem->profile->kernel_host_s;
    out->gpu_s = forward_all_s(&out->sum) + backward_all_s(&out->sum);
    out->host_s = sp_roof_either_s(out->gpu_s, launch_s) - out->gpu_s;
    price_dp(in, stage, &params, out);
}

/* ---- the pipeline ---------------------------------------------------------------------------- */
/* Exposed seconds and sent bytes of activations between stages. A schedule that does not overlap
 * waits for one message each way with every micro-batch and chunk; one that does hides them beside
 * its chunks, but for the last micro-batch. All wait for the first micro-batch to cross the
 * pipeline and for the last to come back. */
static double p2p_s(const sp_inputs *in, const sp_stage_cost *slowest, double *sent_bytes)
{
    const sp_plan *plan = in->plan;
    if (plan->pp == 1) {
        return 0.0;
    }
    const double bytes =
        2.0 * in->problem->model->hidden * in->shape.tokens / (plan->sp == SP_ON ? plan->tp : 1);
    const double message_s = sp_coll_p2p_s(&in->groups.pp, bytes);
    const sp_schedule_kind *schedule = sp_schedule_describe((sp_schedule)plan->schedule);
    const double share = schedule->overlaps_p2p ? in->problem->profile->dp_overlap_ratio : 0.0;
    const double round_s = 2.0 * plan->vpp * message_s;
    const double each_s = sp_overlap_exposed_s(slowest->total_s, share, round_s);
    *sent_bytes = 2.0 * bytes * plan->accumulation * plan->vpp;
    return (plan->accumulation - 1.0) * each_s + round_s + 2.0 * (plan->pp - 1.0) * message_s;
}

/* last: the stage that ends the step, by its last micro-batch, traffic and update. Where that is
 * not the slowest stage, what it waited for the slowest one is taken off its traffic. */
static void fill_time(const sp_inputs *in, const sp_stage_cost *slowest, const sp_stage_cost *last,
                      double sum_s, sp_time *time)
{
    const sp_plan *plan = in->plan;
    const sp_engine_profile *profile = in->problem->profile;
    const sp_layer_cost *c = &slowest->sum;
    const sp_schedule_kind *schedule = sp_schedule_describe((sp_schedule)plan->schedule);
    const double m = plan->accumulation;
    const double lead_s = slowest->total_s - last->total_s;
    const double tail_s = last->dp_once_s + last->optimizer_s - lead_s;
    const double optimizer_s = last->optimizer_s < tail_s ? last->optimizer_s : tail_s;
    const double once_s = lead_s > 0.0 ? tail_s - optimizer_s : last->dp_once_s;
    *time = (sp_time){.forward_s = m * c->forward_s,
                      .backward_s = m * c->backward_s,
                      .recompute_s = m * c->recompute_s,
                      .tp_comm_s = m * (c->tp_forward_s + c->tp_backward_s),
                      .ep_comm_s = m * (c->ep_forward_s + c->ep_backward_s),
                      .bubble_s = schedule->fill_ratio(plan->vpp) * (sum_s - slowest->total_s),
                      .dp_comm_s = m * slowest->dp_each_s + once_s,
                      .optimizer_s = optimizer_s,
                      .other_s = m * (slowest->host_s + plan->vpp * profile->micro_batch_s) +
                                 profile->step_s};
}

static void fill_network(const sp_inputs *in, const sp_stage_cost *slowest, sp_time *time,
                         sp_network *network)
{
    const double m = in->plan->accumulation;
    *network = (sp_network){.tp_bytes = m * slowest->sum.tp_sent_bytes,
                            .ep_bytes = m * slowest->sum.ep_sent_bytes,
                            .dp_bytes = slowest->dp_sent_bytes};
    time->pp_comm_s = p2p_s(in, slowest, &network->pp_bytes);
    time->step_s = time->forward_s + time->backward_s + time->recompute_s + time->tp_comm_s +
                   time->ep_comm_s + time->pp_comm_s + time->bubble_s + time->dp_comm_s +
                   time->optimizer_s + time->other_s;
    const double inner_s = time->tp_comm_s + time->ep_comm_s;
    network->exposed_ratio = inner_s / (m * slowest->gpu_s);
    network->step_ratio = (inner_s + time->pp_comm_s + time->dp_comm_s) / time->step_s;
}

/* FLOPs of a step over all GPUs, recomputation included: three forward passes and what is done
 * again. Ranks of a stage do equal work, so one rank's share times tp and dp is the whole. */
static double step_flops(const sp_inputs *in, const sp_stage_split *split,
                         const sp_stage_cost *stages)
{
    double again = 0.0;
    for (uint32_t i = 0; i < split->n_classes; i++) {
        again += split->classes[i].n_stages * stages[i].sum.recompute_flops;
    }
    const double ranks = (double)in->plan->tp * in->plan->dp;
    return 3.0 * in->problem->forward_flops + again * ranks * in->plan->accumulation;
}

void sp_train_price(const sp_inputs *in, sp_time *time, sp_network *network, double *whole_flops)
{
    const sp_stage_split *split =
        sp_problem_split(in->problem, in->plan->pp, (sp_stage_layers)in->plan->stage_layers);
    sp_stage_cost stages[SP_MAX_STAGE_CLASSES];
    double sum_s = 0.0, end_s = 0.0;
    uint32_t slowest = 0, last = 0;
    for (uint32_t i = 0; i < split->n_classes; i++) {
        const sp_stage_cost *stage = &stages[i];
        price_stage(in, &split->classes[i], &stages[i]);
        sum_s += split->classes[i].n_stages * stage->total_s;
        slowest = stage->total_s > stages[slowest].total_s ? i : slowest;
        const double stage_end_s = stage->total_s + stage->dp_once_s + stage->optimizer_s;
        last = stage_end_s > end_s ? i : last;
        end_s = stage_end_s > end_s ? stage_end_s : end_s;
    }
    fill_time(in, &stages[slowest], &stages[last], sum_s, time);
    fill_network(in, &stages[slowest], time, network);
    if (whole_flops != NULL) {
        *whole_flops = step_flops(in, split, stages);
    }
}
