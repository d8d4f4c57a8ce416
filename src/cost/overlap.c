/* SPDX-License-Identifier: Apache-2.0 */
/* Communication beside computation. Written so that computation plus exposed time never falls when
 * either grows, which bounds rely on. Leaves out: what pieces lose for being smaller. */
#include "cost/cost.h"

double sp_overlap_exposed_s(double compute_s, double ratio, double comm_s)
{
    const double left_s = comm_s - ratio * compute_s;
    return left_s > 0.0 ? left_s : 0.0;
}

double sp_overlap_slowed_s(double room_s, double interference, double comm_s)
{
    const double hidden_s = comm_s < room_s ? comm_s : room_s;
    return comm_s - (1.0 - interference) * hidden_s;
}

double sp_overlap_pieces_s(double compute_s, double n, double interference, double comm_s)
{
    return (comm_s + (n - 1.0) * sp_overlap_slowed_s(compute_s, interference, comm_s)) / n;
}

double sp_overlap_ring_s(double compute_s, double n, double comm_s)
{
    return sp_overlap_exposed_s(compute_s, (n - 1.0) / n, comm_s);
}
