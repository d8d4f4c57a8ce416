/* SPDX-License-Identifier: Apache-2.0 */
/* Text tables, compared line by line. */
#include "report/report_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* name (left), n (right), note (left, goes first when there is no room) */
static void build(sp_grid *grid)
{
    sp_grid_init(grid, 3, 2);
    const uint32_t name = sp_grid_column_add(grid, "name", SP_LEFT, 0);
    const uint32_t n = sp_grid_column_add(grid, "n", SP_RIGHT, 0);
    const uint32_t note = sp_grid_column_add(grid, "note", SP_LEFT, 1);
    sp_grid_row_add(grid, SP_TONE_PLAIN);
    sp_grid_set(grid, name, "a");
    sp_grid_set(grid, n, "7");
    sp_grid_row_add(grid, SP_TONE_GOOD);
    sp_grid_set(grid, name, "longer");
    sp_grid_set(grid, n, "1,234");
    sp_grid_set(grid, note, "x|y");
}

static void assert_written(uint32_t indent, uint32_t width, bool color, const char *expected)
{
    sp_grid grid;
    sp_text text = {0};
    build(&grid);
    sp_grid_write(&grid, indent, width, color, &text);
    assert_string_equal(text.data, expected);
    sp_text_fini(&text);
    sp_grid_fini(&grid);
}

static void columns_are_as_wide_as_their_widest_cell(void **state)
{
    (void)state;
    assert_written(0, 80, false,
                   "name        n  note\n"
                   "a           7\n"
                   "longer  1,234  x|y\n");
}

static void the_least_important_column_goes_where_there_is_no_room(void **state)
{
    (void)state;
    assert_written(0, 18, false,
                   "name        n\n"
                   "a           7\n"
                   "longer  1,234\n");
}

static void columns_of_rank_zero_stay_whatever_the_width(void **state)
{
    (void)state;
    assert_written(1, 1, false,
                   " name        n\n"
                   " a           7\n"
                   " longer  1,234\n");
}

static void colour_wraps_whole_lines(void **state)
{
    (void)state;
    assert_written(0, 18, true,
                   "\033[1mname        n\033[0m\n"
                   "a           7\n"
                   "\033[32mlonger  1,234\033[0m\n");
}

static void markdown_escapes_bars(void **state)
{
    (void)state;
    sp_grid grid;
    sp_text text = {0};
    build(&grid);
    sp_grid_write_markdown(&grid, &text);
    assert_string_equal(text.data, "| name | n | note |\n"
                                   "|---|---:|---|\n"
                                   "| a | 7 |  |\n"
                                   "| longer | 1,234 | x\\|y |\n");
    sp_text_fini(&text);
    sp_grid_fini(&grid);
}

static void a_failed_allocation_fails_the_text(void **state)
{
    (void)state;
    for (uint64_t n = 1; n <= 3; n++) {
        sp_grid grid;
        sp_text text = {0};
        sp_alloc_fail_at(n);
        build(&grid);
        sp_grid_write(&grid, 0, 80, false, &text);
        sp_alloc_fail_at(0);
        assert_true(text.failed || !grid.failed);
        sp_text_fini(&text);
        sp_grid_fini(&grid);
    }
}

static void words_break_at_the_width_and_indent(void **state)
{
    (void)state;
    sp_text text = {0};
    sp_text_wrap(&text, "one two three four", 9, 2);
    assert_string_equal(text.data, "one two\n  three\n  four\n");
    sp_text_fini(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_are_as_wide_as_their_widest_cell),
        cmocka_unit_test(the_least_important_column_goes_where_there_is_no_room),
        cmocka_unit_test(columns_of_rank_zero_stay_whatever_the_width),
        cmocka_unit_test(colour_wraps_whole_lines),
        cmocka_unit_test(markdown_escapes_bars),
        cmocka_unit_test(a_failed_allocation_fails_the_text),
        cmocka_unit_test(words_break_at_the_width_and_indent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
