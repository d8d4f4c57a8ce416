/* SPDX-License-Identifier: Apache-2.0 */
/* Settings from arguments and what wins. */
#include "cli/cli.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const unsigned TRAIN = SP_TAKES_QUESTION | SP_TAKES_SEARCH | SP_TAKES_OUTPUT;

static int set_up(void **state)
{
    *state = sp_alloc(sizeof(sp_settings));
    return *state != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
    sp_settings *settings = *state;
    sp_arena_fini(&settings->arena);
    sp_free(settings);
    return 0;
}

/* Arguments after "train", ended by NULL. */
static sp_status read_words(sp_settings *settings, const char *const *words, sp_error *err)
{
    static char copies[16][64];
    static char *argv[18] = {NULL};
    int argc = 1;
    static char command[] = "train";
    argv[0] = command;
    for (; *words != NULL; words++) {
        strncpy(copies[argc], *words, sizeof copies[0] - 1);
        argv[argc] = copies[argc];
        argc++;
    }
    argv[argc] = NULL;
    return sp_settings_read_arguments(settings, TRAIN, argc, argv, err);
}

static void words_and_flags_stand_in_any_order(void **state)
{
    sp_settings *s = *state;
    sp_error err = {0};
    const char *const words[] = {"--gpus=8", "job.json", "--where", "a", "-q", "--where=b", NULL};
    assert_int_equal(read_words(s, words, &err), SP_OK);
    assert_int_equal(s->n_words, 1);
    assert_string_equal(s->words[0], "job.json");
    assert_string_equal(sp_settings_text(s, SP_FLAG_gpus), "8");
    assert_int_equal(s->of[SP_FLAG_where].n_values, 2);
    assert_string_equal(s->of[SP_FLAG_where].values[1], "b");
    bool quiet = false;
    assert_int_equal(sp_settings_switch(s, SP_FLAG_quiet, &quiet, &err), SP_OK);
    assert_true(quiet);
}

static void of_one_flag_given_twice_the_last_counts(void **state)
{
    sp_settings *s = *state;
    sp_error err = {0};
    const char *const words[] = {"--gpus", "8", "--gpus", "16", NULL};
    assert_int_equal(read_words(s, words, &err), SP_OK);
    assert_string_equal(sp_settings_text(s, SP_FLAG_gpus), "16");
}

static void abbreviations_are_refused_with_the_whole_name(void **state)
{
    sp_error err = {0};
    const char *const words[] = {"--mod", "x", NULL};
    assert_int_equal(read_words(*state, words, &err), SP_E_USAGE);
    assert_string_equal(err.value, "--mod");
    assert_string_equal(err.nearest, "--model");
}

static void announced_flags_are_not_built(void **state)
{
    sp_error err = {0};
    const char *const words[] = {"--checkpoint", "x", NULL};
    assert_int_equal(read_words(*state, words, &err), SP_E_NOT_YET);
    assert_string_equal(err.value, "--checkpoint");
}

static void the_higher_origin_wins_in_whatever_order(void **state)
{
    static const sp_origin orders[][3] = {
        {SP_FROM_FILE,        SP_FROM_ENVIRONMENT, SP_FROM_FLAG},
        {SP_FROM_FLAG,        SP_FROM_ENVIRONMENT, SP_FROM_FILE},
        {SP_FROM_ENVIRONMENT, SP_FROM_FLAG,        SP_FROM_FILE},
    };
    sp_settings *s = *state;
    sp_error err = {0};
    for (size_t i = 0; i < 3; i++) {
        s->of[SP_FLAG_set] = (sp_setting){0};
        for (size_t k = 0; k < 3; k++) {
            const char *value = sp_origin_name(orders[i][k]);
            assert_int_equal(sp_settings_put(s, SP_FLAG_set, orders[i][k], value, &err), SP_OK);
        }
        assert_int_equal(s->of[SP_FLAG_set].n_values, 1);
        assert_string_equal(sp_settings_text(s, SP_FLAG_set), "flag");
    }
}

static void a_value_of_the_file_that_loses_is_remembered(void **state)
{
    sp_settings *s = *state;
    sp_error err = {0};
    assert_int_equal(sp_settings_put(s, SP_FLAG_gpus, SP_FROM_FLAG, "8", &err), SP_OK);
    assert_false(s->file_differs);
    assert_int_equal(sp_settings_put(s, SP_FLAG_gpus, SP_FROM_FILE, "16", &err), SP_OK);
    assert_true(s->file_differs);
}

static void defaults_hold_where_nothing_was_said(void **state)
{
    const sp_settings *s = *state;
    sp_error err = {0};
    sp_run run;
    assert_string_equal(sp_settings_text(s, SP_FLAG_headroom), "6%");
    assert_null(sp_settings_text(s, SP_FLAG_model));
    assert_int_equal(sp_run_read(s, &run, &err), SP_OK);
    assert_int_equal(run.top, 10);
    assert_int_equal(run.threads, 0);
    assert_true(run.by_layout);
    assert_int_equal(run.format, SP_FORMAT_TABLE);
}

static void flags_are_found_with_dashes_and_underscores(void **state)
{
    (void)state;
    assert_int_equal(sp_flag_find("seq-len"), SP_FLAG_seq_len);
    assert_int_equal(sp_flag_find("seq_len"), SP_FLAG_seq_len);
    assert_int_equal(sp_flag_find("seq"), SP_N_FLAGS);
    assert_int_equal(sp_flag_find("seq-lenn"), SP_N_FLAGS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(words_and_flags_stand_in_any_order),
        TEST(of_one_flag_given_twice_the_last_counts),
        TEST(abbreviations_are_refused_with_the_whole_name),
        TEST(announced_flags_are_not_built),
        TEST(the_higher_origin_wins_in_whatever_order),
        TEST(a_value_of_the_file_that_loses_is_remembered),
        TEST(defaults_hold_where_nothing_was_said),
        TEST(flags_are_found_with_dashes_and_underscores),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
