/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers as people read them: digits in groups of three, and no more digits than mean something.
 */
#include "report/report_priv.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const double GIB = 1073741824.0;

/* Puts commas into the whole part of a decimal number. */
static sp_word group(const char *digits)
{
    sp_word word = {0};
    const size_t whole = strcspn(digits, "."), length = strlen(digits);
    const size_t first = digits[0] == '-' ? 1 : 0;
    size_t n = 0;
    for (size_t i = 0; i < length && n + 2 < sizeof word.text; i++) {
        if (i > first && i < whole && (whole - i) % 3 == 0) word.text[n++] = ',';
        word.text[n++] = digits[i];
    }
    return word;
}

sp_word sp_word_count(uint64_t n)
{
    char digits[24];
    (void)snprintf(digits, sizeof digits, "%" PRIu64, n);
    return group(digits);
}

static sp_word fixed(double x, int decimals)
{
    char digits[SP_WORD_BYTES];
    (void)snprintf(digits, sizeof digits, "%.*f", decimals, x);
    return group(digits);
}

sp_word sp_word_number(double x)
{
    sp_word word = {0};
    const double size = fabs(x);
    if (size > 0.0 && (size < 1e-3 || size >= 1e15)) {
        (void)snprintf(word.text, sizeof word.text, "%.3g", x);
        return word;
    }
    if (size == 0.0) return fixed(0.0, 0);
    /* Judged after rounding, so that 9.99996 is 10.00 and not 10.000. */
    const int magnitude = (int)floor(log10(size * (1.0 + 5e-5)));
    return fixed(x, magnitude >= 3 ? 0 : 3 - magnitude);
}

sp_word sp_word_gib(double bytes)
{
    return fixed(bytes / GIB, 1);
}

sp_word sp_word_bytes(double bytes)
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB"};
    size_t unit = 0;
    while (bytes >= 999.5 && unit + 1 < sizeof units / sizeof units[0]) {
        bytes /= 1e3;
        unit++;
    }
    sp_word word = {0};
    (void)snprintf(word.text, sizeof word.text, "%.3g %s", bytes, units[unit]);
    return word;
}

sp_word sp_word_percent(double ratio)
{
    sp_word word = fixed(ratio * 100.0, 1);
    strncat(word.text, " %", sizeof word.text - strlen(word.text) - 1);
    return word;
}

sp_word sp_word_chance(double p)
{
    sp_word word = {0};
    if (p > 0.9995) {
        (void)snprintf(word.text, sizeof word.text, ">0.999");
    } else if (p < 0.0005) {
        (void)snprintf(word.text, sizeof word.text, "<0.001");
    } else {
        (void)snprintf(word.text, sizeof word.text, "%.3f", p);
    }
    return word;
}

sp_word sp_word_usd(double usd)
{
    const sp_word amount = usd >= 1000.0 ? fixed(usd, 0)
                           : usd >= 10.0 ? fixed(usd, 2)
                                         : fixed(usd, 3);
    sp_word word = {0};
    (void)snprintf(word.text, sizeof word.text, "$%.*s", SP_WORD_BYTES - 2, amount.text);
    return word;
}

sp_word sp_word_duration(double seconds)
{
    sp_word word = {0};
    if (seconds < 60.0) {
        (void)snprintf(word.text, sizeof word.text, "%.2f s", seconds);
    } else if (seconds < 3600.0) {
        (void)snprintf(word.text, sizeof word.text, "%d min %d s", (int)(seconds / 60.0),
                       (int)fmod(seconds, 60.0));
    } else {
        (void)snprintf(word.text, sizeof word.text, "%.0f h %d min", floor(seconds / 3600.0),
                       (int)(fmod(seconds, 3600.0) / 60.0));
    }
    return word;
}
