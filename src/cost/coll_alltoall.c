/* SPDX-License-Identifier: Apache-2.0 */
/* Every rank sends an equal share to every other; the levels carry their parts at the same time.
 *   t = sum of step latencies + max over levels of bytes (members reached there) / n / bandwidth
 * Leaves out: incast, expert imbalance (the caller's). n = 1 is free; monotone in bytes. */
#include "cost/cost.h"

double sp_coll_alltoall_s(const sp_group *group, double bytes)
{
    const double share = bytes / group->n;
    double latency = 0.0, slowest = 0.0, nearer = 1.0;
    for (uint32_t i = 0; i < group->n_levels; i++) {
        const sp_fabric_level *level = &group->fabric->level[i];
        const double reached = group->inside[i] - nearer;
        if (reached > 0.0) {
            const double t = sp_link_transfer_s(level, reached * share);
            slowest = t > slowest ? t : slowest;
            latency += reached * level->latency_s;
        }
        nearer = group->inside[i];
    }
    return group->base_s + latency + slowest;
}

/* One message to a neighbour in the group: latency + bytes / bandwidth of the outermost level that
 * the group spans, since some pair of neighbours is that far apart and the others wait for it. */
double sp_coll_p2p_s(const sp_group *group, double bytes)
{
    if (group->n == 1) {
        return 0.0;
    }
    const sp_fabric_level *level = &group->fabric->level[group->n_levels - 1];
    return group->base_s + level->latency_s + sp_link_transfer_s(level, bytes);
}
