/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* How a roofline picture is laid out: scales, then grid, roofs, marks, and labels in the order of
 * their importance. No file, no font and no library is needed for it. */
#include "report/picture.h"
#include "shardplan/roofline.h"

/* Data to pixels. */
typedef struct sp_scale {
    bool log;
    double lo, hi;   /* data */
    double from, to; /* px   */
} sp_scale;

double sp_scale_px(const sp_scale *scale, double value);

#define SP_SCALE_MAX_TICKS 64

typedef struct sp_tick {
    double value;
    bool labelled;
} sp_tick;

/* Round values within the scale, at most `wanted` of them labelled or so; returns how many. */
size_t sp_scale_ticks(const sp_scale *scale, unsigned wanted, sp_tick ticks[SP_SCALE_MAX_TICKS]);
/* The smallest of 1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10 times a power of ten that is >= value. */
double sp_scale_round_up(double value);

typedef struct sp_roof_page {
    const sp_roofline *roofline;
    sp_roofline_view view;
    sp_picture *picture;
    sp_box plot; /* all panels */
    sp_scale x[2];
    unsigned n_panels; /* 2 where the x axis is broken */
    sp_scale y;
    double bottom; /* of what is drawn so far */
    double note_x; /* where the next note below the plot begins; 0 = in a new line */
} sp_roof_page;

/* ---- roofline_model.c --------------------------------------------------------------------------
 */
/* "prefill", "decode", "last decode step", "forward", "backward" */
const char *sp_roof_phase_words(sp_phase phase);
/* Height of a roof in the unit of the view's y axis: FLOP/s, or FLOP/J. */
double sp_roof_height(const sp_roofline_hardware *hardware, sp_roofline_view view,
                      uint32_t ceiling_idx, uint32_t bandwidth_idx, double flops_per_byte);
double sp_point_height(const sp_roofline *roofline, sp_roofline_view view,
                       const sp_roofline_point *point);
sp_status sp_roofline_check(const sp_roofline *roofline, sp_roofline_view view, sp_error *err);

/* ---- roofline_axes.c ---------------------------------------------------------------------------
 */
/* Chooses the ranges of the axes; the plot's box must be known. */
void sp_roof_scales(sp_roof_page *page);
void sp_roof_axes(sp_roof_page *page);
/* The panel that shows an intensity, and where. */
const sp_scale *sp_roof_panel(const sp_roof_page *page, double flops_per_byte);
sp_box sp_roof_panel_box(const sp_roof_page *page, const sp_scale *panel);

/* ---- roofline_roofs.c --------------------------------------------------------------------------
 */
/* Width and height that the labels of the ceilings take beside the plot. */
sp_box sp_roof_gutter(const sp_roof_page *page);
void sp_roof_roofs(sp_roof_page *page);
void sp_roof_ceiling_labels(sp_roof_page *page);

/* ---- roofline_labels.c -------------------------------------------------------------------------
 */
/* From a mark to the nearest edge of its label, where that is far. */
void sp_roof_leader(sp_roof_page *page, double x, double y, const sp_box *label);
/* Labels of ridges and bandwidths; those that find no place in the plot are listed below it. */
void sp_roof_labels(sp_roof_page *page);

/* ---- roofline_points.c -------------------------------------------------------------------------
 */
void sp_roof_points(sp_roof_page *page);
void sp_roof_point_labels(sp_roof_page *page);
/* What marks and colours mean, below the plot. */
void sp_roof_key(sp_roof_page *page);
sp_ink sp_roof_class_ink(uint32_t class_idx);
sp_mark sp_roof_phase_mark(sp_phase phase);

/* ---- roofline_plot.c, roofline_legend.c
 * ----------------------------------------------------------- */
/* Lays the picture out; memory alone can run out (picture->failed). The caller frees it. */
void sp_roofline_layout(const sp_roofline *roofline, sp_roofline_view view,
                        const sp_typeface *typeface, sp_picture *picture);
void sp_roofline_legend_layout(const sp_roofline *roofline, const sp_typeface *typeface,
                               sp_picture *picture);

#define SP_INK_TEXT  0x1f2933u
#define SP_INK_QUIET 0x5f6b7au
#define SP_INK_GRID  0xe3e7ecu
#define SP_INK_MINOR 0xf1f3f6u
#define SP_INK_AXIS  0x7b8794u
#define SP_INK_PAPER 0xfcfcfau
