/* SPDX-License-Identifier: Apache-2.0 */
/* Guided units: large while much is left, small towards the end, so that all ranks finish together,
 * and never so small that the coordinator cannot keep up. */
#include "search/search_priv.h"

#include <assert.h>

#define LONGEST_S  0.5
#define SHORTEST_S 1e-3

static double larger(double a, double b)
{
    return a > b ? a : b;
}

uint64_t sp_pace_unit(const sp_pace *pace, uint64_t left)
{
    assert(left > 0 && pace->ranks > 0 && pace->threads > 0);
    if (pace->ranks == 1) return left;
    if (pace->block_s <= 0.0) return left < pace->threads ? left : pace->threads;
    const double share_s = (double)left * pace->block_s / (2.0 * pace->ranks);
    const double shortest_s = larger(SHORTEST_S, 2.0 * pace->ranks * pace->service_s);
    const double capped_s = share_s < LONGEST_S ? share_s : LONGEST_S;
    const double n = larger(capped_s, shortest_s) / pace->block_s;
    if (n >= (double)left) return left;
    return n > 1.0 ? (uint64_t)n : 1;
}
