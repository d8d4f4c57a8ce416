/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "report/roofline_page.h"

#include <stdio.h>

#define SAMPLE_MAX_POINTS 200

/* A question with its parts; `equal` gives every accelerator the same roofs and every point the
 * same place. */
typedef struct sample {
    sp_roofline roofline;
    sp_roofline_hardware hardware[SP_ROOFLINE_MAX_HARDWARE];
    sp_roofline_point points[SAMPLE_MAX_POINTS];
    char labels[SAMPLE_MAX_POINTS][24];
} sample;

void sample_fill(sample *s, uint32_t n_hardware, uint32_t n_points, bool equal);

extern const sp_typeface sample_typeface; /* every letter 0.6 of its size wide */
