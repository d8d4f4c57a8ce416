/* SPDX-License-Identifier: Apache-2.0 */
/* Money, energy and carbon of a chip: what it costs to own, what its work draws, and the share of
 * its making that the work uses up. */
#include "shardplan/sweep.h"

#include <math.h>

#define HOURS_PER_YEAR  8766.0 /* of 365.25 days */
#define S_PER_HOUR      3600.0
#define WATTS_PER_KW    1e3
#define G_PER_KG        1e3
#define FLOPS_PER_EFLOP 1e18

double sp_energy_joules(const sp_chip *chip, double compute_power_ratio, double flops, double bytes)
{
    const double compute_s = flops / chip->flops_per_s;
    const double memory_s = bytes / chip->bytes_per_s;
    return chip->tdp_watts *
           (compute_power_ratio * compute_s + (1.0 - compute_power_ratio) * memory_s);
}

/* Ownership = price + TDP x busy hours x PUE x price of electricity. Carbon is counted the same way
 * over the same lifetime: the power of the building through the grid, and all of the making. */
sp_ownership sp_own(const sp_chip *chip, const sp_economics *money)
{
    sp_ownership own;
    const double busy_hours = money->lifetime_years * HOURS_PER_YEAR * money->utilization_ratio;
    own.busy_s = busy_hours * S_PER_HOUR;
    own.electricity_kwh = chip->tdp_watts / WATTS_PER_KW * busy_hours * money->pue;
    own.electricity_usd = own.electricity_kwh * money->usd_per_kwh;
    own.total_usd = chip->price_usd + own.electricity_usd;
    own.flops = chip->flops_per_s * own.busy_s;
    const double eflops = own.flops / FLOPS_PER_EFLOP;
    own.hardware_usd_per_eflop = chip->price_usd / eflops;
    own.electricity_usd_per_eflop = own.electricity_usd / eflops;
    own.usd_per_eflop = own.hardware_usd_per_eflop + own.electricity_usd_per_eflop;
    own.operational_g_per_eflop = own.electricity_kwh * money->grid_g_per_kwh / eflops;
    own.embodied_g_per_eflop = money->embodied_kg * G_PER_KG / eflops;
    own.g_per_eflop = own.operational_g_per_eflop + own.embodied_g_per_eflop;
    return own;
}

sp_scores sp_chip_scores(const sp_chip *chip, const sp_chip_price *price, const sp_economics *money)
{
    sp_scores s = {
        .performance = fmin(1.0, price->flops_per_s / chip->flops_per_s),
        .energy = fmin(1.0, price->flops_per_joule / money->score_flops_per_joule),
        .cost = fmin(1.0, money->score_price_usd / chip->price_usd),
        .carbon = fmin(1.0, money->score_g_per_eflop / price->g_per_eflop),
        .memory = price->fits ? 1.0 : money->score_no_fit,
    };
    s.overall = (s.performance + s.energy + s.cost + s.carbon + s.memory) / 5.0;
    return s;
}
