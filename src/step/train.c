/* SPDX-License-Identifier: Apache-2.0 */
/* One optimizer step of a training plan: layers into stages, stages through a schedule, then
 * gradients, weights and optimizer, each less what overlaps.
 *
 *   step = (m - 1) t_max + fill (t_sum - t_max) + p2p + end
 *
 * m micro-batches, t_max the slowest stage's time for one of them, t_sum all stages', fill by
 * schedule (Narayanan et al., SC 2021), end the longest that any stage takes for its last
 * micro-batch, its data-parallel traffic and its update. The step never gets shorter when one of
 * its terms gets longer. Leaves out: failures. */
#include "step/step.h"

#include <stddef.h>

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
    const double update_s = last->optimizer_s + last->offload_once_s;
    const double tail_s = last->dp_once_s + update_s - lead_s;
    const double shown_s = update_s < tail_s ? update_s : tail_s;
    const double optimizer_s = last->optimizer_s < shown_s ? last->optimizer_s : shown_s;
    const double once_s = lead_s > 0.0 ? tail_s - shown_s : last->dp_once_s;
    *time = (sp_time){.forward_s = m * c->forward_s,
                      .backward_s = m * c->backward_s,
                      .recompute_s = m * c->recompute_s,
                      .tp_comm_s = m * (c->tp_forward_s + c->tp_backward_s),
                      .cp_comm_s = m * (c->cp_forward_s + c->cp_backward_s),
                      .ep_comm_s = m * (c->ep_forward_s + c->ep_backward_s),
                      .bubble_s = schedule->fill_ratio(plan->vpp) * (sum_s - slowest->total_s),
                      .dp_comm_s = m * slowest->dp_each_s + once_s,
                      .optimizer_s = optimizer_s,
                      .offload_s = m * slowest->offload_each_s + (shown_s - optimizer_s),
                      .other_s = m * (slowest->host_s + plan->vpp * profile->micro_batch_s) +
                                 profile->step_s};
}

/* Ranks of a step wait for each other: what the slowest one takes longer for its work, wherever in
 * the pipeline it stands. What links carry takes no longer. */
static double straggler_s(const sp_inputs *in, const sp_stage_split *split,
                          const sp_stage_cost *stages)
{
    const double more = in->plan->gpus > 1 ? in->problem->question.straggler_ratio - 1.0 : 0.0;
    double most_s = 0.0;
    for (uint32_t i = 0; more > 0.0 && i < split->n_classes; i++) {
        const sp_layer_cost *c = &stages[i].sum;
        const double each_s = c->forward_s + c->backward_s + c->recompute_s;
        most_s = sp_larger(most_s, in->plan->accumulation * each_s + stages[i].optimizer_s);
    }
    return more * most_s;
}

static void fill_network(const sp_inputs *in, const sp_stage_cost *slowest, sp_time *time,
                         sp_network *network)
{
    const double m = in->plan->accumulation;
    *network = (sp_network){.tp_bytes = m * slowest->sum.tp_sent_bytes,
                            .cp_bytes = m * slowest->sum.cp_sent_bytes,
                            .ep_bytes = m * slowest->sum.ep_sent_bytes,
                            .dp_bytes = slowest->dp_sent_bytes,
                            .host_bytes = slowest->host_sent_bytes};
    time->pp_comm_s = p2p_s(in, slowest, &network->pp_bytes);
    time->step_s = time->forward_s + time->backward_s + time->recompute_s + time->tp_comm_s +
                   time->cp_comm_s + time->ep_comm_s + time->pp_comm_s + time->bubble_s +
                   time->dp_comm_s + time->optimizer_s + time->offload_s + time->straggler_s +
                   time->other_s;
    const double inner_s = time->tp_comm_s + time->cp_comm_s + time->ep_comm_s;
    network->exposed_ratio = inner_s / (m * slowest->gpu_s);
    network->step_ratio = (inner_s + time->pp_comm_s + time->dp_comm_s) / time->step_s;
}

/* FLOPs of a step over all GPUs, recomputation included: the passes of the task and what is done
 * again. Ranks of a stage do equal work, so one rank's share times their number is the whole. */
static double step_flops(const sp_inputs *in, const sp_stage_split *split,
                         const sp_stage_cost *stages)
{
    double again = 0.0;
    for (uint32_t i = 0; i < split->n_classes; i++) {
        again += split->classes[i].n_stages * stages[i].sum.recompute_flops;
    }
    const double ranks = sp_plan_stage_ranks(in->plan);
    return sp_problem_passes(in->problem) * in->problem->forward_flops +
           again * ranks * in->plan->accumulation;
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
        sp_stage_price(in, &split->classes[i], &stages[i]);
        sum_s += split->classes[i].n_stages * stage->total_s;
        slowest = stage->total_s > stages[slowest].total_s ? i : slowest;
        const double stage_end_s =
            stage->total_s + stage->dp_once_s + stage->optimizer_s + stage->offload_once_s;
        last = stage_end_s > end_s ? i : last;
        end_s = stage_end_s > end_s ? stage_end_s : end_s;
    }
    fill_time(in, &stages[slowest], &stages[last], sum_s, time);
    time->straggler_s = straggler_s(in, split, stages);
    fill_network(in, &stages[slowest], time, network);
    if (whole_flops != NULL) {
        *whole_flops = step_flops(in, split, stages);
    }
}
