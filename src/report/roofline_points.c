/* SPDX-License-Identifier: Apache-2.0 */
/* Operators as marks: colour by class, shape by phase, a name where there is room right beside it,
 * and below the plot what colours and shapes mean. */
#include "report/roofline_page.h"

#include <math.h>
#include <string.h>

#define MARK_PX     11.0
#define MAX_NAMES   40 /* names of points in the plot: more would be a carpet */
#define KEY_LINE_PX 22.0

/* Okabe and Ito, Color Universal Design (2008), and a grey. */
static const uint32_t class_colours[SP_ROOFLINE_MAX_CLASSES] = {0x0072b2u, 0xe69f00u, 0x009e73u,
                                                                0xcc79a7u, 0x56b4e9u, 0xd55e00u,
                                                                0xf0e442u, 0x8c8c8cu, 0x000000u};

static const sp_ink name_ink = {SP_INK_QUIET, 10.5, false, 0};
static const sp_ink key_ink = {SP_INK_TEXT, 12.5, false, 0};
static const sp_ink neutral = {0xc3cad3u, 0.0, false, 0};

sp_ink sp_roof_class_ink(uint32_t class_idx)
{
    return (sp_ink){class_colours[class_idx % SP_ROOFLINE_MAX_CLASSES], MARK_PX, false, 0};
}

sp_mark sp_roof_phase_mark(sp_roofline_phase phase)
{
    static const sp_mark marks[SP_ROOFLINE_N_PHASES] = {[SP_ROOFLINE_PREFILL] = SP_MARK_TRIANGLE,
                                                        [SP_ROOFLINE_DECODE] = SP_MARK_DISC,
                                                        [SP_ROOFLINE_LAST_DECODE] = SP_MARK_SQUARE,
                                                        [SP_ROOFLINE_FORWARD] = SP_MARK_DIAMOND,
                                                        [SP_ROOFLINE_BACKWARD] =
                                                            SP_MARK_TRIANGLE_DOWN};
    return marks[phase];
}

static void place_of(const sp_roof_page *page, const sp_roofline_point *point, double *x, double *y)
{
    *x = sp_scale_px(sp_roof_panel(page, point->flops_per_byte), point->flops_per_byte);
    *y = sp_scale_px(&page->y, sp_point_height(page->roofline, page->view, point));
}

/* What the pointer shows: "q_proj, prefill, H100 SXM: 1820 FLOP/byte, 989 TFLOP/s". */
static void point_words(const sp_roof_page *page, const sp_roofline_point *point, sp_text *words)
{
    char intensity[32], rate[32];
    const double height = sp_point_height(page->roofline, page->view, point);
    sp_text_printf(
        words, "%s, %s, %s: %s FLOP/byte, %s", point->label, sp_roofline_phase_name(point->phase),
        page->roofline->hardware[point->hardware_idx].name,
        sp_words_plain(intensity, point->flops_per_byte),
        sp_words_si(rate, height, page->view == SP_ROOFLINE_ENERGY ? "FLOP/J" : "FLOP/s"));
}

void sp_roof_points(sp_roof_page *page)
{
    for (uint32_t i = 0; i < page->roofline->n_points; i++) {
        const sp_roofline_point *const point = &page->roofline->points[i];
        if (!(point->flops_per_byte > 0.0)) {
            continue;
        }
        const sp_ink ink = sp_roof_class_ink(point->class_idx);
        double x = 0.0, y = 0.0;
        sp_text words = {0};
        place_of(page, point, &x, &y);
        point_words(page, point, &words);
        sp_picture_mark(page->picture, &ink, sp_roof_phase_mark(point->phase), x, y,
                        words.failed ? NULL : words.data);
        sp_text_fini(&words);
    }
}

/* A name is told once a phase and accelerator, where it has room next to its mark. */
static bool named_before(const sp_roofline *roofline, uint32_t idx)
{
    const sp_roofline_point *const point = &roofline->points[idx];
    for (uint32_t i = 0; i < idx; i++) {
        const sp_roofline_point *const other = &roofline->points[i];
        if (other->phase == point->phase && other->hardware_idx == point->hardware_idx &&
            strcmp(other->label, point->label) == 0) {
            return true;
        }
    }
    return false;
}

static bool name_point(sp_roof_page *page, const sp_roofline_point *point)
{
    double x = 0.0, y = 0.0;
    place_of(page, point, &x, &y);
    const sp_box size = sp_picture_measure(page->picture, &name_ink, point->label);
    const double dx = size.half_width + 8.0, dy = size.half_height + 8.0;
    const sp_spot spots[] = {
        {x + dx,       y,       0.0, 0.0},
        {x - dx,       y,       0.0, 1.0},
        {x,            y + dy,  0.0, 2.0},
        {x,            y - dy,  0.0, 3.0},
        {x + dx - 3.0, y + 9.0, 0.0, 4.0},
        {x - dx + 3.0, y - 9.0, 0.0, 5.0}
    };
    sp_box box;
    return sp_picture_place(page->picture, &name_ink, point->label, spots,
                            sizeof spots / sizeof spots[0], &page->plot, &box);
}

void sp_roof_point_labels(sp_roof_page *page)
{
    unsigned n_named = 0;
    for (uint32_t i = 0; i < page->roofline->n_points && n_named < MAX_NAMES; i++) {
        const sp_roofline_point *const point = &page->roofline->points[i];
        if (point->flops_per_byte > 0.0 && !named_before(page->roofline, i)) {
            n_named += name_point(page, point);
        }
    }
}

typedef struct key_row {
    sp_roof_page *page;
    double x;
} key_row;

static void key_entry(key_row *row, const sp_ink *ink, sp_mark mark, const char *words)
{
    sp_picture *const picture = row->page->picture;
    const double width = 2.0 * sp_picture_measure(picture, &key_ink, words).half_width + 40.0;
    if (row->x + width > picture->width - 20.0) {
        row->x = row->page->x[0].from;
        row->page->bottom += KEY_LINE_PX;
    }
    sp_picture_mark(picture, ink, mark, row->x + 6.0, row->page->bottom, NULL);
    sp_picture_text(picture, &key_ink, words, row->x + 18.0, row->page->bottom, -1);
    row->x += width;
}

void sp_roof_key(sp_roof_page *page)
{
    const sp_roofline *const roofline = page->roofline;
    bool phases[SP_ROOFLINE_N_PHASES] = {false}, classes[SP_ROOFLINE_MAX_CLASSES] = {false};
    for (uint32_t i = 0; i < roofline->n_points; i++) {
        phases[roofline->points[i].phase] = true;
        classes[roofline->points[i].class_idx] = true;
    }
    key_row row = {page, page->x[0].from};
    page->bottom += KEY_LINE_PX + 4.0;
    for (int p = 0; p < SP_ROOFLINE_N_PHASES; p++) {
        sp_ink ink = neutral;
        ink.size = MARK_PX;
        if (phases[p]) {
            key_entry(&row, &ink, sp_roof_phase_mark((sp_roofline_phase)p),
                      sp_roofline_phase_name((sp_roofline_phase)p));
        }
    }
    row.x = page->x[0].from;
    page->bottom += roofline->n_points > 0 ? KEY_LINE_PX : 0.0;
    for (uint32_t c = 0; c < roofline->n_classes; c++) {
        const sp_ink ink = sp_roof_class_ink(c);
        if (classes[c]) {
            key_entry(&row, &ink, SP_MARK_SWATCH, roofline->classes[c]);
        }
    }
    page->bottom += KEY_LINE_PX;
}
