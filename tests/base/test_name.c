/* SPDX-License-Identifier: Apache-2.0 */
/* The nearest name: which slips are forgiven and where guessing stops. */
#include "base/base.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const char *const names[] = {"micro_batch", "recompute", "schedule",
                                    "precision",   "tp",        "pp"};

static const char *nearest(const char *given)
{
    return sp_name_nearest(given, names, sizeof names / sizeof names[0]);
}

static void one_slip_of_each_kind_is_forgiven(void **state)
{
    (void)state;
    assert_string_equal(nearest("scedule"), "schedule");   /* left out */
    assert_string_equal(nearest("schedulle"), "schedule"); /* added */
    assert_string_equal(nearest("shcedule"), "schedule");  /* swapped */
    assert_string_equal(nearest("schedula"), "schedule");  /* replaced */
    assert_string_equal(nearest("SCHEDULE"), "schedule");  /* case is no slip */
}

static void a_longer_name_is_no_slip(void **state)
{
    (void)state;
    assert_true(sp_name_is_slip("hiden_dropout", "hidden_dropout"));
    assert_true(sp_name_is_slip("hidden_dorpuot", "hidden_dropout"));
    assert_false(sp_name_is_slip("hidden_dropout_prob", "hidden_dropout"));
}

static void a_swap_counts_as_one_edit(void **state)
{
    (void)state;
    static const char *const pair[] = {"abxxcd", "badc"};
    /* "abcd" -> "badc" is two swaps = 2; -> "abxxcd" two insertions = 2: the first one wins */
    assert_string_equal(sp_name_nearest("abcd", pair, 2), "abxxcd");
    static const char *const other[] = {"abxxcd", "abdc"};
    assert_string_equal(sp_name_nearest("abcd", other, 2), "abdc");
}

static void the_limit_is_two_edits_or_a_third_of_the_length(void **state)
{
    (void)state;
    static const char *const one[] = {"abcdefghijkl"};
    assert_string_equal(sp_name_nearest("abcdefghWXYZ", one, 1), one[0]); /* 4 of 12 */
    assert_null(sp_name_nearest("abcdefgVWXYZ", one, 1));                 /* 5 of 12 */
    static const char *const two[] = {"abc"};
    assert_string_equal(sp_name_nearest("aXY", two, 1), "abc"); /* 2 */
    assert_null(sp_name_nearest("XYZ", two, 1));                /* 3 */
}

static void ties_go_to_the_first_in_the_list(void **state)
{
    (void)state;
    assert_string_equal(nearest("xp"), "tp");
    static const char *const turned[] = {"pp", "tp"};
    assert_string_equal(sp_name_nearest("xp", turned, 2), "pp");
}

static void odd_input_is_harmless(void **state)
{
    (void)state;
    assert_null(sp_name_nearest("tp", NULL, 0));
    char huge[300];
    memset(huge, 'a', sizeof huge - 1);
    huge[sizeof huge - 1] = '\0';
    assert_null(nearest(huge));
    const char *const list[] = {huge, "aa"};
    assert_string_equal(sp_name_nearest("aa", list, 2), "aa");
    huge[64] = '\0'; /* the longest name that is looked at */
    assert_ptr_equal(sp_name_nearest(huge, list, 2), huge);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_slip_of_each_kind_is_forgiven),
        cmocka_unit_test(a_longer_name_is_no_slip),
        cmocka_unit_test(a_swap_counts_as_one_edit),
        cmocka_unit_test(the_limit_is_two_edits_or_a_third_of_the_length),
        cmocka_unit_test(ties_go_to_the_first_in_the_list),
        cmocka_unit_test(odd_input_is_harmless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
