/* SPDX-License-Identifier: Apache-2.0 */
/* Interleaved 1F1B: a stage holds v chunks of layers, so the pipeline fills v times faster, with v
 * times the messages and more micro-batches in flight.
 *   step = m max + (sum - max) / v      in flight at stage i = min(m v, 2 (p-i-1) + (v-1) p + 1) /
 * v Source: Narayanan et al., SC 2021; Korthikanti et al., MLSys 2023 (1 + (p-1)/(p v) at stage 0).
 */
#include "step/step.h"

static double in_flight(uint32_t p, uint32_t v, uint32_t m, uint32_t stage)
{
    const double chunks = 2.0 * (p - stage - 1) + (double)(v - 1) * p + 1.0;
    const double all = (double)m * v;
    return (chunks < all ? chunks : all) / v;
}

static double fill_ratio(uint32_t v)
{
    return 1.0 / v;
}

const sp_schedule_kind sp_schedule_interleaved = {
    .name = "interleaved", .in_flight = in_flight, .fill_ratio = fill_ratio, .overlaps_p2p = true};
