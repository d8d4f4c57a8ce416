/* SPDX-License-Identifier: Apache-2.0 */
/* A roofline picture from its question: laid out as shapes, then drawn, with its legend beside it.
 */
#include "report/roofline_page.h"

#include <assert.h>
#include <math.h>
#include <string.h>
#include <strings.h>

#define WIDTH_PX  1200.0
#define HEIGHT_PX 800.0
#define LEFT_PX   92.0  /* for the y axis                        */
#define TOP_PX    86.0  /* for the titles                        */
#define BELOW_PX  140.0 /* for the x axis and the key            */
#define RIGHT_PX  20.0

static const sp_ink title_ink = {SP_INK_TEXT, 21.0, true, 0};
static const sp_ink subtitle_ink = {SP_INK_QUIET, 13.5, false, 0};

/* The largest type that lets a line fit the picture. */
static void fitted(sp_picture *picture, sp_ink ink, const char *text, double y)
{
    const double room = picture->width - 48.0;
    const double width = 2.0 * sp_picture_measure(picture, &ink, text).half_width;
    if (width > room) {
        ink.size *= room / width;
    }
    sp_picture_text(picture, &ink, text, 24.0, y, -1);
}

static void titles(sp_picture *picture, const sp_roofline *roofline)
{
    fitted(picture, title_ink, roofline->title, 32.0);
    if (roofline->subtitle[0] != '\0') {
        fitted(picture, subtitle_ink, roofline->subtitle, 58.0);
    }
}

/* The plot leaves room for the labels beside it, and is high enough for all of them; long names
 * widen the picture rather than squeeze the plot. */
static void place_plot(sp_roof_page *page)
{
    const sp_box gutter = sp_roof_gutter(page);
    const double plot_width = fmax(WIDTH_PX - LEFT_PX - RIGHT_PX - 2.0 * gutter.half_width, 720.0);
    const double plot_height = fmax(HEIGHT_PX - TOP_PX - BELOW_PX, 2.0 * gutter.half_height + 10.0);
    page->picture->width = LEFT_PX + plot_width + 2.0 * gutter.half_width + RIGHT_PX;
    page->plot = (sp_box){LEFT_PX + 0.5 * plot_width, TOP_PX + 0.5 * plot_height, 0.5 * plot_width,
                          0.5 * plot_height, 0.0};
}

void sp_roofline_layout(const sp_roofline *roofline, sp_roofline_view view,
                        const sp_typeface *typeface, sp_picture *picture)
{
    assert(roofline->n_hardware > 0);
    sp_roof_page page = {.roofline = roofline, .view = view, .picture = picture};
    sp_picture_init(picture, typeface, WIDTH_PX, HEIGHT_PX);
    place_plot(&page);
    sp_roof_scales(&page);
    titles(picture, roofline);
    sp_roof_axes(&page);
    sp_roof_roofs(&page);
    sp_roof_points(&page);
    sp_roof_ceiling_labels(&page);
    sp_roof_labels(&page);
    sp_roof_point_labels(&page);
    sp_roof_key(&page);
    picture->height = fmax(HEIGHT_PX, ceil(page.bottom + 8.0));
    picture->width = ceil(picture->width);
}

static bool ends_in(const char *path, const char *ending)
{
    const size_t n = strlen(path), n_ending = strlen(ending);
    return n > n_ending && strcasecmp(path + n - n_ending, ending) == 0;
}

static sp_status check_path(const char *path, sp_error *err)
{
    if (!sp_picture_can_draw()) {
        return sp_fail(err, SP_E_NOT_YET,
                       "this build draws no pictures: install the Debian package libcairo2-dev and "
                       "build again");
    }
    if (ends_in(path, ".svg") || ends_in(path, ".png")) {
        return SP_OK;
    }
    (void)sp_fail(err, SP_E_USAGE,
                  "a roofline picture is an SVG or a PNG, by the ending of its name");
    (void)sp_fail_value(err, "%s", path);
    return sp_fail_range(err, "NAME.svg, NAME.png");
}

static sp_status write_and_free(sp_picture *picture, const char *path, sp_error *err)
{
    const sp_status status = picture->failed
                                 ? sp_fail(err, SP_E_MEMORY, "no memory for the picture")
                                 : sp_picture_write(picture, path, err);
    sp_picture_fini(picture);
    return status;
}

/* "dir/roof.svg" has its legend in "dir/roof-legend.svg". */
static sp_status write_legend(const sp_roofline *roofline, const sp_typeface *typeface,
                              const char *path, sp_error *err)
{
    const size_t stem = strlen(path) - strlen(".svg");
    sp_picture picture;
    sp_text name = {0};
    sp_text_printf(&name, "%.*s-legend%s", (int)stem, path, path + stem);
    if (name.failed) {
        sp_text_fini(&name);
        return sp_fail(err, SP_E_MEMORY, "no memory for the legend");
    }
    sp_roofline_legend_layout(roofline, typeface, &picture);
    const sp_status status = write_and_free(&picture, name.data, err);
    sp_text_fini(&name);
    return status;
}

sp_status sp_roofline_write(const sp_roofline *roofline, sp_roofline_view view, const char *path,
                            sp_error *err)
{
    sp_typeface typeface = {0};
    sp_picture picture;
    SP_TRY(check_path(path, err));
    SP_TRY(sp_roofline_check(roofline, view, err));
    SP_TRY(sp_typeface_open(&typeface, err));
    sp_roofline_layout(roofline, view, &typeface, &picture);
    sp_status status = write_and_free(&picture, path, err);
    if (status == SP_OK) {
        status = write_legend(roofline, &typeface, path, err);
    }
    sp_typeface_close(&typeface);
    return status;
}
