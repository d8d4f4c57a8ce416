/* SPDX-License-Identifier: Apache-2.0 */
/* Versions of frameworks, "0.12.1", and selectors of them, ">=0.4,<0.13" or "*" for all. Parts are
 * compared as numbers from the left and missing ones count as 0, so 0.9 < 0.12 = 0.12.0. */
#include "spec/spec.h"

#include <string.h>

enum { VERSION_PARTS = 4 };

typedef struct version {
    uint32_t parts[VERSION_PARTS];
} version;

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Reads numbers joined by dots and returns one past them; NULL where there is none. */
static const char *read_version(const char *text, version *out)
{
    *out = (version){{0}};
    for (size_t i = 0; i < VERSION_PARTS; i++) {
        if (!is_digit(*text)) return NULL;
        for (; is_digit(*text); text++) {
            if (out->parts[i] > 99999999) return NULL;
            out->parts[i] = 10 * out->parts[i] + (uint32_t)(*text - '0');
        }
        if (*text != '.') return text;
        text++;
    }
    return NULL;
}

static int compare(const version *a, const version *b)
{
    for (size_t i = 0; i < VERSION_PARTS; i++) {
        if (a->parts[i] != b->parts[i]) return a->parts[i] < b->parts[i] ? -1 : 1;
    }
    return 0;
}

/* A comparison sign and which orders satisfy it. */
typedef struct sign {
    const char *text;
    bool below, equal, above;
} sign;

static const sign *read_sign(const char *text)
{
    static const sign signs[] = {
        {">=", false, true,  true },
        {"<=", true,  true,  false},
        {"==", false, true,  false},
        {">",  false, false, true },
        {"<",  true,  false, false},
    };
    for (size_t i = 0; i < sizeof signs / sizeof signs[0]; i++) {
        if (strncmp(text, signs[i].text, strlen(signs[i].text)) == 0) return &signs[i];
    }
    return NULL;
}

bool sp_version_is_valid(const char *text)
{
    version read;
    const char *end = read_version(text, &read);
    return end != NULL && *end == '\0';
}

sp_version_match sp_version_select(const char *selector, const char *text)
{
    version given, bound;
    if (read_version(text, &given) == NULL) return SP_VERSION_MALFORMED;
    if (strcmp(selector, "*") == 0) return SP_VERSION_IN;
    bool in = true;
    for (const char *at = selector;; at++) {
        const sign *found = read_sign(at);
        if (found == NULL) return SP_VERSION_MALFORMED;
        at = read_version(at + strlen(found->text), &bound);
        if (at == NULL) return SP_VERSION_MALFORMED;
        const int order = compare(&given, &bound);
        in = in && (order < 0 ? found->below : order > 0 ? found->above : found->equal);
        if (*at == '\0') return in ? SP_VERSION_IN : SP_VERSION_OUT;
        if (*at != ',') return SP_VERSION_MALFORMED;
    }
}
