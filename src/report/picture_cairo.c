/* SPDX-License-Identifier: Apache-2.0 */
/* Draws a picture with cairo, into PNG or SVG. Letters become outlines, so that a picture looks the
 * same wherever it is opened. No date, no font option of the machine. */
#include "report/picture.h"

#include <assert.h>
#include <math.h>
#include <string.h>
#include <strings.h>

#if SHARDPLAN_PICTURES

#include <cairo-svg.h>
#include <cairo.h>

#include "report/roofline_page.h"

#define OUTLINE 0x20262eu

static void set_colour(cairo_t *cr, uint32_t rgb)
{
    cairo_set_source_rgb(cr, ((rgb >> 16) & 255u) / 255.0, ((rgb >> 8) & 255u) / 255.0,
                         (rgb & 255u) / 255.0);
}

static void set_dash(cairo_t *cr, uint32_t dash)
{
    static const double patterns[SP_N_DASHES][4] = {
        {0.0 },
        { 9.0,  4.0, 9.0, 4.0},
        { 2.0,  3.0, 2.0, 3.0},
        { 10.0, 3.0, 2.0, 3.0},
        { 5.0,  3.0, 5.0, 3.0},
        { 16.0, 4.0, 16.0, 4.0},
        { 6.0,  2.0, 1.5, 2.0}
    };
    assert(dash < SP_N_DASHES);
    cairo_set_dash(cr, patterns[dash], dash == 0 ? 0 : 4, 0.0);
}

static void set_font(cairo_t *cr, double size, bool bold)
{
    cairo_font_options_t *const options = cairo_font_options_create();
    cairo_font_options_set_antialias(options, CAIRO_ANTIALIAS_GRAY);
    cairo_font_options_set_hint_style(options, CAIRO_HINT_STYLE_NONE);
    cairo_font_options_set_hint_metrics(options, CAIRO_HINT_METRICS_OFF);
    cairo_set_font_options(cr, options);
    cairo_font_options_destroy(options);
    cairo_select_font_face(cr, "sans-serif", CAIRO_FONT_SLANT_NORMAL,
                           bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
    cairo_set_font_size(cr, size);
}

static double cairo_width(void *user, const char *text, double size, bool bold)
{
    cairo_text_extents_t extents;
    set_font(user, size, bold);
    cairo_text_extents(user, text, &extents);
    return fmax(extents.x_advance, extents.x_bearing + extents.width);
}

bool sp_picture_can_draw(void)
{
    return true;
}

sp_status sp_typeface_open(sp_typeface *typeface, sp_error *err)
{
    cairo_surface_t *const paper = cairo_image_surface_create(CAIRO_FORMAT_A8, 1, 1);
    cairo_t *const cr = cairo_create(paper);
    cairo_surface_destroy(paper); /* cr holds it */
    *typeface = (sp_typeface){cairo_width, cr};
    if (cairo_status(cr) != CAIRO_STATUS_SUCCESS) {
        (void)sp_fail(err, SP_E_MEMORY, "cairo: %s", cairo_status_to_string(cairo_status(cr)));
        sp_typeface_close(typeface);
        return err->status;
    }
    return SP_OK;
}

void sp_typeface_close(sp_typeface *typeface)
{
    cairo_destroy(typeface->user);
    *typeface = (sp_typeface){0};
}

static void draw_path(cairo_t *cr, const sp_shape *shape)
{
    cairo_new_path(cr); /* a text leaves its end as a point to go on from */
    for (size_t i = 0; i < shape->n_xy; i++) {
        cairo_line_to(cr, shape->xy[2 * i], shape->xy[2 * i + 1]);
    }
    set_colour(cr, shape->ink.rgb);
    if (shape->kind == SP_SHAPE_AREA) {
        cairo_fill(cr);
        return;
    }
    set_dash(cr, shape->ink.dash);
    cairo_set_line_width(cr, shape->ink.size);
    cairo_stroke(cr);
    set_dash(cr, 0);
}

/* Corners of a mark about (0, 0) for a size of 2; marks of one size look equally large. */
static void mark_outline(cairo_t *cr, sp_mark mark)
{
    static const double triangle[] = {-1.06, 0.80, 1.06, 0.80, 0.0, -1.06};
    static const double square[] = {-0.86, -0.86, 0.86, -0.86, 0.86, 0.86, -0.86, 0.86};
    static const double diamond[] = {0.0, -1.14, 1.0, 0.0, 0.0, 1.14, -1.0, 0.0};
    static const double swatch[] = {-1.0, -0.8, 1.0, -0.8, 1.0, 0.8, -1.0, 0.8};
    const double *corners = square;
    size_t n = 4;
    double sign = 1.0;
    switch (mark) {
    case SP_MARK_DISC:
    case SP_MARK_RING:
        cairo_arc(cr, 0.0, 0.0, 1.0, 0.0, 6.283185307179586);
        return;
    case SP_MARK_TRIANGLE_DOWN:
        sign = -1.0;
        corners = triangle;
        n = 3;
        break;
    case SP_MARK_TRIANGLE:
        corners = triangle;
        n = 3;
        break;
    case SP_MARK_DIAMOND:
        corners = diamond;
        break;
    case SP_MARK_SWATCH:
        corners = swatch;
        break;
    case SP_MARK_SQUARE:
    case SP_N_MARKS:
        break;
    }
    for (size_t i = 0; i < n; i++) {
        cairo_line_to(cr, corners[2 * i], sign * corners[2 * i + 1]);
    }
    cairo_close_path(cr);
}

static void draw_mark(cairo_t *cr, const sp_shape *shape)
{
    cairo_new_path(cr);
    cairo_save(cr);
    cairo_translate(cr, shape->box.x, shape->box.y);
    cairo_scale(cr, shape->box.half_width, shape->box.half_height);
    mark_outline(cr, shape->mark);
    cairo_restore(cr);
    set_colour(cr, shape->mark == SP_MARK_RING ? SP_INK_PAPER : shape->ink.rgb);
    cairo_fill_preserve(cr);
    set_colour(cr, shape->mark == SP_MARK_RING ? shape->ink.rgb : OUTLINE);
    cairo_set_line_width(cr, shape->mark == SP_MARK_RING ? 1.5 : 0.8);
    if (shape->mark == SP_MARK_SWATCH) {
        cairo_new_path(cr);
    }
    cairo_stroke(cr);
}

static void draw_text(cairo_t *cr, const sp_shape *shape)
{
    const sp_box *const box = &shape->box;
    cairo_save(cr);
    cairo_translate(cr, box->x, box->y);
    cairo_rotate(cr, box->angle);
    cairo_rectangle(cr, -box->half_width - 1.5, -box->half_height, 2.0 * box->half_width + 3.0,
                    2.0 * box->half_height);
    cairo_set_source_rgba(cr, 0.988, 0.988, 0.98, 0.9); /* paper */
    cairo_fill(cr);
    set_font(cr, shape->ink.size, shape->ink.bold);
    set_colour(cr, shape->ink.rgb);
    cairo_move_to(cr, -box->half_width, 2.0 * SP_BASE_LINE_RATIO * box->half_height);
    cairo_show_text(cr, shape->text);
    cairo_restore(cr);
}

/* Texts come last, each on paper of its own, so that no line runs through one. */
static void draw(cairo_t *cr, const sp_picture *picture)
{
    set_colour(cr, SP_INK_PAPER);
    cairo_rectangle(cr, 0.0, 0.0, picture->width, picture->height);
    cairo_fill(cr);
    cairo_set_line_join(cr, CAIRO_LINE_JOIN_ROUND);
    for (size_t i = 0; i < picture->n_shapes; i++) {
        const sp_shape *const shape = &picture->shapes[i];
        switch (shape->kind) {
        case SP_SHAPE_GRID:
        case SP_SHAPE_PATH:
        case SP_SHAPE_AREA:
            draw_path(cr, shape);
            break;
        case SP_SHAPE_MARK:
            draw_mark(cr, shape);
            break;
        case SP_SHAPE_TEXT:
            break;
        }
    }
    for (size_t i = 0; i < picture->n_shapes; i++) {
        if (picture->shapes[i].kind == SP_SHAPE_TEXT) draw_text(cr, &picture->shapes[i]);
    }
}

static cairo_status_t collect(void *user, const unsigned char *data, unsigned int n)
{
    sp_text *const out = user;
    sp_text_add_n(out, (const char *)data, n);
    return out->failed ? CAIRO_STATUS_NO_MEMORY : CAIRO_STATUS_SUCCESS;
}

static cairo_status_t draw_svg(const sp_picture *picture, sp_text *out)
{
    sp_text drawn = {0};
    cairo_surface_t *const paper =
        cairo_svg_surface_create_for_stream(collect, &drawn, picture->width, picture->height);
    cairo_svg_surface_set_document_unit(paper, CAIRO_SVG_UNIT_PX);
    cairo_t *const cr = cairo_create(paper);
    draw(cr, picture);
    cairo_surface_finish(paper);
    cairo_status_t status = cairo_status(cr);
    status = status == CAIRO_STATUS_SUCCESS ? cairo_surface_status(paper) : status;
    cairo_destroy(cr);
    cairo_surface_destroy(paper);
    if (status == CAIRO_STATUS_SUCCESS) {
        sp_picture_add_text_layer(picture, &drawn, out);
    }
    sp_text_fini(&drawn);
    return status;
}

static cairo_status_t draw_png(const sp_picture *picture, sp_text *out)
{
    cairo_surface_t *const paper =
        cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)picture->width, (int)picture->height);
    cairo_t *const cr = cairo_create(paper);
    draw(cr, picture);
    cairo_status_t status = cairo_status(cr);
    if (status == CAIRO_STATUS_SUCCESS) {
        status = cairo_surface_write_to_png_stream(paper, collect, out);
    }
    cairo_destroy(cr);
    cairo_surface_destroy(paper);
    return status;
}

sp_status sp_picture_write(const sp_picture *picture, const char *path, sp_error *err)
{
    assert(!picture->failed && strlen(path) > 4);
    const bool png = strcasecmp(path + strlen(path) - 4, ".png") == 0;
    sp_text out = {0};
    const cairo_status_t drawn = png ? draw_png(picture, &out) : draw_svg(picture, &out);
    sp_status status = SP_OK;
    if (drawn != CAIRO_STATUS_SUCCESS || out.failed) {
        (void)sp_fail(err, SP_E_MEMORY, "cairo cannot draw the picture: %s",
                      cairo_status_to_string(drawn));
        status = sp_fail_file(err, path);
    } else {
        status = sp_file_write(path, out.data, out.length, err);
    }
    sp_text_fini(&out);
    return status;
}

#else

bool sp_picture_can_draw(void)
{
    return false;
}

sp_status sp_typeface_open(sp_typeface *typeface, sp_error *err)
{
    (void)typeface;
    return sp_fail(err, SP_E_NOT_YET, "this build draws no pictures");
}

void sp_typeface_close(sp_typeface *typeface)
{
    (void)typeface;
}

sp_status sp_picture_write(const sp_picture *picture, const char *path, sp_error *err)
{
    (void)picture;
    (void)path;
    return sp_fail(err, SP_E_NOT_YET, "this build draws no pictures");
}

#endif
