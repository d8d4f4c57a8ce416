/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A picture as a list of shapes, laid out before anything is drawn: paths, marks and texts whose
 * sizes are known exactly, so that a label can be given a place where it touches nothing. Lengths
 * are pixels, x to the right and y downwards. */
#include "base/base.h"

/* A rectangle about its middle, turned by angle (radians, clockwise on the screen). */
typedef struct sp_box {
    double x, y, half_width, half_height, angle;
} sp_box;

/* True where they share more than an edge. */
bool sp_boxes_overlap(const sp_box *a, const sp_box *b);
bool sp_box_meets_line(const sp_box *box, double x0, double y0, double x1, double y1);
/* Widened by margin on every side. */
sp_box sp_box_grown(sp_box box, double margin);
/* True where a, turned as it may be, lies within the upright box. */
bool sp_box_inside(const sp_box *a, const sp_box *within);

/* How wide a text is; the layout is the same function whichever answers. */
typedef struct sp_typeface {
    double (*width)(void *user, const char *text, double size, bool bold);
    void *user;
} sp_typeface;

typedef enum sp_shape_kind {
    SP_SHAPE_GRID, /* a path that labels may cross freely          */
    SP_SHAPE_PATH, /* a path that labels do not cross              */
    SP_SHAPE_AREA, /* a filled polygon                             */
    SP_SHAPE_MARK, /* a point; nothing may cover it                */
    SP_SHAPE_TEXT  /* nothing may cover it                         */
} sp_shape_kind;

typedef enum sp_mark {
    SP_MARK_TRIANGLE,
    SP_MARK_DISC,
    SP_MARK_SQUARE,
    SP_MARK_DIAMOND,
    SP_MARK_TRIANGLE_DOWN,
    SP_MARK_RING,   /* a ridge                           */
    SP_MARK_SWATCH, /* a colour alone, in keys and legends */
    SP_N_MARKS
} sp_mark;

#define SP_N_DASHES 7 /* patterns of dashes; 0 is a whole line */

typedef struct sp_ink {
    uint32_t rgb;
    double size; /* of text and marks, or width of a line */
    bool bold;
    uint32_t dash;
} sp_ink;

typedef struct sp_shape {
    sp_shape_kind kind;
    sp_ink ink;
    sp_mark mark;
    const char *text; /* of a text; of a mark, what the pointer shows, or NULL */
    sp_box box;       /* of texts and marks */
    const double *xy; /* n_xy pairs, of paths and areas */
    size_t n_xy;
} sp_shape;

typedef struct sp_picture {
    double width, height;
    sp_typeface typeface;
    sp_arena arena; /* owns texts and paths */
    sp_shape *shapes;
    size_t n_shapes, capacity;
    bool failed; /* memory ran out; later additions are ignored */
} sp_picture;

void sp_picture_init(sp_picture *picture, const sp_typeface *typeface, double width, double height);
void sp_picture_fini(sp_picture *picture);
void sp_picture_path(sp_picture *picture, sp_shape_kind kind, const sp_ink *ink, const double *xy,
                     size_t n_xy);
void sp_picture_line(sp_picture *picture, sp_shape_kind kind, const sp_ink *ink, double x0,
                     double y0, double x1, double y1);
void sp_picture_mark(sp_picture *picture, const sp_ink *ink, sp_mark mark, double x, double y,
                     const char *words);
/* The box that a text takes with its middle at (0, 0). */
sp_box sp_picture_measure(const sp_picture *picture, const sp_ink *ink, const char *text);
/* anchor: -1 starts at x, 0 has its middle there, 1 ends there; y is the middle of the line.
 * Returns the box. The text is copied. */
sp_box sp_picture_text(sp_picture *picture, const sp_ink *ink, const char *text, double x, double y,
                       int anchor);
void sp_picture_text_in(sp_picture *picture, const sp_ink *ink, const char *text,
                        const sp_box *box);

/* ---- picture_place.c --------------------------------------------------------------------------- */
/* Where the middle of a label may stand, at which slope, and how little that place is liked. */
typedef struct sp_spot {
    double x, y, angle, cost;
} sp_spot;
/* Puts the text where it costs least of the spots that lie within `within`, touch no text, mark or
 * path; a text between the spot and the anchor {x, y} of the label costs, unless that is NULL.
 * False, and nothing drawn, where no spot is free. */
bool sp_picture_place(sp_picture *picture, const sp_ink *ink, const char *text,
                      const sp_spot *spots, size_t n_spots, const double *anchor,
                      const sp_box *within, sp_box *placed);
/* Spots around a point for a text of this size, near ones first. */
#define SP_N_SPOTS_AROUND 48
void sp_spots_around(const sp_box *size, double x, double y, sp_spot spots[SP_N_SPOTS_AROUND]);

/* ---- picture_cairo.c --------------------------------------------------------------------------- */
/* False in a build without cairo. */
bool sp_picture_can_draw(void);
/* Measures with the sans-serif font that draws later. sp_typeface_close frees what it holds. */
sp_status sp_typeface_open(sp_typeface *typeface, sp_error *err);
void sp_typeface_close(sp_typeface *typeface);
/* SVG or PNG by the ending of path. */
sp_status sp_picture_write(const sp_picture *picture, const char *path, sp_error *err);

/* ---- picture_svg.c ------------------------------------------------------------------------------ */
/* The base line of a text lies this share of its height below the middle of its box. */
#define SP_BASE_LINE_RATIO 0.26
/* Adds the drawn SVG with its texts and the words of its marks as a transparent layer. */
void sp_picture_add_text_layer(const sp_picture *picture, const sp_text *drawn, sp_text *out);

/* ---- picture_words.c --------------------------------------------------------------------------- */
/* "989 TFLOP/s", "3.35 TB/s": three significant digits and a prefix of 1000. */
const char *sp_words_si(char out[32], double value, const char *unit);
/* "295", "0.012", "12300": three significant digits, whole from 100 on. */
const char *sp_words_plain(char out[32], double value);
