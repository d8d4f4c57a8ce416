/* SPDX-License-Identifier: Apache-2.0 */
/* Errors about a value of a JSON file: its file, pointer, line, text and allowed range, all worked
 * out from the cursor and the stored text when there is something to complain about. */
#include "base/base_priv.h"

#include <assert.h>
#include <float.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static sp_json_place place_of(const sp_json *value)
{
    assert(value->node);
    if (!value->parent) {
        size_t length = 0;
        const char *text = sp_json_text(value->doc, &length);
        return sp_json_scan_root(text, text + length);
    }
    const sp_json_place container = place_of(value->parent);
    const size_t idx = value->key ? sp_json_ordinal(value) : value->idx;
    return sp_json_scan_child(&container, idx);
}

/* The line of a value, or of what encloses it where it is absent. */
static int line_of(const sp_json *value, bool of_key)
{
    while (!value->node && value->parent)
        value = value->parent;
    if (!value->node) return 0;
    const sp_json_place place = place_of(value);
    const char *at = of_key && place.key ? place.key : place.start;
    size_t length = 0;
    return sp_json_scan_line(sp_json_text(value->doc, &length), at);
}

/* Adds to the path; what does not fit is cut, and dots fill the path so that nothing can follow. */
static void append(sp_error *err, const char *s, size_t n)
{
    const size_t used = strlen(err->path), room = sizeof err->path - 1 - used;
    const size_t kept = n <= room ? n : sp_utf8_cut(s, room > 3 ? room - 3 : 0);
    memcpy(err->path + used, s, kept);
    if (n > room) memset(err->path + used + kept, '.', room - kept);
}

/* The JSON pointer of RFC 6901: "~" and "/" inside names are written ~0 and ~1. */
static void add_pointer(sp_error *err, const sp_json *value)
{
    if (!value->parent) return;
    add_pointer(err, value->parent);
    append(err, "/", 1);
    if (!value->key) {
        char number[24];
        append(err, number, (size_t)snprintf(number, sizeof number, "%zu", value->idx));
        return;
    }
    for (const char *c = value->key; *c != '\0';) {
        const size_t plain = strcspn(c, "~/");
        append(err, c, plain);
        c += plain;
        if (*c != '\0') append(err, *c++ == '~' ? "~0" : "~1", 2);
    }
}

/* The value as it stands in the file; containers over several lines only by their kind. */
static void tell_value(const sp_json *value, sp_error *err)
{
    const sp_json_place place = place_of(value);
    const size_t length = (size_t)(place.stop - place.start);
    const bool fits = length < sizeof err->value && !memchr(place.start, '\n', length);
    if (!fits && sp_json_is_object(value)) {
        sp_fail_value(err, "{...}");
    } else if (!fits && sp_json_is_array(value)) {
        sp_fail_value(err, "[...]");
    } else {
        sp_fail_value(err, "%.*s", (int)length, place.start);
    }
}

void sp_json_tell_place(const sp_json *value, bool of_key, sp_error *err)
{
    sp_fail_file(err, sp_json_file(value));
    add_pointer(err, value);
    err->line = line_of(value, of_key);
}

sp_status sp_json_fail(const sp_json *value, sp_error *err, sp_status status, const char *format,
                       ...)
{
    va_list args;
    va_start(args, format);
    sp_vfail(err, status, format, args);
    va_end(args);
    sp_json_tell_place(value, false, err);
    if (value->node) tell_value(value, err);
    return status;
}

sp_status sp_json_fail_missing(const sp_json *object, const char *key, sp_error *err)
{
    sp_fail(err, SP_E_MISSING_KEY, "\"%s\" is required here", key);
    sp_json_tell_place(object, false, err);
    return SP_E_MISSING_KEY;
}

/* The value is not `what`, or not there at all. */
sp_status sp_json_fail_type(const sp_json *value, const char *what, sp_error *err)
{
    if (!value->node && value->key) return sp_json_fail_missing(value->parent, value->key, err);
    return sp_json_fail(value, err, value->node ? SP_E_TYPE : SP_E_MISSING_KEY, "must be %s", what);
}

sp_status sp_json_fail_range_u64(const sp_json *value, const char *complaint, uint64_t lo,
                                 uint64_t hi, sp_error *err)
{
    sp_json_fail(value, err, SP_E_RANGE, "%s", complaint);
    if (hi == UINT64_MAX) return sp_fail_range(err, "at least %" PRIu64, lo);
    return sp_fail_range(err, "%" PRIu64 " .. %" PRIu64, lo, hi);
}

sp_status sp_json_fail_range_double(const sp_json *value, const char *complaint, double lo,
                                    double hi, sp_error *err)
{
    char low[32], high[32];
    sp_format_double(lo, low);
    sp_format_double(hi, high);
    sp_json_fail(value, err, SP_E_RANGE, "%s", complaint);
    if (lo <= -DBL_MAX && hi >= DBL_MAX) return SP_E_RANGE;
    if (lo <= -DBL_MAX) return sp_fail_range(err, "at most %s", high);
    if (hi >= DBL_MAX) return sp_fail_range(err, "at least %s", low);
    return sp_fail_range(err, "%s .. %s", low, high);
}

void sp_json_dump(const sp_json *value, sp_text *out)
{
    if (!value->node) {
        sp_text_add(out, "null");
        return;
    }
    const sp_json_place place = place_of(value);
    sp_json_scan_compact(&place, out);
}
