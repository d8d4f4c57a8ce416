/* SPDX-License-Identifier: Apache-2.0 */
/* V-Half: half of the activations of 1F1B, evenly on all stages (Qi et al., NeurIPS 2024,
 * arXiv:2405.15362), by the block of its published code without reordering of the ends. About half
 * of the bubble of 1F1B where W + 2 F >= 2 B; beyond that every micro-batch waits.
 *   p / 2 + 1 micro-batches in flight, (p + 1) / 2 where p is odd */
#include "step/sched_v.h"

static bool admits(const sp_pipeline_shape *shape)
{
    return shape->v == 2 && shape->p >= 2 && shape->m >= 2 * shape->p;
}

static uint32_t held(const sp_pipeline_shape *shape, uint32_t stage, sp_held moments[SP_MAX_HELD])
{
    const bool even = shape->p % 2 == 0;
    const double chunks = shape->p + (even ? 2.0 : 1.0);
    const double late = (stage % 2 == 0) == even ? 2.0 : 1.0;
    moments[0] = (sp_held){(chunks - late) / 2.0, late / 2.0};
    return 1;
}

/* Exact for equal stages with F and W <= B. */
static double chain_s(const sp_chain *chain)
{
    const double p = chain->shape->p, m = chain->shape->m;
    if (chain->shape->p % 2 == 1) {
        const double ends_s = sp_v_ends_s(chain, p - 1.0, 3.0 * p - 3.0, (1.0 - p) / 2.0);
        return sp_larger(ends_s, sp_v_steady_s(chain, 2.0 * (p - m), 2.0 * (m + p) - 4.0, 1.0 - m));
    }
    const double ends_s = sp_v_ends_s(chain, p + 1.0, 3.0 * p - 3.0, -p / 2.0);
    const double near_s = sp_v_steady_s(chain, 2.0 * (p - m) + 3.0, 2.0 * (m + p) - 5.0, 1.0 - m);
    const double far_s = sp_v_steady_s(chain, 2.0 * (p - m) + 1.0, 2.0 * (m + p) - 4.0, 1.0 - m);
    return sp_larger(ends_s, sp_larger(near_s, far_s));
}

static void list(const sp_pipeline_shape *shape, uint32_t stage, sp_pass_list *out)
{
    const uint32_t p = shape->p, gap = p % 2 == 0 ? 3 : 0;
    const sp_v_block block = {
        .forward = {2 * stage,               3 * p - stage - 2          },
        .back = {6 * p + gap - stage - 2, 3 * p + gap + 2 * stage - 1},
    };
    sp_v_block_list(shape, &block, out);
}

const sp_schedule_kind sp_schedule_v_half = {.name = "v_half",
                                             .layout = SP_LAYOUT_V,
                                             .splits_backward = true,
                                             .holds_late = true,
                                             .overlaps_p2p = true,
                                             .admits = admits,
                                             .held = held,
                                             .chain_s = chain_s,
                                             .list = list};
