/* SPDX-License-Identifier: Apache-2.0 */
/* One optimizer step of a training plan: layers into stages, stages through a schedule, then
 * gradients, weights and optimizer, each less what overlaps.
 *
 *   step = m t_max + fill (t_sum - t_max) + p2p + tail
 *
 * m micro-batches, t_max the slowest stage's time for one of them, t_sum all stages', fill by
 * schedule (Narayanan et al., SC 2021), tail the largest data-parallel and optimizer time of any
 * stage. Every part grows with every term it is made of. Leaves out: stragglers and failures. */
#include "step/step.h"

#include <stddef.h>

/* Seconds of one micro-batch on one stage, exposed communication included. */
typedef struct sp_stage_cost {
    sp_layer_cost sum; /* its layers and ends                                                */
    double host_s;     /* time that launching alone would take                               */
    double total_s;    /* of a micro-batch: the larger of the above, softly                  */
    double dense_params, expert_params;
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

static void price_stage(const sp_inputs *in, const sp_stage_class *stage, sp_stage_cost *out)
{
    const sp_problem *problem = in->problem;
    double n_layers = 0.0;
    *out = (sp_stage_cost){0};
    for (uint32_t k = 0; k < problem->model->n_kinds; k++) {
        add_scaled(&out->sum, &in->layer[k], stage->layers[k]);
        out->dense_params += stage->layers[k] * in->params[k].dense;
        out->expert_params += stage->layers[k] * in->params[k].expert;
        n_layers += stage->layers[k];
    }
    if (stage->embedding) {
        add_scaled(&out->sum, &in->embedding, 1.0);
        out->dense_params += in->embedding_params;
    }
    if (stage->head) {
        add_scaled(&out->sum, &in->head, 1.0);
        out->dense_params += in->head_params;
    }
    out->host_s = n_layers * layer_kernels(in) * problem->profile->kernel_host_s;
    const double gpu_s = forward_all_s(&out->sum) + backward_all_s(&out->sum);
    out->total_s = sp_roof_either_s(gpu_s, out->host_s);
}

/* ---- data parallelism and optimizer
 * ---------------------------------------------------------------- */
typedef struct sp_tail {
    double dp_s; /* exposed over the step */
    double optimizer_s;
    double dp_bytes; /* sent by one GPU in a step */
} sp_tail;

/* Gradients reduced and weights gathered over one group, in seconds and bytes. */
typedef struct sp_sync {
    double reduce_s, gather_s; /* reduce-scatter (all-reduce at ZeRO-0), all-gather of weights */
    double reduce_bytes, gather_bytes;
} sp_sync;

static sp_sync sync_group(const sp_problem *problem, uint32_t zero, const sp_group *group,
                          double params)
{
    const double share = (group->n - 1.0) / group->n;
    const double grads = problem->recipe.gradient_bytes * params;
    const double weights = problem->recipe.weight_bytes * params;
    if (zero == 0) {
        return (sp_sync){.reduce_s = sp_coll_allreduce_s(group, grads),
                         .reduce_bytes = 2.0 * share * grads};
    }
    return (sp_sync){.reduce_s = sp_coll_allgather_s(group, grads),
                     .gather_s = sp_coll_allgather_s(group, weights),
                     .reduce_bytes = share * grads,
                     .gather_bytes = share * weights};
}

static sp_sync sync_stage(const sp_inputs *in, const sp_stage_cost *stage)
{
    sp_sync sum = sync_group(in->problem, in->plan->zero, &in->groups.dp, stage->dense_params);
    if (stage->expert_params > 0.0) {
        const sp_sync e =
            sync_group(in->problem, in->plan->zero, &in->groups.expert_dp, stage->expert_params);
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

/* Exposed seconds of data-parallel traffic beside computation. What hides still slows the kernels
 * it hides under, since both use the memory and the multiprocessors. */
static double beside_s(const sp_inputs *in, double compute_s, double comm_s)
{
    if (in->plan->dp_overlap == SP_OFF) {
        return comm_s;
    }
    const sp_engine_profile *profile = in->problem->profile;
    return sp_overlap_exposed_s(compute_s, profile->dp_overlap_ratio, comm_s) +
           profile->dp_interference_ratio * comm_s;
}

/* How often a step reduces gradients and gathers weights, and what it may hide under:
 * ZeRO 0, 1: once, under the last backward and first forward pass. 2: reduces with every
 * micro-batch. 3: gathers weights for every forward and backward pass, reduces with every backward
 * pass. */
static sp_tail price_tail(const sp_inputs *in, const sp_stage_class *class,
                          const sp_stage_cost *stage)
{
    const sp_plan *plan = in->plan;
    const double m = plan->accumulation;
    const double f = forward_all_s(&stage->sum), b = backward_all_s(&stage->sum);
    const sp_sync sync = sync_stage(in, stage);
    const double reduces = plan->zero >= 2 ? m : 1.0;
    const double gathers = plan->zero >= 3 ? m : 1.0;
    const double back_s = sync.reduce_s + (plan->zero >= 3 ? sync.gather_s : 0.0);
    const double shards = plan->zero >= 1 ? plan->dp : 1.0;
    const double expert_shards =
        plan->zero >= 1 && in->problem->has_experts ? sp_plan_expert_copies(plan) : 1.0;
    const double owned = stage->dense_params / shards + stage->expert_params / expert_shards;
    return (sp_tail){.dp_s = reduces * beside_s(in, b, back_s) +
                             gathers * beside_s(in, f, sync.gather_s) + tied_table_s(in, class),
                     .optimizer_s = owned * in->problem->recipe.step_bytes *
                                    in->problem->rates.state_s_per_byte,
                     .dp_bytes = reduces * sync.reduce_bytes +
                                 gathers * (plan->zero >= 3 ? 2.0 : 1.0) * sync.gather_bytes};
}

/* ---- the pipeline
 * ------------------------------------------------------------------------------------ */
/* Exposed seconds and sent bytes of activations between stages. A schedule that does not overlap
 * waits for one message each way with every micro-batch and chunk; all wait for the first
 * micro-batch to cross the pipeline and for the last to come back. */
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
    const double chunk_s = slowest->total_s / plan->vpp;
    const double share = schedule->overlaps_p2p ? in->problem->profile->dp_overlap_ratio : 0.0;
    const double each_s = sp_overlap_exposed_s(chunk_s, share, 2.0 * message_s);
    *sent_bytes = 2.0 * bytes * plan->accumulation * plan->vpp;
    return plan->accumulation * plan->vpp * each_s + 2.0 * (plan->pp - 1.0) * message_s;
}

static void fill_time(const sp_inputs *in, const sp_stage_cost *slowest, double sum_s,
                      const sp_tail *tail, sp_time *time, sp_network *network)
{
    const sp_plan *plan = in->plan;
    const sp_engine_profile *profile = in->problem->profile;
    const sp_layer_cost *c = &slowest->sum;
    const sp_schedule_kind *schedule = sp_schedule_describe((sp_schedule)plan->schedule);
    const double m = plan->accumulation;
    const double gpu_s = forward_all_s(c) + backward_all_s(c);
    *time =
        (sp_time){.forward_s = m * c->forward_s,
                  .backward_s = m * c->backward_s,
                  .recompute_s = m * c->recompute_s,
                  .tp_comm_s = m * (c->tp_forward_s + c->tp_backward_s),
                  .ep_comm_s = m * (c->ep_forward_s + c->ep_backward_s),
                  .pp_comm_s = p2p_s(in, slowest, &network->pp_bytes),
                  .bubble_s = schedule->fill_ratio(plan->vpp) * (sum_s - slowest->total_s),
                  .dp_comm_s = tail->dp_s,
                  .optimizer_s = tail->optimizer_s,
                  .other_s = m * (slowest->total_s - gpu_s + plan->vpp * profile->micro_batch_s) +
                             profile->step_s};
    time->step_s = time->forward_s + time->backward_s + time->recompute_s + time->tp_comm_s +
                   time->ep_comm_s + time->pp_comm_s + time->bubble_s + time->dp_comm_s +
                   time->optimizer_s + time->other_s;
    const double layers_s = m * gpu_s;
    network->exposed_ratio = (time->tp_comm_s + time->ep_comm_s) / layers_s;
    network->step_ratio =
        (time->tp_comm_s + time->ep_comm_s + time->pp_comm_s + time->dp_comm_s) / time->step_s;
    network->tp_bytes = m * c->tp_sent_bytes;
    network->ep_bytes = m * c->ep_sent_bytes;
    network->dp_bytes = tail->dp_bytes;
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
    sp_tail tail = {0};
    double sum_s = 0.0;
    uint32_t slowest = 0;
    for (uint32_t i = 0; i < split->n_classes; i++) {
        price_stage(in, &split->classes[i], &stages[i]);
        sum_s += split->classes[i].n_stages * stages[i].total_s;
        slowest = stages[i].total_s > stages[slowest].total_s ? i : slowest;
        const sp_tail t = price_tail(in, &split->classes[i], &stages[i]);
        if (t.dp_s + t.optimizer_s > tail.dp_s + tail.optimizer_s) {
            tail = t;
        }
    }
    *network = (sp_network){0};
    fill_time(in, &stages[slowest], sum_s, &tail, time, network);
    if (whole_flops != NULL) {
        *whole_flops = step_flops(in, split, stages);
    }
}
