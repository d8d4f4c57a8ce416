/* SPDX-License-Identifier: Apache-2.0 */
/* How sure a peak is: published peaks lie within memory_error_ratio of the estimate in 8 of 10
 * cases, taken as normal around it. What memory takes is asked of the GPU, not of the headroom. */
#include "step/step.h"

#include <math.h>

/* 8 of 10 cases of a normal distribution lie within so many deviations. */
#define Z_80 1.2815515655446004

sp_memory_range sp_memory_range_of(const sp_problem *problem, const sp_memory *m)
{
    const double spread = problem->profile->memory_error_ratio * m->peak_bytes;
    const double room = m->usable_bytes - m->peak_bytes;
    const double certain = room < 0.0 ? 1.0 : 0.0;
    return (sp_memory_range){.low_bytes = m->peak_bytes - spread,
                             .high_bytes = m->peak_bytes + spread,
                             .p_oom = spread > 0.0 ? 0.5 * erfc(room / (spread / Z_80) / sqrt(2.0))
                                                   : certain};
}
