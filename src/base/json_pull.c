/* SPDX-License-Identifier: Apache-2.0 */
/* Reading JSON front to back without building a tree: the caller enters containers, asks for what
 * it wants and skips the rest. As strict as json_read.c, but for the depth of what is skipped and
 * for duplicate names, which only the caller can see. */
#include "base/base_priv.h"

#include <assert.h>
#include <string.h>

enum { MAX_DEPTH = 512 }; /* of skipped values */

static bool complain(sp_json_pull *p, const char *complaint)
{
    if (!p->complaint) p->complaint = complaint;
    return false;
}

static void skip_space(sp_json_pull *p)
{
    while (p->at < p->end && strchr(" \t\r\n", *p->at) && *p->at != '\0')
        p->at++;
}

/* Passes the character if it is next. */
static bool take(sp_json_pull *p, char c)
{
    if (p->complaint) return false;
    skip_space(p);
    if (p->at == p->end || *p->at != c) return false;
    p->at++;
    return true;
}

sp_json_pull sp_json_pull_begin(const char *text, size_t length)
{
    assert(text || length == 0);
    return (sp_json_pull){.text = text, .at = text, .end = text + length};
}

char sp_json_pull_peek(sp_json_pull *p)
{
    if (p->complaint) return '\0';
    skip_space(p);
    return p->at < p->end ? *p->at : '\0';
}

bool sp_json_pull_enter(sp_json_pull *p, char bracket)
{
    assert(bracket == '{' || bracket == '[');
    if (!take(p, bracket)) {
        return complain(p,
                        bracket == '{' ? "an object must stand here" : "an array must stand here");
    }
    p->first = true;
    return true;
}

bool sp_json_pull_more(sp_json_pull *p, char bracket)
{
    assert(bracket == '}' || bracket == ']');
    const bool first = p->first;
    p->first = false;
    if (take(p, bracket)) return false;
    if (first) return p->complaint == NULL;
    if (!take(p, ',')) return complain(p, "a comma or the closing bracket must stand here");
    const char next = sp_json_pull_peek(p);
    return next != '}' && next != ']' ? true : complain(p, "a comma stands before a bracket");
}

/* ---- strings ---- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The four digits behind \u. */
static bool read_unit(sp_json_pull *p, uint32_t *unit)
{
    if (p->end - p->at < 4) return complain(p, "a \\u needs four digits");
    *unit = 0;
    for (int i = 0; i < 4; i++) {
        const int digit = hex_digit(*p->at++);
        if (digit < 0) return complain(p, "a \\u needs four hexadecimal digits");
        *unit = *unit << 4 | (uint32_t)digit;
    }
    return true;
}

static void add_utf8(sp_text *out, uint32_t c)
{
    char bytes[4];
    size_t n = 0;
    if (c < 0x80) {
        bytes[n++] = (char)c;
    } else if (c < 0x800) {
        bytes[n++] = (char)(0xC0 | c >> 6);
    } else if (c < 0x10000) {
        bytes[n++] = (char)(0xE0 | c >> 12);
        bytes[n++] = (char)(0x80 | (c >> 6 & 0x3F));
    } else {
        bytes[n++] = (char)(0xF0 | c >> 18);
        bytes[n++] = (char)(0x80 | (c >> 12 & 0x3F));
        bytes[n++] = (char)(0x80 | (c >> 6 & 0x3F));
    }
    if (c >= 0x80) bytes[n++] = (char)(0x80 | (c & 0x3F));
    sp_text_add_n(out, bytes, n);
}

/* A \u, or two that are the halves of one character (UTF-16). */
static bool read_escaped_unit(sp_json_pull *p, sp_text *out)
{
    uint32_t unit = 0, low = 0;
    if (!read_unit(p, &unit)) return false;
    if (unit == 0) return complain(p, "a string must not hold a zero");
    if (unit >= 0xD800 && unit < 0xE000) {
        const bool paired =
            unit < 0xDC00 && p->end - p->at > 2 && p->at[0] == '\\' && p->at[1] == 'u';
        if (!paired) return complain(p, "half of a surrogate pair stands alone");
        p->at += 2;
        if (!read_unit(p, &low)) return false;
        if (low < 0xDC00 || low >= 0xE000)
            return complain(p, "half of a surrogate pair stands alone");
        unit = 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
    }
    add_utf8(out, unit);
    return true;
}

static bool read_escape(sp_json_pull *p, sp_text *out)
{
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    if (p->at == p->end) return complain(p, "the text ends inside a string");
    const char c = *p->at++;
    if (c == 'u') return read_escaped_unit(p, out);
    const char *found = c != '\0' ? strchr(names, c) : NULL;
    if (!found) return complain(p, "there is no such escape in a string");
    sp_text_add_n(out, values + (found - names), 1);
    return true;
}

/* Characters up to the next quote, backslash or error, as they stand. */
static bool read_plain(sp_json_pull *p, sp_text *out)
{
    const char *const start = p->at;
    while (p->at < p->end && *p->at != '"' && *p->at != '\\') {
        const size_t n = sp_utf8_length(p->at, (size_t)(p->end - p->at));
        if (n == 0) return complain(p, "a string is not UTF-8");
        if ((unsigned char)*p->at < 0x20)
            return complain(p, "a control character stands in a string");
        p->at += n;
    }
    sp_text_add_n(out, start, (size_t)(p->at - start));
    return p->at < p->end ? true : complain(p, "the text ends inside a string");
}

bool sp_json_pull_string(sp_json_pull *p, sp_text *out)
{
    if (!take(p, '"')) return complain(p, "a string must stand here");
    out->length = 0;
    sp_text_add(out, "");
    while (read_plain(p, out)) {
        if (*p->at++ == '"') return true;
        if (!read_escape(p, out)) return false;
    }
    return false;
}

bool sp_json_pull_key(sp_json_pull *p, sp_text *out)
{
    if (!sp_json_pull_string(p, out)) return false;
    return take(p, ':') ? true : complain(p, "a colon must stand here");
}

/* ---- numbers, and what is skipped ---- */

static bool is_digit(const sp_json_pull *p)
{
    return p->at < p->end && *p->at >= '0' && *p->at <= '9';
}

bool sp_json_pull_u64(sp_json_pull *p, uint64_t *out)
{
    sp_json_pull_peek(p);
    if (p->complaint || !is_digit(p)) return complain(p, "a whole number must stand here");
    const bool zero = *p->at == '0';
    *out = 0;
    for (; is_digit(p); p->at++) {
        const uint64_t digit = (uint64_t)(*p->at - '0');
        if (!sp_mul_u64(*out, 10, out) || !sp_add_u64(*out, digit, out)) {
            return complain(p, "a whole number has more than 64 bits");
        }
        if (zero && *out > 0) return complain(p, "a number must not begin with a zero");
    }
    const bool whole = p->at == p->end || !strchr(".eE", *p->at) || *p->at == '\0';
    return whole ? true : complain(p, "a whole number must stand here");
}

static bool skip_digits(sp_json_pull *p)
{
    if (!is_digit(p)) return complain(p, "a digit must stand here");
    while (is_digit(p))
        p->at++;
    return true;
}

static bool skip_number(sp_json_pull *p)
{
    if (*p->at == '-') p->at++;
    if (!skip_digits(p)) return false;
    if (p->at < p->end && *p->at == '.') {
        p->at++;
        if (!skip_digits(p)) return false;
    }
    if (p->at < p->end && (*p->at == 'e' || *p->at == 'E')) {
        p->at++;
        if (p->at < p->end && (*p->at == '+' || *p->at == '-')) p->at++;
        return skip_digits(p);
    }
    return true;
}

static bool skip_scalar(sp_json_pull *p, sp_text *scratch)
{
    static const char *const words[] = {"true", "false", "null"};
    const char c = sp_json_pull_peek(p);
    if (c == '"') return sp_json_pull_string(p, scratch);
    if (c == '-' || (c >= '0' && c <= '9')) return skip_number(p);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        const size_t length = strlen(words[i]);
        if ((size_t)(p->end - p->at) < length || memcmp(p->at, words[i], length) != 0) continue;
        p->at += length;
        return true;
    }
    return complain(p, "a value must stand here");
}

/* `closing` are the brackets that end the containers entered so far. */
static bool skip_nested(sp_json_pull *p, sp_text *scratch)
{
    char closing[MAX_DEPTH];
    size_t depth = 0;
    do {
        if (depth > 0 && !sp_json_pull_more(p, closing[depth - 1])) {
            depth--;
            continue;
        }
        if (depth > 0 && closing[depth - 1] == '}') sp_json_pull_key(p, scratch);
        const char c = sp_json_pull_peek(p);
        if (c != '{' && c != '[') {
            skip_scalar(p, scratch);
        } else if (depth == MAX_DEPTH) {
            complain(p, "values are nested too deeply");
        } else if (sp_json_pull_enter(p, c)) {
            closing[depth++] = c == '{' ? '}' : ']';
        }
    } while (depth > 0 && !p->complaint);
    return p->complaint == NULL;
}

bool sp_json_pull_skip(sp_json_pull *p)
{
    sp_text scratch = {0};
    const bool skipped = skip_nested(p, &scratch);
    sp_text_fini(&scratch);
    return skipped;
}

bool sp_json_pull_end(sp_json_pull *p)
{
    if (sp_json_pull_peek(p) == '\0' && p->at == p->end) return p->complaint == NULL;
    return complain(p, "something stands behind the end of the JSON text");
}
