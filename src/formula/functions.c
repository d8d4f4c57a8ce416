/* SPDX-License-Identifier: Apache-2.0 */
/* The functions that a formula may call. min, max and sum take numbers or, alone, a list. */
#include "formula/formula_priv.h"

#include <assert.h>
#include <string.h>

typedef sp_formula_code (*body)(const sp_value *args, size_t n_args, sp_value *out,
                                sp_formula_failure *failure);

static sp_formula_code fail_argument(sp_formula_failure *failure, const char *function,
                                     const sp_value *value)
{
    return sp_formula_fail(failure, SP_FORMULA_TYPE, function, "%s is no number",
                           sp_value_kind_words(value));
}

static sp_formula_code set_number(sp_value *out, sp_rational number)
{
    *out = (sp_value){.kind = SP_VALUE_NUMBER, .number = number};
    return SP_FORMULA_OK;
}

static sp_formula_code call_ceil(const sp_value *args, size_t n_args, sp_value *out,
                                 sp_formula_failure *failure)
{
    (void)n_args;
    if (args->kind != SP_VALUE_NUMBER) return fail_argument(failure, "ceil", args);
    return set_number(out, sp_rational_ceil(args->number));
}

static sp_formula_code call_floor(const sp_value *args, size_t n_args, sp_value *out,
                                  sp_formula_failure *failure)
{
    (void)n_args;
    if (args->kind != SP_VALUE_NUMBER) return fail_argument(failure, "floor", args);
    return set_number(out, sp_rational_floor(args->number));
}

/* Toward zero. */
static sp_formula_code call_int(const sp_value *args, size_t n_args, sp_value *out,
                                sp_formula_failure *failure)
{
    (void)n_args;
    if (args->kind != SP_VALUE_NUMBER) return fail_argument(failure, "int", args);
    const sp_rational x = args->number;
    return set_number(out, x.num < 0 ? sp_rational_ceil(x) : sp_rational_floor(x));
}

/* ---- as the classes that read configurations round: they multiply doubles ---- */

/* The double next to x: 1536 * 5.833333333333333 is 8960 there, and just below it in decimals. */
static sp_value as_double(const sp_value *value)
{
    sp_rational near;
    size_t length = 0;
    char text[32];
    if (value->kind != SP_VALUE_NUMBER || value->number.den == 1) return *value;
    const double x = sp_rational_to_double(value->number);
    sp_format_double(x < 0 ? -x : x, text);
    if (sp_rational_scan(text, &length, &near) != SP_FORMULA_OK) return *value;
    return (sp_value){.kind = SP_VALUE_NUMBER, .number = x < 0 ? sp_rational_negate(near) : near};
}

static sp_formula_code call_double_ceil(const sp_value *args, size_t n_args, sp_value *out,
                                        sp_formula_failure *failure)
{
    const sp_value x = as_double(args);
    return call_ceil(&x, n_args, out, failure);
}

static sp_formula_code call_double_floor(const sp_value *args, size_t n_args, sp_value *out,
                                         sp_formula_failure *failure)
{
    const sp_value x = as_double(args);
    return call_floor(&x, n_args, out, failure);
}

static sp_formula_code call_double_int(const sp_value *args, size_t n_args, sp_value *out,
                                       sp_formula_failure *failure)
{
    const sp_value x = as_double(args);
    return call_int(&x, n_args, out, failure);
}

static sp_formula_code call_abs(const sp_value *args, size_t n_args, sp_value *out,
                                sp_formula_failure *failure)
{
    (void)n_args;
    if (args->kind != SP_VALUE_NUMBER) return fail_argument(failure, "abs", args);
    const sp_rational x = args->number;
    return set_number(out, x.num < 0 ? sp_rational_negate(x) : x);
}

/* ---- many numbers, or one list of them ---- */

static bool is_list(const sp_value *args, size_t n_args)
{
    return n_args == 1 && args->kind == SP_VALUE_JSON && sp_json_is_array(&args->json);
}

static size_t count_items(const sp_value *args, size_t n_args)
{
    return is_list(args, n_args) ? sp_json_size(&args->json) : n_args;
}

static sp_formula_code get_item(const sp_value *args, size_t n_args, size_t i, sp_value *item)
{
    *item = args[0];
    if (!is_list(args, n_args)) {
        *item = args[i];
        return SP_FORMULA_OK;
    }
    const sp_json element = sp_json_at(&args->json, i);
    return sp_value_of_json(&element, item);
}

/* The item of the smallest (sign 1) or largest (sign -1) value. */
static sp_formula_code pick(const char *function, int sign, const sp_value *args, size_t n_args,
                            sp_value *out, sp_formula_failure *failure)
{
    const size_t n = count_items(args, n_args);
    if (n == 0) return sp_formula_fail(failure, SP_FORMULA_ARITY, function, "the list is empty");
    sp_value best = {.kind = SP_VALUE_NONE}, item;
    for (size_t i = 0; i < n; i++) {
        const sp_formula_code code = get_item(args, n_args, i, &item);
        if (code != SP_FORMULA_OK) return code;
        if (item.kind != SP_VALUE_NUMBER) return fail_argument(failure, function, &item);
        if (i == 0 || sign * sp_rational_compare(item.number, best.number) < 0) best = item;
    }
    *out = best;
    return SP_FORMULA_OK;
}

static sp_formula_code call_min(const sp_value *args, size_t n_args, sp_value *out,
                                sp_formula_failure *failure)
{
    return pick("min", 1, args, n_args, out, failure);
}

static sp_formula_code call_max(const sp_value *args, size_t n_args, sp_value *out,
                                sp_formula_failure *failure)
{
    return pick("max", -1, args, n_args, out, failure);
}

/* The member args[1] of each object in the object args[0], args[2] where it is absent. */
static sp_formula_code sum_members(const sp_value *args, sp_value *out, sp_formula_failure *failure)
{
    sp_rational total = {0, 1};
    if (args[0].kind != SP_VALUE_JSON || args[1].kind != SP_VALUE_TEXT) {
        return sp_formula_fail(failure, SP_FORMULA_TYPE, "sum", "there are no objects with keys");
    }
    for (size_t i = 0; i < sp_json_size(&args[0].json); i++) {
        const sp_json object = sp_json_member(&args[0].json, i);
        const sp_json member = sp_json_get(&object, args[1].text);
        sp_value item = args[2];
        sp_formula_code code = SP_FORMULA_OK;
        if (member.node != NULL) code = sp_value_of_json(&member, &item);
        if (code != SP_FORMULA_OK) return code;
        if (item.kind != SP_VALUE_NUMBER) return fail_argument(failure, "sum", &item);
        code = sp_rational_add(total, item.number, &total);
        if (code != SP_FORMULA_OK) return code;
    }
    return set_number(out, total);
}

static sp_formula_code call_sum(const sp_value *args, size_t n_args, sp_value *out,
                                sp_formula_failure *failure)
{
    sp_rational total = {0, 1};
    sp_value item;
    if (n_args == 3) return sum_members(args, out, failure);
    if (!is_list(args, n_args)) {
        return sp_formula_fail(failure, SP_FORMULA_TYPE, "sum", "%s is no list",
                               sp_value_kind_words(args));
    }
    for (size_t i = 0; i < sp_json_size(&args->json); i++) {
        sp_formula_code code = get_item(args, 1, i, &item);
        if (code != SP_FORMULA_OK) return code;
        if (item.kind != SP_VALUE_NUMBER) return fail_argument(failure, "sum", &item);
        code = sp_rational_add(total, item.number, &total);
        if (code != SP_FORMULA_OK) return code;
    }
    return set_number(out, total);
}

static sp_formula_code call_len(const sp_value *args, size_t n_args, sp_value *out,
                                sp_formula_failure *failure)
{
    (void)n_args;
    return sp_value_length(args, out, failure);
}

static int64_t count_in_text(const char *text, const char *part)
{
    int64_t n = 0;
    if (part[0] == '\0') return 0;
    for (const char *at = text; (at = strstr(at, part)); at += strlen(part))
        n++;
    return n;
}

/* Some keys hold a number for all layers or a list of one for each. */
static sp_formula_code call_is_list(const sp_value *args, size_t n_args, sp_value *out,
                                    sp_formula_failure *failure)
{
    (void)failure;
    *out = sp_value_of_int(is_list(args, n_args));
    return SP_FORMULA_OK;
}

/* How many elements of the list count: all of them, or those before args[2]. */
static sp_formula_code count_end(const sp_value *args, size_t n_args, size_t *end,
                                 sp_formula_failure *failure)
{
    int64_t stated = 0;
    *end = sp_json_size(&args[0].json);
    if (n_args < 3) return SP_FORMULA_OK;
    if (!sp_value_as_int(&args[2], 0, INT32_MAX, &stated)) {
        return sp_formula_fail(failure, SP_FORMULA_TYPE, "count", "%s is no place in a list",
                               sp_value_kind_words(&args[2]));
    }
    if ((size_t)stated < *end) *end = (size_t)stated;
    return SP_FORMULA_OK;
}

/* How often the value stands in the list, or in its first elements, or the text in the text. */
static sp_formula_code call_count(const sp_value *args, size_t n_args, sp_value *out,
                                  sp_formula_failure *failure)
{
    int64_t n = 0;
    size_t end = 0;
    if (args[0].kind == SP_VALUE_TEXT && args[1].kind == SP_VALUE_TEXT) {
        n = count_in_text(args[0].text, args[1].text);
    } else if (is_list(args, 1)) {
        const sp_formula_code code = count_end(args, n_args, &end, failure);
        if (code != SP_FORMULA_OK) return code;
        for (size_t i = 0; i < end; i++) {
            sp_value item;
            if (get_item(args, 1, i, &item) == SP_FORMULA_OK) n += sp_value_equal(&item, &args[1]);
        }
    } else {
        return sp_formula_fail(failure, SP_FORMULA_TYPE, "count", "%s is no list",
                               sp_value_kind_words(args));
    }
    *out = sp_value_of_int(n);
    return SP_FORMULA_OK;
}

/* ---- the list ---- */

enum { ANY = SP_FORMULA_TEXT_MAX };

static const struct {
    const char *name;
    size_t least, most; /* arguments */
    body call;
    bool in_modules, in_configs;
} functions[] = {
    {"ceil",    1, 1,   call_ceil,         true,  false},
    {"floor",   1, 1,   call_floor,        true,  false},
    {"int",     1, 1,   call_int,          true,  false},
    {"ceil",    1, 1,   call_double_ceil,  false, true },
    {"floor",   1, 1,   call_double_floor, false, true },
    {"int",     1, 1,   call_double_int,   false, true },
    {"min",     1, ANY, call_min,          true,  true },
    {"max",     1, ANY, call_max,          true,  true },
    {"abs",     1, 1,   call_abs,          true,  true },
    {"len",     1, 1,   call_len,          false, true },
    {"sum",     1, 3,   call_sum,          false, true },
    {"count",   2, 3,   call_count,        false, true },
    {"is_list", 1, 1,   call_is_list,      false, true },
};

enum { N_FUNCTIONS = sizeof functions / sizeof functions[0] };

static bool is_known(int function, sp_formula_dialect dialect)
{
    return dialect == SP_FORMULA_CONFIG ? functions[function].in_configs
                                        : functions[function].in_modules;
}

int sp_function_find(sp_formula_dialect dialect, const char *name, size_t length)
{
    for (int i = 0; i < N_FUNCTIONS; i++) {
        if (!is_known(i, dialect)) continue;
        if (strlen(functions[i].name) == length && memcmp(functions[i].name, name, length) == 0) {
            return i;
        }
    }
    return -1;
}

const char *sp_function_name(int function)
{
    assert(function >= 0 && function < N_FUNCTIONS);
    return functions[function].name;
}

size_t sp_function_names(sp_formula_dialect dialect, const char *names[SP_FUNCTIONS_MAX])
{
    size_t n = 0;
    for (int i = 0; i < N_FUNCTIONS; i++) {
        if (is_known(i, dialect)) names[n++] = functions[i].name;
    }
    return n;
}

bool sp_function_takes(int function, size_t n_args)
{
    assert(function >= 0 && function < N_FUNCTIONS);
    return functions[function].least <= n_args && n_args <= functions[function].most;
}

sp_formula_code sp_function_call(int function, const sp_value *args, size_t n_args, sp_value *out,
                                 sp_formula_failure *failure)
{
    assert(sp_function_takes(function, n_args));
    const sp_formula_code code = functions[function].call(args, n_args, out, failure);
    if (code == SP_FORMULA_OVERFLOW) {
        sp_formula_fail(failure, code, functions[function].name,
                        "a number needs more than 127 bits");
    }
    return code;
}
