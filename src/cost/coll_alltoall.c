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

/* Chance that a token with so many choices among all ranks goes to a given domain of `inside` of
 * them: 1 - (1 - inside/n)^copies. */
static double hit_ratio(double inside, double n, double copies, double reach)
{
    double missed = 1.0;
    for (double c = 0.0; c < copies; c += 1.0) {
        missed *= 1.0 - inside / n;
    }
    return inside > 1.0 && 1.0 - missed > reach ? reach : 1.0 - missed;
}

/* Latencies of a dispatch, of one peer after the other and of the farthest one, and its bytes. */
typedef struct sends {
    double one_by_one_s, farthest_s, bytes_s;
} sends;

/* Through every level a token goes once for each inner domain that it reaches there: its own copies
 * and those that the rank forwards for others are alike on average.
 * Source: DeepSeek-V3, arXiv:2412.19437, section 3.2.2; DeepEP, 2025. */
static sends sends_of(const sp_group *group, double bytes, double copies, double reach)
{
    const double n = group->n;
    sends s = {0};
    double nearer = 1.0;
    for (uint32_t i = 0; i < group->n_levels; i++) {
        const sp_fabric_level *level = &group->fabric->level[i];
        const double inside = group->inside[i];
        if (inside > nearer) {
            const double domains = n / nearer * hit_ratio(nearer, n, copies, reach);
            const double sent = bytes / copies * domains * (inside - nearer) / inside;
            const double t = sp_link_transfer_s(level, sent);
            s.bytes_s = t > s.bytes_s ? t : s.bytes_s;
            s.one_by_one_s += (inside - nearer) * level->latency_s;
            s.farthest_s = level->latency_s > s.farthest_s ? level->latency_s : s.farthest_s;
        }
        nearer = inside;
    }
    return s;
}

double sp_coll_dispatch_s(const sp_group *group, double bytes, double copies, double reach)
{
    const sends s = sends_of(group, bytes, copies, reach);
    return group->base_s + s.one_by_one_s + s.bytes_s;
}

double sp_coll_put_s(const sp_group *group, double bytes, double copies, double reach)
{
    const sends s = sends_of(group, bytes, copies, reach);
    return group->base_s + s.farthest_s + s.bytes_s;
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
