/* SPDX-License-Identifier: Apache-2.0 */
/* V-Min: a third of the activations of 1F1B, evenly on all stages (Qi et al., NeurIPS 2024,
 * arXiv:2405.15362), by the block of its published code without reordering of the ends. Steady
 * stages wait 2 B - F - W for every chunk unless all passes are equal.
 *   floor((p + 4) / 3) micro-batches in flight */
#include "step/sched_v.h"

static bool admits(const sp_pipeline_shape *shape)
{
    return shape->v == 2 && shape->p >= 3 && shape->m >= 2 * shape->p;
}

static uint32_t held(const sp_pipeline_shape *shape, uint32_t stage, sp_held moments[SP_MAX_HELD])
{
    static const uint32_t late[3][3] = {
        {2, 1, 2},
        {2, 2, 1},
        {1, 2, 2}
    }; /* [p % 3][stage % 3] */
    const uint32_t p = shape->p, thirds = p % 3;
    const uint32_t chunks = 2 * ((p + 4) / 3) - (thirds == 2 && stage % 3 == 0 ? 2 : 0);
    const double after = late[thirds][stage % 3];
    moments[0] = (sp_held){(chunks - after) / 2.0, after / 2.0};
    return 1;
}

/* Exact for equal stages with F and W <= B. */
static double chain_s(const sp_chain *chain)
{
    const double p = chain->shape->p, m = chain->shape->m;
    switch (chain->shape->p % 3) {
    case 0: {
        const double ends_s =
            sp_v_ends_s(chain, 5.0 * p / 3.0 + 2.0, 8.0 * p / 3.0 - 4.0, -p / 3.0 - 1.0);
        const double near_s =
            sp_v_steady_s(chain, 2.0 * (p - m) + 4.0, 4.0 * m + 2.0 * p - 8.0, 1.0 - 2.0 * m);
        const double far_s =
            sp_v_steady_s(chain, 2.0 * (p - m) + 1.0, 4.0 * m + 2.0 * p - 6.0, 1.0 - 2.0 * m);
        return sp_larger(ends_s, sp_larger(near_s, far_s));
    }
    case 1: {
        const double ends_s =
            sp_v_ends_s(chain, 5.0 * (p - 1.0) / 3.0, 8.0 * (p - 1.0) / 3.0, -(p + 2.0) / 3.0);
        return sp_larger(
            ends_s, sp_v_steady_s(chain, 2.0 * (p - m), 4.0 * m + 2.0 * p - 6.0, 1.0 - 2.0 * m));
    }
    default: {
        const double ends_s =
            sp_v_ends_s(chain, (5.0 * p - 1.0) / 3.0, 8.0 * (p - 2.0) / 3.0, (2.0 - p) / 3.0);
        return sp_larger(
            ends_s, sp_v_steady_s(chain, 2.0 * (p - m), 4.0 * m + 2.0 * p - 6.0, 1.0 - 2.0 * m));
    }
    }
}

static void list(const sp_pipeline_shape *shape, uint32_t stage, sp_pass_list *out)
{
    const uint32_t p = shape->p, gap = p % 3 == 0 ? 2 : 0;
    const sp_v_block block = {
        .forward = {stage,                   2 * p - stage - 1  },
        .back = {4 * p + gap - stage - 1, 2 * p + gap + stage},
    };
    sp_v_block_list(shape, &block, out);
}

const sp_schedule_kind sp_schedule_v_min = {.name = "v_min",
                                            .layout = SP_LAYOUT_V,
                                            .splits_backward = true,
                                            .holds_late = true,
                                            .overlaps_p2p = true,
                                            .admits = admits,
                                            .held = held,
                                            .chain_s = chain_s,
                                            .list = list};
