/* SPDX-License-Identifier: Apache-2.0 */
/* A grid of chips: lists of figures and their product, whole or thinned evenly. */
#include "shardplan/sweep.h"

#include <stddef.h>

static const struct {
    const char *name;
    size_t offset;
} figures[SP_CHIP_N_FIGURES] = {
    {"peak",      offsetof(sp_chip, flops_per_s)   },
    {"bandwidth", offsetof(sp_chip, bytes_per_s)   },
    {"capacity",  offsetof(sp_chip, capacity_bytes)},
    {"tdp",       offsetof(sp_chip, tdp_watts)     },
    {"price",     offsetof(sp_chip, price_usd)     },
};

const char *sp_chip_figure_name(uint32_t figure)
{
    return figures[figure].name;
}

double *sp_chip_figure(sp_chip *chip, uint32_t figure)
{
    return (double *)(void *)((char *)chip + figures[figure].offset);
}

sp_chip sp_sweep_chip(const sp_sweep *sweep, uint64_t point)
{
    sp_chip chip;
    for (uint32_t f = SP_CHIP_N_FIGURES; f-- > 0;) {
        *sp_chip_figure(&chip, f) = sweep->values[f][point % sweep->n_values[f]];
        point /= sweep->n_values[f];
    }
    return chip;
}

uint64_t sp_sweep_thinned(const sp_sweep *sweep, uint64_t max_points)
{
    return max_points == 0 || sweep->n_points < max_points ? sweep->n_points : max_points;
}

/* n_points and n_thinned are at most SP_SWEEP_MAX_POINTS: the product cannot overflow. */
uint64_t sp_sweep_id(const sp_sweep *sweep, uint64_t n_thinned, uint64_t i)
{
    return i * sweep->n_points / n_thinned;
}

sp_sweep_point sp_sensitivity_point(const sp_workload *workload, const sp_economics *money,
                                    const sp_chip *base, uint32_t figure, double multiplier)
{
    sp_sweep_point point = {.chip = *base};
    *sp_chip_figure(&point.chip, figure) *= multiplier;
    point.price = sp_chip_evaluate(workload, money, &point.chip);
    point.scores = sp_chip_scores(&point.chip, &point.price, money);
    return point;
}
