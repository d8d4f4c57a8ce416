/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of serving_prunes.def. Canonical: an axis that changes nothing stands at one value, so
 * that no plan has two ids. Structure: what cannot be built, mostly divisions with a remainder. */
#include "space/serving_prune.h"

#include <assert.h>

/* ---- which pool ---- */

static bool is_disaggregated(const sp_serving_plan *plan)
{
    return plan->value[SP_SERVING_AXIS_mode] == SP_SERVING_DISAGG;
}

/* The axes of one pool, by the axis that turns. */
static bool of_prefill(sp_serving_axis_id axis)
{
    return axis <= SP_SERVING_AXIS_prefill_workers;
}

static uint64_t width_of(const sp_serving_plan *plan, bool prefill)
{
    const uint64_t tp = plan->value[prefill ? SP_SERVING_AXIS_prefill_tp : SP_SERVING_AXIS_tp];
    return tp * plan->value[prefill ? SP_SERVING_AXIS_prefill_attn_dp : SP_SERVING_AXIS_attn_dp];
}

static uint64_t prefill_gpus(const sp_serving_plan *plan)
{
    return plan->value[SP_SERVING_AXIS_prefill_workers] * width_of(plan, true) *
           plan->value[SP_SERVING_AXIS_prefill_pp];
}

/* GPUs that a worker of the pool may take: of the prefill pool all but one, of the other what that
 * leaves. */
static bool within_gpus(const sp_serving_plan *plan, bool prefill, uint64_t taken)
{
    const uint64_t gpus = plan->value[SP_SERVING_AXIS_gpus];
    if (!is_disaggregated(plan)) return prefill || taken <= gpus;
    return (prefill ? 1 : prefill_gpus(plan)) + taken <= gpus;
}

static bool at_first(const sp_serving_space *space, const sp_serving_plan *plan,
                     sp_serving_axis_id axis)
{
    return plan->value[axis] == space->axes[axis].values[0];
}

/* ---- canonical ---- */

bool sp_serving_prune_one_pool(const sp_serving_space *space, const sp_serving_plan *plan,
                               sp_serving_axis_id axis)
{
    return is_disaggregated(plan) || at_first(space, plan, axis);
}

bool sp_serving_prune_attn_dp_without_experts(const sp_serving_space *space,
                                              const sp_serving_plan *plan, sp_serving_axis_id axis)
{
    return space->problem->has_experts || plan->value[axis] == 1;
}

bool sp_serving_prune_ep_without_experts(const sp_serving_space *space, const sp_serving_plan *plan,
                                         sp_serving_axis_id axis)
{
    return space->problem->has_experts || plan->value[axis] == 1;
}

bool sp_serving_prune_chunk_without_effect(const sp_serving_space *space,
                                           const sp_serving_plan *plan, sp_serving_axis_id axis)
{
    const sp_serving_engine *engine = &space->problem->engines[plan->value[SP_SERVING_AXIS_engine]];
    return engine->timing.rule != SP_SERVE_STATIC || at_first(space, plan, axis);
}

/* The value before this one in the space; 0 when it is the first. */
static uint32_t value_before(const sp_serving_axis *axis, uint32_t value)
{
    uint32_t before = 0;
    for (uint32_t i = 0; i < axis->n_values && axis->values[i] < value; i++) {
        before = axis->values[i];
    }
    return before;
}

bool sp_serving_prune_batch_above_need(const sp_serving_space *space, const sp_serving_plan *plan,
                                       sp_serving_axis_id axis)
{
    const double users = space->problem->question.concurrency;
    const double ranks = (double)plan->workers * plan->value[SP_SERVING_AXIS_attn_dp];
    return users <= 0.0 || value_before(&space->axes[axis], plan->value[axis]) * ranks < users;
}

/* ---- structure ---- */

bool sp_serving_prune_cluster_size(const sp_serving_space *space, const sp_serving_plan *plan,
                                   sp_serving_axis_id axis)
{
    const sp_cluster *cluster = space->problem->facts.cluster;
    return plan->value[axis] <= cluster->max_gpus;
}

bool sp_serving_prune_tp_within_gpus(const sp_serving_space *space, const sp_serving_plan *plan,
                                     sp_serving_axis_id axis)
{
    (void)space;
    return within_gpus(plan, of_prefill(axis), plan->value[axis]);
}

bool sp_serving_prune_tp_divides_model(const sp_serving_space *space, const sp_serving_plan *plan,
                                       sp_serving_axis_id axis)
{
    return sp_serving_tp_cuts_model(space->problem->model, plan->value[axis]);
}

bool sp_serving_prune_width_within_gpus(const sp_serving_space *space, const sp_serving_plan *plan,
                                        sp_serving_axis_id axis)
{
    (void)space;
    return within_gpus(plan, of_prefill(axis), width_of(plan, of_prefill(axis)));
}

bool sp_serving_prune_ep_divides_worker(const sp_serving_space *space, const sp_serving_plan *plan,
                                        sp_serving_axis_id axis)
{
    (void)space;
    return width_of(plan, of_prefill(axis)) % plan->value[axis] == 0;
}

bool sp_serving_prune_ep_divides_experts(const sp_serving_space *space, const sp_serving_plan *plan,
                                         sp_serving_axis_id axis)
{
    return sp_serving_ep_cuts_experts(space->problem->model, plan->value[axis]);
}

bool sp_serving_prune_experts_fill_worker(const sp_serving_space *space,
                                          const sp_serving_plan *plan, sp_serving_axis_id axis)
{
    (void)space;
    const bool prefill = of_prefill(axis);
    const uint64_t ep = plan->value[prefill ? SP_SERVING_AXIS_prefill_ep : SP_SERVING_AXIS_ep];
    return ep * plan->value[axis] == width_of(plan, prefill);
}

bool sp_serving_prune_moe_tp_divides_experts(const sp_serving_space *space,
                                             const sp_serving_plan *plan, sp_serving_axis_id axis)
{
    return sp_serving_moe_tp_cuts_experts(space->problem->model, plan->value[axis]);
}

bool sp_serving_prune_pp_within_layers(const sp_serving_space *space, const sp_serving_plan *plan,
                                       sp_serving_axis_id axis)
{
    return plan->value[axis] <= space->problem->model->n_layers;
}

bool sp_serving_prune_pp_within_gpus(const sp_serving_space *space, const sp_serving_plan *plan,
                                     sp_serving_axis_id axis)
{
    (void)space;
    const bool prefill = of_prefill(axis);
    return within_gpus(plan, prefill, width_of(plan, prefill) * plan->value[axis]);
}

bool sp_serving_prune_two_pools(const sp_serving_space *space, const sp_serving_plan *plan,
                                sp_serving_axis_id axis)
{
    (void)space;
    if (!is_disaggregated(plan)) return true;
    return plan->value[axis] > 0 && prefill_gpus(plan) < plan->value[SP_SERVING_AXIS_gpus];
}

bool sp_serving_prune_workers_take_gpus(const sp_serving_space *space, const sp_serving_plan *plan,
                                        sp_serving_axis_id axis)
{
    (void)space;
    (void)axis;
    return plan->workers > 0;
}
