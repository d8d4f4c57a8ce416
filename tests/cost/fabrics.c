/* SPDX-License-Identifier: Apache-2.0 */
/* See fabrics.h. */
#include "cost/fabrics.h"

sp_fabric round_fabric(void)
{
    return (sp_fabric){
        .n_levels = 2,
        .level = {{.n_gpus = 8, .s_per_byte = 1e-11, .latency_s = 1e-6},
                  {.n_gpus = UINT32_MAX, .s_per_byte = 1e-10, .latency_s = 5e-6}}
    };
}

sp_fabric random_fabric(draw *d)
{
    sp_fabric fabric = {.n_levels = draw_between(d, 1, SP_CLUSTER_MAX_LEVELS)};
    uint32_t n_gpus = draw_between(d, 1, 16);
    double s_per_byte = draw_scale(d, 1e-12, 1e-11), latency_s = draw_scale(d, 1e-7, 1e-5);
    double half_bytes = draw_scale(d, 1.0, 1e6), base_s = draw_scale(d, 1e-7, 1e-5);
    for (uint32_t i = 0; i < fabric.n_levels; i++) {
        fabric.level[i] =
            (sp_fabric_level){.n_gpus = i + 1 == fabric.n_levels ? UINT32_MAX : n_gpus,
                              .s_per_byte = s_per_byte,
                              .half_bytes = half_bytes,
                              .latency_s = latency_s,
                              .base_s = base_s};
        n_gpus *= draw_between(d, 2, 8);
        s_per_byte *= draw_scale(d, 1.0, 20.0);
        latency_s *= draw_scale(d, 1.0, 5.0);
        half_bytes *= draw_scale(d, 1.0, 10.0);
        base_s *= draw_scale(d, 1.0, 5.0);
    }
    return fabric;
}
