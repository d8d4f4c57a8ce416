/* SPDX-License-Identifier: Apache-2.0 */
/* JSON read without a tree: what it takes and refuses, and that no cut text passes. */
#include "base/base.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static bool skips(const char *text, size_t length)
{
    sp_json_pull p = sp_json_pull_begin(text, length);
    return sp_json_pull_skip(&p) && sp_json_pull_end(&p);
}

static void members_and_elements_come_in_order(void **state)
{
    (void)state;
    static const char text[] = " {\"a\" : [1, 2 ,3], \"b\":{}, \"c\":\"x\"} ";
    sp_json_pull p = sp_json_pull_begin(text, sizeof text - 1);
    sp_text word = {0};
    uint64_t n = 0, sum = 0;
    assert_true(sp_json_pull_enter(&p, '{'));
    assert_true(sp_json_pull_more(&p, '}') && sp_json_pull_key(&p, &word));
    assert_string_equal(word.data, "a");
    assert_true(sp_json_pull_enter(&p, '['));
    while (sp_json_pull_more(&p, ']') && sp_json_pull_u64(&p, &n))
        sum = 10 * sum + n;
    assert_int_equal(sum, 123);
    assert_true(sp_json_pull_more(&p, '}') && sp_json_pull_key(&p, &word) && sp_json_pull_skip(&p));
    assert_true(sp_json_pull_more(&p, '}') && sp_json_pull_key(&p, &word));
    assert_string_equal(word.data, "c");
    assert_true(sp_json_pull_string(&p, &word));
    assert_string_equal(word.data, "x");
    assert_false(sp_json_pull_more(&p, '}'));
    assert_true(sp_json_pull_end(&p));
    assert_null(p.complaint);
    sp_text_fini(&word);
}

static void escapes_become_characters(void **state)
{
    (void)state;
    static const char text[] = "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\u00e9\\u20AC\\uD83D\\ude00\"";
    sp_json_pull p = sp_json_pull_begin(text, sizeof text - 1);
    sp_text word = {0};
    assert_true(sp_json_pull_string(&p, &word));
    assert_string_equal(word.data, "\"\\/\b\f\n\r\tA\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80");
    sp_text_fini(&word);
}

static void what_is_not_json_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",
                                        "{",
                                        "[1 2]",
                                        "[1,]",
                                        "{\"a\":1,}",
                                        "{\"a\" 1}",
                                        "{a:1}",
                                        "{1:1}",
                                        "[1}",
                                        "tru",
                                        "nul",
                                        "+1",
                                        "-",
                                        "1.",
                                        ".5",
                                        "1e",
                                        "\"",
                                        "\"\\x\"",
                                        "\"\\u12\"",
                                        "\"\\uD800\"",
                                        "\"\\uDC00\"",
                                        "\"\\uD800\\u0041\"",
                                        "\"\\u0000\"",
                                        "\"\n\"",
                                        "\"\xFF\"",
                                        "1 1",
                                        "{} {}",
                                        "[,1]",
                                        "\"\\",
                                        "NaN"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        if (skips(wrong[i], strlen(wrong[i]))) fail_msg("passes: %s", wrong[i]);
    }
}

static void whole_numbers_have_64_bits(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "18446744073709551616", "99999999999999999999999", "01", "1.0", "1e3", "-1", "x"};
    uint64_t n = 0;
    sp_json_pull p = sp_json_pull_begin("18446744073709551615", 20);
    assert_true(sp_json_pull_u64(&p, &n));
    assert_true(n == UINT64_MAX);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        p = sp_json_pull_begin(wrong[i], strlen(wrong[i]));
        if (sp_json_pull_u64(&p, &n)) fail_msg("passes: %s", wrong[i]);
    }
}

static void nesting_has_an_end(void **state)
{
    (void)state;
    sp_text text = {0};
    for (int i = 0; i < 512; i++)
        sp_text_add(&text, "[");
    for (int i = 0; i < 512; i++)
        sp_text_add(&text, "]");
    assert_true(skips(text.data, text.length));
    text.length = 0;
    for (int i = 0; i < 100000; i++)
        sp_text_add(&text, "[");
    assert_false(skips(text.data, text.length));
    sp_text_fini(&text);
}

static void no_beginning_of_a_text_passes_for_it(void **state)
{
    (void)state;
    static const char text[] =
        "{\"a\": [1, -2.5e+3, true, null, \"\\u20AC\\uD83D\\uDE00\xC3\xA9\"], \"b\": {\"c\": {}}}";
    assert_true(skips(text, sizeof text - 1));
    for (size_t n = 0; n < sizeof text - 1; n++) {
        char copy[sizeof text]; /* so that a sanitizer sees a read behind the end */
        memcpy(copy + sizeof copy - n - 1, text, n);
        if (skips(copy + sizeof copy - n - 1, n)) fail_msg("the first %zu bytes pass", n);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_and_elements_come_in_order),
        cmocka_unit_test(escapes_become_characters),
        cmocka_unit_test(what_is_not_json_is_refused),
        cmocka_unit_test(whole_numbers_have_64_bits),
        cmocka_unit_test(nesting_has_an_end),
        cmocka_unit_test(no_beginning_of_a_text_passes_for_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
