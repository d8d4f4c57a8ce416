/* SPDX-License-Identifier: Apache-2.0 */
/* Double binary trees: few steps, twice the bytes through every link.
 *   t = sum over levels of 2 ceil(log2(fan-out)) latency + max over levels of 2 bytes / bandwidth
 * Source: Sanders, Speck, Traeff, Parallel Computing 2009; NCCL 2.4. All-reduce only. */
#include "cost/cost.h"

#include <stddef.h>

static double depth(double fan_out)
{
    double d = 0.0;
    for (double reach = 1.0; reach < fan_out; reach *= 2.0) {
        d += 1.0;
    }
    return d;
}

static double allreduce_s(const sp_group *group, double bytes)
{
    const double n = group->n;
    double latency = 0.0, slowest = 0.0, domains = n, ports = 1.0;
    for (uint32_t i = 0; i < group->n_levels; i++) {
        const sp_fabric_level *level = &group->fabric->level[i];
        const double outer = n / group->inside[i];
        if (outer < domains) {
            const double t = sp_link_transfer_s(level, 2.0 * bytes / ports);
            slowest = t > slowest ? t : slowest;
            latency += 2.0 * depth(domains / outer) * level->latency_s;
        }
        domains = outer;
        ports = group->inside[i];
    }
    return latency + slowest;
}

const sp_coll_algorithm sp_coll_tree = {
    .name = "tree", .allgather_s = NULL, .allreduce_s = allreduce_s};
