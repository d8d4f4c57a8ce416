/* SPDX-License-Identifier: Apache-2.0 */
/* The roofs themselves, and the names of their ceilings beside the plot: each as near to its line's
 * end as the others let it, joined to it by a thin line. */
#include "report/roofline_page.h"

#include <math.h>
#include <stdlib.h>

#define LINE_PX    15.0 /* from one label to the next  */
#define LEADER_PX  26.0 /* from the plot to the labels */
#define N_SAMPLES  160  /* of a curved roof            */
#define MAX_LABELS (SP_ROOFLINE_MAX_HARDWARE * SP_ROOFLINE_MAX_LIMITS)

static const sp_ink label_ink = {SP_INK_TEXT, 12.0, false, 0};
static const sp_ink leader_ink = {0xb8c0cau, 0.8, false, 0};

/* Dark lines of one grey each, told apart by their dashes. */
static sp_ink roof_ink(uint32_t hardware_idx, bool first)
{
    return (sp_ink){first ? 0x27313du : 0x7b8794u, first ? 1.9 : 1.2, false,
                    hardware_idx % SP_N_DASHES};
}

/* One roof within one panel, from where it enters the picture. */
static void panel_roof(sp_roof_page *page, const sp_scale *x, uint32_t h, uint32_t c, uint32_t b)
{
    const sp_roofline_hardware *const hardware = &page->roofline->hardware[h];
    const double ridge = sp_roofline_ridge(hardware, c, b);
    const bool curved = page->view == SP_ROOFLINE_ENERGY;
    double xy[2 * (N_SAMPLES + 1)];
    size_t n = 0;
    double from = x->lo;
    if (!curved) {
        from = fmax(from, page->y.lo / hardware->bandwidths[b].per_s);
    }
    const size_t n_steps = curved ? N_SAMPLES : 2;
    for (size_t i = 0; i <= n_steps; i++) {
        const double along = (double)i / (double)n_steps;
        double at = curved   ? from * pow(x->hi / from, along)
                    : i == 0 ? from
                    : i == 1 ? ridge
                             : x->hi;
        at = fmin(fmax(at, from), x->hi);
        const double height = sp_roof_height(hardware, page->view, c, b, at);
        if (height >= page->y.lo) {
            xy[2 * n] = sp_scale_px(x, at);
            xy[2 * n + 1] = sp_scale_px(&page->y, height);
            n++;
        }
    }
    const sp_ink ink = roof_ink(h, c == 0 && b == 0);
    if (n > 1 && from < x->hi) {
        sp_picture_path(page->picture, SP_SHAPE_PATH, &ink, xy, n);
    }
}

/* Ceilings over the main memory; other memories under the first ceiling alone. */
static void hardware_roofs(sp_roof_page *page, const sp_scale *x, uint32_t h)
{
    const sp_roofline_hardware *const hardware = &page->roofline->hardware[h];
    for (uint32_t b = 1; b < hardware->n_bandwidths; b++) {
        panel_roof(page, x, h, 0, b);
    }
    for (uint32_t c = hardware->n_ceilings; c-- > 0;) {
        panel_roof(page, x, h, c, 0);
    }
}

static void ridge_marks(sp_roof_page *page, uint32_t h)
{
    const sp_roofline_hardware *const hardware = &page->roofline->hardware[h];
    const sp_ink ink = {0x27313du, 7.0, false, 0};
    for (uint32_t c = 0; c < hardware->n_ceilings; c++) {
        const double ridge = sp_roofline_ridge(hardware, c, 0);
        const double height = sp_roof_height(hardware, page->view, c, 0, ridge);
        sp_picture_mark(page->picture, &ink, SP_MARK_RING,
                        sp_scale_px(sp_roof_panel(page, ridge), ridge),
                        sp_scale_px(&page->y, height), NULL);
    }
}

void sp_roof_roofs(sp_roof_page *page)
{
    for (uint32_t h = page->roofline->n_hardware; h-- > 0;) {
        for (unsigned p = 0; p < page->n_panels; p++) {
            hardware_roofs(page, &page->x[p], h);
        }
    }
    for (uint32_t h = 0; h < page->roofline->n_hardware; h++) {
        ridge_marks(page, h);
    }
}

/* "H100 SXM  bf16 989 TFLOP/s". */
static void ceiling_words(const sp_roof_page *page, uint32_t h, uint32_t c, sp_text *words)
{
    const sp_roofline_hardware *const hardware = &page->roofline->hardware[h];
    const sp_roofline_limit *const ceiling = &hardware->ceilings[c];
    const bool energy = page->view == SP_ROOFLINE_ENERGY;
    const double value = energy ? ceiling->per_s / hardware->tdp_watts : ceiling->per_s;
    char number[32];
    sp_text_printf(words, "%s  %s %s%s", hardware->name, ceiling->label,
                   sp_words_si(number, value, energy ? "FLOP/J" : "FLOP/s"),
                   energy ? " at the ridge" : "");
}

typedef struct ceiling_label {
    uint32_t hardware_idx, ceiling_idx;
    double line_px, at_px;
} ceiling_label;

static int by_height(const void *a, const void *b)
{
    const ceiling_label *const left = a, *const right = b;
    const double d = left->line_px - right->line_px;
    if (d != 0.0) {
        return d < 0.0 ? -1 : 1;
    }
    const uint32_t l = left->hardware_idx * SP_ROOFLINE_MAX_LIMITS + left->ceiling_idx;
    const uint32_t r = right->hardware_idx * SP_ROOFLINE_MAX_LIMITS + right->ceiling_idx;
    return l < r ? -1 : l > r;
}

static size_t list_labels(const sp_roof_page *page, ceiling_label labels[MAX_LABELS])
{
    const double end = page->x[page->n_panels - 1].hi;
    size_t n = 0;
    for (uint32_t h = 0; h < page->roofline->n_hardware; h++) {
        const sp_roofline_hardware *const hardware = &page->roofline->hardware[h];
        for (uint32_t c = 0; c < hardware->n_ceilings; c++) {
            const double height = sp_roof_height(hardware, page->view, c, 0, end);
            const double px = sp_scale_px(&page->y, height);
            labels[n++] = (ceiling_label){h, c, px, px};
        }
    }
    qsort(labels, n, sizeof *labels, by_height);
    return n;
}

/* Pushes labels down until none is nearer than a line to the one above, then up from the bottom. */
static void spread(ceiling_label *labels, size_t n, double top, double bottom)
{
    double least = top;
    for (size_t i = 0; i < n; i++) {
        labels[i].at_px = fmax(labels[i].at_px, least);
        least = labels[i].at_px + LINE_PX;
    }
    double most = bottom;
    for (size_t i = n; i-- > 0;) {
        labels[i].at_px = fmin(labels[i].at_px, most);
        most = labels[i].at_px - LINE_PX;
    }
}

sp_box sp_roof_gutter(const sp_roof_page *page)
{
    sp_box gutter = {0};
    for (uint32_t h = 0; h < page->roofline->n_hardware; h++) {
        for (uint32_t c = 0; c < page->roofline->hardware[h].n_ceilings; c++) {
            sp_text words = {0};
            ceiling_words(page, h, c, &words);
            if (!words.failed) {
                const sp_box box = sp_picture_measure(page->picture, &label_ink, words.data);
                gutter.half_width = fmax(gutter.half_width, box.half_width + 0.5 * LEADER_PX);
            }
            page->picture->failed = page->picture->failed || words.failed;
            sp_text_fini(&words);
            gutter.half_height += 0.5 * LINE_PX;
        }
    }
    return gutter;
}

void sp_roof_ceiling_labels(sp_roof_page *page)
{
    ceiling_label labels[MAX_LABELS];
    const size_t n = list_labels(page, labels);
    const double end = page->x[page->n_panels - 1].to;
    spread(labels, n, page->y.to, page->y.from);
    for (size_t i = 0; i < n; i++) {
        sp_text words = {0};
        ceiling_words(page, labels[i].hardware_idx, labels[i].ceiling_idx, &words);
        const double leader[] = {end + 3.0,
                                 labels[i].line_px,
                                 end + 8.0,
                                 labels[i].line_px,
                                 end + LEADER_PX - 8.0,
                                 labels[i].at_px,
                                 end + LEADER_PX - 3.0,
                                 labels[i].at_px};
        sp_picture_path(page->picture, SP_SHAPE_GRID, &leader_ink, leader, 4);
        if (!words.failed) {
            sp_picture_text(page->picture, &label_ink, words.data, end + LEADER_PX, labels[i].at_px,
                            -1);
        }
        page->picture->failed = page->picture->failed || words.failed;
        sp_text_fini(&words);
    }
}
