/* SPDX-License-Identifier: Apache-2.0 */
/* One forward, one backward (PipeDream-Flush; Narayanan et al., SC 2021). A stage holds as many
 * micro-batches as there are stages from it to the end. With ep_overlap a forward pass runs beside
 * the backward pass of another micro-batch, which takes one more of them in flight a stage:
 *   step = (m - 1) pair + p (F + B)      F, B alone, pair beside each other */
#include "step/schedule.h"

static bool admits(const sp_pipeline_shape *shape)
{
    return shape->v == 1;
}

/* Forward passes before the first backward one. A pair takes as long as both of its passes, so that
 * each stage on the way costs a pair there and one back. */
static uint32_t warm_up(const sp_pipeline_shape *shape, uint32_t stage)
{
    const uint32_t behind = shape->p - 1 - stage;
    return shape->pairs ? 2 * behind + 1 : behind;
}

static uint32_t held(const sp_pipeline_shape *shape, uint32_t stage, sp_held moments[SP_MAX_HELD])
{
    const uint32_t most = warm_up(shape, stage) + 1;
    moments[0] = (sp_held){.whole = shape->m < most ? shape->m : most};
    return 1;
}

/* What a chain of all passes of the pivot, and once of the other stages, leaves out. Behind the
 * pivot it goes to the end of the pipeline and back
 *   once, at the start or at the end:  passes that the pivot runs meanwhile are left out, one for
 *                                      each stage behind it (two in pairs)
 *   never:                             those of the stages behind are
 *   twice:                             a round of the pivot for each stage behind is, theirs are
 *                                      there once more
 * Equal to the run for equal stages, and 0.5 % short at most for stages that differ by a layer and
 * by what embedding and head take. */
static double left_out_s(const sp_chain *chain, double forward_s, double backward_s, double pair_s)
{
    const double alone_s = forward_s + backward_s, hops = chain->n_after;
    const double passes = chain->shape->pairs ? 2.0 : 1.0;
    if (chain->shape->m <= passes * hops) return chain->after_s;
    const double shorter_s = pair_s - (forward_s > backward_s ? forward_s : backward_s);
    const double once_s = passes * hops * shorter_s;
    const double never_s = chain->after_s - passes * hops * (alone_s - pair_s);
    const double twice_s = hops * pair_s - chain->after_s * pair_s / alone_s;
    const double least_s = once_s < never_s ? once_s : never_s;
    const double rounds_s = twice_s > 0.0 ? passes * twice_s : twice_s;
    return rounds_s < least_s ? rounds_s : least_s;
}

static double chain_s(const sp_chain *chain)
{
    const sp_pass_times *t = chain->pivot, *sum = chain->sum;
    const double forward_s = t->forward_s, backward_s = t->input_grad_s + t->weight_grad_s;
    const double pair_s = forward_s + backward_s - t->hidden_s;
    const double all_s =
        sum->forward_s + sum->input_grad_s + sum->weight_grad_s + (chain->shape->m - 1.0) * pair_s;
    if (chain->n_after == 0) {
        return all_s;
    }
    return all_s - left_out_s(chain, forward_s, backward_s, pair_s);
}

static void list(const sp_pipeline_shape *shape, uint32_t stage, sp_pass_list *out)
{
    sp_pass_list_in_turn(shape, warm_up(shape, stage), false, 0, out);
}

const sp_schedule_kind sp_schedule_1f1b = {.name = "1f1b",
                                           .pairs = true,
                                           .admits = admits,
                                           .held = held,
                                           .chain_s = chain_s,
                                           .list = list};
