/* SPDX-License-Identifier: Apache-2.0 */
/* DualPipeV: DualPipe cut in half (deepseek-ai/DualPipe, dualpipev.py; PyTorch,
 * ScheduleDualPipeV). Two chunks a stage, the second from the end of the pipeline back, so that a
 * model is held once.
 *   p + 1/2 micro-batches in flight */
#include "step/sched_dual.h"

static bool admits(const sp_pipeline_shape *shape)
{
    return shape->v == 2 && shape->m >= 2 * shape->p;
}

static uint32_t held(const sp_pipeline_shape *shape, uint32_t stage, sp_held moments[SP_MAX_HELD])
{
    return sp_dual_held(shape->p, stage, moments);
}

static double chain_s(const sp_chain *chain)
{
    return sp_dual_chain_s(chain, chain->shape->p);
}

static void list(const sp_pipeline_shape *shape, uint32_t stage, sp_pass_list *out)
{
    sp_dual_list(shape->p, shape->m, stage, out);
}

const sp_schedule_kind sp_schedule_dualpipe_v = {.name = "dualpipe_v",
                                                 .layout = SP_LAYOUT_V,
                                                 .holds_late = true,
                                                 .overlaps_p2p = true,
                                                 .pairs = true,
                                                 .admits = admits,
                                                 .held = held,
                                                 .chain_s = chain_s,
                                                 .list = list};
