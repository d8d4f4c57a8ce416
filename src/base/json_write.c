/* SPDX-License-Identifier: Apache-2.0 */
/* Writes JSON as it comes, without a tree: two spaces of indent, keys in the order given, one line
 * for containers opened as compact. Commas, indents and escapes are this file's business. */
#include "base/base_priv.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

void sp_jw_init(sp_json_writer *w, sp_text *out)
{
    assert(w && out);
    *w = (sp_json_writer){.out = out, .first = true};
}

static void new_line(sp_json_writer *w)
{
    sp_text_add(w->out, "\n");
    for (unsigned i = 0; i < w->depth; i++)
        sp_text_add(w->out, "  ");
}

/* The escape of a character that must not stand in a JSON string as it is, or NULL. */
static const char *escape_of(char c)
{
    switch (c) {
    case '"':
        return "\\\"";
    case '\\':
        return "\\\\";
    case '\n':
        return "\\n";
    case '\r':
        return "\\r";
    case '\t':
        return "\\t";
    default:
        return NULL;
    }
}

/* Bytes that are not UTF-8 (a file name may hold any) become U+FFFD, so the output is always JSON.
 */
static void add_string(sp_text *out, const char *s)
{
    const char *const end = s + strlen(s);
    sp_text_add(out, "\"");
    while (s < end) {
        const size_t n = sp_utf8_length(s, (size_t)(end - s));
        const char *escape = escape_of(*s);
        if (n == 0) {
            sp_text_add(out, "\xef\xbf\xbd");
        } else if (escape) {
            sp_text_add(out, escape);
        } else if ((unsigned char)*s < 0x20) {
            sp_text_printf(out, "\\u%04x", (unsigned)(unsigned char)*s);
        } else {
            sp_text_add_n(out, s, n);
        }
        s += n > 0 ? n : 1;
    }
    sp_text_add(out, "\"");
}

/* Everything before a value: comma, line, key. */
static void begin(sp_json_writer *w, const char *key)
{
    if (!w->first) sp_text_add(w->out, w->compact ? ", " : ",");
    if (w->depth > 0 && !w->compact) new_line(w);
    w->first = false;
    if (!key) return;
    add_string(w->out, key);
    sp_text_add(w->out, ": ");
}

static void open_container(sp_json_writer *w, const char *key, const char *bracket, bool compact)
{
    begin(w, key);
    sp_text_add(w->out, bracket);
    if (compact && !w->compact) {
        w->compact = true;
        w->compact_from = w->depth;
    }
    w->depth++;
    w->first = true;
}

static void close_container(sp_json_writer *w, const char *bracket)
{
    assert(w->depth > 0);
    w->depth--;
    if (!w->first && !w->compact) new_line(w);
    if (w->compact && w->depth == w->compact_from) w->compact = false;
    w->first = false;
    sp_text_add(w->out, bracket);
}

void sp_jw_open_object(sp_json_writer *w, const char *key)
{
    open_container(w, key, "{", false);
}

void sp_jw_open_object_compact(sp_json_writer *w, const char *key)
{
    open_container(w, key, "{", true);
}

void sp_jw_close_object(sp_json_writer *w)
{
    close_container(w, "}");
}

void sp_jw_open_array(sp_json_writer *w, const char *key)
{
    open_container(w, key, "[", false);
}

void sp_jw_open_array_compact(sp_json_writer *w, const char *key)
{
    open_container(w, key, "[", true);
}

void sp_jw_close_array(sp_json_writer *w)
{
    close_container(w, "]");
}

void sp_jw_raw(sp_json_writer *w, const char *key, const char *json)
{
    assert(json);
    begin(w, key);
    sp_text_add(w->out, json);
}

void sp_jw_string(sp_json_writer *w, const char *key, const char *value)
{
    begin(w, key);
    if (value) {
        add_string(w->out, value);
    } else {
        sp_text_add(w->out, "null");
    }
}

void sp_jw_u64(sp_json_writer *w, const char *key, uint64_t value)
{
    begin(w, key);
    sp_text_printf(w->out, "%" PRIu64, value);
}

void sp_jw_i64(sp_json_writer *w, const char *key, int64_t value)
{
    begin(w, key);
    sp_text_printf(w->out, "%" PRId64, value);
}

/* Negative zero is written as 0: readers disagree about it, and ours refuses it. */
void sp_jw_double(sp_json_writer *w, const char *key, double value)
{
    char text[32] = "null";
    if (isfinite(value)) sp_format_double(value == 0 ? 0.0 : value, text);
    sp_jw_raw(w, key, text);
}

void sp_jw_bool(sp_json_writer *w, const char *key, bool value)
{
    sp_jw_raw(w, key, value ? "true" : "false");
}
