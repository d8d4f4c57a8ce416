/* SPDX-License-Identifier: Apache-2.0 */
/* Cuts the text of an expression into tokens: numbers with their units, names and signs. A token is
 * found from any place in the text, so the parser can look ahead as far as it likes. */
#include "base/base_priv.h"

#include <string.h>

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_word_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '_' || c == '.';
}

static const char *skip_space(const char *p)
{
    while (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r')
        p++;
    return p;
}

/* "5%" is a share unless an operand follows, as in "8%3", "8 % 3" and "8%(a+b)". */
static bool is_percent(const char *p)
{
    if (*p != '%') return false;
    const char next = *skip_space(p + 1);
    return !is_word_char(next) && next != '(';
}

static size_t number_length(const char *p)
{
    double value = 0;
    size_t n = sp_scan_number(p, &value);
    while (is_word_char(p[n]))
        n++;
    return is_percent(p + n) ? n + 1 : n;
}

static size_t name_length(const char *p)
{
    size_t n = 0;
    while (is_word_char(p[n]))
        n++;
    return n;
}

static size_t sign_length(const char *p)
{
    static const char *const pairs[] = {"||", "&&", "==", "!=", "<=", ">="};
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        if (strncmp(p, pairs[i], 2) == 0) return 2;
    }
    return strchr("<>+-*/%!()", *p) ? 1 : 0;
}

sp_token sp_token_at(const char *p)
{
    p = skip_space(p);
    if (*p == '\0') return (sp_token){SP_TOKEN_END, p, 0};
    if (is_digit(*p)) return (sp_token){SP_TOKEN_NUMBER, p, number_length(p)};
    if (*p >= 'a' && *p <= 'z') return (sp_token){SP_TOKEN_NAME, p, name_length(p)};
    const size_t length = sign_length(p);
    return length > 0 ? (sp_token){SP_TOKEN_SIGN, p, length} : (sp_token){SP_TOKEN_BAD, p, 1};
}

sp_token sp_token_after(const sp_token *t)
{
    return sp_token_at(t->start + t->length);
}

bool sp_token_is(const sp_token *t, const char *sign)
{
    return t->kind == SP_TOKEN_SIGN && strlen(sign) == t->length &&
           memcmp(t->start, sign, t->length) == 0;
}
