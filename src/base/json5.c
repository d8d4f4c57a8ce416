/* SPDX-License-Identifier: Apache-2.0 */
/* JSON5 (json5.org, version 1.0.0, 2018) turned into JSON, token by token: comments, bare keys,
 * single quotes, trailing commas, and numbers such as .5, 5., +1 and 0x1F. Lines stay lines, so
 * that later messages name the right one. What is wrong with the structure is left for the JSON
 * reader; Infinity and NaN are refused, as they are in JSON. */
#include "base/base_priv.h"

#include <assert.h>
#include <ctype.h>
#include <string.h>

typedef struct lexer {
    const char *at, *end;
    const char *name; /* of the file */
    int line;
    unsigned n_owed; /* line ends within a string, which follow it instead */
    char last;       /* last character written that is no white space      */
    sp_text *out;
    sp_error *err;
} lexer;

static sp_status refuse(const lexer *l, const char *why)
{
    sp_fail(l->err, SP_E_SYNTAX, "%s", why);
    l->err->line = l->line;
    return sp_fail_file(l->err, l->name);
}

static void put(lexer *l, const char *text, size_t n)
{
    if (n > 0) {
        sp_text_add_n(l->out, text, n);
        l->last = text[n - 1];
    }
}

/* The character n places on; 0 behind the end. */
static char peek(const lexer *l, size_t n)
{
    return (size_t)(l->end - l->at) > n ? l->at[n] : '\0';
}

static bool starts(const lexer *l, const char *text)
{
    const size_t n = strlen(text);
    return (size_t)(l->end - l->at) >= n && memcmp(l->at, text, n) == 0;
}

/* Letters beyond ASCII are taken as they come: the JSON reader checks that they are UTF-8. */
static bool is_name_start(char c)
{
    return isalpha((unsigned char)c) || c == '_' || c == '$' || (unsigned char)c >= 0x80;
}

static bool is_name_part(char c)
{
    return is_name_start(c) || isdigit((unsigned char)c);
}

/* ---- white space and comments ---- */

/* Bytes of the white space at the place, or 0. JSON5 has more of it than JSON. */
static size_t space_length(const lexer *l)
{
    static const char *const wide[] = {"\xc2\xa0", "\xef\xbb\xbf", "\xe2\x80\xa8", "\xe2\x80\xa9"};
    if (l->at < l->end && *l->at != '\0' && strchr(" \t\v\f\r\n", *l->at) != NULL) {
        return 1;
    }
    for (size_t i = 0; i < sizeof wide / sizeof wide[0]; i++) {
        if (starts(l, wide[i])) {
            return strlen(wide[i]);
        }
    }
    return 0;
}

static void take_line_end(lexer *l)
{
    l->line++;
    sp_text_add(l->out, "\n");
}

static sp_status skip_comment(lexer *l)
{
    const bool block = l->at[1] == '*';
    const int first_line = l->line;
    for (l->at += 2; l->at < l->end; l->at++) {
        if (block && starts(l, "*/")) {
            l->at += 2;
            return SP_OK;
        }
        if (!block && *l->at == '\n') {
            return SP_OK;
        }
        if (*l->at == '\n') {
            take_line_end(l);
        }
    }
    if (block) {
        l->line = first_line;
        return refuse(l, "the comment that begins here has no end");
    }
    return SP_OK;
}

static sp_status skip_space(lexer *l)
{
    for (;;) {
        const size_t n = space_length(l);
        if (n > 0) {
            if (*l->at == '\n') {
                take_line_end(l);
            } else {
                sp_text_add(l->out, " ");
            }
            l->at += n;
        } else if (starts(l, "//") || starts(l, "/*")) {
            sp_text_add(l->out, " ");
            SP_TRY(skip_comment(l));
        } else {
            return SP_OK;
        }
    }
}

/* ---- strings ---- */

static sp_status put_hex_escape(lexer *l)
{
    if (!isxdigit((unsigned char)peek(l, 2)) || !isxdigit((unsigned char)peek(l, 3))) {
        return refuse(l, "\\x takes two hexadecimal digits");
    }
    put(l, "\\u00", 4);
    put(l, l->at + 2, 2);
    l->at += 4;
    return SP_OK;
}

/* A line end behind a backslash joins two lines. */
static bool joined_lines(lexer *l)
{
    const size_t n = starts(l, "\\\r\n") ? 3 : starts(l, "\\\n") ? 2 : 0;
    l->at += n;
    l->n_owed += n > 0;
    return n > 0;
}

static sp_status take_escape(lexer *l)
{
    const char c = peek(l, 1);
    if (joined_lines(l)) {
        return SP_OK;
    }
    if (c == 'x') {
        return put_hex_escape(l);
    }
    if (c == '0' && isdigit((unsigned char)peek(l, 2))) {
        return refuse(l, "octal escapes are not part of JSON5");
    }
    if (c != '\0' && strchr("\"\\/bfnrtu", c) != NULL) {
        put(l, l->at, 2);
    } else if (c == 'v' || c == '0') {
        put(l, c == 'v' ? "\\u000b" : "\\u0000", 6);
    } else if (isdigit((unsigned char)c) || c == '\0') {
        return refuse(l, "not an escape of JSON5");
    } else {
        put(l, l->at + 1, 1); /* any other character stands for itself */
    }
    l->at += 2;
    return SP_OK;
}

static void pay_line_ends(lexer *l)
{
    for (; l->n_owed > 0; l->n_owed--) {
        take_line_end(l);
    }
}

static sp_status take_string(lexer *l)
{
    const char quote = *l->at++;
    put(l, "\"", 1);
    while (l->at < l->end && *l->at != quote) {
        if (*l->at == '\n') {
            return refuse(l, "the string has no end in its line");
        }
        if (*l->at == '\\') {
            SP_TRY(take_escape(l));
        } else {
            put(l, *l->at == '"' ? "\\\"" : l->at, *l->at == '"' ? 2 : 1);
            l->at++;
        }
    }
    if (l->at == l->end) {
        return refuse(l, "the string has no end");
    }
    l->at++;
    put(l, "\"", 1);
    pay_line_ends(l);
    return SP_OK;
}

/* ---- names and numbers ---- */

/* The first character after white space and comments, which stay where they are. */
static char next_sign(const lexer *l)
{
    lexer ahead = *l;
    sp_text blank = {0};
    sp_error unread = {0};
    ahead.out = &blank;
    ahead.err = &unread;
    const char sign = skip_space(&ahead) == SP_OK ? peek(&ahead, 0) : '\0';
    sp_text_fini(&blank);
    return sign;
}

static sp_status refuse_not_finite(const lexer *l)
{
    return refuse(l, "Infinity and NaN are not taken: every figure is finite");
}

/* A key without quotes gets them; true, false and null pass, and what else there is, for the JSON
 * reader to refuse. */
static sp_status take_name(lexer *l)
{
    const char *const start = l->at;
    while (l->at < l->end && is_name_part(*l->at)) {
        l->at++;
    }
    const size_t n = (size_t)(l->at - start);
    const bool is_key = next_sign(l) == ':' && (l->last == '{' || l->last == ',');
    if (!is_key && ((n == 3 && memcmp(start, "NaN", 3) == 0) ||
                    (n == 8 && memcmp(start, "Infinity", 8) == 0))) {
        return refuse_not_finite(l);
    }
    put(l, "\"", is_key);
    put(l, start, n);
    put(l, "\"", is_key);
    return SP_OK;
}

static sp_status take_hexadecimal(lexer *l, bool negative)
{
    uint64_t value = 0;
    unsigned n_digits = 0;
    for (l->at += 2; isxdigit((unsigned char)peek(l, 0)); l->at++, n_digits++) {
        const char c = (char)tolower((unsigned char)*l->at);
        value = 16 * value + (uint64_t)(isdigit((unsigned char)c) ? c - '0' : c - 'a' + 10);
    }
    if (n_digits == 0 || n_digits > 15 || is_name_part(peek(l, 0))) {
        return refuse(l, "a hexadecimal number has 1 .. 15 digits");
    }
    sp_text_printf(l->out, "%s%llu", negative ? "-" : "", (unsigned long long)value);
    l->last = '0';
    return SP_OK;
}

/* Digits, fraction and exponent; JSON wants a digit on both sides of the point. */
static sp_status take_number(lexer *l)
{
    const bool negative = *l->at == '-';
    l->at += *l->at == '-' || *l->at == '+';
    if (starts(l, "Infinity") || starts(l, "NaN")) {
        return refuse_not_finite(l);
    }
    if (starts(l, "0x") || starts(l, "0X")) {
        return take_hexadecimal(l, negative);
    }
    if (!isdigit((unsigned char)peek(l, 0)) &&
        !(peek(l, 0) == '.' && isdigit((unsigned char)peek(l, 1)))) {
        return refuse(l, "a number has a digit");
    }
    put(l, "-", negative);
    put(l, "0", peek(l, 0) == '.');
    while (is_name_part(peek(l, 0)) || (peek(l, 0) != '\0' && strchr(".+-", peek(l, 0)) != NULL)) {
        put(l, l->at++, 1);
        if (l->last == '.' && !isdigit((unsigned char)peek(l, 0))) {
            put(l, "0", 1);
        }
    }
    return SP_OK;
}

/* ---- the text ---- */

static bool ends_value(char last)
{
    return last != '\0' && strchr("[{,:", last) == NULL;
}

/* A comma behind the last member or element is dropped; any other stays. */
static void take_comma(lexer *l)
{
    l->at++;
    const char next = next_sign(l);
    const bool trailing = ends_value(l->last) && (next == '}' || next == ']');
    if (trailing) {
        sp_text_add(l->out, " ");
    } else {
        put(l, ",", 1);
    }
}

static sp_status take_token(lexer *l)
{
    const char c = *l->at;
    if (c == '"' || c == '\'') {
        return take_string(l);
    }
    if (isdigit((unsigned char)c) || c == '+' || c == '-' || c == '.') {
        return take_number(l);
    }
    if (is_name_start(c)) {
        return take_name(l);
    }
    if (c == ',') {
        take_comma(l);
        return SP_OK;
    }
    put(l, l->at++, 1);
    return SP_OK;
}

sp_status sp_json5_to_json(const char *text, size_t length, const char *name, sp_text *json,
                           sp_error *err)
{
    assert((text != NULL || length == 0) && name != NULL && json != NULL);
    lexer l = {.at = text, .end = text + length, .name = name, .line = 1, .out = json, .err = err};
    SP_TRY(skip_space(&l));
    while (l.at < l.end) {
        SP_TRY(take_token(&l));
        SP_TRY(skip_space(&l));
    }
    if (json->failed) {
        (void)sp_fail(err, SP_E_MEMORY, "no memory for the file");
        return sp_fail_file(err, name);
    }
    return SP_OK;
}
