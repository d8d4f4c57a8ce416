/* SPDX-License-Identifier: Apache-2.0 */
/* JSON as YAML: every kind of value, strings that would read as something else, numbers that YAML
 * 1.1 would take for strings, and text that is no JSON. */
#include "base/base.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void expect(const char *json, const char *yaml)
{
    sp_error err = {0};
    sp_text out = {0};
    assert_int_equal(sp_yaml_from_json(json, strlen(json), &out, &err), SP_OK);
    assert_string_equal(out.data, yaml);
    sp_text_fini(&out);
}

static int only_with_libyaml(void **state)
{
    (void)state;
    if (!sp_yaml_is_built()) exit(77);
    return 0;
}

static void containers_become_blocks_in_their_order(void **state)
{
    (void)state;
    expect("{\"b\": 1, \"a\": [2, {\"c\": 3, \"d\": [4]}], \"e\": {\"f\": true}}",
           "b: 1\na:\n- 2\n- c: 3\n  d:\n  - 4\ne:\n  f: true\n");
    expect("[[1, 2], [3]]", "- - 1\n  - 2\n- - 3\n");
}

static void empty_containers_and_bare_values_are_written(void **state)
{
    (void)state;
    expect("{\"a\": [], \"b\": {}, \"c\": null}", "a: []\nb: {}\nc: null\n");
    expect("{}", "{}\n");
    expect("[false]", "- false\n");
}

static void strings_that_look_like_something_else_are_quoted(void **state)
{
    (void)state;
    expect("{\"a\": \"yes\", \"b\": \"123\", \"c\": \"\", \"d\": \"null\"}",
           "a: 'yes'\nb: '123'\nc: ''\nd: 'null'\n");
    expect("{\"a\": \"x: y # z\", \"b\": \"it's\"}", "a: 'x: y # z'\nb: 'it''s'\n");
    expect("{\"a\": \"two\\nlines\", \"b\": \"\\u0007\"}", "a: 'two\n\n  lines'\nb: \"\\a\"\n");
    expect("{\"yes\": 1, \"0.9\": 2, \"tp x\": 3, \"no\": 4}",
           "'yes': 1\n'0.9': 2\n'tp x': 3\n'no': 4\n");
    expect("{\"a\": \"\\u00e9\\ud83d\\ude00\"}", "a: \"\xc3\xa9\\U0001F600\"\n");
}

static void exponents_have_a_point_and_a_sign(void **state)
{
    (void)state;
    expect("[1e22, 1e+22, 1.5e7, -2E-7, 0.25, -3]",
           "- 1.0e+22\n- 1.0e+22\n- 1.5e+7\n- -2.0e-7\n- 0.25\n- -3\n");
}

static void text_that_is_no_json_is_refused(void **state)
{
    (void)state;
    static const char *const broken[] = {"", "{", "[1,]", "{\"a\" 1}", "1 2", "digraph {", "[1}"};
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        sp_error err = {0};
        sp_text out = {0};
        assert_int_equal(sp_yaml_from_json(broken[i], strlen(broken[i]), &out, &err), SP_E_SYNTAX);
        sp_text_fini(&out);
    }
}

static void deep_nesting_is_refused_and_not_followed(void **state)
{
    (void)state;
    char deep[200];
    sp_error err = {0};
    sp_text out = {0};
    memset(deep, '[', sizeof deep);
    assert_int_equal(sp_yaml_from_json(deep, sizeof deep, &out, &err), SP_E_SYNTAX);
    sp_text_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(containers_become_blocks_in_their_order),
        cmocka_unit_test(empty_containers_and_bare_values_are_written),
        cmocka_unit_test(strings_that_look_like_something_else_are_quoted),
        cmocka_unit_test(exponents_have_a_point_and_a_sign),
        cmocka_unit_test(text_that_is_no_json_is_refused),
        cmocka_unit_test(deep_nesting_is_refused_and_not_followed),
    };
    return cmocka_run_group_tests(tests, only_with_libyaml, NULL);
}
