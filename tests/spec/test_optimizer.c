/* SPDX-License-Identifier: Apache-2.0 */
/* configs/optimizers.json: what is read, and what is refused. */
#include "shardplan/optimizer.h"

#include "base/base.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static const char *home(void)
{
    const char *text = getenv("SHARDPLAN_HOME");
    if (text == NULL) fail_msg("%s", "SHARDPLAN_HOME names the source tree");
    return text;
}

static sp_optimizer find(const char *name)
{
    sp_arena arena = {0};
    sp_error err = {0};
    const sp_optimizer *o = NULL;
    if (sp_optimizer_find(&arena, home(), name, &o, &err) != SP_OK) fail_msg("%s", err.message);
    assert_string_equal(o->name, name);
    sp_optimizer copy = *o;
    copy.name = name;
    sp_arena_fini(&arena);
    return copy;
}

static void state_is_what_the_frameworks_allocate(void **state)
{
    (void)state;
    assert_true(find("adamw").matrix_bytes == 8.0);
    assert_true(find("adamw-bf16").matrix_bytes == 4.0);
    assert_true(find("sgd").matrix_bytes == 0.0);
    assert_true(find("sgd-momentum").matrix_bytes == 4.0);
    /* two states of a byte, each with a 4-byte scale for 256 */
    assert_true(find("adamw8bit").matrix_bytes == 2.0 * (1.0 + 4.0 / 256.0));
    assert_true(find("muon").matrix_bytes == 4.0 && find("muon").embedding_bytes == 8.0);
    assert_true(find("adafactor").row_bytes == 4.0 && find("adafactor").matrix_bytes == 0.0);
}

static void optimizers_alike_for_all_tensors_are_known(void **state)
{
    static const char *const alike[] = {"adamw", "adamw-bf16", "sgd", "sgd-momentum"};
    static const char *const differ[] = {"adamw8bit", "adafactor", "muon"};
    (void)state;
    for (size_t i = 0; i < sizeof alike / sizeof alike[0]; i++) {
        const sp_optimizer o = find(alike[i]);
        assert_true(sp_optimizer_is_uniform(&o));
    }
    for (size_t i = 0; i < sizeof differ / sizeof differ[0]; i++) {
        const sp_optimizer o = find(differ[i]);
        assert_false(sp_optimizer_is_uniform(&o));
    }
}

static void an_unknown_name_is_refused_with_the_nearest(void **state)
{
    (void)state;
    sp_arena arena = {0};
    sp_error err = {0};
    const sp_optimizer *o = NULL;
    assert_int_equal(sp_optimizer_find(&arena, home(), "adamw8bits", &o, &err), SP_E_UNKNOWN_NAME);
    assert_string_equal(err.file, "--optimizer");
    assert_string_equal(err.nearest, "adamw8bit");
    sp_arena_fini(&arena);
}

/* The status of reading that text as the file. */
static sp_status read_text(const char *text)
{
    char dir[] = "/tmp/optimizers-XXXXXX", configs[64], file[128];
    sp_arena arena = {0};
    sp_error err = {0};
    const sp_optimizer *o = NULL;
    assert_non_null(mkdtemp(dir));
    (void)snprintf(configs, sizeof configs, "%s/configs", dir);
    (void)snprintf(file, sizeof file, "%s/optimizers.json", configs);
    assert_int_equal(mkdir(configs, 0700), 0);
    assert_int_equal(sp_file_write(file, text, strlen(text), &err), SP_OK);
    err = (sp_error){0};
    const sp_status status = sp_optimizer_find(&arena, dir, "own", &o, &err);
    sp_arena_fini(&arena);
    assert_int_equal(unlink(file) + rmdir(configs) + rmdir(dir), 0);
    return status;
}

#define FIGURE(key)                                                                                \
    "\"" key "\": {\"value\": 1, \"unit\": \"B\", \"source\": \"s\", \"date\": \"2026-01-01\"}"
#define FILE_OF(more)                                                                              \
    "{\"schema\": \"shardplan/optimizers/1\", \"about\": \"a\", \"optimizers\": [{\"name\": "      \
    "\"own\", \"about\": \"a\", " FIGURE("matrix_bytes") ", " FIGURE(                              \
        "embedding_bytes") ", " FIGURE("head_bytes") more "}]}"

static void every_figure_is_checked(void **state)
{
    (void)state;
    assert_int_equal(read_text(FILE_OF(", " FIGURE("vector_bytes"))), SP_OK);
    assert_int_equal(read_text(FILE_OF("")), SP_E_MISSING_KEY);
    assert_int_equal(read_text(FILE_OF(", " FIGURE("vector_bytes") ", " FIGURE("rows"))),
                     SP_E_UNKNOWN_KEY);
    assert_int_equal(read_text(FILE_OF(", \"vector_bytes\": 1")), SP_E_TYPE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(state_is_what_the_frameworks_allocate),
        cmocka_unit_test(optimizers_alike_for_all_tensors_are_known),
        cmocka_unit_test(an_unknown_name_is_refused_with_the_nearest),
        cmocka_unit_test(every_figure_is_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
