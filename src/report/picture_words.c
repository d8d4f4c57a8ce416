/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers as labels of a picture say them: three significant digits, prefixes of 1000. */
#include "report/picture.h"

#include <math.h>
#include <stdio.h>

/* x rounded to three significant digits, which may carry it to the next power of ten. */
static double three_digits(double x)
{
    char text[32];
    double rounded = 0.0;
    snprintf(text, sizeof text, "%.2e", x);
    (void)sscanf(text, "%lf", &rounded);
    return rounded;
}

const char *sp_words_plain(char out[32], double value)
{
    const double rounded = three_digits(value);
    snprintf(out, 32, rounded >= 100.0 && rounded < 1e9 ? "%.0f" : "%.3g", rounded);
    return out;
}

const char *sp_words_si(char out[32], double value, const char *unit)
{
    static const char *const prefixes[] = {"", "k", "M", "G", "T", "P", "E"};
    double scaled = three_digits(value);
    size_t i = 0;
    for (; scaled >= 1000.0 && i + 1 < sizeof prefixes / sizeof prefixes[0]; i++) {
        scaled /= 1000.0;
    }
    snprintf(out, 32, "%.3g %s%s", scaled, prefixes[i], unit);
    return out;
}
