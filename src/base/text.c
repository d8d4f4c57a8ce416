/* SPDX-License-Identifier: Apache-2.0 */
/* A growing byte buffer that remembers running out of memory, so that writers check once at the
 * end, and the shortest decimal form of a double. */
#include "base/base_priv.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Makes room for `more` bytes and the final zero. */
static bool reserve(sp_text *text, size_t more)
{
    if (text->failed) return false;
    if (more < text->capacity - text->length) return true;
    if (more > SIZE_MAX / 4 || text->length > SIZE_MAX / 4) {
        text->failed = true;
        return false;
    }
    size_t capacity = text->capacity > 0 ? text->capacity : 64;
    while (capacity <= text->length + more)
        capacity *= 2;
    char *data = sp_realloc(text->data, capacity);
    if (!data) {
        text->failed = true;
        return false;
    }
    text->data = data;
    text->capacity = capacity;
    return true;
}

void sp_text_add_n(sp_text *text, const char *s, size_t n)
{
    assert(text && (s || n == 0));
    if (!reserve(text, n)) return;
    if (n > 0) memcpy(text->data + text->length, s, n);
    text->length += n;
    text->data[text->length] = '\0';
}

void sp_text_add(sp_text *text, const char *s)
{
    sp_text_add_n(text, s, strlen(s));
}

void sp_text_printf(sp_text *text, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    assert(length >= 0);
    if (length < 0 || !reserve(text, (size_t)length)) return;
    va_start(args, format);
    vsnprintf(text->data + text->length, (size_t)length + 1, format, args);
    va_end(args);
    text->length += (size_t)length;
}

void sp_text_fini(sp_text *text)
{
    sp_free(text->data);
    *text = (sp_text){0};
}

void sp_format_double(double x, char out[32])
{
    if (fabs(x) < 1e15 && x == trunc(x)) {
        snprintf(out, 32, "%.0f", x);
        return;
    }
    /* Up to 15 digits survive the way into a normal double and back, so %.15g prints any shorter
     * form there is (trailing zeros fall away); subnormal numbers hold fewer digits. */
    char text[48];
    for (int digits = fabs(x) < DBL_MIN ? 1 : 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, x);
        if (strtod(text, NULL) == x) break;
    }
    assert(strlen(text) < 32);
    memcpy(out, text, strlen(text) + 1);
}

size_t sp_utf8_length(const char *s, size_t n)
{
    assert(n >= 1);
    const unsigned char lead = (unsigned char)s[0];
    if (lead < 0x80) return 1;
    const size_t length = lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
    if (length == 0 || length > n) return 0;
    for (size_t i = 1; i < length; i++) {
        if (((unsigned char)s[i] & 0xc0) != 0x80) return 0;
    }
    /* no longer forms than needed, no surrogates, nothing beyond U+10FFFF */
    const unsigned char second = (unsigned char)s[1];
    const bool out_of_range = (lead == 0xe0 && second < 0xa0) || (lead == 0xed && second >= 0xa0) ||
                              (lead == 0xf0 && second < 0x90) || (lead == 0xf4 && second >= 0x90);
    return out_of_range ? 0 : length;
}

size_t sp_utf8_cut(const char *s, size_t n)
{
    for (size_t back = 1; back <= 3 && back <= n; back++) {
        const unsigned char c = (unsigned char)s[n - back];
        if (c < 0x80) return n;
        if (c >= 0xc0) { /* the lead byte of the last character: whole or not? */
            const size_t length = c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
            return length > back ? n - back : n;
        }
    }
    return n;
}
