/* SPDX-License-Identifier: Apache-2.0 */
/* Zero-bubble H2 (Qi et al., ICLR 2024): twice the micro-batches of H1 in flight, 2 p - 1, so that
 * no stage waits once it has begun.
 *   step = m t + (p - 1) max(F, B - F, F + B - 2 W)
 * From the first pass of a stage to its own last one that is the published (p - 1)(F + B - 2 W),
 * zero for equal passes; but the stages begin one after the other, and a step ends with the last of
 * them unless the optimizer runs before the norm of all gradients is known, as in none of our
 * engines. */
#include "step/schedule.h"

static bool admits(const sp_pipeline_shape *shape)
{
    return shape->v == 1 && shape->m >= 2 * shape->p - 1;
}

static uint32_t held(const sp_pipeline_shape *shape, uint32_t stage, sp_held moments[SP_MAX_HELD])
{
    moments[0].weight_grad = 2.0 * stage + 1.0;
    moments[0].whole = 2.0 * shape->p - 1.0 - moments[0].weight_grad;
    return 1;
}

/* As those of H1, with twice the passes left out. */
static double chain_s(const sp_chain *chain)
{
    const sp_pass_times *t = chain->pivot, others = sp_chain_others(chain), *o = &others;
    const double behind = chain->n_after, ahead = chain->shape->p - 1.0 - behind;
    const double down_s = ahead * o->forward_s;
    const double up_s = ahead * (o->input_grad_s - t->forward_s);
    const double both_s = ahead * (o->forward_s + o->input_grad_s - 2.0 * t->weight_grad_s);
    const double through_s =
        both_s + behind * (o->forward_s + o->input_grad_s - 2.0 * t->forward_s);
    return chain->shape->m * (t->forward_s + t->input_grad_s + t->weight_grad_s) +
           sp_larger(sp_larger(down_s, up_s), sp_larger(both_s, through_s));
}

static void list(const sp_pipeline_shape *shape, uint32_t stage, sp_pass_list *out)
{
    sp_pass_list_in_turn(shape, 2 * (shape->p - 1 - stage), true, 2 * stage, out);
}

const sp_schedule_kind sp_schedule_zb_h2 = {.name = "zb_h2",
                                            .splits_backward = true,
                                            .holds_late = true,
                                            .overlaps_p2p = true,
                                            .admits = admits,
                                            .held = held,
                                            .chain_s = chain_s,
                                            .list = list};
