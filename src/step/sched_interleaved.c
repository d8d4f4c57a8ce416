/* SPDX-License-Identifier: Apache-2.0 */
/* Interleaved 1F1B: a stage holds v chunks of layers, so the pipeline fills v times faster, with v
 * times the messages and more micro-batches in flight (Narayanan et al., SC 2021; Korthikanti et
 * al., MLSys 2023: 1 + (p - 1) / (p v) times at stage 0). With ep_overlap it is the combined 1F1B
 * of Megatron-Core (pipeline_parallel/combined_1f1b.py): one more chunk in flight, and each forward
 * pass beside a backward one.
 *   step = (m - n) pair + n t + (sum - t) / v       n = ((v - 1) p + 1) / v passes are alone */
#include "step/schedule.h"

static bool admits(const sp_pipeline_shape *shape)
{
    return shape->v >= 2 && shape->m % shape->p == 0;
}

static uint32_t warm_up(const sp_pipeline_shape *shape, uint32_t stage)
{
    return 2 * (shape->p - 1 - stage) + (shape->v - 1) * shape->p + shape->pairs;
}

static uint32_t held(const sp_pipeline_shape *shape, uint32_t stage, sp_held moments[SP_MAX_HELD])
{
    const double chunks = warm_up(shape, stage) + 1.0, all = (double)shape->m * shape->v;
    moments[0] = (sp_held){.whole = (chunks < all ? chunks : all) / shape->v};
    return 1;
}

static double chain_s(const sp_chain *chain)
{
    const sp_pipeline_shape *shape = chain->shape;
    const sp_pass_times *t = chain->pivot, *sum = chain->sum;
    const double v = shape->v, alone = ((v - 1.0) * shape->p + 1.0) / v;
    const double beside = shape->m > alone ? shape->m - alone : 0.0;
    const double stage_s = t->forward_s + t->input_grad_s + t->weight_grad_s;
    const double all_s = sum->forward_s + sum->input_grad_s + sum->weight_grad_s;
    return shape->m * stage_s - beside * t->hidden_s + (all_s - stage_s) / v;
}

static void list(const sp_pipeline_shape *shape, uint32_t stage, sp_pass_list *out)
{
    sp_pass_list_in_turn(shape, warm_up(shape, stage), false, 0, out);
}

const sp_schedule_kind sp_schedule_interleaved = {.name = "interleaved",
                                                  .overlaps_p2p = true,
                                                  .pairs = true,
                                                  .admits = admits,
                                                  .held = held,
                                                  .chain_s = chain_s,
                                                  .list = list};
