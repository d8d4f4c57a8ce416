/* SPDX-License-Identifier: Apache-2.0 */
/* Checked whole numbers, quantised doubles, and numbers with units as people write them. Decimal
 * points are read in the C locale; a program around the library leaves LC_NUMERIC alone. */
#include "base/base_priv.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double EXACT_MAX = 9007199254740992.0; /* 2^53: every whole number below is a double */

bool sp_mul_u64(uint64_t a, uint64_t b, uint64_t *product)
{
    return !__builtin_mul_overflow(a, b, product);
}

bool sp_add_u64(uint64_t a, uint64_t b, uint64_t *sum)
{
    return !__builtin_add_overflow(a, b, sum);
}

uint64_t sp_gcd_u64(uint64_t a, uint64_t b)
{
    while (b != 0) {
        const uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* The bits of a double order as its magnitude does, so half a step added to them carries into the
 * exponent just where rounding up must; the sign bit is not touched. NaN would carry into the sign.
 */
double sp_quantise(double x, unsigned bits)
{
    assert(bits >= 1 && bits <= 52);
    if (isnan(x)) return x;
    const unsigned dropped = 53 - bits; /* of 53 significant bits, the first of which is implied */
    uint64_t image;
    memcpy(&image, &x, sizeof image);
    image += UINT64_C(1) << (dropped - 1);
    image &= ~((UINT64_C(1) << dropped) - 1);
    memcpy(&x, &image, sizeof x);
    return x;
}

static size_t scan_digits(const char *text)
{
    size_t n = 0;
    while (text[n] >= '0' && text[n] <= '9')
        n++;
    return n;
}

size_t sp_scan_number(const char *text, double *value)
{
    size_t n = scan_digits(text);
    if (n == 0) return 0;
    const size_t n_fraction = text[n] == '.' ? scan_digits(text + n + 1) : 0;
    if (n_fraction > 0) n += 1 + n_fraction;
    if (text[n] == 'e' || text[n] == 'E') {
        const size_t sign = text[n + 1] == '+' || text[n + 1] == '-' ? 1 : 0;
        const size_t n_exponent = scan_digits(text + n + 1 + sign);
        if (n_exponent > 0) n += 1 + sign + n_exponent;
    }
    char number[64]; /* a copy, because strtod would also read "0x10" and "5." */
    if (n >= sizeof number) return 0;
    memcpy(number, text, n);
    number[n] = '\0';
    *value = strtod(number, NULL);
    return n;
}

/* Units below one divide instead of multiplying: 6 / 100 is 0.06, 6 * 0.01 need not be. */
typedef struct unit {
    unsigned families;
    const char *name;
    double multiplier, divisor;
} unit;

static const unit units[] = {
    {SP_UNIT_LENGTH | SP_UNIT_KILO, "k",   1024,             1  },
    {SP_UNIT_LENGTH,                "K",   1024,             1  },
    {SP_UNIT_LENGTH,                "M",   1048576,          1  },
    {SP_UNIT_LENGTH,                "G",   1073741824,       1  },
    {SP_UNIT_AMOUNT,                "k",   1e3,              1  },
    {SP_UNIT_AMOUNT,                "K",   1e3,              1  },
    {SP_UNIT_AMOUNT,                "M",   1e6,              1  },
    {SP_UNIT_AMOUNT,                "B",   1e9,              1  },
    {SP_UNIT_AMOUNT,                "G",   1e9,              1  },
    {SP_UNIT_AMOUNT,                "T",   1e12,             1  },
    {SP_UNIT_BYTES,                 "B",   1,                1  },
    {SP_UNIT_BYTES,                 "kB",  1e3,              1  },
    {SP_UNIT_BYTES,                 "KB",  1e3,              1  },
    {SP_UNIT_BYTES,                 "MB",  1e6,              1  },
    {SP_UNIT_BYTES,                 "GB",  1e9,              1  },
    {SP_UNIT_BYTES,                 "TB",  1e12,             1  },
    {SP_UNIT_BYTES,                 "PB",  1e15,             1  },
    {SP_UNIT_BYTES,                 "KiB", 1024,             1  },
    {SP_UNIT_BYTES,                 "MiB", 1048576,          1  },
    {SP_UNIT_BYTES,                 "GiB", 1073741824,       1  },
    {SP_UNIT_BYTES,                 "TiB", 1099511627776,    1  },
    {SP_UNIT_BYTES,                 "PiB", 1125899906842624, 1  },
    {SP_UNIT_RATIO,                 "%",   1,                100},
    {SP_UNIT_DURATION,              "ns",  1,                1e9},
    {SP_UNIT_DURATION,              "us",  1,                1e6},
    {SP_UNIT_DURATION,              "ms",  1,                1e3},
    {SP_UNIT_DURATION,              "s",   1,                1  },
    {SP_UNIT_DURATION,              "min", 60,               1  },
    {SP_UNIT_DURATION,              "h",   3600,             1  },
    {SP_UNIT_DURATION,              "d",   86400,            1  },
    {SP_UNIT_DURATION,              "w",   604800,           1  },
};
enum { N_UNITS = sizeof units / sizeof units[0] };
_Static_assert(N_UNITS <= SP_UNITS_MAX, "lists of unit names are too short");

bool sp_unit_apply(const char *name, size_t length, unsigned families, double *value)
{
    for (size_t i = 0; i < N_UNITS; i++) {
        const unit *u = &units[i];
        const bool same = strlen(u->name) == length && memcmp(u->name, name, length) == 0;
        if (!same || (u->families & families) == 0) continue;
        *value = *value * u->multiplier / u->divisor;
        return true;
    }
    return false;
}

size_t sp_unit_names(unsigned families, const char *names[SP_UNITS_MAX])
{
    size_t n = 0;
    for (size_t i = 0; i < N_UNITS; i++) {
        if ((units[i].families & families) != 0) names[n++] = units[i].name;
    }
    return n;
}

/* Reads "number[ ][unit]"; `what` completes the sentence "must be ...". */
static sp_status parse_with_unit(const char *text, unsigned families, const char *what,
                                 double *value, sp_error *err)
{
    assert(text && value);
    double number = 0;
    const size_t n = sp_scan_number(text, &number);
    if (n == 0) {
        sp_fail(err, SP_E_SYNTAX, "must be %s", what);
        return sp_fail_value(err, "%s", text);
    }
    const char *unit_name = text + n;
    while (*unit_name == ' ')
        unit_name++;
    if (*unit_name != '\0' && !sp_unit_apply(unit_name, strlen(unit_name), families, &number)) {
        const char *names[SP_UNITS_MAX];
        sp_fail(err, SP_E_UNKNOWN_NAME, "\"%s\" is no unit here; must be %s", unit_name, what);
        sp_fail_value(err, "%s", text);
        return sp_fail_names(err, unit_name, names, sp_unit_names(families, names));
    }
    if (!isfinite(number)) {
        sp_fail(err, SP_E_OVERFLOW, "must be %s", what);
        return sp_fail_value(err, "%s", text);
    }
    *value = number;
    return SP_OK;
}

sp_status sp_parse_length(const char *text, uint64_t *value, sp_error *err)
{
    double number = 0;
    SP_TRY(parse_with_unit(text, SP_UNIT_LENGTH, "a whole number such as 8192, 8k or 1M", &number,
                           err));
    if (number > EXACT_MAX) {
        sp_fail(err, SP_E_OVERFLOW, "must be a whole number of at most 2^53");
        return sp_fail_value(err, "%s", text);
    }
    if (number != trunc(number)) {
        sp_fail(err, SP_E_RANGE, "must be a whole number");
        return sp_fail_value(err, "%s", text);
    }
    *value = (uint64_t)number;
    return SP_OK;
}

sp_status sp_parse_amount(const char *text, double *value, sp_error *err)
{
    return parse_with_unit(text, SP_UNIT_AMOUNT, "an amount such as 300e9, 15B or 1T", value, err);
}

sp_status sp_parse_bytes(const char *text, double *bytes, sp_error *err)
{
    return parse_with_unit(text, SP_UNIT_BYTES, "a size such as 72GiB, 80GB or 1024", bytes, err);
}

sp_status sp_parse_ratio(const char *text, double *ratio, sp_error *err)
{
    double number = 0;
    SP_TRY(parse_with_unit(text, SP_UNIT_RATIO, "a share such as 6% or 0.06", &number, err));
    if (number > 1) {
        sp_fail(err, SP_E_RANGE, "must be a share of at most 1, such as 6%% or 0.06");
        sp_fail_value(err, "%s", text);
        return sp_fail_range(err, "0 .. 1, or 0%% .. 100%%");
    }
    *ratio = number;
    return SP_OK;
}

sp_status sp_parse_duration(const char *text, double *seconds, sp_error *err)
{
    return parse_with_unit(text, SP_UNIT_DURATION, "a duration such as 36h, 90min or 3600s",
                           seconds, err);
}
