/* SPDX-License-Identifier: Apache-2.0 */
/* Files: round trips, atomic replacement, listing, and what failures say. Works in a folder of its
 * own under TMPDIR. */
#define _POSIX_C_SOURCE 200809L
#include "base/base.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static char folder[256];

static const char *path_of(const char *name)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static int make_folder(void **state)
{
    (void)state;
    const char *tmp = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/shardplan-file-XXXXXX", tmp ? tmp : "/tmp");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    static const char *const names[] = {"a.json", "b.json", "c.txt", "plan.txt", ".hidden.json"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        unlink(path_of(names[i]));
    return rmdir(folder); /* fails if anything else was left behind */
}

static void write_file(const char *name, const char *text)
{
    sp_error err = {0};
    assert_int_equal(sp_file_write(path_of(name), text, strlen(text), &err), SP_OK);
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    char data[10000];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (char)(i * 7 % 256);
    sp_error err = {0};
    assert_int_equal(sp_file_write(path_of("plan.txt"), data, sizeof data, &err), SP_OK);
    sp_text text = {0};
    assert_int_equal(sp_file_read(path_of("plan.txt"), sizeof data, &text, &err), SP_OK);
    assert_int_equal(text.length, sizeof data);
    assert_memory_equal(text.data, data, sizeof data);
    sp_text_fini(&text);
    assert_int_equal(sp_file_read(path_of("plan.txt"), sizeof data - 1, &text, &err),
                     SP_E_OVERFLOW);
    assert_string_equal(err.range, "at most 9999 bytes");
    sp_text_fini(&text);
}

static void an_empty_file_reads_as_an_empty_string(void **state)
{
    (void)state;
    write_file("plan.txt", "");
    sp_text text = {0};
    sp_error err = {0};
    assert_int_equal(sp_file_read(path_of("plan.txt"), 0, &text, &err), SP_OK);
    assert_string_equal(text.data, "");
    sp_text_fini(&text);
}

static void writing_replaces_and_leaves_no_other_file(void **state)
{
    (void)state;
    write_file("plan.txt", "a long first version");
    write_file("plan.txt", "second");
    sp_text text = {0};
    sp_error err = {0};
    assert_int_equal(sp_file_read(path_of("plan.txt"), 100, &text, &err), SP_OK);
    assert_string_equal(text.data, "second");
    sp_text_fini(&text);
    sp_arena arena = {0};
    const char *const *names = NULL;
    size_t n = 0;
    assert_int_equal(sp_dir_names(&arena, folder, ".tmp", &names, &n, &err), SP_OK);
    assert_int_equal(n, 0);
    sp_arena_fini(&arena);
}

static void a_failed_write_keeps_the_old_file(void **state)
{
    (void)state;
    write_file("plan.txt", "old");
    sp_error err = {0};
    sp_alloc_fail_at(1);
    assert_int_equal(sp_file_write(path_of("plan.txt"), "new", 3, &err), SP_E_MEMORY);
    sp_text text = {0};
    assert_int_equal(sp_file_read(path_of("plan.txt"), 100, &text, &err), SP_OK);
    assert_string_equal(text.data, "old");
    sp_text_fini(&text);
}

static void devices_are_written_to_not_replaced(void **state)
{
    (void)state;
    sp_error err = {0};
    assert_int_equal(sp_file_write("/dev/null", "x", 1, &err), SP_OK);
    struct stat info;
    assert_int_equal(stat("/dev/null", &info), 0);
    assert_true(S_ISCHR(info.st_mode));
}

static void failures_name_the_file_and_the_cause(void **state)
{
    (void)state;
    sp_error err = {0};
    sp_text text = {0};
    assert_int_equal(sp_file_read(path_of("none"), 10, &text, &err), SP_E_IO);
    assert_string_equal(err.file, path_of("none"));
    assert_string_equal(err.message, "cannot open the file: No such file or directory");
    assert_int_equal(sp_file_read(folder, 10, &text, &err), SP_E_IO);
    assert_string_equal(err.message, "cannot read the file: Is a directory");
    sp_text_fini(&text);
    assert_int_equal(sp_file_write(path_of("none/x"), "x", 1, &err), SP_E_IO);
    assert_string_equal(err.file, path_of("none/x"));
    assert_int_equal(sp_file_write(folder, "x", 1, &err), SP_E_IO);
    sp_arena arena = {0};
    const char *const *names = NULL;
    size_t n = 0;
    assert_int_equal(sp_dir_names(&arena, path_of("none"), "", &names, &n, &err), SP_E_IO);
    sp_arena_fini(&arena);
}

static void files_and_folders_are_told_apart(void **state)
{
    (void)state;
    write_file("c.txt", "x");
    assert_true(sp_file_exists(path_of("c.txt")));
    assert_false(sp_dir_exists(path_of("c.txt")));
    assert_true(sp_dir_exists(folder));
    assert_false(sp_file_exists(folder));
    assert_false(sp_file_exists(path_of("none")));
    assert_false(sp_dir_exists(path_of("none")));
}

static void names_are_listed_sorted_without_suffix(void **state)
{
    (void)state;
    write_file("b.json", "1");
    write_file("c.txt", "1");
    write_file("a.json", "1");
    write_file(".hidden.json", "1");
    sp_arena arena = {0};
    sp_error err = {0};
    const char *const *names = NULL;
    size_t n = 0;
    assert_int_equal(sp_dir_names(&arena, folder, ".json", &names, &n, &err), SP_OK);
    assert_int_equal(n, 2);
    assert_string_equal(names[0], "a");
    assert_string_equal(names[1], "b");
    sp_arena_fini(&arena);
    for (uint64_t k = 1; k <= 2; k++) {
        sp_alloc_fail_at(k);
        assert_int_equal(sp_dir_names(&arena, folder, ".json", &names, &n, &err), SP_E_MEMORY);
        sp_arena_fini(&arena);
    }
    sp_alloc_fail_at(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(an_empty_file_reads_as_an_empty_string),
        cmocka_unit_test(writing_replaces_and_leaves_no_other_file),
        cmocka_unit_test(a_failed_write_keeps_the_old_file),
        cmocka_unit_test(devices_are_written_to_not_replaced),
        cmocka_unit_test(failures_name_the_file_and_the_cause),
        cmocka_unit_test(files_and_folders_are_told_apart),
        cmocka_unit_test(names_are_listed_sorted_without_suffix),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
