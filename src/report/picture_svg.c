/* SPDX-License-Identifier: Apache-2.0 */
/* What a drawn SVG gets besides its outlines: its labels once more as transparent text, to search
 * and copy, and the words of its marks for the pointer. */
#include "report/picture.h"

#include <string.h>

static void add_escaped(sp_text *out, const char *text)
{
    for (const char *c = text; *c != '\0'; c++) {
        switch (*c) {
        case '<':
            sp_text_add(out, "&lt;");
            break;
        case '>':
            sp_text_add(out, "&gt;");
            break;
        case '&':
            sp_text_add(out, "&amp;");
            break;
        default:
            sp_text_add_n(out, (unsigned char)*c < 0x20 ? " " : c, 1);
            break;
        }
    }
}

static void add_words(sp_text *out, const sp_shape *shape)
{
    const sp_box *const box = &shape->box;
    if (shape->kind == SP_SHAPE_MARK) {
        sp_text_printf(out, "<circle cx=\"%.2f\" cy=\"%.2f\" r=\"%.2f\"><title>", box->x, box->y,
                       box->half_width + 1.0);
        add_escaped(out, shape->text);
        sp_text_add(out, "</title></circle>\n");
        return;
    }
    sp_text_printf(out,
                   "<text transform=\"translate(%.2f %.2f) rotate(%.2f)\" x=\"%.2f\" y=\"%.2f\" "
                   "font-size=\"%.4g\" textLength=\"%.2f\" lengthAdjust=\"spacingAndGlyphs\">",
                   box->x, box->y, box->angle * 57.29577951308232, -box->half_width,
                   2.0 * SP_BASE_LINE_RATIO * box->half_height, shape->ink.size,
                   2.0 * box->half_width);
    add_escaped(out, shape->text);
    sp_text_add(out, "</text>\n");
}

/* Cairo numbers its surfaces through the whole process; without that number a file is the same
 * however many pictures were drawn before it. */
static void add_without_surface_id(sp_text *out, const sp_text *drawn, size_t length)
{
    static const char id[] = " id=\"surface";
    const char *const found = strstr(drawn->data, id);
    const char *const end = found == NULL ? NULL : strchr(found + sizeof id, '"');
    if (end == NULL || (size_t)(end - drawn->data) >= length) {
        sp_text_add_n(out, drawn->data, length);
        return;
    }
    sp_text_add_n(out, drawn->data, (size_t)(found - drawn->data));
    sp_text_add_n(out, end + 1, length - (size_t)(end + 1 - drawn->data));
}

void sp_picture_add_text_layer(const sp_picture *picture, const sp_text *drawn, sp_text *out)
{
    static const char closing[] = "</svg>";
    size_t end = drawn->length;
    while (end > 0 && strncmp(drawn->data + end, closing, sizeof closing - 1) != 0) {
        end--;
    }
    add_without_surface_id(out, drawn, end);
    sp_text_add(out, "<g fill-opacity=\"0\" font-family=\"sans-serif\" pointer-events=\"all\">\n");
    for (size_t i = 0; i < picture->n_shapes; i++) {
        const sp_shape *const shape = &picture->shapes[i];
        if (shape->text != NULL) {
            add_words(out, shape);
        }
    }
    sp_text_add(out, "</g>\n</svg>\n");
}
