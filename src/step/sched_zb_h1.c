/* SPDX-License-Identifier: Apache-2.0 */
/* Zero-bubble H1 (Qi et al., ICLR 2024): 1F1B whose backward passes are cut in two. Stages pass the
 * gradient of their input on at once and fill the bubble with gradients of weights, stage i being i
 * of them late, so that all stages hold as much as the first. With v chunks it is the interleaved
 * zero bubble of PyTorch (torch/distributed/pipelining/schedules.py).
 *   step = m t + (p - 1) / v max(F, B, F + B - W)        F, B, W forward, input, weight gradient
 *   p micro-batches in flight, published (p - 1)(F + B - W) where W is no longer than F and B */
#include "step/schedule.h"

static bool admits(const sp_pipeline_shape *shape)
{
    return shape->m >= shape->p && (shape->v == 1 || shape->m % shape->p == 0);
}

/* Before a forward pass one chunk less is held before its backward pass and one more after. */
static uint32_t held(const sp_pipeline_shape *shape, uint32_t stage, sp_held moments[SP_MAX_HELD])
{
    const double v = shape->v;
    moments[0].weight_grad = (stage + 1.0) / v;
    moments[0].whole = shape->p - moments[0].weight_grad;
    return 1;
}

/* Chains through the pivot's passes that come down to it at the start or go up from it at the end,
 * or do both: then the stages ahead of it leave out one weight gradient each, as late as they are,
 * and those behind it, which the chain visits once, a pass that the pivot runs meanwhile. */
static double chain_s(const sp_chain *chain)
{
    const sp_pass_times *t = chain->pivot, others = sp_chain_others(chain), *o = &others;
    const double v = chain->shape->v, behind = chain->n_after / v;
    const double ahead = (chain->shape->p - 1.0) / v - behind;
    const double down_s = ahead * o->forward_s, up_s = ahead * o->input_grad_s;
    const double both_s = down_s + up_s - ahead * t->weight_grad_s;
    const double meanwhile_s = t->forward_s < t->input_grad_s ? t->forward_s : t->input_grad_s;
    const double through_s = both_s + behind * (o->forward_s + o->input_grad_s - meanwhile_s);
    return chain->shape->m * (t->forward_s + t->input_grad_s + t->weight_grad_s) +
           sp_larger(sp_larger(down_s, up_s), sp_larger(both_s, through_s));
}

static void list(const sp_pipeline_shape *shape, uint32_t stage, sp_pass_list *out)
{
    const uint32_t warm = shape->p - 1 - stage + (shape->v - 1) * shape->p;
    sp_pass_list_in_turn(shape, warm, true, stage, out);
}

const sp_schedule_kind sp_schedule_zb_h1 = {.name = "zb_h1",
                                            .splits_backward = true,
                                            .holds_late = true,
                                            .overlaps_p2p = true,
                                            .admits = admits,
                                            .held = held,
                                            .chain_s = chain_s,
                                            .list = list};
