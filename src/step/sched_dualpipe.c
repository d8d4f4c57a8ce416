/* SPDX-License-Identifier: Apache-2.0 */
/* DualPipe: micro-batches enter at both ends of the pipeline, and every stage holds its mirror's
 * weights too. All but the first and last passes run as pairs of a forward and a backward one,
 * which hide each other's expert traffic. Time and memory are those of its half, DualPipeV, on half
 * as many stages.
 *   (p + 1) / 2 micro-batches of both blocks in flight: published p + 1 of one */
#include "step/sched_dual.h"

static bool admits(const sp_pipeline_shape *shape)
{
    return shape->v == 1 && shape->p % 2 == 0 && shape->m >= shape->p;
}

/* Stages from the nearer end. */
static uint32_t rank_of(const sp_pipeline_shape *shape, uint32_t stage)
{
    return stage < shape->p / 2 ? stage : shape->p - 1 - stage;
}

static uint32_t held(const sp_pipeline_shape *shape, uint32_t stage, sp_held moments[SP_MAX_HELD])
{
    return sp_dual_held(shape->p / 2, rank_of(shape, stage), moments);
}

static double chain_s(const sp_chain *chain)
{
    return sp_dual_chain_s(chain, chain->shape->p / 2);
}

static void list(const sp_pipeline_shape *shape, uint32_t stage, sp_pass_list *out)
{
    sp_dual_list(shape->p / 2, shape->m, rank_of(shape, stage), out);
}

const sp_schedule_kind sp_schedule_dualpipe = {.name = "dualpipe",
                                               .layout = SP_LAYOUT_MIRROR,
                                               .holds_late = true,
                                               .overlaps_p2p = true,
                                               .pairs = true,
                                               .admits = admits,
                                               .held = held,
                                               .chain_s = chain_s,
                                               .list = list};
