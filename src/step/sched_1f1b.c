/* SPDX-License-Identifier: Apache-2.0 */
/* One forward, one backward (PipeDream-Flush). A stage holds as many micro-batches as there are
 * stages from it to the end.
 *   step = m max + (sum - max)        in flight at stage i = min(m, p - i)
 * Source: Narayanan et al., SC 2021. With p = 1 nothing waits and one micro-batch is held. */
#include "step/step.h"

static double in_flight(uint32_t p, uint32_t v, uint32_t m, uint32_t stage)
{
    (void)v;
    const uint32_t warm = p - stage;
    return (double)(m < warm ? m : warm);
}

static double fill_ratio(uint32_t v)
{
    (void)v;
    return 1.0;
}

const sp_schedule_kind sp_schedule_1f1b = {
    .name = "1f1b", .in_flight = in_flight, .fill_ratio = fill_ratio, .overlaps_p2p = false};
