/* SPDX-License-Identifier: Apache-2.0 */
/* The list of shapes of a picture, and the geometry of their boxes. */
#include "report/picture.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* A line of text is as high as its size: 0.76 above the base line, which holds capitals and
 * figures, and 0.24 below, which holds descenders. */
#define LINE_RATIO 1.0

/* Half of the extent of a box along the direction (ux, uy). */
static double reach(const sp_box *box, double ux, double uy)
{
    const double c = cos(box->angle), s = sin(box->angle);
    return box->half_width * fabs(c * ux + s * uy) + box->half_height * fabs(c * uy - s * ux);
}

/* True where the edges of `a` tell the two apart: the separating axis theorem. */
static bool apart_along(const sp_box *a, const sp_box *b)
{
    const double c = cos(a->angle), s = sin(a->angle);
    const double dx = b->x - a->x, dy = b->y - a->y;
    return fabs(dx * c + dy * s) >= a->half_width + reach(b, c, s) ||
           fabs(dy * c - dx * s) >= a->half_height + reach(b, -s, c);
}

bool sp_boxes_overlap(const sp_box *a, const sp_box *b)
{
    return !apart_along(a, b) && !apart_along(b, a);
}

/* Cuts [*from, *to] down to where start + t step stays within +-limit; false where nothing is left.
 */
static bool clip(double start, double step, double limit, double *from, double *to)
{
    if (step == 0.0) {
        return fabs(start) < limit;
    }
    const double a = (-limit - start) / step, b = (limit - start) / step;
    *from = fmax(*from, fmin(a, b));
    *to = fmin(*to, fmax(a, b));
    return *from < *to;
}

bool sp_box_meets_line(const sp_box *box, double x0, double y0, double x1, double y1)
{
    const double c = cos(box->angle), s = sin(box->angle);
    const double dx = x0 - box->x, dy = y0 - box->y;
    double from = 0.0, to = 1.0;
    return clip(dx * c + dy * s, (x1 - x0) * c + (y1 - y0) * s, box->half_width, &from, &to) &&
           clip(dy * c - dx * s, (y1 - y0) * c - (x1 - x0) * s, box->half_height, &from, &to);
}

sp_box sp_box_grown(sp_box box, double margin)
{
    box.half_width += margin;
    box.half_height += margin;
    return box;
}

bool sp_box_inside(const sp_box *a, const sp_box *within)
{
    assert(within->angle == 0.0);
    return fabs(a->x - within->x) + reach(a, 1.0, 0.0) <= within->half_width &&
           fabs(a->y - within->y) + reach(a, 0.0, 1.0) <= within->half_height;
}

void sp_picture_init(sp_picture *picture, const sp_typeface *typeface, double width, double height)
{
    *picture = (sp_picture){.width = width, .height = height, .typeface = *typeface};
}

void sp_picture_fini(sp_picture *picture)
{
    sp_free(picture->shapes);
    sp_arena_fini(&picture->arena);
    picture->shapes = NULL;
    picture->n_shapes = picture->capacity = 0;
}

static void append(sp_picture *picture, const sp_shape *shape)
{
    if (picture->n_shapes == picture->capacity) {
        const size_t capacity = picture->capacity == 0 ? 256 : 2 * picture->capacity;
        sp_shape *const grown = sp_realloc(picture->shapes, capacity * sizeof *grown);
        if (grown == NULL) {
            picture->failed = true;
            return;
        }
        picture->shapes = grown;
        picture->capacity = capacity;
    }
    picture->shapes[picture->n_shapes++] = *shape;
}

/* A copy that lives as long as the picture; NULL when memory is gone. */
static const char *keep(sp_picture *picture, const char *text)
{
    const char *const copy = sp_arena_strdup(&picture->arena, text);
    picture->failed = picture->failed || copy == NULL;
    return copy;
}

void sp_picture_path(sp_picture *picture, sp_shape_kind kind, const sp_ink *ink, const double *xy,
                     size_t n_xy)
{
    assert(kind == SP_SHAPE_GRID || kind == SP_SHAPE_PATH || kind == SP_SHAPE_AREA);
    double *const copy = sp_arena_alloc(&picture->arena, 2 * n_xy * sizeof *copy);
    if (copy == NULL) {
        picture->failed = true;
        return;
    }
    memcpy(copy, xy, 2 * n_xy * sizeof *copy);
    append(picture, &(sp_shape){.kind = kind, .ink = *ink, .xy = copy, .n_xy = n_xy});
}

void sp_picture_line(sp_picture *picture, sp_shape_kind kind, const sp_ink *ink, double x0,
                     double y0, double x1, double y1)
{
    const double xy[] = {x0, y0, x1, y1};
    sp_picture_path(picture, kind, ink, xy, 2);
}

void sp_picture_mark(sp_picture *picture, const sp_ink *ink, sp_mark mark, double x, double y,
                     const char *words)
{
    const double half = 0.5 * ink->size;
    const char *const copy = words == NULL ? NULL : keep(picture, words);
    append(picture, &(sp_shape){
                        .kind = SP_SHAPE_MARK,
                        .ink = *ink,
                        .mark = mark,
                        .text = copy,
                        .box = {x, y, half, half, 0.0}
    });
}

sp_box sp_picture_measure(const sp_picture *picture, const sp_ink *ink, const char *text)
{
    const sp_typeface *const face = &picture->typeface;
    return (sp_box){.half_width = 0.5 * face->width(face->user, text, ink->size, ink->bold),
                    .half_height = 0.5 * LINE_RATIO * ink->size};
}

void sp_picture_text_in(sp_picture *picture, const sp_ink *ink, const char *text, const sp_box *box)
{
    const char *const copy = keep(picture, text);
    if (copy != NULL) {
        append(picture, &(sp_shape){.kind = SP_SHAPE_TEXT, .ink = *ink, .text = copy, .box = *box});
    }
}

sp_box sp_picture_text(sp_picture *picture, const sp_ink *ink, const char *text, double x, double y,
                       int anchor)
{
    sp_box box = sp_picture_measure(picture, ink, text);
    box.x = x - anchor * box.half_width;
    box.y = y;
    sp_picture_text_in(picture, ink, text, &box);
    return box;
}
