/* SPDX-License-Identifier: Apache-2.0 */
/* The nearest name, for "did you mean": the edit distance with transpositions of neighbours
 * (optimal string alignment), without case. Names beyond 64 characters are never suggested. */
#include "base/base.h"

#include <assert.h>
#include <string.h>

enum { NAME_MAX_LENGTH = 64 };

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* d[i][j] is the distance between the first i characters of a and the first j of b. Row i needs
 * rows i - 1 and i - 2 only. */
static size_t edit_distance(const char *a, size_t n_a, const char *b, size_t n_b)
{
    assert(n_a <= NAME_MAX_LENGTH && n_b <= NAME_MAX_LENGTH);
    size_t d[3][NAME_MAX_LENGTH + 1] = {{0}};
    for (size_t j = 0; j <= n_b; j++)
        d[0][j] = j;
    for (size_t i = 1; i <= n_a; i++) {
        size_t *row = d[i % 3];
        const size_t *above = d[(i - 1) % 3], *two_above = d[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= n_b; j++) {
            const size_t substitution = lower(a[i - 1]) == lower(b[j - 1]) ? 0 : 1;
            row[j] = least(above[j - 1] + substitution, least(above[j], row[j - 1]) + 1);
            const bool swapped = i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) &&
                                 lower(a[i - 2]) == lower(b[j - 1]);
            if (swapped) row[j] = least(row[j], two_above[j - 2] + 1);
        }
    }
    return d[n_a % 3][n_b];
}

bool sp_name_is_slip(const char *given, const char *name)
{
    const size_t n_given = strlen(given), n_name = strlen(name);
    if (n_given > NAME_MAX_LENGTH || n_name > NAME_MAX_LENGTH) return false;
    return edit_distance(given, n_given, name, n_name) <= 2;
}

const char *sp_name_nearest(const char *given, const char *const *names, size_t n_names)
{
    assert(given && (names || n_names == 0));
    const size_t length = strlen(given);
    if (length > NAME_MAX_LENGTH) return NULL;
    const size_t furthest = length / 3 > 2 ? length / 3 : 2;
    const char *nearest = NULL;
    size_t nearest_distance = furthest + 1;
    for (size_t i = 0; i < n_names; i++) {
        const size_t name_length = strlen(names[i]);
        if (name_length > NAME_MAX_LENGTH) continue;
        const size_t distance = edit_distance(given, length, names[i], name_length);
        if (distance < nearest_distance) {
            nearest_distance = distance;
            nearest = names[i];
        }
    }
    return nearest;
}
