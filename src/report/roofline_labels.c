/* SPDX-License-Identifier: Apache-2.0 */
/* Labels within the plot: a ridge's beside its mark, a bandwidth's along its slope. Each tries many
 * places; one that finds none is told in a line below the plot, so that nothing is left out. */
#include "report/roofline_page.h"

#include <math.h>

#define N_ALONG       24            /* places along a slope, each above and below it */
#define N_SPOTS_ALONG (4 * N_ALONG) /* close to it, and clear of the marks that lie on it */

static const sp_ink ridge_ink = {SP_INK_TEXT, 11.5, false, 0};
static const sp_ink slope_ink = {SP_INK_TEXT, 11.5, false, 0};
static const sp_ink note_ink = {SP_INK_QUIET, 11.5, false, 0};
static const sp_ink leader_ink = {0x9aa5b1u, 0.8, false, 0};

/* Notes follow each other in lines below the plot. */
static void note(sp_roof_page *page, const char *words)
{
    const double width = 2.0 * sp_picture_measure(page->picture, &note_ink, words).half_width;
    if (page->note_x == 0.0 || page->note_x + width > page->picture->width - 20.0) {
        page->note_x = page->x[0].from;
        page->bottom += 16.0;
    }
    sp_picture_text(page->picture, &note_ink, words, page->note_x, page->bottom, -1);
    page->note_x += width + 24.0;
}

static void ridge_words(const sp_roof_page *page, uint32_t h, uint32_t c, sp_text *words)
{
    const sp_roofline_hardware *const hardware = &page->roofline->hardware[h];
    char number[32];
    if (page->roofline->n_hardware > 1) {
        sp_text_printf(words, "%s ", hardware->name);
    }
    sp_text_printf(words, "%s ridge %s", hardware->ceilings[c].label,
                   sp_words_plain(number, sp_roofline_ridge(hardware, c, 0)));
}

void sp_roof_leader(sp_roof_page *page, double x, double y, const sp_box *box)
{
    const double to_x = fmin(fmax(x, box->x - box->half_width), box->x + box->half_width);
    const double to_y = fmin(fmax(y, box->y - box->half_height), box->y + box->half_height);
    const double length = hypot(to_x - x, to_y - y);
    if (length > 16.0) {
        const double start = 4.5 / length, end = 1.0 - 2.0 / length;
        sp_picture_line(page->picture, SP_SHAPE_PATH, &leader_ink, x + start * (to_x - x),
                        y + start * (to_y - y), x + end * (to_x - x), y + end * (to_y - y));
    }
}

static void label_ridge(sp_roof_page *page, uint32_t h, uint32_t c)
{
    const sp_roofline_hardware *const hardware = &page->roofline->hardware[h];
    const double ridge = sp_roofline_ridge(hardware, c, 0);
    const sp_scale *const panel = sp_roof_panel(page, ridge);
    const sp_box within = sp_roof_panel_box(page, panel);
    const double x = sp_scale_px(panel, ridge);
    const double y = sp_scale_px(&page->y, sp_roof_height(hardware, page->view, c, 0, ridge));
    sp_text words = {0};
    ridge_words(page, h, c, &words);
    if (!words.failed) {
        sp_spot spots[SP_N_SPOTS_AROUND];
        sp_box box = sp_picture_measure(page->picture, &ridge_ink, words.data);
        sp_spots_around(&box, x, y, spots);
        if (sp_picture_place(page->picture, &ridge_ink, words.data, spots, SP_N_SPOTS_AROUND,
                             (double[]){x, y}, &within, &box)) {
            sp_roof_leader(page, x, y, &box);
        } else {
            note(page, words.data);
        }
    }
    page->picture->failed = page->picture->failed || words.failed;
    sp_text_fini(&words);
}

/* Where the straight slope of a memory runs on the screen, within the first panel. */
static bool slope_line(const sp_roof_page *page, const sp_roofline_hardware *hardware, uint32_t b,
                       double line[4])
{
    const sp_scale *const x = &page->x[0];
    double top = 0.0;
    for (uint32_t c = 0; c < (b == 0 ? hardware->n_ceilings : 1); c++) {
        top = fmax(top, sp_roofline_ridge(hardware, c, b));
    }
    const bool energy = page->view == SP_ROOFLINE_ENERGY;
    /* Far below the ridge memory alone takes power. */
    const double watts = energy ? (1.0 - hardware->compute_power_ratio) * hardware->tdp_watts : 1.0;
    const double from = fmax(x->lo, page->y.lo * watts / hardware->bandwidths[b].per_s);
    /* The energy roof is straight well below its ridge alone. */
    const double to = fmin(x->hi, energy ? 0.1 * sp_roofline_ridge(hardware, 0, b) : top);
    line[0] = sp_scale_px(x, from);
    line[1] =
        sp_scale_px(&page->y, fmax(page->y.lo, sp_roof_height(hardware, page->view, 0, b, from)));
    line[2] = sp_scale_px(x, to);
    line[3] = sp_scale_px(&page->y, energy ? sp_roof_height(hardware, page->view, 0, b, to)
                                           : hardware->bandwidths[b].per_s * to);
    return to > from;
}

/* Above and below the line, from its middle outwards. */
static size_t spots_along(const double line[4], const sp_box *size, sp_spot spots[N_SPOTS_ALONG])
{
    static const double clear[] = {5.0, 9.0};
    const double dx = line[2] - line[0], dy = line[3] - line[1], length = hypot(dx, dy);
    size_t n = 0;
    for (int i = 0; i < 2 * N_ALONG; i++) {
        const double along = (i / 2 + 0.5) / N_ALONG, gap = size->half_height + clear[i % 2];
        for (int side = -1; side <= 1; side += 2) {
            spots[n++] =
                (sp_spot){line[0] + along * dx - side * gap * dy / length,
                          line[1] + along * dy + side * gap * dx / length, atan2(dy, dx),
                          40.0 * fabs(along - 0.4) + (side > 0 ? 4.0 : 0.0) + clear[i % 2]};
        }
    }
    return n;
}

static void label_bandwidth(sp_roof_page *page, uint32_t h, uint32_t b)
{
    const sp_roofline_hardware *const hardware = &page->roofline->hardware[h];
    const sp_roofline_limit *const memory = &hardware->bandwidths[b];
    const bool several = page->roofline->n_hardware > 1;
    sp_text words = {0};
    char number[32];
    sp_text_printf(&words, "%s%s%s %s", several ? hardware->name : "", several ? " " : "",
                   memory->label, sp_words_si(number, memory->per_s, "B/s"));
    if (!words.failed) {
        sp_spot spots[N_SPOTS_ALONG];
        double line[4];
        const sp_box within = sp_roof_panel_box(page, &page->x[0]);
        sp_box box = sp_picture_measure(page->picture, &slope_ink, words.data);
        const size_t n = slope_line(page, hardware, b, line) ? spots_along(line, &box, spots) : 0;
        if (!sp_picture_place(page->picture, &slope_ink, words.data, spots, n, NULL, &within,
                              &box)) {
            note(page, words.data);
        }
    }
    page->picture->failed = page->picture->failed || words.failed;
    sp_text_fini(&words);
}

/* With one accelerator: a faint line from its first ridge down, and on which side what is scarce.
 */
static void label_bounds(sp_roof_page *page)
{
    static const sp_ink drop_ink = {0xb8c0cau, 1.0, false, 2};
    static const sp_ink bound_ink = {0x8793a1u, 12.0, false, 0};
    static const char *const words[] = {"memory bound", "compute bound"};
    const sp_roofline_hardware *const hardware = &page->roofline->hardware[0];
    const double ridge = sp_roofline_ridge(hardware, 0, 0);
    const double x = sp_scale_px(&page->x[0], ridge);
    sp_picture_line(page->picture, SP_SHAPE_PATH, &drop_ink, x, page->y.from, x,
                    sp_scale_px(&page->y, sp_roof_height(hardware, page->view, 0, 0, ridge)) + 4.0);
    for (int side = 0; side < 2; side++) {
        sp_box box = sp_picture_measure(page->picture, &bound_ink, words[side]);
        const double away = (box.half_width + 12.0) * (side == 0 ? -1.0 : 1.0);
        const sp_spot spots[] = {
            {x + away, page->y.from - 14.0, 0.0, 0.0},
            {x + away, page->y.from - 34.0, 0.0, 2.0},
            {x + away, page->y.from - 60.0, 0.0, 4.0}
        };
        (void)sp_picture_place(page->picture, &bound_ink, words[side], spots, 3, NULL, &page->plot,
                               &box);
    }
}

void sp_roof_labels(sp_roof_page *page)
{
    if (page->roofline->n_hardware == 1) {
        label_bounds(page);
    }
    for (uint32_t h = 0; h < page->roofline->n_hardware; h++) {
        for (uint32_t b = 0; b < page->roofline->hardware[h].n_bandwidths; b++) {
            label_bandwidth(page, h, b);
        }
    }
    for (uint32_t h = 0; h < page->roofline->n_hardware; h++) {
        for (uint32_t c = 0; c < page->roofline->hardware[h].n_ceilings; c++) {
            label_ridge(page, h, c);
        }
    }
}
