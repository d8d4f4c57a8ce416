/* SPDX-License-Identifier: Apache-2.0 */
/* Writing JSON: the exact layout, escapes, and that whatever is written can be read again. */
#include "base/base.h"

#include "random.h"

#include <math.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void the_layout_is_two_spaces_and_compact_parts_stay_on_a_line(void **state)
{
    (void)state;
    sp_text out = {0};
    sp_json_writer w;
    sp_jw_init(&w, &out);
    sp_jw_open_object(&w, NULL);
    sp_jw_string(&w, "name", "a");
    sp_jw_open_object(&w, "empty");
    sp_jw_close_object(&w);
    sp_jw_open_array(&w, "list");
    sp_jw_u64(&w, NULL, UINT64_MAX);
    sp_jw_i64(&w, NULL, INT64_MIN);
    sp_jw_close_array(&w);
    sp_jw_open_object_compact(&w, "axes");
    sp_jw_u64(&w, "tp", 8);
    sp_jw_open_array(&w, "pp");
    sp_jw_double(&w, NULL, 0.5);
    sp_jw_bool(&w, NULL, true);
    sp_jw_open_array_compact(&w, NULL);
    sp_jw_close_array(&w);
    sp_jw_close_array(&w);
    sp_jw_raw(&w, "raw", "{\"x\":1}");
    sp_jw_close_object(&w);
    sp_jw_string(&w, "last", NULL);
    sp_jw_close_object(&w);
    assert_string_equal(out.data,
                        "{\n"
                        "  \"name\": \"a\",\n"
                        "  \"empty\": {},\n"
                        "  \"list\": [\n"
                        "    18446744073709551615,\n"
                        "    -9223372036854775808\n"
                        "  ],\n"
                        "  \"axes\": {\"tp\": 8, \"pp\": [0.5, true, []], \"raw\": {\"x\":1}},\n"
                        "  \"last\": null\n"
                        "}");
    sp_text_fini(&out);
}

static void check_string(const char *value, const char *expected)
{
    sp_text out = {0};
    sp_json_writer w;
    sp_jw_init(&w, &out);
    sp_jw_string(&w, NULL, value);
    assert_string_equal(out.data, expected);
    sp_text_fini(&out);
}

static void strings_are_escaped_and_always_utf_8(void **state)
{
    (void)state;
    check_string("a\"b\\c/\n\r\t", "\"a\\\"b\\\\c/\\n\\r\\t\"");
    check_string("\x01\x1f\x7f", "\"\\u0001\\u001f\x7f\"");
    check_string("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80",
                 "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"");
    check_string("\xff-\xc3", "\"\xef\xbf\xbd-\xef\xbf\xbd\""); /* stray and cut off */
    check_string("\xc0\xaf", "\"\xef\xbf\xbd\xef\xbf\xbd\"");   /* longer than needed */
    check_string("\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""); /* a surrogate */
}

static void check_double(double value, const char *expected)
{
    sp_text out = {0};
    sp_json_writer w;
    sp_jw_init(&w, &out);
    sp_jw_double(&w, NULL, value);
    assert_string_equal(out.data, expected);
    sp_text_fini(&out);
}

static void numbers_that_json_lacks_are_null(void **state)
{
    (void)state;
    check_double((double)NAN, "null");
    check_double((double)INFINITY, "null");
    check_double(-(double)INFINITY, "null");
    check_double(-0.0, "0");
    check_double(0.1, "0.1");
    check_double(1e21, "1e+21");
}

static void random_strings_and_numbers_read_back_the_same(void **state)
{
    (void)state;
    uint64_t seed = 7;
    for (int round = 0; round < 3000; round++) {
        char given[20] = "";
        const size_t length = random_below(&seed, sizeof given);
        for (size_t i = 0; i < length; i++)
            given[i] = (char)(1 + random_below(&seed, 127));
        const double x = (double)random_u64(&seed) / 3e10;
        sp_text out = {0};
        sp_json_writer w;
        sp_jw_init(&w, &out);
        sp_jw_open_array(&w, NULL);
        sp_jw_string(&w, NULL, given);
        sp_jw_double(&w, NULL, x);
        sp_jw_close_array(&w);
        sp_json_doc *doc = NULL;
        sp_error err = {0};
        assert_int_equal(sp_json_load_text(out.data, out.length, "out", &doc, &err), SP_OK);
        const sp_json root = sp_json_root(doc);
        const sp_json first = sp_json_at(&root, 0), second = sp_json_at(&root, 1);
        const char *text = NULL;
        double back = 0;
        assert_int_equal(sp_json_as_string(&first, &text, &err), SP_OK);
        assert_int_equal(sp_json_as_double(&second, -1e300, 1e300, &back, &err), SP_OK);
        assert_string_equal(text, given);
        assert_true(back == x);
        sp_json_free(doc);
        sp_text_fini(&out);
    }
}

static void any_bytes_make_a_string_that_can_be_read(void **state)
{
    (void)state;
    uint64_t seed = 8;
    for (int round = 0; round < 5000; round++) {
        char given[12] = "";
        for (size_t i = 0; i + 1 < sizeof given; i++) {
            /* mostly lead and continuation bytes, so that most UTF-8 rules are met */
            given[i] = (char)(random_below(&seed, 4) == 0 ? 1 + random_below(&seed, 255)
                                                          : 0x80 + random_below(&seed, 0x80));
        }
        sp_text out = {0};
        sp_json_writer w;
        sp_jw_init(&w, &out);
        sp_jw_open_object_compact(&w, NULL);
        sp_jw_bool(&w, given, false);
        sp_jw_close_object(&w);
        sp_json_doc *doc = NULL;
        sp_error err = {0};
        assert_int_equal(sp_json_load_text(out.data, out.length, "out", &doc, &err), SP_OK);
        sp_json_free(doc);
        sp_text_fini(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_layout_is_two_spaces_and_compact_parts_stay_on_a_line),
        cmocka_unit_test(strings_are_escaped_and_always_utf_8),
        cmocka_unit_test(numbers_that_json_lacks_are_null),
        cmocka_unit_test(random_strings_and_numbers_read_back_the_same),
        cmocka_unit_test(any_bytes_make_a_string_that_can_be_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
