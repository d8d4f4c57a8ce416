/* SPDX-License-Identifier: Apache-2.0 */
/* Errors: what the one line says, and that nothing overflows or splits a character. */
#include "base/base.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void the_line_says_place_cause_value_and_range(void **state)
{
    (void)state;
    sp_error err = {0};
    assert_int_equal(sp_fail(&err, SP_E_RANGE, "must be a %s number", "whole"), SP_E_RANGE);
    assert_int_equal(sp_fail_file(&err, "m.json"), SP_E_RANGE);
    sp_fail_value(&err, "%.1f", 0.5);
    sp_fail_range(&err, "%d .. %d", 1, 10000);
    err.line = 12;
    strcpy(err.path, "/num_layers");
    char text[SP_ERROR_TEXT_BYTES];
    const size_t length = sp_error_format(&err, text, sizeof text);
    assert_string_equal(text, "m.json:12: /num_layers: out of range: must be a whole number; "
                              "got 0.5; allowed: 1 .. 10000");
    assert_int_equal(length, strlen(text));
}

static void parts_that_are_not_known_are_left_out(void **state)
{
    (void)state;
    sp_error err = {0};
    char text[SP_ERROR_TEXT_BYTES];
    sp_error_format(&err, text, sizeof text);
    assert_string_equal(text, "no error");
    sp_fail(&err, SP_E_IO, "disk is full");
    sp_error_format(&err, text, sizeof text);
    assert_string_equal(text, "cannot read or write: disk is full");
    sp_fail_file(&err, "--set");
    sp_error_format(&err, text, sizeof text);
    assert_string_equal(text, "--set: cannot read or write: disk is full");
    sp_fail(&err, SP_E_SYNTAX, "odd");
    err.line = 3;
    sp_error_format(&err, text, sizeof text);
    assert_string_equal(text, "line 3: not well formed: odd");
}

static void a_new_failure_clears_the_old_one_even_when_it_quotes_it(void **state)
{
    (void)state;
    sp_error err = {0};
    sp_fail(&err, SP_E_IO, "cause");
    sp_fail_file(&err, "f");
    sp_fail_value(&err, "v");
    sp_fail(&err, SP_E_USAGE, "because of %s", err.message);
    assert_string_equal(err.message, "because of cause");
    assert_string_equal(err.file, "");
    assert_string_equal(err.value, "");
    assert_int_equal(err.status, SP_E_USAGE);
}

static void names_are_listed_with_the_nearest(void **state)
{
    (void)state;
    static const char *const names[] = {"bf16", "fp16", "fp8"};
    sp_error err = {0};
    char text[SP_ERROR_TEXT_BYTES];
    sp_fail(&err, SP_E_UNKNOWN_NAME, "no such precision");
    assert_int_equal(sp_fail_names(&err, "bf61", names, 3), SP_E_UNKNOWN_NAME);
    sp_error_format(&err, text, sizeof text);
    assert_string_equal(text, "unknown name: no such precision; allowed: bf16, fp16, fp8; "
                              "did you mean \"bf16\"?");
    sp_fail_names(&err, "int4float", names, 3);
    assert_string_equal(err.nearest, "");
    sp_fail_names(&err, "x", names, 0);
    assert_string_equal(err.range, "");
}

static void a_long_list_of_names_ends_in_dots_and_stays_inside(void **state)
{
    (void)state;
    const char *names[100];
    for (size_t i = 0; i < 100; i++)
        names[i] = "twelve-chars";
    for (size_t n = 1; n <= 100; n++) {
        sp_error err = {0};
        sp_fail_names(&err, "z", names, n);
        const size_t length = strlen(err.range);
        assert_true(length < sizeof err.range);
        const bool complete = length == n * 14 - 2;
        const bool cut = length > 200 && strcmp(err.range + length - 5, ", ...") == 0;
        assert_true(complete != cut);
    }
    char huge[400];
    memset(huge, 'n', sizeof huge - 1);
    huge[sizeof huge - 1] = '\0';
    const char *const one[] = {huge};
    sp_error err = {0};
    sp_fail_names(&err, "z", one, 1);
    assert_string_equal(err.range, "...");
}

static void fields_that_are_too_long_are_cut_between_characters(void **state)
{
    (void)state;
    char text[1001]; /* 500 times the two bytes of U+00E4, after 0 or 1 plain characters */
    for (size_t shift = 0; shift < 2; shift++) {
        memset(text, 'x', shift);
        for (size_t i = shift; i + 1 < sizeof text; i++)
            text[i] = (i - shift) % 2 ? '\xa4' : '\xc3';
        text[sizeof text - 1] = '\0';
        sp_error err = {0};
        sp_fail(&err, SP_E_IO, "%s", text);
        const size_t length = strlen(err.message);
        assert_true(length < sizeof err.message && length > sizeof err.message - 6);
        assert_string_equal(err.message + length - 3, "...");
        assert_int_equal((unsigned char)err.message[length - 4], 0xa4);
    }
}

static void any_capacity_gives_a_prefix(void **state)
{
    (void)state;
    sp_error err = {0};
    sp_fail(&err, SP_E_IO, "caf\xc3\xa9 closed \xe2\x82\xac");
    char whole[SP_ERROR_TEXT_BYTES], part[SP_ERROR_TEXT_BYTES];
    const size_t length = sp_error_format(&err, whole, sizeof whole);
    assert_int_equal(sp_error_format(&err, NULL, 0), 0);
    for (size_t capacity = 1; capacity <= length + 2; capacity++) {
        memset(part, '#', sizeof part);
        const size_t n = sp_error_format(&err, part, capacity);
        assert_true(n < capacity);
        assert_int_equal(part[n], '\0');
        assert_int_equal(part[capacity], '#');
        assert_memory_equal(part, whole, n);
        assert_true(n == length || ((unsigned char)whole[n] & 0xc0) != 0x80);
    }
}

static void control_characters_do_not_break_the_line(void **state)
{
    (void)state;
    sp_error err = {0};
    char text[SP_ERROR_TEXT_BYTES];
    sp_fail(&err, SP_E_IO, "a\nb\tc\x1b[31m\x7f");
    sp_error_format(&err, text, sizeof text);
    assert_string_equal(text, "cannot read or write: a b c [31m ");
}

static void the_fullest_error_fits_into_its_text(void **state)
{
    (void)state;
    sp_error err;
    memset(&err, 'x', sizeof err);
    err.status = SP_E_INCONSISTENT; /* the longest words */
    err.line = 2147483647;
    err.file[sizeof err.file - 1] = err.path[sizeof err.path - 1] = '\0';
    err.message[sizeof err.message - 1] = err.value[sizeof err.value - 1] = '\0';
    err.range[sizeof err.range - 1] = err.nearest[sizeof err.nearest - 1] = '\0';
    char text[SP_ERROR_TEXT_BYTES];
    const size_t length = sp_error_format(&err, text, sizeof text);
    assert_true(length < sizeof text - 1);
    assert_string_equal(text + length - 3, "x\"?");
}

static void every_status_has_words(void **state)
{
    (void)state;
    assert_string_equal(sp_status_words(SP_OK), "no error");
    for (int status = SP_OK; status <= SP_E_INTERNAL; status++) {
        assert_true(strlen(sp_status_words((sp_status)status)) > 3);
    }
    assert_string_equal(sp_status_words((sp_status)1000), "unknown status");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_line_says_place_cause_value_and_range),
        cmocka_unit_test(parts_that_are_not_known_are_left_out),
        cmocka_unit_test(a_new_failure_clears_the_old_one_even_when_it_quotes_it),
        cmocka_unit_test(names_are_listed_with_the_nearest),
        cmocka_unit_test(a_long_list_of_names_ends_in_dots_and_stays_inside),
        cmocka_unit_test(fields_that_are_too_long_are_cut_between_characters),
        cmocka_unit_test(any_capacity_gives_a_prefix),
        cmocka_unit_test(control_characters_do_not_break_the_line),
        cmocka_unit_test(the_fullest_error_fits_into_its_text),
        cmocka_unit_test(every_status_has_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
