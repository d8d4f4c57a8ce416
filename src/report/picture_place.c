/* SPDX-License-Identifier: Apache-2.0 */
/* Finds a label its place: of the spots it may take, the cheapest that touches no text, mark or
 * line. Earlier labels keep their places, so the important ones come first. */
#include "report/picture.h"

#include <math.h>

#define MARGIN_PX   2.0   /* of free paper around a label */
#define BEHIND_COST 240.0 /* in px: more than any spot of a point lies away */

static bool touches_path(const sp_shape *path, const sp_box *box)
{
    for (size_t i = 0; i + 1 < path->n_xy; i++) {
        const double *const p = path->xy + 2 * i;
        if (sp_box_meets_line(box, p[0], p[1], p[2], p[3])) {
            return true;
        }
    }
    return false;
}

/* Covers no text and no mark, and no line runs through it. */
static bool is_free(const sp_picture *picture, const sp_box *box)
{
    for (size_t i = 0; i < picture->n_shapes; i++) {
        const sp_shape *const shape = &picture->shapes[i];
        const bool solid = shape->kind == SP_SHAPE_TEXT || shape->kind == SP_SHAPE_MARK;
        if ((solid && sp_boxes_overlap(box, &shape->box)) ||
            (shape->kind == SP_SHAPE_PATH && touches_path(shape, box))) {
            return false;
        }
    }
    return true;
}

/* Of texts that the way from the anchor passes behind. */
static double way_cost(const sp_picture *picture, const sp_box *box, const double *anchor)
{
    double cost = 0.0;
    for (size_t i = 0; anchor != NULL && i < picture->n_shapes; i++) {
        const sp_shape *const shape = &picture->shapes[i];
        if (shape->kind == SP_SHAPE_TEXT &&
            sp_box_meets_line(&shape->box, anchor[0], anchor[1], box->x, box->y)) {
            cost += BEHIND_COST;
        }
    }
    return cost;
}

bool sp_picture_place(sp_picture *picture, const sp_ink *ink, const char *text,
                      const sp_spot *spots, size_t n_spots, const double *anchor,
                      const sp_box *within, sp_box *placed)
{
    const sp_box size = sp_picture_measure(picture, ink, text);
    double best = INFINITY;
    for (size_t i = 0; i < n_spots; i++) {
        const sp_box box = {spots[i].x, spots[i].y, size.half_width, size.half_height,
                            spots[i].angle};
        const sp_box roomy = sp_box_grown(box, MARGIN_PX);
        if (spots[i].cost >= best || !sp_box_inside(&roomy, within)) {
            continue;
        }
        const double cost = spots[i].cost + way_cost(picture, &roomy, anchor);
        if (cost < best && is_free(picture, &roomy)) {
            best = cost;
            *placed = box;
        }
    }
    if (!isfinite(best)) {
        return false;
    }
    sp_picture_text_in(picture, ink, text, placed);
    return true;
}

/* Eight directions at six distances; the box stands clear of the point in each. */
void sp_spots_around(const sp_box *size, double x, double y, sp_spot spots[SP_N_SPOTS_AROUND])
{
    static const double away[] = {9.0, 20.0, 36.0, 58.0, 88.0, 126.0};
    static const int side[8][2] = {
        {-1, -1},
        {1,  1 },
        {1,  -1},
        {-1, 1 },
        {0,  -1},
        {0,  1 },
        {1,  0 },
        {-1, 0 }
    };
    for (int i = 0; i < SP_N_SPOTS_AROUND; i++) {
        const double gap = away[i / 8];
        const int *const to = side[i % 8];
        const double dx = to[0] * (size->half_width + (to[1] == 0 ? gap : 0.5 * gap));
        const double dy = to[1] * (size->half_height + gap);
        const bool along = to[1] == 0 && gap > 20.0; /* its leader would lie on a level line */
        spots[i] = (sp_spot){x + dx, y + dy, 0.0, along ? HUGE_VAL : gap + 0.5 * (i % 8)};
    }
}
