/* SPDX-License-Identifier: Apache-2.0 */
/* The expression engine without any data: precedence, both dialects, laziness, limits, messages,
 * and texts at random, which may be refused but never break anything. */
#include "formula/formula.h"

#include "common/draw.h"

#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const char config_text[] =
    "{\"a\": 5, \"b\": -3, \"half\": 0.5, \"tenth\": 0.1, \"none\": null, \"yes\": true, \"word\": "
    "\"sliding\","
    " \"pattern\": \"M-M*\", \"empty\": \"\", \"list\": [3, 1, 2, 1], \"words\": [\"full\", "
    "\"sliding\"],"
    " \"nested\": {\"deep\": {\"x\": 7}}, \"dotted.name\": 9, \"reals\": [0.5, -2.5, 1e-3, true, "
    "null, \"x\"], \"huge\": 9223372036854775807}";

/* The result as text: a number, a text in quotes, None, or the name of an error. */
static const char *evaluate(sp_formula_dialect dialect, const char *text)
{
    static char out[256];
    sp_arena arena = {0};
    sp_json_doc *doc = NULL;
    sp_error err = {0};
    const sp_formula *f = NULL;
    sp_value value = {.kind = SP_VALUE_NONE};
    assert_int_equal(sp_json_load_text(config_text, strlen(config_text), "config", &doc, &err),
                     SP_OK);
    sp_json root = sp_json_root(doc);
    sp_formula_code code = sp_formula_code_of(sp_formula_parse(&arena, dialect, text, &f, &err));
    if (code == SP_FORMULA_OK) {
        code = sp_formula_eval(f, &(sp_scope){sp_scope_json, &root}, &value, NULL);
    }
    if (code != SP_FORMULA_OK) {
        strcpy(out, sp_formula_code_name(code));
    } else if (value.kind == SP_VALUE_NUMBER) {
        sp_rational_format(value.number, out);
    } else if (value.kind == SP_VALUE_TEXT) {
        snprintf(out, sizeof out, "'%s'", value.text);
    } else {
        strcpy(out, sp_value_kind_words(&value));
    }
    sp_json_free(doc);
    sp_arena_fini(&arena);
    return out;
}

#define assert_config(text, expected)                                                              \
    assert_string_equal(evaluate(SP_FORMULA_CONFIG, text), expected)
#define assert_module(text, expected)                                                              \
    assert_string_equal(evaluate(SP_FORMULA_MODULE, text), expected)

static void arithmetic_is_that_of_python(void **state)
{
    (void)state;
    assert_module("1 + 2 * 3 - 4", "3");
    assert_module("(1 + 2) * 3", "9");
    assert_module("2 - 3 - 4", "-5");
    assert_module("16 / 4 / 2", "2");
    assert_module("-7 // 2", "-4");
    assert_module("7 // -2", "-4");
    assert_module("-7 % 3", "2");
    assert_module("7 % -3", "-2");
    assert_module("-2 ** 2", "-4");
    assert_module("2 ** -2", "1/4");
    assert_module("2 ** 3 ** 2", "512");
    assert_module("(2 / 3) ** 2", "4/9");
    assert_module("(1 / 2) ** -3", "8");
    assert_module("0 ** 0", "1");
    assert_module("0 ** -1", "div0");
    assert_module("7.5 // 2", "3");
    assert_module("7.5 % 2", "3/2");
    assert_module("- -3 + +2", "5");
    assert_module("1 + 1 < 3", "1");
    assert_module("1 / 3 > 1 / 4", "1");
    assert_module("1 < 2 < 3", "syntax");
}

static void decimals_are_what_they_say(void **state)
{
    (void)state;
    assert_module("0.1 + 0.2", "3/10");
    assert_module("0.29 * 100", "29");
    assert_module("1.50e1", "15");
    assert_module("25e-2", "1/4");
    assert_module("0e99", "0");
    assert_config("tenth * 3", "3/10");
    assert_config("half * -2", "-1");
    assert_config("huge + 1", "9223372036854775808");
}

static void results_are_exact_or_an_overflow(void **state)
{
    (void)state;
    assert_module("2 ** 64 * 2 ** 62", "85070591730234615865843651857942052864");
    assert_module("2 ** 64 * 2 ** 63", "overflow");
    assert_module("-(2 ** 64) * 2 ** 62 * 2", "overflow");
    assert_module("2 ** 64 * (2 ** 62 / 2 ** 62) * 2", "36893488147419103232");
    assert_module("(2 ** 64 * 2 ** 62) / (2 ** 64 * 2 ** 62) - 1", "0");
    assert_module("170141183460469231731687303715884105727",
                  "170141183460469231731687303715884105727");
    assert_module("170141183460469231731687303715884105728", "overflow");
    assert_module("1e39", "overflow");
    assert_module("1e-39", "overflow");
    assert_module("2 ** 65", "pow");
    assert_module("2 ** 0.5", "pow");
    /* Comparing needs products of 190 bits, or none. */
    assert_module("(2 ** 64 - 1) / (2 ** 63 + 1) < (2 ** 64 - 3) / (2 ** 63 - 1)", "1");
    assert_module("2 ** 62 / (2 ** 62 * 2 ** 62 + 1) < 1 / 2 ** 62", "1");
}

static void functions_round_and_choose(void **state)
{
    (void)state;
    assert_module("ceil(7 / 2) + floor(7 / 2)", "7");
    assert_module("ceil(-7 / 2) * 10 + floor(-7 / 2)", "-34");
    assert_module("int(7 / 2) - int(-7 / 2)", "6");
    assert_module("abs(-3 / 4)", "3/4");
    assert_module("min(3, 1 / 2, 2) + max(3, 1 / 2, 2)", "7/2");
    assert_module("min()", "arity");
    assert_module("ceil(1, 2)", "arity");
    assert_module("len(3)", "unknown_function");
    assert_module("0 if 1 else foo(3)", "0");
}

static void braces_dollars_and_bare_names_are_one_variable(void **state)
{
    (void)state;
    assert_module("a + {a} + ${a} + {{a}} + {a * 2}", "30");
    assert_module("{{a} + b} * 2", "4");
    assert_module("${a + 1}", "syntax");
    assert_module("{a", "syntax");
    assert_module("$a", "syntax");
    assert_module("nested.deep.x + dotted.name", "16");
    assert_module("{nested.deep.x}", "7");
    assert_module("a.(3)", "syntax");
}

static void both_spellings_of_a_reference_are_found(void **state)
{
    (void)state;
    sp_arena arena = {0};
    sp_error err = {0};
    const sp_formula *f = NULL;
    const sp_formula_ref *refs = NULL;
    const char *text = "3 * ${pkg.Linear}(a, 2 * b) + {x.Y}(n={c}, {m} = 1) + ${{Z}}() + ${n}";
    assert_int_equal(sp_formula_parse(&arena, SP_FORMULA_MODULE, text, &f, &err), SP_OK);
    assert_int_equal(sp_formula_refs(f, &refs), 3);
    assert_string_equal(refs[0].class_name, "pkg.Linear");
    assert_int_equal(refs[0].n_args, 2);
    assert_null(refs[0].arg_names[1]);
    assert_string_equal(refs[1].class_name, "x.Y");
    assert_int_equal(refs[1].n_named, 2);
    assert_string_equal(refs[1].arg_names[0], "n");
    assert_string_equal(refs[1].arg_names[1], "m");
    assert_string_equal(refs[2].class_name, "Z");
    assert_int_equal(refs[2].n_args, 0);
    const char *const *names = NULL;
    assert_int_equal(sp_formula_names(f, &names), 4);
    assert_string_equal(names[2], "c");
    assert_string_equal(names[3], "n");
    sp_arena_fini(&arena);
    assert_module("${pkg.Linear}(a)", "unresolved_ref");
    assert_module("0 if 1 else ${pkg.Linear}(a)", "0");
    assert_module("${L}(n=1, 2)", "syntax");
    assert_module("{foo}(3)", "syntax");
}

static void only_the_taken_branch_is_read(void **state)
{
    (void)state;
    assert_module("1 if a else missing", "1");
    assert_module("missing if 0 else 2", "2");
    assert_module("1 if 0 else 2 if 0 else 3", "3");
    assert_module("(1 if 0 else 2) + (3 if 1 else 4) * 10", "32");
    assert_module("1 if (0 if 1 else 1) else 2", "2");
    assert_module("a * (5 if 1 else 4) if 0 else a * (2 if b else 1)", "10");
    assert_module("0 * (1 / 0)", "div0");
    assert_config("none == None or missing", "1");
    assert_config("none and missing", "None");
}

static void logic_returns_operands(void **state)
{
    (void)state;
    assert_config("none or a", "5");
    assert_config("0 or empty or None", "None");
    assert_config("a and word", "'sliding'");
    assert_config("empty and a", "''");
    assert_config("not none", "1");
    assert_config("not a == 5", "0");
    assert_config("not yes or 2", "2");
    assert_config("1 or 0 and missing", "1");
    assert_config("none if none != None else word == 'sliding' and \"x\"", "'x'");
    assert_module("1 and 2", "syntax");
    assert_module("not 1", "syntax");
}

static void lists_texts_and_objects_can_be_asked(void **state)
{
    (void)state;
    assert_config("list[0] * 100 + list[-1]", "301");
    assert_config("list[a - 3]", "2");
    assert_config("list[4]", "unbound");
    assert_config("list[half]", "type");
    assert_config("pattern[3]", "'*'");
    assert_config("pattern[1] == '-'", "1");
    assert_config("nested['deep'].x", "syntax");
    assert_config("nested['deep']['x']", "7");
    assert_config("nested['none']", "unbound");
    assert_config("len(list) + len(pattern) + len(nested)", "9");
    assert_config("sum(list) + max(list) + min(list)", "11");
    assert_config("sum(nested, 'x', 0) * 10 + sum(nested, 'y', 2)", "72");
    assert_config("count(list, 1) * 10 + count(pattern, 'M')", "22");
    assert_config("2 in list", "1");
    assert_config("5 not in list", "1");
    assert_config("'full' in words and 'none' not in words", "1");
    assert_config("'deep' in nested", "1");
    assert_config("'*' in pattern", "1");
    assert_config("1 in 2", "type");
    assert_config("list", "a list");
    assert_config("word[99]", "unbound");
    assert_config("reals[0] + reals[1] + reals[2] + reals[3]", "-999/1000");
    assert_config("None in reals and 'x' in reals", "1");
    assert_config("reals[4]", "None");
}

static void kinds_that_do_not_fit_are_errors(void **state)
{
    (void)state;
    assert_config("word + 1", "type");
    assert_config("none * 2", "type");
    assert_config("none < 2", "type");
    assert_config("-word", "type");
    assert_config("word == 5", "0");
    assert_config("none != 0", "1");
    assert_config("ceil(word)", "type");
    assert_config("sum(words)", "type");
    assert_config("sum(nested, 5, 0)", "type");
    assert_config("sum(nested, 'y', word)", "type");
    assert_config("len(5)", "type");
    assert_config("missing", "unbound");
    assert_config("foo(1)", "unknown_function");
    assert_config("len(list, 1)", "arity");
}

/* `before`, then `part` n times, then `after`. */
static const char *repeated(sp_text *text, const char *before, const char *part, size_t n,
                            const char *after)
{
    text->length = 0;
    sp_text_add(text, before);
    for (size_t i = 0; i < n; i++)
        sp_text_add(text, part);
    sp_text_add(text, after);
    return text->data;
}

static void nesting_and_length_are_bounded(void **state)
{
    (void)state;
    sp_text text = {0};
    assert_module(repeated(&text, "0", "+(0", 300, ""), "depth");
    assert_module(repeated(&text, "", "(", 300, "1"), "depth");
    assert_module(repeated(&text, "", "-", 300, "1"), "depth");
    assert_module(repeated(&text, "", "-", 255, "1"), "-1");
    assert_module(repeated(&text, "", "1**", 300, "1"), "depth");
    assert_module(repeated(&text, "", "1 if 0 else ", 300, "1"), "depth");
    assert_module(repeated(&text, "1", " + 1", 4000, ""), "4001");
    assert_module(repeated(&text, "1", " + 1", 5000, ""), "depth");
    assert_module(repeated(&text, "max(1", ", 1", 200, ")"), "1");
    assert_module(repeated(&text, "max(1", ", 1", 2000, ")"), "depth");
    assert_config(repeated(&text, "", "not ", 300, "1"), "depth");
    sp_text_fini(&text);
}

static void check_message(sp_formula_dialect dialect, const char *text, const char *message)
{
    sp_arena arena = {0};
    sp_error err = {0};
    const sp_formula *f = NULL;
    assert_int_not_equal(sp_formula_parse(&arena, dialect, text, &f, &err), SP_OK);
    assert_string_equal(err.message, message);
    sp_arena_fini(&arena);
}

static void messages_name_the_column(void **state)
{
    (void)state;
    check_message(SP_FORMULA_MODULE, "1 + ", "the formula ends where a value is expected");
    check_message(SP_FORMULA_MODULE, "1 2", "column 3: \"2\" stands where an operator is expected");
    check_message(SP_FORMULA_MODULE, "(1 + 2", "the formula ends where \")\" is expected");
    check_message(SP_FORMULA_MODULE, "a \xc3\xa4",
                  "column 3: \"\xc3\xa4\" stands where an operator is expected");
    check_message(SP_FORMULA_MODULE, "1 if 2", "the formula ends where \"else\" is expected");
    check_message(SP_FORMULA_CONFIG, "a < b < c", "column 7: two comparisons in a row");
    check_message(SP_FORMULA_CONFIG, "a = b",
                  "column 3: \"=\" stands where an operator is expected");
    check_message(SP_FORMULA_CONFIG, "1 + mx(2)", "column 5: there is no such function");
    check_message(SP_FORMULA_CONFIG, "{a}", "column 1: \"{\" stands where a value is expected");
    check_message(SP_FORMULA_CONFIG, "'a", "column 1: \"'\" stands where a value is expected");
}

static void a_failure_names_what_it_is_about(void **state)
{
    (void)state;
    sp_arena arena = {0};
    sp_error err = {0};
    const sp_formula *f = NULL;
    sp_formula_failure failure = {0};
    sp_value value;
    assert_int_equal(sp_formula_parse(&arena, SP_FORMULA_CONFIG, "1 + lost", &f, &err), SP_OK);
    assert_int_equal(sp_formula_eval(f, NULL, &value, &failure), SP_FORMULA_UNBOUND);
    assert_string_equal(failure.name, "lost");
    assert_string_equal(failure.detail, "a variable has no value");
    assert_int_equal(sp_formula_parse(&arena, SP_FORMULA_CONFIG, "2 * None", &f, &err), SP_OK);
    assert_int_equal(sp_formula_eval(f, NULL, &value, &failure), SP_FORMULA_TYPE);
    assert_string_equal(failure.detail, "\"*\" between a number and None");
    sp_arena_fini(&arena);
}

static void one_compilation_serves_many_bindings(void **state)
{
    (void)state;
    sp_arena arena = {0};
    sp_error err = {0};
    const sp_formula *f = NULL;
    assert_int_equal(sp_formula_parse(&arena, SP_FORMULA_MODULE, "2 * n * k if k else n", &f, &err),
                     SP_OK);
    for (int64_t n = 0; n < 100; n++) {
        /* k, the condition, is used first. */
        const sp_value values[] = {sp_value_of_int(n % 3), sp_value_of_int(n)};
        sp_value out;
        assert_int_equal(sp_formula_eval_values(f, values, &out, NULL), SP_FORMULA_OK);
        assert_true(out.number.num == (n % 3 ? 2 * n * (n % 3) : n));
    }
    sp_arena_fini(&arena);
}

static void texts_at_random_break_nothing(void **state)
{
    (void)state;
    static const char *const parts[] = {
        "a",      "list",  "word", "{",     "}",  "${",   "(",   ")",   "[",   "]",    ",",
        "=",      "==",    "<",    "+",     "-",  "*",    "**",  "/",   "//",  "%",    " if ",
        " else ", " and ", " or ", " not ", "in", "1",    "2.5", "1e9", "max", "ceil", "x.Y",
        "'t'",    "None",  " ",    "$",     "#",  "\xc3", "_",   "."};
    draw d = draw_begin("texts at random break nothing");
    for (int i = 0; i < 40000; i++) {
        char text[256] = "";
        const uint32_t n = draw_between(&d, 1, 24);
        for (uint32_t k = 0; k < n; k++)
            strcat(text, parts[draw_between(&d, 0, sizeof parts / sizeof parts[0] - 1)]);
        assert_non_null(evaluate(draw_coin(&d) ? SP_FORMULA_MODULE : SP_FORMULA_CONFIG, text));
    }
}

static void no_memory_is_an_error(void **state)
{
    (void)state;
    sp_status status = SP_E_MEMORY;
    for (uint64_t n = 1; status != SP_OK; n++) {
        sp_arena arena = {0};
        sp_error err = {0};
        const sp_formula *f = NULL;
        sp_alloc_fail_at(n);
        status = sp_formula_parse(&arena, SP_FORMULA_MODULE, "1 + a * ${b.C}(d=2)", &f, &err);
        assert_true(status == SP_OK || status == SP_E_MEMORY);
        assert_true(n < 50);
        sp_arena_fini(&arena);
    }
    sp_alloc_fail_at(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arithmetic_is_that_of_python),
        cmocka_unit_test(decimals_are_what_they_say),
        cmocka_unit_test(results_are_exact_or_an_overflow),
        cmocka_unit_test(functions_round_and_choose),
        cmocka_unit_test(braces_dollars_and_bare_names_are_one_variable),
        cmocka_unit_test(both_spellings_of_a_reference_are_found),
        cmocka_unit_test(only_the_taken_branch_is_read),
        cmocka_unit_test(logic_returns_operands),
        cmocka_unit_test(lists_texts_and_objects_can_be_asked),
        cmocka_unit_test(kinds_that_do_not_fit_are_errors),
        cmocka_unit_test(nesting_and_length_are_bounded),
        cmocka_unit_test(messages_name_the_column),
        cmocka_unit_test(a_failure_names_what_it_is_about),
        cmocka_unit_test(one_compilation_serves_many_bindings),
        cmocka_unit_test(texts_at_random_break_nothing),
        cmocka_unit_test(no_memory_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
