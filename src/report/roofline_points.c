/* SPDX-License-Identifier: Apache-2.0 */
/* Operators as marks: colour by class, shape by phase, a name where there is room right beside it,
 * and below the plot what colours and shapes mean. */
#include "report/roofline_page.h"

#include <math.h>
#include <string.h>

#define MARK_PX     11.0
#define LAST_RATIO  1.45
#define MAX_NAMES   40  /* labels of points in the plot: more would be a carpet */
#define MAX_JOINED  3   /* names in one of them                                 */
#define SHARED_PX   7.0 /* marks nearer than this share one                     */
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

sp_mark sp_roof_phase_mark(sp_phase phase)
{
    static const sp_mark marks[SP_N_PHASES] = {[SP_PHASE_PREFILL] = SP_MARK_TRIANGLE,
                                               [SP_PHASE_DECODE] = SP_MARK_DISC,
                                               [SP_PHASE_LAST_DECODE] = SP_MARK_SQUARE,
                                               [SP_PHASE_FORWARD] = SP_MARK_DIAMOND,
                                               [SP_PHASE_BACKWARD] = SP_MARK_TRIANGLE_DOWN};
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
        words, "%s, %s, %s: %s FLOP/byte, %s", point->label, sp_roof_phase_words(point->phase),
        page->roofline->hardware[point->hardware_idx].name,
        sp_words_plain(intensity, point->flops_per_byte),
        sp_words_si(rate, height, page->view == SP_ROOFLINE_ENERGY ? "FLOP/J" : "FLOP/s"));
}

/* The last step of decoding lies close to the first: its mark is larger, and behind. */
static void phase_points(sp_roof_page *page, sp_phase phase)
{
    for (uint32_t i = page->roofline->n_points; i-- > 0;) {
        const sp_roofline_point *const point = &page->roofline->points[i];
        if (point->phase != phase || !(point->flops_per_byte > 0.0)) {
            continue;
        }
        sp_ink ink = sp_roof_class_ink(point->class_idx);
        ink.size *= phase == SP_PHASE_LAST_DECODE ? LAST_RATIO : 1.0;
        double x = 0.0, y = 0.0;
        sp_text words = {0};
        place_of(page, point, &x, &y);
        point_words(page, point, &words);
        sp_picture_mark(page->picture, &ink, sp_roof_phase_mark(point->phase), x, y,
                        words.failed ? NULL : words.data);
        page->picture->failed = page->picture->failed || words.failed;
        sp_text_fini(&words);
    }
}

/* Later phases behind, later operators behind: what the caller lists first is seen best. */
void sp_roof_points(sp_roof_page *page)
{
    for (int phase = SP_N_PHASES; phase-- > 0;) {
        phase_points(page, (sp_phase)phase);
    }
}

/* How a point relates to an earlier one: names are told once, whatever phase and accelerator, and
 * marks that lie upon each other share one label. */
static bool near(const sp_roof_page *page, uint32_t a, uint32_t b)
{
    double ax = 0.0, ay = 0.0, bx = 0.0, by = 0.0;
    place_of(page, &page->roofline->points[a], &ax, &ay);
    place_of(page, &page->roofline->points[b], &bx, &by);
    return hypot(ax - bx, ay - by) < SHARED_PX;
}

static bool told_before(const sp_roof_page *page, const bool *told, uint32_t idx)
{
    const sp_roofline_point *const points = page->roofline->points;
    for (uint32_t i = 0; i < idx; i++) {
        if (told[i] && (near(page, i, idx) || (points[i].phase == points[idx].phase &&
                                               strcmp(points[i].label, points[idx].label) == 0))) {
            return true;
        }
    }
    return false;
}

/* "q_proj", or "q_proj, k_proj, v_proj + 5" for marks upon each other. */
static void cluster_words(const sp_roof_page *page, uint32_t idx, sp_text *words)
{
    const sp_roofline_point *const points = page->roofline->points;
    unsigned n = 0;
    for (uint32_t i = idx; i < page->roofline->n_points; i++) {
        const bool joins = points[i].phase == points[idx].phase && points[i].flops_per_byte > 0.0 &&
                           points[i].hardware_idx == points[idx].hardware_idx && near(page, i, idx);
        if (joins && n++ < MAX_JOINED) {
            sp_text_printf(words, "%s%s", n > 1 ? ", " : "", points[i].label);
        }
    }
    if (n > MAX_JOINED) {
        sp_text_printf(words, " + %u", n - MAX_JOINED);
    }
}

static bool name_point(sp_roof_page *page, const sp_roofline_point *point, const char *words)
{
    double x = 0.0, y = 0.0;
    place_of(page, point, &x, &y);
    const sp_box within = sp_roof_panel_box(page, sp_roof_panel(page, point->flops_per_byte));
    sp_spot spots[SP_N_SPOTS_AROUND];
    sp_box box = sp_picture_measure(page->picture, &name_ink, words);
    sp_spots_around(&box, x, y, spots);
    if (!sp_picture_place(page->picture, &name_ink, words, spots, SP_N_SPOTS_AROUND,
                          (double[]){x, y}, &within, &box)) {
        return false;
    }
    sp_roof_leader(page, x, y, &box);
    return true;
}

/* A point that finds no room for its name leaves it to the same operator on the next accelerator.
 */
void sp_roof_point_labels(sp_roof_page *page)
{
    bool told[SP_ROOFLINE_MAX_POINTS] = {false};
    unsigned n_named = 0;
    for (uint32_t i = 0; i < page->roofline->n_points && n_named < MAX_NAMES; i++) {
        const sp_roofline_point *const point = &page->roofline->points[i];
        sp_text words = {0};
        told[i] = point->flops_per_byte > 0.0 && told_before(page, told, i);
        if (point->flops_per_byte > 0.0 && !told[i]) {
            cluster_words(page, i, &words);
            told[i] = !words.failed && name_point(page, point, words.data);
            n_named += told[i];
        }
        page->picture->failed = page->picture->failed || words.failed;
        sp_text_fini(&words);
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
    bool phases[SP_N_PHASES] = {false}, classes[SP_ROOFLINE_MAX_CLASSES] = {false};
    for (uint32_t i = 0; i < roofline->n_points; i++) {
        phases[roofline->points[i].phase] = true;
        classes[roofline->points[i].class_idx] = true;
    }
    key_row row = {page, page->x[0].from};
    page->bottom += KEY_LINE_PX + 4.0;
    for (int p = 0; p < SP_N_PHASES; p++) {
        sp_ink ink = neutral;
        ink.size = MARK_PX;
        if (phases[p]) {
            key_entry(&row, &ink, sp_roof_phase_mark((sp_phase)p),
                      sp_roof_phase_words((sp_phase)p));
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
