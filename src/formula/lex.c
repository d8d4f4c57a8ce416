/* SPDX-License-Identifier: Apache-2.0 */
/* Cuts the text of a formula into lexemes: numbers, dotted names, reserved words, quoted text and
 * signs. Each is found from any place in the text, so the parser can look ahead as far as it likes;
 * which of them a dialect allows is the parser's business. */
#include "formula/formula_priv.h"

#include <string.h>

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static const char *skip_space(const char *p)
{
    while (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r')
        p++;
    return p;
}

static size_t name_length(const char *p)
{
    size_t n = 0;
    do {
        if (n > 0) n++; /* the dot */
        while (is_letter(p[n]) || is_digit(p[n]))
            n++;
    } while (p[n] == '.' && is_letter(p[n + 1]));
    return n;
}

static bool is_reserved(const char *p, size_t length)
{
    static const char *const words[] = {"if", "else", "and",    "or", "not",
                                        "in", "is",   "lambda", "for"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strlen(words[i]) == length && memcmp(words[i], p, length) == 0) return true;
    }
    return false;
}

/* With both quotes; 0 where the closing one is missing. A backslash is no part of any name we read,
 * so escapes are not needed. */
static size_t quoted_length(const char *p)
{
    size_t n = 1;
    while (p[n] != '\0' && p[n] != p[0] && p[n] != '\\')
        n++;
    return p[n] == p[0] ? n + 1 : 0;
}

static size_t sign_length(const char *p)
{
    static const char *const pairs[] = {"**", "//", "==", "!=", "<=", ">=", "${"};
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        if (strncmp(p, pairs[i], 2) == 0) return 2;
    }
    return *p != '\0' && strchr("+-*/%<>=(){}[],", *p) ? 1 : 0;
}

/* A number that runs into a letter (0x10, 1_000, 3x) is none. */
static sp_lexeme number_at(const char *p)
{
    size_t length = 0;
    sp_rational ignored;
    (void)sp_rational_scan(p, &length, &ignored);
    const bool ends = !is_letter(p[length]) && !is_digit(p[length]) && p[length] != '.';
    return (sp_lexeme){ends ? SP_LEXEME_NUMBER : SP_LEXEME_BAD, p, length};
}

sp_lexeme sp_lexeme_at(const char *p)
{
    p = skip_space(p);
    if (*p == '\0') return (sp_lexeme){SP_LEXEME_END, p, 0};
    if (is_digit(*p)) return number_at(p);
    if (is_letter(*p)) {
        const size_t length = name_length(p);
        return (sp_lexeme){is_reserved(p, length) ? SP_LEXEME_WORD : SP_LEXEME_NAME, p, length};
    }
    const bool quoted = *p == '\'' || *p == '"';
    const size_t length = quoted ? quoted_length(p) : sign_length(p);
    if (length == 0) return (sp_lexeme){SP_LEXEME_BAD, p, 1};
    return (sp_lexeme){quoted ? SP_LEXEME_TEXT : SP_LEXEME_SIGN, p, length};
}

sp_lexeme sp_lexeme_after(const sp_lexeme *t)
{
    return sp_lexeme_at(t->start + t->length);
}

bool sp_lexeme_is(const sp_lexeme *t, const char *text)
{
    return (t->kind == SP_LEXEME_SIGN || t->kind == SP_LEXEME_WORD) && strlen(text) == t->length &&
           memcmp(t->start, text, t->length) == 0;
}
