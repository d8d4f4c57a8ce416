/* SPDX-License-Identifier: Apache-2.0 */
/* Roofline questions as nasty as a picture may get, and letters of one width to lay them out with.
 */
#include "report/roofline_samples.h"

#include <stdlib.h>
#include <string.h>

static double one_width(void *user, const char *text, double size, bool bold)
{
    (void)user;
    return (bold ? 0.66 : 0.6) * size * (double)strlen(text);
}

const sp_typeface sample_typeface = {one_width, NULL};

static const char *const classes[] = {"projection", "attention", "FFN"};
static const sp_roofline_limit ceilings[] = {
    {"bf16", 989e12 },
    {"fp8",  1979e12},
    {"fp32", 67e12  }
};
static const sp_roofline_limit memory[] = {
    {"HBM3", 3.35e12},
    {"host", 64e9   }
};
static const sp_roofline_limit small_ceilings[] = {
    {"int8", 45e12}
};
static const sp_roofline_limit small_memory[] = {
    {"LPDDR5X", 77e9}
};

void sample_fill(sample *s, uint32_t n_hardware, uint32_t n_points, bool equal)
{
    static const char *const names[] = {"alpha", "beta", "gamma", "delta", "epsilon", "zeta"};
    for (uint32_t h = 0; h < n_hardware; h++) {
        const bool small = !equal && h % 2 == 1;
        s->hardware[h] = (sp_roofline_hardware){names[h % 6],
                                                small ? small_ceilings : ceilings,
                                                small ? 1 : 3,
                                                small ? small_memory : memory,
                                                small ? 1 : 2,
                                                small ? 8.0 : 700.0,
                                                0.5};
    }
    srand(7);
    for (uint32_t i = 0; i < n_points; i++) {
        const double intensity = equal ? 1.0 : 0.01 * (double)(1 + rand() % 400000);
        (void)snprintf(s->labels[i], sizeof s->labels[i], "operator %u", i);
        s->points[i] = (sp_roofline_point){.label = s->labels[i],
                                           .phase = (sp_phase)(i % SP_N_PHASES),
                                           .class_idx = i % 3,
                                           .hardware_idx = i % n_hardware,
                                           .flops_per_byte = intensity};
    }
    s->roofline = (sp_roofline){"A title",   "a subtitle", classes,   3,
                                s->hardware, n_hardware,   s->points, n_points};
}
