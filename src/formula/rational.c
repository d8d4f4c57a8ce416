/* SPDX-License-Identifier: Apache-2.0 */
/* Exact rationals in lowest terms. Whole numbers, nearly all there are, take the short way: one
 * checked 128-bit operation. No operation rounds; what does not fit is SP_FORMULA_OVERFLOW. */
#include "formula/formula_priv.h"

#include <assert.h>
#include <string.h>

__extension__ typedef unsigned __int128 uint128;

static const sp_int128 LARGEST = (sp_int128)(~(uint128)0 >> 1);

static bool multiply(sp_int128 a, sp_int128 b, sp_int128 *product)
{
    /* The smallest number has no negative, so it counts as too large. */
    return !__builtin_mul_overflow(a, b, product) && *product >= -LARGEST;
}

static bool add(sp_int128 a, sp_int128 b, sp_int128 *sum)
{
    return !__builtin_add_overflow(a, b, sum) && *sum >= -LARGEST;
}

static sp_int128 absolute(sp_int128 x)
{
    assert(x >= -LARGEST);
    return x < 0 ? -x : x;
}

static sp_int128 gcd(sp_int128 a, sp_int128 b)
{
    a = absolute(a);
    b = absolute(b);
    while (b != 0) {
        const sp_int128 rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* Toward minus infinity; b > 0. */
static sp_int128 floor_quotient(sp_int128 a, sp_int128 b)
{
    assert(b > 0);
    return a / b - (a % b < 0 ? 1 : 0);
}

/* What is left then: 0 .. b - 1. */
static sp_int128 floor_rest(sp_int128 a, sp_int128 b)
{
    const sp_int128 rest = a % b;
    return rest < 0 ? rest + b : rest;
}

sp_rational sp_rational_of_int(int64_t value)
{
    return (sp_rational){value, 1};
}

sp_formula_code sp_rational_make(sp_int128 num, sp_int128 den, sp_rational *out)
{
    if (den == 0) return SP_FORMULA_DIV0;
    if (num < -LARGEST || den < -LARGEST) return SP_FORMULA_OVERFLOW;
    const sp_int128 common = gcd(num, den) * (den < 0 ? -1 : 1);
    *out = (sp_rational){num / common, den / common};
    return SP_FORMULA_OK;
}

/* a/b + c/d = (a d' + c b') / (b d') where d' = d/g, b' = b/g, g = gcd(b, d) */
sp_formula_code sp_rational_add(sp_rational a, sp_rational b, sp_rational *out)
{
    assert(a.den > 0 && b.den > 0);
    if (a.den == 1 && b.den == 1) {
        out->den = 1;
        return add(a.num, b.num, &out->num) ? SP_FORMULA_OK : SP_FORMULA_OVERFLOW;
    }
    const sp_int128 common = gcd(a.den, b.den), b_part = b.den / common;
    sp_int128 left, right, num, den;
    const bool exact = multiply(a.num, b_part, &left) && multiply(b.num, a.den / common, &right) &&
                       add(left, right, &num) && multiply(a.den, b_part, &den);
    return exact ? sp_rational_make(num, den, out) : SP_FORMULA_OVERFLOW;
}

sp_rational sp_rational_negate(sp_rational a)
{
    return (sp_rational){-a.num, a.den};
}

sp_formula_code sp_rational_subtract(sp_rational a, sp_rational b, sp_rational *out)
{
    return sp_rational_add(a, sp_rational_negate(b), out);
}

/* Common factors go first, so that only a result that is too large overflows. */
sp_formula_code sp_rational_multiply(sp_rational a, sp_rational b, sp_rational *out)
{
    assert(a.den > 0 && b.den > 0);
    if (a.den == 1 && b.den == 1) {
        out->den = 1;
        return multiply(a.num, b.num, &out->num) ? SP_FORMULA_OK : SP_FORMULA_OVERFLOW;
    }
    const sp_int128 one = gcd(a.num, b.den), other = gcd(b.num, a.den);
    const bool exact = multiply(a.num / one, b.num / other, &out->num) &&
                       multiply(a.den / other, b.den / one, &out->den);
    return exact ? SP_FORMULA_OK : SP_FORMULA_OVERFLOW;
}

sp_formula_code sp_rational_divide(sp_rational a, sp_rational b, sp_rational *out)
{
    if (b.num == 0) return SP_FORMULA_DIV0;
    const sp_int128 sign = b.num < 0 ? -1 : 1;
    return sp_rational_multiply(a, (sp_rational){sign * b.den, sign * b.num}, out);
}

sp_rational sp_rational_floor(sp_rational a)
{
    return (sp_rational){floor_quotient(a.num, a.den), 1};
}

sp_rational sp_rational_ceil(sp_rational a)
{
    return sp_rational_negate(sp_rational_floor(sp_rational_negate(a)));
}

sp_formula_code sp_rational_floor_divide(sp_rational a, sp_rational b, sp_rational *out)
{
    sp_rational quotient;
    const sp_formula_code code = sp_rational_divide(a, b, &quotient);
    if (code == SP_FORMULA_OK) *out = sp_rational_floor(quotient);
    return code;
}

/* a - b floor(a/b): of the sign of b, as in Python. */
sp_formula_code sp_rational_remainder(sp_rational a, sp_rational b, sp_rational *out)
{
    sp_rational quotient, product;
    sp_formula_code code = sp_rational_floor_divide(a, b, &quotient);
    if (code == SP_FORMULA_OK) code = sp_rational_multiply(quotient, b, &product);
    return code == SP_FORMULA_OK ? sp_rational_subtract(a, product, out) : code;
}

static const int LARGEST_EXPONENT = 64;

sp_formula_code sp_rational_power(sp_rational base, sp_rational exponent, sp_rational *out)
{
    const bool small = exponent.den == 1 && absolute(exponent.num) <= LARGEST_EXPONENT;
    if (!small) return SP_FORMULA_POW;
    sp_rational power = {1, 1};
    for (int i = 0; i < (int)absolute(exponent.num); i++) {
        const sp_formula_code code = sp_rational_multiply(power, base, &power);
        if (code != SP_FORMULA_OK) return code;
    }
    *out = power;
    return exponent.num < 0 ? sp_rational_divide((sp_rational){1, 1}, power, out) : SP_FORMULA_OK;
}

/* Whole parts decide, or else the turned fractions that are left, as in Euclid's algorithm: nothing
 * grows, so nothing overflows. */
int sp_rational_compare(sp_rational a, sp_rational b)
{
    int sign = 1;
    for (;;) {
        const sp_int128 left = floor_quotient(a.num, a.den), right = floor_quotient(b.num, b.den);
        if (left != right) return left < right ? -sign : sign;
        const sp_int128 a_rest = floor_rest(a.num, a.den), b_rest = floor_rest(b.num, b.den);
        if (a_rest == 0 || b_rest == 0) return sign * ((a_rest > 0) - (b_rest > 0));
        a = (sp_rational){a.den, a_rest};
        b = (sp_rational){b.den, b_rest};
        sign = -sign;
    }
}

/* ---- text ---- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Appends digits to the number; false when it grows too large. */
static bool scan_digits(const char **p, sp_int128 *number, int *n_digits)
{
    for (; is_digit(**p); (*p)++, (*n_digits)++) {
        if (!multiply(*number, 10, number) || !add(*number, **p - '0', number)) return false;
    }
    return true;
}

/* The length of an exponent such as e-6, 0 where there is none; *exponent is cut at 1000. */
static size_t scan_exponent(const char *p, int *exponent)
{
    if (*p != 'e' && *p != 'E') return 0;
    const char *q = p + 1;
    const bool negative = *q == '-';
    if (*q == '-' || *q == '+') q++;
    if (!is_digit(*q)) return 0;
    for (*exponent = 0; is_digit(*q); q++) {
        *exponent = *exponent * 10 + (*q - '0');
        if (*exponent > 1000) *exponent = 1000;
    }
    if (negative) *exponent = -*exponent;
    return (size_t)(q - p);
}

static size_t number_length(const char *text)
{
    size_t n = 0;
    int exponent = 0;
    while (is_digit(text[n]))
        n++;
    if (n > 0 && text[n] == '.' && is_digit(text[n + 1])) {
        for (n++; is_digit(text[n]);)
            n++;
    }
    return n > 0 ? n + scan_exponent(text + n, &exponent) : 0;
}

sp_formula_code sp_rational_scan(const char *text, size_t *length, sp_rational *out)
{
    const char *p = text;
    int n_whole = 0, n_fraction = 0, exponent = 0;
    sp_int128 number = 0, scale = 1;
    *length = number_length(text);
    if (!scan_digits(&p, &number, &n_whole)) return SP_FORMULA_OVERFLOW;
    if (p < text + *length && *p == '.') {
        p++;
        if (!scan_digits(&p, &number, &n_fraction)) return SP_FORMULA_OVERFLOW;
    }
    scan_exponent(p, &exponent);
    exponent -= n_fraction;
    for (int i = 0; number != 0 && i < (exponent < 0 ? -exponent : exponent); i++) {
        if (!multiply(scale, 10, &scale)) return SP_FORMULA_OVERFLOW;
    }
    if (exponent < 0) return sp_rational_make(number, scale, out);
    return sp_rational_multiply((sp_rational){number, 1}, (sp_rational){scale, 1}, out);
}

/* Digits from the last to the first; returns where they begin. */
static char *write_digits(uint128 number, char *end)
{
    do {
        *--end = (char)('0' + (int)(number % 10));
        number /= 10;
    } while (number != 0);
    return end;
}

size_t sp_rational_format(sp_rational value, char text[SP_RATIONAL_TEXT_BYTES])
{
    char *const end = text + SP_RATIONAL_TEXT_BYTES - 1;
    char *p = end;
    if (value.den != 1) {
        p = write_digits((uint128)value.den, p);
        *--p = '/';
    }
    p = write_digits((uint128)absolute(value.num), p);
    if (value.num < 0) *--p = '-';
    const size_t length = (size_t)(end - p);
    memmove(text, p, length);
    text[length] = '\0';
    return length;
}

double sp_rational_to_double(sp_rational value)
{
    return (double)((long double)value.num / (long double)value.den);
}
