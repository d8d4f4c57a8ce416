/* SPDX-License-Identifier: Apache-2.0 */
/* One optimizer step of a training plan: layers into stages, stages through a schedule, then
 * gradients, weights and optimizer, each less what overlaps.
 *
 *   step = passes - t_max + p2p + end
 *
 * passes: the longest chain of passes that the schedule makes (sched_*.c), m t_max and a bubble for
 * m micro-batches of t_max on the slowest stage; end: the longest that any stage takes for its last
 * micro-batch, its data-parallel traffic and its update. The step never gets shorter when one of
 * its terms gets longer. Leaves out: failures. */
#include "step/step.h"

#include <stddef.h>

/* ---- the pipeline ---------------------------------------------------------------------------- */
sp_stage_message sp_stage_message_of(const sp_inputs *in)
{
    const sp_plan *plan = in->plan;
    const double whole = 2.0 * in->problem->model->hidden * in->shape.tokens;
    if (plan->sp == SP_ON) return (sp_stage_message){.bytes = whole / plan->tp};
    if (plan->tp == 1 || !in->problem->profile->cuts_messages)
        return (sp_stage_message){.bytes = whole};
    return (sp_stage_message){.bytes = whole / plan->tp, .gathered_bytes = whole};
}

double sp_message_s(const sp_inputs *in, double *bytes)
{
    const sp_stage_message message = sp_stage_message_of(in);
    const sp_group *tp = &in->groups.tp;
    *bytes = message.bytes + message.gathered_bytes * (tp->n - 1.0) / tp->n;
    return sp_coll_p2p_s(&in->groups.pp, message.bytes) +
           sp_coll_allgather_s(tp, message.gathered_bytes);
}

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
    double bytes = 0.0;
    const double message_s = sp_message_s(in, &bytes);
    const sp_schedule_kind *schedule = in->schedule;
    const sp_pipeline_shape *shape = &in->pipeline;
    const double share = schedule->overlaps_p2p ? in->problem->profile->dp_overlap_ratio : 0.0;
    const double round_s = 2.0 * sp_pipeline_chunks(schedule, shape) * message_s;
    const double each_s = sp_overlap_exposed_s(slowest->total_s, share, round_s);
    *sent_bytes = 2.0 * bytes * plan->accumulation * plan->vpp;
    return (shape->m - 1.0) * each_s + round_s + 2.0 * (plan->pp - 1.0) * message_s;
}

static void add_passes(sp_pass_times *sum, const sp_pass_times *t, double n)
{
    sum->forward_s += n * t->forward_s;
    sum->input_grad_s += n * t->input_grad_s;
    sum->weight_grad_s += n * t->weight_grad_s;
}

/* The passes of the stages behind the last one of a class. */
static double after_s(const sp_stage_costs *stages, const sp_stage_class *class)
{
    double sum_s = 0.0;
    for (uint32_t k = 0; k < stages->split->n_classes; k++) {
        const sp_stage_cost *behind = &stages->class[k];
        sum_s += class->after[k] * (behind->total_s + behind->alone_s);
    }
    return sum_s;
}

/* From the first pass to the last one, all messages being free: the longest chain of passes, each
 * class of stages by its last one, behind which the fewest stages lie. */
static double passes_s(const sp_inputs *in, const sp_stage_costs *stages)
{
    const sp_stage_split *split = stages->split;
    sp_pass_times passes[SP_MAX_STAGE_CLASSES], sum = {0};
    sp_chain chain = {.shape = &in->pipeline, .sum = &sum};
    for (uint32_t i = 0; i < split->n_classes; i++) {
        passes[i] = sp_stage_passes(in, &stages->class[i]);
        add_passes(&sum, &passes[i], split->classes[i].n_stages);
        chain.n += split->classes[i].n_stages;
    }
    double longest_s = 0.0;
    for (uint32_t i = 0; i < split->n_classes; i++) {
        const sp_stage_class *class = &split->classes[i];
        chain.pivot = &passes[i];
        chain.n_after = chain.n - 1 - class->last_stage;
        chain.after_s = chain.n_after > 0 ? after_s(stages, class) : 0.0;
        longest_s = sp_larger(longest_s, in->schedule->chain_s(&chain));
    }
    return longest_s;
}

/* The bubble is what the passes take beyond the micro-batches of the slowest stage: waiting, and
 * traffic of passes that run alone while the pipeline fills and drains. last: the stage that ends
 * the step, by its last micro-batch, traffic and update. Where that is not the slowest stage, what
 * it waited for the slowest one is taken off its traffic. */
static void fill_time(const sp_inputs *in, const sp_stage_costs *stages, sp_time *time)
{
    const sp_plan *plan = in->plan;
    const sp_engine_profile *profile = in->problem->profile;
    const sp_stage_cost *slowest = &stages->class[stages->slowest];
    const sp_stage_cost *last = &stages->class[stages->last];
    const sp_layer_cost *c = &slowest->sum;
    const sp_schedule_kind *schedule = in->schedule;
    const sp_pipeline_shape *shape = &in->pipeline;
    const double m = shape->m, chunks = sp_pipeline_chunks(schedule, shape);
    const bool alone = plan->pp == 1; /* there, only the first and the last pass have no pair */
    const double rest_s =
        alone ? slowest->alone_s : sp_larger(passes_s(in, stages) - m * slowest->total_s, 0.0);
    const double lead_s = slowest->total_s - last->total_s;
    const double update_s = last->optimizer_s + last->offload_once_s;
    const double tail_s = last->dp_once_s + update_s - lead_s;
    const double shown_s = update_s < tail_s ? update_s : tail_s;
    const double optimizer_s = last->optimizer_s < shown_s ? last->optimizer_s : shown_s;
    const double once_s = lead_s > 0.0 ? tail_s - shown_s : last->dp_once_s;
    *time = (sp_time){
        .forward_s = m * c->forward_s,
        .backward_s = m * c->backward_s,
        .recompute_s = m * c->recompute_s,
        .tp_comm_s = m * (c->tp_forward_s + c->tp_backward_s),
        .cp_comm_s = m * (c->cp_forward_s + c->cp_backward_s),
        .ep_comm_s = m * (c->ep_forward_s + c->ep_backward_s) + (alone ? rest_s : 0.0),
        .bubble_s = alone ? 0.0 : rest_s,
        .dp_comm_s = m * slowest->dp_each_s + once_s,
        .optimizer_s = optimizer_s,
        .offload_s = m * slowest->offload_each_s + (shown_s - optimizer_s),
        .other_s = m * (slowest->host_s + chunks * profile->micro_batch_s) + profile->step_s};
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
        most_s = sp_larger(most_s, in->pipeline.m * each_s + stages[i].optimizer_s);
    }
    return more * most_s;
}

static void fill_network(const sp_inputs *in, const sp_stage_cost *slowest, sp_time *time,
                         sp_network *network)
{
    const double m = in->pipeline.m;
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
    const double alone_s = in->plan->pp == 1 ? slowest->alone_s : 0.0;
    network->exposed_ratio = inner_s / (m * slowest->gpu_s + alone_s);
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

void sp_stages_price(const sp_inputs *in, sp_stage_costs *stages)
{
    stages->split = sp_plan_split(in->problem, in->plan);
    stages->slowest = stages->last = 0;
    double end_s = 0.0;
    for (uint32_t i = 0; i < stages->split->n_classes; i++) {
        const sp_stage_cost *stage = &stages->class[i];
        sp_stage_price(in, &stages->split->classes[i], &stages->class[i]);
        const double longest_s = stages->class[stages->slowest].total_s;
        stages->slowest = stage->total_s > longest_s ? i : stages->slowest;
        const double stage_end_s =
            stage->total_s + stage->dp_once_s + stage->optimizer_s + stage->offload_once_s;
        stages->last = stage_end_s > end_s ? i : stages->last;
        end_s = sp_larger(end_s, stage_end_s);
    }
}

void sp_train_price(const sp_inputs *in, sp_time *time, sp_network *network, double *whole_flops)
{
    sp_stage_costs stages;
    sp_stages_price(in, &stages);
    fill_time(in, &stages, time);
    time->straggler_s = straggler_s(in, stages.split, stages.class);
    fill_network(in, &stages.class[stages.slowest], time, network);
    if (whole_flops != NULL) {
        *whole_flops = step_flops(in, stages.split, stages.class);
    }
}
