/* SPDX-License-Identifier: Apache-2.0 */
/* Every folder tests/bad/model-NAME holds a bad file and the exact line with which it is refused.
 */
#include "model_fixture.h"

static void trim_newline(sp_text *text)
{
    if (text->length > 0 && text->data[text->length - 1] == '\n') text->data[--text->length] = '\0';
}

/* The line that the command line prints for this folder. */
static void check_folder(const char *folder)
{
    sp_arena arena = {0};
    sp_error err = {0};
    const sp_model *model = NULL;
    const char *file = sp_arena_printf(&arena, "tests/bad/%s/input.json", folder);
    const char *wanted_file = sp_arena_printf(&arena, "tests/bad/%s/error.txt", folder);
    sp_text wanted = {0};
    char line[SP_ERROR_TEXT_BYTES];
    char printed[SP_ERROR_TEXT_BYTES + 16];
    assert_int_equal(sp_file_read(wanted_file, 4096, &wanted, &err), SP_OK);
    trim_newline(&wanted);
    assert_int_not_equal(sp_model_find(&arena, ".", file, &model, &err), SP_OK);
    sp_error_format(&err, line, sizeof line);
    snprintf(printed, sizeof printed, "shardplan: %s", line);
    assert_string_equal(printed, wanted.data);
    sp_text_fini(&wanted);
    sp_arena_fini(&arena);
}

static void every_bad_model_is_refused_with_its_line(void **state)
{
    (void)state;
    sp_arena arena = {0};
    sp_error err = {0};
    const char *const *names = NULL;
    size_t n_names = 0;
    size_t n_models = 0;
    assert_int_equal(chdir(fixture_home()), 0);
    assert_int_equal(sp_dir_names(&arena, "tests/bad", "", &names, &n_names, &err), SP_OK);
    for (size_t i = 0; i < n_names; i++) {
        if (strncmp(names[i], "model-", 6) != 0) continue;
        check_folder(names[i]);
        n_models++;
    }
    assert_true(n_models >= 14);
    sp_arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_bad_model_is_refused_with_its_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
