/* SPDX-License-Identifier: Apache-2.0 */
/* Ranges that hold every roof and point, the grid, and the axes; on linear axes the x axis breaks
 * behind the last ridge of a main memory: to the left of it roofs rise, to the right they are flat.
 */
#include "report/roofline_page.h"

#include <math.h>

#define BREAK_PX       22.0 /* between the two panels               */
#define BREAK_AT_RATIO 0.6  /* of the width, for the left panel     */

typedef struct extent {
    double lo, hi;
} extent;

static void widen(extent *e, double value)
{
    e->lo = fmin(e->lo, value);
    e->hi = fmax(e->hi, value);
}

/* Ridges into *ridges, flat parts into *tops. */
static void roof_extents(const sp_roof_page *page, extent *ridges, extent *tops)
{
    for (uint32_t h = 0; h < page->roofline->n_hardware; h++) {
        const sp_roofline_hardware *const hardware = &page->roofline->hardware[h];
        for (uint32_t c = 0; c < hardware->n_ceilings; c++) {
            /* On linear axes the ridge of a slow tier would leave no room for the others. */
            const uint32_t n = page->view == SP_ROOFLINE_LINEAR ? 1 : hardware->n_bandwidths;
            for (uint32_t b = 0; b < n; b++) {
                const double ridge = sp_roofline_ridge(hardware, c, b);
                widen(ridges, ridge);
                widen(tops, sp_roof_height(hardware, page->view, c, b, ridge));
            }
        }
    }
}

static void point_extents(const sp_roof_page *page, extent *intensities, extent *heights)
{
    for (uint32_t i = 0; i < page->roofline->n_points; i++) {
        const sp_roofline_point *const point = &page->roofline->points[i];
        if (point->flops_per_byte > 0.0) {
            widen(intensities, point->flops_per_byte);
            widen(heights, sp_point_height(page->roofline, page->view, point));
        }
    }
}

/* Of the right end of every roof: beyond the ridge, power and with it the energy roof still move.
 */
static void end_extents(const sp_roof_page *page, double intensity, extent *heights)
{
    for (uint32_t h = 0; h < page->roofline->n_hardware; h++) {
        const sp_roofline_hardware *const hardware = &page->roofline->hardware[h];
        for (uint32_t c = 0; c < hardware->n_ceilings; c++) {
            widen(heights, sp_roof_height(hardware, page->view, c, 0, intensity));
        }
    }
}

static void log_scales(sp_roof_page *page, const extent *ridges, const extent *tops)
{
    extent x = {ridges->lo / 30.0, ridges->hi * 10.0}, y = {tops->lo / 8.0, tops->hi};
    point_extents(page, &x, &y);
    x = (extent){x.lo / 1.8, x.hi * 1.8};
    end_extents(page, x.hi, &y);
    page->x[0].lo = x.lo;
    page->x[0].hi = x.hi;
    page->y.lo = y.lo / 2.0;
    page->y.hi = y.hi * 2.0;
}

static void broken_scales(sp_roof_page *page, const extent *ridges, const extent *tops)
{
    extent x = {0.0, 2.0 * ridges->hi}, y = {0.0, tops->hi};
    point_extents(page, &x, &y);
    const double width = page->x[0].to - page->x[0].from;
    const double middle = page->x[0].from + BREAK_AT_RATIO * width;
    const double at = sp_scale_round_up(1.02 * ridges->hi);
    const double right = page->x[0].to;
    page->n_panels = 2;
    page->x[0] = (sp_scale){false, 0.0, at, page->x[0].from, middle - 0.5 * BREAK_PX};
    page->x[1] = (sp_scale){false, at, sp_scale_round_up(fmax(1.05 * x.hi, 1.5 * at)),
                            middle + 0.5 * BREAK_PX, right};
    page->y.lo = 0.0;
    page->y.hi = 1.12 * y.hi;
}

void sp_roof_scales(sp_roof_page *page)
{
    const sp_box *const plot = &page->plot;
    const bool log = page->view != SP_ROOFLINE_LINEAR;
    extent ridges = {INFINITY, 0.0}, tops = {INFINITY, 0.0};
    roof_extents(page, &ridges, &tops);
    page->n_panels = 1;
    page->x[0].log = page->y.log = log;
    page->x[0].from = plot->x - plot->half_width;
    page->x[0].to = plot->x + plot->half_width;
    page->y.from = plot->y + plot->half_height;
    page->y.to = plot->y - plot->half_height;
    if (log) {
        log_scales(page, &ridges, &tops);
    } else {
        broken_scales(page, &ridges, &tops);
    }
}

const sp_scale *sp_roof_panel(const sp_roof_page *page, double flops_per_byte)
{
    return &page->x[page->n_panels == 2 && flops_per_byte > page->x[0].hi];
}

sp_box sp_roof_panel_box(const sp_roof_page *page, const sp_scale *panel)
{
    return (sp_box){0.5 * (panel->from + panel->to), page->plot.y, 0.5 * (panel->to - panel->from),
                    page->plot.half_height, 0.0};
}

static const sp_ink minor = {SP_INK_MINOR, 1.0, false, 0};
static const sp_ink major = {SP_INK_GRID, 1.0, false, 0};
static const sp_ink frame = {SP_INK_AXIS, 1.2, false, 0};
static const sp_ink figure = {SP_INK_TEXT, 12.5, false, 0};
static const sp_ink heading = {SP_INK_TEXT, 14.0, false, 0};

static void vertical_grid(sp_roof_page *page, const sp_scale *x)
{
    sp_tick ticks[SP_SCALE_MAX_TICKS];
    const size_t n = sp_scale_ticks(x, page->n_panels == 2 ? 5 : 9, ticks);
    for (size_t i = 0; i < n; i++) {
        const double px = sp_scale_px(x, ticks[i].value);
        const sp_ink *const ink = ticks[i].labelled ? &major : &minor;
        sp_picture_line(page->picture, SP_SHAPE_GRID, ink, px, page->y.from, px, page->y.to);
    }
}

/* The number below a tick, unless a neighbour has taken its place. */
static void x_figures(sp_roof_page *page, const sp_scale *x)
{
    const sp_box paper = {0.5 * page->picture->width, page->y.from + 50.0,
                          0.5 * page->picture->width, 100.0, 0.0};
    sp_tick ticks[SP_SCALE_MAX_TICKS];
    sp_box placed;
    const size_t n = sp_scale_ticks(x, page->n_panels == 2 ? 5 : 9, ticks);
    for (size_t i = 0; i < n; i++) {
        char words[32];
        if (ticks[i].labelled) {
            const double px = sp_scale_px(x, ticks[i].value);
            const sp_spot spot = {px, page->y.from + 17.0, 0.0, 0.0};
            sp_picture_line(page->picture, SP_SHAPE_GRID, &frame, px, page->y.from, px,
                            page->y.from + 5.0);
            (void)sp_picture_place(page->picture, &figure, sp_words_plain(words, ticks[i].value),
                                   &spot, 1, NULL, &paper, &placed);
        }
    }
}

/* The y axis counts in a prefix that keeps its highest figure below 10,000: TFLOP/s, say. */
static double y_unit(const sp_roof_page *page, const char **name)
{
    static const char *const rates[] = {"FLOP/s",  "kFLOP/s", "MFLOP/s", "GFLOP/s",
                                        "TFLOP/s", "PFLOP/s", "EFLOP/s"};
    if (page->view == SP_ROOFLINE_ENERGY) { /* the field compares GFLOP/J */
        *name = "GFLOP/J";
        return 1e9;
    }
    const double power = floor(log10(page->y.hi / 10.0) / 3.0);
    const int used = (int)fmin(6.0, fmax(0.0, power));
    *name = rates[used];
    return pow(1000.0, used);
}

static void y_side(sp_roof_page *page)
{
    sp_tick ticks[SP_SCALE_MAX_TICKS];
    const char *unit = "";
    const double scale = y_unit(page, &unit);
    const size_t n = sp_scale_ticks(&page->y, 8, ticks);
    char words[64];
    for (size_t i = 0; i < n; i++) {
        const double py = sp_scale_px(&page->y, ticks[i].value);
        const sp_ink *const ink = ticks[i].labelled ? &major : &minor;
        for (unsigned p = 0; p < page->n_panels; p++) {
            sp_picture_line(page->picture, SP_SHAPE_GRID, ink, page->x[p].from, py, page->x[p].to,
                            py);
        }
        if (ticks[i].labelled) {
            sp_picture_text(page->picture, &figure, sp_words_plain(words, ticks[i].value / scale),
                            page->x[0].from - 9.0, py, 1);
        }
    }
    sp_text title = {0};
    sp_text_printf(&title, "%s, %s",
                   page->view == SP_ROOFLINE_ENERGY ? "Energy efficiency" : "Performance", unit);
    if (!title.failed) {
        sp_box box = sp_picture_measure(page->picture, &heading, title.data);
        box.x = page->x[0].from - 66.0;
        box.y = page->plot.y;
        box.angle = -1.5707963267948966;
        sp_picture_text_in(page->picture, &heading, title.data, &box);
    }
    page->picture->failed = page->picture->failed || title.failed;
    sp_text_fini(&title);
}

static void panel_frame(sp_roof_page *page, unsigned p)
{
    const sp_scale *const x = &page->x[p];
    sp_picture *const picture = page->picture;
    sp_picture_line(picture, SP_SHAPE_GRID, &frame, x->from, page->y.from, x->to, page->y.from);
    if (p == 0) {
        sp_picture_line(picture, SP_SHAPE_GRID, &frame, x->from, page->y.from, x->from, page->y.to);
    }
    if (page->n_panels == 2) {
        const double px = p == 0 ? x->to : x->from;
        sp_picture_line(picture, SP_SHAPE_GRID, &frame, px - 4.0, page->y.from + 8.0, px + 4.0,
                        page->y.from - 8.0);
        sp_picture_line(picture, SP_SHAPE_GRID, &frame, px - 4.0, page->y.to + 8.0, px + 4.0,
                        page->y.to - 8.0);
    }
}

void sp_roof_axes(sp_roof_page *page)
{
    for (unsigned p = 0; p < page->n_panels; p++) {
        vertical_grid(page, &page->x[p]);
    }
    y_side(page);
    for (unsigned p = 0; p < page->n_panels; p++) {
        panel_frame(page, p);
        x_figures(page, &page->x[p]);
    }
    page->bottom = page->y.from + 40.0;
    sp_picture_text(page->picture, &heading, "Operational intensity, FLOP/byte", page->plot.x,
                    page->bottom, 0);
    page->bottom += 14.0;
}
