/* SPDX-License-Identifier: Apache-2.0 */
/* The roofs as functions of intensity (Williams, Waterman, Patterson, CACM 2009; for energy, Choi
 * et al., IPDPS 2013, with a power that follows utilisation), and what a picture must be given. */
#include "report/roofline_page.h"

#include <assert.h>
#include <math.h>
#include <string.h>

static const char *const view_names[SP_ROOFLINE_N_VIEWS] = {
    [SP_ROOFLINE_LOG] = "log", [SP_ROOFLINE_LINEAR] = "linear", [SP_ROOFLINE_ENERGY] = "energy"};

static const char *const phase_names[SP_N_PHASES] = {[SP_PHASE_PREFILL] = "prefill",
                                                     [SP_PHASE_DECODE] = "decode",
                                                     [SP_PHASE_LAST_DECODE] = "last decode step",
                                                     [SP_PHASE_FORWARD] = "forward",
                                                     [SP_PHASE_BACKWARD] = "backward"};

const char *sp_roofline_view_name(sp_roofline_view view)
{
    assert(view < SP_ROOFLINE_N_VIEWS);
    return view_names[view];
}

const char *sp_roof_phase_words(sp_phase phase)
{
    assert(phase < SP_N_PHASES);
    return phase_names[phase];
}

double sp_roofline_ridge(const sp_roofline_hardware *hardware, uint32_t ceiling_idx,
                         uint32_t bandwidth_idx)
{
    assert(ceiling_idx < hardware->n_ceilings && bandwidth_idx < hardware->n_bandwidths);
    return hardware->ceilings[ceiling_idx].per_s / hardware->bandwidths[bandwidth_idx].per_s;
}

double sp_roofline_attainable(const sp_roofline_hardware *hardware, uint32_t ceiling_idx,
                              uint32_t bandwidth_idx, double flops_per_byte)
{
    assert(ceiling_idx < hardware->n_ceilings && bandwidth_idx < hardware->n_bandwidths);
    return fmin(hardware->ceilings[ceiling_idx].per_s,
                hardware->bandwidths[bandwidth_idx].per_s * flops_per_byte);
}

double sp_roofline_watts(const sp_roofline_hardware *hardware, uint32_t ceiling_idx,
                         uint32_t bandwidth_idx, double flops_per_byte)
{
    const double ridge = sp_roofline_ridge(hardware, ceiling_idx, bandwidth_idx);
    const double busy_compute_ratio = fmin(1.0, flops_per_byte / ridge);
    const double busy_memory_ratio = fmin(1.0, ridge / flops_per_byte);
    const double a = hardware->compute_power_ratio;
    return hardware->tdp_watts * (a * busy_compute_ratio + (1.0 - a) * busy_memory_ratio);
}

double sp_roof_height(const sp_roofline_hardware *hardware, sp_roofline_view view,
                      uint32_t ceiling_idx, uint32_t bandwidth_idx, double flops_per_byte)
{
    const double flops_per_s =
        sp_roofline_attainable(hardware, ceiling_idx, bandwidth_idx, flops_per_byte);
    return view != SP_ROOFLINE_ENERGY
               ? flops_per_s
               : flops_per_s /
                     sp_roofline_watts(hardware, ceiling_idx, bandwidth_idx, flops_per_byte);
}

double sp_point_height(const sp_roofline *roofline, sp_roofline_view view,
                       const sp_roofline_point *point)
{
    const sp_roofline_hardware *const hardware = &roofline->hardware[point->hardware_idx];
    const uint32_t c = point->ceiling_idx, b = point->bandwidth_idx;
    const double roof = sp_roof_height(hardware, view, c, b, point->flops_per_byte);
    if (point->flops_per_s == 0.0) {
        return roof;
    }
    /* Measured below its roof, it takes the power of the roof for longer. */
    const double attainable = sp_roofline_attainable(hardware, c, b, point->flops_per_byte);
    return roof * (point->flops_per_s / attainable);
}

static sp_status check_number(double value, double lo, const char *what, const char *of,
                              sp_error *err)
{
    if (isfinite(value) && value >= lo && value <= 1e24) {
        return SP_OK;
    }
    (void)sp_fail(err, SP_E_RANGE, "a roofline picture cannot show this %s of '%s'", what, of);
    (void)sp_fail_value(err, "%g", value);
    return sp_fail_range(err, "%g .. 1e24", lo);
}

static sp_status check_count(uint32_t count, uint32_t lo, uint32_t hi, const char *what,
                             sp_error *err)
{
    if (count >= lo && count <= hi) {
        return SP_OK;
    }
    (void)sp_fail(err, SP_E_RANGE, "a roofline picture cannot show that many %s", what);
    (void)sp_fail_value(err, "%u", count);
    return sp_fail_range(err, "%u .. %u", lo, hi);
}

static sp_status check_limits(const sp_roofline_limit *limits, uint32_t n, const char *what,
                              const char *of, sp_error *err)
{
    SP_TRY(check_count(n, 1, SP_ROOFLINE_MAX_LIMITS, what, err));
    for (uint32_t i = 0; i < n; i++) {
        SP_TRY(check_number(limits[i].per_s, 1.0, what, of, err));
    }
    return SP_OK;
}

static sp_status check_hardware(const sp_roofline_hardware *hardware, sp_roofline_view view,
                                sp_error *err)
{
    const char *const name = hardware->name;
    SP_TRY(check_limits(hardware->ceilings, hardware->n_ceilings, "ceilings", name, err));
    SP_TRY(check_limits(hardware->bandwidths, hardware->n_bandwidths, "bandwidths", name, err));
    if (view != SP_ROOFLINE_ENERGY) {
        return SP_OK;
    }
    SP_TRY(check_number(hardware->tdp_watts, 1e-3, "design power (W)", name, err));
    if (hardware->compute_power_ratio > 0.0 && hardware->compute_power_ratio < 1.0) {
        return SP_OK;
    }
    (void)sp_fail(err, SP_E_INCONSISTENT,
                  "the energy roofline needs the share of the power of '%s' that arithmetic takes "
                  "(compute_power_ratio)",
                  name);
    (void)sp_fail_value(err, "%g", hardware->compute_power_ratio);
    return sp_fail_range(err, "above 0 and below 1");
}

sp_status sp_roofline_check(const sp_roofline *roofline, sp_roofline_view view, sp_error *err)
{
    SP_TRY(check_count(roofline->n_hardware, 1, SP_ROOFLINE_MAX_HARDWARE, "accelerators", err));
    SP_TRY(check_count(roofline->n_classes, 0, SP_ROOFLINE_MAX_CLASSES, "operator classes", err));
    SP_TRY(check_count(roofline->n_points, 0, SP_ROOFLINE_MAX_POINTS, "points", err));
    for (uint32_t i = 0; i < roofline->n_hardware; i++) {
        SP_TRY(check_hardware(&roofline->hardware[i], view, err));
    }
    for (uint32_t i = 0; i < roofline->n_points; i++) {
        const sp_roofline_point *const point = &roofline->points[i];
        assert(point->hardware_idx < roofline->n_hardware &&
               point->class_idx < roofline->n_classes);
        SP_TRY(check_number(point->flops_per_byte, 0.0, "intensity", point->label, err));
        SP_TRY(check_number(point->flops_per_s, 0.0, "rate", point->label, err));
    }
    return SP_OK;
}
