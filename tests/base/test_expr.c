/* SPDX-License-Identifier: Apache-2.0 */
/* Expressions: precedence, units, names beside comparisons, limits, and random expressions against
 * a direct evaluation. */
#include "base/base.h"

#include "random.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Variables tp pp mfu memory.peak schedule; the enumerators of schedule are gpipe 1f1b 2d. */
static const char *const variables[] = {"tp", "pp", "mfu", "memory.peak", "schedule"};
static const char *const schedules[] = {"gpipe", "1f1b", "2d"};
static const double values[] = {8, 4, 0.4, 70e9, 1};

static int resolve(void *user, const char *name, const char *context, double *constant,
                   sp_error *err)
{
    (void)user;
    for (int i = 0; i < 5; i++) {
        if (strcmp(variables[i], name) == 0) return i;
    }
    for (int i = 0; context && strcmp(context, "schedule") == 0 && i < 3; i++) {
        if (strcmp(schedules[i], name) != 0) continue;
        *constant = i;
        return -1;
    }
    sp_fail(err, SP_E_UNKNOWN_NAME, "no axis \"%s\"", name);
    sp_fail_names(err, name, variables, 5);
    return -2;
}

static double evaluate(const char *text)
{
    sp_arena arena = {0};
    sp_expr *expr = NULL;
    sp_error err = {0};
    assert_int_equal(sp_expr_parse(&arena, text, resolve, NULL, &expr, &err), SP_OK);
    assert_string_equal(sp_expr_text(expr), text);
    const double result = sp_expr_eval(expr, values);
    sp_arena_fini(&arena);
    return result;
}

static void check_refused(const char *text, sp_status status, const char *message)
{
    sp_arena arena = {0};
    sp_expr *expr = NULL;
    sp_error err = {0};
    assert_int_equal(sp_expr_parse(&arena, text, resolve, NULL, &expr, &err), status);
    assert_string_equal(err.message, message);
    assert_string_equal(err.value, text);
    assert_null(expr);
    sp_arena_fini(&arena);
}

static void arithmetic_binds_as_in_c(void **state)
{
    (void)state;
    assert_true(evaluate("1+2*3") == 7);
    assert_true(evaluate("(1+2)*3") == 9);
    assert_true(evaluate("10-4-3") == 3);
    assert_true(evaluate("64/4/2") == 8);
    assert_true(evaluate("-2*3") == -6);
    assert_true(evaluate("2*-3") == -6);
    assert_true(evaluate("7 % 4 * 2") == 6);
    assert_true(evaluate("--2") == 2);
    assert_true(evaluate(" tp * pp ") == 32);
    assert_true(evaluate("1.5e2") == 150);
}

static void comparisons_and_logic_yield_zero_or_one(void **state)
{
    (void)state;
    assert_true(evaluate("tp*pp<=32") == 1);
    assert_true(evaluate("tp*pp<32") == 0);
    assert_true(evaluate("tp==8 && pp==4") == 1);
    assert_true(evaluate("tp!=8 || pp>=5") == 0);
    assert_true(evaluate("1 || 0 && 0") == 1);
    assert_true(evaluate("!tp") == 0);
    assert_true(evaluate("!0 + 1") == 2);
    assert_true(evaluate("!(tp>100)") == 1);
    assert_true(evaluate("5 && 7") == 1);
    assert_true(evaluate("tp+1>pp*2 && mfu>0.3") == 1);
}

static void numbers_carry_units(void **state)
{
    (void)state;
    assert_true(evaluate("72GiB") == 77309411328.0);
    assert_true(evaluate("80GB") == 80e9);
    assert_true(evaluate("5%") == 0.05);
    assert_true(evaluate("3ms") == 0.003);
    assert_true(evaluate("2s") == 2);
    assert_true(evaluate("4h") == 14400);
    assert_true(evaluate("8k") == 8192);
    assert_true(evaluate("memory.peak<=72GiB") == 1);
    assert_true(evaluate("memory.peak == 70GB") == 1);
}

static void percent_and_remainder_are_told_apart(void **state)
{
    (void)state;
    assert_true(evaluate("8%3") == 2);
    assert_true(evaluate("8 % 3") == 2);
    assert_true(evaluate("tp%pp") == 0);
    assert_true(evaluate("9%(pp)") == 1);
    assert_true(evaluate("9%tp") == 1);
    assert_true(evaluate("mfu >= 35% && tp == 8") == 1);
    assert_true(evaluate("(50%)") == 0.5);
    assert_true(evaluate("50%*2") == 1);
    assert_true(evaluate("7.9 % 3") == 1); /* whole numbers */
}

static void dividing_by_zero_yields_infinity(void **state)
{
    (void)state;
    assert_true(evaluate("1/0") == (double)INFINITY);
    assert_true(evaluate("-1/0") == -(double)INFINITY);
    assert_true(evaluate("0/0") == (double)INFINITY);
    assert_true(evaluate("8%0 == 0") == 0);
    assert_true(evaluate("8%0.5") == (double)INFINITY);
    assert_true(evaluate("1/0 - 1/0 || 0") == 0); /* what is no number is not true */
}

static void names_of_values_are_found_on_both_sides_of_a_comparison(void **state)
{
    (void)state;
    assert_true(evaluate("schedule==1f1b") == 1);
    assert_true(evaluate("schedule == gpipe") == 0);
    assert_true(evaluate("schedule!=gpipe && tp==8") == 1);
    assert_true(evaluate("1f1b==schedule") == 1);
    assert_true(evaluate("gpipe==schedule") == 0);
    assert_true(evaluate("schedule==2d") == 0); /* the name, not two days */
    assert_true(evaluate("tp==2d") == 0);       /* two days */
    assert_true(evaluate("2d==172800") == 1);
    check_refused("gpipe==1", SP_E_UNKNOWN_NAME, "no axis \"gpipe\"");
    check_refused("schedule<gpipe", SP_E_UNKNOWN_NAME, "no axis \"gpipe\"");
    check_refused("schedule==1f1b && gpipe", SP_E_UNKNOWN_NAME, "no axis \"gpipe\"");
}

static void mistakes_are_named_with_their_column(void **state)
{
    (void)state;
    check_refused("", SP_E_SYNTAX, "the expression ends where a value is expected");
    check_refused("tp +", SP_E_SYNTAX, "the expression ends where a value is expected");
    check_refused("(tp", SP_E_SYNTAX, "the expression ends where \")\" is expected");
    check_refused("tp pp", SP_E_SYNTAX, "column 4: \"pp\" stands where an operator is expected");
    check_refused("tp * / pp", SP_E_SYNTAX, "column 6: \"/\" stands where a value is expected");
    check_refused("tp = 8", SP_E_SYNTAX, "column 4: write \"==\" instead of \"=\"");
    check_refused("tp & 8", SP_E_SYNTAX, "column 4: write \"&&\" instead of \"&\"");
    check_refused("1<tp<9", SP_E_SYNTAX, "column 5: write a<b && b<c instead of a<b<c");
    check_refused("tp<=9XB", SP_E_UNKNOWN_NAME, "column 6: there is no such unit");
    check_refused("\xe2\x82\xac", SP_E_SYNTAX,
                  "column 1: \"\xe2\x82\xac\" stands where a value is expected");
    check_refused("1e999", SP_E_OVERFLOW, "column 1: the number is too large");
    check_refused("TP==8", SP_E_SYNTAX, "column 1: \"T\" stands where a value is expected");
}

static void unknown_names_suggest_the_nearest(void **state)
{
    (void)state;
    sp_arena arena = {0};
    sp_expr *expr = NULL;
    sp_error err = {0};
    assert_int_equal(sp_expr_parse(&arena, "memory.paek<1", resolve, NULL, &expr, &err),
                     SP_E_UNKNOWN_NAME);
    assert_string_equal(err.nearest, "memory.peak");
    assert_int_equal(sp_expr_parse(&arena, "tp<1GIB", resolve, NULL, &expr, &err),
                     SP_E_UNKNOWN_NAME);
    assert_string_equal(err.nearest, "GiB");
    sp_arena_fini(&arena);
}

static void variables_are_listed_once_in_order(void **state)
{
    (void)state;
    sp_arena arena = {0};
    sp_expr *expr = NULL;
    sp_error err = {0};
    const int *indices = NULL;
    assert_int_equal(sp_expr_parse(&arena, "mfu*tp+mfu>pp/tp", resolve, NULL, &expr, &err), SP_OK);
    assert_int_equal(sp_expr_variables(expr, &indices), 3);
    assert_int_equal(indices[0], 0);
    assert_int_equal(indices[1], 1);
    assert_int_equal(indices[2], 2);
    assert_int_equal(sp_expr_parse(&arena, "1<2", resolve, NULL, &expr, &err), SP_OK);
    assert_int_equal(sp_expr_variables(expr, &indices), 0);
    sp_arena_fini(&arena);
}

/* `n` times `before`, then "1", then n times `after`. */
static sp_status parse_repeated(const char *before, const char *after, size_t n, double *result)
{
    sp_arena arena = {0};
    sp_text text = {0};
    sp_expr *expr = NULL;
    sp_error err = {0};
    for (size_t i = 0; i < n; i++)
        sp_text_add(&text, before);
    sp_text_add(&text, "1");
    for (size_t i = 0; i < n; i++)
        sp_text_add(&text, after);
    const sp_status status = sp_expr_parse(&arena, text.data, resolve, NULL, &expr, &err);
    if (status == SP_OK) *result = sp_expr_eval(expr, values);
    sp_text_fini(&text);
    sp_arena_fini(&arena);
    return status;
}

static void what_is_too_deep_or_too_long_is_refused(void **state)
{
    (void)state;
    double result = 0;
    assert_int_equal(parse_repeated("(", ")", 63, &result), SP_OK);
    assert_true(result == 1);
    assert_int_equal(parse_repeated("(", ")", 64, &result), SP_E_OVERFLOW);
    assert_int_equal(parse_repeated("(", ")", 100000, &result), SP_E_OVERFLOW);
    assert_int_equal(parse_repeated("!", "", 63, &result), SP_OK);
    assert_int_equal(parse_repeated("-", "", 100000, &result), SP_E_OVERFLOW);
    assert_int_equal(parse_repeated("1+(", ")", 31, &result), SP_OK); /* 32 values at once */
    assert_true(result == 32);
    assert_int_equal(parse_repeated("1+(", ")", 32, &result), SP_E_OVERFLOW);
    assert_int_equal(parse_repeated("", "+1", 127, &result), SP_OK); /* 128 values, 127 sums */
    assert_true(result == 128);
    assert_int_equal(parse_repeated("", "+1", 128, &result), SP_E_OVERFLOW);
}

static void long_names_are_refused(void **state)
{
    (void)state;
    char text[100];
    memset(text, 'n', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    sp_arena arena = {0};
    sp_expr *expr = NULL;
    sp_error err = {0};
    assert_int_equal(sp_expr_parse(&arena, text, resolve, NULL, &expr, &err), SP_E_UNKNOWN_NAME);
    text[0] = '1';
    assert_int_equal(sp_expr_parse(&arena, text, resolve, NULL, &expr, &err), SP_E_UNKNOWN_NAME);
    sp_arena_fini(&arena);
}

static void every_failing_allocation_is_said(void **state)
{
    (void)state;
    sp_arena arena = {0};
    sp_expr *expr = NULL;
    sp_error err = {0};
    sp_alloc_fail_at(1);
    assert_int_equal(sp_expr_parse(&arena, "tp<8", resolve, NULL, &expr, &err), SP_E_MEMORY);
    assert_int_equal(err.status, SP_E_MEMORY);
    sp_arena_fini(&arena);
}

/* Writes a random expression and computes what it means on the way. */
static double grow(sp_text *out, uint64_t *seed, int depth)
{
    static const char *const signs[] = {"+", "-", "*", "<", ">=", "==", "&&", "||"};
    if (depth == 0 || random_below(seed, 5) == 0) {
        const size_t i = random_below(seed, 8);
        if (i < 5) {
            sp_text_add(out, variables[i]);
            return values[i];
        }
        sp_text_printf(out, "%zu", i);
        return (double)i;
    }
    sp_text_add(out, "(");
    const double a = grow(out, seed, depth - 1);
    const size_t sign = random_below(seed, sizeof signs / sizeof signs[0]);
    sp_text_add(out, signs[sign]);
    const double b = grow(out, seed, depth - 1);
    sp_text_add(out, ")");
    const double results[] = {
        a + b, a - b, a * b, a < b, a >= b, a == b, a != 0 && b != 0, a != 0 || b != 0};
    return results[sign];
}

static void random_expressions_mean_what_c_says(void **state)
{
    (void)state;
    uint64_t seed = 9;
    for (int round = 0; round < 5000; round++) {
        sp_text text = {0};
        const double expected = grow(&text, &seed, 5);
        assert_true(evaluate(text.data) == expected);
        sp_text_fini(&text);
    }
}

static void mutated_expressions_are_read_or_refused_without_harm(void **state)
{
    (void)state;
    static const char alphabet[] = "tpmfu.0123456789e+-*/%!&|<>=() kGiBs\xc3\xff\n";
    static const char sample[] = "tp*pp<=8k && memory.peak <= 72GiB || !(schedule==1f1b) + 5%";
    uint64_t seed = 10;
    size_t n_read = 0, n_refused = 0;
    for (int round = 0; round < 50000; round++) {
        char text[sizeof sample];
        memcpy(text, sample, sizeof text);
        for (size_t i = 0; i <= random_below(&seed, 4); i++) {
            text[random_below(&seed, sizeof text - 1)] =
                alphabet[random_below(&seed, sizeof alphabet - 1)];
        }
        sp_arena arena = {0};
        sp_expr *expr = NULL;
        sp_error err = {0};
        const sp_status status = sp_expr_parse(&arena, text, resolve, NULL, &expr, &err);
        assert_int_equal(status, err.status);
        if (status == SP_OK) {
            sp_expr_eval(expr, values);
            n_read++;
        } else {
            assert_true(err.message[0] != '\0' && err.value[0] != '\0');
            n_refused++;
        }
        sp_arena_fini(&arena);
    }
    assert_true(n_read > 500 && n_refused > 500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arithmetic_binds_as_in_c),
        cmocka_unit_test(comparisons_and_logic_yield_zero_or_one),
        cmocka_unit_test(numbers_carry_units),
        cmocka_unit_test(percent_and_remainder_are_told_apart),
        cmocka_unit_test(dividing_by_zero_yields_infinity),
        cmocka_unit_test(names_of_values_are_found_on_both_sides_of_a_comparison),
        cmocka_unit_test(mistakes_are_named_with_their_column),
        cmocka_unit_test(unknown_names_suggest_the_nearest),
        cmocka_unit_test(variables_are_listed_once_in_order),
        cmocka_unit_test(what_is_too_deep_or_too_long_is_refused),
        cmocka_unit_test(long_names_are_refused),
        cmocka_unit_test(every_failing_allocation_is_said),
        cmocka_unit_test(random_expressions_mean_what_c_says),
        cmocka_unit_test(mutated_expressions_are_read_or_refused_without_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
