/* SPDX-License-Identifier: Apache-2.0 */
/* JSON5 becomes the JSON that json5.org says it stands for, line for line, and what is no JSON5 is
 * refused where it stands. */
#include "base/base.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void assert_becomes(const char *json5, const char *json)
{
    sp_error err = {0};
    sp_text out = {0};
    if (sp_json5_to_json(json5, strlen(json5), "x.json5", &out, &err) != SP_OK) {
        fail_msg("%s: line %d: %s", json5, err.line, err.message);
    }
    assert_string_equal(out.data, json);
    sp_text_fini(&out);
}

static void assert_refused(const char *json5, int line, const char *why)
{
    sp_error err = {0};
    sp_text out = {0};
    if (sp_json5_to_json(json5, strlen(json5), "x.json5", &out, &err) != SP_E_SYNTAX) {
        fail_msg("%s was taken", json5);
    }
    assert_int_equal(err.line, line);
    assert_string_equal(err.file, "x.json5");
    assert_non_null(strstr(err.message, why));
    sp_text_fini(&out);
}

static void json_stays_as_it_is(void **state)
{
    static const char json[] = "{\"a\": [1, -2.5e-3, true, null, \"x\\n\\u00e9\"],\n \"b\": {}}";
    (void)state;
    assert_becomes(json, json);
}

static void comments_become_a_space_and_keep_their_lines(void **state)
{
    (void)state;
    assert_becomes("[1, // one\n2]", "[1,  \n2]");
    assert_becomes("[1/* a\nb\n*/, 2]", "[1 \n\n, 2]");
    assert_becomes("// only\n{}", " \n{}");
    assert_becomes("{} // no line end", "{}  ");
    assert_becomes("[\"// no comment\", '/* nor this */']",
                   "[\"// no comment\", \"/* nor this */\"]");
}

static void bare_keys_get_quotes(void **state)
{
    (void)state;
    assert_becomes("{a: 1, $b_2: 2, \xc3\xa9t\xc3\xa9 : 3}",
                   "{\"a\": 1, \"$b_2\": 2, \"\xc3\xa9t\xc3\xa9\" : 3}");
    assert_becomes("{null: null, true /* yes */ : true}", "{\"null\": null, \"true\"   : true}");
    assert_becomes("{Infinity: 1}", "{\"Infinity\": 1}");
}

static void trailing_commas_go(void **state)
{
    (void)state;
    assert_becomes("[1, 2,]", "[1, 2 ]");
    assert_becomes("{a: [1,], // end\n}", "{\"a\": [1 ]   \n}");
    /* These are no JSON5 either; the JSON reader refuses them. */
    assert_becomes("[,]", "[,]");
    assert_becomes("[1,,]", "[1,,]");
}

static void single_quotes_become_double_ones(void **state)
{
    (void)state;
    assert_becomes("'it\\'s'", "\"it's\"");
    assert_becomes("'say \"hi\"'", "\"say \\\"hi\\\"\"");
    assert_becomes("\"it's\"", "\"it's\"");
    assert_becomes("'\\x41\\v\\0\\q\\\\'", "\"\\u0041\\u000b\\u0000q\\\\\"");
}

/* The line end follows its string, so that the next token stands in its line. */
static void joined_lines_stay_counted(void **state)
{
    (void)state;
    assert_becomes("['a\\\nb',\nc]", "[\"ab\"\n,\nc]");
    assert_becomes("'a\\\r\nb'", "\"ab\"\n");
}

static void numbers_become_those_of_json(void **state)
{
    (void)state;
    assert_becomes("[.5, 5., -.25, +1, 1.e3]", "[0.5, 5.0, -0.25, 1, 1.0e3]");
    assert_becomes("[0x1F, -0xff, +0X0, 0x1FFFFFFFFFFFFF]", "[31, -255, 0, 9007199254740991]");
}

static void other_white_space_becomes_a_space(void **state)
{
    (void)state;
    assert_becomes("\xef\xbb\xbf[1,\v2,\f\xc2\xa0"
                   "3]",
                   " [1, 2,  3]");
}

static void what_is_no_json5_is_refused_where_it_stands(void **state)
{
    (void)state;
    assert_refused("{\n/* open", 2, "comment");
    assert_refused("{\n/* a\n\n", 2, "comment");
    assert_refused("[\n\n'open]", 3, "no end");
    assert_refused("['a\nb']", 1, "no end in its line");
    assert_refused("['\\x4']", 1, "two hexadecimal");
    assert_refused("['\\07']", 1, "octal");
    assert_refused("['\\8']", 1, "escape");
    assert_refused("[\n1,\nInfinity]", 3, "finite");
    assert_refused("[-NaN]", 1, "finite");
    assert_refused("[0x]", 1, "hexadecimal");
    assert_refused("[0x12G]", 1, "hexadecimal");
    assert_refused("[+]", 1, "digit");
    assert_refused("[.]", 1, "digit");
}

/* The JSON reader names the line of the file that the person wrote. */
static void a_wrong_value_is_told_with_its_line(void **state)
{
    char folder[] = "/tmp/shardplan-json5-XXXXXX", path[64];
    static const char json5[] = "// a machine\n{\n  power: 'a lot', /* W\n */\n  cores: 8,\n}\n";
    sp_error err = {0};
    sp_json_doc *doc = NULL;
    double power = 0.0;
    uint64_t cores = 0;
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/own.json5", folder);
    assert_int_equal(sp_file_write(path, json5, strlen(json5), &err), SP_OK);
    assert_int_equal(sp_json_load_file(path, &doc, &err), SP_OK);
    const sp_json root = sp_json_root(doc);
    assert_int_equal(sp_json_u64(&root, "cores", 1, 4, &cores, &err), SP_E_RANGE);
    assert_int_equal(err.line, 5);
    assert_int_equal(sp_json_double(&root, "power", 0.0, 1.0, &power, &err), SP_E_TYPE);
    assert_int_equal(err.line, 3);
    sp_json_free(doc);
    unlink(path);
    rmdir(folder);
}

static void memory_that_runs_out_is_reported(void **state)
{
    sp_error err = {0};
    sp_text out = {0};
    (void)state;
    sp_alloc_fail_at(1);
    assert_int_equal(sp_json5_to_json("{a: 1}", 6, "x.json5", &out, &err), SP_E_MEMORY);
    sp_alloc_fail_at(0);
    sp_text_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_stays_as_it_is),
        cmocka_unit_test(comments_become_a_space_and_keep_their_lines),
        cmocka_unit_test(bare_keys_get_quotes),
        cmocka_unit_test(trailing_commas_go),
        cmocka_unit_test(single_quotes_become_double_ones),
        cmocka_unit_test(joined_lines_stay_counted),
        cmocka_unit_test(numbers_become_those_of_json),
        cmocka_unit_test(other_white_space_becomes_a_space),
        cmocka_unit_test(what_is_no_json5_is_refused_where_it_stands),
        cmocka_unit_test(a_wrong_value_is_told_with_its_line),
        cmocka_unit_test(memory_that_runs_out_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
