/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Roofline pictures: operators as points under what accelerators can do.
 *
 * A roof is min(ceiling, bandwidth x intensity); where the two meet is the ridge. Several
 * accelerators share one picture, told apart by their dashes and by labels beside their ceilings.
 * Points are coloured by operator class (colours after Okabe and Ito, told apart by people who see
 * fewer colours) and shaped by phase. No label covers another label or a point.
 *
 * The picture is SVG or PNG by the ending of its path, 1200 px wide and at least 800 px high; the
 * same question always gives the same file. In an SVG the labels can be searched and copied, and a
 * point shows its words under the pointer. Beside F.svg a legend F-legend.svg lists every operator
 * in every phase.
 *
 *     const sp_roofline_limit ceiling = {"bf16", 989.4e12}, memory = {"HBM3", 3.35e12};
 *     const sp_roofline_hardware h100 = {"H100 SXM", &ceiling, 1, &memory, 1, 700.0, 0.55};
 *     const char *const classes[] = {"attention", "FFN"};
 *     const sp_roofline_point points[] = {{.label = "ffn up", .class_idx = 1,
 *                                          .phase = SP_PHASE_PREFILL, .flops_per_byte = 1820}};
 *     const sp_roofline roofline = {"Llama-3.1-8B", "batch 1, prompt 4096", classes, 2,
 *                                   &h100, 1, points, 1};
 *     SP_TRY(sp_roofline_write(&roofline, SP_ROOFLINE_LOG, "roof.svg", err));
 */
#include "shardplan/analysis.h"

#include <stdbool.h>
#include <stdint.h>

#define SP_ROOFLINE_MAX_CLASSES  9
#define SP_ROOFLINE_MAX_HARDWARE 12
#define SP_ROOFLINE_MAX_LIMITS   8 /* ceilings of one accelerator, and bandwidths */
#define SP_ROOFLINE_MAX_POINTS   4096

typedef enum sp_roofline_view {
    SP_ROOFLINE_LOG,    /* both axes logarithmic                                                  */
    SP_ROOFLINE_LINEAR, /* linear axes; broken behind the last ridge of a main memory */
    SP_ROOFLINE_ENERGY, /* FLOP per joule over intensity, logarithmic                             */
    SP_ROOFLINE_N_VIEWS
} sp_roofline_view;

/* A ceiling in FLOP/s with its number format, or a bandwidth in bytes/s with its memory. */
typedef struct sp_roofline_limit {
    const char *label;
    double per_s; /* > 0 */
} sp_roofline_limit;

typedef struct sp_roofline_hardware {
    const char *name;
    const sp_roofline_limit *ceilings;   /* the one that the question uses first */
    uint32_t n_ceilings;                 /* 1 .. SP_ROOFLINE_MAX_LIMITS          */
    const sp_roofline_limit *bandwidths; /* main memory first                    */
    uint32_t n_bandwidths;
    double tdp_watts;           /* the energy view alone reads these two                          */
    double compute_power_ratio; /* of the design power, at the peak, that the arithmetic takes    */
} sp_roofline_hardware;

/* One operator in one phase on one accelerator. */
typedef struct sp_roofline_point {
    const char *label;
    sp_phase phase;
    uint32_t class_idx; /* in sp_roofline.classes                                              */
    uint32_t hardware_idx;
    uint32_t ceiling_idx, bandwidth_idx; /* that hold for it; 0 = the first                       */
    double flops_per_byte; /* 0: no arithmetic; listed in the legend alone                        */
    double flops_per_s;    /* measured or predicted; 0 = what the roof allows                     */
} sp_roofline_point;

/* Everything is borrowed for the call. */
typedef struct sp_roofline {
    const char *title, *subtitle;
    const char *const *classes; /* operator classes; their order settles their colours            */
    uint32_t n_classes;
    const sp_roofline_hardware *hardware;
    uint32_t n_hardware;
    const sp_roofline_point *points;
    uint32_t n_points;
} sp_roofline;

/* Writes the picture and, beside it, its legend. Refuses a path that ends neither in .svg nor in
 * .png, numbers that cannot be drawn, and any picture in a build without cairo (SP_E_NOT_YET). */
sp_status sp_roofline_write(const sp_roofline *roofline, sp_roofline_view view, const char *path,
                            sp_error *err);

/* "log", "linear", "energy" */
const char *sp_roofline_view_name(sp_roofline_view view);
/* Intensity at which a ceiling meets a bandwidth, FLOP/byte. */
double sp_roofline_ridge(const sp_roofline_hardware *hardware, uint32_t ceiling_idx,
                         uint32_t bandwidth_idx);
/* min(ceiling, bandwidth x intensity), FLOP/s. */
double sp_roofline_attainable(const sp_roofline_hardware *hardware, uint32_t ceiling_idx,
                              uint32_t bandwidth_idx, double flops_per_byte);
/* Power while an operator of this intensity runs on the roof. With u_c = min(1, I/I*) and
 * u_m = min(1, I* / I), the share of time that arithmetic and memory are busy (I* the ridge):
 *   P = TDP (a u_c + (1 - a) u_m)        a: compute_power_ratio
 * Leaves out idle power: below and above the ridge the idle part draws nothing. */
double sp_roofline_watts(const sp_roofline_hardware *hardware, uint32_t ceiling_idx,
                         uint32_t bandwidth_idx, double flops_per_byte);

/* Analyses of one model, one for each accelerator, as a question for a picture; in the arena. The
 * ceilings are the formats that the operators use; with one or two accelerators, all formats. With
 * `expected` a point stands where measured kernels put it, where they are known, and not on the
 * roof. Refuses more analyses than SP_ROOFLINE_MAX_HARDWARE. */
sp_status sp_roofline_of_analyses(struct sp_arena *arena, const char *title, const char *subtitle,
                                  const sp_analysis_question *const *questions,
                                  const sp_analysis *const *analyses, uint32_t n, bool expected,
                                  const sp_roofline **roofline, sp_error *err);
