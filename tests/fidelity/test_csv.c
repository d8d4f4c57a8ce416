/* SPDX-License-Identifier: Apache-2.0 */
/* What a table may look like; what it may not is in tests/bad/points-*. */
#include "fidelity/csv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static sp_error err;

static sp_csv parse(const char *text)
{
    sp_csv csv;
    if (sp_csv_parse(text, strlen(text), "made.csv", &csv, &err) != SP_OK) {
        fail_msg("line %d: %s", err.line, err.message);
    }
    return csv;
}

static void cells_stand_under_their_header(void **state)
{
    (void)state;
    sp_csv csv = parse("a,b\n1,2\n3,\n");
    assert_int_equal(csv.n_columns, 2);
    assert_int_equal(csv.n_rows, 2);
    assert_int_equal(sp_csv_column(&csv, "b"), 1);
    assert_int_equal(sp_csv_column(&csv, "c"), SP_CSV_NO_COLUMN);
    assert_string_equal(sp_csv_cell(&csv, 0, 1), "2");
    assert_string_equal(sp_csv_cell(&csv, 1, 0), "3");
    assert_string_equal(sp_csv_cell(&csv, 1, 1), "");
    assert_string_equal(sp_csv_cell(&csv, 1, SP_CSV_NO_COLUMN), "");
    sp_csv_fini(&csv);
}

static void quotes_keep_commas_lines_and_themselves(void **state)
{
    (void)state;
    sp_csv csv = parse("a,b\n\"x, y\",\"say \"\"yes\"\"\"\n\"two\nlines\",\"\"\nz,z\n");
    assert_string_equal(sp_csv_cell(&csv, 0, 0), "x, y");
    assert_string_equal(sp_csv_cell(&csv, 0, 1), "say \"yes\"");
    assert_string_equal(sp_csv_cell(&csv, 1, 0), "two\nlines");
    assert_string_equal(sp_csv_cell(&csv, 1, 1), "");
    assert_int_equal(csv.lines[2], 3);
    assert_int_equal(csv.lines[3], 5);
    sp_csv_fini(&csv);
}

static void the_last_line_need_not_end_and_lines_may_end_as_on_other_systems(void **state)
{
    (void)state;
    sp_csv csv = parse("\xef\xbb\xbf"
                       "a,b\r\n1,\"2\"\r\n3,4");
    assert_int_equal(csv.n_rows, 2);
    assert_int_equal(sp_csv_column(&csv, "a"), 0);
    assert_string_equal(sp_csv_cell(&csv, 0, 1), "2");
    assert_string_equal(sp_csv_cell(&csv, 1, 1), "4");
    sp_csv_fini(&csv);
}

static void numbers_are_decimal_and_blank_cells_have_a_value_too(void **state)
{
    (void)state;
    sp_csv csv = parse("a,b,c,d\n8,2.5,,8.0\n");
    uint32_t n = 0;
    double x = 0.0;
    assert_int_equal(sp_csv_u32(&csv, 0, 0, 0, 10, 1, &n, &err), SP_OK);
    assert_int_equal(n, 8);
    assert_int_equal(sp_csv_u32(&csv, 0, 3, 0, 10, 1, &n, &err), SP_OK);
    assert_int_equal(n, 8);
    assert_int_equal(sp_csv_u32(&csv, 0, 2, 0, 10, 1, &n, &err), SP_OK);
    assert_int_equal(n, 1);
    assert_int_equal(sp_csv_double(&csv, 0, 1, 0.0, 3.0, 0.0, &x, &err), SP_OK);
    assert_true(x == 2.5);
    assert_int_equal(sp_csv_u32(&csv, 0, 1, 0, 10, 1, &n, &err), SP_E_TYPE);
    assert_string_equal(err.path, "column b");
    assert_int_equal(err.line, 2);
    assert_int_equal(sp_csv_double(&csv, 0, 0, 0.0, 3.0, 0.0, &x, &err), SP_E_RANGE);
    sp_csv_fini(&csv);
}

/* The n-th allocation fails, for every n until none does. */
static void memory_may_run_out_anywhere(void **state)
{
    (void)state;
    static const char text[] = "a,b\n1,\"2\"\n3,4\n";
    sp_status status = SP_E_MEMORY;
    for (uint64_t n = 1; status != SP_OK; n++) {
        sp_csv csv;
        assert_true(n < 100);
        sp_alloc_fail_at(n);
        status = sp_csv_parse(text, sizeof text - 1, "made.csv", &csv, &err);
        sp_alloc_fail_at(0);
        assert_true(status == SP_OK || status == SP_E_MEMORY);
        sp_csv_fini(&csv);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cells_stand_under_their_header),
        cmocka_unit_test(quotes_keep_commas_lines_and_themselves),
        cmocka_unit_test(the_last_line_need_not_end_and_lines_may_end_as_on_other_systems),
        cmocka_unit_test(numbers_are_decimal_and_blank_cells_have_a_value_too),
        cmocka_unit_test(memory_may_run_out_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
