/* SPDX-License-Identifier: Apache-2.0 */
/* Rings through all members, one for each of a node's network ports.
 *   t = sum of hop latencies + max over levels of (n-1)/n bytes / (bandwidth x ports)
 * A message goes around once for an all-gather, twice for an all-reduce; it leaves a node through
 * as many ports as the node has members of the group. Source: Thakur, Rabenseifner, Gropp, IJHPCA
 * 2005; port count: NCCL's multi-channel rings. n = 1 is free; monotone in bytes. */
#include "cost/cost.h"

#include <stddef.h>

static double allgather_s(const sp_group *group, double bytes)
{
    const double n = group->n, sent = bytes * (n - 1.0) / n;
    double latency = 0.0, slowest = 0.0, domains = n, ports = 1.0;
    for (uint32_t i = 0; i < group->n_levels; i++) {
        const sp_fabric_level *level = &group->fabric->level[i];
        const double outer = n / group->inside[i];
        if (outer < domains) {
            const double t = sp_link_transfer_s(level, sent / ports);
            slowest = t > slowest ? t : slowest;
            latency += (domains - outer) * level->latency_s;
        }
        domains = outer;
        ports = group->inside[i];
    }
    return latency + slowest;
}

static double allreduce_s(const sp_group *group, double bytes)
{
    return 2.0 * allgather_s(group, bytes);
}

const sp_coll_algorithm sp_coll_ring = {
    .name = "ring", .allgather_s = allgather_s, .allreduce_s = allreduce_s};
