/* SPDX-License-Identifier: Apache-2.0 */
/* Reading JSON: what is accepted, and that each refusal names file, path, line, value and range. */
#define _POSIX_C_SOURCE 200809L
#include "base/base.h"

#include "random.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const char sample[] = "{\n"
                             "  \"schema\": \"shardplan/test/1\",\n"
                             "  \"name\": \"caf\\u00e9 \\\"x\\\"\",\n"
                             "  \"layers\": [\n"
                             "    {\"heads\": 32, \"dim\": 128},\n"
                             "    {\"heads\": 0.5,\n"
                             "     \"dim\": 128, \"a/b~c\": true}\n"
                             "  ],\n"
                             "  \"ratio\": 0.25, \"big\": 9223372036854775807,\n"
                             "  \"whole\": 1e12, \"negative\": -3, \"nothing\": null,\n"
                             "  \"precision\": \"bf61\"\n"
                             "}\n";

static sp_json_doc *load(const char *text)
{
    sp_json_doc *doc = NULL;
    sp_error err = {0};
    assert_int_equal(sp_json_load_text(text, strlen(text), "m.json", &doc, &err), SP_OK);
    assert_non_null(doc);
    return doc;
}

static void check_error(const sp_error *err, const char *expected)
{
    char text[SP_ERROR_TEXT_BYTES];
    sp_error_format(err, text, sizeof text);
    assert_string_equal(text, expected);
}

static void members_of_each_type_are_read(void **state)
{
    (void)state;
    sp_json_doc *doc = load(sample);
    const sp_json root = sp_json_root(doc);
    sp_error err = {0};
    const char *name = NULL;
    uint64_t big = 0, whole = 0;
    uint32_t heads = 0;
    double ratio = 0, dim = 0;
    bool flag = false;
    sp_json layers;
    assert_int_equal(sp_json_schema(&root, "shardplan/test/1", &err), SP_OK);
    assert_int_equal(sp_json_string(&root, "name", &name, &err), SP_OK);
    assert_string_equal(name, "caf\xc3\xa9 \"x\"");
    assert_int_equal(sp_json_u64(&root, "big", 0, UINT64_MAX, &big, &err), SP_OK);
    assert_true(big == UINT64_C(9223372036854775807));
    assert_int_equal(sp_json_u64(&root, "whole", 1, UINT64_MAX, &whole, &err), SP_OK);
    assert_true(whole == UINT64_C(1000000000000));
    assert_int_equal(sp_json_double(&root, "ratio", 0, 1, &ratio, &err), SP_OK);
    assert_true(ratio == 0.25);
    assert_int_equal(sp_json_array(&root, "layers", &layers, &err), SP_OK);
    assert_int_equal(sp_json_size(&layers), 2);
    const sp_json first = sp_json_at(&layers, 0), second = sp_json_at(&layers, 1);
    assert_int_equal(sp_json_u32(&first, "heads", 1, 32, &heads, &err), SP_OK);
    assert_int_equal(heads, 32);
    assert_int_equal(sp_json_double(&second, "dim", 128, 128, &dim, &err), SP_OK);
    assert_true(dim == 128);
    assert_int_equal(sp_json_bool(&second, "a/b~c", &flag, &err), SP_OK);
    assert_true(flag);
    assert_int_equal(err.status, SP_OK);
    sp_json_free(doc);
}

static void types_and_sizes_are_told(void **state)
{
    (void)state;
    sp_json_doc *doc = load("[{}, [1], \"s\", 1, 1.5, true, null]");
    const sp_json root = sp_json_root(doc);
    bool (*const is[])(const sp_json *) = {sp_json_is_object, sp_json_is_array,  sp_json_is_string,
                                           sp_json_is_number, sp_json_is_number, sp_json_is_bool,
                                           sp_json_is_null};
    for (size_t i = 0; i < 7; i++) {
        const sp_json value = sp_json_at(&root, i);
        for (size_t k = 0; k < 7; k++)
            assert_int_equal(is[k](&value), is[k] == is[i]);
        assert_int_equal(sp_json_size(&value), i == 1 ? 1 : 0);
    }
    const sp_json absent = sp_json_at(&root, 7);
    assert_null(absent.node);
    for (size_t k = 0; k < 7; k++)
        assert_false(is[k](&absent));
    assert_string_equal(sp_json_file(&absent), "m.json");
    sp_json_free(doc);
}

static void members_keep_the_order_of_the_file(void **state)
{
    (void)state;
    sp_json_doc *doc = load("{\"z\": 1, \"a\": 2, \"m\": 3}");
    const sp_json root = sp_json_root(doc);
    char keys[4] = "";
    for (size_t i = 0; i < 3; i++)
        keys[i] = sp_json_member(&root, i).key[0];
    assert_string_equal(keys, "zam");
    assert_true(sp_json_has(&root, "a"));
    assert_false(sp_json_has(&root, "b"));
    sp_json_free(doc);
}

static void a_wrong_number_is_named_with_its_line_and_range(void **state)
{
    (void)state;
    sp_json_doc *doc = load(sample);
    const sp_json root = sp_json_root(doc), layers = sp_json_get(&root, "layers");
    const sp_json second = sp_json_at(&layers, 1);
    sp_error err = {0};
    uint64_t out = 77;
    assert_int_equal(sp_json_u64(&second, "heads", 1, 128, &out, &err), SP_E_RANGE);
    check_error(&err, "m.json:6: /layers/1/heads: out of range: must be a whole number; got 0.5; "
                      "allowed: 1 .. 128");
    sp_json_u64(&second, "dim", 1, 100, &out, &err);
    check_error(&err, "m.json:7: /layers/1/dim: out of range: too large; got 128; "
                      "allowed: 1 .. 100");
    sp_json_u64(&root, "negative", 2, UINT64_MAX, &out, &err);
    check_error(&err, "m.json:10: /negative: out of range: too small; got -3; allowed: at least 2");
    sp_json_u64(&second, "a/b~c", 1, 100, &out, &err);
    check_error(&err, "m.json:7: /layers/1/a~1b~0c: wrong type: must be a whole number; got true");
    double x = 77;
    sp_json_double(&root, "ratio", 0.5, 1, &x, &err);
    check_error(&err, "m.json:9: /ratio: out of range: too small; got 0.25; allowed: 0.5 .. 1");
    sp_json_double(&root, "negative", 0, DBL_MAX, &x, &err);
    assert_string_equal(err.range, "at least 0");
    sp_json_double(&root, "ratio", -DBL_MAX, 0, &x, &err);
    assert_string_equal(err.range, "at most 0");
    assert_true(out == 77 && x == 77);
    sp_json_free(doc);
}

static void wrong_types_show_the_value(void **state)
{
    (void)state;
    sp_json_doc *doc = load(sample);
    const sp_json root = sp_json_root(doc);
    sp_error err = {0};
    const char *text = NULL;
    bool flag = false;
    sp_json out;
    sp_json_string(&root, "layers", &text, &err);
    check_error(&err, "m.json:4: /layers: wrong type: must be a string; got [...]");
    sp_json_object(&root, "name", &out, &err);
    check_error(&err, "m.json:3: /name: wrong type: must be an object; "
                      "got \"caf\\u00e9 \\\"x\\\"\"");
    sp_json_array(&root, "ratio", &out, &err);
    check_error(&err, "m.json:9: /ratio: wrong type: must be an array; got 0.25");
    sp_json_bool(&root, "nothing", &flag, &err);
    check_error(&err, "m.json:10: /nothing: wrong type: must be true or false; got null");
    const sp_json ratio = sp_json_get(&root, "ratio");
    sp_json_string(&ratio, "inside", &text, &err);
    check_error(&err, "m.json:9: /ratio: wrong type: must be an object; got 0.25");
    sp_json_free(doc);
}

static void a_missing_key_is_named_with_the_line_of_its_object(void **state)
{
    (void)state;
    sp_json_doc *doc = load(sample);
    const sp_json root = sp_json_root(doc), layers = sp_json_get(&root, "layers");
    const sp_json second = sp_json_at(&layers, 1), absent = sp_json_get(&root, "absent");
    sp_error err = {0};
    uint32_t out = 0;
    assert_int_equal(sp_json_u32(&second, "groups", 1, 8, &out, &err), SP_E_MISSING_KEY);
    check_error(&err, "m.json:6: /layers/1: missing key: \"groups\" is required here");
    sp_json_u32(&root, "groups", 1, 8, &out, &err);
    check_error(&err, "m.json:1: missing key: \"groups\" is required here");
    sp_json_u32(&absent, "groups", 1, 8, &out, &err);
    check_error(&err, "m.json:1: missing key: \"absent\" is required here");
    const sp_json third = sp_json_at(&layers, 2);
    const char *text = NULL;
    assert_int_equal(sp_json_as_string(&third, &text, &err), SP_E_MISSING_KEY);
    check_error(&err, "m.json:4: /layers/2: missing key: must be a string");
    sp_json_free(doc);
}

static void an_unknown_key_is_named_with_the_nearest(void **state)
{
    (void)state;
    static const char *const keys[] = {"heads", "dim"};
    sp_json_doc *doc = load("{\"dim\": 1,\n\"haeds\":\n\n3}");
    const sp_json root = sp_json_root(doc);
    sp_error err = {0};
    assert_int_equal(sp_json_only(&root, keys, 2, &err), SP_E_UNKNOWN_KEY);
    check_error(&err, "m.json:2: /haeds: unknown key: \"haeds\" is not a key of this object; "
                      "allowed: heads, dim; did you mean \"heads\"?");
    static const char *const more[] = {"haeds", "heads", "dim"};
    assert_int_equal(sp_json_only(&root, more, 3, &err), SP_OK);
    sp_json_free(doc);
}

static void names_outside_a_list_are_refused(void **state)
{
    (void)state;
    static const char *const names[] = {"bf16", "fp16"};
    sp_json_doc *doc = load(sample);
    const sp_json root = sp_json_root(doc);
    sp_error err = {0};
    uint32_t idx = 77;
    assert_int_equal(sp_json_enum(&root, "precision", names, 2, &idx, &err), SP_E_UNKNOWN_NAME);
    check_error(&err, "m.json:11: /precision: unknown name: \"bf61\" is not one of the names "
                      "allowed here; got \"bf61\"; allowed: bf16, fp16; did you mean \"bf16\"?");
    assert_int_equal(idx, 77);
    static const char *const more[] = {"bf16", "bf61"};
    assert_int_equal(sp_json_enum(&root, "precision", more, 2, &idx, &err), SP_OK);
    assert_int_equal(idx, 1);
    sp_json_free(doc);
}

static void another_schema_is_refused(void **state)
{
    (void)state;
    sp_json_doc *doc = load(sample);
    const sp_json root = sp_json_root(doc), layers = sp_json_get(&root, "layers");
    const sp_json first = sp_json_at(&layers, 0);
    sp_error err = {0};
    assert_int_equal(sp_json_schema(&root, "shardplan/gpu/1", &err), SP_E_UNKNOWN_NAME);
    check_error(&err, "m.json:2: /schema: unknown name: not the kind of file expected here; "
                      "got \"shardplan/test/1\"; allowed: \"shardplan/gpu/1\"");
    assert_int_equal(sp_json_schema(&first, "shardplan/gpu/1", &err), SP_E_MISSING_KEY);
    assert_string_equal(err.range, "\"shardplan/gpu/1\"");
    sp_json_free(doc);
}

static void optional_members_fall_back_when_absent_or_null(void **state)
{
    (void)state;
    sp_json_doc *doc = load("{\"n\": null, \"u\": 5, \"d\": 0.5, \"s\": \"x\", \"b\": true}");
    const sp_json root = sp_json_root(doc), absent = sp_json_get(&root, "section");
    sp_error err = {0};
    static const char *const missing[] = {"n", "none"};
    uint64_t u64 = 0;
    uint32_t u32 = 0;
    double x = 0;
    bool flag = false;
    const char *text = NULL;
    for (size_t i = 0; i < 3; i++) {
        const sp_json *object = i < 2 ? &root : &absent;
        const char *key = missing[i % 2];
        assert_int_equal(sp_json_u64_or(object, key, 1, 9, 70, &u64, &err), SP_OK);
        assert_int_equal(sp_json_u32_or(object, key, 1, 9, 71, &u32, &err), SP_OK);
        assert_int_equal(sp_json_double_or(object, key, 1, 9, 72.5, &x, &err), SP_OK);
        assert_int_equal(sp_json_bool_or(object, key, true, &flag, &err), SP_OK);
        assert_int_equal(sp_json_string_or(object, key, NULL, &text, &err), SP_OK);
        assert_true(u64 == 70 && u32 == 71 && x == 72.5 && flag && !text);
    }
    assert_int_equal(sp_json_u64_or(&root, "u", 1, 9, 70, &u64, &err), SP_OK);
    assert_int_equal(sp_json_u32_or(&root, "u", 1, 9, 71, &u32, &err), SP_OK);
    assert_int_equal(sp_json_double_or(&root, "d", 0, 9, 72.5, &x, &err), SP_OK);
    assert_int_equal(sp_json_bool_or(&root, "b", false, &flag, &err), SP_OK);
    assert_int_equal(sp_json_string_or(&root, "s", NULL, &text, &err), SP_OK);
    assert_true(u64 == 5 && u32 == 5 && x == 0.5 && flag);
    assert_string_equal(text, "x");
    assert_int_equal(sp_json_u64_or(&root, "u", 6, 9, 70, &u64, &err), SP_E_RANGE);
    const sp_json number = sp_json_get(&root, "u");
    assert_int_equal(sp_json_u64_or(&number, "x", 6, 9, 70, &u64, &err), SP_E_TYPE);
    sp_json_free(doc);
}

static void odd_numbers_are_refused(void **state)
{
    (void)state;
    sp_json_doc *doc = load("[-0.0, 5e-324, 0.0, 0, 1e17, -0.5, 9007199254740992.0]");
    const sp_json root = sp_json_root(doc);
    static const sp_status as_double[] = {SP_E_RANGE, SP_E_RANGE, SP_OK, SP_OK,
                                          SP_OK,      SP_OK,      SP_OK};
    static const sp_status as_u64[] = {SP_OK,      SP_E_RANGE, SP_OK, SP_OK,
                                       SP_E_RANGE, SP_E_RANGE, SP_OK};
    for (size_t i = 0; i < sp_json_size(&root); i++) {
        const sp_json value = sp_json_at(&root, i);
        sp_error err = {0};
        double x = 0;
        uint64_t n = 0;
        assert_int_equal(sp_json_as_double(&value, -1e300, 1e300, &x, &err), as_double[i]);
        assert_int_equal(sp_json_as_u64(&value, 0, UINT64_MAX, &n, &err), as_u64[i]);
    }
    sp_json_free(doc);
}

static void check_refused(const char *text, sp_status status, int line, const char *words)
{
    sp_json_doc *doc = NULL;
    sp_error err = {0};
    assert_int_equal(sp_json_load_text(text, strlen(text), "bad.json", &doc, &err), status);
    assert_null(doc);
    assert_int_equal(err.line, line);
    assert_string_equal(err.file, "bad.json");
    assert_non_null(strstr(err.message, words));
}

static void text_that_is_not_json_is_refused_with_its_line(void **state)
{
    (void)state;
    check_refused("", SP_E_SYNTAX, 1, "column");
    check_refused("{\n\"a\": 1,\n}", SP_E_SYNTAX, 3, "'}'");
    check_refused("{\"a\": NaN}", SP_E_SYNTAX, 1, "NaN");
    check_refused("{\"a\": 1}\n{", SP_E_SYNTAX, 2, "'{'");
    check_refused("{\"a\":\n1e400}", SP_E_OVERFLOW, 2, "overflow");
    check_refused("[18446744073709551615]", SP_E_OVERFLOW, 1, "too big");
    check_refused("[\"\xff\"]", SP_E_SYNTAX, 1, "decode byte 0xff");
    check_refused("[01]", SP_E_SYNTAX, 1, "0");
}

static void a_duplicate_key_is_named_with_its_line(void **state)
{
    (void)state;
    check_refused("{\"a\": 1,\n \"x\": [{}],\n \"a\": 2}", SP_E_SYNTAX, 3,
                  "the key \"a\" stands twice in the same object");
    check_refused("{\"o\": {\n\"k\\\"q\": 1,\n\n\"k\\\"q\" : 2}}", SP_E_SYNTAX, 4,
                  "the key \"k\\\"q\" stands twice");
    check_refused("{\"caf\xc3\xa9\": 1, \"caf\xc3\xa9\": 2}", SP_E_SYNTAX, 1, "\"caf\xc3\xa9\"");
}

static void long_paths_are_cut_with_dots(void **state)
{
    (void)state;
    char text[600] = "{\"";
    memset(text + 2, 'k', 400);
    strcpy(text + 402, "\": {\"inner\": 1}}");
    sp_json_doc *doc = load(text);
    const sp_json root = sp_json_root(doc), outer = sp_json_member(&root, 0);
    sp_error err = {0};
    const char *out = NULL;
    assert_int_equal(sp_json_string(&outer, "inner", &out, &err), SP_E_TYPE);
    assert_int_equal(strlen(err.path), sizeof err.path - 1);
    assert_string_equal(err.path + sizeof err.path - 4, "...");
    sp_json_free(doc);
}

static void a_dump_is_the_text_without_spaces(void **state)
{
    (void)state;
    sp_json_doc *doc = load("{ \"b\" : [ 1.50 , { } , \" a , b \\\" \" ] ,\n\"a\" : null }\n");
    const sp_json root = sp_json_root(doc), b = sp_json_get(&root, "b");
    const sp_json string = sp_json_at(&b, 2), absent = sp_json_get(&root, "c");
    sp_text out = {0};
    sp_json_dump(&root, &out);
    assert_string_equal(out.data, "{\"b\":[1.50,{},\" a , b \\\" \"],\"a\":null}");
    sp_text_fini(&out);
    sp_json_dump(&string, &out);
    assert_string_equal(out.data, "\" a , b \\\" \"");
    sp_text_fini(&out);
    sp_json_dump(&absent, &out);
    assert_string_equal(out.data, "null");
    sp_text_fini(&out);
    sp_json_free(doc);
}

static void the_text_is_kept(void **state)
{
    (void)state;
    sp_json_doc *doc = load(sample);
    size_t length = 0;
    assert_string_equal(sp_json_text(doc, &length), sample);
    assert_int_equal(length, strlen(sample));
    sp_json_free(doc);
    sp_json_free(NULL);
}

static void a_file_that_is_not_there_is_named(void **state)
{
    (void)state;
    sp_json_doc *doc = NULL;
    sp_error err = {0};
    assert_int_equal(sp_json_load_file("/nowhere/m.json", &doc, &err), SP_E_IO);
    assert_string_equal(err.file, "/nowhere/m.json");
    assert_null(doc);
}

static void a_file_is_read_whole(void **state)
{
    (void)state;
    const char *tmp = getenv("TMPDIR");
    char folder[256], path[300];
    snprintf(folder, sizeof folder, "%s/shardplan-json-XXXXXX", tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/m.json", folder);
    sp_json_doc *doc = NULL;
    sp_error err = {0};
    assert_int_equal(sp_file_write(path, sample, sizeof sample - 1, &err), SP_OK);
    assert_int_equal(sp_json_load_file(path, &doc, &err), SP_OK);
    const sp_json root = sp_json_root(doc);
    assert_int_equal(sp_json_size(&root), 9);
    assert_string_equal(sp_json_file(&root), path);
    sp_json_free(doc);
    assert_int_equal(sp_file_write(path, "{", 1, &err), SP_OK);
    assert_int_equal(sp_json_load_file(path, &doc, &err), SP_E_SYNTAX);
    assert_string_equal(err.file, path);
    assert_null(doc);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0);
}

static void more_than_8_mebibytes_are_refused(void **state)
{
    (void)state;
    const size_t length = 8 * 1024 * 1024 + 1;
    char *text = sp_alloc(length);
    assert_non_null(text);
    memset(text, ' ', length);
    memcpy(text, "[]", 2);
    sp_json_doc *doc = NULL;
    sp_error err = {0};
    assert_int_equal(sp_json_load_text(text, length, "big", &doc, &err), SP_E_OVERFLOW);
    assert_string_equal(err.range, "at most 8388608 bytes");
    assert_null(doc);
    assert_int_equal(sp_json_load_text(text, length - 1, "big", &doc, &err), SP_OK);
    sp_json_free(doc);
    sp_free(text);
}

static void deep_nesting_is_refused_or_read_but_never_overflows_the_stack(void **state)
{
    (void)state;
    enum { DEPTH = 100000 };
    char *text = sp_alloc(2 * DEPTH + 1);
    assert_non_null(text);
    memset(text, '[', DEPTH);
    memset(text + DEPTH, ']', DEPTH);
    check_refused(text, SP_E_SYNTAX, 1, "depth");
    text[1000] = '\0';
    memset(text + 500, ']', 500);
    sp_json_doc *doc = load(text);
    const sp_json root = sp_json_root(doc), first = sp_json_at(&root, 0);
    sp_text out = {0};
    sp_json_dump(&first, &out);
    assert_int_equal(out.length, 998);
    sp_text_fini(&out);
    sp_json_free(doc);
    sp_free(text);
}

/* Calls every getter on the value and everything below it. */
static void walk(const sp_json *value)
{
    sp_error err = {0};
    const char *text = NULL;
    uint64_t n = 0;
    double x = 0;
    sp_json child;
    sp_json_as_string(value, &text, &err);
    sp_json_as_u64(value, 1, 5, &n, &err);
    sp_json_as_double(value, 0.5, 0.75, &x, &err);
    sp_json_object(value, "heads", &child, &err);
    sp_json_only(value, NULL, 0, &err);
    sp_json_fail(value, &err, SP_E_INCONSISTENT, "walk");
    assert_true(err.line >= 1);
    sp_text out = {0};
    sp_json_dump(value, &out);
    assert_false(out.failed);
    sp_text_fini(&out);
    const bool is_object = sp_json_is_object(value);
    for (size_t i = 0; i < sp_json_size(value); i++) {
        child = is_object ? sp_json_member(value, i) : sp_json_at(value, i);
        assert_non_null(child.node);
        walk(&child);
    }
}

static void mutate(char *text, size_t *length, size_t capacity, uint64_t *seed)
{
    static const char alphabet[] = "{}[]\",:\\0123456789-+.eEtrufalsn \n\t\x01\x7f\xc3\xa9\xff";
    const size_t at = random_below(seed, *length);
    const char c = alphabet[random_below(seed, sizeof alphabet - 1)];
    switch (random_below(seed, 4)) {
    case 0:
        text[at] = c;
        break;
    case 1:
        memmove(text + at, text + at + 1, *length - at - 1);
        if (*length > 1) --*length;
        break;
    case 2:
        if (*length == capacity) break;
        memmove(text + at + 1, text + at, *length - at);
        text[at] = c;
        ++*length;
        break;
    default:
        text[at] = text[random_below(seed, *length)];
        break;
    }
}

static void mutated_text_is_read_or_refused_without_harm(void **state)
{
    (void)state;
    uint64_t seed = 6;
    size_t n_read = 0, n_refused = 0;
    for (int round = 0; round < 20000; round++) {
        char text[sizeof sample + 8];
        size_t length = sizeof sample - 1;
        memcpy(text, sample, length);
        const size_t n_mutations = 1 + random_below(&seed, 4);
        for (size_t i = 0; i < n_mutations; i++)
            mutate(text, &length, sizeof text, &seed);
        sp_json_doc *doc = NULL;
        sp_error err = {0};
        const sp_status status = sp_json_load_text(text, length, "fuzz", &doc, &err);
        assert_int_equal(status, err.status);
        assert_true((status == SP_OK) == (doc != NULL));
        if (doc) {
            const sp_json root = sp_json_root(doc);
            walk(&root);
            n_read++;
        } else {
            assert_true(err.line >= 1 && err.message[0] != '\0');
            n_refused++;
        }
        sp_json_free(doc);
    }
    assert_true(n_read > 1000 && n_refused > 1000);
}

/* Loads, copies a name into an arena and dumps; false as soon as memory fails. */
static bool use_everything(void)
{
    sp_error err = {0};
    sp_json_doc *doc = NULL;
    sp_arena arena = {0};
    sp_text out = {0};
    bool done = false;
    if (sp_json_load_text(sample, strlen(sample), "m.json", &doc, &err) == SP_OK) {
        const sp_json root = sp_json_root(doc);
        const char *name = NULL;
        assert_int_equal(sp_json_string(&root, "name", &name, &err), SP_OK);
        sp_json_dump(&root, &out);
        done = sp_arena_strdup(&arena, name) && sp_arena_alloc(&arena, 100000) && !out.failed;
    } else {
        assert_int_equal(err.status, SP_E_MEMORY);
        assert_null(doc);
    }
    sp_text_fini(&out);
    sp_arena_fini(&arena);
    sp_json_free(doc);
    return done;
}

static void every_failing_allocation_is_survived(void **state)
{
    (void)state;
    uint64_t n = 1;
    for (; n < 1000; n++) {
        sp_alloc_fail_at(n);
        if (use_everything()) break;
    }
    sp_alloc_fail_at(0);
    assert_true(n > 5 && n < 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_of_each_type_are_read),
        cmocka_unit_test(types_and_sizes_are_told),
        cmocka_unit_test(members_keep_the_order_of_the_file),
        cmocka_unit_test(a_wrong_number_is_named_with_its_line_and_range),
        cmocka_unit_test(wrong_types_show_the_value),
        cmocka_unit_test(a_missing_key_is_named_with_the_line_of_its_object),
        cmocka_unit_test(an_unknown_key_is_named_with_the_nearest),
        cmocka_unit_test(names_outside_a_list_are_refused),
        cmocka_unit_test(another_schema_is_refused),
        cmocka_unit_test(optional_members_fall_back_when_absent_or_null),
        cmocka_unit_test(odd_numbers_are_refused),
        cmocka_unit_test(text_that_is_not_json_is_refused_with_its_line),
        cmocka_unit_test(a_duplicate_key_is_named_with_its_line),
        cmocka_unit_test(long_paths_are_cut_with_dots),
        cmocka_unit_test(a_dump_is_the_text_without_spaces),
        cmocka_unit_test(the_text_is_kept),
        cmocka_unit_test(a_file_that_is_not_there_is_named),
        cmocka_unit_test(a_file_is_read_whole),
        cmocka_unit_test(more_than_8_mebibytes_are_refused),
        cmocka_unit_test(deep_nesting_is_refused_or_read_but_never_overflows_the_stack),
        cmocka_unit_test(mutated_text_is_read_or_refused_without_harm),
        cmocka_unit_test(every_failing_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
