/* SPDX-License-Identifier: Apache-2.0 */
/* Level by level: gather across the outermost level first, each member with its own small share,
 * then inwards with ever larger pieces; a reduction runs the same steps backwards. t = sum over
 * levels of (r - 1)(latency) + transfer((r - 1) p bytes / n) r: domains joined at the level, p:
 * pieces gathered so far. Fewer slow steps than a ring, but the levels work one after the other.
 * Source: Thakur, Rabenseifner, Gropp, IJHPCA 2005. */
#include "cost/cost.h"

static double allgather_s(const sp_group *group, double bytes)
{
    double t = 0.0, gathered = 1.0;
    const double share = bytes / group->n;
    for (uint32_t i = group->n_levels; i-- > 0;) {
        const sp_fabric_level *level = &group->fabric->level[i];
        const double inner = i > 0 ? group->inside[i - 1] : 1.0;
        const double joined = group->inside[i] / inner;
        if (joined > 1.0) {
            t += (joined - 1.0) * level->latency_s +
                 sp_link_transfer_s(level, (joined - 1.0) * gathered * share);
            gathered *= joined;
        }
    }
    return t;
}

static double allreduce_s(const sp_group *group, double bytes)
{
    return 2.0 * allgather_s(group, bytes);
}

const sp_coll_algorithm sp_coll_hierarchical = {.name = "hierarchical",
                                                .allgather_s = allgather_s,
                                                .allreduce_s = allreduce_s,
                                                .by_level = true};
