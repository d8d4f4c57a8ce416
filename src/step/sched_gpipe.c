/* SPDX-License-Identifier: Apache-2.0 */
/* GPipe: all forward passes, then all backward passes. As fast as 1F1B, but every stage holds all
 * micro-batches of the step.
 *   step = m max + (sum - max)        in flight = m
 * Source: Huang et al., GPipe, NeurIPS 2019. Backward passes wait for the last forward pass. */
#include "step/step.h"

static double in_flight(uint32_t p, uint32_t v, uint32_t m, uint32_t stage)
{
    (void)p;
    (void)v;
    (void)stage;
    return (double)m;
}

static double fill_ratio(uint32_t v)
{
    (void)v;
    return 1.0;
}

const sp_schedule_kind sp_schedule_gpipe = {
    .name = "gpipe", .in_flight = in_flight, .fill_ratio = fill_ratio, .forward_first = true};
