/* SPDX-License-Identifier: Apache-2.0 */
/* Boxes that overlap or do not, places for labels, and numbers in words; all worked by hand. */
#include "report/roofline_samples.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void boxes_that_share_an_edge_do_not_overlap(void **state)
{
    (void)state;
    const sp_box a = {0.0, 0.0, 2.0, 1.0, 0.0}, beside = {4.0, 0.0, 2.0, 1.0, 0.0};
    const sp_box into = {3.9, 1.9, 2.0, 1.0, 0.0}, below = {0.0, 2.0, 9.0, 1.0, 0.0};
    assert_false(sp_boxes_overlap(&a, &beside));
    assert_false(sp_boxes_overlap(&a, &below));
    assert_true(sp_boxes_overlap(&a, &into));
}

/* A square of side 2 turned by 45 degrees reaches sqrt(2) to the right and to the left. */
static void a_turned_box_reaches_as_far_as_its_corner(void **state)
{
    (void)state;
    const double quarter = atan(1.0);
    const sp_box turned = {0.0, 0.0, 1.0, 1.0, quarter};
    const sp_box touched = {2.4, 0.0, 1.0, 1.0, 0.0}, clear = {2.42, 0.0, 1.0, 1.0, 0.0};
    assert_true(sp_boxes_overlap(&turned, &touched));
    assert_false(sp_boxes_overlap(&turned, &clear));
    /* Upright boxes of their extents would meet here; the boxes themselves do not. */
    const sp_box at_corner = {1.9, 1.9, 1.0, 1.0, 0.0};
    assert_false(sp_boxes_overlap(&turned, &at_corner));
}

static void a_line_meets_a_box_only_where_it_enters_it(void **state)
{
    (void)state;
    const sp_box box = {10.0, 10.0, 4.0, 2.0, 0.0};
    assert_true(sp_box_meets_line(&box, 0.0, 10.0, 20.0, 10.0));
    assert_true(sp_box_meets_line(&box, 9.0, 9.0, 11.0, 11.0));
    assert_false(sp_box_meets_line(&box, 0.0, 13.0, 20.0, 13.0));
    assert_false(sp_box_meets_line(&box, 0.0, 10.0, 5.0, 10.0));
    const sp_box upright = {10.0, 10.0, 4.0, 2.0, 2.0 * atan(1.0)};
    assert_true(sp_box_meets_line(&upright, 0.0, 13.0, 20.0, 13.0));
}

/* "abc" at 10 px is 18 px wide and 10 high. */
static void a_label_takes_the_cheapest_free_spot(void **state)
{
    (void)state;
    const sp_ink ink = {0, 10.0, false, 0};
    const sp_box paper = {50.0, 50.0, 50.0, 50.0, 0.0};
    const sp_spot spots[] = {
        {5.0,  50.0, 0.0, 0.0 }, /* leaves the paper      */
        {40.0, 50.0, 0.0, 1.0 }, /* covers the mark       */
        {80.0, 50.0, 0.0, 70.0}, /* free                  */
        {20.0, 20.0, 0.0, 12.0}, /* crosses a path: 12 + 60 */
        {20.0, 80.0, 0.0, 71.0}
    };
    sp_picture picture;
    sp_box placed;
    sp_picture_init(&picture, &sample_typeface, 100.0, 100.0);
    sp_picture_mark(&picture, &ink, SP_MARK_DISC, 45.0, 50.0, NULL);
    sp_picture_line(&picture, SP_SHAPE_PATH, &ink, 0.0, 20.0, 100.0, 20.0);
    assert_true(sp_picture_place(&picture, &ink, "abc", spots, 5, NULL, &paper, &placed));
    assert_true(placed.x == 80.0 && placed.half_width == 9.0 && placed.half_height == 5.0);
    assert_true(sp_picture_place(&picture, &ink, "abc", spots, 5, NULL, &paper, &placed));
    assert_true(placed.x == 20.0 && placed.y == 80.0);
    assert_false(sp_picture_place(&picture, &ink, "abc", spots, 3, NULL, &paper, &placed));
    sp_picture_fini(&picture);
}

static void numbers_keep_three_digits_and_a_prefix(void **state)
{
    (void)state;
    char out[32];
    assert_string_equal(sp_words_si(out, 989.4e12, "FLOP/s"), "989 TFLOP/s");
    assert_string_equal(sp_words_si(out, 999.9e12, "FLOP/s"), "1 PFLOP/s");
    assert_string_equal(sp_words_si(out, 3.352e12, "B/s"), "3.35 TB/s");
    assert_string_equal(sp_words_si(out, 12.0, "FLOP/J"), "12 FLOP/J");
    assert_string_equal(sp_words_plain(out, 0.2439), "0.244");
    assert_string_equal(sp_words_plain(out, 295.3), "295");
    assert_string_equal(sp_words_plain(out, 12345.0), "12300");
    assert_string_equal(sp_words_plain(out, 999.7), "1000");
}

static void a_scale_puts_its_ends_at_its_ends(void **state)
{
    (void)state;
    const sp_scale log_scale = {true, 1.0, 100.0, 50.0, 250.0};
    const sp_scale linear = {false, 0.0, 600.0, 660.0, 60.0};
    assert_true(fabs(sp_scale_px(&log_scale, 1.0) - 50.0) < 1e-9);
    assert_true(fabs(sp_scale_px(&log_scale, 10.0) - 150.0) < 1e-9);
    assert_true(fabs(sp_scale_px(&linear, 150.0) - 510.0) < 1e-9);
    assert_true(sp_scale_round_up(591.0) == 600.0);
    assert_true(sp_scale_round_up(0.21) == 0.25);
    assert_true(fabs(sp_scale_round_up(9.7e14) - 1e15) < 1.0);
}

static void ticks_are_round_numbers_within_the_scale(void **state)
{
    (void)state;
    const sp_scale linear = {false, 600.0, 2000.0, 0.0, 1.0};
    const sp_scale log_scale = {true, 0.5, 2000.0, 0.0, 1.0};
    sp_tick ticks[SP_SCALE_MAX_TICKS];
    assert_int_equal(sp_scale_ticks(&linear, 5, ticks), 3); /* 1000, 1500, 2000 */
    assert_true(ticks[0].value == 1000.0 && ticks[2].value == 2000.0);
    const size_t n = sp_scale_ticks(&log_scale, 9, ticks);
    double labelled = 0.0;
    for (size_t i = 0; i < n; i++) {
        assert_in_range(ticks[i].value * 1e6, 499999, 2000001000);
        labelled += ticks[i].labelled ? ticks[i].value : 0.0;
    }
    assert_true(labelled == 1111.0); /* 1, 10, 100, 1000 */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(boxes_that_share_an_edge_do_not_overlap),
        cmocka_unit_test(a_turned_box_reaches_as_far_as_its_corner),
        cmocka_unit_test(a_line_meets_a_box_only_where_it_enters_it),
        cmocka_unit_test(a_label_takes_the_cheapest_free_spot),
        cmocka_unit_test(numbers_keep_three_digits_and_a_prefix),
        cmocka_unit_test(a_scale_puts_its_ends_at_its_ends),
        cmocka_unit_test(ticks_are_round_numbers_within_the_scale),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
