/* SPDX-License-Identifier: Apache-2.0 */
/* The legend beside a roofline picture: for each accelerator a table of operators, one column a
 * phase, with mark, intensity and rate, and its ridges; nothing is left out of it. */
#include "report/roofline_page.h"

#include <math.h>
#include <string.h>

#define WIDTH_PX  1200.0
#define MARGIN_PX 24.0
#define ROW_PX    21.0
#define COLUMN_PX 216.0 /* of a phase */

static const sp_ink title_ink = {SP_INK_TEXT, 19.0, true, 0};
static const sp_ink head_ink = {SP_INK_TEXT, 13.0, true, 0};
static const sp_ink row_ink = {SP_INK_TEXT, 12.5, false, 0};
static const sp_ink quiet_ink = {SP_INK_QUIET, 12.0, false, 0};
static const sp_ink rule_ink = {SP_INK_GRID, 1.0, false, 0};

typedef struct legend {
    const sp_roofline *roofline;
    sp_picture *picture;
    sp_phase phases[SP_N_PHASES]; /* that occur */
    unsigned n_phases;
    double class_x, phase_x, y;
} legend;

static void find_phases(legend *l)
{
    bool seen[SP_N_PHASES] = {false};
    for (uint32_t i = 0; i < l->roofline->n_points; i++) {
        seen[l->roofline->points[i].phase] = true;
    }
    for (int p = 0; p < SP_N_PHASES; p++) {
        if (seen[p]) {
            l->phases[l->n_phases++] = (sp_phase)p;
        }
    }
}

/* Columns as wide as their longest word; the picture is as wide as its columns. */
static void find_columns(legend *l)
{
    double operators = 120.0, classes = 60.0;
    for (uint32_t i = 0; i < l->roofline->n_points; i++) {
        const sp_box box = sp_picture_measure(l->picture, &row_ink, l->roofline->points[i].label);
        operators = fmax(operators, 2.0 * box.half_width);
    }
    for (uint32_t c = 0; c < l->roofline->n_classes; c++) {
        const sp_box box = sp_picture_measure(l->picture, &row_ink, l->roofline->classes[c]);
        classes = fmax(classes, 2.0 * box.half_width);
    }
    l->class_x = MARGIN_PX + operators + 28.0;
    l->phase_x = l->class_x + classes + 46.0;
    l->picture->width = fmax(WIDTH_PX, ceil(l->phase_x + COLUMN_PX * l->n_phases + MARGIN_PX));
}

static bool same_row(const sp_roofline_point *a, const sp_roofline_point *b)
{
    return a->hardware_idx == b->hardware_idx && a->class_idx == b->class_idx &&
           strcmp(a->label, b->label) == 0;
}

/* How many points of the same row and phase come before this one: a name that occurs twice in a
 * phase takes two rows. */
static unsigned repetition(const sp_roofline *roofline, uint32_t idx)
{
    unsigned n = 0;
    for (uint32_t i = 0; i < idx; i++) {
        n += same_row(&roofline->points[i], &roofline->points[idx]) &&
             roofline->points[i].phase == roofline->points[idx].phase;
    }
    return n;
}

/* True for the first point of its row in the order given. */
static bool opens_row(const sp_roofline *roofline, uint32_t idx, unsigned nth)
{
    for (uint32_t i = 0; i < idx; i++) {
        if (same_row(&roofline->points[i], &roofline->points[idx]) &&
            repetition(roofline, i) == nth) {
            return false;
        }
    }
    return true;
}

static void cell(legend *l, const sp_roofline_point *point, double x)
{
    const sp_ink mark_ink = sp_roof_class_ink(point->class_idx);
    char intensity[32], rate[32];
    sp_text words = {0};
    if (point->flops_per_byte > 0.0) {
        sp_text_printf(
            &words, "%s FLOP/B, %s", sp_words_plain(intensity, point->flops_per_byte),
            sp_words_si(rate, sp_point_height(l->roofline, SP_ROOFLINE_LOG, point), "FLOP/s"));
    } else {
        sp_text_add(&words, "moves bytes only");
    }
    sp_picture_mark(l->picture, &mark_ink, sp_roof_phase_mark(point->phase), x + 6.0, l->y, NULL);
    if (!words.failed) {
        sp_picture_text(l->picture, &quiet_ink, words.data, x + 18.0, l->y, -1);
    }
    l->picture->failed = l->picture->failed || words.failed;
    sp_text_fini(&words);
}

static void row(legend *l, uint32_t first, unsigned nth)
{
    const sp_roofline *const r = l->roofline;
    const sp_roofline_point *const point = &r->points[first];
    const sp_ink ink = sp_roof_class_ink(point->class_idx);
    sp_picture_text(l->picture, &row_ink, point->label, MARGIN_PX, l->y, -1);
    sp_picture_mark(l->picture, &ink, SP_MARK_SWATCH, l->class_x, l->y, NULL);
    sp_picture_text(l->picture, &row_ink, r->classes[point->class_idx], l->class_x + 14.0, l->y,
                    -1);
    for (uint32_t i = first; i < r->n_points; i++) {
        if (!same_row(point, &r->points[i]) || repetition(r, i) != nth) {
            continue;
        }
        for (unsigned p = 0; p < l->n_phases; p++) {
            if (l->phases[p] == r->points[i].phase) {
                cell(l, &r->points[i], l->phase_x + COLUMN_PX * p);
            }
        }
    }
    l->y += ROW_PX;
}

/* "bf16 989 TFLOP/s (ridge 295)   HBM3 3.35 TB/s   700 W". */
static void hardware_words(const sp_roofline_hardware *hardware, sp_text *words)
{
    char rate[32], ridge[32];
    for (uint32_t c = 0; c < hardware->n_ceilings; c++) {
        sp_text_printf(words, "%s%s %s (ridge %s)", c > 0 ? ",  " : "", hardware->ceilings[c].label,
                       sp_words_si(rate, hardware->ceilings[c].per_s, "FLOP/s"),
                       sp_words_plain(ridge, sp_roofline_ridge(hardware, c, 0)));
    }
    for (uint32_t b = 0; b < hardware->n_bandwidths; b++) {
        sp_text_printf(words, ",  %s %s", hardware->bandwidths[b].label,
                       sp_words_si(rate, hardware->bandwidths[b].per_s, "B/s"));
    }
}

static void hardware_head(legend *l, const sp_roofline_hardware *hardware)
{
    sp_text words = {0};
    hardware_words(hardware, &words);
    l->y += 10.0;
    sp_picture_text(l->picture, &head_ink, hardware->name, MARGIN_PX, l->y, -1);
    l->y += 19.0;
    if (!words.failed) {
        const sp_box box = sp_picture_text(l->picture, &quiet_ink, words.data, MARGIN_PX, l->y, -1);
        l->picture->width = fmax(l->picture->width, ceil(2.0 * box.half_width + 2.0 * MARGIN_PX));
    }
    l->picture->failed = l->picture->failed || words.failed;
    sp_text_fini(&words);
    l->y += 13.0;
    sp_picture_line(l->picture, SP_SHAPE_GRID, &rule_ink, MARGIN_PX, l->y,
                    l->picture->width - MARGIN_PX, l->y);
    l->y += 15.0;
}

static void phase_heads(legend *l)
{
    sp_picture_text(l->picture, &head_ink, "Operator", MARGIN_PX, l->y, -1);
    sp_picture_text(l->picture, &head_ink, "Class", l->class_x, l->y, -1);
    for (unsigned p = 0; p < l->n_phases; p++) {
        sp_picture_text(l->picture, &head_ink, sp_roof_phase_words(l->phases[p]),
                        l->phase_x + COLUMN_PX * p, l->y, -1);
    }
    l->y += ROW_PX;
}

void sp_roofline_legend_layout(const sp_roofline *roofline, const sp_typeface *typeface,
                               sp_picture *picture)
{
    legend l = {.roofline = roofline, .picture = picture, .y = 72.0};
    sp_picture_init(picture, typeface, WIDTH_PX, 0.0);
    find_phases(&l);
    find_columns(&l);
    sp_picture_text(picture, &title_ink, roofline->title, MARGIN_PX, 32.0, -1);
    phase_heads(&l);
    for (uint32_t h = 0; h < roofline->n_hardware; h++) {
        hardware_head(&l, &roofline->hardware[h]);
        for (uint32_t i = 0; i < roofline->n_points; i++) {
            const unsigned nth = repetition(roofline, i);
            if (roofline->points[i].hardware_idx == h && opens_row(roofline, i, nth)) {
                row(&l, i, nth);
            }
        }
    }
    picture->height = ceil(l.y + 12.0);
}
