/* SPDX-License-Identifier: Apache-2.0 */
/* GPipe: all forward passes, then all backward passes (Huang et al., NeurIPS 2019). No faster than
 * 1F1B, but every stage holds all micro-batches of the step.
 *   step = m t + sum of the others      exact where backward passes take the same multiple of
 *                                       forward passes on all stages */
#include "step/schedule.h"

static bool admits(const sp_pipeline_shape *shape)
{
    return shape->v == 1;
}

static uint32_t held(const sp_pipeline_shape *shape, uint32_t stage, sp_held moments[SP_MAX_HELD])
{
    (void)stage;
    moments[0] = (sp_held){.whole = shape->m};
    return 1;
}

static double chain_s(const sp_chain *chain)
{
    const sp_pass_times *t = chain->pivot, *sum = chain->sum;
    return sum->forward_s + sum->input_grad_s + sum->weight_grad_s +
           (chain->shape->m - 1.0) * (t->forward_s + t->input_grad_s + t->weight_grad_s);
}

static void list(const sp_pipeline_shape *shape, uint32_t stage, sp_pass_list *out)
{
    (void)stage;
    sp_pass_list_in_turn(shape, shape->m, false, 0, out);
}

const sp_schedule_kind sp_schedule_gpipe = {.name = "gpipe",
                                            .forward_first = true,
                                            .admits = admits,
                                            .held = held,
                                            .chain_s = chain_s,
                                            .list = list};
