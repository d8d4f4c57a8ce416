/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the place of a value in JSON text, because the parser keeps no positions. The text was
 * parsed before, so it is well formed: only the brackets, commas and quotes need to be followed. */
#include "base/base_priv.h"

#include <assert.h>
#include <string.h>

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static const char *skip_space(const char *p, const char *end)
{
    while (p < end && is_space(*p))
        p++;
    return p;
}

const char *sp_json_scan_string(const char *p, const char *end)
{
    assert(p < end && *p == '"');
    for (p++; p < end && *p != '"'; p++) {
        if (*p == '\\') p++;
    }
    return p < end ? p + 1 : end;
}

static const char *skip_scalar(const char *p, const char *end)
{
    while (p < end && !is_space(*p) && !strchr(",]}", *p))
        p++;
    return p;
}

/* Depth is counted, not recursed into: a file may nest as deep as its author likes. */
static const char *skip_value(const char *p, const char *end)
{
    if (p < end && *p != '{' && *p != '[') {
        return *p == '"' ? sp_json_scan_string(p, end) : skip_scalar(p, end);
    }
    size_t depth = 0;
    while (p < end) {
        if (*p == '"') {
            p = sp_json_scan_string(p, end);
            continue;
        }
        if (*p == '{' || *p == '[') depth++;
        if (*p == '}' || *p == ']') depth--;
        p++;
        if (depth == 0) return p;
    }
    return end;
}

sp_json_place sp_json_scan_root(const char *text, const char *end)
{
    const char *start = skip_space(text, end);
    return (sp_json_place){.key = NULL, .start = start, .stop = skip_value(start, end)};
}

/* The member or element that begins at p (after white space). */
static sp_json_place scan_entry(const char *p, const char *end, bool in_object)
{
    const char *key = NULL;
    p = skip_space(p, end);
    if (in_object) {
        key = p;
        p = skip_space(sp_json_scan_string(p, end), end);
        assert(p < end && *p == ':');
        p = skip_space(p + 1, end);
    }
    return (sp_json_place){.key = key, .start = p, .stop = skip_value(p, end)};
}

sp_json_place sp_json_scan_child(const sp_json_place *container, size_t idx)
{
    const char *end = container->stop;
    assert(container->start < end);
    const bool in_object = *container->start == '{';
    sp_json_place entry = scan_entry(container->start + 1, end, in_object);
    for (size_t i = 0; i < idx; i++) {
        const char *comma = skip_space(entry.stop, end);
        assert(comma < end && *comma == ',');
        entry = scan_entry(comma + 1, end, in_object);
    }
    return entry;
}

int sp_json_scan_line(const char *text, const char *at)
{
    int line = 1;
    for (const char *p = text; p < at; p++) {
        if (*p == '\n') line++;
    }
    return line;
}

void sp_json_scan_compact(const sp_json_place *place, sp_text *out)
{
    for (const char *p = place->start; p < place->stop;) {
        const char *from = p;
        if (is_space(*p)) {
            p = skip_space(p, place->stop);
            continue;
        }
        while (p < place->stop && !is_space(*p)) {
            p = *p == '"' ? sp_json_scan_string(p, place->stop) : p + 1;
        }
        sp_text_add_n(out, from, (size_t)(p - from));
    }
}
